"""What does a frame cost to decode, per venue?

Setup: one process on one core; 64 frames of a venue, of its 64 most traded symbols in the simulated
market, under ids as long as the live ones; MEXC futures with five levels a side, as on the wire. A
C loop decodes them round after round: conditions checked, prices and sizes as doubles, symbol as a
place in the frame. Two gears: with the shapes of earlier frames, as feeds run, and the general
scanner alone; protobuf has one. Baseline: orjson.loads and float() of the same fields in plain
Python (MEXC spot: the protobuf package and float()), which checks nothing else. Both give the same
values, which is asserted first. Median of rounds by turns.

Not measured: symbol look-up, gate and slot (bench_curve.py); frames that come cold from a socket
(bench_feed.py).
"""

from collections.abc import Callable
from types import ModuleType

import pytest
from spreadcore.wire.decoder import FrameDecoder

from known import LATER
from plain_decoders import PLAIN
from spreadscan.sim import Market
from spreadscan.venues import VENUES
from wire_frames import books, joined, wire_frame

N_FRAMES = 64
LOOPS, PLAIN_LOOPS, ROUNDS = 100, 10, 50
GEARS = [
    pytest.param(source, shapes, id=f"{source}-{'shapes' if shapes else 'general'}")
    for source, venue in VENUES.items()
    for shapes in ((True, False) if venue.schema.wire == "json" else (False,))
]


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(also=LATER)


@pytest.mark.parametrize(("source", "shapes"), GEARS)
def bench_decode(
    feed_loops: ModuleType,
    beside: Callable[..., tuple[float, float]],
    row: Callable[..., None],
    count: Callable[[int], int],
    market: Market,
    source: str,
    shapes: bool,
) -> None:
    venue, plain = VENUES[source], PLAIN[source]
    frames = [wire_frame(source, book) for book in books(market, source, N_FRAMES)]
    decoder = FrameDecoder(venue.schema, shapes=shapes)
    for frame in frames:
        (quote,) = decoder.decode(frame) or ()
        assert plain(frame) == (*quote[:5], quote[6])
    data, ends = joined(frames)

    def read_plainly() -> None:
        for _ in range(plain_loops):
            for frame in frames:
                plain(frame)

    loops, plain_loops, rounds = count(LOOPS), count(PLAIN_LOOPS), count(ROUNDS)
    value, baseline = beside(
        lambda: feed_loops.decode_frames(decoder, data, ends, loops), read_plainly, rounds=rounds
    )
    protobuf = venue.schema.wire == "protobuf"
    gear = "protobuf" if protobuf else "shapes" if shapes else "general scanner"
    row(
        f"decode, {source}, {gear}, {len(data) // N_FRAMES} bytes", value / loops / N_FRAMES, "ns",
        f"{'protobuf' if protobuf else 'orjson'} + float()", baseline / plain_loops / N_FRAMES,
        N_FRAMES * loops * rounds, aim="" if decoder.n_shapes == 0 and not protobuf else "x 0.125",
    )  # fmt: skip
