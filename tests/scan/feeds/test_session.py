"""One socket's life on both transports: against simulated venues, and against venues by hand."""

import asyncio
import json
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import pytest

from known import SOURCE_BY_NAME
from scan.feeds.kit import (
    Exchange,
    Guest,
    Heard,
    ack,
    book,
    is_request,
    living,
    quick,
    run,
    settings,
    until,
)
from spreadscan.clock import now_ns
from spreadscan.errors import ConnectionLost
from spreadscan.feeds import requests as requests_module
from spreadscan.feeds import session as session_module
from spreadscan.feeds.session import Session
from spreadscan.sim import Market, SimServer
from spreadscan.sim.protocols import PROTOCOLS
from spreadscan.venues import VENUES


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_TICK_S", 0.02)
    monkeypatch.setattr(requests_module, "_PAUSE_S", (0.05, 1.0))


def first_symbols(market: Market, source: str, n: int) -> list[str]:
    rows = market.instruments[SOURCE_BY_NAME[source].id]
    return [row.venue_symbol for row in rows[:n]]


def dead_symbol(market: Market, source: str) -> str:
    source_id = SOURCE_BY_NAME[source].id
    index = next(index for s, index in sorted(market.dead) if s == source_id)
    return market.instruments[source_id][index].venue_symbol


# -- against the simulated venues


HOW_MANY = {  # more than one request each, mostly
    "binance-spot": 160,
    "binance-futures": 160,
    "bybit-spot": 25,
    "bybit-futures": 120,
    "mexc-spot": 30,
    "mexc-futures": 12,
    "okx-spot": 100,
    "okx-futures": 100,
    "gate-spot": 120,
    "gate-futures": 120,
}


def test_every_venue_answers_all_and_quotes_all(moving: Market, transport: str) -> None:
    async def one(server: SimServer, name: str) -> tuple[Any, ...]:
        heard = Heard()
        wanted = first_symbols(moving, name, HOW_MANY[name])
        live = set(wanted) - {
            moving.instruments[s][i].venue_symbol
            for s, i in moving.dead
            if s == SOURCE_BY_NAME[name].id
        }
        url = server.endpoints()[name][1]
        session = Session(VENUES[name], wanted, url, heard, settings(transport))
        async with living(session) as task:
            await until(
                lambda: (
                    session.all_answered and heard.symbols >= live and heard.flushes or task.done()
                )
            )
            assert not task.done(), f"{name}: {task.result()}"
            counters = server.counters()[name]
            n = counters.subscriptions, counters.closed, session.valid == len(heard.books)
            assert session.opened_ns < session.answered_ns
            assert set(heard.symbols) <= set(wanted)
            return *n, dict(session.refused), dict(heard.declines)

    async def main() -> None:
        server = SimServer(moving)
        await server.start()
        try:
            found = await asyncio.gather(*(one(server, name) for name in VENUES))
        finally:
            await server.stop()
        expected = {name: (HOW_MANY[name], 0, True, {}, {}) for name in VENUES}
        assert expected == dict(zip(VENUES, found, strict=True))

    run(main())


def test_a_refused_pair_is_named_and_its_neighbours_live(moving: Market, transport: str) -> None:
    """Bybit and Gate refuse the whole request for it, OKX the argument, MEXC answers half."""
    bad = {
        "bybit-spot": ("NOPEUSDT", "Invalid symbol"),
        "bybit-futures": ("NOPEUSDT", "handler not found"),
        "okx-spot": ("NOPE-USDT", "60018"),
        "okx-futures": ("NOPE-USDT-SWAP", "60018"),
        "mexc-spot": ("NOPEUSDT", "Blocked"),
        "mexc-futures": ("NOPE_USDT", "not exists"),
        "gate-spot": ("NOPE_USDT", "unknown currency pair: NOPE_USDT"),
        "gate-futures": ("NOPE_USDT", "unknown currency pair NOPE_USDT"),
    }

    async def one(server: SimServer, name: str, place: int) -> tuple[str, int, Any]:
        symbol, words = bad[name]
        good = first_symbols(moving, name, 11)
        wanted = [*good[:place], symbol, *good[place:]]
        heard = Heard()
        session = Session(
            VENUES[name], wanted, server.endpoints()[name][1], heard, settings(transport)
        )
        async with living(session) as task:
            await until(lambda: session.all_answered and heard.symbols >= set(good) or task.done())
            right = [s for s, text in heard.refusals if words in text] == [symbol]
            return name, place, right and {symbol} == set(session.refused) and not task.done()

    async def main() -> None:
        server = SimServer(moving, sources=list(bad))
        await server.start()
        try:
            # every place for the venue whose requests fall as a whole
            places = {name: (5,) for name in bad} | {"bybit-spot": range(12)}
            found = await asyncio.gather(
                *(one(server, name, place) for name in bad for place in places[name])
            )
        finally:
            await server.stop()
        assert [] == [row for row in found if row[2] is not True]

    run(main())


