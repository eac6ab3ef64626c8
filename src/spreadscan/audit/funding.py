"""The funding of a perpetual source: asked for over REST now and then, kept in shared memory.

A venue that does not answer costs counters and one log line, and what it said before goes out of
date by itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from spreadcore.funding import FundingRates

from spreadscan.audit.trouble import Trouble
from spreadscan.clock import UtcClock, now_ns
from spreadscan.config import Config
from spreadscan.errors import BadFrame, Refused, Retry, Skip, SpreadError
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

    with_list: it stands in the instrument list; who reads that calls read() and take(), or
    failed().

    ask: sends the request. ids: symbol id by the venue's symbol. rates: mapped for writing. count:
    called with the names of figures.
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
        self.with_list = venue.funding_request == venue.instruments_request("")
        pages, settings = venue.audit, config.audit
        self._every_s = pages.status_every_s if self.with_list else settings.funding_every_s
        self._unknown = Trouble(log, venue.name, "funding unknown", "funding known again")

    async def run(self) -> None:
        while True:
            wait_s = await self.poll()
            await asyncio.sleep(wait_s)

    async def poll(self) -> float:
        """Ask once and keep the answer; return for how many seconds to leave the venue alone."""
        try:
            self.take(await self._ask(self._request, self.read))
        except (Retry, Refused, Skip) as error:
            self.failed(error)
            asked_s = error.after_s if isinstance(error, Retry) else 0.0
            return max(self._every_s, asked_s, _REFUSED_WAIT_S * isinstance(error, Refused))
        return self._every_s

    def read(self, payload: bytes) -> Rates:
        """Return what a page says of our pairs; raises as Venue.funding does."""
        return [row for row in self._parse(payload) if row.symbol in self._ids]

    def take(self, rows: Rates) -> None:
        """Keep what the whole answer says. BadFrame where that is nothing of our pairs."""
        if not rows:
            raise BadFrame(
                f"{self._name} funding: found none of our {len(self._ids)} pairs, expected most"
            )
        self._keep(rows, now_ns())
        self._count("funding_polls")
        self._unknown.off()

    def failed(self, error: SpreadError) -> None:
        """Hear that there was no answer, or none of use."""
        self._count("funding_failed")
        self._unknown.on(reason=str(error))

    def _keep(self, rows: Rates, at_ns: int) -> None:
        """Write the rates, known until they are paid, or for some periods from at_ns."""
        longest_ns = at_ns + int(_LIFE_POLLS * self._every_s * 1e9)
        offset_ns = self._utc.offset_ns()
        for row in rows:
            symbol_id, paid_ns = self._ids[row.symbol], row.next_ns - offset_ns
            until_ns = min(paid_ns, longest_ns)
            self._rates.write(self._source_id, symbol_id, row.rate, row.next_ns, until_ns)
