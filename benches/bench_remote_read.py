"""What does a read cost right after another core wrote the slot? Does one line beat two?

Setup: a writer and a reader, each on its own core. The writer writes 32 slots, a table's stride
apart, and hands a baton over; the reader then reads them in a shuffled order in which each read
depends on the one before, so that they cannot overlap and no prefetcher can guess. Beside the
product's slot, under the same protocol, the split layout: sequence and data on lines of their
own. Baseline of both: one word per line, plainly loaded. Time of a chain / 32, median of rounds;
two clock reads per chain are in it (about 1 ns a read).

Not measured: a read that meets a write in progress (bounded tries, then busy), reads that may
overlap, and cores that do not share a last-level cache.
"""

import mmap
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

from measure import median, times

N_SLOTS = 32
ROUNDS = 5_000
WITHIN_S = 60.0


def bench_remote_read(
    loops: ModuleType,
    row: Callable[..., None],
    count: Callable[[int], int],
    two_cores: tuple[set[int], set[int]],
    children: Any,
) -> None:
    rounds = count(ROUNDS)
    found = {
        layout: _read_ns(loops, children, two_cores, layout, rounds)
        for layout in (loops.BARE, loops.JOINED, loops.SPLIT)
    }
    for name, layout in (("one line", loops.JOINED), ("split seq and data", loops.SPLIT)):
        row(
            f"read after remote write, {name}", found[layout], "ns",
            "bare word after remote write", found[loops.BARE], rounds * N_SLOTS,
        )  # fmt: skip


def _read_ns(
    loops: ModuleType, children: Any, cores: tuple[set[int], set[int]], layout: int, rounds: int
) -> float:
    n_lines = 1 + 2 * N_SLOTS * 8
    shared = loops.Shared(mmap.mmap(-1, n_lines * 64), n_lines)
    order = random.Random(7).sample(range(N_SLOTS), N_SLOTS)

    def read() -> list[int]:
        out = times(rounds)
        loops.remote_reader(shared, layout, bytes(order), out)
        return list(out)

    children.start(
        "writer", loops.remote_writer, shared, layout, bytes(order), rounds, cpus=cores[0]
    )
    children.start("reader", read, cpus=cores[1])
    return median(children.results(WITHIN_S)["reader"]) / N_SLOTS
