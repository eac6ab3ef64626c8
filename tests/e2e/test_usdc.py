"""The whole scanner with pairs in USDC: subscribed, decoded, audited, funded, signalled, filed."""

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
import spreadcore

from e2e import oracle
from e2e.conftest import SEED, Scanner, Simulators, spreadscan, until
from known import EIGHT_BY_NAME
from spreadscan.clock import now_ns
from spreadscan.lists import Edge, load
from spreadscan.sim.market import Market

pytestmark = pytest.mark.e2e

RATE = 3_000.0
FREEZE_S = 15.0  # a market that stands still confirms nothing: signals come before
NAMES = ("binance-spot", "bybit-futures", "mexc-futures", "okx-spot")
BOTH = {"BTC-USDT", "BTC-USDC", "PEPE-USDT", "PEPE-USDC"}
SETTINGS = (
    'universe.quotes=["USDT", "USDC"]',
    'universe.include=["BTC-*", "PEPE-*", "USDC-*"]',
    "directions.spot->perpetual.convert=true",
    "directions.bybit-futures->mexc-futures.convert=true",
    "engine.threshold_bps=-60",  # so that every edge signals
    "engine.converge_bps=-500",
    "audit.every_s=1",
    "audit.funding_every_s=5",
)
ARGUMENTS = [word for setting in SETTINGS for word in ("--set", setting)]


def test_pairs_in_usdc_go_all_the_way(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    sources = [word for name in NAMES for word in ("--source", name)]
    sim = simulators("--usdc", "--freeze-after", str(FREEZE_S), *sources, rate=RATE)
    done = spreadscan("discover", "-c", str(sim.config), *ARGUMENTS, cwd=sim.config.parent)
    assert 0 == done.returncode, done.stderr
    scan = scanner(sim, *ARGUMENTS, layout="single")
    lists = load(scan.folder / "generated")
    assert set(lists.names) == BOTH | {"USDC-USDT"}
    edges = {str(edge.id): edge for edge in lists.edges if edge.in_use}
    # two spot sources, two perpetual ones, and one perpetual for another; two coins in two
    # currencies, each bought for each
    assert 5 * 2 * 4 == len(edges)
    assert 5 * 2 * 2 == len([edge for edge in edges.values() if edge.converted])
    perpetuals = EIGHT_BY_NAME["bybit-futures"].id, EIGHT_BY_NAME["mexc-futures"].id
    between = [e for e in edges.values() if (e.buy[0], e.sell[0]) == perpetuals]
    assert 2 * 4 == len(between)

    def opened() -> dict[str, dict[str, str]]:
        rows = oracle.event_rows(scan.folder / "data")
        return {row["edge_id"]: row for row in rows if row["event"] == "OPEN"}

    until(lambda: opened().keys() == edges.keys(), "a signal of every edge")
    (btc,) = (
        row for row in opened().values()
        if ("BTC-USDC", "okx->bybit", "") == (row["symbol"], row["direction"], row["converted"])
    )  # fmt: skip
    assert ("USDC", "BTC-USDC", "BTCPERP") == (
        btc["quote"],
        btc["buy_listing"],
        btc["sell_listing"],
    )

    time.sleep(max(0.0, FREEZE_S + 1.5 - (now_ns() - sim.t0_boottime_ns) / 1e9))
    market = Market(SEED, RATE, FREEZE_S, usdc=True)
    with spreadcore.attach(scan.name) as table:
        quotes, funding = table.snapshot(), table.funding()
    for name in NAMES:
        source = EIGHT_BY_NAME[name]
        rows = {row.venue_symbol: i for i, row in enumerate(market.instruments[source.id])}
        for row in lists.sources[name].subscribed:
            touch = market.touch(source.id, rows[row.instrument.venue_symbol], int(FREEZE_S * 1e9))
            assert touch is not None
            slot = quotes[row.symbol_id, source.id]
            for side, value in zip(("bid_px", "bid_qty", "ask_px", "ask_qty"), touch, strict=True):
                assert value == pytest.approx(slot[side], rel=1e-12), (name, row.symbol, side)
            known = not math.isnan(funding[row.symbol_id, source.id]["rate"])
            assert known == (source.kind == "perpetual"), (name, row.symbol)
    audit = scan.status()["audit"]["sources"]
    n_pairs = {name: len(BOTH) + name.endswith("-spot") for name in NAMES}  # and USDC-USDT
    assert n_pairs == {name: audit[name]["agreed"] for name in NAMES}
    check_conversions(scan, opened(), edges, quotes)
    assert 0 == scan.stop()


def check_conversions(
    scan: Scanner, opened: dict[str, dict[str, str]], edges: dict[str, Edge], quotes: Any
) -> None:
    """Hold the last snapshot of every track against the market, which does not move any more."""
    last = {}
    for path in sorted((scan.folder / "data").glob("snapshots-*.csv")):
        for row in oracle.read_csv(path):
            last[row["track_id"]] = row
    rates = []
    for number, row in opened.items():
        edge, seen = edges[number], last[row["track_id"]]
        sides = {}
        for leg, slot in (("buy", edge.buy), ("sell", edge.sell)):
            own = quotes[slot[1], slot[0]]
            rate = quotes[edge.rate_row, edge.rate_source]
            factors = (rate["bid_px"], rate["ask_px"]) if leg == edge.converted else (1.0, 1.0)
            sides[leg] = own["bid_px"] * factors[0], own["ask_px"] * factors[1]
        assert sides["buy"] == (float(seen["buy_bid"]), float(seen["buy_ask"]))
        assert sides["sell"] == (float(seen["sell_bid"]), float(seen["sell_ask"]))
        gross = (sides["sell"][0] / sides["buy"][1] - 1) * 1e4
        assert gross == pytest.approx(float(seen["gross_bps"]), abs=0.006)
        if edge.converted:
            assert ("USDT", "BTC" in row["symbol"]) == (row["quote"], "BTC" in row["sell_listing"])
            rates.append((row["rate_source"], row["rate_listing"]))
    assert {("binance-spot", "USDCUSDT"), ("okx-spot", "USDC-USDT")} == set(rates)
