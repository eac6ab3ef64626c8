"""Laws of the arithmetic: an edge is the exact fraction, rounded; no NaN ever signals."""

import math
import os
from fractions import Fraction

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from spreadcore import Instance, region
from spreadcore.active import FREE, SIGNALLED
from spreadcore.engine import Engine
from spreadcore.health import bucket_index, bucket_upper_ns
from spreadcore.intake import SourceIntake
from spreadcore.layout import SECTIONS
from spreadcore.spread import edge_exit_bps, edge_gross_bps, edge_net_bps

from pairs import Pairs

PRECISE = Fraction(1, 10**12)  # relative; three roundings leave 3.4e-16

prices = st.floats(1e-12, 1e9)
near = st.floats(0.7, 1.3)  # ratios within the 3,000 bps beyond which nothing is signalled
fees = st.floats(-50.0, 200.0)


def exact_gross(buy: float, sell: float) -> Fraction:
    return (Fraction(sell) / Fraction(buy) - 1) * 10_000


def is_precise(found: float, exact: Fraction) -> bool:
    return abs(Fraction(found) - exact) <= PRECISE * abs(exact)


@given(prices, prices)
@example(1e-12, 1e9)
@example(1e9, 1e-12)
@example(0.1, 0.3)
@example(100.0, math.nextafter(100.0, 200.0))
@example(2.5e-8, math.nextafter(2.5e-8, 0.0))
def test_gross_is_the_exact_fraction(buy, sell):
    """Scenario 51: relative to the edge itself, and be it of prices one bit apart."""
    assert is_precise(edge_gross_bps(buy, sell), exact_gross(buy, sell))


@given(prices, st.integers(-1_000, 1_000))
def test_gross_of_prices_a_few_bits_apart_is_as_precise(buy, steps):
    sell = buy
    for _ in range(abs(steps) % 40):
        sell = math.nextafter(sell, math.inf if steps > 0 else 0.0)
    assert is_precise(edge_gross_bps(buy, sell), exact_gross(buy, sell))


@given(prices, near)
def test_exit_is_the_exact_fraction(buy_bid, ratio):
    sell_ask = buy_bid * ratio
    assert is_precise(edge_exit_bps(buy_bid, sell_ask), exact_gross(buy_bid, sell_ask))


def near_limit(limit: float, fee: float = 0.0) -> Fraction:
    """What counts as at a limit: tests/laws/test_limits.py."""
    return Fraction(1, 10**11) + Fraction(3, 10**15) * (abs(Fraction(limit)) + abs(Fraction(fee)))


def net_error(buy: float, sell: float, fee: float) -> Fraction:
    """What net may be off by: where fees cancel the gross, no relative bound of net holds."""
    return PRECISE * (abs(exact_gross(buy, sell)) + abs(Fraction(fee)))


@given(prices, near, fees)
@example(100.0, 1.0015, 15.0)
def test_net_is_gross_less_the_fees(buy, ratio, fee):
    sell = buy * ratio
    found = Fraction(edge_net_bps(buy, sell, fee))
    assert abs(found - (exact_gross(buy, sell) - Fraction(fee))) <= net_error(buy, sell, fee)


@given(prices, prices)
def test_no_price_difference_has_the_wrong_sign(buy, sell):
    gross = edge_gross_bps(buy, sell)
    if sell > buy:
        assert gross >= 0
    elif sell < buy:
        assert gross <= 0
    else:
        assert 0 == gross


@given(prices, near, st.integers(-40, 40))
def test_an_edge_does_not_depend_on_the_unit(buy, ratio, power):
    """Price per coin or per 1024 coins: a power of two changes no bit of the edge."""
    sell = buy * ratio
    assert edge_gross_bps(buy, sell) == edge_gross_bps(buy * 2.0**power, sell * 2.0**power)


# -- the engine decides by the same arithmetic


