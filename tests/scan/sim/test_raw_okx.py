"""OKX as a stranger sees it: frames by hand from what the venue publishes."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from aiohttp import WSMsgType

SILENCE_S = 0.2  # major coins of the moving market tick four times in it

Json = dict[str, Any]
OKX = pytest.mark.parametrize("source", ["okx-spot", "okx-futures"])


def okx(*symbols: str, channel: str = "bbo-tbt", request_id: str | None = "md1") -> Json:
    args = [{"channel": channel, "instId": symbol} for symbol in symbols]
    request: Json = {"op": "subscribe", "args": args}
    return request if request_id is None else {"id": request_id} | request


def okx_names(source: str, *coins: str) -> list[str]:
    return [f"{c}-USDT{'-SWAP' if source == 'okx-futures' else ''}" for c in coins]


@OKX
def test_okx_answers_per_argument_and_pushes_at_once(lab: Any, source: str) -> None:
    btc, nope, eth = okx_names(source, "BTC", "NOPE", "ETH")

    async def go() -> None:
        async with lab.simulated(source, lab.still) as connect:
            raw = await connect()
            await raw.send(okx(btc, nope, eth))
            ack, error, ack2, push, push2 = [await raw.next() for _ in range(5)]
            conn_id = ack["connId"]
            for answer, symbol in ((ack, btc), (ack2, eth)):
                arg = {"channel": "bbo-tbt", "instId": symbol}
                assert {
                    "id": "md1",
                    "event": "subscribe",
                    "arg": arg,
                    "connId": conn_id,
                } == answer
            assert ("error", "60018", conn_id) == (error["event"], error["code"], error["connId"])
            assert f"channel:bbo-tbt,instId:{nope} doesn't exist" in error["msg"]
            assert [btc, eth] == [push["arg"]["instId"], push2["arg"]["instId"]]
            assert await raw.next(SILENCE_S) is None

    lab.run(go())


@OKX
def test_okx_without_id_answers_without_id(lab: Any, source: str) -> None:
    (btc,) = okx_names(source, "BTC")

    async def go() -> None:
        async with lab.simulated(source, lab.still) as connect:
            raw = await connect()
            await raw.send(okx(btc, request_id=None))
            ack = await raw.next()
            assert {"event", "arg", "connId"} == set(ack)
            await raw.next()
            await raw.send(okx(btc, request_id=None))  # again: acknowledged, not doubled
            assert ack == await raw.next()
            assert await raw.next(SILENCE_S) is None

    lab.run(go())


@OKX
def test_okx_malformed_requests_are_60012(lab: Any, source: str) -> None:
    (btc,) = okx_names(source, "BTC")

    async def go() -> None:
        async with lab.simulated(source, lab.still) as connect:
            raw = await connect()
            for bad in (
                "{nonsense",
                {"op": "subscribe"},
                {"op": "subscribe", "args": ["bbo-tbt"]},
                okx(btc, request_id="not-alphanumeric"),
                okx(btc, request_id="x" * 33),
            ):
                await raw.send(bad)
                answer = await raw.next()
                assert ("error", "60012") == (answer["event"], answer["code"])
                assert answer["msg"].startswith("Invalid request: ")

    lab.run(go())


@OKX
def test_okx_limits_bytes_of_a_request_and_requests_an_hour(lab: Any, source: str) -> None:
    (btc,) = okx_names(source, "BTC")

    async def go() -> None:
        async with lab.simulated(source, lab.still, ops_per_hour=4) as connect:
            raw = await connect()
            await raw.send(okx(*["X" * 1_000] * 66))
            assert "60012" == (await raw.next())["code"]
            for _ in range(3):
                await raw.send(okx(btc, channel="books"))
                assert "subscribe" == (await raw.next())["event"]
            await raw.send(okx(btc))
            answer = await raw.next()
            assert "error" == answer["event"]
            assert await raw.next(SILENCE_S) is None

    lab.run(go())


@OKX
def test_okx_text_ping_and_close_4004(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source, lab.still, idle_s=0.5) as connect:
            pinging, protocol_pings = await connect(), await connect(autoclose=False)
            for _ in range(4):
                await asyncio.sleep(0.2)
                await pinging.send("ping")
                assert "pong" == await pinging.next()
                with suppress(ConnectionError):
                    await protocol_pings.ws.ping()  # does not count
            message = await protocol_pings.ws.receive(1.0)
            assert WSMsgType.CLOSE is message.type
            assert 4004 == message.data
            assert "No data received in 0.5s." == message.extra
            assert not pinging.ws.closed

    lab.run(go())


@OKX
def test_okx_data_keeps_a_socket_open(lab: Any, source: str) -> None:
    btc, eth = okx_names(source, "BTC", "ETH")

    async def go() -> None:
        async with lab.simulated(source, idle_s=0.5) as connect:
            raw = await connect()
            await raw.send(okx(btc, eth))
            seen = await raw.all_within(1.0)
            assert not raw.ws.closed
            times = [int(f["data"][0]["ts"]) for f in seen if "data" in f]
            assert len(times) > 5
            assert all(0 == ms % 10 for ms in times)

    lab.run(go())


@OKX
def test_okx_repeats_an_unchanged_book(lab: Any, source: str) -> None:
    (btc,) = okx_names(source, "BTC")

    async def go() -> None:
        async with lab.simulated(source, lab.still, repeat_s=0.25) as connect:
            raw = await connect()
            await raw.send(okx(btc))
            frames = [f["data"][0] for f in await raw.all_within(0.9) if "data" in f]
            assert 3 <= len(frames) <= 5
            assert 1 == len({f["seqId"] for f in frames})

    lab.run(go())


@OKX
def test_okx_dead_symbol_is_acknowledged_and_silent(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source, repeat_s=0.1) as connect:
            raw = await connect()
            await raw.send(okx(lab.quiet_symbol(source)))
            assert "subscribe" == (await raw.next())["event"]
            assert await raw.next(SILENCE_S) is None

    lab.run(go())
