"""One simulated source: its REST pages, its sockets, who gets which book and when.

Runs in one event loop with the other seven; server.py paces it and owns time.
"""

import asyncio
import heapq
import random
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass

from aiohttp import WSMsgType, web

from spreadscan.clock import now_ns
from spreadscan.sim.blocks import Block
from spreadscan.sim.connection import BINARY, TEXT, Connection, frame
from spreadscan.sim.faults import Fault
from spreadscan.sim.flood import Flood, Flooder, standing_books
from spreadscan.sim.harm import Harm
from spreadscan.sim.market import Market, Series
from spreadscan.sim.pages import (
    FUNDING_PATHS,
    HEADERS,
    INSTRUMENT_PATHS,
    TIME_PATHS,
    Pages,
    funding_page,
    time_page,
)
from spreadscan.sim.protocols import PROTOCOLS, Answer, Close, Rules
from spreadscan.sim.protocols.binance import BinanceConversation, bare
from spreadscan.sim.simtime import SimTime
from spreadscan.types import Book
from spreadscan.venues import VENUES

_REQUEST_BYTES_MAX = 1 << 20
_CLOSE_WAIT_S = 1.0


@dataclass(slots=True)
class Counters:
    """What one source has done. sockets and subscriptions are now, the others since the start."""

    sockets: int = 0
    subscriptions: int = 0  # (socket, symbol) pairs that push
    opened: int = 0
    frames: int = 0  # data frames, repeats and first pushes included
    repeats: int = 0
    dropped: int = 0  # sockets cut off because they did not read
    closed: int = 0  # sockets closed by a rule of the venue
    pages: int = 0


class _Topic:
    __slots__ = ("in_line", "last_push_s", "repeats", "series", "subscribers")

    def __init__(self, series: Series) -> None:
        self.series = series
        self.subscribers: list[Connection] = []
        self.last_push_s = 0.0
        self.repeats = 0  # since the last tick
        self.in_line = False  # for a repeat


