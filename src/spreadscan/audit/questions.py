"""Answers to the engine: whether a leg that has been silent still stands, asked about that pair.

The engine marks a question and wakes whoever parks on the section; a thread does, without the GIL,
and hands what it took to the loop. The answer is a verdict with a mark of its own, on which the
engine looks again. Where nothing comes in time nothing is written: the engine counts it unproven.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Mapping, Sequence

from spreadcore import Instance

from spreadscan.audit.judge import Answer, Table
from spreadscan.audit.requests import Requests
from spreadscan.audit.rounds import Rounds
from spreadscan.audit.source import Source
from spreadscan.clock import now_ns
from spreadscan.errors import Refused, Retry, Skip
from spreadscan.logs import facts
from spreadscan.venues.base import Ticker

log = logging.getLogger(__name__)

_GATHER_S = 0.005  # questions of one moment go out in one request, where the venue takes several
_IN_FLIGHT = 4  # requests of one source
_WAITING_MAX = 64  # questions of one source; beyond it there is no answer in time anyway
_PARK_NS = 100_000_000  # a net under the wake-up, and how soon a stop is seen


class Asked:
    """The questions about one source."""

    def __init__(
        self,
        source: Source,
        requests: Requests,
        rounds: Rounds,
        within_s: float,
    ) -> None:
        self._source = source
        self._requests = requests
        self._rounds = rounds
        self._within_s = within_s
        self._waiting: dict[int, None] = {}  # in order of asking
        self._in_flight: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(_IN_FLIGHT)
        self._failing = False

    def take(self, ids: Sequence[int]) -> None:
        """Ask about these, at once or with those that come within some milliseconds."""
        self._source.count("questions", len(ids))
        for symbol_id in ids:
            known = symbol_id in self._source.pairs and symbol_id not in self._in_flight
            if known and len(self._waiting) < _WAITING_MAX:
                self._waiting[symbol_id] = None
        if self._waiting:
            several = self._source.pages.ask_at_once > 1
            asyncio.get_running_loop().call_later(_GATHER_S if several else 0.0, self._send)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _send(self) -> None:
        ids, self._waiting = list(self._waiting), {}
        at_once = self._source.pages.ask_at_once
        for first in range(0, len(ids), at_once):
            group = ids[first : first + at_once]
            self._in_flight.update(group)
            task = asyncio.create_task(self._ask(group))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            told = facts(source=self._source.name)
            log.error("audit question failed", extra=told, exc_info=error)

    async def _ask(self, ids: Sequence[int]) -> None:
        try:
            async with asyncio.timeout(self._within_s), self._slots:
                await self._each(ids)
        except (TimeoutError, Retry, Refused, Skip) as error:
            if not self._failing:
                reason = str(error) or f"no answer within {self._within_s:g} s"
                told = facts(source=self._source.name, reason=reason)
                log.warning("audit questions fail", extra=told)
            self._failing = True
        else:
            if self._failing:
                log.info("audit questions are answered", extra=facts(source=self._source.name))
            self._failing = False
        finally:
            self._in_flight.difference_update(ids)

    async def _each(self, ids: Sequence[int]) -> None:
        """Ask about all; where one of several is refused, and all with it, about each alone."""
        try:
            await self._answer(ids)
        except Refused:
            if len(ids) == 1:
                raise
            for symbol_id in ids:
                with contextlib.suppress(Refused):
                    await self._answer([symbol_id])

    async def _answer(self, ids: Sequence[int]) -> None:
        source = self._source
        pairs = [source.pairs[i] for i in ids if i in source.pairs]
        if not pairs:  # newer lists have taken them
            return
        before: Table = {}
        sent_ns = 0

        def sending() -> None:
            nonlocal before, sent_ns
            before, sent_ns = source.table(ids), now_ns()

        request = source.pages.ask_request([pair.symbol for pair in pairs])
        rows = await self._requests.ask(request, self._rows, sending)
        answer = Answer(sent_ns, self._rounds.unix_offset_ns, rows, self._rounds.lag)
        verdicts = source.judge.question(ids, answer, before, source.table(ids))
        source.write(verdicts, asked=True)
        source.answered(ids)
        source.count("answers", len(pairs))

    def _rows(self, payload: bytes) -> dict[str, Ticker]:
        return {row.symbol: row for row in self._source.pages.tickers(payload)}


class Questions:
    """The thread that takes the questions of all sources. start() and stop() on the loop."""

    def __init__(self, instance: Instance, asked: Mapping[int, Asked]) -> None:
        self._questions = instance.questions
        self._asked = asked  # may get more while the thread runs
        self._n_sources = instance.region("questions").n_sources
        self._loop = asyncio.get_running_loop()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._take, name="questions", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def stop(self) -> None:
        """End the thread and whatever is under way."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)
        for asked in self._asked.values():
            await asked.stop()

    def _take(self) -> None:
        while not self._stopping.is_set():
            self._questions.park(_PARK_NS)
            for source_id in range(self._n_sources):
                ids, asked = self._questions.take(source_id), self._asked.get(source_id)
                if ids and asked:
                    self._loop.call_soon_threadsafe(asked.take, ids)
