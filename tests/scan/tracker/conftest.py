"""A scripted market on a real instance, with made-up time."""

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard
from spreadcore import Instance, active
from spreadcore.digits import time_of
from spreadcore.layout import TRACKER_COUNTERS
from spreadcore.stream import RecordTuple

from known import every_edge
from spreadscan import config
from spreadscan.clock import now_ns
from spreadscan.tracker import SIGNALS, SNAPSHOTS, Tracker
from spreadscan.types import Instrument

S = 1_000_000_000
MS = 1_000_000
START_NS = 1_000 * S  # of made-up BOOTTIME: on the grid
UNIX_S = 1_795_176_000  # 2026-11-20T12:00:00Z
FEES_BPS = 10.0  # of every edge
SYMBOLS = [
    "BTC-USDT",
    "ETH-USDT",
    "PEPE-USDT",
    "币安人生-USDT",
    *[f"S{n}-USDT" for n in range(4, 64)],
]
EDGES = every_edge(len(SYMBOLS))  # those of direction 0 are numbered as the symbols
OKX_SPOT, MEXC_FUTURES = 6, 5  # direction 0


def listed(*symbol_ids: int, between: str = "-", quote: str = "USDT") -> dict[int, Instrument]:
    """What a source lists, by symbol id."""
    coins = {n: SYMBOLS[n].split("-")[0] for n in symbol_ids}
    return {
        n: Instrument(
            venue_symbol=f"{coin}{between}{quote}", base=coin, listed_base=coin, quote=quote
        )
        for n, coin in coins.items()
    }


def unix_ns(text: str) -> int:
    found: int = time_of(text.encode())
    return found


def compressed(text: bytes) -> bytes:
    """As the tracker compresses a file that is over."""
    out = io.BytesIO()
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    with compressor.stream_writer(out, size=len(text), closefd=False) as writer:
        writer.write(text)
    return out.getvalue()


class FixedUtc:
    """START_NS is 2026-11-20T12:00:00Z; `shift_ns` is a step of the wall clock."""

    def __init__(self) -> None:
        self.shift_ns = 0
        self.known_ns = 0  # of it

    def take_step_ns(self) -> int:
        step_ns, self.known_ns = self.shift_ns - self.known_ns, self.shift_ns
        return step_ns

    def utc_ns(self, boottime_ns: int) -> int:
        return boottime_ns - START_NS + UNIX_S * S + self.shift_ns


class Market:
    """Prices, beats and signals as feeds and engine make them, and what the tracker left.

    The bytes and the ring are driven in the engine's own order. now: the moment in use.
    """

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.instance = instance
        self.folder = folder
        self.now = START_NS
        self.utc = FixedUtc()
        self.settings: dict[str, Any] = {
            "paths.data": str(folder),
            "tracker.expire_after_s": 60.0,
            "tracker.lost_after_s": 2.0,
            "tracker.fsync": "never",
        }
        self.stale_after_s: dict[int, float] = {}
        self.beating = True

    def tracker(
        self,
        kind: type[Tracker] = Tracker,
        pauses: Callable[[], Mapping[str, str]] = dict,
        **settings: Any,
    ) -> Tracker:
        """A new tracker, as after a start of its process; not yet recovered."""
        flags = self.settings | {k.replace("__", "."): v for k, v in settings.items()}
        loaded = config.load(flags=flags, environ={}).config
        self.utc.take_step_ns()  # a process that starts knows of none
        return kind(
            self.instance, loaded, SYMBOLS, EDGES, lambda edge: FEES_BPS, self.stale_after_s,
            utc=self.utc, pauses=pauses,
        )  # fmt: skip

    def started(self, **settings: Any) -> Tracker:
        tracker = self.tracker(**settings)
        tracker.recover(self.now)
        return tracker

    def beat(self) -> None:
        for source in range(8):
            self.instance.health.beat(source, self.now)

    def beat_now(self) -> None:
        """As beat(), of the real clock."""
        for source in range(8):
            self.instance.health.beat(source, now_ns())

    def quote(self, source: int, symbol: int, bid: float, ask: float, qty: float = 3.0) -> None:
        self.instance.quotes.write(source, symbol, bid, ask, qty, qty + 1, 0, self.now)

    def fund(self, symbol: int, bps: float, for_ns: int = 10**12) -> None:
        """What the seller of direction 0 will receive, known for so long."""
        until_ns = self.now + for_ns
        self.instance.funding.write(MEXC_FUTURES, symbol, bps / 1e4, 1, until_ns)

    def spread(self, symbol: int, gross_bps: float) -> None:
        """Prices of direction 0: buy at 100 on okx spot, sell so much above on mexc futures."""
        self.quote(OKX_SPOT, symbol, 99.9, 100.0)
        bid = 100.0 * (1 + gross_bps / 1e4)
        self.quote(MEXC_FUTURES, symbol, bid, bid * 1.001)

    def hold(self, source: int, symbol: int) -> None:
        """Leave a slot as a writer killed half-way does, until the next quote."""
        at = 64 + 64 * (symbol * 8 + source)
        with self.instance.region("quotes").buffer() as raw:
            raw[at] |= 1

    def signal(self, symbol: int = 0, gross_bps: float = 40.0) -> int | None:
        """Do what the engine does with a spread; None where the byte forbids it."""
        self.spread(symbol, gross_bps)
        if not self.instance.active.move(symbol, active.FREE, active.SIGNALLED):
            return None
        bid = 100.0 * (1 + gross_bps / 1e4)
        now = self.now
        sequence: int = self.instance.ring.push(symbol, now, now, now, 100.0, bid, 4.0, 3.0)
        return sequence

    def step(self, tracker: Tracker, n: int = 1) -> None:
        """Let the grid go on by n ticks, with every source alive."""
        for _ in range(n):
            self.now = tracker.next_tick_ns(self.now)
            if self.beating:
                self.beat()
            tracker.tick(self.now)

    def state(self, symbol: int = 0) -> int:
        found: int = self.instance.active.state(symbol)
        return found

    def counters(self) -> dict[str, int]:
        health = self.instance.health
        found: dict[str, int] = health.counters(health.role("tracker"))
        assert tuple(found) == TRACKER_COUNTERS
        return found

    def events(self) -> list[dict[str, str]]:
        """Rows of all signals files by the csv module; the files must be whole."""
        return self._rows("signals-*.csv", SIGNALS.header)

    def snapshots(self) -> list[dict[str, str]]:
        return self._rows("snapshots-*.csv", SNAPSHOTS.header)

    def records(self) -> list[RecordTuple]:
        """What the tracker's stream told, from the beginning."""
        found, lost = self.instance.tracker_stream.reader(0).read(10**6)
        assert 0 == lost
        return found

    def _rows(self, pattern: str, header: bytes) -> list[dict[str, str]]:
        rows = []
        for path in sorted(self.folder.glob(pattern)):
            content = path.read_bytes()
            assert content.startswith(header), path
            assert content.endswith(b"\n"), path
            lines = content.decode().splitlines()
            rows += list(csv.DictReader(lines[1:], strict=True))
        assert all(None not in row and None not in row.values() for row in rows)
        return rows

    def kinds(self) -> list[tuple[str, str, str]]:
        """(event, sequence, reason) of every event."""
        return [(e["event"], e["sequence"], e["reason"]) for e in self.events()]


@pytest.fixture
def market(make_instance: Callable[..., Instance], tmp_path: Path) -> Market:
    instance = make_instance(n_sources=8, n_symbols=64, n_edges=768)
    return Market(instance, tmp_path / "data")
