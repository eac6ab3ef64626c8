"""Stage 4: every pair proven on the wire, through the feed's own session and decoder."""

import asyncio
import math
from collections.abc import Callable, KeysView, Sequence

from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.errors import Refused, Retry
from spreadscan.feeds.session import Session
from spreadscan.feeds.shards import batches
from spreadscan.lists import State
from spreadscan.net.backoff import Backoff
from spreadscan.net.bans import bans_of
from spreadscan.net.connects import Connects
from spreadscan.net.proxy import Proxies
from spreadscan.types import Book
from spreadscan.venues.base import Venue
from spreadscan.workers.connects import connects_of
from spreadscan.workers.proxies import proxies_of

_LOOK_S = 0.1
_MANY = 10  # pairs whose common silence is that of their source


def price_fault(book: Book) -> str:
    """Return why the gate would refuse this top of book, '' when it would not."""
    numbers = (book.bid_px, book.bid_qty, book.ask_px, book.ask_qty)
    if any(math.isnan(x) for x in numbers):
        return "one_sided"
    if not all(0.0 < x < math.inf for x in numbers):
        return "bad_price"
    return "crossed" if book.bid_px > book.ask_px else ""


class Validation:
    """Verdicts of one source. mids: last mid in wire units of each that gave a valid update.

    failed: why it proved nothing at all, '' where it did; that says nothing of its pairs.
    """

    def __init__(
        self, venue: Venue, config: Config, on_progress: Callable[[int], None] | None = None
    ) -> None:
        self.venue = venue
        self.asked: set[str] = set()  # venue symbols whose request was answered
        self.mids: dict[str, float] = {}
        self.faults: dict[str, str] = {}  # venue symbol -> last price fault
        self.hints: dict[str, float] = {}  # venue symbol -> about its price, by a faulty quote
        self.refusals: dict[str, str] = {}
        self.declined: dict[str, int] = {}
        self.connected = False
        self.error = ""
        self.failed = ""
        self.took_s = 0.0
        self._config = config
        self._on_progress = on_progress or (lambda done: None)

    @property
    def proven(self) -> KeysView[str]:
        """Venue symbols that gave a valid update."""
        return self.mids.keys()

    async def run(self, symbols: Sequence[str]) -> None:
        """Subscribe to every venue symbol, in batches side by side, until each has ended."""
        started = now_ns()
        for url in self.venue.ws_urls(self._config):
            bans_of(self._config).lift_block(url)
        connects = connects_of(self.venue, self._config)
        proxies = proxies_of(self._config)
        groups = batches(symbols, self.venue.spec.validate_batch)
        await asyncio.gather(*(self._batch(group, connects, proxies) for group in groups))
        self.took_s = (now_ns() - started) / 1e9
        if not self.proven and (self.error or len(symbols) >= _MANY):
            self.failed = f"no quote of {len(symbols)} pairs: {self.error or 'it says nothing'}"

    def verdict(self, symbol: str) -> tuple[State, str]:
        """Return (valid, ''), (invalid, why) for one refused, or (quiet, why) for all others.

        A book with one side, or crossed, is that of an auction, a halt or a thin market: it passes.
        """
        if symbol in self.proven:
            return "valid", ""
        if symbol in self.refusals:
            return "invalid", f"refused: {self.refusals[symbol]}"
        if symbol in self.faults:
            return "quiet", f"no good quote yet: {self.faults[symbol]}"
        if symbol in self.asked:
            return "quiet", "no update"
        what = "not answered" if self.connected else "not connected"
        return "quiet", f"{what}: {self.error}" if self.error else what

    async def _batch(self, symbols: Sequence[str], connects: Connects, proxies: Proxies) -> None:
        settings = self._config.discovery
        deadline = now_ns() + int(settings.batch_limit_s * 1e9)
        backoff = Backoff(self._config.feeds.backoff_base_s, self._config.feeds.backoff_cap_s)
        while missing := [s for s in symbols if s not in self.proven and s not in self.refusals]:
            left_s = (deadline - now_ns()) / 1e9
            if left_s <= 0:
                return
            url = ""
            try:
                async with asyncio.timeout(left_s):
                    url = await connects.take(left_s)
                    session = Session(
                        self.venue, missing, url, _Sink(self), self._config.feeds, proxies=proxies
                    )
                    if await self._until_done(session, missing):
                        return
                    if not session.valid:
                        connects.unheard(url, self.error)
                    await asyncio.sleep(backoff.next_s())
            except TimeoutError:
                return
            except (Retry, Refused) as error:
                self.error = str(error)
                if not url:  # no address is free within the time that is left
                    return
                connects.failed(url, error)
                await asyncio.sleep(min(backoff.next_s(), max(0.0, left_s)))

    async def _until_done(self, session: Session, symbols: Sequence[str]) -> bool:
        """Run the session; True when the batch has ended, False when the socket closed first."""
        settings = self._config.discovery
        running = asyncio.create_task(session.run())
        new_ns, proven = now_ns(), 0
        try:
            while True:
                done, _ = await asyncio.wait({running}, timeout=_LOOK_S)
                if done:
                    self.error = running.result()
                    return False
                now = now_ns()
                self.connected = self.connected or session.opened_ns > 0
                count = sum(s in self.proven for s in symbols)
                self._on_progress(len(self.proven) + len(self.refusals))
                if count > proven:
                    new_ns, proven = now, count
                if count + len(session.refused) >= len(symbols):
                    self.error = session.why_closed or self.error
                    return True
                if not session.all_answered:
                    new_ns = now
                    continue
                self.asked.update(s for s in symbols if s not in session.unanswered)
                quiet_s = (now - max(new_ns, session.answered_ns)) / 1e9
                if quiet_s >= settings.no_new_s:
                    return True
                if (now - session.answered_ns) / 1e9 >= settings.after_ack_s:
                    return True
        finally:
            session.close("validated")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


class _Sink:
    """What a validation session tells."""

    def __init__(self, validation: Validation) -> None:
        self._validation = validation

    def book(self, book: Book, recv_ns: int) -> bool:
        fault = price_fault(book)
        if fault:
            self._validation.faults[book.symbol] = fault
            prices = [px for px in (book.bid_px, book.ask_px) if 0.0 < px < math.inf]
            if prices:
                self._validation.hints[book.symbol] = sum(prices) / len(prices)
            return False
        self._validation.mids[book.symbol] = (book.bid_px + book.ask_px) / 2
        return True

    def declined(self, reason: str) -> None:
        counts = self._validation.declined
        counts[reason] = counts.get(reason, 0) + 1

    def refused(self, symbol: str, text: str) -> None:
        self._validation.refusals[symbol] = text

    def heard(self, symbols: Sequence[str], since_ns: int) -> set[str]:
        return self._validation.proven & set(symbols)

    def final(self, text: str) -> None:
        self._validation.error = text

    def paused(self, text: str, wait_s: float) -> None:
        self._validation.error = text

    def unanswered(self, symbols: Sequence[str]) -> None:
        pass

    def acknowledged(self, symbols: Sequence[str]) -> None:
        pass

    def control(self, kind: str) -> None:
        pass

    def flush(self) -> None:
        pass
