"""The audit of one source, over HTTP, against a REST side by hand."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from aiohttp import web
from spreadcore import Instance
from spreadcore.errors import RegionLost

from scan.audit.kit import Desk, S, Side, auditing, config_for
from scan.feeds.kit import messages, run, until
from spreadscan.audit import rounds as rounds_module
from spreadscan.audit import status
from spreadscan.clock import now_ns
from spreadscan.inuse import maintenance_announced
from spreadscan.venues import VENUES, okx

NAMES = ["binance-spot", "okx-futures"]
pytestmark = pytest.mark.usefixtures("soon", "unweighed")


def json_of(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="application/json")


def rounds(desk: Desk, n: int) -> Callable[[], bool]:
    """Return what holds once n more rounds have come to an end, good or bad."""
    names = ("rounds", "failed")
    end = sum(desk.figure(name) for name in names) + n
    return lambda: sum(desk.figure(name) for name in names) >= end


# -- what is found out


@pytest.mark.parametrize("name", ["okx-futures", "okx-spot"])
def test_a_frozen_pair_is_wrong_after_two_rounds_and_no_other_ever(
    instance: Instance, name: str
) -> None:
    async def main() -> None:
        async with Side(name) as side:
            desk = Desk(instance, side)
            desk.fill()
            side.books[side.symbols[3]] = (101.0, 101.5)
            recv_ns = desk.quote(3)
            async with auditing(config_for(side, every_s=0.6), desk.lists(), instance):
                await until(lambda: desk.kind(3) == "wrong")
                assert desk.figure("rounds") <= 2
                assert recv_ns == desk.verdict(3).recv_ns
                assert 3 in instance.acts.take(desk.source)
                await until(rounds(desk, 2))
                others = {desk.kind(i) for i in range(20) if i != 3}
                assert {"confirmed"} == others
                assert 1 == desk.figure("wrong")  # counted once, however often it is found
                assert (20, 19, 1) == tuple(map(desk.figure, ("audited", "agreed", "accused")))
                assert desk.figure("below_ns")  # 95 % agree
                desk.empty(3)  # what the feed does
                await until(rounds(desk, 2))
                assert (19, 19, 0) == tuple(map(desk.figure, ("audited", "agreed", "accused")))
                assert 0 == desk.figure("below_ns")

    run(main())


def test_what_a_slot_holds_is_compared_in_the_units_of_the_wire(instance: Instance) -> None:
    async def main() -> None:
        async with Side("binance-spot") as side:
            desk = Desk(instance, side)
            desk.fill()
            desk.quote(2, multiplier=1000.0)
            lists = desk.lists()
            source = lists.sources["binance-spot"]
            row = source.symbols[2]
            thousand = msgspec.structs.replace(row.instrument, multiplier=1000.0)
            rows = list(source.symbols)
            rows[2] = msgspec.structs.replace(row, instrument=thousand)
            own = msgspec.structs.replace(source, symbols=tuple(rows))
            lists = msgspec.structs.replace(lists, sources={"binance-spot": own})
            async with auditing(config_for(side), lists, instance):
                await until(lambda: desk.kind(2) == "confirmed")

    run(main())


def test_a_confirmation_names_the_quote_and_when(instance: Instance) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            recv_ns = desk.quote(5)
            begin = now_ns()
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: desk.kind(5) == "confirmed")
                verdict = desk.verdict(5)
                assert recv_ns == verdict.recv_ns
                # rows of OKX tell their time, to a ms
                assert begin - S <= verdict.at_ns <= now_ns()
                await until(lambda: desk.figure("oldest_ns"))
                assert begin - S <= desk.figure("oldest_ns") <= now_ns()
                assert begin <= desk.figure("round_ns") <= now_ns()

    run(main())


def test_a_missing_row_of_a_venue_that_lists_what_trades_has_its_statuses_read(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status, "_SOON_S", 0.2)

    async def main() -> None:
        async with Side("binance-spot") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side), desk.lists(), instance):
                await until(rounds(desk, 1))
                side.books[side.symbols[7]] = side.books[side.symbols[8]] = None
                side.halted.add(side.symbols[7])  # P8's row is only missing
                await until(lambda: desk.kind(7) == "not_trading")
                assert 7 in instance.acts.take(desk.source)
                assert (1, 1) == (desk.figure("halts"), desk.figure("halted"))
                await until(lambda: desk.kind(8) == "accused")
                reads = desk.figure("status_reads")
                await until(rounds(desk, 3))  # a row that is missing for ever is asked about once
                assert reads == desk.figure("status_reads")
                desk.empty(7)
                side.halted.clear()
                side.books[side.symbols[7]] = (100.0, 100.5)
                await until(lambda: desk.kind(7) == "none")
                assert 7 in instance.acts.take(desk.source)
                desk.quote(7)
                await until(lambda: desk.kind(7) == "confirmed")
                await until(lambda: desk.kind(8) == "none")  # the list says that it trades
                assert "no_row" == desk.verdict(8).reason
                assert desk.figure("audited") == desk.figure("agreed") + desk.figure("not_judged")

    run(main())


# -- answers that are none


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer",
    [
        lambda: json_of("<html>", 200),
        lambda: json_of("[]"),
        lambda: json_of("{}"),
        lambda: json_of('{"code":"0","data":[]}'),
        lambda: json_of('{"code":-1003,"msg":"Too many requests"}'),
        lambda: json_of('[{"symbol":"BTCUSDT","price":"1"}]'),
        lambda: json_of('{"code":"0","data":[{"instId":"BTC-USDT-SWAP","last":"1"}]}'),
        lambda: json_of('{"retCode":0,"result":{"list":[{"symbol":"BTCUSDT"}]}}'),
        lambda: json_of("busy", 503),
        lambda: json_of("no", 404),
        lambda: web.Response(status=302, headers={"Location": "/elsewhere"}),
        lambda: json_of("null"),
    ],
)
def test_an_answer_that_is_none_empties_nothing(
    instance: Instance, name: str, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with Side(name) as side:
            desk = Desk(instance, side)
            desk.fill()
            side.fault = lambda kind: answer() if kind == "tickers" else None
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: desk.figure("failed") >= 2)
                assert {"none"} == desk.kinds()
                assert 0 == desk.figure("rounds") == desk.figure("round_ns")
                assert desk.figure("failing_ns")
                assert [] == instance.acts.take(desk.source)
                side.fault = lambda kind: None

    run(main(), 40.0)
    assert 1 == len(messages(caplog, "audit got no answer"))


def test_it_goes_on_when_the_venue_does_and_says_so_once(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            side.fault = lambda kind: json_of("busy", 503) if kind == "tickers" else None
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: desk.figure("failed") >= 2)
                side.fault = lambda kind: None
                await until(lambda: desk.kinds() == {"confirmed"})
                assert 0 == desk.figure("failing_ns")
                await until(lambda: messages(caplog, "audit goes on"))

    run(main())
    assert 1 == len(messages(caplog, "audit got no answer"))
    assert [{"source": "okx-futures"}] == messages(caplog, "audit goes on")


def test_a_half_list_empties_nothing(instance: Instance) -> None:
    async def main() -> None:
        async with Side("binance-spot") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side), desk.lists(), instance):
                await until(rounds(desk, 1))
                for symbol in side.symbols[10:]:
                    side.books[symbol] = None
                await until(rounds(desk, 4))
                assert desk.figure("incomplete") >= 3
                assert {"confirmed"} == desk.kinds()

    run(main())


def test_answers_of_five_minutes_ago_by_their_own_time_say_nothing(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    """Whose clock is wrong, or a cache: nothing is confirmed, nothing emptied, once said."""

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            side.row_age_s = 300.0
            side.books[side.symbols[3]] = (101.0, 101.5)
            async with auditing(config_for(side), desk.lists(), instance):
                # one is heard all the while, which does not make it agree with an old answer
                await until(lambda: desk.quote(4, 0.0) and desk.figure("lagging") >= 3)
                assert (0, 0) == (desk.figure("agreed"), desk.figure("accused"))
                assert {"none"} == desk.kinds()
                assert "lagging" == desk.verdict(3).reason
                assert 0 == desk.figure("renewals")
                assert 299 * S < desk.figure("lag_ns") < 302 * S

    run(main())
    (told,) = messages(caplog, "audit answers lag")
    assert 299 < told["lag_s"] < 302


def test_rows_that_are_dated_ahead_empty_nothing_and_are_told_once(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            side.row_age_s = -300.0
            side.books[side.symbols[3]] = (101.0, 101.5)
            async with auditing(config_for(side), desk.lists(), instance):
                await until(rounds(desk, 3))
                assert ("none", "lagging") == (desk.kind(3), desk.verdict(3).reason)
                assert desk.verdict(4).at_ns < now_ns() - 4 * S  # not of now
                side.row_age_s = 0.0
                await until(lambda: messages(caplog, "audit rows are dated well"))

    run(main())
    (told,) = messages(caplog, "audit rows are dated ahead of our clock")
    assert 299 < told["by_s"] < 301


def test_a_venue_wide_freeze_is_not_emptied_pair_by_pair(
    instance: Instance, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            for symbol in side.symbols[4:]:
                side.books[symbol] = (101.0, 101.5)
            begin = now_ns()
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: side.asked["maintenance"])
                await until(lambda: desk.figure("too_many") >= 5)
                assert 1 == desk.figure("renewals")  # the feed is asked for new sockets, once
                assert begin <= desk.figure("renew_ns") <= now_ns()
                assert {"none"} == desk.kinds()
                assert {"too_many"} == {desk.verdict(i).reason for i in range(20)}
                assert (4, 16) == (desk.figure("agreed"), desk.figure("accused"))
                assert desk.figure("below_ns")
                assert desk.figure("failing_ns")
                health, role = instance.health, instance.health.role("audit")
                assert "running" == health.info(role)["state"]
                monkeypatch.setattr(rounds_module, "DEGRADED_NS", S // 2)
                await until(lambda: health.info(role)["state"] == "degraded")
                side.books = dict.fromkeys(side.books, (100.0, 100.5))
                await until(lambda: health.info(role)["state"] == "running")
            for symbol in side.symbols[4:]:
                side.books[symbol] = (101.0, 101.5)
            for again_ns, renewals in ((300 * S, 1), (0, 2)):  # not by another audit either
                monkeypatch.setattr(rounds_module, "_RENEW_AGAIN_NS", again_ns)
                async with auditing(config_for(side), desk.lists(), instance):
                    end = desk.figure("too_many") + 2
                    await until(lambda end=end: desk.figure("too_many") >= end)
                    await until(lambda n=renewals: desk.figure("renewals") == n)

    run(main())
    (why,) = messages(caplog, "source not confirmed")
    assert "okx-futures" == why["source"]
    assert 1 == len(messages(caplog, "source confirmed again"))
    assert 2 == len(messages(caplog, "source seems frozen, its sockets are renewed"))
    told, *_ = messages(caplog, "audit contradicts too many")
    assert (16, 4) == (told["differ"], told["agree"])


# -- the process


def test_it_beats_and_takes_newer_lists(instance: Instance) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            side.halted.add(side.symbols[4])
            lists = desk.lists(10)
            health = instance.health
            role = health.role("audit")
            async with auditing(config_for(side), lists, instance, lambda: lists):
                await until(lambda: desk.kind(9) == "confirmed")
                await until(lambda: desk.kind(4) == "not_trading")
                assert "none" == desk.kind(15)
                assert "running" == health.info(role)["state"]
                assert 3 == health.info(role)["acked_generation"]
                lists = desk.lists(20, generation=4)
                await until(lambda: desk.kind(15) == "confirmed")
                assert 4 == health.info(role)["acked_generation"]
                assert "not_trading" == desk.kind(4)
                lists = desk.lists(3, generation=5)
                await until(lambda: desk.kind(4) == "none")
            assert "off" == health.info(role)["state"]

    run(main())


def test_a_halt_outlives_a_restart_of_the_audit(instance: Instance) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            side.halted.add(side.symbols[4])
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: desk.kind(4) == "not_trading")
            side.fault = lambda kind: json_of("", 503) if kind == "instruments" else None
            async with auditing(config_for(side), desk.lists(), instance):
                await until(rounds(desk, 2))
                assert "not_trading" == desk.kind(4)
            side.halted.clear()
            side.fault = lambda kind: None
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: desk.kind(4) == "confirmed")

    run(main())


def test_a_task_that_falls_is_told_and_the_others_go_on(
    instance: Instance, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fall(self: Any) -> float:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("spreadscan.audit.status.StatusRead.poll", fall)

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: messages(caplog, "job fell"))
                await until(rounds(desk, 2))
                assert {"confirmed"} == desk.kinds()

    run(main())
    assert 1 == len(messages(caplog, "job fell"))


def test_it_ends_where_its_instance_was_replaced(
    instance: Instance, make_instance: Callable[..., Instance]
) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: desk.figure("requests"))
                make_instance(n_symbols=64, force=True)
                await asyncio.sleep(1.0)

    with pytest.raises(RegionLost, match="the instance was replaced"):
        run(main())


def test_requests_are_counted_and_within_the_venues_limit(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VENUES, "okx-futures", okx.FUTURES)  # with its limit

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side), desk.lists(), instance):
                await until(rounds(desk, 3))
                # half of 20 in two seconds; nothing is sent twice
                assert side.asked.total() == desk.figure("requests") <= 10

    run(main())


# -- maintenance


def test_announced_maintenance_is_told_once_and_left_beside_the_instance(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            side.maintenance = [
                {"title": "Matching engine", "state": "ongoing", "begin": "1700000000000",
                 "end": "1700000600000", "serviceType": "5", "env": "1"},
                {"title": "Demo", "state": "scheduled", "begin": "", "end": "",
                 "serviceType": "5", "env": "2"},
            ]  # fmt: skip
            desk = Desk(instance, side)
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: maintenance_announced(instance))
            (found,) = maintenance_announced(instance)
            assert ("okx-futures", "ongoing", "Matching engine", "trading") == (
                found.source, found.state, found.title, found.what,
            )  # fmt: skip
            assert 1_700_000_000 * S == found.begin_ns

    run(main())
    (told,) = messages(caplog, "maintenance announced")
    assert "Matching engine" == told["title"]


# -- history


def test_a_run_leaves_a_row_of_each_source(instance: Instance) -> None:
    rows: list[tuple[str, dict[str, str]]] = []

    def write(day: str, row: dict[str, str]) -> bool:
        rows.append((day, row))
        return True

    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            desk.fill()
            async with auditing(config_for(side), desk.lists(), instance, write=write):
                await until(rounds(desk, 2))

    run(main())
    ((day, row),) = rows
    assert day == row["begin"][:10].replace("-", "")
    assert row["begin"] < row["end"]
    assert "okx-futures" == row["source"]
    assert 2 <= int(row["rounds"])
    assert 20 * int(row["rounds"]) == int(row["audited"]) == int(row["agreed"])
