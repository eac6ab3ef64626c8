"""The one-level book: makes whole tops of book out of snapshots and deltas.

For venues whose schema has deltas (Bybit). One instance per socket, used by the feed
and by replay; what it returns goes through the gate like any decoded book.
"""

import math
from collections.abc import Iterable

from spreadscan.types import Book, Delta

# A one-level topic never needs more; a side that grows past this has lost its deletes.
LEVELS_MAX = 64

_Side = dict[float, float]  # price -> size


class OneLevelBooks:
    """The books of one socket by venue symbol. Call clear() when the socket is replaced."""

    def __init__(self) -> None:
        self._last: dict[str, Book] = {}
        self._sides: dict[str, tuple[_Side, _Side]] = {}

    def apply(self, item: Book | Delta) -> Book | None:
        """Return the top of book after item, None where only a new subscription helps.

        A snapshot replaces. A delta edits by price, size 0 deletes, deletes of unknown prices
        do nothing; a side left empty is NaN. None, and the book is forgotten: a delta before
        any snapshot, or one whose update_id does not follow the last. A delta with update_id 1
        is the first of a restarted engine and replaces like a snapshot.
        """
        if isinstance(item, Book):
            self._last[item.symbol] = item
            self._sides.pop(item.symbol, None)
            return item
        if item.update_id == 1:
            sides: tuple[_Side, _Side] = ({}, {})
        else:
            last = self._last.get(item.symbol)
            if last is None or item.update_id != last.update_id + 1:
                self.forget(item.symbol)
                return None
            sides = self._sides.get(item.symbol) or _sides_of(last)
        bids, asks = sides
        _edit(bids, item.bids)
        _edit(asks, item.asks)
        if len(bids) > LEVELS_MAX or len(asks) > LEVELS_MAX:
            self.forget(item.symbol)
            return None
        # Never the first or last entry: deltas are not sorted.
        bid_px, ask_px = max(bids, default=math.nan), min(asks, default=math.nan)
        book = Book(
            item.symbol,
            bid_px,
            bids.get(bid_px, math.nan),
            ask_px,
            asks.get(ask_px, math.nan),
            item.venue_ns,
            item.update_id,
            item.id_kind,
        )
        self._last[item.symbol] = book
        self._sides[item.symbol] = sides
        return book

    def forget(self, symbol: str) -> None:
        """Drop one book: its next delta gives None until a snapshot came."""
        self._last.pop(symbol, None)
        self._sides.pop(symbol, None)

    def clear(self) -> None:
        """Drop every book: the socket that fed them is gone."""
        self._last.clear()
        self._sides.clear()


def _sides_of(book: Book) -> tuple[_Side, _Side]:
    return _one_level(book.bid_px, book.bid_qty), _one_level(book.ask_px, book.ask_qty)


def _one_level(px: float, qty: float) -> _Side:
    return {px: qty} if px == px else {}


def _edit(side: _Side, levels: Iterable[tuple[float, float]]) -> None:
    for px, qty in levels:
        if qty == 0.0:
            side.pop(px, None)
        else:
            side[px] = qty
