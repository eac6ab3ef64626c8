"""A bad day in a test: a few small exchanges with hooks, and the real program run against them.

The exchanges speak the simulators' protocols (conversations, pages), from a thread of the test;
a test subclasses Fake and overrides the hooks that its bad day needs.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import WSMsgType, web
from spreadcore.region import exists, unlink

from known import SOURCES
from spreadscan.catalogue import built_in
from spreadscan.sim.connection import Connection
from spreadscan.sim.exchange import Body, Exchange, Topic
from spreadscan.sim.fault_effects import FaultEffects
from spreadscan.sim.faults import Halt
from spreadscan.sim.pages import Pages
from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.rows import Rows
from spreadscan.sim.pages.tickers.view import View
from spreadscan.sim.ports import Server
from spreadscan.sim.protocols import PROTOCOLS, Answer
from spreadscan.sim.simtime import Moment, SimTime
from spreadscan.types import Book, Instrument
from spreadscan.venues import VENUES

COINS: dict[str, float] = {
    "BTC": 60_000.0, "ETH": 3_000.0, "SOL": 150.0, "XRP": 0.5, "DOGE": 0.1, "ADA": 0.4,
    "LTC": 80.0, "LINK": 15.0, "AVAX": 30.0, "DOT": 6.0, "UNI": 7.0, "ATOM": 8.0,
}  # fmt: skip
AUDITED = "\naudit.enabled = true\naudit.every_s = 1.0\naudit.funding_every_s = 0.0"
TRANSPORTS = ("picows", "aiohttp")
_NUMBER = web.RequestKey("number", int)


def venue_symbol(source: str, coin: str) -> str:
    """Return how a source writes the coin's USDT pair."""
    if source == "mexc-futures":
        return f"{coin}_USDT"
    if source.startswith("okx"):
        return f"{coin}-USDT-SWAP" if source == "okx-futures" else f"{coin}-USDT"
    return f"{coin}USDT"


def instrument(source: str, coin: str, **more: Any) -> Instrument:
    """Return the coin as the source lists it; its sizes are contracts where the source has them."""
    contracts = source in ("mexc-futures", "okx-futures")
    facts = {
        "venue_symbol": venue_symbol(source, coin), "base": coin, "listed_base": coin,
        "quote": "USDT", "contract_size": 0.01 if contracts else 1.0, "tick": 0.01,
        "lot_step": 0.001, "min_qty": 0.001, "min_notional": 5.0,
    }  # fmt: skip
    return Instrument(**facts | more)


class Heard(NamedTuple):
    """What an exchange noticed: seconds since it opened, what, and facts."""

    at_s: float
    what: str  # "page", "handshake", "request", "close"
    facts: Any


