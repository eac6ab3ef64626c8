"""What does a changed quote cost the engine, from its dirty bit to "no signal"?

Setup: one process on one core, 680 symbols on all eight sources; every quote tradable (beats
fresh, ages within the real limits), every edge below the threshold, so that all rules but the
last are walked and nothing is signalled. Three directions per quote is the real table of twelve;
six is made up of the twelve and their reverses. Slots are written and marked first; the figure is
the turn alone, per dirty quote. All 5,440 in one turn is the best case (in order, fetched ahead);
64 at random is a busy socket read; one is a quiet market, where looking at eight sources and two
clock reads are on one quote's bill. With pairs active, that many of the 8,160 are followed, as the
active table has it; with no direction a quote is only taken from the dirty set. Baseline: the same
comparisons of the same quotes in plain Python over dicts of tuples. All dirty stands beside NumPy
too, at its best: it looks at each pair once, where the engine meets it from both sides, and costs
the same when one quote is dirty.

Not measured: lines that a feed on another core has just written (bench_remote_read.py gives
their price: one per changed quote and counterpart that changed), the sweep, the push of a signal.
"""

import random
from array import array
from collections.abc import Callable, Iterable, Sequence
from time import perf_counter_ns
from types import ModuleType
from typing import Any

import pytest
from spreadcore import Instance
from spreadcore.active import FREE, TRACKED
from spreadcore.engine import Engine

from flags import flags_of
from known import TWELVE as DIRECTIONS
from measure import median, times
from pairs import Pairs

N_SOURCES, N_SYMBOLS = 8, 680
N_QUOTES = N_SOURCES * N_SYMBOLS
FEES_BPS, THRESHOLD_BPS, CONVERGE_BPS, MAX_GROSS_BPS = 15.0, 15.0, 2.0, 3000.0
MIN_NOTIONAL = 20.0
STALE_AFTER_S = (600.0, 600.0, 10.0, 10.0, 600.0, 10.0, 75.0, 75.0)  # by source
LEARNT = flags_of(limit_s=10.0, pause_s=0.25)  # of the three of 600 s
BEAT_LIMIT_S = 2.0
NOW_NS = 10**15
ROUNDS = 200
TURNS = 20_000

Pair = tuple[int, int, int]  # direction, buy source, sell source
# each source takes part in one
ONE: tuple[Pair, ...] = tuple(
    (d.id, d.buy.id, d.sell.id)
    for d in DIRECTIONS
    if d.name in ("okx->mexc", "mexc->okx", "bybit->binance", "binance->bybit")
)
REAL: tuple[Pair, ...] = tuple((d.id, d.buy.id, d.sell.id) for d in DIRECTIONS)
MADE_UP = REAL + tuple((d + len(REAL), sell, buy) for d, buy, sell in REAL)
TEN_TIMES = tuple((d + n * len(REAL), *legs) for n in range(10) for d, *legs in REAL)


class Market:
    """The same quiet market in shared memory and as Python objects."""

    def __init__(
        self, instance: Instance, directions: Sequence[Pair], confirm_s: float = 0.0
    ) -> None:
        self.instance = instance
        self.directions = directions
        self.table: dict[tuple[int, int], tuple[Any, ...]] = {}
        rng = random.Random(7)
        for symbol in range(N_SYMBOLS):
            price = 10 ** rng.uniform(-3, 4)
            for source in range(N_SOURCES):
                bid = price * (1 + rng.uniform(-2e-4, 2e-4))
                flags = LEARNT if STALE_AFTER_S[source] == 600.0 else 0
                quote = (bid, bid * 1.0001, 1e4 / price, 1e4 / price, 1, NOW_NS - 10**9, flags)
                self.table[source, symbol] = quote
                instance.quotes.write(source, symbol, *quote)
        for source in range(N_SOURCES):
            instance.health.beat(source, NOW_NS - 10**8)
        self.engine = self.make_engine(confirm_s)

    def make_engine(self, confirm_s: float) -> Engine:
        i = self.instance
        index = Pairs(N_SOURCES, N_SYMBOLS, self.directions)
        for direction, _, _ in self.directions:
            for symbol in range(N_SYMBOLS):
                index.compare(direction, symbol)
        engine_parts = (i.quotes, i.dirty, i.ring, i.active, i.health, i.control, index)
        engine = Engine(
            *engine_parts, max_gross_bps=MAX_GROSS_BPS, min_notional=MIN_NOTIONAL,
            beat_limit_s=BEAT_LIMIT_S, sweep_s=0.0, confirm_s=confirm_s,
        )  # fmt: skip
        for direction, _, _ in self.directions:
            engine.set_rule(direction, FEES_BPS, THRESHOLD_BPS, CONVERGE_BPS)
        for source, seconds in enumerate(STALE_AFTER_S):
            engine.set_stale(source, seconds)
        return engine

    def follow(self, n: int) -> set[tuple[int, int]]:
        """Mark n pairs as followed; return (direction, symbol) of each."""
        pairs = [(d, symbol) for symbol in range(N_SYMBOLS) for d, _, _ in self.directions]

        def edge(direction: int, symbol: int) -> int:
            return direction * N_SYMBOLS + symbol

        for pair in pairs[:n]:
            assert self.instance.active.move(edge(*pair), FREE, TRACKED)
        return set(pairs[:n])

    def check(self, n_quotes: int) -> None:
        """Fail unless every comparison was made and none ended before the last rule."""
        role = self.instance.health.role("engine")
        found = self.instance.health.counters(role)
        per_quote = len(self.directions) * 2 // N_SOURCES
        assert (n_quotes, n_quotes * per_quote) == (found["dirty"], found["pairs"])
        assert not any(found[k] for k in ("signals", "suspect", "untradable", "thin", "busy"))


