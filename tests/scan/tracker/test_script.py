"""A market with known spreads gives exactly these records: one story for each end.

Every spread opens at t1 with 40 bps, peaks at t2 with 70 and converges, expires or is lost at t3;
fees are 10 bps. Expected values are worked out here by hand.
"""

import msgspec
import pytest
from spreadcore import active
from spreadcore.engine import Engine

from pairs import Pairs
from scan.tracker.conftest import EDGES, MEXC_FUTURES, OKX_SPOT, SYMBOLS, S, listed

T1 = "2026-11-20T12:00:00.000000Z"


def play(market, steps, **settings):
    """(ticks, gross_bps, buy coins) in turn: set the prices, then let so many ticks pass."""
    tracker = market.started(tracker__lost_after_s=2.0, **settings)
    market.signal(0, 40.0)
    for ticks, gross_bps, coins in steps:
        if gross_bps is None:
            market.instance.quotes.write_empty(MEXC_FUTURES, 0)
        else:
            market.spread(0, gross_bps)
            market.quote(6, 0, 99.9, 100.0, coins)  # size at the ask: one more
        market.step(tracker, ticks)
    opened, close = market.events()
    held(opened, {
        "event": "OPEN", "time": T1, "gross_bps": "40.0000", "net_bps": "30.0000",
        "buy_notional": "400.00", "sell_notional": "301.20",
    })  # fmt: skip
    assert "CLOSE" == close["event"]
    return close


# 5 looks at 30 net, 10 at 60 net and less size, 5 at 15 net
UP_AND_DOWN = [(5, 40.0, 2.0), (10, 70.0, 0.5), (5, 25.0, 2.0)]
COMMON = {
    "peak_net_bps": "60.0000", "peak_time": "2026-11-20T12:00:01.200000Z",
    "peak_after_s": "1.200000", "peak_notional": "150.00", "min_notional": "150.00",
    "skipped": "0",
}  # fmt: skip
SUM_NET, SUM_SIZE = 5 * 30 + 10 * 60 + 5 * 15, 5 * 300.0 + 10 * 150 + 5 * 300


def held(close, expected):
    assert {name: close[name] for name in expected} == expected


def test_it_converges(market):
    close = play(market, [*UP_AND_DOWN, (1, 11.0, 2.0)])
    assert active.FREE == market.state()
    held(close, COMMON | {
        "reason": "CONVERGED", "time": "2026-11-20T12:00:04.200000Z", "duration_s": "4.200000",
        "net_bps": "1.0000", "profit_s": "4.200000", "looks": "21", "tradable_looks": "21",
        "mean_net_bps": f"{(SUM_NET + 1) / 21:.4f}", "buy_notional": "300.00",
        "mean_notional": f"{(SUM_SIZE + 300) / 21:.2f}", "sell_notional": f"{3 * 100.11:.2f}",
    })  # fmt: skip


def test_it_converges_at_a_loss_which_is_no_time_in_profit(market):
    close = play(market, [*UP_AND_DOWN, (1, 5.0, 2.0)])
    held(close, COMMON | {"reason": "CONVERGED", "net_bps": "-5.0000", "profit_s": "4.000000",
                          "mean_net_bps": f"{(SUM_NET - 5) / 21:.4f}"})  # fmt: skip


def test_it_expires(market):
    close = play(market, UP_AND_DOWN, tracker__expire_after_s=4.0)
    assert active.REARM == market.state()
    held(close, COMMON | {
        "reason": "EXPIRED", "time": "2026-11-20T12:00:04.000000Z", "duration_s": "4.000000",
        "net_bps": "15.0000", "profit_s": "4.000000", "looks": "20", "tradable_looks": "20",
        "mean_net_bps": f"{SUM_NET / 20:.4f}", "mean_notional": f"{SUM_SIZE / 20:.2f}",
    })  # fmt: skip


def test_it_is_lost(market):
    close = play(market, [*UP_AND_DOWN, (11, None, 2.0)])
    assert active.FREE == market.state()
    held(close, COMMON | {
        "reason": "LOST", "time": "2026-11-20T12:00:06.200000Z", "duration_s": "6.200000",
        "net_bps": "", "profit_s": "4.000000", "looks": "31", "tradable_looks": "20",
        "mean_net_bps": f"{SUM_NET / 20:.4f}", "mean_notional": f"{SUM_SIZE / 20:.2f}",
        "buy_notional": "300.00", "sell_notional": "",
    })  # fmt: skip


def test_late_ticks_are_skipped_and_neither_looked_at_nor_in_profit(market):
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker, 5)
    market.now += S  # five ticks nobody made
    market.step(tracker, 5)
    market.spread(0, 11.0)
    market.step(tracker)
    held(market.events()[-1], {
        "duration_s": "3.200000", "looks": "11", "skipped": "5", "profit_s": "2.200000",
        "reason": "CONVERGED",
    })  # fmt: skip
    assert 5 == market.counters()["ticks_skipped"]


