"""What REST pages show of one source's market: its books as of a moment, and mark prices."""

from collections.abc import Callable, Collection, Iterator, Mapping
from copy import copy
from typing import TYPE_CHECKING, NamedTuple

from spreadscan.catalogue import built_in
from spreadscan.sim.pages import sources
from spreadscan.sim.simtime import Moment, SimTime
from spreadscan.types import Book

if TYPE_CHECKING:  # both are made of what pages say
    from spreadscan.sim.faults import Halt
    from spreadscan.sim.market import Market

LEVELS_MAX = 1_000
_GROWTH = 0.25  # each level holds so much of the touch's size more than the one before


class Level(NamedTuple):
    """A price and the size at it, in wire units."""

    px: float
    qty: float


class Top(NamedTuple):
    """The touch as a row has it, in wire units. 0.0 and None are the two ways to show none.

    unix_ms: when it came to be so.
    """

    bid_px: float | None
    bid_qty: float | None
    ask_px: float | None
    ask_qty: float | None
    unix_ms: int
    update_id: int


class View:
    """One source of a market, as of the start; at() gives it as of another moment.

    gone, halts: which symbols the source does not list, and which do not trade, by seconds since
    the start.
    """

    def __init__(
        self,
        market: "Market",
        source_id: int,
        time: SimTime,
        gone: Callable[[float], Collection[str]] = lambda at_s: (),
        halts: Callable[[float], Mapping[str, "Halt"]] = lambda at_s: {},
    ) -> None:
        self._market = market
        self._source_id = source_id
        self._source = built_in().source_at[source_id]
        self._time = time
        self._gone_at = gone
        self._halts_at = halts
        self._index = {row.venue_symbol: i for i, row in enumerate(market.instruments[source_id])}
        self._moment = Moment(0.0, time.done_ns, time.t0_unix_ns)
        self._hidden: set[str] = set()
        self._halts: Mapping[str, Halt] = {}

    def at(self, moment: Moment) -> "View":
        """Return the same market as of another moment."""
        other = copy(self)
        other._moment = moment
        other._halts = self._halts_at(moment.at_s)
        absent = {symbol for symbol in other._halts if other._shows(symbol) == "absent"}
        other._hidden = absent.union(self._gone_at(moment.at_s))
        return other

    @property
    def symbols(self) -> list[str]:
        """Return what the tickers list."""
        return [symbol for symbol in self._index if symbol not in self._hidden]

    def knows(self, symbol: str) -> bool:
        return symbol in self._index and symbol not in self._hidden

    def trades(self, symbol: str) -> bool:
        """Return whether the tickers treat a pair as one that trades: not while it is halted, but
        where the script says what they show of it.
        """
        halt = self._halts.get(symbol)
        return halt is None or halt.shows != "venue"

    def offline(self) -> Iterator[tuple[str, bool]]:
        """Yield (symbol, whether it is gone for good) of what does not trade."""
        for symbol in self._index:
            if symbol in self._halts or symbol in self._hidden:
                yield symbol, symbol not in self._halts

    def book(self, symbol: str) -> Book | None:
        """Return the last book; None where the venue shows none: halted, or never quoted."""
        if symbol in self._halts and self._shows(symbol) != "last":
            return None
        return self._last(symbol)

    def top(self, symbol: str) -> Top:
        """Return the touch of the last book, or how its absence is shown."""
        book = self.book(symbol)
        if book:
            ms = (book.venue_ns + self._moment.rows_ns) // 1_000_000
            return Top(book.bid_px, book.bid_qty, book.ask_px, book.ask_qty, ms, book.update_id)
        halt = self._halts.get(symbol)
        since_ns = self._time.t0_unix_ns + int((halt.at_s if halt else 0.0) * 1e9)
        none = 0.0 if self._shows(symbol) == "zeros" else None
        return Top(none, none, none, none, (since_ns + self._moment.rows_ns) // 1_000_000, 0)

    def mid_px(self, symbol: str) -> float:
        """Return the middle of the touch, 0 where there never was one: what last and mark prices
        are near to. A halted pair keeps it.
        """
        book = self._last(symbol)
        return round((book.bid_px + book.ask_px) / 2, 12) if book else 0.0

    def levels(self, symbol: str, n: int) -> tuple[list[Level], list[Level]]:
        """Return n bids and n asks, best first; below and above the touch they are made up."""
        book, tick = self.book(symbol), self._market.instruments[self._source_id]
        if book is None:
            return [], []
        step = tick[self._index[symbol]].tick or book.ask_px - book.bid_px or book.bid_px * 1e-4
        bids = list(_side(book.bid_px, book.bid_qty, -step, n))
        return bids, list(_side(book.ask_px, book.ask_qty, step, n))

    def _shows(self, symbol: str) -> str:
        halt = self._halts.get(symbol)
        pages = sources.PAGES[self._source.name]
        if halt is None:
            return pages.shows_new
        return pages.shows_halted if halt.shows == "venue" else halt.shows

    def _last(self, symbol: str) -> Book | None:
        series = self._market.at(self._source_id, self._index[symbol])
        if (self._source_id, series.index) in self._market.dead:
            return None
        sim_ns, halt = self._moment.sim_ns, self._halts.get(symbol)
        if halt:
            sim_ns = min(sim_ns, int(halt.at_s * 1e9 * self._time.speed))
        k, tick_ns = self._market.last_tick(series, sim_ns)
        return self._market.book(series, k, tick_ns, self._time.unix_ns(tick_ns))


def _side(px: float, qty: float, step: float, n: int) -> Iterator[Level]:
    for k in range(min(n, LEVELS_MAX)):
        at = round(px + k * step, 12)  # the sum of two decimals, without the dust of doubles
        if at <= 0.0:
            return
        yield Level(at, qty * (1 + _GROWTH * k))
