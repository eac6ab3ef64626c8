"""A recording on a disk that is full for a while: what was refused is a gap with its size."""

import errno
import os
import random

from scan.recordings.kit import START_NS, about
from scan.tracker.test_full_disk import Ballast, in_a_child, small_disk_allowed  # noqa: F401
from spreadscan.recordings import FrameFiles, Recording
from spreadscan.recordings.format import ABOUT, RECORD_HEAD


def block(n):
    payload = random.Random(n).randbytes(20_000)  # does not compress
    return RECORD_HEAD.pack(n + 1, 1, len(payload) << 4 | 2) + payload, 1, n + 1, n + 1, n, 0


def full_for_a_while(folder):
    ballast = Ballast(folder)
    out = folder / "rec"
    out.mkdir()
    (out / ABOUT).write_bytes(about())
    files = FrameFiles(out, "okx-spot", START_NS)
    taken = []
    for n in range(12):
        if n == 4:
            ballast.load(8_192)
        if n == 8:
            ballast.drop()
        taken.append(files.write(*block(n)))
    files.close()
    recording = Recording(out)
    numbers = [frame.number for frame in recording.frames()]
    return taken, files.refused, numbers, [p.lost_frames for p in recording.problems]


def test_full_for_a_while(small_disk_allowed, children, tmp_path):  # noqa: F811
    taken, refused, numbers, lost = in_a_child(children, full_for_a_while, tmp_path)
    assert [True] * 4 == taken[:4]
    assert [True] * 4 == taken[8:]
    assert refused == taken.count(False) >= 3
    assert [n for n, ok in enumerate(taken) if ok] == numbers
    assert [refused] == lost


def test_a_file_whose_head_did_not_fit_is_begun_again(tmp_path, monkeypatch):
    (tmp_path / ABOUT).write_bytes(about())
    files = FrameFiles(tmp_path, "okx-spot", START_NS)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
    assert not files.write(*block(0))
    assert [] == [*files.folder.iterdir()]
    monkeypatch.undo()
    assert files.write(*block(1))
    files.close()
    recording = Recording(tmp_path)
    assert [1] == [frame.number for frame in recording.frames()]
    assert [1] == [problem.lost_frames for problem in recording.problems]


def test_a_sync_that_fails_is_told_with_what_may_be_lost(tmp_path, monkeypatch, caplog):
    """And never asked again: the kernel tells once. What comes next is in a new file."""
    (tmp_path / ABOUT).write_bytes(about())
    files = FrameFiles(tmp_path, "okx-spot", START_NS, file_bytes=60_000)
    asked = []

    def no_luck(fd):
        asked.append(fd)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", no_luck)
    taken = [files.write(*block(n)) for n in range(3)]  # the third fills the file
    monkeypatch.undo()
    taken.append(files.write(*block(3)))
    files.close()
    assert ([True] * 4, 1) == (taken, len(asked))
    (record,) = caplog.records
    assert "recording not synced: frames of this file may be lost" == record.message
    first, _ = sorted(path.name for path in files.folder.iterdir())
    assert (3, first) == (record.facts["frames"], record.facts["file"])
    assert [0, 1, 2, 3] == [frame.number for frame in Recording(tmp_path).frames()]
