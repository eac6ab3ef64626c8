"""Tools of the feed tests: a sink that remembers, sessions that end, exchanges by hand."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest
from spreadcore import Instance

from known import SOURCE_BY_NAME
from scan.net.raw_server import CLOSE, TEXT, Peer, RawServer, frame
from spreadscan.config import Config, Feeds, VenueSettings
from spreadscan.feeds.session import Session
from spreadscan.feeds.websocket import WebSocketFeed
from spreadscan.lists import Listing, Lists, SourceList, State
from spreadscan.types import Book, Instrument
from spreadscan.venues import VENUES, Venue
from spreadscan.workers.source import SourceWorker

TRANSPORTS = ("picows", "aiohttp")


def run(main: Coroutine[Any, Any, Any], seconds: float = 30.0) -> Any:
    """Run a test in a fresh event loop, with a watchdog."""

    async def watched() -> Any:
        async with asyncio.timeout(seconds):
            return await main

    return asyncio.run(watched())


async def until(holds: Callable[[], Any]) -> None:
    """Wait until something holds; the watchdog of run() is the limit."""
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def quick(name: str, **spec: Any) -> Venue:
    """Return a venue with other facts in its spec than its own, such as shorter times."""
    venue = VENUES[name]
    return replace(venue, spec=msgspec.structs.replace(venue.spec, **spec))


def settings(transport: str = "picows", **options: Any) -> Feeds:
    """Return feed settings with a short fuse."""
    return Feeds(**{"transport": transport, "connect_timeout_s": 5.0, **options})


def book(symbol: str, update_id: int = 1, **changes: Any) -> Book:
    """Return a good top of book of a venue symbol."""
    return Book(symbol, 100.0, 2.0, 101.0, 3.0, 1_700_000_000_000_000_000, update_id)._replace(
        **changes
    )


class Heard:
    """A session sink that keeps what it is told. takes: which books pass the gate."""

    def __init__(self, takes: Callable[[Book], bool] = lambda book: True) -> None:
        self.books: list[Book] = []
        self.declines: Counter[str] = Counter()
        self.controls: Counter[str] = Counter()
        self.refusals: list[tuple[str, str]] = []
        self.finals: list[str] = []
        self.ignored: list[str] = []
        self.pauses: list[tuple[str, float]] = []
        self.anew: list[str] = []  # subscribed again, and acknowledged
        self.flushes = 0
        self._takes = takes

    @property
    def symbols(self) -> set[str]:
        return {book.symbol for book in self.books}

    def book(self, book: Book, recv_ns: int) -> bool:
        self.books.append(book)
        return self._takes(book)

    def declined(self, reason: str) -> None:
        self.declines[reason] += 1

    def control(self, kind: str) -> None:
        self.controls[kind] += 1

    def refused(self, symbol: str, text: str) -> None:
        self.refusals.append((symbol, text))

    def final(self, text: str) -> None:
        self.finals.append(text)

    def unanswered(self, symbols: Sequence[str]) -> None:
        self.ignored += symbols

    def paused(self, text: str, wait_s: float) -> None:
        self.pauses.append((text, wait_s))

    def acknowledged(self, symbols: Sequence[str]) -> None:
        self.anew += symbols

    def heard(self, symbols: Sequence[str], since_ns: int) -> set[str]:
        return self.symbols & set(symbols)

    def flush(self) -> None:
        self.flushes += 1


@asynccontextmanager
async def living(session: Session) -> AsyncIterator["asyncio.Task[str]"]:
    """Run a session in a task; closed at the end of the block."""
    task = asyncio.create_task(session.run())
    try:
        yield task
    finally:
        session.close("end of the test")
        if not session.opened_ns:
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def ack(name: str, request: dict[str, Any]) -> list[str]:
    """Return a venue's yes to a subscribe or unsubscribe request, written by hand."""
    if name.startswith("binance"):
        return [json.dumps({"result": None, "id": request["id"]})]
    if name.startswith("bybit"):
        answer = {"success": True, "ret_msg": "", "conn_id": "c", "op": request["op"]}
        return [json.dumps(answer | {"req_id": request["req_id"]})]
    if name.startswith("okx"):
        answer = {"event": request["op"], "connId": "c", "id": request["id"]}
        return [json.dumps(answer | {"arg": arg}) for arg in request["args"]]
    if name == "mexc-spot":
        return [json.dumps({"id": 0, "code": 0, "msg": ",".join(request["params"])})]
    if name.startswith("gate"):
        return [json.dumps(request | {"conn_id": "c", "result": {"status": "success"}})]
    return [json.dumps({"channel": f"rs.{request['method']}", "data": "success", "ts": 1})]


def refusal(name: str, request: dict[str, Any], code: str, text: str) -> str:
    """Return a venue's no to a request, written by hand."""
    if name.startswith("binance"):
        return json.dumps({"error": {"code": int(code), "msg": text}, "id": request["id"]})
    if name.startswith("bybit"):
        said = {"success": False, "ret_msg": text, "ret_code": int(code), "op": request["op"]}
        return json.dumps(said | {"req_id": request["req_id"]})
    if name.startswith("okx"):
        said = {"event": "error", "code": code, "msg": text, "connId": "c", "id": request["id"]}
        return json.dumps(said)
    if name == "mexc-spot":
        return json.dumps({"id": 0, "code": int(code), "msg": text})
    if name.startswith("gate"):
        error = {"error": {"code": int(code), "message": text}}
        return json.dumps(request | error | {"result": {"status": "fail"}})
    return json.dumps({"channel": "rs.error", "data": text, "ts": 1})


