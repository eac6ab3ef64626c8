"""GET with the venue's ways of saying no sorted by what to do next. aiohttp underneath."""

import email.utils
import time

import aiohttp
from yarl import URL

from spreadscan.errors import ConnectionLost, RateLimited, Refused, VenueDown

MAX_BODY_BYTES = 64 * 1024 * 1024
USER_AGENT = "spreadscan"


def client() -> aiohttp.ClientSession:
    """Return a session for get(); the caller closes it."""
    return aiohttp.ClientSession(headers={"User-Agent": USER_AGENT})


async def get(session: aiohttp.ClientSession, url: str, timeout_s: float) -> bytes:
    """Return the body of a 200 answer that is no HTML page.

    Raises RateLimited (429, 418: after_s from Retry-After), VenueDown (5xx, HTML, over-long),
    Refused (other 4xx, region blocks), ConnectionLost (no connection, time-out).
    """
    whole = URL(url, encoded=True)  # complete and escaped: cursors must go out verbatim
    body = bytearray()
    try:
        async with session.get(whole, timeout=aiohttp.ClientTimeout(total=timeout_s)) as answer:
            async for part in answer.content.iter_any():
                body += part
                if len(body) > MAX_BODY_BYTES:
                    break
            _check(url, answer, body)
            return bytes(body)
    except TimeoutError:  # before OSError, which it is a kind of
        raise ConnectionLost(f"{url}: no answer within {timeout_s:g} s") from None
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionLost(f"{url}: {_words(error)}") from None


def _check(url: str, answer: aiohttp.ClientResponse, body: bytearray) -> None:
    status = answer.status
    if status in (418, 429):
        after_s = retry_after_s(answer.headers.get("Retry-After"))
        raise RateLimited(f"{url}: HTTP {status}, retry after {after_s:g} s", after_s)
    if status == 451 or (status == 403 and _is_html(answer, body)):
        raise Refused(
            f"{url}: HTTP {status}: this venue refuses your address; "
            "take it out of `sources` or set another host under [venues]"
        )
    if status >= 500:
        raise VenueDown(f"{url}: HTTP {status}")
    if status != 200:
        raise Refused(f"{url}: HTTP {status}, expected 200")
    if len(body) > MAX_BODY_BYTES:
        raise VenueDown(f"{url}: over {MAX_BODY_BYTES} bytes, expected an instrument list")
    if _is_html(answer, body):
        raise VenueDown(f"{url}: an HTML page, expected JSON")


def retry_after_s(text: str | None, default_s: float = 60.0) -> float:
    """Return the seconds of a Retry-After header: a number or an HTTP date."""
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):  # no date, or a year that the C library cannot place
        return default_s
    return max(0.0, at - time.time())


def _is_html(answer: aiohttp.ClientResponse, body: bytearray) -> bool:
    return "html" in answer.headers.get("Content-Type", "") or body.lstrip()[:1] == b"<"


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
