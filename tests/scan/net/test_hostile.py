"""A peer that sends more than it may, or reads nothing: bounded in memory, named, cut off.

The same for both transports. The peer is a thread of its own, as fast as it can be.
"""

import asyncio
import os
import resource
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvloop

from scan.feeds.kit import until
from scan.net import raw_server as raw
from spreadscan.clock import now_ns
from spreadscan.errors import ConnectionLost, Misbehaved
from spreadscan.net.transport import Socket, connect

TRANSPORTS = ("picows", "aiohttp")
MB = 1 << 20
MOST_MB = 24  # that a peer may cost us, whatever it sends


class Quiet:
    """A listener that only counts."""

    def __init__(self) -> None:
        self.messages = self.pings = 0

    def on_message(self, payload: bytes, recv_ns: int) -> None:
        self.messages += 1

    def on_ping(self, recv_ns: int) -> None:
        self.pings += 1

    def on_flush(self) -> None:
        pass


@contextmanager
def peer(
    send: Callable[[socket.socket], None], answer: bytes = b"", kept_bytes: int = 0
) -> Iterator[str]:
    """Serve one connection from a thread with blocking calls; give its URL.

    answer: in place of a good one to the handshake. kept_bytes: that the kernel keeps of what we
    send. Whatever the peer's socket raises is the end of it: a test cuts it off.
    """
    listening = socket.create_server(("127.0.0.1", 0))
    if kept_bytes:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, kept_bytes)

    def serve() -> None:
        try:
            opened, _ = listening.accept()
            with opened:
                request = b""
                while b"\r\n\r\n" not in request:
                    request += opened.recv(4096)
                opened.sendall(answer or raw.accepting(request))
                send(opened)
        except OSError:
            pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"ws://127.0.0.1:{listening.getsockname()[1]}/ws"
        thread.join(10)
        assert not thread.is_alive()  # it was cut off
    finally:
        listening.close()


def for_ever(data: bytes) -> Callable[[socket.socket], None]:
    def send(opened: socket.socket) -> None:
        while True:
            opened.sendall(data)

    return send


def run(main: Any) -> Any:
    async def watched() -> Any:
        async with asyncio.timeout(20):
            return await main

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(watched())
        runner.run(asyncio.sleep(0.1))  # what is to be closed is closed by then
        return found


async def opened(transport: str, url: str, heard: Quiet, **options: Any) -> Socket:
    settings = {"timeout_s": 5.0, "max_frame_bytes": MB} | options
    return await connect(transport, url, heard, **settings)  # type: ignore[arg-type]


def resident_mb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / MB


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


BEGUN = raw.frame(raw.TEXT, b"x", fin=False)


@pytest.mark.parametrize(
    ("first", "then", "said"),
    [
        (BEGUN, raw.frame(raw.CONTINUATION, b"x" * 1000, fin=False) * 64, "above 1,048,576 bytes"),
        (b"\x81\x7f" + struct.pack(">Q", 1 << 30), b"x" * 65_536, "above 1,048,576 bytes"),
        (BEGUN, raw.frame(raw.TEXT, b"another", fin=False), ""),
        (b"", raw.frame(raw.CONTINUATION, b"x"), ""),
        (b"", b"\x83\x01x", "opcode"),
    ],
    ids=["endless", "a gigabyte", "within another", "never begun", "reserved opcode"],
)
def test_what_no_peer_may_send_is_cut_off_and_named(
    transport: str, first: bytes, then: bytes, said: str
) -> None:
    async def main(url: str) -> None:
        heard, before = Quiet(), resident_mb()
        client = await opened(transport, url, heard)
        with pytest.raises(Misbehaved, match=f"^cut off: .*{said}"):
            await client.wait_closed()
        assert 0 == heard.messages
        assert resident_mb() - before < MOST_MB

    def send(to: socket.socket) -> None:
        to.sendall(first)
        for_ever(then)(to)

    with peer(send) as url:
        run(main(url))


@pytest.mark.parametrize("payload", [b"", b"x"], ids=["empty", "tiny"])
def test_fragments_without_an_end_cost_no_memory_and_leave_room_for_a_signal(
    transport: str, payload: bytes
) -> None:
    """picows cuts off by their number; with aiohttp bytes alone count, and deadlines are left."""
    flood = raw.frame(raw.CONTINUATION, payload, fin=False) * 20_000

    async def main(url: str) -> None:
        before, ended = resident_mb(), asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        client = await opened(transport, url, Quiet())
        if transport == "picows":
            with pytest.raises(Misbehaved, match="cut off: a message of more than 4,096 fragments"):
                await client.wait_closed()
        else:
            await asyncio.sleep(0.5)
        os.kill(os.getpid(), signal.SIGTERM)
        await ended.wait()
        client.close()
        await asyncio.gather(client.wait_closed(), return_exceptions=True)
        assert resident_mb() - before < MOST_MB

    def send(to: socket.socket) -> None:
        to.sendall(BEGUN)
        for_ever(flood)(to)

    with peer(send) as url:
        run(main(url))


def test_pongs_that_are_not_read_are_kept_within_bounds(transport: str) -> None:
    flood = raw.frame(raw.PING, b"x" * 125) * 500

    async def main(url: str) -> None:
        before, heard = resident_mb(), Quiet()
        client = await opened(transport, url, heard)
        await until(lambda: heard.pings > 100_000)  # 13 MB
        assert resident_mb() - before < 8
        client.close()
        await asyncio.gather(client.wait_closed(), return_exceptions=True)

    with peer(for_ever(flood), kept_bytes=4096) as url:
        run(main(url))


def test_the_newest_ping_is_answered_once_the_peer_reads(transport: str) -> None:
    stuck, read = threading.Event(), bytearray()

    def send(to: socket.socket) -> None:
        while not stuck.is_set():
            to.sendall(raw.frame(raw.PING, b"x" * 125) * 3)
        to.sendall(raw.frame(raw.PING, b"last"))
        to.settimeout(5)
        while b"last" != unmasked(read[-8:-4], read[-4:]):
            read.extend(to.recv(65_536))

    async def main(url: str) -> None:
        client = await opened(transport, url, Quiet())
        await until(lambda: now_ns() - (client.unread_ns or now_ns()) > 100_000_000)
        stuck.set()
        await asyncio.gather(client.wait_closed(), return_exceptions=True)

    with peer(send, kept_bytes=4096) as url:
        run(main(url))
    assert b"last" == unmasked(read[-8:-4], read[-4:])


def unmasked(mask: bytes, data: bytes) -> bytes:
    return bytes(c ^ mask[i] for i, c in enumerate(data) if len(mask) == 4)


@pytest.mark.parametrize(
    ("answer", "drip"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\n", b"X-Y: z\r\n"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100000000\r\n\r\n", b"x"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
        (b"", b""),
    ],
    ids=["headers", "page", "hints", "nothing"],
)
def test_a_handshake_that_never_ends_is_given_up(
    transport: str, answer: bytes, drip: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def main(url: str) -> None:
        before = resident_mb()
        with pytest.raises(ConnectionLost):
            await opened(transport, url, Quiet(), timeout_s=0.5)
        assert resident_mb() - before < MOST_MB

    def send(to: socket.socket) -> None:
        while True:
            to.sendall(drip or b"")
            time.sleep(0.01)
            if not drip and not to.recv(1):
                return

    with peer(send, answer=answer or b"H") as url:
        run(main(url))
    assert [] == [record for record in caplog.records if record.levelname == "ERROR"]
