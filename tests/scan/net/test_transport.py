"""One suite for both transports, against a server that sends exactly these bytes."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from importlib import import_module
from typing import Any

import pytest
from spreadcore import Instance
from spreadcore.frames import FrameIntake
from spreadcore.intake import FeedIntake
from spreadcore.wire.decoder import FrameDecoder

from scan.net import raw_server as raw
from spreadscan.clock import now_ns
from spreadscan.errors import ConfigError, ConnectionLost
from spreadscan.net.transport import Socket, connect
from spreadscan.types import Book
from spreadscan.venues import VENUES

TRANSPORTS = ("picows", "aiohttp")
LOOPS = ("asyncio", "uvloop")


class Recorder:
    """A listener that keeps what it was told, in order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Any]] = []
        self.stamps: list[int] = []
        self.changed = asyncio.Event()

    def on_message(self, payload: bytes, recv_ns: int) -> None:
        self._add("message", payload, recv_ns)

    def on_ping(self, recv_ns: int) -> None:
        self._add("ping", None, recv_ns)

    def on_flush(self) -> None:
        self.events.append(("flush", None))
        self.changed.set()

    def _add(self, kind: str, value: Any, recv_ns: int) -> None:
        self.events.append((kind, value))
        self.stamps.append(recv_ns)
        self.changed.set()

    @property
    def messages(self) -> list[bytes]:
        return [value for kind, value in self.events if kind == "message"]

    async def until(self, condition: Callable[["Recorder"], bool]) -> None:
        while not condition(self):
            self.changed.clear()
            await self.changed.wait()


@pytest.fixture(params=LOOPS)
def loop_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(loop_name: str, main: Coroutine[Any, Any, None]) -> None:
    import uvloop

    factory = uvloop.new_event_loop if loop_name == "uvloop" else asyncio.new_event_loop

    async def watched() -> None:
        async with asyncio.timeout(10):
            await main

    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(watched())


async def opened(transport: str, url: str, listener: Recorder, **options: Any) -> Socket:
    settings = {"timeout_s": 5.0, "max_frame_bytes": 1 << 20} | options
    return await connect(transport, url, listener, **settings)  # type: ignore[arg-type]


def test_text_and_binary_messages_arrive_whole(transport: str, loop_name: str) -> None:
    async def serve(peer: Any) -> None:
        await peer.send(raw.frame(raw.TEXT, b'{"a":1}') + raw.frame(raw.BINARY, b"\x00\xff"))
        await peer.receive()

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            heard = Recorder()
            before = now_ns()
            socket = await opened(transport, server.url, heard)
            await heard.until(lambda h: len(h.messages) == 2 and h.events[-1][0] == "flush")
            assert [b'{"a":1}', b"\x00\xff"] == heard.messages
            assert all(before <= stamp <= now_ns() for stamp in heard.stamps)
            socket.close()
            assert "closed by us" == await socket.wait_closed()

    run(loop_name, main())


def test_one_flush_after_the_messages_of_a_read(transport: str, loop_name: str) -> None:
    async def serve(peer: Any) -> None:
        await peer.send(b"".join(raw.frame(raw.TEXT, b"%d" % i) for i in range(5)))
        await peer.receive()

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            heard = Recorder()
            socket = await opened(transport, server.url, heard)
            await heard.until(lambda h: len(h.messages) == 5 and h.events[-1][0] == "flush")
            kinds = [kind for kind, _ in heard.events]
            assert ["message"] * 5 == kinds[: kinds.index("flush")]
            assert 1 == len(set(heard.stamps))  # one socket read, one receive time
            socket.close()
            await socket.wait_closed()

    run(loop_name, main())


def test_a_ping_that_ends_a_read_is_answered_and_flushes(transport: str, loop_name: str) -> None:
    answers: list[tuple[int, bytes]] = []

    async def serve(peer: Any) -> None:
        await peer.send(raw.frame(raw.TEXT, b"x") + raw.frame(raw.PING, b"1789299655643"))
        answers.append(await peer.receive())

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            heard = Recorder()
            socket = await opened(transport, server.url, heard)
            await socket.wait_closed()
            assert [(raw.PONG, b"1789299655643")] == answers
            kinds = [kind for kind, _ in heard.events]
            assert ["message", "ping"] == [k for k in kinds if k != "flush"]
            assert kinds.index("flush") > kinds.index("message")

    run(loop_name, main())


