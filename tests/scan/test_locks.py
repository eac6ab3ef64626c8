"""One writer per folder: who may hold the lock, who may not, and what is said."""

import errno
import fcntl
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

from spreadscan import locks
from spreadscan.errors import ConfigError
from spreadscan.locks import DISCOVERY, TRACKER, FolderLock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def lock_of(folder: Path, instance: str = "mine") -> FolderLock:
    return FolderLock(folder, TRACKER, instance)


def refusal(folder: Path, within_s: float = 0.0) -> str:
    with pytest.raises(ConfigError) as caught:
        lock_of(folder, "other").take(within_s)
    return str(caught.value)


def test_the_second_is_told_who_holds_it(folder: Path) -> None:
    first = lock_of(folder)
    first.take(0.0)
    said = refusal(folder)
    for part in ("paths.data", str(folder), "'mine'", f"pid {os.getpid()} ", "since 20", "pytest"):
        assert part in said, said
    FolderLock(folder, DISCOVERY, "other").take(0.0)  # another purpose is another lock
    first.close()
    lock_of(folder, "other").take(0.0)


def test_it_leaves_nothing_behind(folder: Path) -> None:
    lock = lock_of(folder)
    lock.take(0.0)
    lock.close()
    assert not folder.exists()
    folder.mkdir()
    (folder / "signals.csv").write_text("mine")
    lock.take(0.0)
    lock.close()
    assert ["signals.csv"] == os.listdir(folder)


def test_a_holder_that_is_killed_holds_it_no_more(folder: Path, children: Any) -> None:
    def hold() -> None:
        lock_of(folder).take(0.0)
        time.sleep(60)

    pid = children.start("holder", hold)
    while not (folder / ".tracker.lock").exists() or lock_of(folder).holder() is None:
        time.sleep(0.01)
    assert f"pid {pid} " in refusal(folder)
    children.kill_one(pid)
    lock_of(folder).take(5.0)


def test_a_fork_shares_it_until_the_last_has_ended(folder: Path, children: Any) -> None:
    lock = lock_of(folder)
    lock.take(0.0)
    keeps = children.start("keeps", time.sleep, 60)

    def drops() -> None:
        lock.drop()
        time.sleep(60)

    children.start("drops", drops)
    lock.drop()  # as if this process had been killed
    assert "holds it" in refusal(folder, 0.2)
    children.kill_one(keeps)
    lock_of(folder).take(5.0)


def test_a_holder_that_is_gone_is_told_as_such(folder: Path, tmp_path: Path, children: Any) -> None:
    """Its child still holds the folder; the pid in the file is of nobody."""
    lock, told = lock_of(folder), tmp_path / "pid"

    def parent() -> None:
        lock.take(0.0)
        pid = os.fork()
        if pid:
            told.with_suffix(".new").write_text(str(pid))
            told.with_suffix(".new").rename(told)
        time.sleep(60)

    pid = children.start("parent", parent)
    while not told.exists():
        time.sleep(0.01)
    assert "left a process behind" not in refusal(folder)
    children.kill_one(pid)
    try:
        assert "which has ended and left a process behind" in refusal(folder)
    finally:
        os.kill(int(told.read_text()), 9)
    lock_of(folder).take(5.0)


def test_a_file_that_was_removed_under_the_lock_is_no_lock(folder: Path) -> None:
    """Whoever waits has opened the file that its holder then removes."""
    first, second = lock_of(folder), lock_of(folder)
    first.take(0.0)
    real = second._flock

    def flock(fd: int) -> bool:
        first.close()
        return real(fd)

    second._flock = flock  # type: ignore[method-assign]
    assert second.try_take()
    assert "holds it" in refusal(folder)


def test_closing_never_removes_the_lock_of_another(folder: Path) -> None:
    first = lock_of(folder)
    first.take(0.0)
    first.path.unlink()  # somebody cleared the folder
    second = lock_of(folder)
    second.take(0.0)
    first.close()
    assert "holds it" in refusal(folder)


def as_another_user(children: Any, call: Any) -> Any:
    def other() -> Any:
        os.setuid(65_534)
        return call()

    children.start("other", other)
    return children.results(10.0)["other"]


@pytest.fixture
def shared_folder() -> Any:
    """A folder that everyone may read and write."""
    if os.geteuid() != 0:
        pytest.skip("needs root to be two users")
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o777)
    yield place
    for path in place.iterdir():
        path.unlink()
    place.rmdir()


def test_another_user_cannot_hold_it(shared_folder: Path, children: Any) -> None:
    first = lock_of(shared_folder)
    first.take(0.0)
    first.drop()  # the file stays, as after a kill

    def hold() -> str:
        for flags in (os.O_RDONLY, os.O_RDWR):
            try:
                fcntl.flock(os.open(first.path, flags), fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                found = os.strerror(error.errno or 0)
            else:
                return "held"
        # the folder itself can be locked by everyone who may read it
        fcntl.flock(os.open(shared_folder, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return found

    assert "Permission denied" == as_another_user(children, hold)
    lock_of(shared_folder).take(0.0)


def test_a_file_that_another_user_planted_is_refused(shared_folder: Path, children: Any) -> None:
    path = shared_folder / ".tracker.lock"
    as_another_user(children, lambda: path.write_text(""))
    path.chmod(0o600)
    said = refusal(shared_folder)
    assert "uid 65534" in said or "Permission denied" in said  # the kernel may refuse it itself


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder", "hard link", "open to all"])
def test_what_is_no_file_of_ours_alone_is_refused(folder: Path, tmp_path: Path, kind: str) -> None:
    folder.mkdir()
    path, other = folder / ".tracker.lock", tmp_path / "other"
    if kind == "symlink":
        path.symlink_to(other)
    elif kind == "fifo":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch(0o600)
        if kind == "hard link":
            os.link(path, other)
        else:
            path.chmod(0o644)
    said = refusal(folder)
    assert ".tracker.lock" in said
    assert "expected" in said
    assert not other.exists() or kind == "hard link"


def test_a_file_system_without_locks_is_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flock(fd: int, kind: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    said = refusal(folder)
    assert "flock: No locks available, expected a file system with locks for paths.data" in said


def test_a_place_that_is_no_folder_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        assert "paths.data: " in (said := refusal(place))
        assert "expected a folder that can be written" in said
