"""A spread that must hold before it signals: what starts, keeps and ends its waiting."""

import pytest
from spreadcore.active import FREE, REARM, SIGNALLED, TRACKED
from spreadcore.confirm import Confirmation
from spreadcore.edges import EdgeIndex
from spreadcore.engine import Engine
from spreadcore.errors import CoreError

from pairs import Pairs

MS = 10**6
S = 10**9
T = 10**12
WAIT = 500 * MS
SPOT, PERP = 0, 1
SYMBOL = 5


class Rig:
    """One pair, an engine that confirms for half a second, and time by hand."""

    def __init__(self, instance, **options):
        self.instance, self.ring, self.active = instance, instance.ring, instance.active
        index = Pairs(2, 64, [(0, SPOT, PERP)])
        index.compare(0, SYMBOL)
        settings = {"sweep_s": 0.0, "confirm_s": WAIT / S} | options
        self.engine = Engine(
            instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
            instance.control, index, **settings,
        )  # fmt: skip
        self.engine.set_rule(0, 0.0, 50.0, 10.0)
        self.beat(T)

    def beat(self, at):
        for source in (SPOT, PERP):
            self.instance.health.beat(source, at)

    def put(self, bid, at, qty=10.0):
        """Spot asks 100 throughout, the perpetual bids `bid`."""
        self.instance.quotes.write(SPOT, SYMBOL, 99.9, 100.0, qty, qty, 0, at)
        self.instance.quotes.write(PERP, SYMBOL, bid, bid + 0.1, qty, qty, 0, at)
        self.instance.dirty.mark(PERP, SYMBOL)

    def turn(self, at):
        """One turn; returns at which of its moments pairs signalled."""
        self.engine.turn(at)
        found = []
        while (signal := self.ring.peek()) is not None:
            found.append(signal.at_ns)
            self.ring.advance()
        return found

    def counted(self, name):
        return self.instance.health.counters(self.instance.health.role("engine"))[name]


@pytest.fixture
def instance(make_instance):
    return make_instance(n_sources=2, n_symbols=64, n_edges=64)


@pytest.fixture
def rig(instance):
    return Rig(instance)


def test_an_edge_whose_number_goes_to_other_legs_begins_to_hold_anew(rig):
    rig.put(101.0, T)
    assert [] == rig.turn(T)
    other = EdgeIndex(2, 64, 64)
    other.add(SYMBOL, SPOT, SYMBOL + 1, PERP, SYMBOL + 1)
    for source, bid in ((SPOT, 99.9), (PERP, 101.0)):
        rig.instance.quotes.write(source, SYMBOL + 1, bid, bid + 0.1, 10.0, 10.0, 0, T)
    rig.engine.replace_index(other)
    assert 1 == rig.engine.scan(T + WAIT)
    assert [] == rig.turn(T + WAIT)
    assert [T + 2 * WAIT] == rig.turn(T + 2 * WAIT)


def test_a_spread_that_stands_signals_once_its_time_is_over(rig):
    """Without a tick of its own: the turn that follows is enough."""
    rig.put(101.0, T)
    assert [] == rig.turn(T)
    assert [] == rig.turn(T + WAIT - 1)
    assert FREE == rig.active.state(SYMBOL)
    assert [T + WAIT] == rig.turn(T + WAIT)
    assert SIGNALLED == rig.active.state(SYMBOL)
    assert [] == rig.turn(T + 2 * WAIT)
    assert (1, 0) == (rig.counted("signals"), rig.counted("unconfirmed"))


def test_a_signal_has_the_prices_of_its_own_moment(rig):
    rig.put(101.0, T)
    rig.turn(T)
    rig.put(102.0, T + 9)
    rig.turn(T + 9)
    rig.engine.turn(T + WAIT)
    signal = rig.ring.peek()
    assert (102.0, T + 9) == (signal.sell_px, signal.recv_ns)


@pytest.mark.parametrize("stays", [True, False])
def test_a_pair_that_a_new_index_has_no_more_waits_no_longer(rig, stays):
    """Its alarm would signal a pair that nobody subscribes to."""
    rig.put(101.0, T)
    rig.turn(T)
    index = Pairs(2, 64, [(0, SPOT, PERP)])
    index.compare(0, SYMBOL if stays else SYMBOL + 1)
    rig.engine.replace_index(index)
    assert ([T + WAIT] if stays else []) == rig.turn(T + WAIT)
    assert 0 == rig.counted("unconfirmed")


def test_a_spread_that_flickers_never_signals(rig):
    for n in range(20):
        at = T + n * WAIT // 2
        rig.beat(at)
        rig.put(101.0 if n % 2 else 100.1, at)
        assert [] == rig.turn(at)
    assert 9 == rig.counted("unconfirmed")