def test_fragments_are_joined_with_a_ping_between(transport: str, loop_name: str) -> None:
    async def serve(peer: Any) -> None:
        await peer.send(raw.frame(raw.TEXT, b"one ", fin=False))
        await peer.send(raw.frame(raw.PING, b""))
        await peer.send(raw.frame(raw.CONTINUATION, b"two ", fin=False))
        await peer.send(raw.frame(raw.CONTINUATION, b"three"))
        await peer.receive()

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            heard = Recorder()
            socket = await opened(transport, server.url, heard)
            await heard.until(lambda h: bool(h.messages))
            assert [b"one two three"] == heard.messages
            socket.close()
            await socket.wait_closed()

    run(loop_name, main())


def test_what_we_send_arrives_in_order(transport: str, loop_name: str) -> None:
    got: list[tuple[int, bytes]] = []

    async def serve(peer: Any) -> None:
        for _ in range(3):
            got.append(await peer.receive())

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            socket = await opened(transport, server.url, Recorder())
            for text in ("one", "zwei – 2", "x" * 70_000):
                socket.send(text)
            await socket.wait_closed()
            socket.send("after the end: silently nothing")
            assert [b"one", "zwei – 2".encode(), b"x" * 70_000] == [data for _, data in got]
            assert {raw.TEXT} == {opcode for opcode, _ in got}

    run(loop_name, main())


def test_a_close_by_the_venue_says_its_code(transport: str, loop_name: str) -> None:
    async def serve(peer: Any) -> None:
        await peer.send(raw.frame(raw.CLOSE, (4004).to_bytes(2, "big") + b"No data received"))
        await peer.receive()

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            socket = await opened(transport, server.url, Recorder())
            assert "4004" in await socket.wait_closed()

    run(loop_name, main())


def test_a_cut_connection_ends_the_socket(transport: str, loop_name: str) -> None:
    async def serve(peer: Any) -> None:
        await peer.send(raw.frame(raw.TEXT, b"x"))
        peer.cut()

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            socket = await opened(transport, server.url, Recorder())
            assert "connection lost" == await socket.wait_closed()

    run(loop_name, main())


@pytest.mark.parametrize("fragmented", [False, True])
def test_an_endless_message_ends_the_socket(
    transport: str, loop_name: str, fragmented: bool
) -> None:
    async def serve(peer: Any) -> None:
        if fragmented:
            await peer.send(raw.frame(raw.TEXT, b"x" * 1000, fin=False))
            for _ in range(200):
                await peer.send(raw.frame(raw.CONTINUATION, b"x" * 1000, fin=False))
        else:
            await peer.send(raw.frame(raw.TEXT, b"x" * 200_000))
        await peer.receive()

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            heard = Recorder()
            socket = await opened(transport, server.url, heard, max_frame_bytes=100_000)
            await socket.wait_closed()
            assert [] == heard.messages

    run(loop_name, main())


def test_a_refused_handshake_is_connection_lost(transport: str, loop_name: str) -> None:
    async def serve(peer: Any) -> None:
        raise AssertionError("never reached")

    async def main() -> None:
        async with raw.RawServer(serve, status="503 Service Unavailable") as server:
            with pytest.raises(ConnectionLost, match="ws://127.0.0.1"):
                await opened(transport, server.url, Recorder())

    run(loop_name, main())


def test_nobody_there_is_connection_lost(transport: str, loop_name: str) -> None:
    async def main() -> None:
        async with raw.RawServer(lambda peer: asyncio.sleep(0)) as server:
            url = server.url
        with pytest.raises(ConnectionLost):
            await opened(transport, url, Recorder())

    run(loop_name, main())


def test_a_stalled_handshake_times_out(transport: str, loop_name: str) -> None:
    async def main() -> None:
        async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            ended.set()

        ended = asyncio.Event()
        server = await asyncio.start_server(stall, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionLost, match="not open within 0.2 s"):
            await opened(transport, f"ws://127.0.0.1:{port}/", Recorder(), timeout_s=0.2)
        await ended.wait()
        server.close()

    run(loop_name, main())