@pytest.mark.parametrize("again", [25.0, 2.0])
def test_an_expired_spread_signals_again_only_once_it_was_gone(market, again):
    """The engine's part of it: the byte is freed below converge_bps and no sooner."""
    i = market.instance
    index = Pairs(8, 64, [(0, 6, MEXC_FUTURES)])
    index.compare(0, 0)
    engine = Engine(i.quotes, i.dirty, i.ring, i.active, i.health, i.control, index, sweep_s=0.0)
    engine.set_rule(0, 10.0, 15.0, 2.0)
    play(market, UP_AND_DOWN, tracker__expire_after_s=4.0)
    for gross_bps in (40.0, 12.5, 10 + again, 40.0):
        market.spread(0, gross_bps)
        i.dirty.mark(MEXC_FUTURES, 0)
        market.beat()
        engine.turn(market.now)
    assert active.REARM == market.state()
    for gross_bps, state in ((11.9, active.FREE), (40.0, active.SIGNALLED)):
        market.spread(0, gross_bps)
        i.dirty.mark(MEXC_FUTURES, 0)
        engine.turn(market.now)
        assert state == market.state()


@pytest.mark.parametrize("gone", [OKX_SPOT, MEXC_FUTURES], ids=["spot leg", "perpetual leg"])
def test_it_is_delisted(market, gone):
    """Scenario 39: a list without the pair at one leg; its neighbour stays."""
    tracker = market.started()
    for symbol in (0, 1):
        market.signal(symbol, 40.0)
    market.step(tracker, 5)
    market.spread(0, 70.0)
    market.step(tracker, 10)
    both = {OKX_SPOT: listed(0, 1, 7), MEXC_FUTURES: listed(0, 1)}
    tracker.relist(SYMBOLS, EDGES, both, market.now)
    assert 2 == len(market.events())
    tracker.relist(SYMBOLS, EDGES, both | {gone: listed(1)}, market.now)
    market.step(tracker, 3)
    close = market.events()[-1]
    assert 3 == len(market.events())
    held(close, {
        "event": "CLOSE", "reason": "DELISTED", "symbol": "BTC-USDT", "duration_s": "3.000000",
        "peak_net_bps": "60.0000", "looks": "15", "buy_px": "", "net_bps": "",
    })  # fmt: skip
    assert (active.FREE, active.TRACKED) == (market.state(0), market.state(1))
    counters = market.instance.health.counters(tracker.role)
    assert (1, 1) == (counters["delisted"], counters["open"])
    assert 15 == len([r for r in market.snapshots() if r["track_id"] == close["track_id"]])


def test_a_source_that_is_not_in_the_set_is_not_judged(market):
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker)
    tracker.relist(SYMBOLS, EDGES, {OKX_SPOT: listed(0)}, market.now)
    market.step(tracker)
    assert ["OPEN"] == [event["event"] for event in market.events()]


def test_a_signal_of_before_the_new_lists_is_delisted_when_it_turns_up(market):
    tracker = market.started()
    tracker.relist(SYMBOLS, EDGES, {OKX_SPOT: listed(1)}, market.now)
    market.signal(0, 40.0)
    market.signal(1, 40.0)
    market.step(tracker)
    events = [(e["event"], e["reason"], e["symbol"]) for e in market.events()]
    opened = [("OPEN", "", "BTC-USDT"), ("OPEN", "", "ETH-USDT")]
    assert [*opened, ("CLOSE", "DELISTED", "BTC-USDT")] == events
    assert (active.FREE, active.TRACKED) == (market.state(0), market.state(1))


def test_a_new_pair_has_its_name(market):
    tracker = market.started()
    tracker.relist([*SYMBOLS[:5], "NEW-USDT"], EDGES, {}, market.now)
    market.signal(5, 40.0)
    market.step(tracker)
    assert ["NEW-USDT"] == [e["symbol"] for e in market.events()]


