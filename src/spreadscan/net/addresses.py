"""The last address that each host was reached at, for when its name does not resolve.

A resolver that fails takes away addresses that still work. They are kept in the process that used
them; whoever answers there still has to show a certificate for the name.
"""

import asyncio
import logging
import socket
from typing import Any
from urllib.parse import urlsplit

from spreadscan.logs import facts

log = logging.getLogger(__name__)

_last_good: dict[str, str] = {}


def remember(url: str, peer: Any) -> None:
    """Keep where a connection went; peer: a transport's "peername", None once it is closed."""
    host = urlsplit(url).hostname
    if host and peer and host != peer[0]:
        _last_good[host] = peer[0]


def last_good(host: str) -> str | None:
    """Return the address that a host was reached at last, None for one never reached."""
    address = _last_good.get(host)
    if address:
        log.warning("name does not resolve", extra=facts(host=host, last_address=address))
    return address


async def connected(address: str, port: int) -> socket.socket:
    """Return a socket that is connected to a numeric address."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(opened, (address, port))
    except BaseException:
        opened.close()
        raise
    return opened
