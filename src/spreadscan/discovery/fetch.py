"""Stage 1: the instrument list of every source over REST, whole or not at all.

Whatever is wrong with a list (an error, a cut body, a page or a major missing), it is asked for
again from its first page after a pause, until the tries or the time of the source are used up.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import aiohttp

from spreadscan.config import Config
from spreadscan.discovery.guards import MAJORS_IN, Counts
from spreadscan.discovery.keep import absent, halted
from spreadscan.errors import RateLimited, Refused, RequestRefused, Retry, Skip
from spreadscan.net import rest
from spreadscan.net.bans import Bans, bans_of, state_folder
from spreadscan.net.budget import Budget
from spreadscan.net.endpoints import Endpoints
from spreadscan.types import Instrument
from spreadscan.venues.base import ListPages, Venue, is_nameless

NOTHING: Mapping[str, Instrument] = {}
_REASONS_KEPT = 200  # of rows that lack something, for the report
_PAST_S = 0.01  # timers may end a little early, and within a ban nothing is sent


class Fetched:
    """What one source lists. error: why it lists nothing; skipped: rows left out, by reason.

    halts: rows that say that they do not trade, by quote currency. n_all: pairs in any of QUOTES;
    majors: coins of those in MAJORS_IN.
    incomplete: the first of those that lack something, name -> what. halted: pairs known from
    before that are listed, but do not trade now, venue symbol -> why; absent: those without a row,
    where that may mean the same. torn: a page that was announced had no row.
    """

    def __init__(self) -> None:
        self.instruments: list[Instrument] = []
        self.skipped: Counter[str] = Counter()
        self.halts: Counter[str] = Counter()
        self.n_all = 0
        self.majors: set[str] = set()
        self.incomplete: dict[str, str] = {}
        self.halted: dict[str, str] = {}
        self.absent: dict[str, str] = {}
        self.error = ""
        self.torn = False

    def trading(self, quotes: Sequence[str]) -> dict[str, int]:
        """Return how many pairs it lists in each of these currencies."""
        n = Counter(i.quote for i in self.instruments)
        return {quote: n[quote] for quote in quotes}


async def fetch(
    session: aiohttp.ClientSession,
    venue: Venue,
    config: Config,
    is_short: Callable[[Counts, Counts], bool] = lambda trading, halts: False,
    known: Mapping[str, Instrument] = NOTHING,
) -> Fetched:
    """Return the source's pairs that trade now. Never raises for what a venue can do.

    is_short: of pairs that trade and rows that are halted, both by quote currency, whether that is
    too few; such a list is
    asked for again, too, but is taken in the end, as is a torn one.
    known: the pairs of before by venue symbol, of which those that are halted are told.
    """
    settings, bans = config.discovery, bans_of(config)
    endpoints = Endpoints(venue.name, venue.rest_urls(config), bans)
    budget = Budget(state_folder(config), venue.spec.rest_limit)
    end_s = time.monotonic() + settings.list_limit_s
    found = Fetched()
    for attempt in range(1, settings.tries + 1):
        before, found = found.error, Fetched()
        wait_s = _pause_s(settings.backoff_ms, attempt)
        try:
            async with asyncio.timeout(end_s - time.monotonic()):
                await _pages(session, venue, config, endpoints, bans, budget, found, known)
            held = (known[symbol] for symbol in found.halted)
            found.majors.update(i.base for i in held if i.quote == MAJORS_IN)
            found.error = _incomplete(venue.name, found, settings.majors)
            if found.error:
                found.instruments.clear()
            elif not (found.torn or is_short(found.trading(config.universe.quotes), found.halts)):
                return found
        except TimeoutError:
            within = f"{venue.name}: no whole list within {settings.list_limit_s:g} s"
            return _failed(f"{within} (before: {before})" if before else within)
        except RateLimited as error:
            found = _failed(str(error))
            wait_s = max(wait_s, error.after_s + _PAST_S)
        except (Retry, Skip, RequestRefused) as error:  # a list is always there
            found = _failed(str(error))
        except Refused as error:
            return _failed(str(error))
        if attempt == settings.tries or time.monotonic() + wait_s >= end_s:
            break
        await asyncio.sleep(wait_s)
    return found


def _failed(error: str) -> Fetched:
    found = Fetched()
    found.error = error
    return found


def _pause_s(backoff_ms: Sequence[float], attempt: int) -> float:
    """Return the pause after so many tries; the last one configured repeats."""
    return backoff_ms[min(attempt, len(backoff_ms)) - 1] / 1e3


async def _pages(
    session: aiohttp.ClientSession,
    venue: Venue,
    config: Config,
    endpoints: Endpoints,
    bans: Bans,
    budget: Budget,
    found: Fetched,
    known: Mapping[str, Instrument],
) -> None:
    """Fill `found` page by page. Raises for what is no list."""
    timeout_s = config.discovery.rest_timeout_s
    left_out: dict[str, str] = {}
    pages = ListPages(venue)
    for request in pages:
        # an error may stand in the body of a 200 answer, too
        page = await rest.ask_any(
            session, endpoints, request.url, timeout_s, venue.instruments, bans, budget,
            request.cost, venue.spec.headers,
        )  # fmt: skip
        pages.take(page)
        found.n_all += len(page.instruments)
        found.majors.update(i.base for i in page.instruments if i.quote == MAJORS_IN)
        page = page.of(config.universe.quotes)
        found.instruments += page.instruments
        found.skipped.update(page.skipped)
        found.halts += page.halts()
        room = _REASONS_KEPT - len(found.incomplete)  # all are counted in `skipped`
        found.incomplete |= dict(islice(page.incomplete.items(), room))
        left_out |= page.left_out
    found.torn = pages.torn
    listed = {i.venue_symbol for i in found.instruments}
    found.halted = halted(left_out, known.keys() - listed)
    # a row without a name may be anyone's
    if not venue.spec.lists_halted or any(map(is_nameless, left_out)):
        found.absent = absent(known.keys() - listed - left_out.keys())


def _incomplete(source: str, found: Fetched, majors: Sequence[str]) -> str:
    """Return why this cannot be the whole list, '' where it may be."""
    if not found.n_all:  # an outage, not a venue that delisted everything
        return f"{source}: lists no pair that trades, expected some"
    missing = [coin for coin in majors if coin not in found.majors]
    if not missing:
        return ""
    return (
        f"{source}: lists {len(found.instruments)} pairs, but not {', '.join(missing)} in "
        f"{MAJORS_IN}: expected every one of discovery.majors; a page or more is missing, or "
        "trading in them is halted"
    )
