"""A laboratory for simulated venues: servers on free ports, raw sockets, a watchdog.

The tests called test_raw_* know the venues from what these publish and from recordings alone:
nothing here or there comes from spreadscan.venues, so that an error which render and decode
share cannot hide. Timers are shortened; limits of a venue are its own unless a test says so.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import uvloop
from aiohttp import ClientWebSocketResponse, WSMsgType

from known import LATER, SOURCE_BY_NAME
from spreadscan.sim import Market, SimServer
from spreadscan.sim.protocols import PROTOCOLS


class Raw:
    """One socket and what came in on it."""

    def __init__(self, ws: ClientWebSocketResponse) -> None:
        self.ws = ws

    async def send(self, message: object) -> None:
        await self.ws.send_str(message if isinstance(message, str) else json.dumps(message))

    async def next(self, within_s: float = 3.0) -> Any:
        """Return the next frame: parsed JSON, text that is none, bytes, or None for silence."""
        try:
            message = await self.ws.receive(within_s)
        except TimeoutError:
            return None
        if message.type is WSMsgType.TEXT:
            try:
                return json.loads(message.data)
            except ValueError:
                return message.data
        return message.data if message.type is WSMsgType.BINARY else message

    async def next_where(self, wanted: Callable[[Any], bool], within_s: float = 3.0) -> Any:
        """Return the next frame for which `wanted` holds; fail if there is none in time."""
        async with asyncio.timeout(within_s):
            while True:
                frame = await self.next(within_s)
                if wanted(frame):
                    return frame

    async def all_within(self, seconds: float) -> list[Any]:
        """Return every frame of the next seconds."""
        found: list[Any] = []
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while (left := end - loop.time()) > 0:
            frame = await self.next(left)
            if frame is None or self.ws.closed:
                break
            found.append(frame)
        return found

    async def closed(self, within_s: float = 3.0) -> int | None:
        """Wait for the end, reading on; return the close code."""
        async with asyncio.timeout(within_s):
            while not self.ws.closed:
                await self.ws.receive()
        return self.ws.close_code


class Lab:
    """Two markets, and servers for them. still: no tick after time 0, only repeats are left."""

    def __init__(self) -> None:
        self.moving = Market(seed=1, rate=10_000.0, also=LATER)
        self.still = Market(seed=1, freeze_after_s=0.0, also=LATER)

    @asynccontextmanager
    async def serving(self, server: SimServer) -> AsyncIterator[aiohttp.ClientSession]:
        """Start and stop a server; yields an HTTP client."""
        await server.start()
        try:
            async with aiohttp.ClientSession() as session:
                yield session
        finally:
            await server.stop()

    @asynccontextmanager
    async def simulated(
        self, source: str, market: Market | None = None, **rules: Any
    ) -> AsyncIterator[Callable[..., Awaitable[Raw]]]:
        """Serve one source; yields a function that opens sockets."""
        changed = {source: replace(PROTOCOLS[source].rules, **rules)}
        server = SimServer(market or self.moving, sources=[source], rules=changed)
        async with self.serving(server) as session:
            url = server.endpoints()[source][1]
            base = url[: url.index("/", len("ws://"))]

            async def connect(path: str = "", **options: Any) -> Raw:
                return Raw(await session.ws_connect(base + path if path else url, **options))

            yield connect

    def run(self, test: Coroutine[Any, Any, None], seconds: float = 12.0) -> None:
        """Run a test in an event loop as the simulators use it, with a watchdog."""

        async def guarded() -> None:
            async with asyncio.timeout(seconds):
                await test

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(guarded())

    async def eventually(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds; the watchdog of run() is the limit."""
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def quiet_symbol(self, source: str) -> str:
        """Return a symbol that the source lists and that never trades."""
        source_id = SOURCE_BY_NAME[source].id
        index = next(index for s, index in sorted(self.moving.dead) if s == source_id)
        return self.moving.instruments[source_id][index].venue_symbol


@pytest.fixture(scope="session")
def lab() -> Lab:
    return Lab()
