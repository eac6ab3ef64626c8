"""Whether the venues are still what this release was written for: every address, every page.

Asked for by the user alone (`doctor --live`): per source and address it asks for the time, the
whole instrument list, the funding where there is one, the tickers that the audit reads, and
subscribes to one pair until a valid quote comes; where the venue announces maintenance it asks
for that, where it pushes statuses it subscribes to them, and it looks whether the documentation is
where it was. Everything side by side, with deadlines, within the venues' limits and bans.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

import aiohttp
import msgspec

from spreadscan.app.doctor.push import subscribed
from spreadscan.app.doctor.reach import (
    Tell,
    advice_on,
    failed,
    first,
    name_of,
    passed,
    unresolved,
)
from spreadscan.app.doctor.reach import facts as facts_check
from spreadscan.audit.evidence import has_book
from spreadscan.config import Config, VenueSettings
from spreadscan.discovery.guards import MAJORS_IN
from spreadscan.discovery.validate import price_fault
from spreadscan.errors import BadFrame, Moved, NoAddress, RateLimited, Refused, Retry, Skip
from spreadscan.feeds.session import Session
from spreadscan.net import rest
from spreadscan.net.bans import bans_of, state_folder
from spreadscan.net.budget import Budget
from spreadscan.net.refusals import refusal
from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.venues.base import ListPages, RestRequest, Venue, time_ms
from spreadscan.workers.connects import connects_of
from spreadscan.workers.proxies import proxies_of

NAMES = (
    "facts", "dns", "time", "instruments", "tickers", "funding", "maintenance", "websocket",
    "statuses", "documentation",
)  # fmt: skip
QUOTE_DEADLINE_S = 15.0  # majors quote many times a second
_CLOSE_WITHIN_S = 2.0


async def live(config: Config, tell: Tell) -> None:
    """Tell one check per source, address and page; those of a host without an address in one."""
    await asyncio.gather(*(_Visit(config, source, tell).run() for source in config.sources))


class _Visit:
    """One source, all of its addresses."""

    def __init__(self, config: Config, source: str, tell: Tell) -> None:
        self._venue: Venue = VENUES[source]
        self._source = source
        self._config = config
        self._tell = tell
        self._budget = Budget(state_folder(config), self._venue.spec.rest_limit)
        self._symbol: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        self._tell(facts_check(self._source))
        rest_urls, ws_urls = self._venue.rest_urls(self._config), self._venue.ws_urls(self._config)
        docs = self._docs()
        words = await unresolved([*rest_urls, *ws_urls, *docs])
        for host, said in words.items():
            key = "ws_url" if host in map(name_of, ws_urls) else "rest_url"
            advice = advice_on(self._source, NoAddress(""), key)
            self._tell(failed(self._source, "dns", said.removeprefix(f"{host}: "), advice, host))
        there = [
            [u for u in urls if name_of(u) not in words] for urls in (rest_urls, ws_urls, docs)
        ]
        await asyncio.gather(
            self._lists(there[0]),
            self._maintenance(there[0]),
            *(self._rest(url) for url in there[0]),
            *(self._socket(url) for url in there[1]),
            *(self._statuses(url) for url in there[1]),
            *(self._page(url) for url in there[2]),
        )

    def _docs(self) -> list[str]:
        """Return the documentation's pages, none where a setting says whom to ask instead."""
        if self._source in self._config.venues:
            return []
        spec = self._venue.spec
        return list(dict.fromkeys((spec.addresses.source, spec.limits.source, spec.rest.source)))

    # -- pages

    async def _lists(self, urls: Sequence[str]) -> None:
        """Ask every address for its whole list; the first that has one names the pair to quote."""
        await asyncio.gather(*(self._check("instruments", url, self._instruments) for url in urls))
        if not self._symbol.done():
            self._symbol.set_result("")

    async def _rest(self, url: str) -> None:
        await self._check("time", url, self._time)
        await self._check("tickers", url, self._tickers)
        if self._venue.funding_request:
            await self._check("funding", url, self._funding)

    async def _maintenance(self, urls: Sequence[str]) -> None:
        """Ask for announcements; not every address has that page, so the first that does counts."""
        request, parse = self._venue.audit.maintenance_request, self._venue.audit.maintenance
        if not urls or request is None or parse is None:
            return

        async def visit(session: aiohttp.ClientSession, url: str) -> str:
            async def ask(address: str) -> int:
                # a limit of this page says nothing of its host: no ban is kept
                return len(parse(await self._get(session, address, request, keep=False)))

            note, n = await first(tuple(urls), ask)
            return f"{n} announced{note}"

        await self._check("maintenance", urls[0], visit)

    async def _page(self, url: str) -> None:
        async def visit(session: aiohttp.ClientSession, url: str) -> str:
            timeout = aiohttp.ClientTimeout(total=self._config.discovery.rest_timeout_s)
            async with session.get(url, timeout=timeout, allow_redirects=False) as answer:
                if answer.status != 200:
                    error = refusal(url, answer.status, answer.headers, b"", "rest_url")
                    assert error, answer.status
                    raise error
            return "is there"

        await self._check("documentation", url, visit)

    async def _check(
        self, name: str, url: str, visit: Callable[[aiohttp.ClientSession, str], Awaitable[str]]
    ) -> None:
        """Tell what a visit to an address gives; an answer from elsewhere is a finding, too."""
        try:
            async with rest.client(proxies_of(self._config)) as session:
                found, advice = await visit(session, url), ""
        except Moved as error:
            found = f"redirects to {error.to}"
            advice = f"set [venues.{self._source}] to where it is now, or use a newer release"
        except (Retry, Refused, Skip) as error:
            found, advice = str(error), self._advice(error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            found, advice = str(error) or type(error).__name__, "check network and firewall"
        if advice:
            self._tell(failed(self._source, name, found, advice, url))
        else:
            self._tell(passed(self._source, name, found, url))

    def _advice(self, error: Retry | Refused | Skip) -> str:
        if isinstance(error, BadFrame):
            return f"the answer has changed shape: use a newer release, or leave out {self._source}"
        return advice_on(self._source, error, "rest_url")

    async def _time(self, session: aiohttp.ClientSession, url: str) -> str:
        payload = await self._get(session, url, RestRequest(self._venue.spec.time_path))
        return f"{time_ms(self._venue.spec, payload)} ms"

    async def _funding(self, session: aiohttp.ClientSession, url: str) -> str:
        assert self._venue.funding
        assert self._venue.funding_request
        rows = self._venue.funding(await self._get(session, url, self._venue.funding_request))
        if not rows:
            raise BadFrame("no funding rate, expected one of each contract")
        return f"{len(rows)} rates"

    async def _tickers(self, session: aiohttp.ClientSession, url: str) -> str:
        """Ask for all books in one answer, and for one of them as the audit does at times."""
        pages = self._venue.audit
        rows = pages.tickers(await self._get(session, url, pages.tickers_request))
        shown = [row.symbol for row in rows if has_book(row)]
        if not shown:
            raise BadFrame(f"{url}: {len(rows)} tickers, none of them a book; expected most")
        asked = shown[0]
        answer = pages.tickers(await self._get(session, url, pages.ask_request([asked])))
        if asked not in {row.symbol for row in answer}:
            raise BadFrame(f"{url}: asked for {asked}, the answer has {len(answer)} other tickers")
        return f"{len(shown)} of {len(rows)} show a book"

    async def _get(
        self, session: aiohttp.ClientSession, address: str, request: RestRequest, keep: bool = True
    ) -> bytes:
        """Return an answer, within the limit that all processes share. keep: a ban that it is."""
        bans, timeout_s = bans_of(self._config), self._config.discovery.rest_timeout_s
        bans.check(address)
        await self._budget.take(address, request.cost)
        return await rest.get(
            session,
            request.url(address),
            timeout_s,
            bans if keep else None,
            self._venue.spec.headers,
            request.most_bytes,
        )

    async def _instruments(self, session: aiohttp.ClientSession, url: str) -> str:
        config = self._config.discovery
        coins: dict[str, str] = {}
        n_skipped, pages = 0, ListPages(self._venue)
        async with asyncio.timeout(config.list_limit_s):
            for request in pages:
                page = self._venue.instruments(await self._get(session, url, request))
                pages.take(page)
                # as discovery looks for majors: in the currency in which every list has them
                coins |= {i.base: i.venue_symbol for i in page.of([MAJORS_IN]).instruments}
                n_skipped += sum(page.of(self._config.universe.quotes).skipped.values())
        missing = [coin for coin in config.majors if coin not in coins]
        if missing or not coins:
            expected = ", ".join(config.majors) or "some"
            raise BadFrame(
                f"{url}: lists {len(coins)} coins, not {', '.join(missing)}; expected {expected}"
            )
        if not self._symbol.done():
            self._symbol.set_result(coins[next(iter([*config.majors, *coins]))])
        return f"{len(coins)} coins trade, {n_skipped} rows left out"

    # -- sockets

    async def _socket(self, url: str) -> None:
        """Shake hands, subscribe to one pair and wait for its first valid quote."""
        symbol = await self._symbol
        if not symbol:
            advice = "see instruments"
            said = "not tried: no instrument list says what to subscribe to"
            self._tell(failed(self._source, "websocket", said, advice, url))
            return
        try:
            told = await self._first_quote(url, symbol)
        except (Retry, Refused) as error:
            advice = advice_on(self._source, error, "ws_url")
            self._tell(failed(self._source, "websocket", str(error), advice, url))
            return
        self._tell(passed(self._source, "websocket", told, url))

    async def _statuses(self, url: str) -> None:
        """Subscribe to the statuses that the venue pushes, on a socket of their own."""
        push = self._venue.audit.push
        if push is None:
            return
        connects = connects_of(self._venue, self._only(ws_url=url))
        try:
            await connects.take(self._config.feeds.connect_timeout_s)
            told = await subscribed(self._venue, push, url, self._config)
        except (Retry, Refused) as error:
            if isinstance(error, RateLimited):
                connects.failed(url, error)
            advice = advice_on(self._source, error, "ws_url")
            self._tell(failed(self._source, "statuses", str(error), advice, url))
            return
        self._tell(passed(self._source, "statuses", told, url))

    async def _first_quote(self, url: str, symbol: str) -> str:
        feeds = self._config.feeds
        connects = connects_of(self._venue, self._only(ws_url=url))
        await connects.take(feeds.connect_timeout_s)
        sink = _Sink()
        proxies = proxies_of(self._config)
        session = Session(self._venue, [symbol], url, sink, feeds, proxies=proxies)
        running = asyncio.create_task(session.run())
        quoted = asyncio.create_task(sink.quoted.wait())
        try:
            timeout_s = feeds.connect_timeout_s + QUOTE_DEADLINE_S
            tasks = {running, quoted}
            await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if quoted.done():
                return f"{symbol} quoted"
            if running.done():
                raise Refused(f"{url}: {running.result()}, expected a quote of {symbol}")
            faults = f" ({sink.fault})" if sink.fault else ""
            raise Refused(f"{url}: no valid quote of {symbol} within {timeout_s:g} s{faults}")
        except RateLimited as error:
            connects.failed(url, error)
            raise
        finally:
            session.close("looked at")
            quoted.cancel()
            await asyncio.wait({running}, timeout=_CLOSE_WITHIN_S)
            running.cancel()
            await asyncio.gather(running, quoted, return_exceptions=True)

    def _only(self, ws_url: str) -> Config:
        """Return the settings with one socket address of this source."""
        own = self._config.venues.get(self._source, VenueSettings())
        venues = {self._source: msgspec.structs.replace(own, ws_url=ws_url)}
        return msgspec.structs.replace(self._config, venues=self._config.venues | venues)


class _Sink:
    """Waits for one good top of book."""

    def __init__(self) -> None:
        self.quoted = asyncio.Event()
        self.fault = ""

    def book(self, book: Book, recv_ns: int) -> bool:
        self.fault = price_fault(book)
        if not self.fault:
            self.quoted.set()
        return not self.fault

    def declined(self, reason: str) -> None:
        self.fault = reason

    def refused(self, symbol: str, text: str) -> None:
        self.fault = f"refused: {text}"

    def final(self, text: str) -> None:
        self.fault = f"refused: {text}"

    def unanswered(self, symbols: Sequence[str]) -> None:
        self.fault = "no answer to the subscription"

    def paused(self, text: str, wait_s: float) -> None:
        self.fault = text

    def acknowledged(self, symbols: Sequence[str]) -> None:
        pass

    def heard(self, symbols: Sequence[str], since_ns: int) -> Collection[str]:
        return symbols if self.quoted.is_set() else ()

    def control(self, kind: str) -> None:
        pass

    def flush(self) -> None:
        pass
