"""A file is the old or the new one whole, wherever its writer ends."""

import errno
import itertools
import os
import threading

import pytest

from spreadscan.disk import whole

STEPS = ["open", "fsync", "replace", "fdopen"]


class Killed(BaseException):
    """The process died here; what tidies up did not run."""


def die_at(monkeypatch, at, error):
    """Let the at-th step raise and, where it is a death, every step after it; counts them."""
    numbers = itertools.count()
    dead = []

    def wrap(real):
        def step(*arguments, **options):
            if dead or next(numbers) == at:
                dead.append(error is Killed)
                if dead[-1]:
                    raise Killed
                dead.clear()
                raise error
            return real(*arguments, **options)

        return step

    for name in [*STEPS, "unlink"]:
        monkeypatch.setattr(os, name, wrap(getattr(os, name)))


@pytest.mark.parametrize("at", range(8))
def test_a_kill_at_any_step_leaves_the_old_or_the_new_one(tmp_path, monkeypatch, at):
    path = tmp_path / "bans.json"
    whole.replace(path, b"old")
    die_at(monkeypatch, at, Killed)
    killed = False
    try:
        whole.replace(path, b"new")
    except Killed:
        killed = True
    monkeypatch.undo()
    assert killed == (at < 7)  # open, fdopen, open, fsync, replace, open of the folder, its fsync
    assert path.read_bytes() in ((b"old",) if at < 5 else (b"new",))
    left = [p for p in tmp_path.iterdir() if p != path]
    assert bool(left) == (1 <= at < 5)
    assert [] == list(tmp_path.glob("bans*.part"))
    whole.remove_remains(tmp_path, "other.json")
    assert len(left) == len([*tmp_path.iterdir()]) - 1
    whole.remove_remains(tmp_path, "bans.json")
    assert [path] == [*tmp_path.iterdir()]


@pytest.mark.parametrize("at", range(5))
def test_a_disk_that_refuses_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch, at):
    path = tmp_path / "bans.json"
    whole.replace(path, b"old")
    die_at(monkeypatch, at, OSError(errno.ENOSPC, "full"))
    with pytest.raises(OSError, match="full"):
        whole.replace(path, b"new")
    monkeypatch.undo()
    assert b"old" == path.read_bytes()
    assert [path] == [*tmp_path.iterdir()]


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(
        os, "fsync", lambda fd: (events.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd))
    )
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("named"), replace(a, b)))
    whole.replace(tmp_path / "a", b"1")
    part, named, folder = events
    assert (".a.", ".part") == (os.path.basename(part)[:3], part[-5:])
    assert ("named", str(tmp_path)) == (named, folder)
    events.clear()
    whole.replace(tmp_path / "a", b"2", synced=False)
    assert ["named"] == events


def test_a_block_that_fails_leaves_nothing(tmp_path):
    def write():
        with whole.arriving(tmp_path / "a") as part:
            part.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write()
    assert [] == [*tmp_path.iterdir()]


def test_the_mode_is_there_from_the_first_moment(tmp_path, monkeypatch):
    modes = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (modes.append(os.fstat(fd).st_mode), fsync(fd)))
    umask = os.umask(0)
    try:
        whole.replace(tmp_path / "a", b"", mode=0o600)
    finally:
        os.umask(umask)
    assert 0o600 == modes[0] & 0o777 == (tmp_path / "a").stat().st_mode & 0o777


def test_writers_of_one_file_do_not_mix(tmp_path):
    path = tmp_path / "a"
    contents = {bytes([n]) * 50_000 for n in range(4)}
    whole.replace(path, min(contents))
    threads = [
        threading.Thread(
            target=lambda c=content: [whole.replace(path, c, synced=False) for _ in range(50)]
        )
        for content in contents
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert path.read_bytes() in contents
    for thread in threads:
        thread.join()
    assert [path] == [*tmp_path.iterdir()]
