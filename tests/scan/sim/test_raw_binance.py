"""Binance as a stranger sees it: frames by hand from what the venue publishes."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import WSMsgType

SILENCE_S = 0.2  # major coins of the moving market tick four times in it

Json = dict[str, Any]
BINANCE = pytest.mark.parametrize("source", ["binance-spot", "binance-futures"])


def streams(*names: str, request_id: object = 7) -> Json:
    return {"method": "SUBSCRIBE", "params": list(names), "id": request_id}


@BINANCE
def test_binance_acknowledges_then_sends_changes(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source) as connect:
            raw = await connect()
            await raw.send(streams("btcusdt@bookTicker", "ethusdt@bookTicker"))
            assert {"result": None, "id": 7} == await raw.next()
            seen = [await raw.next() for _ in range(8)]
            assert {f["stream"] for f in seen} <= {"btcusdt@bookTicker", "ethusdt@bookTicker"}
            ids = [f["data"]["u"] for f in seen if f["data"]["s"] == "BTCUSDT"]
            assert ids == sorted(set(ids))

    lab.run(go())


@BINANCE
def test_binance_sends_nothing_until_a_change(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source, lab.still) as connect:
            raw = await connect()
            await raw.send(streams("btcusdt@bookTicker"))
            assert {"result": None, "id": 7} == await raw.next()
            assert await raw.next(SILENCE_S) is None

    lab.run(go())


@BINANCE
def test_binance_acknowledges_what_does_not_exist(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source) as connect:
            raw = await connect()
            quiet = lab.quiet_symbol(source).lower()
            names = ("nopeusdt@bookTicker", "BTCUSDT@bookTicker", f"{quiet}@bookTicker", "x")
            await raw.send(streams(*names))
            assert {"result": None, "id": 7} == await raw.next()
            assert await raw.next(SILENCE_S) is None
            await raw.send({"method": "LIST_SUBSCRIPTIONS", "id": "list"})
            answer = await raw.next()
            assert set(names) == set(answer["result"])

    lab.run(go())


@BINANCE
def test_binance_refuses_stream_1025(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source) as connect:
            raw = await connect()
            for begin in (0, 400, 800):
                await raw.send(streams(*(f"s{i}" for i in range(begin, min(begin + 400, 1024)))))
                assert {"result": None, "id": 7} == await raw.next()
            await raw.send(streams("btcusdt@bookTicker", request_id=19))
            expected = {"error": {"code": 4, "msg": "Too many subscriptions"}, "id": 19}
            assert expected == await raw.next()
            assert await raw.next(SILENCE_S) is None

    lab.run(go())


@BINANCE
def test_binance_never_answers_a_request_above_4088_bytes(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source) as connect:
            raw = await connect()
            many = json.dumps(streams("btcusdt@bookTicker", *(f"s{i:07}" for i in range(500))))
            assert len(many) > 4_088
            await raw.send(many)
            assert await raw.next(SILENCE_S) is None
            await raw.send(streams("ethusdt@bookTicker"))
            assert {"result": None, "id": 7} == await raw.next()

    lab.run(go())


@BINANCE
def test_binance_closes_1008_on_too_many_messages(lab: Any, source: str) -> None:
    n = 5 if source == "binance-spot" else 10

    async def go() -> None:
        async with lab.simulated(source) as connect:
            raw = await connect()
            for i in range(n - 1):
                await raw.send(streams("x", request_id=i))
            await raw.ws.pong(b"control frames count")
            await asyncio.sleep(0.3)
            assert not raw.ws.closed
            await raw.send(streams("x"))
            assert 1008 == await raw.closed()

    lab.run(go())


@BINANCE
def test_binance_pings_and_drops_who_does_not_pong(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(
            source, lab.still, server_ping_s=0.2, pong_within_s=0.5
        ) as connect:
            deaf = await connect(autoping=False)
            polite = await connect()  # aiohttp answers pings while it reads
            waiting = asyncio.create_task(polite.ws.receive())
            first = await deaf.ws.receive(2.0)
            assert WSMsgType.PING is first.type
            assert len(first.data) > 0
            assert 1008 == await deaf.closed()
            await asyncio.sleep(0.4)
            assert not polite.ws.closed
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    lab.run(go())


@BINANCE
def test_binance_raw_sockets_and_streams_in_the_url(lab: Any, source: str) -> None:
    public = "/public" if source == "binance-futures" else ""

    async def go() -> None:
        async with lab.simulated(source) as connect:
            bare = await connect(f"{public}/ws/btcusdt@bookTicker")
            frame = await bare.next()
            assert "stream" not in frame
            assert "BTCUSDT" == frame["s"]
            wrapped = await connect(f"{public}/stream?streams=btcusdt@bookTicker/x@y")
            assert "btcusdt@bookTicker" == (await wrapped.next())["stream"]
            await wrapped.send({"method": "SET_PROPERTY", "params": ["combined", False], "id": 5})
            await wrapped.next_where(lambda f: f == {"result": None, "id": 5})
            assert "s" in await wrapped.next()

    lab.run(go())


def test_binance_futures_market_path_accepts_and_is_silent(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated("binance-futures") as connect:
            raw = await connect("/market/stream")
            await raw.send(streams("btcusdt@bookTicker"))
            assert {"result": None, "id": 7} == await raw.next()
            assert await raw.next(SILENCE_S) is None

    lab.run(go())


@BINANCE
def test_binance_errors_have_a_code_at_top_level(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source) as connect:
            raw = await connect()
            await raw.send("{not json")
            answer = await raw.next()
            assert 3 == answer["code"]
            assert answer["msg"].startswith("Invalid JSON: ")
            await raw.send({"params": ["btcusdt@bookTicker"], "id": 1})
            answer = await raw.next()
            assert 2 == answer["code"]
            assert answer["msg"].startswith("Invalid request: missing field `method`")

    lab.run(go())
