"""The tracker's loop in a process of its own whose fsync takes a second, or fails."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scan.tracker.test_loop import RealUtc
from spreadscan.clock import now_ns

SHIM = Path(__file__).with_name("slow_fsync.c")
GRID_MS, FSYNC_MS = 300.0, 1000
CHILD = """
import asyncio, sys
from spreadcore import Instance
from scan.tracker.conftest import EDGES, FEES_BPS, SYMBOLS
from spreadscan import config
from spreadscan.app.build import WRITABLE
from spreadscan.clock import UtcClock, now_ns
from spreadscan.tracker import Tracker, run

instance = Instance(sys.argv[1], WRITABLE["tracker"])
flags = {"paths.data": sys.argv[2], "tracker.grid_ms": sys.argv[3], "tracker.fsync": "always"}
loaded = config.load(flags=flags, environ={}).config
tracker = Tracker(instance, loaded, SYMBOLS, EDGES, lambda edge: FEES_BPS, {}, utc=UtcClock())
tracker.recover(now_ns())
asyncio.run(run(tracker, lambda: instance.control.stop))
tracker.close(now_ns())
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    built = tmp_path_factory.mktemp("shim") / "slow_fsync.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", built, SHIM], check=True, timeout=60)
    return built


class SlowDisk:
    """A tracker's process on a slow disk; this one plays feeds and engine."""

    def __init__(self, market, shim: Path, folder: Path, failures: int) -> None:
        market.utc = RealUtc()
        self.market, self.log = market, folder / "fsync.log"
        self.log.touch()
        env = {
            "LD_PRELOAD": str(shim), "SLOW_FSYNC_MS": str(FSYNC_MS),
            "SLOW_FSYNC_EIO": str(failures), "SLOW_FSYNC_LOG": str(self.log),
            "PYTHONPATH": os.pathsep.join(sys.path),
        }  # fmt: skip
        self.child = subprocess.Popen(
            [sys.executable, "-c", CHILD, market.instance.name, str(market.folder), str(GRID_MS)],
            env=os.environ | env, stderr=subprocess.PIPE,
        )  # fmt: skip

    def play(self, seconds: float) -> None:
        market = self.market
        end, symbol = time.monotonic() + seconds, 0
        while time.monotonic() < end and self.child.poll() is None:
            market.now = now_ns()
            market.beat_now()
            market.signal(symbol % 20)
            market.spread((symbol + 10) % 20, 0.0)
            symbol += 1
            time.sleep(0.05)

    def stop(self) -> str:
        """Let it end as `ctl stop` does; return what it said."""
        self.market.instance.control.stop = True
        _, said = self.child.communicate(timeout=30.0)
        assert 0 == self.child.returncode, said.decode()
        return said.decode()

    def syncs(self) -> list[str]:
        return self.log.read_text().split()


@pytest.fixture
def slow_disk(market, shim, tmp_path):
    started = []

    def start(failures: int = 0) -> SlowDisk:
        started.append(SlowDisk(market, shim, tmp_path, failures))
        return started[-1]

    yield start
    for disk in started:
        disk.child.kill()
        disk.child.wait()
        disk.child.stderr.close()


def test_a_slow_fsync_costs_no_tick(slow_disk, market):
    disk = slow_disk()
    disk.play(6.0)
    before = len(disk.syncs())
    disk.stop()
    counters = market.counters()
    assert 0 == counters["ticks_skipped"]
    assert counters["ticks"] >= 12
    assert before >= 5  # or the disk was not slow
    assert ["+", "-"] * (len(disk.syncs()) // 2) == disk.syncs()  # one at a time
    assert len(disk.syncs()) > before  # and once more at the end
    assert 0 == counters["sync_errors"] == counters["write_errors"]
    opened = sum(event == "OPEN" for event, _, _ in market.kinds())
    assert market.instance.ring.read == opened > 5


def test_a_failed_fsync_costs_no_tick_and_no_row(slow_disk, market):
    disk = slow_disk(failures=1)
    disk.play(5.0)
    said = disk.stop()
    counters = market.counters()
    assert (0, 1) == (counters["ticks_skipped"], counters["sync_errors"])
    assert counters["untrusted_rows"] > 0
    assert "data not synced" in said
    events = market.events()
    names = sorted(path.name for path in market.folder.glob("signals-*"))
    assert 2 == len(names), names
    assert names[0].endswith(".2.csv")
    opened = [row["sequence"] for row in events if row["event"] == "OPEN"]
    assert [str(n) for n in range(market.instance.ring.read)] == sorted(opened, key=int)
    assert counters["rows"] == len(events) + len(market.snapshots())
