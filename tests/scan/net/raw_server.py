"""A WebSocket server by hand: it sends exactly the bytes a test wants, in the reads it wants."""

import asyncio
import base64
import hashlib
import ssl
import struct
from collections.abc import Awaitable, Callable, Sequence

TEXT, BINARY, CLOSE, PING, PONG, CONTINUATION = 1, 2, 8, 9, 10, 0


def frame(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    """Return one unmasked server frame."""
    head = bytes([(0x80 if fin else 0) | opcode])
    n = len(payload)
    if n < 126:
        head += bytes([n])
    elif n < 65536:
        head += b"\x7e" + struct.pack(">H", n)
    else:
        head += b"\x7f" + struct.pack(">Q", n)
    return head + payload


def accepting(request: bytes, status: str = "101 Switching Protocols") -> bytes:
    """Return the head of an answer to a handshake; with another status, of a refusal."""
    key = next(
        line.split(b":", 1)[1].strip()
        for line in request.split(b"\r\n")
        if line.lower().startswith(b"sec-websocket-key")
    )
    guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    accept = base64.b64encode(hashlib.sha1(key + guid).digest())
    return (
        b"HTTP/1.1 " + status.encode() + b"\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )


class Peer:
    """The server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        """Return (opcode, unmasked payload) of the next client frame."""
        first, second = await self._reader.readexactly(2)
        n = second & 0x7F
        if n == 126:
            (n,) = struct.unpack(">H", await self._reader.readexactly(2))
        elif n == 127:
            (n,) = struct.unpack(">Q", await self._reader.readexactly(8))
        assert second & 0x80, "client frames are masked"
        mask = await self._reader.readexactly(4)
        data = await self._reader.readexactly(n)
        return first & 0x0F, bytes(b ^ mask[i % 4] for i, b in enumerate(data))

    def read_no_more(self) -> None:
        """Leave unread what the client sends from now on."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    def cut(self) -> None:
        """Drop the TCP connection without a close frame."""
        self._writer.transport.abort()


Handler = Callable[[Peer], Awaitable[None]]


class RawServer:
    """Serves `handler` for each connection on a loopback port of its own."""

    def __init__(
        self,
        handler: Handler,
        *,
        status: str = "101 Switching Protocols",
        page: Sequence[bytes] = (),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._tls = tls
        self._handler = handler
        self._status = status
        self._page = page  # of a refusal, each part in a socket read of its own
        self._server: asyncio.Server
        self._serving: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> "RawServer":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"ws{'s' if self._tls else ''}://127.0.0.1:{port}/ws"
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._serving.add(task)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            writer.write(accepting(request, self._status))
            await writer.drain()
            for part in self._page:
                await asyncio.sleep(0.05)
                writer.write(part)
                await writer.drain()
            if self._page:
                await reader.read()  # the client closes
            if self._status.startswith("101"):
                await self._handler(Peer(reader, writer))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away, which tests do on purpose
        finally:
            writer.transport.abort()
            await asyncio.sleep(0)
