"""Simulated sources on local ports, a port each, and the tasks that keep them going."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from ssl import SSLContext
from typing import Any, Generic, TypeVar

from aiohttp import web

from spreadscan.catalogue import built_in
from spreadscan.clock import now_ns
from spreadscan.errors import ConfigError
from spreadscan.sim.exchange import Counters, Exchange
from spreadscan.sim.protocols import PROTOCOLS

_TIMERS_S = 0.05
_HTTP_SHUTDOWN_S = 0.2
_PORT_BASE_MAX = 65_535 - built_in().n_source_ids

_E = TypeVar("_E", bound=Exchange[Any])


class Server(Generic[_E]):
    """Serves `exchanges`, by source name; subclasses make them and feed them.

    port_base 0: any free ports, else base + source id. tls: serve https and wss. ConfigError: a
    port that is none.
    """

    def __init__(self, port_base: int, host: str, tls: SSLContext | None = None) -> None:
        if not 0 <= port_base <= _PORT_BASE_MAX:
            raise ConfigError(f"sim: port is {port_base}, expected 0 to {_PORT_BASE_MAX}")
        self.exchanges: dict[str, _E] = {}
        self._host = host
        self._port_base = port_base
        self._tls = tls
        self._ports: dict[str, int] = {}
        self._runners: list[web.AppRunner] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the ports and begin. ConfigError: a port is taken."""
        raise NotImplementedError

    def endpoints(self) -> dict[str, tuple[str, str]]:
        """Return (REST URL, WebSocket URL) of every source served."""
        s = "s" if self._tls else ""
        return {
            name: (f"http{s}://{self._host}:{port}", f"ws{s}://{self._host}:{port}{_path(name)}")
            for name, port in self._ports.items()
        }

    def counters(self) -> dict[str, Counters]:
        """Return the live counters of every source served."""
        return {name: exchange.counters for name, exchange in self.exchanges.items()}

    async def wait(self, ended: asyncio.Event) -> None:
        """Serve until the event is set; raise what ended a loop of the server before that."""
        waiter = asyncio.create_task(ended.wait())
        await asyncio.wait({waiter, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        for task in self._tasks:
            if task.done():
                task.result()

    async def stop(self) -> None:
        """Cut every socket, close every port; well within a second."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for exchange in self.exchanges.values():
            exchange.cut_all()
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))
        self._runners.clear()

    async def _open(self) -> None:
        try:
            for exchange in self.exchanges.values():
                await self._listen(exchange, built_in().source[exchange.name].id)
        except BaseException:
            await self.stop()
            raise
        self._go(self._watch())

    def _go(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work))

    async def _listen(self, exchange: _E, source_id: int) -> None:
        port = self._port_base + source_id if self._port_base else 0
        runner = web.AppRunner(exchange.app(), access_log=None, shutdown_timeout=_HTTP_SHUTDOWN_S)
        self._runners.append(runner)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, port, ssl_context=self._tls).start()
        except OSError as e:
            raise ConfigError(
                f"sim {exchange.name}: port {port} of {self._host} cannot be opened "
                f"({e.strerror}), expected a free one"
            ) from e
        self._ports[exchange.name] = runner.addresses[0][1]

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_TIMERS_S)
            now_s = now_ns() * 1e-9
            for exchange in self.exchanges.values():
                exchange.timers(now_s)


def _path(source_name: str) -> str:
    return PROTOCOLS[source_name].paths[0]


async def serve(server: Server[Any], ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once, when every port is open."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await server.start()
    try:
        ready()
        await server.wait(ended)
    finally:
        await server.stop()
