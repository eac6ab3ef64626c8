"""Feed and audit of a source against its simulator, which lies by script (docs/faults.md)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from spreadcore import Instance

from known import LATER, SOURCE_BY_NAME
from scan.audit.kit import S, auditing
from scan.feeds.kit import counter, lists_of, run, settings, until, working
from spreadscan.clock import now_ns
from spreadscan.config import Audit, Config, Discovery, VenueSettings
from spreadscan.lists import Listing
from spreadscan.sim import Market, SimServer
from spreadscan.sim import faults as script
from spreadscan.sim.faults import Fault
from spreadscan.venues import VENUES

N = 40  # pairs of the source, the most traded ones
QUIET_S = 0.4  # a quote that stood for longer may be accused, in place of 5 to 10 s
EVERY_S = 0.4  # between rounds
pytestmark = pytest.mark.usefixtures("soon")


@pytest.fixture(scope="session")
def moving() -> Market:
    return Market(seed=1, rate=3_000.0, also=LATER)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spreadscan.audit.worker._NOTE_S", 0.1)
    monkeypatch.setattr("spreadscan.audit.status._AGAIN_S", 0.4)
    for name, venue in list(VENUES.items()):
        pages = replace(venue.audit, older_by_s=QUIET_S)
        monkeypatch.setitem(VENUES, name, replace(venue, audit=pages))


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch, unweighed: None) -> None:
    monkeypatch.setattr("spreadscan.audit.worker._NOTE_S", 0.1)
    for name, seconds in (("_MEASURE_S", 0.2), ("_REPEAT_S", 0.2), ("_NOTE_S", 0.02)):
        monkeypatch.setattr(f"spreadscan.audit.questions.{name}", seconds)


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch, impatient: None, measured: None) -> None:
    """Lists are read as often as rounds are made."""
    for name, venue in list(VENUES.items()):
        pages = replace(venue.audit, status_every_s=0.6)
        monkeypatch.setitem(VENUES, name, replace(venue, audit=pages))


class Case:
    """A source that is fed and audited."""

    def __init__(self, instance: Instance, name: str, server: SimServer) -> None:
        self.instance = instance
        self.name = name
        self.source = SOURCE_BY_NAME[name].id
        self.faults = server.exchanges[name].effects.faults
        self.server = server

    def figure(self, name: str) -> int:
        return self.instance.audit.figures(self.source)[name]

    def count(self, name: str) -> int:
        return counter(self.instance, self.name, name)

    def of(self, kind: str) -> set[int]:
        return {i for i in range(N) if self.instance.audit.read(self.source, i).kind == kind}

    def rounds(self, n: int) -> Callable[[], bool]:
        """Return what holds after n more rounds, good or bad."""
        end = self.figure("rounds") + self.figure("failed") + n
        return lambda: self.figure("rounds") + self.figure("failed") >= end

    def has_emptied(self) -> bool:
        return bool(self.count("found_wrong") or self.count("halts") or self.figure("wrong"))


@asynccontextmanager
async def watching(
    instance: Instance, market: Market, name: str, *faults: Fault, **audit: Any
) -> AsyncIterator[Case]:
    server = SimServer(market, sources=[name], faults=faults)
    await server.start()
    rows = [
        Listing(symbol_id=i, symbol=found.symbol, state="valid", instrument=found)
        for i, found in enumerate(instruments(market, name))
    ]
    rest_url, ws_url = server.endpoints()[name]
    config = Config(
        sources=(name,),
        audit=Audit(**{"every_s": EVERY_S, "funding_every_s": 0.0, **audit}),
        discovery=Discovery(rest_timeout_s=1.0),
        venues={name: VenueSettings(rest_url=rest_url, ws_url=ws_url)},
        feeds=settings("picows", beat_ms=50.0),
    )
    lists = lists_of(name, *rows)
    try:
        async with working(VENUES[name], config, lists, instance):
            # most of them are witnesses then from the beginning
            await until(lambda: instance.quotes.survey(SOURCE_BY_NAME[name].id)[0] >= N - 2)
            async with auditing(config, lists, instance):
                yield Case(instance, name, server)
    finally:
        await server.stop()


def instruments(market: Market, name: str) -> Sequence[Any]:
    return market.instruments[SOURCE_BY_NAME[name].id][:N]


def symbols(market: Market, name: str, *ids: int) -> tuple[str, ...]:
    return tuple(instruments(market, name)[i].venue_symbol for i in ids)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("name", VENUES)
def test_frozen_pairs_are_emptied_and_no_healthy_one_ever(
    instance: Instance, moving: Market, name: str
) -> None:
    async def main() -> None:
        frozen = symbols(moving, name, 0, 1)
        async with watching(instance, moving, name) as case:
            await until(case.rounds(3))
            case.faults.append(script.Freeze(source=name, symbols=frozen))
            await until(lambda: case.count("found_wrong") >= 2)
            await until(case.rounds(3))
            assert 2 == case.count("found_wrong") == case.figure("wrong")
            assert {0, 1} == case.of("wrong")
            assert 0 == case.count("halts")
            assert case.of("confirmed")

    run(main(), 60.0)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("name", VENUES)
def test_halted_pairs_are_found_and_come_back(
    instance: Instance, moving: Market, name: str
) -> None:
    """Told by row, list or push, each venue in its own way."""

    async def main() -> None:
        async with watching(instance, moving, name) as case:
            await until(case.rounds(2))
            case.faults.append(script.Halt(source=name, symbols=symbols(moving, name, 2)))
            await until(lambda: case.of("not_trading") == {2})
            await until(lambda: case.count("halts") == 1)
            assert 0 == instance.quotes.read(case.source, 2).recv_ns
            case.faults.clear()
            await until(lambda: not case.of("not_trading"))
            await until(lambda: instance.quotes.read(case.source, 2).recv_ns)
            assert 1 == case.count("halts")

    run(main(), 60.0)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(("name", "sockets"), [("binance-spot", 1), ("mexc-spot", 2)])
def test_a_source_that_is_frozen_as_a_whole_gets_new_sockets(
    instance: Instance, moving: Market, name: str, sockets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is emptied, no socket is closed before its successor quotes, one at a time."""
    monkeypatch.setattr("spreadscan.audit.witnesses.LAGGING_AT_LEAST_NS", 10**9)

    async def main() -> None:
        mute = script.Mute(source=name, connects=tuple(range(1, sockets + 1)), at_s=3.0)
        async with watching(instance, moving, name, mute) as case:
            exchange, most = case.server.exchanges[name], 0

            def renewed() -> bool:
                nonlocal most
                most = max(most, len(exchange.connections))
                assert instance.quotes.survey(case.source)[0] >= stood
                return case.count("takeovers") == sockets

            await until(lambda: len(exchange.connections) == sockets)
            await until(lambda: case.figure("too_many"))
            stood = instance.quotes.survey(case.source)[0]
            await until(renewed)
            assert sockets + 1 == most
            await until(lambda: not case.figure("failing_ns"))
            await until(case.rounds(2))
            assert not case.has_emptied()
            assert len(case.of("confirmed")) + len(case.of("none")) == N
            assert 1 == case.figure("renewals")

    run(main(), 60.0)


