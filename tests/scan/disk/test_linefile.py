"""Whole lines, whatever the disk and its users do."""

import errno
import os
import threading
from collections import Counter
from pathlib import Path

import pytest

from spreadscan.disk.files import data_files, read_rows
from spreadscan.disk.format import simulated_of
from spreadscan.disk.linefile import LineFile, repair_file
from spreadscan.errors import BadData
from spreadscan.tracker.columns import SIGNALS, SNAPSHOTS

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
    monkeypatch.setattr(os, "write", lambda fd, b: calls.append(b) or write(fd, b))
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
    """Scenario 28."""
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
    monkeypatch.setattr(os, "open", lambda *a: opened.append(a) or real(*a))
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
        monkeypatch.setattr(os, "write", self._write)
        monkeypatch.setattr(os, "ftruncate", self._truncate)

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
    monkeypatch.setattr(os, "fsync", synced.append)
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
    careful.file.write("20261120-13", row("c"), 1)
    assert 2 == len(synced)  # the writer waits for nothing
    careful.file.sync()
    assert 5 == len(synced)  # the file that it has left, too
    careful.file.write("20261120-13", row("d"), 1)
    careful.file.close()
    assert 6 == len(synced)
    lazy.file.close()
    assert 6 == len(synced)
    assert [] == open_files(tmp_path)


def open_files(folder: Path) -> list[str]:
    """The files of a folder that this process holds open."""
    links = [Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    return [str(link.readlink()) for link in links
            if link.is_symlink() and str(folder) in str(link.readlink())]  # fmt: skip


class Gate:
    """os.fsync that waits until it is let through, then does as it is told."""

    def __init__(self, monkeypatch, error: int = 0) -> None:
        self.entered, self.let = threading.Event(), threading.Event()
        self.error = error
        self.inside = self.most = 0
        monkeypatch.setattr(os, "fsync", self._fsync)

    def _fsync(self, fd: int) -> None:
        os.fstat(fd)  # it is open
        self.inside += 1
        self.most = max(self.most, self.inside)
        self.entered.set()
        assert self.let.wait(20.0)
        os.fstat(fd)  # it is open yet
        self.inside -= 1
        if self.error:
            raise OSError(self.error, os.strerror(self.error))


@pytest.fixture
def careful(tmp_path):
    desk = Desk(tmp_path / "data", fsync=True)
    yield desk
    desk.file.close()
    assert [] == open_files(tmp_path)


def beside(work) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_rows_are_written_while_a_sync_waits_for_the_disk(careful, monkeypatch):
    gate = Gate(monkeypatch)
    careful.file.write(STAMP, row("a"), 1)
    syncing = beside(careful.file.sync)
    assert gate.entered.wait(20.0)
    careful.file.write(STAMP, row("b"), 1)
    careful.file.write("20261120-13", row("c"), 1)  # leaves the file that is being synced
    careful.path().rename(careful.folder / "moved")
    careful.file.write(STAMP, row("d"), 1)
    assert careful.file.unsynced
    more = [beside(careful.file.sync) for _ in range(3)]
    gate.let.set()
    for thread in (syncing, *more):
        thread.join(20.0)
        assert not thread.is_alive()
    assert 1 == gate.most
    assert not careful.file.unsynced
    assert ["d"] == careful.ids()


def test_a_file_that_is_removed_while_it_is_synced_is_closed_after(careful, monkeypatch):
    gate = Gate(monkeypatch)
    careful.file.write(STAMP, row("a"), 1)
    syncing = beside(careful.file.sync)
    assert gate.entered.wait(20.0)
    assert careful.file.remove(careful.path(), careful.path().stat().st_size)
    assert [] == list(careful.folder.iterdir())
    gate.let.set()
    syncing.join(20.0)
    assert [] == open_files(careful.folder)


def test_closing_waits_for_a_sync_and_syncs_the_rest(careful, monkeypatch):
    gate = Gate(monkeypatch)
    careful.file.write(STAMP, row("a"), 1)
    syncing = beside(careful.file.sync)
    assert gate.entered.wait(20.0)
    careful.file.write(STAMP, row("b"), 1)
    closing = beside(careful.file.close)
    closing.join(0.2)
    assert closing.is_alive()
    gate.let.set()
    for thread in (syncing, closing):
        thread.join(20.0)
        assert not thread.is_alive()
    assert 1 == gate.most
    assert ["a", "b"] == careful.ids()


def test_after_a_failed_sync_the_file_is_left_and_its_rows_are_told(
    careful, monkeypatch, caplog
):  # fmt: skip
    """Scenario 27."""
    gate = Gate(monkeypatch, errno.EIO)
    gate.let.set()
    careful.file.write(STAMP, row("a"), 1)
    careful.file.write(STAMP, row("b"), 1)
    careful.file.sync()
    assert careful.file.sync_failing
    assert not careful.file.failing  # rows are written on
    assert {"rows": 2, "sync_errors": 1, "untrusted_rows": 2} == careful.counts
    (record,) = caplog.records
    assert ("ERROR", 2, "Input/output error", str(careful.path())) == (
        record.levelname,
        record.facts["rows"],
        record.facts["error"],
        record.facts["file"],
    )
    careful.file.write(STAMP, row("c"), 1)
    assert ["a", "b"] == careful.ids()
    second = careful.folder / f"snapshots-{STAMP}.2.csv"
    assert SNAPSHOTS.header + row("c") == second.read_bytes()
    assert not careful.file.unsynced  # a pause first, or a bad disk would get a file every 20 ms
    careful.file._sync_at_s = 0.0
    gate.error = 0
    careful.file.sync()
    assert not careful.file.sync_failing
    assert "data synced again" == caplog.records[-1].message
    careful.file.write(STAMP, row("d"), 1)
    careful.file.close()
    files = data_files(careful.folder, SNAPSHOTS)
    assert ["a", "b", "c", "d"] == [
        r["track_id"] for file in files for r in read_rows(file.path, SNAPSHOTS)]  # fmt: skip
    again = Desk(careful.folder)
    again.file.write(STAMP, row("e"), 1)  # a tracker that starts later goes on in the newest
    again.file.close()
    assert second.read_bytes().endswith(row("c") + row("d") + row("e"))


def test_rows_written_while_a_sync_fails_are_synced_still(careful, monkeypatch):
    gate = Gate(monkeypatch, errno.EIO)
    careful.file.write(STAMP, row("a"), 1)
    syncing = beside(careful.file.sync)
    assert gate.entered.wait(20.0)
    careful.file.write(STAMP, row("b"), 1)
    gate.let.set()
    syncing.join(20.0)
    careful.file.write(STAMP, row("c"), 1)  # the next part
    careful.file._sync_at_s = gate.error = 0
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append(os.readlink(f"/proc/self/fd/{fd}")))
    careful.file.sync()
    folder = str(careful.folder)
    assert [str(careful.path()), folder, f"{folder}/snapshots-{STAMP}.2.csv", folder] == synced
    assert 1 == careful.counts["untrusted_rows"]


