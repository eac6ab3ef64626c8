"""Whole lines, whatever the disk and its users do."""

import errno
import os
from collections import Counter
from pathlib import Path

import pytest

from spreadscan.errors import BadData
from spreadscan.tracker import journal
from spreadscan.tracker.columns import SIGNALS, SNAPSHOTS
from spreadscan.tracker.files import read_rows
from spreadscan.tracker.journal import LineFile, repair_file

STAMP = "20261120-12"


def row(name: str) -> bytes:
    return SNAPSHOTS.row({"track_id": name}).encode()


class Desk:
    """A LineFile and what it counted."""

    def __init__(self, folder: Path, fsync: bool = False) -> None:
        self.folder = folder
        self.counts: Counter[str] = Counter()
        self.file = LineFile(str(folder), SNAPSHOTS, self.count, fsync=fsync)

    def count(self, name: str, n: int) -> None:
        self.counts[name] += n

    def path(self, stamp: str = STAMP) -> Path:
        return self.folder / f"snapshots-{stamp}.csv"

    def ids(self, stamp: str = STAMP) -> list[str]:
        content = self.path(stamp).read_bytes()
        assert content.startswith(SNAPSHOTS.header)
        assert content.endswith(b"\n")
        assert content.count(b"# spreadscan") == 1
        return [line.split(",")[0] for line in content.decode().splitlines()[2:]]


@pytest.fixture
def desk(tmp_path):
    desk = Desk(tmp_path / "deep" / "data")
    yield desk
    desk.file.close()


def test_a_new_file_begins_with_the_header(desk):
    assert desk.file.write(STAMP, row("a") + row("b"), 2)
    assert ["a", "b"] == desk.ids()
    assert {"rows": 2} == desk.counts


def test_all_rows_of_a_write_are_one_system_call(desk, monkeypatch):
    desk.file.write(STAMP, row("a"), 1)
    calls = []
    write = os.write
    monkeypatch.setattr(journal.os, "write", lambda fd, b: calls.append(b) or write(fd, b))
    desk.file.write(STAMP, row("b") + row("c"), 2)
    assert [row("b") + row("c")] == calls


def test_a_file_of_ours_is_gone_on_with(desk):
    desk.file.write(STAMP, row("a"), 1)
    desk.file.close()
    desk.file.write(STAMP, row("b"), 1)
    assert ["a", "b"] == desk.ids()


def test_the_name_rotates_and_comes_back(desk):
    """A row of yesterday may come after midnight."""
    desk.file.write("20261120-23", row("a"), 1)
    desk.file.write("20261121-00", row("b"), 1)
    desk.file.write("20261120-23", row("c"), 1)
    assert ["a", "c"] == desk.ids("20261120-23")
    assert ["b"] == desk.ids("20261121-00")


def test_a_deleted_file_is_made_again(desk):
    desk.file.write(STAMP, row("a"), 1)
    desk.path().unlink()
    desk.file.write(STAMP, row("b"), 1)
    assert ["b"] == desk.ids()


def test_a_deleted_folder_is_made_again(desk):
    desk.file.write(STAMP, row("a"), 1)
    desk.path().unlink()
    desk.folder.rmdir()
    desk.file.write(STAMP, row("b"), 1)
    assert ["b"] == desk.ids()


def test_a_replaced_file_is_gone_on_with(desk, tmp_path):
    desk.file.write(STAMP, row("a"), 1)
    copy = tmp_path / "copy"
    copy.write_bytes(desk.path().read_bytes() + row("z"))
    copy.rename(desk.path())
    desk.file.write(STAMP, row("b"), 1)
    assert ["a", "z", "b"] == desk.ids()


def test_a_file_replaced_by_its_own_copy_is_noticed(desk, tmp_path):
    desk.file.write(STAMP, row("a"), 1)
    copy = tmp_path / "copy"
    copy.write_bytes(desk.path().read_bytes())
    copy.rename(desk.path())
    desk.file.write(STAMP, row("b"), 1)
    assert ["a", "b"] == desk.ids()


def test_a_file_is_opened_once_for_many_writes(desk, monkeypatch):
    opened = []
    real = os.open
    monkeypatch.setattr(journal.os, "open", lambda *a: opened.append(a) or real(*a))
    for _ in range(5):
        desk.file.write(STAMP, row("a"), 1)
    assert 1 == len(opened)


def test_a_file_replaced_by_another_kind_is_refused(desk):
    desk.file.write(STAMP, row("a"), 1)
    desk.path().unlink()
    desk.path().write_text("my notes\nof today\n")
    with pytest.raises(BadData, match=r"snapshots-20261120-12\.csv: begins 'my notes'"):
        desk.file.write(STAMP, row("b"), 1)
    assert "my notes\nof today\n" == desk.path().read_text()


