"""Leave to open a socket: at which address, within the venue's limits and its bans."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence

from spreadscan.config import Config
from spreadscan.errors import RateLimited
from spreadscan.logs import facts
from spreadscan.net.bans import Bans, bans_of, file_name, host_of, state_folder
from spreadscan.net.endpoints import Endpoints
from spreadscan.net.ratelimit import RateLimit, SharedLimit

log = logging.getLogger(__name__)

_LOOK_S = 5.0  # a ban may grow meanwhile, or be lifted by hand


class Connects:
    """The turns of all sockets of one source.

    limit_of: gives what the venue allows per address of ours at a host, made once for each.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        limit_of: Callable[[str], RateLimit],
        bans: Bans,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._endpoints = endpoints
        self._limit_of = limit_of
        self._limits: dict[str, RateLimit] = {}
        self._bans = bans
        self._sleep = sleep
        self._barred = False

    async def take(self, patience_s: float = math.inf) -> str:
        """Wait until a socket may be opened, count it, and return the address to open it at.

        Raises RateLimited or RegionBlocked at once where a ban lasts longer than patience_s.
        """
        while True:
            url = await self._free(patience_s)
            await self._limit(host_of(url)).take()
            if not self._bans.find(url):  # another socket may have met one meanwhile
                return url

    def failed(self, url: str, error: Exception) -> None:
        """Hear why a socket did not open or ended: a ban bars its host, the rest its address."""
        self._bans.record(url, error)
        if not isinstance(error, RateLimited):
            self._endpoints.failed(url, str(error))

    def unheard(self, url: str, reason: str) -> None:
        """Hear that a socket ended before it gave one valid quote."""
        self._endpoints.failed(url, reason)

    async def _free(self, patience_s: float) -> str:
        """Return an address that is not barred, once there is one."""
        while (left_s := self._bans.left_s(url := self._endpoints.pick())) > 0:
            if left_s > patience_s:
                self._bans.check(url)
            self._barred = True
            await self._sleep(min(left_s, _LOOK_S))
        if self._barred:
            self._barred = False
            log.info("host may be asked again", extra=facts(host=host_of(url)))
        return url

    def _limit(self, host: str) -> RateLimit:
        if host not in self._limits:
            self._limits[host] = self._limit_of(host)
        return self._limits[host]


def shared_connects(
    source: str, urls: Sequence[str], windows: Sequence[tuple[int, float]], config: Config
) -> Connects:
    """Return the leave to open sockets of a source; all that connect to one host keep its limit
    together.

    These are the shards of a source, other sources of the host, discovery and the audit beside
    them. windows: what the venue allows, for a RateLimit.
    """
    bans = bans_of(config)

    def limit_of(host: str) -> SharedLimit:
        return SharedLimit(state_folder(config) / f"connects-{file_name(host)}", *windows)

    return Connects(Endpoints(source, urls, bans), limit_of, bans)
