"""What the audit asks of one source: its addresses, its bans, and its half of the venue's limit."""

from collections.abc import Callable
from typing import TypeVar

import aiohttp

from spreadscan.config import Config
from spreadscan.net import rest
from spreadscan.net.bans import bans_of, state_folder
from spreadscan.net.budget import Budget
from spreadscan.net.endpoints import Endpoints
from spreadscan.venues.base import RestRequest, Venue

T = TypeVar("T")

_SHARE = 0.5  # of the venue's limit: discovery always has room


def _nothing() -> None:
    pass


class Requests:
    """Asks one venue. count: called with each request that leaves."""

    def __init__(
        self,
        venue: Venue,
        config: Config,
        session: aiohttp.ClientSession,
        count: Callable[[], None],
    ) -> None:
        self._session = session
        self._bans = bans_of(config)
        self._endpoints = Endpoints(venue.name, venue.rest_urls(config), self._bans)
        self._budget = Budget(state_folder(config), venue.spec.rest_limit, _SHARE)
        self._timeout_s = config.discovery.rest_timeout_s
        self._count = count
        self._headers = venue.spec.headers

    async def ask(
        self,
        request: RestRequest,
        parse: Callable[[bytes], T],
        sending: Callable[[], None] = _nothing,
    ) -> T:
        """Return what parse makes of the answer; raises what net/rest.ask_any() does.

        sending: called each time just before the request leaves, once per address that is tried.
        """

        def url_at(address: str) -> str:
            self._count()
            sending()
            return request.url(address)

        return await rest.ask_any(
            self._session,
            self._endpoints,
            url_at,
            self._timeout_s,
            parse,
            self._bans,
            self._budget,
            request.cost,
            self._headers,
            request.most_bytes,
        )
