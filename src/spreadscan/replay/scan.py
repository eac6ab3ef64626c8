"""A whole scanner over a recording: decoders, gate, engine and tracker on the recorded clock.

One thread and one order, so the same recording and settings give the same files, byte for byte.
Reads no clock, but for the pace that is asked for.
"""

from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec
from spreadcore.engine import Engine
from spreadcore.layout import ENGINE_COUNTERS, SOURCE_COUNTERS
from spreadcore.playback import BLOCK, EVENT, HELD, MESSAGE, OVER, TICK, Playback

from spreadscan.app import build
from spreadscan.app.fees import edge_fees_bps
from spreadscan.catalogue import Direction
from spreadscan.config import Config
from spreadscan.errors import BadData, ConfigError
from spreadscan.lists import Lists
from spreadscan.recordings import Recording
from spreadscan.replay.feed import RecordedFeed
from spreadscan.replay.inputs import market_of
from spreadscan.replay.table import private_instance
from spreadscan.replay.throttle import Throttle
from spreadscan.tracker import Tracker

# (bytes read, bytes in all, recorded ns since the first frame)
Progress = Callable[[int, int, int], None]


class RecordedUtc:
    """UTC of the recorded clock."""

    def __init__(self, offset_ns: int) -> None:
        self._offset_ns = offset_ns

    def utc_ns(self, boottime_ns: int) -> int:
        """Return the Unix time in ns of a recorded stamp."""
        return boottime_ns + self._offset_ns

    def take_step_ns(self) -> int:
        """Return 0: a recording has one offset from its first frame to its last."""
        return 0


