"""The engine, rule by rule: what makes a signal and what keeps one from being made."""

import math
import time

import pytest
from spreadcore import Instance, region
from spreadcore.active import FREE, REARM, SIGNALLED, TRACKED
from spreadcore.engine import Engine
from spreadcore.errors import CoreError, LayoutMismatch, TableFull
from spreadcore.layout import SECTIONS
from spreadcore.spread import edge_gross_bps
from spreadcore.watch import PairWatch

from flags import flags_of
from pairs import Pairs

S = 10**9
MS = 10**6
T = 10**12
SPOT, PERP, OTHER = 0, 1, 2
SYMBOL = 5
DIRECTIONS = [(0, SPOT, PERP), (1, SPOT, OTHER), (2, OTHER, PERP)]
ROOM = {"n_sources": 3, "n_symbols": 64, "n_edges": 192}


class Rig:
    """An engine with a small table: quotes in, signals out, time by hand."""

    def __init__(self, instance, symbols=(SYMBOL,), directions=(0,), **options):
        self.instance = instance
        self.quotes, self.active = instance.quotes, instance.active
        self.ring, self.health, self.control = instance.ring, instance.health, instance.control
        n_sources, rows = options.pop("n_sources", 3), options.pop("rows", DIRECTIONS)
        index = Pairs(n_sources, options.pop("index_symbols", 64), rows)
        for direction in directions:
            for symbol in symbols:
                index.compare(direction, symbol)
        self.engine = Engine(
            instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
            instance.control, index, **({"sweep_s": 0.0} | options),
        )  # fmt: skip
        for direction in directions:
            self.engine.set_rule(direction, 0.0, 50.0, 10.0)
        self.beat(T)

    def beat(self, at, sources=(SPOT, PERP, OTHER)):
        for source in sources:
            self.health.beat(source, at)

    def put(self, source, bid, ask, *, at=T, qty=10.0, bid_qty=None, ask_qty=None, symbol=SYMBOL,
            mark=True, limit_s=0.0, pause_s=0.0, valid_ms=0):  # fmt: skip
        """Store a quote, and mark it unless the writer is to have died before.

        limit_s, pause_s: what the feed has learnt of a pair whose source says nothing while nothing
        changes. valid_ms: what the quote says of itself.
        """
        flags = flags_of(limit_s=limit_s, pause_s=pause_s, valid_ms=valid_ms)
        bid_qty = qty if bid_qty is None else bid_qty
        ask_qty = qty if ask_qty is None else ask_qty
        self.quotes.write(source, symbol, bid, ask, bid_qty, ask_qty, 0, at, flags)
        if mark:
            self.instance.dirty.mark(source, symbol)

    def spread(self, at=T, **options):
        """Spot asks 100, the perpetual bids 101: gross 100 bps."""
        self.put(SPOT, 99.9, 100.0, at=at, **options)
        self.put(PERP, 101.0, 101.1, at=at, **options)

    def turn(self, at=T):
        """One turn; returns the new signals and lets go of them."""
        self.engine.turn(at)
        found = []
        while (signal := self.ring.peek()) is not None:
            found.append(signal)
            self.ring.advance()
        return found

    @property
    def state(self):
        return self.active.state(SYMBOL)

    def counted(self, name):
        return self.health.counters(self.health.role("engine"))[name]


@pytest.fixture
def instance(make_instance):
    return make_instance(**ROOM)


@pytest.fixture
def rig(instance):
    return Rig(instance)


# -- another index


def index_of(*pairs, n_symbols=64, directions=DIRECTIONS):
    index = Pairs(3, n_symbols, directions)
    for direction, symbol in pairs:
        index.compare(direction, symbol)
    return index


def test_pairs_of_a_new_index_are_compared_and_others_no_more(rig):
    rig.spread(symbol=SYMBOL + 1)
    assert [] == rig.turn()
    rig.engine.replace_index(index_of((0, SYMBOL + 1)))
    assert 1 == rig.engine.scan(T)
    [signal] = rig.turn()
    assert SYMBOL + 1 == signal.edge % 64
    rig.spread()
    assert [] == rig.turn()
    assert FREE == rig.state


def test_only_what_is_new_in_an_index_is_looked_at(rig):
    rig.spread(mark=False)
    rig.spread(symbol=SYMBOL + 1, mark=False)
    assert 0 == rig.engine.replace_index(index_of((0, SYMBOL)), T)
    assert 1 == rig.engine.replace_index(index_of((0, SYMBOL), (0, SYMBOL + 1)), T)
    [signal] = rig.turn()
    assert SYMBOL + 1 == signal.edge
    assert 2 == rig.engine.scan(T)
    [signal] = rig.turn()
    assert SYMBOL == signal.edge


