"""From signal to CLOSE on a scripted market: exact rows, states and counters."""

import math

import pytest
from spreadcore import active
from spreadcore.engine import Engine
from spreadcore.spread import edge_gross_bps

from flags import flags_of
from pairs import Pairs
from scan.tracker.conftest import EDGES, FEES_BPS, MEXC_FUTURES, MS, OKX_SPOT, START_NS, SYMBOLS, S
from spreadscan import config
from spreadscan.errors import BadData, Halt
from spreadscan.lists import Edge
from spreadscan.tracker import SIGNALS, SNAPSHOTS
from spreadscan.tracker.track import track_id

STATS = (
    "funding_bps", "peak_after_s", "peak_notional", "profit_s", "mean_net_bps",
    "mean_notional", "min_notional", "worst_buy_age_ms", "worst_sell_age_ms",
    "looks", "tradable_looks", "skipped",
)  # fmt: skip
BID_40 = 100.0 * (1 + 40 / 1e4)
BID_60 = 100.0 * (1 + 60 / 1e4)


def test_it_follows_from_the_first_row_to_the_last(market):
    """Without a track and without rows on their way a tick has nothing to do."""
    tracker = market.started()
    assert not tracker.following
    market.spread(0, 40.0)
    market.signal()
    tracker.poll(market.now)
    assert tracker.following
    market.spread(0, 0.0)
    market.beat()
    market.now += 200 * MS
    tracker.tick(market.now)
    assert ["OPEN", "CLOSE"] == [row["event"] for row in market.events()]
    assert not tracker.following


def test_a_signal_becomes_this_open_row(market):
    tracker = market.started()
    market.now = START_NS + 123_456_789
    market.signal(symbol=3)
    market.now += 5 * MS
    tracker.poll(market.now)
    ring_id = market.instance.ring.ring_id
    (event,) = market.events()
    assert {
        "time": "2026-11-20T12:00:00.123456Z", "event": "OPEN",
        "track_id": track_id(ring_id, 0), "ring_id": str(ring_id),
        "sequence": "0", "direction": "okx->mexc", "direction_id": "0",
        "symbol": "币安人生-USDT", "symbol_id": "3", "buy_px": "100.0", "buy_qty": "4.0",
        "edge_id": "3", "quote": "", "buy_source": "okx-spot", "buy_listing": "",
        "sell_source": "mexc-futures", "sell_listing": "", "converted": "", "rate_source": "",
        "rate_listing": "",
        "sell_px": repr(BID_40), "sell_qty": "3.0", "buy_bid": "", "sell_ask": "",
        "gross_bps": "40.0000", "net_bps": "30.0000", "exit_bps": "", "fees_bps": "10.0000",
        "peak_net_bps": "", "peak_time": "", "duration_s": "", "gap_s": "", "reason": "",
        "buy_notional": "400.00", "sell_notional": f"{3 * BID_40:.2f}", **dict.fromkeys(STATS, ""),
        "buy_age_ms": "0", "sell_age_ms": "0",
        "at_ns": str(START_NS + 123_456_789), "config_hash": config.load(
            flags=market.settings, environ={}).config.hash(),
    } == event  # fmt: skip
    assert active.TRACKED == market.state(3)
    assert (1, 1, 0) == (market.instance.ring.produced, market.instance.ring.read,
                         market.instance.ring.queued)  # fmt: skip
    counters = market.counters()
    assert (1, 1, 1) == (counters["opened"], counters["open"], counters["rows"])


def test_every_tick_leaves_a_snapshot_of_every_track(market):
    tracker = market.started()
    market.signal(0, 40.0)
    market.signal(1, 50.0)
    market.step(tracker)
    market.spread(0, 30.0)
    market.step(tracker)
    rows = market.snapshots()
    first, second = (event["track_id"] for event in market.events())
    assert [(first, "00.200000", "40.00"), (second, "00.200000", "50.00"),
            (first, "00.400000", "30.00"), (second, "00.400000", "50.00")] == [
        (r["track_id"], r["time"][17:26], r["gross_bps"]) for r in rows]  # fmt: skip
    bid = 100.0 * (1 + 30 / 1e4)
    expected = dict(zip(SNAPSHOTS.names, [
        first, "2026-11-20T12:00:00.400000Z", "99.9", "3.0", "100.0", "4.0",
        repr(bid), "3.0", repr(bid * 1.001), "4.0", "200", "200", "30.00", "20.00",
        f"{edge_gross_bps(99.9, bid * 1.001):.2f}", "", "1",
    ], strict=True))  # fmt: skip
    assert expected == rows[2]


