"""Eight exchanges in one event loop, a port each, paced by one loop; `run_sim` is the door.

The market says what is due, exchange.py sends it. A late wake catches up: times are absolute.
"""

import asyncio
import logging
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from ssl import SSLContext

import uvloop
from aiohttp import web

from spreadscan.clock import now_ns
from spreadscan.errors import ConfigError
from spreadscan.logs import facts
from spreadscan.sim.exchange import Counters, Exchange
from spreadscan.sim.faults import Fault, check
from spreadscan.sim.flood import Flood, Pacer
from spreadscan.sim.market import DEFAULT_RATE, Market
from spreadscan.sim.pages import Pages
from spreadscan.sim.protocols import PROTOCOLS, Rules
from spreadscan.sim.simtime import SimTime
from spreadscan.sim.tls import make_context
from spreadscan.types import SOURCE_BY_NAME, SOURCES

log = logging.getLogger(__name__)

_ALL = tuple(SOURCE_BY_NAME)
_WAKE_S = 0.003
_TIMERS_S = 0.05
_TICKS_PER_TURN = 500  # then the loop reads its sockets
# After a longer pause (a stopped process) the ticks before are left out, not sent in a burst.
_LONGEST_CATCH_UP_S = 1.0
_HTTP_SHUTDOWN_S = 0.2
_PORT_BASE_MAX = 65_535 - len(SOURCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOptions:
    """What `spreadscan sim` can be told. port_base 0: any free ports, else base + source id.

    tls_ca: serve https and wss, and write the authority to trust to this file.
    """

    seed: int = 1
    rate: float = DEFAULT_RATE
    speed: float = 1.0
    freeze_after_s: float | None = None
    port_base: int = 0
    host: str = "127.0.0.1"
    sources: tuple[str, ...] = _ALL
    flood: Flood | None = None
    faults: tuple[Fault, ...] = ()
    tls_ca: Path | None = None


class SimServer:
    """Serve a market. `time` maps simulated time to our clocks once start() has returned.

    rules: other limits and timers than the venue's, by source name. flood: send that and no
    tick, first push or repeat. faults: what goes wrong. tls: serve https and wss.
    """

    def __init__(
        self,
        market: Market,
        port_base: int = 0,
        host: str = "127.0.0.1",
        *,
        speed: float = 1.0,
        sources: Sequence[str] = _ALL,
        rules: Mapping[str, Rules] | None = None,
        flood: Flood | None = None,
        faults: Sequence[Fault] = (),
        tls: SSLContext | None = None,
    ) -> None:
        if not 0.0 < speed < math.inf:
            raise ConfigError(f"sim: speed is {speed}, expected more than 0")
        if not 0 <= port_base <= _PORT_BASE_MAX:
            raise ConfigError(f"sim: port is {port_base}, expected 0 to {_PORT_BASE_MAX}")
        unknown = [name for name in sources if name not in SOURCE_BY_NAME]
        if unknown:
            raise ConfigError(f"sim: found source '{unknown[0]}', expected one of {[*PROTOCOLS]}")
        check(faults)
        self.market = market
        self.time = SimTime(speed=speed)
        self.exchanges: dict[str, Exchange] = {}
        self.n_skipped = 0  # ticks left out after a long pause
        self._host = host
        self._port_base = port_base
        self._rules = dict(rules or {})
        self._sources = tuple(sources)
        self._flood = flood
        self._faults = tuple(faults)
        self._tls = tls
        self._by_id: list[Exchange | None] = [None] * len(SOURCES)
        self._ports: dict[str, int] = {}
        self._runners: list[web.AppRunner] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the ports; simulated time 0 is when all are open. ConfigError: a port is taken."""
        pages = Pages(self.market.instruments, time.time_ns() // 1_000_000)
        try:
            for name in self._sources:
                source_id = SOURCE_BY_NAME[name].id
                rules = self._rules.get(name, PROTOCOLS[name].rules)
                if self._flood:
                    rules = replace(rules, repeat_s=0.0, first_push_s=None)
                exchange = Exchange(
                    self.market,
                    source_id,
                    name,
                    self.time,
                    pages,
                    rules,
                    self._flood,
                    self._faults,
                )
                self.exchanges[name] = self._by_id[source_id] = exchange
                await self._listen(exchange, source_id)
        except BaseException:
            await self.stop()
            raise
        self.time.t0_boot_ns, self.time.t0_unix_ns = now_ns(), time.time_ns()
        self._tasks = [asyncio.create_task(self._watch())]
        flooders = [e.flooder for e in self.exchanges.values() if e.flooder]
        if self._flood is None:
            self._tasks.append(asyncio.create_task(self._pace()))
        elif self._flood.rate:
            self._tasks.append(asyncio.create_task(Pacer(self._flood, flooders).run()))

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

    async def _listen(self, exchange: Exchange, source_id: int) -> None:
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

    async def _pace(self) -> None:
        sim_time = self.time
        longest_ns = int(_LONGEST_CATCH_UP_S * 1e9 * sim_time.speed)
        while True:
            await self._publish(sim_time.sim_ns(now_ns()), longest_ns)
            now = now_ns()
            unix_ns = sim_time.unix_of_boot_ns(now)
            for exchange in self.exchanges.values():
                exchange.repeat(now * 1e-9, unix_ns)
                exchange.flush(now * 1e-9)
            await asyncio.sleep(_WAKE_S)

    async def _publish(self, until_ns: int, longest_ns: int) -> None:
        sim_time, by_id = self.time, self._by_id
        begin_ns = sim_time.done_ns
        if until_ns - begin_ns > longest_ns:
            self.n_skipped += sum(1 for _ in self.market.due(begin_ns, until_ns - longest_ns))
            begin_ns = until_ns - longest_ns
        now_s = now_ns() * 1e-9
        n = 0
        for tick_ns, series, k in self.market.due(begin_ns, until_ns):
            exchange = by_id[series.source_id]
            if exchange is None:
                continue
            sim_time.done_ns = tick_ns
            exchange.publish(series, k, tick_ns, now_s)
            n += 1
            if n % _TICKS_PER_TURN == 0:
                for touched in self.exchanges.values():
                    touched.flush(now_s)
                await asyncio.sleep(0)
        sim_time.done_ns = until_ns

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_TIMERS_S)
            now_s = now_ns() * 1e-9
            for exchange in self.exchanges.values():
                exchange.timers(now_s)


def _path(source_name: str) -> str:
    return PROTOCOLS[source_name].paths[0]


def run_sim(options: SimOptions, ready: Callable[[SimServer], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once, when every port is open.

    Blocks, in the main thread, with an event loop of its own. ConfigError: an option makes no
    sense or a port is taken.
    """
    market = Market(options.seed, options.rate, options.freeze_after_s)
    if market.rate_raised:
        log.warning("rate raised", extra=facts(asked=options.rate, rate=market.rate))
    server = SimServer(
        market,
        options.port_base,
        options.host,
        speed=options.speed,
        sources=options.sources,
        flood=options.flood,
        faults=options.faults,
        tls=make_context(options.tls_ca, options.host) if options.tls_ca else None,
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(server, ready))


async def _serve(server: SimServer, ready: Callable[[SimServer], None]) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    await server.start()
    try:
        ready(server)
        await server.wait(ended)
    finally:
        await server.stop()
