"""The loop on real time: OPEN rows between ticks, beats, the end."""

import asyncio
import os
import random
import signal
import threading
import time

import pytest
from spreadcore import active, region

from scan.tracker.conftest import SYMBOLS
from spreadscan.clock import now_ns
from spreadscan.errors import Halt
from spreadscan.tracker import run


class RealUtc:
    def utc_ns(self, boottime_ns):
        return boottime_ns + time.time_ns() - now_ns()


def run_until(tracker, done, within_s=20.0):
    """Run the loop until done(); fails where that takes too long."""
    end = time.monotonic() + within_s
    answers = [False]

    def stop():
        answers.append(done())
        return answers[-1] or time.monotonic() > end

    asyncio.run(run(tracker, stop))
    assert answers[-1]


@pytest.fixture
def live(market):
    market.utc = RealUtc()
    market.now = now_ns()
    return market


def test_an_open_row_does_not_wait_for_the_grid(live):
    tracker = live.started(tracker__grid_ms=3_600_000.0)
    live.signal(0, 40.0)
    run_until(tracker, lambda: live.instance.ring.read == 1)
    assert [("OPEN", "0", "")] == live.kinds()
    assert 0 == live.counters()["ticks"]


def test_ticks_come_on_the_grid(live):
    tracker = live.started(tracker__grid_ms=40.0)
    live.signal(0, 40.0)
    begun = now_ns()
    run_until(tracker, lambda: live.counters()["ticks"] >= 8)
    counters = live.counters()
    slots = now_ns() // 40_000_000 - begun // 40_000_000
    assert 8 <= counters["ticks"] + counters["ticks_skipped"] <= slots
    assert counters["ticks"] == len(live.snapshots())


def test_it_beats_and_says_when_it_ends(live):
    tracker = live.started()
    health, seen = live.instance.health, []

    def done():
        seen.append(health.info(tracker.role))
        return seen[-1]["state"] == "running"

    run_until(tracker, done)
    assert "starting" == seen[0]["state"]
    assert "off" == health.info(tracker.role)["state"]
    assert seen[-1]["beat_ns"] >= seen[0]["start_ns"] >= live.now


def test_a_disk_that_refuses_is_a_degraded_state(live, monkeypatch):
    tracker = live.started()
    live.folder.rmdir()
    live.folder.write_text("in the way")
    live.signal(0, 40.0)
    run_until(tracker, lambda: live.instance.health.info(tracker.role)["state"] == "degraded")
    live.folder.unlink()
    run_until(tracker, lambda: live.instance.ring.read == 1)
    assert [("OPEN", "0", "")] == live.kinds()


def test_the_disk_is_waited_for_beside_the_loop(live, monkeypatch):
    tracker = live.started(tracker__fsync="open_close")
    threads = []
    sync = tracker.sync
    monkeypatch.setattr(
        tracker, "sync", lambda: (threads.append(threading.current_thread()), sync())
    )
    live.signal(0, 40.0)
    run_until(tracker, lambda: bool(threads))
    assert threading.main_thread() not in threads
    assert not tracker.unsynced


def test_it_ends_once_the_instance_is_replaced(live):
    tracker = live.started()
    region.create(live.instance.name, n_sources=8, n_symbols=len(SYMBOLS), force=True)
    with pytest.raises(Halt, match="the instance was replaced"):
        run_until(tracker, lambda: False, within_s=20.0)


def test_killed_processes_lose_and_double_nothing(live, children):
    """Real SIGKILLs, at seeded moments; the engine's side goes on meanwhile."""
    rng = random.Random(11)
    live.settings |= {"tracker.grid_ms": 10.0, "tracker.expire_after_s": 0.05}

    def track(stop_after_s=60.0):
        end = time.monotonic() + stop_after_s
        tracker = live.tracker()
        tracker.recover(now_ns())
        asyncio.run(run(tracker, lambda: time.monotonic() > end))
        tracker.close(now_ns())

    def trade(for_s):
        """Signal every pair that may; free those that expired."""
        end = time.monotonic() + for_s
        while time.monotonic() < end:
            live.now = now_ns()
            live.beat()
            for symbol in range(20):
                live.instance.active.move(0, symbol, active.REARM, active.FREE)
                live.signal(symbol, 40.0)
            time.sleep(0.002)

    for n in range(6):
        pid = children.start(f"tracker {n}", track)
        trade(0.15 + rng.random() * 0.1)
        os.kill(pid, signal.SIGKILL)
        children.results(10.0)
        assert live.instance.ring.produced > 0
    children.start("last tracker", track, 2.5)  # longer than two looks for orphans
    children.results(20.0)
    events = live.events()
    for kind in ("OPEN", "CLOSE"):
        found = sorted(int(e["sequence"]) for e in events if e["event"] == kind)
        assert list(range(live.instance.ring.produced)) == found
    assert 0 == live.instance.ring.queued
    assert {active.REARM} == {state for _, _, state in live.instance.active.not_free()}
    assert len(events) > 200