# Binance spot is asked about several pairs at once; the others' answers are measured now and then
ASKED = ("binance-spot", "bybit-spot", "okx-futures")


def held(case: Case, symbol_id: int) -> tuple[int, float, float]:
    quote = case.instance.quotes.read(case.source, symbol_id)
    return quote.recv_ns, quote.bid_px, quote.ask_px


def shown(case: Case, market: Market, symbol_id: int) -> tuple[float, float]:
    """Return the prices at the venue now, per coin, but for a tick that is due."""
    found = instruments(market, case.name)[symbol_id]
    touch = market.touch(case.source, symbol_id, case.server.time.done_ns)
    assert touch is not None
    return touch.bid_px / found.multiplier, touch.ask_px / found.multiplier


def ask(case: Case, *ids: int) -> None:
    for symbol_id in ids:
        case.instance.questions.mark(case.source, symbol_id)
    case.instance.questions.wake()


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("name", ASKED)
def test_a_page_of_questions_that_is_cached_confirms_no_frozen_leg(
    instance: Instance, moving: Market, name: str
) -> None:
    """What it showed four seconds ago was so then; honest rounds do not come in between."""

    async def main() -> None:
        async with watching(instance, moving, name, every_s=60.0) as case:
            at_s = case.server.exchanges[name].effects.now_s()
            case.faults += [
                script.Freeze(source=name, symbols=symbols(moving, name, 0), at_s=at_s),
                script.Cached(source=name, page="ask", age_s=300.0, at_s=at_s),
            ]
            await until(lambda: shown(case, moving, 0) != held(case, 0)[1:])
            await asyncio.sleep(4.0)
            recv_ns, asked_ns = held(case, 0)[0], now_ns()
            ask(case, 0)
            await until(lambda: case.figure("answers"))
            verdict = instance.audit.read(case.source, 0)
            assert verdict.recv_ns != recv_ns or verdict.at_ns < asked_ns - S

    run(main(), 60.0)


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("name", ASKED)
def test_a_leg_that_is_asked_about_again_is_not_confirmed_by_the_page_of_then(
    instance: Instance, moving: Market, name: str
) -> None:
    """Each row is kept since it was shown first; all else is fresh."""

    async def main() -> None:
        kept = script.KeptRows(source=name, page="ask", age_s=300.0)
        async with watching(instance, moving, name, kept, every_s=60.0) as case:
            frozen = script.Freeze(source=name, symbols=symbols(moving, name, 0))
            case.faults.append(frozen)
            first_ns = now_ns()
            ask(case, 0)
            await until(lambda: case.figure("answers"))
            await until(lambda: shown(case, moving, 0) != held(case, 0)[1:])
            await asyncio.sleep(4.0)
            ask(case, 0)
            await until(lambda: case.figure("answers") == 2)
            verdict = instance.audit.read(case.source, 0)
            assert verdict.kind != "confirmed" or verdict.at_ns < first_ns + 2 * S

    run(main(), 60.0)


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("name", ["binance-spot", "bybit-spot", "gate-spot", "okx-futures"])
def test_rows_that_stay_old_among_fresh_ones_empty_nobody(
    instance: Instance, moving: Market, name: str
) -> None:
    async def main() -> None:
        old = symbols(moving, name, 20, 21)
        faults = (
            script.KeptRows(source=name, age_s=300.0, symbols=old),
            script.DoubleRows(source=name, symbols=symbols(moving, name, 10)),
            script.RowClock(source=name, shift_s=3_600.0, symbols=symbols(moving, name, 11)),
        )
        async with watching(instance, moving, name, *faults) as case:
            tells, n_accused, rounds = VENUES[name].audit.rows_tell_time, 0, case.rounds(12)
            while not (rounds() and (n_accused or tells)):  # else they tell that they are old
                await until(case.rounds(1))
                n_accused += len(case.of("accused") & {20, 21})
                assert not case.has_emptied()
            assert 10 not in case.of("confirmed")  # its rows contradict each other

    run(main(), 60.0)


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("name", ASKED)
def test_an_honest_page_of_questions_confirms_the_present(
    instance: Instance, moving: Market, name: str
) -> None:
    async def main() -> None:
        async with watching(instance, moving, name, every_s=60.0) as case:

            async def confirmed() -> bool:
                """Let a pair and its row stand still, and ask about it once they have."""
                case.faults.clear()
                before = held(case, still)
                await until(lambda: held(case, still) != before)
                at_s = case.server.exchanges[name].effects.now_s()
                stood = symbols(moving, name, still)
                case.faults += [
                    script.Freeze(source=name, symbols=stood, at_s=at_s),
                    script.KeptRows(source=name, page="ask", age_s=60.0, symbols=stood, at_s=at_s),
                ]
                ask(case, still)
                await asyncio.sleep(2.5)
                recv_ns, begin_ns, n = held(case, still)[0], now_ns(), case.figure("answers")
                ask(case, still)
                await until(lambda: case.figure("answers") > n)
                verdict = instance.audit.read(case.source, still)
                is_of_then = recv_ns < begin_ns - 2 * S and verdict.recv_ns == recv_ns
                return is_of_then and verdict.kind == "confirmed" and verdict.at_ns > begin_ns - S

            still = 3
            while not await confirmed():
                pass

    run(main(), 60.0)


