"""The feed of one exchange's source: sockets for all of its pairs, quotes into the shared table.

Keeps each socket open for ever: reconnects with a back-off that resets after minutes of quotes,
within the venue's connect limits. What a closed socket still owned is emptied. A SourceWorker runs
it (workers/source.py).
"""

import asyncio
import logging
import math
from collections.abc import Sequence

import msgspec
from spreadcore import Instance
from spreadcore.frames import LinkIntake
from spreadcore.intake import SourceIntake
from spreadcore.layout import DECLINED, SOURCE_COUNTERS
from spreadcore.wire.decoder import FrameDecoder

from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.credentials import masked
from spreadscan.feeds.acts import Acts
from spreadscan.feeds.keeper import STOPPED, SocketKeeper
from spreadscan.feeds.lines import SourceLog
from spreadscan.feeds.session import Session
from spreadscan.feeds.shards import rooms, shards
from spreadscan.feeds.silence import Silence
from spreadscan.lists import Listing
from spreadscan.logs import facts
from spreadscan.net.backoff import Backoff
from spreadscan.net.bans import bans_of
from spreadscan.recordings import Opcode, Verdicts, took_over
from spreadscan.recordings.recorder import Recorder
from spreadscan.types import Book
from spreadscan.venues.base import Venue
from spreadscan.workers.connects import connects_of
from spreadscan.workers.jobs import Jobs
from spreadscan.workers.proxies import proxies_of

log = logging.getLogger(__name__)

_REASON = {name: i for i, name in enumerate(DECLINED)}
_COUNTER = {name: i for i, name in enumerate(SOURCE_COUNTERS)}
_SILENCE_LOOK_S = 1.0
_ACT_EVERY_S = 0.1  # looks at verdicts of the audit


