"""Facts shared by every room: instruments, books, funding rates. No I/O."""

from typing import NamedTuple

import msgspec

# Currencies in which pairs are read; universe.quotes says which of them are wanted.
QUOTES = ("USDT", "USDC")


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """One tradable pair as its venue lists it.

    Prices on the wire are for `multiplier` coins (1000PEPE: 1000); sizes on the wire are
    contracts of `contract_size` listed units. Price of one coin = wire price / multiplier;
    size in coins = wire size * contract_size * multiplier. tick is in wire price units;
    min_qty, max_qty and lot_step in wire size units; min_notional in the quote currency.
    0 = the venue does not say.

    tick_text, lot_text, min_notional_text: those three as decimal text, for orders, which no double
    may round. Text that the venue sends stands as it was sent ("0.00010", "1e-8"); a JSON number is
    the shortest text of its double ("1e-05"), since its literal is gone once it is read; a number
    of decimals is a power of ten ("1e-8"). "" = the venue does not say.
    """

    venue_symbol: str  # "BTCUSDT", "BTC_USDT", "BTC-USDT-SWAP", "BTCPERP"
    base: str  # the coin, multiplier removed: "PEPE"
    listed_base: str  # as listed: "1000PEPE"
    quote: str  # one of QUOTES; a perpetual is settled in it
    contract_size: float = 1.0
    multiplier: float = 1.0
    tick: float = 0.0
    lot_step: float = 0.0
    min_qty: float = 0.0
    max_qty: float = 0.0
    min_notional: float = 0.0
    tick_text: str = ""
    lot_text: str = ""
    min_notional_text: str = ""
    api_tradable: bool = True  # False: shown and scanned, but no order by API

    @property
    def symbol(self) -> str:
        """Return the name that all sources share: 'PEPE-USDT'."""
        return f"{self.base}-{self.quote}"

    @property
    def renamed(self) -> bool:
        """Return whether the coin was read from a name that says more: 1000PEPE, LUNA2."""
        return self.base != self.listed_base

    @property
    def qty_scale(self) -> float:
        """Return coins per one unit of wire size."""
        return self.contract_size * self.multiplier


class Book(NamedTuple):
    """Top of book as decoded, in wire units; a missing side is NaN in price and size.

    symbol is the venue's own. venue_ns is the venue's Unix time in ns, 0 where it gives none.
    update_id orders books of one symbol, -1 where there is none; ids of different id_kind
    (which fall-back path gave it) are not comparable.
    """

    symbol: str
    bid_px: float
    bid_qty: float
    ask_px: float
    ask_qty: float
    venue_ns: int
    update_id: int
    id_kind: int = 0


class FundingRate(NamedTuple):
    """The next funding payment of a perpetual; symbol is the venue's own.

    rate: share of the notional, above 0 where longs pay shorts. next_ns: Unix time of the payment.
    """

    symbol: str
    rate: float
    next_ns: int


class Delta(NamedTuple):
    """A change of a one-level book: levels (price, size), size 0 deletes. Else as Book."""

    symbol: str
    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]
    venue_ns: int
    update_id: int
    id_kind: int = 0


class Cost(NamedTuple):
    """What a request costs: of its host's limit the weight; or, where its path has a limit of its
    own, nothing of that, but the one that it may have in apart_s seconds."""

    weight: int = 1
    path: str = ""
    apart_s: float = 0.0


ONE_REQUEST = Cost()

# Of an answer of a REST host, unpacked. The largest lists of a venue are some MB, the largest pages
# of all its tickers two thirds of one (2026-11).
LIST_BYTES_MAX = 16 * 1024 * 1024
PAGE_BYTES_MAX = 4 * 1024 * 1024
# Of a list, all its pages together; the longest that is known has some 4,000 (2026-11).
ROWS_MAX = 50_000
