"""Which proxy each address of a scanner's venues is reached through, by its settings."""

from urllib.parse import urlsplit

from spreadscan.config import DIRECT, Config
from spreadscan.errors import ConfigError
from spreadscan.net.proxy import Proxies
from spreadscan.venues import VENUES


def proxies_of(config: Config) -> Proxies:
    """Return the proxies that these settings and the environment name.

    A source's own is that of its hosts. ConfigError where two sources of one host differ.
    """
    by_host: dict[str, str | None] = {}
    for source in config.sources:
        own = config.venues.get(source)
        if own is None or own.proxy is None:
            continue
        proxy = own.proxy if own.proxy not in ("", DIRECT) else None
        venue = VENUES[source]
        for url in (*venue.ws_urls(config), *venue.rest_urls(config)):
            host = urlsplit(url).netloc.rpartition("@")[2].lower()
            if by_host.setdefault(host, proxy) != proxy:
                raise ConfigError(
                    f"venues.{source}.proxy: {host} is another source's, too, which has another "
                    "one, expected the same for both"
                )
    return Proxies(config.net.proxy, by_host)
