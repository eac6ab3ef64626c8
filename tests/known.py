"""The catalogue for tests: its sources and directions, by id and by name."""

from collections.abc import Iterable

import msgspec

from spreadscan.catalogue import built_in
from spreadscan.lists import Edge
from spreadscan.types import Instrument

SOURCES = built_in().sources
SOURCE_BY_NAME = built_in().source
DIRECTIONS = built_in().directions
EIGHT = tuple(source for source in SOURCES if source.default)  # what is scanned by default
EIGHT_BY_NAME = {source.name: source for source in EIGHT}
LATER = tuple(source.name for source in SOURCES if not source.default)
TWELVE = tuple(d for d in DIRECTIONS if d.buy.default and d.sell.default)


def every_edge(n_symbols: int) -> list[Edge]:
    """Return an edge for every direction and symbol id: number direction * n_symbols + symbol."""
    return [
        Edge(d.id * n_symbols + row, d.id, d.buy.id, row, d.sell.id, row)
        for d in DIRECTIONS
        for row in range(n_symbols)
    ]


def without_texts(instruments: Iterable[Instrument]) -> list[Instrument]:
    """Return what a venue's page says in numbers, as the simulated market has it."""
    return [
        msgspec.structs.replace(i, tick_text="", lot_text="", min_notional_text="")
        for i in instruments
    ]
