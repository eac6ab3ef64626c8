"""One recorded source: its blocks, and what only Python reads of its frames.

Control messages and what the compiled decoder leaves go to the reader of their link, as in a live
feed; a link that closed or was taken over empties or hands on its quotes. What a gap in the
recording may have changed is emptied: nothing is traded on that may no longer have been true.
"""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from spreadcore import Instance
from spreadcore.audit import VerdictTuple
from spreadcore.errors import CoreError
from spreadcore.frames import LinkIntake
from spreadcore.intake import SourceIntake
from spreadcore.layout import DECLINED
from spreadcore.wire.decoder import FrameDecoder

from spreadscan.config import Config
from spreadscan.errors import BadData
from spreadscan.feeds.acts import act
from spreadscan.feeds.reader import FrameReader
from spreadscan.lists import Listing
from spreadscan.recordings import Block, Opcode, Verdicts
from spreadscan.types import Book
from spreadscan.venues import VENUES

_REASON = {name: i for i, name in enumerate(DECLINED)}


class Loaded(NamedTuple):
    """The next block; held: settle() before its first record. fresh: another run begins.

    lived_ns: until when the feed is known to have lived before it.
    """

    block: Block
    held: bool
    fresh: bool
    lived_ns: int


class _TakeOver(msgspec.Struct, frozen=True):
    """Payload of a TOOK_OVER record."""

    old: int = msgspec.field(name="from")
    symbols: tuple[str, ...]


class RecordedFeed:
    """A source of a recording as its feed was; listed: what it was subscribed to."""

    def __init__(
        self, source: str, blocks: Iterator[Block], listed: tuple[Listing, ...],
        instance: Instance, config: Config,
    ) -> None:  # fmt: skip
        self.source = source
        self.source_id = config.catalogue.source[source].id
        self.position = 0  # bytes of its files read so far
        self.lived_ns = 0  # its feed, as far as was read
        self.tells_end = False  # the last block says until when the feed lived
        venue = VENUES[source]
        self.intake = SourceIntake(
            instance.region("quotes"), instance.region("dirty"), instance.region("health"),
            self.source_id, venue.schema.id_reset, keep_tops=venue.schema.delta is not None,
            learn_to_s=venue.learn_to_s(config),
            learn_from_s=venue.learn_from_s(config),
        )  # fmt: skip
        self.decoder = FrameDecoder(venue.schema)
        self._instance = instance
        self._blocks = blocks
        self._listed = listed
        self._ids = {row.instrument.venue_symbol: row.symbol_id for row in listed}
        self._readers: dict[int, FrameReader] = {}
        self._run = ""
        self._number = 0  # of the next record in its run
        self._fresh = True
        self._settled = False  # the first run finds nothing to forget
        self._list()

    def load(self) -> Loaded | None:
        """Return the next block with frames, None after the last."""
        for block in self._blocks:
            lived_ns, self.lived_ns = self.lived_ns, max(self.lived_ns, block.last_recv_ns)
            self.position = block.position
            self.tells_end = not block.n_frames
            if not block.n_frames:
                continue
            self._fresh, self._run = block.run != self._run, block.run
            held = self._fresh or block.first_number != self._number
            self._number = block.first_number + block.n_frames
            return Loaded(block, held, self._fresh, lived_ns)
        return None

    def settle(self) -> None:
        """Before a held block: forget all of the run before, or the quotes of before a gap."""
        if not self._settled:
            self._settled = True
            return
        self.intake.empty_all()
        if self._fresh:
            self._readers.clear()
            for row in self._listed:
                self.intake.remove_symbol(row.symbol_id)
            self._list()

    def message(self, link: int, payload: bytes, recv_ns: int) -> None:
        """Read a message that the compiled path has left."""
        reader = self._readers.get(link)
        if reader is None:
            own = LinkIntake(self.intake, self.decoder, link)
            reader = FrameReader(VENUES[self.source], _Sink(self, link), own)
            self._readers[link] = reader
        reader.read(payload, recv_ns)

    def event(self, opcode: int, link: int, payload: bytes) -> None:
        """Do what became of a link. BadData for what no recording of ours has."""
        if opcode == Opcode.TOOK_OVER:
            try:
                told = msgspec.json.decode(payload, type=_TakeOver)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                found = f"take-over by link {link} says {payload[:40]!r} ({error})"
                raise self._bad(found) from None
            ids = [self._ids[name] for name in told.symbols if name in self._ids]
            self.intake.hand_over(told.old, link, ids)
        elif opcode == Opcode.VERDICTS:
            self._judge(payload)
        elif opcode == Opcode.CLOSED:
            self.intake.empty_link(link, True)
            self._readers.pop(link, None)
        elif opcode != Opcode.OPENED:
            raise self._bad(f"opcode {opcode} of link {link}")

    def _judge(self, payload: bytes) -> None:
        """Hold to what the audit found out, as the live feed did."""
        try:
            told = msgspec.json.decode(payload, type=Verdicts)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._bad(f"verdicts {payload[:40]!r} ({error})") from None
        self._instance.audit.set(self.source_id, "round_ns", told.round_ns)
        for row in told.verdicts:
            symbol_id = self._ids.get(row.symbol)
            if symbol_id is None:
                continue
            verdict = VerdictTuple(row.kind, row.reason, row.recv_ns, row.at_ns)
            try:
                self._instance.audit.put(self.source_id, symbol_id, verdict)
            except CoreError as error:
                raise self._bad(f"verdicts of {row.symbol} ({error})") from None
            act(self.intake, symbol_id, verdict)
            self._instance.answers.mark(self.source_id, symbol_id)

    def accept(self, link: int, book: Book, recv_ns: int) -> bool:
        """Put one top of book of a link through the gate; True when it passed."""
        symbol_id = self._ids.get(book.symbol)
        if symbol_id is None:
            self.intake.decline(_REASON["unknown_symbol"])
            return False
        code = self.intake.accept(
            symbol_id, link, book.bid_px, book.bid_qty, book.ask_px, book.ask_qty,
            book.venue_ns, book.update_id, book.id_kind, recv_ns,
        )  # fmt: skip
        return bool(code >= 0)

    def _list(self) -> None:
        for row in self._listed:
            i = row.instrument
            self.intake.add_symbol(row.symbol_id, i.multiplier, i.qty_scale, i.venue_symbol)
            act(
                self.intake, row.symbol_id, self._instance.audit.read(self.source_id, row.symbol_id)
            )

    def _bad(self, found: str) -> BadData:
        known = ", ".join(f"{code.value} {code.name.lower()}" for code in Opcode)
        return BadData(f"{self.source}: {found}, expected records of {known}")


class _Sink:
    """What the reader of one link tells."""

    def __init__(self, feed: RecordedFeed, link: int) -> None:
        self._feed = feed
        self._link = link

    def book(self, book: Book, recv_ns: int) -> bool:
        return self._feed.accept(self._link, book, recv_ns)

    def declined(self, reason: str) -> None:
        self._feed.intake.decline(_REASON[reason])
