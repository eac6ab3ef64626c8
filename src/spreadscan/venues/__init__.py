"""The exchanges, a file each: `VENUES` gives the venue of each source by name, in order of ids."""

from importlib import import_module

from spreadscan.catalogue import built_in
from spreadscan.venues.base import Venue

__all__ = ["VENUES", "Venue"]


def _venues() -> dict[str, Venue]:
    """Return what venues/EXCHANGE.py says of the exchange's two sources, SPOT and FUTURES."""
    found = {}
    for source in built_in().sources:
        module = import_module(f"spreadscan.venues.{source.exchange}")
        venue = module.SPOT if source.kind == "spot" else module.FUTURES
        found[source.name] = venue
    return found


VENUES: dict[str, Venue] = _venues()
