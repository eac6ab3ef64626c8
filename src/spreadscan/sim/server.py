"""Exchanges in one event loop, a port each, paced by one loop; `run_sim` is the door.

The market says what is due, exchange.py sends it. A late wake catches up: times are absolute.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from ssl import SSLContext

import uvloop

from spreadscan.catalogue import built_in
from spreadscan.clock import now_ns
from spreadscan.config import BY_DEFAULT
from spreadscan.errors import ConfigError
from spreadscan.logs import facts
from spreadscan.sim.faults import Fault, check
from spreadscan.sim.flood import Flood, Pacer
from spreadscan.sim.market import DEFAULT_RATE, Market
from spreadscan.sim.market_exchange import MarketExchange
from spreadscan.sim.pages import MOST_ROWS, Pages
from spreadscan.sim.pages.crowd import filler
from spreadscan.sim.ports import Server, serve
from spreadscan.sim.protocols import PROTOCOLS, Rules
from spreadscan.sim.simtime import SimTime
from spreadscan.sim.tls import make_context
from spreadscan.sim.universe import UNIVERSES

log = logging.getLogger(__name__)

_WAKE_S = 0.003
_TICKS_PER_TURN = 500  # then the loop reads its sockets
# After a longer pause (a stopped process) the ticks before are left out, not sent in a burst.
_LONGEST_CATCH_UP_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimOptions:
    """What `spreadscan sim` can be told. port_base 0: any free ports, else base + source id.

    universe: one of UNIVERSES. usdc: pairs in USDC, too. tls_ca: serve https and wss, and write the
    authority to trust to this file.
    """

    seed: int = 1
    universe: str = "small"
    usdc: bool = False
    rate: float = DEFAULT_RATE
    speed: float = 1.0
    freeze_after_s: float | None = None
    port_base: int = 0
    host: str = "127.0.0.1"
    sources: tuple[str, ...] = BY_DEFAULT
    flood: Flood | None = None
    faults: tuple[Fault, ...] = ()
    tls_ca: Path | None = None


class SimServer(Server[MarketExchange]):
    """Serve a market. `time` maps simulated time to our clocks once start() has returned.

    sources: of the market, None: all of it. rules: other limits and timers than the venue's, by
    source name. flood: send that and no tick, first push or repeat. faults: what goes wrong. tls:
    serve https and wss.
    """

    def __init__(
        self,
        market: Market,
        port_base: int = 0,
        host: str = "127.0.0.1",
        *,
        speed: float = 1.0,
        sources: Sequence[str] | None = None,
        rules: Mapping[str, Rules] | None = None,
        flood: Flood | None = None,
        faults: Sequence[Fault] = (),
        tls: SSLContext | None = None,
    ) -> None:
        if not 0.0 < speed < math.inf:
            raise ConfigError(f"sim: speed is {speed}, expected more than 0")
        sources = market.sources if sources is None else sources
        unknown = [name for name in sources if name not in market.sources]
        if unknown:
            known = [*market.sources] if unknown[0] in PROTOCOLS else [*PROTOCOLS]
            raise ConfigError(f"sim: found source '{unknown[0]}', expected one of {known}")
        check(faults)
        super().__init__(port_base, host, tls)
        self.market = market
        self.time = SimTime(speed=speed)
        self.n_skipped = 0  # ticks left out after a long pause
        self._rules = dict(rules or {})
        self._sources = tuple(sources)
        self._flood = flood
        self._faults = tuple(faults)
        self._by_id: list[MarketExchange | None] = [None] * built_in().n_source_ids

    async def start(self) -> None:
        """Open the ports; simulated time 0 is when all are open. ConfigError: a port is taken."""
        pages = self._pages(time.time_ns() // 1_000_000)
        for name in self._sources:
            source_id = built_in().source[name].id
            rules = self._rules.get(name, PROTOCOLS[name].rules)
            if self._flood:
                rules = replace(rules, repeat_s=0.0, first_push_s=None)
            exchange = MarketExchange(
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
        await self._open()
        self.time.t0_boot_ns, self.time.t0_unix_ns = now_ns(), time.time_ns()
        flooders = [e.flooder for e in self.exchanges.values() if e.flooder]
        if self._flood is None:
            self._go(self._pace())
        elif self._flood.rate:
            self._go(Pacer(self._flood, flooders).run())

    def _pages(self, unix_ms: int) -> Pages:
        market = self.market
        if not market.shape.rows:
            return Pages(market.instruments, unix_ms)
        more = filler(market.shape.rows, market.seed)
        return Pages(market.instruments, unix_ms, MOST_ROWS, more=more)

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


def run_sim(options: SimOptions, ready: Callable[[SimServer], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called once, when every port is open.

    Blocks, in the main thread, with an event loop of its own. ConfigError: an option makes no
    sense or a port is taken.
    """
    shape = UNIVERSES[options.universe]
    market = Market(
        options.seed,
        options.rate,
        options.freeze_after_s,
        shape=shape,
        also=options.sources,
        usdc=options.usdc,
    )
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
        runner.run(serve(server, lambda: ready(server)))