class Judge:
    """One pair in front of an engine."""

    def __init__(self, instance, **options):
        self.instance = instance
        index = Pairs(2, 1, [(0, 0, 1)])
        index.compare(0, 0)
        self.engine = Engine(
            instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
            instance.control, index, sweep_s=0.0, **options,
        )  # fmt: skip
        for source in (0, 1):
            instance.health.beat(source, 10**12)

    def signals(self, buy, sell):
        """Whether quotes (bid, ask, bid_qty, ask_qty) of both legs make a signal."""
        self.instance.quotes.write(0, 0, *buy, 0, 10**12)
        self.instance.quotes.write(1, 0, *sell, 0, 10**12)
        self.instance.dirty.mark(0, 0)
        return self.found_one()

    def passes(self, buy, sell):
        """The same, each through the gate of its feed, which may refuse it."""
        for intake, (bid, ask, bid_qty, ask_qty) in zip(self.intakes(), (buy, sell), strict=True):
            intake.empty_all()
            intake.add_symbol(0)
            intake.accept(0, 1, bid, bid_qty, ask, ask_qty, 0, 1, 0, 10**12)
        return self.found_one()

    def intakes(self):
        sections = [self.instance.region(name) for name in ("quotes", "dirty", "health")]
        return [SourceIntake(*sections, source) for source in (0, 1)]

    def found_one(self):
        self.engine.turn(10**12)
        if self.instance.ring.peek() is None:
            return False
        self.instance.ring.advance()
        assert self.instance.active.move(0, SIGNALLED, FREE)
        return True


@pytest.fixture(scope="module")
def instance():
    name = f"test-edge-{os.getpid()}"
    region.create(name, n_sources=2, n_symbols=1, n_edges=1, force=True)
    yield Instance(name, writable=SECTIONS)
    region.unlink(name)


qtys = st.floats(1e-9, 1e9)


@settings(max_examples=500, deadline=None)
@given(prices, near, qtys, qtys, fees, st.floats(0.0, 100.0), st.floats(0.0, 1e6))
def test_a_signal_is_where_the_fractions_say(
    instance, buy, ratio, ask_qty, bid_qty, fee, threshold, min_notional
):
    sell = buy * ratio
    net = exact_gross(buy, sell) - Fraction(fee)
    assume(abs(net - Fraction(threshold)) > near_limit(threshold, fee) + net_error(buy, sell, fee))
    notionals = [Fraction(buy) * Fraction(ask_qty), Fraction(sell) * Fraction(bid_qty)]
    assume(all(abs(n - Fraction(min_notional)) > near_limit(min_notional) for n in notionals))
    assume(abs(exact_gross(buy, sell) - 3_000) > near_limit(3_000.0) + PRECISE * 3_000)
    judge = Judge(instance, min_notional=min_notional)
    judge.engine.set_rule(0, fee, threshold, threshold - 1.0)
    expected = (
        net > Fraction(threshold)
        and exact_gross(buy, sell) < 3_000
        and min(notionals) > Fraction(min_notional)
    )
    found = judge.signals((buy, buy, 1.0, ask_qty), (sell, sell, bid_qty, 1.0))
    assert expected == found


STRANGE = [math.nan, math.inf, -math.inf, 0.0, -0.0, 5e-324, -5e-324, 1.7976931348623157e308]
strange = st.one_of(st.sampled_from(STRANGE), st.floats(0.0, 1e300))


@settings(max_examples=500, deadline=None)
@given(*[st.tuples(strange, strange, strange, strange)] * 2, st.sampled_from([0.0, 10.0]))
@example((1.0, math.nan, 1.0, 1.0), (1.0, 1.0, 1.0, 1.0), 0.0)
@example((1.0, 1.0, 1.0, 1.0), (math.nan, 1.0, 1.0, 1.0), 0.0)
@example((1.0, 1.0, 1.0, math.nan), (1.001, 1.1, 1.0, 1.0), 10.0)
@example((1.0, 1.0, 1.0, 100.0), (1.001, 1.1, math.nan, 1.0), 10.0)
def test_what_is_no_number_never_signals(instance, buy, sell, min_notional):
    """Straight into the table, past the gate: the engine's own comparisons must hold."""
    judge = Judge(instance, min_notional=min_notional)
    judge.engine.set_rule(0, 0.0, 1.0, 0.0)
    if judge.signals(buy, sell):
        _, ask, _, ask_qty = buy
        bid, _, bid_qty, _ = sell
        assert 0 < ask < bid < math.inf
        assert bid / ask <= 1.3 + 1e-9
        assert ask * ask_qty >= min_notional - near_limit(min_notional)
        assert bid * bid_qty >= min_notional - near_limit(min_notional)


