"""Files that are over: compressed once, whatever kills it; the oldest removed."""

import errno
import os
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from scan.tracker.conftest import S, unix_ns
from spreadscan.disk import archive, whole
from spreadscan.disk.archive import Archive, Keep
from spreadscan.disk.files import data_files, read_rows
from spreadscan.disk.linefile import LineFile
from spreadscan.tracker import AUDIT, SIGNALS, SNAPSHOTS

NOON = unix_ns("2026-11-20T12:00:00.000000Z")
OVER_S = 121  # later than this a file of the hour before is over


class Killed(BaseException):
    """The process died here."""


class Desk:
    """Writers of both kinds and their archive."""

    def __init__(self, folder: Path, keep_gb: float = 1.0) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self.files = {
            kind: LineFile(str(folder), kind, self.count, fsync=False)
            for kind in (SIGNALS, SNAPSHOTS)
        }
        self.oldest = ""
        keep = Keep(keep_gb, (AUDIT,), self.needed)
        self.archive = Archive(str(folder), self.files, lambda: NOON, keep)

    def needed(self, kind, stamp: str) -> bool:
        return kind is SIGNALS and "" != self.oldest <= stamp

    def count(self, name: str, n: int) -> None:
        self.counts[name] += n

    def write(self, stamp: str, *names: str, kind=SNAPSHOTS) -> None:
        rows = "".join([kind.row({"track_id": name}) for name in names]).encode()
        assert self.files[kind].write(stamp, rows, len(names))

    def round(self, later_s: float = OVER_S) -> None:
        self.archive.round(NOON + int(later_s * S))

    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir())

    def ids(self, kind=SNAPSHOTS) -> list[str]:
        return [
            row["track_id"]
            for file in data_files(self.folder, kind)
            for row in read_rows(file.path, kind)
        ]


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path / "data")


def test_hours_and_days_that_are_over_are_compressed(desk):
    desk.write("20261119", "s", kind=SIGNALS)
    desk.write("20261120", "t", kind=SIGNALS)
    for hour in ("09", "10", "11", "12"):
        desk.write(f"20261120-{hour}", f"{hour}a", f"{hour}b")
    desk.round()
    assert [
        "signals-20261119.csv.zst", "signals-20261120.csv", "snapshots-20261120-09.csv.zst",
        "snapshots-20261120-10.csv.zst", "snapshots-20261120-11.csv.zst",
        "snapshots-20261120-12.csv",
    ] == desk.names()  # fmt: skip
    assert [f"{h}{x}" for h in ("09", "10", "11", "12") for x in "ab"] == desk.ids()
    assert ["s", "t"] == desk.ids(SIGNALS)


def test_an_hour_is_over_two_minutes_after_its_end(desk):
    desk.write("20261120-11", "a")
    desk.round(119)
    assert ["snapshots-20261120-11.csv"] == desk.names()
    desk.round(121)  # though the writer has it open still
    assert ["snapshots-20261120-11.csv.zst"] == desk.names()
    desk.write("20261120-12", "b")
    assert ["a", "b"] == desk.ids()


def test_rows_that_come_late_become_a_part_of_their_own(desk):
    desk.write("20261120-11", "a", "b")
    desk.round()
    for n in range(2, 4):
        desk.write("20261120-11", f"late {n}")
        assert n - 1 == len(desk.names()) - 1
        assert ["a", "b", *[f"late {k}" for k in range(2, n + 1)]] == desk.ids()
        desk.round()
    assert [
        "snapshots-20261120-11.2.csv.zst", "snapshots-20261120-11.3.csv.zst",
        "snapshots-20261120-11.csv.zst",
    ] == desk.names()  # fmt: skip
    assert ["a", "b", "late 2", "late 3"] == desk.ids()


def test_a_row_that_comes_while_it_works_is_kept(desk, monkeypatch):
    desk.write("20261120-11", "a")
    replace = os.replace

    def with_a_row(part, target):
        replace(part, target)
        desk.write("20261120-11", "b")

    monkeypatch.setattr(os, "replace", with_a_row)
    desk.round()
    monkeypatch.undo()
    assert ["a", "b"] == desk.ids()
    desk.round()
    assert ["snapshots-20261120-11.csv.zst"] == desk.names()
    assert ["a", "b"] == desk.ids()


