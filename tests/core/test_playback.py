"""Recorded blocks through gate and engine: order, stops, and what the clock owes in between."""

import struct

import pytest
from spreadcore.engine import Engine
from spreadcore.errors import CoreError, LayoutMismatch
from spreadcore.intake import SourceIntake
from spreadcore.playback import BLOCK, EVENT, HELD, MESSAGE, OVER, SIGNAL, STOPS, TICK, Playback
from spreadcore.wire.decoder import FrameDecoder

from pairs import Pairs
from spreadscan.config import Capacity
from spreadscan.replay.table import private_instance
from spreadscan.venues import VENUES

S = 10**9
T = 10**12
SPOT, PERP = 0, 3  # binance spot, bybit futures
NAMES = {SPOT: "binance-spot", PERP: "bybit-futures"}
SYMBOL = 5


def text(source, bid, ask, update_id):
    if source == SPOT:
        return (
            f'{{"stream":"btcusdt@bookTicker","data":{{"u":{update_id},"s":"BTCUSDT",'
            f'"b":"{bid}","B":"9","a":"{ask}","A":"9"}}}}'
        ).encode()
    return (
        f'{{"topic":"orderbook.1.BTCUSDT","type":"snapshot","ts":1,"data":{{"s":"BTCUSDT",'
        f'"b":[["{bid}","9"]],"a":[["{ask}","9"]],"u":{update_id},"seq":{update_id}}},"cts":1}}'
    ).encode()


def record(at_ns, payload, opcode=1, link=1):
    return struct.pack("<qII", at_ns, link, len(payload) << 4 | opcode) + payload


class Rig:
    def __init__(self, instance, **options):
        self.instance = instance
        index = Pairs(8, 64, [(0, SPOT, PERP)])
        index.compare(0, SYMBOL)
        self.engine = Engine(
            instance.quotes, instance.dirty, instance.ring, instance.active, instance.health,
            instance.control, index, **({"sweep_s": 0.0} | options),
        )  # fmt: skip
        self.engine.set_rule(0, 0.0, 50.0, 10.0)
        self.play = Playback(self.engine)
        for source, name in NAMES.items():
            feed = SourceIntake(
                instance.region("quotes"), instance.region("dirty"), instance.region("health"),
                source,
            )  # fmt: skip
            feed.add_symbol(SYMBOL, 1.0, 1.0, "BTCUSDT")
            self.play.add(feed, FrameDecoder(VENUES[name].schema))

    def load(self, source, *records, held=False):
        self.play.load(source, b"".join(records), held)
        if not held:
            self.play.release(source)

    def run(self, tick_ns=None):
        """Play on; the name of the stop, and whose."""
        stop = STOPS[self.play.run(tick_ns)]
        return (stop, self.play.source) if stop != "over" else (stop,)

    def signals(self):
        found = []
        while (signal := self.instance.ring.peek()) is not None:
            found.append(signal)
            self.instance.ring.advance()
        return found


@pytest.fixture
def rig(make_instance):
    return Rig(make_instance(n_sources=8, n_symbols=64, n_edges=768))


def test_the_stops_have_their_numbers():
    numbers = (OVER, BLOCK, HELD, TICK, SIGNAL, MESSAGE, EVENT)
    assert ("over", "block", "held", "tick", "signal", "message", "event") == STOPS
    assert tuple(range(7)) == numbers


def test_frames_come_by_time_and_at_one_time_by_source(rig):
    rig.load(SPOT, record(T + 2, b"second"), record(T + 3, b"third"))
    rig.load(PERP, record(T + 1, b"first"), record(T + 3, b"fourth"))
    found = []
    while (stop := rig.run())[0] == "message":
        found.append((rig.play.record()[3], stop[1], rig.play.now_ns))
        assert not rig.play.finish()
    assert [
        (b"first", PERP, 0), (b"second", SPOT, T + 1), (b"third", SPOT, T + 2),
    ] == found  # fmt: skip
    # its next block might begin at the very time of the other's next record
    assert ("block", SPOT) == stop
    rig.play.end(SPOT, T + 3)
    assert ("message", PERP) == rig.run()
    assert b"fourth" == rig.play.record()[3]
    rig.play.finish()
    assert ("block", PERP) == rig.run()
    rig.play.end(PERP, T + 3)
    assert ("over",) == rig.run()
    assert (2, 2) == (rig.play.frames(SPOT), rig.play.frames(PERP))


def test_a_spread_stops_it_right_after_the_frame_that_made_it(rig):
    rig.load(SPOT, record(T, text(SPOT, 99, 100, 1)), record(T + 2, text(SPOT, 99, 100, 2)))
    rig.load(PERP, record(T + 1, text(PERP, 101, 102, 1)))
    assert ("signal", PERP) == rig.run()
    [signal] = rig.signals()
    assert (T + 1, 100.0, 101.0) == (signal.at_ns, signal.buy_px, signal.sell_px)
    assert T + 1 == rig.play.now_ns
    assert ("block", PERP) == rig.run()
    rig.play.end(PERP, T)
    assert T + 2 == rig.play.next_ns
    assert ("block", SPOT) == rig.run()
    assert T + 2 == rig.play.now_ns


