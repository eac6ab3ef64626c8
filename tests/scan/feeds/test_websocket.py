"""The feed of one source over a real table in shared memory, against venues by hand."""

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from spreadcore import Instance
from spreadcore.layout import DECLINED

from known import SOURCE_BY_NAME
from scan.feeds.kit import (
    Door,
    Exchange,
    Guest,
    ack,
    book,
    config_of,
    counter,
    lists_of,
    messages,
    quick,
    quote,
    row,
    run,
    until,
    worker_of,
    working,
)  # fmt: skip
from spreadscan.app import processes
from spreadscan.clock import now_ns
from spreadscan.config import Capacity, Config, Paths
from spreadscan.errors import ConnectionLost
from spreadscan.feeds import session as session_module
from spreadscan.feeds import websocket as websocket_module
from spreadscan.feeds.websocket import WebSocketFeed
from spreadscan.lists import Listing
from spreadscan.net.backoff import Backoff
from spreadscan.net.bans import bans_of
from spreadscan.net.ratelimit import RateLimit
from spreadscan.sim import Market, SimServer
from spreadscan.venues import VENUES
from spreadscan.workers.connects import connect_windows, connects_of

MakeInstance = Callable[..., Instance]


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_TICK_S", 0.02)
    monkeypatch.setattr(websocket_module, "_SILENCE_LOOK_S", 0.02)


@pytest.fixture
def instance(make_instance: MakeInstance) -> Instance:
    return make_instance(n_symbols=64)


