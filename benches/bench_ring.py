"""How many signals a second does the ring carry, and how long is there and back?

Setup: a producer and a consumer, each on its own core, spinning; records of 64 bytes. Throughput
in a ring of 16,384 records, as the product's of 12 directions and 1,024 symbols; baseline: an
os.pipe between the same two, one write(2) and one read(2) of 64 bytes a record, also from C.
Median of seven runs of each by turns: a consumer that keeps up shares the line of the index with
the producer for every record, one that lags does not, and a run falls into either.
Round trip: one record through one ring and back through another; baseline: one number there and
back in one cache line. Median of batches of 100.

Not measured: what the tracker does with a record, a parked reader, batches (the pipe would gain
by writing many records at once, and so would the ring).
"""

import mmap
import os
from collections.abc import Callable
from types import ModuleType
from typing import Any

from measure import median, times

LINE = 64
CAPACITY = 16_384
RUNS, RECORDS, PIPE_RECORDS = 7, 2_000_000, 300_000
BATCH, BATCHES = 100, 2_000
WITHIN_S = 60.0


def bench_throughput(
    loops: ModuleType,
    row: Callable[..., None],
    count: Callable[[int], int],
    two_cores: tuple[set[int], set[int]],
    children: Any,
) -> None:
    n, n_pipe = count(RECORDS), count(PIPE_RECORDS)
    rings, pipes = [], []
    for _ in range(RUNS):
        shared = _lines(loops, 2 + CAPACITY)
        children.start("producer", loops.produce, shared, CAPACITY, n, cpus=two_cores[0])
        children.start("consumer", loops.consume, shared, CAPACITY, n, cpus=two_cores[1])
        rings.append(children.results(WITHIN_S)["consumer"])
        out, into = os.pipe()
        children.start("producer", loops.pipe_produce, into, n_pipe, cpus=two_cores[0])
        children.start("consumer", loops.pipe_consume, out, n_pipe, cpus=two_cores[1])
        pipes.append(children.results(WITHIN_S)["consumer"])
        os.close(out)
        os.close(into)
    row(
        "ring, 64-byte records", (n - 1) / median(rings) * 1e9, "records/s",
        "os.pipe, a system call each", (n_pipe - 1) / median(pipes) * 1e9, n * RUNS,
    )  # fmt: skip


def bench_round_trip(
    loops: ModuleType,
    row: Callable[..., None],
    count: Callable[[int], int],
    two_cores: tuple[set[int], set[int]],
    children: Any,
) -> None:
    batches, capacity = count(BATCHES), 16
    back = 2 + capacity
    rings, line = _lines(loops, 2 * back), _lines(loops, 1)

    def ping(call: Callable[..., None], *args: Any) -> float:
        out = times(batches)
        call(*args, BATCH, out)
        return median(out) / BATCH

    children.start("ping", ping, loops.ring_ping, rings, back, capacity, cpus=two_cores[0])
    children.start(
        "pong", loops.ring_pong, rings, back, capacity, BATCH * batches, cpus=two_cores[1]
    )
    ring_ns = children.results(WITHIN_S)["ping"]
    children.start("ping", ping, loops.line_ping, line, cpus=two_cores[0])
    children.start("pong", loops.line_pong, line, BATCH * batches, cpus=two_cores[1])
    line_ns = children.results(WITHIN_S)["ping"]
    row(
        "ring, round trip", ring_ns, "ns",
        "cache-line ping, round trip", line_ns, BATCH * batches,
    )  # fmt: skip


def _lines(loops: ModuleType, n: int) -> Any:
    return loops.Shared(mmap.mmap(-1, n * LINE), n)