def test_the_index_before_may_be_gone(rig):
    for n in range(50):
        rig.engine.replace_index(index_of((0, SYMBOL), (1, n)))
    rig.spread()
    assert 1 == len(rig.turn())


@pytest.mark.parametrize(
    ("index", "error", "text"),
    [
        (index_of(n_symbols=32), CoreError, "96 edges, 32 rows, expected 192 and 64 as"),
        (index_of(directions=DIRECTIONS[:2]), CoreError, "128 edges, 64 rows, expected 192 and 64"),
        (index_of(n_symbols=128), TableFull, "128 rows, 384 edges, expected to fit 3, 64 and"),
    ],
)
def test_another_room_is_refused_and_the_index_stays(rig, index, error, text):
    with pytest.raises(error, match=text):
        rig.engine.replace_index(index)
    rig.spread()
    assert 1 == len(rig.turn())


# -- a signal


def test_a_signal_says_what_could_be_traded(rig):
    rig.put(SPOT, 99.9, 100.0, at=T - 2_999_999, bid_qty=1.0, ask_qty=7.0)
    rig.put(PERP, 101.0, 101.1, at=T - 1_000_000, bid_qty=8.0, ask_qty=1.0)
    [signal] = rig.turn(T)
    assert (0, T, T - 1_000_000, 100.0, 101.0, 7.0, 8.0, SYMBOL, 2, 1, False) == tuple(signal)
    assert SIGNALLED == rig.state
    assert 1 == rig.counted("signals")


def test_either_leg_triggers(rig):
    rig.put(SPOT, 99.9, 100.0)
    assert [] == rig.turn()
    rig.put(PERP, 101.0, 101.1)
    assert 1 == len(rig.turn())
    rig.active.move(SYMBOL, SIGNALLED, FREE)
    rig.put(SPOT, 99.9, 100.0)
    assert 1 == len(rig.turn())


def test_a_turn_returns_the_dirty_quotes_it_took(rig):
    rig.spread()
    rig.put(SPOT, 1.0, 2.0, symbol=9)
    assert 3 == rig.engine.turn(T)
    assert 0 == rig.engine.turn(T)
    assert (3, 2) == (rig.counted("dirty"), rig.counted("turns"))


