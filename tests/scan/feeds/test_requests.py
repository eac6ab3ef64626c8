"""The line of requests of one socket, without a socket and with a clock by hand."""

import json
import random
from collections.abc import Sequence
from typing import Any

import pytest

from scan.feeds.kit import Heard, ack, book, refusal
from spreadscan.feeds.requests import Requests
from spreadscan.venues import VENUES
from spreadscan.venues.base import Ack, Refusal

S = 10**9
ALL = tuple(VENUES)


class Line:
    """Requests of a venue, and a clock that the test moves. sent: what went out, and when."""

    def __init__(self, name: str, *symbols: str, ack_timeout_s: float = 10.0) -> None:
        self.name = name
        self.venue = VENUES[name]
        self.heard = Heard()
        self.requests = Requests(self.venue, self.heard, ack_timeout_s)
        self.now = 0
        self.sent: list[tuple[float, str, list[str]]] = []
        self.texts: list[dict[str, Any]] = []
        self.requests.subscribe(symbols)

    def send(self) -> int:
        """Send what may go out now; return how many frames."""
        before = len(self.sent)
        while request := self.requests.next(self.now):
            sign, symbols = "+" if request.subscribe else "-", request.symbols
            self.texts.append(json.loads(self.requests.send(request, self.now)))
            self.sent.append((self.now / S, sign, symbols))
        return len(self.sent) - before

    def pass_time(self, seconds: float, step_s: float = 0.25, *, quotes: bool = False) -> str:
        """Let time pass, looking and sending; return why the socket died, '' if it did not."""
        for _ in range(round(seconds / step_s)):
            self.now += int(step_s * S)
            if dead := self.requests.check_deadlines(self.now, quotes):
                return dead
            self.send()
        return ""

    def hear(self, *texts: str) -> None:
        for text in texts:
            control = self.venue.classify(text.encode())
            if isinstance(control, Ack):
                self.requests.acknowledge(control, self.now)
            else:
                assert isinstance(control, Refusal), text
                self.requests.refuse(control, self.now)

    def grant(self, i: int = -1) -> None:
        """Acknowledge a request that was sent."""
        self.hear(*ack(self.name, self.texts[i]))

    def refuse(self, code: str, text: str = "no", i: int = -1, said: str = "") -> None:
        self.hear(refusal(self.name, self.texts[i], code, said or text))

    @property
    def asked(self) -> list[list[str]]:
        return [symbols for _, _, symbols in self.sent]


def symbols_of(name: str, n: int) -> list[str]:
    form = {"okx-spot": "S%d-USDT", "okx-futures": "S%d-USDT-SWAP", "mexc-futures": "S%d_USDT"}
    form |= {"gate-spot": "S%d_USDT", "gate-futures": "S%d_USDT"}
    return [form.get(name, "S%dUSDT") % i for i in range(n)]


PASSING = {  # a code and words of each venue that speak of the moment
    "binance-spot": ("-1003", "Too many requests"),
    "binance-futures": ("-1001", "Internal error; unable to process your request"),
    "bybit-spot": ("10006", "Too many visits!"),
    "bybit-futures": ("10016", "Internal server error"),
    "mexc-spot": ("510", "Requests are too frequent"),
    "mexc-futures": ("", "System busy, please try again later"),
    "okx-spot": ("60014", "Requests too frequent"),
    "okx-futures": ("63999", "Internal system error"),
    "gate-spot": ("3", "internal server error"),
    "gate-futures": ("3", "busy"),
}


