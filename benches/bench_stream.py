"""What does it cost to tell any number of readers, and how much can they take?

Setup: a stream of 4,096 records of 128 bytes, as the engine's. The producer has a core to itself
and waits for nobody; readers share the other one and spin. Publishing: flat out, beside none and
beside four readers, ns a record. One reader: the producer paced at 20 million records a second
(it looks at the clock every 16 records), and flat out. Four readers on one core: flat out. Every
reader checks that each record is the next one, and that what it got and what it was told that it
lost are all. Median of seven runs, each beside a run of the signal ring (64-byte records, a
consumer that the producer waits for).

Not measured: a wake (one futex call where somebody sleeps, a fence and a load where nobody does),
the Python face, what a reader does with a record.
"""

import mmap
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from measure import median

LINE = 64
CAPACITY, RING_CAPACITY = 4096, 16_384
LINES = 2 + 3 + 2 * CAPACITY
RUNS, RECORDS = 7, 2_000_000
WITHIN_S = 60.0


@pytest.mark.parametrize(
    ("how", "readers", "period_ns"),
    [
        ("no reader", 0, 0),
        ("one reader, paced at 20 M records/s", 1, 50),
        ("one reader, flat out", 1, 0),
        ("four readers on one core, flat out", 4, 0),
    ],
)
def bench_stream(
    loops: ModuleType,
    row: Callable[..., None],
    count: Callable[[int], int],
    two_cores: tuple[set[int], set[int]],
    children: Any,
    how: str,
    readers: int,
    period_ns: int,
) -> None:
    n = count(RECORDS)
    publishing_ns: list[float] = []
    rings_ns: list[float] = []
    taken: list[float] = []
    lost: list[float] = []
    for _ in range(RUNS):
        shared = loops.Shared(mmap.mmap(-1, LINES * LINE), LINES)
        for number in range(readers):
            children.start(
                f"reader {number}", loops.stream_follow, shared, CAPACITY, n, cpus=two_cores[1]
            )
        children.start(
            "producer", loops.stream_produce, shared, CAPACITY, n, readers, period_ns,
            cpus=two_cores[0],
        )  # fmt: skip
        found = children.results(WITHIN_S)
        publishing_ns.append(found.pop("producer") / n)
        taken += [good / (publishing_ns[-1] * n) for good, _ in found.values()]
        lost += [missed / n for _, missed in found.values()]
        rings_ns.append(_ring_ns(loops, two_cores, children, n))
    ring_ns = median(rings_ns)
    if not period_ns:
        row(
            f"stream publish, {how}", median(publishing_ns), "ns",
            "ring push, its consumer keeping up", ring_ns, n * RUNS, aim="40",
        )  # fmt: skip
    if readers:
        row(
            f"stream, {how}, taken by each, {100 * median(lost):.1f} % lost and told",
            median(taken) * 1e9, "records/s", "ring, 64-byte records", 1e9 / ring_ns, n * RUNS,
            aim="20,000,000" if period_ns else "",
        )  # fmt: skip


def _ring_ns(loops: ModuleType, two_cores: Any, children: Any, n: int) -> float:
    shared = loops.Shared(mmap.mmap(-1, (2 + RING_CAPACITY) * LINE), 2 + RING_CAPACITY)
    children.start("producer", loops.produce, shared, RING_CAPACITY, n, cpus=two_cores[0])
    children.start("consumer", loops.consume, shared, RING_CAPACITY, n, cpus=two_cores[1])
    return float(children.results(WITHIN_S)["consumer"] / (n - 1))
