"""Whether a source can be reached: its names, REST, clock and a WebSocket handshake.

Sends two light requests and one handshake, and nothing to a host that is to be left alone.
"""

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlsplit

from spreadscan.app.doctor.check import Check, in_thread
from spreadscan.audit.agreement import CLOCK_LIMIT_MS, is_skewed
from spreadscan.config import Config
from spreadscan.credentials import masked
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
from spreadscan.net.transport import connect
from spreadscan.venues import VENUES
from spreadscan.venues.base import old_facts, time_ms
from spreadscan.workers.proxies import proxies_of

DNS_DEADLINE_S = 10.0

_CLOSE_WITHIN_S = 2.0

T = TypeVar("T")
Tell = Callable[[Check], None]
Urls = tuple[str, ...]  # in order of preference
Ask = Callable[[Config, str, Urls, Tell], Awaitable[None]]
NAMES = ("facts", "dns", "rest", "clock", "websocket")  # each source gives one check of each


async def reach(config: Config, source: str, tell: Tell) -> None:
    """Tell one check per name of NAMES; none takes longer than its deadlines.

    As a scanner does, it goes through the addresses in order until one works.
    """
    venue = VENUES[source]
    tell(facts(source))
    urls = {"rest_url": venue.rest_urls(config), "ws_url": venue.ws_urls(config)}
    resolved = await _dns(config, source, urls, tell)
    asked: dict[str, tuple[tuple[str, ...], Ask]] = {
        "rest_url": (("rest", "clock"), _rest),
        "ws_url": (("websocket",), _websocket),
    }
    for key in [key for key, found in resolved.items() if not found]:
        for name in asked.pop(key)[0]:
            tell(failed(source, name, "not tried: its name does not resolve", "mend DNS first"))
    await asyncio.gather(
        *(ask(config, source, resolved[key], tell) for key, (_, ask) in asked.items())
    )


def facts(source: str) -> Check:
    """Judge whether what the program knows of a venue by heart was checked lately."""
    spec = VENUES[source].spec
    old = old_facts(spec, datetime.now(UTC).date())
    if old:
        found, _, advice = old.removeprefix(f"{source}: ").partition(": ")
        return failed(source, "facts", found, advice)
    return passed(source, "facts", min(table.checked for table in spec.facts.values()))


async def unresolved(urls: Iterable[str]) -> dict[str, str]:
    """Return what the resolver says of each host that has no address, all asked side by side."""
    words: dict[str, str] = {}

    async def one(host: str) -> None:
        try:
            async with asyncio.timeout(DNS_DEADLINE_S):
                await in_thread(lambda: socket.getaddrinfo(host, None))
        except TimeoutError:
            words[host] = f"{host}: no answer within {DNS_DEADLINE_S:g} s"
        except OSError as error:
            words[host] = f"{host}: {error}"

    await asyncio.gather(*(one(host) for host in dict.fromkeys(map(name_of, urls))))
    return words


def name_of(url: str) -> str:
    """Return the host's name in a URL."""
    return urlsplit(url).hostname or ""


async def _dns(
    config: Config, source: str, urls: Mapping[str, Urls], tell: Tell
) -> dict[str, Urls]:
    """Return by key the addresses that resolve; a finding where a key has none."""
    every = [url for own in urls.values() for url in own]
    proxies = proxies_of(config)
    words = await unresolved(url for url in every if proxies.of(url) is None)  # else they resolve
    resolved = {
        key: tuple(url for url in own if name_of(url) not in words) for key, own in urls.items()
    }
    cut_off = [key for key, found in resolved.items() if not found]
    good = ", ".join(host for host in dict.fromkeys(map(name_of, every)) if host not in words)
    found = "; ".join([*filter(None, [good]), *words.values()])
    if cut_off:
        tell(failed(source, "dns", found, advice_on(source, NoAddress(""), cut_off[0])))
    else:
        tell(passed(source, "dns", found))
    return resolved