def test_an_emptied_file_gets_its_header_again(desk):
    desk.file.write(STAMP, row("a"), 1)
    desk.path().write_bytes(b"")
    desk.file.write(STAMP, row("b"), 1)
    assert ["b"] == desk.ids()


def test_a_shortened_file_loses_its_torn_line_first(desk):
    desk.file.write(STAMP, row("a") + row("b"), 2)
    os.truncate(desk.path(), desk.path().stat().st_size - 3)
    desk.file.write(STAMP, row("c"), 1)
    assert ["a", "c"] == desk.ids()
    assert 1 == desk.counts["torn_lines"]


class Disk:
    """os.write that takes only so much of the next writes, then fails; then all again."""

    def __init__(self, monkeypatch, takes: list[int | None]) -> None:
        self.takes = takes  # bytes of the next writes; None: the call raises
        self.write, self.truncate = os.write, os.ftruncate
        self.truncates_fail = 0
        monkeypatch.setattr(journal.os, "write", self._write)
        monkeypatch.setattr(journal.os, "ftruncate", self._truncate)

    def _write(self, fd: int, block: bytes) -> int:
        if not self.takes:
            return self.write(fd, block)
        take = self.takes.pop(0)
        if take is None:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return self.write(fd, block[:take])

    def _truncate(self, fd: int, size: int) -> None:
        if self.truncates_fail:
            self.truncates_fail -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.truncate(fd, size)


BLOCK = row("b") + row("c")
N = len(BLOCK)


@pytest.mark.parametrize("take", [None, *range(N)])
@pytest.mark.parametrize("truncates_fail", [0, 1, 3])
def test_rows_retried_after_a_full_disk_stand_there_once(desk, monkeypatch, take, truncates_fail):
    desk.file.write(STAMP, row("a"), 1)
    disk = Disk(monkeypatch, [take])
    disk.truncates_fail = truncates_fail
    tries = 1
    while not desk.file.write(STAMP, BLOCK, 2):
        assert desk.file.failing
        tries += 1
        assert tries < 5
    assert tries > 1
    assert not desk.file.failing
    assert ["a", "b", "c"] == desk.ids()
    assert {"rows": 3, "write_errors": tries - 1} == desk.counts


@pytest.mark.parametrize("take", range(0, len(SNAPSHOTS.header) + N, 7))
def test_a_header_that_did_not_fit_is_written_again(desk, monkeypatch, take):
    Disk(monkeypatch, [take])
    assert not desk.file.write(STAMP, BLOCK, 2)
    assert desk.file.write(STAMP, BLOCK, 2)
    assert ["b", "c"] == desk.ids()


def test_the_rest_of_a_block_is_cut_off_before_another_file_is_begun(desk, monkeypatch):
    desk.file.write("20261120-12", row("a"), 1)
    disk = Disk(monkeypatch, [len(row("b")) + 5])
    disk.truncates_fail = 1  # at once; the next write begins with it
    assert not desk.file.write("20261120-12", BLOCK, 2)
    assert desk.file.write("20261120-13", BLOCK, 2)
    assert ["a"] == desk.ids("20261120-12")
    assert ["b", "c"] == desk.ids("20261120-13")


def test_closing_cuts_off_what_is_not_whole(desk, monkeypatch):
    desk.file.write(STAMP, row("a"), 1)
    disk = Disk(monkeypatch, [len(row("b")) + 5])
    disk.truncates_fail = 1
    desk.file.write(STAMP, BLOCK, 2)
    desk.file.close()
    assert ["a"] == desk.ids()


def test_a_folder_that_cannot_be_written_is_waited_for(desk, monkeypatch):
    """Here a file stands where the folder belongs."""
    desk.folder.parent.mkdir()
    desk.folder.write_text("in the way")
    assert not desk.file.write(STAMP, BLOCK, 2)
    desk.folder.unlink()
    assert desk.file.write(STAMP, BLOCK, 2)
    assert ["b", "c"] == desk.ids()


def test_one_log_line_per_change(desk, monkeypatch, caplog):
    caplog.set_level("INFO")
    Disk(monkeypatch, [None] * 3)
    for _ in range(5):
        desk.file.write(STAMP, row("a"), 1)
    assert ["data not written", "data written again"] == [r.message for r in caplog.records]
    assert "Input/output error" == caplog.records[0].facts["error"]
    assert str(desk.path()) == caplog.records[0].facts["file"]


