"""How long from a spread on an old leg to its signal, by way of its venue's answer?

Setup: four processes. OKX spot, simulated, at rest; the audit of that source, as the scanner runs
it; the engine's own loop, parked; and one that is feed and tracker at once. It writes a spot leg
that its venue stands by and that was heard ten seconds ago, then the perpetual that makes a spread
of 100 bps with it, wakes the engine, and looks at the ring until the record is there: in between
the engine has asked, the audit has sent a request about that pair, judged the answer and marked
the pair. A sample is from the clock before the perpetual is written to the sight of the record.
A pause between two keeps them within the half of the venue's limit that the audit may spend.

Baseline: the venue's round trip, for the same page on a connection that stays open, by turns with
the samples.

Not measured: a way through the internet, TLS; several questions at once; Binance spot, where
questions of 5 ms go out in one request.
"""

import asyncio
import json
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from spreadcore import Instance, region
from spreadcore.active import FREE, SIGNALLED
from spreadcore.edges import EdgeIndex
from spreadcore.engine import Engine
from spreadcore.layout import SECTIONS

from known import EIGHT as SOURCES
from known import SOURCE_BY_NAME
from measure import quantile
from spreadscan.audit.worker import AuditWorker
from spreadscan.clock import now_ns
from spreadscan.config import Audit, Config, Paths, VenueSettings
from spreadscan.lists import Listing, Lists, SourceList
from spreadscan.sim import Market
from spreadscan.sim.server import SimOptions, SimServer, run_sim
from spreadscan.venues import VENUES

SPOT, PERP = "okx-spot", "mexc-futures"
N_SYMBOLS, SAMPLES = 16, 60
AGE_NS = 10_000_000_000
PAUSE_S = 0.3
WITHIN_S = 120.0


def bench_ask(
    row: Callable[..., None],
    count: Callable[[int], int],
    instance_name: str,
    children: Any,
    tmp_path: Path,
) -> None:
    region.create(instance_name, n_sources=len(SOURCES), n_symbols=N_SYMBOLS, n_edges=N_SYMBOLS)
    instance, market = Instance(instance_name, writable=SECTIONS), Market(freeze_after_s=0.0)
    children.start("sim", _simulate, tmp_path / "url")
    url = _when(lambda: (tmp_path / "url").exists() and (tmp_path / "url").read_text())
    config = Config(
        sources=(SPOT,),
        audit=Audit(every_s=300.0),
        paths=Paths(data=str(tmp_path)),
        venues={SPOT: VenueSettings(rest_url=url, ws_url=url.replace("http", "ws", 1))},
    )
    children.start("engine", _run_engine, instance_name)
    children.start("audit", _audit, instance_name, config, _lists(market))
    spot = SOURCE_BY_NAME[SPOT].id
    _when(lambda: instance.audit.figures(spot)["rounds"])
    asked, bare = [], []
    connection = HTTPConnection(urlsplit(url).netloc)
    for n in range(count(SAMPLES)):
        asked.append(_ask(instance, market, n % N_SYMBOLS))
        time.sleep(PAUSE_S)
        symbol = market.instruments[spot][n % N_SYMBOLS].venue_symbol
        bare.append(_round_trip(connection, VENUES[SPOT].audit.ask_request([symbol]).url("")))
        time.sleep(PAUSE_S)
    connection.close()
    instance.control.stop = True
    assert len(asked) <= instance.audit.figures(spot)["answers"]
    children.kill()
    for label, point in (("p50", 0.5), ("p99", 0.99)):
        row(
            f"ask, answer, signal, {label}", quantile(asked, point) / 1e6, "ms",
            f"round trip of the venue, {label}", quantile(bare, point) / 1e6, len(asked),
            aim="50 ms above" if label == "p50" else "",
        )  # fmt: skip


def _ask(instance: Instance, market: Market, symbol: int) -> int:
    """Return how many ns a spread on an old leg took to signal; take it back."""
    spot, perp = SOURCE_BY_NAME[SPOT].id, SOURCE_BY_NAME[PERP].id
    touch = market.touch(spot, symbol, 0)
    assert touch is not None
    quotes, dirty = instance.quotes, instance.dirty

    def put_perp(px: float) -> None:
        quotes.write(perp, symbol, px, px, 1e9, 1e9, 0, now_ns())
        dirty.mark(perp, symbol)
        dirty.wake()

    for source in (spot, perp):
        instance.health.beat(source, now_ns())
    heard_ns = now_ns() - AGE_NS
    quotes.write(spot, symbol, touch.bid_px, touch.ask_px, 1e9, 1e9, 0, heard_ns)
    begin_ns = now_ns()
    put_perp(1.01 * touch.ask_px)
    _when(lambda: instance.ring.peek() is not None)
    took_ns = now_ns() - begin_ns
    instance.ring.advance()
    put_perp(0.5 * touch.ask_px)
    instance.active.move(symbol, SIGNALLED, FREE)  # a pair has one edge, with its number
    return took_ns


def _round_trip(connection: HTTPConnection, path: str) -> int:
    begin_ns = now_ns()
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == 200
    assert json.loads(answer.read())["data"]
    return now_ns() - begin_ns


def _when(holds: Callable[[], Any]) -> Any:
    """Wait until something holds, and return it."""
    end = time.monotonic() + WITHIN_S
    while not (found := holds()):
        assert time.monotonic() < end
        time.sleep(50e-6)
    return found


def _lists(market: Market) -> Lists:
    rows = tuple(
        Listing(symbol_id=i, symbol=found.symbol, state="valid", instrument=found)
        for i, found in enumerate(market.instruments[SOURCE_BY_NAME[SPOT].id][:N_SYMBOLS])
    )
    return Lists(
        generation=1,
        names=tuple(listed.symbol for listed in rows),
        retired=frozenset(),
        pairs={},
        sources={SPOT: SourceList(source=SPOT, symbols=rows)},
    )


def _simulate(told: Path) -> None:
    def ready(server: SimServer) -> None:
        part = told.with_suffix(".part")
        part.write_text(server.endpoints()[SPOT][0])
        part.rename(told)

    run_sim(SimOptions(sources=(SPOT,), freeze_after_s=0.0), ready)


def _audit(name: str, config: Config, lists: Lists) -> None:
    instance = Instance(name, writable=SECTIONS)
    worker = AuditWorker(config, instance, lambda: lists)
    asyncio.run(worker.run(lambda: bool(instance.control.stop)))


def _run_engine(name: str) -> None:
    i = Instance(name, writable=SECTIONS)
    index = EdgeIndex(len(SOURCES), N_SYMBOLS, N_SYMBOLS)
    legs = SOURCE_BY_NAME[SPOT].id, SOURCE_BY_NAME[PERP].id
    for symbol in range(N_SYMBOLS):
        index.add(symbol, legs[0], symbol, legs[1], symbol)
    engine = Engine(
        i.quotes, i.dirty, i.ring, i.active, i.health, i.control, index,
        audit=i.audit, questions=i.questions, answers=i.answers,
    )  # fmt: skip
    engine.set_rule(0, 0.0, 15.0, 2.0)
    for source in (SPOT, PERP):
        engine.set_stale(SOURCE_BY_NAME[source].id, 600.0)
        engine.set_audit(SOURCE_BY_NAME[source].id, 60.0, 5.0)
    engine.set_answer(2.0)
    while not i.control.stop:
        engine.run(0.05, 0.0, 5.0)