def test_the_kernel_probes_the_peer(
    transport: str, loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 31, the kernel's part."""
    found: list[dict[str, int]] = []
    module = import_module(f"spreadscan.net.{transport}_socket")
    real = module.probe_peer

    def noting(tcp: Any) -> None:
        real(tcp)
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        found.append(
            {name: tcp.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names}
            | {"on": tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}
        )

    async def serve(peer: Any) -> None:
        await peer.receive()

    async def main() -> None:
        monkeypatch.setattr(module, "probe_peer", noting)
        async with raw.RawServer(serve) as server:
            client = await opened(transport, server.url, Recorder())
            client.close()
            await client.wait_closed()

    run(loop_name, main())
    (options,) = found
    assert 1 == options["on"]
    probed_for_s = options["TCP_KEEPIDLE"] + options["TCP_KEEPINTVL"] * options["TCP_KEEPCNT"]
    assert 25 == probed_for_s == options["TCP_USER_TIMEOUT"] / 1_000


def test_an_unknown_transport_is_refused() -> None:
    with pytest.raises(ConfigError, match="'carrier pigeon'"):
        run("asyncio", opened("carrier pigeon", "ws://127.0.0.1:1/", Recorder()))  # type: ignore[arg-type]


class TestWithAnIntake:
    """Frames that the intake takes never reach the listener, the others do."""

    @pytest.fixture
    def feed(self, make_instance: Callable[..., Instance]) -> FeedIntake:
        instance = make_instance(n_symbols=64)
        sections = [instance.region(name) for name in ("quotes", "dirty", "health")]
        feed = FeedIntake(*sections, 0)
        feed.add_symbol(3, name="BTCUSDT")
        return feed

    @staticmethod
    def quote(update_id: int) -> bytes:
        return VENUES["binance-spot"].render(Book("BTCUSDT", 1.0, 2.0, 3.0, 4.0, 0, update_id))

    def heard(
        self, transport: str, loop_name: str, feed: FeedIntake, sent: list[bytes],
    ) -> tuple[Recorder, FrameIntake]:  # fmt: skip
        """Send frames in one write, then a last message that the intake does not take."""
        recorder = Recorder()
        intake = FrameIntake(feed, FrameDecoder(VENUES["binance-spot"].schema), 1)

        async def serve(peer: Any) -> None:
            await peer.send(b"".join(sent))
            await peer.receive()

        async def main() -> None:
            async with raw.RawServer(serve) as server:
                socket = await opened(transport, server.url, recorder, intake=intake)
                await recorder.until(lambda r: b"end" in r.messages)
                socket.close()
                await socket.wait_closed()

        run(loop_name, main())
        return recorder, intake

    def test_quotes_go_into_the_table_and_the_rest_to_the_listener(
        self, transport: str, loop_name: str, feed: FeedIntake
    ) -> None:
        before = now_ns()
        frames = [self.quote(1), b'{"result":null,"id":1}', self.quote(2), b"end"]
        sent = [raw.frame(raw.TEXT, f) for f in frames]
        recorder, intake = self.heard(transport, loop_name, feed, sent)
        assert [b'{"result":null,"id":1}', b"end"] == recorder.messages
        assert (2, 2) == (intake.frames, intake.valid)
        assert before < intake.last_quote_ns <= now_ns()
        assert feed.last_recv_ns(3) == intake.last_quote_ns
        assert {intake.last_quote_ns} == set(recorder.stamps)  # one socket read, one receive time

    def test_fragments_are_joined_before_the_intake_looks(
        self, transport: str, loop_name: str, feed: FeedIntake
    ) -> None:
        whole = self.quote(5)
        sent = [
            raw.frame(raw.TEXT, whole[:30], fin=False),
            raw.frame(raw.PING, b""),
            raw.frame(raw.CONTINUATION, whole[30:]),
            raw.frame(raw.TEXT, b"end"),
        ]
        recorder, intake = self.heard(transport, loop_name, feed, sent)
        assert [b"end"] == recorder.messages
        assert 1 == intake.valid
        assert "ping" in [kind for kind, _ in recorder.events]

    def test_a_read_that_ends_in_a_ping_wakes_the_engine(
        self, transport: str, loop_name: str, feed: FeedIntake,
        make_instance: Callable[..., Instance],
    ) -> None:  # fmt: skip
        instance = make_instance(n_symbols=64, force=True)
        feed = FeedIntake(*[instance.region(name) for name in ("quotes", "dirty", "health")], 0)
        feed.add_symbol(3, name="BTCUSDT")
        intake = FrameIntake(feed, FrameDecoder(VENUES["binance-spot"].schema), 1)

        async def serve(peer: Any) -> None:
            await peer.send(raw.frame(raw.TEXT, self.quote(1)) + raw.frame(raw.PING, b"x"))
            await peer.receive()  # our pong
            await peer.send(raw.frame(raw.CLOSE, b""))

        async def main() -> None:
            async with raw.RawServer(serve) as server:
                recorder = Sinking(feed)
                socket = await opened(transport, server.url, recorder, intake=intake)
                await socket.wait_closed()

        run(loop_name, main())
        assert [None] != instance.health.quantiles([0], [0.5])  # the flush tells the age


class Sinking(Recorder):
    """A listener that flushes as a feed does, for the transport that asks it to."""

    def __init__(self, feed: FeedIntake) -> None:
        super().__init__()
        self._feed = feed

    def on_flush(self) -> None:
        self._feed.flush(now_ns())
