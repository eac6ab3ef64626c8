"""GET with the venue's ways of saying no sorted by what to do next. aiohttp underneath."""

import asyncio
import email.utils
import time

import aiohttp

from spreadscan.errors import ConnectionLost, RateLimited, Refused, VenueDown

MAX_BODY_BYTES = 64 * 1024 * 1024
USER_AGENT = "spreadscan"


async def get(session: aiohttp.ClientSession, url: str, timeout_s: float) -> bytes:
    """Return the body of a 200 answer that is no HTML page.

    Raises RateLimited (429, 418: after_s from Retry-After), VenueDown (5xx, HTML, over-long),
    Refused (other 4xx, region blocks), ConnectionLost (no connection, time-out).
    """
    try:
        # the URL is complete and escaped; cursors must go out verbatim
        from yarl import URL

        async with session.get(
            URL(url, encoded=True), timeout=aiohttp.ClientTimeout(total=timeout_s)
        ) as answer:
            body = await answer.content.read(MAX_BODY_BYTES + 1)
            while len(body) <= MAX_BODY_BYTES and not answer.content.at_eof():
                body += await answer.content.read(MAX_BODY_BYTES + 1 - len(body))
            _check(url, answer, body)
            return body
    except (aiohttp.ClientError, OSError) as error:
        raise ConnectionLost(f"{url}: {_words(error)}") from None
    except asyncio.TimeoutError:
        raise ConnectionLost(f"{url}: no answer within {timeout_s:g} s") from None


def _check(url: str, answer: aiohttp.ClientResponse, body: bytes) -> None:
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
    if text is None:
        return default_s
    if text.strip().isascii() and text.strip().isdigit():
        return float(text)
    try:
        at = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return default_s
    return max(0.0, at.timestamp() - time.time())


def _is_html(answer: aiohttp.ClientResponse, body: bytes) -> bool:
    return "html" in answer.headers.get("Content-Type", "") or body.lstrip()[:1] == b"<"


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__