def test_each_direction_of_a_source_is_looked_at(instance):
    rig = Rig(instance, directions=(0, 1, 2))
    rig.put(PERP, 101.0, 101.1)
    rig.put(OTHER, 100.8, 100.85)
    assert [] == rig.turn()  # direction 2: 15 bps, below the threshold
    assert 4 == rig.counted("pairs")  # each of the two takes part in two
    rig.put(SPOT, 99.9, 100.0)
    assert {0, 1} == {signal.edge // 64 for signal in rig.turn()}


def test_symbols_do_not_mix(instance):
    rig = Rig(instance, symbols=(5, 6))
    rig.put(SPOT, 99.9, 100.0, symbol=5)
    rig.put(PERP, 101.0, 101.1, symbol=6)
    assert [] == rig.turn()
    rig.put(PERP, 101.0, 101.1, symbol=5)
    assert [5] == [signal.edge % 64 for signal in rig.turn()]


# -- threshold and fees


def test_the_threshold_is_on_net_and_counts_itself(rig):
    for fees, threshold, expected in [
        (0.0, 100.0, 1),
        (0.0, 100.00000001, 0),
        (20.0, 80.0, 1),
        (20.0, 80.00000001, 0),
        (100.0, 0.0, 1),
        (-5.0, 105.0, 1),  # a maker rebate
    ]:
        rig.engine.set_rule(0, fees, threshold, threshold - 1.0)
        rig.spread()
        assert expected == len(rig.turn()), (fees, threshold)
        rig.active.move(SYMBOL, SIGNALLED, FREE)


def test_rules_are_per_direction(instance):
    rig = Rig(instance, directions=(0, 1))
    rig.engine.set_rule(0, 0.0, 1_000.0, 0.0)
    rig.put(OTHER, 101.0, 101.1)
    rig.spread()
    assert [1] == [signal.edge // 64 for signal in rig.turn()]


@pytest.mark.parametrize("converge", [50.0, 51.0, math.nan, math.inf])
def test_converge_stays_below_the_threshold(rig, converge):
    with pytest.raises(CoreError, match="expected below threshold_bps 50.0"):
        rig.engine.set_rule(0, 0.0, 50.0, converge)


def test_fees_that_are_no_number_never_signal(rig):
    rig.engine.set_rule(0, math.nan, 50.0, 10.0)
    rig.spread()
    assert [] == rig.turn()


# -- notional


@pytest.mark.parametrize(
    ("ask_qty", "bid_qty", "expected"),
    [
        (10.0, 10.0, 1), (9.99, 10.0, 0), (10.0, 9.9, 0), (9.99, 9.9, 0),
        (10.0, 1000 / 101.0, 1),  # 1000 at the touch, to the last bit
    ],
)  # fmt: skip
def test_both_sides_need_the_notional(instance, ask_qty, bid_qty, expected):
    """1,000 at the touch: the ask of the buy leg and the bid of the sell leg."""
    rig = Rig(instance, min_notional=1000.0)
    rig.put(SPOT, 99.9, 100.0, bid_qty=0.001, ask_qty=ask_qty)
    rig.put(PERP, 101.0, 101.1, bid_qty=bid_qty, ask_qty=0.001)
    assert expected == len(rig.turn())
    assert (1 - expected) == (rig.counted("thin") > 0)
    assert (SIGNALLED if expected else FREE) == rig.state


# -- tradable: beat


@pytest.mark.parametrize("quiet", [SPOT, PERP])
def test_a_source_silent_for_two_seconds_is_not_traded_on(rig, quiet):
    rig.beat(T - 2 * S, [quiet])
    rig.spread()
    assert [] == rig.turn(T)
    assert rig.counted("untradable") > 0
    rig.beat(T - 2 * S + 1, [quiet])
    rig.spread()
    assert 1 == len(rig.turn(T))


def test_a_source_that_never_beat_is_not_traded_on(instance):
    rig = Rig(instance)
    with instance.region("health").buffer() as raw:
        raw[64 + 24 : 64 + 32] = bytes(8)  # the beat of source 0
    rig.spread()
    assert [] == rig.turn()


def test_the_beat_limit_is_an_argument(instance):
    rig = Rig(instance, beat_limit_s=10.0)
    rig.beat(T - 9 * S)
    rig.spread()
    assert 1 == len(rig.turn())


def test_other_sources_silence_is_theirs(rig):
    rig.beat(T - 60 * S, [OTHER])
    rig.spread()
    assert 1 == len(rig.turn())


# -- tradable: empty and age


@pytest.mark.parametrize("empty", [SPOT, PERP])
def test_an_empty_quote_is_not_traded_on(rig, empty):
    rig.spread()
    rig.quotes.write_empty(empty, SYMBOL)
    assert [] == rig.turn()
    assert 2 == rig.counted("untradable")


@pytest.mark.parametrize("old", [SPOT, PERP])
def test_a_quote_older_than_its_source_allows_is_not_traded_on(rig, old):
    rig.engine.set_stale(old, 10.0)
    rig.spread()
    rig.put(old, *((99.9, 100.0) if old == SPOT else (101.0, 101.1)), at=T - 10 * S - 1)
    assert [] == rig.turn()
    rig.put(old, *((99.9, 100.0) if old == SPOT else (101.0, 101.1)), at=T - 10 * S)
    assert 1 == len(rig.turn())  # at most 10 s: 10 s is allowed


def test_no_quote_is_true_for_longer_than_ten_minutes(rig):
    """Whatever is set: no limit means the longest."""
    rig.put(SPOT, 99.9, 100.0, at=T - 600 * S - 1)
    rig.put(PERP, 101.0, 101.1, at=T)
    assert [] == rig.turn()
    rig.put(SPOT, 99.9, 100.0, at=T - 600 * S)
    assert 1 == len(rig.turn())


@pytest.mark.parametrize("own", [SPOT, PERP])
def test_a_quote_older_than_it_says_itself_is_not_traded_on(rig, own):
    prices = (99.9, 100.0) if own == SPOT else (101.0, 101.1)
    rig.spread()
    rig.put(own, *prices, at=T - 12 * S - 1, limit_s=12.0)
    assert [] == rig.turn()
    assert rig.counted("untradable") > 0
    rig.put(own, *prices, at=T - 12 * S, limit_s=12.0)
    assert 1 == len(rig.turn())


@pytest.mark.parametrize(("own_s", "source_s"), [(20.0, 10.0), (10.0, 20.0)])
def test_the_shorter_of_both_limits_counts(rig, own_s, source_s):
    rig.engine.set_stale(SPOT, source_s)
    rig.spread()
    rig.put(SPOT, 99.9, 100.0, at=T - 10 * S - 1, limit_s=own_s)
    assert [] == rig.turn()
    rig.put(SPOT, 99.9, 100.0, at=T - 10 * S, limit_s=own_s)
    assert 1 == len(rig.turn())


@pytest.mark.parametrize("own", [SPOT, PERP])
def test_a_quote_signals_until_its_own_validity_is_over(rig, own):
    prices = (99.9, 100.0) if own == SPOT else (101.0, 101.1)
    rig.spread()
    for age_ns, n_signals in ((300 * MS + 1, 0), (300 * MS, 1)):
        rig.put(own, *prices, at=T - age_ns, valid_ms=300)
        assert n_signals == len(rig.turn())
    rig.active.move(SYMBOL, SIGNALLED, FREE)
    rig.put(own, *prices, at=T - 300 * MS - 1)  # without it: the source's rule
    assert 1 == len(rig.turn())


def test_a_spread_that_is_being_confirmed_ends_with_its_quotes_validity(instance):
    for valid_ms, n_signals in ((400, 0), (600, 1)):
        rig = Rig(instance, confirm_s=0.5)
        rig.active.move(SYMBOL, SIGNALLED, FREE)
        rig.spread(valid_ms=valid_ms)
        assert [] == rig.turn()
        assert n_signals == len(rig.turn(T + 500 * MS))


def test_stale_limits_are_of_known_sources(rig):
    with pytest.raises(TableFull, match="source id: 3, expected below 3"):
        rig.engine.set_stale(3, 1.0)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 600.1, math.nan, math.inf])
