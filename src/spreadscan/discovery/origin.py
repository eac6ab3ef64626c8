"""Where a set of these settings comes from; it stands in metadata.json."""

from hashlib import blake2b

import msgspec

from spreadscan.config import Config
from spreadscan.credentials import masked
from spreadscan.discovery.confirmed import Confirmed, read_confirmed
from spreadscan.lists import Hosts, Origin
from spreadscan.venues import VENUES


def origin_of(config: Config) -> Origin:
    """Return what decides which pairs a discovery finds. ConfigError for a bad paths.identity."""
    confirmed = read_confirmed(config.paths.identity, config.catalogue)
    return Origin(
        hosts={
            name: Hosts(
                masked(VENUES[name].rest_urls(config)), masked(VENUES[name].ws_urls(config))
            )
            for name in config.sources
        },
        quotes=config.universe.quotes,
        include=config.universe.include,
        exclude=config.universe.exclude,
        majors=config.discovery.majors,
        identity=_hash(confirmed),
        directions=tuple(direction.name for direction in config.enabled_directions),
        converts=tuple(d.name for d in config.enabled_directions if config.converts(d)),
    )


def _hash(confirmed: Confirmed) -> str:
    if confirmed == Confirmed():
        return ""
    content = msgspec.json.encode([sorted(confirmed.same), sorted(confirmed.different)])
    return blake2b(content, digest_size=8).hexdigest()
