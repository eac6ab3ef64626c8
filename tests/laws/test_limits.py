"""Limits against fractions: what is exactly at its limit in decimals is at it, a tick off is not.

Ties are made of decimals as exchanges and people write them; the prices reach the table as the
nearest doubles, some of them through a multiplier, as from a feed.
"""

import math
import os
import random
from fractions import Fraction
from typing import NamedTuple

import pytest
from spreadcore import Instance, region
from spreadcore.active import FREE, REARM, SIGNALLED
from spreadcore.edgestats import EdgeStats
from spreadcore.engine import Engine
from spreadcore.layout import SECTIONS
from spreadcore.tracks import CONVERGED, TrackTable
from spreadcore.trackstats import StatsTuple
from spreadcore.watch import PairWatch

from pairs import Pairs

NOW = 10**12
N_SYMBOLS, N_DIRECTIONS = 2048, 8
DIGITS_MAX = 13  # of a price whose last digit is a tick


class Case(NamedTuple):
    """Prices as the table holds them; side: where the exact edge is, -1 below to 1 above."""

    buy: float
    sell: float
    side: int


def number(rng, digits, decimals):
    """A decimal of up to so many digits and decimals, as (whole, decimals)."""
    return rng.randrange(1, 10 ** rng.randint(1, digits)), rng.randint(0, decimals)


def exact(decimal):
    return Fraction(decimal[0], 10 ** decimal[1])


def double(whole, decimals):
    return float(f"{whole}e-{decimals}")


def case_at(rng, edge, side):
    """Prices whose edge in bps is exactly `edge`, or one tick of the sell price beside it."""
    whole, decimals = number(rng, 8, 9)
    sell = Fraction(whole) * (10_000 + edge) / 10_000
    more = 0
    while sell.denominator != 1:
        sell, more = sell * 10, more + 1
    ticks = int(sell)
    if side:
        ticks += side * 10 ** max(0, len(str(ticks)) - DIGITS_MAX)
    assert (Fraction(ticks) > sell) - (Fraction(ticks) < sell) == side
    by = rng.choice([1.0, 1.0, 1000.0, 10_000_000.0])  # as 1000PEPE
    return Case(double(whole, decimals) / by, double(ticks, decimals + more) / by, side)


def bps(rng, most=400):
    """A limit or a fee: up to two decimals."""
    decimals = rng.randint(0, 2)
    return rng.randrange(1, most * 10**decimals), decimals


class Bench:
    """Many pairs of two sources before one engine, each direction with limits of its own."""

    def __init__(self, instance, **options):
        self.instance = instance
        directions = [(d, 0, 1) for d in range(N_DIRECTIONS)]
        index = Pairs(2, N_SYMBOLS, directions)
        for symbol in range(N_SYMBOLS):
            index.compare(symbol % N_DIRECTIONS, symbol)
        self.engine = Engine(
            instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
            instance.control, index, sweep_s=0.0, **options,
        )  # fmt: skip
        for source in (0, 1):
            instance.health.beat(source, NOW)

    def put(self, symbol, case, buy_qty=1.0, sell_qty=1.0):
        quotes = self.instance.quotes
        quotes.write(0, symbol, case.buy, case.buy, 1.0, buy_qty, 0, NOW)
        quotes.write(1, symbol, case.sell, case.sell, sell_qty, 1.0, 0, NOW)
        self.instance.dirty.mark(1, symbol)

    def signalled(self):
        """Let the engine look; return the symbols that signalled, and free them."""
        ring, active, found = self.instance.ring, self.instance.active, set()
        while True:
            taken = self.engine.turn(NOW)
            while (signal := ring.peek()) is not None:
                ring.advance()
                found.add(signal.edge % N_SYMBOLS)
                active.move(signal.edge, SIGNALLED, FREE)
            if not taken:
                return found


def edge_of(symbol):
    """Return the edge that a symbol's case is on."""
    return symbol % N_DIRECTIONS * N_SYMBOLS + symbol


@pytest.fixture
def instance():
    name = f"test-limits-{os.getpid()}"
    region.create(
        name, n_sources=2, n_symbols=N_SYMBOLS, n_edges=N_SYMBOLS * N_DIRECTIONS, force=True
    )
    yield Instance(name, writable=SECTIONS)
    region.unlink(name)


