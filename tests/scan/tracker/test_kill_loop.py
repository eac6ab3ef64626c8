"""Tracker and engine under load, killed again and again: files and ring agree at every kill."""

import asyncio
import random
import time
from pathlib import Path

import pytest
from spreadcore import active
from spreadcore.engine import Engine

from known import TWELVE as DIRECTIONS
from pairs import Pairs
from scan.tracker.conftest import FEES_BPS, SYMBOLS
from scan.tracker.test_loop import RealUtc
from spreadscan.clock import now_ns
from spreadscan.tracker import SIGNALS, SNAPSHOTS, run

DIRECTION_IDS = (0, 4, 11)
N_SYMBOLS = len(SYMBOLS)
QUIET_S = 3.0  # longer than two looks for orphans and a track's longest life


class Scene:
    """A market, an engine and a tracker, each a process that may be killed, on one instance."""

    def __init__(self, market, children) -> None:
        self.market, self.children = market, children
        self.instance = market.instance
        market.utc = RealUtc()
        market.settings |= {
            "tracker.grid_ms": 20.0,
            "tracker.expire_after_s": 0.4,
            "tracker.lost_after_s": 0.2,
        }
        self.pids: dict[str, int] = {}
        self.lines: dict[Path, list[bytes]] = {}  # whole ones, as of the last look

    def start(self, name: str) -> None:
        self.pids[name] = self.children.start(name, getattr(self, name))

    def kill(self, name: str) -> None:
        self.children.kill_one(self.pids.pop(name))

    # -- what the processes do

    def prices(self, seed: int = 0) -> None:
        """Open and close spreads, without end."""
        rng = random.Random(seed)
        quotes, dirty = self.instance.quotes, self.instance.dirty
        while True:
            self.market.beat_now()
            for _ in range(60):
                direction = DIRECTIONS[rng.choice(DIRECTION_IDS)]
                symbol = rng.randrange(N_SYMBOLS)
                gross_bps = rng.choice([0.0, 40.0, 60.0, rng.uniform(0, 100)])
                now = now_ns()
                bid = 100.0 * (1 + gross_bps / 1e4)
                quotes.write(direction.buy.id, symbol, 99.9, 100.0, 3.0, 4.0, 0, now)
                quotes.write(direction.sell.id, symbol, bid, bid * 1.001, 3.0, 4.0, 0, now)
                for source in (direction.buy.id, direction.sell.id):
                    dirty.mark(source, symbol)
            dirty.wake()
            time.sleep(0.001)

    def engine(self) -> None:
        i = self.instance
        legs = [(d.id, d.buy.id, d.sell.id) for d in DIRECTIONS]
        index = Pairs(8, N_SYMBOLS, legs)
        for direction_id in DIRECTION_IDS:
            for symbol in range(N_SYMBOLS):
                index.compare(direction_id, symbol)
        engine = Engine(
            i.quotes, i.dirty, i.ring, i.active, i.health, i.control, index, sweep_s=0.2
        )
        for direction_id in DIRECTION_IDS:
            engine.set_rule(direction_id, FEES_BPS, 15.0, 2.0)
        while True:
            engine.run()

    def tracker(self) -> None:
        tracker = self.market.tracker()
        tracker.recover(now_ns())
        asyncio.run(run(tracker, lambda: False))

    # -- what must hold

    def look(self) -> None:
        """Hold the files to the last look and to the ring; any process may be alive."""
        ring = self.instance.ring
        read = ring.read
        opened, _ = self.signals()
        if "tracker" not in self.pids:
            assert len(opened) - ring.read in (0, 1)
            read = len(opened)
        assert read <= len(opened) <= ring.produced
        if not self.pids.keys() & {"tracker", "engine"}:
            # one more than the tail: killed between the OPEN row and the tail
            assert len(opened) + ring.queued - ring.produced in (0, 1)

    def signals(self) -> tuple[list[int], list[int]]:
        """Sequences of OPEN and CLOSE rows, once it is sure that no row is lost or twice."""
        opened, closed = [], []
        for path in sorted(self.market.folder.glob("s*.csv")):
            lines = path.read_bytes().split(b"\n")[:-1]
            before = self.lines.get(path, [])
            assert before == lines[: len(before)], path
            self.lines[path] = lines
            kind = SIGNALS if path.name.startswith("signals") else SNAPSHOTS
            assert {len(kind.names)} >= {line.count(b",") + 1 for line in lines[2:]}
            if kind is SIGNALS:
                rows = [line.decode().split(",") for line in lines[2:]]
                opened += [int(row[4]) for row in rows if row[1] == "OPEN"]
                closed += [int(row[4]) for row in rows if row[1] == "CLOSE"]
        assert list(range(len(opened))) == opened
        assert len(set(closed)) == len(closed)
        assert set(closed) <= set(opened)
        return opened, closed

    def settle(self) -> None:
        """Let every spread close, with tracker and engine alive."""
        end = time.monotonic() + QUIET_S
        while time.monotonic() < end:
            self.market.beat_now()
            for symbol in range(N_SYMBOLS):
                for source in range(8):
                    self.instance.quotes.write(source, symbol, 99.9, 100.0, 3.0, 4.0, 0, now_ns())
            time.sleep(0.02)


def kill_again_and_again(scene: Scene, n_kills: int, seed: int) -> None:
    rng = random.Random(seed)
    for name in ("prices", "tracker", "engine"):
        scene.start(name)
    for _ in range(n_kills):
        time.sleep(0.02 + rng.random() * 0.15)
        victims = rng.choice([["tracker"], ["engine"], ["tracker", "engine"]])
        for name in victims:
            scene.kill(name)
        scene.look()
        for name in victims:
            scene.start(name)
    scene.kill("prices")
    scene.settle()
    for name in ("tracker", "engine"):
        scene.kill(name)
    scene.look()
    opened, closed = scene.signals()
    ring = scene.instance.ring
    assert len(opened) > 20 * n_kills  # it was a load
    assert ring.produced == len(opened)
    assert 0 == ring.queued
    assert opened == sorted(closed)
    assert set() == {state for _, state in scene.instance.active.not_free()} - {active.REARM}
    looks = [line.split(b",")[:2] for path, lines in scene.lines.items()
             if path.name.startswith("snapshots") for line in lines[2:]]  # fmt: skip
    assert len({tuple(look) for look in looks}) == len(looks) > 100 * n_kills


@pytest.mark.parametrize("seed", [1])
def test_twenty_kills_lose_and_double_nothing(market, children, seed):
    """Scenario 05."""
    kill_again_and_again(Scene(market, children), 20, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", [2, 3])
def test_a_hundred_kills_lose_and_double_nothing(market, children, seed):
    kill_again_and_again(Scene(market, children), 100, seed)
