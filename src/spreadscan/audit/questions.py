"""Answers to the engine: whether a leg that has been silent still stands, asked about that pair.

The engine marks a question and wakes whoever parks on the section; a thread does, without the GIL,
and hands what it took to the loop. The answer is a verdict with a mark of its own, on which the
engine looks again. Where nothing comes in time nothing is written: the engine counts it unproven.

Such answers come from another page than those about all books, and from another cache. So their age
is measured by themselves: where the venue takes several pairs, some that move are asked about
along; elsewhere one that moves is asked about now and then, twice, and the last few answers count.
A pair that was asked about lately may be answered by the page of then (lately.py).

What rounds contradict is asked about here, too, for it takes both pages to prove a quote wrong.
"""

import asyncio
import logging
import threading
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence

from spreadcore import Instance

from spreadscan.audit.evidence import Answer, Lag, Rows, Table, rows_of
from spreadscan.audit.lately import Lately
from spreadscan.audit.requests import Requests
from spreadscan.audit.rounds import Rounds
from spreadscan.audit.source import Source
from spreadscan.audit.witnesses import AT_LEAST, lag_of
from spreadscan.clock import now_ns
from spreadscan.errors import Refused, RequestRefused, Retry, Skip
from spreadscan.logs import facts

log = logging.getLogger(__name__)

