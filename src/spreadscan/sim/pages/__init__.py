"""The REST pages of the simulated venues, in each venue's own shape.

What a source's pages are stands in its exchange's file (`PAGES`). Every instrument list carries a
few rows that a scanner of USDT pairs has to leave out; crowd.py has as many of them as real lists.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy

import orjson

from spreadscan.catalogue import built_in
from spreadscan.sim.pages.base import MOST_ROWS, PAGE_ROWS, Query, Row, SourcePages
from spreadscan.sim.pages.halts import halted_rows
from spreadscan.sim.pages.rows import Rows, edit_rows, symbol_of
from spreadscan.sim.pages.sources import PAGES
from spreadscan.types import FundingRate, Instrument

__all__ = [
    "MOST_ROWS",
    "PAGES",
    "Pages",
    "SourcePages",
    "page_of",
    "time_page",
    "with_funding",
    "with_others",
]

_BODIES_KEPT = 8  # megabytes each


class Pages:
    """The instrument pages of all sources.

    page_rows: most rows of a page, where a list has pages. others: with rows of pairs that nobody
    trades here. more: gives, of a source and the rows of its list so far, what else it holds.
    """

    def __init__(
        self,
        instruments: Sequence[Sequence[Instrument]],
        unix_ms: int,
        page_rows: int = PAGE_ROWS,
        others: bool = True,
        more: Callable[[str, list[Row]], list[Row]] | None = None,
    ) -> None:
        self._unix_ms = unix_ms
        self._page_rows = page_rows
        self._others = others
        self._more = more
        self._lists = {
            source.name: self._rows(source.name, listed)
            for source, listed in zip(built_in().sources, instruments, strict=True)
        }
        self._bodies: dict[tuple[str, frozenset[tuple[str, str]]], bytes] = {}

    def with_listed(self, source_name: str, listed: Sequence[Instrument]) -> "Pages":
        """Return the pages as they are with another list at one source."""
        return self._with(source_name, self._rows(source_name, listed))

    def with_halted(self, source_name: str, symbols: Collection[str]) -> "Pages":
        """Return the pages as they are with these pairs of one source halted."""
        return self._with(source_name, halted_rows(source_name, self._lists[source_name], symbols))

    def rows(self, source_name: str) -> dict[str, Row]:
        """Return the rows of one source's list, by venue symbol."""
        keys = PAGES[source_name].symbol_keys
        return {symbol_of(row, keys): row for row in self._lists[source_name]}

    def get(self, source_name: str, query: Mapping[str, str]) -> bytes:
        """Return the body that the source answers to its instruments_path, or a Refusal."""
        key = source_name, frozenset(query.items())
        if key not in self._bodies:
            if len(self._bodies) >= _BODIES_KEPT:
                self._bodies.clear()
            page = PAGES[source_name].page
            lists = {name: self._lists[name] for name in _of_exchange(source_name)}
            self._bodies[key] = page(lists, query, self._unix_ms, self._page_rows)
        return self._bodies[key]

    def _rows(self, name: str, listed: Sequence[Instrument]) -> list[Row]:
        if not listed and self._others:  # others are made of those listed
            return []
        more = self._more
        whole = None if more is None else lambda rows: more(name, rows)
        return PAGES[name].rows(listed, self._others, whole)

    def _with(self, name: str, rows: list[Row]) -> "Pages":
        other = copy(self)
        other._lists = self._lists | {name: rows}
        other._bodies = {}
        return other


def _of_exchange(source_name: str) -> list[str]:
    exchange = built_in().source[source_name].exchange
    return [source.name for source in built_in().sources if source.exchange == exchange]


def page_of(source_name: str, path: str, query: Query) -> str:
    """Return which page of a fault script one of a source's ticker pages is with a query."""
    if path.endswith(("/ping", "/offline")):
        return "time" if path.endswith("/ping") else "instruments"
    keys = (*PAGES[source_name].symbol_keys, "symbols")
    named = any(query.get(key) for key in keys)
    return "ask" if named or path.endswith("{symbol}") else "tickers"


def time_page(source_name: str, unix_ns: int) -> bytes:
    """Return the body that the source answers to its time_path."""
    return orjson.dumps(PAGES[source_name].time(unix_ns))


def with_funding(source_name: str, body: bytes, rates: Mapping[str, FundingRate]) -> bytes:
    """Return an instrument page with the funding of its contracts, where it tells that."""
    pages = PAGES[source_name]
    funded, keys = pages.funded, pages.symbol_keys
    if funded is None:
        return body

    def change(rows: list[Row]) -> list[Row]:
        symbols = [symbol_of(row, keys) for row in rows]
        return [
            funded(row, rates[symbol]) if symbol in rates else row
            for row, symbol in zip(rows, symbols, strict=True)
        ]

    return edit_rows(body, change)


def with_others(
    source_name: str, page: Rows, others: Sequence[str], zeros: Sequence[str] = ()
) -> Rows:
    """Return a page of all pairs with more rows: of pairs that nobody here trades, as the first.

    zeros: those that stand there without a book.
    """

    def whole(rows: list[Row]) -> bytes:
        if not rows:
            return page.whole(rows)
        first = rows[0]
        key = next(key for key in PAGES[source_name].symbol_keys if key in first)
        none = first | dict.fromkeys(first.keys() - {key}, "0.00000000")
        rows = rows + [first | {key: symbol} for symbol in others]
        return page.whole(rows + [none | {key: symbol} for symbol in zeros])

    return page._replace(whole=whole)
