"""Stage 1: the instrument list of every source over REST, page by page, with a few tries."""

import asyncio
from collections import Counter

import aiohttp

from spreadscan.config import Config
from spreadscan.errors import RateLimited, Refused, Retry, Skip, VenueDown
from spreadscan.net import rest
from spreadscan.net.bans import bans_of
from spreadscan.types import Instrument
from spreadscan.venues.base import InstrumentPage, Venue

_MAX_PAGES = 100
_MAX_WAIT_S = 5.0  # a venue that asks for longer fails this run
_PAST_S = 0.01  # timers may end a little early, and within a ban nothing is sent


class Fetched:
    """What one source lists. error: why it lists nothing; skipped: rows left out, by reason."""

    def __init__(self) -> None:
        self.instruments: list[Instrument] = []
        self.skipped: Counter[str] = Counter()
        self.error = ""


async def fetch(session: aiohttp.ClientSession, venue: Venue, config: Config) -> Fetched:
    """Return the source's pairs that trade now. Never raises for what a venue can do."""
    found = Fetched()
    host = venue.rest_url(config)
    cursor, seen = "", {""}
    try:
        for _ in range(_MAX_PAGES):
            url = venue.instruments_request(cursor).url(host)
            page = await _page(session, venue, url, config)
            found.instruments += page.instruments
            found.skipped.update(page.skipped)
            cursor = page.cursor
            if cursor in seen:  # '' after the last page; a venue may also repeat itself
                if not found.instruments:  # an outage, not a venue that delisted everything
                    found.error = f"{venue.name}: lists no pair that trades, expected some"
                return found
            seen.add(cursor)
        found.error = f"{venue.name}: more than {_MAX_PAGES} pages"
    except (Retry, Refused, Skip) as error:
        found.error = str(error)
    found.instruments.clear()
    return found


async def _page(
    session: aiohttp.ClientSession, venue: Venue, url: str, config: Config
) -> InstrumentPage:
    """GET a page with the configured tries and back-off; the last error goes up."""
    settings, bans = config.discovery, bans_of(config)
    last: Exception = VenueDown(f"{url}: never asked")
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
            return venue.instruments(await rest.get(session, url, settings.rest_timeout_s, bans))
        except Retry as error:  # also an error body in a 200 answer
            last = error
    raise last
