"""What does following spreads cost, and how late is the first row of one?

Setup: a tracker in a process of its own, on a real instance of 1,024 symbols and the twelve
directions, with its own loop, files and grid of 200 ms. Its tracks are open from the start and
never end; books have the digits of real ones, funding is unknown. CPU is the process's own time
over some seconds of the loop at rest otherwise, RSS at the end of them. Baselines: the same looks
at the same pairs in plain Python (both quotes by the compiled PairWatch, a row by f-string, one
join and write a tick; without the loop's 50 wakes a second, which the figure has), and the RSS
before the first track. Rows/s: ticks one after the other on
made-up time, with the write; baseline the plain loop.

Late: an engine that parks, a tracker, and this process as feed. Every 20 ms or so it makes a
spread and looks into the files each ms until the rows are there. Of the first snapshot the
baseline is the grid's next tick (a tick that is late itself may beat it); of the OPEN row the
engine's decision.

Not measured: quotes that change meanwhile (a line that another core has written costs some 30 ns,
bench_remote_read.py), a disk that is busy, fsync, the compression of the hour before.
"""

import asyncio
import math
import random
import resource
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from spreadcore import Instance, active
from spreadcore.engine import Engine
from spreadcore.watch import PairTuple, PairWatch

from known import TWELVE as DIRECTIONS
from known import every_edge
from measure import quantile
from pairs import Pairs
from spreadscan import config
from spreadscan.clock import UtcClock, iso_utc, now_ns
from spreadscan.tracker import SIGNALS, SNAPSHOTS, Tracker, run

N_SOURCES, N_SYMBOLS = 8, 1024
GRID_MS, GRID_NS = 200.0, 200_000_000
SECONDS = 6
SAMPLES = 200
FEES_BPS = 10.0
WITHIN_S = 120.0


def _tracker(instance: Instance, folder: Path) -> Tracker:
    flags = {"paths.data": str(folder), "tracker.grid_ms": GRID_MS, "tracker.reserve_mb": 0.0}
    settings = config.load(flags=flags, environ={}).config
    names = [f"S{n}-USDT" for n in range(N_SYMBOLS)]
    return Tracker(
        instance, settings, names, every_edge(N_SYMBOLS), lambda edge: FEES_BPS, {}, utc=UtcClock()
    )


def _beat(instance: Instance) -> None:
    for source in range(N_SOURCES):
        instance.health.beat(source, now_ns() + 10**12)  # alive for as long as it takes


def _books(instance: Instance) -> None:
    """Every quote, some 50 bps apart, with as many digits as exchanges give."""
    rng = random.Random(7)
    for symbol in range(N_SYMBOLS):
        price = 10 ** rng.uniform(-4, 4)
        digits = max(1, 4 - math.floor(math.log10(price)))  # five that count
        for source in range(N_SOURCES):
            px = price * (1.005 if source % 2 else 1.0)
            qty = round(2000 / price * rng.uniform(0.1, 3), 1 if price < 100 else 4)
            instance.quotes.write(
                source, symbol, round(px, digits), round(px * 1.0003, digits), qty, qty, 0, now_ns()
            )
    _beat(instance)


