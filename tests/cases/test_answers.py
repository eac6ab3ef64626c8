"""Error answers of the moment, and topics that are never answered, at all sources at once."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from cases.kit import COINS, TRANSPORTS, Case, Fake, case, until, venue_symbol
from known import EIGHT as SOURCES
from scan.feeds.kit import ack, is_request, refusal
from spreadscan.sim.connection import Connection
from spreadscan.sim.protocols import Answer
from spreadscan.venues import VENUES

PASSING = {
    "binance-spot": ("-1003", "Too many requests"),
    "binance-futures": ("-1001", "Internal error; unable to process your request"),
    "bybit-spot": ("10006", "Too many visits!"),
    "bybit-futures": ("10429", "System level frequency protection"),
    "mexc-spot": ("510", "Requests are too frequent"),
    "mexc-futures": ("", "Requests are too frequent"),
    "okx-spot": ("60014", "Requests too frequent"),
    "okx-futures": ("63999", "Internal system error"),
}
FEED = 2  # its socket's number; discovery had the first
N = len(COINS)


def symbols_in(name: str, request: dict[str, Any]) -> list[str]:
    """Return the venue symbols that a request names."""
    if name.startswith("binance"):
        return [topic.split("@")[0].upper() for topic in request["params"]]
    if name.startswith("bybit"):
        return [topic.split(".", 2)[2] for topic in request["args"]]
    if name.startswith("okx"):
        return [arg["instId"] for arg in request["args"]]
    if name == "mexc-spot":
        return [topic.rsplit("@", 1)[1] for topic in request["params"]]
    return [request["param"]["symbol"]]


class Source(Fake):
    """Keeps requests: (socket, subscribes, symbols). `answer` is the hook of its children."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.asked: list[tuple[int, bool, list[str]]] = []
        self.asked_s: list[float] = []

    def hear(self, connection: Connection, number: int, text: str) -> Answer | None:
        message = json.loads(text) if text != "ping" else text
        if not is_request(message):
            return None
        subscribes = not (message.get("op") or message["method"]).lower().startswith("un")
        self.asked.append((number, subscribes, symbols_in(self.name, message)))
        self.note("asked")
        return self.answer(number, subscribes, message)

    def answer(self, number: int, subscribes: bool, request: dict[str, Any]) -> Answer | None:
        return None

    def of_feed(self) -> list[list[str]]:
        """Return what the feed's socket was asked to subscribe to."""
        return [
            symbols for number, subscribes, symbols in self.asked if number == FEED and subscribes
        ]


class Busy(Source):
    """Refuses with words of the moment what it is asked within some seconds from the first."""

    for_s = 3.0
    busy_sockets = (1, FEED)
    refuses_unsubscriptions = False

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.since_s: dict[int, float] = {}

    def answer(self, number: int, subscribes: bool, request: dict[str, Any]) -> Answer | None:
        if number not in self.busy_sockets or not (subscribes or self.refuses_unsubscriptions):
            return None
        now_s = self.heard[-1].at_s
        if now_s - self.since_s.setdefault(number, now_s) > self.for_s:
            return None
        return Answer((self.no(request),))

    def no(self, request: dict[str, Any]) -> str:
        code, words = PASSING[self.name]
        return refusal(self.name, request, code, words)


class Blocked(Busy):
    """MEXC spot's way of saying it: code 0, with the topics that were not taken."""

    def no(self, request: dict[str, Any]) -> str:
        text = f"Not Subscribed successfully! [{','.join(request['params'])}].  Reason： Blocked! "
        return json.dumps({"id": 0, "code": 0, "msg": text})


def quoted(it: Case, fakes: list[Any]) -> bool:
    return all(fake.counters.subscriptions == N for fake in fakes)


def whole_requests(name: str, n: int = N) -> int:
    return math.ceil(n / VENUES[name].spec.topics_per_frame)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_refusals_of_the_moment_cost_no_pair(tmp_path: Path, transport: str) -> None:
    """In discovery and at the feed's first subscription; and there are no more requests for it."""
    fakes = [Busy(s.name) if s.name != "mexc-spot" else Blocked(s.name) for s in SOURCES]
    extra = f'feeds.transport = "{transport}"\ndiscovery.no_new_s = 1.0'
    with case(tmp_path, *fakes, extra=extra) as it:
        found = it.run("discover", "--json")
        assert 0 == found.returncode, found.stderr
        sources = json.loads(found.stdout)["sources"]
        assert dict.fromkeys(sources, (N, {})) == {
            name: (source["valid_pairs"], source["invalid_pairs"])
            for name, source in sources.items()
        }
        with it.scanning("--no-discover"):
            until(lambda: quoted(it, fakes), "every pair subscribed")
            until(lambda: all(s["pairs"] == N for s in it.status()["sources"].values()), "quotes")
        assert "pair refused" not in it.log()
        for fake in fakes:
            assert FEED == fake.n_sockets, fake.name
            assert len(fake.of_feed()) <= whole_requests(fake.name) + 4, fake.name
            assert not any(0 < at_s < 0.4 for at_s in pauses(fake)), fake.name


