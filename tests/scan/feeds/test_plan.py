"""The plan of a source's sockets, against limits by hand and against what a feed really does."""

import asyncio
from collections.abc import Callable

import pytest
from spreadcore import Instance

from scan.feeds.kit import Exchange, config_of, lists_of, quick, row, run, until, working
from spreadscan.feeds.plan import SocketPlan, plan
from spreadscan.feeds.shards import batches, shards
from spreadscan.venues import VENUES, Venue


def planned(venue: Venue, groups: list[list[str]]) -> SocketPlan:
    found: SocketPlan = run(plan(venue, groups))
    return found


def symbols(n: int) -> list[str]:
    return [f"S{i}USDT" for i in range(n)]


def test_seconds_are_those_of_the_limits() -> None:
    venue = quick(
        "binance-spot", connects_per_s=2.0, connects_per_5min=300, frames_per_s=1.0,
        topics_per_frame=2,
    )  # fmt: skip
    # connects at 0, 0.5 and 1.0 s; on each socket requests at +0, +1 and +2, beside the others
    found = planned(venue, shards(symbols(15), 5))
    assert (3, 5, 9) == (found.sockets, found.topics_per_socket, found.frames)
    assert 3.0 == found.seconds


def test_the_limit_of_five_minutes_counts() -> None:
    venue = quick("binance-spot", connects_per_s=1_000.0, connects_per_5min=2)
    assert 600.0 == pytest.approx(planned(venue, shards(symbols(5), 1)).seconds, abs=0.01)


def test_no_pair_takes_nothing() -> None:
    found = planned(VENUES["okx-spot"], [])
    assert (0, 0, 0, 0, 0.0) == (
        found.sockets, found.topics_per_socket, found.frames, found.bytes, found.seconds,
    )  # fmt: skip


def test_batches_keep_order_and_size() -> None:
    assert [["S0USDT", "S1USDT"], ["S2USDT"]] == batches(symbols(3), 2)
    assert [] == batches([], 2)


@pytest.mark.parametrize("name", ["binance-spot", "bybit-spot", "mexc-spot", "okx-futures"])
def test_a_feed_does_what_its_plan_says(name: str, make_instance: Callable[..., Instance]) -> None:
    venue = quick(
        name, topics_per_socket=20, topics_per_frame=6, connects_per_s=1_000.0, frames_per_s=1_000.0
    )
    names = symbols(50)
    expected = planned(venue, shards(names, 20))
    assert (3, 17) == (expected.sockets, expected.topics_per_socket)

    async def main() -> None:
        async with Exchange(name) as exchange:
            lists = lists_of(name, *(row(i, symbol) for i, symbol in enumerate(names)))
            config = config_of(name, exchange.url)
            async with working(venue, config, lists, make_instance(n_symbols=64)):

                def requests() -> int:
                    return sum(len(guest.requests) for guest in exchange.guests)

                await until(lambda: requests() >= expected.frames)
                await asyncio.sleep(0.1)  # one too many would come now
            assert (expected.sockets, expected.frames) == (len(exchange.guests), requests())
            sent = [frame for guest in exchange.guests for frame in guest.frames]
            assert (expected.bytes, expected.bytes_longest) == (
                sum(map(len, sent)),
                max(map(len, sent)),
            )

    run(main())
