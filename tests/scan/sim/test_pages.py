"""What the simulated REST pages list is what the venues' own parsers keep of them."""

from urllib.parse import parse_qsl

import orjson
import pytest

from known import LATER, SOURCE_BY_NAME, SOURCES, without_texts
from spreadscan.errors import RequestRefused
from spreadscan.sim.market import Market
from spreadscan.sim.pages import PAGES, Pages, time_page, with_funding
from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.rows import Rows
from spreadscan.sim.pages.tickers.view import View
from spreadscan.sim.simtime import SimTime
from spreadscan.types import FundingRate, Instrument
from spreadscan.venues import VENUES

NOW_MS = 1_795_132_800_123


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(seed=1, also=LATER)


@pytest.fixture(scope="module")
def pages(market: Market) -> Pages:
    return Pages(market.instruments, NOW_MS)


@pytest.mark.parametrize("name", VENUES)
def test_a_parser_finds_exactly_the_universe(market: Market, pages: Pages, name: str) -> None:
    venue = VENUES[name]
    found: list[Instrument] = []
    skipped: dict[str, int] = {}
    cursor, n_pages = "", 0
    while cursor or not n_pages:
        request = venue.instruments_request(cursor)
        assert PAGES[name].instruments_path == request.path
        page = venue.instruments(pages.get(name, dict(parse_qsl(request.query)))).of(["USDT"])
        found += page.instruments
        for reason, n in page.skipped.items():
            skipped[reason] = skipped.get(reason, 0) + n
        cursor, n_pages = page.cursor, n_pages + 1
    by_symbol = {i.venue_symbol: i for i in found}
    assert len(found) == len(by_symbol)
    ours = market.instruments[SOURCE_BY_NAME[name].id]
    assert {i.venue_symbol: i for i in ours} == {i.venue_symbol: i for i in without_texts(found)}
    assert all(float(i.tick_text) == i.tick and float(i.lot_text) == i.lot_step for i in found)
    assert sum(skipped.values()) >= 3
    # what replay goes by, where no list says how large a contract is
    assert ("contracts" == venue.spec.sizes) == any(i.contract_size != 1.0 for i in found)
    assert (3 if name == "bybit-futures" else 1) == n_pages


def test_bybit_gives_the_pages_that_limit_and_cursor_ask_for(pages: Pages) -> None:
    ask = {"category": "linear", "limit": "50"}
    first = orjson.loads(pages.get("bybit-futures", ask))["result"]
    assert 50 == len(first["list"])
    assert "%3D" in first["nextPageCursor"]
    assert "&" not in first["nextPageCursor"]
    once = dict(parse_qsl(f"category=linear&limit=50&cursor={first['nextPageCursor']}"))
    second = orjson.loads(pages.get("bybit-futures", once))["result"]
    assert first["list"][-1]["symbol"] < second["list"][0]["symbol"]
    escaped_again = ask | {"cursor": first["nextPageCursor"]}
    with pytest.raises(RequestRefused, match="10001"):
        VENUES["bybit-futures"].instruments(pages.get("bybit-futures", escaped_again))


def test_bybit_default_page_is_500_and_spot_is_one_page(market: Market) -> None:
    pages = Pages(market.instruments, NOW_MS, page_rows=1_000)
    linear = orjson.loads(pages.get("bybit-futures", {"category": "linear"}))["result"]
    assert 394 < len(linear["list"]) <= 500
    assert "" == linear["nextPageCursor"]
    spot = orjson.loads(pages.get("bybit-spot", {"category": "spot", "limit": "10"}))["result"]
    assert len(spot["list"]) > 394
    assert "nextPageCursor" not in spot


def test_unknown_kinds_are_errors_inside_http_200(pages: Pages) -> None:
    for name in ("bybit-spot", "okx-spot"):
        with pytest.raises(RequestRefused):
            VENUES[name].instruments(pages.get(name, {}))


def funding(market: Market, name: str, query: dict[str, str], rates: list[FundingRate]) -> bytes:
    own = PAGES[name]
    if own.funded:
        body = Pages(market.instruments, NOW_MS).get(name, query)
        return with_funding(name, body, {rate.symbol: rate for rate in rates})
    if own.funding:
        return own.funding(query, rates, lambda symbol: 1.0, NOW_MS)
    views = {source.name: View(market, source.id, SimTime()) for source in SOURCES}
    page = own.tickers[own.funding_path](query, views, lambda: {r.symbol: r for r in rates}, NOW_MS)
    assert isinstance(page, Rows)
    return page.body()


@pytest.mark.parametrize("name", [name for name, venue in VENUES.items() if venue.funding])
def test_a_parser_finds_the_funding_of_every_perpetual(market: Market, name: str) -> None:
    """That of the market, as text or number; what is listed beside it is none of ours."""
    source_id, venue = SOURCE_BY_NAME[name].id, VENUES[name]
    now_ns = NOW_MS * 1_000_000
    rates = [market.funding(source_id, i, now_ns) for i in range(len(market.listings[source_id]))]
    assert venue.funding_request is not None
    assert venue.funding is not None
    paths = PAGES[name].funding_path, PAGES[name].instruments_path
    assert venue.funding_request.path == next(filter(None, paths))
    query = dict(parse_qsl(venue.funding_request.query))
    found = {rate.symbol: rate for rate in venue.funding(funding(market, name, query, rates))}
    assert {rate.symbol: rate for rate in rates} == {r.symbol: found[r.symbol] for r in rates}
    others = found.keys() - {rate.symbol for rate in rates}
    assert len(others) <= (6 if PAGES[name].funded else 1)


def test_funding_of_another_kind_is_an_error_inside_http_200(market: Market) -> None:
    okx, bybit = VENUES["okx-futures"], VENUES["bybit-futures"]
    assert okx.funding is not None
    assert bybit.funding is not None
    with pytest.raises(RequestRefused):
        okx.funding(funding(market, "okx-futures", {}, []))
    with pytest.raises(Refusal) as no:
        funding(market, "bybit-futures", {}, [])
    with pytest.raises(RequestRefused):
        bybit.funding(no.value.body)


@pytest.mark.parametrize("name", PAGES)
def test_time_pages_show_the_venue_clock(name: str) -> None:
    body = time_page(name, NOW_MS * 1_000_000 + 5)
    assert str(NOW_MS).encode() in body
    assert isinstance(orjson.loads(body), dict)
