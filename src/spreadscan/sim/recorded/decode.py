"""Which symbol a recorded frame is of: decoded as the venue's schema says, or not a quote."""

from spreadcore.wire.decoder import FrameDecoder

from spreadscan.errors import BadFrame
from spreadscan.types import Book, Delta
from spreadscan.venues import VENUES
from spreadscan.venues.reference import ReferenceDecoder


class QuoteReader:
    """Reads the frames of one source; what the compiled decoder declines, by the reference."""

    def __init__(self, source: str) -> None:
        schema = VENUES[source].schema
        self._fast = FrameDecoder(schema).decode
        self._slow = ReferenceDecoder(schema).decode

    def read(self, payload: bytes) -> list[Book | Delta]:
        """Return the quotes of a frame, all of one symbol; nothing where it is no quote."""
        quotes = self._fast(payload)
        if quotes is not None:
            return [Book(*quote) for quote in quotes]
        try:
            return self._slow(payload) or []
        except BadFrame:
            return []  # the caller counts it: nobody knows whom it is for
