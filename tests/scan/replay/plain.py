"""A replay in plain Python: what the compiled loop has to be equal to, and is measured against.

The reference decoder reads every message; a tick at every multiple of the grid, needed or not.
"""

from spreadcore.frames import LinkIntake
from spreadcore.intake import SourceIntake
from spreadcore.wire.decoder import FrameDecoder

from known import SOURCE_BY_NAME
from scan.replay.tapes import MS, START_NS
from spreadscan.app import build
from spreadscan.app.fees import edge_fees_bps
from spreadscan.feeds.reader import FrameReader
from spreadscan.lists import load
from spreadscan.recordings import Opcode, Recording
from spreadscan.replay.inputs import settings_of
from spreadscan.replay.scan import RecordedUtc, ring_id_of
from spreadscan.replay.table import private_instance
from spreadscan.tracker import Tracker
from spreadscan.venues import VENUES


class PlainFeed:
    def __init__(self, name, listed, instance):
        self.name, self.link = name, 1
        venue = VENUES[name]
        self.ids = {row.instrument.venue_symbol: row.symbol_id for row in listed}
        self.intake = SourceIntake(
            instance.region("quotes"), instance.region("dirty"), instance.region("health"),
            SOURCE_BY_NAME[name].id, venue.schema.id_reset,
            keep_tops=venue.schema.delta is not None,
        )  # fmt: skip
        for row in listed:
            i = row.instrument
            self.intake.add_symbol(row.symbol_id, i.multiplier, i.qty_scale, i.venue_symbol)
        own = LinkIntake(self.intake, FrameDecoder(venue.schema), 1)
        self.reader = FrameReader(venue, self, own)

    def book(self, book, recv_ns):
        symbol_id = self.ids[book.symbol]
        return self.intake.accept(symbol_id, self.link, *book[1:], recv_ns) >= 0

    def declined(self, reason):
        raise AssertionError(f"{self.name}: {reason}")


def plainly(folder, out):
    """Play a recording that begins at START_NS."""
    recording, config = Recording(folder), settings_of(folder, (), {})
    lists = load(folder / "generated")
    capacity = build.new_capacity(config, len(lists.names), lists.n_edge_ids)
    instance = private_instance(capacity, ring_id_of(recording))
    engine = build.make_engine(config, lists, instance)
    tracker = Tracker(
        instance, config, lists.names, lists.edges, edge_fees_bps(config, lists.names),
        build.stale_after_s(config),
        utc=RecordedUtc(recording.utc_offset_ns), folder=str(out),
    )  # fmt: skip
    feeds = {
        name: PlainFeed(name, lists.sources[name].subscribed, instance)
        for name in recording.sources
    }
    grid_ns = int(config.tracker.grid_ms * MS)
    now_ns, tick_ns = START_NS, START_NS
    tracker.recover(now_ns)
    tracker.relist(lists.names, lists.edges, build.instruments_of(config, lists), now_ns)
    for got in recording.frames():
        while tick_ns <= got.recv_ns:
            for feed in feeds.values():
                instance.health.beat(feed.intake.source_id, tick_ns)
            engine.turn(tick_ns)
            tracker.tick(tick_ns)
            engine.turn(tick_ns)
            tracker.poll(tick_ns)
            tick_ns += grid_ns
        now_ns = got.recv_ns
        if got.opcode in (Opcode.TEXT, Opcode.BINARY):
            feeds[got.source].reader.read(got.payload, now_ns)
        for feed in feeds.values():
            instance.health.beat(feed.intake.source_id, now_ns)
        engine.turn(now_ns)
        tracker.poll(now_ns)
    tracker.close(now_ns)
