"""The catalogue: which sources say prices, and which directions are compared.

Rows that are built in, each with its number for ever, in the order in which they landed. Whoever
needs them is given a Catalogue; where settings are at hand that is config.catalogue.
"""

import difflib
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple

Kind = Literal["spot", "perpetual"]


class Source(NamedTuple):
    """Who says prices: an exchange's market. `id` is its number in shared memory, for ever.

    default: scanned unless the settings name other sources.
    """

    id: int
    name: str  # "okx-spot"
    kind: Kind
    exchange: str  # "okx"
    default: bool = True


class Direction(NamedTuple):
    """Buy on one source, sell on another; `id` is kept for ever."""

    id: int
    buy: Source
    sell: Source

    @property
    def name(self) -> str:
        """Return e.g. 'okx->mexc'."""
        return f"{self.buy.exchange}->{self.sell.exchange}"


class Catalogue:
    """Sources and directions in order of their ids. Raises KeyError for what it does not have."""

    def __init__(self, sources: Iterable[Source], directions: Iterable[Direction]) -> None:
        self.sources = tuple(sorted(sources))
        self.directions = tuple(sorted(directions))

    @cached_property
    def source(self) -> Mapping[str, Source]:
        """The sources by name."""
        return {source.name: source for source in self.sources}

    @cached_property
    def source_at(self) -> Mapping[int, Source]:
        """The sources by id."""
        return {source.id: source for source in self.sources}

    @cached_property
    def direction(self) -> Mapping[str, Direction]:
        """The directions by name."""
        return {direction.name: direction for direction in self.directions}

    @cached_property
    def direction_at(self) -> Mapping[int, Direction]:
        """The directions by id."""
        return {direction.id: direction for direction in self.directions}

    @property
    def n_source_ids(self) -> int:
        """How many ids are given away, whether or not each has a source: one past the last."""
        return self.sources[-1].id + 1

    @property
    def n_direction_ids(self) -> int:
        return self.directions[-1].id + 1

    def hint(self, name: str) -> str:
        """Return what to say to somebody who named a source that does not exist."""
        near = difflib.get_close_matches(name, self.source, 1, 0.4)
        return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(self.source)}"


# A new exchange is a row at the end; its directions follow from it, in its place.
_EXCHANGES = ("binance", "bybit", "mexc", "okx", "gate")
_BY_DEFAULT = frozenset({"binance", "bybit", "mexc", "okx"})
# the first twelve directions, in an order of their own: (buys, those that sell)
_FIRST = (
    ("okx", ("mexc", "bybit", "binance")),
    ("mexc", ("okx", "bybit", "binance")),
    ("bybit", ("okx", "mexc", "binance")),
    ("binance", ("okx", "mexc", "bybit")),
)
# an exchange's sources, by the second part of their names
_MARKETS: tuple[tuple[str, Kind], ...] = (("spot", "spot"), ("futures", "perpetual"))


@lru_cache(maxsize=1)
def built_in() -> Catalogue:
    """Return the catalogue of every exchange that is known, spot to perpetual."""
    sources = {
        f"{exchange}-{market}": Source(
            2 * i + j, f"{exchange}-{market}", kind, exchange, exchange in _BY_DEFAULT
        )
        for i, exchange in enumerate(_EXCHANGES)
        for j, (market, kind) in enumerate(_MARKETS)
    }
    pairs = [(buy, sell) for buy, sells in _FIRST for sell in sells]
    for i, exchange in enumerate(_EXCHANGES[len(_FIRST) :], len(_FIRST)):
        for other in _EXCHANGES[:i]:
            pairs += [(exchange, other), (other, exchange)]
    directions = [
        Direction(i, sources[f"{buy}-spot"], sources[f"{sell}-futures"])
        for i, (buy, sell) in enumerate(pairs)
    ]
    return Catalogue(sources.values(), directions)
