"""The catalogue: which sources say prices, and the directions between them.

Rows that are built in, each with its number for ever, in the order in which they landed; and a
direction, with a number that follows from its sources, for every other two of them, which settings
may ask for. Whoever needs them is given a Catalogue; where settings are at hand that is
config.catalogue.
"""

import difflib
from collections.abc import Iterable, Mapping
from functools import cached_property, lru_cache
from typing import Literal, NamedTuple, get_args

Kind = Literal["spot", "perpetual"]
KINDS: tuple[Kind, ...] = get_args(Kind)
# docs/decisions/0022-a-direction-for-every-two-sources.md; 64 as in spreadcore.layout
_FIRST_CONFIGURED = 4096
_MOST_SOURCES = 64


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
    def built_in(self) -> bool:
        """Return whether it is compared unless settings say otherwise."""
        return self.id < _FIRST_CONFIGURED

    @property
    def name(self) -> str:
        """Return e.g. 'okx->mexc', of one that is not built in 'okx-futures->mexc-futures'."""
        if self.built_in:
            return f"{self.buy.exchange}->{self.sell.exchange}"
        return f"{self.buy.name}->{self.sell.name}"

    def closeness(self, class_name: str) -> int:
        """Return how closely a class fits: 3 by name, 2 by a source and a kind, 1 by two kinds.

        0: it is of other sources. class_name: as Catalogue.class_fault() takes it.
        """
        if class_name == self.name:
            return 3
        fits = 1
        for side, source in zip(class_name.split("->"), (self.buy, self.sell), strict=True):
            if side == source.name:
                fits += 1
            elif side != source.kind:
                return 0
        return fits


class Catalogue:
    """Sources, and the built-in directions, in order of their ids.

    Raises KeyError for what it does not have.
    """

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
    def direction_at(self) -> Mapping[int, Direction]:
        """The directions of every two sources by rising id, built in or not."""
        pairs = {(d.buy, d.sell) for d in self.directions}
        others = [
            Direction(_FIRST_CONFIGURED + _MOST_SOURCES * buy.id + sell.id, buy, sell)
            for buy in self.sources
            for sell in self.sources
            if buy != sell and (buy, sell) not in pairs
        ]
        return {direction.id: direction for direction in (*self.directions, *others)}

    @cached_property
    def direction(self) -> Mapping[str, Direction]:
        """The same by name."""
        return {direction.name: direction for direction in self.direction_at.values()}

    @cached_property
    def perpetuals(self) -> int:
        """The sources whose contracts pay funding: bit n is source id n."""
        return sum(1 << source.id for source in self.sources if source.kind == "perpetual")

    @property
    def n_source_ids(self) -> int:
        """How many ids are given away, whether or not each has a source: one past the last."""
        return self.sources[-1].id + 1

    def hint(self, name: str) -> str:
        """Return what to say to somebody who named a source that does not exist."""
        near = difflib.get_close_matches(name, self.source, 1, 0.4)
        return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(self.source)}"

    def class_fault(self, name: str) -> str:
        """Return what is wrong with the name of a class of edges, '' where nothing is.

        A class is a direction by its name, or BUY->SELL, each the name of a source or a kind.
        """
        if name in self.direction:
            return ""
        if near := difflib.get_close_matches(name, (d.name for d in self.directions), 1, 0.8):
            return f"did you mean {near[0]!r}?"
        sides = name.split("->")
        if len(sides) != 2:
            return f"expected BUY->SELL of sources or kinds, or e.g. {self.directions[0].name!r}"
        known = (*self.source, *KINDS)
        for side in sides:
            if side not in known:
                near = difflib.get_close_matches(side, known, 1, 0.6)
                hint = f"did you mean {near[0]!r}?" if near else f"expected of {', '.join(known)}"
                return f"{side!r} is neither a source nor a kind, {hint}"
        if sides[0] == sides[1] and sides[0] in self.source:
            return "the same source on both sides, expected two"
        return ""


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
