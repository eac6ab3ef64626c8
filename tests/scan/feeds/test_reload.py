"""New lists under a running feed: what changed is asked for, what stays is not touched."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
from spreadcore import Instance

from known import SOURCE_BY_NAME
from scan.feeds.kit import (
    Exchange,
    Guest,
    Heard,
    ack,
    book,
    config_of,
    counter,
    lists_of,
    living,
    quick,
    quote,
    row,
    run,
    settings,
    until,
    working,
)
from scan.feeds.test_websocket import empty
from spreadscan.feeds import session as session_module
from spreadscan.feeds.session import Session
from spreadscan.feeds.websocket import WebSocketFeed
from spreadscan.lists import Listing
from spreadscan.sim import Market, SimServer
from spreadscan.sim.exchange import Exchange as SimExchange
from spreadscan.venues import VENUES

SOURCE = "okx-spot"
A, B, C, D = (row(i, f"{name}-USDT") for i, name in enumerate("ABCD"))


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_TICK_S", 0.02)


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    return make_instance(n_symbols=64)


def asked(guest: Guest) -> list[str]:
    """What a socket was asked for, in order: +A, -B."""
    return [
        ("+" if request["op"] == "subscribe" else "-") + arg["instId"].removesuffix("-USDT")
        for request in guest.requests
        for arg in request["args"]
    ]


class Feed:
    """A feed of two pairs a socket whose lists the test replaces."""

    def __init__(self, instance: Instance, exchange: Exchange, transport: str) -> None:
        self.instance, self.exchange, self.lists = instance, exchange, lists_of(SOURCE, A, B)
        self._venue = quick(
            SOURCE, topics_per_socket=2, connects_per_s=1_000.0, frames_per_s=1_000.0
        )
        self._config = config_of(SOURCE, exchange.url, transport)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[WebSocketFeed]:
        async with working(
            self._venue, self._config, self.lists, self.instance, lambda: self.lists
        ) as sockets:
            await until(lambda: self.asked and len(self.asked[0]) == 2)
            yield sockets

    async def take(self, *rows: Listing) -> None:
        generation = self.lists.generation + 1
        self.lists = msgspec.structs.replace(lists_of(SOURCE, *rows), generation=generation)
        source_id = 6
        await until(lambda: self.instance.health.info(source_id)["acked_generation"] == generation)

    @property
    def asked(self) -> list[list[str]]:
        return [asked(guest) for guest in self.exchange.guests]

    async def quotes(self, n: int, *rows: Listing, update_id: int = 1, **changes: Any) -> None:
        """Let socket n send quotes."""
        symbols = [r.instrument.venue_symbol for r in rows]
        await self.exchange.guests[n].send(
            *(VENUES[SOURCE].render(book(symbol, update_id, **changes)) for symbol in symbols)
        )

    def stored(self, listed: Listing) -> Any:
        return quote(self.instance, SOURCE, listed.symbol_id)


def test_a_pair_that_went_is_emptied_and_one_that_came_takes_its_place(
    instance: Instance, transport: str
) -> None:
    async def main() -> None:
        async with Exchange(SOURCE) as exchange:
            feed = Feed(instance, exchange, transport)
            async with feed.running():
                await feed.quotes(0, A, B)
                await until(lambda: not empty(feed.stored(A)) and not empty(feed.stored(B)))
                kept = feed.stored(B)
                await feed.take(B, C)
                assert empty(feed.stored(A))
                assert kept == feed.stored(B)
                await until(lambda: [["+A", "+B", "-A", "+C"]] == feed.asked)
                await feed.quotes(0, A, B, C, update_id=2)  # A: a frame that was under way
                await until(lambda: not empty(feed.stored(C)) and feed.stored(B) != kept)
                assert empty(feed.stored(A))
                assert 1 == counter(instance, SOURCE, "declined_unknown_symbol")
                assert 1 == counter(instance, SOURCE, "emptied")
                assert 0 == counter(instance, SOURCE, "reconnects")

    run(main())


def test_new_sockets_come_only_once_the_old_are_full(instance: Instance, transport: str) -> None:
    async def main() -> None:
        async with Exchange(SOURCE) as exchange:
            feed = Feed(instance, exchange, transport)
            async with feed.running():
                await feed.take(A, B, C)
                await until(lambda: [["+A", "+B"], ["+C"]] == feed.asked)
                await feed.take(A, B, C, D)
                await until(lambda: [["+A", "+B"], ["+C", "+D"]] == feed.asked)

    run(main())


def test_a_socket_that_lost_its_pairs_closes(instance: Instance, transport: str) -> None:
    async def main() -> None:
        async with Exchange(SOURCE) as exchange:
            feed = Feed(instance, exchange, transport)
            async with feed.running():
                await feed.take(A, B, C)
                await until(lambda: len(feed.asked) == 2 and feed.asked[1])
                await feed.quotes(0, A)
                await until(lambda: not empty(feed.stored(A)))
                await feed.take(A, B)
                await exchange.guests[1].gone.wait()
                await until(lambda: counter(instance, SOURCE, "sockets") == 1)
                assert not exchange.guests[0].gone.is_set()
                assert not empty(feed.stored(A))
                await feed.take(A, C)  # its last place is free again
                await until(lambda: ["+A", "+B", "-B", "+C"] == feed.asked[0])
                assert 2 == len(feed.asked)

    run(main())


def test_a_pair_listed_anew_with_other_units_starts_empty(
    instance: Instance, transport: str
) -> None:
    """What stood was in the old units; ids may start anew too."""

    async def main() -> None:
        async with Exchange(SOURCE) as exchange:
            feed = Feed(instance, exchange, transport)
            async with feed.running():
                await feed.quotes(0, A, update_id=50)
                await until(lambda: not empty(feed.stored(A)))
                await feed.take(row(0, "A-USDT", multiplier=1000.0), B)
                assert empty(feed.stored(A))
                await until(lambda: [["+A", "+B", "-A", "+A"]] == feed.asked)
                await feed.quotes(0, A, update_id=7)
                await until(lambda: not empty(feed.stored(A)))
                assert (0.1, 2000.0) == (feed.stored(A).bid_px, feed.stored(A).bid_qty)

    run(main())


def test_both_sockets_of_an_overlap_take_the_change(instance: Instance, transport: str) -> None:
    """The successor takes over what came; what went is nobody's."""

    async def main() -> None:
        async with Exchange(SOURCE) as exchange:
            feed = Feed(instance, exchange, transport)
            async with feed.running() as sockets:
                (shard,) = sockets._keepers
                await feed.quotes(0, A, B)
                shard.sessions[0].expiring.set()
                await until(lambda: len(feed.asked) == 2 and len(feed.asked[1]) == 2)
                await feed.take(B, C)
                await until(lambda: [["+A", "+B", "-A", "+C"]] * 2 == feed.asked)
                await feed.quotes(0, C)
                await feed.quotes(1, B, update_id=2)
                await exchange.guests[0].gone.wait()
                assert 1 == counter(instance, SOURCE, "takeovers")
                assert not empty(feed.stored(B))
                assert not empty(feed.stored(C))

    run(main())