def test_an_age_limit_is_one(instance, rig, seconds):
    with pytest.raises(CoreError, match="age limit: .* s, expected above 0 to 600"):
        rig.engine.set_stale(SPOT, seconds)
    with pytest.raises(CoreError, match="age limit: .* s, expected above 0 to 600"):
        PairWatch(instance.quotes, instance.health, stale_after_s={0: seconds})


@pytest.mark.parametrize("seconds", [-1.0, math.nan, math.inf, 1e11])
def test_a_time_limit_that_is_none_is_refused(instance, seconds):
    """A double beyond 64 bits of ns would become any number."""
    for option in ("beat_limit_s", "sweep_s"):
        with pytest.raises(CoreError, match="expected 0 to 9e9"):
            Rig(instance, **{option: seconds})


# -- not the same coin


def test_too_good_is_suspect_and_never_signalled(rig):
    """Scenario 35."""
    rig.put(SPOT, 99.0, 100.0)
    rig.put(PERP, 130.1, 131.0)
    assert [] == rig.turn()
    assert (2, 0) == (rig.counted("suspect"), rig.counted("signals"))
    assert FREE == rig.state


def test_the_limit_itself_is_not_suspect(instance):
    rig = Rig(instance, max_gross_bps=edge_gross_bps(100.0, 101.0))
    rig.spread()
    assert 1 == len(rig.turn())
    assert 0 == rig.counted("suspect")


def test_what_the_gate_would_never_let_in_is_suspect(rig):
    rig.put(SPOT, 99.0, 100.0)
    rig.put(PERP, math.inf, math.inf)
    assert [] == rig.turn()
    assert 2 == rig.counted("suspect")


def test_a_slot_with_one_side_is_compared_on_that_side_alone(rig):
    rig.put(SPOT, math.nan, 100.0, bid_qty=math.nan)
    rig.put(PERP, 101.0, math.nan, ask_qty=math.nan)
    [signal] = rig.turn()
    assert (100.0, 101.0) == (signal.buy_px, signal.sell_px)
    rig.active.move(SYMBOL, SIGNALLED, FREE)
    before = rig.counted("untradable")
    rig.put(SPOT, 99.0, math.nan)
    assert [] == rig.turn()
    assert (1, 0) == (rig.counted("untradable") - before, rig.counted("suspect"))


# -- pause and kill


SWITCHES = {
    "pause": (lambda c: setattr(c, "pause", True), lambda c: setattr(c, "pause", False)),
    "kill": (lambda c: c.throw_kill(T, "a test"), lambda c: c.clear_kill("it is over")),
}


@pytest.mark.parametrize("word", SWITCHES)
def test_a_paused_engine_evaluates_but_signals_nothing(rig, word):
    off, on = SWITCHES[word]
    off(rig.control)
    rig.spread()
    assert [] == rig.turn()
    assert 2 == rig.counted("pairs")
    assert FREE == rig.state
    on(rig.control)
    rig.spread()
    assert 1 == len(rig.turn())


def test_a_paused_engine_still_rearms(rig):
    rig.active.move(SYMBOL, FREE, REARM)
    rig.control.pause = True
    rig.put(SPOT, 99.9, 100.0)
    rig.put(PERP, 99.9, 100.0)
    rig.turn()
    assert FREE == rig.state


PAUSES = [("source", SPOT), ("source", PERP), ("class", 7), ("edge", SYMBOL)]
OTHERS = [("source", OTHER), ("class", 0), ("class", 8), ("edge", SYMBOL + 1)]


@pytest.mark.parametrize(("kind", "number"), [*PAUSES, *OTHERS])
def test_a_pause_holds_for_what_it_is_of_until_it_is_over(instance, kind, number):
    rig = Rig(instance, pauses=instance.pauses)
    rig.engine.set_rule(0, 0.0, 50.0, 10.0, 7)
    instance.pauses.pause(kind, number, T + S)
    rig.spread()
    paused = (kind, number) in PAUSES
    assert (0 if paused else 1) == len(rig.turn())
    if not paused:
        return
    rig.spread(at=T + S - 1)
    assert [] == rig.turn(T + S - 1)
    rig.spread(at=T + S)
    assert 1 == len(rig.turn(T + S))


