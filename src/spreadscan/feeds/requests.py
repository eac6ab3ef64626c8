"""What one socket asks its venue for: requests that wait, are in flight, were refused or ignored.

No socket and no clock: the session sends what `next` gives, and tells what came and how late it
is. One line for everything, in order of asking:

1. No two requests in flight name the same topic, so each answer belongs to one request; where
   answers carry no id, one request is in flight at a time.
2. A passing refusal pauses the socket and puts the request back in its place. Pauses grow until
   something is acknowledged; until nothing is left over, one request is in flight at a time.
3. A refused topic is asked for again about hourly: what the venue did not have it may list by then;
   sooner, after one, two, four, ... minutes, where the answer may have meant the moment. A refusal
   that does not say for what is halved until one topic is left.
4. An unanswered topic is asked for again by itself, ever more seldom, and holds up nothing.
"""

import math
import random
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from spreadscan.feeds.shards import requests
from spreadscan.net.backoff import Backoff
from spreadscan.venues.answers import Meaning
from spreadscan.venues.base import Ack, Refusal, Venue

_PAUSE_S = (1.0, 60.0)  # the first and the longest
_REFUSED_FOR_S = 3_600.0  # a tenth more or less, so that topics come at times of their own
_UNSURE_FOR_S = 60.0
_NO_MORE = 1_000  # tries, for what had its tries before
_DOUBLINGS = 6  # of the wait for an unanswered topic: ten minutes with the usual deadline


class RequestSink(Protocol):
    """Who hears what became of requests."""

    def refused(self, symbol: str, text: str) -> None:
        """The venue refuses this venue symbol; told again only with another text."""

    def final(self, text: str) -> None:
        """The venue refuses for a reason that a human has to see to."""

    def unanswered(self, symbols: Sequence[str]) -> None:
        """The venue answers nothing for these; told once, until it does."""

    def paused(self, text: str, wait_s: float) -> None:
        """The venue asks for a pause, the first after requests that went well."""

    def acknowledged(self, symbols: Sequence[str]) -> None:
        """The venue took a re-subscription of these: their streams start anew."""

    def heard(self, symbols: Sequence[str], since_ns: int) -> Collection[str]:
        """Return which of these have quoted since then."""


@dataclass(slots=True, eq=False)
class Request:
    """One frame to send, or sent. topics: topic -> venue symbol, those not yet answered."""

    subscribe: bool
    topics: dict[str, str]
    order: int = 0
    again: bool = False  # its topics were subscribed before
    asked: bool = False  # was sent before, and not granted
    beside: bool = False  # its topics were refused or unanswered: nothing waits for it
    tries: int = 0  # refusals so far that may have passed
    unanswered: int = 0  # how often its only topic was
    due_ns: int = 0
    sent_ns: int = 0

    @property
    def symbols(self) -> list[str]:
        return list(self.topics.values())


