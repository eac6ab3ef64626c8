"""Several addresses of one source: which is tried when, and which is kept."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from spreadscan.errors import (
    ConnectionLost,
    NoAddress,
    RateLimited,
    RegionBlocked,
    RequestRefused,
    VenueDown,
)
from spreadscan.net import rest
from spreadscan.net.bans import Bans
from spreadscan.net.budget import Budget
from spreadscan.net.connects import Connects
from spreadscan.net.endpoints import Endpoints
from spreadscan.net.ratelimit import RateLimit
from spreadscan.net.transport import Headers
from spreadscan.venues import VENUES

A, B, C = "wss://a.example.com/ws", "wss://b.example.com/ws", "wss://c.example.com/ws"


class Clock:
    def __init__(self) -> None:
        self.s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bans(tmp_path: Path, clock: Clock) -> Bans:
    return Bans(tmp_path, clock)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def watched() -> Any:
        async with asyncio.timeout(10):
            return await main

    return asyncio.run(watched())


def test_the_one_in_use_is_kept_until_it_fails_and_then_the_next(bans: Bans) -> None:
    endpoints = Endpoints("x", (A, B, C), bans)
    assert [A, A] == [endpoints.pick(), endpoints.pick()]
    endpoints.failed(A, "refused")
    assert B == endpoints.pick()
    endpoints.failed(A, "refused")  # another socket of the same moment: told already
    assert B == endpoints.pick()
    endpoints.failed(B, "refused")
    endpoints.failed(C, "refused")
    assert A == endpoints.pick()  # all failed: from the first again


def test_one_address_alone_stays(bans: Bans, caplog: pytest.LogCaptureFixture) -> None:
    endpoints = Endpoints("x", (A,), bans)
    endpoints.failed(A, "refused")
    assert A == endpoints.pick()
    assert [] == caplog.records


def test_a_short_ban_is_waited_for_and_a_long_one_passed_over(bans: Bans, clock: Clock) -> None:
    endpoints = Endpoints("x", (A, B), bans)
    bans.record(A, RateLimited("HTTP 429", 10.0))
    assert A == endpoints.pick()
    bans.record(A, RateLimited("HTTP 418", 600.0))
    assert B == endpoints.pick()
    clock.s += 700.0
    assert B == endpoints.pick()  # it works: kept, though the first is free again
    bans.record(A, RateLimited("HTTP 418", 600.0))
    bans.record(B, RateLimited("HTTP 418", 300.0))
    assert B == endpoints.pick()  # both barred: the one that is free first
    bans.record(B, RegionBlocked("HTTP 451"))
    assert A == endpoints.pick()


def test_a_ban_on_one_port_holds_for_the_others_of_the_name(bans: Bans) -> None:
    urls = VENUES["binance-spot"].spec.ws_urls
    bans.record(urls[1], RateLimited("HTTP 418", 600.0))
    assert [0.0, 600.0, 600.0] == [bans.left_s(url) for url in urls]


def test_leave_is_given_for_the_address_that_is_free(bans: Bans) -> None:
    counted: dict[str, int] = {}

    def limit_of(host: str) -> RateLimit:
        counted[host] = counted.get(host, 0) + 1
        return RateLimit((10, 1.0))

    leave = Connects(Endpoints("x", (A, B), bans), limit_of, bans)

    async def main() -> None:
        assert A == await leave.take()
        leave.failed(A, ConnectionLost("nobody there"))
        assert B == await leave.take()
        leave.unheard(B, "closed by the venue (1000)")
        assert A == await leave.take()
        leave.failed(A, RegionBlocked("HTTP 451"))
        assert B == await leave.take()
        leave.failed(B, RateLimited("HTTP 429", 20.0))
        with pytest.raises(RateLimited):
            await leave.take(5.0)

    run(main())
    assert {"a.example.com": 1, "b.example.com": 1} == counted  # each host has a limit of its own


class Answers:
    """Stands for rest.ask(): an answer or an error by host."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **by_host: bytes | Exception) -> None:
        self.asked: list[str] = []
        self.by_host = by_host
        monkeypatch.setattr(rest, "ask", self.ask)

    async def ask(
        self,
        session: Any,
        url: str,
        timeout_s: float,
        parse: Callable[[bytes], bytes],
        bans: Bans,
        headers: Headers,
        most_bytes: int,
    ) -> bytes:
        self.asked.append(url)
        answer = self.by_host[url.split("/")[2].split(".")[0]]
        if isinstance(answer, RateLimited):
            bans.record(url, answer)
        if isinstance(answer, Exception):
            raise answer
        return parse(answer)


REST = ("https://a.example.com", "https://b.example.com")


def asked(endpoints: Endpoints, bans: Bans) -> bytes:
    def url_at(host: str) -> str:
        return host + "/x?y=1"

    budget = Budget("state", (1_000, 1.0))
    found: bytes = run(
        rest.ask_any(None, endpoints, url_at, 1.0, bytes, bans, budget)  # type: ignore[arg-type]
    )
    return found


@pytest.mark.parametrize(
    "error",
    [NoAddress("DNS"), ConnectionLost("cut"), VenueDown("HTTP 503"), RegionBlocked("HTTP 451")],
)
def test_a_request_goes_to_the_next_address_and_stays_there(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, bans: Bans, error: Exception
) -> None:
    caplog.set_level(logging.WARNING)
    answers = Answers(monkeypatch, a=error, b=b"yes")
    endpoints = Endpoints("x", REST, bans)
    assert [b"yes", b"yes"] == [asked(endpoints, bans) for _ in range(2)]
    assert ["a", "b", "b"] == [url[8] for url in answers.asked]
    assert ["address given up, the next is tried"] == [r.getMessage() for r in caplog.records]


def test_where_all_fail_each_is_asked_once_and_what_may_pass_is_raised(
    monkeypatch: pytest.MonkeyPatch, bans: Bans
) -> None:
    answers = Answers(monkeypatch, a=RegionBlocked("HTTP 451"), b=NoAddress("DNS"))
    with pytest.raises(NoAddress):
        asked(Endpoints("x", REST, bans), bans)
    assert 2 == len(answers.asked)


def test_a_request_that_is_limited_for_a_moment_is_sent_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, bans: Bans
) -> None:
    answers = Answers(monkeypatch, a=RateLimited("HTTP 429", 5.0), b=b"yes")
    endpoints = Endpoints("x", REST, bans)
    with pytest.raises(RateLimited):
        asked(endpoints, bans)
    assert 1 == len(answers.asked)
    answers.by_host["a"] = RateLimited("HTTP 418", 3_600.0)
    assert b"yes" == asked(endpoints, bans)


def test_what_the_venue_refuses_in_its_own_words_is_asked_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, bans: Bans
) -> None:
    answers = Answers(monkeypatch, a=RequestRefused("-1121 Invalid symbol."), b=b"yes")
    endpoints = Endpoints("x", REST, bans)
    for n in (1, 2):
        with pytest.raises(RequestRefused):
            asked(endpoints, bans)
        assert ["a"] * n == [url[8] for url in answers.asked]


def test_no_address_has_okxs_old_port() -> None:
    for venue in VENUES.values():
        assert venue.spec.ws_urls
        assert venue.spec.rest_urls
        assert not [url for url in (*venue.spec.ws_urls, *venue.spec.rest_urls) if ":8443" in url]
        assert len(set(venue.spec.ws_urls)) == len(venue.spec.ws_urls)