def test_a_pause_of_everything_is_over_at_its_time(rig):
    rig.control.pause_until(T + S)
    rig.spread()
    assert [] == rig.turn()
    rig.spread(at=T + S)
    assert 1 == len(rig.turn(T + S))


def test_a_rule_is_of_a_class_that_there_can_be(rig):
    with pytest.raises(TableFull, match="rule 0: class 8192, expected below 8192"):
        rig.engine.set_rule(0, 0.0, 50.0, 10.0, 8192)


def run_engine(name):
    """Be an engine until the stop word is set."""
    parts = ("dirty", "signals", "active", "health", "engine_stream")
    instance = Instance(name, writable=parts)
    rig = Rig(instance, symbols=range(64))
    while not instance.control.stop:
        rig.beat(time.clock_gettime_ns(time.CLOCK_BOOTTIME))
        rig.engine.run(for_s=0.02)


def test_no_signal_leaves_a_millisecond_after_a_kill(instance_name, children):
    """Another process signals as fast as it can, and has work at any moment."""
    region.create(instance_name, **ROOM)
    instance = Instance(instance_name, writable=SECTIONS)
    rig = Rig(instance, symbols=range(64))
    children.start("engine", run_engine, instance_name)

    def feed():
        for symbol in range(64):
            rig.spread(time.clock_gettime_ns(time.CLOCK_BOOTTIME), symbol=symbol)
        instance.dirty.wake()
        while (signal := rig.ring.peek()) is not None:
            rig.ring.advance()
            rig.active.move(signal.edge, SIGNALLED, FREE)

    def feed_for(seconds, until=lambda: False):
        end = time.monotonic() + seconds
        while time.monotonic() < end and not until():
            feed()

    for _ in range(10):
        before = rig.ring.produced
        feed_for(20.0, lambda before=before: rig.ring.produced > before + 500)
        assert rig.ring.produced > before + 500  # they would leave
        instance.control.throw_kill(1, "a test")
        end = time.monotonic() + 0.001
        while time.monotonic() < end:
            pass
        left = rig.ring.produced
        feed_for(0.03)
        assert left == rig.ring.produced
        instance.control.clear_kill("it is over")
    instance.control.stop = True
    children.results(10.0)


# -- active states


@pytest.mark.parametrize("state", [SIGNALLED, TRACKED, REARM])
def test_a_pair_that_is_not_free_does_not_signal(rig, state):
    rig.active.move(SYMBOL, FREE, state)
    rig.spread()
    assert [] == rig.turn()
    assert state == rig.state


def test_a_standing_spread_signals_once(rig):
    seen = 0
    for k in range(100):
        rig.spread(at=T + k)
        seen += len(rig.turn(T + k))
    assert 1 == seen


def test_an_expired_spread_signals_again_only_after_it_was_gone(rig):
    """REARM is freed once net falls below converge_bps (10), not at it, not at the threshold."""
    rig.active.move(SYMBOL, FREE, REARM)
    at_converge = edge_gross_bps(100.0, 100.1)
    rig.engine.set_rule(0, 0.0, 50.0, at_converge)
    for bid, expected in [(101.0, REARM), (100.4, REARM), (100.1, REARM), (100.05, FREE)]:
        rig.put(SPOT, 99.9, 100.0)
        rig.put(PERP, bid, 101.1)
        assert [] == rig.turn()
        assert expected == rig.state, bid
    assert 1 == rig.counted("rearmed")
    rig.spread()
    assert 1 == len(rig.turn())


def test_rearm_counts_fees(rig):
    rig.engine.set_rule(0, 60.0, 50.0, 10.0)
    rig.active.move(SYMBOL, FREE, REARM)
    rig.put(SPOT, 99.9, 100.0)
    rig.put(PERP, 100.65, 101.1)  # gross 65, net 5
    rig.turn()
    assert FREE == rig.state


@pytest.mark.parametrize("state", [SIGNALLED, TRACKED])
def test_only_rearm_is_freed_by_the_engine(rig, state):
    rig.active.move(SYMBOL, FREE, state)
    rig.put(SPOT, 99.9, 100.0)
    rig.put(PERP, 99.0, 99.1)
    rig.turn()
    assert state == rig.state


def test_rearm_waits_while_a_leg_is_not_tradable(rig):
    rig.active.move(SYMBOL, FREE, REARM)
    rig.put(SPOT, 99.9, 100.0)
    rig.put(PERP, 99.0, 99.1)
    rig.beat(T - 5 * S, [PERP])
    rig.turn()
    assert REARM == rig.state


