"""What REST pages show of one source's market: its books as of now, and mark prices."""

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

from spreadscan.sim.market import Market
from spreadscan.sim.simtime import SimTime
from spreadscan.types import Book, Instrument

LEVELS_MAX = 1_000
_GROWTH = 0.25  # each level holds so much of the touch's size more than the one before


class Level(NamedTuple):
    """A price and the size at it, in wire units."""

    px: float
    qty: float


class View:
    """One source of a market. symbols: its own; gone: those that it lists no more.

    Books are as of what has been published last, in wire units.
    """

    def __init__(
        self,
        market: Market,
        source_id: int,
        time: SimTime,
        gone: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self._market = market
        self._source_id = source_id
        self._time = time
        self._gone = gone
        self._index = {row.venue_symbol: i for i, row in enumerate(market.instruments[source_id])}

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        """Return what is listed now, by venue symbol."""
        gone, rows = self._gone(), self._market.instruments[self._source_id]
        return {row.venue_symbol: row for row in rows if row.venue_symbol not in gone}

    def knows(self, symbol: str) -> bool:
        return symbol in self._index and symbol not in self._gone()

    def book(self, symbol: str) -> Book | None:
        """Return the last book; None where the venue shows none: nobody has ever quoted."""
        series = self._market.at(self._source_id, self._index[symbol])
        if (self._source_id, series.index) in self._market.dead:
            return None
        k, tick_ns = self._market.last_tick(series, self._time.done_ns)
        return self._market.book(series, k, tick_ns, self._time.unix_ns(tick_ns))

    def mid_px(self, symbol: str) -> float:
        """Return the middle of the touch, 0 where there is none: what mark prices are near to."""
        book = self.book(symbol)
        return round((book.bid_px + book.ask_px) / 2, 12) if book else 0.0

    def levels(self, symbol: str, n: int) -> tuple[list[Level], list[Level]]:
        """Return n bids and n asks, best first; below and above the touch they are made up."""
        book, tick = self.book(symbol), self._market.instruments[self._source_id]
        if book is None:
            return [], []
        step = tick[self._index[symbol]].tick or book.ask_px - book.bid_px or book.bid_px * 1e-4
        bids = list(_side(book.bid_px, book.bid_qty, -step, n))
        return bids, list(_side(book.ask_px, book.ask_qty, step, n))


def _side(px: float, qty: float, step: float, n: int) -> Iterator[Level]:
    for k in range(min(n, LEVELS_MAX)):
        at = round(px + k * step, 12)  # the sum of two decimals, without the dust of doubles
        if at <= 0.0:
            return
        yield Level(at, qty * (1 + _GROWTH * k))