def test_several_refused_pairs_of_one_request_are_named_in_turn(
    moving: Market, transport: str
) -> None:
    async def main() -> None:
        server = SimServer(moving, sources=["bybit-futures"])
        await server.start()
        good = first_symbols(moving, "bybit-futures", 5)
        wanted = ["NOPE1USDT", *good[:2], "NOPE2USDT", "NOPE3USDT", *good[2:]]
        heard = Heard()
        url = server.endpoints()["bybit-futures"][1]
        session = Session(VENUES["bybit-futures"], wanted, url, heard, settings(transport))
        try:
            async with living(session):
                await until(lambda: session.all_answered and heard.symbols == set(good))
                assert ["NOPE1USDT", "NOPE2USDT", "NOPE3USDT"] == list(session.refused)
                assert (3, 1) == (heard.controls["refusals"], heard.controls["acks"])
        finally:
            await server.stop()

    run(main())


def test_a_name_that_binance_acknowledges_and_never_sends_is_no_refusal(
    moving: Market, transport: str
) -> None:
    async def main() -> None:
        server = SimServer(moving, sources=["binance-spot"])
        await server.start()
        heard = Heard()
        url = server.endpoints()["binance-spot"][1]
        wanted = ["BTCUSDT", "NOPEUSDT"]
        session = Session(VENUES["binance-spot"], wanted, url, heard, settings(transport))
        try:
            async with living(session):
                await until(lambda: session.all_answered and len(heard.books) > 5)
                assert {"BTCUSDT"} == heard.symbols
                assert {} == session.refused
        finally:
            await server.stop()

    run(main())


CLIENT_PINGS = {  # which rule closes a socket without pings
    "bybit-spot": "idle_s",
    "okx-spot": "idle_s",
    "mexc-spot": "idle_s",
    "mexc-futures": "client_ping_s",
    "gate-spot": "idle_s",
    "gate-futures": "idle_s",
}


def test_client_pings_keep_a_quiet_socket_open(still: Market, transport: str) -> None:
    async def one(server: SimServer, name: str, ping_every_s: float) -> str:
        venue = quick(name, ping_every_s=ping_every_s)
        heard = Heard()
        session = Session(
            venue,
            [dead_symbol(still, name)],
            server.endpoints()[name][1],
            heard,
            settings(transport),
        )
        async with living(session) as task:
            if ping_every_s > 1.0:
                await asyncio.wait({task}, timeout=8.0)
                return task.result() if task.done() else "open"
            # longer than the venue waits for a ping; and four of them, however busy the machine is
            await asyncio.wait({task}, timeout=1.2)
            await until(lambda: task.done() or heard.controls["control"] >= 4)
            return task.result() if task.done() else "open"

    async def main() -> None:
        rules = {
            name: replace(PROTOCOLS[name].rules, **{rule: 0.7})
            for name, rule in CLIENT_PINGS.items()
        }
        server = SimServer(still, sources=list(CLIENT_PINGS), rules=rules)
        await server.start()
        try:
            with_pings = [one(server, name, 0.2) for name in CLIENT_PINGS]
            without = [one(server, name, 60.0) for name in CLIENT_PINGS]
            found = await asyncio.gather(*with_pings, *without)
        finally:
            await server.stop()
        kept, ended = found[: len(CLIENT_PINGS)], found[len(CLIENT_PINGS) :]
        assert ["open"] * len(CLIENT_PINGS) == kept
        # Gate cuts a socket without a word
        ends = ("closed by the venue", "connection lost")
        assert all(text.startswith(ends) for text in ended)

    run(main())


# -- requests keep to the limits


def test_requests_are_paced_and_one_at_a_time_where_acks_carry_no_id(transport: str) -> None:
    open_now, most = 0, 0

    def answer(request: dict[str, Any]) -> list[str]:
        nonlocal open_now, most
        open_now += 1
        most = max(most, open_now)
        return []

    async def on_open(guest: Guest) -> None:
        nonlocal open_now
        for i in range(12):
            await until(lambda i=i: len(guest.requests) > i)
            await asyncio.sleep(0.02)
            open_now -= 1
            await guest.send(*ack("mexc-futures", guest.requests[i]))

    async def main() -> None:
        venue = quick("mexc-futures", frames_per_s=50.0)
        symbols = [f"S{i}_USDT" for i in range(12)]
        async with Exchange("mexc-futures", answer, on_open) as exchange:
            session = Session(venue, symbols, exchange.url, Heard(), settings(transport))
            async with living(session):
                await until(lambda: session.all_answered)
                (guest,) = exchange.guests
                asked = [request["param"]["symbol"] for request in guest.requests]
                assert symbols == asked
                assert 1 == most

    run(main())


