"""A seeded law: the judge says of every pair, round after round, what a slow oracle says.

The oracle keeps no state. It has all answers of before, and works out each verdict from these.
"""

import random
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import pytest

from spreadscan.audit.evidence import Answer, Held, Lag, Pair
from spreadscan.audit.judge import Judge, Judgement, Verdict
from spreadscan.venues import VENUES
from spreadscan.venues.base import Ticker

S = 10**9
UNIX = 1_700_000_000 * S
N = 60
OLDER_BY = 5 * S


class Seen(NamedTuple):
    """One answer and what the table held at its request and when it was there; asked: the pairs
    that a question was about, none for a round."""

    answer: Answer
    before: dict[int, Held]
    after: dict[int, Held]
    asked: tuple[int, ...] = ()


class Oracle:
    def __init__(self, rows_tell_time: bool, trading_only: bool) -> None:
        self.rows_tell_time = rows_tell_time
        self.trading_only = trading_only
        self.seen: list[Seen] = []
        self.statuses: dict[int, list[tuple[int, bool, int]]] = {i: [] for i in range(N)}
        self.halted_at: list[set[int]] = []  # when each answer was judged
        self.too_many_at: list[bool] = []
        self.said: list[dict[int, str]] = []
        self.found: dict[tuple[int, int], str] = {}

    def is_lagging(self, answer: Answer) -> bool:
        return answer.lag.bad or (answer.lag.ns or 0) > OLDER_BY

    def is_whole(self, at: int) -> bool:
        """Nine tenths of the last whole answer's rows, and the major P1."""
        rounds = [seen.answer.rows for seen in self.seen[: at + 1] if not seen.asked]
        if len(rounds) == 1:
            return False
        n = len(rounds[0])
        for rows in rounds[1:-1]:  # fewer than twenty short ones in a row: see the driver
            if len(rows) >= 0.9 * n:
                n = len(rows)
        return len(rounds[-1]) >= 0.9 * n and "P1" in rounds[-1]

    def finding(self, at: int, i: int) -> str:
        if (at, i) not in self.found:
            self.found[at, i] = self.find(at, i)
        return self.found[at, i]

    def find(self, at: int, i: int) -> str:
        answer, before, after, asked = self.seen[at]
        was, now, row = before[i], after[i], answer.rows.get(f"P{i}")
        if now.recv_ns == 0:
            return "empty"
        if was.recv_ns != now.recv_ns:
            return "moved"
        stood = answer.sent_ns - now.recv_ns > OLDER_BY
        if row is None:
            if asked or not self.trading_only:
                found = "no_row"
            elif not self.is_whole(at):
                found = "incomplete"
            else:
                found = "absent" if stood else "no_row"
        else:
            book = 0 < row.bid_px <= row.ask_px
            off = max(abs(now.bid_px - row.bid_px), abs(now.ask_px - row.ask_px))
            if book and off < 0.15:
                found = "agrees" if off < 0.01 else "near"
            elif not stood:
                found = "young" if book else "no_book"
            elif self.is_of_before(at, i):
                found = "lagging"
            else:
                found = "differs"
        return "lagging" if self.is_lagging(answer) else found

    def is_of_before(self, at: int, i: int) -> bool:
        """Return whether a row is older than the quote: by its time, or, without one, by showing
        the price before that of a quote of the last minute."""
        answer, _, after, _ = self.seen[at]
        row = answer.rows[f"P{i}"]
        assert row is not None
        if self.rows_tell_time:
            return row.row_ns <= after[i].venue_ns
        if answer.sent_ns - after[i].recv_ns > 60 * S:
            return False
        rounds = (seen.after[i] for seen in reversed(self.seen[:at]) if not seen.asked)
        others = (h[1:3] for h in rounds if h.recv_ns and h[1:3] != after[i][1:3])
        return next(others, None) == (row.bid_px, row.ask_px)

    def as_of(self, at: int, i: int) -> int:
        """Return as of when an answer that agrees confirms; see the driver for rows' times."""
        answer, _, after, _ = self.seen[at]
        lag_ns = OLDER_BY if answer.lag.ns is None else answer.lag.ns
        if self.rows_tell_time:
            row_ns = answer.rows[f"P{i}"].row_ns  # type: ignore[union-attr]
            if row_ns < after[i].venue_ns:
                return after[i].recv_ns
            if row_ns > after[i].venue_ns:
                lag_ns = max(answer.sent_ns + UNIX - row_ns, answer.lag.ns or 0)
        return max(after[i].recv_ns, answer.sent_ns - lag_ns)

    def is_too_many(self, at: int) -> bool:
        found = [self.listed(at, i) for i in range(N) if i not in self.halted_at[at]]
        against = sum(f in ("differs", "absent") for f in found)
        judged = against + found.count("agrees") + found.count("moved")
        return against > min(3, judged / 3) and against > 0.05 * judged

    def listed(self, at: int, i: int) -> str:
        """Return the finding, but no absence that a later status has ended."""
        finding = self.finding(at, i)
        if finding != "absent":
            return finding
        first_ns, recv_ns = self.seen[at].answer.sent_ns, self.seen[at].after[i].recv_ns
        for k in range(at - 1, -1, -1):
            answer, _, after, asked = self.seen[k]
            if i in self.halted_at[k] or after[i].recv_ns != recv_ns:
                break
            found = self.finding(k, i)
            if asked and i not in asked:
                continue
            if found == "absent":
                first_ns = answer.sent_ns
            elif found in ("agrees", "differs") and not self.too_many_at[k]:
                break
        told = [when for step, _, when in self.statuses[i] if step <= at]
        return "no_row" if told and max(told) >= first_ns else "absent"

    def word(self, at: int, i: int) -> str:
        """Return what is to be said of a pair that trades and has a quote, by all answers so far.

        against: by page, when the answers were asked for that contradict this very quote, and
        whether their age is known; taken back by what agrees.
        """
        against: dict[bool, list[tuple[int, bool]]] = {True: [], False: []}
        said, recv_ns, begin = "", self.seen[at].after[i].recv_ns, at
        while begin and self.seen[begin - 1].after[i].recv_ns == recv_ns:
            begin -= 1
        for k in range(begin, at + 1):
            answer, _, _, asked = self.seen[k]
            page, other = bool(asked), not asked
            if i in self.halted_at[k]:
                against = {True: [], False: []}
            if i in self.halted_at[k] or (asked and i not in asked):
                continue
            finding = self.finding(k, i)
            if finding == "absent":
                against, said = (
                    {True: [], False: []},
                    self.listed(k, i).replace("absent", "accused"),
                )
            else:
                said = finding
            if self.too_many_at[k] and finding in ("agrees", "differs", "absent"):
                if said != "no_row":
                    said = "too_many"
            elif finding == "agrees":
                against[page] = []
                stands = against[other]
                if not stands or (not page and self.as_of(k, i) >= max(stands)[0]):
                    against[other], said = [], "confirmed"
                else:
                    said = "disputed"
            elif finding == "differs":
                known = self.rows_tell_time or answer.lag.ns is not None
                against[page].append((answer.sent_ns, known))
                of_both = [[ns for ns, known in told if known] for told in against.values()]
                first_ns = min((ns for told in of_both for ns in told), default=answer.sent_ns)
                proven = known and all(of_both) and answer.sent_ns - first_ns >= 10 * S
                said = "wrong" if proven and not self.insists(at, i) else "accused"
        return said

    def insists(self, at: int, i: int) -> bool:
        """Return whether another quote of the pair was found wrong of late: five minutes ago, ten
        where that was the second since one was confirmed, and so on."""
        recv_ns, wrong = self.seen[at].after[i].recv_ns, {}
        for k in range(at):
            if self.said[k].get(i) == "confirmed":
                wrong = {}
            elif self.said[k].get(i) == "wrong":
                wrong.setdefault(self.seen[k].after[i].recv_ns, self.seen[k].answer.sent_ns)
        if not wrong or recv_ns in wrong:
            return False
        since_ns = self.seen[at].answer.sent_ns - max(wrong.values())
        return since_ns < 300 * S * 2 ** (len(wrong) - 1)

    def halted(self, at: int) -> set[int]:
        """Which pairs do not trade when answer `at` is judged, as status says."""
        out = set()
        for i in range(N):
            said = [trading for when, trading, _ in self.statuses[i] if when <= at]
            if said and not said[-1]:
                out.add(i)
        return out

    def take(self, seen: Seen) -> dict[int, str]:
        """Take one more answer; return what is to be said of each pair."""
        at = len(self.seen)
        self.seen.append(seen)
        halted = self.halted(at)
        self.halted_at.append(halted)
        self.too_many_at.append(not seen.asked and self.is_too_many(at))
        ids = set(seen.asked or range(N)) - halted
        out = {i: self.word(at, i) for i in ids if self.finding(at, i) != "empty"}
        answer = seen.answer
        believed = (
            not (self.is_lagging(answer) or self.too_many_at[at]) and answer.lag.ns is not None
        )
        if self.trading_only and not seen.asked and believed and self.is_whole(at):
            for i in halted:
                row = answer.rows.get(f"P{i}")
                since = [when for _, trading, when in self.statuses[i] if not trading][-1]
                shown = row is not None and 0 < row.bid_px <= row.ask_px
                if shown and answer.sent_ns - OLDER_BY > since:
                    out[i] = "none"
                    self.statuses[i].append((at + 1, True, answer.sent_ns - (answer.lag.ns or 0)))
        self.said.append(out)
        return out


