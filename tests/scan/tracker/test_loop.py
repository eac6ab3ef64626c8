"""The loop on real time: OPEN rows between ticks, beats, the end."""

import asyncio
import threading
import time

import pytest
from spreadcore import region
from spreadcore.errors import RegionLost

from scan.tracker.conftest import SYMBOLS
from spreadscan.clock import now_ns
from spreadscan.tracker import run


class RealUtc:
    def utc_ns(self, boottime_ns):
        return boottime_ns + time.time_ns() - now_ns()

    def take_step_ns(self):
        return 0


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
    with pytest.raises(RegionLost, match="the instance was replaced"):
        run_until(tracker, lambda: False, within_s=20.0)
