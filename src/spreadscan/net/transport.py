"""WebSocket client transports behind one small interface: picows and aiohttp.

Both give a listener whole messages with the time the socket was read, one flush after the last
message of a socket read (aiohttp: of a loop turn), and answer pings themselves, the newest of a
read, and none while the peer leaves unread what was sent before. With an intake, the listener gets
only the messages that the intake does not take.
"""

import errno
import socket
import ssl
from importlib import import_module
from typing import Literal, Protocol, get_args

from spreadcore.frames import LinkIntake

from spreadscan.errors import (
    ConfigError,
    ConnectionLost,
    Misbehaved,
    NoAddress,
    NotTrusted,
    printable,
)
from spreadscan.net.proxy import DIRECTLY, Proxies

TransportName = Literal["picows", "aiohttp"]
Headers = tuple[tuple[str, str], ...]  # name, value

PROXY_SHARE = 0.5  # of the time in which a socket has to open; so who is late is told
_TOO_BIG = 1009  # of RFC 6455, 7.4.1
_WORDS_SHOWN = 200


class Listener(Protocol):
    """What a transport calls; none of these may block or raise."""

    def on_message(self, payload: bytes, recv_ns: int) -> None:
        """One whole text or binary message; recv_ns is when its socket read began."""

    def on_ping(self, recv_ns: int) -> None:
        """The peer pinged (already answered) or ponged."""

    def on_flush(self) -> None:
        """The last message of this socket read has been given; picows flushes an intake itself."""


class Socket(Protocol):
    """An open WebSocket."""

    def send(self, text: str) -> None:
        """Send one text message; silently nothing once closed."""

    def close(self) -> None:
        """Begin to close and take no more messages; wait_closed() ends soon after."""

    @property
    def unread_ns(self) -> int:
        """Since when the peer leaves unread what we send; 0 while it reads, or nothing waits."""

    async def wait_closed(self) -> str:
        """Return why the socket closed, in words, once it has.

        Raises Misbehaved where the peer sent more than it may or what it may not, RateLimited
        where it closed for too many requests.
        """


# A peer that vanished without a word is found by the kernel within some 25 s: by probes while we
# only listen, by the user time-out once something of ours is not acknowledged. And the kernel keeps
# half a megabyte for us at most (it doubles the figure): left to itself it grows to many under a
# burst, and whoever reads so much at once wakes nobody meanwhile and needs as large a buffer. What
# a peer does not read of ours stays small likewise.
_OPTIONS = {
    (socket.SOL_SOCKET, socket.SO_RCVBUF): 256 * 1024,
    (socket.SOL_SOCKET, socket.SO_SNDBUF): 64 * 1024,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 10,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 5,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 3,
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT): 25_000,
}


def set_options(tcp: socket.socket) -> None:
    """Let the kernel find out when the peer is gone, and keep little; called once it is open."""
    try:
        for (level, option), value in _OPTIONS.items():
            tcp.setsockopt(level, option, value)
    except OSError as error:
        if error.errno != errno.EBADF:  # closed already: wait_closed() tells it
            raise


def misbehaved(code: int, words: str, max_frame_bytes: int) -> Misbehaved:
    """Return what a library's error about the WebSocket protocol is; code: it closes with it."""
    if code == _TOO_BIG:
        words = f"a message above {max_frame_bytes:,} bytes"
    return Misbehaved(f"cut off: {printable(words, _WORDS_SHOWN)}")


async def connect(
    transport: TransportName,
    url: str,
    listener: Listener,
    *,
    timeout_s: float,
    max_frame_bytes: int,
    intake: LinkIntake | None = None,
    headers: Headers = (),
    proxies: Proxies = DIRECTLY,
) -> Socket:
    """Open a WebSocket. headers: of the handshake, beside those that it has anyway.

    Raises ConnectionLost when it does not open within timeout_s, NoAddress (DNS), NotTrusted
    (TLS), ProxyFailed, and what a refused handshake means: RateLimited, RegionBlocked, VenueDown.
    """
    if transport not in get_args(TransportName):
        raise ConfigError(
            f"transport: {transport!r}, expected {' or '.join(get_args(TransportName))}"
        )
    # the other transport's library is not even imported: that is 10 MB
    module = import_module(f"spreadscan.net.{transport}_socket")
    try:
        opened: Socket = await module.open_socket(
            url, listener, timeout_s, max_frame_bytes, intake, headers, proxies
        )
        return opened
    except TimeoutError:
        raise ConnectionLost(f"{url}: not open within {timeout_s:g} s") from None
    except socket.gaierror as error:
        raise NoAddress(f"{url}: DNS: {error}") from None
    except ssl.SSLError as error:
        raise NotTrusted(f"{url}: TLS: {error}") from None
    except OSError as error:
        raise ConnectionLost(f"{url}: {str(error) or type(error).__name__}") from None
