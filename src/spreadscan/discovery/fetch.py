"""Stage 1: the instrument list of every source over REST, page by page, with a few tries."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import aiohttp

from spreadscan.config import Config
from spreadscan.errors import RateLimited, Refused, Retry, Skip, VenueDown
from spreadscan.net import rest
from spreadscan.net.bans import bans_of
from spreadscan.net.endpoints import Endpoints
from spreadscan.types import Instrument
from spreadscan.venues.base import InstrumentPage, RestRequest, Venue

_MAX_PAGES = 100
_MAX_WAIT_S = 5.0  # a venue that asks for longer fails this run
_PAST_S = 0.01  # timers may end a little early, and within a ban nothing is sent


class Fetched:
    """What one source lists. error: why it lists nothing; skipped: rows left out, by reason.

    incomplete: those of them that lack something, name -> what.
    """

    def __init__(self) -> None:
        self.instruments: list[Instrument] = []
        self.skipped: Counter[str] = Counter()
        self.incomplete: dict[str, str] = {}
        self.error = ""


async def fetch(session: aiohttp.ClientSession, venue: Venue, config: Config) -> Fetched:
    """Return the source's pairs that trade now. Never raises for what a venue can do."""
    found = Fetched()
    limit_s = config.discovery.list_limit_s
    try:
        async with asyncio.timeout(limit_s):
            found.error = await _pages(session, venue, config, found)
    except TimeoutError:
        found.error = f"{venue.name}: no whole list within {limit_s:g} s"
    except (Retry, Refused, Skip) as error:
        found.error = str(error)
    if found.error:
        found.instruments.clear()
    return found


async def _pages(
    session: aiohttp.ClientSession, venue: Venue, config: Config, found: Fetched
) -> str:
    """Fill `found` page by page; return why it is not the whole list, '' where it is."""
    endpoints = Endpoints(venue.name, venue.rest_urls(config), bans_of(config))
    cursor, seen = "", {""}
    for _ in range(_MAX_PAGES):
        request = venue.instruments_request(cursor)
        page = await _page(session, venue, request, endpoints, config)
        found.instruments += page.instruments
        found.skipped.update(page.skipped)
        found.incomplete |= page.incomplete
        cursor = page.cursor
        if cursor in seen:  # '' after the last page; a venue may also repeat itself
            return _incomplete(venue.name, found.instruments, config.discovery.majors)
        seen.add(cursor)
    return f"{venue.name}: more than {_MAX_PAGES} pages"


def _incomplete(source: str, rows: Sequence[Instrument], majors: Sequence[str]) -> str:
    """Return why this cannot be the whole list, '' where it may be."""
    if not rows:  # an outage, not a venue that delisted everything
        return f"{source}: lists no pair that trades, expected some"
    bases = {row.base for row in rows}
    missing = [coin for coin in majors if coin not in bases]
    if not missing:
        return ""
    return (
        f"{source}: lists {len(rows)} pairs, but not {', '.join(missing)}: expected every one of "
        "discovery.majors; a page or more is missing"
    )


async def _page(
    session: aiohttp.ClientSession,
    venue: Venue,
    request: RestRequest,
    endpoints: Endpoints,
    config: Config,
) -> InstrumentPage:
    """GET a page with the configured tries and back-off; the last error goes up."""
    settings, bans = config.discovery, bans_of(config)
    last: Exception = VenueDown(f"{request.path}: never asked")
    for attempt in range(settings.tries):
        if attempt:
            pause = settings.backoff_ms[min(attempt, len(settings.backoff_ms)) - 1] / 1e3
            wait_s = pause
            if isinstance(last, RateLimited):
                wait_s = max(pause, last.after_s + _PAST_S)
            if wait_s > _MAX_WAIT_S:
                break
            await asyncio.sleep(wait_s)
        try:
            return await rest.ask_any(
                session,
                endpoints,
                request.url,
                settings.rest_timeout_s,
                venue.instruments,
                bans,
            )
        except Retry as error:  # also an error body in a 200 answer
            last = error
    raise last