class PlainEngine:
    """The engine's rules in plain Python, as one would write them first."""

    def __init__(self, market: Market) -> None:
        self.table = market.table
        self.beat_ns = [NOW_NS - 10**8] * N_SOURCES
        self.stale_ns = [int(s * 1e9) for s in STALE_AFTER_S]
        self.fees_bps = {d: FEES_BPS for d, _, _ in market.directions}
        self.index: dict[int, list[Pair]] = {s: [] for s in range(N_SOURCES)}
        for pair in market.directions:
            self.index[pair[1]].append(pair)
            self.index[pair[2]].append(pair)
        self.active: set[tuple[int, int]] = set()

    def turn(self, dirty: Iterable[tuple[int, int]], now_ns: int) -> list[Any]:
        limit_ns = int(BEAT_LIMIT_S * 1e9)
        fresh = [now_ns - beat < limit_ns for beat in self.beat_ns]
        table, stale_ns = self.table, self.stale_ns
        signals = []
        for source, symbol in dirty:
            for d, buy_source, sell_source in self.index[source]:
                buy, sell = table[buy_source, symbol], table[sell_source, symbol]
                if not buy[5] or not sell[5]:
                    continue
                gross = (sell[0] / buy[1] - 1.0) * 1e4
                if not (fresh[buy_source] and fresh[sell_source]):
                    continue
                if now_ns - buy[5] > stale_ns[buy_source]:
                    continue
                if now_ns - sell[5] > stale_ns[sell_source]:
                    continue
                if not gross <= MAX_GROSS_BPS:
                    continue
                net = gross - self.fees_bps[d]
                if (d, symbol) in self.active or not net >= THRESHOLD_BPS:
                    continue
                if min(buy[1] * buy[3], sell[0] * sell[2]) >= MIN_NOTIONAL:
                    signals.append((d, symbol, gross))
        return signals


class ArrayEngine:
    """The engine's rules over the whole table at once, in NumPy; each pair is looked at once."""

    def __init__(self, market: Market) -> None:
        import numpy as np

        columns = np.empty((5, N_SYMBOLS, N_SOURCES))
        for (source, symbol), (bid, ask, bid_qty, ask_qty, _, recv_ns, _) in market.table.items():
            columns[:, symbol, source] = bid, ask, bid_qty, ask_qty, recv_ns
        self.bid, self.ask, self.bid_qty, self.ask_qty, self.recv_ns = columns
        self.buy = np.array([buy for _, buy, _ in market.directions])
        self.sell = np.array([sell for _, _, sell in market.directions])
        self.stale_ns = np.array([s * 1e9 for s in STALE_AFTER_S])
        self.beat_ns = np.full(N_SOURCES, NOW_NS - 10**8)
        self.active = np.zeros((N_SYMBOLS, len(market.directions)), dtype=bool)

    def turn(self, now_ns: int) -> Any:
        fresh = now_ns - self.beat_ns < BEAT_LIMIT_S * 1e9
        tradable = (self.recv_ns > 0) & fresh & (now_ns - self.recv_ns <= self.stale_ns)
        ask, bid = self.ask[:, self.buy], self.bid[:, self.sell]
        gross = (bid / ask - 1.0) * 1e4
        found = tradable[:, self.buy] & tradable[:, self.sell] & (gross <= MAX_GROSS_BPS)
        found &= ~self.active & (gross - FEES_BPS >= THRESHOLD_BPS)
        found &= ask * self.ask_qty[:, self.buy] >= MIN_NOTIONAL
        found &= bid * self.bid_qty[:, self.sell] >= MIN_NOTIONAL
        return found.nonzero()


@pytest.fixture
def market(make_instance: Callable[..., Instance]) -> Callable[[Sequence[Pair]], Market]:
    def make(directions: Sequence[Pair]) -> Market:
        n_directions = max((d for d, _, _ in directions), default=0) + 1
        return Market(make_instance(n_edges=n_directions * N_SYMBOLS), directions)

    return make


