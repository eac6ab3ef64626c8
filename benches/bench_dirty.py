"""What does it cost to say that a quote changed, and to find what changed?

Setup: one process on one core; marks of 16 and of 680 of 1,024 symbols of each of eight sources,
then one take of everything, over and over. Cost per mark, and per symbol taken. Baseline: a plain
byte per symbol, set without atomics, and found by a scan of all 1,024. Median of rounds; two
clock reads per round are in it (below 0.5 ns a symbol).

Not measured: marks and takes of different cores on one line (the line moves for each: see the
cache-line ping of bench_signal.py), and the wake.
"""

import random
from array import array
from collections.abc import Callable
from types import ModuleType

import pytest
from spreadcore import Instance

from measure import median, times

N_SOURCES, N_SYMBOLS = 8, 1024
ROUNDS = 5_000


@pytest.mark.parametrize("n_dirty", [16, 680])
def bench_dirty(
    loops: ModuleType,
    row: Callable[..., None],
    count: Callable[[int], int],
    make_instance: Callable[..., Instance],
    one_core: None,
    n_dirty: int,
) -> None:
    rounds = count(ROUNDS)
    symbols = array("H", random.Random(7).sample(range(N_SYMBOLS), n_dirty))
    mark, take, plain_mark, plain_take = (times(rounds) for _ in range(4))
    loops.mark_and_take(make_instance().dirty, symbols, mark, take)
    loops.set_and_scan(N_SOURCES, N_SYMBOLS, symbols, plain_mark, plain_take)
    n = N_SOURCES * n_dirty
    what = f"{n_dirty} of {N_SYMBOLS:,} dirty"
    row(
        f"dirty mark, {what}", median(mark) / n, "ns",
        "plain byte set", median(plain_mark) / n, n * rounds,
    )  # fmt: skip
    row(
        f"dirty sweep, {what}, per symbol taken", median(take) / n, "ns",
        "scan of plain bytes", median(plain_take) / n, n * rounds,
    )  # fmt: skip
