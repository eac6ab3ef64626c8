"""What the audit compares: quotes as the table has them, rows as a venue answers."""

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from spreadscan.venues.base import Ticker

_CLOSE = 1e-9  # of the price: two numbers for one price


class Pair(NamedTuple):
    """One pair that is audited. tick: in wire units, 0 = not known; major: a coin that every
    complete answer has."""

    symbol_id: int
    symbol: str  # the venue's
    multiplier: float
    tick: float
    major: bool

    def is_same(self, other: "Pair | None") -> bool:
        """Return whether another list means the same pair: what else it says may change."""
        return other is not None and (self.symbol, self.multiplier) == (
            other.symbol,
            other.multiplier,
        )


class Held(NamedTuple):
    """What a slot held: prices in wire units, times in ns as in the table; recv_ns 0: nothing."""

    recv_ns: int
    bid_px: float
    ask_px: float
    venue_ns: int


NOTHING = Held(0, math.nan, math.nan, 0)
Table = Mapping[int, Held]  # by symbol id; a pair without a slot holds nothing
Rows = Mapping[str, Ticker | None]  # by the venue's symbol; None: its rows contradict each other


class Lag(NamedTuple):
    """How old an answer is. ns: as measured, None where nothing tells; bad: too old to be used."""

    ns: int | None
    bad: bool = False


class Answer(NamedTuple):
    """One answer. sent_ns: CLOCK_BOOTTIME when its request left; unix_offset_ns: Unix time minus
    that clock."""

    sent_ns: int
    unix_offset_ns: int
    rows: Rows
    lag: Lag


def rows_of(tickers: Iterable[Ticker]) -> dict[str, Ticker | None]:
    """Return rows by symbol. Of equal ones the oldest stands; others are no evidence at all."""
    found: dict[str, Ticker | None] = {}
    for row in tickers:
        other = found.setdefault(row.symbol, row)
        if other is None or other is row:
            continue
        if (other.bid_px, other.ask_px) != (row.bid_px, row.ask_px):
            found[row.symbol] = None
        elif row.row_ns < other.row_ns:
            found[row.symbol] = row
    return found


def has_book(row: Ticker) -> bool:
    """Return whether a row shows two sides that may be a book."""
    return 0.0 < row.bid_px <= row.ask_px < math.inf


def agrees(held: Held, row: Ticker, tick: float = 0.0) -> bool:
    """Return whether a row shows the very prices of a slot, or such as are a tick away at most."""
    return _is_near(held.bid_px, row.bid_px, tick) and _is_near(held.ask_px, row.ask_px, tick)


def _is_near(a: float, b: float, tick: float) -> bool:
    return abs(a - b) <= tick + _CLOSE * max(abs(a), abs(b))


def row_age_ns(row: Ticker, unix_ns: int, ahead_ns: int) -> int | None:
    """Return how old a row is by its own time; None without one, or where it is further ahead."""
    if not row.row_ns or row.row_ns - unix_ns > ahead_ns:
        return None
    return max(0, unix_ns - row.row_ns)