class Waits:
    """Stands for the back-off: keeps how many failures each wait stood at, and waits briefly."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, wait_s: float = 0.01) -> None:
        self.failures: list[int] = []
        self.limits: list[tuple[float, float]] = []
        waits = self

        class Recorded(Backoff):
            def __init__(self, base_s: float, cap_s: float) -> None:
                super().__init__(base_s, cap_s)
                waits.limits.append((base_s, cap_s))

            def next_s(self, weight: int = 1) -> float:
                waits.failures.append(self.failures)
                super().next_s(weight)
                return wait_s

        monkeypatch.setattr(websocket_module, "Backoff", Recorded)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    return Waits(monkeypatch)


def empty(found: Any) -> bool:
    return found is not None and 0 == found.recv_ns and all(math.isnan(x) for x in found[:4])


def sender(name: str, *frames: bytes) -> Callable[[Guest], Any]:
    """Return what sends these frames once the first request has come."""

    async def on_open(guest: Guest) -> None:
        await until(lambda: guest.requests)
        await guest.send(*frames)

    return on_open


def frames_of(name: str, *symbols: str) -> list[bytes]:
    return [VENUES[name].render(book(symbol)) for symbol in symbols]


# -- into the table


@pytest.mark.parametrize(
    ("name", "listed", "expected"),
    [
        ("binance-spot", row(5, "AUSDT"), (100.0, 101.0, 2.0, 3.0)),
        ("bybit-futures", row(5, "1000AUSDT", multiplier=1000.0), (0.1, 0.101, 2000.0, 3000.0)),
        ("okx-futures", row(5, "A-USDT-SWAP", contract_size=0.01), (100.0, 101.0, 0.02, 0.03)),
        ("mexc-futures", row(5, "A_USDT", contract_size=10.0), (100.0, 101.0, 20.0, 30.0)),
        (
            "mexc-futures",
            row(5, "1000A_USDT", contract_size=10.0, multiplier=1000.0),
            (0.1, 0.101, 20_000.0, 30_000.0),
        ),
    ],
)
def test_quotes_are_stored_per_coin(
    instance: Instance, transport: str, name: str, listed: Listing, expected: tuple[float, ...]
) -> None:
    async def main() -> None:
        before = now_ns()
        on_open = sender(name, *frames_of(name, listed.instrument.venue_symbol))
        async with Exchange(name, None, on_open) as exchange:
            config = config_of(name, exchange.url, transport)
            async with working(VENUES[name], config, lists_of(name, listed), instance) as feed:
                await until(lambda: not empty(quote(instance, name, 5)))
                found = quote(instance, name, 5)
                assert expected == tuple(found[:4])
                assert before < found.recv_ns <= now_ns()
                stamped = bool(VENUES[name].schema.venue_ms)
                assert (1_700_000_000_000_000_000 if stamped else 0) == found.venue_ns
                assert 1 == found.link  # the first socket of the feed
                assert [5] == list(instance.dirty.take(feed.source_id))
                assert 1 == counter(instance, name, "quotes")
                # the end of the socket read wakes the engine and dates the latency
                await until(lambda: instance.health.quantiles([feed.source_id])[0] is not None)

    run(main())


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_whole_simulated_source(
    make_instance: MakeInstance, moving: Market, transport: str, loop: Any
) -> None:
    """Several sockets of a source with its own limits; every slot as the market says."""
    name = "mexc-spot"
    instance = make_instance(n_symbols=128)
    source_id = SOURCE_BY_NAME[name].id
    instruments = moving.instruments[source_id][:65]
    dead = {i for s, i in moving.dead if s == source_id}
    rows = [
        Listing(symbol_id=i, symbol=found.symbol, state="valid", instrument=found)
        for i, found in enumerate(instruments)
    ]

    async def main() -> None:
        server = SimServer(moving, sources=[name])
        await server.start()
        try:
            config = config_of(name, server.endpoints()[name][1], transport)
            async with working(VENUES[name], config, lists_of(name, *rows), instance):
                live = len(rows) - len(dead & set(range(65)))
                await until(lambda: instance.quotes.survey(source_id)[0] == live)
                await until(lambda: counter(instance, name, "sockets") == 3)
                info = instance.health.info(source_id)
                assert ("running", 3) == (info["state"], info["acked_generation"])
                counters = server.counters()[name]
                assert (65, 0) == (counters.subscriptions, counters.closed)
                assert 0 == sum(counter(instance, name, f"declined_{d}") for d in DECLINED)
            await until(lambda: server.counters()[name].sockets == 0)
        finally:
            await server.stop()

    async def watched() -> None:
        async with asyncio.timeout(30):
            await main()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(watched())


def test_a_parked_engine_is_woken(instance: Instance, transport: str) -> None:
    async def main() -> None:
        parked = asyncio.Event()

        async def on_open(guest: Guest) -> None:
            await until(lambda: guest.requests and parked.is_set())
            await asyncio.sleep(0.1)
            await guest.send(*frames_of("binance-spot", "AUSDT"))

        async with Exchange("binance-spot", None, on_open) as exchange:
            config = config_of("binance-spot", exchange.url, transport)
            lists = lists_of("binance-spot", row(0, "AUSDT"))
            async with working(VENUES["binance-spot"], config, lists, instance):
                await until(lambda: exchange.guests)  # what was emptied at the start has woken
                instance.dirty.take(0)
                engine = asyncio.to_thread(instance.dirty.park, 20_000_000_000)
                parked.set()
                assert await engine in ("woken", "work")
                await until(lambda: counter(instance, "binance-spot", "wakes") == 1)

    run(main())


def test_invalid_pairs_are_not_subscribed_and_quiet_ones_are(instance: Instance) -> None:
    async def main() -> None:
        async with Exchange("binance-spot") as exchange:
            rows = row(0, "AUSDT"), row(1, "BUSDT", "quiet"), row(2, "CUSDT", "invalid")
            config = config_of("binance-spot", exchange.url)
            lists = lists_of("binance-spot", *rows)
            async with working(VENUES["binance-spot"], config, lists, instance):
                await until(lambda: exchange.guests and exchange.guests[0].requests)
            (request,) = exchange.guests[0].requests
            assert ["ausdt@bookTicker", "busdt@bookTicker"] == request["params"]

    run(main())


# -- empty when it cannot be trusted


def fill(instance: Instance, source: str, *symbols: int) -> None:
    source_id = SOURCE_BY_NAME[source].id
    for symbol in symbols:
        instance.quotes.write(source_id, symbol, 1.0, 2.0, 3.0, 4.0, 5, 6, 7)


def test_old_quotes_are_emptied_before_the_first_socket_opens(
    instance: Instance, waits: Waits
) -> None:
    """Those of this source alone, also of pairs that it no longer lists."""
    fill(instance, "okx-spot", 0, 9)
    fill(instance, "okx-futures", 0)
    seen: list[bool] = []

    def at_connect(*args: Any, **options: Any) -> None:
        seen.append(empty(quote(instance, "okx-spot", 0)) and empty(quote(instance, "okx-spot", 9)))
        raise ConnectionLost("nobody there")

    async def main() -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(session_module, "connect", at_connect)
            config = config_of("okx-spot", "ws://127.0.0.1:1/")
            lists = lists_of("okx-spot", row(0, "A-USDT"))
            async with working(VENUES["okx-spot"], config, lists, instance):
                await until(lambda: seen)
                assert {0, 9} == set(instance.dirty.take(SOURCE_BY_NAME["okx-spot"].id))
                assert not empty(quote(instance, "okx-futures", 0))

    run(main())
    assert all(seen)


def test_a_closed_socket_empties_what_it_owned_and_no_more(
    instance: Instance, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Waits(monkeypatch, wait_s=60.0)  # the cut socket stays away

    async def on_open(guest: Guest) -> None:
        await until(lambda: guest.requests)
        symbol = guest.requests[0]["params"][0].split("@")[0].upper()
        await guest.send(*frames_of("binance-spot", symbol))

    async def main() -> None:
        venue = quick("binance-spot", topics_per_socket=1, connects_per_s=1_000.0)
        async with Exchange("binance-spot", None, on_open) as exchange:
            rows = row(0, "AUSDT"), row(1, "BUSDT"), row(2, "CUSDT")
            config = config_of("binance-spot", exchange.url, transport)
            async with working(venue, config, lists_of("binance-spot", *rows), instance):
                await until(lambda: instance.quotes.survey(0)[0] == 3)
                instance.dirty.take(0)
                guest = next(g for g in exchange.guests if "busdt" in str(g.requests))
                guest.peer.cut()
                await until(lambda: empty(quote(instance, "binance-spot", 1)))
                assert [1] == list(instance.dirty.take(0))
                assert 2 == instance.quotes.survey(0)[0]
                await until(lambda: counter(instance, "binance-spot", "sockets") == 2)
                assert "degraded" == instance.health.info(0)["state"]

    run(main())


def test_a_silent_socket_is_emptied_and_replaced(
    instance: Instance, transport: str, waits: Waits
) -> None:
    """Acked, open, mute: nothing of it may stand, and the next socket starts from lower ids."""
    symbols = [f"S{i}USDT" for i in range(10)]

    async def on_open(guest: Guest) -> None:
        await until(lambda: guest.requests)
        first = exchange.guests[0] is guest
        frames = [VENUES["binance-spot"].render(book(s, 500 if first else 2)) for s in symbols]
        await guest.send(*frames)
        if not first:
            keep_on.set()
        while True:
            await guest.send(b"", opcode=9)
            if not first:
                await guest.send(*frames)
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with exchange:
            rows = [row(i, symbol) for i, symbol in enumerate(symbols)]
            config = config_of("binance-spot", exchange.url, transport, silent_socket_s=0.3)
            venue = quick("binance-spot", connects_per_s=1_000.0)
            async with working(venue, config, lists_of("binance-spot", *rows), instance):
                await until(lambda: instance.quotes.survey(0)[0] == 10)
                await keep_on.wait()
                assert 10 <= counter(instance, "binance-spot", "emptied")
                await until(lambda: instance.quotes.survey(0)[0] == 10)
                assert 2 == quote(instance, "binance-spot", 3).link
                assert 0 == counter(instance, "binance-spot", "declined_old_id")

    exchange, keep_on = Exchange("binance-spot", None, on_open), asyncio.Event()
    run(main())


def test_everything_is_emptied_at_stop(instance: Instance, transport: str) -> None:
    async def main() -> None:
        on_open = sender("binance-spot", *frames_of("binance-spot", "AUSDT", "BUSDT"))
        async with Exchange("binance-spot", None, on_open) as exchange:
            rows = row(0, "AUSDT"), row(1, "BUSDT")
            config = config_of("binance-spot", exchange.url, transport)
            lists = lists_of("binance-spot", *rows)
            async with working(VENUES["binance-spot"], config, lists, instance):
                await until(lambda: instance.quotes.survey(0)[0] == 2)
                await until(lambda: counter(instance, "binance-spot", "sockets") == 1)
            assert 0 == instance.quotes.survey(0)[0]
            assert "off" == instance.health.info(0)["state"]
            assert 0 == counter(instance, "binance-spot", "sockets")
            await exchange.guests[0].gone.wait()

    run(main())


def test_stop_during_the_handshake_ends(instance: Instance, transport: str) -> None:
    async def main() -> None:
        reached, gone = asyncio.Event(), asyncio.Event()

        async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            reached.set()
            await reader.read()
            writer.close()
            gone.set()

        server = await asyncio.start_server(stall, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        config = config_of("binance-spot", url, transport, connect_timeout_s=0.5)
        lists = lists_of("binance-spot", row(0, "AUSDT"))
        async with working(VENUES["binance-spot"], config, lists, instance):
            await reached.wait()
        assert "off" == instance.health.info(0)["state"]
        await gone.wait()
        server.close()

    run(main())


# -- back-off


def accept_then_close(*frames: bytes) -> Callable[[Guest], Any]:
    async def on_open(guest: Guest) -> None:
        await until(lambda: guest.requests)
        if frames:
            await guest.send(*frames)
        await asyncio.sleep(0.01)
        guest.peer.cut()

    return on_open


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        ([], [0, 2, 4, 6, 8]),  # handshake and ack alone prove nothing
        ([VENUES["binance-spot"].render(book("AUSDT", bid_px=200.0))], [0, 2, 4, 6, 8]),
        ([VENUES["binance-spot"].render(book("XUSDT"))], [0, 2, 4, 6, 8]),
        (frames_of("binance-spot", "AUSDT"), [0, 2, 4, 6, 8]),  # nor does one quote
    ],
    ids=["no quote", "a crossed quote", "a foreign quote", "a valid quote"],
)
def test_waits_grow_fourfold_while_sockets_are_short_lived(
    instance: Instance, transport: str, waits: Waits, frames: list[bytes], expected: list[int]
) -> None:
    """Scenario 42."""

    async def main() -> None:
        venue = quick("binance-spot", connects_per_s=1_000.0)
        async with Exchange("binance-spot", None, accept_then_close(*frames)) as exchange:
            config = config_of("binance-spot", exchange.url, transport, backoff_cap_s=7.0)
            lists = lists_of("binance-spot", row(0, "AUSDT"))
            async with working(venue, config, lists, instance):
                await until(lambda: len(waits.failures) >= 5)
        assert expected == waits.failures[:5]
        assert [(0.5, 7.0)] == waits.limits
        assert counter(instance, "binance-spot", "reconnects") >= 5

    run(main())


def test_one_cut_of_a_healthy_socket_comes_back_at_once_each_time(
    instance: Instance, transport: str, waits: Waits
) -> None:
    """Health is minutes of quotes on one socket; here a fifth of a second."""

    async def cut(guest: Guest) -> None:
        await until(lambda: guest.requests)
        for update in range(12):
            await guest.send(VENUES["binance-spot"].render(book("AUSDT", update + 1)))
            await asyncio.sleep(0.03)
        guest.peer.cut()

    async def main() -> None:
        venue = quick("binance-spot", connects_per_s=1_000.0)
        async with Exchange("binance-spot", None, cut) as exchange:
            config = config_of("binance-spot", exchange.url, transport, healthy_after_s=0.2)
            lists = lists_of("binance-spot", row(0, "AUSDT"))
            async with working(venue, config, lists, instance):
                await until(lambda: len(waits.failures) >= 4)
        assert [0, 0, 0, 0] == waits.failures[:4]

    run(main())


@pytest.mark.parametrize("end", ["1008", "1012", "1013", "4001", "reset", "without a code"])
def test_sockets_that_end_soon_after_quotes_are_not_stormed(
    instance: Instance, transport: str, end: str
) -> None:
    """With the real waits: a handshake each 0.2 s would be 12 here."""

    async def quote_and_end(guest: Guest) -> None:
        await until(lambda: guest.requests)
        await guest.send(*frames_of("binance-spot", "AUSDT"))
        await asyncio.sleep(0.1)
        if end == "reset":
            guest.peer.cut()
        else:
            code = int(end).to_bytes(2, "big") if end.isdigit() else b""
            await guest.send(code, opcode=8)

    async def main() -> None:
        venue = quick("binance-spot", connects_per_s=1_000.0)
        async with Exchange("binance-spot", None, quote_and_end) as exchange:
            config = config_of("binance-spot", exchange.url, transport, backoff_base_s=0.1)
            lists = lists_of("binance-spot", row(0, "AUSDT"))
            async with working(venue, config, lists, instance):
                await asyncio.sleep(2.5)
        # after 0.1, 0.4, 1.6 and 6.4 s, each cut by up to a half
        assert 2 <= len(exchange.guests) <= 4

    run(main())


def test_the_second_close_for_too_many_requests_is_a_ban(
    instance: Instance, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(guest: Guest) -> None:
        await until(lambda: guest.requests)
        await guest.send(*frames_of("binance-spot", "AUSDT"))
        await guest.send((1008).to_bytes(2, "big") + b"Too many requests", opcode=8)

    async def main() -> None:
        venue = quick("binance-spot", connects_per_s=1_000.0)
        async with Exchange("binance-spot", None, refuse) as exchange:
            config = config_of("binance-spot", exchange.url, transport, backoff_base_s=0.01)
            lists = lists_of("binance-spot", row(0, "AUSDT"))
            async with working(venue, config, lists, instance):
                await until(lambda: messages(caplog, "host to be left alone"))
                await asyncio.sleep(1.0)
                assert 2 == len(exchange.guests)
        assert 55.0 < bans_of(config).left_s(exchange.url) <= 60.0

    run(main())


def test_the_death_of_a_task_of_a_socket_ends_the_socket(
    instance: Instance,
    transport: str,
    waits: Waits,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Else its deadlines would be watched by no one, or its requests never sent."""
    for name in ("_watch", "_send_requests"):
        real = getattr(session_module.Session, name)
        fallen: list[str] = []

        async def falls(self: Any, real: Any = real, fallen: list[str] = fallen) -> None:
            if not fallen:
                fallen.append("once")
                await asyncio.sleep(0.05)
                raise ZeroDivisionError("a fault of ours")
            await real(self)

        async def main() -> None:
            venue = quick("binance-spot", connects_per_s=1_000.0)
            on_open = sender("binance-spot", *frames_of("binance-spot", "AUSDT"))
            async with Exchange("binance-spot", None, on_open) as exchange:
                config = config_of("binance-spot", exchange.url, transport)
                lists = lists_of("binance-spot", row(0, "AUSDT"))
                async with working(venue, config, lists, instance):
                    await until(lambda: len(exchange.guests) == 2)
                    await exchange.guests[0].gone.wait()
                    await until(lambda: not empty(quote(instance, "binance-spot", 0)))

        caplog.clear()
        with monkeypatch.context() as patch:
            patch.setattr(session_module.Session, name, falls)
            run(main())
        (told,) = messages(caplog, "socket given up")
        assert f"{name.strip('_')}" in told["reason"] or "falls" in told["reason"]
        assert "ZeroDivisionError" in told["reason"]


