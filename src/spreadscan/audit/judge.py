"""What an answer of a venue's REST API says of the quotes in the table. No clock, no I/O.

Emptying a good quote is the danger, since an answer can be older than the table. So:

1. A slot that changed between request and answer is alive; nothing else is said of it.
2. Prices are compared as numbers, a tick is no difference; sizes and text are not compared.
3. A price that differs accuses only a quote that had stood for longer than the venue's answers may
   be old, and, where rows tell their time, only by a row that is newer than the quote.
4. Two answers, ten seconds apart, about one and the same quote prove it wrong.
5. A row without a two-sided book contradicts a quote as another price does; it is never a price.
6. Absence counts in a complete answer of a venue that lists only what trades. It accuses; that the
   pair does not trade is for the venue's list of statuses to say, which is read soon then.
7. What equals its row is confirmed, as of the moment that the answer shows; not a pair that its
   status says is halted, for that equals its own frozen row.
8. Where more than a twentieth of a source is contradicted at once, the auditor is to blame first.
9. An answer that is too old says nothing at all, and one of which nothing tells how old it is
   proves no quote wrong.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from spreadscan.venues.base import AuditPages, Ticker

SECOND_AFTER_NS = 10_000_000_000  # from the answer that accuses to the one that proves
# more than the share and either of the others contradicted in one answer: not believed
SUSPECT_SHARE, SUSPECT_OVER, SUSPECT_OF_FEW = 0.05, 3, 1 / 3
WHOLE_SHARE = 0.9  # of the rows of the answer before
LAGGING_AT_LEAST_NS = 5_000_000_000
_SHRUNK_ANSWERS = 20  # so many short answers in a row: the venue has become smaller
_CLOSE = 1e-9  # of the price: two numbers for one price

_AGREES, _DIFFERS, _ABSENT, _EMPTY = "agrees", "differs", "absent", "empty"


class Pair(NamedTuple):
    """One pair that is audited. tick: in wire units, 0 = not known; major: a coin that every
    complete answer has."""

    symbol_id: int
    symbol: str  # the venue's
    multiplier: float
    tick: float
    major: bool


class Held(NamedTuple):
    """What a slot held: prices in wire units, times in ns as in the table; recv_ns 0: nothing."""

    recv_ns: int
    bid_px: float
    ask_px: float
    venue_ns: int


NOTHING = Held(0, math.nan, math.nan, 0)
Table = Mapping[int, Held]  # by symbol id; a pair without a slot holds nothing


class Lag(NamedTuple):
    """How old an answer is. ns: as measured, None where nothing tells; bad: too old to be used."""

    ns: int | None
    bad: bool = False


class Answer(NamedTuple):
    """One answer. sent_ns: CLOCK_BOOTTIME when its request left; unix_offset_ns: Unix time minus
    that clock. rows: by the venue's symbol."""

    sent_ns: int
    unix_offset_ns: int
    rows: Mapping[str, Ticker]
    lag: Lag


class Verdict(NamedTuple):
    """What is to be written of one pair.

    kind: of layout.VERDICTS, "none" = it trades again; or "not_judged" with a reason of
    layout.NOT_JUDGED. recv_ns names the quote, at_ns (CLOCK_BOOTTIME) is as of when.
    """

    symbol_id: int
    kind: str
    reason: str = ""
    recv_ns: int = 0
    at_ns: int = 0