def test_what_cannot_be_cut_off_yet_is_not_compressed(desk, monkeypatch):
    """Half a block stands in the file, and the disk does not let it be cut off."""
    desk.write("20261120-11", "a")
    file = desk.files[SNAPSHOTS]
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, block: write(fd, block[: len(block) // 2]))
    monkeypatch.setattr(os, "ftruncate", lambda fd, size: (_ for _ in ()).throw(OSError(errno.EIO)))
    assert not file.write("20261120-11", SNAPSHOTS.row({"track_id": "b"}).encode(), 1)
    monkeypatch.undo()
    desk.round()
    assert "snapshots-20261120-11.csv" in desk.names()
    desk.write("20261120-11", "b")
    desk.round()
    assert ["snapshots-20261120-11.csv.zst"] == desk.names()
    assert ["a", "b"] == desk.ids()


EFFECTS = [(os, "replace"), (os, "fsync"), (whole, "sync_folder"),
           (os, "unlink"), (os, "rename"), (archive.Archive, "_copy")]  # fmt: skip


@pytest.mark.parametrize("effect", EFFECTS, ids=lambda e: e[1])
@pytest.mark.parametrize("after", [False, True])
def test_a_kill_at_any_step_loses_and_doubles_nothing(desk, monkeypatch, effect, after):
    where, name = effect
    real = getattr(where, name)

    def die(*arguments, **more):
        if after:
            real(*arguments, **more)
        raise Killed

    desk.write("20261120-10", "a", "b")
    desk.write("20261120-11", "c")
    desk.files[SNAPSHOTS].close()
    monkeypatch.setattr(where, name, die)
    with pytest.raises(Killed):
        desk.round()
    monkeypatch.undo()
    again = Desk(desk.folder)
    assert ["a", "b", "c"] == again.ids()
    again.round()
    assert ["snapshots-20261120-10.csv.zst", "snapshots-20261120-11.csv.zst"] == again.names()
    assert ["a", "b", "c"] == again.ids()


def test_real_kills_lose_and_double_nothing(desk, children, monkeypatch):
    rng = random.Random(5)
    names = [f"{n:06d}{rng.getrandbits(256):064x}" for n in range(20_000)]
    hours = [f"20261120-{hour:02d}" for hour in range(10)]
    for at, hour in enumerate(hours):
        desk.write(hour, *names[at * 2_000 : (at + 1) * 2_000])
    desk.files[SNAPSHOTS].close()
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (time.sleep(0.01), fsync(fd)))
    left = []
    while not left or left[-1]:  # each gets a little longer than the one before
        pid = children.start(f"archive {len(left)}", Desk(desk.folder).round)
        time.sleep(0.005 * rng.random() * len(left))
        os.kill(pid, signal.SIGKILL)
        children.results(10.0)
        assert names == desk.ids()
        left.append(len([name for name in desk.names() if name.endswith(".csv")]))
    assert len(set(left)) > 2
    desk.round()
    assert [f"snapshots-{hour}.csv.zst" for hour in hours] == desk.names()
    assert names == desk.ids()


def test_a_disk_without_room_is_told_once_and_tried_again(desk, monkeypatch, caplog):
    desk.write("20261120-11", "a")

    def full(fd):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for _ in range(3):
        desk.round()
    assert ["snapshots-20261120-11.csv"] == desk.names()
    assert ["old data not looked after"] == [r.message for r in caplog.records]
    monkeypatch.undo()
    desk.round()
    assert ["snapshots-20261120-11.csv.zst"] == desk.names()


def test_a_file_that_is_not_ours_is_left_alone(desk, caplog):
    caplog.set_level("INFO")
    (desk.folder / "snapshots-20261120-10.csv").write_text("my notes\n")
    desk.write("20261120-11", "a")
    for _ in range(3):
        desk.round()
    assert ["snapshots-20261120-10.csv", "snapshots-20261120-11.csv.zst"] == desk.names()
    assert ["left as it is", "data compressed"] == [r.message for r in caplog.records]
    assert "my notes\n" == (desk.folder / "snapshots-20261120-10.csv").read_text()
    assert "begins 'my notes'" in caplog.records[0].facts["error"]


# -- the oldest go


def fill(desk: Desk) -> None:
    for day in ("18", "19", "20"):
        desk.write(f"202611{day}", day, kind=SIGNALS)
        for hour in ("10", "11"):
            desk.write(f"202611{day}-{hour}", f"{day}-{hour}")


@pytest.mark.parametrize(("n", "left"), [
    (1, ["signals-18", "snapshots-18-11", "signals-19", "snapshots-19-10", "snapshots-19-11"]),
    (3, ["signals-19", "snapshots-19-10", "snapshots-19-11"]),
    (5, ["signals-19"]),
    (99, []),
])  # fmt: skip
def test_the_oldest_are_removed_a_day_s_signals_after_its_hours(tmp_path, n, left):
    desk = Desk(tmp_path / "data")
    fill(desk)
    desk.round()
    sizes = {path.name: path.stat().st_size for path in desk.folder.iterdir()}
    of_day = ("snapshots-{}-10", "snapshots-{}-11", "signals-{}")
    order = [f"{n.format(day)}.csv.zst" for day in ("20261118", "20261119") for n in of_day]
    keep = sum(sizes.values()) - sum(sizes[name] for name in order[:n]) if n < 99 else 1
    desk = Desk(desk.folder, keep_gb=keep / 1e9)
    desk.round()
    gone = {"snapshots-20261120-10.csv.zst", "snapshots-20261120-11.csv.zst"} if n == 99 else set()
    today = {"signals-20261120.csv", "snapshots-20261120-10.csv.zst",
             "snapshots-20261120-11.csv.zst"} - gone  # fmt: skip
    expected = {f"{f.replace('-', '-202611', 1)}.csv.zst" for f in left} | today
    assert sorted(expected) == desk.names()


def test_the_open_row_of_an_open_track_is_never_removed(tmp_path):
    desk = Desk(tmp_path / "data", keep_gb=1e-9)
    fill(desk)
    desk.oldest = "20261119"
    desk.round()
    assert ["signals-20261119.csv.zst", "signals-20261120.csv"] == desk.names()
    assert ["19", "20"] == desk.ids(SIGNALS)


def test_kinds_of_another_process_count_and_go_once_they_are_compressed(tmp_path):
    desk = Desk(tmp_path / "data", keep_gb=1e-9)
    theirs = LineFile(str(desk.folder), AUDIT, desk.count, fsync=False)
    for day in ("20261117", "20261118", "20261120"):
        theirs.write(day, AUDIT.row({"source": day}).encode(), 1)
    desk.round()
    assert [f"audit-202611{day}.csv" for day in ("17", "18", "20")] == desk.names()
    their_archive = Archive(str(desk.folder), {AUDIT: theirs}, lambda: NOON)
    their_archive.round(NOON)
    stamps = [name[len("audit-202611") :] for name in desk.names()]
    assert ["17.csv.zst", "18.csv.zst", "20.csv"] == stamps
    # the newer one and the plain one fit
    kept = sum(path.stat().st_size for path in desk.folder.iterdir() if "17" not in path.name)
    Desk(desk.folder, keep_gb=kept / 1e9).round()
    assert ["audit-20261118.csv.zst", "audit-20261120.csv"] == desk.names()
    desk.round()
    assert ["audit-20261120.csv"] == desk.names()


def test_archives_of_one_folder_leave_each_other_s_files_alone(desk):
    """What the one is writing just now is no remains to the other."""
    with whole.arriving(desk.folder / "audit-20261118.csv.zst") as part:
        part.write_bytes(b"half")
        desk.round()
        assert part.exists()
    (desk.folder / ".snapshots-20261118-10.csv.zst.7-0a.part").write_bytes(b"half")
    desk.round()
    assert ["audit-20261118.csv.zst"] == desk.names()


# -- the thread


def test_it_works_beside_at_low_priority_and_ends_when_told(desk, monkeypatch):
    monkeypatch.setattr(archive, "_ROUND_S", 0.001)
    nice, done = [], threading.Event()

    def round(now_unix_ns):
        nice.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        done.set()

    monkeypatch.setattr(desk.archive, "round", round)
    before = os.getpriority(os.PRIO_PROCESS, 0)
    desk.archive.start()
    assert done.wait(20)
    desk.archive.stop()
    rounds = len(nice)
    assert {max(before, 10)} == set(nice)
    assert before == os.getpriority(os.PRIO_PROCESS, 0)
    time.sleep(0.01)
    assert rounds == len(nice)


def test_told_to_end_it_leaves_a_file_as_it_was(desk, monkeypatch):
    desk.write("20261120-11", "a")
    desk.archive._stop.set()
    desk.round()
    assert ["snapshots-20261120-11.csv"] == desk.names()