def test_frames_tell_when_they_are_sent_where_the_venue_wants_it(transport: str) -> None:
    def stamp(text: str, unix_s: int) -> str:
        return text.replace("{", f'{{"time":{unix_s},', 1)

    async def main() -> None:
        venue = replace(quick("bybit-spot", ping_every_s=0.05), stamp=stamp)
        async with Exchange("bybit-spot") as exchange:
            session = Session(venue, ["AUSDT"], exchange.url, Heard(), settings(transport))
            async with living(session):
                await until(lambda: session.all_answered)
                before = time.time()
                session.drop(["AUSDT"])
                guest = exchange.guests[0]
                await until(lambda: len(guest.requests) == 2 and len(guest.frames) > 4)
            frames = [json.loads(frame) for frame in guest.frames]
            assert {"subscribe", "unsubscribe", "ping"} == {frame["op"] for frame in frames}
            assert all(before - 5 < frame["time"] <= time.time() for frame in frames)

    run(main())


def test_frames_are_spaced_pings_included(transport: str) -> None:
    async def main() -> None:
        venue = quick("bybit-spot", frames_per_s=20.0, ping_every_s=0.05)
        symbols = [f"S{i}USDT" for i in range(60)]
        async with Exchange("bybit-spot") as exchange:
            session = Session(venue, symbols, exchange.url, Heard(), settings(transport))
            async with living(session):
                await until(lambda: session.all_answered)
            (guest,) = exchange.guests
            assert [10] * 6 == [len(request["args"]) for request in guest.requests]
            assert len(guest.frames) > 6  # pings went out in between
            took_s = guest.times[-1] - guest.times[0]
            assert took_s > 0.5 * (len(guest.frames) - 1) / 20.0  # the first may be read late

    run(main())


def test_a_socket_that_spent_its_requests_of_an_hour_waits_and_wants_a_successor(
    transport: str,
) -> None:
    async def main() -> None:
        venue = quick("okx-spot", requests_per_hour=4, topics_per_frame=1, frames_per_s=1_000.0)
        symbols = [f"S{i}-USDT" for i in range(5)]
        async with Exchange("okx-spot") as exchange:
            session = Session(venue, symbols, exchange.url, Heard(), settings(transport))
            async with living(session) as task:
                await until(session.expiring.is_set)
                await until(lambda: len(exchange.guests[0].requests) == 4)
                await asyncio.sleep(0.2)
                assert 4 == len(exchange.guests[0].requests)
                assert not session.all_answered
                assert not task.done()

    run(main())


# -- refusals that do not say for what


def test_an_unnamed_refusal_is_halved_until_the_pair_is_found(transport: str) -> None:
    def answer(request: dict[str, Any]) -> list[str]:
        if "s37usdt@bookTicker" in request["params"]:
            return [json.dumps({"error": {"code": 2, "msg": "bad stream"}, "id": request["id"]})]
        return ack("binance-spot", request)

    async def main() -> None:
        venue = quick("binance-spot", frames_per_s=1_000.0)
        symbols = [f"S{i}USDT" for i in range(64)]
        heard = Heard()
        async with Exchange("binance-spot", answer) as exchange:
            session = Session(venue, symbols, exchange.url, heard, settings(transport))
            async with living(session):
                await until(lambda: session.all_answered)
                requests = exchange.guests[0].requests
        assert {"S37USDT": "2: bad stream"} == session.refused
        assert [("S37USDT", "2: bad stream")] == heard.refusals
        assert 1 + 2 * 6 == len(requests)
        accepted = [
            p for r in requests if "s37usdt@bookTicker" not in r["params"] for p in r["params"]
        ]
        assert sorted(f"{s.lower()}@bookTicker" for s in symbols if s != "S37USDT") == sorted(
            accepted
        )
        assert (7, 6) == (heard.controls["refusals"], heard.controls["acks"])

    run(main())


def test_a_topic_that_bybit_has_already_is_not_refused(transport: str) -> None:
    """The first subscription goes on; the others of its request did not come through."""
    texts = {"AUSDT": "error:already subscribed,topic:orderbook.1.AUSDT"}

    def answer(request: dict[str, Any]) -> list[str]:
        for symbol, text in texts.items():
            if f"orderbook.1.{symbol}" in request["args"]:
                no = {"success": False, "ret_msg": text, "req_id": request["req_id"]}
                return [json.dumps(no | {"op": "subscribe"})]
        return ack("bybit-futures", request)

    async def main() -> None:
        venue = quick("bybit-futures", frames_per_s=1_000.0)
        heard = Heard()
        async with Exchange("bybit-futures", answer) as exchange:
            symbols = ["AUSDT", "BUSDT", "CUSDT"]
            session = Session(venue, symbols, exchange.url, heard, settings(transport))
            async with living(session):
                await until(lambda: session.all_answered)
                asked = [request["args"] for request in exchange.guests[0].requests]
                assert symbols == session.accepted
                session.drop(["AUSDT"])
                session.add(["AUSDT"])  # alone in its request
                await until(lambda: len(exchange.guests[0].requests) == 4 and session.all_answered)
                assert "AUSDT" in session.accepted
        assert [] == heard.refusals
        assert [
            [f"orderbook.1.{s}" for s in symbols],
            ["orderbook.1.BUSDT", "orderbook.1.CUSDT"],
        ] == asked

    run(main())


