"""A recording served: our own feed and raw sockets see what was recorded, and nothing else."""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from spreadcore import Instance

from known import SOURCE_BY_NAME, SOURCES, without_texts
from scan.feeds.kit import config_of, lists_of, quote, run, until, working
from scan.sim.recorded.kit import (
    LINK,
    START_NS,
    N,
    frames_of,
    quoted,
    recorded,
    rows_of,
    serving,
)
from spreadscan.errors import BadData, ConfigError
from spreadscan.recordings import Opcode, Recording
from spreadscan.sim import Market
from spreadscan.sim.pages import PAGES
from spreadscan.sim.recorded import Offer, RecordingServer, ServeOptions
from spreadscan.types import Book
from spreadscan.venues import VENUES

Day = tuple[Path, dict[str, list[Book]]]

NAMES = [source.name for source in SOURCES]
BYBIT = {"op": "subscribe", "args": ["orderbook.1.BTCUSDT"]}


@asynccontextmanager
async def connected(
    server: RecordingServer, name: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """Yield a raw socket to a source."""
    url, headers = server.endpoints()[name][1], VENUES[name].spec.headers
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, headers=headers) as ws,
    ):
        yield ws


async def messages(ws: aiohttp.ClientWebSocketResponse, n: int) -> list[bytes]:
    """Return the next n messages as bytes."""
    found = []
    for _ in range(n):
        message = await ws.receive()
        assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY), message
        found.append(message.data.encode() if isinstance(message.data, str) else message.data)
    return found


def is_answer(payload: bytes) -> bool:
    return b"success" in payload or b"result" in payload


def bybit_book(u: int, bid: float = 100.0, ask: float = 101.0) -> Book:
    return Book("BTCUSDT", bid, 1.0, ask, 2.0, 1_763_000_000_000_000_000 + u * 1_000_000, u)


def bybit_delta(u: int, **sides: Any) -> bytes:
    data = {"s": "BTCUSDT", "b": [], "a": [], "u": u, "seq": u} | sides
    topic = {"topic": "orderbook.1.BTCUSDT", "ts": 1_763_000_000_000 + u, "type": "delta"}
    return json.dumps(topic | {"data": data, "cts": 1_763_000_000_000 + u}).encode()


@pytest.mark.parametrize("name", NAMES)
def test_our_feed_ends_with_the_recorded_table(
    make_instance: Callable[..., Instance], market: Market, day: Day, name: str
) -> None:
    folder, last = day
    instance = make_instance(n_sources=len(SOURCES), n_symbols=64)
    rows = rows_of(market, name)

    def same() -> list[bool]:
        found = []
        for i, book in enumerate(last[name]):
            unit = rows[i].instrument
            px, qty = 1.0 / unit.multiplier, unit.qty_scale
            wanted = (book.bid_px * px, book.bid_qty * qty, book.ask_px * px, book.ask_qty * qty)
            ours = quote(instance, name, i)
            found.append(
                (ours.bid_px, ours.bid_qty, ours.ask_px, ours.ask_qty)
                == pytest.approx(wanted, rel=1e-12)
            )
        return found

    async def main() -> None:
        async with serving(folder, speed=4.0, settle_s=0.2) as server:
            config = config_of(name, server.endpoints()[name][1])
            async with working(VENUES[name], config, lists_of(name, *rows), instance):
                await until(lambda: server.ended and all(same()))
                exchange = server.exchanges[name]
                assert exchange.n_other == 1  # the answer to somebody else's request
                assert exchange.n_twice == 0

    run(main(), 10.0)


def test_frames_are_served_byte_for_byte_in_order(market: Market, tmp_path: Path) -> None:
    name = "bybit-spot"
    frames, _ = frames_of(market, name, 0.3)
    symbol = market.instruments[SOURCE_BY_NAME[name].id][0].venue_symbol
    topic = f"orderbook.1.{symbol}".encode()
    wanted = [payload for *_, payload in frames if topic in payload]
    folder = recorded(tmp_path / "r", {name: frames})

    async def main() -> None:
        async with serving(folder) as server, connected(server, name) as ws:
            await ws.send_json({"op": "subscribe", "args": [topic.decode()]})
            (answer,) = await messages(ws, 1)
            assert b'"success":true' in answer
            assert b"recorded" not in answer
            assert wanted == await messages(ws, len(wanted))
            await until(lambda: server.ended)
            await ws.send_json({"op": "ping"})
            (pong,) = await messages(ws, 1)
            assert b'"ret_msg":"pong"' in pong

    run(main(), 10.0)


@pytest.mark.parametrize("name", NAMES)
def test_who_comes_late_gets_the_last_quote_as_it_was_recorded(
    market: Market, day: Day, name: str
) -> None:
    folder, last = day
    venue, book = VENUES[name], last[name][1]
    wanted = venue.render(book)

    async def main() -> None:
        async with serving(folder, speed=math.inf) as server:
            async with connected(server, name) as first:
                await first.send_str(venue.subscribe([last[name][0].symbol], 1))
                await until(lambda: server.ended)
            async with connected(server, name) as late:
                await late.send_str(venue.subscribe([book.symbol], 2))
                assert wanted in await messages(late, 2)  # and the answer, in the venue's order

    run(main(), 10.0)


