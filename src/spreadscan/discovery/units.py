"""Stage 5, first half: is 1000X a thousand X, or a coin of that very name? Prices decide.

Names are read before anything is quoted (normalise.py), so a number in a name is a guess until
the mids of validation are there.
"""

from collections.abc import Collection, Mapping
from statistics import median
from typing import NamedTuple

from msgspec.structs import replace

from spreadscan.discovery.identity import Mids, agree, leading
from spreadscan.lists import Lists
from spreadscan.types import Instrument
from spreadscan.venues import VENUES
from spreadscan.venues.base import split_multiplier

Kept = Mapping[str, Mapping[str, Instrument]]  # source -> pair -> instrument
WireMids = Mapping[str, Mapping[str, float]]  # source that was heard -> venue symbol -> mid


def mids_of(kept: Kept, wire: WireMids) -> Mids:
    """Return the mid prices of one coin, of every pair and source that has one."""
    mids: dict[str, dict[str, float]] = {}
    for source, rows in kept.items():
        for name, instrument in rows.items():
            mid = wire.get(source, {}).get(instrument.venue_symbol)
            if mid is not None:
                mids.setdefault(name, {})[source] = mid / instrument.multiplier
    return mids


class Read(NamedTuple):
    """How listed bases such as 1000PEPE were read in the set before."""

    as_multiples: frozenset[str] = frozenset()
    as_names: frozenset[str] = frozenset()


NOTHING = Read()


def read_before(previous: Lists | None) -> Read:
    """Return the readings of a set: they stay until there is evidence against them.

    A source that does not answer for once must not rename what it was the only witness of.
    """
    rows = (
        row.instrument
        for source_list in (previous.sources.values() if previous else ())
        for row in source_list.symbols
        if split_multiplier(row.instrument.listed_base)[0] != row.instrument.listed_base
    )
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for instrument in rows:
        found[instrument.renamed].add(instrument.listed_base)
    return Read(frozenset(found[True]), frozenset(found[False]))


def settle(kept: Kept, wire: WireMids, before: Read = NOTHING) -> dict[str, dict[str, Instrument]]:
    """Return the pairs with the names that their prices prove.

    A multiplied listing takes back its own name where two exchanges or more agree on its price
    and none that writes the coin otherwise does: 1000X is then another coin than X. It keeps that
    name until one does.
    """
    mids = mids_of(kept, wire)
    spelled: dict[str, dict[str, list[str]]] = {}  # pair -> listed base -> sources
    for source, rows in kept.items():
        for name, instrument in rows.items():
            spelled.setdefault(name, {}).setdefault(instrument.listed_base, []).append(source)
    own = {
        base
        for name, by_base in spelled.items()
        for base, sources in by_base.items()
        if kept[sources[0]][name].renamed
        and _is_a_name(mids.get(name, {}), sources, base in before.as_names)
    }
    settled: dict[str, dict[str, Instrument]] = {}
    for source, rows in kept.items():
        settled[source] = {}
        for name, instrument in rows.items():
            if instrument.renamed and instrument.listed_base in own:
                instrument = literal(instrument)
                name = instrument.symbol
            settled[source][name] = instrument
    return settled


def literal(instrument: Instrument) -> Instrument:
    """Return the instrument with the number in its name as a part of the name."""
    return replace(instrument, base=instrument.listed_base, multiplier=1.0)


def _is_a_name(prices: Mapping[str, float], sources: Collection[str], before: bool) -> bool:
    """Return whether the listed base of these sources is no multiple of the pair's coin."""
    group = leading({s: px for s, px in prices.items() if s in sources})
    others = [px for s, px in prices.items() if s not in sources]
    middle = median(prices[s] for s in group) if group else 0.0
    confirmed = bool(group) and any(agree(px, middle) for px in others)
    exchanges = {VENUES[s].spec.exchange for s in group}
    return not confirmed and (before or (bool(others) and len(exchanges) > 1))