def test_a_full_ring_gives_the_pair_back(make_instance):
    instance = make_instance(n_sources=2, n_symbols=1, n_edges=1)
    index = Pairs(2, 1, [(0, 0, 1)])
    index.compare(0, 0)
    engine = Engine(
        instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
        instance.control, index, sweep_s=0.0,
    )  # fmt: skip
    engine.set_rule(0, 0.0, 50.0, 10.0)
    for source in (0, 1):
        instance.health.beat(source, T)
    instance.ring.push(0, 1, 1, 1, 1.0, 1.0, 1.0, 1.0)

    def tick():
        instance.quotes.write(0, 0, 99.0, 100.0, 1.0, 1.0, 0, T)
        instance.quotes.write(1, 0, 101.0, 102.0, 1.0, 1.0, 0, T)
        instance.dirty.mark(1, 0)
        engine.turn(T)

    tick()
    assert FREE == instance.active.state(0)
    assert 1 == instance.health.counters(instance.health.role("engine"))["ring_full"]
    instance.ring.advance()
    tick()
    assert 1 == instance.ring.peek().sequence
    assert SIGNALLED == instance.active.state(0)


# -- busy slots


@pytest.mark.parametrize("source", [SPOT, PERP])
def test_a_slot_left_half_way_is_left_alone_until_it_is_healed(rig, instance, source):
    rig.spread()
    with instance.region("quotes").buffer() as raw:
        at = 64 + 64 * (SYMBOL * ROOM["n_sources"] + source)
        raw[at] |= 1
    assert [] == rig.turn()
    assert 2 == rig.counted("busy")
    rig.put(source, *((99.9, 100.0) if source == SPOT else (101.0, 101.1)))
    assert 1 == len(rig.turn())


# -- scan and sweep


def test_a_start_finds_what_stands(rig):
    rig.spread(mark=False)
    assert [] == rig.turn()
    assert 1 == rig.engine.scan(T)
    assert 1 == len(rig.turn())


def test_a_scan_looks_at_every_pair_once(instance):
    rig = Rig(instance, symbols=range(64), directions=(0, 1, 2))
    assert 192 == rig.engine.scan(T)
    assert 192 == rig.counted("pairs")


def test_a_sweep_finds_an_update_whose_bit_never_came(instance):
    """Its writer was killed between slot and bit: found within a period."""
    rig = Rig(instance, sweep_s=1.0)
    rig.engine.scan(T)
    rig.turn(T)
    assert 0 == rig.counted("swept")  # the scan was a sweep
    rig.spread(at=T, mark=False)
    found = []
    for k in range(1, 21):
        rig.beat(T + k * 50 * MS)
        found += rig.turn(T + k * 50 * MS)
    assert 1 == len(found)
    assert T < found[0].at_ns <= T + S


def test_a_sweep_finds_a_pair_that_was_freed_without_a_tick(instance):
    rig = Rig(instance, sweep_s=1.0)
    rig.active.move(SYMBOL, FREE, TRACKED)
    rig.spread()
    assert [] == rig.turn()
    rig.active.move(SYMBOL, TRACKED, FREE)
    found = []
    for k in range(1, 21):
        found += rig.turn(T + k * 50 * MS)
    assert 1 == len(found)


def test_a_sweep_finds_a_source_that_came_back_without_a_tick(instance):
    rig = Rig(instance, sweep_s=1.0)
    rig.beat(T - 5 * S, [SPOT])
    rig.spread()
    assert [] == rig.turn()
    found = []
    for k in range(1, 21):
        rig.beat(T + k * 50 * MS)
        found += rig.turn(T + k * 50 * MS)
    assert 1 == len(found)


@pytest.mark.parametrize(("n_symbols", "turn_ms"), [(64, 50), (1000, 50), (1000, 5), (16384, 3)])
def test_a_sweep_covers_the_table_about_once_a_second(make_instance, n_symbols, turn_ms):
    instance = make_instance(n_sources=2, n_symbols=n_symbols, n_edges=n_symbols)
    index = Pairs(2, n_symbols, [(0, 0, 1)])
    engine = Engine(
        instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
        instance.control, index, sweep_s=1.0,
    )  # fmt: skip
    engine.scan(T)
    for at in range(T, T + 10 * S + 1, turn_ms * MS):
        engine.turn(at)
    swept = instance.health.counters(instance.health.role("engine"))["swept"]
    assert 9 * n_symbols <= swept <= 11 * n_symbols


def test_a_sweep_of_zero_is_none(rig):
    rig.spread(mark=False)
    for k in range(100):
        assert [] == rig.turn(T + k * S)
    assert 0 == rig.counted("swept")


