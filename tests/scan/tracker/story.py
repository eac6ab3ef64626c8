"""A story of four pairs with the real engine, and a world in which any step can be the last."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from spreadcore import Instance
from spreadcore.engine import Engine

from pairs import Pairs
from scan.tracker.conftest import FEES_BPS, MEXC_FUTURES, OKX_SPOT, Market
from spreadscan.tracker import SIGNALS, Tracker
from spreadscan.tracker.columns import bps, number

STEPS = 60
QUIET = 24  # steps at the end without any spread, longer than two looks for orphans
_write = os.write  # the real one: worlds follow upon each other
EFFECTS = {"ring": {"advance"}, "active": {"move"}, "dirty": {"mark", "wake"}}


class Killed(BaseException):
    """The process died here."""


class World:
    """Counts what the tracker does to files and memory; `plan` says what becomes of each.

    plan(n, name) returns None to let effect n be, 'kill' to die before it, or for a write a
    number of bytes after which to die ('kill', bytes), to run out of room ('full', bytes) or
    to fail ('fail', 0).
    """

    def __init__(self, monkeypatch: Any, plan: Callable[[int, str], Any]) -> None:
        self.n = 0
        self.names: list[str] = []
        self.plan = plan
        monkeypatch.setattr(os, "write", self._write)

    def wrap(self, instance: Instance) -> Any:
        parts = {
            part: _Probe(getattr(instance, part), names, self) for part, names in EFFECTS.items()
        }
        names = ("quotes", "health", "control", "tracks", "region")
        plain = {name: getattr(instance, name) for name in names}
        stream = SimpleNamespace(
            writer=lambda: _Probe(instance.tracker_stream.writer(), {"publish"}, self)
        )
        return SimpleNamespace(tracker_stream=stream, **plain, **parts)

    def effect(self, name: str) -> Any:
        fate = self.plan(self.n, name)
        self.n += 1
        self.names.append(name)
        if fate == "kill":
            raise Killed
        return fate

    def _write(self, fd: int, block: bytes) -> int:
        fate = self.effect("write")
        if fate is None:
            return _write(fd, block)
        kind, part = fate
        if kind == "fail":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = _write(fd, block[: int(len(block) * part)])
        if kind == "kill":
            raise Killed
        return taken


class _Probe:
    def __init__(self, target: Any, names: set[str], world: World) -> None:
        self._target, self._names, self._world = target, names, world

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in self._names:
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._world.effect(name)
            return found(*arguments, **options)

        return call


def gross_bps(symbol: int, step: int) -> float | None:
    """The script; None: the leg is empty."""
    if step >= STEPS:
        return 0.0
    if symbol == 0:  # converges and comes back
        return 40.0 + step if step % 8 < 5 else 0.0
    if symbol == 1:  # outlives its expiry, falls, comes back
        return 0.0 if 30 <= step < 36 else 40.0
    if symbol == 2:  # lost, then back
        return None if 3 <= step < 20 else 50.0
    return 60.0  # expires, and never re-arms


class Story:
    """The market's side: prices and the engine, which lives on whatever the tracker does."""

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.market = Market(instance, folder)
        self.market.settings["tracker.expire_after_s"] = 3.0
        i = instance
        index = Pairs(8, 64, [(0, OKX_SPOT, MEXC_FUTURES)])
        for symbol in range(4):
            index.compare(0, symbol)
        self.engine = Engine(
            i.quotes, i.dirty, i.ring, i.active, i.health, i.control, index, sweep_s=0.0
        )
        self.engine.set_rule(0, FEES_BPS, 15.0, 2.0)
        self.at = 0

    def tracker(self, world: World) -> Tracker:
        market, instance = self.market, self.market.instance
        market.instance = world.wrap(instance)
        try:
            return market.tracker()
        finally:
            market.instance = instance

    def prices(self) -> None:
        """One step of the market: 200 ms, new prices, a turn of the engine."""
        market = self.market
        market.now = (market.now // 200_000_000 + 1) * 200_000_000
        market.beat()
        for symbol in range(4):
            edge = gross_bps(symbol, self.at)
            if edge is None:
                market.instance.quotes.write_empty(MEXC_FUTURES, symbol)
            else:
                market.spread(symbol, edge)
            market.instance.dirty.mark(MEXC_FUTURES, symbol)
        self.engine.turn(market.now)
        self.at += 1

    def tell(self, tracker: Tracker) -> None:
        """Go on to the end; Killed passes through."""
        while self.at < STEPS + QUIET:
            self.prices()
            tracker.tick(self.market.now)

    def opened(self) -> list[int]:
        """Sequences of the OPEN rows that stand in the files, torn lines left out."""
        found = []
        for path in self.market.folder.glob("signals-*"):
            rows = path.read_bytes().split(b"\n")[2:-1]
            fields = [row.decode().split(",") for row in rows]
            found += [int(f[4]) for f in fields if len(f) == len(SIGNALS.names) and f[1] == "OPEN"]
        return found

    def check_end(self) -> None:
        """Every signal opened once and closed once; nothing is left behind."""
        ring = self.market.instance.ring
        events = self.market.events()
        for kind in ("OPEN", "CLOSE"):
            found = [int(e["sequence"]) for e in events if e["event"] == kind]
            assert list(range(ring.produced)) == sorted(found), kind
        assert (ring.produced, 0) == (ring.read, ring.queued)
        assert [] == self.market.instance.active.not_free()
        assert [] == self.market.instance.tracks.all()
        self.check_told(events)
        looks = [(s["track_id"], s["time"]) for s in self.market.snapshots()]
        assert len(set(looks)) == len(looks)
        counters = self.market.counters()
        assert (ring.produced, 0) == (counters["opened"], counters["open"])

    def check_told(self, events: list[dict[str, str]]) -> None:
        """Others were told of what stands in the files: once, as it stands there."""
        rows = {(e["event"].lower(), int(e["sequence"])): e for e in events}
        told = [r for r in self.market.records() if r.kind != "gap"]
        assert len(told) == len({(r.kind, r.track) for r in told})
        for record in told:
            row = rows[record.kind, record.track]
            assert row["at_ns"] == str(record.at_ns)
            assert row["symbol_id"] == str(record.symbol_id) == str(record.edge)  # direction 0
            assert row["reason"] == record.reason
            assert row["buy_px"] == number(record.buy_px)
            assert row["net_bps"] == bps(record.net_bps)
            if record.kind == "close":
                assert row["peak_net_bps"] == bps(record.peak_net_bps)
