"""An HTTP answer that is no yes, sorted by what to do next; for REST and WebSocket handshakes.

429 and 418 say until when to stay away. A 451, or a 403 that speaks of a country or region, is a
block of the region: final, with advice. Any other 403 is a limit of a firewall or CDN, waited out
for a minute or more, growing; so is a socket that is closed for "too many requests" again. 5xx
pass. A redirect leads to where no ban, no limit and no certificate of this host holds, and what it
gives may be anybody's: it is not followed. Nothing here reads or writes; callers give what came.
"""

import email.utils
import re
import time
from collections.abc import Mapping
from typing import Literal, overload

from spreadscan.errors import (
    ConnectionLost,
    Moved,
    RateLimited,
    Refused,
    RegionBlocked,
    SpreadError,
    VenueDown,
    printable,
)

Asked = Literal["rest_url", "ws_url"]  # the key under [venues.*] that changes the host

_WORDS_SHOWN = 200
LONGEST_WAIT_S = 4 * 86_400.0  # Binance's longest ban is three days; an error may say 300 years
LOOK_BYTES = 12 * 1024  # of a body; pages of CDNs begin with kilobytes of style

# A 403 or a close names no time. Bybit (docs v5 rate-limit, 2026-09): after "403, access too
# frequent" no request for ten minutes.
_BUSY_S = 60.0
_TOO_FREQUENT_S = 600.0
_TOO_FREQUENT = re.compile(rb"too (frequent|many)|(rate|request) limit", re.IGNORECASE)
# What CloudFront, Cloudflare and the venues write to a country that they do not serve. A bare
# "location" or "region" is not enough: challenge pages have window.location, busy ones a data
# centre's region.
_PLACE = rb"(countr(y|ies)|regions?|jurisdictions?|territor(y|ies))"
_REGION = re.compile(
    rb"(?<!\bat )(?<!choose )(?<!select )(?<!change )"
    rb"\b(your|restricted|prohibited|unsupported|sanctioned)( current| geographic)?"
    rb" (" + _PLACE + rb"|locations?|areas?)\b(?! *[:=])"
    rb"|\b(available|allowed|permitted|supported|offered|block(ed)?|bann?ed|restricted|prohibited"
    rb"|service|access|users?|residents?|citizens?)\b( \w+){0,4}? (in|from|to|for|the|of)"
    rb" (the |this |that |these |certain |some |a )?(following )?"
    + _PLACE
    + rb"\b(?! *[:=]| [a-z]+-[a-z]+-?\d)"
    rb"|\b(in|from) (an? |any )" + _PLACE + rb"(/\w+)? (where|that|which)\b"
    rb"|\bcountry (is |was )?(not (allowed|permitted|supported)|blocked|bann?ed|restricted)\b"
    rb"|\b(from this|in (certain|some|these)) locations?\b"
    rb"|\bgeo[-_ ]?(ip[-_ ]?)?(block|restrict|fenc)\w*"
    rb"|\b(geographic\w*|regional|country) (restriction|block)s?\b"
    rb"|\bregulatory (restriction|requirement)s?\b"
    rb"|\b(in|from) the (united states|u\.s|united kingdom|european union)\b"
    rb"|\b(not|un)[ -]?(available|allowed|permitted|supported)( \w+){0,2}? (for|to|in|from)"
    rb"( \w+){0,3}? (in|of|from) (?-i:(mainland )?[A-Z])"
    rb"|\b(residents|citizens|users) (of|from|in) (?-i:(the )?(mainland )?[A-Z])[\w ]{0,30}?"
    rb" (cannot|can not|may not|are not|must not)\b",
    re.IGNORECASE,
)
_NO_WORDS = re.compile(rb"(?:<(script|style)\b.*?(?:</\1>|$)|<[^>]*>|&nbsp;|\s)+", re.I | re.S)
# Binance's body of a 418 beside its header: "IP(1.2.3.4) banned until 1573000000000".
# X-Bapi-Limit-Reset-Timestamp in Unix ms, X-Gate-RateLimit-Reset-Timestamp in s
_RESET = "limit-reset-timestamp"
_TIMESTAMP = re.compile(r"[0-9]{10}|[0-9]{13}").fullmatch
_BANNED_UNTIL_MS = re.compile(rb"banned until (\d{13})\b")


