"""What trading costs by the settings: entry taker fees of sources, of single pairs, of edges."""

from collections.abc import Callable, Sequence
from math import nan

from spreadscan.config import Config
from spreadscan.lists import Edge
from spreadscan.venues import VENUES


def taker_fee(config: Config, source: str) -> tuple[float, str]:
    """Return the entry taker fee of a source in bps, and the setting that gives it.

    The account's tier wins over [venues], which wins over the venue's own table ("").
    """
    tier = config.tiers.get(config.account_tier, {})
    if source in tier:
        return tier[source], f"tiers.{config.account_tier}.{source}"
    own = config.venues.get(source)
    if own is not None and own.taker_bps is not None:
        return own.taker_bps, f"venues.{source}.taker_bps"
    return VENUES[source].spec.taker_bps, ""


def direction_fees_bps(config: Config) -> dict[int, float]:
    """Return by direction id the taker fees of both legs, for pairs without fees of their own."""
    return {
        d.id: taker_fee(config, d.buy.name)[0] + taker_fee(config, d.sell.name)[0]
        for d in config.enabled_directions
    }


def edge_fees_bps(config: Config, names: Sequence[str]) -> Callable[[Edge], float]:
    """Return what gives the taker fees of an edge: both legs', and of what converts one.

    names: of pairs, by symbol id. NaN where a source is not scanned.
    """
    ids = config.catalogue.source
    of_source = {ids[name].id: taker_fee(config, name)[0] for name in config.sources}
    of_pair = {
        (ids[name].id, pair): bps
        for pair, fees in config.pair_taker_bps.items()
        for name, bps in fees.items()
    }

    def of_slot(source: int, row: int) -> float:
        base = of_source.get(source, nan)
        return of_pair.get((source, names[row]), base) if of_pair and row < len(names) else base

    def fees_bps(edge: Edge) -> float:
        fees = of_slot(*edge.buy) + of_slot(*edge.sell)
        return fees + of_slot(*edge.conversion[1:]) if edge.conversion else fees

    return fees_bps
