"""How old an answer is taken for, by what its rows and its witnesses tell."""

from types import SimpleNamespace
from typing import Any

import pytest

from spreadscan.audit.evidence import Lag
from spreadscan.audit.rounds import Rounds
from spreadscan.venues.base import Ticker

S = 10**9
SENT_NS = 1_000 * S


@pytest.mark.parametrize(
    ("row_ages_s", "by_witnesses", "expected"),
    [
        ([2.0], Lag(None), Lag(2 * S)),
        ([2.0], Lag(4 * S), Lag(4 * S)),  # whichever is the older
        ([-1.0], Lag(None), Lag(0)),
        ([-300.0], Lag(None), Lag(None)),  # a clock that is ahead tells no age,
        ([-300.0], Lag(4 * S), Lag(4 * S)),  # and the witnesses are left
        ([2.0], Lag(None, bad=True), Lag(None, bad=True)),
        ([90.0, 2.0, 30.0], Lag(None), Lag(2 * S)),  # quiet pairs may have kept theirs
        ([300.0] * 50 + [-3600.0], Lag(None), Lag(300 * S)),  # one row that is dated ahead,
        ([300.0] * 50 + [-1.0], Lag(None), Lag(300 * S)),  # or dated now, hides no other
    ],
)
def test_the_age_of_an_answer(row_ages_s: list[float], by_witnesses: Lag, expected: Lag) -> None:
    source: Any = SimpleNamespace(
        name="okx-spot",
        pages=SimpleNamespace(rows_tell_time=True),
        pairs={},
        judge=SimpleNamespace(longest_ns=5 * S),
        witnesses=SimpleNamespace(lag=lambda *of: by_witnesses),
    )
    requests: Any = None
    rounds = Rounds(source, requests, 15.0, lambda: None, lambda: None)
    now_ns = SENT_NS + rounds.unix_offset_ns
    rows: dict[str, Ticker | None] = {
        f"P{i}": Ticker(f"P{i}", 1.0, 2.0, now_ns - int(age_s * S))
        for i, age_s in enumerate(row_ages_s)
    }
    found = rounds._measured(rows | {"torn": None}, {}, SENT_NS)
    assert found.bad == expected.bad
    assert found.ns == (expected.ns and pytest.approx(expected.ns, abs=10_000_000))


def test_the_list_is_read_for_new_pairs_and_ever_more_seldom_for_the_same() -> None:
    looks: list[int] = []
    source: Any = SimpleNamespace(name="okx-spot")
    requests: Any = None
    rounds = Rounds(source, requests, 15.0, lambda: None, lambda: looks.append(second))
    for second in range(0, 900, 15):
        rounds._look({3} if second < 600 else {3, 4} if second < 700 else set(), second * S)
    assert [0, 75, 225, 525, 600, 675] == looks
