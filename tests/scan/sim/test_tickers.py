"""Ticker and order book pages: MEXC's, which no official client reads, and wrong questions."""

from typing import Any

import aiohttp
import orjson
import pytest

from known import SOURCE_BY_NAME, SOURCES
from scan.sim.conftest import Lab
from spreadscan.sim import SimServer
from spreadscan.sim.pages import PAGES
from spreadscan.sim.weights import Weights

SPOT = SOURCE_BY_NAME["mexc-spot"].id
FUTURES = SOURCE_BY_NAME["mexc-futures"].id


async def get(session: aiohttp.ClientSession, url: str, **query: str) -> tuple[int, Any]:
    async with session.get(url, params=query) as answer:
        return answer.status, orjson.loads(await answer.read())


def test_mexc_shows_the_touch_of_its_market(lab: Lab) -> None:
    market = lab.still

    async def main() -> None:
        server = SimServer(market, sources=["mexc-spot", "mexc-futures"])
        async with lab.serving(server) as session:
            spot, futures = (server.endpoints()[f"mexc-{kind}"][0] for kind in ("spot", "futures"))
            rows = (await get(session, f"{spot}/api/v3/ticker/bookTicker"))[1]
            keys = ("bidPrice", "bidQty", "askPrice", "askQty")
            for i, row in enumerate(rows):
                book = market.quote(SPOT, i, 0)
                expected = book[1:5] if book else (0.0,) * 4  # as it shows a pair without a book
                assert expected == tuple(float(row[key]) for key in keys)
            one = market.instruments[FUTURES][0].venue_symbol
            book = market.quote(FUTURES, 0, 0)
            assert book is not None
            ticker = f"{futures}/api/v1/contract/ticker"
            rows = (await get(session, ticker))[1]["data"]
            assert len(market.instruments[FUTURES]) == len(rows)
            row = (await get(session, ticker, symbol=one))[1]["data"]
            assert (book.bid_px, book.ask_px) == (row["bid1"], row["ask1"])
            depth = f"{futures}/api/v1/contract/depth"
            levels = (await get(session, f"{depth}/{one}", limit="3"))[1]["data"]["asks"]
            assert (3, book.ask_px, book.ask_qty) == (len(levels), levels[0][0], levels[0][1])
            detail = f"{futures}/api/v1/contract/detail"
            assert one == (await get(session, detail, symbol=one))[1]["data"]["symbol"]
            for url in (f"{depth}/NOPE_USDT", f"{ticker}?symbol=NOPE_USDT"):
                status, body = await get(session, url)
                assert (200, False, 1001) == (status, body["success"], body["code"])
            symbols = ",".join(row.venue_symbol for row in market.instruments[SPOT][:2])
            listed = (await get(session, f"{spot}/api/v3/exchangeInfo", symbols=symbols))[1]
            assert symbols.split(",") == [row["symbol"] for row in listed["symbols"]]

    lab.run(main())


@pytest.mark.parametrize("name", [source.name for source in SOURCES])
def test_every_page_answers_any_query_in_json(lab: Lab, name: str) -> None:
    """Wrong parameters are refused in the venue's words, with a status that it has."""
    queries: list[dict[str, str]] = [
        {}, {"symbol": ""}, {"symbol": "NOPE"}, {"symbols": "["}, {"symbols": "[]"},
        {"symbols": '["NOPE"]'}, {"symbols": "[1]"}, {"limit": "x"}, {"limit": "-1"},
        {"symbolStatus": "HALT"}, {"symbolStatus": "NOPE"}, {"category": "option"},
        {"category": "linear", "symbol": "NOPE", "limit": "0"}, {"category": "spot"},
        {"instType": "SPOT"}, {"instType": "NOPE"}, {"instId": "NOPE"}, {"sz": "0"},
    ]  # fmt: skip

    async def main() -> None:
        server = SimServer(lab.still, sources=[name])
        async with lab.serving(server) as session:
            base = server.endpoints()[name][0]
            for path in PAGES[name].tickers:
                for query in queries:
                    server.counters()[name].weights = Weights(name)  # not what is asked here
                    status, body = await get(session, base + path.format(symbol="NOPE"), **query)
                    assert status in (200, 400), (path, query)
                    assert isinstance(body, dict | list)

    lab.run(main(), 30.0)
