"""Stage 2: one name per coin over all sources; directions by intersection."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from fnmatch import fnmatchcase

from spreadscan.config import Config, Universe
from spreadscan.discovery.units import NOTHING, Read, literal
from spreadscan.lists import NAME_BYTES_MAX
from spreadscan.types import Instrument

NONE_HALTED: Mapping[str, Collection[str]] = {}


def normalise(
    listed: Mapping[str, Sequence[Instrument]],
    universe: Universe,
    before: Read = NOTHING,
    halted: Mapping[str, Collection[str]] = NONE_HALTED,
) -> tuple[dict[str, dict[str, Instrument]], dict[str, Counter[str]]]:
    """Return (per source: shared name -> instrument, rows left out by reason).

    A coin read from a name (1000PEPE, LUNA2) holds where some source writes the coin otherwise,
    bare or with another number; else the listed base is the coin: 1000X may be a name, and who
    all write it so are comparable as they are. One that was read as a multiple before stays one.
    Two listings of one coin on one source: the one with the smaller multiplier stays, and one that
    trades before one that is halted (by source, venue symbols).
    """
    written: dict[str, set[str]] = {}
    for i in (i for rows in listed.values() for i in rows):
        written.setdefault(i.base, set()).add(i.listed_base)
    kept: dict[str, dict[str, Instrument]] = {}
    dropped: dict[str, Counter[str]] = {}
    for source, rows in listed.items():
        kept[source], dropped[source] = {}, Counter()
        last = halted.get(source, ())
        order = [(i.venue_symbol in last, i.multiplier, i.renamed, i.venue_symbol) for i in rows]
        for _, instrument in sorted(zip(order, rows, strict=True), key=lambda row: row[0]):
            alone = len(written[instrument.base]) == 1
            known = instrument.listed_base in before.as_multiples
            if instrument.renamed and alone and not known:
                instrument = literal(instrument)
            if instrument.symbol in kept[source]:
                dropped[source]["duplicate"] += 1
            elif len(instrument.symbol.encode()) > NAME_BYTES_MAX:
                dropped[source]["name_too_long"] += 1
            elif not _wanted(instrument.symbol, universe):
                dropped[source]["not_in_universe"] += 1
            else:
                kept[source][instrument.symbol] = instrument
    return kept, dropped


def _wanted(symbol: str, universe: Universe) -> bool:
    return any(fnmatchcase(symbol, p) for p in universe.include) and not any(
        fnmatchcase(symbol, p) for p in universe.exclude
    )


def direction_pairs(config: Config, symbols: Mapping[str, Collection[str]]) -> dict[int, list[str]]:
    """Return per enabled direction the names that both of its sources list, sorted."""
    pairs = {}
    for direction in config.enabled_directions:
        buy = symbols.get(direction.buy.name, ())
        sell = symbols.get(direction.sell.name, ())
        pairs[direction.id] = sorted(set(buy) & set(sell))
    return pairs
