"""GET with the venue's ways of saying no sorted by what to do next. aiohttp underneath."""

import asyncio
import ctypes
import re
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import aiohttp
from yarl import URL

from spreadscan.errors import (
    ConnectionLost,
    NoAddress,
    NotTrusted,
    RateLimited,
    Refused,
    RequestRefused,
    Retry,
    SpreadError,
    VenueDown,
    printable,
)
from spreadscan.net.bans import Bans
from spreadscan.net.budget import Budget
from spreadscan.net.connector import Connector
from spreadscan.net.endpoints import Endpoints
from spreadscan.net.proxy import DIRECTLY, Proxies
from spreadscan.net.refusals import LOOK_BYTES, asked_wait_s, refusal
from spreadscan.net.transport import Headers
from spreadscan.types import LIST_BYTES_MAX, ONE_REQUEST, Cost

T = TypeVar("T")

USER_AGENT = "spreadscan"
_BAN_FROM_S = 60.0
_WORDS_SHOWN = 300  # of an error
_BESIDE_FROM_BYTES = 32 * 1024  # larger bodies are parsed in a thread: others wait for the loop
# one after the other: what a list is parsed to is ten times as large, for a moment
_beside = ThreadPoolExecutor(1, "parse")
_TRIM_FROM_BYTES = 64 * 1024  # glibc keeps such moments for long, 4 MB of the audit's 30
_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
_PROXY_WITHIN_S = 10.0  # has a way to the host, in the time of the whole request
_KEEP_S = 30.0  # longer than from one round of the audit to the next: a handshake costs CPU


def client(proxies: Proxies = DIRECTLY) -> aiohttp.ClientSession:
    """Return a session for get(); the caller closes it."""
    connector = Connector(proxies, _PROXY_WITHIN_S, keepalive_timeout=_KEEP_S)
    headers = {"User-Agent": USER_AGENT}
    return aiohttp.ClientSession(connector=connector, headers=headers)


async def get(
    session: aiohttp.ClientSession,
    url: str,
    timeout_s: float,
    bans: Bans | None = None,
    headers: Headers = (),
    most_bytes: int = LIST_BYTES_MAX,
) -> bytes:
    """Return the body of a 200 answer that is no HTML page.

    Raises RateLimited (429, 418: after_s from Retry-After), VenueDown (5xx, HTML, over-long),
    Moved (a redirect, which is not followed), RegionBlocked, Refused (other 4xx), NoAddress (DNS),
    NotTrusted (TLS), ConnectionLost (no connection, time-out). bans: nothing is sent within one,
    and a new one is kept there. headers: those of the venue, beside our own. most_bytes: of the
    body, unpacked.
    """
    body, _ = await _answer(session, url, timeout_s, bans, headers, most_bytes)
    return body


async def ask(
    session: aiohttp.ClientSession,
    url: str,
    timeout_s: float,
    parse: Callable[[bytes], T],
    bans: Bans | None = None,
    headers: Headers = (),
    most_bytes: int = LIST_BYTES_MAX,
) -> T:
    """GET and return what `parse` makes of the body; raises what either does.

    Where parse raises RateLimited (a 200 answer may say "too many", too), the wait is the longer
    of its own and what the answer tells. Seconds are a limit of that path alone; a minute or more
    is kept as a ban of the host, like that of a 429. A 429 that tells no time waits for what parse
    makes of its body, where it knows the words; a 400 or the like is RequestRefused by such. parse
    gets large bodies in a thread.
    """
    body, told = await _answer(session, url, timeout_s, bans, headers, most_bytes, parse)
    try:
        if len(body) >= _BESIDE_FROM_BYTES:
            return await asyncio.get_running_loop().run_in_executor(_beside, _tidily, parse, body)
        return parse(body)
    except RateLimited as error:
        error.after_s = max(error.after_s, asked_wait_s(told, body[:LOOK_BYTES]))
        if bans and error.after_s >= _BAN_FROM_S:
            bans.record(url, error)
        raise


def _tidily(parse: Callable[[bytes], T], body: bytes) -> T:
    """Parse, and give back to the system what that took."""
    try:
        return parse(body)
    finally:
        if len(body) >= _TRIM_FROM_BYTES and _malloc_trim:
            _malloc_trim(0)


