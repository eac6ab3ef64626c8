"""Bybit as a stranger sees it: frames by hand from what the venue publishes."""

import asyncio
import json
from typing import Any

import pytest

from known import SOURCE_BY_NAME

SILENCE_S = 0.2  # major coins of the moving market tick four times in it

Json = dict[str, Any]
BYBIT = pytest.mark.parametrize("source", ["bybit-spot", "bybit-futures"])


def bybit(*topics: str, op: str = "subscribe", req_id: str | None = "r1") -> Json:
    request: Json = {"op": op, "args": list(topics)}
    return request if req_id is None else {"req_id": req_id} | request


@BYBIT
def test_bybit_snapshot_may_overtake_the_acknowledgement(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source, lab.still, repeat_s=0.0) as connect:
            raw = await connect()
            await raw.send(bybit("orderbook.1.BTCUSDT", "orderbook.1.ETHUSDT"))
            first, ack, second = [await raw.next() for _ in range(3)]
            assert "orderbook.1.BTCUSDT" == first["topic"]
            assert "orderbook.1.ETHUSDT" == second["topic"]
            assert "snapshot" == first["type"]
            conn_id = ack.pop("conn_id")
            assert conn_id
            said = "subscribe" if source == "bybit-spot" else ""
            expected = {"success": True, "ret_msg": said, "req_id": "r1", "op": "subscribe"}
            assert expected == ack
            await raw.send({"op": "ping"})
            assert {
                "success": True,
                "ret_msg": "pong",
                "conn_id": conn_id,
                "op": "ping",
            } == await raw.next()

    lab.run(go())


@BYBIT
def test_bybit_one_bad_topic_refuses_the_whole_request(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source) as connect:
            raw = await connect()
            await raw.send(bybit("orderbook.1.BTCUSDT", "orderbook.1.NOPEUSDT"))
            answer = await raw.next()
            assert answer["success"] is False
            if source == "bybit-spot":
                assert "Invalid symbol :[orderbook.1.NOPEUSDT]" == answer["ret_msg"]
                assert "req_id" not in answer
            else:
                text = "error:handler not found,topic:orderbook.1.NOPEUSDT"
                assert text == answer["ret_msg"]
                assert "r1" == answer["req_id"]
            assert await raw.next(SILENCE_S) is None

    lab.run(go())


@BYBIT
def test_bybit_refuses_a_topic_twice_and_keeps_the_first(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source) as connect:
            raw = await connect()
            await raw.send(bybit("orderbook.1.BTCUSDT"))
            await raw.next_where(lambda f: f.get("success") is True)
            await raw.send(bybit("orderbook.1.ETHUSDT", "orderbook.1.BTCUSDT", req_id="again"))
            answer = await raw.next_where(lambda f: "success" in f)
            assert answer["success"] is False
            assert "again" == answer["req_id"]
            assert "error:already subscribed,topic:orderbook.1.BTCUSDT" == answer["ret_msg"]
            seen = await raw.all_within(0.4)
            assert {"orderbook.1.BTCUSDT"} == {f["topic"] for f in seen}

    lab.run(go())


@BYBIT
def test_bybit_more_than_ten_topics_in_a_request(lab: Any, source: str) -> None:
    rows = lab.still.instruments[SOURCE_BY_NAME[source].id][:11]
    topics = [f"orderbook.1.{row.venue_symbol}" for row in rows]

    async def go() -> None:
        async with lab.simulated(source, lab.still) as connect:
            raw = await connect()
            await raw.send(bybit(*topics))
            answer = await raw.next_where(lambda f: "success" in f)
            if source == "bybit-spot":
                assert answer["success"] is False
                assert "args size >10" == answer["ret_msg"]
                assert await raw.next(SILENCE_S) is None
            else:
                assert answer["success"] is True

    lab.run(go())


@BYBIT
def test_bybit_topics_of_a_socket_have_21000_characters(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source, lab.still, max_arg_chars=60) as connect:
            raw = await connect()
            await raw.send(bybit(*(f"orderbook.1.{c}USDT" for c in ("BTC", "ETH", "SOL"))))
            await raw.next_where(lambda f: f.get("success") is True)
            await raw.send(bybit("orderbook.1.XRPUSDT"))
            answer = await raw.next_where(lambda f: "success" in f)
            assert answer["success"] is False

    lab.run(go())


@BYBIT
def test_bybit_repeats_an_unchanged_book_with_its_u(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source, lab.still, repeat_s=0.2) as connect:
            raw = await connect()
            await raw.send(bybit("orderbook.1.BTCUSDT"))
            frames = [f for f in await raw.all_within(0.9) if "topic" in f]
            assert 3 <= len(frames) <= 6
            assert 1 == len({f["data"]["u"] for f in frames})
            assert 1 == len({json.dumps(f["data"]) for f in frames})
            pushed = [f["ts"] for f in frames]
            assert pushed == sorted(set(pushed))
            assert 1 == len({f["cts"] for f in frames})

    lab.run(go())


@BYBIT
def test_bybit_dead_symbol_is_accepted_and_silent(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source, repeat_s=0.1) as connect:
            raw = await connect()
            await raw.send(bybit(f"orderbook.1.{lab.quiet_symbol(source)}", "tickers.BTCUSDT"))
            assert (await raw.next())["success"] is True
            assert await raw.next(SILENCE_S) is None

    lab.run(go())


@BYBIT
def test_bybit_closes_without_traffic(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source, lab.still, idle_s=0.5) as connect:
            silent, pinging = await connect(), await connect()
            for _ in range(5):
                await asyncio.sleep(0.15)
                await pinging.send({"req_id": "p", "op": "ping"})
                assert "pong" == (await pinging.next())["ret_msg"]
            await silent.closed(0.5)

    lab.run(go())


@BYBIT
def test_bybit_unsubscribe_ends_the_data(lab: Any, source: str) -> None:
    async def go() -> None:
        async with lab.simulated(source) as connect:
            raw = await connect()
            await raw.send(bybit("orderbook.1.BTCUSDT"))
            await raw.next_where(lambda f: f.get("success") is True)
            await raw.send(bybit("orderbook.1.BTCUSDT", op="unsubscribe"))
            answer = await raw.next_where(lambda f: "success" in f)
            assert ("unsubscribe", True) == (answer["op"], answer["success"])
            assert await raw.next(SILENCE_S) is None

    lab.run(go())
