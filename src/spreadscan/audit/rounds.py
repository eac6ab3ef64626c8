"""The rounds of one source: all of its books in one answer, every fifteen seconds or so."""

import asyncio
import logging
import math
import random
from collections.abc import Callable

from spreadscan.audit.agreement import AGREE_PCT, DEGRADED_NS, agreement_pct, is_too_little
from spreadscan.audit.evidence import Answer, Lag, Rows, Table, row_age_ns, rows_of
from spreadscan.audit.judge import Judgement
from spreadscan.audit.requests import Requests
from spreadscan.audit.source import Source
from spreadscan.audit.trouble import Trouble
from spreadscan.clock import UtcClock, now_ns
from spreadscan.errors import BadFrame, Refused, Retry, Skip
from spreadscan.logs import facts

log = logging.getLogger(__name__)

_JITTER = 0.1
_LONGEST_WAIT_S = 300.0  # after refusals; a shorter one is what the venue itself asks for
_FROZEN_ROUNDS = 2  # in a row that contradict too much, until the feed is asked for new sockets
_RENEW_AGAIN_NS = 300_000_000_000  # not sooner; what new sockets did not cure, others will not
_WELL_ROUNDS = 4  # in a row, until it is told: a cache makes every other answer old
_NEWEST_SHARE = 0.02  # of the rows may be dated wrongly: the oldest of these goes for the answer
# between looks at the list for the same pairs, doubled each time; it may be a minute old
_LOOK_AGAIN_NS = 75_000_000_000


