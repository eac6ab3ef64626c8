"""WebSocket client transports behind one small interface: picows and aiohttp.

Both give a listener whole messages with the time the socket was read, one flush after the last
message of a socket read (aiohttp: of a loop turn), and answer pings themselves.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Literal, Protocol

import aiohttp
import picows

from spreadscan.clock import now_ns
from spreadscan.errors import ConfigError, ConnectionLost

TransportName = Literal["picows", "aiohttp"]


class Listener(Protocol):
    """What a transport calls; none of these may block or raise."""

    def on_message(self, payload: bytes, recv_ns: int) -> None:
        """One whole text or binary message; recv_ns is when its socket read began."""

    def on_ping(self, recv_ns: int) -> None:
        """The peer pinged (already answered) or ponged."""

    def on_flush(self) -> None:
        """The last message of this socket read has been given."""


class Socket(Protocol):
    """An open WebSocket."""

    def send(self, text: str) -> None:
        """Send one text message; silently nothing once closed."""

    def close(self) -> None:
        """Begin to close; wait_closed() ends soon after."""

    async def wait_closed(self) -> str:
        """Return why the socket closed, in words, once it has."""


async def connect(
    transport: TransportName,
    url: str,
    listener: Listener,
    *,
    timeout_s: float,
    max_frame_bytes: int,
) -> Socket:
    """Open a WebSocket. Raises ConnectionLost when it does not open within timeout_s."""
    opener = _OPENERS.get(transport)
    if opener is None:
        raise ConfigError(f"transport: {transport!r}, expected {' or '.join(_OPENERS)}")
    try:
        return await opener(url, listener, timeout_s, max_frame_bytes)
    except TimeoutError:
        raise ConnectionLost(f"{url}: not open within {timeout_s:g} s") from None
    except (OSError, aiohttp.ClientError, picows.WSError) as error:
        raise ConnectionLost(f"{url}: {str(error) or type(error).__name__}") from None


class PicowsSocket(picows.WSListener):  # type: ignore[misc]  # the package ships no base type
    """picows: every frame is a callback out of the read, with the read's last one marked."""

    def __init__(self, listener: Listener, max_frame_bytes: int) -> None:
        self._listener = listener
        self._max = max_frame_bytes
        self._transport: Any = None
        self._parts: list[bytes] = []
        self._recv_ns = 0  # 0: the next frame is the first of its socket read
        self._closing = ""
        self._is_closed = False

    def on_ws_connected(self, transport: Any) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: Any, frame: Any) -> None:
        if not self._recv_ns:
            self._recv_ns = now_ns()
        kind = frame.msg_type
        if kind == picows.WSMsgType.TEXT or kind == picows.WSMsgType.BINARY:
            if frame.payload_size > self._max:
                # picows is closing for it, but still delivers it when the rest comes first
                self._closing = f"a message above {self._max} bytes"
            elif frame.fin:
                self._listener.on_message(frame.get_payload_as_bytes(), self._recv_ns)
            else:
                self._parts = [frame.get_payload_as_bytes()]
        elif kind == picows.WSMsgType.CONTINUATION:
            self._join(frame)
        elif kind == picows.WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
            self._listener.on_ping(self._recv_ns)
        elif kind == picows.WSMsgType.PONG:
            self._listener.on_ping(self._recv_ns)
        elif kind == picows.WSMsgType.CLOSE:
            reason = frame.get_close_message()
            text = reason.decode("utf-8", "replace") if reason else ""
            self._closing = f"closed by the venue ({int(frame.get_close_code())} {text})".strip()
            transport.send_close(frame.get_close_code())
            transport.disconnect()
        # on every kind of frame: a ping that ends a read must not swallow the flush
        if frame.last_in_buffer:
            self._recv_ns = 0
            self._listener.on_flush()

    def _join(self, frame: Any) -> None:
        self._parts.append(frame.get_payload_as_bytes())
        if sum(map(len, self._parts)) > self._max:
            self._closing = f"a message above {self._max} bytes"
            self._parts = []
            self._transport.disconnect(False)
        elif frame.fin:
            self._listener.on_message(b"".join(self._parts), self._recv_ns)
            self._parts = []

    def on_ws_disconnected(self, transport: Any) -> None:
        self._is_closed = True

    def send(self, text: str) -> None:
        if not self._is_closed:
            self._transport.send(picows.WSMsgType.TEXT, text.encode())

    def close(self) -> None:
        if not self._is_closed:
            self._closing = self._closing or "closed by us"
            self._transport.send_close(picows.WSCloseCode.OK)
            self._transport.disconnect()

    async def wait_closed(self) -> str:
        try:
            await self._transport.wait_disconnected()
        except (picows.WSError, OSError) as error:
            return self._closing or f"connection lost ({error})"
        return self._closing or "connection lost"


