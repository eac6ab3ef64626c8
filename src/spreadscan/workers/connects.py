"""The leave to open sockets of a venue: whoever connects to it counts in the same windows."""

from spreadscan.config import Config
from spreadscan.net.connects import Connects, shared_connects
from spreadscan.venues.base import Venue, VenueSpec


def connects_of(venue: Venue, config: Config) -> Connects:
    """Return the leave to open sockets of a venue."""
    windows = connect_windows(venue.spec)
    return shared_connects(venue.name, venue.ws_urls(config), windows, config)


def connect_windows(spec: VenueSpec) -> tuple[tuple[int, float], tuple[int, float]]:
    """Return the venue's limits on new sockets, for a RateLimit."""
    return (1, 1.0 / spec.connects_per_s), (spec.connects_per_5min, 300.0)
