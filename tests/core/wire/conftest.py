"""Fixtures of these tests: the compiled loops.pyx, and schemas that need no spreadscan."""

from collections import namedtuple
from pathlib import Path
from types import SimpleNamespace

import pytest
from spreadcore.wire.decoder import FrameDecoder

Match = namedtuple("Match", "path pattern required", defaults=[True])


@pytest.fixture(scope="session")
def loops(build_cython):
    """The compiled loops.pyx."""
    return build_cython(Path(__file__).with_name("loops.pyx"))


@pytest.fixture(scope="session")
def make_schema():
    """A function that makes a schema: of {"s", "b": [px, qty], "a": [px, qty]} but for changes.

    match, delta: texts "path=pattern", or "path?=pattern" where the path may be absent.
    """

    def condition(text):
        path, _, pattern = text.partition("=")
        return Match(path.removesuffix("?"), pattern, not path.endswith("?"))

    def make(*, match=(), delta=None, wire="json", **changes):
        fields = {
            "roots": ("",), "symbol": ".s", "symbol_prefix": "", "qty_text": False,
            "bid_px": ".b.0", "bid_qty": ".b.1", "ask_px": ".a.0", "ask_qty": ".a.1",
            "bids": "", "asks": "", "venue_ms": (), "update_id": (), "id_reset": "never",
        }  # fmt: skip
        if wire == "protobuf":
            fields |= {"symbol": ".5"} | {
                name: f".{i}"
                for i, name in enumerate(("bid_px", "bid_qty", "ask_px", "ask_qty"), 1)
            }
        assert changes.keys() <= fields.keys()
        return SimpleNamespace(
            wire=wire,
            match=tuple(condition(m) for m in match),
            delta=condition(delta) if delta else None,
            **fields | changes,
        )

    return make


@pytest.fixture
def read(make_schema):
    """A function: what a schema's decoder makes of a frame, by both gears, or why it declines."""

    def read(frame, **changes):
        decoder = FrameDecoder(make_schema(**changes))
        frame = frame.encode() if isinstance(frame, str) else frame
        first, again = decoder.decode(frame), decoder.decode(frame)
        assert repr(first) == repr(again), "the shape says something else"
        assert repr(first) == repr(FrameDecoder(make_schema(**changes), shapes=False).decode(frame))
        return decoder.declined if first is None else first

    return read