def test_answers_without_an_id_belong_to_the_oldest_request(transport: str) -> None:
    """MEXC spot says only that something failed; one request is in flight."""

    def answer(request: dict[str, Any]) -> list[str]:
        if any(param.endswith("@S5USDT") for param in request["params"]):
            return [json.dumps({"id": 0, "code": 700_004, "msg": "no"})]
        return ack("mexc-spot", request)

    async def main() -> None:
        venue = quick("mexc-spot", frames_per_s=1_000.0)
        symbols = [f"S{i}USDT" for i in range(8)]
        async with Exchange("mexc-spot", answer) as exchange:
            session = Session(venue, symbols, exchange.url, Heard(), settings(transport))
            async with living(session) as task:
                await until(lambda: session.all_answered)
                assert {"S5USDT": "700004: no"} == session.refused
                assert not task.done()

    run(main())


def test_a_socket_whose_pairs_are_all_refused_is_given_up(transport: str) -> None:
    """A venue that refuses everything for a while must be asked again, on a new socket."""

    def answer(request: dict[str, Any]) -> list[str]:
        error = {"event": "error", "code": "60012", "msg": "Invalid request"}
        return [json.dumps(error | {"connId": "c"})]

    async def main() -> None:
        venue = quick("okx-spot", frames_per_s=1_000.0)
        async with Exchange("okx-spot", answer) as exchange:
            session = Session(
                venue, [f"S{i}-USDT" for i in range(4)], exchange.url, Heard(), settings(transport)
            )
            assert "every pair refused: 60012: Invalid request" == await session.run()

    run(main())


# -- the ends of a session


@pytest.mark.parametrize("name", ["binance-spot", "okx-spot", "mexc-spot", "mexc-futures"])
def test_a_socket_that_answers_nothing_and_quotes_nothing_is_dead(
    transport: str, name: str
) -> None:
    """Halfway one topic was asked for alone, where several requests may be in flight."""

    async def main() -> None:
        async with Exchange(name, lambda request: None) as exchange:
            feeds = settings(transport, ack_timeout_s=0.4)
            wanted = [symbol_of(name, i) for i in range(3)]
            session = Session(VENUES[name], wanted, exchange.url, Heard(), feeds)
            assert "nothing answered for 0.4 s" == await session.run()
            sizes = [len(topics_of(request)) for request in exchange.guests[0].requests]
        assert sizes == {"mexc-spot": [3], "mexc-futures": [1]}.get(name, [3, 1])

    run(main())


def symbol_of(name: str, i: int) -> str:
    made = {"okx-spot": f"S{i}-USDT", "mexc-futures": f"S{i}_USDT"}
    return made.get(name, f"S{i}USDT")


def topics_of(request: dict[str, Any]) -> list[Any]:
    """Return what a request of any venue names."""
    found = request.get("args") or request.get("params") or [request.get("param")]
    return list(found)


def test_a_socket_that_quotes_lives_without_answers(transport: str) -> None:
    """And a pair that quotes is not asked for again."""

    async def chatter(guest: Guest) -> None:
        while True:
            await guest.send(VENUES["binance-spot"].render(book("AUSDT")))
            await asyncio.sleep(0.05)

    async def main() -> None:
        heard = Heard()
        async with Exchange("binance-spot", lambda request: None, chatter) as exchange:
            feeds = settings(transport, ack_timeout_s=0.2)
            wanted = ["AUSDT", "BUSDT", "CUSDT"]
            session = Session(VENUES["binance-spot"], wanted, exchange.url, heard, feeds)
            async with living(session) as task:
                await until(lambda: exchange.guests and len(exchange.guests[0].requests) >= 5)
                guest = exchange.guests[0]
                assert not task.done()
                await until(session.proven.is_set)
                asked = [topics_of(request) for request in guest.requests]
        assert ["busdt@bookTicker"] in asked
        assert ["cusdt@bookTicker"] in asked
        assert 1 == sum("ausdt@bookTicker" in topics for topics in asked)
        assert ["BUSDT", "CUSDT"] == sorted(heard.ignored)  # each told once

    run(main())


def test_a_message_that_comes_with_the_handshake_finds_the_socket_open(transport: str) -> None:
    """Before connect() has returned: else a socket of no age would count as an old one."""
    venue = VENUES["binance-spot"]
    session = Session(venue, ["AUSDT"], "ws://127.0.0.1:1", Heard(), settings(transport))
    session.on_message(b'{"e":"serverShutdown","E":1}', 77)
    assert (77, 77) == (session.opened_ns, session.last_frame_ns)
    assert session.expiring.is_set()


