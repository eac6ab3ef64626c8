"""The worker of one source, whatever its prices come by: exchange, pool or aggregator.

It is the only writer of the source's slots and sees to what holds for all kinds: the lease, slots
that are empty before the first price and after the last, the beat, new lists, recording, and that
no job falls unseen. How prices come is the matter of a Feed, which knows nothing of all this.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from spreadcore import Instance
from spreadcore.intake import SourceIntake
from spreadcore.layout import SOURCE_COUNTERS
from spreadcore.lease import TRY_FOR_S

from spreadscan.catalogue import Source
from spreadscan.config import Config
from spreadscan.lists import Listing, Lists, changes
from spreadscan.logs import facts
from spreadscan.recordings.recorder import Recorder
from spreadscan.workers.jobs import Jobs
from spreadscan.workers.role import Role

log = logging.getLogger(__name__)

_SOCKETS = SOURCE_COUNTERS.index("sockets")


class Feed(Protocol):
    """What a kind of source brings: how its prices come into the slots. On the event loop.

    intake: what writes the slots. n_sockets: how many are open. connected: whether prices of all
    that is listed can come.
    """

    @property
    def intake(self) -> SourceIntake: ...

    @property
    def n_sockets(self) -> int: ...

    @property
    def connected(self) -> bool: ...

    def open(self, rows: Sequence[Listing], jobs: Jobs, recorder: Recorder) -> None:
        """Begin with what is listed, over empty slots. All that goes on is a job."""

    async def take(
        self, rows: Sequence[Listing], added: Sequence[Listing], gone: Sequence[Listing]
    ) -> None:
        """Take what is listed from now on: slots of what is gone are emptied, the rest is kept."""


class SourceWorker:
    """The worker of a source. run() once, until stop() says so; sections are mapped writable.

    Holds the lease of the source from here on, until run() has ended; LeaseHeld where another one
    does and does not end within lease_within_s. newest: gives the lists to use.
    """

    def __init__(
        self,
        source: Source,
        feed: Feed,
        config: Config,
        instance: Instance,
        newest: Callable[[], Lists],
        lease_within_s: float = TRY_FOR_S,
    ) -> None:
        self.source = source
        self.feed = feed
        self._lease = instance.lease(source.name, lease_within_s)
        self._role = Role(instance, source.id)
        self._health = instance.health
        self._beat_s = config.feeds.beat_ms / 1e3
        self._newest = newest
        self._generation = 0
        self._listed: tuple[Listing, ...] = ()
        self._jobs = Jobs()
        self._recorder = Recorder(instance, source.name, feed.intake, config)

    async def run(self, stop: Callable[[], bool]) -> None:
        """Have the source's prices in its slots until stop() is true.

        Raises what a job fell by; RegionLost once the instance is not whole, or another.
        """
        try:
            self._begin(self._newest())
            while not stop():
                self._show_sockets(self.feed.n_sockets)
                self._role.beat("running" if self.feed.connected else "degraded")
                await self._take(self._newest())
                self._recorder.follow_request()
                await self._jobs.wait(self._beat_s)
                self._jobs.check()
        finally:
            await self._jobs.stop()
            self.feed.intake.empty_all()
            self._recorder.stop()
            self._show_sockets(0)
            self._role.end()
            self._lease.close()

    def _begin(self, lists: Lists) -> None:
        self._role.begin()
        self._generation = lists.generation
        self._listed = lists.sources[self.source.name].subscribed
        self._role.took(lists.generation)
        self.feed.intake.empty_all()  # what a worker that was killed left behind
        self.feed.open(self._listed, self._jobs, self._recorder)

    async def _take(self, lists: Lists) -> None:
        """Let newer lists be taken, if these are; what stays is not touched."""
        if lists.generation <= self._generation:
            return
        rows = lists.sources[self.source.name].subscribed
        gone, added = changes(self._listed, rows)
        await self.feed.take(rows, added, gone)
        self._listed, self._generation = rows, lists.generation
        self._role.took(lists.generation)
        log.info(
            "lists taken",
            extra=facts(
                source=self.source.name,
                generation=lists.generation,
                subscribed=len(added),
                unsubscribed=len(gone),
            ),
        )

    def _show_sockets(self, n: int) -> None:
        self._health.set(self.source.id, _SOCKETS, n)
