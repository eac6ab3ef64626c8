"""The one-level book, on deltas as Bybit's recordings of 2023 have them."""

import math

import pytest

from spreadscan.feeds.book import LEVELS_MAX, OneLevelBooks
from spreadscan.types import Book, Delta

SNAPSHOT = Book("BTCUSDT", 28552.0, 0.047, 28552.1, 25.433, 1_000_000, 7003305)


def delta(bids=(), asks=(), update_id=7003306, venue_ns=2_000_000, symbol="BTCUSDT"):
    return Delta(symbol, tuple(bids), tuple(asks), venue_ns, update_id)


@pytest.fixture
def books():
    got = OneLevelBooks()
    assert SNAPSHOT == got.apply(SNAPSHOT)
    return got


def test_a_snapshot_is_the_book(books):
    later = SNAPSHOT._replace(bid_px=28000.0, update_id=5)
    assert later is books.apply(later)


def test_a_delta_edits_one_size_and_leaves_the_other_side(books):
    expected = Book("BTCUSDT", 28552.0, 0.012, 28552.1, 25.433, 2_000_000, 7003306)
    assert expected == books.apply(delta(bids=[(28552.0, 0.012)]))


def test_a_price_moves_by_delete_and_insert(books):
    got = books.apply(delta(bids=[(28552.0, 0.0), (28551.0, 3.0)], asks=[(28552.05, 2.0)]))
    assert (28551.0, 3.0, 28552.05, 2.0) == got[1:5]


def test_the_best_is_the_highest_bid_and_the_lowest_ask_whatever_the_order(books):
    got = books.apply(
        delta(bids=[(28551.0, 1.0), (28553.0, 2.0)], asks=[(28554.0, 3.0), (28553.5, 4.0)])
    )
    assert (28553.0, 2.0, 28552.1, 25.433) == got[1:5]
    got = books.apply(delta(bids=[(28553.0, 0.0)], asks=[(28552.1, 0.0)], update_id=7003307))
    assert (28552.0, 0.047, 28553.5, 4.0) == got[1:5]


def test_deleting_an_unknown_price_does_nothing(books):
    got = books.apply(delta(bids=[(1.0, 0.0)], asks=[(99999.0, 0.0)]))
    assert SNAPSHOT[1:5] == got[1:5]


def test_an_emptied_side_is_missing_and_comes_back(books):
    got = books.apply(delta(asks=[(28552.1, 0.0)]))
    assert (28552.0, 0.047) == got[1:3]
    assert math.isnan(got.ask_px)
    assert math.isnan(got.ask_qty)
    got = books.apply(delta(asks=[(28553.0, 1.0)], update_id=7003307))
    assert (28552.0, 0.047, 28553.0, 1.0) == got[1:5]


def test_a_delta_upon_a_one_sided_snapshot(books):
    books.apply(SNAPSHOT._replace(bid_px=math.nan, bid_qty=math.nan))
    got = books.apply(delta(bids=[(28550.0, 1.0)]))
    assert (28550.0, 1.0, 28552.1, 25.433) == got[1:5]


def test_a_delta_before_any_snapshot_gives_nothing():
    assert OneLevelBooks().apply(delta(bids=[(1.0, 1.0)])) is None


@pytest.mark.parametrize("update_id", [7003305, 7003307, 1188472, 2, 0, -1])
def test_a_delta_that_does_not_follow_forgets_the_book(books, update_id):
    assert books.apply(delta(bids=[(1.0, 1.0)], update_id=update_id)) is None
    # Forgotten: not even the one that would have followed counts now.
    assert books.apply(delta(bids=[(28552.0, 0.012)])) is None
    assert SNAPSHOT == books.apply(SNAPSHOT)
    assert 0.012 == books.apply(delta(bids=[(28552.0, 0.012)])).bid_qty


def test_update_id_1_restarts_the_book(books):
    got = books.apply(delta(bids=[(100.0, 1.0)], asks=[(101.0, 2.0)], update_id=1))
    assert ("BTCUSDT", 100.0, 1.0, 101.0, 2.0, 2_000_000, 1, 0) == got
    assert 5.0 == books.apply(delta(bids=[(100.0, 5.0)], update_id=2)).bid_qty


def test_a_snapshot_in_mid_stream_replaces_and_does_not_merge(books):
    books.apply(delta(bids=[(28553.0, 9.0)]))
    books.apply(SNAPSHOT._replace(bid_px=20000.0, bid_qty=1.0, update_id=7003310))
    got = books.apply(delta(asks=[(28552.1, 1.0)], update_id=7003311))
    assert (20000.0, 1.0, 28552.1, 1.0) == got[1:5]


def test_symbols_do_not_mix(books):
    other = SNAPSHOT._replace(symbol="ETHUSDT", bid_px=1.0, ask_px=2.0)
    books.apply(other)
    got = books.apply(delta(bids=[(1.0, 7.0)], symbol="ETHUSDT"))
    assert ("ETHUSDT", 1.0, 7.0, 2.0) == got[:4]
    assert 28552.0 == books.apply(delta()).bid_px


def test_forget_and_clear(books):
    books.apply(SNAPSHOT._replace(symbol="ETHUSDT"))
    books.forget("BTCUSDT")
    books.forget("never seen")
    assert books.apply(delta()) is None
    assert books.apply(delta(symbol="ETHUSDT")) is not None
    books.clear()
    assert books.apply(delta(symbol="ETHUSDT", update_id=7003307)) is None


def test_a_side_that_only_grows_is_given_up(books):
    many = [(20000.0 + i, 1.0) for i in range(LEVELS_MAX)]
    assert books.apply(delta(bids=many)) is None
    assert books.apply(delta()) is None
    assert books.apply(delta(update_id=7003307)) is None
