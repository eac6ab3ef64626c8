"""Leave to open a socket to one host: the venue's limits, and the bans that it gave out."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable

from spreadscan.logs import facts
from spreadscan.net.bans import Bans, host_of
from spreadscan.net.ratelimit import RateLimit

log = logging.getLogger(__name__)

_LOOK_S = 5.0  # a ban may grow meanwhile, or be lifted by hand


class Connects:
    """The turns of all sockets of one source. limit: what the venue allows per address."""

    def __init__(
        self,
        url: str,
        limit: RateLimit,
        bans: Bans,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._url = url
        self._limit = limit
        self._bans = bans
        self._sleep = sleep
        self._barred = False

    async def take(self, patience_s: float = math.inf) -> None:
        """Wait until a socket may be opened, and count it.

        Raises RateLimited or RegionBlocked at once where a ban lasts longer than patience_s.
        """
        while True:
            await self._until_free(patience_s)
            await self._limit.take()
            if not self._bans.find(self._url):  # another socket may have met one meanwhile
                return

    def told(self, error: Exception) -> None:
        """Hear what became of a socket: a ban that it met holds for all."""
        self._bans.note(self._url, error)

    async def _until_free(self, patience_s: float) -> None:
        while (left_s := self._bans.left_s(self._url)) > 0:
            if left_s > patience_s:
                self._bans.check(self._url)
            self._barred = True
            await self._sleep(min(left_s, _LOOK_S))
        if self._barred:
            self._barred = False
            log.info("host may be asked again", extra=facts(host=host_of(self._url)))
