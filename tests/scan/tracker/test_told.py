"""What others are told of tracks while they are open, over ends, restarts and a thrown switch."""

import math

from scan.tracker.conftest import START_NS, SYMBOLS, S
from spreadscan.tracker.track import track_id

BID_40 = 100.0 * (1 + 40 / 1e4)


def seen(market):
    return market.instance.tracks.all()


def test_a_track_is_seen_from_its_signal_to_its_close_row(market):
    tracker = market.started()
    assert [] == seen(market)
    market.signal(symbol=3)
    opened_ns = market.now
    tracker.poll(market.now)
    [track] = seen(market)
    assert (0, 3, 3, "open", opened_ns, opened_ns) == track[:6]
    assert (100.0, BID_40, 4.0, 3.0, 0, 0) == track[6:12]
    assert ("40.0000", "30.0000", "30.0000") == tuple(
        f"{v:.4f}" for v in (track.gross_bps, track.net_bps, track.peak_net_bps)
    )
    assert (True, False) == (track.tradable, track.unproven)
    market.fund(3, 2.5)
    market.spread(3, 60.0)
    market.step(tracker)
    [track] = seen(market)
    assert (opened_ns, market.now) == (track.opened_ns, track.looked_ns)
    assert ("50.0000", "50.0000", "2.5000") == tuple(
        f"{v:.4f}" for v in (track.net_bps, track.peak_net_bps, track.funding_bps)
    )
    market.spread(3, 0.0)
    market.step(tracker)
    assert [] == seen(market)
    opened, closed = market.records()
    assert ("open", "", 0, 3, opened_ns) == (
        opened.kind, opened.reason, opened.track, opened.edge, opened.at_ns,
    )  # fmt: skip
    assert ("close", "CONVERGED", 0, 3, market.now, opened_ns) == (
        closed.kind, closed.reason, closed.track, closed.edge, closed.at_ns, closed.opened_ns,
    )  # fmt: skip
    assert (100.0, "50.0000") == (closed.buy_px, f"{closed.peak_net_bps:.4f}")


def test_a_successor_takes_over_what_is_open_and_says_so(market):
    tracker = market.started()
    for symbol in (0, 1):
        market.signal(symbol)
        market.step(tracker)
    before = {track.track: track for track in seen(market)}
    market.now += 3 * S
    market.beat()
    tracker = market.started()
    assert {0, 1} == {track.track for track in seen(market)}
    for track in seen(market):
        old = before[track.track]
        assert (old.opened_ns, old.edge, "open") == (track.opened_ns, track.edge, track.state)
        assert math.isnan(track.buy_px)  # it has not been looked at
    gaps = [(r.kind, r.track, r.generation) for r in market.records() if r.kind == "gap"]
    assert [("gap", 0, 2), ("gap", 1, 2)] == gaps
    market.step(tracker)
    assert {100.0} == {track.buy_px for track in seen(market)}


def test_a_track_of_an_unproven_signal_stays_marked_over_a_restart(market):
    tracker = market.started()
    market.signal()
    with market.instance.region("signals").buffer() as raw:
        raw[64 + 128 + 63] |= 0x80  # bit 31 of Signal.age
    tracker.poll(market.now)
    assert [True] == [track.unproven for track in seen(market)]
    assert [True] == [record.unproven for record in market.records()]
    market.started()
    assert [True] == [track.unproven for track in seen(market)]


def test_a_track_that_waits_for_its_close_row_is_no_longer_open(market, monkeypatch):
    tracker = market.started()
    market.signal()
    market.step(tracker)
    monkeypatch.setattr(tracker._signals, "write", lambda *_: False)
    market.spread(0, 0.0)
    market.step(tracker)
    assert ["ended"] == [track.state for track in seen(market)]
    assert ["open"] == [record.kind for record in market.records()]
    monkeypatch.undo()
    market.step(tracker)
    assert [] == seen(market)
    assert ["open", "close"] == [record.kind for record in market.records()]


def test_a_thrown_kill_switch_is_told_once(market):
    tracker = market.started()
    control = market.instance.control
    told = []
    for kill, kinds in (
        (False, []),
        (True, ["kill"]),
        (True, []),
        (False, ["event"]),
        (True, ["kill"]),
    ):
        if kill:
            control.throw_kill(market.now, "a test")
        else:
            control.clear_kill("it is over")
        thrown_ns = market.now
        market.step(tracker)
        told += kinds
        assert told == [record.kind for record in market.records()]
    assert thrown_ns == market.records()[-1].at_ns > START_NS


def test_a_remark_is_a_row_of_no_track_and_a_record(market):
    tracker = market.started()
    market.signal()
    market.step(tracker)
    tracker.remark('LOST okx-spot: since 2026-11-20T12:00:00Z; "mute", 9 of 12', market.now)
    market.step(tracker)
    (row,) = [row for row in market.events() if row["event"] == "EVENT"]
    # what would break a reader of CSV does not stand there
    assert "LOST okx-spot: since 2026-11-20T12:00:00Z; _mute__ 9 of 12" == row["reason"]
    assert {"", "EVENT"} == {row[key] for key in ("track_id", "symbol", "sequence", "event")}
    assert ["open", "event"] == [record.kind for record in market.records()]
    again = market.started()  # which reads it, and passes over it
    market.step(again)
    assert 1 == len(seen(market))
    assert 1 == sum(row["event"] == "EVENT" for row in market.events())
    assert 0 == market.counters()["torn_lines"]


def test_every_open_row_is_seen_by_its_id(market):
    tracker = market.started()
    for symbol in range(5):
        market.signal(symbol)
        market.step(tracker)
    ring_id = market.instance.ring.ring_id
    rows = {row["track_id"]: row["symbol"] for row in market.events()}
    assert rows == {track_id(ring_id, t.track): SYMBOLS[t.symbol_id] for t in seen(market)}