def test_converged_frees_the_pair_at_once(market):
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker, 2)
    market.spread(0, 60.0)
    market.step(tracker, 2)
    market.spread(0, 11.0)  # net 1, below 2
    market.instance.dirty.take(OKX_SPOT)
    market.step(tracker)
    _, close = market.events()
    bid = 100.0 * (1 + 11 / 1e4)
    assert close == market.events()[0] | {
        "time": "2026-11-20T12:00:01.000000Z", "event": "CLOSE", "reason": "CONVERGED",
        "buy_px": "100.0", "buy_qty": "4.0", "sell_px": repr(bid), "sell_qty": "3.0",
        "buy_notional": "400.00", "sell_notional": f"{3 * bid:.2f}", "buy_bid": "99.9",
        "sell_ask": repr(bid * 1.001), "gross_bps": "11.0000",
        "net_bps": "1.0000", "exit_bps": f"{edge_gross_bps(99.9, bid * 1.001):.4f}",
        "peak_net_bps": "50.0000", "peak_time": "2026-11-20T12:00:00.600000Z",
        "peak_after_s": "0.600000", "peak_notional": f"{3 * BID_60:.2f}",
        "profit_s": "1.000000", "mean_net_bps": f"{(30 + 30 + 50 + 50 + 1) / 5:.4f}",
        "mean_notional": f"{3 * (2 * BID_40 + 2 * BID_60 + bid) / 5:.2f}",
        "min_notional": f"{3 * bid:.2f}", "looks": "5", "tradable_looks": "5", "skipped": "0",
        "buy_age_ms": "200", "sell_age_ms": "200",
        "worst_buy_age_ms": "400", "worst_sell_age_ms": "400", "duration_s": "1.000000",
        "at_ns": str(START_NS + S),
    }  # fmt: skip
    assert active.FREE == market.state(0)
    assert [0] == market.instance.dirty.take(OKX_SPOT)
    assert 5 == len(market.snapshots())  # the last look is there too
    counters = market.counters()
    assert (1, 0, 1) == (counters["converged"], counters["open"], counters["opened"])
    assert market.signal(0, 40.0) == 1


def test_a_pair_is_followed_at_the_limit_and_not_below(market):
    tracker = market.started()
    market.signal(0, 40.0)
    market.spread(0, 12.001)
    market.step(tracker, 5)
    assert 1 == len(market.events())


def test_expired_rearms(market):
    tracker = market.started(tracker__expire_after_s=3.0)
    market.signal(0, 40.0)
    market.instance.dirty.take(OKX_SPOT)
    market.step(tracker, 14)
    assert 1 == len(market.events())
    market.step(tracker)
    close = market.events()[1]
    assert ("CLOSE", "EXPIRED", "3.000000") == (
        close["event"], close["reason"], close["duration_s"])  # fmt: skip
    assert active.REARM == market.state(0)
    assert [] == market.instance.dirty.take(OKX_SPOT)
    market.step(tracker, 20)  # no orphan: it stays as it is
    assert active.REARM == market.state(0)
    assert 1 == market.counters()["expired"]
    assert 15 == len(market.snapshots())


def test_lost_when_a_leg_is_empty_for_long(market):
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker)
    market.instance.quotes.write_empty(MEXC_FUTURES, 0)
    market.step(tracker, 11)
    close = market.events()[1]
    # first bad look at 0.4 s
    assert ("LOST", "2.400000", "30.0000") == (
        close["reason"], close["duration_s"], close["peak_net_bps"])  # fmt: skip
    assert ("100.0", "", "99.9", "", "", "", "") == tuple(
        close[c] for c in ("buy_px", "sell_px", "buy_bid", "sell_ask", "gross_bps", "net_bps",
                           "exit_bps"))  # fmt: skip
    assert active.FREE == market.state(0)
    assert 1 == market.counters()["lost"]
    last = market.snapshots()[-1]
    assert ("99.9", "", "", "", "2400", "") == tuple(
        last[c] for c in ("buy_bid", "sell_bid", "sell_ask_qty", "sell_age_ms", "buy_age_ms",
                          "net_bps"))  # fmt: skip
    assert 12 == len(market.snapshots())


def test_lost_when_a_source_stops_beating(market):
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker)
    market.beating = False
    market.step(tracker, 19)
    assert 1 == len(market.events())
    market.step(tracker)
    # last beat 0.2 s, not tradable from 2.2 s
    assert "4.200000" == market.events()[1]["duration_s"]
    assert "30.00" == market.snapshots()[-1]["net_bps"]  # the old prices are shown


