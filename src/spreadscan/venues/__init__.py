"""The exchanges: `VENUES` gives the venue of each source by name, in the order of source ids."""

from spreadscan.venues import binance, bybit, mexc, okx
from spreadscan.venues.base import Venue

__all__ = ["VENUES", "Venue"]

VENUES: dict[str, Venue] = {
    venue.name: venue
    for module in (binance, bybit, mexc, okx)
    for venue in (module.SPOT, module.FUTURES)
}
