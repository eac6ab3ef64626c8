"""The picows transport: frames go from the socket read straight into the compiled listener."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import picows
from spreadcore.frames import FrameIntake
from spreadcore.listener import FrameListener

from spreadscan.errors import ConnectionLost, SpreadError
from spreadscan.net.addresses import connected, last_good, remember
from spreadscan.net.refusals import refusal
from spreadscan.net.transport import Listener, Socket, set_options


class PicowsSocket:
    """One open socket; made by open_socket()."""

    def __init__(self, transport: picows.WSTransport, frames: FrameListener) -> None:
        self._transport = transport
        self._frames = frames

    def send(self, text: str) -> None:
        if not self._frames.closed:
            self._transport.send(picows.WSMsgType.TEXT, text.encode())

    def close(self) -> None:
        if not self._frames.closed:
            self._frames.close_for("closed by us")
            self._transport.send_close(picows.WSCloseCode.OK)
            self._transport.disconnect()

    async def wait_closed(self) -> str:
        try:
            await self._transport.wait_disconnected()
        except (picows.WSError, OSError) as error:
            return self._frames.closing or f"connection lost ({error})"
        return self._frames.closing or "connection lost"


async def open_socket(
    url: str,
    listener: Listener,
    timeout_s: float,
    max_frame_bytes: int,
    intake: FrameIntake | None,
) -> Socket:
    """Open one. ConnectionLost or a refusal; OSError, TimeoutError as they come."""
    # Cancelled in its handshake, picows leaves the TCP connection open (2.3.1); its own time-out
    # closes it. So it is never cancelled: what opens too late is closed when it has opened.
    opening = asyncio.ensure_future(
        _connect(
            lambda: FrameListener(listener, max_frame_bytes, intake),
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
            transport, frames = await asyncio.shield(opening)
    except (TimeoutError, asyncio.CancelledError):
        opening.add_done_callback(_close_late)
        raise
    except picows.WSError as error:
        raise _refused(url, error) or ConnectionLost(f"{url}: {error}") from None
    remember(url, transport.underlying_transport.get_extra_info("peername"))
    assert isinstance(frames, FrameListener)
    set_options(transport.underlying_transport.get_extra_info("socket"))
    return PicowsSocket(transport, frames)


async def _connect(
    make: Callable[[], FrameListener], url: str, **options: Any
) -> tuple[picows.WSTransport, picows.WSListener]:
    """Connect; where the name does not resolve, to the address that it was reached at last."""
    parts = urlsplit(url)
    if parts.scheme == "wss":  # else a peer that stalls in TLS holds the connection for a minute
        options["ssl_handshake_timeout"] = options["websocket_handshake_timeout"]
    try:
        return await picows.ws_connect(make, url, **options)
    except socket.gaierror:
        address = last_good(parts.hostname or "")
        if address is None:
            raise
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        options["socket_factory"] = lambda _: connected(address, port)
        return await picows.ws_connect(make, url, **options)


def _refused(url: str, error: picows.WSError) -> SpreadError | None:
    """Return what the venue's HTTP answer says, None where there was none."""
    if not isinstance(error, picows.WSInvalidStatusError) or not error.response:
        return None
    answer = error.response
    return refusal(url, int(answer.status), answer.headers, error.raw_body or b"", "ws_url")


def _close_late(opening: "asyncio.Future[Any]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        PicowsSocket(*opening.result()).close()
