"""The venues' own clients, unmodified but for the address, at our simulators.

What each reads over REST and from a socket is what the market holds; what it may not ask for is
refused in the venue's own words, which each client turns into an error of its own.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvloop

from known import SOURCE_BY_NAME
from spreadscan.sim import Market, SimServer
from spreadscan.sim.tls import make_context
from spreadscan.types import Book

# their pydantic, websockets and event loops warn of things that are no matter of ours
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
WITHIN_S = 20.0


@contextmanager
def serving(market: Market, *sources: str, tls_ca: Path | None = None) -> Iterator[SimServer]:
    """Serve from a thread: the clients block."""
    tls = make_context(tls_ca, "localhost") if tls_ca else None
    server = SimServer(market, host="localhost", sources=sources, tls=tls)
    loop, started = uvloop.new_event_loop(), threading.Event()

    async def main() -> None:
        await server.start()
        started.set()
        await ended.wait()
        await server.stop()

    ended = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(WITHIN_S)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(WITHIN_S)
        loop.close()


@contextmanager
def far_away(url: str) -> Iterator[str]:
    """Give an address from which every answer takes its time, as over a real line.

    pybit remembers a request only after it has sent it: an answer within a fraction of a
    millisecond ends it.
    """
    host, port = urlsplit(url).hostname, urlsplit(url).port
    loop, started, ended = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    at: list[int] = []

    async def line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(host, port)

        async def carry(
            source: asyncio.StreamReader, sink: asyncio.StreamWriter, after_s: float
        ) -> None:
            while data := await source.read(1 << 16):
                await asyncio.sleep(after_s)
                sink.write(data)
            sink.close()

        await asyncio.gather(
            carry(reader, there_writer, 0.0),
            carry(there_reader, writer, 0.05),
            return_exceptions=True,
        )

    async def main() -> None:
        server = await asyncio.start_server(line, "localhost", 0)
        at.append(server.sockets[0].getsockname()[1])
        started.set()
        await ended.wait()
        server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(WITHIN_S)
    try:
        yield url.replace(f":{port}", f":{at[0]}")
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(WITHIN_S)
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


@pytest.fixture(scope="module")
def still() -> Market:
    """A market that stands still: every page and frame of a pair shows the same book."""
    return Market(seed=1, freeze_after_s=0.0)


@pytest.fixture(scope="module")
def moving() -> Market:
    return Market(seed=1, rate=10_000.0)


def truth(market: Market, source: str, i: int) -> Book:
    book = market.quote(SOURCE_BY_NAME[source].id, i, 0)
    assert book is not None
    return book


def alive(market: Market, source: str, n: int) -> list[int]:
    """Return the indices of the first pairs that quote."""
    source_id = SOURCE_BY_NAME[source].id
    all_of_them = range(len(market.instruments[source_id]))
    return [i for i in all_of_them if (source_id, i) not in market.dead][:n]


def touch_of(row: Any, *keys: str) -> tuple[float, ...]:
    return tuple(float(row[key]) for key in keys)


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + WITHIN_S
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {WITHIN_S:g} s: {what}")


def binance_rest(server: SimServer, source: str) -> Any:
    from binance_common.configuration import ConfigurationRestAPI

    options = ConfigurationRestAPI(base_path=server.endpoints()[source][0], retries=0, timeout=5000)
    if source == "binance-spot":
        from binance_sdk_spot.spot import Spot

        return Spot(config_rest_api=options).rest_api
    from binance_sdk_derivatives_trading_usds_futures import (
        derivatives_trading_usds_futures as futures,
    )

    return futures.DerivativesTradingUsdsFutures(config_rest_api=options).rest_api


def plain(answer: Any) -> Any:
    """Return what a Binance model holds, in the venue's words."""

    def unwrap(value: Any) -> Any:
        if isinstance(value, list):
            return [unwrap(row) for row in value]
        return unwrap(value.to_dict()) if hasattr(value, "to_dict") else value

    return unwrap(answer.data())


