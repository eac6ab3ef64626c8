"""The servers around the protocols: what is published when, REST, limits, start and end."""

import asyncio
import signal
import subprocess
import sys
from typing import Any, cast

import aiohttp
import orjson
import pytest

from known import SOURCE_BY_NAME
from spreadscan.clock import now_ns
from spreadscan.errors import ConfigError
from spreadscan.sim import Market, SimServer
from spreadscan.sim import connection as connection_module
from spreadscan.sim.connection import Connection, frame
from spreadscan.sim.pages import PAGES
from spreadscan.sim.protocols.base import Rules
from spreadscan.sim.protocols.binance import BinanceConversation
from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.venues.reference import ReferenceDecoder


def test_every_source_serves_what_the_market_says_not_before_it_is_due(lab: Any) -> None:
    async def go() -> None:
        server = SimServer(lab.moving)
        async with lab.serving(server) as session:
            heard = await asyncio.gather(*(_listen(session, server, name) for name in VENUES))
            for name, books in zip(VENUES, heard, strict=True):
                _compare(server, name, books)

    lab.run(go())


async def _listen(
    session: aiohttp.ClientSession, server: SimServer, name: str
) -> list[tuple[int, Book]]:
    venue = VENUES[name]
    found: list[tuple[int, Book]] = []
    decoder = ReferenceDecoder(venue.schema)
    symbol = server.market.instruments[SOURCE_BY_NAME[name].id][0].venue_symbol
    async with session.ws_connect(server.endpoints()[name][1], headers=venue.spec.headers) as ws:
        await ws.send_str(venue.subscribe([symbol], 1))
        while len(found) < 6:
            message = await ws.receive(3.0)
            data = message.data
            for book in decoder.decode(data if isinstance(data, bytes) else data.encode()) or ():
                assert isinstance(book, Book)
                found.append((now_ns(), book))
    return found


def _compare(server: SimServer, name: str, books: list[tuple[int, Book]]) -> None:
    market, source_id = server.market, SOURCE_BY_NAME[name].id
    series = market.at(source_id, 0)
    now = server.time.sim_ns(now_ns())
    due = {}
    for t_ns, s, k in market.due(now - 30_000_000_000, now):
        if s is series:
            book = market.book(s, k, t_ns, server.time.unix_ns(t_ns))
            due[book.update_id] = (server.time.boot_ns(t_ns), book)
    for recv_ns, book in books:
        due_ns, expected = due[book.update_id]
        assert due_ns <= recv_ns
        assert expected == book
    ids = [book.update_id for _, book in books]
    assert ids == sorted(set(ids))


def test_speed_and_freeze_change_what_is_due_per_second(lab: Any) -> None:
    counted = []

    async def go(speed: float, freeze_after_s: float | None) -> None:
        market = Market(1, 1_200.0, freeze_after_s)
        server = SimServer(market, speed=speed, sources=["okx-spot"])
        async with (
            lab.serving(server) as session,
            session.ws_connect(server.endpoints()["okx-spot"][1]) as ws,
        ):
            args = [{"channel": "bbo-tbt", "instId": "BTC-USDT"}]
            await ws.send_json({"op": "subscribe", "args": args})
            await asyncio.sleep(0.5)
            counted.append(server.counters()["okx-spot"].frames)

    lab.run(go(1.0, None))
    lab.run(go(20.0, None))
    lab.run(go(20.0, 2.0))
    slow, fast, frozen = counted
    assert fast > 4 * slow
    assert slow < frozen < fast / 2


def test_rest_pages_are_served_on_the_paths_of_the_venues(lab: Any) -> None:
    async def go() -> None:
        server = SimServer(lab.still)
        async with lab.serving(server) as session:
            for name, (rest_url, _) in server.endpoints().items():
                request = VENUES[name].instruments_request("")
                assert PAGES[name].instruments_path == request.path
                async with session.get(f"{rest_url}{request.path}?{request.query}") as page:
                    assert "application/json" == page.content_type
                    assert VENUES[name].instruments(await page.read()).instruments
                    if name.startswith("binance"):
                        assert "X-MBX-USED-WEIGHT-1M" in page.headers
                async with session.get(rest_url + PAGES[name].time_path) as page:
                    assert orjson.loads(await page.read())
                async with session.get(f"{rest_url}/nothing/here") as page:
                    assert 404 == page.status
            assert all(c.pages == 1 for c in server.counters().values())

    lab.run(go())