def test_after_deltas_who_comes_late_gets_the_book_that_they_made(tmp_path: Path) -> None:
    name = "bybit-spot"
    frames = [
        quoted(name, START_NS, bybit_book(7)),
        (START_NS + 1, LINK, Opcode.TEXT, bybit_delta(8, b=[["100.5", "3"], ["100", "0"]])),
    ]
    broken = [*frames, (START_NS + 2, LINK, Opcode.TEXT, bybit_delta(10, a=[["101", "9"]]))]

    async def late(folder: Path) -> list[bytes]:
        found = []
        async with serving(folder) as server:
            async with connected(server, name) as first:
                await first.send_json(BYBIT)
                await until(lambda: server.ended)
            async with connected(server, name) as ws:
                await ws.send_json(BYBIT)
                await ws.send_json({"op": "ping"})
                while b"pong" not in (found or [b""])[-1]:
                    found += await messages(ws, 1)
        return [payload for payload in found if not is_answer(payload)]

    whole = run(late(recorded(tmp_path / "whole", {name: frames})), 10.0)
    made = bybit_book(8, bid=100.5)._replace(bid_qty=3.0)
    assert [VENUES[name].render(made)] == whole
    assert [] == run(late(recorded(tmp_path / "broken", {name: broken})), 10.0)


def test_two_sockets_that_brought_the_same_quotes_are_one_to_a_client(tmp_path: Path) -> None:
    name, second = "bybit-spot", LINK + 1
    one, two, three, again = (
        bybit_book(7),
        bybit_book(8, 100.25),
        bybit_book(9),
        bybit_book(3, 99.0),
    )
    frames = [
        quoted(name, START_NS, one),
        quoted(name, START_NS + 1, one, second),  # the replacement brings what is known
        quoted(name, START_NS + 2, two, second),  # it is ahead
        quoted(name, START_NS + 3, two),
        quoted(name, START_NS + 4, three),
        quoted(name, START_NS + 5, again, second),
        (START_NS + 6, LINK, Opcode.CLOSED, b"replaced"),
        quoted(name, START_NS + 7, again, second),  # ids may begin anew once the other is gone
    ]
    folder = recorded(tmp_path / "r", {name: frames})

    async def main() -> None:
        async with serving(folder) as server, connected(server, name) as ws:
            await ws.send_json(BYBIT)
            got = await messages(ws, 5)
            assert [VENUES[name].render(b) for b in (one, two, three, again)] == got[1:]
            assert 3 == server.exchanges[name].n_twice

    run(main(), 10.0)


def test_binance_frames_fit_the_path_whatever_path_was_recorded(tmp_path: Path) -> None:
    name = "binance-spot"
    books = [Book("BTCUSDT", 100.0 + i, 1.0, 102.0 + i, 2.0, 0, 5 + i) for i in range(2)]
    whole = [VENUES[name].render(book) for book in books]
    bare = [payload[payload.index(b'"data":') + 7 : -1] for payload in whole]
    frames = [  # one as a combined stream sends it, one as a raw one
        (START_NS, LINK, Opcode.TEXT, whole[0]),
        (START_NS + 1, LINK, Opcode.TEXT, bare[1]),
    ]
    folder = recorded(tmp_path / "r", {name: frames})

    async def heard(path: str) -> list[bytes]:
        async with serving(folder, settle_s=0.1) as server, aiohttp.ClientSession() as session:
            host = server.endpoints()[name][1].removesuffix("/stream")
            async with session.ws_connect(f"{host}{path}") as ws:
                return await messages(ws, 2)

    assert whole == run(heard("/stream?streams=btcusdt@bookTicker"), 10.0)
    assert bare == run(heard("/ws/btcusdt@bookTicker"), 10.0)