def words(verdicts: Iterable[Verdict]) -> dict[int, str]:
    return {v.symbol_id: v.reason or v.kind for v in verdicts}


@pytest.mark.parametrize("rows_tell_time", [False, True])
@pytest.mark.parametrize("trading_only", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_the_judge_says_what_the_oracle_says(
    seed: int, trading_only: bool, rows_tell_time: bool
) -> None:
    rng = random.Random(f"{seed} {trading_only} {rows_tell_time}")
    pages = replace(
        VENUES["mexc-spot"].audit,
        older_by_s=OLDER_BY / 1e9,
        rows_tell_time=rows_tell_time,
        trading_only=trading_only,
    )
    judge, oracle = Judge(pages), Oracle(rows_tell_time, trading_only)
    judge.take([Pair(i, f"P{i}", 1.0, 0.1, i == 1) for i in range(N)])
    now = 1_000 * S
    table = {i: Held(now - 60 * S, 100.0 + i, 101.0 + i, UNIX + now - 60 * S) for i in range(N)}
    truth = {i: (h.bid_px, h.ask_px) for i, h in table.items()}
    frozen: set[int] = set()
    absent: set[int] = set()
    seen_kinds = set()
    for at in range(120):
        now += rng.choice([4, 12, 15, 18]) * S
        for i in range(N):  # the market moves; frozen pairs are not heard
            if rng.random() < 0.4:
                px = truth[i][0] + rng.choice([-1, -0.1, 0.1, 1])
                truth[i] = px, px + 1
                if i not in frozen:
                    heard = now - rng.randrange(12) * S
                    table[i] = Held(heard, *truth[i], UNIX + heard)
        for group, p_in, p_out in ((frozen, 0.006, 0.25), (absent, 0.004, 0.15)):
            for i in range(N):
                if i in group and rng.random() < p_out:
                    group.discard(i)
                elif i not in group and i != 1 and rng.random() < p_in:
                    group.add(i)
        if rng.random() < 0.04:  # a bad moment: much is frozen
            frozen |= set(rng.sample(range(N), 15))
        for i in range(N):
            if rng.random() < 0.005:
                trading = rng.random() < 0.5
                verdict = judge.status(i, trading, now)
                step = len(oracle.seen)
                was = i in oracle.halted(step)
                assert (verdict is not None) == (was == trading), (at, i)
                oracle.statuses[i].append((step, trading, now))
        rows = {
            f"P{i}": Ticker(f"P{i}", *truth[i], UNIX + now - rng.randrange(3) * S)
            for i in range(N)
            if i not in absent
        }
        for i in rng.sample(range(N), 2):
            if f"P{i}" in rows and rng.random() < 0.3:
                rows[f"P{i}"] = rows[f"P{i}"]._replace(ask_px=0.0)
        if rng.random() < 0.08 and at % 15:
            rows = dict(list(rows.items())[: N // 2])  # half a list
        if rng.random() < 0.05:
            rows.pop("P1", None)
        lag = rng.choice([Lag(0), Lag(0), Lag(2 * S), Lag(None), Lag(None, bad=True), Lag(9 * S)])
        before = dict(table)
        for i in rng.sample(range(N), 3):  # heard while the answer is under way
            table[i] = Held(now + S, *truth[i], UNIX + now + S)
        seen = Seen(Answer(now, UNIX, rows, lag), before, dict(table))
        expected = oracle.take(seen)
        found = judge.round(*seen[:3])
        assert expected == words(found.verdicts), at
        check_figures(oracle, found)
        seen_kinds |= set(expected.values())
        verdicts = found.verdicts
        if rng.random() < 0.7:  # some are asked about, and shown as they are or as they were
            now += rng.choice([1, 3, 11]) * S
            asked = tuple({*judge.doubts.take_due(now, 5), *rng.sample(range(N), 5)})
            shown = {i: truth[i] if rng.random() < 0.8 else table[i][1:3] for i in asked}
            rows = {f"P{i}": Ticker(f"P{i}", *px, UNIX + now) for i, px in shown.items()}
            rows.pop(f"P{rng.choice(asked)}")
            answer = Answer(now, UNIX, rows, rng.choice([Lag(0), Lag(0), Lag(None), Lag(9 * S)]))
            seen = Seen(answer, dict(table), dict(table), asked)
            expected = oracle.take(seen)
            told = judge.question(asked, *seen[:3])
            assert expected == words(told), at
            seen_kinds |= set(expected.values())
            verdicts = [*verdicts, *told]
        for v in verdicts:
            if v.kind == "wrong":  # what the feed does about it
                table[v.symbol_id] = Held(0, 0.0, 0.0, 0)
    assert {"confirmed", "accused", "wrong", "moved", "lagging", "too_many", "near"} <= seen_kinds
    assert "disputed" in seen_kinds
    assert "not_trading" not in seen_kinds  # that is for a status to say


def check_figures(oracle: Oracle, found: Judgement) -> None:
    at = len(oracle.seen) - 1
    findings = [oracle.listed(at, i) for i in range(N) if i not in oracle.halted_at[at]]
    assert len(findings) - findings.count("empty") == found.audited
    assert findings.count("agrees") + findings.count("moved") == found.agreed
    assert findings.count("differs") + findings.count("absent") == found.accused
    assert found.used == (not found.lagging and not oracle.too_many_at[at])
