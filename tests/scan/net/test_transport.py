"""One suite for both transports, against a server that sends exactly these bytes."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme
from spreadcore import Instance
from spreadcore.frames import LinkIntake
from spreadcore.intake import SourceIntake
from spreadcore.wire.decoder import FrameDecoder

from scan.net import raw_server as raw
from spreadscan.clock import now_ns
from spreadscan.errors import (
    ConfigError,
    ConnectionLost,
    Misbehaved,
    NoAddress,
    NotTrusted,
    RateLimited,
    RegionBlocked,
    VenueDown,
)
from spreadscan.net import addresses
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


def test_nothing_is_taken_after_our_close(transport: str, loop_name: str) -> None:
    """Else a socket that was relieved would take its pairs back, and empty them as it ends."""

    async def serve(peer: Any) -> None:
        await peer.receive()
        await peer.send(b"".join(raw.frame(raw.TEXT, b"%d" % i) for i in range(50)))
        await peer.send(raw.frame(raw.TEXT, b"late"))
        await peer.receive()

    class Closes(Recorder):
        socket: Any = None

        def on_message(self, payload: bytes, recv_ns: int) -> None:
            super().on_message(payload, recv_ns)
            if payload == b"20":
                self.socket.close()

    async def main() -> None:
        heard = Closes()
        async with raw.RawServer(serve) as server:
            heard.socket = await opened(transport, server.url, heard)
            heard.socket.send("go")
            await heard.socket.wait_closed()
        assert [b"%d" % i for i in range(21)] == heard.messages

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
            with pytest.raises(Misbehaved, match="cut off: a message above 100,000 bytes"):
                await socket.wait_closed()
            assert [] == heard.messages

    run(loop_name, main())


HTML = "Content-Type: text/html"


@pytest.mark.parametrize(
    ("status", "error", "after_s"),
    [
        ("429 Slow\r\nRetry-After: 7", RateLimited, 7.0),
        ("418 Teapot\r\nRetry-After: 120", RateLimited, 120.0),
        (f"429 Slow\r\nRetry-After: 7\r\n{HTML}", RateLimited, 7.0),
        ("403 Forbidden", RateLimited, 60.0),
        (f"403 Forbidden\r\n{HTML}", RateLimited, 60.0),
        ("451 Unavailable", RegionBlocked, None),
        ("503 Service Unavailable", VenueDown, 0.0),
        (f"503 Busy\r\n{HTML}", VenueDown, 0.0),
        ("404 Not Found", ConnectionLost, 0.0),
        ("301 Moved\r\nLocation: ws://127.0.0.1:1/", ConnectionLost, 0.0),
        ("200 OK", ConnectionLost, 0.0),
    ],
)
def test_a_refused_handshake_says_what_to_do_next(
    transport: str, loop_name: str, status: str, error: type[Exception], after_s: float | None
) -> None:
    async def serve(peer: Any) -> None:
        raise AssertionError("never reached")

    async def main() -> None:
        async with raw.RawServer(serve, status=status) as server:
            with pytest.raises(error, match="ws://127.0.0.1.*HTTP ") as caught:
                await opened(transport, server.url, Recorder())
        assert error is type(caught.value)
        assert after_s == getattr(caught.value, "after_s", None)
        assert error is not RegionBlocked or "ws_url under [venues]" in str(caught.value)

    run(loop_name, main())


COUNTRY = b"<html>This is configured to block access from your country.</html>"
BUSY = b"<html>Too much traffic or a configuration error. Try again later.</html>"


def chunks(*parts: bytes) -> tuple[bytes, ...]:
    return *(b"%x\r\n%b\r\n" % (len(part), part) for part in parts), b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "page", "error"),
    [
        (f"Content-Length: {len(COUNTRY)}", (COUNTRY,), RegionBlocked),
        (f"Content-Length: {len(COUNTRY)}", (COUNTRY[:50], COUNTRY[50:]), RegionBlocked),
        ("Transfer-Encoding: chunked", chunks(COUNTRY[:50], COUNTRY[50:]), RegionBlocked),
        (f"Content-Length: {len(BUSY)}", (BUSY,), RateLimited),
        ("Content-Length: 40000", (b" " * 200 + COUNTRY + b"x" * 14_000,), RegionBlocked),
        ("Content-Length: 40000", (COUNTRY,), RegionBlocked),  # the rest never comes
        ("Content-Length: 40000", (b"",), RateLimited),
    ],
    ids=["late", "in two", "chunked", "busy", "long", "cut", "never"],
)
def test_the_page_of_a_refusal_is_waited_for_and_read(
    transport: str, loop_name: str, head: str, page: tuple[bytes, ...], error: type[Exception]
) -> None:
    async def serve(peer: Any) -> None:
        raise AssertionError("never reached")

    async def main() -> None:
        status = f"403 Forbidden\r\n{HTML}\r\n{head}"
        async with raw.RawServer(serve, status=status, page=page) as server:
            with pytest.raises(error, match="HTTP 403"):
                await opened(transport, server.url, Recorder())

    run(loop_name, main())


def test_quotes_that_come_with_the_answer_are_not_lost(transport: str, loop_name: str) -> None:
    async def serve(peer: Any) -> None:
        await peer.receive()

    async def main() -> None:
        page = (raw.frame(raw.TEXT, b"first"),)
        async with raw.RawServer(serve, page=page) as server:
            heard = Recorder()
            socket = await opened(transport, server.url, heard)
            await heard.until(lambda h: [b"first"] == h.messages)
            socket.close()
            await socket.wait_closed()

    run(loop_name, main())


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"", ("", "03e8")),
        ((1012).to_bytes(2, "big") + b"service restart", ("03f4", "03e8")),
        ((4004).to_bytes(2, "big") + b"No data", ("0fa4", "03e8")),
        ((1006).to_bytes(2, "big"), ("03ea", "03e8")),
        ((1005).to_bytes(2, "big"), ("03ea",)),
        ((0).to_bytes(2, "big"), ("03ea", "03e8")),
        ((999).to_bytes(2, "big"), ("03ea",)),
        (b"\x03", ("03ea",)),
    ],
    ids=["none", "1012", "4004", "1006", "1005", "0", "999", "one byte"],
)
def test_a_close_is_answered_with_what_may_stand_on_the_wire(
    transport: str, loop_name: str, sent: bytes, answered: tuple[str, ...]
) -> None:
    answers: list[str] = []

    async def serve(peer: Any) -> None:
        await peer.send(raw.frame(raw.CLOSE, sent))
        while True:
            opcode, data = await peer.receive()
            if opcode == raw.CLOSE:
                answers.append(data[:2].hex())
                return

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            socket = await opened(transport, server.url, Recorder())
            try:
                words.append(await socket.wait_closed())
            except Misbehaved as error:  # a code that must not stand on the wire
                words.append(str(error))

    words: list[str] = []
    run(loop_name, main())
    assert 1 == len(answers)
    assert answers[0] in answered
    assert "0000" != answers[0]
    if not sent:
        assert ["closed by the venue (without a code)"] == words
    elif sent[0] >= 3 and answers[0] != "03ea":
        code, text = int.from_bytes(sent[:2], "big"), sent[2:].decode()
        assert [f"closed by the venue ({code} {text})"] == words or code == 1006


def test_a_close_for_too_many_requests_is_a_limit(transport: str, loop_name: str) -> None:
    async def serve(peer: Any) -> None:
        await peer.send(raw.frame(raw.CLOSE, (1008).to_bytes(2, "big") + b"Too many requests"))
        await peer.receive()

    async def main() -> None:
        async with raw.RawServer(serve) as server:
            socket = await opened(transport, server.url, Recorder())
            with pytest.raises(RateLimited, match=r"closed by the venue \(1008 Too many") as caught:
                await socket.wait_closed()
        assert (60.0, True, 1) == (caught.value.after_s, caught.value.grows, caught.value.free)

    run(loop_name, main())


def test_a_name_without_an_address_is_told_as_such(transport: str, loop_name: str) -> None:
    async def main() -> None:
        with pytest.raises(NoAddress, match="DNS"):
            await opened(transport, "ws://no-such-host.invalid/", Recorder())

    run(loop_name, main())


def test_nobody_there_is_connection_lost(transport: str, loop_name: str) -> None:
    async def main() -> None:
        async with raw.RawServer(lambda peer: asyncio.sleep(0)) as server:
            url = server.url
        with pytest.raises(ConnectionLost):
            await opened(transport, url, Recorder())

    run(loop_name, main())


def test_a_name_that_resolves_no_more_is_reached_where_it_was(
    transport: str, loop_name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with raw.RawServer(lambda peer: peer.send(raw.frame(raw.TEXT, b"here"))) as server:
            port = urlsplit(server.url).port
            addresses.remember("ws://venue.invalid", ("127.0.0.1", port))
            heard = Recorder()
            socket = await opened(transport, f"ws://venue.invalid:{port}/ws", heard)
            await heard.until(lambda r: bool(r.messages))
            assert [b"here"] == heard.messages
            socket.close()
            await socket.wait_closed()
        with pytest.raises(ConnectionLost):  # nobody there any more
            await opened(transport, f"ws://venue.invalid:{port}/ws", Recorder())

    run(loop_name, main())
    assert "name does not resolve" in {r.getMessage() for r in caplog.records}


def test_where_a_socket_went_is_kept_by_name(
    transport: str, loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: dict[str, str] = {}
    monkeypatch.setattr(addresses, "_last_good", kept)

    async def main() -> None:
        async with raw.RawServer(lambda peer: asyncio.sleep(0)) as server:
            url = server.url.replace("127.0.0.1", "localhost")
            await (await opened(transport, url, Recorder())).wait_closed()
        assert {"localhost"} == set(kept)
        assert kept["localhost"] in ("127.0.0.1", "::1")

    run(loop_name, main())


def test_a_slow_resolver_times_out(transport: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With asyncio's loop; uvloop asks the system's resolver in C."""
    held = threading.Event()

    async def main() -> None:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: held.wait(10))
        try:
            with pytest.raises(ConnectionLost, match="not open within 0.2 s"):
                await opened(transport, "ws://venue.invalid/", Recorder(), timeout_s=0.2)
        finally:
            monkeypatch.undo()
            held.set()

    run("asyncio", main())


