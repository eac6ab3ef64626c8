"""A process that reads one flooding source into a table of its own; started by rig.read_flood.

Argument, a task in JSON: folder (with generated/), config (TOML with the address), urls, instance,
source, frames (to be read), warm (of them, before the clock starts), and

- how: "worker", the product's feed; "reference", its picows transport with the reference decoder;
  "plain", what a good Python programmer writes with aiohttp, orjson and the same gate.
- transport, loop: of the worker, as in the config. count_reads: path of the compiled feed_loops.

Prints as JSON: frames (that passed the gate, in all), and from the warm-up on seconds, cpu_s,
rss_kb (then and at the end), reads; p50_ns and p99_ns from receive to slot; tls.
"""

import asyncio
import importlib.util
import json
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
from spreadcore import Instance, region
from spreadcore.intake import SourceIntake
from spreadcore.layout import SECTIONS

from known import EIGHT_BY_NAME as SOURCE_BY_NAME
from plain_decoders import PLAIN
from spreadscan.app.processes import run_async
from spreadscan.clock import now_ns
from spreadscan.config import BY_DEFAULT, Config, load
from spreadscan.feeds.reader import FrameReader
from spreadscan.feeds.shards import requests
from spreadscan.feeds.websocket import WebSocketFeed
from spreadscan.lists import load as load_lists
from spreadscan.net import picows_socket
from spreadscan.net.transport import connect
from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.workers.source import SourceWorker

LOOK_S = 0.05
QUIET_S = 0.2  # nothing more may come after the last frame


class Reader:
    """The table, and the ways to fill it."""

    def __init__(self, task: dict[str, Any]) -> None:
        self.task = task
        self.source = task["source"]
        self.source_id = SOURCE_BY_NAME[self.source].id
        self.venue = VENUES[self.source]
        settings: dict[str, Any] = {
            "paths.generated": f"{task['folder']}/generated",
            "instance": task["instance"],
            "sources": BY_DEFAULT,  # the one that is read makes no direction
        }
        for key in ("transport", "loop"):
            if key in task:
                settings[f"feeds.{key}"] = task[key]
        self.config: Config = load([task["config"]], settings, {}).config
        self.lists = load_lists(self.config.paths.generated)
        region.create(self.config.instance)
        self.instance = Instance(self.config.instance, writable=SECTIONS)
        self.reads: Callable[[], int] = lambda: 0
        self.done = False
        self.tls = ""

    @property
    def frames(self) -> int:
        return self.instance.health.counters(self.source_id)["quotes"]

    async def worker(self) -> None:
        """The feed as `run` has it."""
        feed = WebSocketFeed(self.venue, self.config, self.instance)
        source = self.config.catalogue.source[self.venue.name]
        worker = SourceWorker(source, feed, self.config, self.instance, lambda: self.lists)
        task = asyncio.create_task(worker.run(lambda: self.done))
        await _until(lambda: self.frames > 0)
        (session,) = next(iter(feed._keepers)).sessions
        transport = getattr(session._socket, "_transport", None)
        if transport is not None and transport.is_secure:
            self.tls = f"{type(transport.underlying_transport).__name__}, {ssl.OPENSSL_VERSION}"
        await task

    async def reference(self) -> None:
        """picows, and every frame through the reference decoder."""
        gate = self.intake()
        reader = FrameReader(self.venue, _Gate(gate, self.ids))

        class Frames:
            def on_message(self, payload: bytes, recv_ns: int) -> None:
                reader.read(payload, recv_ns)

            def on_ping(self, recv_ns: int) -> None: ...

            def on_flush(self) -> None:
                gate.flush(now_ns())

        socket = await connect("picows", self.url, Frames(), timeout_s=5.0, max_frame_bytes=1 << 20)
        for number, symbols in enumerate(requests(self.venue, list(self.ids)), 1):
            socket.send(self.venue.subscribe(symbols, number))
        await _until(lambda: self.done)
        socket.close()
        await socket.wait_closed()

    async def plain(self) -> None:
        """A loop over aiohttp's messages: orjson, float(), the gate."""
        intake, ids, decode = self.intake(), self.ids, PLAIN[self.source]
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(self.url, autoping=True, max_msg_size=0, compress=0) as ws,
        ):
            for number, symbols in enumerate(requests(self.venue, list(self.ids)), 1):
                await ws.send_str(self.venue.subscribe(symbols, number))
            async for message in ws:
                recv_ns = now_ns()
                try:
                    symbol, bid_px, bid_qty, ask_px, ask_qty, update_id = decode(message.data)
                except (KeyError, IndexError, TypeError):
                    continue  # an answer to a request
                intake.accept(
                    ids[symbol], 1, bid_px, bid_qty, ask_px, ask_qty, 0, update_id, 0, recv_ns
                )
                intake.flush(now_ns())
                if self.done:
                    break

    @property
    def url(self) -> str:
        return str(self.task["urls"][self.source])

    @property
    def ids(self) -> dict[str, int]:
        rows = self.lists.sources[self.source].subscribed
        return {row.instrument.venue_symbol: row.symbol_id for row in rows}

    def intake(self) -> SourceIntake:
        sections = [self.instance.region(name) for name in ("quotes", "dirty", "health")]
        intake = SourceIntake(*sections, self.source_id, self.venue.schema.id_reset)
        for symbol_id in self.ids.values():
            intake.add_symbol(symbol_id)
        return intake

    async def measure(self) -> dict[str, Any]:
        """Wait for the frames, and tell what they cost."""
        warm, last = await self._at(self.task["warm"]), await self._at(self.task["frames"])
        await asyncio.sleep(QUIET_S)
        p50, p99 = self.instance.health.quantiles([self.source_id])
        frames, self.done = self.frames, True
        return {
            "frames": frames,
            "measured": last["frames"] - warm["frames"],
            **{key: last[key] - warm[key] for key in ("seconds", "cpu_s", "reads")},
            "rss_kb": (warm["rss_kb"], last["rss_kb"]),
            "p50_ns": p50,
            "p99_ns": p99,
            "tls": self.tls,
        }

    async def _at(self, n: int) -> dict[str, float]:
        await _until(lambda: self.frames >= n)
        return {
            "frames": self.frames,
            "seconds": time.perf_counter(),
            "cpu_s": time.process_time(),
            "reads": self.reads(),
            "rss_kb": _rss_kb(),
        }