@dataclass(slots=True)
class Judgement:
    """What one round says. Counts as in layout.AUDIT_FIGURES, of the pairs that hold a quote.
    absent: symbol ids of those accused for want of a row.

    whole: nothing seems to be missing in the answer. used: quotes were judged by it.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    audited: int = 0
    agreed: int = 0
    accused: int = 0
    absent: set[int] = field(default_factory=set)
    whole: bool = True
    too_many: bool = False
    lagging: bool = False

    @property
    def used(self) -> bool:
        return not (self.too_many or self.lagging)

    @property
    def not_judged(self) -> int:
        return self.audited - self.agreed - self.accused


class _Doubt(NamedTuple):
    """An answer that contradicts the quote received at recv_ns."""

    recv_ns: int
    since_ns: int  # when the first of them was asked for
    absent: bool


def same_px(a: float, b: float, tick: float) -> bool:
    """Return whether two prices are at most a tick apart; without a tick, the same number."""
    return abs(a - b) <= tick + _CLOSE * max(abs(a), abs(b))


def has_book(row: Ticker) -> bool:
    """Return whether a row shows two sides that may be a book."""
    return 0.0 < row.bid_px <= row.ask_px < math.inf


def agrees(held: Held, row: Ticker, tick: float) -> bool:
    """Return whether a row shows what a slot holds."""
    return same_px(held.bid_px, row.bid_px, tick) and same_px(held.ask_px, row.ask_px, tick)


class Judge:
    """What is known of one source's pairs from answers and statuses, and the rules."""

    def __init__(self, pages: AuditPages) -> None:
        self.older_by_ns = int(pages.older_by_s * 1e9)
        self._rows_tell_time = pages.rows_tell_time
        self._trading_only = pages.trading_only
        self._pairs: dict[int, Pair] = {}
        self._doubts: dict[int, _Doubt] = {}
        self._halted: dict[int, int] = {}  # by status, and when that was heard
        self._told_ns: dict[int, int] = {}  # as of when each pair's newest status is
        self._n_rows = 0  # of the last answer that was whole, or that stands for the venue now
        self._n_short = 0

    @property
    def halted(self) -> int:
        """Return how many pairs do not trade."""
        return len(self._halted)

    def is_halted(self, symbol_id: int) -> bool:
        return symbol_id in self._halted

    def take(self, pairs: Sequence[Pair]) -> list[Verdict]:
        """Audit these from now on; return what clears those that are gone."""
        was, self._pairs = self._pairs, {pair.symbol_id: pair for pair in pairs}
        gone = [i for i, pair in was.items() if self._pairs.get(i) != pair]
        for symbol_id in gone:
            self._doubts.pop(symbol_id, None)
            self._halted.pop(symbol_id, None)
            self._told_ns.pop(symbol_id, None)
        return [Verdict(symbol_id, "none") for symbol_id in gone]

    def status(
        self, symbol_id: int, trading: bool, at_ns: int, older_by_ns: int = 0
    ) -> Verdict | None:
        """Take what the venue says of a pair's status; return a verdict where that is news.

        at_ns: when it was asked for or heard; by older_by_ns it may be older. What is older than
        another status is not taken: a list may come after a change that was pushed.
        """
        as_of_ns = at_ns - older_by_ns
        if symbol_id not in self._pairs or as_of_ns < self._told_ns.get(symbol_id, 0):
            return None
        self._told_ns[symbol_id] = as_of_ns
        news = trading == self.is_halted(symbol_id)
        if trading:
            self._halted.pop(symbol_id, None)
            return Verdict(symbol_id, "none") if news else None
        self._halted[symbol_id] = at_ns
        self._doubts.pop(symbol_id, None)
        return Verdict(symbol_id, "not_trading", at_ns=at_ns) if news else None

    def round(self, answer: Answer, before: Table, after: Table) -> Judgement:
        """Judge all pairs by an answer about all; before, after: at the request and now."""
        found = Judgement(whole=self._is_whole(answer.rows), lagging=self.is_too_old(answer.lag))
        if not found.lagging:
            found.verdicts += self._trading_again(answer)
        findings = [
            (pair, self._look(pair, answer, before, after))
            for pair in self._pairs.values()
            if not self.is_halted(pair.symbol_id)
        ]
        contradicted = 0
        for at, (pair, finding) in enumerate(findings):
            if finding == _EMPTY:
                continue
            found.audited += 1
            if finding == _ABSENT:
                finding = self._absence(pair, answer, before, found.whole)
            if found.lagging and finding != "moved":
                finding = "lagging"
            findings[at] = (pair, finding)
            contradicted += finding in (_DIFFERS, _ABSENT)
            found.agreed += finding in (_AGREES, "moved")
        found.accused = contradicted
        found.absent = {pair.symbol_id for pair, finding in findings if finding == _ABSENT}
        judged = found.agreed + contradicted  # what was heard meanwhile is no sign of a fault
        few = min(SUSPECT_OVER, SUSPECT_OF_FEW * judged)
        found.too_many = contradicted > max(few, SUSPECT_SHARE * judged)
        for pair, finding in findings:
            if finding == _EMPTY:
                self._doubts.pop(pair.symbol_id, None)
            elif found.too_many and finding in (_AGREES, _DIFFERS, _ABSENT):
                found.verdicts.append(Verdict(pair.symbol_id, "not_judged", "too_many"))
            else:
                found.verdicts.append(self._verdict(pair, finding, answer, after, self._age_ns))
        return found

    def question(
        self, asked: Iterable[int], answer: Answer, before: Table, after: Table
    ) -> list[Verdict]:
        """Judge the pairs that were asked for; what an answer leaves out is not judged."""
        lagging, verdicts = self.is_too_old(answer.lag), []
        for symbol_id in asked:
            pair = self._pairs.get(symbol_id)
            if pair is None or self.is_halted(symbol_id):
                continue
            finding = self._look(pair, answer, before, after)
            if finding == _EMPTY:
                continue
            if finding == _ABSENT:
                finding = "no_row"
            if lagging and finding != "moved":
                finding = "lagging"
            verdicts.append(self._verdict(pair, finding, answer, after, self._question_age_ns))
        return verdicts

    # -- one pair

    def _look(self, pair: Pair, answer: Answer, before: Table, after: Table) -> str:
        """Return what an answer says of a pair, or a reason why it says nothing."""
        was = before.get(pair.symbol_id, NOTHING)
        now = after.get(pair.symbol_id, NOTHING)
        if not now.recv_ns:
            return _EMPTY
        if now.recv_ns != was.recv_ns:
            return "moved"
        row = answer.rows.get(pair.symbol)
        if row is None:
            return _ABSENT
        book = has_book(row)
        if book and agrees(now, row, pair.tick):
            return _AGREES
        if answer.sent_ns - now.recv_ns <= self.older_by_ns:
            return "young" if book else "no_book"
        if self._rows_tell_time:
            quoted_ns = now.venue_ns or now.recv_ns + answer.unix_offset_ns
            if row.row_ns <= quoted_ns:
                return "lagging"
        return _DIFFERS

    def _absence(self, pair: Pair, answer: Answer, before: Table, whole: bool) -> str:
        """Return what the absence of a pair's row says, or why it says nothing."""
        if not self._trading_only:
            return "no_row"
        if not whole:
            return "incomplete"
        stood_ns = answer.sent_ns - before[pair.symbol_id].recv_ns
        return _ABSENT if stood_ns > self.older_by_ns else "no_row"

    def _verdict(
        self,
        pair: Pair,
        finding: str,
        answer: Answer,
        after: Table,
        age_ns: Callable[[Lag], int],
    ) -> Verdict:
        symbol_id, recv_ns = pair.symbol_id, after[pair.symbol_id].recv_ns
        if finding == _AGREES:
            self._doubts.pop(symbol_id, None)
            at_ns = max(recv_ns, answer.sent_ns - age_ns(answer.lag))
            return Verdict(symbol_id, "confirmed", "", recv_ns, at_ns)
        if finding not in (_DIFFERS, _ABSENT):
            if finding == "moved":
                self._doubts.pop(symbol_id, None)
            return Verdict(symbol_id, "not_judged", finding)
        absent, doubt = finding == _ABSENT, self._doubts.get(symbol_id)
        if doubt is None or doubt.recv_ns != recv_ns or doubt.absent != absent:
            doubt = self._doubts[symbol_id] = _Doubt(recv_ns, answer.sent_ns, absent)
        proven = answer.sent_ns - doubt.since_ns >= SECOND_AFTER_NS
        if proven and not absent and answer.lag.ns is not None:
            return Verdict(symbol_id, "wrong", "", recv_ns, answer.sent_ns)
        return Verdict(symbol_id, "accused", "", recv_ns, answer.sent_ns)

    # -- whole answers

    def _trading_again(self, answer: Answer) -> list[Verdict]:
        """Return what clears halted pairs that have a book again.

        Where only what trades has a row, a row speaks of the status, too.
        """
        again = []
        for symbol_id, since_ns in [*self._halted.items()] if self._trading_only else ():
            row = answer.rows.get(self._pairs[symbol_id].symbol)
            if row is not None and has_book(row) and answer.sent_ns - self.older_by_ns > since_ns:
                del self._halted[symbol_id]
                again.append(Verdict(symbol_id, "none"))
        return again

    def _is_whole(self, rows: Mapping[str, Ticker]) -> bool:
        """Return whether nothing seems to be missing; the first answer has nothing to compare."""
        majors = [pair.symbol for pair in self._pairs.values() if pair.major]
        n_before, n = self._n_rows, len(rows)
        if n >= WHOLE_SHARE * n_before:
            self._n_rows, self._n_short = n, 0
        else:
            self._n_short += 1
            if self._n_short >= _SHRUNK_ANSWERS:
                self._n_rows, self._n_short = n, 0
        has_major = not majors or any(symbol in rows for symbol in majors)
        return has_major and n_before > 0 and n >= WHOLE_SHARE * n_before

    # -- how old answers are

    def is_too_old(self, lag: Lag) -> bool:
        """Return whether an answer of that age says nothing."""
        longest_ns = max(self.older_by_ns, LAGGING_AT_LEAST_NS)
        return lag.bad or (lag.ns is not None and lag.ns > longest_ns)

    def _age_ns(self, lag: Lag) -> int:
        return self.older_by_ns if lag.ns is None else lag.ns

    def _question_age_ns(self, lag: Lag) -> int:
        """As of when an answer about single pairs confirms, where nothing was measured: rows that
        tell their time are made when asked; of others nothing better than the table is known."""
        if lag.ns is None and self._rows_tell_time:
            return 0
        return self._age_ns(lag)