@pytest.mark.parametrize("gap_s", [3600, 86_400 * 365, 9_000_000_000])
def test_a_gap_in_time_does_not_upset_the_sweep(make_instance, gap_s):
    """A suspended machine, a replay of old frames: ns times 16,384 symbols leaves 64 bits."""
    instance = make_instance(n_sources=2, n_symbols=16384, n_edges=16384)
    engine = Engine(
        instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
        instance.control, Pairs(2, 16384, [(0, 0, 1)]), sweep_s=1.0,
    )  # fmt: skip
    role = instance.health.role("engine")
    for at in (0, gap_s * S):
        before = instance.health.counters(role)["swept"]
        engine.turn(at)
    assert 64 == instance.health.counters(role)["swept"] - before


# -- the index against the table


def test_marks_beyond_a_smaller_index_are_passed_over(instance):
    rig = Rig(instance, index_symbols=6)
    rig.put(SPOT, 1.0, 2.0, symbol=63)
    rig.put(SPOT, 1.0, 2.0, symbol=6)
    rig.spread()
    assert 1 == len(rig.turn())


def test_a_far_smaller_index_is_not_read_past_its_end(make_instance):
    instance = make_instance(n_sources=3, n_symbols=16384, n_edges=49152)
    rig = Rig(instance, symbols=(), index_symbols=1)
    for symbol in range(16384):
        instance.dirty.mark(PERP, symbol)
    while rig.engine.turn(T):
        pass
    assert (16384, 0) == (rig.counted("dirty"), rig.counted("pairs"))


def test_an_index_that_does_not_fit_is_refused(instance):
    parts = (instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
             instance.control)  # fmt: skip
    for index in (Pairs(2, 64, []), Pairs(3, 65, []),
                  Pairs(3, 64, [(3, 0, 1)])):  # fmt: skip
        with pytest.raises(TableFull, match="expected to fit 3, 64 and 192"):
            Engine(*parts, index)


def test_an_engine_over_two_instances_is_refused(instance_name, instance):
    region.create(instance_name, **ROOM, force=True)
    newer = Instance(instance_name, writable=SECTIONS)
    with pytest.raises(LayoutMismatch, match="generation 2"):
        Engine(instance.quotes, newer.dirty, newer.ring, newer.active, newer.health,
               newer.control, Pairs(3, 64, []))  # fmt: skip
    newer.close()


@pytest.mark.parametrize("section", ["dirty", "signals", "active", "health"])
def test_an_engine_needs_writable_sections(instance_name, instance, section):
    other = Instance(instance_name, writable=tuple(s for s in SECTIONS if s != section))
    with pytest.raises(CoreError, match=f"{section}: mapped read-only"):
        Engine(other.quotes, other.dirty, other.ring, other.active, other.health, other.control,
               Pairs(3, 64, []))  # fmt: skip
    other.close()


# -- the run loop reads the clock; all it may promise here is to come back and to count


def test_a_run_comes_back(rig):
    assert 0 == rig.engine.run(0.01)
    assert 0 == rig.engine.run(0.01, park_ms=-1.0)
    assert 0 == rig.engine.run(0.01, spin_us=-1.0)
    assert 0 == rig.engine.run(0.0)
    assert 0 == rig.engine.run(-1.0)


def test_a_run_parks_and_a_spinning_one_does_not(rig):
    rig.engine.run(0.02, spin_us=0.0, park_ms=1.0)
    slept = rig.counted("sleeps")
    assert slept > 0
    rig.engine.run(0.02, spin_us=-1.0)
    assert slept == rig.counted("sleeps")
    assert 0 == rig.counted("timeouts_with_work")


def test_a_run_signals_and_times_it(rig):
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    rig.beat(now)
    rig.spread(at=now)
    assert 2 == rig.engine.run(0.01)
    assert 0 == rig.ring.peek().sequence
    [p50] = rig.health.quantiles([rig.health.role("engine")], (0.5,))
    assert 0 < p50
    assert 2 == rig.counted("dirty")


def test_a_sleeping_run_is_woken_by_a_feed(rig, instance, children):
    """In a child that may sleep for 20 s: it comes back because it was woken, or not in time."""
    children.start("engine", rig.engine.run, 2.0, 0.0, 20_000.0)
    with instance.region("dirty").buffer() as raw:
        while raw[64 + 64] == 0:
            time.sleep(0.0005)
    time.sleep(0.02)
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    rig.beat(now)
    rig.spread(at=now)
    assert instance.dirty.wake()
    assert {"engine": 2} == children.results(20)
    assert now <= rig.ring.peek().at_ns
    assert 0 == rig.counted("timeouts_with_work")