def test_after_a_loss_the_socket_is_for_the_newest_pairs(
    instance: Instance, transport: str
) -> None:
    async def main() -> None:
        async with Exchange(SOURCE) as exchange:
            feed = Feed(instance, exchange, transport)
            async with feed.running():
                await feed.quotes(0, A)
                await feed.take(B, C)
                exchange.guests[0].peer.cut()
                await until(lambda: len(feed.asked) == 2 and len(feed.asked[1]) == 2)
                assert ["+B", "+C"] == feed.asked[1]

    run(main())


def session_of(url: str, transport: str, *symbols: str) -> Session:
    venue = quick(SOURCE, frames_per_s=1_000.0)
    return Session(venue, symbols, url, Heard(), settings(transport))


def test_what_is_dropped_before_it_was_asked_for_never_is(transport: str) -> None:
    async def main() -> None:
        async with Exchange(SOURCE) as exchange:
            session = session_of(exchange.url, transport, "A-USDT", "B-USDT")
            session.drop(["A-USDT", "Z-USDT"])
            session.add(["C-USDT"])
            async with living(session):
                await until(lambda: session.all_answered)
                assert ["+B", "+C"] == asked(exchange.guests[0])

    run(main())


def test_a_refused_request_is_not_tried_again_for_what_was_dropped(transport: str) -> None:
    """The whole request is refused without a name; its halves are asked for without A."""

    def answer(request: dict[str, Any]) -> list[str]:
        if len(request["args"]) == 4:
            session.drop(["A-USDT"])
            refusal = {"event": "error", "id": request["id"], "code": "60012", "msg": "Invalid"}
            return [json.dumps(refusal)]
        return ack(SOURCE, request)

    async def main() -> None:
        nonlocal session
        async with Exchange(SOURCE, answer) as exchange:
            session = session_of(exchange.url, transport, *(f"{c}-USDT" for c in "ABCD"))
            async with living(session):
                await until(lambda: session.all_answered)
                again = asked(exchange.guests[0])[4:]
                assert "+A" not in again
                assert {"+B", "+C", "+D"} <= set(again)
                assert ("B-USDT", "C-USDT", "D-USDT") == session.symbols

    session: Session
    run(main())


