"""One recorded source: its conversations are a simulator's, its frames are the recording's.

A frame goes byte for byte to the sockets that subscribed its symbol. Who subscribes later gets
first the symbol's last whole quote. Answers, pongs and other channels of the recording go to
nobody: the conversation answers for itself.
"""

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web

from spreadscan.clock import now_ns
from spreadscan.feeds.book import OneLevelBooks
from spreadscan.recordings import Frame, Opcode
from spreadscan.sim.connection import Connection
from spreadscan.sim.exchange import Exchange, Topic
from spreadscan.sim.fault_effects import FaultEffects
from spreadscan.sim.pages import Pages
from spreadscan.sim.protocols import Rules
from spreadscan.sim.protocols.binance import in_envelope
from spreadscan.sim.recorded.decode import QuoteReader
from spreadscan.sim.recorded.offers import Offer
from spreadscan.sim.simtime import SimTime
from spreadscan.types import Book, Delta
from spreadscan.venues import VENUES


class _Topic(Topic):
    __slots__ = ("id_kind", "last", "link", "n_pushed", "update_id")

    def __init__(self, symbol: str) -> None:
        super().__init__(symbol)
        self.last: bytes | Book | None = None  # the whole quote: as recorded, or after deltas
        self.link = 0  # that the last frame came by, and the order it had
        self.id_kind = 0
        self.update_id = -1
        self.n_pushed = 0


class RecordedExchange(Exchange[_Topic]):
    """One source of a RecordingServer.

    pages: None where the recording knows no instruments of it. unix_ns: what the recorded clock
    shows. wanted: called with every new subscription.
    """

    def __init__(
        self,
        name: str,
        rules: Rules,
        listed: Offer,
        pages: Pages | None,
        unix_ns: Callable[[], int],
        wanted: Callable[[], None],
    ) -> None:
        topics = [_Topic(symbol) for symbol in listed.symbols]
        super().__init__(name, rules, topics, FaultEffects(name, (), SimTime(), 0), 0)
        self.n_twice = 0  # frames left out: another link had brought the quote
        self.n_other = 0  # frames left out: no quotes
        self._clock = unix_ns
        self._wanted = wanted
        self._pages = pages
        self._quotes = QuoteReader(name)
        self._books = OneLevelBooks() if VENUES[name].schema.delta else None
        self._closed_links: set[int] = set()

    def play(self, frame: Frame) -> None:
        """Send a frame of the recording, at the next flush."""
        if frame.opcode == Opcode.CLOSED:
            self._closed_links.add(frame.link)
        elif frame.opcode == Opcode.OPENED:
            self._closed_links.discard(frame.link)
        elif frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            self._play(frame)

    def _play(self, frame: Frame) -> None:
        quotes = self._quotes.read(frame.payload)
        if not quotes:
            self.n_other += 1
            return
        quote = quotes[-1]
        topic = self._by_symbol.get(quote.symbol)
        if topic is None:  # listed after the recording began
            topic = _Topic(quote.symbol)
            self._add(topic)
        if not self._is_next(topic, frame.link, quote):
            self.n_twice += 1
            return
        payload = frame.payload
        if self.name.startswith("binance"):
            payload = in_envelope(payload, quote.symbol)
        topic.link, topic.id_kind, topic.update_id = frame.link, quote.id_kind, quote.update_id
        topic.last = self._whole(payload, quote)
        if topic.subscribers:
            topic.n_pushed += 1
            self._push(topic, payload, topic.subscribers)

    def _is_next(self, topic: _Topic, link: int, quote: Book | Delta) -> bool:
        # While a feed replaces a socket, both bring every quote; a client has one socket.
        return (
            link == topic.link
            or topic.link in self._closed_links
            or quote.id_kind != topic.id_kind
            or quote.update_id < 0
            or quote.update_id > topic.update_id
        )

    def _whole(self, payload: bytes, quote: Book | Delta) -> bytes | Book | None:
        top = self._books.apply(quote) if self._books else quote
        return payload if isinstance(quote, Book) else top if isinstance(top, Book) else None

    def _unix_ns(self) -> int:
        return self._clock()

    def _instrument_page(self, query: Mapping[str, str]) -> bytes:
        if self._pages is None:
            raise web.HTTPNotFound(text=f"{self.name}: the recording has no instrument list")
        return self._pages.get(self.name, query)

    def _funding_page(self, query: Mapping[str, str]) -> bytes:
        raise web.HTTPNotFound(text=f"{self.name}: funding is not recorded")

    def _first_push(self, connection: Connection, topic: _Topic, now_s: float) -> None:
        self._wanted()
        if self.rules.first_push_s:
            loop = asyncio.get_running_loop()
            loop.call_later(
                self.rules.first_push_s, self._push_late, connection, topic, topic.n_pushed
            )
        else:
            self._push_last(connection, topic)

    def _push_late(self, connection: Connection, topic: _Topic, n_pushed: int) -> None:
        if connection in topic.subscribers and topic.n_pushed == n_pushed:
            self._push_last(connection, topic)
            self.flush(now_ns() * 1e-9)

    def _push_last(self, connection: Connection, topic: _Topic) -> None:
        last = topic.last
        if last is not None:
            payload = VENUES[self.name].render(last) if isinstance(last, Book) else last
            self._push(topic, payload, [connection])
