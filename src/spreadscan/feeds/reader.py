"""FrameReader: one socket's frames in, books and control messages out.

The same for live feeds, validation and replay: decode by the venue's schema, keep the one-level
book where the venue sends deltas, name what is neither. No socket and no clock.
"""

from collections.abc import Iterable
from typing import Protocol

from spreadcore.frames import LinkIntake

from spreadscan.errors import BadFrame
from spreadscan.feeds.book import OneLevelBooks
from spreadscan.types import Book, Delta
from spreadscan.venues.base import Control, Venue
from spreadscan.venues.reference import ReferenceDecoder, decline_reason


class BookSink(Protocol):
    """Where a reader puts what it finds."""

    def book(self, book: Book, recv_ns: int) -> bool:
        """Take one top of book; True when it passed the gate."""

    def declined(self, reason: str) -> None:
        """Count a frame that gave nothing, by reason (spreadcore.layout.DECLINED)."""


class FrameReader:
    """Reads the frames of one socket; make a new one for a new socket.

    intake: what takes the frames of this socket that come not here; deltas build upon its tops.
    """

    def __init__(self, venue: Venue, sink: BookSink, intake: LinkIntake | None = None) -> None:
        self._venue = venue
        self._sink = sink
        self._intake = intake
        self._decoder = ReferenceDecoder(venue.schema)
        self._books = OneLevelBooks() if venue.schema.delta else None
        self._built_on: dict[str, str] = {}  # the top that a book has last; text: NaN equals NaN
        self.frames = 0
        self.bad = 0  # frames that are garbage
        self.foreign = 0  # frames of channels that were not asked for
        self.valid = 0  # books that passed the gate
        self.need_snapshot: set[str] = set()  # venue symbols whose deltas lead nowhere

    def read(self, frame: bytes, recv_ns: int) -> Control | None:
        """Read one message; return the control message that it was, else None."""
        self.frames += 1
        try:
            items = self._decoder.decode(frame)
        except BadFrame:
            self._decoder.odd_times = 0
            self._declined("bad_frame")
            return None
        if items is None:
            control = self._venue.classify(frame)
            if control is None:
                self._declined(decline_reason(self._venue, frame))
            return control
        if self._intake is not None and self._decoder.odd_times:
            self._intake.count_odd_times(self._decoder.odd_times)
            self._decoder.odd_times = 0
        for item in items:
            book = self._whole(item) if self._books else item
            if book is None:
                self.need_snapshot.add(item.symbol)
                self._sink.declined("no_snapshot")
            elif self._sink.book(book, recv_ns):  # type: ignore[arg-type]  # no deltas left here
                self.valid += 1
        return None

    def forget(self, symbols: Iterable[str]) -> None:
        """Drop the books of symbols that this socket gets no more."""
        for symbol in symbols:
            self.need_snapshot.discard(symbol)
            if self._books:
                self._books.forget(symbol)

    def _whole(self, item: Book | Delta) -> Book | None:
        """Return the top of book after item, None where only a new subscription helps."""
        assert self._books
        if self._intake is not None and isinstance(item, Delta):
            top = self._intake.top(item.symbol)
            # each once: a book that was given up must not come back
            if top is not None and repr(top) != self._built_on.get(item.symbol):
                self._built_on[item.symbol] = repr(top)
                self._books.apply(Book(item.symbol, *top))
        book = self._books.apply(item)
        if book is not None:
            self._built_on[item.symbol] = repr(book[1:])
        return book

    def _declined(self, reason: str) -> None:
        self.bad += reason == "bad_frame"
        self.foreign += reason == "other_channel"
        self._sink.declined(reason)