def _signal(instance: Instance, n: int) -> None:
    """Signal the first n pairs, as the engine does."""
    for k in range(n):
        direction, symbol = DIRECTIONS[k % len(DIRECTIONS)], k // len(DIRECTIONS)
        edge = direction.id * N_SYMBOLS + symbol
        instance.active.move(edge, active.FREE, active.SIGNALLED)
        buy = instance.quotes.read(direction.buy.id, symbol)
        sell = instance.quotes.read(direction.sell.id, symbol)
        instance.ring.push(edge, now_ns(), buy.recv_ns, sell.recv_ns,
                           buy.ask_px, sell.bid_px, buy.ask_qty, sell.bid_qty)  # fmt: skip


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _follow(instance: Instance, folder: Path, n: int, seconds: float) -> dict[str, float]:
    """Run a tracker's loop on n tracks; return what it cost."""
    tracker = _tracker(instance, folder)
    tracker.recover(now_ns())
    tracker.tick(now_ns())
    before_mb = _rss_mb()
    _signal(instance, n)
    tracker.tick(now_ns())
    counters = instance.health.counters(tracker.role)
    rows, begun_s, begun_cpu_s = counters["rows"], time.monotonic(), time.process_time()
    asyncio.run(run(tracker, lambda: time.monotonic() - begun_s > seconds))
    cpu_s, lasted_s = time.process_time() - begun_cpu_s, time.monotonic() - begun_s
    counters = instance.health.counters(tracker.role)
    assert n == counters["open"]
    found = {
        "cpu_pct": 100 * cpu_s / lasted_s, "rss_mb": _rss_mb(), "before_mb": before_mb,
        "rows_per_s": (counters["rows"] - rows) / lasted_s, "skipped": counters["ticks_skipped"],
    }  # fmt: skip
    ticks = max(3, 30_000 // n)
    start, now = time.process_time(), now_ns()
    for tick in range(ticks):
        tracker.tick(now + tick * GRID_NS)
    found["tick_s"] = (time.process_time() - start) / ticks
    return found


def _plain_tick_s(instance: Instance, folder: Path, n: int) -> float:
    """Return the CPU time of a tick of the same tracks in plain Python."""
    watch = PairWatch(instance.quotes, instance.health)
    tracks = [
        (f"abcdefgh-{k:05d}", DIRECTIONS[k % len(DIRECTIONS)], k // len(DIRECTIONS))
        for k in range(n)
    ]
    peaks = [float("-inf")] * n
    ticks = max(2, 10_000 // n)
    with (folder / "plain.csv").open("wb", buffering=0) as file:
        start = time.process_time()
        for _ in range(ticks):
            now = now_ns()
            text = iso_utc(now)
            watch.refresh(now)
            rows = []
            for k, (name, direction, symbol) in enumerate(tracks):
                pair = watch.read(direction.buy.id, symbol, direction.sell.id, symbol, now)
                rows.append(_plain_row(name, text, pair))
                peaks[k] = max(peaks[k], pair.gross_bps - 10.0)
            file.write("".join(rows).encode())
        return (time.process_time() - start) / ticks


def _plain_row(name: str, time: str, p: PairTuple) -> str:
    return (
        f"{name},{time},{p.buy_bid!r},{p.buy_bid_qty!r},{p.buy_ask!r},{p.buy_ask_qty!r},"
        f"{p.sell_bid!r},{p.sell_bid_qty!r},{p.sell_ask!r},{p.sell_ask_qty!r},"
        f"{p.buy_age_ns // 1_000_000},{p.sell_age_ns // 1_000_000},{p.gross_bps:.2f},"
        f"{p.gross_bps - 10.0:.2f},{p.exit_bps:.2f},,{p.tradable:d}\n"
    )


@pytest.mark.parametrize("n", [100, 1_000, 3_600, 10_000])
def bench_followed(
    row: Callable[..., None],
    pytestconfig: pytest.Config,
    make_instance: Callable[..., Instance],
    children: Any,
    tmp_path: Path,
    n: int,
) -> None:
    seconds = 1 if pytestconfig.option.quick else SECONDS
    instance = make_instance(n_sources=N_SOURCES, n_symbols=N_SYMBOLS, n_edges=N_SYMBOLS * 12)
    _books(instance)
    children.start("tracker", _follow, instance, tmp_path, n, seconds)
    found = children.results(WITHIN_S)["tracker"]
    children.start("plain", _plain_tick_s, instance, tmp_path, n)
    plain_s = children.results(WITHIN_S)["plain"]
    plain_pct = 100 * plain_s / (GRID_NS / 1e9)
    aim = "10" if n == 3_600 else ""
    row(f"tracker CPU, {n:,} tracks", found["cpu_pct"], "% of a core", "plain Python", plain_pct,
        seconds, aim=aim)  # fmt: skip
    row(f"tracker RSS, {n:,} tracks", found["rss_mb"], "MB", "before the first track",
        found["before_mb"], 1)  # fmt: skip
    row(f"rows written, {n:,} tracks, on the grid", found["rows_per_s"], "rows/s",
        "asked for", n * 1e9 / GRID_NS, seconds)  # fmt: skip
    row(f"rows written, {n:,} tracks, flat out", n / found["tick_s"], "rows/s", "plain Python",
        n / plain_s, max(3, 30_000 // n) * n)  # fmt: skip


# -- how late


def _run_engine(instance: Instance) -> None:
    i = instance
    index = Pairs(N_SOURCES, N_SYMBOLS, [(d.id, d.buy.id, d.sell.id) for d in DIRECTIONS])
    for symbol in range(N_SYMBOLS):
        index.compare(0, symbol)
    engine = Engine(i.quotes, i.dirty, i.ring, i.active, i.health, i.control, index)
    engine.set_rule(0, FEES_BPS, 15.0, 2.0)
    while not i.control.stop:
        engine.run(0.05, 0.0, 5.0)


def _run_tracker(instance: Instance, folder: Path) -> None:
    tracker = _tracker(instance, folder)
    tracker.recover(now_ns())
    asyncio.run(run(tracker, lambda: bool(instance.control.stop)))


class Tail:
    """New whole lines of the files of a kind, as they come."""

    def __init__(self, folder: Path, pattern: str) -> None:
        self.folder, self.pattern = folder, pattern
        self.read: dict[Path, int] = {}

    def lines(self) -> Iterator[list[str]]:
        for path in self.folder.glob(self.pattern):
            with path.open("rb") as file:
                file.seek(self.read.get(path, 0))
                text = file.read()
            text = text[: text.rfind(b"\n") + 1]
            self.read[path] = self.read.get(path, 0) + len(text)
            yield from (line.split(",") for line in text.decode().splitlines())


def _late(instance: Instance, folder: Path, n: int) -> dict[str, list[int]]:
    """Make n spreads; return ns from the slot's write to each thing that followed."""
    rng = random.Random(7)
    d = DIRECTIONS[0]
    made: dict[str, int] = {}  # by symbol, then by track: when its slot was written
    found: dict[str, list[int]] = {"decision": [], "open": [], "tick": [], "snapshot": []}
    signals, snapshots = Tail(folder, "signals-*"), Tail(folder, "snapshots-*")
    symbol_at, track_at, at_ns_at = (SIGNALS.names.index(c) for c in
                                     ("symbol_id", "track_id", "at_ns"))  # fmt: skip
    due, symbol = now_ns(), 0
    while len(found["snapshot"]) < n:
        if now_ns() >= due and symbol < n:
            made[str(symbol)] = now = now_ns()
            instance.quotes.write(d.buy.id, symbol, 99.9, 100.0, 9.0, 9.0, 0, now)
            instance.quotes.write(d.sell.id, symbol, 101.0, 101.1, 9.0, 9.0, 0, now)
            instance.dirty.mark(d.sell.id, symbol)
            instance.dirty.wake()
            due, symbol = now + rng.randrange(10_000_000, 30_000_000), symbol + 1
        for line in signals.lines():
            if len(line) > at_ns_at and line[1] == "OPEN":
                start = made.pop(line[symbol_at])
                found["decision"].append(int(line[at_ns_at]) - start)
                found["open"].append(now_ns() - start)
                made[line[track_at]] = start
        for line in snapshots.lines():
            start = made.pop(line[0], 0) if len(line) == len(SNAPSHOTS.names) else 0
            if start:
                found["snapshot"].append(now_ns() - start)
                found["tick"].append(GRID_NS - start % GRID_NS)
        time.sleep(0.001)
    instance.control.stop = True
    return found


def bench_late(
    row: Callable[..., None],
    count: Callable[[int], int],
    make_instance: Callable[..., Instance],
    children: Any,
    tmp_path: Path,
) -> None:
    n = count(SAMPLES)
    instance = make_instance(n_sources=N_SOURCES, n_symbols=N_SYMBOLS, n_edges=N_SYMBOLS * 12)
    _beat(instance)
    children.start("engine", _run_engine, instance)
    children.start("tracker", _run_tracker, instance, tmp_path)
    children.start("feed", _late, instance, tmp_path, n)
    found = children.results(WITHIN_S)["feed"]
    for what, name, than, baseline in (
        ("open", "OPEN row", "decision", "the engine's decision"),
        ("snapshot", "first snapshot row", "tick", "the grid's next tick"),
    ):
        for label, point in (("p50", 0.5), ("p99", 0.99)):
            row(f"slot write to {name}, {label}", quantile(found[what], point) / 1e6, "ms",
                f"{baseline}, {label}", quantile(found[than], point) / 1e6, n)  # fmt: skip