def pauses(fake: Busy) -> list[float]:
    """Return the pauses between refused requests of the feed's socket, without the first burst."""
    times = [at for at, (n, _, _) in zip(fake.times("asked"), fake.asked, strict=True) if n == FEED]
    refused = [at for at in times if at - fake.since_s[FEED] <= fake.for_s]
    at_once = 1 if fake.name.startswith("mexc") else whole_requests(fake.name)
    late = refused[at_once - 1 :]
    return [b - a for a, b in zip(late[:-1], late[1:], strict=True)]


class BusyLater(Busy):
    """Takes the first subscriptions, and is busy once it is told to be."""

    busy_sockets = ()
    refuses_unsubscriptions = True

    def be_busy(self) -> None:
        self.busy_sockets = (FEED,)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_resubscription_refused_for_the_moment_comes_back(tmp_path: Path, transport: str) -> None:
    """One pair falls silent at the sources where silence shows; both halves are refused for 3 s."""

    class Silent(BusyLater):
        def answer(self, number: int, subscribes: bool, request: dict[str, Any]) -> Answer | None:
            refused = super().answer(number, subscribes, request)
            if not refused and subscribes and self.busy_sockets:
                self.mute.clear()  # the subscription anew brings it back
            return refused

    names = ("okx-spot", "okx-futures", "bybit-spot", "bybit-futures", "mexc-futures")
    fakes = [Silent(name) for name in names]
    extra = f'feeds.transport = "{transport}"\ndiscovery.no_new_s = 1.0'
    limits = [word for name in names for word in ("--set", f"venues.{name}.stale_after_s=2.0")]
    with case(tmp_path, *fakes, extra=extra) as it:
        assert 0 == it.run("discover").returncode
        with it.scanning("--no-discover", *limits):
            until(lambda: quoted(it, fakes), "every pair subscribed")
            for fake in fakes:
                fake.call(fake.be_busy)
                fake.call(lambda fake=fake: fake.mute.add(venue_symbol(fake.name, "DOGE")))
            until(lambda: all(f.busy_sockets and f.mute for f in fakes), "silence")
            until(lambda: not any(f.mute for f in fakes), "the pair subscribed anew")
            until(lambda: quoted(it, fakes), "every pair subscribed again")
        assert "pair refused" not in it.log()
        for fake in fakes:
            assert FEED == fake.n_sockets, fake.name


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_a_reload_brings_and_takes_is_asked_for_until_it_passes(
    tmp_path: Path, transport: str
) -> None:
    fakes = [BusyLater(source.name) for source in SOURCES]
    extra = f'feeds.transport = "{transport}"\ndiscovery.no_new_s = 1.0'
    with case(tmp_path, *fakes, extra=extra) as it:
        assert 0 == it.run("discover").returncode
        with it.scanning("--no-discover"):
            until(lambda: quoted(it, fakes), "every pair subscribed")
            for fake in fakes:
                fake.call(fake.be_busy)
                fake.call(lambda fake=fake: fake.list_coin("NEW", 7.0))
                fake.call(lambda fake=fake: take_out(fake, "ATOM"))
            assert 0 == it.run("ctl", "reload").returncode
            until(lambda: all("NEW" in names_of(f) and "ATOM" not in names_of(f) for f in fakes),
                  "NEW in, ATOM out")  # fmt: skip
        assert "pair refused" not in it.log()


def take_out(fake: Fake, coin: str) -> None:
    fake.listing = [row for row in fake.listing if row.base != coin]


def names_of(fake: Fake) -> str:
    """Return what the feed's socket gets, as text."""
    return " ".join(
        symbol
        for connection, number in list(fake._numbers.items())
        if number == FEED
        for symbol in list(connection.symbols)
    )


class Deaf(Source):
    """Ignores DOGE on the feed's socket: alone where it acknowledges by topic, else its request."""

    def answer(self, number: int, subscribes: bool, request: dict[str, Any]) -> Answer | None:
        ignored = venue_symbol(self.name, "DOGE")
        symbols = symbols_in(self.name, request)
        if number < FEED or not subscribes or ignored not in symbols:
            return None
        key = "params" if self.name == "mexc-spot" else "args"
        if self.name not in ("mexc-spot", "okx-spot", "okx-futures") or len(symbols) == 1:
            return Answer()
        good = [topic for topic in request[key] if ignored not in str(topic)]
        added = tuple(symbol for symbol in symbols if symbol != ignored)
        return Answer(tuple(ack(self.name, request | {key: good})), added)


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_topic_that_is_ignored_costs_no_other_its_socket(tmp_path: Path, transport: str) -> None:
    fakes = [Deaf(source.name) for source in SOURCES]
    extra = f'feeds.transport = "{transport}"\ndiscovery.no_new_s = 1.0\nfeeds.ack_timeout_s = 1.0'
    with case(tmp_path, *fakes, extra=extra) as it:
        assert 0 == it.run("discover").returncode
        alone = {fake.name: [venue_symbol(fake.name, "DOGE")] for fake in fakes}
        with it.scanning("--no-discover"):
            until(
                lambda: all(f.of_feed()[-3:].count(alone[f.name]) == 3 for f in fakes),
                "asked for alone three times",
            )
            assert {N - 1} == {fake.counters.subscriptions for fake in fakes}
            status = it.status()["sources"]
        assert {(FEED, 1)} == {(f.n_sockets, status[f.name]["sockets"]) for f in fakes}
        assert all(source["pairs"] == N - 1 for source in status.values())
        assert all(source["unanswered"] >= 1 for source in status.values())
        assert len(fakes) == it.log().count("pairs not answered")