@pytest.mark.parametrize("name", ALL)
def test_a_passing_refusal_is_asked_again_ever_more_seldom_and_never_more(name: str) -> None:
    """The same topics, nothing more; once it has passed all are subscribed and none is refused."""
    symbols = symbols_of(name, 8)
    line = Line(name, *symbols)
    first = line.send()
    whole = -(-8 // line.venue.spec.topics_per_frame)
    assert first == (1 if name.startswith("mexc") else whole)
    for _ in range(first):
        line.refuse(*PASSING[name])  # those of one burst are one pause
    for _ in range(5):
        before = len(line.sent)
        while len(line.sent) == before:
            line.pass_time(0.25)
        assert before + 1 == len(line.sent)  # one at a time while it lasts
        line.refuse(*PASSING[name])
    times = [at_s for at_s, _, _ in line.sent][first - 1 :]
    waits = [b - a for a, b in zip(times[:-1], times[1:], strict=True)]
    assert min(waits) >= 0.5
    assert waits[-1] > waits[0]
    assert not line.requests.is_settled(line.now)
    for _ in range(200):
        if line.requests.is_settled(line.now):
            break
        line.pass_time(1.0)
        line.grant()
    assert {} == line.requests.refused
    assert [] == line.heard.refusals
    assert sorted(symbols) == sorted({s for topics in line.asked for s in topics})
    assert 1 == len(line.heard.pauses)


def test_pauses_have_a_longest_and_begin_anew_once_it_went_well() -> None:
    line = Line("bybit-futures", "AUSDT")
    line.send()
    for _ in range(12):
        line.refuse("10016", "Internal server error")
        before = len(line.sent)
        while len(line.sent) == before:
            line.pass_time(1.0, 1.0)
    waits = [b[0] - a[0] for a, b in zip(line.sent[:-1], line.sent[1:], strict=True)]
    assert 30.0 <= waits[-1] <= 61.0
    line.grant()
    line.requests.subscribe(["BUSDT"])
    assert 1 == line.send()
    line.refuse("10016", "Internal server error")
    line.pass_time(1.5)
    assert 1 + len(waits) + 2 == len(line.sent)
    assert 2 == len(line.heard.pauses)  # told once for each time


def test_a_resubscription_that_is_refused_for_now_is_asked_for_again_in_its_order() -> None:
    """Neither half is lost, and the unsubscription never comes last."""
    line = Line("okx-spot", "A-USDT", "B-USDT")
    line.send()
    line.grant()
    line.requests.resubscribe(["A-USDT"])
    assert 1 == line.send()  # the subscription waits for what it follows
    line.refuse("60014")
    line.requests.resubscribe(["A-USDT"])  # it waits already
    line.pass_time(3.5)
    line.grant()
    line.pass_time(0.25)
    line.refuse("60014")
    line.pass_time(6.5)
    line.grant()
    assert ["+", "-", "-", "+", "+"] == [sign for _, sign, _ in line.sent]
    assert [["A-USDT"]] * 4 == line.asked[1:]
    assert line.requests.is_settled(line.now)
    assert ["A-USDT"] == line.heard.anew


@pytest.mark.parametrize("name", ALL)
def test_the_answer_of_an_unsubscription_is_its_own(name: str) -> None:
    """Whatever it is: the subscription behind it has an answer of its own."""
    a, b, c = symbols_of(name, 3)
    line = Line(name, a, b)
    while line.send():
        line.grant()
    line.requests.unsubscribe([a])
    line.requests.subscribe([c])
    line.send()
    at = next(i for i, (_, sign, _) in enumerate(line.sent) if sign == "-")
    line.grant(at)
    assert line.requests.is_pending(c)  # the yes was not that of c
    line.send()
    line.refuse(*FOR_GOOD[name])
    assert {c} == set(line.requests.refused)


FOR_GOOD = {
    "binance-spot": ("2", "Invalid request"),
    "binance-futures": ("2", "Invalid request"),
    "bybit-spot": ("10001", "params error"),
    "bybit-futures": ("10001", "params error"),
    "mexc-spot": ("10007", "bad symbol"),
    "mexc-futures": ("", "Contract [S2_USDT] not exists"),
    "okx-spot": ("60018", "channel:bbo-tbt,instId:S2-USDT doesn't exist"),
    "okx-futures": ("60018", "channel:bbo-tbt,instId:S2-USDT-SWAP doesn't exist"),
    "gate-spot": ("2", "unknown currency pair: S2_USDT"),
    "gate-futures": ("2", "unknown currency pair S2_USDT"),
}


def test_a_refused_unsubscription_is_over() -> None:
    line = Line("bybit-spot", "AUSDT", "BUSDT")
    line.send()
    line.grant()
    line.requests.unsubscribe(["AUSDT"])
    line.send()
    line.refuse("10001", "no such subscription")
    line.pass_time(60.0)
    assert 2 == len(line.sent)
    assert {} == line.requests.refused


def test_an_unanswered_unsubscription_holds_up_the_rest_for_a_while_only() -> None:
    line = Line("mexc-futures", "A_USDT")
    line.send()
    line.grant()
    line.requests.resubscribe(["A_USDT"])
    line.send()
    line.pass_time(4.5)
    assert 2 == len(line.sent)
    line.pass_time(1.0)
    assert ["+", "-", "+"] == [sign for _, sign, _ in line.sent]
    line.grant()
    assert line.requests.is_settled(line.now)


def test_an_unknown_no_is_tried_a_few_times_and_then_halved_to_the_culprit() -> None:
    line = Line("okx-spot", *symbols_of("okx-spot", 8))
    line.send()
    answered = 0
    for _ in range(4 * 50):
        while answered < len(line.sent):
            if "S5-USDT" in line.sent[answered][2]:
                line.refuse("99123", "no such text anywhere", answered)
            else:
                line.grant(answered)
            answered += 1
        line.pass_time(0.25)
    assert {"S5-USDT": "99123: no such text anywhere"} == line.requests.refused
    whole = [symbols for symbols in line.asked if len(symbols) == 8]
    assert 6 == len(whole)  # five pauses, then it counts


@pytest.mark.parametrize("text", ["Reason： Blocked! ", "Blocked!"])
def test_blocked_topics_are_tried_again_and_their_neighbours_go_on(text: str) -> None:
    a, b, c = symbols_of("mexc-spot", 3)
    line = Line("mexc-spot", a, b, c)
    topic = line.venue.topic
    line.send()
    line.hear(blocked([topic(a), topic(b)], [topic(c)], text))
    assert [c] == [s for s in (a, b, c) if line.requests.is_pending(s)]
    tried = 1
    while line.requests.is_pending(c):
        before = len(line.sent)
        line.pass_time(0.25)
        if len(line.sent) > before:
            assert [c] == line.sent[-1][2]
            line.hear(blocked([], [topic(c)], text))
            tried += 1
    assert 5 == tried
    assert {c} == set(line.requests.refused)
    assert [] == line.heard.pauses  # the socket itself was never paused


def blocked(good: Sequence[str], bad: Sequence[str], text: str) -> str:
    yes = f"Subscribed successful! [{','.join(good)}].  " if good else ""
    no = f"Not Subscribed successfully! [{','.join(bad)}].  {text}"
    return json.dumps({"id": 0, "code": 0, "msg": yes + no})


def test_a_refused_topic_is_asked_for_again_after_about_an_hour() -> None:
    random.seed(5)
    line = Line("okx-spot", "A-USDT", "B-USDT", "C-USDT")
    line.send()
    line.grant()
    for symbol in ("A-USDT", "B-USDT"):
        line.requests.subscribe([symbol])
        line.send()
        line.refuse("60018", f"channel:bbo-tbt,instId:{symbol} doesn't exist")
    line.pass_time(3_000.0, 10.0)
    assert 3 == len(line.sent)
    assert line.requests.is_settled(line.now)
    for i in (3, 4):
        while len(line.sent) == i:
            assert line.now < 4_100 * S
            line.pass_time(1.0, 1.0)
        if line.asked[i] == ["A-USDT"]:
            line.grant(i)
        else:
            line.refuse("60018", "channel:bbo-tbt,instId:B-USDT doesn't exist", i)
    assert [["A-USDT"], ["B-USDT"]] == sorted(line.asked[3:])
    assert {"B-USDT"} == set(line.requests.refused)
    assert ["A-USDT", "B-USDT"] == [symbol for symbol, _ in line.heard.refusals]  # told once each


def test_an_unknown_no_is_asked_for_again_after_minutes_once_each() -> None:
    line = Line("mexc-futures", "A_USDT")
    answered = 0
    for _ in range(8_000):
        while answered < len(line.sent):
            line.refuse("", "odd words", answered)
            answered += 1
        line.pass_time(1.0, 1.0)
        line.send()
    times = [at_s for at_s, _, _ in line.sent][5:]
    waits = [b - a for a, b in zip(times[:-1], times[1:], strict=True)]
    for expected, wait in zip((60, 120, 240, 480, 960, 1_920), waits, strict=False):
        assert 0.89 * expected <= wait <= 1.1 * expected + 2
    assert len(waits) >= 6
    while len(line.sent) == answered:
        line.pass_time(1.0, 1.0)
    line.grant()
    assert {} == line.requests.refused
    assert 1 == len(line.heard.refusals)


def test_a_refusal_for_good_is_not_halved_and_told_as_such() -> None:
    line = Line("okx-spot", *symbols_of("okx-spot", 8))
    line.send()
    line.refuse("60029", "Only VIP users")
    line.pass_time(600.0, 5.0)
    assert 1 == len(line.sent)
    assert 8 == len(line.requests.refused)
    assert ["60029: Only VIP users"] == line.heard.finals


def test_a_full_socket_takes_what_it_has_room_for() -> None:
    symbols = symbols_of("binance-spot", 16)
    line, room = Line("binance-spot", *symbols), 10
    taken: set[str] = set()
    line.send()
    answered = 0
    for _ in range(4_000):
        while answered < len(line.sent):
            wanted = set(line.sent[answered][2])
            if len(taken | wanted) <= room:
                taken |= wanted
                line.grant(answered)
            else:
                line.refuse("4", "Too many subscriptions", answered)
            answered += 1
        line.pass_time(0.25)
    assert room == len(taken)
    assert {} == line.requests.refused  # no topic's fault
    assert len(line.sent) < 60  # in 1,000 s


# -- what is never answered


def test_halves_are_asked_for_until_the_one_that_is_ignored_is_alone() -> None:
    line = Line("okx-spot", *symbols_of("okx-spot", 12))
    line.send()
    deaf = {"S3-USDT", "S7-USDT"}
    answered = 0
    for _ in range(4 * 300):
        while answered < len(line.texts):
            request = line.texts[answered]
            good = [arg for arg in request["args"] if arg["instId"] not in deaf]
            line.hear(*ack("okx-spot", request | {"args": good}))
            answered += 1
        assert not line.pass_time(0.25)
    assert deaf == set(line.requests.unanswered)
    assert sorted(deaf) == sorted(line.heard.ignored)  # told once each
    assert all(set(symbols) <= deaf and len(symbols) == 1 for symbols in line.asked[1:])
    for symbol in deaf:
        times = [at_s for at_s, _, symbols in line.sent if symbol in symbols]
        waits = [b - a for a, b in zip(times[:-1], times[1:], strict=True)]
        assert waits == sorted(waits)
        assert len(times) <= 7  # 10, 30, 50, 90 and 170 s apart
    assert line.requests.is_settled(line.now)


def test_a_late_answer_counts_and_stops_the_asking() -> None:
    line = Line("okx-spot", "A-USDT", "B-USDT")
    line.send()
    line.hear(ack("okx-spot", line.texts[0])[0])
    line.pass_time(21.0)
    assert 2 == len(line.sent)
    assert {"B-USDT"} == set(line.requests.unanswered)
    late = json.loads(ack("okx-spot", line.texts[0])[1])
    line.hear(json.dumps(late))
    line.pass_time(900.0, 5.0)
    assert 2 == len(line.sent)
    assert not line.requests.unanswered


def test_a_late_refusal_of_an_ignored_topic_counts_too() -> None:
    line = Line("mexc-futures", "A_USDT", "B_USDT")
    line.send()
    line.pass_time(0.25)
    line.requests.alive = True  # something else was answered
    line.pass_time(10.5)
    line.send()
    line.pass_time(10.5)  # A waits for its third time, B is in flight or given up
    line.hear(refusal("mexc-futures", {}, "", "Contract [A_USDT] not exists"))
    assert "A_USDT" in line.requests.refused


def test_quotes_are_an_answer() -> None:
    line = Line("mexc-futures", "A_USDT")
    line.send()
    line.heard.books.append(book("A_USDT"))
    line.pass_time(12.0, quotes=True)
    assert line.requests.is_settled(line.now)
    assert line.requests.answered_ns > 0
    assert 1 == len(line.sent)


def test_what_was_dropped_is_not_asked_for_again() -> None:
    line = Line("okx-spot", "A-USDT", "B-USDT")
    line.send()
    line.hear(ack("okx-spot", line.texts[0])[0])
    line.requests.unsubscribe(["B-USDT"])
    line.pass_time(60.0)
    assert [("+", ["A-USDT", "B-USDT"]), ("-", ["B-USDT"])] == [s[1:] for s in line.sent]
    line = Line("okx-spot", "A-USDT", "B-USDT")
    line.send()
    line.refuse("60014")
    line.requests.unsubscribe(["B-USDT"])
    line.pass_time(60.0)
    assert ["A-USDT"] == line.asked[1]


def test_a_few_that_lag_do_not_keep_a_successor_waiting() -> None:
    symbols = symbols_of("okx-spot", 20)
    line = Line("okx-spot", *symbols)
    line.send()
    yes = ack("okx-spot", line.texts[0])
    line.hear(*yes[:17])
    line.pass_time(6.0)
    assert not line.requests.is_settled(line.now, 5.0)  # three of twenty are more than a few
    line.hear(yes[17])
    assert line.requests.is_settled(line.now, 5.0)
    assert not line.requests.is_settled(line.now, 7.0)
    assert not line.requests.is_settled(line.now)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", ALL)
def test_whatever_a_venue_answers_all_are_subscribed_once_it_is_well(name: str, seed: int) -> None:
    """The law: random refusals, silence and lists that change; then every pair that is wanted
    is acknowledged last, none that was dropped is, and no two open requests share a topic."""
    rng = random.Random(f"{name} {seed}")
    random.seed(seed)
    symbols = symbols_of(name, 30)
    wanted = set(symbols[:20])
    line = Line(name, *symbols[:20], ack_timeout_s=4.0)
    line.requests.alive = True  # a socket that never answered anything ends
    subscribed: set[str] = set()
    seen = 0

    def answer(well: bool) -> None:
        nonlocal seen
        for i in range(seen, len(line.sent)):
            _, sign, topics = line.sent[i]
            kind = 0.0 if well else rng.random()
            if kind < 0.5:
                (subscribed.update if sign == "+" else subscribed.difference_update)(topics)
                line.grant(i)
            elif kind < 0.8:
                line.refuse(*PASSING[name], i=i)
        seen = len(line.sent)

    for _ in range(300):
        line.send()
        answer(well=False)
        chance = rng.random()
        symbol = rng.choice(symbols)
        if chance < 0.03 and symbol in wanted:
            line.requests.unsubscribe([symbol])
            wanted.discard(symbol)
        elif chance < 0.06 and symbol not in wanted:
            line.requests.subscribe([symbol])
            wanted.add(symbol)
        elif chance < 0.09 and symbol in wanted:
            line.requests.resubscribe([symbol])
        assert not line.pass_time(0.5)
    for _ in range(2_000):
        answer(well=True)
        assert not line.pass_time(0.5)
        if line.requests.is_settled(line.now) and not line.requests.unanswered:
            break
    answer(well=True)
    assert wanted == subscribed & wanted
    assert not any(line.requests.is_pending(symbol) for symbol in symbols)
    assert {} == line.requests.refused
