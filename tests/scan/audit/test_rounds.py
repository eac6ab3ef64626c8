"""How old an answer is taken for, by what its rows and its witnesses tell."""

from types import SimpleNamespace
from typing import Any

import pytest

from spreadscan.audit.judge import Lag
from spreadscan.audit.rounds import Rounds
from spreadscan.venues.base import Ticker

S = 10**9
SENT_NS = 1_000 * S


@pytest.mark.parametrize(
    ("row_age_s", "by_witnesses", "expected"),
    [
        (2.0, Lag(None), Lag(2 * S)),
        (2.0, Lag(4 * S), Lag(4 * S)),  # whichever is the older
        (-1.0, Lag(None), Lag(0)),
        (-300.0, Lag(None), Lag(None)),  # a clock that is ahead tells no age,
        (-300.0, Lag(4 * S), Lag(4 * S)),  # and the witnesses are left
        (2.0, Lag(None, bad=True), Lag(None, bad=True)),
    ],
)
def test_the_age_of_an_answer(row_age_s: float, by_witnesses: Lag, expected: Lag) -> None:
    source: Any = SimpleNamespace(
        pages=SimpleNamespace(rows_tell_time=True),
        pairs={},
        judge=SimpleNamespace(older_by_ns=5 * S),
        witnesses=SimpleNamespace(lag=lambda *of: by_witnesses),
    )
    requests: Any = None
    rounds = Rounds(source, requests, 15.0, lambda: None, lambda: None)
    row_ns = SENT_NS + rounds.unix_offset_ns - int(row_age_s * S)
    found = rounds._measured({"P": Ticker("P", 1.0, 2.0, row_ns)}, {}, SENT_NS)
    assert found.bad == expected.bad
    assert found.ns == (expected.ns and pytest.approx(expected.ns, abs=10_000_000))
