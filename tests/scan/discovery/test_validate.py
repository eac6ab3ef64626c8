"""Pairs proven on the wire: when a batch ends, and what is said of each pair."""

import asyncio
import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from scan.discovery.kit import NOBODY, run
from scan.feeds.kit import Door, Exchange, Guest, ack, book, quick, until
from spreadscan.config import Config, Discovery, Feeds, VenueSettings
from spreadscan.discovery import validate as validate_module
from spreadscan.discovery.validate import Validation, price_fault
from spreadscan.feeds import session as session_module
from spreadscan.venues import VENUES

NAME = "binance-spot"
SYMBOLS = [f"S{i}USDT" for i in range(8)]


@pytest.fixture(autouse=True)
def look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "_TICK_S", 0.02)
    monkeypatch.setattr(validate_module, "_LOOK_S", 0.02)


def validated(
    on_open: Callable[[Guest], Any] | None = None,
    symbols: Sequence[str] = SYMBOLS,
    *,
    answer: Callable[[dict[str, Any]], Sequence[str] | None] | None = None,
    feeds: dict[str, Any] | None = None,
    url: str = "",
    name: str = NAME,
    **settings: Any,
) -> tuple[Validation, list[Guest], list[int]]:
    """Validate against an exchange by hand; return it, its clients and the progress told."""
    told: list[int] = []
    # limits that do not matter to a test are out of its way
    limits = {"after_ack_s": 30.0, "no_new_s": 30.0, "batch_limit_s": 30.0} | settings
    quickly = {"backoff_base_s": 0.02, "backoff_cap_s": 0.05} | (feeds or {})

    async def main() -> tuple[Validation, list[Guest], list[int]]:
        async with Exchange(name, answer, on_open) as exchange:
            config = Config(
                venues={name: VenueSettings(ws_url=url or exchange.url)},
                discovery=Discovery(**limits),
                feeds=Feeds(**quickly),
            )
            venue = quick(name, connects_per_s=1_000.0, frames_per_s=1_000.0)
            validation = Validation(venue, config, told.append)
            await validation.run(symbols)
            return validation, exchange.guests, told

    result: tuple[Validation, list[Guest], list[int]] = run(main(), 20.0)
    return result


def says(*symbols: str, every_s: float = 0.0, name: str = NAME) -> Callable[[Guest], Any]:
    """Return what sends a book of each symbol after the first request."""

    async def on_open(guest: Guest) -> None:
        await until(lambda: guest.requests)
        for symbol in symbols:
            await guest.send(VENUES[name].render(book(symbol)))
            await asyncio.sleep(every_s)

    return on_open


def asked(guests: list[Guest]) -> list[list[str]]:
    """Return the streams of every request of every client."""
    return [request["params"] for guest in guests for request in guest.requests]


# -- when a batch ends


def test_a_batch_ends_when_every_pair_is_proven() -> None:
    validation, guests, told = validated(says(*SYMBOLS))
    assert set(SYMBOLS) == validation.proven
    assert 1 == len(guests)
    assert 8 == told[-1]
    assert told == sorted(told)
    assert validation.took_s < 20.0  # none of the limits of 30 s ended it


def test_a_batch_ends_after_some_time_without_a_new_pair() -> None:
    validation, _, _ = validated(says(*SYMBOLS[:6], every_s=0.1), no_new_s=0.5)
    assert set(SYMBOLS[:6]) == validation.proven
    assert validation.took_s >= 5 * 0.1 + 0.5


def test_a_batch_ends_some_time_after_the_last_ack_whatever_still_comes() -> None:
    many = [f"S{i}USDT" for i in range(100)]
    validation, _, _ = validated(says(*many, every_s=0.05), many, after_ack_s=0.8, no_new_s=0.5)
    assert 3 < len(validation.proven) < 60
    assert validation.took_s >= 0.8