def test_events_and_what_the_decoder_leaves_are_python_s(rig):
    rig.load(PERP)
    rig.play.end(PERP, T)
    rig.load(SPOT, record(T, b"url", 0), record(T + 1, b"{}", 1, 7), record(T + 2, b"", 2))
    assert ("event", SPOT) == rig.run()
    assert (T, 1, 0, b"url") == rig.play.record()
    assert ("event", SPOT) == rig.run()  # until it is taken
    rig.play.finish()
    assert ("message", SPOT) == rig.run()
    assert (T + 1, 7, 1, b"{}") == rig.play.record()
    rig.play.finish()
    assert ("message", SPOT) == rig.run()
    assert (T + 2, 1, 2, b"") == rig.play.record()


def test_a_tick_comes_before_what_is_received_at_its_time(rig):
    rig.load(PERP)
    rig.play.end(PERP, T)
    frames = [record(T + i, text(SPOT, 99, 100, i + 1)) for i in (0, 1, 2)]
    rig.load(SPOT, *frames)
    assert ("tick", SPOT) == rig.run(T + 1)
    assert (T, 1) == (rig.play.now_ns, rig.play.frames(SPOT))
    assert ("tick", SPOT) == rig.run(T + 1)
    assert ("block", SPOT) == rig.run(T + 3)
    assert 3 == rig.play.frames(SPOT)


def test_a_held_block_waits_for_its_release(rig):
    rig.load(PERP)
    rig.play.end(PERP, T)
    rig.load(SPOT, record(T, text(SPOT, 99, 100, 1)), held=True)
    assert ("held", SPOT) == rig.run()
    assert ("held", SPOT) == rig.run()
    assert 0 == rig.play.frames(SPOT)
    rig.play.release(SPOT)
    assert ("block", SPOT) == rig.run()
    assert 1 == rig.play.frames(SPOT)


def test_a_source_lives_from_its_release_to_its_end(rig):
    def beat(source):
        return rig.instance.health.info(source)["beat_ns"]

    rig.load(SPOT, held=True)
    rig.load(PERP)
    rig.play.turn(T)
    assert (0, T) == (beat(SPOT), beat(PERP))
    rig.play.release(SPOT)
    rig.play.end(PERP, T)
    rig.play.turn(T + 1)
    assert (T + 1, T) == (beat(SPOT), beat(PERP))
    rig.play.lives_until(SPOT, T + 2)
    rig.play.turn(T + 3)
    assert T + 2 == beat(SPOT)


def test_the_clock_goes_on_to_where_the_last_feed_ended(make_instance):
    rig = Rig(make_instance(n_sources=8, n_symbols=64, n_edges=768), confirm_s=0.25)
    rig.load(SPOT, record(T, text(SPOT, 99, 100, 1)))
    rig.load(PERP, record(T + 5, text(PERP, 101, 102, 1)))
    assert ("block", SPOT) == rig.run()
    rig.play.end(SPOT, T)
    assert ("block", PERP) == rig.run()
    rig.play.end(PERP, T + S)
    assert ("tick", PERP) == rig.run(T + 6)
    assert ("signal", PERP) == rig.run(T + S // 2)  # the confirmation has fallen due
    assert [T + S // 4 + 5] == [signal.at_ns for signal in rig.signals()]
    assert ("tick", PERP) == rig.run(T + S)
    assert ("over",) == rig.run(T + S + 1)
    assert T + S == rig.play.now_ns
    beats = [rig.instance.health.info(source)["beat_ns"] for source in (SPOT, PERP)]
    assert [T, T + S] == beats
    assert ("over",) == rig.run()


def test_a_confirmation_is_looked_at_when_it_falls_due(make_instance):
    rig = Rig(make_instance(n_sources=8, n_symbols=64, n_edges=768), confirm_s=0.25)
    rig.load(SPOT, record(T, text(SPOT, 99, 100, 1)), record(T + S, text(SPOT, 99, 100, 2)))
    rig.load(PERP, record(T + 5, text(PERP, 101, 102, 1)), record(T + 2 * S, b"x"))
    assert ("tick", SPOT) == rig.run(T + S // 4 + 5)  # the tick has come first
    assert ("signal", SPOT) == rig.run(T + S // 4 + 6)
    assert [T + S // 4 + 5] == [signal.at_ns for signal in rig.signals()]


def test_what_makes_no_sense_is_refused(rig):
    rig.load(SPOT, record(T, b"x"))
    for call, error in (
        (lambda: rig.play.load(SPOT, b""), CoreError),
        (lambda: rig.play.load(1, b""), CoreError),
        (lambda: rig.play.end(200, T), CoreError),
        (lambda: Playback(rig.engine).record(), CoreError),
        (lambda: Playback(rig.engine).finish(), CoreError),
    ):
        with pytest.raises(error):
            call()


def test_the_gate_of_another_table_is_refused(rig):
    other = private_instance(Capacity(8, 64, 12))
    feed = SourceIntake(*(other.region(name) for name in ("quotes", "dirty", "health")), SPOT)
    with pytest.raises(LayoutMismatch):
        rig.play.add(feed, FrameDecoder(VENUES["okx-spot"].schema))