def test_what_was_refused_is_asked_for_when_it_is_listed_again(transport: str) -> None:
    async def main() -> None:
        async with Exchange(SOURCE) as exchange:
            session = session_of(exchange.url, transport, "A-USDT", "B-USDT")
            async with living(session):
                await until(lambda: session.all_answered)
                session.refused["A-USDT"] = "suspended"
                session.drop(["A-USDT"])  # nothing to unsubscribe
                session.add(["A-USDT"])
                await until(lambda: ["+A", "+B", "+A"] == asked(exchange.guests[0]))
                assert ["B-USDT", "A-USDT"] == session.accepted

    run(main())


def test_a_late_yes_to_an_unsubscription_is_no_yes_to_a_subscription(transport: str) -> None:
    """Answers of MEXC futures carry no id: the refusal that follows is that of the new pair."""

    def answer(request: dict[str, Any]) -> list[str]:
        if request["param"]["symbol"] != "C_USDT":
            return ack(name, request) if request["method"] == "sub.depth.full" else []
        late = ack(name, {"method": "unsub.depth.full"})
        return [*late, json.dumps({"channel": "rs.error", "data": "Contract not exists", "ts": 1})]

    async def main() -> None:
        async with Exchange(name, answer) as exchange:
            heard, venue = Heard(), quick(name, frames_per_s=1_000.0)
            feeds = settings(transport, ack_timeout_s=1.0)
            session = Session(venue, ["A_USDT", "B_USDT"], exchange.url, heard, feeds)
            async with living(session):
                await until(lambda: session.all_answered)
                session.drop(["A_USDT"])
                session.add(["C_USDT"])
                await until(lambda: heard.controls["refusals"])
                assert {"C_USDT": "Contract not exists"} == session.refused

    name = "mexc-futures"
    run(main())


@pytest.mark.parametrize("name", VENUES)
def test_every_venue_takes_a_change(name: str, moving: Market, transport: str) -> None:
    """Three pairs go and three come between ten; each venue answers and forgets as it does."""

    async def main() -> None:
        server = SimServer(moving, sources=[name])
        await server.start()
        try:
            heard = Heard()
            symbols = [i.venue_symbol for i in moving.instruments[SOURCE_BY_NAME[name].id][:13]]
            session = Session(
                VENUES[name], symbols[:10], server.endpoints()[name][1], heard, settings(transport)
            )
            (exchange,) = server.exchanges.values()
            async with living(session) as task:
                await until(lambda: session.all_answered)
                session.drop(symbols[:3])
                session.add(symbols[10:])
                await until(lambda: subscribed(exchange) == set(symbols[3:]) or task.done())
                await until(lambda: session.all_answered and heard.symbols >= set(symbols[10:]))
                heard.books.clear()
                await until(lambda: heard.symbols >= set(symbols[3:]) or task.done())
                assert not task.done(), task.result()
                assert set(symbols[3:]) >= heard.symbols
                assert ({}, 0) == (session.refused, exchange.counters.closed)
                assert 1 == exchange.counters.opened
        finally:
            await server.stop()

    def subscribed(exchange: SimExchange) -> set[str]:
        return {symbol for connection in exchange.connections for symbol in connection.symbols}

    run(main())