def test_binance_spot_over_rest(still: Market) -> None:
    from binance_common.errors import BadRequestError

    name = "binance-spot"
    listed = still.instruments[SOURCE_BY_NAME[name].id]
    one, two = (listed[i].venue_symbol for i in alive(still, name, 2))
    with serving(still, name) as server:
        client = binance_rest(server, name)
        client.ping()
        assert abs(client.time().data().server_time / 1e3 - time.time()) < 60
        assert [one] == [s["symbol"] for s in plain(client.exchange_info(symbol=one))["symbols"]]
        both = plain(client.exchange_info(symbols=[one, two]))["symbols"]
        assert [one, two] == [row["symbol"] for row in both]
        halted = plain(client.exchange_info(symbol_status="HALT"))["symbols"]
        assert ["PAUSEUSDT"] == [row["symbol"] for row in halted]

        book = truth(still, name, alive(still, name, 1)[0])
        found = plain(client.ticker_book_ticker(symbol=one))
        keys = ("bidPrice", "bidQty", "askPrice", "askQty")
        assert book[1:5] == touch_of(found, *keys)
        every = plain(client.ticker_book_ticker())
        assert len(listed) == len(every)
        assert {one, two} == {
            row["symbol"] for row in plain(client.ticker_book_ticker(symbols=[one, two]))
        }
        mid = (book.bid_px + book.ask_px) / 2
        assert mid == pytest.approx(
            float(plain(client.ticker_price(symbol=one))["price"]), abs=1e-8
        )
        assert one == plain(client.ticker24hr(symbol=one))["symbol"]

        depth = plain(client.depth(symbol=one, limit=5))
        assert (book.bid_px, book.ask_px) == (
            float(depth["bids"][0][0]),
            float(depth["asks"][0][0]),
        )
        assert [5, 5] == [len(depth["bids"]), len(depth["asks"])]
        bids = [float(px) for px, _ in depth["bids"]]
        assert sorted(bids, reverse=True) == bids
        for wrong in ({"symbol": "NOPEUSDT"}, {"symbol": one, "symbols": [two]}):
            with pytest.raises(BadRequestError):
                client.ticker_book_ticker(**wrong)
        with pytest.raises(BadRequestError):
            client.exchange_info(symbol="NOPEUSDT")
        with pytest.raises(BadRequestError):
            client.depth(symbol="NOPEUSDT")


def test_binance_futures_over_rest(still: Market) -> None:
    from binance_common.errors import BadRequestError

    name = "binance-futures"
    listed = still.instruments[SOURCE_BY_NAME[name].id]
    at = alive(still, name, 1)[0]
    one, book = listed[at].venue_symbol, truth(still, name, at)
    with serving(still, name) as server:
        client = binance_rest(server, name)
        assert abs(client.check_server_time().data().server_time / 1e3 - time.time()) < 60
        client.test_connectivity()
        rows = plain(client.exchange_information())["symbols"]
        assert {row.venue_symbol for row in listed} < {row["symbol"] for row in rows}
        found = plain(client.symbol_order_book_ticker(symbol=one))
        assert book[1:5] == touch_of(found, "bidPrice", "bidQty", "askPrice", "askQty")
        assert len(listed) == len(plain(client.symbol_order_book_ticker()))
        mark = plain(client.mark_price(symbol=one))
        assert book.bid_px <= float(mark["markPrice"]) <= book.ask_px
        assert len(listed) <= len(plain(client.mark_price()))
        depth = plain(client.order_book(symbol=one, limit=10))
        assert (book.bid_px, book.ask_px) == (
            float(depth["bids"][0][0]),
            float(depth["asks"][0][0]),
        )
        assert one == plain(client.ticker24hr_price_change_statistics(symbol=one))["symbol"]
        for wrong in (client.mark_price, client.symbol_order_book_ticker, client.order_book):
            with pytest.raises(BadRequestError):
                wrong(symbol="NOPEUSDT")


@pytest.mark.parametrize("name", ["binance-spot", "binance-futures"])
def test_binance_from_a_socket(moving: Market, name: str) -> None:
    """Its USD-M client opens /market, /public and /private before it asks for anything."""
    from binance_common.configuration import ConfigurationWebSocketStreams

    source_id = SOURCE_BY_NAME[name].id
    i = alive(moving, name, 1)[0]
    symbol = moving.instruments[source_id][i].venue_symbol
    got: list[Any] = []

    async def main(url: str) -> None:
        options = ConfigurationWebSocketStreams(stream_url=url)
        if name == "binance-spot":
            from binance_sdk_spot.spot import Spot

            streams = Spot(config_ws_streams=options).websocket_streams
        else:
            from binance_sdk_derivatives_trading_usds_futures import (
                derivatives_trading_usds_futures as futures,
            )

            client = futures.DerivativesTradingUsdsFutures(config_ws_streams=options)
            streams = client.websocket_streams
        async with asyncio.timeout(WITHIN_S):
            connection = await streams.create_connection()
            if name == "binance-spot":
                stream = await connection.book_ticker(symbol=symbol.lower())
            else:
                stream = await connection.individual_symbol_book_ticker_streams(
                    symbol=symbol.lower()
                )
            stream.on("message", got.append)
            while len(got) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
            await stream.unsubscribe()
            await connection.close_connection(close_session=True)

    with serving(moving, name) as server:
        asyncio.run(main(server.endpoints()[name][1].rpartition("/")[0].removesuffix("/public")))
    assert {symbol} == {quote.to_dict()["s"] for quote in got}
    ids = [quote.to_dict()["u"] for quote in got]
    assert sorted(ids) == ids


