"""The whole scanner with pairs in USDC: subscribed, decoded, audited, funded, signalled, filed."""

import math
import time
from collections.abc import Callable

import pytest
import spreadcore

from e2e import oracle
from e2e.conftest import SEED, Scanner, Simulators, spreadscan, until
from known import EIGHT_BY_NAME
from spreadscan.clock import now_ns
from spreadscan.lists import load
from spreadscan.sim.market import Market

pytestmark = pytest.mark.e2e

RATE = 3_000.0
FREEZE_S = 7.0
NAMES = ("binance-spot", "bybit-futures", "mexc-futures", "okx-spot")
BOTH = {"BTC-USDT", "BTC-USDC", "PEPE-USDT", "PEPE-USDC"}
SETTINGS = (
    'universe.quotes=["USDT", "USDC"]',
    'universe.include=["BTC-*", "PEPE-*"]',
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
    assert set(lists.names) == BOTH
    n_edges = len([edge for edge in lists.edges if edge.in_use])
    assert 4 * len(BOTH) == n_edges  # two spot sources, two perpetual ones

    def opened() -> dict[tuple[str, str], dict[str, str]]:
        rows = oracle.event_rows(scan.folder / "data")
        return {
            (row["symbol"], row["direction"]): row for row in rows if row["event"] == "OPEN"
        }  # fmt: skip

    until(lambda: len(opened()) == n_edges, "a signal of every edge")
    btc = opened()["BTC-USDC", "okx->bybit"]
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
    assert {name: len(BOTH) for name in NAMES} == {name: audit[name]["agreed"] for name in NAMES}
    assert 0 == scan.stop()
