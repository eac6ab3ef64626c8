"""MEXC as a stranger sees it: frames by hand, protobuf read field by field."""

import asyncio
import json
from typing import Any

from known import SOURCE_BY_NAME

SILENCE_S = 0.2  # major coins of the moving market tick four times in it

Json = dict[str, Any]
MEXC_TOPIC = "spot@public.aggre.bookTicker.v3.api.pb@10ms@"


def fields(data: bytes) -> dict[int, int | bytes]:
    """Return the fields of a protobuf message: varints as int, length-delimited as bytes."""
    found: dict[int, int | bytes] = {}
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        number, wire_type = divmod(varint(), 8)
        assert wire_type in (0, 2)
        value = varint()
        if wire_type == 2:
            found[number] = data[at : at + value]
            at += value
        else:
            found[number] = value
    return found


def book_ticker(frame: bytes) -> dict[int, int | bytes]:
    body = fields(frame)[315]
    assert isinstance(body, bytes)
    return fields(body)


def mexc(*coins: str, method: str = "SUBSCRIPTION") -> Json:
    return {"method": method, "params": [f"{MEXC_TOPIC}{coin}USDT" for coin in coins]}


def test_mexc_spot_answers_join_the_topics_and_data_is_protobuf(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated("mexc-spot") as connect:
            raw = await connect()
            await raw.send(mexc("BTC", "ETH"))
            joined = f"{MEXC_TOPIC}BTCUSDT,{MEXC_TOPIC}ETHUSDT"
            assert {"id": 0, "code": 0, "msg": joined} == await raw.next()
            seen = [await raw.next() for _ in range(6)]
            assert all(isinstance(frame, bytes) for frame in seen)
            assert {b"BTCUSDT", b"ETHUSDT"} >= {fields(frame)[3] for frame in seen}
            versions = [int(book_ticker(f)[5]) for f in seen if fields(f)[3] == b"BTCUSDT"]
            assert versions == sorted(set(versions))
            await raw.send({"method": "PING"})
            pong = await raw.next_where(lambda f: isinstance(f, dict))
            assert {"id": 0, "code": 0, "msg": "PONG"} == pong

    lab.run(go())


def test_mexc_spot_partial_refusal_has_code_0(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated("mexc-spot", lab.still) as connect:
            raw = await connect()
            await raw.send(mexc("BTC", "NOPE", "WRONG"))
            text = (
                f"Subscribed successful! [{MEXC_TOPIC}BTCUSDT]. Not Subscribed successfully! "
                f"[{MEXC_TOPIC}NOPEUSDT,{MEXC_TOPIC}WRONGUSDT].  Reason： Blocked! "
            )
            assert {"id": 0, "code": 0, "msg": text} == await raw.next()
            await raw.send({"method": "SUBSCRIPTION", "params": ["spot@public.increase.depth"]})
            answer = await raw.next()
            assert 0 == answer["code"]
            assert answer["msg"].startswith("Not Subscribed successfully! [")

    lab.run(go())


def test_mexc_spot_topic_31_is_accepted_and_never_pushes(lab: Any) -> None:
    rows = [
        row
        for index, row in enumerate(lab.moving.instruments[SOURCE_BY_NAME["mexc-spot"].id])
        if (SOURCE_BY_NAME["mexc-spot"].id, index) not in lab.moving.dead
    ]
    coins = [row.listed_base for row in reversed(rows[:32])]  # the busiest come last

    async def go() -> None:
        async with lab.simulated("mexc-spot") as connect:
            raw = await connect()
            await raw.send(mexc(*coins[:20]))
            await raw.send(mexc(*coins[20:]))
            seen: set[str] = set()
            n_acks = 0
            for frame in await raw.all_within(1.0):
                if isinstance(frame, bytes):
                    symbol = fields(frame)[3]
                    assert isinstance(symbol, bytes)
                    seen.add(symbol.decode().removesuffix("USDT"))
                else:
                    n_acks += 1
            assert 2 == n_acks
            assert seen <= set(coins[:30])
            assert {"SOL", "XRP"} <= seen  # the last two that fitted in
            assert {"BTC", "ETH"} == set(coins[30:])

    lab.run(go())


def test_mexc_spot_sends_nothing_until_a_change_and_repeats_nothing(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated("mexc-spot", lab.still) as connect:
            raw = await connect()
            await raw.send(mexc("BTC"))
            assert 0 == (await raw.next())["code"]
            assert await raw.next(SILENCE_S) is None

    lab.run(go())


def test_mexc_spot_closes_idle_sockets(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated("mexc-spot", lab.still, no_topic_s=0.2, idle_s=0.8) as connect:
            empty, silent, pinging = [await connect() for _ in range(3)]
            for raw in (silent, pinging):
                await raw.send(mexc("BTC"))
                await raw.next()
            await empty.closed(0.6)
            for _ in range(3):
                await asyncio.sleep(0.2)
                await pinging.send({"method": "PING"})
                assert "PONG" == (await pinging.next())["msg"]
            await silent.closed(0.5)

    lab.run(go())


def test_mexc_spot_dead_symbol_is_acknowledged_and_silent(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated("mexc-spot") as connect:
            raw = await connect()
            await raw.send(mexc(lab.quiet_symbol("mexc-spot").removesuffix("USDT")))
            assert 0 == (await raw.next())["code"]
            assert await raw.next(SILENCE_S) is None

    lab.run(go())


def contract(symbol: str, method: str = "sub.depth.full") -> Json:
    return {"method": method, "param": {"symbol": symbol, "limit": 5}}


def test_mexc_futures_acknowledges_without_the_symbol(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated("mexc-futures", lab.still) as connect:
            raw = await connect()
            await raw.send(contract("BTC_USDT"))
            ack = await raw.next()
            assert {"channel", "data", "ts"} == set(ack)
            assert ("rs.sub.depth.full", "success") == (ack["channel"], ack["data"])
            frame = await raw.next(1.0)
            assert ("push.depth.full", "BTC_USDT") == (frame["channel"], frame["symbol"])
            await raw.send(contract("BTC_USDT"))  # again: acknowledged, not doubled
            assert "success" == (await raw.next())["data"]

    lab.run(go())


def test_mexc_futures_unknown_contract_and_unknown_method(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated("mexc-futures") as connect:
            raw = await connect()
            await raw.send(contract("NOPE_USDT"))
            answer = await raw.next()
            assert "rs.error" == answer["channel"]
            assert "Contract [NOPE_USDT] not exists" == answer["data"]
            await raw.send(contract("BTC_USDT", "sub.nonsense"))
            assert await raw.next(SILENCE_S) is None
            await raw.send({"method": "ping"})
            pong = await raw.next()
            assert {"channel", "data", "ts"} == set(pong)
            assert "pong" == pong["channel"]
            assert isinstance(pong["data"], int)

    lab.run(go())


def test_mexc_futures_closes_without_client_ping_while_data_flows(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated("mexc-futures", client_ping_s=0.6) as connect:
            quiet, pinging = await connect(), await connect()
            for raw in (quiet, pinging):
                for symbol in ("BTC_USDT", "ETH_USDT", "SOL_USDT"):
                    await raw.send(contract(symbol))
            reading = asyncio.create_task(quiet.all_within(3.0))
            for _ in range(4):
                await pinging.send({"method": "ping"})
                await pinging.next_where(lambda f: f["channel"] == "pong")
                await asyncio.sleep(0.2)
            seen = await reading
            assert quiet.ws.closed
            assert sum(f["channel"] == "push.depth.full" for f in seen) > 3
            assert not pinging.ws.closed

    lab.run(go())


def test_mexc_futures_repeats_with_a_higher_version(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated(
            "mexc-futures", lab.still, repeat_s=0.2, first_push_s=0.05
        ) as connect:
            raw = await connect()
            await raw.send(contract("BTC_USDT"))
            frames = [f for f in await raw.all_within(0.9) if f["channel"] == "push.depth.full"]
            assert 3 <= len(frames) <= 6
            versions = [f["data"]["version"] for f in frames]
            assert versions == sorted(set(versions))
            assert 1 == len({json.dumps([f["data"]["asks"], f["data"]["bids"]]) for f in frames})

    lab.run(go())


def test_mexc_futures_dead_contract_is_acknowledged_and_silent(lab: Any) -> None:
    async def go() -> None:
        async with lab.simulated("mexc-futures", repeat_s=0.1) as connect:
            raw = await connect()
            await raw.send(contract(lab.quiet_symbol("mexc-futures")))
            assert "success" == (await raw.next())["data"]
            assert await raw.next(SILENCE_S) is None

    lab.run(go())
