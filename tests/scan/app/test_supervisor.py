"""The supervisor with workers of a few lines: real forks, signals, leases and heartbeats."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from spreadcore import Instance

from conftest import Children
from spreadscan.app import build, hung, processes
from spreadscan.app import supervisor as module
from spreadscan.app.hung import Heartbeats
from spreadscan.app.notify import ServiceManager
from spreadscan.app.supervisor import Supervisor
from spreadscan.clock import now_ns
from spreadscan.config import Audit, Config, Paths
from spreadscan.lists import Lists
from spreadscan.locks import TRACKER, FolderLock
from spreadscan.logs import start_logging

S = 10**9
EMPTY = Lists(names=(), retired=frozenset(), pairs={}, sources={}, generation=1)

Worker = Callable[[Instance, str], int]


def beats(instance: Instance, role: str) -> int:
    """Hold the lease and beat until SIGTERM."""
    lease, health = instance.lease(role), instance.health
    stop = processes.StopFlag(instance)
    number = health.role(role)
    health.start(number, now_ns())
    while not stop():
        health.beat(number, now_ns())
        time.sleep(0.02)
    health.beat(number, now_ns(), "off")
    lease.close()
    return 0


class Family:
    """A supervisor in a child, over workers by role, None for the real one.

    patches: constants of modules.
    """

    def __init__(self, children: Children, instance: Instance, folder: Path) -> None:
        self._children = children
        self._folder = folder
        self.instance = instance
        self.health = instance.health
        self.pid = 0

    def start(self, workers: dict[str, Worker | None], *patches: tuple[Any, str, Any]) -> None:
        self.pid = self._children.start("supervisor", self._main, workers, patches)

    def _main(self, workers: dict[str, Worker | None], patches: list[tuple[Any, str, Any]]) -> int:
        for owner, name, value in patches:
            setattr(owner, name, value)
        writable = ("health", "control")
        name = self.instance.name
        build.roles_of = lambda *_: dict.fromkeys(workers, ())
        real = processes.run_role

        def run_role(role: str, config: Config, lists: Lists) -> int:
            own = workers[role]
            return own(Instance(name, writable), role) if own else real(role, config, lists)

        processes.run_role = run_role  # type: ignore[assignment]
        paths = Paths(**{key: str(self._folder / key) for key in ("data", "generated", "logs")})
        config = Config(instance=name, paths=paths, audit=Audit(enabled=False))
        folder = FolderLock(config.paths.data, TRACKER, name)
        folder.take(0.0)
        log = start_logging("supervisor", config.paths.logs, direct=True)
        try:
            return Supervisor(
                config, EMPTY, "processes", origins={}, folder=folder, manager=ServiceManager()
            ).run()
        finally:
            log.stop()
            folder.close()

    def info(self, role: str) -> dict[str, Any]:
        return dict(self.health.info(self.health.role(role)))

    def pid_of(self, role: str) -> int:
        """The worker that runs, once one does."""
        self.until(lambda: self.info(role)["state"] == "running", f"{role} to run")
        return int(self.info(role)["pid"])

    def until(self, condition: Callable[[], Any], what: str, within_s: float = 10.0) -> Any:
        deadline = time.monotonic() + within_s
        while not (found := condition()):
            assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
            time.sleep(0.01)
        return found

    def told(self, message: str) -> list[dict[str, Any]]:
        """The supervisor's log lines of that phrase."""
        path = self._folder / "logs" / "supervisor.log"
        rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [row for row in rows if row["message"] == message]

    def kill(self) -> None:
        """Leave nobody behind, stopped ones neither, however the test ended."""
        ours = Path("/proc/self/cmdline").read_bytes()  # forked, so that of every one of them
        for pid in (self.pid, *(line["worker_pid"] for line in self.told("worker started"))):
            with suppress(OSError):
                if pid and Path(f"/proc/{pid}/cmdline").read_bytes() == ours:
                    os.kill(pid, signal.SIGKILL)

    def end(self) -> int:
        """Stop it as a user does; its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        return self.ended()

    def ended(self) -> int:
        """Wait for its end; its exit code."""
        return int(self._children.results(10.0)["supervisor"])


@pytest.fixture
def family(
    children: Children, make_instance: Callable[..., Instance], tmp_path: Path
) -> Iterator[Family]:
    made = Family(children, make_instance(n_sources=8, n_symbols=64, n_edges=768), tmp_path)
    yield made
    made.kill()


QUICK = (hung, "HUNG_S", 1.0), (hung, "STARTING_S", 1.5), (hung, "_HELD_UP_NS", S)


def test_one_that_hangs_is_killed_and_a_shorter_stop_is_survived(family: Family) -> None:
    family.start({"tracker": beats, "engine": beats}, *QUICK)
    tracker, engine = family.pid_of("tracker"), family.pid_of("engine")
    os.kill(engine, signal.SIGSTOP)
    time.sleep(0.5)
    os.kill(engine, signal.SIGCONT)
    time.sleep(0.8)
    assert engine == family.pid_of("engine")
    os.kill(engine, signal.SIGSTOP)
    stopped = time.monotonic()
    family.until(lambda: family.info("engine")["pid"] != engine, "another engine")
    assert time.monotonic() - stopped > 0.9  # never sooner than it may be silent
    assert engine != family.pid_of("engine")
    assert (1, tracker) == (family.info("engine")["restarts"], family.pid_of("tracker"))
    (line,) = family.told("worker hangs, killed")
    assert ("engine", True) == (line["role"], line["silent_s"] >= 1.0)
    assert 0 == family.end()


def test_one_that_never_begins_is_killed_too(family: Family, tmp_path: Path) -> None:
    once = tmp_path / "once"

    def hangs_once(instance: Instance, role: str) -> int:
        if not once.exists():
            once.touch()
            time.sleep(60)
        return beats(instance, role)

    family.start({"engine": hangs_once}, *QUICK)
    family.pid_of("engine")
    (line,) = family.told("worker hangs, killed")
    assert line["silent_s"] >= 1.5


def test_nobody_is_killed_for_a_stop_of_everything(family: Family) -> None:
    """Scenario 48: a suspended machine, a frozen container; the supervisor comes back first."""
    family.start({"tracker": beats, "engine": beats}, *QUICK)
    workers = [family.pid_of("tracker"), family.pid_of("engine")]
    for pid in (family.pid, *workers):
        os.kill(pid, signal.SIGSTOP)
    time.sleep(1.8)
    os.kill(family.pid, signal.SIGCONT)
    time.sleep(0.6)
    for pid in workers:
        os.kill(pid, signal.SIGCONT)
    time.sleep(0.8)
    assert workers == [family.pid_of("tracker"), family.pid_of("engine")]
    assert [] == family.told("worker hangs, killed")
    (line,) = family.told("supervisor was held up")
    assert 1.7 < line["seconds"] < 30.0
    assert 0 == family.end()


def test_a_suspended_machine_is_told_by_its_two_clocks(
    make_instance: Callable[..., Instance], caplog: pytest.LogCaptureFixture
) -> None:
    instance = make_instance(n_sources=8, n_symbols=64, n_edges=768)
    health = instance.health
    engine, now, mono = health.role("engine"), 5_000 * S, 1_000 * S
    heartbeats = Heartbeats(health)
    health.start(engine, now)
    health.beat(engine, now)

    def silent_s(at_ns: int) -> float | None:
        return heartbeats.hung_s(os.getpid(), [engine], 4_000 * S, at_ns)

    heartbeats.look(now, mono)
    now += 600 * S  # asleep: the other clock stood still
    heartbeats.look(now, mono)
    assert silent_s(now) is None
    for _ in range(39):
        now, mono = now + S // 4, mono + S // 4
        heartbeats.look(now, mono)
        assert silent_s(now) is None  # everybody has his time anew
    now, mono = now + S, mono + S
    heartbeats.look(now, mono)
    assert 10.75 == silent_s(now)  # and no more than that
    now, mono = now + 5 * S, mono + 5 * S
    heartbeats.look(now, mono)
    told = [(r.message, r.facts["seconds"]) for r in caplog.records]  # type: ignore[attr-defined]
    assert [("machine was suspended", 600.0), ("supervisor was held up", 5.0)] == told


# -- what dies is tried again, ever less often; what is final is not


def dies(instance: Instance, role: str) -> int:
    return 1


def mends_nothing(instance: Instance, role: str) -> int:
    return processes.EXIT_USAGE


def test_restarts_grow_apart_up_to_a_cap(family: Family) -> None:
    """Scenario 16: a crash loop leaves the others alone, and is told ever less often."""
    family.start({"tracker": beats, "audit": dies}, (module, "_BACKOFF_S", (0.05, 0.4)))
    tracker = family.pid_of("tracker")
    family.until(lambda: len(family.told("worker started")) == 1 + 5, "eight restarts")
    waits_s = {line["deaths"]: line["restart_s"] for line in family.told("worker died")}
    assert {1, 2, 4, 8} == set(waits_s)
    assert waits_s[1] <= 0.05  # each is jittered, by up to a half
    assert min(waits_s[4], waits_s[8]) >= 0.2
    assert max(waits_s.values()) <= 0.4
    assert 8 <= family.info("audit")["restarts"]
    assert tracker == family.pid_of("tracker")
    assert "degraded" == family.info("supervisor")["state"]
    assert 0 == family.end()


def test_one_that_was_steady_is_restarted_at_once_again(family: Family) -> None:
    def dies_late(instance: Instance, role: str) -> int:
        time.sleep(0.3)
        return 1

    patches = (module, "_BACKOFF_S", (0.05, 5.0)), (module, "_STEADY_NS", S // 5)
    family.start({"tracker": beats, "audit": dies_late}, *patches)
    family.until(lambda: len(family.told("worker died")) >= 5, "five ends")
    found = {(line["deaths"], line["restart_s"] <= 0.05) for line in family.told("worker died")}
    assert {(1, True)} == found


def test_what_only_a_human_can_mend_is_given_up_and_the_others_go_on(family: Family) -> None:
    family.start({"tracker": beats, "audit": mends_nothing}, (module, "_BACKOFF_S", (0.01, 0.02)))
    tracker = family.pid_of("tracker")
    time.sleep(0.6)
    (line,) = family.told("worker given up")
    assert ("audit", 2) == (line["role"], line["exit_code"])
    starts = [line["role"] for line in family.told("worker started")]
    assert ["tracker", "audit"] == starts
    assert tracker == family.pid_of("tracker")
    assert "degraded" == family.info("supervisor")["state"]
    assert 3 == family.end()


@pytest.mark.parametrize("role", ["engine", "tracker"])
def test_without_engine_or_tracker_there_is_nothing_to_run_for(family: Family, role: str) -> None:
    family.start({role: mends_nothing, "audit": beats})
    assert 2 == family.ended()
    assert not family.instance.lease_held("audit")


def test_a_refused_layout_ends_at_once(family: Family) -> None:
    """Passing would be restarted for ever: it is the same at each try."""
    with Path(family.instance.directory, "tracks").open("r+b") as file:
        file.seek(8)  # layout_version, behind the magic
        file.write(b"\xff\xff")
    family.start({"tracker": None}, (module, "_BACKOFF_S", (0.01, 0.02)))
    assert 2 == family.ended()
    assert 1 == len(family.told("worker started"))


def holds(name: str) -> None:
    """Be a tracker of before that takes its time to end."""
    lease = Instance(name).lease("tracker")
    time.sleep(30)
    lease.close()


def predecessor(children: Children, instance: Instance) -> int:
    pid = children.start("predecessor", holds, instance.name)
    while not instance.lease_held("tracker"):
        time.sleep(0.01)
    return pid


def test_a_lease_of_one_who_is_ending_is_waited_for(children: Children, family: Family) -> None:
    pid = predecessor(children, family.instance)
    patches = (build, "HANDOVER_S", 0.1), (module, "_BACKOFF_S", (0.05, 0.1))
    family.start({"tracker": None}, *patches, (module, "_READY_WITHIN_S", 0.1))
    family.until(lambda: len(family.told("worker died")) >= 3, "four tries")
    assert {processes.EXIT_HELD} == {line["exit_code"] for line in family.told("worker died")}
    children.kill_one(pid)
    family.pid_of("tracker")
    assert 0 == family.end()


def test_but_not_for_ever(children: Children, family: Family) -> None:
    pid = predecessor(children, family.instance)
    patches = (build, "HANDOVER_S", 0.1), (module, "_BACKOFF_S", (0.05, 0.1))
    began = time.monotonic()
    family.start({"tracker": None}, *patches, (module, "_HELD_FOR_S", 1.0))
    family.until(lambda: family.told("worker given up"), "that it is given up")
    assert time.monotonic() - began >= 1.0
    children.kill_one(pid)
    assert 2 == family.ended()


def test_a_child_that_outlives_its_supervisor_does_not_hold_its_lease(
    family: Family, tmp_path: Path
) -> None:
    """Scenario 15: else a scanner could not be started anew before the last of them ended."""

    def stays(instance: Instance, role: str) -> int:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        health = instance.health
        health.start(health.role(role), now_ns())
        health.beat(health.role(role), now_ns())
        time.sleep(30)
        return 0

    family.start({"engine": stays})
    child = family.pid_of("engine")
    try:
        assert family.instance.lease_held("supervisor")
        os.kill(family.pid, signal.SIGKILL)
        family.until(
            lambda: not family.instance.lease_held("supervisor"), "its lease to be free", 2.0
        )
        os.kill(child, 0)  # which still lives
        # nor its lock of the data folder, which only the tracker shares
        FolderLock(tmp_path / "data", TRACKER, "other").take(0.0)
    finally:
        os.kill(child, signal.SIGKILL)
