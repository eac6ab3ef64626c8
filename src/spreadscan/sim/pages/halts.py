"""Instrument lists as they show pairs that do not trade for a while."""

from collections.abc import Collection, Sequence

from spreadscan.sim.pages.rows import Row, edit_rows, symbol_of
from spreadscan.sim.pages.sources import PAGES


def halted_rows(source: str, rows: Sequence[Row], symbols: Collection[str]) -> list[Row]:
    """Return rows of a source's instrument list with these symbols halted."""
    pages = PAGES[source]
    told, keys = pages.halted, pages.symbol_keys
    return [
        row | told if told and symbol_of(row, keys) in symbols else row
        for row in rows
        if told or symbol_of(row, keys) not in symbols
    ]


def with_halts(source: str, body: bytes, symbols: Collection[str]) -> bytes:
    """Return a source's instrument page with these symbols halted; other bodies as they are."""
    if not symbols:
        return body
    return edit_rows(body, lambda rows: halted_rows(source, rows, symbols))
