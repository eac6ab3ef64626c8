"""Decode undoes render, for every venue and every book that its wire can say."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.venues.reference import FRAME_BYTES_MAX, ReferenceDecoder

MS_MAX = (1 << 63) // 1_000_000 - 1
numbers = st.floats(1e-12, 1e15, allow_nan=False) | st.integers(1, 10**12).map(float)
cents = st.integers(1, 10**10).map(lambda n: n / 100)
levels = st.tuples(cents | numbers, cents | numbers) | st.just((math.nan, math.nan))
names = st.text(st.sampled_from("ABCXYZ0189_-币安"), min_size=1, max_size=20)
# what is a date of 2015 to 2040 in seconds is read as such
times = st.integers(0, MS_MAX).filter(lambda ms: not 1_420_070_400 <= ms < 2_208_988_800)
ids = st.integers(0, (1 << 63) - 1) | st.integers(0, 1_000)


def same(a, b):
    """Equal, NaN being equal to NaN."""
    return all(x == y or (x != x and y != y) for x, y in zip(a, b, strict=True))


@st.composite
def books(draw, source):
    ms = draw(times | st.integers(1_700_000_000_000, 1_900_000_000_000))
    update_id, kind = draw(ids | st.just(-1)), 0
    if source == "binance-spot":
        ms = 0  # its wire has no time
    if source == "mexc-spot" and update_id == -1:
        # A ticker without version is numbered by its sendTime, if it has one.
        update_id, kind = (ms, 1) if ms else (-1, 0)
    return Book(draw(names), *draw(levels), *draw(levels), ms * 1_000_000, update_id, kind)


@pytest.mark.parametrize("source", VENUES)
@settings(max_examples=150, deadline=None, database=None, derandomize=True)
@given(data=st.data())
def test_decode_undoes_render(source, data):
    venue = VENUES[source]
    book = data.draw(books(source))
    frame = venue.render(book)
    assert len(frame) < FRAME_BYTES_MAX
    (got,) = ReferenceDecoder(venue.schema).decode(frame)
    assert same(book, got), (book, got)
    assert venue.classify(frame) is None


@pytest.mark.parametrize("source", VENUES)
def test_no_part_of_a_book_is_lost_or_swapped(source):
    venue = VENUES[source]
    decoder = ReferenceDecoder(venue.schema)
    book = Book("ABC", 1.25, 2.5, 3.75, 5.0, 0 if source == "binance-spot" else 7_000_000, 9)
    others = Book("XYZ", 1.5, 2.75, 4.25, 6.0, book.venue_ns * 2, 10)
    for name in ("symbol", "bid_px", "bid_qty", "ask_px", "ask_qty", "venue_ns", "update_id"):
        changed = book._replace(**{name: getattr(others, name)})
        assert [changed] == decoder.decode(venue.render(changed))
