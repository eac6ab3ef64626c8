"""A leg in another quote currency: what the engine and the tracker's reader make of its prices."""

import math

import pytest
from spreadcore.active import FREE
from spreadcore.edges import EdgeIndex
from spreadcore.engine import Engine
from spreadcore.errors import CoreError, TableFull
from spreadcore.funding import FundingRates
from spreadcore.tracks import LOST, NOT_TRADING, UNPROVEN, TrackTable
from spreadcore.trackstats import StatsTuple
from spreadcore.watch import PairWatch

S = 10**9
T = 10**12
SPOT, PERP, RATES = 0, 1, 2
ROW, RATE_ROW = 5, 9
RATE = (RATES, RATE_ROW)


class Rig:
    """One edge, spot to perpetual; one of them in a currency that costs about one of the other."""

    def __init__(self, instance, leg, **options):
        self.instance, self.leg = instance, leg
        index = EdgeIndex(3, 64, 192)
        index.set_conversion(7, (leg, *RATE))
        index.add(3, SPOT, ROW, PERP, ROW, 7)
        self.engine = Engine(
            instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
            instance.control, index, **({"sweep_s": 0.0} | options),
        )  # fmt: skip
        self.engine.set_rule(7, 0.0, 50.0, 10.0)
        for source in (SPOT, PERP, RATES):
            self.engine.set_stale(source, 30.0)
            instance.health.beat(source, T)
        self.stream = instance.engine_stream.reader()

    def put(self, source, row, bid, ask, qty=10.0, at=T):
        self.instance.quotes.write(source, row, bid, ask, qty, qty, 0, at)
        self.instance.dirty.mark(source, row)

    def legs(self, at=T):
        """100 bps where both are of one currency."""
        self.put(SPOT, ROW, 99.9, 100.0, at=at)
        self.put(PERP, ROW, 101.0, 101.1, at=at)

    def turn(self, at=T):
        self.engine.turn(at)
        found = []
        while (signal := self.instance.ring.peek()) is not None:
            found.append(signal)
            self.instance.ring.advance()
        return found


@pytest.fixture
def instance(make_instance):
    return make_instance(n_sources=3, n_symbols=64, n_edges=192)


@pytest.fixture(params=["buy", "sell"])
def rig(request, instance):
    return Rig(instance, request.param)


def test_the_unfavourable_side_converts(rig):
    rig.put(*RATE, 0.997, 1.003)
    rig.legs()
    (signal,) = rig.turn()
    factor = 1.003 if rig.leg == "buy" else 0.997
    buy_px, sell_px = (100.0 * factor, 101.0) if rig.leg == "buy" else (100.0, 101.0 * factor)
    assert (buy_px, sell_px, 10.0, 10.0) == (
        signal.buy_px, signal.sell_px, signal.buy_qty, signal.sell_qty
    )  # fmt: skip


def test_who_reads_the_stream_is_told_the_rate(rig):
    rig.engine = None
    index = EdgeIndex(3, 64, 192)
    index.set_conversion(0, (rig.leg, *RATE))
    index.add(3, SPOT, ROW, PERP, ROW, 0)
    instance = rig.instance
    writer = instance.engine_stream.writer()
    rig.engine = Engine(
        instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
        instance.control, index, sweep_s=0.0, stream=writer,
    )  # fmt: skip
    rig.engine.set_rule(0, 0.0, 50.0, 10.0)
    rig.put(*RATE, 0.997, 1.003)
    rig.legs()
    (signal,) = rig.turn()
    ((record,), lost) = rig.stream.read(10)
    assert (0, 3, signal.buy_px, signal.sell_px) == (
        lost, record.edge, record.buy_px, record.sell_px
    )  # fmt: skip
    assert (1.003 if rig.leg == "buy" else 0.997) == record.conversion_px


@pytest.mark.parametrize(
    ("bid", "ask", "at"),
    [
        pytest.param(math.nan, math.nan, 0, id="no quote"),
        pytest.param(0.997, 1.003, T - 31 * S, id="old"),
        pytest.param(0.997, 0.9999, T - 31 * S, id="old and good"),
    ],
)
def test_without_a_rate_of_now_nothing_signals(rig, bid, ask, at):
    rig.put(*RATE, bid, ask, at=at)
    rig.legs()
    assert [] == rig.turn()
    assert FREE == rig.instance.active.state(3)


def test_a_rate_that_lacks_the_side_gives_nothing(rig):
    rig.put(*RATE, *((1.0, math.nan) if rig.leg == "buy" else (math.nan, 1.0)))
    rig.legs()
    assert [] == rig.turn()


def test_a_source_of_rates_that_is_dead_gives_nothing(rig):
    rig.put(*RATE, 0.997, 1.003, at=T + 5 * S)
    rig.legs(at=T + 5 * S)
    for source in (SPOT, PERP):
        rig.instance.health.beat(source, T + 5 * S)
    assert [] == rig.turn(T + 5 * S)


def test_a_pause_of_the_source_of_rates_holds(instance):
    rig = Rig(instance, "buy", pauses=instance.pauses)
    instance.pauses.pause("source", RATE[0], T + S)
    rig.put(*RATE, 0.997, 1.003)
    rig.legs()
    assert [] == rig.turn()
    instance.pauses.pause("source", RATE[0], 0)
    rig.legs()
    assert 1 == len(rig.turn())