def test_the_time_without_a_new_pair_counts_from_the_last_ack() -> None:
    """Asking takes its time where a venue wants one topic a frame; that is no silence."""

    def slowly(request: dict[str, Any]) -> list[str]:
        return []

    async def on_open(guest: Guest) -> None:
        for i in range(6):
            await until(lambda i=i: len(guest.requests) > i)
            await asyncio.sleep(0.12)
            await guest.send(*ack("mexc-futures", guest.requests[i]))
        await asyncio.sleep(0.2)
        await guest.send(*(VENUES["mexc-futures"].render(book(s)) for s in symbols))

    symbols = [f"S{i}_USDT" for i in range(6)]
    validation, _, _ = validated(
        on_open, symbols, answer=slowly, name="mexc-futures", no_new_s=0.5, after_ack_s=0.7
    )
    assert set(symbols) == validation.proven


def test_a_batch_that_is_never_answered_ends_at_its_limit() -> None:
    validation, guests, _ = validated(
        answer=lambda request: None, feeds={"ack_timeout_s": 0.2}, batch_limit_s=1.0
    )
    assert not validation.proven
    assert len(guests) >= 2  # it was asked again on a new socket
    assert "nothing answered for 0.2 s" == validation.error
    assert validation.took_s >= 1.0


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ("418 Banned\r\nRetry-After: 600", "left alone until"),
        ("451 No", "refuses your address"),
    ],
)
def test_who_is_banned_or_blocked_asks_no_more_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)  # bans go there

    async def main() -> tuple[list[Validation], int]:
        async with Door(status) as door:
            config = Config(venues={NAME: VenueSettings(ws_url=door.url)})
            made = [Validation(VENUES[NAME], config) for _ in range(2)]
            for validation in made:  # each as a run of its own
                await validation.run(SYMBOLS)
            return made, len(door.times)

    made, times = run(main(), 10.0)  # far less than a batch's limit
    assert all(said in made[-1].error for said in (said, "HTTP"))
    assert ("quiet", f"not connected: {made[-1].error}") == made[-1].verdict("S0USDT")
    # a ban is obeyed by the next run; a block may have been mended meanwhile
    assert (1 if "418" in status else 2) == times


def test_nobody_there_ends_at_the_limit_and_is_told() -> None:
    validation, _, _ = validated(url=f"ws://{NOBODY}/", batch_limit_s=0.4)
    assert not validation.proven
    assert f"ws://{NOBODY}/" in validation.error
    assert ("quiet", f"not connected: {validation.error}") == validation.verdict("S0USDT")
    assert validation.took_s >= 0.4


def test_a_stalled_handshake_ends_at_the_limit() -> None:
    async def main() -> float:
        gone = asyncio.Event()

        async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()
            gone.set()

        server = await asyncio.start_server(stall, "127.0.0.1", 0)
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        config = Config(
            venues={NAME: VenueSettings(ws_url=url)},
            discovery=Discovery(batch_limit_s=0.4),
            feeds=Feeds(transport="aiohttp", connect_timeout_s=60.0),
        )
        validation = Validation(VENUES[NAME], config)
        await validation.run(SYMBOLS)
        await gone.wait()
        server.close()
        return validation.took_s

    assert run(main(), 20.0) >= 0.4


def test_after_a_cut_only_the_missing_are_asked_for() -> None:
    async def on_open(guest: Guest) -> None:
        guests.append(guest)
        await until(lambda: guest.requests)
        symbols = SYMBOLS[:3] if len(guests) == 1 else SYMBOLS[3:]
        await guest.send(*(VENUES[NAME].render(book(s)) for s in symbols))
        if len(guests) == 1:
            await asyncio.sleep(0.05)
            guest.peer.cut()

    guests: list[Guest] = []
    validation, seen, told = validated(on_open)
    assert set(SYMBOLS) == validation.proven
    assert [len(SYMBOLS), len(SYMBOLS) - 3] == [len(params) for params in asked(seen)]
    assert told == sorted(told)


