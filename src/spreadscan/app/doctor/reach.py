"""Whether a source can be reached: its names, REST, clock and a WebSocket handshake.

Sends two light requests and one handshake, and nothing to a host that is to be left alone.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from spreadscan.app.doctor.check import Check, in_thread
from spreadscan.config import Config
from spreadscan.errors import (
    NoAddress,
    NotTrusted,
    RateLimited,
    Refused,
    RegionBlocked,
    Retry,
    Skip,
    SpreadError,
    VenueDown,
)
from spreadscan.net import rest
from spreadscan.net.bans import bans_of
from spreadscan.net.refusals import Asked
from spreadscan.net.transport import connect
from spreadscan.venues import VENUES
from spreadscan.venues.base import time_ms

SKEW_LIMIT_S = 0.5  # signed requests are refused from 1 s on; times in files are ours
DNS_DEADLINE_S = 10.0
_CLOSE_WITHIN_S = 2.0

Tell = Callable[[Check], None]
Ask = Callable[[Config, str, Tell], Awaitable[None]]
NAMES = ("dns", "rest", "clock", "websocket")  # each source gives one check of each


async def reach(config: Config, source: str, tell: Tell) -> None:
    """Tell one check per name of NAMES; none takes longer than its deadline."""
    venue = VENUES[source]
    urls: dict[Asked, str] = {"rest_url": venue.rest_url(config), "ws_url": venue.ws_url(config)}
    unresolved = await _dns(source, urls, tell)

    asked: dict[Asked, tuple[tuple[str, ...], Ask]] = {
        "rest_url": (("rest", "clock"), _rest),
        "ws_url": (("websocket",), _websocket),
    }
    for key in unresolved:
        for name in asked.pop(key)[0]:
            tell(_failed(source, name, "not tried: its name does not resolve", "mend DNS first"))
    await asyncio.gather(*(ask(config, source, tell) for _, ask in asked.values()))


async def _dns(source: str, urls: dict[Asked, str], tell: Tell) -> dict[Asked, str]:
    """Return what does not resolve, with the resolver's words."""
    words: dict[Asked, str] = {}

    async def one(asked: Asked, host: str) -> None:
        try:
            async with asyncio.timeout(DNS_DEADLINE_S):
                await in_thread(lambda: socket.getaddrinfo(host, None))
        except TimeoutError:
            words[asked] = f"{host}: no answer within {DNS_DEADLINE_S:g} s"
        except OSError as error:
            words[asked] = f"{host}: {error}"

    hosts = {asked: urlsplit(url).hostname or "" for asked, url in urls.items()}
    await asyncio.gather(*(one(asked, host) for asked, host in hosts.items()))
    if words:
        advice = _advice(source, NoAddress(""), next(iter(words)))
        tell(_failed(source, "dns", "; ".join(words.values()), advice))
    else:
        tell(_passed(source, "dns", ", ".join(dict.fromkeys(hosts.values()))))
    return words


async def _rest(config: Config, source: str, tell: Tell) -> None:
    venue, bans = VENUES[source], bans_of(config)
    url = venue.rest_url(config).rstrip("/") + venue.spec.time_path
    timeout_s = config.discovery.rest_timeout_s
    try:
        async with rest.client() as session:
            await rest.get(session, url, timeout_s, bans)  # resolves, connects, shakes hands
            sent_s, started = time.time(), time.monotonic()
            payload = await rest.get(session, url, timeout_s, bans)
            took_s = time.monotonic() - started
        venue_s = time_ms(venue.spec, payload) / 1e3
    except (Retry, Refused, Skip) as error:
        tell(_failed(source, "rest", str(error), _advice(source, error, "rest_url")))
        tell(_failed(source, "clock", "not known without REST", "mend REST first"))
        return
    tell(_passed(source, "rest", f"{took_s * 1e3:.0f} ms"))
    tell(_clock(source, ahead_s=sent_s + took_s / 2 - venue_s, unsure_s=took_s / 2))


def _clock(source: str, *, ahead_s: float, unsure_s: float) -> Check:
    """Judge how far our clock is ahead of the venue's, known to unsure_s."""
    found = f"{ahead_s * 1e3:+.0f} ms ± {unsure_s * 1e3:.0f}"
    if abs(ahead_s) - unsure_s <= SKEW_LIMIT_S:
        return _passed(source, "clock", found)
    found = f"ours is ahead of the venue's by {found}, expected up to {SKEW_LIMIT_S * 1e3:.0f} ms"
    advice = "if all sources say so, set this machine's clock by NTP (timedatectl set-ntp true)"
    return _failed(source, "clock", found, advice)


class _Deaf:
    """A listener for a socket that only shakes hands."""

    def on_message(self, payload: bytes, recv_ns: int) -> None:
        pass

    def on_ping(self, recv_ns: int) -> None:
        pass

    def on_flush(self) -> None:
        pass


async def _websocket(config: Config, source: str, tell: Tell) -> None:
    url, bans = VENUES[source].ws_url(config), bans_of(config)
    feeds = config.feeds
    started = time.monotonic()
    try:
        bans.check(url)
        opened = await connect(
            feeds.transport,
            url,
            _Deaf(),
            timeout_s=feeds.connect_timeout_s,
            max_frame_bytes=feeds.max_frame_bytes,
        )
    except (Retry, Refused) as error:
        if isinstance(error, RateLimited):
            bans.note(url, error)
        tell(_failed(source, "websocket", str(error), _advice(source, error, "ws_url")))
        return
    tell(_passed(source, "websocket", f"{(time.monotonic() - started) * 1e3:.0f} ms"))
    opened.close()
    await asyncio.wait({asyncio.ensure_future(opened.wait_closed())}, timeout=_CLOSE_WITHIN_S)


def _advice(source: str, error: SpreadError, asked: Asked) -> str:
    key = f"venues.{source}.{asked}"
    match error:
        case NoAddress():
            return f"mend this machine's DNS (resolvectl query), or set {key}"
        case NotTrusted():
            return (
                "check this machine's clock and CA certificates (SSL_CERT_FILE), and whether "
                f"somebody in between answers; else set {key}"
            )
        case RateLimited():
            return "wait: nothing is sent there before"
        case RegionBlocked():
            return f"set {key} to a host that serves you, or take {source} out of `sources`"
        case VenueDown() | Skip():
            return f"look whether the venue has an outage; else check {key}"
        case _:
            return f"check network and firewall, and {key}"


def _passed(source: str, name: str, found: str) -> Check:
    return Check(subject=source, name=name, ok=True, found=found)


def _failed(source: str, name: str, found: str, advice: str) -> Check:
    return Check(subject=source, name=name, ok=False, found=found, advice=advice)
