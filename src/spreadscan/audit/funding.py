"""The funding of a perpetual source: asked for over REST now and then, kept in shared memory.

A venue that does not answer costs counters and one log line, and what it said before goes out of
date by itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from spreadcore.funding import FundingRates

from spreadscan.clock import UtcClock, now_ns
from spreadscan.config import Config
from spreadscan.errors import BadFrame, Refused, Retry, Skip
from spreadscan.logs import facts
from spreadscan.types import FundingRate
from spreadscan.venues.base import RestRequest, Venue

log = logging.getLogger(__name__)

_LIFE_POLLS = 5  # a rate is known for this many periods after the answer that gave it
_REFUSED_WAIT_S = 600.0  # Bybit: ten minutes without a request after its 403

Rates = list[FundingRate]
# what a request's body, at an address of the venue, is parsed to; raises one of our errors
Ask = Callable[[RestRequest, Callable[[bytes], Rates]], Awaitable[Rates]]


class FundingPoll:
    """Polls one venue that has funding. run() until cancelled.

    ask: sends the request. ids: symbol id by the venue's symbol. rates: mapped for writing.
    count: called with the names of figures.
    """

    def __init__(
        self,
        venue: Venue,
        config: Config,
        ask: Ask,
        ids: Mapping[str, int],
        rates: FundingRates,
        count: Callable[[str], None],
    ) -> None:
        if venue.funding is None or venue.funding_request is None:
            raise ValueError(f"{venue.name}: has no funding, expected a perpetual source")
        self._request = venue.funding_request
        self._ask = ask
        self._parse = venue.funding
        self._name = venue.name
        self._source_id = config.catalogue.source[venue.name].id
        self._ids = ids
        self._rates = rates
        self._count = count
        self._utc = UtcClock()
        self._every_s = max(config.audit.funding_every_s, venue.audit.funding_every_s)
        self._failing = False

    async def run(self) -> None:
        while True:
            wait_s = await self.poll()
            await asyncio.sleep(wait_s)

    async def poll(self) -> float:
        """Ask once and keep the answer; return for how many seconds to leave the venue alone."""
        try:
            rows = await self._ask(self._request, self._ours)
        except (Retry, Refused, Skip) as error:
            self._count("funding_failed")
            if not self._failing:
                text = facts(source=self._name, reason=str(error))
                log.warning("funding unknown", extra=text)
            self._failing = True
            asked_s = error.after_s if isinstance(error, Retry) else 0.0
            return max(self._every_s, asked_s, _REFUSED_WAIT_S * isinstance(error, Refused))
        self._keep(rows, now_ns())
        self._count("funding_polls")
        if self._failing:
            log.info("funding known again", extra=facts(source=self._name))
        self._failing = False
        return self._every_s

    def _ours(self, payload: bytes) -> Rates:
        found = [row for row in self._parse(payload) if row.symbol in self._ids]
        if not found:
            raise BadFrame(
                f"{self._name} funding: found none of our {len(self._ids)} pairs, expected most"
            )
        return found

    def _keep(self, rows: Rates, at_ns: int) -> None:
        """Write the rates, known until they are paid, or for some periods from at_ns."""
        longest_ns = at_ns + int(_LIFE_POLLS * self._every_s * 1e9)
        offset_ns = self._utc.offset_ns()
        for row in rows:
            symbol_id, paid_ns = self._ids[row.symbol], row.next_ns - offset_ns
            until_ns = min(paid_ns, longest_ns)
            self._rates.write(self._source_id, symbol_id, row.rate, row.next_ns, until_ns)
