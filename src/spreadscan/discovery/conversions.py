"""Edges between quote currencies: which two pairs they take, and where one is converted.

Only directions with `convert` have any. docs/decisions/0023-a-leg-may-be-converted.md
"""

from collections.abc import Collection, Iterator, Mapping
from itertools import permutations
from typing import NamedTuple

from spreadscan.catalogue import Direction, Source
from spreadscan.config import Config
from spreadscan.errors import ConfigError

Symbols = Mapping[str, Collection[str]]  # by source: the pairs that it lists


class Crossing(NamedTuple):
    """Buy one pair, sell the other, of one coin; converted: the leg ("buy", "sell") that `rate`, a
    pair of rate_source, turns into the other's currency."""

    direction: Direction
    buy: str
    sell: str
    converted: str
    rate_source: Source
    rate: str


def crossings(config: Config, symbols: Symbols) -> list[Crossing]:
    """Return the edges between quote currencies of the directions that convert.

    ConfigError where a direction has such edges and nothing that would convert them is listed by
    any spot source, although all of them have answered.
    """
    found, lacking = _look(config, symbols)
    spots = {name for name in config.sources if config.catalogue.source[name].kind == "spot"}
    if lacking and spots <= symbols.keys():
        direction, buy, sell = lacking[0]
        a, b = _quote(buy), _quote(sell)
        raise ConfigError(
            f"directions: {direction.name} converts between {a} and {b} ({buy}, {sell}), expected "
            f"{a}-{b} or {b}-{a} on a spot source that is scanned, and in the universe "
            f"(include {', '.join(config.universe.include)}; "
            f"exclude {', '.join(config.universe.exclude) or 'nothing'})"
        )
    return found


def proven_crossings(config: Config, symbols: Symbols) -> tuple[list[Crossing], int]:
    """Return those that have a rate now, and how many edges have none: symbols are proven ones."""
    found, lacking = _look(config, symbols)
    return found, len(lacking)


def _look(
    config: Config, symbols: Symbols
) -> tuple[list[Crossing], list[tuple[Direction, str, str]]]:
    found, lacking = [], []
    for direction in config.enabled_directions:
        if not config.converts(direction):
            continue
        buys, sells = (symbols.get(leg.name, ()) for leg in (direction.buy, direction.sell))
        for buy, sell in _pairs(config, buys, sells):
            rate = _rate(config, symbols, direction, buy, sell)
            if rate:
                found.append(Crossing(direction, buy, sell, *rate))
            else:
                lacking.append((direction, buy, sell))
    return found, lacking


def _pairs(
    config: Config, buys: Collection[str], sells: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield the pairs of one coin in two currencies, sorted."""
    for mine, other in permutations(config.universe.quotes, 2):
        for buy in sorted(name for name in buys if _quote(name) == mine):
            if (sell := f"{buy.removesuffix(mine)}{other}") in sells:
                yield buy, sell


def _rate(
    config: Config, symbols: Symbols, direction: Direction, buy: str, sell: str
) -> tuple[str, Source, str] | None:
    """Return the leg to convert, and by what: at that leg's exchange, or wherever it is listed."""
    legs = (("buy", direction.buy, buy, sell), ("sell", direction.sell, sell, buy))
    for leg, source, own, other in legs:
        rate = f"{_quote(own)}-{_quote(other)}"
        where = [
            s
            for s in map(config.catalogue.source.__getitem__, config.sources)
            if s.kind == "spot" and rate in symbols.get(s.name, ())
        ]
        if where:
            return leg, min(where, key=lambda s: s.exchange != source.exchange), rate
    return None


def _quote(name: str) -> str:
    return name.rpartition("-")[2]