def test_a_rate_that_moves_signals_by_itself(rig):
    wrong = (1.009, 1.01) if rig.leg == "buy" else (0.99, 0.991)
    rig.put(*RATE, *wrong)
    rig.legs()
    assert [] == rig.turn()
    rig.put(*RATE, 0.999, 1.001)
    assert [3] == [signal.edge for signal in rig.turn()]


def test_the_rate_has_to_have_the_size_too(instance):
    rig = Rig(instance, "buy", min_notional=500.0)
    rig.put(*RATE, 0.999, 1.001, qty=400.0)
    rig.legs()
    assert [] == rig.turn()
    rig.put(*RATE, 0.999, 1.001, qty=600.0)
    assert 1 == len(rig.turn())


def test_an_old_rate_is_asked_about_before_a_signal(instance):
    audited = {
        "audit": instance.audit, "questions": instance.questions, "answers": instance.answers
    }  # fmt: skip
    rig = Rig(instance, "sell", **audited)
    for source in (SPOT, PERP, RATES):
        rig.engine.set_audit(source, 60.0, 5.0)
    rig.engine.set_answer(2.0)
    rig.put(*RATE, 0.999, 1.001, at=T - 6 * S)
    rig.legs()
    assert [] == rig.turn()
    assert [RATE_ROW] == list(instance.questions.take(RATES))
    assert [] == list(instance.questions.take(SPOT)) + list(instance.questions.take(PERP))
    rig.put(*RATE, 0.999, 1.001)
    assert 1 == len(rig.turn())


def test_the_reader_converts_as_the_engine_does(rig):
    rig.put(*RATE, 0.997, 1.003)
    rig.legs()
    watch = PairWatch(rig.instance.quotes, rig.instance.health)
    watch.refresh(T)
    pair = watch.read(SPOT, ROW, PERP, ROW, T, (rig.leg, *RATE))
    bid, ask = (0.997, 1.003)
    buy, sell = (99.9, 100.0), (101.0, 101.1)
    if rig.leg == "buy":
        buy = buy[0] * bid, buy[1] * ask
    else:
        sell = sell[0] * bid, sell[1] * ask
    assert (*buy, *sell) == (pair.buy_bid, pair.buy_ask, pair.sell_bid, pair.sell_ask)
    (signal,) = rig.turn()
    assert (signal.buy_px, signal.sell_px) == (pair.buy_ask, pair.sell_bid)
    assert pair.tradable
    rig.put(*RATE, 0.997, 1.003, at=T - 601 * S)
    assert not watch.read(SPOT, ROW, PERP, ROW, T, (rig.leg, *RATE)).tradable


@pytest.mark.parametrize(
    ("fate", "reason"),
    [
        (lambda audit: audit.halt(*RATE, T), NOT_TRADING),
        (lambda audit: audit.find_wrong(*RATE, T, T + S), UNPROVEN),
        (None, LOST),  # the rate is old
    ],
)
def test_a_track_ends_with_what_converts_it(rig, fate, reason):
    watch = PairWatch(
        rig.instance.quotes, rig.instance.health, stale_after_s={RATES: 5.0},
        audit=rig.instance.audit,
    )  # fmt: skip
    tracks = TrackTable(
        watch, FundingRates(rig.instance.region("funding"), 1 << PERP), grid_ns=S // 5,
        gap_ns=5 * S, expire_after_ns=600 * S, lost_after_ns=2 * S,
    )  # fmt: skip
    rig.put(*RATE, 0.999, 1.001)
    rig.legs()
    slot = tracks.add(
        b"one", (SPOT, ROW, PERP, ROW), fees_bps=0.0, converge_bps=-1e3, opened_ns=T, looked_ns=T,
        stats=StatsTuple(30.0, T, 300.0), conversion=(rig.leg, *RATE),
    )  # fmt: skip
    assert [] == tracks.sample(T, b"2026-11-20T12:00:00.000000Z").ended
    if fate:
        fate(rig.instance.audit)
    ended = []
    for second in range(1, 10):
        for source in (SPOT, PERP, RATES):
            rig.instance.health.beat(source, T + second * S)
        rig.legs(at=T + second * S)
        ended += tracks.sample(T + second * S, b"2026-11-20T12:00:00.000000Z").ended
    assert [(slot, reason)] == [(s, why) for s, why, _ in ended]


def test_what_is_no_conversion_is_refused(instance):
    index = EdgeIndex(3, 64, 192)
    with pytest.raises(CoreError, match="leg 'both', expected 'buy' or 'sell'"):
        index.set_conversion(0, ("both", *RATE))
    with pytest.raises(TableFull, match="row 64, expected below 3 and 64"):
        index.set_conversion(0, ("buy", RATES, 64))
    with pytest.raises(TableFull, match="rule 65536"):
        index.set_conversion(65536, ("buy", *RATE))
    index.set_conversion(0, ("buy", SPOT, ROW))
    with pytest.raises(CoreError, match="row 5 converts and is a leg"):
        index.add(0, SPOT, ROW, PERP, ROW, 0)
    watch = PairWatch(instance.quotes, instance.health)
    with pytest.raises(TableFull):
        watch.read(SPOT, ROW, PERP, ROW, T, ("buy", 63, 0))