def is_good(bid, ask, bid_qty, ask_qty):
    return 0 < bid <= ask < math.inf and 0 < bid_qty < math.inf and 0 < ask_qty < math.inf


TOPS = [(0.99, 1.0, 1.0, 1.0), (1.01, 1.02, 1.0, 1.0), (1.29, 1.31, 2.0, 0.1)]
pieces = st.one_of(st.sampled_from(STRANGE), st.floats(0.9, 1.4))
tops = st.one_of(st.sampled_from(TOPS), st.tuples(pieces, pieces, pieces, pieces))


@settings(max_examples=500, deadline=None)
@given(tops, tops)
@example((0.99, 1.0, 1.0, 1.0), (1.01, 1.02, 1.0, 1.0))
@example((1.01, 1.0, 1.0, 1.0), (1.02, 1.03, 1.0, 1.0))  # crossed
@example((0.99, 1.0, 1.0, 1.0), (1.02, 1.01, 1.0, 1.0))
@example((0.99, 1.0, 0.0, 1.0), (1.01, 1.02, 1.0, 1.0))
@example((0.99, 1.0, 1.0, 1.0), (1.31, 1.32, 1.0, 1.0))  # suspect
@example((0.99, 1.0, 1.0, 1.0), (math.nan, 1.02, math.nan, 1.0))
def test_through_the_gate_good_books_signal_and_nothing_else(instance, buy, sell):
    """Crossed, one-sided, zero and infinite tops empty their slot."""
    judge = Judge(instance)
    judge.engine.set_rule(0, 0.0, 50.0, 0.0)
    edge = math.nan
    if is_good(*buy) and is_good(*sell):
        edge = (sell[0] - buy[1]) / buy[1] * 1e4
        assume(min(abs(edge - 50.0), abs(edge - 3_000.0)) > near_limit(3_000.0))
    assert (50.0 <= edge <= 3_000.0) == judge.passes(buy, sell)


# -- funding stands beside an edge


@settings(deadline=None)
@given(st.floats(-0.1, 0.1).filter(lambda rate: rate == 0.0 or abs(rate) > 1e-300))
def test_funding_in_bps_is_the_exact_rate(instance, rate):
    instance.funding.write(1, 0, rate, 10**18, 10**12 + 1)
    assert is_precise(instance.funding.bps(1, 0, 10**12), Fraction(rate) * 10_000)


@settings(deadline=None, max_examples=100)
@given(st.floats(-0.1, 0.1), prices, st.floats(1.0, 1.01))
def test_funding_changes_no_decision(instance, rate, buy, ratio):
    sell = buy * ratio
    judge = Judge(instance)
    judge.engine.set_rule(0, 15.0, 15.0, 0.0)
    quotes = (buy, buy, 1.0, 1.0), (sell, sell, 1.0, 1.0)
    instance.funding.write(1, 0, math.nan, 0, 0)
    before = judge.signals(*quotes)
    instance.funding.write(1, 0, rate, 10**18, 2 * 10**12)
    assert before == judge.signals(*quotes)


# -- histogram buckets


@given(st.integers(0, 2**42 - 1))
@example(7)
@example(8)
@example(2**42 - 1)
def test_a_bucket_is_at_most_an_eighth_wide(ns):
    bucket = bucket_index(ns)
    upper = bucket_upper_ns(bucket)
    lower = bucket_upper_ns(bucket - 1) + 1 if bucket else 0
    assert lower <= ns <= upper
    assert (upper - lower) * 8 < max(lower, 8)


def test_buckets_tile_the_whole_range():
    uppers = [bucket_upper_ns(bucket) for bucket in range(320)]
    assert sorted(set(uppers)) == uppers
    assert 2**42 - 1 == uppers[-1]
    for bucket, upper in enumerate(uppers[:-1]):
        assert (bucket, bucket + 1) == (bucket_index(upper), bucket_index(upper + 1))


@given(st.integers(-(2**63), -1))
def test_a_clock_that_stepped_back_counts_as_nothing(ns):
    assert 0 == bucket_index(ns)


@given(st.integers(2**42, 2**63 - 1))
def test_what_is_longer_than_an_hour_ends_in_the_last_bucket(ns):
    assert 319 == bucket_index(ns)
