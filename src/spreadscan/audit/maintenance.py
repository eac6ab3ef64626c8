"""What venues announce of maintenance: told once in the log, and kept for whoever attaches."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from spreadscan.audit.requests import Requests
from spreadscan.audit.trouble import Trouble
from spreadscan.errors import Refused, Retry, Skip
from spreadscan.logs import facts
from spreadscan.venues.base import Maintenance, Venue

log = logging.getLogger(__name__)

_EVERY_S = 300.0
_SOON_S = 30.0  # at least between two looks, however often a round asks for one


class MaintenancePoll:
    """Reads one venue's announcements. run() until cancelled.

    found: called with what is announced, each time that it is read.
    """

    def __init__(
        self, venue: Venue, requests: Requests, found: Callable[[Sequence[Maintenance]], None]
    ) -> None:
        self._name = venue.name
        self._requests = requests
        self._pages = venue.audit
        self._found = found
        self._soon = asyncio.Event()
        self._known: Sequence[Maintenance] = ()
        self._unread = Trouble(log, venue.name, "maintenance unknown", "maintenance known again")

    def look_soon(self) -> None:
        """Read them again before their time."""
        self._soon.set()

    async def run(self) -> None:
        while True:
            wait_s = await self.poll()
            await asyncio.sleep(min(wait_s, _SOON_S))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s - min(wait_s, _SOON_S)):
                    await self._soon.wait()
            self._soon.clear()

    async def poll(self) -> float:
        """Read them once; return for how many seconds to leave the venue alone."""
        request, parse = self._pages.maintenance_request, self._pages.maintenance
        if request is None or parse is None:
            raise ValueError(f"{self._name}: announces nothing, expected a venue that does")
        try:
            found = await self._requests.ask(request, parse)
        except (Retry, Refused, Skip) as error:
            self._unread.on(reason=str(error))
            return max(_EVERY_S, error.after_s if isinstance(error, Retry) else 0.0)
        self._unread.off()
        for row in found:
            if row not in self._known:
                told = facts(source=self._name, state=row.state, title=row.title, what=row.what)
                log.warning("maintenance announced", extra=told)
        self._known = found
        self._found(found)
        return _EVERY_S
