"""A simulated source that publishes the market: which book is sent when, again, and at first."""

import asyncio
import heapq
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

from spreadscan.catalogue import built_in
from spreadscan.clock import now_ns
from spreadscan.sim.connection import Connection, frame
from spreadscan.sim.exchange import Body, Exchange, Topic
from spreadscan.sim.fault_effects import FaultEffects
from spreadscan.sim.faults import Fault
from spreadscan.sim.flood import Flood, Flooder, standing_books
from spreadscan.sim.flood_frames import Block
from spreadscan.sim.market import Market, Series
from spreadscan.sim.pages import PAGES, Pages, page_of, time_page, with_funding, with_others
from spreadscan.sim.pages.base import Views, Work
from spreadscan.sim.pages.rows import Rows
from spreadscan.sim.pages.tickers.view import View
from spreadscan.sim.protocols import Rules
from spreadscan.sim.simtime import Moment, SimTime
from spreadscan.sim.statuses import Statuses
from spreadscan.types import Book, FundingRate
from spreadscan.venues import VENUES

_PAGES_KEPT = 4  # megabytes each


class _Topic(Topic):
    __slots__ = ("in_line", "last_push_s", "repeats", "series")

    def __init__(self, series: Series) -> None:
        super().__init__(series.symbol)
        self.series = series
        self.last_push_s = 0.0
        self.repeats = 0  # since the last tick
        self.in_line = False  # for a repeat


