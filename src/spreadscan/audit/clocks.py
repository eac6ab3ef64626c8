"""How far our clock is ahead of each venue's, asked for about once a minute.

A venue's clock decides until when a signed request is good, and ours dates what the files say. The
venue read its clock between our request and its answer, so it is known to half of what that took;
an answer that took long proves little, and nothing is called skewed that is not proven.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from spreadscan.audit.agreement import is_skewed
from spreadscan.audit.requests import Requests
from spreadscan.audit.trouble import Trouble
from spreadscan.clock import now_ns
from spreadscan.errors import Refused, Retry, Skip
from spreadscan.inuse import MeasuredClock
from spreadscan.logs import facts
from spreadscan.venues.base import RestRequest, Venue, time_ms

log = logging.getLogger(__name__)

_EVERY_S = 60.0
_LOOKS = 2  # at a time: the first may have to open a connection


class Clocks:
    """What is known of all venues' clocks; told once when the first differs and the last agrees.

    found: called with all of it, by source, each time that one was asked.
    """

    def __init__(self, found: Callable[[dict[str, MeasuredClock]], None]) -> None:
        self._found = found
        self._known: dict[str, MeasuredClock] = {}
        self._skewed = False

    def take(self, source: str, clock: MeasuredClock) -> None:
        """Take what a source's venue said."""
        self._known[source] = clock
        skewed = any(is_skewed(known.ahead_ms, known.unsure_ms) for known in self._known.values())
        if skewed and not self._skewed:
            told = facts(source=source, ahead_ms=clock.ahead_ms, unsure_ms=clock.unsure_ms)
            log.error("our clock differs from a venue's", extra=told)
        elif self._skewed and not skewed:
            log.info("our clock agrees with all venues' again", extra=facts(source=source))
        self._skewed = skewed
        self._found(self._known)


class ClockPoll:
    """Asks one venue for its time. run() until cancelled."""

    def __init__(self, venue: Venue, requests: Requests, clocks: Clocks) -> None:
        self._venue = venue
        self._requests = requests
        self._clocks = clocks
        self._unknown = Trouble(log, venue.name, "venue's time unknown", "venue's time known again")

    async def run(self) -> None:
        while True:
            wait_s = await self.poll()
            await asyncio.sleep(wait_s)

    async def poll(self) -> float:
        """Ask once; return in how many seconds to ask again."""
        try:
            looks = [await self._look() for _ in range(_LOOKS)]
        except (Retry, Refused, Skip) as error:
            self._unknown.on(reason=str(error))
            return max(_EVERY_S, error.after_s if isinstance(error, Retry) else 0.0)
        self._unknown.off()
        self._clocks.take(self._venue.name, min(looks, key=lambda look: look.unsure_ms))
        return _EVERY_S

    async def _look(self) -> MeasuredClock:
        sent_unix_ns = sent_ns = 0

        def sending() -> None:
            nonlocal sent_unix_ns, sent_ns
            sent_unix_ns, sent_ns = time.time_ns(), now_ns()

        def read(payload: bytes) -> tuple[int, int]:
            return now_ns() - sent_ns, time_ms(self._venue.spec, payload)

        request = RestRequest(self._venue.spec.time_path)
        took_ns, venue_ms = await self._requests.ask(request, read, sending)
        # half a millisecond: the venue cuts its time off there
        ahead_ms = (sent_unix_ns + took_ns / 2) / 1e6 - venue_ms - 0.5
        return MeasuredClock(
            ahead_ms=round(ahead_ms, 1), unsure_ms=round(took_ns / 2e6 + 0.5, 1), at_ns=sent_ns
        )