def test_all_rows_name_both_listings_as_they_were_at_open(market):
    """By the venues' own names, also after a restart that knows other lists, or none."""
    names = {
        "quote": "USDC", "edge_id": "0", "buy_source": "okx-spot", "buy_listing": "BTC-USDC",
        "sell_source": "mexc-futures", "sell_listing": "BTC_USDT_",
    }  # fmt: skip
    tracker = market.started()
    spots, perps = listed(0, quote="USDC"), listed(0, 1, between="_")
    perps[0] = msgspec.structs.replace(perps[0], venue_symbol="BTC_USDT,")
    tracker.relist(SYMBOLS, EDGES, {OKX_SPOT: spots, MEXC_FUTURES: perps}, market.now)
    market.signal(0, 40.0)
    market.step(tracker, 2)
    tracker.close(market.now)
    tracker = market.started()
    tracker.relist(SYMBOLS, EDGES, {}, market.now)
    market.signal(1, 40.0)
    market.spread(0, 11.0)
    market.step(tracker)
    opened, gap, second, close = market.events()
    assert ["OPEN", "GAP", "OPEN", "CLOSE"] == [e["event"] for e in market.events()]
    for row in (opened, gap, close):
        held(row, names)
    held(second, names | {"edge_id": "1", "quote": "", "buy_listing": "", "sell_listing": ""})


def test_what_was_delisted_meanwhile_ends_at_the_next_start(market):
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker)
    tracker.close(market.now)
    tracker = market.started()
    tracker.relist(SYMBOLS, EDGES, {OKX_SPOT: {}}, market.now)
    events = [(e["event"], e["reason"]) for e in market.events()]
    assert [("OPEN", ""), ("GAP", "DOWN"), ("CLOSE", "DELISTED")] == events
    assert active.FREE == market.state()


def test_what_converts_an_open_spread_is_delisted_with_it(market):
    tracker = market.started()
    edges = [EDGES[0]._replace(converted="sell", rate_source=0, rate_row=9), *EDGES[1:]]
    tracker.relist(SYMBOLS, edges, {0: listed(9)}, market.now)
    market.signal(0, 40.0)
    market.step(tracker)
    tracker.relist(SYMBOLS, edges, {0: listed(8)}, market.now)
    assert ["", "DELISTED"] == [e["reason"] for e in market.events()]


def test_a_pair_that_expired_waits_no_more_once_it_is_delisted(market):
    """Its id may be another pair's one day, whose first spread must not be passed over."""
    tracker = market.started()
    for symbol in (0, 1, 2):
        assert market.instance.active.move(symbol, active.FREE, active.REARM)
    tracker.relist(SYMBOLS, EDGES, {OKX_SPOT: listed(0, 2), MEXC_FUTURES: listed(0, 1)}, market.now)
    assert [active.REARM, active.FREE, active.FREE] == [market.state(n) for n in (0, 1, 2)]
    tracker.relist(SYMBOLS, EDGES, {OKX_SPOT: listed(0)}, market.now)  # the other is not judged
    assert active.REARM == market.state(0)


# spot bid, its size, ask, its size; perpetual likewise: as exchanges have them
REAL_BOOKS = [
    (67123.45, 0.01234, 67123.46, 2.5011, 67410.1, 8.452, 67410.2, 0.35),
    (3521.87, 1.2034, 3521.88, 14.7, 3536.42, 22.018, 3536.43, 3.1),
    (171.23, 35.12, 171.24, 210.904, 171.95, 81.0, 171.96, 402.0),
    (0.61234, 1520.3, 0.61241, 822.0, 0.6149, 12040.0, 0.615, 95.0),
    (0.16789, 40213.0, 0.16791, 18220.5, 0.16861, 92100.0, 0.16862, 4410.0),
    (1.234e-05, 81234567.0, 1.235e-05, 5320000.0, 1.2403e-05, 93410000.0, 1.2407e-05, 120000.0),
    (0.00002871, 4410222.0, 0.00002873, 93210.0, 0.0000288, 812000.0, 0.00002881, 64000.0),
    (7.912, 320.11, 7.915, 84.2, 7.948, 1200.5, 7.949, 33.0),
    (24.5571, 18.04, 24.5622, 105.3, 24.6711, 61.0, 24.6802, 222.0),
    (0.0391, 71234.9, 0.03911, 40000.0, 0.039288, 150000.0, 0.039291, 23150.0),
]


def test_an_hour_of_a_hundred_tracks_stays_below_270_mb(market):
    tracker = market.started(tracker__expire_after_s=1000.0)
    quotes = market.instance.quotes
    for symbol, (bid, bid_qty, ask, ask_qty, *perp) in enumerate(REAL_BOOKS):
        market.signal(symbol)
        market.fund(symbol, 0.8312)
        quotes.write(6, symbol, bid, ask, bid_qty, ask_qty, 0, market.now)
        quotes.write(MEXC_FUTURES, symbol, perp[0], perp[2], perp[1], perp[3], 0, market.now)
    market.step(tracker, 100)  # ages grow to five digits
    (path,) = market.folder.glob("snapshots-*")
    size = path.stat().st_size
    assert 100 * len(REAL_BOOKS) == len(market.snapshots())
    assert {"0.83"} == {row["funding_bps"] for row in market.snapshots()}
    assert size / (100 * len(REAL_BOOKS)) * 100 * 5 * 3600 < 270e6