def test_a_socket_ends_at_whatever_moment_it_is_told_to(transport: str) -> None:
    """Also in the turn of the loop in which its sender, who waits for a time, has got news."""

    async def chatter(guest: Guest) -> None:
        while True:
            await guest.send(VENUES["binance-spot"].render(book("AUSDT")))
            await asyncio.sleep(0.02)

    async def main(turns: int) -> None:
        async with Exchange("binance-spot", lambda request: None, chatter) as exchange:
            feeds = settings(transport, ack_timeout_s=0.1)
            wanted = ["AUSDT", "BUSDT"]
            session = Session(VENUES["binance-spot"], wanted, exchange.url, Heard(), feeds)
            async with living(session) as task:
                # asked in vain, and again in vain: the third time is a wait away
                await until(lambda: exchange.guests and len(exchange.guests[0].requests) == 2)
                await asyncio.sleep(0.11)
                session.add([])
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task], timeout=5.0)
                assert task.done()

    for turns in range(6):
        run(main(turns))


@pytest.mark.parametrize("name", ["okx-spot", "mexc-spot"])
def test_a_topic_that_is_never_answered_is_asked_for_alone_and_costs_no_socket(
    transport: str, name: str
) -> None:
    """Ever more seldom; once it is answered, all is as if it always had been."""
    deaf = True

    def answer(request: dict[str, Any]) -> list[str]:
        key = "args" if name == "okx-spot" else "params"
        good = [topic for topic in request[key] if not (deaf and "S1" in str(topic))]
        return ack(name, request | {key: good}) if good else []

    async def main() -> None:
        nonlocal deaf
        heard = Heard()
        async with Exchange(name, answer) as exchange:
            feeds = settings(transport, ack_timeout_s=0.2)
            wanted = [symbol_of(name, i) for i in range(4)]
            session = Session(VENUES[name], wanted, exchange.url, heard, feeds)
            async with living(session) as task:
                await until(lambda: exchange.guests and len(exchange.guests[0].requests) == 4)
                guest = exchange.guests[0]
                assert not task.done()
                assert session.all_answered  # what is ignored holds up nothing
                assert [4, 1, 1, 1] == [len(topics_of(request)) for request in guest.requests]
                assert all("S1" in str(topics_of(r)) for r in guest.requests)
                waits = [b - a for a, b in zip(guest.times[:-1], guest.times[1:], strict=True)]
                assert 0.2 < waits[0] < waits[1] < waits[2]
                assert {wanted[1]} == set(session.unanswered)
                deaf = False
                await until(lambda: not session.unanswered)
        assert [wanted[1]] == heard.ignored
        assert {} == session.refused

    run(main())


def test_an_over_long_request_is_asked_again_in_smaller_ones(transport: str) -> None:
    """Binance ignores a request of too many bytes, whatever the limit is now."""

    def answer(request: dict[str, Any]) -> list[str] | None:
        return ack("binance-spot", request) if len(request["params"]) <= 12 else None

    async def main() -> None:
        async with Exchange("binance-spot", answer) as exchange:
            venue = quick("binance-spot", frames_per_s=1_000.0)
            wanted = [f"S{i}USDT" for i in range(64)]
            feeds = settings(transport, ack_timeout_s=0.3)
            session = Session(venue, wanted, exchange.url, Heard(), feeds)
            async with living(session) as task:
                await until(lambda: session.answered_ns and not session.unanswered)
                await until(lambda: len(answered(exchange.guests[0])) == 64)
                assert not task.done()
        assert 1 == len(exchange.guests)

    def answered(guest: Guest) -> set[str]:
        return {p for r in guest.requests if len(r["params"]) <= 12 for p in r["params"]}

    run(main())


def test_a_mute_socket_closes(transport: str) -> None:
    async def main() -> None:
        async with Exchange("bybit-spot", polite=False) as exchange:
            venue = quick("bybit-spot", pong_deadline_s=0.3, ping_every_s=0.1)
            session = Session(venue, ["AUSDT"], exchange.url, Heard(), settings(transport))
            assert "nothing received for 0.3 s" == await session.run()
            pings = [f for f in exchange.guests[0].frames if not is_request(json.loads(f))]
            assert len(pings) >= 2

    run(main(), 5.0)  # a peer that does not answer the close either is not waited for


def test_a_peer_that_drips_bytes_is_mute(transport: str) -> None:
    async def drip(guest: Guest) -> None:
        await guest.peer.send(b"\x81\x7e\xff\xff")
        while True:
            await guest.peer.send(b"x")
            await asyncio.sleep(0.05)

    async def main() -> None:
        async with Exchange("binance-spot", None, drip) as exchange:
            venue = quick("binance-spot", pong_deadline_s=0.3)
            feeds = settings(transport, ack_timeout_s=60.0)
            session = Session(venue, ["AUSDT"], exchange.url, Heard(), feeds)
            assert "nothing received for 0.3 s" == await session.run()

    run(main())


