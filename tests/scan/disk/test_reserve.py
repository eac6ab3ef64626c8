"""Whether a disk is nearly full."""

import os
from types import SimpleNamespace

import pytest

from scan.tracker.conftest import S
from spreadscan.disk.reserve import Reserve

MB = 1_000_000


class Disk:
    def __init__(self, monkeypatch):
        self.free = 1_000 * MB
        self.asked = 0
        monkeypatch.setattr(os, "statvfs", self._statvfs)

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
        answers.append(room.check(second * S))
        disk.free = 0
        assert answers[-1] == room.check(second * S + S - 1)
    assert [False, True, True, True, False, False] == answers
    assert 6 == disk.asked


def test_no_reserve_is_never_short(disk, tmp_path):
    disk.free = 0
    assert not Reserve(str(tmp_path), 0.0, "new tracks").check(0)


def test_a_folder_that_is_not_there_is_for_the_writer_to_tell(tmp_path):
    assert not Reserve(str(tmp_path / "gone"), 1e18, "new tracks").check(0)
    assert Reserve(str(tmp_path), 1e18, "new tracks").check(0)
    assert os.path.isdir(tmp_path)