LIES: dict[str, Callable[[str], Fault]] = {
    "stale": lambda name: script.Stale(source=name, age_s=30.0),
    "stale, dated now": lambda name: script.Stale(source=name, age_s=30.0, row_times="now"),
    "cached": lambda name: script.Cached(source=name, age_s=30.0),
    "half": lambda name: script.WrongShape(source=name, how="half"),
    "other venue": lambda name: script.WrongShape(source=name, how="other_venue"),
    "html": lambda name: script.WrongShape(source=name, how="html"),
    "redirect": lambda name: script.WrongShape(source=name, how="redirect"),
    "text": lambda name: script.WrongShape(source=name, how="text"),
    "numbers": lambda name: script.WrongShape(source=name, how="numbers"),
    "empty list": lambda name: script.WrongShape(source=name, how="empty_list"),
    "error body": lambda name: script.WrongShape(source=name, how="error_body"),
    "rows missing": lambda name: script.MissingRows(source=name, share=0.3),
    "the same rows missing": lambda name: script.MissingRows(source=name, share=0.3, same=True),
    "clock": lambda name: script.PageClock(source=name, shift_s=300.0),
    "clock behind": lambda name: script.PageClock(source=name, shift_s=-300.0),
    "status 500": lambda name: script.Status(source=name, page="tickers", status=500),
    "hang": lambda name: script.Hang(source=name, page="tickers"),
}