def test_a_run_that_gathers_sleeps_less_often(rig, instance, children):
    """A mark every half millisecond or more: gathering 20 ms, most of them share a turn."""
    slept = {}
    for coalesce_us in (0.0, 20_000.0):
        before = rig.counted("sleeps")
        children.start(str(coalesce_us), rig.engine.run, 1.0, 0.0, 1_000.0, coalesce_us)
        with instance.region("dirty").buffer() as raw:
            while raw[64 + 64] == 0:
                time.sleep(0.0005)
        for _ in range(100):
            rig.put(SPOT, 99.9, 100.0)
            instance.dirty.wake()
            time.sleep(0.0005)
        taken = children.results(20)[str(coalesce_us)]
        slept[coalesce_us] = rig.counted("sleeps") - before
        assert 0 < taken <= 100
        assert [] == list(instance.dirty.take(SPOT))  # nothing is left behind
    assert slept[20_000.0] < slept[0.0] / 2


def test_only_what_a_quote_triggered_is_timed(instance):
    """A swept pair's quotes may be minutes old, which says nothing of the engine's speed."""
    rig = Rig(instance, sweep_s=0.001, beat_limit_s=1e9)
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    rig.spread(at=now - 500 * S, mark=False)
    rig.engine.run(0.05)
    assert SIGNALLED == rig.state
    assert [None] == rig.health.quantiles([rig.health.role("engine")], (0.5,))


# -- hours of it


def test_three_hours_of_a_pair(instance):
    """54,000 steps of 200 ms: a spread of 40 s opens once a minute, and each is one signal."""
    rig = Rig(instance, sweep_s=1.0)
    rig.engine.set_stale(SPOT, 10.0)
    signals = []
    for step in range(3 * 3600 * 5):
        at = T + step * 200 * MS
        second = step // 5 % 60
        if step % 5 == 0:
            rig.beat(at)
            rig.put(SPOT, 99.9, 100.0, at=at)
            rig.put(PERP, 101.0 if second < 40 else 99.0, 101.1, at=at)
        for signal in rig.turn(at):
            signals.append(signal.at_ns)
            assert rig.active.move(SYMBOL, SIGNALLED, TRACKED)
        if second == 50:  # the tracker saw it converge
            rig.active.move(SYMBOL, TRACKED, FREE)
    assert [T + minute * 60 * S for minute in range(180)] == signals


# -- what it tells others


def test_a_signal_is_told_to_whoever_reads(instance):
    rig = Rig(instance, stream=instance.engine_stream.writer())
    reader = instance.engine_stream.reader()
    rig.engine.set_rule(0, 12.0, 50.0, 10.0)
    rig.put(SPOT, 99.9, 100.0, at=T - 7 * MS, ask_qty=4.0)
    rig.put(PERP, 101.0, 101.1, at=T - 3 * MS, bid_qty=3.0)
    [signal] = rig.turn()
    [told], lost = reader.read(9)
    assert (0, 0, "signal", "") == (lost, told.sequence, told.kind, told.reason)
    for name in ("at_ns", "recv_ns", "buy_px", "sell_px", "buy_qty", "sell_qty",
                 "buy_age_ms", "sell_age_ms", "unproven"):  # fmt: skip
        assert getattr(signal, name) == getattr(told, name), name
    gross = edge_gross_bps(100.0, 101.0)
    assert (gross, gross - 12.0, gross - 12.0) == (
        told.gross_bps, told.net_bps, told.peak_net_bps,
    )  # fmt: skip
    assert (signal.sequence, SYMBOL, T, 1) == (
        told.track, told.edge, told.opened_ns, told.generation,
    )  # fmt: skip
    rig.spread(T + 1)
    assert [] == rig.turn(T + 1)  # it is being followed
    assert ([], 0) == reader.read(9)


def test_a_signal_that_the_ring_refuses_is_not_told(make_instance):
    instance = make_instance(n_sources=3, n_symbols=1, n_edges=1)
    rig = Rig(
        instance, symbols=(0,), rows=DIRECTIONS[:1], index_symbols=1,
        stream=instance.engine_stream.writer(),
    )  # fmt: skip
    for expected in (1, 1):
        rig.spread(symbol=0)
        rig.engine.turn(T)
        assert (expected, expected) == (rig.ring.produced, instance.engine_stream.published)
        rig.active.move(0, SIGNALLED, FREE)


def test_a_turn_with_a_signal_wakes_whoever_sleeps_on_the_stream(instance, children):
    rig = Rig(instance, stream=instance.engine_stream.writer())

    def sleep():
        reader = instance.engine_stream.reader(0)
        while not (found := reader.read(1)[0]):
            reader.park(-1)
        return found[0].kind

    children.start("reader", sleep)
    time.sleep(0.05)  # asleep by now; one that is not yet must not be lost either
    rig.spread()
    rig.engine.turn(T)
    assert {"reader": "signal"} == children.results(20)
