"""How long from a written slot to a signal that its reader can see?

Setup: two processes on two cores. One is a feed and a tracker at once: it reads the clock, writes
a slot that makes a spread of 100 bps, marks it, wakes the engine, and spins on the ring until it
sees the record; then it takes the spread back and frees the pair. The other runs the engine's own
loop on 680 symbols and twelve directions, of which one may signal; its sweep is on. A sample is
from the clock before the write to the sight of the record: the way back over one more cache line
is in it, so that no clock of another process is asked (the record's own stamp is of the turn's
beginning, and would flatter). 30 us pass before each sample when the engine spins; when it parks,
it is first awaited at its futex, and then 30 us pass, so that it sleeps. Both attach after the
fork, as the scanner's workers do, so a page that one touches for the first time is in it.

Baseline spinning: half of a bare cache-line round trip. Parked: a bare futex wake, from the clock
before it to the sight of the sleeper's answer. Samples one by one, each with two clock reads.

Not measured: decoding; a burst (a signal waits for the quotes before it); a core that other work
keeps busy; deep idle states of a machine that sleeps longer than 30 us.
"""

import mmap
import random
from array import array
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from spreadcore import Instance, region
from spreadcore.engine import Engine
from spreadcore.layout import SECTIONS

from known import TWELVE as DIRECTIONS
from measure import quantile, times
from pairs import Pairs
from spreadscan.clock import now_ns

N_SOURCES, N_SYMBOLS = 8, 680
SIGNALLING = 1  # of the three directions of its spot source, the second that is looked at
SAMPLES, WARM_UP, CHUNK = 5_000, 200, 200
PAUSE_NS = 30_000
WITHIN_S = 60.0


@pytest.mark.parametrize("how", ["spinning", "parked"])
def bench_signal(
    loops: ModuleType,
    row: Callable[..., None],
    count: Callable[[int], int],
    instance_name: str,
    two_cores: tuple[set[int], set[int]],
    children: Any,
    how: str,
) -> None:
    n, parked = count(SAMPLES), how == "parked"
    region.create(instance_name, n_edges=len(DIRECTIONS) * N_SYMBOLS)
    _fill(Instance(instance_name, writable=SECTIONS))
    spin_us = 0.0 if parked else -1.0
    children.start("engine", _run_engine, instance_name, spin_us, cpus=two_cores[1])
    children.start("feed", _feed, loops, instance_name, parked, n, cpus=two_cores[0])
    found, woken = children.results(WITHIN_S)["feed"]
    assert woken >= 0.95 * len(found) if parked else woken == 0
    if parked:
        bare, name = _futex_wakes(loops, children, two_cores, n), "bare futex wake"
    else:
        bare, name = _line_pings(loops, children, two_cores, n), "cache-line ping, one way"
    for label, point in (("p50", 0.5), ("p99", 0.99)):
        row(
            f"slot write to signal, {how}, {label}", quantile(found, point), "ns",
            f"{name}, {label}", quantile(bare, point), len(found),
            aim="1,000" if (how, label) == ("spinning", "p50") else "",
        )  # fmt: skip


def _fill(instance: Instance) -> None:
    """Quotes without an edge, beats of now."""
    now = now_ns()
    rng = random.Random(7)
    for symbol in range(N_SYMBOLS):
        price = 10 ** rng.uniform(-3, 4)
        for source in range(N_SOURCES):
            instance.quotes.write(
                source, symbol, price, price * 1.0001, 1e4 / price, 1e4 / price, 1, now
            )
    _beat(instance)


def _beat(instance: Instance) -> None:
    now = now_ns()
    for source in range(N_SOURCES):
        instance.health.beat(source, now)


def _run_engine(name: str, spin_us: float) -> None:
    i = Instance(name, writable=SECTIONS)
    index = Pairs(N_SOURCES, N_SYMBOLS, [(d.id, d.buy.id, d.sell.id) for d in DIRECTIONS])
    for d in DIRECTIONS:
        for symbol in range(N_SYMBOLS):
            index.compare(d.id, symbol)
    engine = Engine(i.quotes, i.dirty, i.ring, i.active, i.health, i.control, index,
                    min_notional=20.0)  # fmt: skip
    for d in DIRECTIONS:
        engine.set_rule(d.id, 15.0, 15.0 if d.id == SIGNALLING else 1e9, 2.0)
    for source in range(N_SOURCES):
        engine.set_stale(source, 600.0)  # walked as the real ones; here quotes stand still
    while not i.control.stop:
        engine.run(0.05, spin_us, 5.0)


def _feed(loops: ModuleType, name: str, parked: bool, n: int) -> tuple[list[int], int]:
    """Return the samples, and how many of them woke the engine."""
    i, found, woken = Instance(name, writable=SECTIONS), [], 0
    rng = random.Random(7)
    source, first_edge = DIRECTIONS[SIGNALLING].buy.id, SIGNALLING * N_SYMBOLS
    while len(found) < WARM_UP + n:
        _beat(i)
        out = times(CHUNK)
        symbols = array("H", rng.sample(range(N_SYMBOLS), CHUNK))
        woken_now = loops.signals(
            i.quotes, i.dirty, i.ring, i.active, source, first_edge, symbols, parked, PAUSE_NS, out
        )
        woken += woken_now if len(found) >= WARM_UP else 0
        found += out
    i.control.stop = True
    return found[WARM_UP:], woken


def _line_pings(
    loops: ModuleType, children: Any, cores: tuple[set[int], set[int]], n: int
) -> list[float]:
    shared = loops.Shared(mmap.mmap(-1, 64), 1)

    def ping() -> list[int]:
        out = times(WARM_UP + n)
        loops.line_ping(shared, 1, out)
        return list(out)

    children.start("ping", ping, cpus=cores[0])
    children.start("pong", loops.line_pong, shared, WARM_UP + n, cpus=cores[1])
    return [ns / 2 for ns in children.results(WITHIN_S)["ping"][WARM_UP:]]


def _futex_wakes(
    loops: ModuleType, children: Any, cores: tuple[set[int], set[int]], n: int
) -> list[int]:
    shared = loops.Shared(mmap.mmap(-1, 192), 3)

    def wake() -> list[int]:
        out = times(WARM_UP + n)
        loops.futex_waker(shared, PAUSE_NS, out)
        return list(out)

    children.start("waker", wake, cpus=cores[0])
    children.start("sleeper", loops.futex_sleeper, shared, WARM_UP + n, cpus=cores[1])
    return children.results(WITHIN_S)["waker"][WARM_UP:]
