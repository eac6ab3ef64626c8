"""What does it cost to read what a venue answers about all of its books?

Setup: one process on one core; per source one answer of the rows and size that its venue has
(ticker_answers.py), read by the venue's parser: JSON, names and prices checked, a Ticker a row.
Baseline: json.loads, look-ups and float() in plain Python, which checks nothing. Both give the same
prices, which is asserted first. Median of rounds by turns. The last row is the eight scanned
by default in turn, as an audit reads them every 15 s; its aim is 1.5 % of a core.

Not measured: the request and its body in parts; what is made of the tickers.
"""

from collections.abc import Callable

import pytest

from spreadscan.config import BY_DEFAULT
from spreadscan.venues import VENUES
from ticker_answers import answer, plain

ROUNDS = 50
_AIM_MS = 0.015 * 15_000


@pytest.mark.parametrize("sources", [*((name,) for name in VENUES), BY_DEFAULT], ids="+".join)
def bench_tickers(
    beside: Callable[..., tuple[float, float]],
    row: Callable[..., None],
    count: Callable[[int], int],
    sources: tuple[str, ...],
) -> None:
    payloads = {name: answer(name) for name in sources}
    readers = {name: plain(name) for name in sources}
    n_rows = 0
    for name, payload in payloads.items():
        expected = readers[name](payload)
        assert expected == [ticker[:3] for ticker in VENUES[name].audit.tickers(payload)]
        n_rows += len(expected)

    def read() -> None:
        for name, payload in payloads.items():
            VENUES[name].audit.tickers(payload)

    def read_plainly() -> None:
        for name, payload in payloads.items():
            readers[name](payload)

    value, baseline = beside(read, read_plainly, rounds=count(ROUNDS))
    kb = sum(map(len, payloads.values())) // 1_000
    whole = len(sources) > 1
    row(
        f"tickers, {'all eight' if whole else sources[0]}, {n_rows:,} rows, {kb:,} kB", value / 1e6,
        "ms", "json.loads + float()", baseline / 1e6, count(ROUNDS),
        aim=f"{_AIM_MS:.0f}" if whole else "",
    )  # fmt: skip