class MarketExchange(Exchange[_Topic]):
    """One source of a SimServer.

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
        self._topics = [
            _Topic(market.at(source_id, i)) for i in range(len(market.listings[source_id]))
        ]
        effects = FaultEffects(name, faults, time, market.seed)
        super().__init__(name, rules, self._topics, effects, market.seed)
        self._market = market
        self._time = time
        self._pages = pages
        self._listed = market.instruments[source_id]
        exchange = built_in().source_at[source_id].exchange
        self._views = {  # of both markets: where parameters tell them apart, one host has both
            source.name: View(market, source.id, time, effects.delisted, effects.halted)
            if source.name == name
            else View(market, source.id, time)
            for source in built_in().sources
            if source.exchange == exchange
        }
        rows, ours = pages.rows(name), {row.venue_symbol for row in self._listed}
        live = self.pages.live.items()
        others = {s: row.items() >= live for s, row in rows.items() if s not in ours}
        self._others = [symbol for symbol, trades in others.items() if trades]
        self._zeros = [symbol for symbol, trades in others.items() if not trades]
        self._lists: dict[Hashable, Pages] = {}  # by what makes them differ from self._pages
        told = self._protocol.status_push
        self._statuses = Statuses(name, told, rows, effects, market.seed) if told else None
        self._render: Callable[[Book], bytes] = self._rendered
        self._line: list[tuple[float, int]] = []  # heap of (due, index): repeats
        self.flooder = Flooder(flood, self._block, self._count) if flood else None

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

    def _unix_ns(self) -> int:
        return self._time.unix_of_boot_ns(now_ns())

    def timers(self, now_s: float) -> None:
        super().timers(now_s)
        if self._statuses:
            for payload in self._statuses.due(self._unix_ns() // 1_000_000):
                self._push_status(payload)
            self.flush(now_s)

    def _moment(self) -> Moment:
        return self._time.moment(self._as_of)

    def _instrument_page(self, query: Mapping[str, str]) -> bytes:
        moment = self._moment()
        body = self._pages_at(moment.at_s).get(self.name, query)
        return with_funding(self.name, body, self._rates(moment) if self.pages.funded else {})

    def _pages_at(self, at_s: float) -> Pages:
        """Return the lists as the script has them at a time; the last few are kept."""
        state = self.effects.list_state(at_s)
        pages = self._lists.get(state)
        if pages is None:
            listed, halted = self.effects.listed(self._listed, at_s), self.effects.halted(at_s)
            pages = self._pages if listed is None else self._pages.with_listed(self.name, listed)
            pages = pages.with_halted(self.name, halted) if halted else pages
            if len(self._lists) >= _PAGES_KEPT:
                self._lists.clear()
            self._lists[state] = pages
        return pages

    def _views_at(self, moment: Moment) -> Views:
        return {name: view.at(moment) for name, view in self._views.items()}

    def _funding_page(self, query: Mapping[str, str]) -> Body:
        moment = self._moment()
        ms, views, rates = moment.unix_ns // 1_000_000, self._views_at(moment), self._rates(moment)
        path, funding = self.pages.funding_path, self.pages.funding
        if funding:
            return funding(query, [*rates.values()], views[self.name].mid_px, ms)
        page = self.pages.tickers[path](query, views, lambda: rates, ms)
        return page if page_of(self.name, path, query) == "ask" else self._whole_list(page)

    def _ticker_page(self, path: str, query: Mapping[str, str]) -> Body:
        moment = self._moment()
        ms, views = moment.unix_ns // 1_000_000, self._views_at(moment)
        page = self.pages.tickers[path](query, views, lambda: self._rates(moment), ms)
        other = page_of(self.name, path, query) != "tickers"
        if other or query.get("symbolStatus") in ("HALT", "BREAK"):
            return page
        return self._whole_list(page, self.pages.years_of_zeros and "symbolStatus" not in query)

    def _whole_list(self, page: Body, zeros: bool = False) -> Body:
        """Return a page of all pairs as long as the venue's, where the market tells how long.

        zeros: those that do not trade stand in it, too.
        """
        if not isinstance(page, Rows) or not self._market.shape.rows:
            return page
        return with_others(self.name, page, self._others, self._zeros if zeros else ())

    def _maintenance_page(self, query: Mapping[str, str]) -> bytes:
        start_ms, ms = self._time.t0_unix_ns // 1_000_000, self._moment().unix_ns // 1_000_000
        works = [
            Work(w.title, start_ms + int(w.begin_s * 1e3), start_ms + int(w.end_s * 1e3))
            for w in self.effects.works()
        ]
        assert self.pages.maintenance
        return self.pages.maintenance(query, works, ms)

    def _foreign_page(self, page: str) -> Body:
        moment, (exchange, _, market) = self._moment(), self.name.partition("-")
        other = f"{'mexc' if exchange == 'okx' else 'okx'}-{market}"
        query = {"instType": "SPOT" if market == "spot" else "SWAP"}
        if page == "instruments":
            return self._pages.get(other, query)
        if page == "time":
            return time_page(other, moment.unix_ns)
        path = "/api/v5/market/tickers"
        if exchange == "okx":
            path = "/api/v3/ticker/bookTicker" if market == "spot" else "/api/v1/contract/ticker"
        theirs = other.partition("-")[0]
        views = {
            source.name: View(self._market, source.id, self._time).at(moment)
            for source in built_in().sources
            if source.exchange == theirs
        }
        return PAGES[other].tickers[path](query, views, dict, moment.unix_ns // 1_000_000)

    def _rates(self, moment: Moment) -> dict[str, FundingRate]:
        """Return the funding of the exchange's perpetuals, by venue symbol."""
        source = built_in().source[f"{self.name.partition('-')[0]}-futures"]
        n = len(self._market.listings[source.id])
        rates = (self._market.funding(source.id, i, moment.unix_ns) for i in range(n))
        return {rate.symbol: rate for rate in rates}

    def _opened(self, connection: Connection) -> None:
        if self.flooder:
            self.flooder.opened(connection)

    def _closed(self, connection: Connection) -> None:
        if self.flooder:
            self.flooder.closed(connection)

    def _subscribed(self, connection: Connection, topic: _Topic, now_s: float) -> None:
        if len(topic.subscribers) == 1:
            topic.last_push_s = now_s
        live = (topic.series.source_id, topic.series.index) not in self._market.dead
        if self.rules.repeat_s and live and not topic.in_line:
            topic.in_line = True
            heapq.heappush(self._line, (now_s + self.rules.repeat_s, topic.series.index))

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
            payload = self._protocol.repeat(self._render, book, topic.repeats, self._unix_ns())
        else:
            payload = self._render(book)
        self._push(topic, payload, [connection])

    def _last_book(self, topic: _Topic) -> Book:
        # As of what is published, not of now: a due tick that waits must not be overtaken.
        k, tick_ns = self._market.last_tick(topic.series, self._time.done_ns)
        return self._market.book(topic.series, k, tick_ns, self._time.unix_ns(tick_ns))

    def _rendered(self, book: Book) -> bytes:
        return VENUES[self.name].render(self.effects.book(book))

    def _count(self, n: int) -> None:
        self.counters.frames += n

    def _block(self, connection: Connection, n: int, rounds: Iterator[int]) -> Block | None:
        def encode(book: Book) -> bytes:
            payload = self._render(book)
            conversation = connection.conversation
            if not conversation.as_is:
                payload = conversation.form(payload)
            return frame(payload, self._opcode)

        series = [self._by_symbol[symbol].series for symbol in sorted(connection.symbols)]
        books = standing_books(self._market, self._time, series, n)
        return Block(encode, books, rounds) if books else None