class WebSocketFeed:
    """The feed of a venue's pairs. Sections are mapped writable."""

    def __init__(self, venue: Venue, config: Config, instance: Instance) -> None:
        self.venue = venue
        self.source_id = config.catalogue.source[venue.name].id
        self._config = config
        self._health = instance.health
        self._final: set[str] = set()  # refusals for good that were told
        self._rows: Sequence[Listing] = ()
        self._ids: dict[str, int] = {}
        self._connects = connects_of(venue, config)
        self._proxies = proxies_of(config)
        self._next_link = 1
        self._keepers: dict[SocketKeeper, asyncio.Task[None]] = {}
        self.intake = SourceIntake(
            instance.region("quotes"),
            instance.region("dirty"),
            instance.region("health"),
            self.source_id,
            venue.schema.id_reset,
            keep_tops=venue.schema.delta is not None,
            learn_to_s=venue.learn_to_s(config),
            learn_from_s=venue.learn_from_s(config),
        )
        self._log = SourceLog(venue.name, config.feeds.silent_socket_s)
        lines, info = self._log.lines, logging.INFO
        self._closed = lines("feed socket closed", "feed sockets closed", "sockets", "reason", info)
        self._replaced = lines(
            "feed socket replaced", "feed sockets replaced", "sockets", "new", info
        )
        self._lost = lines("feed socket lost", "feed sockets lost", "sockets", "reason")
        self._refused = lines("pair refused", "pairs refused")
        self._unanswered = lines(
            "pairs not answered", "requests not answered", "requests", "symbols"
        )
        self._paused = lines("requests paused", "requests paused", "requests", "text")
        self._acts = (
            Acts(self._log, self.source_id, self.intake, instance, self.count, self._note_verdicts)
            if config.audit.enabled
            else None
        )
        self._decoder = FrameDecoder(venue.schema)

    @property
    def n_sockets(self) -> int:
        """Return how many sockets are open."""
        return sum(keeper.n_open for keeper in self._keepers)

    @property
    def connected(self) -> bool:
        """Return whether every pair has a socket that is open."""
        return all(keeper.n_open for keeper in self._keepers)

    def open(self, rows: Sequence[Listing], jobs: Jobs, recorder: Recorder) -> None:
        """Open sockets for all pairs; they, and looks at what comes, are jobs."""
        self._jobs, self._recorder = jobs, recorder
        for url in self.venue.ws_urls(self._config):
            bans_of(self._config).lift_block(url)
        self._rows = rows
        for row in rows:
            self._accept(row)
        for group in shards(list(self._ids), self.venue.spec.topics_per_socket):
            self._open_shard(group)
        jobs.start(f"{self.venue.name} silence", self._look_for_silence)
        if acts := self._acts:
            jobs.start(f"{self.venue.name} acts", lambda: self._act(acts))
            jobs.start(f"{self.venue.name} renewal", lambda: self._renew(acts))

    async def take(
        self, rows: Sequence[Listing], added: Sequence[Listing], gone: Sequence[Listing]
    ) -> None:
        """Subscribe and unsubscribe what changed; what stays is not touched."""
        for row in gone:
            self.intake.remove_symbol(row.symbol_id)
            del self._ids[row.instrument.venue_symbol]
        for row in added:
            self._accept(row)
        self._rows = rows
        dropped = {row.instrument.venue_symbol for row in gone}
        for keeper in self._keepers:
            keeper.drop(dropped)
        self._share_out([row.instrument.venue_symbol for row in added])
        await self._close_empty()

    def _accept(self, row: Listing) -> None:
        """Let quotes of a pair into the table."""
        i = row.instrument
        self.intake.add_symbol(row.symbol_id, i.multiplier, i.qty_scale, i.venue_symbol)
        self._ids[i.venue_symbol] = row.symbol_id
        if self._acts:
            self._acts.begin(row.symbol_id)

    def _share_out(self, symbols: Sequence[str]) -> None:
        sizes = [len(shard.symbols) for shard in self._keepers]
        taken, groups = rooms(sizes, symbols, self.venue.spec.topics_per_socket)
        for shard, own in zip(self._keepers, taken, strict=True):
            if own:
                shard.add(own)
        for group in groups:
            self._open_shard(group)

    async def _close_empty(self) -> None:
        empty = [shard for shard in self._keepers if not shard.symbols]
        await self._jobs.end(*(self._keepers.pop(shard) for shard in empty))

    def _open_shard(self, symbols: Sequence[str]) -> None:
        keeper = self._keeper(symbols)
        self._keepers[keeper] = self._jobs.start(f"{self.venue.name} socket", keeper.run)

    def _keeper(self, symbols: Sequence[str]) -> SocketKeeper:
        settings = self._config.feeds
        return SocketKeeper(
            self,
            symbols,
            self._connects,
            Backoff(settings.backoff_base_s, settings.backoff_cap_s),
            socket_life_s=self.venue.spec.socket_life_s or math.inf,
            take_over_s=settings.take_over_s,
            healthy_after_s=settings.healthy_after_s,
        )

    # -- what shards ask for

    def open_session(self, symbols: Sequence[str], url: str, life_s: float) -> tuple[int, Session]:
        link = self._next_link
        self._next_link += 1
        sink, intake = _Sink(self, link), LinkIntake(self.intake, self._decoder, link)
        settings = self._config.feeds
        session = Session(self.venue, symbols, url, sink, settings, intake, life_s, self._proxies)
        self._recorder.append(link, Opcode.OPENED, masked(url).encode())
        return link, session

    def closed(self, link: int, reason: str) -> None:
        emptied = self.intake.empty_link(link, True)
        self._recorder.append(link, Opcode.CLOSED, reason.encode())
        row = {"link": link, "reason": reason, "emptied": emptied}
        if reason == STOPPED:  # once of each, at the end
            log.info("feed socket closed", extra=facts(source=self.venue.name, **row))
        else:
            self._closed.tell([row], now_ns())

    def take_over(self, old: int, new: int, symbols: Sequence[str]) -> None:
        handed = self.intake.hand_over(old, new, [self._ids[symbol] for symbol in symbols])
        self.count("takeovers")
        self._recorder.append(new, Opcode.TOOK_OVER, took_over(old, symbols))
        self._replaced.tell([{"old": old, "new": new, "handed_over": handed}], now_ns())

    def retrying(self, link: int, reason: str, wait_s: float) -> None:
        self.count("reconnects")
        row = {"link": link, "reason": reason, "retry_s": round(wait_s, 2)}
        self._lost.tell([row], now_ns())

    async def _look_for_silence(self) -> None:
        silence = Silence(self.venue, self._config, self.intake, self._ids, self.count, self._log)
        while True:
            await asyncio.sleep(_SILENCE_LOOK_S)
            counted = self._health.counters(self.source_id)
            n_heard = counted["quotes"] + counted["refreshes"]
            self._log.look(n_heard, len(self._rows), now_ns())
            silence.check(self._rows, self._newest_sessions(), now_ns())

    async def _act(self, acts: Acts) -> None:
        while True:
            await asyncio.sleep(_ACT_EVERY_S)
            names = {row.symbol_id: row.symbol for row in self._rows}
            acts.act_on_new(self._ids, names, self._newest_sessions(), now_ns())

    async def _renew(self, acts: Acts) -> None:
        """Give every socket a successor where the audit asks for it, one after the other."""
        while True:
            await asyncio.sleep(_ACT_EVERY_S)
            if acts.wants_renewal():
                for shard in [*self._keepers]:
                    await shard.renew()

    def _note_verdicts(self, found: Verdicts) -> None:
        self._recorder.append(0, Opcode.VERDICTS, msgspec.json.encode(found))

    def _newest_sessions(self) -> list[Session]:
        return [shard.sessions[-1] for shard in self._keepers if shard.sessions]

    # -- what sessions tell

    def accept(self, link: int, book: Book, recv_ns: int) -> bool:
        symbol_id = self._ids.get(book.symbol)
        if symbol_id is None:
            self.intake.decline(_REASON["unknown_symbol"])
            return False
        return bool(
            self.intake.accept(
                symbol_id,
                link,
                book.bid_px,
                book.bid_qty,
                book.ask_px,
                book.ask_qty,
                book.venue_ns,
                book.update_id,
                book.id_kind,
                recv_ns,
            )
            >= 0
        )

    def count(self, name: str) -> None:
        self._health.add(self.source_id, _COUNTER[name])

    def declined(self, reason: str) -> None:
        self.intake.decline(_REASON[reason])

    def refused(self, symbol: str, text: str) -> None:
        self._refused.tell([{"symbol": symbol, "text": text[:200]}], now_ns())

    def final(self, text: str) -> None:
        if text not in self._final:
            self._final.add(text)
            log.error(
                "requests refused for good", extra=facts(source=self.venue.name, text=text[:200])
            )

    def unanswered(self, symbols: Sequence[str]) -> None:
        for _ in symbols:
            self.count("unanswered")
        row = {"n": len(symbols), "symbols": " ".join(symbols[:10])}
        self._unanswered.tell([row], now_ns())

    def paused(self, text: str, wait_s: float) -> None:
        self._paused.tell([{"text": text[:200], "wait_s": round(wait_s, 2)}], now_ns())

    def acknowledged(self, link: int, symbols: Sequence[str]) -> None:
        """Hear that a re-subscription was taken: the streams of these start anew."""
        ids = [self._ids[symbol] for symbol in symbols if symbol in self._ids]
        self.intake.subscribed_anew(link, ids, now_ns())

    def heard(self, symbols: Sequence[str], since_ns: int) -> set[str]:
        last_ns = self.intake.last_recv_ns
        return {s for s in symbols if s in self._ids and last_ns(self._ids[s]) >= since_ns}


class _Sink:
    """What one session tells its feed, with the session's link."""

    def __init__(self, feed: WebSocketFeed, link: int) -> None:
        self._feed = feed
        self._link = link
        self.control = feed.count
        self.declined = feed.declined
        self.refused = feed.refused
        self.final = feed.final
        self.unanswered = feed.unanswered
        self.paused = feed.paused
        self.heard = feed.heard

    def book(self, book: Book, recv_ns: int) -> bool:
        return self._feed.accept(self._link, book, recv_ns)

    def acknowledged(self, symbols: Sequence[str]) -> None:
        self._feed.acknowledged(self._link, symbols)

    def flush(self) -> None:
        self._feed.intake.flush(now_ns())
