"""A disk that is really full: a small tmpfs in a mount namespace of a child's own."""

import ctypes
import logging
import os
from pathlib import Path

import pytest

from scan.tracker.story import Story, World
from scan.tracker.test_disk import check_no_look_missing, tell

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REC, MS_PRIVATE = 0x4000, 0x40000
DISK_BYTES = 512 << 10


def mount_small_disk(folder: Path) -> None:
    """Mount a tmpfs of DISK_BYTES there, for this process alone; OSError where it may not."""
    libc = ctypes.CDLL(None, use_errno=True)

    def call(name, *arguments):
        if getattr(libc, name)(*arguments) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    try:
        call("unshare", CLONE_NEWNS)
    except PermissionError:
        call("unshare", CLONE_NEWUSER | CLONE_NEWNS)
    call("mount", b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    call("mount", b"tmpfs", bytes(folder), b"tmpfs", 0, b"size=%d" % DISK_BYTES)


@pytest.fixture(scope="module")
def small_disk_allowed(tmp_path_factory):
    """Skip where no tmpfs can be mounted."""
    folder = tmp_path_factory.mktemp("disk")
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            mount_small_disk(folder)
            code = 0
        except OSError as error:
            code = error.errno or 1
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code:
        pytest.skip(f"no tmpfs may be mounted here: {os.strerror(code)}")


class Ballast:
    """Fills the disk but for so many bytes, and empties it again."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ballast"

    def load(self, spare_bytes: int) -> None:
        with self.path.open("wb", buffering=0) as file:
            disk = os.statvfs(self.path)
            file.write(bytes(disk.f_bfree * disk.f_frsize))  # no more than that is taken
            file.truncate(file.tell() - spare_bytes)
            assert spare_bytes == os.statvfs(self.path).f_bfree * disk.f_frsize

    def drop(self) -> None:
        self.path.unlink()


class Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def in_a_child(children, call, folder, *arguments):
    def run():
        mount_small_disk(folder)
        return call(folder, *arguments)

    children.start("on a small disk", run)
    return children.results(120.0)["on a small disk"]


def full_at_every_write(folder, make_instance, monkeypatch, times, spare_bytes):
    """For each write of the story: no room from there on, for so many writes."""
    ballast = Ballast(folder)
    told = Messages()
    logging.getLogger("spreadscan.disk").addHandler(told)
    n_full, k = 0, 0
    while True:
        instance = make_instance(n_sources=8, n_symbols=64, n_edges=768, force=True)
        story = Story(instance, folder / f"data {k}")
        story.market.settings["tracker.reserve_mb"] = 0.0
        seen = []

        def plan(n, name, k=k, seen=seen):
            seen += [n] * (name == "write")
            if name == "write" and len(seen) - 1 == k:
                ballast.load(spare_bytes)
            if name == "write" and len(seen) - 1 == k + times:
                ballast.drop()

        told.texts.clear()
        tracker = tell(story, World(monkeypatch, plan))
        if len(seen) <= k + times:
            return n_full, k
        story.check_end()
        check_no_look_missing(story)
        assert not tracker.failing
        errors = story.market.counters()["write_errors"]
        refused, again = (told.texts.count(f"data {x}") for x in ("not written", "written again"))
        assert refused == again <= errors  # one line a change and file
        assert bool(errors) == bool(refused)
        n_full += bool(errors)
        tracker.close(story.market.now)
        for path in story.market.folder.iterdir():
            path.unlink()
        k += 1


@pytest.mark.parametrize(("times", "spare_bytes"), [(1, 0), (10, 0), (12, 4096)])
def test_it_survives_says_so_and_goes_on(
    small_disk_allowed, children, make_instance, monkeypatch, tmp_path, times, spare_bytes
):
    """Scenario 21."""
    n_full, n_writes = in_a_child(
        children, full_at_every_write, tmp_path, make_instance, monkeypatch, times, spare_bytes
    )
    assert n_writes > 60
    assert n_full > 5  # of those; else the last page of a file had room


def short_of_room(folder, make_instance):
    instance = make_instance(n_sources=8, n_symbols=64, n_edges=768, force=True)
    market = Story(instance, folder / "data").market
    tracker = market.started(tracker__reserve_mb=0.3, tracker__expire_after_s=60.0)
    market.signal(0, 40.0)
    market.step(tracker)
    Ballast(folder).load(204_800)
    market.step(tracker, 6)
    market.signal(1, 40.0)
    market.step(tracker, 6)
    short = instance.ring.queued, tracker.failing, len(market.events()), len(market.snapshots())
    Ballast(folder).drop()
    market.step(tracker, 6)
    return short, (instance.ring.queued, tracker.failing, len(market.events()))


def test_new_tracks_wait_before_the_disk_is_full(
    small_disk_allowed, children, make_instance, tmp_path
):
    short, after = in_a_child(children, short_of_room, tmp_path, make_instance)
    assert (1, True, 1, 13) == short
    assert (0, False, 2) == after
