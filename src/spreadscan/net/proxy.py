"""Proxies: which one, if any, an address is reached through, and the way through it.

One object for all that connects out: REST and both WebSocket transports. HTTP proxies are asked for
a tunnel (CONNECT) whatever goes through it, so that TLS is between the venue and us alone; of
SOCKS5 ones python-socks asks the way, and they resolve the names.
"""

import asyncio
import base64
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import unquote, urlsplit

from spreadscan.config import DIRECT, is_loopback, proxy_fault
from spreadscan.credentials import masked
from spreadscan.environment import proxies_named
from spreadscan.errors import ProxyFailed, printable
from spreadscan.net.addresses import connected

_ANSWER_BYTES_MAX = 16 * 1024
_WORDS_SHOWN = 100
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: ([^\r\n]*))?\r?\n").match
_LIKE = {"ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class Proxy:
    """One proxy; its text has no credentials."""

    url: str

    def __str__(self) -> str:
        return f"proxy {masked(self.url)}"

    async def connected(self, host: str, port: int, timeout_s: float) -> socket.socket:
        """Return a socket that is connected to a host through it. ProxyFailed where it does not."""
        to = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        way = self._tunnel if urlsplit(self.url).scheme == "http" else self._socks
        try:
            async with asyncio.timeout(timeout_s):
                return await way(host, port, to)
        except TimeoutError:
            raise ProxyFailed(f"{self}: no way to {to} within {timeout_s:g} s") from None
        except OSError as error:
            words = error.strerror or str(error)
            raise ProxyFailed(f"{self}: {words}, expected a way to {to}") from None

    async def _tunnel(self, host: str, port: int, to: str) -> socket.socket:
        own = urlsplit(self.url)
        request = f"CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n"
        if own.username is not None:
            user = f"{unquote(own.username)}:{unquote(own.password or '')}"
            request += f"Proxy-Authorization: Basic {base64.b64encode(user.encode()).decode()}\r\n"
        loop = asyncio.get_running_loop()
        tcp = await _reached(own.hostname or "", own.port or 80)
        try:
            await loop.sock_sendall(tcp, f"{request}\r\n".encode())
            answer = b""
            while b"\r\n\r\n" not in answer:
                part = await loop.sock_recv(tcp, 4096)
                if not part:
                    raise ProxyFailed(f"{self}: closed, expected an answer to CONNECT {to}")
                answer += part
                if len(answer) > _ANSWER_BYTES_MAX:
                    break
            self._check(answer, to)
        except BaseException:
            tcp.close()
            raise
        return tcp

    def _check(self, answer: bytes, to: str) -> None:
        """Raise ProxyFailed for anything but a yes, and nothing after it."""
        status, begin = _STATUS(answer), printable(answer[:_WORDS_SHOWN].decode("latin-1"))
        if status is None:
            raise ProxyFailed(f"{self}: found {begin!r}, expected an answer to CONNECT {to}")
        words = printable((status[2] or b"").decode("latin-1"), _WORDS_SHOWN)
        if status[1] == b"407":
            raise ProxyFailed(
                f"{self}: HTTP 407 {words}: it wants a user and a password in its address"
            )
        if not status[1].startswith(b"2"):
            raise ProxyFailed(f"{self}: HTTP {status[1].decode()} {words}, expected a way to {to}")
        if not answer.endswith(b"\r\n\r\n"):  # nobody there speaks before we do
            raise ProxyFailed(f"{self}: more than an answer to CONNECT {to}, expected nothing yet")

    async def _socks(self, host: str, port: int, to: str) -> socket.socket:
        import python_socks  # few have such a proxy
        from python_socks.async_.asyncio import Proxy as Socks

        own = urlsplit(self.url)
        way = Socks(
            python_socks.ProxyType.SOCKS5,
            own.hostname or "",
            own.port or 1080,
            username=unquote(own.username) if own.username else None,
            password=unquote(own.password or "") if own.username else None,
            rdns=True,
        )
        try:
            return await way.connect(host, port)
        except (python_socks.ProxyError, python_socks.ProxyConnectionError) as error:
            words = printable(str(error), _WORDS_SHOWN)
            raise ProxyFailed(f"{self}: {words}, expected a way to {to}") from None


class Proxies:
    """Which proxy each address is reached through.

    by_host: for single hosts ("name" or "name:port", as in their addresses), None = directly;
    goes before all else. default: for all others, "" = what the environment says, "direct" = none.
    Hosts in NO_PROXY, and this machine, are reached directly whatever the last two say.
    """

    def __init__(
        self,
        default: str = "",
        by_host: Mapping[str, str | None] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._by_host = dict(by_host or {})
        found = proxies_named(environ)
        self._direct = [part for part in re.split(r"[,\s]+", found.pop("no", "").lower()) if part]
        if default:
            found = {} if default == DIRECT else {"all": default}
        self._by_scheme = {
            scheme: url if "://" in url else f"http://{url}"
            for scheme in ("http", "https")
            if (url := found.get(scheme) or found.get("all", ""))
        }

    def of(self, url: str) -> Proxy | None:
        """Return the proxy that an address (ws, wss, http, https) is reached through, or None.

        Raises ProxyFailed where the environment names what is no proxy of ours.
        """
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2].lower()
        if host in self._by_host:
            own = self._by_host[host]
            return Proxy(own) if own else None
        proxy = self._by_scheme.get(_LIKE.get(parts.scheme, parts.scheme))
        if not proxy or is_loopback(url) or self._is_direct(parts.hostname or "", parts.port):
            return None
        if fault := proxy_fault(proxy):  # of settings it would have been refused
            raise ProxyFailed(f"environment HTTPS_PROXY, HTTP_PROXY or ALL_PROXY: {fault}")
        return Proxy(proxy)

    def _is_direct(self, host: str, port: int | None) -> bool:
        """Return whether NO_PROXY names a host: it, a domain above it, a network, or "*"."""
        for entry in self._direct:
            name, colon, only = entry.rpartition(":")
            if not (colon and only.isdigit() and ":" not in name):
                name = entry  # no port is named
            elif port is not None and str(port) != only:
                continue
            name = name.strip("[]").lstrip("*").lstrip(".")
            if not name or host == name or host.endswith(f".{name}") or _is_within(host, name):
                return True
        return False


def _is_within(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:  # names
        return False


async def _reached(host: str, port: int) -> socket.socket:
    """Return a socket that is connected to the proxy itself, at the first address that answers."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for address in (info[4][0] for info in found[:-1]):
        try:
            return await connected(str(address), port)
        except OSError:
            continue
    return await connected(str(found[-1][4][0]), port)


DIRECTLY = Proxies(DIRECT, environ={})