def test_a_stalled_tls_handshake_times_out(transport: str, loop_name: str) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            ended.set()

        server = await asyncio.start_server(stall, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionLost, match="not open within 0.2 s"):
            await opened(transport, f"wss://127.0.0.1:{port}/", Recorder(), timeout_s=0.2)
        await ended.wait()  # the connection is given up, not only waited for no longer
        server.close()

    run(loop_name, main())


def certificate(authority: trustme.CA, kind: str) -> ssl.SSLContext:
    """Return a server's context whose certificate is good, or not in the way named."""
    past = datetime.now(UTC) - timedelta(days=1)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made = {
        "good": lambda: authority.issue_cert("127.0.0.1"),
        "expired": lambda: authority.issue_cert("127.0.0.1", not_after=past),
        "another host's": lambda: authority.issue_cert("venue.example.com"),
        "not of our authority": lambda: trustme.CA().issue_cert("127.0.0.1"),
    }
    made[kind]().configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("expired", "certificate has expired"),
        ("another host's", "mismatch"),
        ("not of our authority", "unable to get local issuer certificate"),
        ("good", ""),
    ],
)
def test_a_certificate_that_is_not_good_is_refused_and_named(
    transport: str,
    loop_name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    said: str,
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    # aiohttp makes its context when it is imported
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", ssl.create_default_context())

    async def main() -> None:
        async with raw.RawServer(
            lambda peer: peer.send(raw.frame(raw.TEXT, b"here")), tls=certificate(authority, kind)
        ) as server:
            heard = Recorder()
            if said:
                with pytest.raises(NotTrusted, match=f"TLS: .*{said}"):
                    await opened(transport, server.url, heard)
                return
            socket = await opened(transport, server.url, heard)
            await heard.until(lambda r: bool(r.messages))
            socket.close()
            await socket.wait_closed()

    run(loop_name, main())


def test_a_peer_without_tls_is_not_trusted(transport: str, loop_name: str) -> None:
    async def main() -> None:
        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            await reader.read()
            writer.close()
            ended.set()

        ended = asyncio.Event()
        server = await asyncio.start_server(plain, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NotTrusted, match="TLS"):
            await opened(transport, f"wss://127.0.0.1:{port}/", Recorder())
        await ended.wait()
        server.close()

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


def test_the_kernel_probes_the_peer_and_keeps_little(
    transport: str, loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scenario 31, the kernel's part."""
    found: list[dict[str, int]] = []
    module = import_module(f"spreadscan.net.{transport}_socket")
    real = module.set_options

    def noting(tcp: Any) -> None:
        real(tcp)
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT")
        found.append(
            {name: tcp.getsockopt(socket.IPPROTO_TCP, getattr(socket, name)) for name in names}
            | {"kept_bytes": tcp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)}
            | {"on": tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)}
        )

    async def serve(peer: Any) -> None:
        await peer.receive()

    async def main() -> None:
        monkeypatch.setattr(module, "set_options", noting)
        async with raw.RawServer(serve) as server:
            client = await opened(transport, server.url, Recorder())
            client.close()
            await client.wait_closed()

    run(loop_name, main())
    (options,) = found
    assert 1 == options["on"]
    assert options["kept_bytes"] <= 512 * 1024
    probed_for_s = options["TCP_KEEPIDLE"] + options["TCP_KEEPINTVL"] * options["TCP_KEEPCNT"]
    assert 25 == probed_for_s == options["TCP_USER_TIMEOUT"] / 1_000