def test_fsync_only_where_it_is_asked_for(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(journal.os, "fsync", synced.append)
    lazy, careful = Desk(tmp_path / "a"), Desk(tmp_path / "b", fsync=True)
    for desk in (lazy, careful):
        desk.file.write(STAMP, row("a"), 1)
    assert not lazy.file.unsynced
    assert careful.file.unsynced
    lazy.file.sync()
    assert [] == synced
    careful.file.sync()
    assert 2 == len(synced)  # the file, and the folder that it is new in
    careful.file.sync()
    assert 2 == len(synced)
    careful.file.write(STAMP, row("b"), 1)
    careful.file.write("20261120-13", row("c"), 1)  # rotation syncs what it leaves
    assert 3 == len(synced)
    careful.file.close()
    assert 5 == len(synced)
    lazy.file.close()
    assert 5 == len(synced)


def test_a_failed_fsync_is_counted_and_survived(tmp_path, monkeypatch):
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    desk = Desk(tmp_path, fsync=True)
    desk.file.write(STAMP, row("a"), 1)
    monkeypatch.setattr(journal.os, "fsync", fail)
    desk.file.sync()
    assert desk.file.failing
    assert 1 == desk.counts["write_errors"]
    monkeypatch.undo()
    assert desk.file.write(STAMP, row("b"), 1)
    assert ["a", "b"] == desk.ids()
    desk.file.close()


# -- reading


FOREIGN = {
    "other version": (
        SNAPSHOTS.header.replace(b"v2", b"v1"),
        "begins '# spreadscan snapshots v1', expected '# spreadscan snapshots v2'",
    ),
    "version 20": (SNAPSHOTS.header.replace(b"v2", b"v20"), "snapshots v20', expected"),
    "other kind": (SIGNALS.header, "begins '# spreadscan signals v2', expected"),
    "no comment": (SNAPSHOTS.header.split(b"\n", 1)[1] + b"x\n", "begins 'track_id,time"),
    "other columns": (SNAPSHOTS.header.replace(b",net_bps", b""), "columns 'track_id,time"),
    "columns moved": (
        SNAPSHOTS.header.replace(b"gross_bps,net_bps", b"net_bps,gross_bps"), "columns 'track_id",
    ),
    "notes": (b"hello", "begins 'hello'"),
    "binary": (bytes(range(256)) * 40, "begins '"),
    "one long line": (b"x" * 100_000, "begins 'xxx"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_refused_by_name_and_left_alone(tmp_path, name):
    content, words = FOREIGN[name]
    path = tmp_path / "snapshots-20261120-12.csv"
    path.write_bytes(content)
    desk = Desk(tmp_path)
    for call in (
        lambda: desk.file.write(STAMP, row("a"), 1),
        lambda: repair_file(path, SNAPSHOTS),
        lambda: list(read_rows(path, SNAPSHOTS)),
    ):
        with pytest.raises(BadData) as caught:
            call()
        assert str(path) in str(caught.value)
        assert words in str(caught.value)
        assert len(str(caught.value)) < 400
    assert content == path.read_bytes()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir], ids=["fifo", "folder"])
def test_what_is_no_file_is_refused(tmp_path, make):
    path = tmp_path / "snapshots-20261120-12.csv"
    make(path)
    with pytest.raises(BadData, match=r"snapshots-20261120-12\.csv: "):
        repair_file(path, SNAPSHOTS)


def test_a_device_is_refused(tmp_path):
    path = tmp_path / "snapshots-20261120-12.csv"
    path.symlink_to("/dev/full")
    desk = Desk(tmp_path)
    with pytest.raises(BadData, match="not a plain file"):
        desk.file.write(STAMP, row("a"), 1)


@pytest.mark.parametrize("size", range(len(SNAPSHOTS.header)))
def test_a_torn_header_is_an_empty_file(desk, size):
    desk.folder.mkdir(parents=True)
    desk.path().write_bytes(SNAPSHOTS.header[:size])
    assert [] == list(read_rows(desk.path(), SNAPSHOTS))
    desk.file.write(STAMP, row("a"), 1)
    assert ["a"] == desk.ids()
    assert int(size > 0) == desk.counts["torn_lines"]


@pytest.mark.parametrize("torn", [1, 100, 4095, 4096, 4097, 20_000])
def test_a_torn_line_of_any_length_is_cut_off(tmp_path, torn):
    path = tmp_path / "snapshots-20261120-12.csv"
    whole = SNAPSHOTS.header + row("a")
    path.write_bytes(whole + b"x" * torn)
    assert repair_file(path, SNAPSHOTS)
    assert whole == path.read_bytes()
    assert not repair_file(path, SNAPSHOTS)


def test_a_missing_file_needs_no_repair(tmp_path):
    assert not repair_file(tmp_path / "snapshots-20261120-12.csv", SNAPSHOTS)
