"""Which pairs of a source trade: pushed where the venue does so, and read from its list anyway.

The list is the safety net: a push may be missed, and not every venue pushes every halt.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from spreadscan.audit.funding import FundingPoll, Rates
from spreadscan.audit.requests import Requests
from spreadscan.audit.source import Source
from spreadscan.audit.trouble import Trouble
from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.errors import BadFrame, Refused, Retry, Skip
from spreadscan.logs import facts
from spreadscan.net.backoff import Backoff
from spreadscan.net.connects import Connects
from spreadscan.net.transport import Socket, connect
from spreadscan.venues.base import InstrumentPage, ListPages, StatusChange, StatusPush, Venue
from spreadscan.venues.values import UNKNOWN_STATUS
from spreadscan.workers.proxies import proxies_of

log = logging.getLogger(__name__)

# Why a list leaves out a pair that does not trade. Only a word for that says so: an unknown one, or
# whatever else a row lacks, says nothing of it.
_HALTS = ("not_trading", "delisted")
_WHOLE_SHARE = 0.9  # of the rows of the list before
_SHRUNK_LISTS = 10  # so many short ones in a row: the venue has become smaller
_MASS_SHARE, _MASS_OVER = 0.5, 3  # more than both halted by one read: read again before it is taken
_AGAIN_S = 30.0
_SOON_S = 20.0  # between reads that are wanted
_OLDER_BY_NS = 60_000_000_000  # a list comes from a cache; what was pushed meanwhile is newer
_ALIVE_NS = 10_000_000_000  # a pair that quoted so shortly before the request was alive then
_HEARD_SHARE, _FEW_HEARD = 0.05, 2  # more than both of those newly halted quote: not believed
_HEALTHY_S = 60.0  # of a push socket: then its waits begin anew
_FRAME_BYTES_MAX = 4 * 1024 * 1024  # a whole list may come as one message


class StatusRead:
    """Reads the statuses from a source's instrument list. run() until cancelled.

    funding: of a venue that has it in that list.
    """

    def __init__(
        self, source: Source, requests: Requests, funding: FundingPoll | None = None
    ) -> None:
        self._source = source
        self._requests = requests
        self._funding = funding
        self._unread = Trouble(log, source.name, "statuses unknown", "statuses known again")
        self._doubted = Trouble(
            log, source.name, "statuses contradicted by quotes, not taken", "statuses taken again"
        )
        self._strange = Trouble(
            log, source.name, "list with unknown statuses", "list without unknown statuses"
        )
        self._again = False  # a list was read out of turn since the last that was taken as it is
        self._mass = False  # the read before would have halted most
        self._n_rows = 0  # of the last list that had enough of them
        self._n_short = 0  # lists since that had not
        self._newly_absent = False  # in the last list
        self._absent: dict[str, int] = {}  # since when, of those that were not in the list before
        self._left_out: set[str] = set()  # of the last list: those quoting, though it halts them
        self._wanted = asyncio.Event()
        self._asked_s = 0.0  # for so long the venue asked to be left alone

    def look_soon(self) -> None:
        """Read the list without waiting for its time, _SOON_S after the last read at most."""
        self._wanted.set()

    async def run(self) -> None:
        while True:
            wait_s = await self.poll()
            least_s = max(min(wait_s, _SOON_S), self._asked_s)
            await asyncio.sleep(least_s)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, wait_s - least_s) * random.uniform(0.9, 1.0)):
                    await self._wanted.wait()

    async def poll(self) -> float:
        """Read the whole list once; return in how many seconds it has to be read again."""
        source, sent_ns = self._source, now_ns()
        wanted = self._wanted.is_set()
        self._wanted.clear()
        self._asked_s = 0.0
        try:
            rows = await self._read(source.venue)
        except (Retry, Refused, Skip) as error:
            self._unread.on(reason=str(error))
            if self._funding:
                self._funding.failed(error)
            if wanted:  # still
                self._wanted.set()
            self._asked_s = error.after_s if isinstance(error, Retry) else 0.0
            return max(source.pages.status_every_s, self._asked_s)
        self._unread.off()
        source.count("status_reads")
        ours = {symbol: why for symbol, why in rows.items() if symbol in source.ids}
        halted = {symbol for symbol, why in ours.items() if why in _HALTS}
        heard = self._heard(halted, sent_ns)
        if not source.venue.spec.lists_halted:
            gone, quoting = self._gone(rows)
            halted, heard = halted | gone | quoting, heard | quoting
        if self._is_contradicted(halted, heard) or self._is_mass(halted):
            return self._soon_once(_AGAIN_S)
        if strange := [symbol for symbol, why in ours.items() if why == UNKNOWN_STATUS]:
            self._strange.on(symbols=len(strange), one=strange[0])
        else:
            self._strange.off()
        trading = [symbol for symbol, why in ours.items() if not why]
        said = [(symbol, symbol not in halted) for symbol in {*trading, *halted}]
        if take_statuses(source, said, sent_ns, _OLDER_BY_NS):
            # either this list is old, or what was heard before it is no longer so
            return self._soon_once(_OLDER_BY_NS / 1e9)
        if self._newly_absent:
            return self._soon_once(_AGAIN_S)
        self._again = False
        return source.pages.status_every_s

    def _soon_once(self, wait_s: float) -> float:
        """Wait so long, but once until a list is taken as it is: lists are large."""
        every_s = self._source.pages.status_every_s
        self._again, again = True, self._again
        return every_s if again else min(wait_s, every_s)

    async def _read(self, venue: Venue) -> dict[str, str]:
        """Return the symbols of the whole list and why they do not trade, '' for those that do."""
        found: dict[str, str] = {}
        rates: Rates = []
        pages = ListPages(venue)
        for request in pages:
            page, paid = await self._requests.ask(request, self._both)
            found = page.left_out | found | {i.venue_symbol: "" for i in page.instruments}
            rates += paid
            pages.take(page)
        if self._funding:
            try:
                self._funding.take(rates)
            except BadFrame as error:
                self._funding.failed(error)
        return found

    def _both(self, payload: bytes) -> tuple[InstrumentPage, Rates]:
        page = self._source.venue.instruments(payload)
        return page, self._funding.read(payload) if self._funding else []

    def _gone(self, rows: Mapping[str, str]) -> tuple[set[str], set[str]]:
        """Return our symbols that two whole lists in a row lack: those that were not heard between,
        and those that were.

        For a venue whose list leaves out what is halted.
        """
        source, now = self._source, now_ns()
        whole = self._is_whole(rows)
        self._newly_absent = False
        gone: set[str] = set()
        quoting: set[str] = set()
        if not whole:
            return gone, quoting
        was, self._absent = self._absent, {}
        for symbol in source.ids.keys() - rows.keys():
            since_ns = was.get(symbol)
            if since_ns is None:
                self._absent[symbol] = now
                self._newly_absent = True
            elif (held := source.held(source.ids[symbol])) and held.recv_ns > since_ns:
                self._absent[symbol] = now
                quoting.add(symbol)
            else:
                self._absent[symbol] = since_ns
                gone.add(symbol)
        return gone, quoting

    def _is_whole(self, rows: Mapping[str, str]) -> bool:
        """Return whether a list has a major, and about as many rows as the one before."""
        enough = len(rows) >= _WHOLE_SHARE * self._n_rows
        self._n_short = 0 if enough else self._n_short + 1
        if enough or self._n_short >= _SHRUNK_LISTS:
            self._n_rows = len(rows)
        majors = [pair.symbol for pair in self._source.pairs.values() if pair.major]
        return enough and not rows.keys().isdisjoint(majors or rows)

    def _heard(self, halted: set[str], sent_ns: int) -> set[str]:
        """Return which of these quoted shortly before a list was asked for, and after."""
        source, since_ns = self._source, sent_ns - _ALIVE_NS
        return {s for s in halted if (h := source.held(source.ids[s])) and h.recv_ns >= since_ns}

    def _is_contradicted(self, halted: set[str], heard: set[str]) -> bool:
        """Return whether pairs quote that a list halts: it is old, cut or another venue's.

        heard: those that do. One or two that have only just stopped are left out of `halted`
        instead, and the list is read once more soon.
        """
        source = self._source
        new = {s for s in halted if not source.judge.is_halted(source.ids[s])}
        heard &= new
        if len(heard) <= max(_FEW_HEARD, _HEARD_SHARE * len(new)):
            halted -= heard
            if heard - self._left_out:  # else they quote although the list halts them
                self._wanted.set()
            self._left_out = heard
            self._doubted.off()
            return False
        self._doubted.on(halted=len(new), quoting=len(heard))
        return True

    def _is_mass(self, halted: set[str]) -> bool:
        """Return whether so many are newly halted that the list has to say so twice."""
        source = self._source
        new = [symbol for symbol in halted if not source.judge.is_halted(source.ids[symbol])]
        mass = len(new) > max(_MASS_OVER, _MASS_SHARE * len(source.ids))
        if mass and not self._mass:
            told = facts(source=source.name, halted=len(new), of=len(source.ids))
            log.warning("most pairs halted, asked again", extra=told)
            self._mass = True
            return True
        self._mass = False
        return False


def take_statuses(
    source: Source, changes: Iterable[tuple[str, bool]], at_ns: int, older_by_ns: int = 0
) -> int:
    """Take what the venue says of its symbols: whether they trade. Times as in Judge.status().

    Return of how many symbols it was not taken, since what was heard later says otherwise.
    """
    judge = source.judge
    known = [(source.ids[symbol], trading) for symbol, trading in changes if symbol in source.ids]
    verdicts = [judge.status(i, trading, at_ns, older_by_ns) for i, trading in known]
    source.write([verdict for verdict in verdicts if verdict])
    source.set(halted=judge.halted)
    return sum(judge.is_halted(i) == trading for i, trading in known)


class StatusSocket:
    """Listens to a source's pushes, on one socket after the other. run() until cancelled.

    look: called when the list has to tell: what was pushed meanwhile is missed where a socket was
    lost, and of a word that is not known only the list may know what it means.
    """

    def __init__(
        self,
        source: Source,
        push: StatusPush,
        connects: Connects,
        config: Config,
        look: Callable[[], None],
    ) -> None:
        self._source = source
        self._push = push
        self._look = look
        self._connects = connects
        self._settings = config.feeds
        self._proxies = proxies_of(config)
        self._backoff = Backoff(config.feeds.backoff_base_s, config.feeds.backoff_cap_s)
        self._lost = Trouble(log, source.name, "status socket lost", "status socket is back")
        self._unknown: dict[str, str] = {}  # by symbol, the last word
        self._heard_ns = 0

    async def run(self) -> None:
        while True:
            url = await self._connects.take()
            begin_ns = now_ns()
            try:
                reason = await self._listen(self._push.url(url))
            except (Retry, Refused) as error:
                self._connects.failed(url, error)
                reason = str(error)
            if now_ns() - begin_ns > _HEALTHY_S * 1e9:
                self._backoff.reset()
            self._lost.on(reason=reason)
            await asyncio.sleep(self._backoff.next_s())

    async def _listen(self, url: str) -> str:
        """Subscribe and listen until the socket ends; return why it did."""
        settings, spec = self._settings, self._source.venue.spec
        socket = await connect(
            settings.transport,
            url,
            self,
            timeout_s=settings.connect_timeout_s,
            max_frame_bytes=_FRAME_BYTES_MAX,
            headers=spec.headers,
            proxies=self._proxies,
        )
        self._heard_ns = now_ns()
        for text in self._push.subscribe():
            socket.send(self._source.venue.sent_at(text, time.time()))
        pings = asyncio.create_task(
            self._keep_alive(socket, spec.ping_every_s, spec.pong_deadline_s)
        )
        try:
            return await socket.wait_closed()
        finally:
            pings.cancel()
            await asyncio.gather(pings, return_exceptions=True)
            socket.close()

    async def _keep_alive(self, socket: Socket, every_s: float, deadline_s: float) -> None:
        """Ping where that is ours to do, and close a socket that says nothing for too long."""
        number = 0
        while now_ns() - self._heard_ns < (every_s + deadline_s) * 1e9:
            await asyncio.sleep(every_s)
            number += 1
            if text := self._push.ping(number):
                socket.send(self._source.venue.sent_at(text, time.time()))
        socket.close()

    # -- what the transport calls

    def on_message(self, payload: bytes, recv_ns: int) -> None:
        self._heard(recv_ns)
        changes = self._push.read(payload)
        if changes:
            self._source.count("status_pushes", len(changes))
            known = [(c.symbol, c.trading) for c in changes if c.trading is not None]
            take_statuses(self._source, known, now_ns())
            self._hear_unknown([c for c in changes if c.trading is None])

    def on_ping(self, recv_ns: int) -> None:
        self._heard(recv_ns)

    def on_flush(self) -> None:
        """Every message is taken as it comes."""

    def _heard(self, recv_ns: int) -> None:
        self._heard_ns = recv_ns
        if self._lost.off():
            self._look()

    def _hear_unknown(self, changes: Sequence[StatusChange]) -> None:
        """Ask the list where a word is news of one of our symbols; tell of each word once."""
        for change in changes:
            symbol, word = change.symbol, change.word
            if symbol not in self._source.ids or self._unknown.get(symbol) == word:
                continue
            if word not in self._unknown.values():
                told = facts(source=self._source.name, symbol=symbol, word=word)
                log.warning("unknown status pushed, nothing is halted by it", extra=told)
            self._unknown[symbol] = word
            self._look()
