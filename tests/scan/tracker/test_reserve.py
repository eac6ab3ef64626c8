"""Below the reserve nothing new is begun: signals wait in the ring, tracks go on."""

import os
from types import SimpleNamespace

import pytest
from spreadcore import active

from scan.tracker.conftest import S
from spreadscan import reserve
from spreadscan.reserve import Reserve

MB = 1_000_000


class Disk:
    def __init__(self, monkeypatch):
        self.free = 1_000 * MB
        self.asked = 0
        monkeypatch.setattr(reserve.os, "statvfs", self._statvfs)

    def _statvfs(self, folder):
        self.asked += 1
        return SimpleNamespace(f_bavail=self.free // 1000, f_frsize=1000)


@pytest.fixture
def disk(monkeypatch):
    return Disk(monkeypatch)


def test_it_looks_once_a_second_and_needs_a_tenth_more_to_go_on(disk, tmp_path):
    room = Reserve(str(tmp_path), 200.0, "new tracks")
    answers = []
    for second, free_mb in enumerate([200, 199.9, 210, 219.9, 220, 200]):
        disk.free = int(free_mb * MB)
        answers.append(room.look(second * S))
        disk.free = 0
        assert answers[-1] == room.look(second * S + S - 1)
    assert [False, True, True, True, False, False] == answers
    assert 6 == disk.asked


def test_no_reserve_is_never_short(disk, tmp_path):
    disk.free = 0
    assert not Reserve(str(tmp_path), 0.0, "new tracks").look(0)


def test_a_folder_that_is_not_there_is_for_the_writer_to_tell(tmp_path):
    assert not Reserve(str(tmp_path / "gone"), 1e18, "new tracks").look(0)
    assert Reserve(str(tmp_path), 1e18, "new tracks").look(0)
    assert os.path.isdir(tmp_path)


def test_signals_wait_for_room_and_tracks_go_on(market, disk, caplog):
    tracker = market.started(tracker__reserve_mb=200.0)
    market.signal(0, 40.0)
    market.step(tracker)
    disk.free = 199 * MB
    market.step(tracker, 5)
    assert tracker.failing  # told before there is anything to wait
    for symbol in (1, 2):
        market.signal(symbol, 40.0)
    market.step(tracker, 10)
    ring = market.instance.ring
    assert [("OPEN", "0", "")] == market.kinds()
    assert 16 == len(market.snapshots())
    assert (3, 1, 2) == (ring.produced, ring.read, ring.queued)
    assert [active.SIGNALLED] * 2 == [market.state(1), market.state(2)]
    assert tracker.failing
    market.spread(0, 0.0)
    market.step(tracker)  # what is followed ends as ever
    assert ("CLOSE", "0", "CONVERGED") == market.kinds()[-1]
    disk.free = 300 * MB
    market.step(tracker, 6)
    assert [("OPEN", "1", ""), ("OPEN", "2", "")] == market.kinds()[2:]
    assert 0 == ring.queued
    assert not tracker.failing
    told = [r.message for r in caplog.records]
    assert ["disk nearly full, no new tracks", "room again: new tracks"] == told
    assert {"folder": str(market.folder), "free_mb": 199, "reserve_mb": 200} == (
        caplog.records[0].facts
    )


def test_a_signal_that_has_its_row_needs_no_room(market, disk):
    """Killed between the OPEN row and the ring's tail, and the disk filled meanwhile."""
    market.signal(0, 40.0)
    market.started().poll(market.now)
    market.instance.ring._start_at(0)
    market.instance.ring.push(0, 0, market.now, market.now, market.now, 100.0, 100.4, 4.0, 3.0)
    disk.free = 0
    tracker = market.started()
    market.step(tracker)
    assert 0 == market.instance.ring.queued
    assert ["OPEN", "GAP"] == [e["event"] for e in market.events()]