class Rounds:
    """Makes the rounds of one source. run() until cancelled.

    suspect: called when an answer contradicts too much at once. unlisted: when the list of statuses
    has to tell of pairs: a row that was there before is missing, or back.
    """

    def __init__(
        self,
        source: Source,
        requests: Requests,
        every_s: float,
        suspect: Callable[[], None],
        unlisted: Callable[[], None],
    ) -> None:
        self._source = source
        self._requests = requests
        self._every_s = every_s
        self._suspect = suspect
        self._unlisted = unlisted
        self._known_unlisted: set[int] = set()  # in the last round
        self._look_ns = 0  # for the same ones once more
        self._look_wait_ns = 0
        self._utc = UtcClock()
        self._had_answer = False  # the first has nothing to be compared with
        self._refusals = 0
        self._trouble = ""  # as told last
        self._ahead = Trouble(
            log, source.name, "audit rows are dated ahead of our clock", "audit rows are dated well"
        )
        self._good = 0  # rounds in a row
        self._frozen = 0  # rounds in a row
        self._failing_ns = 0
        self._below_ns = 0

    def degraded_by(self, now_ns: int) -> str:
        """Return what has been wrong with the source for a minute, '' for nothing."""
        for since_ns, what in (
            (self._failing_ns, "no round could be judged"),
            (self._below_ns, f"less than {AGREE_PCT:g} % agrees"),
        ):
            if since_ns and now_ns - since_ns > DEGRADED_NS:
                return what
        return ""

    @property
    def unix_offset_ns(self) -> int:
        return self._utc.offset_ns()

    async def run(self, first_s: float) -> None:
        """Begin in first_s seconds, so that the sources take turns."""
        wait_s = first_s
        while True:
            await asyncio.sleep(wait_s)
            wait_s = await self.round() * random.uniform(1 - _JITTER, 1 + _JITTER)

    async def round(self) -> float:
        """Make one; return in how many seconds the next may be made, but for jitter."""
        source = self._source
        before: Table = {}
        sent_ns = 0

        def sending() -> None:
            nonlocal before, sent_ns
            before, sent_ns = source.table(), now_ns()

        try:
            rows = await self._requests.ask(source.pages.tickers_request, self._ours, sending)
        except (Retry, Refused, Skip) as error:
            return self._failed(error)
        self._refusals = 0
        after = source.table()
        lag = self._measured(rows, after, sent_ns)
        answer = Answer(sent_ns, self._utc.offset_ns(), rows, lag)
        found = source.judge.round(answer, before, after)
        source.write(found.verdicts)
        source.witnesses.choose(after)
        self._keep(found, answer, after)
        return self._every_s

    def observe(self) -> None:
        """Let the witnesses see what the table holds; to be called about once a second."""
        witnesses = self._source.witnesses
        if not witnesses.ids:  # the feed has just begun
            witnesses.choose(self._source.table())
        witnesses.observe(self._source.table(witnesses.ids), now_ns())

    def _ours(self, payload: bytes) -> Rows:
        rows = rows_of(self._source.pages.tickers(payload))
        if self._source.ids and rows.keys().isdisjoint(self._source.ids):
            raise BadFrame(
                f"{self._source.name} tickers: found {len(rows)} rows and none of our "
                f"{len(self._source.ids)} pairs, expected most"
            )
        return rows

    def _measured(self, rows: Rows, after: Table, sent_ns: int) -> Lag:
        source = self._source
        lag = source.witnesses.lag(source.pairs, rows, after, sent_ns)
        if not source.pages.rows_tell_time or lag.bad:
            return lag
        unix_ns = sent_ns + self._utc.offset_ns()
        told = sorted(
            age_ns
            for row in rows.values()
            if row and (age_ns := row_age_ns(row, unix_ns, source.judge.longest_ns)) is not None
        )
        if not told:
            self._tell_ahead(rows, unix_ns)  # a clock that is ahead tells no age
            return lag
        self._ahead.off()
        return Lag(max(told[math.ceil(_NEWEST_SHARE * len(told)) - 1], lag.ns or 0))

    # -- what is told

    def _tell_ahead(self, rows: Rows, unix_ns: int) -> None:
        """Tell that rows are of a time to come: their venue's clock is wrong, or ours. They prove
        no quote wrong, and confirm none as of now."""
        ahead_ns = [row.row_ns - unix_ns for row in rows.values() if row and row.row_ns]
        if ahead_ns:
            longest_s = self._source.judge.longest_ns / 1e9
            self._ahead.on(by_s=round(min(ahead_ns) / 1e9, 1), at_most_s=longest_s)

    def _failed(self, error: Retry | Refused | Skip) -> float:
        self._source.count("failed")
        # what the round before said is no longer how it is
        self._source.set(agreed=0, accused=0, not_judged=self._source.figure("audited"))
        self._since(now_ns())
        self._tell("audit got no answer", reason=str(error))
        if isinstance(error, Refused):
            self._refusals += 1
            wait_s = self._every_s * 2.0 ** min(self._refusals - 1, 10)
            return max(self._every_s, min(wait_s, _LONGEST_WAIT_S))
        return max(self._every_s, error.after_s if isinstance(error, Retry) else 0.0)

    def _keep(self, found: Judgement, answer: Answer, after: Table) -> None:
        """Keep the figures of a round, and tell what changed."""
        source, sent_ns = self._source, answer.sent_ns
        source.count("rounds")
        for name, so in (
            ("lagging", found.lagging), ("too_many", found.too_many),
            ("incomplete", not found.whole and self._had_answer),
        ):  # fmt: skip
            if so:
                source.count(name)
        self._had_answer = True
        # an answer that is too old says nothing, also not of what was heard meanwhile
        agreed, accused = (0, 0) if found.lagging else (found.agreed, found.accused)
        pairs = {
            "audited": found.audited, "agreed": agreed, "accused": accused,
            "not_judged": found.audited - agreed - accused,
        }  # fmt: skip
        if not found.lagging:
            below = is_too_little(agreement_pct(pairs))
            self._below_ns = (self._below_ns or sent_ns) if below else 0
        source.sum_up(**pairs)
        source.set(
            **pairs,
            halted=source.judge.halted,
            oldest_ns=source.oldest_ns(after),
            lag_ns=0 if answer.lag.ns is None else max(1, answer.lag.ns),
            below_ns=self._below_ns,
        )
        if not found.too_many:
            self._look(found.unlisted, sent_ns)
        self._frozen = self._frozen + 1 if found.too_many else 0
        if found.used:
            self._failing_ns = 0
            source.set(round_ns=sent_ns, failing_ns=0)
            self._good += 1
            if self._good >= _WELL_ROUNDS:
                self._tell("")
            return
        self._since(sent_ns)
        if found.lagging:
            lag_s = "unknown" if answer.lag.ns is None else round(answer.lag.ns / 1e9, 1)
            self._tell("audit answers lag", lag_s=lag_s, older_by_s=source.pages.older_by_s)
        else:
            self._tell("audit contradicts too many", differ=found.accused, agree=found.agreed)
            self._suspect()
            if self._frozen >= _FROZEN_ROUNDS:
                self._renew()

    def _look(self, unlisted: set[int], now_ns: int) -> None:
        """Have the list read for pairs that are new among these, and again where it does not tell;
        a page may lack rows for ever."""
        if unlisted - self._known_unlisted:
            self._look_ns, self._look_wait_ns = now_ns, _LOOK_AGAIN_NS
        self._known_unlisted = unlisted
        if unlisted and now_ns >= self._look_ns:
            self._look_ns = now_ns + self._look_wait_ns
            self._look_wait_ns *= 2
            self._unlisted()

    def _renew(self) -> None:
        """Ask the feed for new sockets, unless it was asked of late, by whichever audit."""
        source, now = self._source, now_ns()
        last_ns = source.figure("renew_ns")
        if last_ns and now - last_ns < _RENEW_AGAIN_NS:
            return
        source.set(renew_ns=now)
        source.count("renewals")
        log.warning("source seems frozen, its sockets are renewed", extra=facts(source=source.name))

    def _since(self, at_ns: int) -> None:
        self._failing_ns = self._failing_ns or at_ns
        self._source.set(failing_ns=self._failing_ns)

    def _tell(self, trouble: str, **told: object) -> None:
        """Log a change of what is wrong with the audit of the source."""
        if trouble:
            self._good = 0
        if trouble == self._trouble:
            return
        self._trouble = trouble
        if trouble:
            log.warning(trouble, extra=facts(source=self._source.name, **told))
        else:
            log.info("audit goes on", extra=facts(source=self._source.name))