def test_pages_show_the_recorded_lists_and_the_recorded_time(market: Market, day: Day) -> None:
    folder, _ = day

    async def main() -> None:
        async with serving(folder) as server, aiohttp.ClientSession() as session:
            for name, (rest, _) in server.endpoints().items():
                venue = VENUES[name]
                async with session.get(venue.instruments_request("").url(rest)) as answer:
                    page = venue.instruments(await answer.read())
                assert [row.instrument for row in rows_of(market, name)] == without_texts(
                    page.instruments
                )
                assert {} == page.skipped
                async with session.get(rest + PAGES[name].time_path) as answer:
                    assert str(server.unix_ns() // 1_000_000) in await answer.text()
                if PAGES[name].funding_path:
                    async with session.get(rest + PAGES[name].funding_path) as answer:
                        assert 404 == answer.status
                        assert f"{name}: funding is not recorded" == await answer.text()

    run(main(), 10.0)


def test_without_lists_the_frames_name_the_pairs(market: Market, tmp_path: Path) -> None:
    name = "okx-futures"
    frames, last = frames_of(market, name, 0.1)
    folder = recorded(tmp_path / "r", {name: frames})

    async def main() -> None:
        async with serving(folder) as server, aiohttp.ClientSession() as session:
            rest, url = server.endpoints()[name]
            async with session.get(f"{rest}{PAGES[name].instruments_path}?instType=SWAP") as answer:
                assert 404 == answer.status
                assert f"{name}: the recording has no instrument list" == await answer.text()
            symbols = [book.symbol for book in last]
            async with session.ws_connect(url) as ws:
                await ws.send_str(VENUES[name].subscribe([*symbols, "NOT-HERE-SWAP"], 1))
                answers = await messages(ws, len(symbols) + 1)
                assert N == sum(b'"event":"subscribe"' in answer for answer in answers)
                assert 1 == sum(b'"60018"' in answer for answer in answers)
                n = sum(1 for frame in frames if b"asks" in frame[3])
                assert all(b"asks" in payload for payload in await messages(ws, n))

    run(main(), 10.0)


def test_a_pair_that_was_listed_later_can_be_subscribed_once_it_is_quoted(tmp_path: Path) -> None:
    name = "bybit-spot"
    new = bybit_book(1)._replace(symbol="NEWUSDT")
    frames = [quoted(name, START_NS, bybit_book(7)), quoted(name, START_NS + 1, new)]
    folder = recorded(tmp_path / "r", {name: frames})
    subscribe_new = {"op": "subscribe", "args": ["orderbook.1.NEWUSDT"]}

    async def main() -> None:
        listed = {name: Offer(("BTCUSDT",), ())}
        server = RecordingServer(Recording(folder), listed, ServeOptions(settle_s=0.0))
        await server.start()
        try:
            async with connected(server, name) as ws:
                await ws.send_json(subscribe_new)
                (refusal,) = await messages(ws, 1)
                assert b"Invalid symbol" in refusal
                await ws.send_json(BYBIT)
                await until(lambda: server.ended)
                await messages(ws, 2)
                await ws.send_json(subscribe_new)
                assert VENUES[name].render(new) in await messages(ws, 2)
        finally:
            await server.stop()

    run(main(), 10.0)


def test_as_fast_as_clients_read_nobody_is_cut_off(tmp_path: Path) -> None:
    name, n = "bybit-spot", 2_000
    more = b',"more":"%s"}' % (b"x" * 10_000)
    frames = [
        (START_NS + i, LINK, Opcode.TEXT, VENUES[name].render(bybit_book(7 + i))[:-1] + more)
        for i in range(n)
    ]
    folder = recorded(tmp_path / "r", {name: frames})

    async def main() -> None:
        async with serving(folder, speed=math.inf) as server, connected(server, name) as ws:
            await ws.send_json(BYBIT)
            await until(lambda: server.n_frames > 0)
            (connection,) = server.exchanges[name].connections
            await until(lambda: connection.transport.get_write_buffer_size() > 1 << 18)
            n_full = 0
            while n_full != server.n_frames:  # what is on its way to a full buffer may still come
                n_full = server.n_frames
                await asyncio.sleep(0.3)
            assert n_full < n  # it does not read, so the server waits
            got = await messages(ws, n + 1)
            assert [frame[3] for frame in frames] == got[1:]
            assert 0 == server.counters()[name].dropped

    run(main(), 20.0)


def test_it_waits_for_clients_and_keeps_the_recorded_pace(tmp_path: Path) -> None:
    name = "bybit-spot"
    frames = [quoted(name, START_NS + i * 100_000_000, bybit_book(7 + i)) for i in range(5)]
    folder = recorded(tmp_path / "r", {name: frames})

    async def main() -> None:
        async with serving(folder, speed=2.0) as server, aiohttp.ClientSession() as session:
            await asyncio.sleep(0.1)
            assert (False, 0) == (server.begun, server.n_frames)
            async with session.ws_connect(
                server.endpoints()[name][1], headers=VENUES[name].spec.headers
            ) as ws:
                await ws.send_json(BYBIT)
                loop = asyncio.get_running_loop()
                await messages(ws, 2)
                begun_s = loop.time()
                await messages(ws, 4)
                assert loop.time() - begun_s > 0.15  # 0.2 s, less what the first was late

    run(main(), 10.0)


def test_what_cannot_be_served_is_refused(tmp_path: Path) -> None:
    async def main(folder: Path, **options: Any) -> None:
        async with serving(folder, **options):
            pass

    folder = recorded(
        tmp_path / "r", {"bybit-spot": [quoted("bybit-spot", START_NS, bybit_book(1))]}
    )
    with pytest.raises(ConfigError, match="speed: found 0"):
        run(main(folder, speed=0.0))
    (path,) = (folder / "frames").iterdir()
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(BadData, match=r"no frame can be read \(frames/bybit-spot.*cut short"):
        run(main(folder))