class Fake(Exchange[Topic]):
    """One source with hooks. Attributes may be changed by the test while it serves.

    coins: price by coin; each subscribed pair quotes every `every_s` seconds unless it is mute.
    """

    every_s = 0.2
    qty = 1000.0  # at each touch, in wire units
    half_spread = 1e-4  # of the price

    def __init__(self, source: str, coins: Mapping[str, float] | None = None) -> None:
        self.px = {venue_symbol(source, c): p for c, p in (coins or COINS).items()}
        self.listing = [instrument(source, coin) for coin in (coins or COINS)]
        self.mute: set[str] = set()  # venue symbols that say nothing more
        self.halted: set[str] = set()  # of which its pages say that they do not trade
        self.update_id = 1_000_000
        self.heard: list[Heard] = []
        self.n_sockets = 0  # that asked to open, refused ones too
        self.opened_s = time.monotonic()
        self.server: Fakes | None = None
        self._numbers: dict[Connection, int] = {}
        topics = [Topic(symbol) for symbol in self.px]
        super().__init__(
            source, PROTOCOLS[source].rules, topics, FaultEffects(source, (), SimTime(), 0), 0
        )

    # -- hooks, called in the exchange's thread

    async def rest(self, page: str, request: web.Request) -> web.Response | None:
        """Answer a page ("instruments", "funding", "time") otherwise than well; None: as usual."""
        return None

    def body(self, page: str, whole: bytes) -> bytes:
        """Return what a page says in place of `whole`."""
        return whole

    async def handshake(self, number: int, request: web.Request) -> web.Response | None:
        """Refuse socket `number` (1 is the first) with an answer; None: open it."""
        return None

    def hear(self, connection: Connection, number: int, text: str) -> Answer | None:
        """Answer a text that socket `number` sent; None: as the venue does."""
        return None

    def quote(self, symbol: str, number: int) -> Book | None:
        """Return the next top of book for socket `number`, in wire units; None: nothing now."""
        px = self.px[symbol]
        self.update_id += 1
        return Book(
            symbol,
            px * (1 - self.half_spread),
            self.qty,
            px * (1 + self.half_spread),
            self.qty,
            time.time_ns(),
            self.update_id,
        )

    # -- what tests ask

    def note(self, what: str, facts: Any = None) -> None:
        self.heard.append(Heard(time.monotonic() - self.opened_s, what, facts))

    def times(self, what: str) -> list[float]:
        """Return when something was heard, in seconds since the exchange opened."""
        return [h.at_s for h in self.heard if h.what == what]

    def call(self, work: Callable[[], Any]) -> None:
        """Do something in the exchange's thread."""
        assert self.server
        self.server.loop.call_soon_threadsafe(work)

    def list_coin(self, coin: str, price: float, **more: Any) -> None:
        """List one more coin (before the exchange opens, or while it serves)."""
        row = instrument(self.name, coin, **more)
        self.px[row.venue_symbol] = price
        self.listing.append(row)
        self._add(Topic(row.venue_symbol))

    # -- the exchange

    def push(self) -> None:
        """Send one quote of every subscribed pair that speaks."""
        for symbol, topic in list(self._by_symbol.items()):
            if symbol in self.mute:
                continue
            for connection in list(topic.subscribers):
                book = self.quote(symbol, self._numbers[connection])
                if book is not None:
                    self._push(topic, VENUES[self.name].render(book), [connection])
        self.flush(time.monotonic())

    def close_sockets(self, code: int, reason: str = "", numbers: Sequence[int] = ()) -> None:
        """Close open sockets (those numbers, else all) with a close frame; call() it."""
        for connection, number in list(self._numbers.items()):
            if not numbers or number in numbers:
                self._later(connection.close(code, reason))

    def _unix_ns(self) -> int:
        return time.time_ns()

    def _instrument_page(self, query: Mapping[str, str]) -> bytes:
        lists = [self.listing if s.name == self.name else () for s in SOURCES]
        pages = Pages(lists, time.time_ns() // 1_000_000, others=False)
        return pages.with_halted(self.name, self.halted).get(self.name, query)

    def _funding_page(self, query: Mapping[str, str]) -> Body:
        path = self.pages.funding_path
        if path in self.pages.tickers:
            return self._ticker_page(path, query)
        raise web.HTTPNotFound(text="no funding here")

    def _ticker_page(self, path: str, query: Mapping[str, str]) -> Body:
        views = {source.name: Shown(self) for source in SOURCES}
        return self.pages.tickers[path](query, views, dict, time.time_ns() // 1_000_000)

    async def _page(self, page: str, request: web.Request, render: Any) -> web.Response:
        self.note("page", page)
        answer = await self.rest(page, request)
        if answer is not None:
            return answer
        try:
            found = render(request.query)
        except Refusal as no:
            return web.Response(body=no.body, status=no.status, content_type="application/json")
        whole = await found.in_pieces() if isinstance(found, Rows) else found
        return web.Response(body=self.body(page, whole), content_type="application/json")

    async def _socket(self, request: web.Request) -> Any:
        self.n_sockets += 1
        number = self.n_sockets
        self.note("handshake", number)
        refused = await self.handshake(number, request)
        if refused is not None:
            return refused
        request[_NUMBER] = number
        return await super()._socket(request)

    def _open(self, request: web.Request, ws: Any, transport: Any) -> Connection:
        self._opening = request[_NUMBER]
        return super()._open(request, ws, transport)

    def _opened(self, connection: Connection) -> None:
        self._numbers[connection] = self._opening

    def _closed(self, connection: Connection) -> None:
        self.note("close", self._numbers.pop(connection, None))

    def _hear(self, connection: Connection, kind: WSMsgType, data: object) -> Answer:
        if kind is WSMsgType.TEXT and isinstance(data, str):
            number = self._numbers.get(connection, 0)
            self.note("request", (number, data))
            answer = self.hear(connection, number, data)
            if answer is not None:
                self._apply(connection, answer)
                return answer
        return super()._hear(connection, kind, data)

    def _first_push(self, connection: Connection, topic: Topic, now_s: float) -> None:
        pass  # the next turn of quotes brings it


class Shown(View):
    """What the pages of a fake show: its books as of now."""

    def __init__(self, fake: Fake) -> None:
        self._fake = fake
        self._source = built_in().source[fake.name]
        self._time = SimTime()
        self._index = {symbol: i for i, symbol in enumerate(fake.px)}
        self._moment = Moment(0.0, 0, time.time_ns())
        self._halts = {symbol: Halt(source=fake.name) for symbol in fake.halted}
        absent = {symbol for symbol in fake.halted if self._shows(symbol) == "absent"}
        self._hidden = absent

    def _last(self, symbol: str) -> Book | None:
        return self._fake.quote(symbol, 0)


class Fakes(Server[Fake]):
    """Serves fakes from a thread of its own."""

    def __init__(self, fakes: Sequence[Fake], port_base: int = 0) -> None:
        super().__init__(port_base, "127.0.0.1")
        self.exchanges = {fake.name: fake for fake in fakes}
        self.loop = asyncio.new_event_loop()
        for fake in fakes:
            fake.server = self

    async def start(self) -> None:
        await self._open()
        for fake in self.exchanges.values():
            fake.opened_s = time.monotonic()
            self._go(self._pace(fake))

    async def _pace(self, fake: Fake) -> None:
        while True:
            fake.push()
            await asyncio.sleep(fake.every_s)


class Case:
    """Fakes that serve, a folder with their config, and commands run in it."""

    def __init__(self, folder: Path, server: Fakes, extra: str = "") -> None:
        self.folder = folder
        self.instance = f"case-{os.getpid()}-{secrets.token_hex(3)}"
        self.config = folder / "cfg.toml"
        lines = [
            f"instance = {json.dumps(self.instance)}",
            f"sources = {json.dumps(list(server.exchanges))}",
            # it would open sockets and ask pages that a test counts
            *(() if "audit.enabled" in extra else ("audit.enabled = false",)),
            extra,
        ]
        for name, (rest_url, ws_url) in server.endpoints().items():
            lines += [f"[venues.{name}]", f'rest_url = "{rest_url}"', f'ws_url = "{ws_url}"']
        self.config.write_text("\n".join(lines) + "\n")

    def command(self, *arguments: str) -> list[str]:
        name, *others = arguments
        words = [name, *([others.pop(0)] if name == "ctl" else [])]
        return [sys.executable, "-m", "spreadscan", *words, "-c", str(self.config), *others]

    def run(self, *arguments: str, timeout: float = 90.0) -> "subprocess.CompletedProcess[str]":
        """Run a command with the case's config to its end; output as text."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=environment(),
        )

    @contextmanager
    def scanning(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """Run `spreadscan run` beside the test; it is stopped at the end, then killed."""
        process = subprocess.Popen(
            self.command("run", *arguments),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            try:
                process.communicate(timeout=15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate(timeout=15)  # an orphan may hold its pipes

    def status(self) -> dict[str, Any]:
        """Return what `ctl status --json` says; {} while there is nothing to attach to."""
        text = self.run("ctl", "status", "--json").stdout
        found: dict[str, Any] = json.loads(text) if text.startswith("{") else {}
        return found

    def log(self) -> str:
        """Return every log line written so far."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("logs/*")))

    def opens(self) -> list[str]:
        """Return the OPEN rows written so far."""
        files = sorted(self.folder.glob("data/signals-*.csv"))
        return [
            line for path in files for line in path.read_text().splitlines() if ",OPEN," in line
        ]


@contextmanager
def case(folder: Path, *fakes: Fake, extra: str = "") -> Iterator[Case]:
    """Serve fakes and give what runs the program against them. extra: lines of top-level TOML."""
    server = Fakes(fakes)
    started = threading.Event()

    async def main() -> None:
        await server.start()
        started.set()
        await ended.wait()
        await server.stop()

    ended = asyncio.Event()
    thread = threading.Thread(target=server.loop.run_until_complete, args=(main(),), daemon=True)
    thread.start()
    assert started.wait(10), "the fakes did not open"
    made = Case(folder, server, extra)
    try:
        yield made
    finally:
        server.loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        server.loop.close()
        if exists(made.instance):
            unlink(made.instance)


def until(condition: Callable[[], Any], what: str, within_s: float = 30.0) -> Any:
    """Wait for a condition; its value. Fails the test, naming what was awaited."""
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {within_s:g} s: {what}")


def environment() -> dict[str, str]:
    """Return an environment without settings of the user's."""
    others = {k: v for k, v in os.environ.items() if not k.startswith("SPREAD_")}
    return others | {"NO_COLOR": "1", "COLUMNS": "200"}