async def _answer(
    session: aiohttp.ClientSession,
    url: str,
    timeout_s: float,
    bans: Bans | None,
    headers: Headers,
    most_bytes: int,
    parse: Callable[[bytes], object] | None = None,
) -> tuple[bytes, Mapping[str, str]]:
    if bans:
        bans.check(url)
    whole = URL(url, encoded=True)  # complete and escaped: cursors must go out verbatim
    body = bytearray()
    try:
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        async with session.get(
            whole, headers=headers, timeout=timeout, allow_redirects=False
        ) as answer:
            async for part in answer.content.iter_any():
                body += part
                if len(body) > most_bytes:
                    break
            look = bytes(body[:LOOK_BYTES])
            error = refusal(url, answer.status, answer.headers, look, "rest_url")
            if error:
                untimed = answer.status == 429 and not asked_wait_s(answer.headers, look)
                if parse and (untimed or type(error) is Refused):
                    error = _by_its_words(url, answer.status, look, parse) or error
                if bans and isinstance(error, RateLimited):  # a block is for this run only
                    bans.record(url, error)
                raise error
            if len(body) > most_bytes:
                raise VenueDown(f"{url}: more than {most_bytes:,} bytes, expected fewer")
            return bytes(body), answer.headers
    except TimeoutError:  # before OSError, which it is a kind of
        raise ConnectionLost(f"{url}: no answer within {timeout_s:g} s") from None
    except aiohttp.ClientConnectorDNSError as error:
        raise NoAddress(f"{url}: DNS: {_words(error)}") from None
    except (aiohttp.ClientSSLError, ssl.SSLError) as error:
        raise NotTrusted(f"{url}: TLS: {_words(error)}") from None
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionLost(f"{url}: {_words(error)}") from None


def _by_its_words(
    url: str, status: int, body: bytes, parse: Callable[[bytes], object]
) -> RateLimited | RequestRefused | None:
    """Return the limit or the refusal that a body is in the venue's table, None for any other."""
    said = f"{url}: HTTP {status}"
    try:
        parse(body)
    except RateLimited as error:
        return RateLimited(f"{said} ({error})", error.after_s) if error.after_s else None
    except RequestRefused as error:
        return RequestRefused(f"{said} ({error})")
    except SpreadError:
        pass  # no answer that the table knows: the status speaks for itself
    return None


async def ask_any(
    session: aiohttp.ClientSession,
    endpoints: Endpoints,
    url_at: Callable[[str], str],
    timeout_s: float,
    parse: Callable[[bytes], T],
    bans: Bans,
    budget: Budget,
    cost: Cost = ONE_REQUEST,
    headers: Headers = (),
    most_bytes: int = LIST_BYTES_MAX,
) -> T:
    """Return what ask() gives at the address in use; where that fails, at the next, each once.

    url_at: gives the whole URL on an address, called when its request leaves. budget: is waited
    for, with the cost of each request. RequestRefused ends it at once.
    Where all fail, raises what asks for another try rather than what refuses for good.
    """
    errors: list[Retry | Refused] = []
    for _ in endpoints.urls:
        address = endpoints.pick()
        try:
            if not bans.find(address):  # else nothing is sent
                await budget.take(address, cost)
            url = url_at(address)
            return await ask(session, url, timeout_s, parse, bans, headers, most_bytes)
        except RequestRefused:
            raise
        except (Retry, Refused) as error:
            errors.append(error)
            if isinstance(error, RateLimited):
                if endpoints.pick() == address:  # to be waited for: none is better
                    break
            else:
                endpoints.failed(address, str(error))
    raise next((error for error in errors if isinstance(error, Retry)), errors[0])


_PACKED = re.compile(r"decode content-encoding: (\S+)").search


def _words(error: Exception) -> str:
    """Return an error of aiohttp's in a line of ours."""
    text = " ".join(str(error).split())
    if packed := _PACKED(text):
        return f"a body that cannot be unpacked as {packed[1]}, expected gzip, deflate or none"
    if isinstance(error, aiohttp.ClientResponseError):  # names a status that nobody sent
        said = printable(" ".join(error.message.split()), _WORDS_SHOWN)
        return f"an answer that is not HTTP ({said}), expected HTTP/1.1"
    return printable(text, _WORDS_SHOWN) or type(error).__name__
