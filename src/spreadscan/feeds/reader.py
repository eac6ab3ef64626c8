"""FrameReader: one socket's frames in, books and control messages out.

The same for live feeds, validation and replay: decode by the venue's schema, keep the one-level
book where the venue sends deltas, name what is neither. No socket and no clock.
"""

from typing import Protocol

from spreadscan.errors import BadFrame
from spreadscan.feeds.book import OneLevelBooks
from spreadscan.types import Book
from spreadscan.venues.base import Control, Venue
from spreadscan.venues.reference import ReferenceDecoder, decline_reason


class BookSink(Protocol):
    """Where a reader puts what it finds."""

    def book(self, book: Book, recv_ns: int) -> bool:
        """Take one top of book; True when it passed the gate."""

    def declined(self, reason: str) -> None:
        """Count a frame that gave nothing, by reason (spreadcore.layout.DECLINED)."""


class FrameReader:
    """Reads the frames of one socket; make a new one for a new socket."""

    def __init__(self, venue: Venue, sink: BookSink) -> None:
        self._venue = venue
        self._sink = sink
        self._decode = ReferenceDecoder(venue.schema).decode
        self._books = OneLevelBooks() if venue.schema.delta else None
        self.frames = 0
        self.bad = 0  # frames that are garbage
        self.valid = 0  # books that passed the gate
        self.need_snapshot: set[str] = set()  # venue symbols whose deltas lead nowhere

    def read(self, frame: bytes, recv_ns: int) -> Control | None:
        """Read one message; return the control message that it was, else None."""
        self.frames += 1
        try:
            items = self._decode(frame)
        except BadFrame:
            self._declined("bad_frame")
            return None
        if items is None:
            control = self._venue.classify(frame)
            if control is None:
                self._declined(decline_reason(self._venue, frame))
            return control
        for item in items:
            book = self._books.apply(item) if self._books else item
            if book is None:
                self.need_snapshot.add(item.symbol)
                self._sink.declined("no_snapshot")
            elif self._sink.book(book, recv_ns):  # type: ignore[arg-type]  # no deltas left here
                self.valid += 1
        return None

    def _declined(self, reason: str) -> None:
        self.bad += reason == "bad_frame"
        self._sink.declined(reason)
