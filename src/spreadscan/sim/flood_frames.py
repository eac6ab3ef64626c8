"""Blocks of frames that are rendered once; from round to round only their ids are counted up.

A flood is made of them (flood.py). Nothing here knows a venue: an id is where two renderings of
the same book under different ids differ.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from spreadscan.types import Book

FRAMES_MAX = 10_000
_OWN_DIGITS = 4  # the last of an id: which frame of the block it is; those before: which round
_ID_DIGITS = 13
FIRST_ROUND = 10 ** (_ID_DIGITS - _OWN_DIGITS - 1)  # above it ids keep their digits for ever

Encode = Callable[[Book], bytes]


class Block:
    """WebSocket frames in a row, given round after round under rising ids.

    encode: the whole frame of a book. rounds: their numbers, from FIRST_ROUND; several blocks
    may share them, so that ids rise over all of them.
    """

    def __init__(self, encode: Encode, books: Sequence[Book], rounds: Iterator[int]) -> None:
        if not 0 < len(books) <= FRAMES_MAX:
            raise ValueError(f"block: {len(books)} frames, expected 1 to {FRAMES_MAX}")
        frames, others = (
            [encode(book._replace(update_id=int(digit * _ID_DIGITS))) for book in books]
            for digit in "12"
        )
        self.n = len(frames)
        self.ends = [0]  # frame i stands from ends[i] to ends[i + 1]
        for frame in frames:
            self.ends.append(self.ends[-1] + len(frame))
        self._bytes = np.frombuffer(b"".join(frames), np.uint8).copy()
        other = np.frombuffer(b"".join(others), np.uint8)
        # one row per id; a frame may hold its id twice
        digits = np.flatnonzero(self._bytes != other).reshape(-1, _ID_DIGITS)
        own = np.searchsorted(self.ends, digits[:, 0], "right") - 1
        for column in range(_ID_DIGITS - 1, _ID_DIGITS - _OWN_DIGITS - 1, -1):
            own, digit = np.divmod(own, 10)
            self._bytes[digits[:, column]] = ord("0") + digit
        self._columns = [column.copy() for column in digits[:, :-_OWN_DIGITS].T]
        self._written = b"1" * len(self._columns)
        self._rounds = rounds
        self._at = self.n  # of the next frame; at the end a round begins

    @property
    def ended(self) -> bool:
        """Whether the next frame begins a round."""
        return self._at == self.n

    def take(self, n: int) -> tuple[int, bytes]:
        """Return (how many, their bytes) of the next n frames, fewer where a round ends."""
        if self.ended:
            self._begin(next(self._rounds))
        begin = self._at
        self._at = min(self.n, begin + n)
        return self._at - begin, self._bytes[self.ends[begin] : self.ends[self._at]].tobytes()

    def _begin(self, number: int) -> None:
        text = b"%d" % number
        for column, digit, before in zip(self._columns, text, self._written, strict=True):
            if digit != before:
                self._bytes[column] = digit
        self._written = text
        self._at = 0
