"""What does a quote write cost its feed, and an uncontended read the engine?

Setup: one process on one core; a C loop over the slots of one source in a real table of 1,024
symbols and 8 sources (a slot every 512 bytes). Over 16 slots the lines stay in the first-level
cache; over 1,024 they do not fit (eight of its 64 sets) and come from the second level.
Each write is of a new quote, made in registers as the intake makes it. Baseline: the same loop
with a plain copy of the 56-byte struct. Median of rounds, subject and baseline by turns; loop
overhead is in both.

Not measured: any other process. A line that another core has touched costs far more, see
bench_remote_read.py. Nor decoding, the gate, or the dirty bit.
"""

from collections.abc import Callable
from types import ModuleType

import pytest
from spreadcore import Instance

N = 100_000
ROUNDS = 50


@pytest.mark.parametrize("n_slots", [16, 1024])
@pytest.mark.parametrize(
    ("verb", "subject", "baseline"),
    [("write", "write_quotes", "copy_quotes_in"), ("read", "read_quotes", "copy_quotes_out")],
)
def bench_quote(
    loops: ModuleType,
    beside: Callable[..., tuple[float, float]],
    row: Callable[..., None],
    count: Callable[[int], int],
    make_instance: Callable[..., Instance],
    verb: str, subject: str, baseline: str, n_slots: int,
) -> None:  # fmt: skip
    quotes = make_instance().quotes
    loops.write_quotes(quotes, 1024, 1024)
    n, rounds = count(N), count(ROUNDS)
    value, plain = beside(
        lambda: getattr(loops, subject)(quotes, n_slots, n),
        lambda: getattr(loops, baseline)(quotes, n_slots, n),
        rounds=rounds,
    )
    row(
        f"quote {verb}, {n_slots:,} slots", value / n, "ns",
        "plain 56-byte struct copy", plain / n, n * rounds, aim="15",
    )  # fmt: skip
