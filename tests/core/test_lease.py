"""Leases: one live writer per role, and liveness is the lock, never a pid."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from spreadcore import Instance, region
from spreadcore.errors import LeaseHeld, RegionMissing, RegionRefused
from spreadcore.lease import TRY_FOR_S, Lease, lease_held


@pytest.fixture
def place(instance_name):
    region.create(instance_name, n_sources=1, n_symbols=1, n_edges=1)
    return region.instance_dir(instance_name)


@pytest.fixture
def holder(children, place):
    """Start a process that holds a lease and then only sleeps; return its pid."""

    def hold(role="engine"):
        pid = children.start("holder", lambda: (Lease(place, role), time.sleep(60)))
        while not lease_held(place, role):
            time.sleep(0.001)
        return pid

    return hold


def test_a_second_holder_is_refused_with_the_pid_of_the_first(place, holder):
    pid = holder()
    with pytest.raises(LeaseHeld, match=rf"engine: already running \(pid {pid}\)"):
        Lease(place, "engine")


def test_one_process_cannot_hold_a_lease_twice(place):
    first = Lease(place, "tracker")
    with pytest.raises(LeaseHeld, match=f"pid {os.getpid()}"):
        Lease(place, "tracker")
    first.close()


def test_roles_do_not_exclude_each_other(place):
    leases = [Lease(place, role) for role in ("0", "1", "engine", "tracker")]
    for lease in leases:
        lease.close()


def test_a_lease_is_free_after_close_and_can_be_taken_again(place):
    for _ in range(3):
        lease = Lease(place, "engine")
        assert lease_held(place, "engine")
        lease.close()
        lease.close()
        assert not lease_held(place, "engine")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_holder_holds_nothing(place, holder, end):
    pid = holder()
    os.kill(pid, end)
    os.waitpid(pid, 0)
    assert not lease_held(place, "engine")
    Lease(place, "engine").close()


def test_a_stopped_holder_still_holds(place, holder):
    """SIGSTOP is no death: its next write would meet the successor's."""
    pid = holder()
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    assert lease_held(place, "engine")
    with pytest.raises(LeaseHeld):
        Lease(place, "engine")


def test_a_stale_file_with_a_live_foreign_pid_is_not_alive(place):
    """A recycled pid, or a file left by a reboot."""
    Path(place, "lease-engine").write_text(f"{os.getppid()}\n")
    Path(place, "lease-engine").chmod(0o600)
    assert not lease_held(place, "engine")
    lease = Lease(place, "engine")
    assert f"{os.getpid()}\n" == Path(place, "lease-engine").read_text()
    lease.close()


def test_looking_neither_takes_nor_creates(place):
    assert not lease_held(place, "engine")
    assert not Path(place, "lease-engine").exists()


def test_a_prober_does_not_break_a_writer(place, children):
    """A prober locks for an instant; the writer tries for longer than that."""

    def probe_for(seconds):
        end = time.monotonic() + seconds
        n = 0
        while time.monotonic() < end:
            lease_held(place, "engine")
            n += 1
        return n

    Lease(place, "engine").close()
    children.start("prober", probe_for, 1.0)
    taken = 0
    while taken < 40:
        Lease(place, "engine").close()
        taken += 1
    assert children.results(20)["prober"] > 0


def test_two_probers_do_not_see_each_other(place, children):
    def look():
        return sum(lease_held(place, "engine") for _ in range(5_000))

    Lease(place, "engine").close()
    children.start("one", look)
    children.start("two", look)
    assert {"one": 0, "two": 0} == children.results(20)


def test_a_program_that_the_holder_starts_does_not_inherit_the_lease(place):
    """Scenario 20: O_CLOEXEC: a REST tool or a pager must not keep a dead feed's lease."""
    lease = Lease(place, "engine")
    helper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lease.close()
    try:
        assert not lease_held(place, "engine")
    finally:
        helper.communicate(b"\n")


def test_a_writer_gives_up_after_its_time(place):
    """It waits for a prober, not for a holder: TRY_FOR_S is far below anything a user feels."""
    assert 0 < TRY_FOR_S < 1


def test_no_instance_is_named(instance_name):
    with pytest.raises(RegionMissing, match="expected a created instance"):
        Lease(region.instance_dir(instance_name), "engine")
    assert not lease_held(region.instance_dir(instance_name), "engine")


def link_to(path):
    victim = path.with_name("victim")
    victim.write_text("mine")
    victim.chmod(0o600)
    path.symlink_to(victim)


def second_name(path):
    link_to(path)
    path.unlink()
    os.link(path.with_name("victim"), path)


def open_to_others(path):
    path.write_text("")
    path.chmod(0o666)


def foreign(path):
    if os.geteuid():
        pytest.skip("only root gives files away")
    path.write_text("")
    path.chmod(0o600)
    os.chown(path, 65534, 65534)


@pytest.mark.parametrize(
    "plant",
    [link_to, second_name, os.mkfifo, Path.mkdir, open_to_others, foreign],
    ids=["link", "hard link", "fifo", "folder", "open to others", "foreign"],
)
def test_what_is_not_safely_ours_is_no_lease(place, children, plant):
    """Neither taken nor believed, and not waited for: it says so to whoever takes or looks."""
    plant(Path(place, "lease-engine"))

    def refused():
        for call in (Lease, lease_held):
            with pytest.raises(RegionRefused, match=r"lease-engine: .*[,;] expected a "):
                call(place, "engine")
        return True

    children.start("taker", refused)
    assert {"taker": True} == children.results(10)
    if Path(place, "victim").exists():
        assert "mine" == Path(place, "victim").read_text()
    if Path(place, "lease-engine").is_dir():
        Path(place, "lease-engine").rmdir()


def test_an_instance_takes_and_shows_leases(place, instance_name):
    instance = Instance(instance_name)
    assert not instance.lease_held("0")
    lease = instance.lease("0")
    assert instance.lease_held("0")
    lease.close()
    instance.close()
