"""Frames of the simulated venues for benches that need no socket."""

import re
from array import array
from collections.abc import Sequence

from known import SOURCE_BY_NAME
from spreadscan.sim import Market
from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.venues.base import decimal_text

LEVELS = 5  # a side, in a frame of MEXC futures
_SIDES = re.compile(rb'"asks":\[\[.*?\]\],"bids":\[\[.*?\]\]')


def books(market: Market, source: str, n: int) -> list[Book]:
    """Return the last books of the n most traded symbols, under ids of the live venues' length."""
    source_id = SOURCE_BY_NAME[source].id
    found = (market.quote(source_id, i, 0) for i in range(len(market.listings[source_id])))
    traded = [book for book in found if book is not None][:n]
    return [book._replace(update_id=41_770_922_520 + 37 * i) for i, book in enumerate(traded)]


def wire_frame(source: str, book: Book) -> bytes:
    """Return the frame as on the wire: MEXC futures sends five levels a side, render one."""
    frame = VENUES[source].render(book)
    if source != "mexc-futures":
        return frame
    asks = _levels(book.ask_px, book.ask_qty, 1.0001)
    bids = _levels(book.bid_px, book.bid_qty, 0.9999)
    return _SIDES.sub(f'"asks":{asks},"bids":{bids}'.encode(), frame, count=1)


def _levels(px: float, qty: float, step: float) -> str:
    deeper = [float(f"{px * step**i:.7g}") for i in range(1, LEVELS)]
    rows = [
        f"[{decimal_text(level)},{decimal_text(qty * (i + 1))},{1 + i % 3}]"
        for i, level in enumerate([px, *deeper])
    ]
    return f"[{','.join(rows)}]"


def joined(frames: Sequence[bytes]) -> tuple[bytes, "array[int]"]:
    """Return frames as the compiled loops take them: (data, ends)."""
    ends = array("q", [0])
    for frame in frames:
        ends.append(ends[-1] + len(frame))
    return b"".join(frames), ends
