"""Which pairs trade: by the instrument list, and by push."""

import asyncio
import logging
from dataclasses import replace

import msgspec
import pytest
from aiohttp import web
from spreadcore import Instance

from scan.audit.kit import Desk, Side, auditing, config_for
from scan.feeds.kit import messages, run, until
from spreadscan.audit import status
from spreadscan.venues import VENUES

pytestmark = pytest.mark.usefixtures("soon", "unweighed")
RARELY = {"every_s": 300.0}


@pytest.mark.parametrize("name", ["binance-spot", "okx-futures"])
def test_a_status_in_the_list_halts_at_once(instance: Instance, name: str) -> None:
    async def main() -> None:
        async with Side(name) as side:
            desk = Desk(instance, side)
            desk.fill()
            side.halted.add(side.symbols[3])
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: desk.kind(3) == "not_trading")
                assert 3 in instance.acts.take(desk.source)
                assert 1 == desk.figure("halted") == desk.figure("halts")
                assert desk.figure("status_reads")

    run(main())


@pytest.mark.parametrize("flag", [None, "true", 1, False, "missing"])
def test_only_a_status_halts_whatever_else_a_row_of_the_list_says(
    instance: Instance, flag: object
) -> None:
    async def main() -> None:
        async with Side("binance-spot") as side:
            desk = Desk(instance, side)
            desk.fill()
            side.rows[side.symbols[3]] = {"isSpotTradingAllowed": flag}
            side.rows[side.symbols[4]] = {"status": "BREAK"}
            side.rows[side.symbols[5]] = {"status": None if flag is None else "REOPENED"}
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: desk.kind(4) == "not_trading")
                assert 1 == desk.figure("halts")

    run(main())


def test_an_unknown_status_is_told_once_and_has_the_list_read(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: side.subscribed and desk.figure("status_reads"))
                side.halted.add(side.symbols[5])
                for i in (3, 3, 5):
                    await side.push(side.symbols[i], "LIVE")
                await side.push(side.symbols[4], "post_only")
                await until(lambda: desk.kind(4) == "not_trading")
                assert 1 == desk.figure("halts")
                await until(lambda: desk.kind(5) == "not_trading")  # by the list
                assert "not_trading" != desk.kind(3)

    run(main())
    (told,) = messages(caplog, "unknown status pushed, nothing is halted by it")
    assert "LIVE" == told["word"]


@pytest.mark.parametrize("again", ["the socket is back", "the audit is started again"])
def test_what_resumed_while_nobody_listened_is_found_out_by_the_list(
    instance: Instance, again: str
) -> None:
    """The first list may be older than the halt; the next one, a minute on, is not."""

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: side.subscribed and desk.figure("status_reads"))
                await side.push(side.symbols[3], "suspend")
                await until(lambda: desk.kind(3) == "not_trading")
                if again == "the socket is back":
                    await side.cut()
                    await until(lambda: desk.kind(3) != "not_trading")
                    return
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: desk.kind(3) != "not_trading")

    run(main())


def test_a_list_that_stays_contradicted_is_read_once_more_and_then_in_its_turn(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "_AGAIN_S", 0.1)

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill(-60.0)
            side.halted.update(side.symbols[3:9])
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: desk.figure("status_reads") == 2)
                await asyncio.sleep(1.0)
                assert 2 == desk.figure("status_reads")

    run(main())


def test_a_list_says_nothing_of_what_was_pushed_within_the_time_that_it_may_be_old(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "_OLDER_BY_NS", 60_000_000_000)

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: side.subscribed and desk.figure("status_reads"))
                await side.push(side.symbols[3], "suspend")
                await until(lambda: desk.kind(3) == "not_trading")
                await side.push(side.symbols[4], "unheard_of")  # has the list read
                await until(lambda: desk.figure("status_reads") == 2)
                await asyncio.sleep(0.1)
                assert "not_trading" == desk.kind(3)

    run(main())


@pytest.mark.parametrize(("age_s", "taken"), [(-5.0, False), (60.0, True)])
def test_a_list_that_halts_pairs_which_quote_is_not_believed(
    instance: Instance, caplog: pytest.LogCaptureFixture, age_s: float, taken: bool
) -> None:
    """It is old, cut or another venue's; a real halt ends the quotes."""

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill(age_s)
            side.halted.update(side.symbols[3:9])
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: desk.figure("status_reads"))
                await until(lambda: desk.kind(3) == "not_trading" or contradicted(caplog))
                assert taken == (desk.kind(3) == "not_trading")

    run(main())
    assert taken != bool(contradicted(caplog))


def contradicted(caplog: pytest.LogCaptureFixture) -> object:
    return messages(caplog, "statuses contradicted by quotes, not taken")


def test_a_push_halts_and_brings_back_at_once(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: side.subscribed and desk.figure("status_reads"))
                await side.push(side.symbols[3], "suspend")
                await until(lambda: desk.kind(3) == "not_trading")
                await side.push(side.symbols[3], "live")
                await until(lambda: desk.kind(3) != "not_trading")
                await side.push("OTHER-USDT-SWAP", "suspend")
                assert 3 in instance.acts.take(desk.source)
                await side.cut()
                await until(lambda: messages(caplog, "status socket lost"))
                await until(lambda: len(side._sockets) == 1)
                await side.push(side.symbols[5], "suspend")
                await until(lambda: desk.kind(5) == "not_trading")

    run(main())
    assert 1 == len(messages(caplog, "status socket is back"))