def test_the_wait_really_is_waited(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    Waits(monkeypatch, wait_s=60.0)

    async def main() -> None:
        venue = quick("binance-spot", connects_per_s=1_000.0)
        async with Exchange("binance-spot", None, accept_then_close()) as exchange:
            config = config_of("binance-spot", exchange.url)
            lists = lists_of("binance-spot", row(0, "AUSDT"))
            async with working(venue, config, lists, instance):
                await until(lambda: counter(instance, "binance-spot", "reconnects") == 1)
                await asyncio.sleep(0.2)
                assert 1 == len(exchange.guests)

    run(main())


def test_reconnecting_never_gives_up(
    instance: Instance, transport: str, waits: Waits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody there for a long time, then the venue is back."""
    real_connect = session_module.connect

    async def connect(*args: Any, **options: Any) -> Any:
        if len(waits.failures) < 50:
            raise ConnectionLost("nobody there")
        return await real_connect(*args, **options)

    monkeypatch.setattr(session_module, "connect", connect)

    async def main() -> None:
        venue = quick("binance-spot", connects_per_s=1e6)
        on_open = sender("binance-spot", *frames_of("binance-spot", "AUSDT"))
        async with Exchange("binance-spot", None, on_open) as exchange:
            config = config_of("binance-spot", exchange.url, transport)
            lists = lists_of("binance-spot", row(0, "AUSDT"))
            async with working(venue, config, lists, instance):
                await until(lambda: not empty(quote(instance, "binance-spot", 0)))
        assert list(range(50)) == waits.failures

    run(main())


def test_each_socket_waits_for_its_turn_to_connect(instance: Instance, waits: Waits) -> None:
    """Scenario 41, cut all at once: sockets must not come back in one burst."""

    async def on_open(guest: Guest) -> None:
        times.append(asyncio.get_running_loop().time())
        await until(lambda: len(times) >= 8)
        guest.peer.cut()

    times: list[float] = []

    async def main() -> None:
        venue = quick("binance-spot", topics_per_socket=1, connects_per_s=25.0)
        async with Exchange("binance-spot", None, on_open) as exchange:
            config = config_of("binance-spot", exchange.url)
            rows = [row(i, f"S{i}USDT") for i in range(8)]
            async with working(venue, config, lists_of("binance-spot", *rows), instance):
                await until(lambda: len(times) >= 16)

    run(main())
    assert times[15] - times[0] > 0.5 * 15 / 25.0  # the first may be read late


def test_a_venue_that_accepts_and_closes_gets_no_more_connects_than_it_allows(
    instance: Instance, transport: str, waits: Waits
) -> None:
    """All sockets of the source share its budget, however short their lives are."""

    async def main() -> None:
        venue = quick(
            "binance-spot", topics_per_socket=1, connects_per_s=1_000.0, connects_per_5min=10
        )
        async with Exchange("binance-spot", None, accept_then_close()) as exchange:
            config = config_of("binance-spot", exchange.url, transport)
            lists = lists_of("binance-spot", *(row(i, f"S{i}USDT") for i in range(4)))
            async with working(venue, config, lists, instance):
                await until(lambda: len(waits.failures) >= 10)
                await asyncio.sleep(0.3)
            assert 10 == len(exchange.guests)

    run(main())


# -- refused handshakes


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bans go to a folder of the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_ban_stops_the_connects_of_every_socket_until_it_ends(
    instance: Instance, transport: str, waits: Waits, folder: Path
) -> None:
    async def main() -> None:
        venue = quick("binance-spot", topics_per_socket=1, connects_per_s=1_000.0)
        lists = lists_of("binance-spot", *(row(i, f"S{i}USDT") for i in range(4)))
        async with Door("429 Slow\r\nRetry-After: 2") as door:
            config = config_of("binance-spot", door.url, transport)
            async with working(venue, config, lists, instance):
                await until(lambda: waits.failures)
                await asyncio.sleep(0.3)
                before = len(door.times)
                assert before <= 4  # those that were on their way when the first was told
                await until(lambda: len(door.times) > before)
        assert door.times[before] - door.times[before - 1] >= 1.99

    run(main())


def test_a_restart_within_a_ban_opens_no_socket(
    instance: Instance, transport: str, waits: Waits, folder: Path
) -> None:
    async def main() -> None:
        venue, lists = quick("binance-spot"), lists_of("binance-spot", row(0, "AUSDT"))
        async with Door("418 Banned\r\nRetry-After: 600") as door:
            config = config_of("binance-spot", door.url, transport)
            for _ in range(3):
                async with working(venue, config, lists, instance):
                    await asyncio.sleep(0.3)
            assert 1 == len(door.times)

    run(main())


def test_a_region_block_is_final_told_once_and_tried_again_at_the_next_start(
    instance: Instance,
    transport: str,
    waits: Waits,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> None:
        venue, lists = quick("binance-spot"), lists_of("binance-spot", row(0, "AUSDT"))
        async with Door("451 No") as door:
            config = config_of("binance-spot", door.url, transport)
            for expected in (1, 2):
                async with working(venue, config, lists, instance):
                    await until(lambda: len(waits.failures) >= expected)  # noqa: B023
                    await asyncio.sleep(0.3)
                    source_id = SOURCE_BY_NAME["binance-spot"].id
                    assert "degraded" == instance.health.info(source_id)["state"]
                assert expected == len(door.times)

    run(main())
    told = messages(caplog, "host refuses our region")
    assert 2 == len(told)  # once a start
    assert "set ws_url under [venues]" in told[0]["reason"]


def test_an_outage_in_html_is_tried_again_with_the_back_off(
    instance: Instance, transport: str, waits: Waits, folder: Path
) -> None:
    async def main() -> None:
        venue = quick("binance-spot", connects_per_s=1_000.0)
        lists = lists_of("binance-spot", row(0, "AUSDT"))
        async with Door("503 Busy\r\nContent-Type: text/html") as door:
            config = config_of("binance-spot", door.url, transport)
            async with working(venue, config, lists, instance):
                await until(lambda: len(waits.failures) >= 3)
        assert [0, 1, 2] == waits.failures[:3]

    run(main())
    assert [] == list(folder.rglob("ban-*"))


def test_the_connect_limit_is_the_venues() -> None:
    now_s, slept = 1_000.0, []

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        slept.append(seconds)
        now_s += seconds

    async def main() -> None:
        spec = VENUES["binance-spot"].spec  # 5 a second, 300 in five minutes
        windows = connect_windows(spec)
        limit = RateLimit(*windows, clock_ns=lambda: round(now_s * 1e9), sleep=sleep)
        times = []
        for _ in range(301):
            await limit.take()
            times.append(now_s)
        assert all(b - a >= 0.2 - 1e-6 for a, b in zip(times, times[1:], strict=False))
        assert times[300] - times[0] >= 300.0 - 1e-6
        assert times[299] - times[0] < 61.0

    run(main())


def test_sources_of_one_host_keep_its_limit_together(tmp_path: Path) -> None:
    """OKX counts sockets by address, whether for spot or for swaps; Binance's hosts are two."""
    config = Config(paths=Paths(data=str(tmp_path)))
    for name in ("okx-spot", "okx-futures", "binance-spot", "binance-futures"):
        run(connects_of(VENUES[name], config).take())
    assert [
        ("connects-data-stream.binance.vision", 1),
        ("connects-fstream.binance.com", 1),
        ("connects-ws.okx.com", 2),
    ] == sorted((p.name, p.stat().st_size // 16) for p in (tmp_path / "state").iterdir())


# -- garbage and silence


def test_garbage_is_counted_by_reason_while_the_socket_lives(
    instance: Instance, transport: str
) -> None:
    def render(**changes: Any) -> bytes:
        symbol = changes.pop("symbol", "AUSDT")
        return VENUES["binance-futures"].render(book(symbol, **changes))

    nan = math.nan
    frames = [
        render(update_id=10),
        b"{not json",
        b"[]",
        render(update_id=11)[:-4],
        b'{"stream":"ausdt@trade","data":{"e":"trade"}}',
        render(symbol="XUSDT"),
        render(symbol="NUSDT"),
        render(update_id=9),
        render(update_id=11, bid_px=nan, bid_qty=nan),
        render(update_id=12, ask_px=0.0),
        render(update_id=13, bid_px=102.0),
        render(update_id=14, bid_px=101.0),  # locked is no fault
    ]
    expected = {
        "other_channel": 1,
        "bad_frame": 3,
        "unknown_symbol": 1,
        "no_contract_size": 1,
        "no_snapshot": 0,
        "old_id": 1,
        "one_sided": 1,
        "bad_price": 1,
        "crossed": 1,
        "not_trading": 0,
    }

    async def main() -> None:
        name = "binance-futures"
        async with Exchange(name, None, sender(name, *frames)) as exchange:
            config = config_of(name, exchange.url, transport)
            rows = row(0, "AUSDT"), row(1, "NUSDT", contract_size=nan)
            async with working(VENUES[name], config, lists_of(name, *rows), instance):
                await until(lambda: counter(instance, name, "quotes") == 2)
                declined = {d: counter(instance, name, f"declined_{d}") for d in DECLINED}
                assert expected == declined
                assert (101.0, 101.0) == tuple(quote(instance, name, 0)[:2])
                assert 0 == counter(instance, name, "reconnects")
                await until(lambda: counter(instance, name, "sockets") == 1)
                assert 1 == counter(instance, name, "acks")

    run(main())


@pytest.mark.parametrize(
    "changes",
    [{"bid_px": math.nan, "bid_qty": math.nan}, {"ask_px": 0.0}, {"bid_px": 102.0}],
    ids=["one side", "zero", "crossed"],
)
def test_a_top_that_cannot_be_stored_empties_the_slot(
    instance: Instance, changes: dict[str, float]
) -> None:
    async def main() -> None:
        good = VENUES["bybit-spot"].render(book("AUSDT", 5))
        bad = VENUES["bybit-spot"].render(book("AUSDT", 6, **changes))
        async with Exchange("bybit-spot", None, sender("bybit-spot", good, bad)) as exchange:
            config = config_of("bybit-spot", exchange.url)
            lists = lists_of("bybit-spot", row(0, "AUSDT"))
            async with working(VENUES["bybit-spot"], config, lists, instance):
                await until(lambda: counter(instance, "bybit-spot", "emptied") == 1)
                assert empty(quote(instance, "bybit-spot", 0))
                assert 1 == counter(instance, "bybit-spot", "quotes")

    run(main())


def test_a_pair_that_falls_silent_is_told_once_each_time(
    instance: Instance, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    speak = asyncio.Event()

    def warnings_of_a() -> list[dict[str, Any]]:
        return [w for w in messages(caplog, "pair silent") if w["symbol"] == "A-USDT"]

    async def on_open(guest: Guest) -> None:
        await until(lambda: guest.requests)
        update = 1
        while True:
            await guest.send(VENUES["bybit-spot"].render(book("LOUDUSDT", update)))
            if update == 1 or speak.is_set():
                speak.clear()
                await guest.send(VENUES["bybit-spot"].render(book("AUSDT", update)))
            update += 1
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with Exchange("bybit-spot", None, on_open) as exchange:
            config = config_of("bybit-spot", exchange.url, transport, stale_after_s=0.3)
            rows = row(0, "AUSDT"), row(1, "LOUDUSDT"), row(2, "NEVERUSDT")
            lists = lists_of("bybit-spot", *rows)
            async with working(VENUES["bybit-spot"], config, lists, instance):
                await until(warnings_of_a)
                await asyncio.sleep(0.2)  # several looks later it is still one warning
                warned = {"source": "bybit-spot", "symbol": "A-USDT", "limit_s": 0.3}
                assert [warned] == warnings_of_a()
                speak.set()
                await until(lambda: len(warnings_of_a()) == 2)
                assert [warned] * 2 == warnings_of_a()
                told = {w["symbol"] for w in messages(caplog, "pair silent")}
                assert "NEVER-USDT" not in told  # that is for discovery to say
                assert counter(instance, "bybit-spot", "silent_symbols") >= 2

    run(main())


def test_where_silence_is_health_a_quiet_pair_is_no_news(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    name = "binance-spot"

    async def main() -> None:
        async with Exchange(name, None, sender(name, *frames_of(name, "AUSDT"))) as exchange:
            config = config_of(name, exchange.url)
            async with working(VENUES[name], config, lists_of(name, row(0, "AUSDT")), instance):
                await until(lambda: not empty(quote(instance, name, 0)))
                await asyncio.sleep(0.2)
        assert [] == messages(caplog, "pair silent")

    run(main())


@pytest.mark.parametrize("name", ["binance-spot", "binance-futures", "mexc-spot"])
def test_a_pair_that_falls_silent_is_asked_for_anew_and_its_ids_forgotten(
    instance: Instance, transport: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Its topic died, as one of a socket does; the venue counts from the beginning afterwards."""
    caplog.set_level(logging.WARNING)

    async def on_open(guest: Guest) -> None:
        await until(lambda: guest.requests)
        n = 0
        while True:
            n += 1
            loud, quiet = book("LOUDUSDT", 1000 + n), book("QUIETUSDT", 1000 + n)
            frames = [VENUES[name].render(loud)]
            if n <= 20:
                frames.append(VENUES[name].render(quiet))
            if len(guest.requests) == 3 and not revived.is_set():
                revived.set()
                frames.append(VENUES[name].render(book("QUIETUSDT", 5)))
            await guest.send(*frames, opcode=2 if name == "mexc-spot" else 1)
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with Exchange(name, None, on_open) as exchange:
            config = config_of(name, exchange.url, transport, stale_after_s=0.3)
            rows = row(0, "QUIETUSDT"), row(1, "LOUDUSDT")
            venue = quick(name, frames_per_s=1_000.0)
            async with working(venue, config, lists_of(name, *rows), instance) as feed:
                await revived.wait()
                await until(lambda: feed.intake.written(0)[0] == 5)
                asked = exchange.guests[0].requests[1:]
                assert all("QUIET" in json.dumps(r) or "quiet" in json.dumps(r) for r in asked)
                # at once, though its ids had been higher; and not as what was found out
                assert 0 == counter(instance, name, "declined_old_id")
                assert 0 == counter(instance, name, "id_restarts")
                assert now_ns() - quote(instance, name, 0).recv_ns < 10**10
        (told,) = [m for m in messages(caplog, "pair silent") if m["symbol"] == "QUIET-USDT"][:1]
        assert {"source": name, "symbol": "QUIET-USDT", "limit_s": 0.3} == told

    revived = asyncio.Event()
    run(main())


def test_a_refused_pair_is_logged_and_its_neighbours_quote(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    def answer(request: dict[str, Any]) -> list[str]:
        if "orderbook.1.BUSDT" in request["args"]:
            refusal = {"success": False, "ret_msg": "Invalid symbol :[orderbook.1.BUSDT]"}
            return [json.dumps(refusal | {"conn_id": "c", "op": "subscribe"})]
        return ack("bybit-spot", request)

    async def on_open(guest: Guest) -> None:
        await until(lambda: len(guest.requests) == 2)
        await guest.send(*frames_of("bybit-spot", "AUSDT", "CUSDT"))

    async def main() -> None:
        async with Exchange("bybit-spot", answer, on_open) as exchange:
            config = config_of("bybit-spot", exchange.url)
            rows = row(0, "AUSDT"), row(1, "BUSDT"), row(2, "CUSDT")
            lists = lists_of("bybit-spot", *rows)
            async with working(VENUES["bybit-spot"], config, lists, instance):
                await until(lambda: counter(instance, "bybit-spot", "quotes") == 2)
                assert 1 == counter(instance, "bybit-spot", "refusals")
        (told,) = messages(caplog, "pair refused")
        assert "BUSDT" == told["symbol"]

    run(main())


# -- ownership


def test_an_error_of_our_own_is_not_swallowed(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*args: Any, **options: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(session_module, "connect", broken)

    async def main() -> None:
        config = config_of("okx-spot", "ws://127.0.0.1:1/")
        lists = lists_of("okx-spot", row(0, "A-USDT"))
        feed = WebSocketFeed(VENUES["okx-spot"], config, instance)
        with pytest.raises(ZeroDivisionError):
            await worker_of(feed, config, instance, lambda: lists).run(lambda: False)

    run(main())
    assert "off" == instance.health.info(SOURCE_BY_NAME["okx-spot"].id)["state"]


def test_a_source_without_pairs_beats_and_stops(instance: Instance) -> None:
    async def main() -> None:
        config = config_of("okx-spot", "ws://127.0.0.1:1/")
        source_id = SOURCE_BY_NAME["okx-spot"].id
        async with working(VENUES["okx-spot"], config, lists_of("okx-spot"), instance):
            await until(lambda: instance.health.info(source_id)["state"] == "running")
            beat_ns = instance.health.info(source_id)["beat_ns"]
            await until(lambda: instance.health.info(source_id)["beat_ns"] > beat_ns)

    run(main())


def test_a_second_feed_of_a_source_is_refused_by_the_lease(
    instance: Instance, instance_name: str, children: Any, tmp_path: Any
) -> None:
    """In processes, as `spreadscan feed` runs them: exit code 2, and the table stays as it is."""
    fill(instance, "okx-spot", 0)
    lease = instance.lease("okx-spot")
    config = Config(
        instance=instance_name,
        capacity=Capacity(symbols=64),
        paths=Paths(logs=str(tmp_path)),
    )

    def second() -> int:
        return processes.run_role(
            "okx-spot", config, lists_of("okx-spot", row(0, "A-USDT")), alone={}
        )

    children.start("second", second)
    assert {"second": 2} == children.results(within_s=20.0)
    assert not empty(quote(instance, "okx-spot", 0))
    lines = [json.loads(line) for line in (tmp_path / "okx-spot.log").read_text().splitlines()]
    (refused,) = [line for line in lines if line["level"] == "ERROR"]
    assert "okx-spot: already running (pid " in refused["error"]
    lease.close()


def test_the_lease_is_free_again_once_its_process_is_gone(
    instance: Instance, instance_name: str, children: Any
) -> None:
    def hold() -> None:
        Instance(instance_name).lease("okx-spot")
        time.sleep(60.0)

    children.start("holder", hold)
    deadline = time.monotonic() + 20.0
    while not instance.lease_held("okx-spot"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    children.kill()
    instance.lease("okx-spot").close()
