"""Discovery of a market that has pairs in USDC, too, as universe.quotes asks for them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from known import SOURCE_BY_NAME, SOURCES
from scan.discovery.kit import config_for, run, simulated, with_listings
from spreadscan.discovery.discover import discover
from spreadscan.errors import VenueDown
from spreadscan.lists import Lists, load
from spreadscan.sim import Market
from spreadscan.types import Instrument

BOTH = ("USDT", "USDC")
NAMES = tuple(s.name for s in SOURCES)


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(seed=1, rate=10_000.0, also=NAMES, usdc=True)


def discovered(market: Market, folder: Path, *quotes: str) -> Lists:
    async def main() -> None:
        async with simulated(market) as server:
            config = config_for(folder, server, include=("BTC-*", "PEPE-*"), sources=NAMES)
            universe = msgspec.structs.replace(config.universe, quotes=quotes)
            await discover(msgspec.structs.replace(config, universe=universe))

    run(main())
    return load(folder / "generated")


def symbols(lists: Lists, source: str) -> set[str]:
    return {row.instrument.venue_symbol for row in lists.sources[source].subscribed}


def test_pairs_of_both_currencies_have_rows_and_edges_of_their_own(
    market: Market, tmp_path: Path
) -> None:
    first = discovered(market, tmp_path, "USDT")
    assert ("BTC-USDT", "PEPE-USDT") == first.names
    lists = discovered(market, tmp_path, *BOTH)  # adding one is enough
    assert (*first.names, "BTC-USDC", "PEPE-USDC") == lists.names
    assert {"BTCUSDT", "BTCPERP", "1000PEPEUSDT", "1000PEPEPERP"} == symbols(lists, "bybit-futures")
    assert {"BTC-USDT", "BTC-USDC", "PEPE-USDT", "PEPE-USDC"} == symbols(lists, "okx-spot")
    assert {"BTC_USDT", "PEPE_USDT"} == symbols(lists, "gate-futures")  # there are none in USDC
    assert {"valid"} == {row.state for rows in lists.sources.values() for row in rows.symbols}
    for source, counts in lists.n_listed.items():
        rows = market.instruments[SOURCE_BY_NAME[source].id]
        assert {quote: sum(row.quote == quote for row in rows) for quote in BOTH} == counts
    gate = SOURCE_BY_NAME["gate-futures"].id
    directions: list[set[int]] = [set(), set()]
    for edge in lists.edges:
        assert edge.buy_row == edge.sell_row  # both legs in one currency
        if edge.sell_source != gate and edge.buy_row in (0, 2):
            directions[edge.buy_row // 2].add(edge.direction)
    assert directions[0] == directions[1] != set()

    alone = discovered(market, tmp_path, "USDC")
    assert {2, 3} == {row.symbol_id for s in alone.sources.values() for row in s.symbols}
    assert (set(), {}) == (symbols(alone, "gate-futures"), alone.failed)


def but_five_in_usdc(rows: list[Instrument]) -> list[Instrument]:
    gone = [row for row in rows if row.quote == "USDC"][5:]
    return [row for row in rows if row not in gone]


def but_btc_usdt(rows: list[Instrument]) -> list[Instrument]:
    return [row for row in rows if row.symbol != "BTC-USDT"]


def test_a_list_that_lost_its_pairs_in_usdc_is_refused(market: Market, tmp_path: Path) -> None:
    discovered(market, tmp_path, *BOTH)
    change: dict[str, Any] = {"okx-spot": but_five_in_usdc}
    with pytest.raises(VenueDown, match="okx-spot lists 5 USDC pairs, expected at least"):
        discovered(with_listings(market, change), tmp_path, *BOTH)


def test_a_list_is_whole_where_it_has_the_majors_in_usdt(market: Market, tmp_path: Path) -> None:
    """Also where nothing in USDT is wanted of it: it is one list."""
    discovered(market, tmp_path, "USDC")
    cut: dict[str, Any] = {"okx-spot": but_btc_usdt}
    lists = discovered(with_listings(market, cut), tmp_path, "USDC")
    assert "but not BTC in USDT: expected every one of" in lists.failed["okx-spot"].why
    assert {"BTC-USDC", "PEPE-USDC"} == symbols(lists, "okx-spot")  # kept for now
