"""Bad days of sockets: busy pages, closes soon after quotes, closes without a code."""

import asyncio
import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from cases.kit import COINS, TRANSPORTS, Case, Fake, case, environment, until, venue_symbol
from e2e.conftest import adopt
from scan.net import raw_server as raw
from spreadscan.types import Book
from spreadscan.venues import VENUES

BUSY = b"""<html><head><title>ERROR: request not satisfied</title></head><body><h1>403 ERROR</h1>
Request blocked: too much traffic or a configuration error. Try again later.</body></html>"""
COUNTRY = b"""<HTML><BODY><H1>403 ERROR</H1>The Amazon CloudFront distribution is configured to
block access from your country. There might be too much traffic. Try again later.</BODY></HTML>"""
PAGES = {"busy": BUSY, "country": COUNTRY}
BUSY_S = 1.0  # in place of a minute


@contextmanager
def scanning(it: Case, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the program with a minute of waiting cut to a second; all else as it is."""
    program = f"import spreadscan.net.refusals as r; r._BUSY_S = {BUSY_S}\n"
    program += "from spreadscan.cli.main import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", program, "run", "-c", str(it.config), *arguments],
        cwd=it.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def extra(transport: str) -> str:
    return f'feeds.transport = "{transport}"\ndiscovery.no_new_s = 1.0\n'


def page(body: bytes) -> web.Response:
    return web.Response(status=403, body=body, content_type="text/html")


def gaps(times: list[float]) -> list[float]:
    return [b - a for a, b in itertools.pairwise(times)]


class Cdn(Fake):
    """Refuses handshakes 3 and 4 with a page; the second socket is cut once it quotes."""

    body_ = BUSY

    async def handshake(self, number: int, request: web.Request) -> web.Response | None:
        return page(self.body_) if number in (3, 4) else None


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_busy_page_at_the_handshake_is_waited_out(tmp_path: Path, transport: str) -> None:
    cdn = Cdn("bybit-spot")
    with case(tmp_path, cdn, Fake("binance-futures"), extra=extra(transport)) as it, scanning(it):
        until(lambda: cdn.n_sockets == 2 and cdn.counters.subscriptions == len(COINS), "quotes")
        cdn.call(lambda: cdn.close_sockets(1001))
        until(lambda: cdn.n_sockets == 5 and cdn.counters.subscriptions == len(COINS), "again")
        third, fourth, fifth = cdn.times("handshake")[2:]
        assert fourth - third >= BUSY_S  # and growing
        assert fifth - fourth >= 2 * BUSY_S
        assert "host refuses our region" not in it.log()
        assert 2 == it.log().count("host to be left alone")


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_page_that_names_the_country_closes_the_source(tmp_path: Path, transport: str) -> None:
    cdn = Cdn("bybit-spot")
    cdn.body_ = COUNTRY
    with case(tmp_path, cdn, Fake("binance-futures"), extra=extra(transport)) as it, scanning(it):
        until(lambda: cdn.n_sockets == 2 and cdn.counters.subscriptions == len(COINS), "quotes")
        cdn.call(lambda: cdn.close_sockets(1001))
        until(lambda: "host refuses our region" in it.log(), "the block")
        time.sleep(3 * BUSY_S)
        assert 3 == cdn.n_sockets
        barred = it.status()["sources"]["bybit-spot"]["barred"]
        assert barred["until"] is None
        assert "set ws_url under [venues]" in barred["reason"]


class Wall(Fake):
    """Refuses the first `n` questions for a page."""

    wall, n, what = BUSY, 1, "instruments"

    async def rest(self, page_: str, request: web.Request) -> web.Response | None:
        asked = len([h for h in self.heard if (h.what, h.facts) == ("page", self.what)])
        return page(self.wall) if page_ == self.what and asked <= self.n else None

    def _funding_page(self, query: Any) -> bytes:
        rows = [
            {"symbol": s, "lastFundingRate": "0.0001", "nextFundingTime": 4_000_000_000_000}
            for s in self.px
        ]
        return json.dumps(rows).encode()


@pytest.mark.parametrize("kind", PAGES)
def test_a_busy_page_in_place_of_a_list_is_waited_out(tmp_path: Path, kind: str) -> None:
    wall = Wall("bybit-spot")
    wall.wall = PAGES[kind]
    other = Fake("binance-futures")
    with case(tmp_path, wall, other, extra=extra("picows")) as it, scanning(it) as process:
        if kind == "busy":
            until(lambda: wall.counters.subscriptions == len(COINS), "quotes")
            assert min(gaps(wall.times("page"))) >= BUSY_S
        else:
            assert process.wait(30) != 0
            assert process.stderr
            assert "set rest_url under [venues]" in process.stderr.read()


def test_a_busy_page_in_place_of_funding_is_waited_out(tmp_path: Path) -> None:
    wall = Wall("binance-futures")
    wall.what = "funding"
    more = extra("picows") + "audit.enabled = true\naudit.funding_every_s = 5.0\n"
    with case(tmp_path, wall, Fake("bybit-spot"), extra=more) as it, scanning(it):
        until(lambda: "funding known again" in it.log(), "funding")
        assert "HTTP 403" in it.log()


class Leaves(Fake):
    """Ends every socket but discovery's shortly after its first quotes."""

    end: tuple[int, str] = (1008, "Too many requests")

    def push(self) -> None:
        super().push()
        for connection, number in list(self._numbers.items()):
            if number > 1 and self.counters.subscriptions:
                if self.end[0]:
                    self._later(connection.close(*self.end))
                else:
                    connection.transport.abort()


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("end", "most"),
    [
        ((1008, "Too many requests"), 3),  # discovery, the first, the second; then a minute's ban
        ((1012, "service restart"), 5),
        ((4001, ""), 5),
        ((0, ""), 5),
    ],
    ids=["1008", "1012", "4001", "reset"],
)
def test_a_close_soon_after_quotes_is_not_answered_at_once(
    tmp_path: Path, transport: str, end: tuple[int, str], most: int
) -> None:
    """At some 1.9 s each there would be six handshakes in the time, and so for ever."""
    leaves = Leaves("binance-spot")
    leaves.end = end
    with case(tmp_path, leaves, Fake("bybit-futures"), extra=extra(transport)) as it:
        assert 0 == it.run("discover").returncode
        with it.scanning("--no-discover"):
            until(lambda: leaves.n_sockets >= 3, "a second socket of the feed")
            time.sleep(6.0)
            assert leaves.n_sockets <= most
            assert "feed socket lost" in it.log()
            if most == 3:
                assert it.status()["sources"]["binance-spot"]["barred"]["until"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_close_frame_without_a_code_is_answered_as_the_protocol_allows(
    tmp_path: Path, transport: str
) -> None:
    answers: list[bytes] = []

    async def serve(peer: raw.Peer) -> None:
        opcode, data = await peer.receive()
        request = json.loads(data)
        ack = {"success": True, "ret_msg": "", "req_id": request["req_id"], "op": "subscribe"}
        await peer.send(raw.frame(raw.TEXT, json.dumps(ack).encode()))
        for n in range(8):
            for coin in COINS:
                symbol = venue_symbol("bybit-futures", coin)
                book = Book(symbol, 1.0, 1e4, 1.001, 1e4, time.time_ns(), n + 2)
                await peer.send(raw.frame(raw.TEXT, VENUES["bybit-futures"].render(book)))
            await asyncio.sleep(0.1)
        await peer.send(raw.frame(raw.CLOSE, b""))
        while opcode != raw.CLOSE:
            opcode, data = await peer.receive()
        answers.append(data)

    with case(tmp_path, Fake("bybit-futures"), Fake("okx-spot"), extra=extra(transport)) as it:
        assert 0 == it.run("discover").returncode
        with raw_server(serve) as url:
            by_hand = ("--set", f'venues.bybit-futures.ws_url="{url}"')
            adopt(it.folder / "generated", it.config, by_hand)
            with it.scanning("--no-discover", *by_hand):
                until(lambda: answers, "an answer to the close")
                until(lambda: "closed by the venue (without a code)" in it.log(), "the log")
    assert set(answers) <= {b"", (1000).to_bytes(2, "big")}


@contextmanager
def raw_server(serve: raw.Handler) -> Iterator[str]:
    """Serve sockets by hand from a thread; gives the address."""
    loop, ended, found = asyncio.new_event_loop(), asyncio.Event(), list[str]()
    started = threading.Event()

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            found.append(server.url)
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield found[0]
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()
