"""Feed and audit of a source against its simulator, which lies by script (docs/faults.md)."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from spreadcore import Instance

from scan.audit.kit import auditing
from scan.feeds.kit import counter, lists_of, run, settings, until, working
from spreadscan.config import Audit, Config, Discovery, VenueSettings
from spreadscan.lists import Listed
from spreadscan.sim import Market, SimServer
from spreadscan.sim import faults as script
from spreadscan.sim.faults import Fault
from spreadscan.types import SOURCE_BY_NAME
from spreadscan.venues import VENUES

N = 40  # pairs of the source, the most traded ones
QUIET_S = 0.4  # a quote that stood for longer may be accused, in place of 5 to 10 s
pytestmark = pytest.mark.usefixtures("soon", "impatient")


@pytest.fixture(scope="session")
def moving() -> Market:
    return Market(seed=1, rate=3_000.0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, venue in list(VENUES.items()):
        pages = replace(venue.audit, older_by_s=QUIET_S)
        monkeypatch.setitem(VENUES, name, replace(venue, audit=pages))


class Case:
    def __init__(self, instance: Instance, name: str, server: SimServer) -> None:
        self.instance = instance
        self.name = name
        self.source = SOURCE_BY_NAME[name].id
        self.server = server

    def figure(self, name: str) -> int:
        return self.instance.audit.figures(self.source)[name]

    def verdict(self, i: int) -> str:
        return self.instance.audit.read(self.source, i).kind

    def count(self, name: str) -> int:
        return counter(self.instance, self.name, name)

    def of(self, kind: str) -> set[int]:
        return {i for i in range(N) if self.verdict(i) == kind}

    def rounds(self, n: int) -> Callable[[], bool]:
        """Return what holds after n more rounds, good or bad."""
        end = self.figure("rounds") + self.figure("failed") + n
        return lambda: self.figure("rounds") + self.figure("failed") >= end


@asynccontextmanager
async def watching(
    instance: Instance, market: Market, name: str, *faults: Fault, **audit: Any
) -> AsyncIterator[Case]:
    server = SimServer(market, sources=[name], faults=faults)
    await server.start()
    rows = [
        Listed(symbol_id=i, symbol=found.symbol, state="valid", instrument=found)
        for i, found in enumerate(market.instruments[SOURCE_BY_NAME[name].id][:N])
    ]
    rest_url, ws_url = server.endpoints()[name]
    config = Config(
        sources=(name,),
        audit=Audit(**{"every_s": 1.0, "funding_every_s": 0.0, **audit}),
        discovery=Discovery(rest_timeout_s=2.0),
        venues={name: VenueSettings(rest_url=rest_url, ws_url=ws_url)},
        feeds=settings("picows", beat_ms=50.0),
    )
    lists = lists_of(name, *rows)
    try:
        async with (
            working(VENUES[name], config, lists, instance),
            auditing(config, lists, instance),
        ):
            yield Case(instance, name, server)
    finally:
        await server.stop()


@pytest.mark.parametrize("name", VENUES)
def test_frozen_pairs_are_emptied_and_no_healthy_one_ever(
    instance: Instance, moving: Market, name: str
) -> None:
    async def main() -> None:
        fault = script.FrozenPairs(source=name, pairs=(0, 1), at_s=2.0)
        async with watching(instance, moving, name, fault) as case:
            await until(lambda: case.count("found_wrong") >= 2)
            await until(case.rounds(3))
            assert 2 == case.figure("wrong")
            frozen = {i for i in range(N) if instance.quotes.read(case.source, i).recv_ns == 0}
            assert {0, 1} <= frozen
            assert case.figure("audited") == case.figure("agreed") + case.figure("not_judged")

    run(main(), 60.0)