class _Gate:
    """Takes the books of a FrameReader into the table, as the feed worker does."""

    def __init__(self, intake: SourceIntake, ids: dict[str, int]) -> None:
        self._intake, self._ids = intake, ids

    def book(self, book: Book, recv_ns: int) -> bool:
        return self._intake.accept(self._ids[book.symbol], 1, *book[1:], recv_ns) >= 0

    def declined(self, reason: str) -> None:
        raise RuntimeError(f"a frame was declined: {reason}")


async def _until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(LOOK_S)


def _rss_kb() -> int:
    status = Path("/proc/self/status").read_text()
    (kb,) = (line.split()[1] for line in status.splitlines() if line.startswith("VmRSS"))
    return int(kb)


def _counting(path: str) -> Callable[[], int]:
    """Let every picows socket count its reads."""
    spec = importlib.util.spec_from_file_location("feed_loops", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    picows_socket.FrameListener = module.CountingListener
    return module.reads


def main(task: dict[str, Any]) -> None:
    reader = Reader(task)
    if "count_reads" in task:
        reader.reads = _counting(task["count_reads"])

    async def both() -> None:
        how = asyncio.create_task(getattr(reader, task["how"])())
        measuring = asyncio.create_task(reader.measure())
        done, _ = await asyncio.wait({how, measuring}, return_when=asyncio.FIRST_COMPLETED)
        if how in done:
            how.result()
            raise RuntimeError("the reader ended before its frames came")
        how.cancel()
        await asyncio.gather(how, return_exceptions=True)
        print(json.dumps(measuring.result()))

    run_async(reader.config, both())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
