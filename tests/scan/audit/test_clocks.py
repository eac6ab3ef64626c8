"""Clocks of venues: measured while it runs, told once, and nothing is told that is not proven."""

import asyncio
from collections.abc import Callable

import pytest
from spreadcore import Instance

from scan.audit.kit import Desk, Side, auditing, config_for
from scan.feeds.kit import messages, run, until
from spreadscan.app.status import status
from spreadscan.app.truth import troubles
from spreadscan.audit import clocks
from spreadscan.audit.agreement import is_skewed
from spreadscan.clock import now_ns
from spreadscan.inuse import MeasuredClock, clocks_measured

pytestmark = pytest.mark.usefixtures("soon", "unweighed")
DIFFERS, AGREES = "our clock differs from a venue's", "our clock agrees with all venues' again"


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "_EVERY_S", 0.1)


def measured(instance: Instance, name: str) -> Callable[[], MeasuredClock | None]:
    """Return what gives the measurement after the next, which nothing before has an effect on."""
    seen: list[int] = []

    def newer() -> MeasuredClock | None:
        found = clocks_measured(instance).get(name)
        if found and found.at_ns not in seen:
            seen.append(found.at_ns)
        return found if len(seen) > 2 else None

    return newer


@pytest.mark.parametrize("name", ["binance-spot", "okx-futures"])
def test_it_is_measured_told_once_and_degrades_while_it_lasts(
    instance: Instance, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")

    async def main() -> None:
        async with Side(name) as side:
            desk, config = Desk(instance, side), config_for(side)
            lease = instance.lease("audit")
            async with auditing(config, desk.lists(), instance):
                for ahead_s in (0.0, -3.0, 3.0, 0.0):
                    side.clock_ahead_s = ahead_s
                    newer = measured(instance, name)
                    await until(newer)
                    found = newer()
                    assert found
                    # the venue's is ahead by so much: ours is behind
                    assert abs(found.ahead_ms + ahead_s * 1e3) <= found.unsure_ms + 1.0
                    told = [t for t in troubles(instance, config, now_ns()) if t.kind == "clock"]
                    assert bool(ahead_s) == bool(told)
                    if ahead_s:
                        (line,) = (trouble.words for trouble in told)
                        sign = "-" if ahead_s > 0 else "+"
                        assert f"{name}: our clock is ahead of the venue's by {sign}" in line
                        seen = status(instance, config)
                        assert line in [trouble["words"] for trouble in seen["audit"]["troubles"]]
                        assert seen["audit"]["sources"][name]["clock_ahead_ms"] == pytest.approx(
                            -ahead_s * 1e3, abs=500.0
                        )
            lease.close()

    run(main())
    assert (1, 1) == (len(messages(caplog, DIFFERS)), len(messages(caplog, AGREES)))


def test_an_answer_that_took_long_proves_nothing(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            desk = Desk(instance, side)
            side.fault = lambda kind: asyncio.sleep(0.5) if kind == "time" else None
            side.clock_ahead_s = 0.1
            async with auditing(config_for(side), desk.lists(), instance):
                newer = measured(instance, "okx-futures")
                await until(newer)
                found = newer()
                assert found
                assert 250.0 <= found.unsure_ms
                assert 200.0 < abs(found.ahead_ms)
                assert abs(found.ahead_ms + 100.0) <= found.unsure_ms + 1.0

    run(main(), 20.0)
    assert [] == messages(caplog, DIFFERS)


def test_a_venue_that_does_not_say_is_told_once_and_unknown(
    instance: Instance, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        async with Side("okx-futures") as side:
            from aiohttp import web

            desk = Desk(instance, side)
            side.fault = lambda kind: web.Response(text="[]") if kind == "time" else None
            async with auditing(config_for(side), desk.lists(), instance):
                await until(lambda: side.asked["time"] > 3)
            assert {} == clocks_measured(instance)

    run(main())
    assert 1 == len(messages(caplog, "venue's time unknown"))


@pytest.mark.parametrize(
    ("ahead_ms", "unsure_ms", "skewed"),
    [(200.0, 0.0, False), (200.5, 0.0, True), (-201.0, 0.5, True), (900.0, 701.0, False)],
)
def test_only_what_is_proven_is_skewed(ahead_ms: float, unsure_ms: float, skewed: bool) -> None:
    assert skewed == is_skewed(ahead_ms, unsure_ms)