def test_a_list_that_halts_most_has_to_say_so_twice(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A field that has changed its meaning would empty the source."""
    monkeypatch.setattr(status, "_AGAIN_S", 1.0)

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            side.halted |= set(side.symbols[5:])
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: desk.figure("status_reads") == 1)
                assert 0 == desk.figure("halted")
                await until(lambda: desk.figure("halted") == 15)
                assert 2 == desk.figure("status_reads")

    run(main())
    (told,) = messages(caplog, "most pairs halted, asked again")
    assert (15, 20) == (told["halted"], told["of"])


def test_without_statuses_what_is_known_stays(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            side.fault = lambda kind: (
                web.Response(text="busy", status=503) if kind == "instruments" else None
            )
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: messages(caplog, "statuses unknown"))
                await until(lambda: desk.kinds() == {"confirmed"})

    run(main())


def test_a_list_that_is_wanted_is_asked_for_again_soon_where_there_was_no_answer(
    instance: Instance,
) -> None:
    async def main() -> None:
        async with Side("binance-spot") as side:
            desk = Desk(instance, side)
            desk.fill()
            busy = [web.Response(text="busy", status=503) for _ in range(2)]
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: desk.figure("status_reads") and desk.figure("rounds"))
                side.halted.add(side.symbols[3])
                side.books[side.symbols[3]] = None
                side.fault = lambda kind: busy.pop() if kind == "instruments" and busy else None
                await until(lambda: desk.kind(3) == "not_trading")
            assert not busy

    run(main())


def test_one_that_has_only_just_stopped_is_halted_by_the_next_list_which_is_read_soon(
    instance: Instance,
) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            desk.quote(3, age_s=0.0)
            side.halted.add(side.symbols[3])
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: desk.kind(3) == "not_trading")
                assert 2 == desk.figure("status_reads")

    run(main())


def test_one_that_quotes_although_the_list_halts_it_does_not_have_it_read_for_ever(
    instance: Instance,
) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill(-60.0)
            side.halted.add(side.symbols[3])
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: desk.figure("status_reads") == 2)
                await asyncio.sleep(2.5)  # a wanted list is read after one
                assert 2 == desk.figure("status_reads")
                assert 0 == desk.figure("halted")

    run(main())


@pytest.fixture
def leaves_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """A venue whose list leaves out what is halted, as Bybit's does, read every half a second."""
    venue = VENUES["okx-futures"]
    told = replace(
        venue,
        spec=msgspec.structs.replace(venue.spec, lists_halted=False),
        audit=replace(venue.audit, status_every_s=0.5),
    )
    monkeypatch.setitem(VENUES, "okx-futures", told)
    monkeypatch.setattr(status, "_AGAIN_S", 0.5)


@pytest.mark.usefixtures("leaves_out")
def test_what_two_lists_leave_out_is_halted_unless_it_is_heard(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "_ALIVE_NS", -60_000_000_000)  # no other rule is left to save it

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            side.unlisted |= {side.symbols[3], side.symbols[4]}
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: desk.quote(4, age_s=0.0) and desk.figure("status_reads") >= 4)
                assert {3} == {i for i in range(20) if desk.kind(i) == "not_trading"}
                side.unlisted.clear()
                await until(lambda: desk.kind(3) != "not_trading")

    run(main())


@pytest.mark.usefixtures("leaves_out")
@pytest.mark.parametrize(("n_quoting", "halted"), [(3, set()), (2, {54})])
def test_a_cut_list_halts_nothing_where_pairs_quote_that_it_lacks(
    instance: Instance, caplog: pytest.LogCaptureFixture, n_quoting: int, halted: set[int]
) -> None:
    """The quiet one beside them is as healthy as they are; two may be on their way out."""

    async def main() -> None:
        async with Side("okx-futures", n=60) as side:
            desk = Desk(instance, side)
            desk.fill()
            quoting = range(55, 55 + n_quoting)
            side.unlisted |= {side.symbols[i] for i in (54, *quoting)}

            def read() -> bool:
                for i in quoting:
                    desk.quote(i, age_s=0.0)
                return desk.figure("status_reads") >= 5

            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(read)
                assert halted == {i for i in range(60) if desk.kind(i) == "not_trading"}

    run(main())
    assert bool(contradicted(caplog)) != bool(halted)


@pytest.mark.usefixtures("leaves_out")
@pytest.mark.parametrize("missing", [{0}, set(range(10, 20))], ids=["the major", "half"])
def test_a_list_that_is_not_whole_halts_nothing(instance: Instance, missing: set[int]) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side, **RARELY), desk.lists(), instance):
                await until(lambda: desk.figure("status_reads") >= 1)
                side.unlisted |= {side.symbols[i] for i in missing | {3}}
                reads = desk.figure("status_reads")
                await until(lambda: desk.figure("status_reads") >= reads + 4)
                assert 0 == desk.figure("halted")

    run(main())