@overload
def refusal(
    url: str, status: int, headers: Mapping[str, str], body: bytes, asked: Literal["ws_url"]
) -> SpreadError: ...
@overload
def refusal(
    url: str, status: int, headers: Mapping[str, str], body: bytes, asked: Asked
) -> SpreadError | None: ...
def refusal(
    url: str, status: int, headers: Mapping[str, str], body: bytes, asked: Asked
) -> SpreadError | None:
    """Return the error that an answer is, None for a REST answer that is none.

    body: its first LOOK_BYTES; it is searched for words, not parsed.
    """
    if status in (418, 429):
        return _limited(url, status, _wait_s(headers, body))
    if status == 451 or (status == 403 and names_region(body)):
        return RegionBlocked(
            f"{url}: HTTP {status}: this venue refuses your address: set {asked} under "
            "[venues] to a host that serves you, or take it out of `sources`"
        )
    if status == 403:
        least_s = _TOO_FREQUENT_S if _TOO_FREQUENT.search(body) else _BUSY_S
        after_s = max(least_s, asked_wait_s(headers, body))
        return _limited(url, status, after_s, grows=True)
    if status >= 500:
        return VenueDown(f"{url}: HTTP {status}{_words(headers, body)}")
    to = printable(headers.get("Location", ""), _WORDS_SHOWN)
    if asked == "ws_url":
        return ConnectionLost(f"{url}: HTTP {status}{f' to {to}' * bool(to)}, expected 101")
    if to and 300 <= status < 400:
        return Moved(f"{url}: HTTP {status} to {to}, which is not followed; expected 200", to)
    if status != 200:
        return Refused(f"{url}: HTTP {status}{_words(headers, body)}, expected 200")
    if is_html(headers, body):
        return VenueDown(f"{url}: an HTML page, expected JSON")
    return None


def names_region(body: bytes) -> bool:
    """Return whether a refusal says that it is for where we are, and not for how often we ask."""
    words = _NO_WORDS.sub(b" ", body)
    return bool(_REGION.search(words)) and not _TOO_FREQUENT.search(words)


def close_words(code: int, text: str) -> str:
    """Return in words that the venue closed a socket; code 0: its close frame had none."""
    words = printable(text, _WORDS_SHOWN)
    told = " ".join(filter(None, (str(code) if code else "without a code", words)))
    return f"closed by the venue ({told})"


def raise_limit(code: int, text: str) -> None:
    """Raise RateLimited where a close frame says so; one alone is no more than a lost socket."""
    if _TOO_FREQUENT.search(text.encode()):
        raise RateLimited(close_words(code, text), _BUSY_S, grows=True, free=1)


def retry_after_s(text: str | None, date: str | None = None, default_s: float = 60.0) -> float:
    """Return the seconds of a Retry-After header: a number or an HTTP date; LONGEST_WAIT_S at most.

    date: the answer's Date header; the end is counted from it, so that a clock of ours that is
    wrong neither cuts a ban short nor draws it out.
    """
    text = (text or "").strip()
    if text.isascii() and text.isdigit():
        return _bounded(float(text))
    at_s = _unix_s(text)
    if at_s is None:
        return default_s
    asked_s = _unix_s(date or "")
    return _bounded(at_s - (time.time() if asked_s is None else asked_s))


def _bounded(wait_s: float) -> float:
    return max(0.0, min(wait_s, LONGEST_WAIT_S))


def _unix_s(text: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):  # no date, or a year that the C library cannot place
        return None


def asked_wait_s(headers: Mapping[str, str], body: bytes) -> float:
    """Return for how long an answer says to stay away, whatever its status; 0.0 = not told,
    LONGEST_WAIT_S at most."""
    waits = [0.0]
    if text := headers.get("Retry-After"):
        waits.append(retry_after_s(text, headers.get("Date"), 0.0))
    if until := _BANNED_UNTIL_MS.search(body):
        waits.append(int(until[1]) / 1e3 - time.time())
    for name, text in headers.items():
        if name.lower().endswith(_RESET) and (reset := _TIMESTAMP(text.strip())):
            reset_s = int(reset[0]) / (1e3 if len(reset[0]) == 13 else 1.0)
            asked_s = _unix_s(headers.get("Date", ""))
            waits.append(reset_s - (time.time() if asked_s is None else asked_s))
    return _bounded(max(waits))


def is_html(headers: Mapping[str, str], body: bytes) -> bool:
    return "html" in headers.get("Content-Type", "").lower() or body.lstrip()[:1] == b"<"


def _limited(url: str, status: int, after_s: float, *, grows: bool = False) -> RateLimited:
    words = f"{url}: HTTP {status}, retry after {after_s:g} s{' or more' * grows}"
    return RateLimited(words, after_s, grows=grows)


def _wait_s(headers: Mapping[str, str], body: bytes) -> float:
    return asked_wait_s(headers, body) or retry_after_s(
        headers.get("Retry-After"), headers.get("Date")
    )


def _words(headers: Mapping[str, str], body: bytes) -> str:
    """Return how a body that may say why begins, in brackets; '' where it says nothing."""
    text = body[:_WORDS_SHOWN].decode(errors="replace").strip()
    says = any(c.isalnum() for c in text) and not is_html(headers, body)
    return f" ({printable(text, _WORDS_SHOWN)})" if says else ""
