"""What a source answers over REST and how it lists coins, as data.

Each exchange's file has its pages, and under PAGES by source what makes them up. Written from what
the venues publish and what was recorded, not from spreadscan.venues.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from spreadscan.sim.coins import Coin
from spreadscan.sim.pages.rows import Rows
from spreadscan.types import FundingRate, Instrument

if TYPE_CHECKING:  # it shows a market, which is made of units
    from spreadscan.sim.pages.tickers.view import View

Row = dict[str, Any]
Query = Mapping[str, str]
Lists = Mapping[str, list[Row]]  # the rows of instrument lists by source: those of one exchange
More = Callable[[list[Row]], list[Row]]  # what else a list holds, of what it has so far
Names = Iterator[str]  # tickers that the list does not have yet
MarkPx = Callable[[str], float]  # by venue symbol
Views = Mapping[str, "View"]  # by source: those of one exchange
Rates = Callable[[], Mapping[str, FundingRate]]  # of the exchange's perpetuals, by venue symbol
TickerPage = Callable[[Query, Views, Rates, int], bytes | Rows]  # of them and Unix ms
MOST_ROWS = 1_000  # of a page, where a list has pages
PAGE_ROWS = 150  # fewer, so that a small list still takes pages
OwnPage = Callable[[Query, "View", int], bytes | Rows]
Shown = Literal["zeros", "empty", "last", "absent"]


class Work(NamedTuple):
    """A maintenance; Unix ms."""

    title: str
    begin_ms: int
    end_ms: int

    def state(self, unix_ms: int) -> str:
        if unix_ms < self.begin_ms:
            return "scheduled"
        return "ongoing" if unix_ms < self.end_ms else "completed"


class Spent(NamedTuple):
    """What a pool holds after a request, of how much, and when it is empty again."""

    used: int
    limit: int
    left_s: float
    before: int  # what it held
    refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What requests weigh and how much of it is allowed; what is answered beyond that.

    pool: weight and seconds; paths: of those that have another one. per_path: each path has a
    pool of its own; kind_key: and each value of that parameter. weights: of a path, or of its
    query; 1 where nothing is said. patience: a limit that cannot be kept by discoveries that
    follow on each other, as tests and people have them: what is beyond it is counted, and refused
    from so many times the limit on. headers: those of an answer, of (path, spent, Unix ns).
    refusal: status, headers and body, of (spent, Unix ns).
    """

    pool: tuple[int, float]
    paths: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    per_path: bool = False
    kind_key: str = ""
    weights: Mapping[str, int | Callable[[Query], int]] = field(default_factory=dict)
    patience: Mapping[str, int] = field(default_factory=dict)
    headers: Callable[[str, Spent, int], dict[str, str]] = lambda path, spent, unix_ns: {}
    refusal: Callable[[Spent, int], tuple[int, dict[str, str], bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Units:
    """Which coins a source lists, and how.

    small, real: USDT pairs in these universes; rows: of the whole list in the real one, with all
    that is no USDT pair. names: listed base and multiplier of coins that have another than their
    own. symbol, symbol_usdc: of a pair in USDT and in USDC, by its listed base; '': it lists none.
    contract_usdt: usual worth of one contract, 0 where sizes are coins; contract_size: of
    some coins. lot_exponent: of a power of ten, by coin; None: by what a size is worth.
    decimals: most of a price. no_api: coins that cannot be traded by API, and some more; None: all
    can.
    """

    small: int
    real: int
    rows: int
    symbol: str = "{}USDT"
    symbol_usdc: str = "{}USDC"
    names: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    contract_usdt: float = 0.0
    contract_size: Mapping[str, float] = field(default_factory=dict)
    lot_exponent: Callable[[Coin], int] | None = None
    min_notional: float = 0.0
    tells_max_qty: bool = True
    coarse_ticks: bool = True  # some ticks are five steps of a decimal
    decimals: int = 16
    no_api: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePages:
    """One source's pages.

    rows: of the instrument list, of (instruments, whether others, too, more). page: the body that
    a query gets, of (lists, query, Unix ms, most rows of a page), or Refusal. time: its answer, of
    Unix ns. symbol_keys: where rows of any page have their symbol. base_of: the listed base of a
    row, '' for none. funded: a row of the list with its next payment, where the list tells it, and
    funding_path is none. live, halted, gone: how a row of the list says that its pair trades, is
    halted (None: it is left out) or is gone. shows_halted, shows_new: what tickers show of a
    halted pair, and of one that has never traded. years_of_zeros: tickers of all have those that
    trade no more. tickers: pages by path; all of them: which one lists every symbol is asked
    without a name. error: its words for a fault of its own. crowd: what else a list of real size
    holds, of the rows so far.
    """

    units: Units
    limits: Limits
    instruments_path: str
    rows: Callable[[Sequence[Instrument], bool, More | None], list[Row]]
    page: Callable[[Lists, Query, int, int], bytes]
    time_path: str
    time: Callable[[int], Row]
    symbol_keys: tuple[str, ...] = ("symbol",)
    base_of: Callable[[Row], str]
    live: Row
    halted: Row | None
    gone: Row = field(default_factory=dict)
    shows_halted: Shown
    shows_new: Shown
    years_of_zeros: bool = False
    tickers: Mapping[str, TickerPage]
    funded: Callable[[Row, FundingRate], Row] | None = None
    funding_path: str = ""
    funding: Callable[[Query, Sequence[FundingRate], MarkPx, int], bytes] | None = None
    maintenance_path: str = ""
    maintenance: Callable[[Query, Sequence[Work], int], bytes] | None = None
    error: Row
    crowd: Callable[[list[Row], Names], Iterator[Row]]


def list_rows(
    row: Callable[[int, Instrument], Row],
    others: Callable[[Row], list[Row]],
    order: Callable[[Row], str] | None = None,
) -> Callable[[Sequence[Instrument], bool, More | None], list[Row]]:
    """Return SourcePages.rows. row: of the n-th instrument; others: made of the first.

    What else the list holds are no pairs in currencies that the instruments have, but for USDT.
    """

    def rows(instruments: Sequence[Instrument], with_others: bool, more: More | None) -> list[Row]:
        quotes = {i.quote for i in instruments} - {"USDT"}
        found = [row(n, i) for n, i in enumerate(instruments)]
        n_own = len(found)
        found += others(found[0]) if with_others else []
        found += more(found) if more else []
        if quotes:
            found[n_own:] = [r for r in found[n_own:] if not any(q in r.values() for q in quotes)]
        return sorted(found, key=order) if order else found

    return rows


def of_source(source: str, pages: Mapping[str, OwnPage]) -> dict[str, TickerPage]:
    """Return ticker pages by path that show one source, whatever the query says."""

    def shown(page: OwnPage) -> TickerPage:
        return lambda query, views, rates, unix_ms: page(query, views[source], unix_ms)

    return {path: shown(page) for path, page in pages.items()}


def listed_by(number: str, *coins: str) -> dict[str, tuple[str, float]]:
    """Return Units.names of coins that are listed by the thousand or so: '1000', '1M'."""
    multiplier = 1e6 if number == "1M" else float(number)
    return {coin: (number + coin, multiplier) for coin in coins}