def test_what_the_disk_took_in_part_is_cut_off_before_a_file_is_left(careful, monkeypatch):
    """Else rows that are tried again would stand in both."""
    careful.file.write(STAMP, row("a"), 1)
    disk = Disk(monkeypatch, [len(row("b")) + 5])
    disk.truncates_fail = 1
    assert not careful.file.write(STAMP, BLOCK, 2)
    gate = Gate(monkeypatch, errno.EIO)
    gate.let.set()
    careful.file.sync()
    gate.error = 0
    assert careful.file.write(STAMP, BLOCK, 2)
    assert ["a"] == careful.ids()
    assert (careful.folder / f"snapshots-{STAMP}.2.csv").read_bytes().endswith(BLOCK)


def test_a_disk_that_always_fails_to_sync_is_asked_ever_more_seldom(careful, monkeypatch):
    gate = Gate(monkeypatch, errno.EIO)
    gate.let.set()
    pauses = []
    for n in range(9):
        careful.file.write(STAMP, row(str(n)), 1)
        careful.file.sync()
        pauses.append(careful.file._pause_s)
    assert [1, 2, 4, 8, 16, 32, 60, 60, 60] == pauses


@pytest.mark.parametrize("market", ["true", "unknown"])
def test_rows_of_another_market_get_a_file_of_their_own(tmp_path, market):
    for simulated, name in (("false", "a"), (market, "b"), (market, "c"), ("false", "d")):
        file = LineFile(str(tmp_path), SNAPSHOTS, lambda *a: None, fsync=False,
                        simulated=simulated)  # fmt: skip
        file.write(STAMP, row(name), 1)
        file.close()
    heads = {f.path.name: simulated_of(f.path.read_bytes())
             for f in data_files(tmp_path, SNAPSHOTS)}  # fmt: skip
    assert {f"snapshots-{STAMP}.csv": "false", f"snapshots-{STAMP}.2.csv": market,
            f"snapshots-{STAMP}.3.csv": "false"} == heads  # fmt: skip


# -- reading


FOREIGN = {
    "other version": (
        SNAPSHOTS.header.replace(b"v4", b"v1"),
        "begins '# spreadscan snapshots v1', expected '# spreadscan snapshots v4'",
    ),
    "version 20": (SNAPSHOTS.header.replace(b"v4", b"v20"), "snapshots v20', expected"),
    "other kind": (SIGNALS.header, "begins '# spreadscan signals v4', expected"),
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
