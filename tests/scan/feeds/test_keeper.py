"""A socket that is about to end gets a successor first: no gap, no step back, nothing lost."""

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from spreadcore import Instance

from scan.feeds.kit import Exchange, Guest, book, quick, run, until
from scan.feeds.test_websocket import (
    Waits,
    config_of,
    counter,
    empty,
    lists_of,
    messages,
    quote,
    row,
    working,
)
from spreadscan.feeds import keeper as keeper_module
from spreadscan.feeds import session as session_module
from spreadscan.feeds import websocket as websocket_module
from spreadscan.venues import VENUES

SHUTDOWN = '{"e":"serverShutdown","E":1770000000000}'


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_TICK_S", 0.02)
    monkeypatch.setattr(websocket_module, "_SILENCE_LOOK_S", 0.02)


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    return make_instance(n_symbols=64)


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> Waits:
    return Waits(monkeypatch)


class Venue:
    """Binance spot by hand: `talk` is run for each socket, with its number from 0.

    at_once: before anything is asked, with the answer to the handshake.
    """

    def __init__(self, talk: Callable[[int, Guest], Any], at_once: bool = False) -> None:
        self.update = 100
        self._at_once = at_once
        self.exchange = Exchange("binance-spot", None, self._open)
        self._talk = talk

    async def _open(self, guest: Guest) -> None:
        if not self._at_once:
            await until(lambda: guest.requests)
        await self._talk(self.exchange.guests.index(guest), guest)

    def quotes(self, *symbols: str) -> list[bytes]:
        """Frames of the next update id: one sequence over all sockets, as the venue's own."""
        self.update += 1
        return [VENUES["binance-spot"].render(book(s, self.update)) for s in symbols]


def start(venue: Venue, instance: Instance, transport: str, life_s: float = 0.0, **own: Any) -> Any:
    spec = quick("binance-spot", connects_per_s=1_000.0, socket_life_s=life_s)
    config = config_of("binance-spot", venue.exchange.url, transport, **own)
    rows = row(0, "AUSDT"), row(1, "BUSDT")
    return working(spec, config, lists_of("binance-spot", *rows), instance)


def test_at_the_end_of_its_life_a_socket_is_replaced_without_a_gap(
    instance: Instance, transport: str, waits: Waits
) -> None:
    async def talk(n: int, guest: Guest) -> None:
        while True:
            await guest.send(*venue.quotes("AUSDT", "BUSDT"))
            await asyncio.sleep(0.005)

    async def main() -> None:
        async with venue.exchange, start(venue, instance, transport, life_s=0.3):
            await until(lambda: instance.quotes.survey(0)[0] == 2)
            while counter(instance, "binance-spot", "takeovers") < 3:
                assert not any(empty(quote(instance, "binance-spot", s)) for s in (0, 1))
                await asyncio.sleep(0.001)
            assert 0 == counter(instance, "binance-spot", "emptied")
            assert "running" == instance.health.info(0)["state"]
            assert 0 == counter(instance, "binance-spot", "reconnects")

    venue = Venue(talk)
    run(main())
    assert [] == waits.failures


