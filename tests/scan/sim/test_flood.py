"""Floods: every frame whole and as render gives it, ids that rise, exactly as many as asked for."""

import asyncio
import signal
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from click.testing import CliRunner

from known import SOURCE_BY_NAME
from spreadscan.cli.sim import sim
from spreadscan.errors import ConfigError
from spreadscan.sim import Flood, SimServer
from spreadscan.sim import flood as flood_module
from spreadscan.sim.connection import TEXT, Connection, frame
from spreadscan.sim.flood import Stream
from spreadscan.sim.flood_frames import FIRST_ROUND, FRAMES_MAX, Block
from spreadscan.sim.protocols.base import Rules
from spreadscan.sim.protocols.binance import BinanceConversation
from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.venues.reference import ReferenceDecoder


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client has subscribed after a tenth of a second of silence."""
    monkeypatch.setattr(flood_module, "_SETTLED_S", 0.1)


class Client:
    """A socket of aiohttp and the books that came in on it; other frames are answers."""

    def __init__(self, source: str, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.venue = VENUES[source]
        self.ws = ws
        self.books: list[Book] = []
        self._decode = ReferenceDecoder(self.venue.schema).decode

    async def subscribe(self, symbols: list[str]) -> None:
        at_once = self.venue.spec.topics_per_frame
        for n in range(0, len(symbols), at_once):
            await self.ws.send_str(self.venue.subscribe(symbols[n : n + at_once], n + 1))

    async def read(self, n: int) -> None:
        """Read until there are n books."""
        while len(self.books) < n:
            data = (await self.ws.receive()).data
            payload = data if isinstance(data, bytes) else data.encode()
            for book in self._decode(payload) or ():
                assert isinstance(book, Book)
                assert payload == self.venue.render(book)
                self.books.append(book)

    async def silence(self) -> None:
        """Fail if anything comes."""
        with pytest.raises(TimeoutError):
            await self.ws.receive(0.15)


def live_symbols(lab: Any, source: str, n: int) -> list[str]:
    source_id = SOURCE_BY_NAME[source].id
    return [
        instrument.venue_symbol
        for index, instrument in enumerate(lab.moving.instruments[source_id])
        if (source_id, index) not in lab.moving.dead
    ][:n]


def ids_rise(books: list[Book]) -> bool:
    last: dict[str, int] = {}
    for book in books:
        if book.update_id <= last.get(book.symbol, 0):
            return False
        last[book.symbol] = book.update_id
    return True


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("source", VENUES)
def test_a_socket_gets_as_many_frames_as_asked_for(lab: Any, source: str) -> None:
    async def go() -> None:
        server = SimServer(lab.moving, sources=[source], flood=Flood(frames=5_000))
        symbols = live_symbols(lab, source, 3)
        async with (
            lab.serving(server) as session,
            session.ws_connect(
                server.endpoints()[source][1], headers=VENUES[source].spec.headers
            ) as ws,
        ):
            client = Client(source, ws)
            await client.subscribe(symbols)
            await client.read(5_000)
            await client.silence()
            assert set(symbols) == {book.symbol for book in client.books}
            assert ids_rise(client.books)
            assert 10 < len({book.bid_qty for book in client.books})  # not one book for ever
            assert all(book.bid_px < book.ask_px for book in client.books)
            counters = server.counters()[source]
            assert (5_000, 0, 0) == (counters.frames, counters.repeats, counters.dropped)

    lab.run(go())


@pytest.mark.usefixtures("soon")
def test_raw_binance_sockets_get_bare_frames(lab: Any) -> None:
    async def go() -> None:
        server = SimServer(lab.moving, sources=["binance-spot"], flood=Flood(frames=10))
        async with lab.serving(server) as session:
            url = server.endpoints()["binance-spot"][1].replace("/stream", "/ws/btcusdt@bookTicker")
            async with session.ws_connect(url) as ws:
                found = [await ws.receive_json() for _ in range(10)]
        assert [{"u", "s", "b", "B", "a", "A"}] * 10 == [set(book) for book in found]
        ids = [book["u"] for book in found]
        assert ids == sorted(set(ids))

    lab.run(go())


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(("rate", "late_s"), [(0.0, 0.3), (40_000.0, 0.05)])
def test_a_reader_that_is_late_misses_nothing(lab: Any, rate: float, late_s: float) -> None:
    async def go() -> None:
        flood = Flood(frames=20_000, rate=rate, frames_per_write=7)
        server = SimServer(lab.moving, sources=["okx-spot"], flood=flood)
        symbols = live_symbols(lab, "okx-spot", 5)
        async with lab.serving(server) as session:
            counters = server.counters()["okx-spot"]
            url = server.endpoints()["okx-spot"][1]
            async with session.ws_connect(url) as ws:
                client = Client("okx-spot", ws)
                await client.subscribe(symbols)
                await lab.eventually(lambda: counters.frames > 0)
                await asyncio.sleep(late_s)
                await client.read(20_000)
                await client.silence()
                assert ids_rise(client.books)
                assert (20_000, 0) == (counters.frames, counters.dropped)

    lab.run(go())


@pytest.mark.usefixtures("soon")
def test_sockets_take_turns_and_share_the_rising_ids(lab: Any) -> None:
    async def go() -> None:
        sources = ["bybit-spot", "mexc-spot"]
        flood = Flood(rate=4_000.0, frames_per_write=4)
        nobody_there = ["okx-spot", "okx-futures"]
        server = SimServer(lab.moving, sources=[*sources, *nobody_there], flood=flood)
        async with lab.serving(server) as session:
            clients = []
            for source in (*sources, *sources):
                ws = await session.ws_connect(
                    server.endpoints()[source][1], headers=VENUES[source].spec.headers
                )
                clients.append(Client(source, ws))
                await clients[-1].subscribe(live_symbols(lab, source, 2))
            await asyncio.gather(*(client.read(1) for client in clients))
            before = [server.counters()[source].frames for source in sources]
            await asyncio.gather(*(client.read(400) for client in clients))
            after = [server.counters()[source].frames for source in sources]
            gained = [b - a for a, b in zip(before, after, strict=True)]
            assert abs(gained[0] - gained[1]) <= flood.burst
            for source in sources:
                firsts = [c.books for c in clients if c.venue.name == source]
                assert all(ids_rise(books) for books in firsts)
                ids = [book.update_id for books in firsts for book in books]
                assert len(ids) == len(set(ids))

    lab.run(go())


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("rate", [0.0, 5_000.0])
def test_a_flood_ends_with_its_socket(lab: Any, rate: float) -> None:
    async def go() -> None:
        server = SimServer(lab.moving, sources=["bybit-futures"], flood=Flood(rate=rate))
        async with lab.serving(server) as session:
            counters = server.counters()["bybit-futures"]
            for _ in range(2):
                async with session.ws_connect(server.endpoints()["bybit-futures"][1]) as ws:
                    client = Client("bybit-futures", ws)
                    await client.subscribe(live_symbols(lab, "bybit-futures", 2))
                    await client.read(100)
                    ws._response.close()  # the network went away
                await lab.eventually(lambda: counters.sockets == 0)
                frames = counters.frames
                await asyncio.sleep(0.05)
                assert frames == counters.frames

    lab.run(go())


@pytest.mark.usefixtures("soon")
def test_a_flood_follows_what_is_subscribed(lab: Any) -> None:
    async def go() -> None:
        server = SimServer(lab.moving, sources=["okx-futures"], flood=Flood())
        first, second = live_symbols(lab, "okx-futures", 2)
        venue = VENUES["okx-futures"]
        async with (
            lab.serving(server) as session,
            session.ws_connect(server.endpoints()["okx-futures"][1]) as ws,
        ):
            client = Client("okx-futures", ws)

            async def until_only(symbol: str) -> None:
                while {book.symbol for book in client.books[-100:]} != {symbol}:
                    await client.read(len(client.books) + 100)

            await client.subscribe([first])
            await until_only(first)
            await ws.send_str(venue.unsubscribe([first], 2))
            await ws.send_str(venue.subscribe([second], 3))
            await until_only(second)
            await ws.send_str(venue.subscribe([lab.quiet_symbol("okx-futures")], 4))
            await client.read(len(client.books) + 10_000)
            assert {second} == {book.symbol for book in client.books[-100:]}
            assert ids_rise(client.books)

    lab.run(go())


# -- blocks and streams alone


def books(n: int) -> list[Book]:
    return [Book(f"S{i % 3}", 1.0 + i, 2.0, 2.0 + i, 1.0, 0, 5) for i in range(n)]


def twice(book: Book) -> bytes:
    """An encoding that names the id twice."""
    return frame(b"<%d|%s|%d>" % (book.update_id, book.symbol.encode(), book.update_id), TEXT)


def test_ids_rise_over_frames_rounds_and_blocks() -> None:
    rounds = iter([FIRST_ROUND, FIRST_ROUND + 9, FIRST_ROUND + 10, 987_654_321, 10**9 - 1])
    blocks = Block(twice, books(10_000), rounds), Block(twice, books(12), rounds)
    found = []
    for block in (blocks[0], blocks[1], blocks[0], blocks[1], blocks[1]):
        assert block.ended
        n, data = block.take(FRAMES_MAX)
        assert (block.n, True) == (n, block.ended)
        parts = [part for part in data.split(b">") if part]
        ids = [int(part[part.index(b"<") + 1 : part.index(b"|")]) for part in parts]
        assert [int(part.rpartition(b"|")[2]) for part in parts] == ids
        assert [b"S%d" % (i % 3) for i in range(n)] == [part.split(b"|")[1] for part in parts]
        found += ids
    assert found == sorted(set(found))
    assert 10**12 == found[0]
    assert {13} == {len(str(number)) for number in found}


def test_a_block_is_given_in_parts() -> None:
    block = Block(twice, books(10), count(FIRST_ROUND))
    whole = Block(twice, books(10), count(FIRST_ROUND))
    parts = [block.take(4) for _ in range(6)]
    assert [4, 4, 2, 4, 4, 2] == [n for n, _ in parts]
    expected = whole.take(10)[1] + whole.take(10)[1]
    assert expected == b"".join(data for _, data in parts)


@pytest.mark.parametrize("n", [0, FRAMES_MAX + 1])
def test_a_block_has_a_size(n: int) -> None:
    with pytest.raises(ValueError, match=f"{n} frames, expected 1 to"):
        Block(twice, books(n), count(FIRST_ROUND))


class _Transport:
    def __init__(self) -> None:
        self.written: list[bytes] = []

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        self.written.append(data)


@pytest.mark.parametrize(
    ("flood", "sizes"),
    [
        (Flood(frames=25, frames_per_write=10), [10, 10, 5]),
        (Flood(frames=5_000), [2_048, 2_048, 904]),
        (Flood(frames=3, rate=1.0), [1, 1, 1]),
        (Flood(frames=5_000, frames_per_write=1_500), [1_500, 1_500, 1_500, 500]),
    ],
)
def test_every_write_has_its_frames(flood: Flood, sizes: list[int]) -> None:
    transport = _Transport()
    conversation = BinanceConversation(Rules(), {}, "x", 0.0)
    connection = Connection(cast(Any, None), cast(Any, transport), conversation)
    connection.symbols.add("S")
    stream = Stream(
        connection, lambda _, n, rounds: Block(twice, books(n), rounds), flood, count(FIRST_ROUND)
    )
    written = []
    while not stream.ended:
        written.append(stream.write())
    assert sizes == written
    assert sizes == [data.count(b"<") for data in transport.written]
    assert conversation.last_push_s > 0.0  # or the venue would close for idleness


# -- options and the command


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"frames": -1}, "frames is -1, expected 0 or more"),
        ({"rate": float("nan")}, "flood rate is nan, expected 0 or more"),
        ({"rate": -2.0}, "flood rate is -2.0"),
        ({"frames_per_write": 2_049}, "frames per write is 2049, expected 0 to 2048"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Flood(**options)


def test_flood_options_without_a_flood_are_refused() -> None:
    result = CliRunner().invoke(sim, ["--frames", "10"])
    assert 2 == result.exit_code
    assert "expected with --flood" in result.output


def test_the_command_tells_what_it_sent(lab: Any, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "spreadscan", "sim", "--port", "0", "--source", "okx-spot"]
    config = tmp_path / "sim.toml"
    command += ["--flood", "--frames", "3000", "--write-config", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        url = process.stdout.readline().split()[-1]
        assert "flood: as fast as readers are, 3000 to each socket" in process.stdout.readline()

        async def go() -> None:
            async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
                client = Client("okx-spot", ws)
                await client.subscribe(live_symbols(lab, "okx-spot", 4))
                await client.read(3_000)
                assert 4 == len({book.symbol for book in client.books})

        lab.run(go())
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
        assert ["okx-spot", "3000", "frames"] == said.split()
    finally:
        process.kill()
        process.communicate()
