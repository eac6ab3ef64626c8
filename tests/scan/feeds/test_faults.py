"""The feed against venues that fail by script. The numbers are those of docs/faults.md."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from spreadcore import Instance

from known import SOURCE_BY_NAME, SOURCES
from scan.feeds.kit import config_of, counter, lists_of, quick, quote, run, until, working
from spreadscan.feeds import session as session_module
from spreadscan.feeds import websocket as websocket_module
from spreadscan.lists import Listing
from spreadscan.sim import Market, SimServer
from spreadscan.sim import faults as script
from spreadscan.sim.faults import Fault
from spreadscan.venues import VENUES

N = 10  # pairs of the source, the most traded ones
OKX = "okx-spot"


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_TICK_S", 0.02)
    monkeypatch.setattr(websocket_module, "_SILENCE_LOOK_S", 0.02)


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    return make_instance(n_sources=len(SOURCES), n_symbols=64)


@asynccontextmanager
async def feeding(
    instance: Instance, market: Market, name: str, transport: str, *faults: Fault, **options: Any
) -> AsyncIterator[SimServer]:
    """Run the feed of a source, N pairs on one socket, against a simulator with faults."""
    server = SimServer(market, sources=[name], faults=faults)
    await server.start()
    rows = [
        Listing(symbol_id=i, symbol=found.symbol, state="valid", instrument=found)
        for i, found in enumerate(market.instruments[SOURCE_BY_NAME[name].id][:N])
    ]
    own = {"backoff_base_s": 0.05, "backoff_cap_s": 0.1} | options
    config = config_of(name, server.endpoints()[name][1], transport, **own)
    venue = quick(name, connects_per_s=1_000.0, connects_per_5min=100_000)
    try:
        async with working(venue, config, lists_of(name, *rows), instance):
            yield server
    finally:
        await server.stop()


@pytest.mark.parametrize("name", VENUES)
def test_a_venue_that_is_too_busy_loses_no_pair(
    instance: Instance, moving: Market, transport: str, name: str
) -> None:
    async def main() -> None:
        fault = script.Busy(source=name, until_s=3.0)  # a busy machine connects late, too
        async with feeding(instance, moving, name, transport, fault) as server:
            await until(lambda: standing(instance, name) == live)
            assert 0 < counter(instance, name, "refusals") <= 3
            assert 1 == server.counters()[name].opened

    source_id = SOURCE_BY_NAME[name].id
    live = N - sum(s == source_id and i < N for s, i in moving.dead)
    run(main())


def standing(instance: Instance, name: str) -> int:
    """Return how many slots of the source hold a quote."""
    return int(instance.quotes.survey(SOURCE_BY_NAME[name].id)[0])


@pytest.mark.parametrize("pongs", [True, False])
def test_30_a_mute_socket_is_emptied_and_replaced(
    instance: Instance, moving: Market, transport: str, pongs: bool
) -> None:
    async def main() -> None:
        fault = script.Mute(source=OKX, connects=(1,), after_frames=40, pongs=pongs)
        async with feeding(
            instance, moving, OKX, transport, fault, silent_socket_s=0.4, ack_timeout_s=0.4
        ) as server:
            await until(lambda: counter(instance, OKX, "emptied") >= N)
            await until(lambda: server.counters()[OKX].opened >= 2)
            await until(lambda: standing(instance, OKX) == N)

    run(main())


def test_30_acknowledgements_without_data_are_no_life(
    instance: Instance, moving: Market, transport: str
) -> None:
    async def main() -> None:
        fault = script.Mute(source=OKX, connects=(1, 2))
        async with feeding(instance, moving, OKX, transport, fault, silent_socket_s=0.3) as server:
            await until(lambda: standing(instance, OKX) == N)
            assert server.counters()[OKX].opened == 3

    run(main())


def test_31_a_half_open_connection_is_given_up(
    instance: Instance, moving: Market, transport: str
) -> None:
    async def main() -> None:
        fault = script.HalfOpen(source=OKX, connects=(1,), after_frames=40)
        async with feeding(
            instance, moving, OKX, transport, fault, silent_socket_s=0.4, ack_timeout_s=0.4
        ) as server:
            await until(lambda: counter(instance, OKX, "emptied") >= N)
            await until(lambda: standing(instance, OKX) == N)
            assert server.counters()[OKX].opened >= 2

    run(main())


@pytest.mark.parametrize(
    "fault",
    [
        script.Drip(source=OKX, connects=(1,)),
        script.HugeFrame(source=OKX, connects=(1,), after_frames=5),
        script.EndlessFrame(source=OKX, connects=(1,), after_frames=5),
    ],
    ids=["drip", "huge frame", "endless frame"],
)
def test_32_frames_that_do_not_end_cost_the_socket(
    instance: Instance, moving: Market, transport: str, fault: Fault
) -> None:
    async def main() -> None:
        async with feeding(
            instance, moving, OKX, transport, fault, ack_timeout_s=0.5, silent_socket_s=0.5
        ) as server:
            await until(lambda: server.counters()[OKX].opened >= 2)
            await until(lambda: standing(instance, OKX) == N)

    run(main())


@pytest.mark.parametrize("how", ["bytes", "half", "deep"])
def test_33_garbage_is_counted_and_the_rest_stands(
    instance: Instance, moving: Market, transport: str, how: Any
) -> None:
    async def main() -> None:
        name = "bybit-futures"
        fault = script.Garbage(source=name, how=how, every=10)
        async with feeding(instance, moving, name, transport, fault) as server:
            if (transport, how) == ("aiohttp", "bytes"):
                # aiohttp itself ends a socket on text that is no UTF-8
                await until(lambda: server.counters()[name].opened >= 3)
            else:
                await until(lambda: counter(instance, name, "declined_bad_frame") >= 3)
                assert server.counters()[name].opened == 1
            await until(lambda: standing(instance, name) > 0)

    run(main())


@pytest.mark.parametrize(("how", "reason"), [("crossed", "crossed"), ("zero", "bad_price")])
def test_35_prices_that_cannot_be_empty_the_slot(
    instance: Instance, moving: Market, transport: str, how: Any, reason: str
) -> None:
    symbol = moving.instruments[SOURCE_BY_NAME[OKX].id][0].venue_symbol

    async def main() -> None:
        fault = script.Prices(source=OKX, how=how, symbols=(symbol,), at_s=0.3)
        async with feeding(instance, moving, OKX, transport, fault):
            await until(lambda: counter(instance, OKX, f"declined_{reason}") >= 2)
            assert math.isnan(quote(instance, OKX, 0)[0])
            await until(lambda: standing(instance, OKX) == N - 1)

    run(main())


def test_35_locked_prices_are_prices(instance: Instance, moving: Market, transport: str) -> None:
    async def main() -> None:
        fault = script.Prices(source=OKX, how="locked")
        async with feeding(instance, moving, OKX, transport, fault):
            await until(lambda: standing(instance, OKX) == N)
            found = quote(instance, OKX, 0)
            assert found[0] == found[1]

    run(main())


@pytest.mark.parametrize(
    "fault",
    [
        script.Clock(source=OKX, shift_s=86_400.0),
        script.Clock(source=OKX, shift_s=-86_400.0),
        script.Clock(source=OKX, seconds=True),
    ],
    ids=["tomorrow", "yesterday", "another unit"],
)
def test_36_the_venues_clock_does_not_rule(
    instance: Instance, moving: Market, transport: str, fault: Fault
) -> None:
    async def main() -> None:
        async with feeding(instance, moving, OKX, transport, fault) as server:
            await until(lambda: standing(instance, OKX) == N)
            first = counter(instance, OKX, "quotes")
            await until(lambda: counter(instance, OKX, "quotes") > first + N)
            assert server.counters()[OKX].opened == 1

    run(main())


def test_37_ids_may_begin_lower_after_a_reconnect(
    instance: Instance, moving: Market, transport: str
) -> None:
    async def main() -> None:
        old = script.OldIds(source=OKX, from_connect=2)
        cut = script.Close(source=OKX, connects=(1,), after_frames=40)
        async with feeding(instance, moving, OKX, transport, old, cut) as server:
            await until(lambda: server.counters()[OKX].opened == 2)
            await until(lambda: standing(instance, OKX) == N)
            assert counter(instance, OKX, "declined_old_id") == 0

    run(main())


@pytest.mark.parametrize("name", ["binance-spot", "binance-futures", "mexc-spot", "mexc-futures"])
def test_37_ids_that_fall_for_good_begin_anew_on_the_same_socket(
    instance: Instance, moving: Market, transport: str, name: str
) -> None:
    async def main() -> None:
        old = script.OldIds(source=name, at_s=1.5)
        async with feeding(instance, moving, name, transport, old) as server:
            await until(lambda: counter(instance, name, "id_restarts") == N)
            after = counter(instance, name, "quotes")
            await until(lambda: counter(instance, name, "quotes") > after + N)
            # of each pair two are refused: the third that rises is believed
            assert counter(instance, name, "declined_old_id") == 2 * N
            assert server.counters()[name].opened == 1

    run(main())


@pytest.mark.parametrize("name", ["bybit-futures", OKX, "mexc-spot", "mexc-futures"])
@pytest.mark.parametrize("j", [0, N // 2, N - 1])
def test_38_one_refused_pair_costs_no_other(
    instance: Instance, moving: Market, name: str, j: int
) -> None:
    symbol = moving.instruments[SOURCE_BY_NAME[name].id][j].venue_symbol

    async def main() -> None:
        fault = script.Refuse(source=name, symbols=(symbol,))
        async with feeding(instance, moving, name, "picows", fault):
            await until(lambda: standing(instance, name) == N - 1)
            assert math.isnan(quote(instance, name, j)[0])

    run(main())


@pytest.mark.parametrize("name", [OKX, "binance-spot"])
def test_41_all_sockets_end_at_once_and_come_back(
    instance: Instance, moving: Market, transport: str, name: str
) -> None:
    async def main() -> None:
        fault = script.Close(source="*", at_s=0.5, until_s=0.7)
        async with feeding(instance, moving, name, transport, fault) as server:
            await until(lambda: counter(instance, name, "emptied") > 0)
            await until(lambda: standing(instance, name) == N)
            assert server.counters()[name].opened >= 2

    run(main())


@pytest.mark.parametrize("name", ["binance-spot", OKX])
def test_41_an_announced_restart_leaves_no_gap(
    instance: Instance, moving: Market, transport: str, name: str
) -> None:
    async def main() -> None:
        fault = script.Restart(source=name, connects=(1,), at_s=0.5, notice_s=3.0)
        async with feeding(instance, moving, name, transport, fault) as server:
            await until(lambda: standing(instance, name) == N)
            await until(lambda: server.counters()[name].opened == 2)
            while server.counters()[name].sockets == 2:
                assert standing(instance, name) == N
                await asyncio.sleep(0.005)
            assert standing(instance, name) == N
            assert counter(instance, name, "emptied") == 0

    run(main())


def test_42_accept_then_close_ends_when_the_venue_relents(
    instance: Instance, moving: Market, transport: str
) -> None:
    async def main() -> None:
        fault = script.Close(source=OKX, connects=(1, 2, 3), code=1001)
        async with feeding(instance, moving, OKX, transport, fault) as server:
            await until(lambda: standing(instance, OKX) == N)
            assert server.counters()[OKX].opened == 4

    run(main())