def test_lost_when_a_quote_is_older_than_its_source_allows(market):
    market.stale_after_s = {MEXC_FUTURES: 1.0}
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker, 16)
    # stale from 1.2 s
    assert ("LOST", "3.200000") == tuple(market.events()[1][c] for c in ("reason", "duration_s"))


def test_lost_when_a_pair_is_silent_for_longer_than_it_ever_is(market):
    """Its source says nothing while nothing changes: the limit stands in its quote."""
    tracker = market.started()
    market.signal(0, 40.0)
    limit = flags_of(limit_s=1.0)
    market.instance.quotes.write(MEXC_FUTURES, 0, 100.4, 100.5, 3.0, 4.0, 0, market.now, limit)
    market.step(tracker, 16)
    assert ("LOST", "3.200000") == tuple(market.events()[1][c] for c in ("reason", "duration_s"))


def test_a_leg_that_comes_back_is_not_lost(market):
    tracker = market.started()
    market.signal(0, 40.0)
    for _ in range(4):
        market.instance.quotes.write_empty(MEXC_FUTURES, 0)
        market.step(tracker, 9)
        market.spread(0, 40.0)
        market.step(tracker)
    assert [("OPEN", "0", "")] == market.kinds()


def test_a_busy_slot_gives_no_row_and_goes_on(market):
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker)
    market.hold(OKX_SPOT, 0)
    market.step(tracker, 3)
    market.spread(0, 40.0)
    market.step(tracker)
    assert ["00.200000", "01.000000"] == [r["time"][17:26] for r in market.snapshots()]
    assert 1 == len(market.events())


def test_a_record_that_waited_long_opens_and_expires(market):
    """The tracker was away for longer than a track lives."""
    market.signal(0, 40.0)
    market.now += 100 * S
    tracker = market.started()
    market.step(tracker)
    assert [("OPEN", "0", ""), ("GAP", "0", "LATE"), ("CLOSE", "0", "EXPIRED")] == market.kinds()
    opened, gap, close = market.events()
    assert "2026-11-20T12:00:00.000000Z" == opened["time"]
    assert "100.200000" == gap["gap_s"]
    assert "100.200000" == close["duration_s"]


def test_a_pause_is_one_gap_and_not_many_ticks(market):
    tracker = market.started(tracker__expire_after_s=10_000.0)
    market.signal(0, 40.0)
    market.step(tracker, 5)
    market.now += 600 * S
    market.step(tracker, 2)
    assert [("OPEN", "0", ""), ("GAP", "0", "LATE")] == market.kinds()
    assert "600.200000" == market.events()[1]["gap_s"]
    assert 7 == len(market.snapshots())
    assert (7, 3000) == tuple(market.counters()[c] for c in ("ticks", "ticks_skipped"))


def test_funding_stands_beside_net_in_every_row(market):
    """Of the perpetual, as of each row, and empty once it is paid."""
    tracker = market.started()
    market.signal(0, 40.0)
    tracker.poll(market.now)  # nothing is known yet
    market.fund(0, 0.25)
    market.fund(1, -1.5, for_ns=450 * MS)
    market.step(tracker)
    market.signal(1, 40.0)
    market.step(tracker, 2)
    market.spread(0, 0.0)
    market.fund(0, 1.0)
    market.step(tracker)
    assert [("0", "OPEN", ""), ("1", "OPEN", "-1.5000"), ("0", "CLOSE", "1.0000")] == [
        (e["symbol_id"], e["event"], e["funding_bps"]) for e in market.events()
    ]
    rows = [(s["funding_bps"], s["net_bps"]) for s in market.snapshots()]
    of_0 = [("0.25", "30.00")] * 3 + [("1.00", "-10.00")]
    assert sorted([*of_0, ("-1.50", "30.00"), *[("", "30.00")] * 2]) == sorted(rows)


def test_a_burst_of_signals_keeps_its_order(market):
    tracker = market.started()
    for symbol in range(64):
        market.signal(symbol, 20.0 + symbol)
    market.step(tracker)
    assert [str(n) for n in range(64)] == [e["sequence"] for e in market.events()]
    assert SYMBOLS == [e["symbol"] for e in market.events()]
    assert {(n, active.TRACKED) for n in range(64)} == set(market.instance.active.not_free())
    assert 64 == len(market.snapshots())
    assert 128 == market.counters()["rows"]


def test_a_direction_without_fees_is_followed_without_net(market):
    """A record of an engine that had another config."""
    tracker = market.tracker(tracker__expire_after_s=1.0)
    tracker._fees_bps = lambda edge: math.nan
    tracker.recover(market.now)
    market.signal(0, -50.0)
    market.step(tracker, 5)
    assert ("", "") == (market.events()[0]["net_bps"], market.events()[0]["fees_bps"])
    assert "EXPIRED" == market.events()[1]["reason"]
    assert ("-50.00", "") == tuple(market.snapshots()[0][c] for c in ("gross_bps", "net_bps"))


