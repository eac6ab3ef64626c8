"""A seeded law: the judge says of every pair, round after round, what a slow oracle says.

The oracle keeps no state. It has all answers of before, and works out each verdict from these.
"""

import random
from dataclasses import replace
from typing import NamedTuple

import pytest

from spreadscan.audit.judge import Answer, Held, Judge, Judgement, Lag, Pair
from spreadscan.venues import VENUES
from spreadscan.venues.base import Ticker

S = 10**9
UNIX = 1_700_000_000 * S
N = 60
OLDER_BY = 5 * S


class Seen(NamedTuple):
    """One answer and what the table held at its request and when it was there."""

    answer: Answer
    before: dict[int, Held]
    after: dict[int, Held]


class Oracle:
    def __init__(self, rows_tell_time: bool, trading_only: bool) -> None:
        self.rows_tell_time = rows_tell_time
        self.trading_only = trading_only
        self.seen: list[Seen] = []
        self.statuses: dict[int, list[tuple[int, bool, int]]] = {i: [] for i in range(N)}
        self.told: list[dict[int, str]] = []

    def is_lagging(self, answer: Answer) -> bool:
        return answer.lag.bad or (answer.lag.ns or 0) > OLDER_BY

    def is_whole(self, at: int) -> bool:
        """Nine tenths of the last whole answer's rows, and the major P1."""
        if at == 0:
            return False
        n = len(self.seen[0].answer.rows)
        for seen in self.seen[1:at]:  # fewer than twenty short ones in a row: see the driver
            if len(seen.answer.rows) >= 0.9 * n:
                n = len(seen.answer.rows)
        rows = self.seen[at].answer.rows
        return len(rows) >= 0.9 * n and "P1" in rows

    def finding(self, at: int, i: int) -> str:
        answer, before, after = self.seen[at]
        was, now, row = before[i], after[i], answer.rows.get(f"P{i}")
        if now.recv_ns == 0:
            return "empty"
        if was.recv_ns != now.recv_ns:
            return "moved"
        stood = answer.sent_ns - now.recv_ns > OLDER_BY
        if row is None:
            if not self.trading_only:
                found = "no_row"
            elif not self.is_whole(at):
                found = "incomplete"
            else:
                found = "absent" if stood else "no_row"
        else:
            book = 0 < row.bid_px <= row.ask_px
            near = abs(now.bid_px - row.bid_px) < 0.15 and abs(now.ask_px - row.ask_px) < 0.15
            if book and near:
                found = "agrees"
            elif not stood:
                found = "young" if book else "no_book"
            elif self.rows_tell_time and row.row_ns <= now.venue_ns:
                found = "lagging"
            else:
                found = "differs"
        return "lagging" if self.is_lagging(answer) else found

    def is_too_many(self, at: int, halted: set[int]) -> bool:
        found = [self.finding(at, i) for i in range(N) if i not in halted]
        against = sum(f in ("differs", "absent") for f in found)
        judged = against + found.count("agrees")
        return against > min(3, judged / 3) and against > 0.05 * judged

    def halted(self, at: int) -> set[int]:
        """Which pairs do not trade when answer `at` is judged, as status says."""
        out = set()
        for i in range(N):
            said = [trading for when, trading, _ in self.statuses[i] if when <= at]
            if said and not said[-1]:
                out.add(i)
        return out


def words(found: Judgement) -> dict[int, str]:
    return {v.symbol_id: v.reason or v.kind for v in found.verdicts}


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
    for at in range(200):
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
                was = i in oracle.halted(at)
                assert (verdict is not None) == (was == trading), (at, i)
                oracle.statuses[i].append((at, trading, now))
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
        answer, after = Answer(now, UNIX, rows, lag), dict(table)
        oracle.seen.append(Seen(answer, before, after))
        found = judge.round(answer, before, after)
        expected = expect(oracle, at)
        assert expected == words(found), at
        seen_kinds |= set(expected.values())
        check_figures(oracle, at, found, expected)
        for v in found.verdicts:
            if v.kind in ("wrong", "not_trading"):  # what the feed does about it
                table[v.symbol_id] = Held(0, 0.0, 0.0, 0)
    assert {"confirmed", "accused", "wrong", "moved", "lagging", "too_many"} <= seen_kinds
    assert "not_trading" not in seen_kinds  # that is for a status to say


def expect(oracle: Oracle, at: int) -> dict[int, str]:
    """Return what is to be said of each pair by answer number `at`, from all answers so far."""
    answer = oracle.seen[at].answer
    lagging = oracle.is_lagging(answer)
    out = {}
    if not lagging:
        for i in sorted(oracle.halted(at)):
            row = answer.rows.get(f"P{i}")
            shown = row is not None and 0 < row.bid_px <= row.ask_px
            since = [when for _, trading, when in oracle.statuses[i] if not trading][-1]
            if oracle.trading_only and shown and answer.sent_ns - OLDER_BY > since:
                out[i] = "none"
                oracle.statuses[i].append((at, True, answer.sent_ns))
    halted = oracle.halted(at)
    too_many = oracle.is_too_many(at, halted)
    for i in sorted(set(range(N)) - halted):
        finding = oracle.finding(at, i)
        if finding == "empty":
            continue
        if too_many and finding in ("agrees", "differs", "absent"):
            out[i] = "too_many"
        elif finding == "agrees":
            out[i] = "confirmed"
        elif finding in ("differs", "absent"):
            first = first_of(oracle, at, i, finding)
            proven = answer.sent_ns - oracle.seen[first].answer.sent_ns >= 10 * S
            proven = proven and finding == "differs" and answer.lag.ns is not None
            out[i] = "wrong" if proven else "accused"
        else:
            out[i] = finding
    oracle.told.append(out)
    return out


def first_of(oracle: Oracle, at: int, i: int, finding: str) -> int:
    """Return the earliest answer that contradicts this very quote like `at`, none between them
    having agreed or found it otherwise contradicted."""
    first, quote = at, oracle.seen[at].after[i].recv_ns
    for earlier in range(at - 1, -1, -1):
        said = oracle.told[earlier].get(i)
        if oracle.seen[earlier].after[i].recv_ns != quote or said in ("confirmed", "none", None):
            break
        if said in ("accused", "wrong", "not_trading"):
            if oracle.finding(earlier, i) != finding:
                break
            first = earlier
    return first


def check_figures(oracle: Oracle, at: int, found: Judgement, said: dict[int, str]) -> None:
    halted = oracle.halted(at) - {i for i, word in said.items() if word == "not_trading"}
    findings = [oracle.finding(at, i) for i in range(N) if i not in halted]
    assert N - len(halted) - findings.count("empty") == found.audited
    assert findings.count("agrees") + findings.count("moved") == found.agreed
    assert findings.count("differs") + findings.count("absent") == found.accused
    assert found.used == (not found.lagging and "too_many" not in said.values())
