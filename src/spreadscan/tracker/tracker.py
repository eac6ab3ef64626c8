"""The tracker: signals from the ring become tracks, tracks become rows, ends free the pair.

Order is what a kill at any point rests on: the OPEN row, the active byte, then the ring's tail;
the CLOSE row, the active byte, then the dirty bit that lets the engine look again. What the stream
tells comes after all of it. Where the disk refuses a row, what follows it waits, and the same row
is tried again at the next tick. Synchronous; time is an argument.
"""

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from spreadcore import Instance
from spreadcore.active import FREE, REARM, SIGNALLED, TRACKED
from spreadcore.funding import FundingRates
from spreadcore.layout import TRACKER_COUNTERS
from spreadcore.opentracks import OpenTuple
from spreadcore.ring import SignalTuple
from spreadcore.trackstats import StatsTuple
from spreadcore.watch import PairWatch

from spreadscan.clock import UtcClock, iso_utc, now_ns
from spreadscan.config import Config
from spreadscan.disk.archive import Archive, Keep
from spreadscan.disk.format import Format, Simulated
from spreadscan.disk.linefile import LineFile
from spreadscan.disk.reserve import Reserve
from spreadscan.errors import BadData, Halt
from spreadscan.lists import Edge
from spreadscan.logs import facts
from spreadscan.tracker import announce
from spreadscan.tracker.columns import AUDIT, SIGNALS, SNAPSHOTS
from spreadscan.tracker.events import FIXED, Event, EventRows, Instruments, Utc, day_of, hour_of
from spreadscan.tracker.orphans import Orphans
from spreadscan.tracker.recovery import OpenRow, Pair, read_journal
from spreadscan.tracker.remarks import KILL, Remarks, is_thrown
from spreadscan.tracker.track import Late, Tracks, is_delisted, is_proven

log = logging.getLogger(__name__)

_COUNTER = {name: i for i, name in enumerate(TRACKER_COUNTERS)}
_NO_AUDIT: Mapping[int, float] = {}
_MAX_WAITING = 100_000  # snapshot rows kept while the disk refuses them, some 15 MB
_UNKNOWN_NS = 10_000_000_000  # a signal's edge may be of lists that are newer than ours so long


