"""Other people's client, ccxt, at a recording that is served: it sees the recorded prices."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from known import LATER
from scan.clients.test_ccxt import READS, aimed, listen, unified
from scan.feeds.kit import run, until
from scan.sim.recorded import kit
from scan.sim.recorded.kit import N
from spreadscan.sim import Market
from spreadscan.types import Book

Day = tuple[Path, dict[str, list[Book]]]


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(seed=1, rate=10_000.0, also=LATER)


@pytest.fixture(scope="module")
def day(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("yesterday") / "recording"
    return folder, kit.record(folder, market)


# of Gate the client wants pages, of margins and of other perpetuals, that no recording has
SERVED = [name for name, reads in READS.items() if reads and name not in LATER]


@pytest.mark.parametrize("name", SERVED)
def test_the_client_ends_with_the_recorded_prices(market: Market, day: Day, name: str) -> None:
    folder, last = day
    wanted = {
        (way, i): (book.bid_px, book.ask_px, book.bid_qty, book.ask_qty)
        for way in READS[name]
        for i, book in enumerate(last[name])
    }
    assert N * len(READS[name]) == len(wanted)

    async def main() -> None:
        heard: dict[Any, tuple[float, ...]] = {}
        options = {"speed": 4.0, "settle_s": 0.2}
        async with kit.serving(folder, **options) as server, aimed(name, server) as client:
            listeners = [
                asyncio.create_task(listen(client, way, unified(market, name, i), (way, i), heard))
                for way, i in wanted
            ]
            try:
                await until(
                    lambda: (
                        any(task.done() for task in listeners) or (server.ended and heard == wanted)
                    )
                )
            finally:
                for listener in listeners:
                    listener.cancel()
                ended = await asyncio.gather(*listeners, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended

    run(main(), 60.0)