@pytest.mark.parametrize("name", VENUES)
def test_batches_have_the_size_of_the_venue(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {"binance": 200, "okx": 100, "bybit": 50, "mexc": 30, "gate": 150}[
        name.split("-")[0]
    ]
    batches: list[int] = []

    class Session:
        def __init__(
            self, venue: Any, symbols: Any, url: str, sink: Any, feeds: Any, *, proxies: Any
        ) -> None:
            batches.append(len(symbols))
            self.opened_ns, self.refused, self.all_answered = 1, (), True
            self.why_closed = ""
            for symbol in symbols:
                sink.book(book(symbol), 1)

        async def run(self) -> str:
            await asyncio.sleep(60)
            return ""

        def close(self, why: str) -> None:
            pass

    monkeypatch.setattr(validate_module, "Session", Session)

    async def main() -> None:
        venue = quick(name, connects_per_s=1e6)
        validation = Validation(venue, Config())
        await validation.run([f"S{i}" for i in range(2 * expected + 1)])
        assert 2 * expected + 1 == len(validation.proven)

    run(main())
    assert [1, expected, expected] == sorted(batches)


# -- what is said of a pair


def test_verdicts() -> None:
    def answer(request: dict[str, Any]) -> list[str]:
        texts = []
        for arg in request["args"]:
            if arg["instId"] == "NO-USDT":
                error = {"event": "error", "code": "60018", "connId": "c"}
                why = "channel:bbo-tbt,instId:NO-USDT doesn't exist"
                texts.append(json.dumps(error | {"msg": f"Wrong URL or {why}"}))
            else:
                texts += ack("okx-spot", request | {"args": [arg]})
        return texts

    async def on_open(guest: Guest) -> None:
        await until(lambda: guest.requests)
        render, nan = VENUES["okx-spot"].render, math.nan
        await guest.send(
            render(book("CROSSED-USDT", bid_px=200.0)),
            render(book("ONE-USDT", bid_px=nan, bid_qty=nan)),
            render(book("ZERO-USDT", ask_px=0.0)),
            render(book("LATE-USDT", bid_px=200.0)),
            render(book("GOOD-USDT")),
            b'{"arg":{"channel":"tickers"},"data":[]}',
            b"garbage",
        )
        await asyncio.sleep(0.1)
        await guest.send(render(book("LATE-USDT")), render(book("GOOD-USDT", bid_px=200.0)))

    bases = ("GOOD", "LATE", "CROSSED", "ONE", "ZERO", "QUIET", "NO")
    symbols = [f"{base}-USDT" for base in bases]
    validation, _, told = validated(on_open, symbols, name="okx-spot", answer=answer, no_new_s=0.5)
    found = {b: validation.verdict(s) for b, s in zip(bases, symbols, strict=True)}
    refused = found.pop("NO")
    assert {
        "GOOD": ("valid", ""),
        "LATE": ("valid", ""),  # what it says in the end counts
        "CROSSED": ("quiet", "no good quote yet: crossed"),
        "ONE": ("quiet", "no good quote yet: one_sided"),
        "ZERO": ("quiet", "no good quote yet: bad_price"),
        "QUIET": ("quiet", "no update"),
    } == found
    # what can be read of their prices: of both sides, of one
    assert {"CROSSED-USDT": 150.5, "ONE-USDT": 101.0, "ZERO-USDT": 100.0} == {
        s: px for s, px in validation.hints.items() if s not in validation.proven
    }
    assert "invalid" == refused[0]
    assert refused[1].startswith("refused: 60018: Wrong URL or channel:bbo-tbt,instId:NO-USDT")
    assert {"other_channel": 1, "bad_frame": 1} == validation.declined
    assert 3 == told[-1]  # two proven, one refused


def test_a_batch_of_refused_pairs_ends() -> None:
    def answer(request: dict[str, Any]) -> list[str]:
        return [json.dumps({"error": {"code": 2, "msg": "no"}, "id": request["id"]})]

    validation, _, _ = validated(symbols=SYMBOLS[:4], answer=answer)
    assert {("invalid", "refused: 2: no")} == {validation.verdict(s) for s in SYMBOLS[:4]}
    assert "every pair refused" in validation.error


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, ""),
        ({"bid_px": 101.0}, ""),  # locked
        ({"bid_px": 101.5}, "crossed"),
        ({"bid_px": 0.0}, "bad_price"),
        ({"ask_qty": -1.0}, "bad_price"),
        ({"ask_px": math.inf}, "bad_price"),
        ({"ask_px": math.nan}, "one_sided"),
        ({"bid_qty": math.nan}, "one_sided"),
    ],
)
def test_the_same_prices_are_faults_as_at_the_gate(changes: dict[str, float], fault: str) -> None:
    assert fault == price_fault(book("A", **changes))


def test_no_pairs_is_no_socket() -> None:
    validation, guests, _ = validated(symbols=[])
    assert ([], {}, "") == (guests, validation.mids, validation.error)