class Requests:
    """The requests of one socket. Symbols are those of the venue.

    refused: symbol -> text. answered_ns: when a subscription was last answered, 0 before.
    alive: something was answered.
    """

    def __init__(self, venue: Venue, sink: RequestSink, ack_timeout_s: float) -> None:
        self.refused: dict[str, str] = {}
        self.answered_ns = 0
        self.alive = False
        self._venue = venue
        self._sink = sink
        self._timeout_ns = int(ack_timeout_s * 1e9)
        self._one_at_a_time = venue.spec.ids_per_request == "one"
        self._wanted: set[str] = set()
        self._waiting: list[Request] = []  # in order of asking
        self._open: dict[int, Request] = {}
        self._n_ordered = 0
        self._next_id = 1
        self._backoff = Backoff(*_PAUSE_S)
        self._paused_until_ns = 0
        self._careful = False
        self._probed = False
        self._refused_until_ns: dict[str, int] = {}
        self._unsure: dict[str, int] = {}  # refused with words that may mean the moment: how often
        self._told: set[str] = set()  # unanswered, and the sink knows

    # -- what is wanted

    def subscribe(self, symbols: Sequence[str]) -> None:
        self._wanted.update(symbols)
        for batch in requests(self._venue, symbols):
            self._put(self._request(True, batch))

    def unsubscribe(self, symbols: Iterable[str]) -> None:
        """Forget symbols; those that the venue was asked for are unsubscribed."""
        gone = dict.fromkeys(symbols)
        self._wanted.difference_update(gone)
        asked = [s for s in gone if s not in self.refused and self._may_push(s)]
        for request in self._waiting:
            if request.subscribe:
                request.topics = {t: s for t, s in request.topics.items() if s not in gone}
        self._waiting = [request for request in self._waiting if request.topics]
        for symbol in gone:
            self.refused.pop(symbol, None)
            self._refused_until_ns.pop(symbol, None)
            self._unsure.pop(symbol, None)
            self._told.discard(symbol)
        for batch in requests(self._venue, asked):
            self._put(self._request(False, batch))

    def resubscribe(self, symbols: Iterable[str]) -> None:
        """Unsubscribe and subscribe; not what an open or a waiting request asks for already."""
        free = [symbol for symbol in symbols if not self.is_pending(symbol)]
        for batch in requests(self._venue, free):
            self._put(self._request(False, batch))
            self._put(self._request(True, batch, again=True))

    def is_pending(self, symbol: str) -> bool:
        """Return whether a request for a symbol waits or is in flight."""
        topic = self._venue.topic(symbol)
        return any(topic in request.topics for request in (*self._waiting, *self._open.values()))

    @property
    def unanswered(self) -> Collection[str]:
        """Return the symbols for which the venue answers nothing."""
        return self._told

    def is_settled(self, now_ns: int, patience_s: float = math.inf) -> bool:
        """Return whether no answer is awaited, but for what was refused or ignored before.

        With patience a few topics may be open, if each was asked for that long ago.
        """
        if any(not request.beside for request in self._waiting):
            return False
        awaited = [request for request in self._open.values() if not request.beside]
        few = sum(len(request.topics) for request in awaited) <= max(1, len(self._wanted) // 10)
        long = all(now_ns - request.sent_ns > patience_s * 1e9 for request in awaited)
        return not awaited or (few and long)

    # -- the line

    def next(self, now_ns: int) -> Request | None:
        """Return the request to send now, if there is one."""
        if now_ns < self._paused_until_ns:
            return None
        if self._open and (self._one_at_a_time or self._careful):
            return None
        taken = {topic for request in self._open.values() for topic in request.topics}
        for request in self._waiting:
            if request.due_ns <= now_ns and taken.isdisjoint(request.topics):
                return request
            taken.update(request.topics)
        return None

    def wait_ns(self, now_ns: int) -> int | None:
        """Return for how long `next` gives nothing, if no answer comes; None: for ever."""
        times = [max(self._paused_until_ns, request.due_ns) - now_ns for request in self._waiting]
        return min((time for time in times if time > 0), default=None)

    def send(self, request: Request, now_ns: int) -> str:
        """Return the frame of a request that goes out now."""
        self._waiting.remove(request)
        request.sent_ns = now_ns
        number = self.new_id()
        self._open[number] = request
        write = self._venue.subscribe if request.subscribe else self._venue.unsubscribe
        return write(request.symbols, number)

    def new_id(self) -> int:
        self._next_id += 1
        return self._next_id - 1

    # -- answers

    def acknowledge(self, ack: Ack, now_ns: int) -> None:
        self.alive = True
        for number, topics in self._find(ack.request_id, ack.topics, ack.subscribes):
            request = self._open[number]
            self._settle(number, topics, request.subscribe, now_ns)
        if ack.subscribes is not False:
            self._acknowledge_waiting(ack.topics, now_ns)
        self._careful = self._careful and not self.is_settled(now_ns)

    def _acknowledge_waiting(self, topics: Sequence[str], now_ns: int) -> None:
        """Take the answer to a request that was given up, and is about to be asked again."""
        for request in [r for r in self._waiting if r.subscribe and r.asked]:
            named = [topic for topic in topics if topic in request.topics]
            self._accept(request, [request.topics.pop(topic) for topic in named], now_ns)
            if not request.topics:
                self._waiting.remove(request)

    def refuse(self, refusal: Refusal, now_ns: int) -> None:
        """Take a refusal: ask again after a pause, retire topics, or look for the culprit."""
        self.alive = True
        meaning = refusal.meaning
        if meaning.kind == "passing" and not meaning.tries:
            self._pause(meaning, refusal.text, now_ns)
        found = self._find(refusal.request_id, (*refusal.topics, *refusal.accepted), None)
        if not found:
            self._refuse_waiting(refusal, now_ns)
        for number in [number for number, _ in found]:
            request = self._open[number]
            self._settle(number, refusal.accepted, request.subscribe, now_ns)
            self._refuse(number, request, refusal, now_ns)

    def _refuse(self, number: int, request: Request, refusal: Refusal, now_ns: int) -> None:
        blamed, rest = self._sort_out(request.topics, refusal)
        meaning, symbols = refusal.meaning, self._ours(blamed)
        self._close(number, [*blamed, *rest])
        if rest:  # fell with the others
            self._put(self._like(request, self._ours(rest)))
        if meaning.kind == "passing" and (not meaning.tries or request.tries < meaning.tries):
            self._put_back(request, blamed, meaning, now_ns)
            return
        if not request.subscribe:
            return  # what cannot be unsubscribed is not subscribed
        self.answered_ns = now_ns
        if meaning.kind == "final" or refusal.topics or len(blamed) == 1:
            for symbol in symbols:
                self._retire(symbol, refusal, now_ns)
            if symbols and meaning.kind == "final":
                self._sink.final(refusal.text)
        else:
            for part in _halves(symbols):
                self._put(self._like(request, part))

    def _sort_out(
        self, topics: dict[str, str], refusal: Refusal
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Return which open topics a refusal is about, and which fell with them."""
        named = {topic: topics[topic] for topic in refusal.topics if topic in topics}
        if not named and not refusal.accepted:
            return dict(topics), {}
        if named and self._venue.spec.refuses == "topic":
            return named, {}
        return named, {topic: symbol for topic, symbol in topics.items() if topic not in named}

    def _put_back(
        self, request: Request, topics: dict[str, str], meaning: Meaning, now_ns: int
    ) -> None:
        """Let a request wait in its place; one that may pass only delays itself."""
        symbols = self._ours(topics) if request.subscribe else list(topics.values())
        parts = _halves(symbols) if meaning.smaller else [symbols]
        for part in parts:
            back = self._like(request, part)
            back.order = request.order
            if meaning.tries:
                back.tries += 1
                wait_s = min(_PAUSE_S[1], _PAUSE_S[0] * 2.0**request.tries)
                back.due_ns = now_ns + int(wait_s * random.uniform(0.5, 1.0) * 1e9)
            self._put(back)

    def _refuse_waiting(self, refusal: Refusal, now_ns: int) -> None:
        """Take the refusal of topics whose request was given up."""
        if refusal.meaning.kind not in ("topics", "final"):
            return
        for request in [r for r in self._waiting if r.subscribe and r.asked]:
            for topic in [topic for topic in refusal.topics if topic in request.topics]:
                self._retire(request.topics.pop(topic), refusal, now_ns)
            if not request.topics:
                self._waiting.remove(request)

    def _find(
        self, request_id: str, topics: Sequence[str], subscribes: bool | None
    ) -> list[tuple[int, list[str]]]:
        """Return which topics of which open requests an answer is about: by id, by topic, else
        all of the oldest."""
        if request_id.isdecimal() and int(request_id) in self._open:
            own = self._open[int(request_id)].topics
            named = [topic for topic in topics if topic in own] if topics else list(own)
            return [(int(request_id), named)]
        found = []
        for number, request in self._open.items():
            if subscribes is not None and request.subscribe != subscribes:
                continue
            if not topics and not request_id:
                return [(number, list(request.topics))]
            named = [topic for topic in topics if topic in request.topics]
            if named:
                found.append((number, named))
        return found

    def _settle(self, number: int, topics: Sequence[str], subscribed: bool, now_ns: int) -> None:
        request = self._open[number]
        symbols = [request.topics[topic] for topic in topics if topic in request.topics]
        self._close(number, topics)
        if subscribed:
            self._accept(request, symbols, now_ns)

    def _accept(self, request: Request, symbols: Sequence[str], now_ns: int) -> None:
        if not symbols:
            return
        self.answered_ns = now_ns
        self._backoff.reset()
        for symbol in symbols:
            self.refused.pop(symbol, None)
            self._refused_until_ns.pop(symbol, None)
            self._unsure.pop(symbol, None)
            self._told.discard(symbol)
        if request.again:
            self._sink.acknowledged(symbols)

    def _close(self, number: int, topics: Iterable[str]) -> None:
        """Take topics off an open request; it is over once it has none."""
        request = self._open.get(number)
        if request is None:
            return
        for topic in topics:
            request.topics.pop(topic, None)
        if not request.topics:
            del self._open[number]

    def _pause(self, meaning: Meaning, text: str, now_ns: int) -> None:
        """Send nothing for a while; refusals of one burst count once."""
        if now_ns < self._paused_until_ns:
            return
        first = not self._backoff.failures
        wait_s = max(self._backoff.next_s(), meaning.pause_s)
        self._paused_until_ns = now_ns + int(wait_s * 1e9)
        self._careful = True
        if first:
            self._sink.paused(text, wait_s)

    def _retire(self, symbol: str, refusal: Refusal, now_ns: int) -> None:
        """Leave a symbol alone for an hour; for minutes where the answer may be of the moment."""
        known, text = self.refused.get(symbol), refusal.text
        self.refused[symbol] = text
        wait_s = _REFUSED_FOR_S
        if refusal.meaning.kind == "passing":
            doubled = self._unsure[symbol] = self._unsure.get(symbol, -1) + 1
            wait_s = min(wait_s, _UNSURE_FOR_S * 2.0 ** min(doubled, 9))
        wait_s *= random.uniform(0.9, 1.1)
        self._refused_until_ns[symbol] = now_ns + int(wait_s * 1e9)
        if known != text:
            self._sink.refused(symbol, text)

    # -- deadlines

    def check_deadlines(self, now_ns: int, quotes: bool) -> str:
        """Ask again for what is overdue; return why the socket is dead, '' where it is not.

        quotes: a quote came on this socket. One that neither answers nor quotes is dead; halfway
        to that one topic is asked for alone, for a venue may ignore a request for its size.
        """
        for number, request in list(self._open.items()):
            silent_ns = now_ns - request.sent_ns
            if silent_ns > self._timeout_ns // 2 and not request.subscribe:
                del self._open[number]  # nothing depends on its answer but what waits behind it
            elif silent_ns > self._timeout_ns:
                if not self.alive and not quotes:
                    return f"nothing answered for {self._timeout_ns / 1e9:g} s"
                del self._open[number]
                self._ask_by_itself(request, now_ns)
            elif 2 * silent_ns > self._timeout_ns and not (self.alive or quotes or self._probed):
                self._probe(request)
        for symbol in [s for s, until_ns in self._refused_until_ns.items() if until_ns <= now_ns]:
            del self._refused_until_ns[symbol]
            alone = self._request(True, [symbol], beside=True)
            alone.tries = _NO_MORE
            self._put(alone)
        return ""

    def _probe(self, request: Request) -> None:
        if len(request.topics) > 1 and not self._one_at_a_time:
            self._probed = True
            topic = next(iter(request.topics))
            alone = self._request(True, [request.topics.pop(topic)])
            self._put(alone)

    def _ask_by_itself(self, request: Request, now_ns: int) -> None:
        """Ask again for what a request left open: one topic, and the others in halves, at once;
        for one that was alone after a while."""
        symbols = [s for s in self._ours(request.topics) if not self.is_pending(s)]
        heard = self._sink.heard(symbols, now_ns - self._timeout_ns // 2)
        self._accept(request, [symbol for symbol in symbols if symbol in heard], now_ns)
        missing = [symbol for symbol in symbols if symbol not in heard]
        news = [symbol for symbol in missing if symbol not in self._told]
        if news:
            self._told.update(news)
            self._sink.unanswered(news)
        alone = len(missing) == 1
        wait_ns = self._timeout_ns << min(request.unanswered, _DOUBLINGS)
        for part in (missing[:1], *_halves(missing[1:])):
            back = self._like(request, part)
            back.beside, back.unanswered = True, request.unanswered + alone
            back.due_ns = now_ns + wait_ns * (request.unanswered > 0)
            self._put(back)

    # -- tools

    def _request(self, subscribe: bool, symbols: Sequence[str], **facts: bool) -> Request:
        self._n_ordered += 1
        topics = {self._venue.topic(symbol): symbol for symbol in symbols}
        return Request(subscribe, topics, self._n_ordered, **facts)

    def _like(self, request: Request, symbols: Sequence[str]) -> Request:
        """Return a request for some of another's symbols, with its past."""
        new = self._request(request.subscribe, symbols, again=request.again, beside=request.beside)
        new.asked, new.tries, new.unanswered = True, request.tries, request.unanswered
        return new

    def _put(self, request: Request) -> None:
        if request.topics:
            self._waiting.append(request)
            self._waiting.sort(key=lambda waiting: waiting.order)

    def _ours(self, topics: dict[str, str]) -> list[str]:
        return [symbol for symbol in topics.values() if symbol in self._wanted]

    def _may_push(self, symbol: str) -> bool:
        """Return whether the venue may send a symbol, and nothing is about to end that."""
        topic = self._venue.topic(symbol)
        waiting = [request for request in self._waiting if topic in request.topics]
        if any(not r.subscribe for r in (*waiting, *self._open.values()) if topic in r.topics):
            return False
        return all(request.again or request.beside for request in waiting)


def _halves(symbols: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    return symbols[::2], symbols[1::2]
