"""The supervisor: forks the workers, watches them by pidfd, restarts what dies.

Synchronous, no event loop, no second thread: a fork copies only what is sure to work in the
child, and the pages of everything imported before it are shared.
"""

import contextlib
import gc
import logging
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spreadcore.errors import RegionLost

from spreadscan.app import build, processes
from spreadscan.app.asking import ask_for_newest
from spreadscan.app.commands import open_server
from spreadscan.app.hung import Heartbeats
from spreadscan.app.notify import Condition, ServiceManager, condition
from spreadscan.app.rediscovery import Rediscovery
from spreadscan.app.status import status
from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.control import switches
from spreadscan.control.server import ControlServer
from spreadscan.discovery import outcome
from spreadscan.errors import EXIT_LOST, ConfigError, SpreadError, printable
from spreadscan.inuse import health_slot, leave_lists, leave_settings
from spreadscan.lists import Lists
from spreadscan.locks import FolderLock
from spreadscan.logs import facts
from spreadscan.net.backoff import Backoff
from spreadscan.reload import Reload

log = logging.getLogger(__name__)

_BEAT_MS = 250
_STOP_WITHIN_S = 4.0
_STEADY_NS = 60_000_000_000  # a worker that lived this long starts its back-off anew
_READY_WITHIN_S = 30.0
_BACKOFF_S = 0.5, 30.0  # before a restart: at first, and at most
_JUDGE_NS = 2_000_000_000  # between looks at the scanner's health
_UNKNOWN = {"state": "unknown", "exit_code": 1, "sentence": "unknown: see the traceback"}
_HELD_FOR_S = 60.0  # a lease that is held for longer is not that of somebody who is ending


@dataclass(slots=True)
class _Worker:
    role: str
    processors: tuple[int, ...]
    backoff: Backoff
    pid: int = 0
    pidfd: int = -1
    started_ns: int = 0
    again_at_ns: int = 0  # when to start it (again); 0 = running or given up
    deaths: int = 0  # since it was steady
    held_since_ns: int = 0  # since when another one holds its lease; 0 = none was seen to
    given_up: bool = False
    restarting: bool = False  # it was told to end, and is started again at once
    kill_at_ns: int = 0  # where it does not
    killed: bool = False  # since it hung; its end is yet to come