def test_pings_pongs_and_data_are_signs_of_life(transport: str) -> None:
    async def one(payload: bytes, opcode: int) -> bool:
        async def beat(guest: Guest) -> None:
            while True:
                await guest.send(payload, opcode=opcode)
                await asyncio.sleep(0.05)

        async with Exchange("binance-spot", None, beat) as exchange:
            venue = quick("binance-spot", pong_deadline_s=0.3)
            session = Session(venue, ["AUSDT"], exchange.url, Heard(), settings(transport))
            async with living(session) as task:
                await asyncio.wait({task}, timeout=0.8)
                return not task.done()

    async def main() -> None:
        text, ping, pong = 1, 9, 10
        quote = VENUES["binance-spot"].render(book("AUSDT"))
        found = await asyncio.gather(one(b"1", ping), one(b"1", pong), one(quote, text))
        assert [True, True, True] == found

    run(main())


@pytest.mark.parametrize(("n", "closes"), [(10, True), (9, False)])
def test_a_socket_without_quotes_closes_if_enough_pairs_are_on_it(
    transport: str, n: int, closes: bool
) -> None:
    """Acks and pongs flow, quotes do not; one quiet pair alone would mean nothing."""

    async def pong(guest: Guest) -> None:
        while True:
            await guest.send('{"op":"pong"}')
            await asyncio.sleep(0.05)

    async def main() -> None:
        async with Exchange("bybit-futures", None, pong) as exchange:
            symbols = [f"S{i}USDT" for i in range(n)]
            feeds = settings(transport, silent_socket_s=0.2)
            session = Session(VENUES["bybit-futures"], symbols, exchange.url, Heard(), feeds)
            async with living(session) as task:
                await asyncio.wait({task}, timeout=5.0 if closes else 0.6)
                assert closes == task.done()
                assert not closes or "no quote for 0.2 s" == task.result()
                assert closes != session.expiring.is_set()  # a few get a successor to compare with

    run(main())


def test_few_pairs_have_longer_to_say_something(transport: str) -> None:
    async def main() -> None:
        async with Exchange("bybit-futures") as exchange:
            feeds = settings(transport, silent_socket_s=0.2)
            session = Session(VENUES["bybit-futures"], ["AUSDT"], exchange.url, Heard(), feeds)
            async with living(session):
                await until(lambda: session.all_answered)
                await until(session.expiring.is_set)
                waited_s = (now_ns() - session.opened_ns) / 1e9
                assert 3 == len(exchange.guests[0].requests)  # it was asked for again before
        assert waited_s > 10 * 0.2

    run(main())


def test_quotes_that_the_gate_refuses_do_not_count_as_life(transport: str) -> None:
    async def crossed(guest: Guest) -> None:
        for i in range(1_000):
            await guest.send(VENUES["bybit-futures"].render(book(f"S{i % 10}USDT", i + 2)))
            await asyncio.sleep(0.05)

    async def main() -> None:
        heard = Heard(takes=lambda book: False)
        async with Exchange("bybit-futures", None, crossed) as exchange:
            symbols = [f"S{i}USDT" for i in range(10)]
            feeds = settings(transport, silent_socket_s=0.4)
            session = Session(VENUES["bybit-futures"], symbols, exchange.url, heard, feeds)
            assert "no quote for 0.4 s" == await session.run()
            assert 0 == session.valid
            assert len(heard.books) > 3

    run(main())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("binance-futures", '{"e":"serverShutdown","E":1770000000000}'),
        ("binance-spot", '{"stream":"x","data":{"e":"serverShutdown","E":1770000000000}}'),
        (
            "okx-spot",
            '{"event":"notice","code":"64008","msg":"to be closed soon"}',
        ),
    ],
)
def test_an_announced_restart_asks_for_a_successor(transport: str, name: str, text: str) -> None:
    async def announce(guest: Guest) -> None:
        await until(lambda: guest.requests)
        await guest.send(text)

    async def main() -> None:
        symbol = "A-USDT" if name.startswith("okx") else "AUSDT"
        async with Exchange(name, None, announce) as exchange:
            session = Session(VENUES[name], [symbol], exchange.url, Heard(), settings(transport))
            async with living(session) as task:
                await session.expiring.wait()
                assert not task.done()  # until the venue closes it, or a successor is there

    run(main())


def test_another_notice_does_not_close(transport: str) -> None:
    async def announce(guest: Guest) -> None:
        await guest.send('{"event":"notice","code":"60000","msg":"have a nice day"}')
        await guest.send(VENUES["okx-spot"].render(book("A-USDT")))

    async def main() -> None:
        heard = Heard()
        async with Exchange("okx-spot", None, announce) as exchange:
            session = Session(
                VENUES["okx-spot"], ["A-USDT"], exchange.url, heard, settings(transport)
            )
            async with living(session) as task:
                await until(lambda: heard.books and session.all_answered)
                assert not task.done()
                assert 1 == heard.controls["control"]

    run(main())