def test_a_symbol_without_a_name_is_followed(market):
    tracker = market.tracker()
    tracker._rows.symbols = ["ONE"]
    tracker.recover(market.now)
    market.signal(5)
    market.step(tracker)
    assert ("", "5") == tuple(market.events()[0][c] for c in ("symbol", "symbol_id"))


def test_a_hostile_name_breaks_no_row(market):
    tracker = market.tracker()
    tracker._rows.symbols = ['A,"\n#B']
    tracker.recover(market.now)
    market.signal(0)
    market.step(tracker)
    assert "A____B" == market.events()[0]["symbol"]


def test_a_signal_of_an_edge_nobody_knows_waits_for_lists_that_have_it(make_instance, market):
    wide = make_instance(n_sources=8, n_symbols=64, n_edges=2048, force=True)
    wide.ring.push(2000, market.now, market.now, market.now, 100.0, BID_40, 1.0, 1.0)
    market.instance = wide
    tracker = market.started()
    tracker.poll(market.now)
    assert (1, []) == (wide.ring.queued, market.events())
    newer = [*EDGES, Edge(2000, 0, OKX_SPOT, 2, MEXC_FUTURES, 2)]
    tracker.relist(SYMBOLS, newer, {}, market.now)
    tracker.poll(market.now)
    assert ["PEPE-USDT"] == [row["symbol"] for row in market.events()]
    wide.ring.push(2001, market.now, market.now, market.now, 100.0, BID_40, 1.0, 1.0)
    tracker.poll(market.now)
    with pytest.raises(Halt, match="edge 2001, expected one of the 1281 of the lists"):
        tracker.poll(market.now + 11 * S)
    assert 1 == wide.ring.queued


def test_two_records_of_one_pair_never_share_it(market):
    """Only where files were edited under a running instance."""
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker)
    market.instance.ring.push(0, market.now, market.now, market.now, 100.0, BID_40, 4.0, 3.0)
    market.step(tracker)
    assert [("OPEN", "0", ""), ("OPEN", "1", ""), ("CLOSE", "0", "LOST")] == market.kinds()
    assert active.TRACKED == market.state(0)
    market.spread(0, 0.0)
    market.step(tracker)
    assert ("CLOSE", "1", "CONVERGED") == market.kinds()[-1]
    assert active.FREE == market.state(0)


# -- the grid


def test_ticks_stand_on_multiples_of_the_grid(market):
    tracker = market.tracker(tracker__grid_ms=200.0)
    assert START_NS + 200 * MS == tracker.next_tick_ns(START_NS)
    assert START_NS + 200 * MS == tracker.next_tick_ns(START_NS + 199_999_999)
    assert START_NS + 400 * MS == tracker.next_tick_ns(START_NS + 200 * MS)


def test_skipped_ticks_are_counted(market):
    tracker = market.started()
    for slot in (1, 2, 4, 5, 105):
        tracker.tick(START_NS + slot * 200 * MS + 3 * MS)
    counters = market.counters()
    assert (5, 1 + 99) == (counters["ticks"], counters["ticks_skipped"])


def test_three_hours_of_ticks_do_not_drift(market):
    """Scenario 49.

    Ticks come 0 to 199 ms late; 54,000 slots, one row each, in the files of their hours.
    """
    tracker = market.started(tracker__expire_after_s=10_800.0)
    market.beating = False  # done here: the clock is late
    market.signal(0, 40.0)
    due = START_NS
    for n in range(1, 54_001):
        due = tracker.next_tick_ns(due + (n * 7919 % 200) * MS)
        assert START_NS + n * 200 * MS == due
        late = due + ((n + 1) * 7919 % 200 * MS if n < 54_000 else 0)
        if n % 5 == 1:
            market.now = late
            market.instance.health.beat(OKX_SPOT, late)
            market.instance.health.beat(MEXC_FUTURES, late)
        if n % 1_000 == 1:  # or the quotes are older than any may be
            market.spread(0, 40.0)
        tracker.tick(late)
    counters = market.counters()
    assert (54_000, 0) == (counters["ticks"], counters["ticks_skipped"])
    assert "EXPIRED" == market.events()[1]["reason"]
    assert "10800.000000" == market.events()[1]["duration_s"]
    assert [17_999, 18_000, 18_000, 1] == [
        len(path.read_bytes().splitlines()) - 2
        for path in sorted(market.folder.glob("snapshots-20261120-*.csv"))
    ]


