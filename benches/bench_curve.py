"""Does a frame cost the same in a small table and in the largest?

Setup: one process on one core; a C loop gives 16,000 frames of 120 bytes to one feed's intake, in
random order of its symbols, each symbol as often as the others; ids have risen from pass to pass.
Decode, symbol look-up, gate, slot, dirty bit, counters: all but the socket. 100 to 16,000 symbols
of one source, in tables of 8, 32 and 64 sources, in which the slots of one source are 512, 2,048
and 4,096 bytes apart. All twelve by turns, three passes a turn; medians. Steady flow: the last
pass of a turn. Cold: the first one, after the other eleven have had the caches, 30 MB in all.
Baseline: 100 symbols and 8 sources, the same pass; so the ratio is the curve.

Not measured: other feeds and the engine, which use the same caches and touch the same lines.
"""

import random
from array import array
from collections.abc import Callable
from itertools import count as numbers
from statistics import median
from time import perf_counter_ns
from types import ModuleType

from spreadcore import Instance, region
from spreadcore.frames import LinkIntake
from spreadcore.intake import SourceIntake
from spreadcore.layout import SECTIONS
from spreadcore.wire.decoder import FrameDecoder

from spreadscan.sim.flood_frames import FIRST_ROUND, Block
from spreadscan.types import Book
from spreadscan.venues import VENUES

VENUE = VENUES["binance-spot"]
SYMBOLS = (100, 700, 4_000, 16_000)
SOURCES = (8, 32, 64)
N_FRAMES, BLOCKS = 16_000, 2  # a block holds 10,000
TURNS, WARM_UP, PASSES = 20, 1, 3


class Feed:
    """One feed of n_symbols, and its frames under ids that rise with every pass."""

    def __init__(self, instance: Instance, source_id: int, n_symbols: int) -> None:
        sections = [instance.region(name) for name in ("quotes", "dirty", "health")]
        self.intake = SourceIntake(*sections, source_id)
        names = [f"{i:X}COINUSDT" for i in range(n_symbols)]
        for symbol, name in enumerate(names):
            self.intake.add_symbol(symbol, name=name)
        self.frames = LinkIntake(self.intake, FrameDecoder(VENUE.schema), 1)
        rng = random.Random(n_symbols)
        order = names * (N_FRAMES // n_symbols)
        rng.shuffle(order)
        books = [_book(rng, name) for name in order]
        step, rounds = N_FRAMES // BLOCKS, numbers(FIRST_ROUND)
        self.blocks = [
            Block(VENUE.render, books[at : at + step], rounds) for at in range(0, N_FRAMES, step)
        ]
        self.ends = [array("q", block.ends) for block in self.blocks]
        self.ns: list[int] = []

    def turn(self, feed_loops: ModuleType, at_ns: int) -> None:
        """Take every frame once; remember how long that took."""
        ns = 0
        for block, ends in zip(self.blocks, self.ends, strict=True):
            n, data = block.take(block.n)
            start = perf_counter_ns()
            feed_loops.take_frames(self.frames, data, ends, at_ns)
            self.intake.flush(at_ns)
            ns += perf_counter_ns() - start
        self.ns.append(ns)


def _book(rng: random.Random, name: str) -> Book:
    bid = round(10 ** rng.uniform(-3, 4), 5)
    qty = [round(10 ** rng.uniform(0, 4), 2) for _ in range(2)]
    return Book(name, bid, qty[0], round(bid * 1.001, 5) + 1e-5, qty[1], 0, 1)


def bench_curve(
    feed_loops: ModuleType,
    row: Callable[..., None],
    count: Callable[[int], int],
    instance_name: str,
    one_core: None,
) -> None:
    feeds: dict[tuple[int, int], Feed] = {}
    turns = count(TURNS)
    for n_sources in SOURCES:
        name = f"{instance_name}-{n_sources}"
        region.create(name, n_sources=n_sources, n_symbols=16_384)
        instance = Instance(name, writable=SECTIONS)
        for source_id, n_symbols in enumerate(SYMBOLS):
            feeds[n_symbols, n_sources] = Feed(instance, source_id, n_symbols)
    for turn in range(WARM_UP + turns):
        for feed in feeds.values():
            for _ in range(PASSES):
                feed.turn(feed_loops, 1 + turn)
    first = next(iter(feeds))
    for flow, pass_, aim in (("steady", PASSES - 1, "x 1.5"), ("cold", 0, "")):
        found = {
            key: median(feed.ns[WARM_UP * PASSES + pass_ :: PASSES]) / N_FRAMES
            for key, feed in feeds.items()
        }
        for (n_symbols, n_sources), ns in found.items():
            row(
                f"frame into the table, {flow}, {n_symbols:,} symbols, {n_sources} sources", ns,
                "ns", f"{first[0]} symbols, {first[1]} sources", found[first], N_FRAMES * turns,
                aim=aim,
            )  # fmt: skip