def _slots() -> "array[int]":
    """Every slot of the universe once, in random order."""
    return array("I", random.Random(7).sample(range(N_QUOTES), N_QUOTES))


@pytest.mark.parametrize(
    ("directions", "n_active", "plain"),
    [((), 0, "Python"), (ONE, 0, "Python"), (REAL, 0, "Python"), (MADE_UP, 0, "Python"),
     (TEN_TIMES, 0, "Python"),
     (REAL, 3_600, "Python"), (REAL, 0, "NumPy")],
    ids=["none", "one", "three", "six", "thirty", "three-active", "three-numpy"],
)  # fmt: skip
def bench_all_dirty(
    loops: ModuleType,
    beside: Callable[..., tuple[float, float]],
    row: Callable[..., None],
    count: Callable[[int], int],
    market: Callable[[Sequence[Pair]], Market],
    directions: Sequence[Pair],
    n_active: int,
    plain: str,
) -> None:
    here, rounds, slots = market(directions), count(ROUNDS), _slots()
    followed = here.follow(n_active)
    quotes, dirty = here.instance.quotes, here.instance.dirty
    pairs = sorted(here.table)
    if plain == "Python":
        engine = PlainEngine(here)
        engine.active |= followed
        assert engine.turn(pairs, NOW_NS) == []
        baseline, name = lambda: engine.turn(pairs, NOW_NS), "plain Python"
        aside = f", {n_active:,} pairs active" if n_active else ""
    else:
        arrays = ArrayEngine(here)
        assert arrays.turn(NOW_NS)[0].size == 0
        baseline, name, aside = lambda: arrays.turn(NOW_NS), "NumPy", ", beside NumPy"
    value, other = beside(
        lambda: here.engine.turn(NOW_NS), baseline, rounds=rounds,
        before=lambda: loops.mark_slots(quotes, dirty, slots),
    )  # fmt: skip
    here.check(here.instance.health.counters(here.instance.health.role("engine"))["dirty"])
    n_each = len(directions) * 2 // N_SOURCES
    row(
        f"engine, {n_each} directions, all {N_QUOTES:,} dirty{aside}", value / N_QUOTES,
        "ns/quote", name, other / N_QUOTES, N_QUOTES * rounds, aim="150" if n_each == 3 else "",
    )  # fmt: skip


def bench_confirming(
    loops: ModuleType,
    row: Callable[..., None],
    count: Callable[[int], int],
    market: Callable[[Sequence[Pair]], Market],
    one_core: None,
) -> None:
    """The same turn with and without confirm_ms, in turn, both over freshly marked quotes."""
    here, rounds, slots = market(REAL), count(ROUNDS), _slots()
    engines = here.make_engine(0.5), here.engine
    found: tuple[list[int], list[int]] = [], []
    for _ in range(rounds):
        for engine, times_ns in zip(engines, found, strict=True):
            loops.mark_slots(here.instance.quotes, here.instance.dirty, slots)
            start = perf_counter_ns()
            engine.turn(NOW_NS)
            times_ns.append(perf_counter_ns() - start)
    here.check(2 * rounds * N_QUOTES)
    value, other = median(found[0]), median(found[1])
    row(
        f"engine, 3 directions, all {N_QUOTES:,} dirty, confirm_ms on", value / N_QUOTES,
        "ns/quote", "confirm_ms off", other / N_QUOTES, N_QUOTES * rounds,
    )  # fmt: skip


@pytest.mark.parametrize("per_turn", [64, 1])
def bench_few_dirty(
    loops: ModuleType,
    row: Callable[..., None],
    count: Callable[[int], int],
    market: Callable[[Sequence[Pair]], Market],
    one_core: None,
    per_turn: int,
) -> None:
    here, slots, out = market(REAL), _slots(), times(count(TURNS))
    loops.turns(
        here.engine, here.instance.quotes, here.instance.dirty, slots, per_turn, NOW_NS, out
    )
    here.check(per_turn * len(out))
    row(
        f"engine, 3 directions, {per_turn} dirty a turn", median(out) / per_turn, "ns/quote",
        "plain Python", _plain_ns(here, slots, per_turn) / per_turn, per_turn * len(out),
        aim="150",
    )  # fmt: skip


def _plain_ns(here: Market, slots: Sequence[int], per_turn: int) -> float:
    engine, found = PlainEngine(here), []
    dirty = [(slot % N_SOURCES, slot // N_SOURCES) for slot in slots]
    for at in range(0, len(dirty) - per_turn, per_turn):
        some = dirty[at : at + per_turn]
        start = perf_counter_ns()
        engine.turn(some, NOW_NS)
        found.append(perf_counter_ns() - start)
    return median(found)