def test_a_close_by_the_venue_and_a_cut_are_told_apart(transport: str) -> None:
    async def close(guest: Guest) -> None:
        await guest.send((4004).to_bytes(2) + b"No data", opcode=8)

    async def cut(guest: Guest) -> None:
        await until(lambda: guest.requests)
        guest.peer.cut()

    async def main() -> None:
        for on_open, said in ((close, "4004"), (cut, "connection lost")):
            async with Exchange("okx-spot", None, on_open) as exchange:
                session = Session(
                    VENUES["okx-spot"], ["A-USDT"], exchange.url, Heard(), settings(transport)
                )
                assert said in await session.run()

    run(main())


def test_nobody_there_is_connection_lost(transport: str) -> None:
    async def main() -> None:
        async with Exchange("okx-spot") as exchange:
            url = exchange.url
        session = Session(VENUES["okx-spot"], ["A-USDT"], url, Heard(), settings(transport))
        with pytest.raises(ConnectionLost):
            await session.run()
        assert (0, False) == (session.opened_ns, session.all_answered)

    run(main())


def test_a_cancelled_session_leaves_no_socket(transport: str) -> None:
    async def main() -> None:
        async with Exchange("okx-spot") as exchange:
            session = Session(
                VENUES["okx-spot"], ["A-USDT"], exchange.url, Heard(), settings(transport)
            )
            task = asyncio.create_task(session.run())
            await until(lambda: session.all_answered)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await exchange.guests[0].gone.wait()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            assert [] == [t for t in others if "Session" in repr(t.get_coro())]

    run(main())


def test_closing_before_it_is_open_and_twice_is_nothing(transport: str) -> None:
    async def main() -> None:
        async with Exchange("okx-spot") as exchange:
            session = Session(
                VENUES["okx-spot"], ["A-USDT"], exchange.url, Heard(), settings(transport)
            )
            session.close("too early")
            async with living(session) as task:
                await until(lambda: session.all_answered)
                session.close("first")
                session.close("second")
                assert "first" == await task

    run(main())


# -- garbage, and deltas that lead nowhere


def test_garbage_is_counted_and_the_socket_lives(transport: str) -> None:
    async def send(guest: Guest) -> None:
        await until(lambda: guest.requests)
        for i in range(300):
            await guest.send(
                VENUES["okx-spot"].render(book("A-USDT", i)),
                VENUES["okx-spot"].render(book("A-USDT", i)),
                b"\xff\xfe{]" if i % 2 else b'{"event"',
                opcode=1 if transport == "picows" else 2,  # aiohttp closes on text that is no UTF-8
            )

    async def main() -> None:
        heard = Heard()
        async with Exchange("okx-spot", None, send) as exchange:
            session = Session(
                VENUES["okx-spot"], ["A-USDT"], exchange.url, heard, settings(transport)
            )
            async with living(session) as task:
                await until(lambda: len(heard.books) == 600 or task.done())
                await asyncio.sleep(0.1)
                assert not task.done()
                assert {"bad_frame": 300} == heard.declines

    run(main())


def test_a_socket_of_mostly_garbage_is_given_up(transport: str) -> None:
    async def send(guest: Guest) -> None:
        while True:
            await guest.send(VENUES["okx-spot"].render(book("A-USDT")), *[b"{"] * 3)
            await asyncio.sleep(0)

    async def main() -> None:
        heard = Heard()
        async with Exchange("okx-spot", None, send) as exchange:
            session = Session(
                VENUES["okx-spot"], ["A-USDT"], exchange.url, heard, settings(transport)
            )
            assert (await session.run()).startswith("cut off: mostly garbage, ")
            assert heard.declines["bad_frame"] > 100
            assert 1 == heard.controls["misbehaved"]

    run(main())


def test_a_flood_of_channels_that_nobody_asked_for_ends_the_socket(transport: str) -> None:
    other = '{"arg":{"channel":"trades","instId":"A-USDT"},"data":[{"px":"1","sz":"2"}]}'

    async def send(guest: Guest) -> None:
        while True:
            await guest.send(VENUES["okx-spot"].render(book("A-USDT")), *[other] * 9)
            await asyncio.sleep(0)

    async def main() -> None:
        heard = Heard()
        async with Exchange("okx-spot", None, send) as exchange:
            session = Session(
                VENUES["okx-spot"], ["A-USDT"], exchange.url, heard, settings(transport)
            )
            assert (await session.run()).startswith("cut off: mostly channels that were not asked")
            assert heard.declines["other_channel"] > 100
            assert 1 == heard.controls["misbehaved"]

    run(main())