def test_an_announced_end_brings_the_successor_before_the_close(
    instance: Instance, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def talk(n: int, guest: Guest) -> None:
        if n == 0:
            await guest.send(*venue.quotes("AUSDT", "BUSDT"), SHUTDOWN)
            await until(lambda: len(venue.exchange.guests) == 2)
            alive.append(not guest.gone.is_set())
        else:
            await guest.send(*venue.quotes("AUSDT"))

    async def main() -> None:
        async with venue.exchange, start(venue, instance, transport):
            await until(lambda: counter(instance, "binance-spot", "takeovers") == 1)
            await venue.exchange.guests[0].gone.wait()
            # B was not quoted again: nothing changed meanwhile, so what stood still stands
            await until(lambda: counter(instance, "binance-spot", "sockets") == 1)
            assert not any(empty(quote(instance, "binance-spot", s)) for s in (0, 1))
            # and it is the new socket's: when that one is lost, it is emptied
            venue.exchange.guests[1].peer.cut()
            await until(lambda: all(empty(quote(instance, "binance-spot", s)) for s in (0, 1)))

    Waits(monkeypatch, wait_s=60.0)  # what is cut stays away
    venue, alive = Venue(talk), []
    run(main())
    assert [True] == alive


@pytest.mark.parametrize("at_once", [False, True])
def test_a_venue_that_announces_the_end_of_every_socket_is_not_stormed(
    instance: Instance, transport: str, waits: Waits, at_once: bool
) -> None:
    """Scenario 41. The first successor comes at once, the others after waits that grow."""

    async def talk(n: int, guest: Guest) -> None:
        await guest.send(SHUTDOWN)
        while True:
            await guest.send(*venue.quotes("AUSDT", "BUSDT"))
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with venue.exchange, start(venue, instance, transport):
            await until(lambda: len(venue.exchange.guests) >= 5)
        assert [0, 1, 2] == waits.failures[:3]
        assert len(waits.failures) >= len(venue.exchange.guests) - 2

    venue = Venue(talk, at_once)
    run(main())


def test_the_successor_does_not_step_back(instance: Instance, transport: str, waits: Waits) -> None:
    async def talk(n: int, guest: Guest) -> None:
        if n == 0:
            await guest.send(*venue.quotes("AUSDT", "BUSDT"), SHUTDOWN)
        else:
            late = book("AUSDT", 50, bid_px=1.0, ask_px=2.0)
            await guest.send(VENUES["binance-spot"].render(late), *venue.quotes("BUSDT"))

    async def main() -> None:
        async with venue.exchange, start(venue, instance, transport):
            await until(lambda: counter(instance, "binance-spot", "takeovers") == 1)
            assert 1 == counter(instance, "binance-spot", "declined_old_id")
            assert 100.0 == quote(instance, "binance-spot", 0).bid_px

    venue = Venue(talk)
    run(main())


def test_a_successor_that_never_quotes_goes_and_the_old_socket_stays(
    instance: Instance, transport: str, waits: Waits
) -> None:
    async def talk(n: int, guest: Guest) -> None:
        if n == 0:
            await guest.send(SHUTDOWN)
        while n in (0, 2):
            await guest.send(*venue.quotes("AUSDT"))
            await asyncio.sleep(0.005)

    async def main() -> None:
        async with venue.exchange, start(venue, instance, transport, take_over_s=0.3):
            await until(lambda: len(venue.exchange.guests) > 1)
            await venue.exchange.guests[1].gone.wait()
            assert not venue.exchange.guests[0].gone.is_set()
            assert 0 == counter(instance, "binance-spot", "takeovers")
            await until(lambda: counter(instance, "binance-spot", "takeovers") == 1)
            assert not empty(quote(instance, "binance-spot", 0))

    venue = Venue(talk)
    run(main())
    assert waits.failures  # the try that failed was followed by a wait


@pytest.mark.parametrize("fails", ["announced", "dies", "mute", "hangs"])
def test_a_shard_never_keeps_two_sockets_whatever_becomes_of_the_successor(
    instance: Instance, transport: str, waits: Waits, fails: str
) -> None:
    """All are announced to end; successors 1 to 3 fail in one way, and the old one lives on."""

    async def talk(n: int, guest: Guest) -> None:
        await guest.send(SHUTDOWN)
        if n in (1, 2, 3):
            if fails == "dies":
                guest.peer.cut()
            if fails in ("dies", "mute"):
                return
            if fails == "hangs":
                await guest.gone.wait()
        while True:
            if fails == "announced" or n in (0, 4):
                await guest.send(*venue.quotes("AUSDT", "BUSDT"))
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with venue.exchange, start(venue, instance, transport, take_over_s=0.2) as feed:
            most = 0
            while len(venue.exchange.guests) < 6:
                most = max([most, *(len(shard.sessions) for shard in feed._keepers)])
                living = [g for g in venue.exchange.guests if not g.gone.is_set()]
                assert len(living) <= 3  # the server hears of an end a moment later
                await asyncio.sleep(0.002)
            assert 2 == most
            await until(lambda: sum(not g.gone.is_set() for g in venue.exchange.guests) <= 2)
            assert not all(empty(quote(instance, "binance-spot", s)) for s in (0, 1))

    venue = Venue(talk)
    run(main())


def test_a_successor_that_is_still_shaking_hands_is_dropped_after_the_overlap(
    instance: Instance, transport: str, waits: Waits
) -> None:
    """It would open later, beside the next one."""

    async def talk(n: int, guest: Guest) -> None:
        await guest.send(SHUTDOWN)
        while True:
            await guest.send(*venue.quotes("AUSDT", "BUSDT"))
            await asyncio.sleep(0.02)

    async def main() -> None:
        opened = 0
        real = session_module.connect

        async def slow(*args: Any, **options: Any) -> Any:
            nonlocal opened
            opened += 1
            if opened == 2:
                await asyncio.sleep(20.0)
            return await real(*args, **options)

        session_module.connect = slow  # type: ignore[assignment]
        try:
            async with venue.exchange, start(venue, instance, transport, take_over_s=0.2) as feed:
                await until(lambda: counter(instance, "binance-spot", "takeovers") == 1)
                (shard,) = feed._keepers
                assert len(shard.sessions) <= 2
                assert 3 == opened
        finally:
            session_module.connect = real

    venue = Venue(talk)
    run(main())


def test_where_both_are_quiet_an_acknowledgement_is_enough(
    instance: Instance, transport: str, waits: Waits
) -> None:
    async def talk(n: int, guest: Guest) -> None:
        if n == 0:
            await guest.send(*venue.quotes("AUSDT"))
            await until(lambda: instance.quotes.survey(0)[0] == 1)
            await guest.send(SHUTDOWN)

    async def main() -> None:
        async with venue.exchange, start(venue, instance, transport, take_over_s=0.2):
            await until(lambda: counter(instance, "binance-spot", "takeovers") == 1)
            assert not empty(quote(instance, "binance-spot", 0))

    venue = Venue(talk)
    run(main())


def test_an_old_socket_that_is_cut_meanwhile_empties_what_it_owned(
    instance: Instance, transport: str, waits: Waits
) -> None:
    async def talk(n: int, guest: Guest) -> None:
        if n == 0:
            await guest.send(*venue.quotes("AUSDT", "BUSDT"), SHUTDOWN)
            await until(lambda: len(venue.exchange.guests) == 2)
            guest.peer.cut()
        else:
            await venue.exchange.guests[0].gone.wait()
            await until(lambda: empty(quote(instance, "binance-spot", 1)))
            await guest.send(*venue.quotes("AUSDT"))

    async def main() -> None:
        async with venue.exchange, start(venue, instance, transport):
            await until(lambda: len(venue.exchange.guests) == 2)
            await until(lambda: empty(quote(instance, "binance-spot", 1)))
            await until(lambda: not empty(quote(instance, "binance-spot", 0)))
            assert 0 == counter(instance, "binance-spot", "takeovers")
            assert 2 == len(venue.exchange.guests)

    venue = Venue(talk)
    run(main())


def test_lives_are_staggered(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, waits: Waits
) -> None:
    lives: list[float] = []
    real = websocket_module.WebSocketFeed.open_session

    def noting(self: Any, symbols: Any, url: str, life_s: float) -> Any:
        lives.append(life_s)
        return real(self, symbols, url, life_s)

    async def main() -> None:
        spec = quick("binance-spot", connects_per_s=1_000.0, topics_per_socket=1)
        async with venue.exchange:
            config = config_of("binance-spot", venue.exchange.url)
            rows = [row(i, f"S{i}USDT") for i in range(30)]
            async with working(spec, config, lists_of("binance-spot", *rows), instance):
                await until(lambda: len(lives) == 30)

    async def talk(n: int, guest: Guest) -> None: ...

    venue = Venue(talk)
    monkeypatch.setattr(websocket_module.WebSocketFeed, "open_session", noting)
    run(main())
    low, high = (share * 86_400.0 for share in keeper_module._LIFE_SHARE)
    assert all(low <= life_s <= high for life_s in lives)
    assert max(lives) - min(lives) > (high - low) / 2
    assert high < 86_400.0 - 3_600.0


# -- silence: ask again first


def asked(guest: Guest) -> list[tuple[str, list[str]]]:
    return [(r["op"], r["args"]) for r in guest.requests]


def test_a_pair_that_fell_silent_or_never_came_is_subscribed_anew(
    instance: Instance, transport: str, waits: Waits
) -> None:
    """And one that discovery knows as quiet is left alone."""

    async def on_open(guest: Guest) -> None:
        await until(lambda: guest.requests)
        update = 1
        while True:
            symbols = ["LOUDUSDT", "AUSDT"] if update == 1 else ["LOUDUSDT"]
            frames = [VENUES["bybit-spot"].render(book(s, update)) for s in symbols]
            await guest.send(*frames)
            update += 1
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with Exchange("bybit-spot", None, on_open) as exchange:
            config = config_of("bybit-spot", exchange.url, transport, stale_after_s=0.3)
            rows = [row(0, "AUSDT"), row(1, "LOUDUSDT"), row(2, "NEVERUSDT")]
            rows.append(row(3, "QUIETUSDT", "quiet"))
            spec = quick("bybit-spot", frames_per_s=1_000.0)
            async with working(spec, config, lists_of("bybit-spot", *rows), instance):
                await until(lambda: counter(instance, "bybit-spot", "resubscribes") == 2)
                await until(lambda: len(exchange.guests[0].requests) >= 3)
                await asyncio.sleep(0.1)
                again = asked(exchange.guests[0])[1:]
        assert {"unsubscribe", "subscribe"} == {op for op, _ in again}
        topics = {topic for _, args in again for topic in args}
        assert {"orderbook.1.AUSDT", "orderbook.1.NEVERUSDT"} == topics

    run(main())


def test_a_valid_pair_that_never_came_is_subscribed_anew_where_silence_is_health(
    instance: Instance, transport: str, waits: Waits
) -> None:
    """Binance acknowledges what does not exist; what spoke once may be silent."""

    async def on_open(guest: Guest) -> None:
        await until(lambda: guest.requests)
        await guest.send(VENUES["binance-spot"].render(book("ONCEUSDT", 1)))
        while True:
            await guest.send(b"", opcode=9)
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with Exchange("binance-spot", None, on_open) as exchange:
            config = config_of("binance-spot", exchange.url, transport, silent_socket_s=0.3)
            rows = [row(0, "ONCEUSDT"), row(1, "NEVERUSDT"), row(2, "QUIETUSDT", "quiet")]
            spec = quick("binance-spot", frames_per_s=1_000.0)
            async with working(spec, config, lists_of("binance-spot", *rows), instance):
                await until(lambda: exchange.guests and len(exchange.guests[0].requests) >= 3)
                again = [(r["method"], r["params"]) for r in exchange.guests[0].requests[1:3]]
        assert [(m, ["neverusdt@bookTicker"]) for m in ("UNSUBSCRIBE", "SUBSCRIBE")] == again

    run(main())


@pytest.mark.parametrize("source", ["binance-spot"])
def test_30_a_mute_socket_of_few_pairs_is_replaced_though_its_venue_pings(
    instance: Instance, transport: str, waits: Waits, source: str
) -> None:
    """Nine quiet pairs prove nothing: so a second socket is held beside the first."""
    symbols = [f"S{i}USDT" for i in range(9)]

    async def talk(n: int, guest: Guest) -> None:
        if n == 0:
            await guest.send(*venue.quotes(*symbols))
        while True:
            await guest.send(b"", opcode=9)
            if n > 0:
                await guest.send(*venue.quotes(*symbols))
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with venue.exchange:
            config = config_of(source, venue.exchange.url, transport, silent_socket_s=0.3)
            rows = [row(i, symbol) for i, symbol in enumerate(symbols)]
            spec = quick(source, connects_per_s=1_000.0)
            async with working(spec, config, lists_of(source, *rows), instance):
                await until(lambda: counter(instance, source, "takeovers") == 1)
                first = counter(instance, source, "quotes")
                await until(lambda: counter(instance, source, "quotes") > first + 9)
                assert 0 == counter(instance, source, "emptied")

    venue = Venue(talk)
    run(main())


def test_a_silent_socket_is_asked_again_before_it_is_closed(
    instance: Instance, transport: str, waits: Waits, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    symbols = [f"S{i}USDT" for i in range(12)]

    async def talk(n: int, guest: Guest) -> None:
        while True:
            await guest.send(b"", opcode=9)
            subscribed = sum("UNSUBSCRIBE" == r["method"] for r in guest.requests)
            if subscribed and n == 1:  # the second socket wakes up when it is asked again
                await guest.send(*venue.quotes(*symbols))
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with venue.exchange:
            config = config_of("binance-spot", venue.exchange.url, transport, silent_socket_s=0.6)
            rows = [row(i, symbol) for i, symbol in enumerate(symbols)]
            spec = quick("binance-spot", connects_per_s=1_000.0)
            async with working(spec, config, lists_of("binance-spot", *rows), instance):
                await until(lambda: instance.quotes.survey(0)[0] == 12)
                await asyncio.sleep(0.8)
                assert 2 == len(venue.exchange.guests)
        methods = [json.loads(f)["method"] for f in venue.exchange.guests[0].frames]
        assert ["SUBSCRIBE", "UNSUBSCRIBE", "SUBSCRIBE"] == methods
        reasons = [m["reason"] for m in messages(caplog, "feed socket closed")]
        assert "no quote for 0.6 s" == reasons[0]

    venue = Venue(talk)
    run(main())