class AiohttpSocket:
    """aiohttp: a task takes messages off its queue; one flush per turn of the loop."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._session: aiohttp.ClientSession
        self._ws: aiohttp.ClientWebSocketResponse
        self._task: asyncio.Task[str]
        self._sends: set[asyncio.Task[None]] = set()
        self._recv_ns = 0
        self._closing = ""

    async def open(self, url: str, max_frame_bytes: int) -> None:
        self._session = aiohttp.ClientSession()
        try:
            self._ws = await self._session.ws_connect(
                url, autoping=False, autoclose=True, max_msg_size=max_frame_bytes, compress=0
            )
        except BaseException:
            await self._session.close()
            raise
        self._task = asyncio.create_task(self._read())

    async def _read(self) -> str:
        try:
            async for message in self._ws:
                if not self._recv_ns:
                    self._recv_ns = now_ns()
                    asyncio.get_running_loop().call_soon(self._flush)
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._listener.on_message(message.data.encode(), self._recv_ns)
                elif message.type is aiohttp.WSMsgType.BINARY:
                    self._listener.on_message(message.data, self._recv_ns)
                elif message.type is aiohttp.WSMsgType.PING:
                    self._spawn(self._ws.pong(message.data))
                    self._listener.on_ping(self._recv_ns)
                elif message.type is aiohttp.WSMsgType.PONG:
                    self._listener.on_ping(self._recv_ns)
        finally:
            await self._ws.close()
            await self._session.close()
        code = self._ws.close_code
        return self._closing or (
            f"closed by the venue ({code})" if code and code != 1006 else "connection lost"
        )

    def _flush(self) -> None:
        self._recv_ns = 0
        self._listener.on_flush()

    def _spawn(self, sending: Any) -> None:
        async def send() -> None:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await sending  # a socket that closed meanwhile tells it through wait_closed

        task = asyncio.create_task(send())
        self._sends.add(task)
        task.add_done_callback(self._sends.discard)

    def send(self, text: str) -> None:
        if not self._task.done():
            self._spawn(self._ws.send_str(text))

    def close(self) -> None:
        if not self._task.done():
            self._closing = self._closing or "closed by us"
            self._spawn(self._ws.close())

    async def wait_closed(self) -> str:
        return await asyncio.shield(self._task)


async def _open_picows(
    url: str, listener: Listener, timeout_s: float, max_frame_bytes: int
) -> Socket:
    # Cancelled in its handshake, picows leaves the TCP connection open (2.3.1); its own time-out
    # closes it. So it is never cancelled: what opens too late is closed when it has opened.
    opening = asyncio.ensure_future(
        picows.ws_connect(
            lambda: PicowsSocket(listener, max_frame_bytes),
            url,
            enable_auto_pong=False,
            enable_auto_ping=False,
            max_frame_size=max_frame_bytes,
            websocket_handshake_timeout=timeout_s,
            logger_name="client",
        )
    )
    try:
        async with asyncio.timeout(timeout_s):
            _, socket = await asyncio.shield(opening)
    except (TimeoutError, asyncio.CancelledError):
        opening.add_done_callback(_close_late)
        raise
    assert isinstance(socket, PicowsSocket)
    return socket


def _close_late(opening: "asyncio.Future[Any]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[1].close()


async def _open_aiohttp(
    url: str, listener: Listener, timeout_s: float, max_frame_bytes: int
) -> Socket:
    socket = AiohttpSocket(listener)
    async with asyncio.timeout(timeout_s):
        await socket.open(url, max_frame_bytes)
    return socket


_OPENERS: dict[str, Callable[[str, Listener, float, int], Any]] = {
    "picows": _open_picows,
    "aiohttp": _open_aiohttp,
}