class Moment(NamedTuple):
    """A pair at a time of the recorded clock."""

    at_ns: int
    direction: Direction
    symbol: str


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What was played. counters: of each source and of the engine, those above 0."""

    frames: int  # events of links among them
    first_ns: int  # recorded clock
    span_s: float
    sources: dict[str, dict[str, int]]
    engine: dict[str, int]
    left_out: tuple[str, ...]  # sources that are recorded, but not in use or not in the lists

    @property
    def last_ns(self) -> int:
        """Return when the last record was received, on the recorded clock."""
        return self.first_ns + round(self.span_s * 1e9)


class Scan:
    """The scanner of one replay; run() once. It writes into `folder`, which has no data yet.

    ConfigError where nothing of the recording is in use, CoreError where shared memory has no
    room for the table, BadData for a recording that cannot be played.
    """

    def __init__(self, recording: Recording, config: Config, lists: Lists, folder: Path) -> None:
        used = [name for name in build.active_sources(config, lists) if name in recording.sources]
        if not used:
            raise ConfigError(
                f"sources: {', '.join(config.sources)} with the lists' "
                f"{', '.join(lists.sources) or 'none'}, expected one that is recorded: "
                f"{', '.join(recording.sources)}"
            )
        self._recording = recording
        self._lists, self._listed = lists, build.instruments_of(config, lists)
        self._folder = folder
        self._left_out = tuple(name for name in recording.sources if name not in used)
        capacity = build.new_capacity(config, len(lists.names), lists.n_edge_ids)
        self._instance = private_instance(capacity, ring_id_of(recording))
        self._engine: Engine = build.make_engine(
            config,
            lists,
            self._instance,
            audited=recording.about.audited,  # else what silence means is learnt alone
        )
        self._playback = Playback(self._engine)
        self._ids = {name: symbol_id for symbol_id, name in enumerate(lists.names)}
        self._moments: list[Moment] = []  # still to come, the next one last
        self.without_quote: set[Moment] = set()
        self.unconfirmed: set[Moment] = set()
        self._stale_s = build.stale_after_s(config)
        self._feeds: Mapping[int, RecordedFeed] = {
            feed.source_id: feed
            for feed in (
                RecordedFeed(
                    name,
                    recording.blocks(name),
                    lists.sources[name].subscribed,
                    self._instance,
                    config,
                )
                for name in used
            )
        }
        self._tracker = Tracker(
            self._instance, config, lists.names, lists.edges, edge_fees_bps(config, lists.names),
            build.stale_after_s(config),
            build.confirm_within_s(config) if recording.about.audited else {},
            utc=RecordedUtc(recording.utc_offset_ns),
            folder=str(folder), simulated=market_of(recording.folder),
        )  # fmt: skip

    def run(
        self, speed: float | None = None, report: Progress | None = None,
        moments: Iterable[Moment] = (),
    ) -> Played:  # fmt: skip
        """Play everything. speed: recorded seconds in one of ours, None = as fast as it goes.

        moments: those at which a leg has no quote, or after the end of its recording, are in
        `without_quote` afterwards, those at which one is older than it may be without an audit,
        where none is recorded, in `unconfirmed`.
        """
        known = sorted((m for m in moments if m.symbol in self._ids), key=lambda m: -m.at_ns)
        self._moments = known.copy()
        for feed in self._feeds.values():
            self._playback.add(feed.intake, feed.decoder)
            self._load(feed)
        first_ns = self._playback.next_ns
        if first_ns is None:
            raise BadData(f"{self._recording.folder}: no frame of a source in use, expected some")
        self._tracker.recover(first_ns)
        self._tracker.relist(self._lists.names, self._lists.edges, self._listed, first_ns)
        self._engine.scan(first_ns)
        pace = Throttle(speed, first_ns) if speed else None
        try:
            self._play(pace, self._reporting(report, first_ns))
        finally:
            self._tracker.close(self._playback.now_ns)
        self.without_quote.update(filter(self._is_after_a_leg, known))
        self._refuse_a_full_disk()
        if report:
            total = self._recording.n_bytes
            report(total, total, self._playback.now_ns - first_ns)
        return self._played(first_ns)

    def _play(self, pace: Throttle | None, report: Callable[[], None]) -> None:
        play = self._playback
        tick_ns: int | None = None  # of the tracker: while it has something to do
        while True:
            look_ns = self._moments[-1].at_ns + 1 if self._moments else None
            reached_ns = pace.reached_ns() if pace else None
            dues = [ns for ns in (tick_ns, look_ns, reached_ns) if ns is not None]
            stop = play.run(until_ns := min(dues, default=None))
            if stop == OVER:
                return
            if stop == BLOCK:
                report()
            if stop != TICK:
                self._serve(stop, self._feeds[play.source])
            elif tick_ns is not None and until_ns == tick_ns:
                self._tick(tick_ns)
                tick_ns = None
            elif until_ns == look_ns:
                self._look_at_legs(self._moments.pop())
            elif pace:
                report()
                pace.wait()
            self._poll()
            if tick_ns is None and self._tracker.following:
                tick_ns = self._tracker.next_tick_ns(play.now_ns)

    def _serve(self, stop: int, feed: RecordedFeed) -> None:
        """Do for a source what the compiled loop stopped for."""
        if stop == BLOCK:
            self._load(feed)
        elif stop == HELD:
            feed.settle()
            self._playback.release(feed.source_id)
        elif stop in (MESSAGE, EVENT):
            self._take(feed)

    def _look_at_legs(self, moment: Moment) -> None:
        """Note a moment at which the recording has no quote of a leg, or one that is too old.

        Too old for the cadence of its pair: a live run with an audit may have had it confirmed.
        """
        direction = moment.direction
        for source_id in (direction.buy.id, direction.sell.id):
            quote = self._instance.quotes.read(source_id, self._ids[moment.symbol])
            if quote is None or quote.recv_ns == 0:
                self.without_quote.add(moment)
            elif not self._recording.about.audited:
                limits_s = [self._stale_s[source_id], quote.limit_s]
                age_s = (moment.at_ns - quote.recv_ns) / 1e9
                if any(limit_s and age_s > limit_s for limit_s in limits_s):
                    self.unconfirmed.add(moment)

    def _is_after_a_leg(self, moment: Moment) -> bool:
        """Feeds end their recordings one after the other: what one received then is in none."""
        legs = map(self._feeds.get, (moment.direction.buy.id, moment.direction.sell.id))
        return any(leg and leg.tells_end and moment.at_ns > leg.lived_ns for leg in legs)

    def _load(self, feed: RecordedFeed) -> None:
        found = feed.load()
        if found is None:
            self._playback.end(feed.source_id, feed.lived_ns)
            return
        if found.fresh:
            self._playback.lives_until(feed.source_id, found.lived_ns)
        self._playback.load(feed.source_id, found.block.data, found.held)

    def _take(self, feed: RecordedFeed) -> None:
        recv_ns, link, opcode, payload = self._playback.record()
        if opcode in (1, 2):
            feed.message(link, payload, recv_ns)
        else:
            feed.event(opcode, link, payload)
        self._playback.finish()

    def _poll(self) -> None:
        """Let the tracker open what is signalled."""
        if self._instance.ring.queued:
            self._tracker.poll(self._playback.now_ns)
            self._refuse_a_full_disk()

    def _tick(self, now_ns: int) -> None:
        """As live: the engine has looked before, and looks again at pairs that are free."""
        self._playback.turn(now_ns)
        self._tracker.tick(now_ns)
        if self._instance.dirty.pending():
            self._playback.turn(now_ns)
        self._refuse_a_full_disk()

    def _refuse_a_full_disk(self) -> None:
        # a live tracker waits for room; what a replay writes must not hang on that
        if self._tracker.failing:
            raise ConfigError(
                f"{self._folder}: the disk takes no rows, or has less room than "
                "tracker.reserve_mb, expected room for the replay's files"
            )

    def _reporting(self, report: Progress | None, first_ns: int) -> Callable[[], None]:
        total = self._recording.n_bytes

        def tell() -> None:
            if report:
                done = sum(feed.position for feed in self._feeds.values())
                report(done, total, self._playback.now_ns - first_ns)

        return tell

    def _played(self, first_ns: int) -> Played:
        health = self._instance.health
        return Played(
            frames=sum(self._playback.frames(source_id) for source_id in self._feeds),
            first_ns=first_ns,
            span_s=(self._playback.now_ns - first_ns) / 1e9,
            sources={
                feed.source: _counted(health.counters(source_id), SOURCE_COUNTERS)
                | {"frames": self._playback.frames(source_id)}
                for source_id, feed in self._feeds.items()
            },
            engine=_counted(health.counters(health.role("engine")), ENGINE_COUNTERS),
            left_out=self._left_out,
        )


def ring_id_of(recording: Recording) -> int:
    """Return the number that names the spreads of a recording: the same at each replay."""
    about = msgspec.to_builtins(recording.about)
    del about["spans"]  # recordings of before do not tell, and keep their names
    if not about["audited"]:
        del about["audited"]
    text = msgspec.json.encode(about)
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little") >> 1 | 1


def _counted(counters: Mapping[str, int], names: tuple[str, ...]) -> dict[str, int]:
    return {name: counters[name] for name in names if counters[name]}
