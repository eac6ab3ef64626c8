"""Sockets are few and even; requests keep to the venue's topics and bytes, all names once."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from known import SOURCE_BY_NAME
from scan.feeds.kit import quick
from spreadscan.feeds.shards import requests, rooms, shards
from spreadscan.sim import Market
from spreadscan.venues import VENUES

SYMBOLS = st.integers(0, 700).map(lambda n: [f"S{i}" for i in range(n)])


@given(SYMBOLS, st.integers(1, 200))
def test_shards_are_the_fewest_and_differ_by_one_at_most(symbols: list[str], most: int) -> None:
    found = shards(symbols, most)
    assert sorted(symbols) == sorted(s for shard in found for s in shard)
    assert -(-len(symbols) // most) == len(found)
    sizes = [len(shard) for shard in found]
    assert max(sizes, default=0) <= most
    assert max(sizes, default=0) - min(sizes, default=0) <= 1


def test_the_busiest_pairs_are_spread_over_the_sockets() -> None:
    assert [["A", "C", "E"], ["B", "D"]] == shards(["A", "B", "C", "D", "E"], 3)


@given(st.lists(st.integers(0, 9), max_size=8), SYMBOLS, st.integers(9, 12))
def test_new_pairs_fill_what_is_open_and_then_the_fewest_new_sockets(
    sizes: list[int], symbols: list[str], most: int
) -> None:
    taken, groups = rooms(sizes, symbols, most)
    assert sorted(symbols) == sorted(s for own in (*taken, *groups) for s in own)
    full = [size + len(own) for size, own in zip(sizes, taken, strict=True)]
    assert max(full, default=0) <= most
    left = len(symbols) - sum(map(len, taken))
    assert left == 0 or set(full) <= {most}
    assert shards(symbols[len(symbols) - left :], most) == groups


def test_the_emptiest_socket_takes_the_next_new_pair() -> None:
    assert ([["B"], [], ["A", "C"]], []) == rooms([2, 3, 1], ["A", "B", "C"], 4)


@pytest.mark.parametrize("name", VENUES)
def test_requests_keep_to_the_limits_for_every_listed_pair(name: str, moving: Market) -> None:
    venue, spec = VENUES[name], VENUES[name].spec
    symbols = [i.venue_symbol for i in moving.instruments[SOURCE_BY_NAME[name].id]]
    for shard in shards(symbols, spec.topics_per_socket):
        batches = list(requests(venue, shard))
        assert shard == [symbol for batch in batches for symbol in batch]
        for number, batch in enumerate(batches, 999_999_999):
            assert len(batch) <= spec.topics_per_frame
            assert len(venue.subscribe(batch, number).encode()) <= spec.bytes_per_frame


NAMES = st.lists(st.text("ABC币", min_size=1, max_size=30), unique=True, max_size=80)


@settings(deadline=None)
@given(NAMES, st.integers(1, 40), st.integers(60, 600))
def test_requests_are_as_long_as_the_limits_allow(
    symbols: list[str], topics: int, size: int
) -> None:
    venue = quick("binance-spot", topics_per_frame=topics, bytes_per_frame=size)

    def fits(batch: list[str]) -> bool:
        return len(batch) <= topics and len(venue.subscribe(batch, 9_999_999_999).encode()) <= size

    batches = list(requests(venue, symbols))
    assert symbols == [symbol for batch in batches for symbol in batch]
    assert [] not in batches
    for batch, after in zip(batches, [*batches, None][1:], strict=True):
        assert len(batch) == 1 or fits(batch)  # one name alone goes out however long it is
        assert after is None or not fits([*batch, after[0]])


def test_a_request_is_one_frame_of_the_venue() -> None:
    (batch,) = requests(VENUES["okx-spot"], ["A-USDT", "B-USDT"])
    message: dict[str, Any] = json.loads(VENUES["okx-spot"].subscribe(batch, 1))
    assert ["A-USDT", "B-USDT"] == [arg["instId"] for arg in message["args"]]


def test_nothing_to_subscribe_is_no_socket_and_no_request() -> None:
    assert [] == shards([], 10)
    assert [] == list(requests(VENUES["okx-spot"], []))