def test_counters_follow_sockets_and_subscriptions(lab: Any) -> None:
    async def go() -> None:
        server = SimServer(lab.moving, sources=["binance-spot"])
        async with lab.serving(server) as session:
            counters = server.counters()["binance-spot"]
            sockets = []
            for _ in range(2):
                ws = await session.ws_connect(server.endpoints()["binance-spot"][1])
                params = ["btcusdt@bookTicker", "ethusdt@bookTicker", "nope@bookTicker"]
                await ws.send_json({"method": "SUBSCRIBE", "params": params, "id": 1})
                for _ in range(4):
                    await ws.receive(3.0)
                sockets.append(ws)
            assert (2, 4, 2) == (counters.sockets, counters.subscriptions, counters.opened)
            assert counters.frames >= 6
            await sockets[0].close()
            await lab.eventually(lambda: counters.sockets == 1)
            assert 2 == counters.subscriptions
            sockets[1]._response.close()  # no close frame: the network went away
            await lab.eventually(lambda: counters.sockets == 0)
            assert (0, 2) == (counters.subscriptions, counters.opened)

    lab.run(go())


def test_a_late_wake_does_not_send_a_long_past(lab: Any) -> None:
    async def go() -> None:
        server = SimServer(lab.moving, sources=["okx-spot"])
        async with lab.serving(server):
            server.time.t0_boot_ns -= 10_000_000_000  # as if stopped for ten seconds
            await lab.eventually(lambda: server.n_skipped > 0)
            assert server.n_skipped > 8 * lab.moving.rate

    lab.run(go())


class _FullTransport:
    def __init__(self) -> None:
        self.unsent, self.aborted, self.written = 0, False, b""

    def is_closing(self) -> bool:
        return self.aborted

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def write(self, data: bytes) -> None:
        self.written += data

    def abort(self) -> None:
        self.aborted = True


def test_a_reader_too_far_behind_is_cut_off() -> None:
    transport = _FullTransport()
    conversation = BinanceConversation(Rules(), {}, "x", 0.0)
    connection = Connection(cast(Any, None), cast(Any, transport), conversation)
    connection.pending = [frame(b"one", connection_module.TEXT)]
    assert connection.flush(1.0)
    assert b"\x81\x03one" == transport.written
    transport.unsent = connection_module.MOST_UNSENT_BYTES + 1
    connection.pending = [b"more"]
    assert not connection.flush(2.0)
    assert transport.aborted
    assert connection.closing


@pytest.mark.parametrize("n", [0, 125, 126, 65_535, 65_536])
def test_frames_have_the_length_of_their_payload(n: int) -> None:
    whole = frame(b"x" * n, connection_module.BINARY)
    assert 0x82 == whole[0]
    head = {125: 2, 65_535: 4}
    size = next((head[limit] for limit in head if n <= limit), 10)
    assert size + n == len(whole)
    assert n == (whole[1] if size == 2 else int.from_bytes(whole[2:size]))


def test_a_port_in_use_is_named(lab: Any) -> None:
    async def go() -> None:
        first = SimServer(lab.still, sources=["okx-spot"])
        async with lab.serving(first):
            port = int(first.endpoints()["okx-spot"][0].rpartition(":")[2])
            base = port - SOURCE_BY_NAME["okx-spot"].id
            with pytest.raises(ConfigError, match=rf"okx-spot: port {port} "):
                await SimServer(lab.still, base, sources=["okx-spot"]).start()
        again = SimServer(lab.still, base, sources=["okx-spot"])
        async with lab.serving(again):
            assert f"http://127.0.0.1:{port}" == again.endpoints()["okx-spot"][0]

    lab.run(go())


def test_wrong_options_are_config_errors(lab: Any) -> None:
    with pytest.raises(ConfigError, match="speed is 0"):
        SimServer(lab.still, speed=0)
    with pytest.raises(ConfigError, match="'okx-stop'"):
        SimServer(lab.still, sources=["okx-stop"])
    with pytest.raises(ConfigError, match="port is 65530"):
        SimServer(lab.still, 65_530)
    with pytest.raises(ConfigError, match="rate is -5"):
        Market(rate=-5)
    with pytest.raises(ConfigError, match="freeze-after is nan"):
        Market(freeze_after_s=float("nan"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_sim_ends_on_a_signal(number: signal.Signals) -> None:
    script = (
        "from spreadscan.sim import SimOptions, run_sim\n"
        "run_sim(SimOptions(rate=1200), lambda s: print(s.endpoints(), flush=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert "okx-futures" in process.stdout.readline()
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
        assert "" == errors
        assert 0 == process.returncode
    finally:
        process.kill()
        process.communicate()