class Tracker:
    """Follows every signal of an instance; the caller holds the 'tracker' lease.

    instance: signals, active, dirty, health, tracks and tracker_stream are mapped for writing; it
    takes these two over. symbols: names by symbol id. edges: that signals may be of. fees_bps: both
    legs together, by direction id. stale_after_s: by source id. Call recover() first, then tick()
    on the grid and, between, poll(). BadData where a file in the data folder is not ours; a disk
    that refuses is waited for, and below the reserve that the config asks for no new track is
    begun: signals stay in the ring. archive: looks after files that are over, once it is started.
    folder: for the files, paths.data where it is not given. simulated: what the files say of the
    market; where it is not given, by the config's addresses. pauses: gives why something is
    paused, by what it is.
    """

    def __init__(
        self,
        instance: Instance,
        config: Config,
        symbols: Sequence[str],
        edges: Iterable[Edge],
        fees_bps: Callable[[Edge], float],
        stale_after_s: Mapping[int, float],
        confirm_within_s: Mapping[int, float] = _NO_AUDIT,
        *,
        utc: Utc | None = None,
        folder: str = "",
        simulated: Simulated | None = None,
        pauses: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        settings = config.tracker
        self.instance = instance
        self.role: int = instance.health.role("tracker")
        self._config = config
        self._catalogue = config.catalogue
        self._fees_bps = fees_bps
        self._utc = utc or UtcClock()
        self._ring = instance.ring
        self._active = instance.active
        self._dirty = instance.dirty
        self._rows = EventRows(self._utc, self._ring.ring_id, symbols, config)
        watch = PairWatch(
            instance.quotes,
            instance.health,
            beat_limit_s=config.engine.beat_limit_s,
            stale_after_s=stale_after_s,
            audit=instance.audit if confirm_within_s else None,
            confirm_within_s=confirm_within_s,
        )
        self._funding = FundingRates(instance.region("funding"), self._catalogue.perpetuals)
        self._tracks = Tracks(watch, self._funding, instance.tracks, config)
        self._stream = instance.tracker_stream.writer()
        self._remarks = Remarks()
        self._pauses = pauses
        self._grid_ns = self._tracks.grid_ns
        self._slot: int | None = None  # of the grid, at the last tick
        folder, fsync = folder or config.paths.data, settings.fsync
        self._folder = folder
        market = simulated or ("true" if config.simulated else "false")
        self._signals, self._snapshots = (
            LineFile(folder, kind, self._count, fsync=synced, simulated=market)
            for kind, synced in ((SIGNALS, fsync != "never"), (SNAPSHOTS, fsync == "always"))
        )
        self.archive = Archive(
            folder,
            {SIGNALS: self._signals, SNAPSHOTS: self._snapshots},
            lambda: self._utc.utc_ns(now_ns()),
            Keep(settings.keep_gb, (AUDIT,), self._needed),
        )
        self._oldest_ns: int | None = None  # OPEN of the oldest track
        self._reserve = Reserve(folder, settings.reserve_mb, "new tracks")
        self._journalled: set[int] = set()  # sequences found as OPEN rows at recovery
        self._edges = {edge.id: edge for edge in edges}
        self._unknown_ns = 0  # since when the ring's oldest signal is of an edge that we lack
        self._ended: dict[int, str] = {}  # reason of each edge's last CLOSE
        self._outbox: list[Event] = []  # rows of the signals file but OPEN, oldest first
        self._waiting: list[tuple[str, bytes, int]] = []  # hour, snapshot rows, their number
        self._orphans = Orphans()

    def recover(self, now_ns: int) -> None:
        """Take up what the files say is open; ends before the engine may start."""
        folder = self._folder
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise BadData(f"{folder}: {error.strerror}, expected a folder for data") from None
        now_unix_ns = self._utc.utc_ns(now_ns)
        back_s = self._config.tracker.expire_after_s
        found = read_journal(
            folder,
            self._ring.ring_id,
            self._catalogue.direction_at,
            self._ring.region.n_symbols,
            now_unix_ns,
            back_s,
            self._grid_ns,
            self._count,
        )
        edges = self._edges_by_pair()
        self._remarks = found.remarks
        self._journalled = found.sequences
        self._ended = {edges[p].id: reason for p, reason in found.ended.items() if p in edges}
        for row in found.open:
            edge = edges.get(row.pair)
            if edge and row.ring_id == self._ring.ring_id and self._rows.is_named(row):
                self._resume(edge, row, now_ns, now_unix_ns)
            else:
                self._outbox.append(self._rows.lost(row, now_ns))
        if found.open:
            log.info(
                "tracks resumed",
                extra=facts(resumed=len(self._tracks), lost=len(found.open) - len(self._tracks)),
            )
        self._flush()
        self._set_levels()

    def _edges_by_pair(self) -> dict[Pair, Edge]:
        """Return the edges by what rows say of them; one that is in use before one that is not."""
        sources = self._catalogue.source_at
        return {
            (
                edge.direction,
                edge.buy_row,
                edge.converted,
                sources[edge.rate_source].name if edge.converted else "",
            ): edge
            for edge in sorted(self._edges.values(), key=lambda edge: edge.in_use)
        }

    def relist(
        self,
        symbols: Sequence[str],
        edges: Iterable[Edge],
        instruments: Instruments,
        now_ns: int,
        fees_bps: Callable[[Edge], float] | None = None,
    ) -> None:
        """Take new lists: names by symbol id, edges, and what each source lists, by its id.

        fees_bps: of an edge, where it is another than before.

        Tracks of pairs that a leg's source lists no more end as DELISTED, now or when a signal
        of before turns up.
        """
        self._rows.symbols, self._rows.instruments = symbols, instruments
        self._edges = {edge.id: edge for edge in edges}
        self._fees_bps = fees_bps or self._fees_bps
        self._end_delisted(now_ns)
        self._forget_expired()
        self._flush()
        self._set_levels()

    def remark(self, text: str, now_ns: int) -> None:
        """Have an EVENT row written, with the next look, and told."""
        self._outbox.append(self._rows.remark(text, now_ns))

    def poll(self, now_ns: int) -> None:
        """Write what waits in the ring as OPEN rows; cheap where nothing does."""
        if self._ring.queued and not self._signals.failing:
            self._drain(now_ns)
            self._set_levels()

    def tick(self, now_ns: int) -> None:
        """Drain the ring, look once at every track, write, end what has ended."""
        slot = now_ns // self._grid_ns
        if self._slot is not None and slot > self._slot + 1:
            self._count("ticks_skipped", slot - self._slot - 1)
        self._slot = slot
        self._count("ticks")
        self._reserve.check(now_ns)
        self._look_at_switches(now_ns)
        self._drain(now_ns)
        self._look(now_ns)
        self._follow_clock(now_ns)
        if not self._signals.failing:  # it was tried a moment ago
            self._flush()
        self._write_snapshots()
        self._free_orphans(now_ns)
        self._set_levels()

    def next_tick_ns(self, now_ns: int) -> int:
        """Return the next multiple of the grid on CLOCK_BOOTTIME, after now_ns."""
        return (now_ns // self._grid_ns + 1) * self._grid_ns

    def sync(self) -> None:
        """Wait for the disk. May take long: for a thread beside the loop, which goes on.

        A kill loses no written row whether synced or not; a power cut takes the instance with
        it, so rows may be synced after the bytes have moved.
        """
        self._signals.sync()
        self._snapshots.sync()

    def close(self, now_ns: int) -> None:
        """Write what can be written and close the files; open tracks are resumed next time."""
        self._look_at_switches(now_ns)
        self._drain(now_ns)
        self._write_snapshots()
        self._set_levels()
        self._signals.close()
        self._snapshots.close()

    @property
    def unsynced(self) -> bool:
        """True while it is time to sync(), by the fsync policy."""
        return self._signals.unsynced or self._snapshots.unsynced

    @property
    def following(self) -> bool:
        """True while a track is open or a row is on its way: only then has a tick work."""
        return bool(self._tracks) or bool(self._outbox) or bool(self._waiting)

    @property
    def failing(self) -> bool:
        """True while the disk refuses rows or syncs, or is too full for new tracks."""
        files = (self._signals, self._snapshots)
        return self._reserve.short or any(f.failing or f.sync_failing for f in files)

    # -- opening

    def _drain(self, now_ns: int) -> None:
        if not self._flush():
            return
        drained = False
        while (signal := self._ring.peek()) is not None:
            edge = self._edge_of(signal, now_ns)
            if edge is None:
                break
            seen = self._opening(signal, edge, now_ns)
            journalled = signal.sequence in self._journalled
            if not journalled and not self._open(signal, edge, seen, now_ns):
                return
            self._make_tracked(signal.edge)
            self._ring.advance()
            self._tell(announce.opened(seen, signal.recv_ns))
            drained = True
        if drained:
            self._end_delisted(now_ns)
        self._flush()

    def _forget_expired(self) -> None:
        """Free edges that wait for a calm moment, but are listed no more: ids may be used anew."""
        for edge_id, state in self._active.not_free():
            edge = self._edges.get(edge_id)
            if state == REARM and (edge is None or is_delisted(edge, self._rows.instruments)):
                self._active.move(edge_id, REARM, FREE)

    def _end_delisted(self, now_ns: int) -> None:
        for end in self._tracks.delist(self._rows.instruments):
            self._outbox.append(self._rows.close(end, now_ns, float("nan")))

    def _opening(self, signal: SignalTuple, edge: Edge, now_ns: int) -> OpenTuple:
        fees, funding = self._fees_bps(edge), self._funding_bps(edge, now_ns)
        return announce.opening(signal, edge, fees, funding)

    def _open(self, signal: SignalTuple, edge: Edge, seen: OpenTuple, now_ns: int) -> bool:
        """Write the OPEN row and follow the edge; False where the disk has no room for it."""
        if self._reserve.check(now_ns):  # also between ticks, and before the first
            return False
        direction = self._catalogue.direction_at[edge.direction]
        fees = self._fees_bps(edge)
        columns = self._rows.fixed(signal, edge, direction, fees)
        event = self._rows.open(columns, signal, seen.gross_bps, seen.net_bps, seen.funding_bps)
        if not self._signals.write(event.day, event.row.encode(), 1):
            return False
        size = min(signal.buy_px * signal.buy_qty, signal.sell_px * signal.sell_qty)
        self._displace(edge, now_ns)
        stats = StatsTuple(
            seen.net_bps, signal.at_ns, size,
            worst_buy_age_ms=signal.buy_age_ms, worst_sell_age_ms=signal.sell_age_ms,
        )  # fmt: skip
        self._tracks.follow(edge, columns, fees, seen, stats)
        return True

    def _edge_of(self, signal: SignalTuple, now_ns: int) -> Edge | None:
        """Return a signal's edge; None: it has to wait for lists as new as the engine's.

        Halt where they do not come.
        """
        edge = self._edges.get(signal.edge)
        if edge is None:
            self._unknown_ns = self._unknown_ns or now_ns
            if now_ns - self._unknown_ns > _UNKNOWN_NS:
                raise Halt(
                    f"signal {signal.sequence}: edge {signal.edge}, expected one of the "
                    f"{len(self._edges)} of the lists"
                )
        else:
            self._unknown_ns = 0
        return edge

    def _displace(self, edge: Edge, now_ns: int) -> None:
        if old := self._tracks.displaced(edge.id):
            event = self._rows.close(old, now_ns, float("nan"))
            self._outbox.append(event._replace(track=None))  # the edge is another's

    def _make_tracked(self, edge_id: int) -> None:
        state = SIGNALLED  # as it should be; else whatever it is
        while not self._active.move(edge_id, state, TRACKED):
            state = self._active.state(edge_id)
            if state == TRACKED:
                return

    def _resume(self, edge: Edge, row: OpenRow, now_ns: int, now_unix_ns: int) -> None:
        # same ring, so same boot: at_ns tells the age whatever became of the wall clock
        age_ns = now_ns - row.at_ns if row.at_ns <= now_ns else max(0, now_unix_ns - row.unix_ns)
        opened_ns = now_ns - age_ns
        stats = row.stats._replace(peak_ns=opened_ns + row.stats.peak_ns - row.at_ns)
        columns = {name: row.columns[name] for name in FIXED}
        self._displace(edge, now_ns)
        unproven = not is_proven(row.columns["reason"])
        seen = announce.resuming(
            row.sequence, edge, opened_ns, now_ns, stats.peak_net_bps, unproven
        )
        track = self._tracks.follow(edge, columns, row.fees_bps, seen, stats)
        self._make_tracked(edge.id)
        gap_ns = max(0, now_unix_ns - row.seen_unix_ns)
        self._outbox.append(self._rows.gap(Late(track, gap_ns, stats), now_ns, "DOWN"))
        self._count("recovered")

    # -- following

    def _look(self, now_ns: int) -> None:
        time = iso_utc(self._utc.utc_ns(now_ns))
        has_room = sum(n for _, _, n in self._waiting) < _MAX_WAITING
        control = self.instance.control
        # also what was opened before a kill that was cleared while nobody looked
        halted_ns = now_ns if control.kill else control.kill_at_ns
        found = self._tracks.sample(now_ns, time, rows=has_room, halted_ns=halted_ns)
        self._outbox += [self._rows.gap(late, now_ns, "LATE") for late in found.late]
        for end in found.ended:
            funding = self._funding_bps(end.track.edge, now_ns)
            self._outbox.append(self._rows.close(end, now_ns, funding))
        if found.n_rows:
            self._waiting.append((hour_of(time), found.rows, found.n_rows))

    def _funding_bps(self, edge: Edge, now_ns: int) -> float:
        """Return what funding will give both legs; NaN where that is not known."""
        return float(self._funding.edge_bps(*edge.buy, *edge.sell, now_ns))

    def _free_orphans(self, now_ns: int) -> None:
        freed = 0
        for edge_id, state in self._orphans.find(now_ns, self._active, self._ring, self._tracks):
            freed += self._release(edge_id, state, self._ended.get(edge_id))
        if freed:
            self._dirty.wake()
            self._count("orphans_freed", freed)
            log.warning("orphaned edges freed", extra=facts(edges=freed))

    # -- writing

    def _flush(self) -> bool:
        """Write the rows on their way, a day's in one write, and do what follows them."""
        while self._outbox:
            day = self._outbox[0].day
            events = [event for event in self._outbox if event.day == day]
            rows = "".join([event.row for event in events]).encode()
            if not self._signals.write(day, rows, len(events)):
                return False
            self._outbox = [event for event in self._outbox if event.day != day]
            for event in events:
                self._written(event)
            if any(event.track for event in events):
                self._dirty.wake()
        return True

    def _written(self, event: Event) -> None:
        if event.reason:
            self._count(event.reason.lower())
        if event.reason and event.track and self._tracks.forget(event.track):
            self._ended[event.track.edge.id] = event.reason
            self._release(event.track.edge.id, TRACKED, event.reason)
        if event.record:
            self._tell(event.record)

    def _release(self, edge_id: int, state: int, reason: str | None) -> bool:
        """Move the byte on and, where the edge may signal again, mark it for the engine."""
        new = REARM if reason == "EXPIRED" else FREE
        moved: bool = self._active.move(edge_id, state, new)
        edge = self._edges.get(edge_id)
        if moved and new == FREE and edge:
            self._dirty.mark(*edge.buy)
        return moved

    def _tell(self, record: announce.Record) -> None:
        self._stream.publish(**record)
        self._stream.wake()

    def _follow_clock(self, now_ns: int) -> None:
        """Tell that times are by another wall clock from this look on.

        In the files, too: by that a successor knows what the snapshots' times mean.
        """
        if step_ns := self._utc.take_step_ns():
            log.warning("wall clock stepped", extra=facts(seconds=round(step_ns / 1e9, 3)))
            self.remark(f"CLOCK: the wall clock was stepped by {step_ns / 1e9:+.3f} s", now_ns)
            self._outbox += [
                self._rows.gap(late, now_ns, "CLOCK") for late in self._tracks.as_they_are()
            ]

    def _look_at_switches(self, now_ns: int) -> None:
        control = self.instance.control
        why = {KILL: control.kill_reason}
        off = {**self._pauses(), **(why if control.kill else {})}
        for text in self._remarks.due(off, why):
            at_ns = control.kill_at_ns if is_thrown(text) else now_ns
            self._outbox.append(self._rows.remark(text, at_ns))

    def _write_snapshots(self) -> None:
        while self._waiting:
            if not self._snapshots.write(*self._waiting[0]):
                return
            del self._waiting[0]

    def _set_levels(self) -> None:
        health = self.instance.health
        # the tail is the number of signals that have an OPEN row, whatever died when
        health.set(self.role, _COUNTER["opened"], self._ring.read)
        health.set(self.role, _COUNTER["open"], len(self._tracks))
        self._oldest_ns = self._tracks.oldest_ns

    def _needed(self, kind: Format, stamp: str) -> bool:
        """Return whether the OPEN row of an open track may stand in a file, or after it."""
        # called by the archive's thread, so of a number that is replaced whole
        oldest_ns = self._oldest_ns
        if kind is not SIGNALS or oldest_ns is None:
            return False
        return stamp >= day_of(iso_utc(self._utc.utc_ns(oldest_ns)))

    def _count(self, name: str, n: int = 1) -> None:
        self.instance.health.add(self.role, _COUNTER[name], n)
