"""The audit of all sources, in one process: rounds, questions, statuses, clocks, maintenance and
funding.

What fails on one source's side costs that source its confirmations, never another's, and never a
quote. A job that falls is told and started again.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

from spreadcore import Instance

from spreadscan.audit.clocks import ClockPoll, Clocks
from spreadscan.audit.funding import FundingPoll
from spreadscan.audit.history import History, Write
from spreadscan.audit.maintenance import MaintenancePoll
from spreadscan.audit.questions import Asked, Questions
from spreadscan.audit.requests import Requests
from spreadscan.audit.rounds import Rounds
from spreadscan.audit.source import Source
from spreadscan.audit.status import StatusRead, StatusSocket
from spreadscan.clock import UtcClock, now_ns
from spreadscan.config import Config
from spreadscan.inuse import Announced, leave_clocks, leave_maintenance
from spreadscan.lists import Listing, Lists
from spreadscan.logs import facts
from spreadscan.net import rest
from spreadscan.venues import VENUES
from spreadscan.venues.base import Maintenance, Venue
from spreadscan.workers.connects import connects_of
from spreadscan.workers.jobs import Jobs
from spreadscan.workers.proxies import proxies_of
from spreadscan.workers.role import Role

log = logging.getLogger(__name__)

_NOTE_S = 1.0
_START_AGAIN_S = 30.0  # a job that fell, by an error of ours


class AuditWorker:
    """The audit. run() until stop() says so; the caller holds the lease.

    newest: gives the lists to use, asked at every beat. write: takes the rows of the history;
    without it there is none.
    """

    def __init__(
        self,
        config: Config,
        instance: Instance,
        newest: Callable[[], Lists],
        write: Write | None = None,
    ) -> None:
        self._config = config
        self._instance = instance
        self._newest = newest
        self._generation = 0
        self._utc = UtcClock()
        self._role = Role(instance, instance.health.role("audit"))
        self._sources: dict[str, Source] = {}
        self._rounds: dict[str, Rounds] = {}
        self._asked: dict[int, Asked] = {}
        self._degraded: set[str] = set()
        self._polls: dict[object, MaintenancePoll] = {}  # by what is asked, and how it is read
        self._announced: dict[str, Sequence[Maintenance]] = {}
        self._clocks = Clocks(lambda found: leave_clocks(instance, found))
        self._jobs = Jobs()
        self._history = History(write, self._tallies, self._unix_ns()) if write else None

    async def run(self, stop: Callable[[], bool]) -> None:
        """Audit until stop() is true."""
        self._role.begin()
        async with rest.client(proxies_of(self._config)) as session:
            self._session = session
            leave_maintenance(self._instance, [])
            leave_clocks(self._instance, {})
            self._take(self._newest())
            self._jobs.start("witnesses", self._observe)
            self._jobs.start("questions", Questions(self._instance, self._asked).run)
            try:
                await self._beat(stop)
            finally:
                await self._jobs.stop()
                if self._history:
                    self._history.close(self._unix_ns())
                self._role.end()

    async def _beat(self, stop: Callable[[], bool]) -> None:
        while not stop():
            self._role.beat("degraded" if self._is_degraded(now_ns()) else "running")
            if (lists := self._newest()).generation > self._generation:
                self._take(lists)
            if self._history:
                self._history.end_hour(self._unix_ns())
            await self._jobs.wait(self._config.feeds.beat_ms / 1e3)
            self._jobs.restart(_START_AGAIN_S)

    def _is_degraded(self, now: int) -> bool:
        """Return whether any source is not well, and tell of those for which that is news."""
        found = {name: why for name, r in self._rounds.items() if (why := r.degraded_by(now))}
        for name, why in found.items():
            if name not in self._degraded:
                log.warning("source not confirmed", extra=facts(source=name, for_s=60, why=why))
        for name in self._degraded - found.keys():
            log.info("source confirmed again", extra=facts(source=name))
        self._degraded = set(found)
        return bool(found)

    # -- the sources

    def _take(self, lists: Lists) -> None:
        """Audit the pairs of newer lists; a source that got its first pairs is a new one."""
        for name in self._config.sources:
            rows = lists.sources[name].subscribed if name in lists.sources else ()
            if name in self._sources:
                self._sources[name].take(rows)
            elif rows:
                self._begin(name, rows)
        self._generation = lists.generation
        self._role.took(lists.generation)

    def _begin(self, name: str, rows: Sequence[Listing]) -> None:
        config, venue = self._config, VENUES[name]
        source = Source(venue, config, self._instance, rows)

        def count() -> None:
            source.count("requests")

        requests = Requests(venue, config, self._session, count)
        # with addresses of its own: not every one of a venue has that page
        poll = self._maintenance(venue, Requests(venue, config, self._session, count))
        funding = None
        if venue.funding and config.audit.funding_every_s:
            funding = FundingPoll(
                venue, config, requests.ask, source.ids, self._instance.funding, source.count
            )
            if not funding.with_list:
                self._jobs.start(f"{name} funding", funding.run)
        with_list = funding if funding and funding.with_list else None
        statuses = StatusRead(source, requests, with_list)
        rounds = Rounds(
            source,
            requests,
            config.audit.every_s,
            poll.look_soon if poll else lambda: None,
            statuses.look_soon,
        )
        first_s = config.audit.every_s * len(self._sources) / len(config.sources)
        self._sources[name], self._rounds[name] = source, rounds
        self._asked[source.id] = Asked(
            source, requests, rounds, config.audit.answer_within_s,
        )  # fmt: skip
        start = self._jobs.start
        start(f"{name} rounds", lambda: rounds.run(first_s))
        start(f"{name} statuses", statuses.run)
        start(f"{name} proofs", self._asked[source.id].prove)
        start(f"{name} clock", ClockPoll(venue, requests, self._clocks).run)
        if venue.audit.ask_at_once == 1:
            start(f"{name} age of answers", self._asked[source.id].measure)
        if venue.audit.push:
            connects, look = connects_of(venue, config), statuses.look_soon
            pushes = StatusSocket(source, venue.audit.push, connects, config, look)
            start(f"{name} pushes", pushes.run)

    def _maintenance(self, venue: Venue, requests: Requests) -> MaintenancePoll | None:
        """Return the poll of what a venue announces, started; sources of one page share it."""
        pages = venue.audit
        if pages.maintenance_request is None:
            return None
        page = venue.spec.exchange, pages.maintenance_request, pages.maintenance
        if page not in self._polls:
            self._polls[page] = poll = MaintenancePoll(
                venue, requests, lambda rows: self._announce(venue.name, rows)
            )
            self._jobs.start(f"{venue.name} maintenance", poll.run)
        return self._polls[page]

    def _announce(self, name: str, rows: Sequence[Maintenance]) -> None:
        self._announced[name] = rows
        announced = [
            Announced(source=source, **row._asdict())
            for source, found in self._announced.items()
            for row in found
        ]
        leave_maintenance(self._instance, announced)

    async def _observe(self) -> None:
        """Let each source's witnesses be noted, once a second."""
        while True:
            await asyncio.sleep(_NOTE_S)
            for rounds in self._rounds.values():
                rounds.observe()

    # -- history

    def _tallies(self) -> dict[str, Counter[str]]:
        return {name: source.take_tally() for name, source in self._sources.items()}

    def _unix_ns(self) -> int:
        return self._utc.utc_ns(now_ns())