def test_an_unknown_transport_is_refused() -> None:
    with pytest.raises(ConfigError, match="'carrier pigeon'"):
        run("asyncio", opened("carrier pigeon", "ws://127.0.0.1:1/", Recorder()))  # type: ignore[arg-type]


class TestWithAnIntake:
    """Frames that the intake takes never reach the listener, the others do."""

    @pytest.fixture
    def feed(self, make_instance: Callable[..., Instance]) -> SourceIntake:
        instance = make_instance(n_symbols=64)
        sections = [instance.region(name) for name in ("quotes", "dirty", "health")]
        feed = SourceIntake(*sections, 0)
        feed.add_symbol(3, name="BTCUSDT")
        return feed

    @staticmethod
    def quote(update_id: int) -> bytes:
        return VENUES["binance-spot"].render(Book("BTCUSDT", 1.0, 2.0, 3.0, 4.0, 0, update_id))

    def heard(
        self, transport: str, loop_name: str, feed: SourceIntake, sent: list[bytes],
    ) -> tuple[Recorder, LinkIntake]:  # fmt: skip
        """Send frames in one write, then a last message that the intake does not take."""
        recorder = Recorder()
        intake = LinkIntake(feed, FrameDecoder(VENUES["binance-spot"].schema), 1)

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
        self, transport: str, loop_name: str, feed: SourceIntake
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
        self, transport: str, loop_name: str, feed: SourceIntake
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
        self, transport: str, loop_name: str, feed: SourceIntake,
        make_instance: Callable[..., Instance],
    ) -> None:  # fmt: skip
        instance = make_instance(n_symbols=64, force=True)
        feed = SourceIntake(*[instance.region(name) for name in ("quotes", "dirty", "health")], 0)
        feed.add_symbol(3, name="BTCUSDT")
        intake = LinkIntake(feed, FrameDecoder(VENUES["binance-spot"].schema), 1)

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

    def __init__(self, feed: SourceIntake) -> None:
        super().__init__()
        self._feed = feed

    def on_flush(self) -> None:
        self._feed.flush(now_ns())