# -- files


def test_rows_go_into_the_files_of_their_own_day_and_hour(market):
    """Scenario 29."""
    market.now += 12 * 3600 * S - 300 * MS
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker, 2)
    market.now += 50 * MS
    market.signal(1, 40.0)
    market.step(tracker, 3)
    market.spread(0, 0.0)
    market.step(tracker)
    names = sorted(path.name for path in market.folder.iterdir())
    assert ["signals-20261120.csv", "signals-20261121.csv", "snapshots-20261120-23.csv",
            "snapshots-20261121-00.csv"] == names  # fmt: skip
    assert [("OPEN", "23:59:59.700000"), ("OPEN", "00:00:00.050000"),
            ("CLOSE", "00:00:00.800000")] == [
        (e["event"], e["time"][11:26]) for e in market.events()]  # fmt: skip


def test_an_open_of_yesterday_goes_into_yesterdays_file(market):
    market.now += 12 * 3600 * S - 1 * MS
    tracker = market.started()
    market.signal(0, 40.0)
    market.now += 10 * MS
    market.signal(1, 40.0)
    tracker.poll(market.now)
    for day, symbol in (("20261120", "0"), ("20261121", "1")):
        rows = (market.folder / f"signals-{day}.csv").read_text().splitlines()
        assert 3 == len(rows)
        assert symbol == rows[2].split(",")[SIGNALS.names.index("symbol_id")]


def test_a_foreign_file_in_the_way_stops_the_tracker(market):
    tracker = market.started()
    (market.folder / "snapshots-20261120-12.csv").write_text("a,b\n1,2\n")
    market.signal(0, 40.0)
    with pytest.raises(BadData, match=r"snapshots-20261120-12\.csv: begins 'a,b'"):
        market.step(tracker)
    assert 1 == len(market.events())


def test_close_leaves_whole_files_and_open_tracks(market):
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker)
    market.signal(1, 40.0)
    tracker.close(market.now)  # what waits in the ring is written still
    assert [("OPEN", "0", ""), ("OPEN", "1", "")] == market.kinds()
    assert active.TRACKED == market.state(0) == market.state(1)


@pytest.mark.parametrize(("policy", "signals", "snapshots"),
                         [("never", 0, 0), ("open_close", 1, 0), ("always", 1, 1)])  # fmt: skip
def test_the_fsync_policy_is_kept(market, policy, signals, snapshots):
    tracker = market.started(tracker__fsync=policy)
    market.signal(0, 40.0)
    market.step(tracker)
    assert (signals, snapshots) == (tracker._signals.unsynced, tracker._snapshots.unsynced)
    assert bool(signals) == tracker.unsynced
    tracker.sync()
    assert not tracker.unsynced


# -- with the engine


def test_the_engine_signals_a_freed_pair_again(market):
    """Nothing but the tracker's mark makes the engine look: no sweep, no new quote."""
    i = market.instance
    index = Pairs(8, 64, [(0, OKX_SPOT, MEXC_FUTURES)])
    index.compare(0, 0)
    engine = Engine(i.quotes, i.dirty, i.ring, i.active, i.health, i.control, index, sweep_s=0.0)
    engine.set_rule(0, FEES_BPS, 15.0, 2.0)
    tracker = market.started()
    market.beat()
    market.spread(0, 40.0)
    i.dirty.mark(OKX_SPOT, 0)
    assert 1 == engine.turn(market.now)
    market.step(tracker)
    market.spread(0, 0.0)
    market.step(tracker)  # CONVERGED
    market.spread(0, 40.0)  # nobody marks this
    assert 1 == engine.turn(market.now)
    market.step(tracker)
    assert [("OPEN", "0", ""), ("CLOSE", "0", "CONVERGED"), ("OPEN", "1", "")] == market.kinds()


def test_files_since_the_day_of_the_oldest_open_row_are_needed(market):
    market.now += 12 * 3600 * S - 300 * MS

    def first_needed(tracker):
        days = ("20261119", "20261120", "20261121")
        assert not any(tracker._needed(SNAPSHOTS, f"{day}-10") for day in days)
        return next((day for day in days if tracker._needed(SIGNALS, day)), "")

    tracker = market.started()
    assert "" == first_needed(tracker)
    market.signal(0, 40.0)
    market.step(tracker, 10)  # past midnight
    market.signal(1, 40.0)
    market.step(tracker)
    assert "20261120" == first_needed(tracker)
    assert "20261120" == first_needed(market.started())
    market.spread(0, 0.0)
    market.step(tracker)
    assert "20261121" == first_needed(tracker)
