"""What an answer of a venue's REST API says of the quotes in the table. No clock, no I/O.

Emptying a good quote is the danger, since an answer can be older than the table. So:

1. A slot that changed between request and answer is alive; nothing else is said of it.
2. Prices are compared as numbers, sizes and text are not. Only the same price confirms, and only
   one more than a tick away contradicts: a tick may be worth more than a spread.
3. A price that differs accuses only a quote that had stood for longer than the venue's answers may
   be old, and, where rows tell their time, only by a row that is newer than the quote. Elsewhere
   the price that the slot held before is that of an old row, until the quote has stood a minute.
4. A quote is wrong once both pages of its venue contradict it (doubts.py). Where sockets and pages
   go on to differ after that, they stay accused: nobody knows which of them is right.
5. A row without a two-sided book contradicts a quote as another price does; it is never a price.
   Rows of one pair that contradict each other are no evidence, and no absence.
6. Absence counts in a complete answer of a venue that lists only what trades. It accuses; that the
   pair does not trade is for the venue's list of statuses to say, which is read soon then.
7. What equals its row is confirmed, as of the moment that the answer shows; not a pair that its
   status says is halted, for that equals its own frozen row.
8. Where more than a twentieth of a source is contradicted at once, the auditor is to blame first.
9. An answer that is too old says nothing at all, and one of which nothing tells how old it is
   proves no quote wrong.
10. A row's own time bounds what it confirms; see _as_of().
11. Only a whole answer that is believed, and whose age is known, lifts a halt.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from spreadscan.audit.doubts import Doubts, Page
from spreadscan.audit.evidence import (
    NOTHING,
    Answer,
    Held,
    Lag,
    Pair,
    Rows,
    Table,
    agrees,
    has_book,
    row_age_ns,
)
from spreadscan.venues.base import AuditPages, Ticker

# more than the share and either of the others contradicted in one answer: not believed
SUSPECT_SHARE, SUSPECT_OVER, SUSPECT_OF_FEW = 0.05, 3, 1 / 3
WHOLE_SHARE = 0.9  # of the rows of the answer before
LAGGING_AT_LEAST_NS = 5_000_000_000
_SHRUNK_ANSWERS = 20  # so many short answers in a row: the venue has become smaller
_ROW_KEPT_NS = 60_000_000_000  # for so long the row of one pair may be that of before its quote
_SAME_NS = (
    200_000_000  # a row so near to a quote is dated by it: sockets and REST round differently
)
_QUIET_AT_LEAST = 4  # rows of quotes that stood tell whether times stand with them
# from a quote found wrong to the next one of that pair, doubled each time until one is confirmed
_WRONG_AGAIN_NS = 300_000_000_000

_AGREES, _DIFFERS, _ABSENT, _EMPTY = "agrees", "differs", "absent", "empty"


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


class _Wrong(NamedTuple):
    """The last quote of a pair that was found wrong, when, and for how long no other one is."""

    recv_ns: int
    at_ns: int
    wait_ns: int


@dataclass(slots=True)
class Judgement:
    """What one round says. Counts as in layout.AUDIT_FIGURES, of the pairs that hold a quote.
    unlisted: symbol ids of which the list of statuses has to tell: accused for want of a row, or
    halted and shown by an answer that lifts no halt.

    whole: nothing seems to be missing in the answer. used: quotes were judged by it.
    """

    verdicts: list[Verdict] = field(default_factory=list)
    audited: int = 0
    agreed: int = 0
    accused: int = 0
    unlisted: set[int] = field(default_factory=set)
    whole: bool = True
    too_many: bool = False
    lagging: bool = False

    @property
    def used(self) -> bool:
        return not (self.too_many or self.lagging)

    @property
    def not_judged(self) -> int:
        return self.audited - self.agreed - self.accused


class Judge:
    """What is known of one source's pairs from answers and statuses, and the rules."""

    def __init__(self, pages: AuditPages) -> None:
        self.older_by_ns = int(pages.older_by_s * 1e9)
        self.longest_ns = max(self.older_by_ns, LAGGING_AT_LEAST_NS)  # what is older is not used
        self.doubts = Doubts()
        self._rows_tell_time = pages.rows_tell_time
        self._times_stand = False  # on rows of pairs that do not move
        self._trading_only = pages.trading_only
        self._pairs: dict[int, Pair] = {}
        self._halted: dict[int, int] = {}  # by status, and when that was heard
        self._told_ns: dict[int, int] = {}  # as of when each pair's newest status is
        self._last: dict[int, Held] = {}  # at the round before; each pair's price before that one:
        self._earlier: dict[int, Held] = {}
        self._wrong: dict[int, _Wrong] = {}  # by symbol id, of pairs not confirmed since
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
        gone = [i for i, pair in was.items() if not pair.is_same(self._pairs.get(i))]
        for symbol_id in gone:
            self.doubts.forget(symbol_id)
            self._halted.pop(symbol_id, None)
            self._told_ns.pop(symbol_id, None)
            self._last.pop(symbol_id, None)
            self._earlier.pop(symbol_id, None)
            self._wrong.pop(symbol_id, None)
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
        self.doubts.forget(symbol_id)
        return Verdict(symbol_id, "not_trading", at_ns=at_ns) if news else None

    def round(self, answer: Answer, before: Table, after: Table) -> Judgement:
        """Judge all pairs by an answer about all; before, after: at the request and now."""
        found = Judgement(whole=self._is_whole(answer.rows), lagging=self.is_too_old(answer.lag))
        findings: dict[int, str] = {}
        for symbol_id, pair in self._pairs.items():
            finding = (
                _EMPTY if self.is_halted(symbol_id) else self._look(pair, answer, before, after)
            )
            if finding == _EMPTY:
                continue
            if finding == _ABSENT:
                finding = self._absence(pair, answer, before, found)
            findings[symbol_id] = "lagging" if found.lagging and finding != "moved" else finding
        said = list(findings.values())
        found.audited = len(said)
        found.accused = said.count(_DIFFERS) + said.count(_ABSENT)
        found.agreed = said.count(_AGREES) + said.count("moved")
        judged = found.agreed + found.accused  # what was heard meanwhile is no sign of a fault
        few = min(SUSPECT_OVER, SUSPECT_OF_FEW * judged)
        found.too_many = found.accused > max(few, SUSPECT_SHARE * judged)
        if found.used:
            self._learn(
                [self._pairs[i] for i, f in findings.items() if f == _AGREES], answer, after
            )
        for symbol_id, finding in findings.items():
            if found.too_many and finding in (_AGREES, _DIFFERS, _ABSENT):
                found.verdicts.append(Verdict(symbol_id, "not_judged", "too_many"))
            else:
                pair = self._pairs[symbol_id]
                found.verdicts.append(self._verdict(pair, finding, answer, after, "round"))
        found.unlisted |= {i for i, finding in findings.items() if finding == _ABSENT}
        self._trading_again(answer, found)
        self.doubts.keep(after)
        self._remember(after)
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
            verdicts.append(self._verdict(pair, finding, answer, after, "question"))
        return verdicts

    def is_too_old(self, lag: Lag) -> bool:
        """Return whether an answer of that age says nothing."""
        return lag.bad or (lag.ns is not None and lag.ns > self.longest_ns)

    # -- one pair

    def _look(self, pair: Pair, answer: Answer, before: Table, after: Table) -> str:
        """Return what an answer says of a pair, or a reason why it says nothing."""
        was = before.get(pair.symbol_id, NOTHING)
        now = after.get(pair.symbol_id, NOTHING)
        if not now.recv_ns:
            return _EMPTY
        if now.recv_ns != was.recv_ns:
            return "moved"
        if pair.symbol not in answer.rows:
            return _ABSENT
        row = answer.rows[pair.symbol]
        if row is None:
            return "no_row"
        if has_book(row) and agrees(now, row, pair.tick):
            return _AGREES if agrees(now, row) else "near"
        if answer.sent_ns - now.recv_ns <= self.older_by_ns:
            return "young" if has_book(row) else "no_book"
        if self._rows_tell_time:
            told_ns = self._told_age_ns(row, answer)
            is_old = told_ns is None or row.row_ns <= _quoted_ns(now, answer)
        else:
            stood_ns = answer.sent_ns - now.recv_ns
            is_old = stood_ns <= _ROW_KEPT_NS and agrees(self._before(pair.symbol_id, now), row)
        if is_old:
            return "lagging"
        return _DIFFERS

    def _before(self, symbol_id: int, now: Held) -> Held:
        """Return what a slot held before its price became that of now, as far as rounds saw it."""
        last = self._last.get(symbol_id, NOTHING)
        return self._earlier.get(symbol_id, NOTHING) if _has_price_of(last, now) else last

    def _remember(self, table: Table) -> None:
        for symbol_id, held in table.items():
            if held.recv_ns:
                self._earlier[symbol_id] = self._before(symbol_id, held)
                self._last[symbol_id] = held

    def _absence(self, pair: Pair, answer: Answer, before: Table, found: Judgement) -> str:
        """Return what the absence of a pair's row says, or why it says nothing."""
        symbol_id, recv_ns = pair.symbol_id, before[pair.symbol_id].recv_ns
        if not self._trading_only:
            return "no_row"
        if not found.whole:
            return "incomplete"
        if found.lagging or answer.sent_ns - recv_ns <= self.older_by_ns:
            return "no_row"
        told_ns = self._told_ns.get(symbol_id, 0)
        accused, is_over = self.doubts.absent(symbol_id, recv_ns, answer.sent_ns, told_ns)
        if is_over:
            found.verdicts.append(Verdict(symbol_id, "none"))
        return _ABSENT if accused else "no_row"

    def _verdict(
        self, pair: Pair, finding: str, answer: Answer, after: Table, page: Page
    ) -> Verdict:
        symbol_id, held = pair.symbol_id, after[pair.symbol_id]
        row = answer.rows.get(pair.symbol)
        if finding == _AGREES and row is not None:
            at_ns = self._as_of(held, row, answer)
            if self.doubts.agreed(symbol_id, held.recv_ns, page, at_ns):
                self._wrong.pop(symbol_id, None)
                return Verdict(symbol_id, "confirmed", "", held.recv_ns, at_ns)
            return Verdict(symbol_id, "not_judged", "disputed")
        if finding not in (_DIFFERS, _ABSENT):
            return Verdict(symbol_id, "not_judged", finding)
        # where rows tell their time, only one that is newer than the quote comes as far as this
        known = self._rows_tell_time or answer.lag.ns is not None
        proven = finding == _DIFFERS and self.doubts.contradicted(
            symbol_id, held.recv_ns, page, answer.sent_ns, known
        )
        wrong = proven and self._may_empty(symbol_id, held.recv_ns, answer.sent_ns)
        kind = "wrong" if wrong else "accused"
        return Verdict(symbol_id, kind, "", held.recv_ns, answer.sent_ns)

    def _may_empty(self, symbol_id: int, recv_ns: int, at_ns: int) -> bool:
        """Return whether a quote that is proven wrong is to be emptied, and take that it is.

        One that came after another of its pair was emptied is what a new subscription brought:
        the socket insists. Both pages may show what sockets leave out, such as orders of retail.
        """
        last = self._wrong.get(symbol_id)
        if last is None:
            self._wrong[symbol_id] = _Wrong(recv_ns, at_ns, _WRONG_AGAIN_NS)
            return True
        if last.recv_ns == recv_ns:
            return True
        if at_ns - last.at_ns < last.wait_ns:
            return False
        self._wrong[symbol_id] = _Wrong(recv_ns, at_ns, 2 * last.wait_ns)
        return True

    # -- how old rows are

    def _as_of(self, held: Held, row: Ticker, answer: Answer) -> int:
        """Return as of when a row that agrees confirms a quote.

        Where rows tell their time, a row confirms nothing later than that. One that is dated by the
        quote itself tells no more; nor does any where times stand still with the quotes, which
        venues do not document, so that it is learnt from rounds. Then the answer's age counts.
        """
        lag_ns = self.older_by_ns if answer.lag.ns is None else answer.lag.ns
        if self._rows_tell_time:
            told_ns, after_ns = (
                self._told_age_ns(row, answer),
                row.row_ns - _quoted_ns(held, answer),
            )
            if told_ns is None:
                lag_ns = max(lag_ns, self.older_by_ns)
            elif after_ns < -_SAME_NS:  # of before the quote, whose price came back
                return held.recv_ns
            elif after_ns > _SAME_NS and not self._times_stand:
                lag_ns = max(told_ns, answer.lag.ns or 0)
        return max(held.recv_ns, answer.sent_ns - lag_ns)

    def _learn(self, agreeing: Sequence[Pair], answer: Answer, after: Table) -> None:
        """Learn from quotes that stood whether rows are dated by them or by the answer."""
        if not self._rows_tell_time or answer.lag.ns is None:
            return
        ages = [
            age_ns
            for pair in agreeing
            if answer.sent_ns - after[pair.symbol_id].recv_ns > 2 * self.longest_ns
            and (row := answer.rows[pair.symbol]) is not None
            and (age_ns := self._told_age_ns(row, answer)) is not None
        ]
        if len(ages) >= _QUIET_AT_LEAST:
            self._times_stand = 2 * sum(age_ns > self.longest_ns for age_ns in ages) > len(ages)

    def _told_age_ns(self, row: Ticker, answer: Answer) -> int | None:
        return row_age_ns(row, answer.sent_ns + answer.unix_offset_ns, self.longest_ns)

    # -- whole answers

    def _trading_again(self, answer: Answer, found: Judgement) -> None:
        """Clear halted pairs that have a book again.

        Where only what trades has a row, a row speaks of the status, too.
        """
        believed = found.used and found.whole and answer.lag.ns is not None
        for symbol_id, since_ns in [*self._halted.items()] if self._trading_only else ():
            row = answer.rows.get(self._pairs[symbol_id].symbol)
            if row is None or not has_book(row) or answer.sent_ns - self.older_by_ns <= since_ns:
                continue
            if not believed:
                found.unlisted.add(symbol_id)
                continue
            del self._halted[symbol_id]
            self._told_ns[symbol_id] = answer.sent_ns - (answer.lag.ns or 0)
            found.verdicts.append(Verdict(symbol_id, "none"))

    def _is_whole(self, rows: Rows) -> bool:
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


def _quoted_ns(held: Held, answer: Answer) -> int:
    """Return when a quote came to be by Unix time, as its venue says where it does."""
    return held.venue_ns or held.recv_ns + answer.unix_offset_ns


def _has_price_of(held: Held, other: Held) -> bool:
    return (held.bid_px, held.ask_px) == (other.bid_px, other.ask_px)
