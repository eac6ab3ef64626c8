"""The addresses of one source, in order of preference, and which of them is in use.

The one in use is kept while it works. Where it refuses, closes before it gave anything or does not
resolve, the next in the list takes its place, after the last the first again. A host that asks to
be left alone for a moment is waited for; one that asks for longer is passed over meanwhile.
"""

import logging
from collections.abc import Sequence

from spreadscan.logs import facts
from spreadscan.net.bans import Bans

log = logging.getLogger(__name__)

_WORTH_WAITING_S = 30.0  # a shorter ban says "slower", not "elsewhere"


class Endpoints:
    """What one process knows of the addresses of a source; urls: at least one."""

    def __init__(self, source: str, urls: Sequence[str], bans: Bans) -> None:
        if not urls:
            raise ValueError(f"{source}: no address, expected one or more")
        self.urls = tuple(urls)
        self._source = source
        self._bans = bans
        self._at = 0

    def pick(self) -> str:
        """Return the address to try now; all barred: the one that is free again first."""
        left_s = [self._bans.left_s(url) for url in self.urls]
        if left_s[self._at] > _WORTH_WAITING_S:
            ring = [(self._at + n) % len(self.urls) for n in range(len(self.urls))]
            best = min(ring, key=lambda at: left_s[at])
            if best != self._at:
                self._move(best, "its host is to be left alone")
        return self.urls[self._at]

    def failed(self, url: str, reason: str) -> None:
        """Hear that an address refused, closed or does not resolve: the next one is in use now."""
        if url == self.urls[self._at] and len(self.urls) > 1:
            self._move((self._at + 1) % len(self.urls), reason)

    def _move(self, to: int, reason: str) -> None:
        told = facts(
            source=self._source, url=self.urls[self._at], reason=reason, next=self.urls[to]
        )
        log.warning("address given up, the next is tried", extra=told)
        self._at = to
