"""The rules by which an answer says something of a quote; each has a test that fails without it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import pytest

from spreadscan.audit.evidence import Answer, Held, Lag, Pair, Rows, rows_of
from spreadscan.audit.judge import Judge, Judgement, Verdict
from spreadscan.venues import VENUES
from spreadscan.venues.base import AuditPages, Ticker

S = 10**9
T0 = 10_000 * S  # of the first answer
UNIX = 1_700_000_000 * S - T0  # Unix time minus CLOCK_BOOTTIME
OLD = T0 - 100 * S  # a receive time beyond any doubt
NO_LAG = Lag(0)
N = 30  # pairs, so that one of them is no twentieth


def pages(**more: Any) -> AuditPages:
    facts = {"older_by_s": 5.0, "rows_tell_time": False, "trading_only": False}
    return replace(VENUES["mexc-spot"].audit, **facts | more)


def held(recv_ns: int = OLD, bid: float = 100.0, ask: float = 100.5, venue_ns: int = 0) -> Held:
    return Held(recv_ns, bid, ask, venue_ns)


def ticker(n: int, bid: float = 100.0, ask: float = 100.5, row_ns: int = 0) -> Ticker:
    return Ticker(f"P{n}", bid, ask, row_ns)


class Desk:
    """A judge of N pairs with a tick of 0.1, whose table and rows agree but for what is said.

    P0 is the one in question, P1 a major.
    """

    def __init__(self, n: int = N, tick: float = 0.1, **more: Any) -> None:
        self.n = n
        self.judge = Judge(pages(**more))
        self.judge.take([Pair(i, f"P{i}", 1.0, tick, i == 1) for i in range(n)])
        self.table: dict[int, Held] = {i: held() for i in range(n)}

    def answer(
        self,
        at_s: float,
        rows: Mapping[int, Ticker | None] | None = None,
        lag: Lag = NO_LAG,
        after: Mapping[int, Held] | None = None,
        torn: Collection[int] = (),
    ) -> Judgement:
        """A round at_s after T0. rows, after: what differs from the table, None = no row. torn:
        whose rows contradict each other."""
        whole = {i: ticker(i, h.bid_px, h.ask_px) for i, h in self.table.items()}
        given = {**whole, **(rows or {})}
        found: dict[str, Ticker | None]
        found = {row.symbol: row for row in given.values() if row is not None}
        found |= {f"P{i}": None for i in torn}
        before = dict(self.table)
        self.table |= after or {}
        return self.judge.round(self.of(at_s, found, lag), before, self.table)

    def of(self, at_s: float, rows: Rows, lag: Lag = NO_LAG) -> Answer:
        return Answer(T0 + int(at_s * S), UNIX, rows, lag)

    def ask(
        self, at_s: float, row: Ticker | None, lag: Lag = NO_LAG, torn: bool = False
    ) -> Verdict | None:
        """A question about P0."""
        rows: Rows = {"P0": row} if row or torn else {}
        found = self.judge.question([0], self.of(at_s, rows, lag), self.table, self.table)
        return found[0] if found else None


def of_p0(found: Judgement) -> tuple[str, str]:
    """Return kind and reason of the last verdict on P0."""
    verdicts = [v for v in found.verdicts if v.symbol_id == 0]
    return (verdicts[-1].kind, verdicts[-1].reason) if verdicts else ("", "")


def asked(desk: Desk, at_s: float, row: Ticker, lag: Lag = NO_LAG) -> str:
    """Ask about P0; return what is said, its reason where it is not judged."""
    verdict = desk.ask(at_s, row, lag)
    assert verdict is not None
    return verdict.reason or verdict.kind


OTHER = ticker(0, 101.0, 101.5)

# -- confirming


def test_what_stands_at_the_venue_is_confirmed_as_of_what_the_answer_shows() -> None:
    found = Desk().answer(0, lag=Lag(2 * S))
    assert Verdict(0, "confirmed", "", OLD, T0 - 2 * S) == found.verdicts[0]
    assert (N, N, 0, 0) == (found.audited, found.agreed, found.accused, found.not_judged)


def test_nothing_is_confirmed_as_of_before_it_was_heard() -> None:
    desk = Desk()
    desk.table[0] = held(T0 - S)
    verdict = next(v for v in desk.answer(0, lag=Lag(3 * S)).verdicts if v.symbol_id == 0)
    assert Verdict(0, "confirmed", "", T0 - S, T0 - S) == verdict


def test_an_answer_of_unknown_age_may_be_as_old_as_the_venues_answers_are() -> None:
    verdict = Desk().answer(0, lag=Lag(None)).verdicts[0]
    assert ("confirmed", T0 - 5 * S) == (verdict.kind, verdict.at_ns)


# -- 1: what moves is alive


def test_a_slot_that_changed_meanwhile_is_not_judged() -> None:
    desk = Desk()
    found = desk.answer(0, {0: OTHER}, after={0: held(T0 + 1)})
    assert ("not_judged", "moved") == of_p0(found)
    assert (N, 0) == (found.agreed, found.accused)  # it was heard while the venue answered


def test_a_slot_that_changed_between_two_answers_is_accused_anew() -> None:
    desk = Desk()
    assert ("accused", "") == of_p0(desk.answer(0, {0: OTHER}))
    desk.table[0] = held(T0 + S)
    assert ("accused", "") == of_p0(desk.answer(15, {0: OTHER}))
    assert "accused" == asked(desk, 20, OTHER)  # ten seconds count from the second
    assert ("wrong", "") == of_p0(desk.answer(30, {0: OTHER}))


def test_an_empty_slot_is_nobodys_business() -> None:
    desk = Desk()
    desk.table[0] = Held(0, float("nan"), float("nan"), 0)
    found = desk.answer(0)
    assert ("", "") == of_p0(found)
    assert N - 1 == found.audited


# -- 2: prices are numbers; what is a tick away neither confirms nor contradicts


@pytest.mark.parametrize(
    ("tick", "bid", "kind"),
    [
        (0.1, 100.0, "confirmed"),
        (0.1, 100.1, "near"),
        (0.1, 99.9, "near"),
        (0.1, 100.2, "accused"),
        (0.0, 100.0 * (1 + 1e-12), "confirmed"),
        (0.0, 100.0 * (1 + 1e-7), "accused"),
    ],
)
def test_more_than_a_tick_differs(tick: float, bid: float, kind: str) -> None:
    said, reason = of_p0(Desk(tick=tick).answer(0, {0: ticker(0, bid)}))
    assert kind == (reason or said) == asked(Desk(tick=tick), 0, ticker(0, bid))


@pytest.mark.parametrize("row", [ticker(0, 99.0, 100.5), ticker(0, 100.0, 102.0)])
def test_either_side_differs(row: Ticker) -> None:
    assert "accused" == of_p0(Desk().answer(0, {0: row}))[0]


# -- 3: only what has stood for longer than answers may be old


@pytest.mark.parametrize(
    ("stood_s", "expected"),
    [(4.9, ("not_judged", "young")), (5.0, ("not_judged", "young")), (5.1, ("accused", ""))],
)
def test_a_young_quote_is_not_accused(stood_s: float, expected: tuple[str, str]) -> None:
    desk = Desk()
    desk.table[0] = held(T0 - int(stood_s * S))
    assert expected == of_p0(desk.answer(0, {0: OTHER}))


def test_a_young_quote_that_agrees_is_confirmed() -> None:
    desk = Desk()
    desk.table[0] = held(T0 - S)
    assert "confirmed" == of_p0(desk.answer(0))[0]


@pytest.mark.parametrize(
    ("venue_s", "row_s", "expected"),
    [
        (-50, -49, ("accused", "")),
        (-50, -50, ("not_judged", "lagging")),  # a row of that very quote, or older
        (-50, -51, ("not_judged", "lagging")),
        (None, -99, ("accused", "")),  # without a time of the venue its arrival counts
        (None, -101, ("not_judged", "lagging")),
        (-50, None, ("not_judged", "lagging")),
        (-50, 4, ("accused", "")),  # a clock that is a little ahead
        (-50, 3600, ("not_judged", "lagging")),  # a row of the future is of no time at all
    ],
)
def test_where_rows_tell_time_only_a_newer_row_accuses(
    venue_s: int | None, row_s: int | None, expected: tuple[str, str]
) -> None:
    desk = Desk(rows_tell_time=True)

    def unix(seconds: int | None) -> int:
        return 0 if seconds is None else T0 + UNIX + seconds * S

    desk.table[0] = held(venue_ns=unix(venue_s))
    row = ticker(0, 101.0, 101.5, unix(row_s))
    assert expected == of_p0(desk.answer(0, {0: row}))


def test_a_row_with_the_price_before_is_an_old_one_until_the_quote_stood_a_minute() -> None:
    """A row may be kept by itself on both pages: the pair moved once, and both show it before."""
    desk, before = Desk(), ticker(0)
    desk.answer(-10)
    desk.table[0] = held(T0, 101.0, 101.5)
    assert "lagging" == asked(desk, 8, before)
    for at_s in (15, 30, 45, 60):
        assert ("not_judged", "lagging") == of_p0(desk.answer(at_s, {0: before}))
    assert "accused" == of_p0(desk.answer(61, {0: before}))[0]
    assert "wrong" == asked(desk, 72, before)


def test_a_row_that_tells_it_is_newer_may_show_the_price_before() -> None:
    desk = Desk(rows_tell_time=True)
    desk.answer(-10)
    desk.table[0] = held(T0, 101.0, 101.5)
    assert "accused" == asked(desk, 8, ticker(0, row_ns=UNIX0 + 8 * S))


# -- 4: both pages about one and the same quote


@pytest.mark.parametrize(("gap_s", "kind"), [(9.9, "accused"), (10.0, "wrong"), (15.0, "wrong")])
def test_a_round_and_a_question_ten_seconds_apart_prove_it(gap_s: float, kind: str) -> None:
    desk = Desk()
    assert "accused" == of_p0(desk.answer(0, {0: OTHER}))[0]
    assert Verdict(0, kind, "", OLD, T0 + int(gap_s * S)) == desk.ask(
        gap_s, ticker(0, 102.0, 103.0)
    )
    desk = Desk()
    assert "accused" == asked(desk, 0, OTHER)
    found = desk.answer(gap_s, {0: ticker(0, 102.0, 102.5)})
    assert kind == of_p0(found)[0]
    assert 1 == found.accused


def proven(desk: Desk, at_s: float) -> str:
    """Return what is said of P0 at the end where both pages contradict it, as of at_s."""
    asked(desk, at_s - 10.0, OTHER)
    return of_p0(desk.answer(at_s, {0: OTHER}))[0]


def test_what_a_new_subscription_brings_is_emptied_ever_more_seldom() -> None:
    """Both pages may go on to show what sockets leave out; until they agree nobody knows."""
    desk, wrong = Desk(), []
    for at_s in range(0, 1_800, 30):
        desk.table[0] = held(T0 + (at_s - 20) * S)  # the same price, subscribed anew
        if proven(desk, at_s) == "wrong":
            wrong.append(at_s)
            assert "wrong" == of_p0(desk.answer(at_s + 1, {0: OTHER}))[0]  # while it stands
    assert [0, 300, 900] == wrong
    desk.answer(1_800)  # they agree
    desk.table[0] = held(T0 + 1_810 * S)
    assert "wrong" == proven(desk, 1_830)


def test_one_page_alone_proves_nothing_however_often() -> None:
    """A row may be kept by itself, among fresh ones: the pair moved, and its row did not."""
    desk = Desk()
    assert {"accused"} == {of_p0(desk.answer(at_s, {0: OTHER}))[0] for at_s in range(0, 600, 15)}
    desk = Desk()
    assert {"accused"} == {asked(desk, at_s, OTHER) for at_s in range(0, 600, 15)}


def test_who_is_contradicted_by_rounds_is_asked_about_once_a_round() -> None:
    desk = Desk()
    due = desk.judge.doubts.take_due

    def at(second: int) -> list[int]:
        return due(T0 + second * S, 9)

    desk.answer(0, {0: OTHER, 2: ticker(2, 1.0, 2.0)})
    assert [] == at(9)
    assert [0] == due(T0 + 10 * S, 1)
    assert [2] == due(T0 + 10 * S, 1)
    assert [] == at(14)
    desk.answer(14, {0: OTHER, 2: ticker(2, 1.0, 2.0)})
    desk.table[2] = held(T0 + 14 * S)  # heard since
    desk.answer(15, {0: OTHER})
    assert [0] == at(15)
    assert "confirmed" == of_p0(desk.answer(30))[0]
    assert [] == at(50)


def test_a_question_takes_back_nothing_that_a_round_said() -> None:
    """Its page may be the cached one: honest rounds would never be believed."""
    desk = Desk()
    for at_s in range(0, 300, 15):
        assert "accused" == of_p0(desk.answer(at_s, {0: OTHER}))[0]
        assert "disputed" == asked(desk, at_s + 5, ticker(0))
    assert "confirmed" == of_p0(desk.answer(300))[0]
    assert "confirmed" == asked(desk, 305, ticker(0))


def test_a_page_takes_back_what_it_said_itself() -> None:
    desk = Desk()
    assert "accused" == asked(desk, 0, OTHER)
    assert "confirmed" == asked(desk, 5, ticker(0))
    assert "accused" == of_p0(desk.answer(15, {0: OTHER}))[0]
    assert "confirmed" == of_p0(desk.answer(30))[0]
    assert "accused" == asked(desk, 45, OTHER)  # what the round said is forgotten


@pytest.mark.parametrize(("lag_s", "said"), [(1, "confirmed"), (4, "disputed")])
def test_a_round_takes_back_a_question_where_it_shows_a_later_moment(lag_s: int, said: str) -> None:
    desk = Desk()
    assert "accused" == asked(desk, 12, OTHER)
    kind, reason = of_p0(desk.answer(15, lag=Lag(lag_s * S)))
    assert said == (reason or kind)


# -- 5: no book


@pytest.mark.parametrize(
    "row",
    [
        ticker(0, 0.0, 0.0),
        ticker(0, 100.0, 0.0),
        ticker(0, 0.0, 100.5),
        ticker(0, 100.6, 100.5),
        ticker(0, 100.0, float("inf")),
    ],
)
def test_a_row_without_a_book_contradicts(row: Ticker) -> None:
    desk = Desk()
    assert ("accused", "") == of_p0(desk.answer(0, {0: row}))
    assert "wrong" == asked(desk, 11, row)
    desk.table[0] = held(T0 + 14 * S)
    assert ("not_judged", "no_book") == of_p0(desk.answer(16, {0: row}))


def test_a_row_without_a_book_is_never_a_price() -> None:
    """A crossed quote cannot stand in the table; if it did, a crossed row would not confirm it."""
    desk = Desk()
    desk.table[0] = held(bid=100.6, ask=100.5)
    assert ("accused", "") == of_p0(desk.answer(0))


@pytest.mark.parametrize("second", [ticker(0, 0.0, 0.0), ticker(0, 101.0, 101.5)])
def test_rows_of_one_pair_that_contradict_each_other_say_nothing(second: Ticker) -> None:
    desk = Desk(trading_only=True)
    desk.answer(-15)
    for tickers in ([ticker(0), second], [second, ticker(0)], [ticker(0), second, ticker(0)]):
        assert {"P0": None} == rows_of(tickers)
    for at_s in (0, 15, 30):
        assert ("not_judged", "no_row") == of_p0(desk.answer(at_s, torn={0}))
        assert Verdict(0, "not_judged", "no_row") == desk.ask(at_s + 5, None, torn=True)


def test_of_equal_rows_the_oldest_counts() -> None:
    rows = [ticker(0, row_ns=5), ticker(0, row_ns=3), ticker(0, row_ns=4)]
    assert {"P0": rows[1]} == rows_of(rows)


# -- 6: absence


def test_absence_says_nothing_where_not_only_trading_pairs_are_listed() -> None:
    desk = Desk()
    for at_s in (0, 15, 30):
        assert ("not_judged", "no_row") == of_p0(desk.answer(at_s, {0: None}))


def test_absence_from_whole_answers_accuses_and_proves_nothing() -> None:
    """A page may lack the same rows for ever; that a pair does not trade is for a status to say."""
    desk = Desk(trading_only=True)
    # the first answer has none before it to be compared with
    assert ("not_judged", "incomplete") == of_p0(desk.answer(0, {0: None}))
    for at_s in (15, 30, 45, 600):
        found = desk.answer(at_s, {0: None})
        assert ("accused", "") == of_p0(found)
        assert ({0}, 0) == (found.unlisted, desk.judge.halted)


def test_a_list_that_is_newer_than_an_absence_ends_the_accusation() -> None:
    """A page may lack a row for ever; its pair is to be asked about, and no disagreement."""
    desk = Desk(trading_only=True)
    desk.answer(-15)
    assert ("accused", "") == of_p0(desk.answer(0, {0: None}))
    desk.judge.status(0, True, T0 + 59 * S, older_by_ns=60 * S)  # may be of before
    assert ("accused", "") == of_p0(desk.answer(60, {0: None}))
    desk.judge.status(0, True, T0 + 60 * S, older_by_ns=60 * S)
    found = desk.answer(75, {0: None})
    assert Verdict(0, "none") in found.verdicts
    assert (("not_judged", "no_row"), set(), 0) == (of_p0(found), found.unlisted, found.accused)
    assert Verdict(0, "none") not in desk.answer(90, {0: None}).verdicts
    assert "confirmed" == of_p0(desk.answer(105))[0]
    assert ("accused", "") == of_p0(desk.answer(120, {0: None}))  # that is another absence


def test_absent_and_another_price_are_not_two_of_a_kind() -> None:
    desk = Desk(trading_only=True)
    desk.answer(-15)
    desk.answer(0, {0: OTHER})
    assert ("accused", "") == of_p0(desk.answer(15, {0: None}))


def test_absence_of_a_pair_that_was_heard_since_says_nothing() -> None:
    desk = Desk(trading_only=True)
    desk.answer(-15)
    desk.answer(0, {0: None})
    desk.table[0] = held(T0 + 14 * S)
    assert ("not_judged", "no_row") == of_p0(desk.answer(15, {0: None}))


@pytest.mark.parametrize("missing", [{1, 0}, {0, 7, 8, 9}])
def test_absence_from_an_answer_that_is_not_whole_says_nothing(missing: set[int]) -> None:
    """Without its major, or with less than nine tenths of the rows of before."""
    desk = Desk(trading_only=True)
    desk.answer(-15)
    for at_s in (0, 15):
        found = desk.answer(at_s, dict.fromkeys(missing))
        assert ("not_judged", "incomplete") == of_p0(found)
        assert not found.whole


def test_a_venue_that_has_become_smaller_is_believed_in_the_end() -> None:
    desk = Desk(n=100, trading_only=True)
    desk.answer(-15)
    gone: dict[int, Ticker | None] = dict.fromkeys(range(80, 100))
    kinds = []
    for at in range(40):
        for symbol_id in range(81, 100):  # these are ended by discovery
            desk.table[symbol_id] = held(0)
        found = desk.answer(15.0 * at, gone | {80: None})
        kinds += [v.kind for v in found.verdicts if v.symbol_id == 80]
    assert "accused" == kinds[-1]


@pytest.mark.parametrize("row", [ticker(0, 0.0, 0.0), None, ticker(0)])
def test_a_halted_pair_comes_back_with_a_row_where_only_what_trades_has_one(
    row: Ticker | None,
) -> None:
    desk = Desk(trading_only=True)
    desk.answer(-15)
    desk.judge.status(0, False, T0, older_by_ns=60 * S)  # says a list
    desk.table[0] = held(0)
    found = desk.answer(15, {0: row})
    shown = row is not None and row.bid_px > 0
    assert (0 if shown else 1) == desk.judge.halted
    assert shown == (Verdict(0, "none") in found.verdicts)
    if shown:  # that list, from its cache, does not halt it again
        assert desk.judge.status(0, False, T0 + 25 * S, older_by_ns=60 * S) is None


@pytest.mark.parametrize(
    ("rows", "lag"),
    [
        ({i: ticker(i, 777.0, 778.0) for i in range(N)}, NO_LAG),  # too much differs
        (dict.fromkeys(range(2, N)), NO_LAG),  # half a list
        ({}, Lag(None)),  # of whatever age
        ({}, Lag(None, bad=True)),
    ],
)
def test_an_answer_that_is_not_believed_lifts_no_halt(
    rows: dict[int, Ticker | None], lag: Lag
) -> None:
    desk = Desk(trading_only=True)
    desk.answer(-15)
    desk.judge.status(0, False, T0)
    desk.table[0] = held(0)
    found = desk.answer(15, {0: ticker(0), **rows}, lag)
    assert 1 == desk.judge.halted
    assert {0} == found.unlisted  # the list has the word


def test_an_answer_of_unknown_age_proves_no_quote_wrong() -> None:
    """Of a source that is small or quiet nothing may tell how old its page is."""
    desk = Desk()
    for at_s in (0, 15, 30, 300):
        assert "accused" == of_p0(desk.answer(at_s, {0: OTHER}, lag=Lag(None)))[0]
        assert "accused" == asked(desk, at_s + 12, OTHER, Lag(None))
    assert "accused" == asked(desk, 315, OTHER)
    assert [] == desk.judge.doubts.take_due(T0 + 400 * S, 9)  # nothing that could be proven
    assert "wrong" == of_p0(desk.answer(325, {0: OTHER}))[0]


# -- 7: statuses


def test_a_status_halts_at_once_and_equality_proves_nothing_then() -> None:
    desk = Desk()
    assert Verdict(0, "not_trading", at_ns=T0) == desk.judge.status(0, False, T0)
    assert desk.judge.status(0, False, T0 + 1) is None
    found = desk.answer(1)
    assert ("", "") == of_p0(found)
    assert (N - 1, 1) == (found.audited, desk.judge.halted)
    assert Verdict(0, "none") == desk.judge.status(0, True, T0 + 2)
    assert desk.judge.status(0, True, T0 + 3) is None
    assert "confirmed" == of_p0(desk.answer(15))[0]


def test_a_halted_pair_is_not_asked_about() -> None:
    desk = Desk()
    desk.judge.status(0, False, T0)
    assert desk.ask(1, ticker(0)) is None


def test_where_only_what_trades_has_a_row_a_later_row_lifts_a_halt() -> None:
    desk = Desk(trading_only=True)
    desk.answer(-15)
    desk.judge.status(0, False, T0)
    older_by_s = desk.judge.older_by_ns // S
    assert Verdict(0, "none") not in desk.answer(older_by_s).verdicts  # it may be as old as that
    assert Verdict(0, "none") in desk.answer(older_by_s + 1).verdicts


def test_an_older_status_does_not_end_a_newer_one_and_a_later_one_does() -> None:
    """A list comes from a cache, and after what was pushed since; not for ever."""
    desk = Desk()
    desk.judge.status(0, False, T0)
    assert desk.judge.status(0, True, T0 + S, older_by_ns=60 * S) is None
    assert 1 == desk.judge.halted
    assert Verdict(0, "none") == desk.judge.status(0, True, T0 + 60 * S, older_by_ns=60 * S)
    desk.judge.status(0, True, T0 + 100 * S)
    assert desk.judge.status(0, False, T0 + 101 * S, older_by_ns=60 * S) is None
    assert 0 == desk.judge.halted


def test_a_pair_that_is_not_ours_has_no_status() -> None:
    assert Desk().judge.status(N, False, T0) is None


# -- 8: too many at once


@pytest.mark.parametrize(
    ("n", "differ", "too_many"),
    [
        (30, 3, False),
        (30, 4, True),
        (100, 5, False),
        (100, 6, True),
        (4, 3, True),
        (4, 4, True),
        (3, 1, False),
    ],  # fmt: skip
)
def test_many_accusations_at_once_are_the_auditors_fault(
    n: int, differ: int, too_many: bool
) -> None:
    desk = Desk(n=n)
    rows = {i: ticker(i, 101.0, 101.5) for i in range(differ)}
    for at_s in (0, 15):
        found = desk.answer(at_s, rows)
        assert too_many == found.too_many
        assert too_many != found.used
        kinds = {v.kind for v in found.verdicts}
        if too_many:
            assert {"not_judged"} == kinds
            assert {"too_many"} == {v.reason for v in found.verdicts}
            assert differ == found.accused  # the figure says what was found all the same
    # who is contradicted may be asked about, and be proven wrong then
    due = desk.judge.doubts.take_due(T0 + 15 * S, n)
    assert ([] if too_many else list(range(differ))) == due


def test_pairs_that_were_heard_meanwhile_speak_for_the_answer() -> None:
    """A machine that stood still for seconds has heard nearly all of them."""
    rows = {i: ticker(i, 101.0, 101.5) for i in range(2)}
    found = Desk(n=100).answer(0, rows, after={i: held(T0 + 1) for i in range(2, 100)})
    assert (98, 2, False) == (found.agreed, found.accused, found.too_many)


def test_absences_count_among_the_accusations() -> None:
    desk = Desk(n=100, trading_only=True)
    desk.answer(-15)
    for at_s in (0, 15, 30):
        found = desk.answer(at_s, dict.fromkeys(range(2, 10)))
        assert found.whole
        assert found.too_many
    assert 0 == desk.judge.halted


# -- 9: old answers


@pytest.mark.parametrize("lag", [Lag(5 * S + 1), Lag(None, bad=True), Lag(300 * S)])
def test_an_answer_that_is_too_old_says_nothing(lag: Lag) -> None:
    desk = Desk(trading_only=True)
    desk.answer(-15)
    rows = {0: None, 2: ticker(2, 101.0, 101.5)}
    for at_s in (0, 15):
        found = desk.answer(at_s, rows, lag)
        assert found.lagging
        assert not found.used
        assert {("not_judged", "lagging")} == {(v.kind, v.reason) for v in found.verdicts}
        assert 0 == found.agreed
    verdict = desk.ask(31, OTHER, lag)
    assert verdict == Verdict(0, "not_judged", "lagging")


def test_how_old_is_too_old_is_the_venues_own_figure() -> None:
    assert not Desk(older_by_s=10.0).answer(0, lag=Lag(10 * S)).lagging
    assert not Desk(older_by_s=1.0).answer(0, lag=Lag(5 * S)).lagging  # but 5 s at least


def test_an_old_answer_keeps_what_was_known() -> None:
    desk = Desk()
    desk.answer(0, {0: OTHER})
    desk.answer(10, {}, Lag(60 * S))
    assert "wrong" == asked(desk, 20, OTHER)


# -- questions


def test_what_an_answer_to_a_question_leaves_out_is_not_judged() -> None:
    desk = Desk(trading_only=True)
    desk.answer(-15)
    for at_s in (0, 15, 30):
        assert Verdict(0, "not_judged", "no_row") == desk.ask(at_s, None)


UNIX0 = UNIX + T0


@pytest.mark.parametrize("ask", [True, False])
@pytest.mark.parametrize(
    ("row_s", "lag", "at_s"),
    [
        (0, Lag(None), 0),
        (0, Lag(3 * S), -3),  # whichever is the older
        (-4, Lag(3 * S), -4),
        (-30, Lag(0), -30),  # a page of a cache of its own among fresh ones
        (-600, Lag(0), -100),  # of before the quote
        (None, Lag(0), -5),
        (3600, Lag(0), -5),  # as good as none
    ],
)
def test_where_rows_tell_time_none_confirms_later_than_that(
    row_s: int | None, lag: Lag, at_s: int, ask: bool
) -> None:
    desk = Desk(rows_tell_time=True)
    row = ticker(0, row_ns=0 if row_s is None else UNIX0 + row_s * S)
    if ask:
        assert Verdict(0, "confirmed", "", OLD, T0 + at_s * S) == desk.ask(0, row, lag)
    else:
        now = {i: ticker(i, row_ns=UNIX0) for i in range(1, N)}
        verdict = desk.answer(0, {0: row, **now}, lag).verdicts[0]
        assert Verdict(0, "confirmed", "", OLD, T0 + at_s * S) == verdict


def test_where_times_stand_with_the_quotes_the_answers_age_counts() -> None:
    """No venue documents it, so it is learnt from rounds: most rows of quiet pairs are old."""
    desk = Desk(rows_tell_time=True)
    since = ticker(0, row_ns=UNIX0 - 30 * S)  # a trade may have dated it anew
    assert Verdict(0, "confirmed", "", OLD, T0 - 30 * S) == desk.ask(0, since)
    quiet = {i: ticker(i, row_ns=UNIX0 - (90 - i) * S) for i in range(N - 5)}
    desk.answer(0, {**quiet, **{i: ticker(i, row_ns=UNIX0) for i in range(N - 5, N)}})
    assert Verdict(0, "confirmed", "", OLD, T0 - S) == desk.ask(0, since, Lag(S))
    assert Verdict(0, "confirmed", "", OLD, T0 - 5 * S) == desk.ask(0, since, Lag(None))
    desk.answer(15, {i: ticker(i, row_ns=UNIX0 + 15 * S) for i in range(N)})
    assert Verdict(0, "confirmed", "", OLD, T0 - 30 * S) == desk.ask(0, since)


def test_a_row_that_is_dated_by_the_quote_itself_tells_no_age() -> None:
    desk = Desk(rows_tell_time=True)
    very = ticker(0, row_ns=UNIX + OLD)
    assert Verdict(0, "confirmed", "", OLD, T0 - S) == desk.ask(0, very, Lag(S))
    assert Verdict(0, "confirmed", "", OLD, T0 - 5 * S) == desk.ask(0, very, Lag(None))


def test_a_question_is_about_the_slot_before_and_after() -> None:
    desk = Desk()
    table = {0: held(T0 - 90 * S)}
    found = desk.judge.question([0], desk.of(0, {"P0": OTHER}), desk.table, table)
    assert [Verdict(0, "not_judged", "moved")] == found


def test_questions_accuse_as_rounds_do_whatever_their_number() -> None:
    desk = Desk(n=10)
    rows = {f"P{i}": ticker(i, 101.0, 101.5) for i in range(8)}
    found = desk.judge.question(range(8), desk.of(0, rows), desk.table, desk.table)
    assert {"accused"} == {v.kind for v in found}


# -- lists


def test_what_was_known_of_a_pair_goes_with_it() -> None:
    desk = Desk(trading_only=True)
    desk.answer(0, {0: OTHER})
    desk.judge.status(2, False, T0)
    rest = [Pair(i, f"P{i}", 1.0, 0.1, i == 1) for i in range(N) if i not in (0, 2)]
    assert [Verdict(0, "none"), Verdict(2, "none")] == desk.judge.take(rest)
    assert 0 == desk.judge.halted
    desk.judge.take([*rest, Pair(0, "P0", 1000.0, 0.1, False)])
    assert "accused" == of_p0(desk.answer(15, {0: OTHER}))[0]


def test_a_pair_is_the_same_with_another_tick() -> None:
    desk = Desk()
    desk.judge.status(5, False, T0)
    pairs = [Pair(i, f"P{i}", 1.0, 5.0, i == 1) for i in range(N)]
    assert [] == desk.judge.take(pairs)
    assert 1 == desk.judge.halted
    assert "near" == of_p0(desk.answer(0, {0: OTHER}))[1]
