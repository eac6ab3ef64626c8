"""The picows transport: every frame is a callback out of the read, the last one marked."""

import asyncio
from typing import Any

import picows

from spreadscan.clock import now_ns
from spreadscan.errors import ConnectionLost
from spreadscan.net.transport import Listener, Socket


class PicowsSocket(picows.WSListener):
    """One open socket; made by open_socket()."""

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


async def open_socket(
    url: str, listener: Listener, timeout_s: float, max_frame_bytes: int
) -> Socket:
    """Open one. ConnectionLost where the handshake fails; OSError, TimeoutError as they come."""
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
    except picows.WSError as error:
        raise ConnectionLost(f"{url}: {error}") from None
    assert isinstance(socket, PicowsSocket)
    return socket


def _close_late(opening: "asyncio.Future[Any]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[1].close()
