"""Stage 5, first half: is 1000X a thousand X, or a coin of that very name? Prices decide.

Names are read before anything is quoted (normalise.py), so a number in a name is a guess until
the mids of validation are there.
"""

from collections.abc import Mapping
from statistics import median

from msgspec.structs import replace

from spreadscan.discovery.identity import Mids, agree, leading
from spreadscan.types import SOURCE_BY_NAME, Instrument

Kept = Mapping[str, Mapping[str, Instrument]]  # source -> pair -> instrument
WireMids = Mapping[str, Mapping[str, float]]  # source -> venue symbol -> mid price as quoted


def mids_of(kept: Kept, wire: WireMids) -> Mids:
    """Return the mid prices of one coin, of every pair and source that has one."""
    mids: dict[str, dict[str, float]] = {}
    for source, rows in kept.items():
        for name, instrument in rows.items():
            mid = wire[source].get(instrument.venue_symbol)
            if mid is not None:
                mids.setdefault(name, {})[source] = mid / instrument.multiplier
    return mids


def settle(kept: Kept, wire: WireMids) -> dict[str, dict[str, Instrument]]:
    """Return the pairs with the names that their prices prove.

    A multiplied listing takes back its own name where two exchanges or more agree on its price
    and none that writes the coin otherwise does: 1000X is then another coin than X.
    """
    mids = mids_of(kept, wire)
    own = {base for name in mids for base in _coins_of_their_own(name, kept, mids[name])}
    settled: dict[str, dict[str, Instrument]] = {}
    for source, rows in kept.items():
        settled[source] = {}
        for name, instrument in rows.items():
            if instrument.multiplier != 1.0 and instrument.listed_base in own:
                instrument = literal(instrument)
                name = instrument.symbol
            settled[source][name] = instrument
    return settled


def literal(instrument: Instrument) -> Instrument:
    """Return the instrument with the number in its name as a part of the name."""
    return replace(instrument, base=instrument.listed_base, multiplier=1.0)


def _coins_of_their_own(name: str, kept: Kept, prices: Mapping[str, float]) -> set[str]:
    """Return the listed bases of a pair that are no multiples of its coin."""
    written: dict[str, dict[str, float]] = {}
    for source, px in prices.items():
        written.setdefault(kept[source][name].listed_base, {})[source] = px
    own = set()
    for base, theirs in written.items():
        group = leading(theirs)
        others = [px for o, found in written.items() if o != base for px in found.values()]
        multiplied = any(kept[s][name].multiplier != 1.0 for s in theirs)
        if multiplied and others and len({SOURCE_BY_NAME[s].exchange for s in group}) > 1:
            middle = median(theirs[s] for s in group)
            if not any(agree(px, middle) for px in others):
                own.add(base)
    return own
