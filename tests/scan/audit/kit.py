"""Tools of the audit's tests: a venue's REST side and push socket by hand, and a worker on them."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import WSMsgType, web
from spreadcore import Instance
from spreadcore.audit import VerdictTuple

from known import SOURCE_BY_NAME, SOURCES
from scan.feeds.kit import Stop, lists_of, row
from spreadscan.audit.worker import AuditWorker
from spreadscan.clock import now_ns
from spreadscan.config import Audit, Config, Discovery, VenueSettings
from spreadscan.lists import Lists
from spreadscan.sim.pages import PAGES, Pages, time_page
from spreadscan.types import Instrument

S = 10**9


def symbols_of(name: str, n: int) -> list[str]:
    """Return venue symbols, the first of a major coin."""
    coins = ["BTC", *(f"C{i}" for i in range(1, n))]
    form = "{}-USDT-SWAP" if name == "okx-futures" else "{}USDT"
    return [form.format(coin) for coin in coins]


def coin_of(i: Instrument) -> Instrument:
    """Return an instrument that tells its coin."""
    coin = i.venue_symbol.split("-")[0].removesuffix("USDT")
    return msgspec.structs.replace(i, base=coin, listed_base=coin)


class Side:
    """binance-spot or okx-futures over HTTP, and the socket on which OKX pushes statuses.

    books: bid and ask by symbol, None = no row. halted: symbols that the lists say do not trade;
    unlisted: those that they do not have. rows: what they say besides of a symbol, "missing" where
    a row does not have that.
    fault(kind) -> an answer in place of the good one, None for that; kind is "tickers",
    "question", "instruments", "maintenance", "time" or "funding". asked counts by kind.
    """

    def __init__(self, name: str, n: int = 20, tick: float = 0.01) -> None:
        self.name = name
        self.symbols = symbols_of(name, n)
        self.tick = tick
        self.books: dict[str, tuple[float, float] | None] = {
            symbol: (100.0, 100.5) for symbol in self.symbols
        }
        self.halted: set[str] = set()
        self.unlisted: set[str] = set()
        self.rows: dict[str, dict[str, Any]] = {}
        self.asked: Counter[str] = Counter()
        self.questions: list[list[str]] = []
        self.fault: Callable[[str], Any] = lambda kind: None
        self.row_age_s = 0.0
        self.clock_ahead_s = 0.0  # of ours
        self.maintenance: list[dict[str, Any]] = []
        self.subscribed: list[str] = []
        self._sockets: list[web.WebSocketResponse] = []

    async def __aenter__(self) -> "Side":
        app = web.Application()
        app.router.add_get("/ws", self._socket)
        app.router.add_get("/{path:.*}", self._page)
        self._runner = web.AppRunner(app, shutdown_timeout=0.01)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        for socket in self._sockets:
            await socket.close()
        await self._runner.cleanup()

    # -- REST

    async def _page(self, request: web.Request) -> web.StreamResponse:
        kind = self._kind(request)
        self.asked[kind] += 1
        found = self.fault(kind)
        if asyncio.iscoroutine(found):
            found = await found
        if found is not None:
            return found
        body = {
            "tickers": self._tickers, "question": self._question, "instruments": self._instruments,
            "maintenance": self._maintenance, "time": self._time,
        }[kind](request)  # fmt: skip
        return web.Response(body=body, content_type="application/json")

    def _kind(self, request: web.Request) -> str:
        if request.path == PAGES[self.name].instruments_path:
            return "instruments"
        if "status" in request.path:
            return "maintenance"
        if "funding" in request.path:
            return "funding"
        if request.path == PAGES[self.name].time_path:
            return "time"
        one = request.path.endswith("/market/ticker") or "symbols" in request.query
        return "question" if one else "tickers"

    def _tickers(self, request: web.Request, symbols: Sequence[str] = ()) -> bytes:
        rows = [(s, b) for s, b in self.books.items() if b and s in (symbols or self.books)]
        if self.name == "binance-spot":
            return json.dumps(
                [
                    {"symbol": s, "bidPrice": str(b), "bidQty": "1", "askPrice": str(a),
                     "askQty": "1"}
                    for s, (b, a) in rows
                ]
            ).encode()  # fmt: skip
        ts = str(int((time.time() - self.row_age_s) * 1e3))
        data = [{"instId": s, "bidPx": str(b), "askPx": str(a), "ts": ts} for s, (b, a) in rows]
        return json.dumps({"code": "0", "msg": "", "data": data}).encode()

    def _question(self, request: web.Request) -> bytes:
        given = request.query
        asked = json.loads(given["symbols"]) if "symbols" in given else [given["instId"]]
        self.questions.append(asked)
        return self._tickers(request, asked)

    def _instruments(self, request: web.Request) -> bytes:
        listing = [
            Instrument(
                venue_symbol=symbol, base=symbol.split("-")[0].removesuffix("USDT"),
                listed_base=symbol.split("-")[0].removesuffix("USDT"), quote="USDT",
                contract_size=0.01 if self.name == "okx-futures" else 1.0, tick=self.tick,
                lot_step=1.0, min_qty=1.0,
            )
            for symbol in self.symbols
            if symbol not in self.unlisted
        ]  # fmt: skip
        lists = [listing if s.name == self.name else () for s in SOURCES]
        page = Pages(lists, time.time_ns() // 10**6, others=False).get(self.name, request.query)
        return self._with_halts(page)

    def _with_halts(self, page: bytes) -> bytes:
        found = json.loads(page)
        rows = found["symbols" if self.name == "binance-spot" else "data"]
        for one in rows:
            if self.name == "binance-spot" and one["symbol"] in self.halted:
                one["status"] = "BREAK"
            if self.name == "okx-futures" and one["instId"] in self.halted:
                one["state"] = "suspend"
            for key, value in self.rows.get(one.get("symbol") or one.get("instId"), {}).items():
                one[key] = value
                if value == "missing":
                    del one[key]
        return json.dumps(found).encode()

    def _time(self, request: web.Request) -> bytes:
        return time_page(self.name, time.time_ns() + round(self.clock_ahead_s * S))

    def _maintenance(self, request: web.Request) -> bytes:
        if self.name == "binance-spot":
            return b'{"status":0,"msg":"normal"}'
        return json.dumps({"code": "0", "msg": "", "data": self.maintenance}).encode()

    # -- push

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.append(socket)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.subscribed.append(message.data)
                if message.data == "ping":
                    await socket.send_str("pong")
        return socket

    async def push(self, symbol: str, state: str) -> None:
        """Push a status on every open socket."""
        frame = {
            "arg": {"channel": "instruments", "instType": "SWAP"},
            "data": [{"instId": symbol, "instType": "SWAP", "state": state}],
        }
        for socket in self._sockets:
            await socket.send_str(json.dumps(frame))

    async def cut(self) -> None:
        """Close the sockets."""
        for socket in self._sockets:
            await socket.close()
        self._sockets.clear()


class Desk:
    """The table, as the feed of one source would fill it, and what the audit says of it."""

    def __init__(self, instance: Instance, side: Side) -> None:
        self.instance = instance
        self.side = side
        self.source = SOURCE_BY_NAME[side.name].id

    def quote(self, symbol_id: int, age_s: float = 60.0, px: tuple[float, float] | None = None,
              multiplier: float = 1.0) -> int:  # fmt: skip
        """Let a slot hold a quote that came so long ago; return its receive time."""
        bid, ask = px or (100.0, 100.5)
        recv_ns = now_ns() - int(age_s * S)
        venue_ns = time.time_ns() - int(age_s * S)
        self.instance.quotes.write(
            self.source, symbol_id, bid / multiplier, ask / multiplier, 1.0, 1.0, venue_ns, recv_ns
        )
        return recv_ns

    def empty(self, symbol_id: int) -> None:
        self.instance.quotes.write_empty(self.source, symbol_id)

    def fill(self, age_s: float = 60.0) -> None:
        """Let every slot hold what its venue says."""
        for symbol_id in range(len(self.side.symbols)):
            self.quote(symbol_id, age_s)

    def verdict(self, symbol_id: int) -> VerdictTuple:
        return self.instance.audit.read(self.source, symbol_id)

    def kind(self, symbol_id: int) -> str:
        return self.verdict(symbol_id).kind

    def figure(self, name: str) -> int:
        return self.instance.audit.figures(self.source)[name]

    def kinds(self) -> set[str]:
        return {self.kind(i) for i in range(len(self.side.symbols))}

    def lists(self, n: int | None = None, generation: int = 3) -> Lists:
        """Return lists of the first n symbols."""
        rows = [row(i, s, tick=self.side.tick) for i, s in enumerate(self.side.symbols[:n])]
        rows = [msgspec.structs.replace(r, instrument=coin_of(r.instrument)) for r in rows]
        return msgspec.structs.replace(lists_of(self.side.name, *rows), generation=generation)


def config_for(side: Side, **audit: Any) -> Config:
    """Return settings of an audit of that one source with rounds as often as may be."""
    ws_url = side.url.replace("http", "ws") + "/ws"
    settings = {"every_s": 0.3, "funding_every_s": 0.0, **audit}
    return Config(
        sources=(side.name,),
        audit=Audit(**settings),
        discovery=Discovery(rest_timeout_s=1.0),
        venues={side.name: VenueSettings(rest_url=side.url, ws_url=ws_url)},
    )


@asynccontextmanager
async def auditing(
    config: Config,
    lists: Lists,
    instance: Instance,
    newest: Callable[[], Lists] | None = None,
    write: Any = None,
) -> AsyncIterator[AuditWorker]:
    """Run an audit; it is told to stop at the end of the block, and must."""
    stop = Stop()
    worker = AuditWorker(config, instance, newest or (lambda: lists), write)
    task = asyncio.create_task(worker.run(stop))
    try:
        yield worker
        stop.now = True
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