def test_a_peer_that_reads_nothing_of_ours_is_cut_off(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "_UNREAD_AT_MOST_S", 0.05)

    async def main() -> None:
        heard = Heard()
        async with Exchange("okx-spot") as exchange:
            session = Session(
                VENUES["okx-spot"], ["A-USDT"], exchange.url, heard, settings(transport)
            )
            async with living(session) as task:
                await until(lambda: session.all_answered)
                exchange.guests[0].peer.read_no_more()
                for _ in range(200):
                    session._send("x" * 65_536)
                assert "cut off: what we send was not read for 0.05 s" == await task
            assert 1 == heard.controls["misbehaved"]

    run(main())


def delta(symbol: str, update_id: int) -> str:
    change = {"s": symbol, "b": [["100", "5"]], "a": [], "u": update_id, "seq": 1}
    topic = f"orderbook.1.{symbol}"
    return json.dumps({"topic": topic, "type": "delta", "ts": 1, "data": change, "cts": 1})


def test_deltas_without_a_snapshot_ask_for_one_once(transport: str) -> None:
    async def send(guest: Guest) -> None:
        await until(lambda: guest.requests)
        for i in range(20):
            await guest.send(delta("AUSDT", 50 + i), delta("BUSDT", 50 + i), delta("XUSDT", 9))
        await until(lambda: len(guest.requests) == 5)
        await guest.send(VENUES["bybit-futures"].render(book("AUSDT", 90)), delta("AUSDT", 91))

    async def main() -> None:
        heard = Heard()
        venue = quick("bybit-futures", frames_per_s=1_000.0)
        async with Exchange("bybit-futures", None, send) as exchange:
            feeds = settings(transport)
            session = Session(venue, ["AUSDT", "BUSDT"], exchange.url, heard, feeds)
            async with living(session):
                await until(lambda: len(heard.books) == 2 and session.all_answered)
                asked = [(r["op"], r["args"]) for r in exchange.guests[0].requests]
        a, b = ["orderbook.1.AUSDT"], ["orderbook.1.BUSDT"]
        assert ("subscribe", a + b) == asked[0]
        assert [("unsubscribe", a), ("subscribe", a)] == [x for x in asked[1:] if x[1] == a]
        assert [("unsubscribe", b), ("subscribe", b)] == [x for x in asked[1:] if x[1] == b]
        assert ["AUSDT", "BUSDT"] == sorted(heard.anew)
        assert (2, 60) == (heard.controls["resubscribes"], heard.declines["no_snapshot"])
        assert ["AUSDT", "BUSDT"] == heard.anew  # the answers to the first request are not told
        assert [(90, 2.0), (91, 5.0)] == [(b.update_id, b.bid_qty) for b in heard.books]

    run(main())


def test_a_snapshot_that_never_comes_is_asked_for_again_later(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And one that came is not."""
    monkeypatch.setattr(session_module, "_RESUBSCRIBE_EVERY_NS", 200_000_000)

    async def send(guest: Guest) -> None:
        await until(lambda: guest.requests)
        await guest.send(delta("BUSDT", 50))
        await until(lambda: len(guest.requests) == 3)
        await guest.send(VENUES["bybit-futures"].render(book("BUSDT", 60)))
        while True:
            await guest.send(delta("AUSDT", 50))
            await asyncio.sleep(0.02)

    async def main() -> None:
        heard = Heard()
        venue = quick("bybit-futures", frames_per_s=1_000.0)
        async with Exchange("bybit-futures", None, send) as exchange:
            symbols = ["AUSDT", "BUSDT"]
            session = Session(venue, symbols, exchange.url, heard, settings(transport))
            async with living(session):
                await until(lambda: exchange.guests and len(exchange.guests[0].requests) >= 9)
                asked = [request["args"] for request in exchange.guests[0].requests]
        a, b = ["orderbook.1.AUSDT"], ["orderbook.1.BUSDT"]
        assert [a + b, b, b, a, a, a, a, a, a] == asked[:9]
        assert heard.declines["no_snapshot"] > 15

    run(main())


# -- the whole on the small


def test_many_sockets_side_by_side_do_not_mix(transport: str) -> None:
    async def main() -> None:
        async def greet(guest: Guest) -> None:
            await until(lambda: guest.requests)
            for param in guest.requests[0]["params"]:
                symbol = param.split("@")[0].upper()
                await guest.send(VENUES["binance-spot"].render(book(symbol)))

        async with Exchange("binance-spot", None, greet) as exchange, AsyncExitStack() as stack:
            sinks = [Heard() for _ in range(20)]
            for i, heard in enumerate(sinks):
                session = Session(
                    VENUES["binance-spot"],
                    [f"S{i}USDT"],
                    exchange.url,
                    heard,
                    settings(transport),
                )
                await stack.enter_async_context(living(session))
            await until(lambda: all(heard.books for heard in sinks))
            assert [{f"S{i}USDT"} for i in range(20)] == [heard.symbols for heard in sinks]

    run(main())