def legs(rng):
    """Fees of two legs: the exact sum, and the double that the scanner adds up."""
    first, second = bps(rng, 30), bps(rng, 30)
    return exact(first) + exact(second), double(*first) + double(*second)


def cases(rng, limits, sides=(-1, 0, 0, 1)):
    """A case for each symbol at the edge of its direction, by exact limits on gross."""
    return [
        case_at(rng, limits[symbol % N_DIRECTIONS], rng.choice(sides))
        for symbol in range(N_SYMBOLS)
    ]


def at_or_above(found):
    return {symbol for symbol, case in enumerate(found) if case.side >= 0}


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in (1, 2, 3))]
)
def test_a_million_ties_signal_and_a_tick_below_does_not(instance, seed):
    """Four seeds, a quarter of a million each; one of them in short."""
    rng = random.Random(seed)
    bench = Bench(instance)
    for _ in range(123):
        limits = []
        for d in range(N_DIRECTIONS):
            threshold, (fees, paid) = bps(rng), legs(rng)
            limits.append(exact(threshold) + fees)
            bench.engine.set_rule(d, paid, double(*threshold), double(*threshold) - 1.0)
        found = cases(rng, limits)
        for symbol, case in enumerate(found):
            bench.put(symbol, case)
        assert at_or_above(found) == bench.signalled()


def test_ties_with_the_highest_gross_are_no_suspects(instance):
    rng = random.Random(1)
    for _ in range(12):
        highest = bps(rng, 4000)
        bench = Bench(instance, max_gross_bps=double(*highest))
        for d in range(N_DIRECTIONS):
            bench.engine.set_rule(d, 0.0, 0.0, -1.0)
        found = cases(rng, [exact(highest)] * N_DIRECTIONS)
        for symbol, case in enumerate(found):
            bench.put(symbol, case)
        assert {s for s, case in enumerate(found) if case.side <= 0} == bench.signalled()


def test_a_pair_is_rearmed_below_its_converging_edge_only(instance):
    rng = random.Random(2)
    bench, active = Bench(instance), instance.active
    for _ in range(12):
        limits = []
        for d in range(N_DIRECTIONS):
            converge, (fees, paid) = bps(rng), legs(rng)
            limits.append(exact(converge) + fees)
            bench.engine.set_rule(d, paid, 10_000.0, double(*converge))
        found = cases(rng, limits)
        for symbol, case in enumerate(found):
            assert active.move(edge_of(symbol), FREE, REARM)
            bench.put(symbol, case)
        assert set() == bench.signalled()
        held = {s for s in range(N_SYMBOLS) if active.state(edge_of(s)) == REARM}
        assert at_or_above(found) == held
        for symbol in held:
            active.move(edge_of(symbol), REARM, FREE)


@pytest.mark.parametrize("leg", ["buy", "sell"])
def test_exactly_the_least_notional_is_enough(instance, leg):
    rng = random.Random(leg)
    for _ in range(300):
        px, qty = number(rng, 8, 6), number(rng, 7, 5)
        if exact(px) * exact(qty) < 1:
            continue
        bench = Bench(instance, min_notional=double(px[0] * qty[0], px[1] + qty[1]))
        bench.engine.set_rule(0, 0.0, -10_000.0, -20_000.0)
        for side in (-1, 0, 1):
            price = double(*px)
            size = double(qty[0] * 1_000 + side, qty[1] + 3)
            enough = 2.0 * double(*qty)
            sizes = (size, enough) if leg == "buy" else (enough, size)
            bench.put(0, Case(price, price, side), *sizes)
            assert (side >= 0) == (0 in bench.signalled()), (px, qty, side)


def test_time_above_a_limit_does_not_count_ties(instance):
    rng = random.Random(3)
    for _ in range(25):
        limits = [bps(rng) for _ in range(N_DIRECTIONS)]
        bench = Bench(instance)
        for d in range(N_DIRECTIONS):
            bench.engine.set_rule(d, 0.0, math.inf, 0.0)
        stats = EdgeStats(N_DIRECTIONS * N_SYMBOLS, [double(*limit) for limit in limits])
        bench.engine.observe(stats)
        found = cases(rng, [exact(limit) for limit in limits])
        for symbol, case in enumerate(found):
            bench.put(symbol, case)
        bench.signalled()
        for symbol, case in enumerate(found):
            d = symbol % N_DIRECTIONS
            assert (case.side > 0) == stats.result(d * N_SYMBOLS + symbol)["above"][d]["updates"], (
                case
            )


