"""Stage 5: is a pair the same coin on all its sources? Their prices, compared, are the witnesses.

Sources of one exchange count once: they name their coins by one catalogue, so two of them repeat
a mistake rather than confirm each other. Which exchanges are right is decided by the largest
group that agrees; where no group is the largest, nobody knows, and all are kept out: unless some
of them were doubted before, whose doubts a missing witness does not clear.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from statistics import median

from spreadscan.discovery.confirmed import Confirmed
from spreadscan.venues import VENUES

AGREE = 1.25  # two prices of one coin are at most this factor apart
_NEAR_POWER = 1.25  # so near to a power of ten, a difference is more likely one of units

Mids = Mapping[str, Mapping[str, float]]  # pair -> source -> mid price of one coin


def agree(one: float, other: float) -> bool:
    """Return whether two prices may be those of one coin."""
    return max(one, other) <= AGREE * min(one, other)


def strangers(
    mids: Mids, confirmed: Confirmed, doubted: Collection[tuple[str, str]] = ()
) -> dict[tuple[str, str], str]:
    """Return (source, pair) -> why it is quarantined, for those that are.

    doubted: those in quarantine until now; where there is no majority, the others have it.
    """
    found = {}
    for pair, prices in mids.items():
        judged = {s: px for s, px in prices.items() if (s, pair) not in confirmed.different}
        trusted = {s: px for s, px in judged.items() if (s, pair) not in doubted}
        for source, reason in _outside(judged, leading(judged) or leading(trusted)).items():
            if (source, pair) not in confirmed.same:
                found[source, pair] = reason
    return found


def leading(prices: Mapping[str, float]) -> list[str]:
    """Return the sources of the largest group that agrees, [] where there is a tie.

    A group is as large as its exchanges are many.
    """
    groups = {s: [o for o in prices if agree(px, prices[o])] for s, px in prices.items()}
    sizes = {s: len({VENUES[o].spec.exchange for o in group}) for s, group in groups.items()}
    best = max(sizes.values(), default=0)
    leaders = [prices[s] for s in prices if sizes[s] == best]
    if not leaders or not agree(min(leaders), max(leaders)):
        return []
    middle = median(leaders)
    return [s for s, px in prices.items() if agree(px, middle)]


def _outside(prices: Mapping[str, float], inside: Sequence[str]) -> dict[str, str]:
    """Return source -> reason for every source that is not of the leading group."""
    if inside:
        middle = median(prices[s] for s in inside)
        return {
            s: f"identity: {px:.4g}, median of {len(inside)} others {middle:.4g}: "
            f"{_kind(px / middle)}"
            for s, px in prices.items()
            if s not in inside
        }
    return {
        s: f"identity: {px:.4g}, others "
        f"{', '.join(f'{prices[o]:.4g} ({o})' for o in prices if o != s)}: "
        "no majority, nobody knows which is wrong"
        for s, px in prices.items()
    }


def _kind(ratio: float) -> str:
    power = round(math.log10(ratio))
    near = max(ratio, 10.0**power) <= _NEAR_POWER * min(ratio, 10.0**power)
    if power and near:
        return f"about 10^{power} times theirs: other units"
    return "same ticker, other coin"