class Exchange:
    """One source of a SimServer. All methods belong to the thread of the event loop.

    flood: what sockets get instead of the market's ticks. faults: a script; those of other
    sources are left out.
    """

    def __init__(
        self,
        market: Market,
        source_id: int,
        name: str,
        time: SimTime,
        pages: Pages,
        rules: Rules,
        flood: Flood | None = None,
        faults: Sequence[Fault] = (),
    ) -> None:
        self.name = name
        self.rules = rules
        self.counters = Counters()
        self.connections: set[Connection] = set()
        self._market = market
        self._time = time
        self._pages = pages
        self._protocol = PROTOCOLS[name]
        self._instruments_listed = market.instruments[source_id]
        self._harm = Harm(name, faults, time, market.seed)
        self._render: Callable[[Book], bytes] = self._rendered
        self._opcode = BINARY if self._protocol.binary else TEXT
        self._topics = [
            _Topic(market.at(source_id, i)) for i in range(len(market.listings[source_id]))
        ]
        self._by_symbol = {topic.series.symbol: topic for topic in self._topics}
        self._names = {self._protocol.topic(symbol): symbol for symbol in self._by_symbol}
        self._line: list[tuple[float, int]] = []  # heap of (due, index): repeats
        self._touched: list[Connection] = []
        self._rng = random.Random(f"{market.seed}/connections/{name}")
        self._closings: set[asyncio.Task[None]] = set()
        self.flooder = Flooder(flood, self._block, self._count) if flood else None

    def app(self) -> web.Application:
        """Return the HTTP application with the venue's own paths."""
        app = web.Application()
        app.router.add_get(INSTRUMENT_PATHS[self.name], self._instruments)
        app.router.add_get(TIME_PATHS[self.name], self._server_time)
        if self.name in FUNDING_PATHS:
            app.router.add_get(FUNDING_PATHS[self.name], self._funding)
        for path in self._protocol.paths:
            app.router.add_get(path, self._socket)
        return app

    def publish(self, series: Series, k: int, tick_ns: int, now_s: float) -> None:
        """Send tick k of a series to its subscribers, at the next flush."""
        topic = self._topics[series.index]
        if topic.subscribers:
            book = self._market.book(series, k, tick_ns, self._time.unix_ns(tick_ns))
            topic.repeats = 0
            topic.last_push_s = now_s
            self._push(topic, self._render(book), topic.subscribers)

    def repeat(self, now_s: float, unix_ns: int) -> None:
        """Send again the books that did not change for the venue's time."""
        line, wait_s, again = self._line, self.rules.repeat_s, self._protocol.repeat
        while line and line[0][0] <= now_s:
            _, index = heapq.heappop(line)
            topic = self._topics[index]
            topic.in_line = bool(topic.subscribers)
            if not topic.in_line or again is None:
                continue
            due_s = topic.last_push_s + wait_s
            if due_s <= now_s:
                due_s = now_s + wait_s
                topic.repeats += 1
                topic.last_push_s = now_s
                self.counters.repeats += 1
                payload = again(self._render, self._last_book(topic), topic.repeats, unix_ns)
                self._push(topic, payload, topic.subscribers)
            heapq.heappush(line, (due_s, index))

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
                self._harmed(connection)
                answer = connection.conversation.timers(now_s)
                if answer.ping is not None or answer.close is not None:
                    self._later(self._react(connection, answer))

    def _harmed(self, connection: Connection) -> None:
        harm = connection.harm
        if harm is None:
            return
        notice = harm.announcement()
        if notice is not None:
            connection.pending.append(frame(notice.encode(), TEXT))
            connection.flush(now_ns() * 1e-9)
        harm.turn(connection.transport)
        code = harm.end()
        if code == 0:
            connection.cut()
        elif code is not None:
            self._later(self._react(connection, Answer(close=Close(code))))

    def cut_all(self) -> None:
        """End every socket at once, without a close frame."""
        for connection in list(self.connections):
            connection.cut()

    async def _instruments(self, request: web.Request) -> web.Response:
        listed = self._harm.listed(self._instruments_listed)
        pages = self._pages if listed is None else self._pages.with_listed(self.name, listed)
        return await self._page("instruments", request, lambda: pages.get(self.name, request.query))

    async def _funding(self, request: web.Request) -> web.Response:
        unix_ns = self._time.unix_of_boot_ns(now_ns())
        rates = [
            self._market.funding(topic.series.source_id, topic.series.index, unix_ns)
            for topic in self._topics
        ]
        return await self._page(
            "funding", request, lambda: funding_page(self.name, request.query, rates, unix_ns)
        )

    async def _server_time(self, request: web.Request) -> web.Response:
        unix_ns = self._time.unix_of_boot_ns(now_ns())
        return await self._page("time", request, lambda: time_page(self.name, unix_ns))

    async def _page(
        self, page: str, request: web.Request, render: Callable[[], bytes]
    ) -> web.Response:
        self.counters.pages += page != "time"
        refusal = await self._harm.rest(page, request.query)
        if refusal is not None:
            return refusal
        body = self._harm.body(page, render())
        headers = HEADERS.get(self.name) if page != "time" else None
        return web.Response(body=body, content_type="application/json", headers=headers)

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
            topics={} if request.path.startswith("/market/") else self._harm.topics(self._names),
            conn_id=f"{self._rng.getrandbits(32):08x}",
            opened_s=now_ns() * 1e-9,
        )
        connection = Connection(ws, transport, conversation, self._harm.socket())
        self.connections.add(connection)
        self.counters.sockets += 1
        self.counters.opened += 1
        if self.flooder:
            self.flooder.opened(connection)
        self._harmed(connection)
        if isinstance(conversation, BinanceConversation):
            conversation.wrapped = request.path.endswith("/stream")
            names = request.query.get("streams") or request.match_info.get("streams", "")
            if names:
                self._apply(connection, conversation.streams(names.split("/")))
        return connection

    def _hear(self, connection: Connection, kind: WSMsgType, data: object) -> Answer:
        now = now_ns()
        conversation = connection.conversation
        if kind is WSMsgType.TEXT and isinstance(data, str):
            unix_ms = self._time.unix_of_boot_ns(now) // 1_000_000
            if conversation.topics:
                conversation.topics = self._harm.topics(self._names)
            answer = conversation.text(data, now * 1e-9, unix_ms)
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
                await connection.close(*answer.close)
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

    def _subscribe(self, connection: Connection, symbol: str, now_s: float) -> _Topic:
        topic = self._by_symbol[symbol]
        if not topic.subscribers:
            topic.last_push_s = now_s
        connection.symbols.add(symbol)
        topic.subscribers.append(connection)
        self.counters.subscriptions += 1
        live = (topic.series.source_id, topic.series.index) not in self._market.dead
        if self.rules.repeat_s and live and not topic.in_line:
            topic.in_line = True
            heapq.heappush(self._line, (now_s + self.rules.repeat_s, topic.series.index))
        return topic

    def _first_push(self, connection: Connection, topic: _Topic, now_s: float) -> None:
        series, delay_s = topic.series, self.rules.first_push_s
        if delay_s is None or (series.source_id, series.index) in self._market.dead:
            return
        if delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(delay_s, self._push_late, connection, topic, now_s)
        else:
            self._push_current(connection, topic)

    def _push_late(self, connection: Connection, topic: _Topic, asked_s: float) -> None:
        # A tick in between has been the first push already.
        if connection in topic.subscribers and topic.last_push_s <= asked_s:
            self._push_current(connection, topic)
            self.flush(now_ns() * 1e-9)

    def _push_current(self, connection: Connection, topic: _Topic) -> None:
        book = self._last_book(topic)
        if self._protocol.repeat is not None and topic.repeats:
            unix_ns = self._time.unix_of_boot_ns(now_ns())
            payload = self._protocol.repeat(self._render, book, topic.repeats, unix_ns)
        else:
            payload = self._render(book)
        self._push(topic, payload, [connection])

    def _last_book(self, topic: _Topic) -> Book:
        # As of what is published, not of now: a due tick that waits must not be overtaken.
        k, tick_ns = self._market.last_tick(topic.series, self._time.done_ns)
        return self._market.book(topic.series, k, tick_ns, self._time.unix_ns(tick_ns))

    def _rendered(self, book: Book) -> bytes:
        return VENUES[self.name].render(self._harm.book(book))

    def _push(self, topic: _Topic, payload: bytes, receivers: list[Connection]) -> None:
        symbol = topic.series.symbol
        if symbol in self._harm.delisted():
            return
        sent = self._harm.payload(symbol, payload)
        whole, n = frame(sent, self._opcode), 0
        for connection in receivers:
            if connection.harm is not None and not connection.harm.takes_data():
                continue
            connection.n_pushed += 1
            n += 1
            if connection.conversation.wrapped or sent is not payload:
                self._collect(connection, whole)
            else:
                self._collect(connection, frame(bare(payload), self._opcode))
        self._count(n)

    def _count(self, n: int) -> None:
        self.counters.frames += n

    def _block(self, connection: Connection, n: int, rounds: Iterator[int]) -> Block | None:
        def encode(book: Book) -> bytes:
            payload = self._render(book)
            wrapped = connection.conversation.wrapped
            return frame(payload if wrapped else bare(payload), self._opcode)

        series = [self._by_symbol[symbol].series for symbol in sorted(connection.symbols)]
        books = standing_books(self._market, self._time, series, n)
        return Block(encode, books, rounds) if books else None

    def _collect(self, connection: Connection, data: bytes) -> None:
        if not connection.pending:
            self._touched.append(connection)
        connection.pending.append(data)

    def _forget(self, connection: Connection) -> None:
        if self.flooder:
            self.flooder.closed(connection)
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