_GATHER_S = 0.005  # questions of one moment go out in one request, where the venue takes several
_IN_FLIGHT = 4  # requests of one source
_WAITING_MAX = 64  # questions of one source; beyond it there is no answer in time anyway
_ALONG = 4 * AT_LEAST  # pairs that move, in a request that asks about several
_REPEAT_S = 2.0  # after an answer about one, the same pair is asked about again
_MEASURE_S = 15.0  # and then another one, sooner while there are too few, or one is too old: that
# may be ours, for a price that sockets have yet to bring looks like one of before
_SOON_AT_MOST = 10  # in a row: not each tells
_MEASURED, _MEASURED_LIFE_NS = 6, 100_000_000_000  # of them count, and for so long
_NOTES, _NOTE_S = 5, 0.1  # after such an answer, which may be ahead of the sockets
_PROVE_SHARE = 0.25  # of what the venue allows, for quotes that rounds contradict,
_PROVE_S = 0.25  # and not more often
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
        self._refused: set[int] = set()  # told
        self._measured: deque[tuple[int, int | None]] = deque(maxlen=_MEASURED)  # when, how old
        self._lately = Lately()
        self._old = False  # they are too old to be used

    @property
    def _several(self) -> bool:
        return self._source.pages.ask_at_once > 1

    @property
    def _at_once(self) -> int:
        return self._source.pages.ask_at_once - _ALONG * self._several

    def take(self, ids: Sequence[int]) -> None:
        """Ask about these, at once or with those that come within some milliseconds."""
        self._source.count("questions", len(ids))
        for symbol_id in ids:
            known = symbol_id in self._source.pairs and symbol_id not in self._in_flight
            if known and len(self._waiting) < _WAITING_MAX:
                self._waiting[symbol_id] = None
        if self._waiting:
            wait_s = _GATHER_S if self._several else 0.0
            asyncio.get_running_loop().call_later(wait_s, self._send)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _send(self) -> None:
        ids, self._waiting = list(self._waiting), {}
        for first in range(0, len(ids), self._at_once):
            group = ids[first : first + self._at_once]
            self._in_flight.update(group)
            task = asyncio.create_task(self._question(group))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _question(self, ids: Sequence[int]) -> None:
        try:
            await self._ask(ids, self._each)
        finally:
            self._in_flight.difference_update(ids)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            told = facts(source=self._source.name)
            log.error("audit question failed", extra=told, exc_info=error)

    async def measure(self) -> None:
        """Keep known how old answers are where a request names one pair, and whether they are made
        anew. Runs until cancelled."""
        n_soon = 0
        while True:
            if ids := self._moving(1):
                n_soon += 1
                await self._ask(ids, self._measure)
            await asyncio.sleep(_REPEAT_S)
            if ids:
                await self._ask(ids, self._repeat)
            lag = self._lag_of_late(now_ns())
            well = len(self._measured) >= AT_LEAST and not self._source.judge.is_too_old(lag)
            if well:
                n_soon = 0
            if well or n_soon >= _SOON_AT_MOST:
                await asyncio.sleep(_MEASURE_S)

    async def prove(self) -> None:
        """Ask about quotes that rounds contradict, some at a time. Runs until cancelled."""
        source = self._source
        limit, window_s = source.venue.spec.rest_limit
        cost = source.pages.ask_request([""]).weight
        every_s = max(_PROVE_S, cost * window_s / (_PROVE_SHARE * limit))
        while True:
            await asyncio.sleep(every_s)
            if ids := source.judge.doubts.take_due(now_ns(), self._at_once):
                await self._ask(ids, self._each)

    async def _ask(
        self, ids: Sequence[int], ask: Callable[[Sequence[int]], Awaitable[None]]
    ) -> None:
        try:
            async with asyncio.timeout(self._within_s), self._slots:
                await ask(ids)
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

    async def _each(self, ids: Sequence[int]) -> None:
        """Ask about all; where one of several is refused, and all with it, about each alone.

        A pair that is refused by itself stays without an answer; the page is well.
        """
        try:
            await self._answer(ids)
        except RequestRefused as error:
            for symbol_id in ids if len(ids) > 1 else ():
                await self._each([symbol_id])
            if len(ids) == 1:
                self._refuse(ids[0], error)
        else:
            self._refused.difference_update(ids)

    def _refuse(self, symbol_id: int, error: RequestRefused) -> None:
        if symbol_id not in self._refused:
            told = facts(source=self._source.name, reason=str(error))
            log.warning("audit question refused", extra=told)
        self._refused.add(symbol_id)

    async def _answer(self, ids: Sequence[int]) -> None:
        source = self._source
        ids = [i for i in ids if i in source.pairs]
        if not ids:  # newer lists have taken them
            return
        moving = self._moving(_ALONG) if self._several else []
        along = [i for i in moving if i not in ids]
        answer, before, after = await self._look_at([*ids, *along])
        self._compare(along, answer, before)
        lag = (
            lag_of(self._ages(along, answer))
            if self._several
            else self._lag_of_late(answer.sent_ns)
        )
        self._tell_age(lag)
        made: defaultdict[int, list[int]] = defaultdict(list)
        for symbol_id in ids:
            made[self._lately.made_ns(symbol_id, answer.sent_ns)].append(symbol_id)
        for made_ns, group in made.items():  # a page of then says what was so then, at best
            told = answer._replace(sent_ns=made_ns, lag=lag)
            source.write(source.judge.question(group, told, before, after))
        source.answered(ids)
        source.count("answers", len(self._in_flight.intersection(ids)))

    async def _measure(self, ids: Sequence[int]) -> None:
        """Keep how old an answer about pairs that move is. Nobody waits for it."""
        source = self._source
        answer, before, _ = await self._look_at(ids)
        self._compare(ids, answer, before)
        for _ in range(_NOTES):
            source.witnesses.observe(source.table(ids), now_ns())
            await asyncio.sleep(_NOTE_S)
        self._measured += ((answer.sent_ns, age) for age in self._ages(ids, answer))

    async def _repeat(self, ids: Sequence[int]) -> None:
        """Find out whether the page about a pair that moved is another one by now."""
        answer, before, _ = await self._look_at(ids)
        self._compare(ids, answer, before)

    def _compare(self, ids: Sequence[int], answer: Answer, before: Table) -> None:
        pairs = {i: self._source.pairs[i] for i in ids if i in self._source.pairs}
        self._lately.compare(pairs, answer, before)

    def _ages(self, ids: Sequence[int], answer: Answer) -> list[int | None]:
        """Return how old an answer is by pairs that bear witness. A pair in question must not: it
        agrees with itself."""
        source = self._source
        pairs = {i: source.pairs[i] for i in ids if i in source.pairs}
        return source.witnesses.ages(pairs, answer.rows, source.table(ids), answer.sent_ns)

    async def _look_at(self, ids: Sequence[int]) -> tuple[Answer, Table, Table]:
        """Ask about pairs; return the answer, its age unknown, and what slots held around it."""
        source = self._source
        before: Table = {}
        sent_ns = 0

        def sending() -> None:
            nonlocal before, sent_ns
            before, sent_ns = source.table(ids), now_ns()
            source.witnesses.observe(before, sent_ns)
            self._lately.ask(ids, sent_ns)

        request = source.pages.ask_request([source.pairs[i].symbol for i in ids])
        rows = await self._requests.ask(request, self._rows, sending)
        answer = Answer(sent_ns, self._rounds.unix_offset_ns, rows, Lag(None))
        return answer, before, source.table(ids)

    def _moving(self, at_most: int) -> list[int]:
        """Return some pairs that move; those asked about lately first where several go along, for
        only these show whether pages are made anew."""
        witnesses, pairs = self._source.witnesses, self._source.pairs
        if self._several:
            return witnesses.moving(pairs, now_ns(), at_most, self._lately.of)
        return witnesses.moving(pairs, now_ns(), at_most)

    def _lag_of_late(self, at_ns: int) -> Lag:
        """Return how old answers about single pairs have been of late, at most."""
        late = [age for at, age in self._measured if at_ns - at <= _MEASURED_LIFE_NS]
        return lag_of(late, share=1.0)

    def _tell_age(self, lag: Lag) -> None:
        """Log when answers become too old to be used, and when they no longer are."""
        old, self._old = self._old, self._source.judge.is_too_old(lag)
        if self._old and not old:
            lag_s = "unknown" if lag.ns is None else round(lag.ns / 1e9, 1)
            told = facts(source=self._source.name, lag_s=lag_s)
            log.warning("audit answers to questions lag", extra=told)
        elif old and not self._old:
            told = facts(source=self._source.name)
            log.info("audit answers to questions are fresh", extra=told)

    def _rows(self, payload: bytes) -> Rows:
        return rows_of(self._source.pages.tickers(payload))


class Questions:
    """Takes the questions of all sources, in a thread. run() until cancelled, on the loop."""

    def __init__(self, instance: Instance, asked: Mapping[int, Asked]) -> None:
        self._questions = instance.questions
        self._asked = asked  # may get more while the thread runs
        self._n_sources = instance.region("questions").n_sources

    async def run(self) -> None:
        """Take them; at the end nothing is under way any more. Raises what the thread fell by."""
        loop, stopping = asyncio.get_running_loop(), threading.Event()
        thread = loop.run_in_executor(None, self._take, loop, stopping)
        try:
            await asyncio.shield(thread)
        finally:
            stopping.set()
            await asyncio.wait([thread])
            for asked in self._asked.values():
                await asked.stop()

    def _take(self, loop: asyncio.AbstractEventLoop, stopping: threading.Event) -> None:
        while not stopping.is_set():
            self._questions.park(_PARK_NS)
            for source_id in range(self._n_sources):
                ids, asked = self._questions.take(source_id), self._asked.get(source_id)
                if ids and asked:
                    loop.call_soon_threadsafe(asked.take, ids)