async def first(urls: Urls, ask: Callable[[str], Awaitable[T]]) -> tuple[str, T]:
    """Return what the first address that works gives, and what those before it said in a note.

    Raises the first address's error where none works.
    """
    errors: list[Retry | Refused | Skip] = []
    for url in urls:
        try:
            found = await ask(url)
        except (Retry, Refused, Skip) as error:
            errors.append(error)
            continue
        return "".join(f"; at {url}, since {error}" for error in errors[-1:]), found
    raise errors[0]


async def _rest(config: Config, source: str, urls: Urls, tell: Tell) -> None:
    spec, bans = VENUES[source].spec, bans_of(config)
    timeout_s = config.discovery.rest_timeout_s

    async def ask(address: str) -> tuple[float, float]:
        """Return how far our clock is ahead of the venue's, and how long an answer takes."""
        url = address.rstrip("/") + spec.time_path
        async with rest.client(proxies_of(config)) as session:
            await rest.get(
                session, url, timeout_s, bans, spec.headers
            )  # resolves, connects, shakes hands
            sent_s, started = time.time(), time.monotonic()
            payload = await rest.get(session, url, timeout_s, bans, spec.headers)
            took_s = time.monotonic() - started
        return sent_s + took_s / 2 - time_ms(spec, payload) / 1e3, took_s

    try:
        note, (ahead_s, took_s) = await first(urls, ask)
    except (Retry, Refused, Skip) as error:
        tell(failed(source, "rest", str(error), advice_on(source, error, "rest_url")))
        tell(failed(source, "clock", "not known without REST", "mend REST first"))
        return
    tell(passed(source, "rest", f"{took_s * 1e3:.0f} ms{note}"))
    tell(_clock(source, ahead_s=ahead_s, unsure_s=took_s / 2))


def _clock(source: str, *, ahead_s: float, unsure_s: float) -> Check:
    """Judge how far our clock is ahead of the venue's, known to unsure_s."""
    found = f"{ahead_s * 1e3:+.0f} ms ± {unsure_s * 1e3:.0f}"
    if not is_skewed(ahead_s * 1e3, unsure_s * 1e3):
        return passed(source, "clock", found)
    found = f"ours is ahead of the venue's by {found}, expected up to {CLOCK_LIMIT_MS:.0f} ms"
    advice = "if all sources say so, set this machine's clock by NTP (timedatectl set-ntp true)"
    return failed(source, "clock", found, advice)


class _Deaf:
    """A listener for a socket that only shakes hands."""

    def on_message(self, payload: bytes, recv_ns: int) -> None:
        pass

    def on_ping(self, recv_ns: int) -> None:
        pass

    def on_flush(self) -> None:
        pass


async def _websocket(config: Config, source: str, urls: Urls, tell: Tell) -> None:
    bans, feeds = bans_of(config), config.feeds

    async def ask(url: str) -> float:
        """Return how long the handshake took, in seconds."""
        bans.check(url)
        started = time.monotonic()
        try:
            opened = await connect(
                feeds.transport,
                url,
                _Deaf(),
                timeout_s=feeds.connect_timeout_s,
                max_frame_bytes=feeds.max_frame_bytes,
                headers=VENUES[source].spec.headers,
                proxies=proxies_of(config),
            )
        except RateLimited as error:
            bans.record(url, error)
            raise
        took_s = time.monotonic() - started
        opened.close()
        await asyncio.wait({asyncio.ensure_future(opened.wait_closed())}, timeout=_CLOSE_WITHIN_S)
        return took_s

    try:
        note, took_s = await first(urls, ask)
    except (Retry, Refused, Skip) as error:
        tell(failed(source, "websocket", str(error), advice_on(source, error, "ws_url")))
        return
    tell(passed(source, "websocket", f"{took_s * 1e3:.0f} ms{note}"))


def advice_on(source: str, error: SpreadError, asked: str) -> str:
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


def passed(source: str, name: str, found: str, at: str = "") -> Check:
    return Check(subject=source, name=name, ok=True, found=masked(found), at=masked(at))


def failed(source: str, name: str, found: str, advice: str, at: str = "") -> Check:
    shown = masked((found, at))
    return Check(subject=source, name=name, ok=False, found=shown[0], advice=advice, at=shown[1])
