"""The simulated market with pairs in USDC: listed as each venue does, at prices that fit."""

from urllib.parse import parse_qsl

import pytest

from known import LATER, SOURCE_BY_NAME, SOURCES, without_texts
from spreadscan.sim import Market
from spreadscan.sim.pages import MOST_ROWS, Pages
from spreadscan.types import Instrument
from spreadscan.venues import VENUES
from spreadscan.venues.base import ListPages

S = 1_000_000_000
TIMES = [t * S for t in (0, 100, 333, 700, 1_500)]


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(seed=1, also=LATER, usdc=True)


def index_of(market: Market, source: str) -> dict[str, int]:
    rows = market.instruments[SOURCE_BY_NAME[source].id]
    return {row.symbol: i for i, row in enumerate(rows)}


def test_pairs_in_usdt_are_listed_as_without(market: Market) -> None:
    without = Market(seed=1, also=LATER)
    assert {"USDT"} == {row.quote for rows in without.instruments for row in rows}
    for source, rows in zip(SOURCES, without.listings, strict=True):
        more = market.listings[source.id][len(rows) :]
        assert rows == market.listings[source.id][: len(rows)]
        symbols = [row.instrument.symbol for row in more]
        assert (source.kind == "spot") == ("USDC-USDT" in symbols)
        in_usdc = {symbol for symbol in symbols if symbol.endswith("-USDC")}
        assert len(in_usdc) == len(symbols) - (source.kind == "spot")
        if source.name == "gate-futures":
            assert not in_usdc
        else:
            assert {"BTC-USDC", "ETH-USDC"} < in_usdc


def listed(pages: Pages, name: str) -> list[Instrument]:
    venue = VENUES[name]
    found: list[Instrument] = []
    asked = ListPages(venue)
    for request in asked:
        page = venue.instruments(pages.get(name, dict(parse_qsl(request.query))))
        asked.take(page)
        found += page.instruments
    return found


@pytest.mark.parametrize("name", VENUES)
def test_a_parser_finds_exactly_the_pairs_of_both_currencies(market: Market, name: str) -> None:
    found = listed(Pages(market.instruments, 1_795_132_800_000, MOST_ROWS), name)
    ours = market.instruments[SOURCE_BY_NAME[name].id]
    assert len(ours) == len(found)
    assert {i.venue_symbol: i for i in ours} == {i.venue_symbol: i for i in without_texts(found)}


def mid(market: Market, source: str, symbol: str, t_ns: int) -> float:
    touch = market.touch(SOURCE_BY_NAME[source].id, index_of(market, source)[symbol], t_ns)
    assert touch is not None
    assert touch.bid_px < touch.ask_px
    return (touch.bid_px + touch.ask_px) / 2


def test_a_price_in_usdc_is_that_in_usdt_over_that_of_usdc() -> None:
    market = Market(seed=1, also=LATER, usdc=True, dislocation_chance=0.0)
    for t_ns in TIMES:
        usdc = mid(market, "okx-spot", "USDC-USDT", t_ns)
        assert 1.0002 == pytest.approx(usdc, abs=3e-4)
        for source in VENUES:
            for coin in ("BTC", "PEPE") if source != "gate-futures" else ():
                there = mid(market, source, f"{coin}-USDC", t_ns)
                same = mid(market, source, f"{coin}-USDT", t_ns) / usdc
                assert there == pytest.approx(same, rel=1.5e-3), (source, coin)