def is_request(message: Any) -> bool:
    """Return whether a client message is a request and no ping."""
    return isinstance(message, dict) and any(
        str(message.get(key, "")).lower().startswith(("sub", "unsub"))
        for key in ("op", "method", "event")
    )


Answer = Callable[[dict[str, Any]], Sequence[str] | None]
Opening = Callable[["Guest"], Awaitable[None]]


class Guest:
    """One client of an Exchange: what it asked for, and a way to send it frames."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.requests: list[Any] = []
        self.frames: list[bytes] = []  # every text frame as it came
        self.times: list[float] = []  # when they came
        self.gone = asyncio.Event()

    async def send(self, *payloads: bytes | str, opcode: int = TEXT) -> None:
        data = [p.encode() if isinstance(p, str) else p for p in payloads]
        await self.peer.send(b"".join(frame(opcode, p) for p in data))


class Exchange:
    """A venue by hand: acknowledges requests (or answers as told), sends what the test says.

    answer: of a request -> texts, None for silence. on_open: run for each new socket; when it
    returns the socket is served on, unless it cut it. polite: answers a close.
    """

    def __init__(
        self,
        name: str,
        answer: Answer | None = None,
        on_open: Opening | None = None,
        *,
        polite: bool = True,
    ) -> None:
        self._polite = polite
        self.guests: list[Guest] = []
        self._answer = answer or (lambda request: ack(name, request))
        self._on_open = on_open
        self._server = RawServer(self._serve)

    async def __aenter__(self) -> "Exchange":
        await self._server.__aenter__()
        self.url = self._server.url
        return self

    async def __aexit__(self, *exc: object) -> None:
        for guest in self.guests:
            guest.peer.cut()
        await asyncio.gather(*(guest.gone.wait() for guest in self.guests))
        await self._server.__aexit__(*exc)

    async def _serve(self, peer: Peer) -> None:
        guest = Guest(peer)
        self.guests.append(guest)
        opening = asyncio.create_task(self._on_open(guest)) if self._on_open else None
        try:
            while True:
                opcode, data = await peer.receive()
                if opcode == TEXT:
                    await self._hear(guest, data)
                elif opcode == CLOSE and self._polite:
                    await guest.send(data, opcode=CLOSE)
                    return
        finally:
            if opening:
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)
            guest.gone.set()

    async def _hear(self, guest: Guest, data: bytes) -> None:
        guest.frames.append(data)
        guest.times.append(asyncio.get_running_loop().time())
        message = data if data == b"ping" else json.loads(data)
        if not is_request(message):
            return
        guest.requests.append(message)
        texts = self._answer(message)
        if texts:
            await guest.send(*texts)


class Door:
    """Answers every handshake alike, and keeps when each came."""

    def __init__(self, status: str) -> None:
        self.status = status
        self.times: list[float] = []

    async def __aenter__(self) -> "Door":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/ws"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.times.append(time.monotonic())
        writer.write(f"HTTP/1.1 {self.status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()


def row(symbol_id: int, venue_symbol: str, state: State = "valid", **units: Any) -> Listing:
    base = venue_symbol.removesuffix("USDT").strip("_-")
    instrument = Instrument(
        venue_symbol=venue_symbol, base=base, listed_base=base, quote="USDT", **units
    )
    return Listing(
        symbol_id=symbol_id, symbol=f"{base}-USDT", state=state, reason="", instrument=instrument
    )


def lists_of(source: str, *rows: Listing) -> Lists:
    highest = max((r.symbol_id for r in rows), default=0)
    return Lists(
        generation=3,
        names=tuple(f"N{i}-USDT" for i in range(highest + 1)),
        retired=frozenset(),
        pairs={},
        sources={source: SourceList(source=source, symbols=rows)},
    )


def config_of(source: str, url: str, transport: str = "picows", **own: Any) -> Config:
    feeds = {key: own.pop(key) for key in list(own) if key not in ("stale_after_s", "rest_url")}
    return Config(
        feeds=settings(transport, **{"beat_ms": 20.0, **feeds}),
        venues={source: VenueSettings(ws_url=url, **own)},
    )


class Stop:
    """Says stop once told to."""

    def __init__(self) -> None:
        self.now = False

    def __call__(self) -> bool:
        return self.now


def worker_of(
    feed: WebSocketFeed, config: Config, instance: Instance, newest: Callable[[], Lists]
) -> SourceWorker:
    """Return the worker that runs a feed."""
    return SourceWorker(config.catalogue.source[feed.venue.name], feed, config, instance, newest)


@asynccontextmanager
async def working(
    venue: Venue,
    config: Config,
    lists: Lists,
    instance: Instance,
    newest: Callable[[], Lists] | None = None,
) -> AsyncIterator[WebSocketFeed]:
    """Run a source's worker; it is told to stop at the end of the block, and must."""
    stop = Stop()
    feed = WebSocketFeed(venue, config, instance)
    worker = worker_of(feed, config, instance, newest or (lambda: lists))
    task = asyncio.create_task(worker.run(stop))
    try:
        yield feed
        stop.now = True
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def quote(instance: Instance, source: str, symbol_id: int) -> Any:
    return instance.quotes.read(SOURCE_BY_NAME[source].id, symbol_id)


def counter(instance: Instance, source: str, name: str) -> int:
    return int(instance.health.counters(SOURCE_BY_NAME[source].id)[name])


def messages(caplog: pytest.LogCaptureFixture, phrase: str) -> list[dict[str, Any]]:
    return [r.facts for r in caplog.records if r.getMessage() == phrase]  # type: ignore[attr-defined]