LIARS = ("binance-spot", "mexc-futures", "okx-spot")  # take turns


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize(("lie", "name"), [(lie, LIARS[n % 3]) for n, lie in enumerate(LIES)])
def test_answers_that_lie_empty_nothing(
    instance: Instance, moving: Market, lie: str, name: str
) -> None:
    async def main() -> None:
        async with watching(instance, moving, name, LIES[lie](name)) as case:
            five = case.rounds(5)
            await until(lambda: five() or case.figure("failed") >= 3)
            if lie in ("stale", "stale, dated now"):
                await until(lambda: case.figure("lagging"))  # from when it has witnesses
            if lie == "redirect":  # the other host is not asked
                assert 0 == case.figure("rounds")
            assert not case.has_emptied()
            assert instance.quotes.survey(case.source)[0] >= N - 2

    run(main(), 60.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", VENUES)
def test_requests_stay_within_the_venues_weights(
    instance: Instance, moving: Market, name: str
) -> None:
    async def main() -> None:
        async with watching(instance, moving, name) as case:
            await until(case.rounds(3))
            for symbol_id in range(N):
                instance.questions.mark(case.source, symbol_id)
            instance.questions.wake()
            await until(lambda: case.figure("answers"))
            await until(case.rounds(1))
            # a late answer on a busy machine counts as failed; the limits hold all the same
            assert not case.has_emptied()
            weights = case.server.counters()[name].weights
            assert 0 == weights.refused
            for pool, most in weights.most.items():
                assert most <= max(1, weights.limits[pool] // 2), pool  # discovery has the rest

    run(main(), 60.0)