def test_the_first_of_equal_maxima_counts_whatever_the_prices(instance):
    rng = random.Random(4)
    bench = Bench(instance)
    stats = EdgeStats(N_DIRECTIONS * N_SYMBOLS, [])
    bench.engine.observe(stats)
    for symbol in range(N_SYMBOLS):
        edge = exact(bps(rng))
        first = case_at(rng, edge, 0)
        for case in (first, case_at(rng, edge, 0), case_at(rng, edge, -1)):
            bench.put(symbol, case)
            bench.engine.turn(NOW)
        found = stats.result(edge_of(symbol))
        assert (first.buy, first.sell) == (found["max_buy_px"], found["max_sell_px"])


def test_a_track_converges_below_its_limit_and_profits_above_its_fees(instance):
    rng = random.Random(5)
    watch = PairWatch(instance.quotes, instance.health)
    bench = Bench(instance)
    for _ in range(12):
        table = TrackTable(
            watch, instance.funding, grid_ns=10**9, gap_ns=10**12, expire_after_ns=10**12,
            lost_after_ns=10**12,
        )  # fmt: skip
        expected, profits = {}, {}
        for symbol in range(N_SYMBOLS):
            fees, paid = legs(rng)
            converge = bps(rng)
            at_fees = rng.random() < 0.5
            case = case_at(rng, fees if at_fees else fees + exact(converge), rng.choice((-1, 0, 1)))
            bench.put(symbol, case)
            slot = table.add(
                b"t", (0, symbol, 1, symbol), fees_bps=paid,
                converge_bps=-100.0 if at_fees else double(*converge),
                opened_ns=NOW - 10**9, looked_ns=NOW - 10**9, stats=StatsTuple(0.0, NOW, 1.0),
            )  # fmt: skip
            (profits if at_fees else expected)[slot] = case.side
        looked = table.sample(NOW, b"2026-11-20T12:00:00.000000Z")
        assert {s for s, side in expected.items() if side < 0} == {s for s, *_ in looked.ended}
        assert {CONVERGED} == {reason for _, reason, _ in looked.ended}
        assert profits == {
            s: (side if table.stats(s).profit_ns == (10**9 if side > 0 else 0) else None)
            for s, side in profits.items()
        }


@pytest.mark.parametrize("threshold", [-1e9, -50.0, 0.0, 15.0])
def test_what_is_no_number_is_at_no_limit(instance, threshold):
    """Neither above, nor below: it signals nothing and rearms nothing."""
    bench = Bench(instance, max_gross_bps=math.inf)
    bench.engine.set_rule(0, 0.0, threshold, threshold - 1.0)
    stats = EdgeStats(N_DIRECTIONS * N_SYMBOLS, [-math.inf, threshold])
    bench.engine.observe(stats)
    instance.active.move(8, FREE, REARM)
    for symbol in (0, 8):
        bench.put(symbol, Case(math.nan, 1.0, 0))
    bench.put(16, Case(1.0, 1.0, 0), buy_qty=math.nan)
    assert set() == bench.signalled()
    assert instance.active.move(8, REARM, FREE)
    assert [0, 0] == [above["updates"] for above in stats.result(0)["above"]]


def test_infinite_limits_are_no_limits(instance):
    bench = Bench(instance, max_gross_bps=math.inf)
    bench.engine.set_rule(0, 0.0, math.inf, 0.0)
    bench.engine.set_rule(1, 0.0, -1e300, -math.inf)
    stats = EdgeStats(N_DIRECTIONS * N_SYMBOLS, [-math.inf, math.inf])
    bench.engine.observe(stats)
    for symbol in (0, 1):
        bench.put(symbol, Case(1.0, 1e12, 1))
    assert {1} == bench.signalled()
    assert [1, 0] == [above["updates"] for above in stats.result(N_SYMBOLS + 1)["above"]]
