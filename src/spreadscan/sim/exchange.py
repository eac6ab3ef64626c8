"""One simulated source: its REST pages, its sockets, who has subscribed to what.

What it shows and pushes is said by its subclasses: the market (market_exchange.py), or a
recording (spreadscan.sim.recorded). Runs in one event loop with the other seven.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Generic, TypeVar

from aiohttp import WSMsgType, web

from spreadscan.clock import now_ns
from spreadscan.sim.connection import BINARY, TEXT, Connection, frame
from spreadscan.sim.fault_effects import FaultEffects
from spreadscan.sim.pages import PAGES, page_of, time_page
from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.rows import Rows
from spreadscan.sim.protocols import PROTOCOLS, Answer, Close, Rules
from spreadscan.sim.simtime import AsOf
from spreadscan.sim.weights import Weights

_REQUEST_BYTES_MAX = 1 << 20
_CLOSE_WAIT_S = 1.0
_COUNTERS_PATH = "/sim"  # none of a venue's
Body = bytes | Rows


@dataclass(slots=True)
class Counters:
    """What one source has done. sockets and subscriptions are now, the others since the start."""

    weights: Weights
    sockets: int = 0
    subscriptions: int = 0  # (socket, symbol) pairs that push
    opened: int = 0
    frames: int = 0  # data frames, repeats and first pushes included
    repeats: int = 0
    dropped: int = 0  # sockets cut off because they did not read
    closed: int = 0  # sockets closed by a rule of the venue
    pages: int = 0

    def plain(self) -> dict[str, object]:
        """Return all of it, as JSON has it."""
        numbers = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "weights"}
        return numbers | {"weights": self.weights.plain()}


class Topic:
    """The best bid and ask of one symbol, and the sockets that get it."""

    __slots__ = ("subscribers", "symbol")

    def __init__(self, symbol: str) -> None:
        self.symbol = symbol
        self.subscribers: list[Connection] = []


_T = TypeVar("_T", bound=Topic)


class Exchange(Generic[_T]):
    """One source of a server. All methods belong to the thread of the event loop.

    topics: what can be subscribed. effects: what goes wrong. seed: of connection ids.
    """

    def __init__(
        self, name: str, rules: Rules, topics: Iterable[_T], effects: FaultEffects, seed: int
    ) -> None:
        self.name = name
        self.rules = rules
        self.counters = Counters(Weights(name))
        self.connections: set[Connection] = set()
        self.pages = PAGES[name]
        self._protocol = PROTOCOLS[name]
        self.effects = effects
        self._opcode = BINARY if self._protocol.binary else TEXT
        self._by_symbol: dict[str, _T] = {}
        self._names: dict[str, str] = {}
        for topic in topics:
            self._add(topic)
        self._touched: list[Connection] = []
        self._rng = random.Random(f"{seed}/connections/{name}")
        self._closings: set[asyncio.Task[None]] = set()
        self._as_of = AsOf(0)  # of the page that is being rendered, which takes no turn of the loop

    def _unix_ns(self) -> int:
        """Return what the venue's clock shows now."""
        raise NotImplementedError

    def _instrument_page(self, query: Mapping[str, str]) -> bytes:
        """Return the instrument list; an aiohttp HTTP error where there is none."""
        raise NotImplementedError

    def _funding_page(self, query: Mapping[str, str]) -> Body:
        """Return the funding of all contracts; an aiohttp HTTP error where it is not known."""
        raise NotImplementedError

    def _ticker_page(self, path: str, query: Mapping[str, str]) -> Body:
        """Return one of its ticker pages, or Refusal; an aiohttp HTTP error where there is none."""
        raise web.HTTPNotFound(text=f"{self.name}: no tickers here")

    def _maintenance_page(self, query: Mapping[str, str]) -> bytes:
        """Return what is said of maintenance: nothing is planned."""
        page = self.pages.maintenance
        return page(query, (), self._unix_ns() // 1_000_000) if page else b""

    def _foreign_page(self, page: str) -> Body:
        """Return what another venue has in place of a page of a fault script."""
        raise NotImplementedError

    def _opened(self, connection: Connection) -> None:
        """Take notice of a socket that has opened."""

    def _closed(self, connection: Connection) -> None:
        """Take notice of a socket that is gone."""

    def _subscribed(self, connection: Connection, topic: _T, now_s: float) -> None:
        """Take notice of a new subscription."""

    def _first_push(self, connection: Connection, topic: _T, now_s: float) -> None:
        """Push what a new subscriber gets at once or soon, if anything."""
        raise NotImplementedError

    def app(self) -> web.Application:
        """Return the HTTP application with the venue's own paths."""
        app = web.Application()
        pages = self.pages
        app.router.add_get(pages.instruments_path, self._instruments)
        app.router.add_get(pages.time_path, self._server_time)
        if pages.funding_path:
            app.router.add_get(pages.funding_path, self._funding)
        for path in pages.tickers.keys() - {pages.funding_path}:
            app.router.add_get(path, partial(self._tickers, path))
        if pages.maintenance_path:
            app.router.add_get(pages.maintenance_path, self._maintenance)
        app.router.add_get(_COUNTERS_PATH, self._counted)
        for path in self._protocol.paths:
            app.router.add_get(path, self._socket)
        return app

    def flush(self, now_s: float) -> None:
        """Write to every socket what was collected for it."""
        for connection in self._touched:
            if not connection.flush(now_s):
                self.counters.dropped += 1
        self._touched.clear()

    def timers(self, now_s: float) -> None:
        """Let every conversation do what is due by time: server pings, closes."""
        for connection in list(self.connections):
            if not connection.closing:
                self._apply_faults(connection)
                answer = connection.conversation.timers(now_s)
                if answer.ping is not None or answer.close is not None:
                    self._later(self._react(connection, answer))

    def _apply_faults(self, connection: Connection) -> None:
        effects = connection.effects
        if effects is None:
            return
        notice = effects.announcement()
        if notice is not None:
            connection.pending.append(frame(notice.encode(), TEXT))
            connection.flush(now_ns() * 1e-9)
        effects.turn(connection.transport)
        code = effects.end()
        if code == 0:
            connection.cut()
        elif code is not None:
            self._later(self._react(connection, Answer(close=Close(code))))

    def cut_all(self) -> None:
        """End every socket at once, without a close frame."""
        for connection in list(self.connections):
            connection.cut()

    async def _instruments(self, request: web.Request) -> web.Response:
        return await self._page("instruments", request, self._instrument_page)

    async def _funding(self, request: web.Request) -> web.Response:
        return await self._page("funding", request, self._funding_page)

    async def _tickers(self, path: str, request: web.Request) -> web.Response:
        def render(query: Mapping[str, str]) -> Body:
            return self._ticker_page(path, dict(query) | request.match_info)

        return await self._page(page_of(self.name, path, request.query), request, render)

    async def _maintenance(self, request: web.Request) -> web.Response:
        return await self._page("maintenance", request, self._maintenance_page)

    async def _server_time(self, request: web.Request) -> web.Response:
        return await self._page("time", request, lambda _: self._time_page())

    def _time_page(self) -> bytes:
        off_ns = self._as_of.clock_ns - self._as_of.age_ns
        return time_page(self.name, self._unix_ns() + off_ns)

    async def _counted(self, request: web.Request) -> web.Response:
        return web.json_response(self.counters.plain())

    async def _page(
        self, page: str, request: web.Request, render: Callable[[Mapping[str, str]], Body]
    ) -> web.Response:
        self.counters.pages += page != "time"
        weights, resource = self.counters.weights, request.match_info.route.resource
        path = resource.canonical if resource else request.path
        spent = weights.spend(path, request.query, now_ns() * 1e-9)
        headers = weights.headers(path, spent, self._unix_ns())
        if spent.refused:
            status, more, body = weights.refusal(spent, self._unix_ns())
            return _answer(body, headers | more, status)
        effects = self.effects.page(*self._names_of(page, request.query))
        refusal = await effects.answer(request)
        if refusal is not None:
            return refusal
        self._as_of = effects.as_of()
        try:
            found = self._foreign_page(page) if effects.foreign else render(request.query)
        except Refusal as no:
            return _answer(no.body, headers, no.status)
        body = await found.in_pieces() if isinstance(found, Rows) else found
        return _answer(effects.body(body), headers)

    def _names_of(self, page: str, query: Mapping[str, str]) -> tuple[str, ...]:
        """Return what a fault script calls a page: funding may stand in tickers or the list."""
        path = self.pages.funding_path
        if page == "instruments" and self.pages.funded:
            return page, "funding"
        if page == "funding" and path in self.pages.tickers:
            return page, page_of(self.name, path, query)
        return (page,)

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(
            timeout=_CLOSE_WAIT_S,
            autoping=False,  # the conversation counts control frames and decides
            compress=False,
            max_msg_size=_REQUEST_BYTES_MAX,
        )
        await ws.prepare(request)
        if request.transport is None:
            return ws  # the client has left already
        connection = self._open(request, ws, request.transport)
        try:
            async for message in ws:
                answer = self._hear(connection, message.type, message.data)
                pong_to = message.data if message.type is WSMsgType.PING else None
                if answer.close is not None or pong_to is not None:
                    await self._react(connection, answer, pong_to)
        finally:
            self._forget(connection)
        return ws

    def _open(
        self, request: web.Request, ws: web.WebSocketResponse, transport: asyncio.Transport
    ) -> Connection:
        conversation = self._protocol.open(
            rules=self.rules,
            topics={}
            if request.path.startswith(("/market/", "/private/"))
            else self.effects.topics(self._names),
            conn_id=f"{self._rng.getrandbits(32):08x}",
            opened_s=now_ns() * 1e-9,
        )
        connection = Connection(ws, transport, conversation, self.effects.socket(), request.path)
        self.connections.add(connection)
        self.counters.sockets += 1
        self.counters.opened += 1
        self._opened(connection)
        self._apply_faults(connection)
        query = {**request.query, **request.match_info}
        self._apply(connection, conversation.opened(request.path, query, request.headers))
        return connection

    def _hear(self, connection: Connection, kind: WSMsgType, data: object) -> Answer:
        now = now_ns()
        conversation = connection.conversation
        if kind is WSMsgType.TEXT and isinstance(data, str):
            unix_ms = self._unix_ns() // 1_000_000
            if conversation.topics:
                conversation.topics = self.effects.topics(self._names)
            no = (
                conversation.busy(data)
                if connection.effects and connection.effects.busy()
                else None
            )
            answer = Answer((no,)) if no else conversation.text(data, now * 1e-9, unix_ms)
            self._apply(connection, answer)
            return answer
        return conversation.control(kind is WSMsgType.PONG, now * 1e-9)

    async def _react(
        self, connection: Connection, answer: Answer, pong_to: bytes | None = None
    ) -> None:
        try:
            if answer.close is not None:
                self._unsubscribe_all(connection)
                self.counters.closed += 1
                if answer.close.code:
                    await connection.close(*answer.close)
                else:
                    connection.cut()
            elif answer.ping is not None:
                await connection.ws.ping(answer.ping)
            elif pong_to is not None and connection.answers:
                await connection.ws.pong(pong_to)
        except ConnectionError:
            pass  # the client was faster; its handler is ending

    def _apply(self, connection: Connection, answer: Answer) -> None:
        now_s = now_ns() * 1e-9
        for symbol in answer.removed:
            if symbol in connection.symbols:
                connection.symbols.remove(symbol)
                self._by_symbol[symbol].subscribers.remove(connection)
                self.counters.subscriptions -= 1
        new = [symbol for symbol in answer.added if symbol not in connection.symbols]
        added = [self._subscribe(connection, symbol, now_s) for symbol in new]
        early = added[:1] if self._protocol.pushes_first else []
        for topic in early:
            self._first_push(connection, topic, now_s)
        for text in answer.texts if connection.answers else ():
            self._collect(connection, frame(text.encode(), TEXT))
        for topic in added[len(early) :]:
            self._first_push(connection, topic, now_s)
        self.flush(now_s)

    def _add(self, topic: _T) -> None:
        self._by_symbol[topic.symbol] = topic
        self._names[self._protocol.topic(topic.symbol)] = topic.symbol

    def _subscribe(self, connection: Connection, symbol: str, now_s: float) -> _T:
        topic = self._by_symbol[symbol]
        connection.symbols.add(symbol)
        topic.subscribers.append(connection)
        self.counters.subscriptions += 1
        self._subscribed(connection, topic, now_s)
        return topic

    def _push(self, topic: _T, payload: bytes, receivers: list[Connection]) -> None:
        symbol = topic.symbol
        if symbol in self.effects.silent():
            return
        sent = self.effects.payload(symbol, payload)
        self._send(sent, self._opcode, receivers, whole=sent is payload)

    def _send(
        self, payload: bytes, opcode: int, receivers: Iterable[Connection], whole: bool = True
    ) -> None:
        """Collect a data frame for sockets. whole: what stands in it can be taken apart."""
        data, n = frame(payload, opcode), 0
        for connection in receivers:
            if connection.effects is not None and not connection.effects.takes_data():
                continue
            connection.n_pushed += 1
            n += 1
            conversation = connection.conversation
            if conversation.as_is or not whole:
                self._collect(connection, data)
            else:
                self._collect(connection, frame(conversation.form(payload), opcode))
        self.counters.frames += n

    def _push_status(self, payload: bytes) -> None:
        """Send to every socket that has subscribed to the trading statuses; text at every venue."""
        name, begin = self._protocol.status, self._protocol.status_path
        followers = [
            connection
            for connection in self.connections
            if name in connection.conversation.names and connection.path.startswith(begin)
        ]
        self._send(payload, TEXT, followers)

    def _collect(self, connection: Connection, data: bytes) -> None:
        if not connection.pending:
            self._touched.append(connection)
        connection.pending.append(data)

    def _forget(self, connection: Connection) -> None:
        self._closed(connection)
        self._unsubscribe_all(connection)
        self.connections.discard(connection)
        self.counters.sockets -= 1

    def _unsubscribe_all(self, connection: Connection) -> None:
        for symbol in connection.symbols:
            self._by_symbol[symbol].subscribers.remove(connection)
        self.counters.subscriptions -= len(connection.symbols)
        connection.symbols.clear()

    def _later(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._closings.add(task)
        task.add_done_callback(self._closings.discard)


def _answer(body: bytes, headers: Mapping[str, str], status: int = 200) -> web.Response:
    return web.Response(
        body=body, status=status, content_type="application/json", headers=dict(headers)
    )