def test_a_spread_may_move_as_long_as_it_holds(rig):
    for n, bid in enumerate((101.0, 100.6, 103.0, 100.5)):
        rig.put(bid, T + n * WAIT // 4)
        assert [] == rig.turn(T + n * WAIT // 4)
    assert [T + WAIT] == rig.turn(T + WAIT)


def test_a_tick_signals_as_well_as_the_alarm(rig):
    rig.put(101.0, T)
    rig.turn(T)
    rig.put(101.0, T + WAIT + 3)
    assert [T + WAIT + 3] == rig.turn(T + WAIT + 3)
    assert 1 == rig.counted("signals")


@pytest.mark.parametrize("how", ["empty", "old", "silent", "suspect", "followed"])
def test_what_ends_the_waiting(instance, how):
    rig = Rig(instance, max_gross_bps=500.0)
    rig.engine.set_stale(PERP, 0.4)
    rig.put(101.0, T)
    rig.turn(T)
    later = T + 300 * MS
    if how == "empty":
        instance.quotes.write_empty(PERP, SYMBOL)
    elif how == "old":
        instance.quotes.write(PERP, SYMBOL, 101.0, 101.1, 1.0, 1.0, 0, later - 401 * MS)
    elif how == "silent":
        instance.health.beat(PERP, later - 3 * S)
    elif how == "suspect":
        rig.put(106.0, later)
    else:
        assert rig.active.move(SYMBOL, FREE, TRACKED)
    instance.dirty.mark(PERP, SYMBOL)
    assert [] == rig.turn(later)
    assert 1 == rig.counted("unconfirmed")
    rig.active.move(SYMBOL, TRACKED, FREE)
    rig.beat(later + 1)
    rig.put(101.0, later + 1)
    assert [] == rig.turn(later + 1)
    rig.put(101.0, later + WAIT)
    assert [] == rig.turn(later + WAIT)  # from the new beginning
    assert [later + 1 + WAIT] == rig.turn(later + 1 + WAIT)


def test_a_leg_that_grows_old_by_itself_does_not_signal(rig):
    rig.engine.set_stale(PERP, 0.4)
    rig.put(101.0, T)
    rig.turn(T)
    assert [] == rig.turn(T + WAIT)
    assert (1, 1) == (rig.counted("unconfirmed"), rig.counted("untradable"))


def test_what_may_not_signal_yet_does_so_at_its_next_tick(rig):
    rig.put(101.0, T)
    rig.turn(T)
    rig.instance.control.pause = True
    assert [] == rig.turn(T + WAIT)
    assert [] == rig.turn(T + WAIT + 1)
    rig.instance.control.pause = False
    assert [] == rig.turn(T + WAIT + 2)  # its alarm has gone off; nothing has changed
    rig.put(101.0, T + WAIT + 3)
    assert [T + WAIT + 3] == rig.turn(T + WAIT + 3)


def test_what_may_not_signal_yet_is_found_by_the_sweep(instance):
    rig = Rig(instance, sweep_s=1.0, min_notional=50.0)
    rig.put(101.0, T, qty=0.1)  # worth 10
    rig.engine.scan(T)
    rig.turn(T)
    assert [] == rig.turn(T + WAIT)
    assert rig.counted("thin") > 0
    instance.quotes.write(SPOT, SYMBOL, 99.9, 100.0, 9.0, 9.0, 0, T)
    instance.quotes.write(PERP, SYMBOL, 101.0, 101.1, 9.0, 9.0, 0, T)
    assert [T + 1_500 * MS] == rig.turn(T + 1_500 * MS)


def test_an_expired_spread_waits_again_once_it_is_rearmed(rig):
    assert rig.active.move(SYMBOL, FREE, REARM)
    rig.put(101.0, T)
    assert [] == rig.turn(T)
    assert [] == rig.turn(T + WAIT)
    rig.put(100.0, T + WAIT)
    rig.turn(T + WAIT)
    assert FREE == rig.active.state(SYMBOL)
    rig.put(101.0, T + WAIT + 1)
    assert [] == rig.turn(T + WAIT + 1)
    assert [T + 2 * WAIT + 1] == rig.turn(T + 2 * WAIT + 1)


def test_a_scan_only_begins_the_waiting(rig):
    rig.put(101.0, T)
    assert 1 == rig.engine.scan(T)
    assert rig.ring.peek() is None
    assert [T + WAIT] == rig.turn(T + WAIT)


@pytest.mark.parametrize(
    ("room", "words"),
    [((0, 1), "0 edges"), ((1, -1), "-1 ns")],
)
def test_room_that_is_none_is_refused(room, words):
    with pytest.raises(CoreError, match=words):
        Confirmation(*room)


@pytest.mark.parametrize("seconds", [-0.1, 1e10, float("nan")])
def test_a_time_that_is_none_is_refused(instance, seconds):
    with pytest.raises(CoreError, match="time limit"):
        Rig(instance, confirm_s=seconds)