class Supervisor:
    """Keeps the workers of one instance running. run() until a signal, ctl stop, or seconds.

    discover: writes a new set, run in a child every discovery.reload_h; returns its exit code.
    origins: where settings come from that are no default. folder: the lock of the data folder,
    which is held for as long as this process, or the tracker that it forked, lives. manager: is
    told how it fares.
    """

    def __init__(
        self,
        config: Config,
        lists: Lists,
        layout: str,
        discover: Callable[[], int] | None = None,
        *,
        origins: Mapping[str, str],
        folder: FolderLock,
        manager: ServiceManager,
    ) -> None:
        self._config = config
        self._manager = manager
        self._origins = origins
        self._folder = folder
        self._layout = layout
        self._instance = build.open_instance(config, "supervisor")
        self._reload = Reload(config, lists, self._instance)
        self._health = self._instance.health
        self._role = self._health.role("supervisor")
        self._heartbeats = Heartbeats(self._health)
        self._workers: list[_Worker] = []
        self._plan_workers()
        self._discover = discover
        every_h = config.discovery.reload_h if discover else 0.0
        self._rediscovery = Rediscovery(
            discover or (lambda: 0),
            every_h,
            config.discovery.again_s,
            self._fork,
            lambda: outcome.last(config),
        )
        self._control = ControlServer()  # listens to nobody yet
        self._judge_at_ns = 0
        self._states = ["", ""]  # of the scanner: as told, and as of the last look
        self._close_lease: Callable[[], None] = lambda: None
        self._stopping = False

    def run(self, seconds: float | None = None, on_ready: Callable[[], None] | None = None) -> int:
        """Start everything and watch it; return the exit code.

        3: a worker was given up, or the lists in use lack a source's answer. 2: one was without
        which nothing is found or followed; that ends the run. RegionLost once the instance is not
        whole any more, or another: no start of a worker mends that.
        """
        lease = self._instance.lease("supervisor")
        self._close_lease = lease.close
        self._control = open_server(self._instance, self._config, self)
        leave_settings(self._instance, self._config, self._origins)
        leave_lists(self._instance, self._reload.lists)
        switches.restore(self._instance, self._config)
        self._instance.control.stop = False
        self._instance.control.reload_generation = self._reload.lists.generation
        build.begin_run(self._instance)
        self._health.start(self._role, now_ns())
        self._health.acknowledge(self._role, self._reload.lists.generation)
        processes.pin(self._config.cpu.supervisor)
        wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        before = {n: signal.signal(n, self._on_signal) for n in processes.stop_signals()}
        old_fd = signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        gc.collect()
        gc.freeze()  # what is here now stays shared with the children
        try:
            for worker in self._workers:
                self._start(worker)
                if worker.role == "tracker":
                    self._wait_ready(worker)
            if on_ready:
                on_ready()
            end_ns = now_ns() + int(seconds * 1e9) if seconds is not None else None
            self._watch(wake_read, end_ns)
        finally:
            self._manager.stopping()
            self._stop_all()
            self._control.close()
            signal.set_wakeup_fd(old_fd)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(wake_read)
            os.close(wake_write)
            self._say_off()
            lease.close()
        if self._is_useless():
            return processes.EXIT_USAGE
        given_up = any(w.given_up for w in self._workers)
        failed = any(source in self._reload.lists.failed for source in self._config.sources)
        return 3 if given_up or failed else 0

    def _is_useless(self) -> bool:
        """Return whether what is given up leaves nothing to run for."""
        given_up = {worker.role for worker in self._workers if worker.given_up}
        return bool(given_up & {"tracker", "engine", "single"}) or (
            bool(given_up) and len(given_up) == len(self._workers)
        )

    def _on_signal(self, number: int, frame: object) -> None:
        self._stopping = True

    def _say_off(self) -> None:
        try:
            self._instance.check()
        except RegionLost:  # told already; what is left of it is not to be touched
            return
        self._health.beat(self._role, now_ns(), "off")

    # -- starting and watching

    def _plan_workers(self) -> None:
        """Have a worker for every role; a source that got its first pairs is a new one."""
        roles = build.roles_of(self._config, self._reload.lists, self._layout)
        known = {worker.role for worker in self._workers}
        self._workers += [
            _Worker(role, processors, Backoff(*_BACKOFF_S))
            for role, processors in roles.items()
            if role not in known
        ]

    def _start(self, worker: _Worker) -> None:
        def main() -> int:
            processes.pin(worker.processors)
            return processes.run_role(worker.role, self._config, self._reload.lists)

        worker.pid = self._fork(main, follows=worker.role in ("tracker", "single"))
        worker.pidfd = os.pidfd_open(worker.pid)
        worker.started_ns, worker.again_at_ns, worker.killed = now_ns(), 0, False
        worker.restarting, worker.given_up, worker.kill_at_ns = False, False, 0
        if not worker.deaths or _is_told(worker.deaths):
            log.info("worker started", extra=facts(role=worker.role, worker_pid=worker.pid))

    def _fork(self, main: Callable[[], int], *, follows: bool = False) -> int:
        """Run main in a child that shares our pages, ends when we do, and exits with its code.

        follows: it writes into the data folder, and shares its lock.
        """
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        # our handlers note a signal for the supervisor: until the worker has its own, a SIGTERM
        # would be lost, and a worker whose parent died meanwhile live on
        numbers = set(processes.stop_signals())
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                signal.set_wakeup_fd(-1)
                for number in numbers:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
                processes.die_with_parent(parent)
                self._control.drop()
                self._close_lease()  # else it would be held for as long as its children live
                self._close_pidfds()
                if not follows:
                    self._folder.drop()
                code = main()
            except Exception:
                # the last place that can tell: start_logging may be what failed
                logging.getLogger(__name__).exception("worker failed")
            finally:
                logging.shutdown()
                os._exit(code)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)
        return pid

    def _close_pidfds(self) -> None:
        for worker in self._workers:
            if worker.pidfd >= 0:
                os.close(worker.pidfd)
                worker.pidfd = -1
        if self._rediscovery.pidfd >= 0:
            os.close(self._rediscovery.pidfd)

    def _wait_ready(self, worker: _Worker) -> None:
        """Wait until the tracker has recovered: only then may the engine signal."""
        role = self._health.role("tracker")
        deadline = now_ns() + int(_READY_WITHIN_S * 1e9)
        while (now := now_ns()) < deadline and not self._stopping:
            self._health.beat(self._role, now, "starting")
            info = self._health.info(role)
            if info["pid"] == worker.pid and info["state"] == "running":
                return
            if self._exited(worker, 20):
                return

    def _exited(self, worker: _Worker, timeout_ms: int) -> bool:
        poll = select.poll()
        poll.register(worker.pidfd, select.POLLIN)
        return bool(poll.poll(timeout_ms))

    def _watch(self, wake_fd: int, end_ns: int | None) -> None:
        while not (self._stopping or self._instance.control.stop):
            now = now_ns()
            if self._is_useless() or (end_ns is not None and now >= end_ns):
                return
            self._instance.check()
            degraded = any(w.pid == 0 for w in self._workers)
            self._health.beat(self._role, now, "degraded" if degraded else "running")
            self._heartbeats.look(now, time.clock_gettime_ns(time.CLOCK_MONOTONIC))
            self._kill_hung(now)
            self._tell_state(now)
            self._manager.follow(self._condition)
            self._take_lists()
            self._rediscovery.start_when_due()
            for worker in self._workers:
                if worker.kill_at_ns and now >= worker.kill_at_ns:
                    self._kill(worker)
                if worker.again_at_ns and now >= worker.again_at_ns:
                    for role in self._role_numbers(worker):
                        self._health.restarted(role)
                    self._start(worker)
            poll = select.poll()
            poll.register(wake_fd, select.POLLIN)
            by_fd = {w.pidfd: w for w in self._workers if w.pidfd >= 0}
            for fd in by_fd:
                poll.register(fd, select.POLLIN)
            if self._rediscovery.pidfd >= 0:
                poll.register(self._rediscovery.pidfd, select.POLLIN)
            for fd, events in self._control.polled().items():
                poll.register(fd, events)
            for fd, events in poll.poll(_BEAT_MS):
                if fd in by_fd:
                    self._ended(by_fd[fd])
                elif self._served(fd, events):
                    continue
                elif fd == self._rediscovery.pidfd and self._rediscovery.ended():
                    self._ask_for_newest()

    def _judged(self) -> Mapping[str, Any]:
        """Return the scanner's health and the state of each role."""
        try:
            found = status(self._instance, self._config)
        except Exception:  # whatever cannot be read, workers are looked after
            if self._states[1] != "unknown":
                log.exception("scanner's state not known")
            return {"health": _UNKNOWN, "roles": {}}
        return found

    def _tell_state(self, now: int) -> None:
        """Log the scanner's state once it is another one, at two looks in a row."""
        if now < self._judge_at_ns:
            return
        self._judge_at_ns = now + _JUDGE_NS
        health = self._judged()["health"]
        told, before = self._states
        self._states[1] = state = health["state"]
        if state == before != told:
            self._states[0] = state
            tell = log.warning if health["exit_code"] else log.info
            tell("scanner's state", extra=facts(state=state, was=told, why=health["sentence"]))

    def _kill_hung(self, now: int) -> None:
        """Kill workers whose process lives without a beat; how they end is noticed as ever."""
        for worker in self._workers:
            if not worker.pid or worker.killed:
                continue
            roles = self._role_numbers(worker)
            silent_s = self._heartbeats.hung_s(worker.pid, roles, worker.started_ns, now)
            if silent_s is not None:
                log.error(
                    "worker hangs, killed",
                    extra=facts(role=worker.role, silent_s=round(silent_s, 1)),
                )
                worker.killed = True
                os.kill(worker.pid, signal.SIGKILL)

    def _condition(self) -> Condition:
        return condition(self._judged(), {w.role for w in self._workers if w.given_up})

    def _ask_for_newest(self) -> None:
        try:
            ask_for_newest(self._instance, self._config)
        except SpreadError as error:
            log.error("new lists refused", extra=facts(error=str(error)))

    def _take_lists(self) -> None:
        """Give newer lists to whoever is started from now on, and start who is new by them."""
        generation = self._reload.lists.generation
        lists = self._reload.load()  # no thread here, for we fork
        if lists.generation == generation:
            return
        before = len(self._workers)
        self._plan_workers()
        for worker in self._workers[before:]:
            self._start(worker)
        self._health.acknowledge(self._role, lists.generation)

    def _ended(self, worker: _Worker) -> None:
        """A worker is gone: plan its next start, or give it up where only a human helps."""
        code = self._reap(worker)
        if code == EXIT_LOST:
            self._instance.check()  # names the file, where it can still be seen
            raise RegionLost(
                f"{self._instance.directory}: cut short under {worker.role}, expected it to stay"
            )
        worker.kill_at_ns = 0
        if worker.restarting:
            worker.again_at_ns = now_ns()
            log.info("worker ended for a restart", extra=facts(role=worker.role, exit_code=code))
            return
        now, log_file = now_ns(), f"{self._config.paths.logs}/{worker.role}.log"
        held = code == processes.EXIT_HELD
        worker.held_since_ns = (worker.held_since_ns or worker.started_ns) if held else 0
        if code == processes.EXIT_USAGE:
            self._give_up(worker, code, f"only a human can mend it; see {log_file}")
        elif held and now - worker.held_since_ns > _HELD_FOR_S * 1e9:
            why = f"another process has held its lease for {_HELD_FOR_S:g} s; see {log_file}"
            self._give_up(worker, code, why)
        else:
            if now - worker.started_ns > _STEADY_NS:
                worker.backoff.reset()
                worker.deaths = 0
            worker.deaths += 1
            wait_s = worker.backoff.next_s()
            worker.again_at_ns = now + int(wait_s * 1e9)
            if _is_told(worker.deaths):
                told = facts(
                    role=worker.role, exit_code=code, restart_s=round(wait_s, 2),
                    deaths=worker.deaths,
                )  # fmt: skip
                log.warning("worker died", extra=told)

    def _give_up(self, worker: _Worker, code: int, why: str) -> None:
        worker.given_up = True
        log.error("worker given up", extra=facts(role=worker.role, exit_code=code))
        with contextlib.suppress(OSError):  # the terminal may be gone
            print(f"spreadscan: {worker.role} is given up: {why}", file=sys.stderr)

    def _reap(self, worker: _Worker) -> int:
        _, status = os.waitpid(worker.pid, 0)
        os.close(worker.pidfd)
        worker.pid, worker.pidfd = 0, -1
        return os.waitstatus_to_exitcode(status)

    def _role_numbers(self, worker: _Worker) -> list[int]:
        """Return the health slots that a worker writes."""
        names = [worker.role]
        if worker.role == "single":
            names = [*build.roles_of(self._config, self._reload.lists, "processes")]
        return [health_slot(self._health, self._config, name) for name in names]

    # -- what is asked for over the control socket

    def _served(self, fd: int, events: int) -> bool:
        """Serve who asks; False for a file descriptor that is none of theirs."""
        try:
            return self._control.ready(fd, events)
        except Exception:  # whoever asked waits in vain; the scan must not end for it
            log.exception("control request failed")
            return True

    def discover_now(self) -> bool:
        """Begin a discovery; False where one is under way. ConfigError where there is none."""
        if self._discover is None:
            raise ConfigError("reload: run with --no-discover, expected a run that discovers")
        return self._rediscovery.start_now()

    def restart(self, role: str) -> None:
        """End a worker, which is started again at once. ConfigError for what is no worker."""
        worker = next((w for w in self._workers if w.role == role), None)
        if worker is None:
            known = ", ".join(w.role for w in self._workers)
            raise ConfigError(f"restart: {role!r} is no worker here, expected one of: {known}")
        if not worker.pid:
            worker.again_at_ns = now_ns()
            return
        worker.restarting = True
        worker.kill_at_ns = now_ns() + int(_STOP_WITHIN_S * 1e9)
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGTERM)

    def stop(self) -> None:
        """End everything, soon."""
        self._instance.control.stop = True

    def _kill(self, worker: _Worker) -> None:
        worker.kill_at_ns = 0
        log.error("worker killed", extra=facts(role=worker.role, after_s=_STOP_WITHIN_S))
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker.pid, signal.SIGKILL)

    # -- stopping

    def _stop_all(self) -> None:
        """SIGTERM to all, SIGKILL to those that do not end in time."""
        self._rediscovery.stop()
        alive = [w for w in self._workers if w.pid]
        for worker in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker.pid, signal.SIGTERM)
        deadline = now_ns() + int(_STOP_WITHIN_S * 1e9)
        for worker in alive:
            left_ms = max(0, (deadline - now_ns()) // 1_000_000)
            if not self._exited(worker, left_ms):
                self._kill(worker)
            code = self._reap(worker)
            log.info("worker ended", extra=facts(role=worker.role, exit_code=code))


def _is_told(deaths: int) -> bool:
    """Return whether the log tells a worker's deaths in a row: the 1st, 2nd, 4th, 8th, ..."""
    return deaths & (deaths - 1) == 0


def in_child(main: Callable[[], None]) -> int:
    """Run main in a forked child (it may make threads and loops) and return its exit code.

    It ends with this process.
    """
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            for number in processes.stop_signals():
                signal.signal(number, signal.SIG_DFL)
            processes.die_with_parent(parent)
            main()
            code = 0
        except SpreadError as error:
            print(f"spreadscan: {printable(str(error))}", file=sys.stderr)
            code = processes.EXIT_USAGE if isinstance(error, ConfigError) else 1
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:  # also where the terminal is gone
                os._exit(code)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
