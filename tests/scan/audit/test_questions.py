"""Questions of the engine and what becomes of them."""

import asyncio
import json
import logging
import random
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiohttp import web
from spreadcore import Instance

from scan.audit.kit import Desk, S, Side, auditing, config_for
from scan.feeds.kit import messages, run, until
from spreadscan.audit import questions
from spreadscan.audit.questions import Asked
from spreadscan.clock import now_ns
from spreadscan.config import VenueSettings

pytestmark = pytest.mark.usefixtures("soon", "unweighed")
RARELY = {"every_s": 300.0}  # no round comes in between


async def settled(desk: Desk) -> None:
    """Wait for what is asked at the start."""
    kinds = ("tickers", "instruments", "maintenance")
    await until(lambda: desk.figure("rounds") and all(map(desk.side.asked.get, kinds)))


def ask(desk: Desk, *ids: int) -> None:
    desk.instance.answers.take(desk.source)  # of rounds, which mark what they judge, too
    for symbol_id in ids:
        desk.instance.questions.mark(desk.source, symbol_id)
    desk.instance.questions.wake()


def answered(desk: Desk) -> list[int]:
    """Return what the engine is to look at again."""
    return desk.instance.answers.take(desk.source)


@pytest.mark.parametrize("name", ["binance-spot", "okx-futures"])
def test_a_quote_that_stands_is_confirmed_and_the_engine_looks_again(
    instance: Instance, name: str
) -> None:
    async def main() -> None:
        async with Side(name) as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await settled(desk)
                recv_ns = desk.quote(3)
                ask(desk, 3)
                await until(lambda: desk.verdict(3).recv_ns == recv_ns)
                assert "confirmed" == desk.kind(3)
                await until(lambda: 3 in answered(desk))
                assert (1, 1) == (desk.figure("questions"), desk.figure("answers"))
                assert [[side.symbols[3]]] == side.questions

    run(main())


def test_only_rows_with_a_time_prove_the_present_where_nothing_moves(instance: Instance) -> None:
    """No pair bears witness here: an answer of Binance spot may be five seconds old."""

    async def main(name: str) -> int:
        async with Side(name) as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await settled(desk)
                ask(desk, 3)
                await until(lambda: desk.figure("answers"))
                return now_ns() - desk.verdict(3).at_ns

    assert 0 <= run(main("okx-futures")) < 2 * S
    assert 5 * S <= run(main("binance-spot")) < 7 * S


def test_a_quote_that_differs_is_accused_and_the_next_round_proves_it(instance: Instance) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side, every_s=0.8), desk.lists(), instance):
                await settled(desk)
                side.books[side.symbols[3]] = (101.0, 101.5)
                ask(desk, 3)
                await until(lambda: 3 in answered(desk))
                assert "accused" == desk.kind(3)
                await until(lambda: desk.kind(3) == "wrong")

    run(main())


@pytest.mark.parametrize(("name", "requests"), [("binance-spot", 1), ("okx-futures", 5)])
def test_questions_of_a_moment_go_out_in_one_request_where_the_venue_takes_it(
    instance: Instance, name: str, requests: int
) -> None:
    async def main() -> None:
        async with Side(name) as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await settled(desk)
                for symbol_id in (3, 4, 5, 6, 7, 3):
                    ask(desk, symbol_id)
                await until(lambda: desk.figure("answers") >= 5)
                asked = sorted(symbol for group in side.questions for symbol in group)
                assert sorted(side.symbols[3:8]) == asked
                assert requests == len(side.questions)

    run(main())


def test_a_pair_is_asked_about_once_at_a_time(instance: Instance) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            go = asyncio.Event()

            async def late() -> Any:
                await go.wait()

            side.fault = lambda kind: late() if kind == "question" else None
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await settled(desk)
                ask(desk, 3)
                await until(lambda: side.asked["question"])
                ask(desk, 3)
                await until(lambda: desk.figure("questions") == 2)
                await asyncio.sleep(0.1)
                assert 1 == side.asked["question"]
                go.set()
                await until(lambda: desk.figure("answers"))

    run(main())


