"""A leg that fell silent while the coin's other sources moved away: no signal leaves on it.

SPOT says nothing while nothing changes (its quotes carry limits of their own); the others repeat.
"""

import pytest
from spreadcore.active import FREE, SIGNALLED

from core.test_engine import MS, SYMBOL, Rig, S, T
from pairs import Pairs

SPOT, PERP, OTHER, THIRD = range(4)
# spot against three perpetuals; and a second spot against one of them
DIRECTIONS = [(0, SPOT, PERP), (1, SPOT, OTHER), (2, SPOT, THIRD)]
USUAL_S = 1.0  # the longest usual pause of the pair on SPOT
LATER = T + round((USUAL_S + 1) * S)


class Market(Rig):
    """SPOT and n_others perpetuals, all at 100 with spreads of 2 bps; as of T, heard there."""

    def __init__(self, make_instance, n_others=2, *, spot_sells=False, **options):
        directions = [
            (d, sell, buy) if spot_sells else (d, buy, sell) for d, buy, sell in DIRECTIONS
        ]
        super().__init__(
            make_instance(n_sources=4, n_symbols=64, n_edges=192), directions=(),
            n_sources=4, rows=directions, **options,
        )  # fmt: skip
        index = Pairs(4, 64, directions)
        for direction in range(n_others):
            index.compare(direction, SYMBOL)
            self.engine.set_rule(direction, 0.0, 50.0, 10.0)
        self.index = index
        self.others = [PERP, OTHER, THIRD][:n_others]
        self.rows = directions

    def start(self):
        """Everyone quotes, SPOT last."""
        self.engine.replace_index(self.index)
        self.beat(T, (SPOT, *self.others))
        for source in self.others:
            self.put(source, 99.99, 100.01)
        self.hear_spot(T)
        assert [] == self.turn(T)
        return self

    def hear_spot(self, at, mid=100.0, usual_s=USUAL_S):
        self.put(SPOT, mid - 0.01, mid + 0.01, at=at, limit_s=max(10.0, 4 * usual_s),
                 pause_s=usual_s)  # fmt: skip

    def move(self, at, mid, *sources, half=0.01):
        """These sources quote elsewhere now; returns the signals."""
        self.beat(at, (SPOT, *self.others))
        for source in sources:
            self.put(source, mid - half, mid + half, at=at)
        return [signal.edge // 64 for signal in self.turn(at)]


@pytest.mark.parametrize("n_others", [1, 2, 3])
@pytest.mark.parametrize("spot_sells", [False, True])
def test_no_signal_on_a_leg_that_all_others_left(make_instance, n_others, spot_sells):
    market = Market(make_instance, n_others, spot_sells=spot_sells).start()
    mid = 98.0 if spot_sells else 102.0
    # one after the other: the last one finds all of them away
    for source in market.others[:-1]:
        market.put(source, mid - 0.01, mid + 0.01, at=LATER)
    assert [] == market.move(LATER, mid, *market.others)
    assert n_others <= market.counted("frozen")
    assert all(market.active.state(64 * d + SYMBOL) == FREE for d in range(n_others))
    # it is heard again where it was: then the spread is real
    market.hear_spot(LATER)
    assert list(range(n_others)) == [s.edge // 64 for s in market.turn(LATER)]


def test_a_quote_that_says_for_how_long_it_is_true_is_in_no_doubt(make_instance):
    """Its silence says nothing: nobody expects another one before it is over."""
    market = Market(make_instance, 1).start()
    market.put(SPOT, 99.99, 100.01, at=T, valid_ms=5_000)
    assert [] == market.turn(T)
    assert [0] == market.move(LATER, 102.0, PERP)
    assert 0 == market.counted("frozen")
    market.active.move(SYMBOL, SIGNALLED, FREE)
    assert [] == market.move(T + 5 * S + 1, 102.0, PERP)


def test_one_that_moves_alone_while_another_stays_is_a_signal(make_instance):
    market = Market(make_instance, 2).start()
    assert [0] == market.move(LATER, 102.0, PERP)
    assert 0 == market.counted("frozen")


def test_most_of_three_decide(make_instance):
    market = Market(make_instance, 3).start()
    assert [0] == market.move(LATER, 102.0, PERP)
    assert [] == market.move(LATER, 102.0, OTHER)  # two of three are away now
    assert 1 == market.counted("frozen")


def test_a_leg_that_is_not_silent_for_longer_than_usual_is_not_doubted(make_instance):
    market = Market(make_instance, 1).start()
    assert [0] == market.move(T + round(USUAL_S * S), 102.0, PERP)


@pytest.mark.parametrize(("silent_ms", "signals"), [(500, [0]), (501, [])])
def test_half_a_second_is_no_silence(make_instance, silent_ms, signals):
    market = Market(make_instance, 1).start()
    market.hear_spot(T, usual_s=0.01)
    assert [] == market.turn(T)
    assert signals == market.move(T + silent_ms * MS, 102.0, PERP)


def test_what_repeats_itself_is_never_frozen(make_instance):
    """Its limit is short and says enough: quotes without a limit of their own."""
    market = Market(make_instance, 1).start()
    market.put(SPOT, 99.99, 100.01, at=T)
    assert [] == market.turn(T)
    assert [0] == market.move(LATER, 102.0, PERP)


@pytest.mark.parametrize(("mid", "half", "frozen"), [
    (102.0, 0.24, True),     # 200 bps, more than four spreads of 48
    (102.0, 0.26, False),    # less than four spreads of 52
    (100.04, 0.0, False),    # locked, and 4 bps away
    (100.06, 0.0, True),     # 6 bps
])  # fmt: skip
def test_away_is_four_spreads_and_five_bps(make_instance, mid, half, frozen):
    market = Market(make_instance, 1)
    market.engine.set_rule(0, 0.0, 1.0, 0.0)
    market.start()
    expected = [] if frozen else [0]
    assert expected == market.move(LATER, mid, PERP, half=half)
    assert frozen == (market.counted("frozen") > 0)


def test_those_that_are_not_tradable_are_not_asked(make_instance):
    """OTHER stays where it was because it is dead: PERP alone decides."""
    market = Market(make_instance, 2)
    market.engine.set_stale(OTHER, 1.0)
    market.start()
    assert [] == market.move(LATER, 102.0, PERP)
    assert 1 == market.counted("frozen")


def test_a_slot_that_is_marked_again_was_not_heard(make_instance):
    """The tracker marks a pair at its end: its quote is as old as before."""
    market = Market(make_instance, 1).start()
    market.move(LATER, 100.4, PERP)
    market.instance.dirty.mark(SPOT, SYMBOL)
    market.turn(LATER)
    assert [] == market.move(LATER + 1, 102.0, PERP)
    assert 0 < market.counted("frozen")


def test_the_sweep_obeys_too(make_instance):
    market = Market(make_instance, 1, sweep_s=0.001).start()
    market.beat(LATER)
    market.put(PERP, 101.99, 102.01, at=LATER, mark=False)
    for n in range(100):
        assert [] == market.turn(LATER + n * MS)
    assert 0 < market.counted("frozen")
    market.put(SPOT, 99.99, 100.01, at=LATER, mark=False, limit_s=10.0, pause_s=USUAL_S)
    assert any(market.turn(LATER + n * MS) for n in range(100, 200))


@pytest.mark.parametrize("spot_sells", [False, True])
def test_a_quote_that_only_the_sweep_saw_moves_the_anchors(make_instance, spot_sells):
    """Its writer died before the mark: the leg was heard at 102, where the others are."""
    market = Market(make_instance, 2, sweep_s=0.001, spot_sells=spot_sells).start()
    for source in market.others:
        market.put(source, 101.99, 102.01, at=T + 1, mark=False)
    market.put(SPOT, 101.99, 102.01, at=T + 2, mark=False, limit_s=10.0, pause_s=USUAL_S)
    for n in range(100):
        assert [] == market.turn(T + n * MS)
    move = market.move(LATER, 102.8 if not spot_sells else 101.2, PERP)
    assert [0] == move  # from where they were then, OTHER has not moved


def test_a_confirmed_spread_is_asked_before_it_signals(make_instance):
    """It stood for long enough, on a leg that fell silent meanwhile."""
    market = Market(make_instance, 1, confirm_s=2.0).start()
    assert [] == market.move(T + S // 2, 102.0, PERP)
    market.beat(T + 5 * S // 2)
    assert [] == market.turn(T + 5 * S // 2)  # by its alarm
    assert 1 == market.counted("frozen")
    market.hear_spot(T + 5 * S // 2)
    assert 1 == len(market.turn(T + 5 * S // 2))
    assert SIGNALLED == market.state


def test_an_engine_that_starts_knows_where_they_are_from_its_scan(make_instance):
    market = Market(make_instance, 1)
    market.engine.replace_index(market.index)
    market.beat(T)
    market.hear_spot(T)
    market.put(PERP, 99.99, 100.01)
    market.instance.dirty.take(SPOT)
    market.instance.dirty.take(PERP)
    market.engine.scan(T)
    assert [] == market.move(LATER, 102.0, PERP)
    assert 1 == market.counted("frozen")


def test_what_leaves_the_index_is_forgotten_and_what_stays_is_not(make_instance):
    market = Market(make_instance, 2).start()
    only_other = Pairs(4, 64, market.rows)
    only_other.compare(1, SYMBOL)
    market.engine.replace_index(only_other)
    market.engine.replace_index(market.index)
    market.beat(LATER)
    market.put(PERP, 101.99, 102.01, at=LATER)
    market.put(OTHER, 101.99, 102.01, at=LATER)
    market.engine.scan(LATER)  # what is new is anchored where it is now
    # by the anchor of before, PERP would be away too, and most would be
    assert [0, 1] == sorted(s.edge // 64 for s in market.turn(LATER))


def test_with_nothing_known_a_leg_is_believed(make_instance):
    market = Market(make_instance, 1)
    market.engine.replace_index(market.index)
    market.beat(LATER)
    market.put(SPOT, 99.99, 100.01, at=T, limit_s=10.0, pause_s=USUAL_S)
    market.instance.dirty.take(SPOT)
    assert [0] == market.move(LATER, 102.0, PERP)
