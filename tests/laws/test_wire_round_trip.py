"""The compiled decode undoes render, by both gears, and takes all that a venue sends.

It passes on: symbols that are not ASCII; prices of more digits than a double has, once they have
more than 19 decimals; JSON numbers of more than 19 digits, leading zeros counted.
"""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spreadcore.wire.decoder import FrameDecoder

from fuzz.judge import same
from laws.test_round_trip import books as any_books
from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.venues.base import decimal_text

MISSING = (math.nan, math.nan)
# what is listed anywhere: fifteen digits, at most eighteen of them decimals
prices = st.builds(lambda n, k: n / 10**k, st.integers(1, 10**15), st.integers(0, 18))
levels = st.tuples(prices, prices)
# what is a date of 2015 to 2040 in seconds is read as such
times = st.integers(0, 9_223_372_036_854).filter(lambda ms: not 1_420_070_400 <= ms < 2_208_988_800)
names = st.text("ABCXYZ0189_-", min_size=1, max_size=30)


@pytest.fixture(params=VENUES)
def source(request):
    return request.param


@st.composite
def listed_books(draw, source):
    """Books of ordinary prices; none, one or both sides missing."""
    sides = draw(levels | st.just(MISSING)), draw(levels | st.just(MISSING))
    ms = 0 if source == "binance-spot" else draw(times)
    update_id, kind = draw(st.integers(-1, (1 << 63) - 1)), 0
    if source == "mexc-spot" and update_id == -1:
        update_id, kind = (ms, 1) if ms else (-1, 0)
    return Book(draw(names), *sides[0], *sides[1], ms * 1_000_000, update_id, kind)


def is_short(text, json_number):
    """Whether a price of a rendered frame is within what the compiled decoder reads."""
    whole, _, part = text.partition(".")
    digits = int(whole + part or "0")
    if json_number and len(whole + part) > 19:
        return False
    return digits < 10**19 and (len(part) <= 19 or (digits <= 1 << 53 and len(part) <= 22))


def has_short_prices(source, book):
    texts = [decimal_text(x) for x in book[1:5]]
    return all(is_short(text, source == "mexc-futures") for text in texts)


def read_by_both_gears(source, frame):
    """Return what the decoder gives, to itself a stranger's frame first and then a known one."""
    decoder = FrameDecoder(VENUES[source].schema)
    first, again = decoder.decode(frame), decoder.decode(frame)
    assert repr(first) == repr(again)
    return first


def test_every_book_that_a_venue_may_send(source):
    @settings(max_examples=400, deadline=None, database=None, derandomize=True)
    @given(book=listed_books(source))
    def holds(book):
        found = read_by_both_gears(source, VENUES[source].render(book))
        assert found is not None, book
        assert same([book], found), (book, found)

    holds()


def test_any_book_is_read_or_passed_on_for_a_reason(source):
    """The same books as for the reference decoder, any script and any double among them."""

    @settings(max_examples=300, deadline=None, database=None, derandomize=True)
    @given(book=any_books(source))
    def holds(book):
        found = read_by_both_gears(source, VENUES[source].render(book))
        assert (found is not None) == (book.symbol.isascii() and has_short_prices(source, book))
        assert found is None or same([book], found), (book, found)

    holds()


@pytest.mark.parametrize("bid", [(1.5, 2.0), MISSING])
@pytest.mark.parametrize("ask", [(1.6, 3.0), MISSING])
def test_sides_of_their_own(source, bid, ask):
    ms = 0 if source == "binance-spot" else 1_700_000_000_123
    book = Book("BTCUSDT", *bid, *ask, ms * 1_000_000, 42, 0)
    assert same([book], read_by_both_gears(source, VENUES[source].render(book)))


def test_symbols_that_are_not_ascii_are_passed_on(source):
    book = Book("币安人生USDT", 1.5, 2.0, 1.6, 3.0, 0, 5, 0)
    decoder = FrameDecoder(VENUES[source].schema)
    assert decoder.decode(VENUES[source].render(book)) is None
    assert "text" == decoder.declined