def test_without_an_answer_in_time_nothing_is_written(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()

            async def never() -> Any:
                await asyncio.sleep(30)

            config = config_for(side, answer_within_s=0.2, **RARELY)
            async with auditing(config, desk.lists(), instance):
                await settled(desk)
                before, recv_ns = desk.verdict(3), desk.quote(3)
                side.fault = lambda kind: never() if kind == "question" else None
                ask(desk, 3)
                await until(lambda: messages(caplog, "audit questions fail"))
                ask(desk, 3)
                await until(lambda: side.asked["question"] == 2)
                await asyncio.sleep(0.3)
                assert before == desk.verdict(3)
                assert [] == answered(desk)
                side.fault = lambda kind: None
                ask(desk, 3)
                await until(lambda: desk.verdict(3).recv_ns == recv_ns)

    run(main())
    assert 1 == len(messages(caplog, "audit questions fail"))
    assert 1 == len(messages(caplog, "audit questions are answered"))


def test_one_unknown_name_does_not_spoil_the_answers_about_others(instance: Instance) -> None:
    """Binance refuses the whole request for it."""

    async def main() -> None:
        async with Side("binance-spot") as side:
            desk = Desk(instance, side)
            desk.fill()
            answer = side._question

            def question(request: web.Request) -> bytes:
                if side.symbols[4] in request.query["symbols"]:
                    raise web.HTTPBadRequest(text='{"code":-1121,"msg":"Invalid symbol."}')
                return answer(request)

            side._question = question  # type: ignore[method-assign]
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await settled(desk)
                fresh = [desk.quote(i) for i in (3, 4, 5)]
                ask(desk, 3, 4, 5)
                await until(lambda: desk.verdict(5).recv_ns == fresh[2])
                assert desk.verdict(3).recv_ns == fresh[0]
                assert desk.verdict(4).recv_ns != fresh[1]

    run(main())


def test_a_quote_that_comes_while_it_is_asked_about_is_not_judged(instance: Instance) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()

            async def meanwhile() -> None:
                desk.quote(3, 0.0, (101.0, 101.5))

            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await settled(desk)
                desk.quote(3)
                side.fault = lambda kind: meanwhile() if kind == "question" else None
                ask(desk, 3)
                await until(lambda: desk.figure("answers"))
                assert "moved" == desk.verdict(3).reason

    run(main())


def test_rows_that_contradict_each_other_prove_nothing(instance: Instance) -> None:
    """A good row and one of zeros, in either order."""

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            good = side._tickers

            def double(request: web.Request, symbols: Sequence[str] = ()) -> bytes:
                page = json.loads(good(request, symbols))
                zeros = [row | {"bidPx": "0", "askPx": "0"} for row in page["data"][3:4]]
                if symbols:
                    zeros = [row | {"bidPx": "0", "askPx": "0"} for row in page["data"]]
                page["data"] = [*page["data"], *zeros][:: rng.choice([-1, 1])]
                return json.dumps(page).encode()

            rng, side._tickers = random.Random(1), double  # type: ignore[method-assign]
            async with auditing(config_for(side), desk.lists(), instance):
                for n in range(1, 6):
                    ask(desk, 3)
                    await until(lambda n=n: desk.figure("answers") >= n)
                await until(lambda: desk.figure("rounds") >= 5)
                assert ("none", "no_row") == desk.verdict(3)[:2]
                assert 0 == desk.figure("accused") == desk.figure("wrong")

    run(main())


@pytest.mark.parametrize(
    ("age_s", "oldest", "known"),
    [(1, 0, True), (99, 0, True), (101, 0, False), (1, None, True)],
)
def test_ages_that_were_measured_lately_count_and_the_oldest_of_them(
    age_s: int, oldest: int | None, known: bool
) -> None:
    source, nothing = SimpleNamespace(), SimpleNamespace()
    asked = Asked(source, nothing, nothing, 1.0)  # type: ignore[arg-type]
    sent_ns = 1_000 * S
    asked._measured += [(sent_ns - age_s * S, age) for age in (0, 0, oldest, 0, 0, 0)]
    lag = asked._lag_of_late(sent_ns)
    assert (known and oldest is not None, known and oldest is None) == (lag.ns == 0, lag.bad)


@pytest.mark.parametrize(("old", "soon"), [(1, 7), (99, 10)])
def test_an_age_that_is_too_old_is_measured_again_soon(
    monkeypatch: pytest.MonkeyPatch, old: int, soon: int
) -> None:
    """One that was our own fault is soon forgotten; a page that is old is not pressed for it."""
    sleep = asyncio.sleep
    waits: list[float] = []

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        await sleep(0)

    async def measure(ids: Sequence[int]) -> None:
        n = waits.count(questions._REPEAT_S)
        asked._measured.append((now_ns(), 60 * S if n < old else 0))

    async def main() -> None:
        task = asyncio.create_task(asked.measure())
        while questions._MEASURE_S not in waits:
            await sleep(0)
        task.cancel()

    judge = SimpleNamespace(is_too_old=lambda lag: lag.bad or (lag.ns or 0) > 5 * S)
    nothing = SimpleNamespace()
    asked = Asked(SimpleNamespace(judge=judge), nothing, nothing, 1.0)  # type: ignore[arg-type]
    monkeypatch.setattr(asked, "_moving", lambda n: [3])
    monkeypatch.setattr(asked, "_measure", measure)
    monkeypatch.setattr(asked, "_repeat", lambda ids: sleep(0))
    monkeypatch.setattr(questions.asyncio, "sleep", wait)
    run(main())
    assert soon == waits.count(questions._REPEAT_S)


def test_a_question_about_a_halted_pair_is_answered_by_what_is_known(instance: Instance) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            side.halted.add(side.symbols[3])
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await settled(desk)
                await until(lambda: desk.kind(3) == "not_trading")
                ask(desk, 3)
                await until(lambda: 3 in answered(desk))
                assert "not_trading" == desk.kind(3)

    run(main())


def test_a_pair_that_is_not_ours_is_not_asked_about(instance: Instance) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side, **RARELY), desk.lists(10), instance):
                ask(desk, 15)
                await until(lambda: desk.figure("questions"))
                await asyncio.sleep(0.1)
                assert 0 == side.asked["question"]

    run(main())