@pytest.mark.parametrize("name", ["bybit-spot", "bybit-futures"])
def test_bybit(still: Market, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from pybit import unified_trading
    from pybit.exceptions import InvalidRequestError

    category = "spot" if name == "bybit-spot" else "linear"
    at = alive(still, name, 1)[0]
    one = still.instruments[SOURCE_BY_NAME[name].id][at].venue_symbol
    book = truth(still, name, at)
    with serving(still, name) as server:
        rest_url, ws_url = server.endpoints()[name]
        client = unified_trading.HTTP()
        client.endpoint = rest_url
        assert abs(int(client.get_server_time()["time"]) / 1e3 - time.time()) < 60
        found = client.get_instruments_info(category=category, symbol=one)["result"]["list"]
        assert [one] == [row["symbol"] for row in found]
        rows = client.get_tickers(category=category)["result"]["list"]
        assert len(still.instruments[SOURCE_BY_NAME[name].id]) <= len(rows)
        (row,) = client.get_tickers(category=category, symbol=one)["result"]["list"]
        assert book[1:5] == touch_of(row, "bid1Price", "bid1Size", "ask1Price", "ask1Size")
        if category == "linear":
            assert book.bid_px <= float(row["markPrice"]) <= book.ask_px
        side = client.get_orderbook(category=category, symbol=one, limit=5)["result"]["b"]
        assert (5, book.bid_px) == (len(side), float(side[0][0]))
        for ask in (client.get_tickers, client.get_orderbook, client.get_instruments_info):
            with pytest.raises(InvalidRequestError):
                ask(category=category, symbol="NOPEUSDT")

        got: list[Any] = []
        with far_away(ws_url) as url:
            monkeypatch.setattr(unified_trading, "PUBLIC_WSS", url)
            socket = unified_trading.WebSocket(testnet=False, channel_type=category)
            socket.orderbook_stream(1, one, got.append)
            until(lambda: got, "a book")
            socket.exit()
    data = got[0]["data"]
    assert (one, book.bid_px, book.ask_px) == (
        data["s"], float(data["b"][0][0]), float(data["a"][0][0]),
    )  # fmt: skip


@pytest.mark.parametrize("name", ["okx-spot", "okx-futures"])
def test_okx(still: Market, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its sockets are TLS always, so its simulator's authority is trusted for this test."""
    from okx.MarketData import MarketAPI
    from okx.PublicData import PublicAPI
    from okx.Status import StatusAPI
    from okx.websocket.WsPublicAsync import WsPublicAsync

    kind = "SPOT" if name == "okx-spot" else "SWAP"
    at = alive(still, name, 1)[0]
    one = still.instruments[SOURCE_BY_NAME[name].id][at].venue_symbol
    book = truth(still, name, at)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serving(still, name, tls_ca=tmp_path / "ca.pem") as server, ExitStack() as with_end:
        rest_url, ws_url = server.endpoints()[name]
        market, public, status = (
            with_end.enter_context(api(flag="0", domain=rest_url))
            for api in (MarketAPI, PublicAPI, StatusAPI)
        )
        assert abs(int(public.get_system_time()["data"][0]["ts"]) / 1e3 - time.time()) < 60
        assert [] == status.status()["data"]
        found = public.get_instruments(instType=kind, instId=one)["data"]
        assert [one] == [row["instId"] for row in found]
        listed = still.instruments[SOURCE_BY_NAME[name].id]
        assert len(listed) == len(market.get_tickers(instType=kind)["data"])
        (row,) = market.get_ticker(instId=one)["data"]
        assert book[1:5] == touch_of(row, "bidPx", "bidSz", "askPx", "askSz")
        (whole,) = market.get_orderbook(instId=one, sz="5")["data"]
        assert (5, book.ask_px) == (len(whole["asks"]), float(whole["asks"][0][0]))
        (mark,) = public.get_mark_price(instType=kind, instId=one)["data"]
        assert book.bid_px <= float(mark["markPx"]) <= book.ask_px
        if kind == "SWAP":
            (rate,) = public.get_funding_rate(instId=one)["data"]
            assert one == rate["instId"]
        for refused in (
            market.get_ticker(instId="NOPE-USDT"),
            market.get_orderbook(instId="NOPE-USDT"),
            public.get_instruments(instType=kind, instId="NOPE-USDT"),
        ):
            assert ("51001", []) == (refused["code"], refused["data"])

        got: list[Any] = []

        async def main() -> None:
            socket = WsPublicAsync(url=ws_url)
            async with asyncio.timeout(WITHIN_S):
                reading = await socket.start()
                await socket.subscribe([{"channel": "bbo-tbt", "instId": one}], got.append)
                while not any("data" in json.loads(text) for text in got):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                await socket.stop()
                await asyncio.gather(reading, return_exceptions=True)

        asyncio.run(main())
    data = next(json.loads(text)["data"][0] for text in got if "data" in json.loads(text))
    assert (book.bid_px, book.ask_px) == (float(data["bids"][0][0]), float(data["asks"][0][0]))
