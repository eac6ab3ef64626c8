"""The picows transport: frames go from the socket read straight into the compiled listener."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import aiofastnet
import picows
import picows.url
from picows.picows import WSProtocol  # type: ignore[attr-defined]  # not in its stub
from spreadcore.frames import LinkIntake
from spreadcore.listener import FrameListener

from spreadscan.errors import ConnectionLost, Misbehaved, SpreadError
from spreadscan.net.addresses import connected, last_good, remember
from spreadscan.net.answer import WholeAnswer, words_of
from spreadscan.net.proxy import Proxies, Proxy
from spreadscan.net.refusals import close_words, raise_limit, refusal
from spreadscan.net.transport import PROXY_SHARE, Headers, Listener, Socket, misbehaved, set_options

_CLOSE_WAIT_S = 2.0
_READ_BUFFER_BYTES = 16 * 1024
_PICOWS_LOG = logging.getLogger("picows.client")
_PICOWS_LOG.setLevel(logging.WARNING)  # whoever has a socket tells of it, and of its pairs


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
            # a peer that reads nothing more keeps what is to be sent, and with it the socket
            asyncio.get_running_loop().call_later(_CLOSE_WAIT_S, self._transport.disconnect, False)

    @property
    def unread_ns(self) -> int:
        return self._frames.unread_ns

    async def wait_closed(self) -> str:
        lost, misdeed = "connection lost", None
        try:
            await self._transport.wait_disconnected()
        except picows.WSProtocolError as error:
            misdeed = misbehaved(error.code, error.args[-1], self._frames.max_frame_bytes)
        except (picows.WSError, OSError) as error:
            lost = f"connection lost ({error})"
        if self._frames.closing:
            return self._frames.closing
        if self._frames.misdeed:
            misdeed = Misbehaved(f"cut off: {self._frames.misdeed}")
        if misdeed:
            raise misdeed
        if self._frames.close_code >= 0:
            raise_limit(self._frames.close_code, self._frames.close_text)
            return close_words(self._frames.close_code, self._frames.close_text)
        return lost


async def open_socket(
    url: str,
    listener: Listener,
    timeout_s: float,
    max_frame_bytes: int,
    intake: LinkIntake | None,
    headers: Headers,
    proxies: Proxies,
) -> Socket:
    """Open one. ConnectionLost or a refusal; OSError, TimeoutError as they come."""
    # Cancelled in its handshake, picows leaves the TCP connection open (2.3.1); its own time-out
    # closes it. So it is never cancelled: what opens too late is closed when it has opened.
    proxy = proxies.of(url)
    opening = asyncio.ensure_future(
        _connect(
            lambda: FrameListener(listener, max_frame_bytes, intake),
            picows.url.parse_url(url),
            timeout_s,
            max_frame_bytes,
            headers,
            proxy,
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
    if proxy is None:
        remember(url, transport.underlying_transport.get_extra_info("peername"))
    assert isinstance(frames, FrameListener)
    set_options(transport.underlying_transport.get_extra_info("socket"))
    return PicowsSocket(transport, frames)


async def _connect(
    make: Callable[[], FrameListener],
    url: picows.WSParsedURL,
    timeout_s: float,
    max_bytes: int,
    headers: Headers,
    proxy: Proxy | None,
) -> tuple[picows.WSTransport, picows.WSListener]:
    """Connect; where the name does not resolve, to the address that it was reached at last.

    What picows.ws_connect() does, but for redirects: bans and limits are a host's own.
    """
    options: dict[str, Any] = {}
    if url.is_secure:  # else a peer that stalls in TLS holds the connection for a minute
        options = {"ssl": True, "ssl_handshake_timeout": timeout_s}

    def protocol() -> WholeAnswer:
        return WholeAnswer(
            WSProtocol(
                url.netloc, url.resource_name, True, make, _PICOWS_LOG, True, timeout_s,
                False, 10.0, 10.0, picows.WSAutoPingStrategy.PING_WHEN_IDLE,  # we ping ourselves,
                False,  # and answer pings
                max_bytes, headers or None, _READ_BUFFER_BYTES,
            )
        )  # fmt: skip

    loop = asyncio.get_running_loop()
    try:
        if proxy:
            tcp = await proxy.connected(url.host, url.port, timeout_s * PROXY_SHARE)
        else:
            _, answer = await aiofastnet.create_connection(
                loop, protocol, url.host, url.port, **options
            )
            tcp = None
    except socket.gaierror:
        address = last_good(url.host)
        if address is None:
            raise
        tcp = await connected(address, url.port)
    if tcp:
        if url.is_secure:
            options["server_hostname"] = url.host
        _, answer = await aiofastnet.create_connection(loop, protocol, sock=tcp, **options)
    await answer.inner.wait_until_handshake_complete()
    return answer.inner.transport, answer.inner.listener


def _refused(url: str, error: picows.WSError) -> SpreadError | None:
    """Return what the venue's HTTP answer says, None where there was none."""
    if not isinstance(error, picows.WSInvalidStatusError) or not error.response:
        return None
    answer = error.response
    chunked = "chunked" in answer.headers.get("Transfer-Encoding", "").lower()
    body = words_of(error.raw_body or b"", chunked)
    return refusal(url, int(answer.status), answer.headers, body, "ws_url")


def _close_late(opening: "asyncio.Future[Any]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        PicowsSocket(*opening.result()).close()