def test_a_pair_that_is_refused_is_that_pairs_matter(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    """No other address is asked or taken into use, and the other pairs are answered."""
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with Side("binance-spot") as side, Side("binance-spot") as other:
            desk = Desk(instance, side)
            desk.fill()
            bad = side.symbols[3]
            no = '{"code":-1121,"msg":"Invalid symbol."}'
            good = side._question

            def question(request: web.Request) -> bytes:
                if bad in request.query["symbols"]:
                    side.questions.append([bad])
                    raise web.HTTPBadRequest(text=no, content_type="application/json")
                return good(request)

            side._question = question  # type: ignore[method-assign]
            config = config_for(side, **RARELY)
            both = {side.name: VenueSettings(rest_url=(side.url, other.url))}
            config = msgspec.structs.replace(config, venues=both)
            async with auditing(config, desk.lists(), instance):
                await settled(desk)
                for n in range(1, 4):
                    ask(desk, 3)
                    await until(lambda n=n: side.questions.count([bad]) == n)  # type: ignore[misc]
                    ask(desk, 4)
                    await until(lambda n=n: desk.figure("answers") == n)  # type: ignore[misc]
            assert [] == other.questions

    run(main())
    assert 1 == len(messages(caplog, "audit question refused"))
    for line in ("audit questions fail", "address given up, the next is tried"):
        assert [] == messages(caplog, line)
