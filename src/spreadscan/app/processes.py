"""What runs inside a worker process, from its lease to its last log line."""

import asyncio
import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Mapping
from importlib import import_module
from typing import Any

from spreadcore import Instance
from spreadcore.errors import (
    CoreError,
    LayoutMismatch,
    LeaseHeld,
    RegionLost,
    RegionMissing,
    RegionRefused,
)
from spreadcore.lease import TRY_FOR_S, Lease
from spreadcore.sigbus import guard

from spreadscan import tracker as tracker_room
from spreadscan.app import build
from spreadscan.app.losses import Losses
from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.errors import EXIT_LOST, ConfigError, Halt, SpreadError, printable
from spreadscan.inuse import leave_settings
from spreadscan.lists import Lists
from spreadscan.locks import AUDIT, TRACKER, FolderLock
from spreadscan.logs import ConsoleLines, crashes_told, facts, start_logging
from spreadscan.reload import Reload
from spreadscan.workers.source import SourceWorker

log = logging.getLogger(__name__)
_DISK = logging.getLogger("spreadscan.disk")  # whose troubles people hear of at once

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 2
EXIT_HELD = 75  # of a worker whose lease another one holds, who may be about to end
# what only a human can mend: trying again gives the same answer
_FINAL = (ConfigError, Halt, LayoutMismatch, RegionMissing, RegionRefused)
_PR_SET_PDEATHSIG = 1

Stop = Callable[[], bool]


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a process in order: SIGHUP, too, unless `nohup` keeps it off.

    A terminal that closes sends it to all who run there.
    """
    kept_off = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT, *(() if kept_off else (signal.SIGHUP,)))


def end_by_exception() -> None:
    """Let the first stop signal unwind this process as Ctrl-C does, and the others be ignored.

    What is ended on the way out must not be left half ended by a second one: a shell may repeat
    what the terminal sent.
    """

    def unwind(number: int, frame: object) -> None:
        for each in stop_signals():
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in stop_signals():
        signal.signal(number, unwind)


class StopFlag:
    """True after a stop signal, or once the control section says stop."""

    def __init__(self, instance: Instance) -> None:
        self._control = instance.control
        self._signalled = False
        for number in stop_signals():
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: object) -> None:
        self._signalled = True

    def __call__(self) -> bool:
        return self._signalled or self._control.stop


def preload(config: Config) -> None:
    """Import what the workers need before they are forked, so that they share its pages."""
    if config.feeds.loop == "uvloop":
        import_module("uvloop")
    import_module(f"spreadscan.net.{config.feeds.transport}_socket")


def run_role(
    role: str, config: Config, lists: Lists, *, alone: Mapping[str, str] | None = None
) -> int:
    """Run a role in this process until it is told to stop; return the exit code.

    Logs to its own file; what is wrong with a disk goes to stderr, too. Errors that a user can
    cause are one log line, not a traceback. What only a human can mend ends with EXIT_USAGE and
    goes to stderr too; a lease that is held ends with EXIT_HELD, and EXIT_LOST is where the
    instance is lost, which a supervisor tells. Any other error leaves its traceback in the log.
    alone: where settings come from, for a role without a supervisor: it holds its folder itself,
    all errors go to stderr, and a held lease is final: nobody would try again.
    """
    try:
        logging_ = start_logging(role, config.paths.logs, config.log.level, config.log.keep_mb)
    except ConfigError as error:
        print(f"spreadscan: {role}: {error}", file=sys.stderr)
        return EXIT_USAGE
    console = ConsoleLines()
    _DISK.addHandler(console)
    try:
        log.info("started", extra=facts(role=role, pid=os.getpid()))
        with crashes_told(role, config.paths.logs) as log_fd:
            line = f"spreadscan: {role}: shared memory was cut short while in use (SIGBUS)"
            guard(line, EXIT_LOST, log_fd if alone is None else sys.stderr.fileno())
            _main_of(role, config)(role, config, lists, alone)
        log.info("stopped", extra=facts(role=role))
        return EXIT_OK
    except RegionLost as error:
        log.error("shared memory lost", extra=facts(role=role, error=str(error)))
        if alone is not None:
            print(f"spreadscan: {error}", file=sys.stderr)
        return EXIT_LOST
    except (SpreadError, CoreError) as error:
        held = isinstance(error, LeaseHeld)
        for_good = isinstance(error, _FINAL) or (held and alone is not None)
        log.error("ended", extra=facts(role=role, for_good=for_good, error=str(error)))
        if alone is not None or for_good:
            print(f"spreadscan: {printable(str(error))}", file=sys.stderr)
        return EXIT_USAGE if for_good else EXIT_HELD if held else EXIT_FAILED
    except Exception as error:  # the worker's own log is where one looks for its last word
        log.critical("died", extra=facts(role=role), exc_info=error)
        if alone is not None:
            where = f"{config.paths.logs}/{role}.log"
            print(f"spreadscan: {role} died ({error!r}); see {where}", file=sys.stderr)
        return EXIT_FAILED
    finally:
        _DISK.removeHandler(console)
        logging_.stop()


def pin(processors: tuple[int, ...]) -> None:
    """Pin this process. ConfigError for processors that are not there."""
    if not processors:
        return
    try:
        os.sched_setaffinity(0, processors)
    except OSError:
        usable = sorted(os.sched_getaffinity(0))
        raise ConfigError(f"cpu: {list(processors)}, expected some of {usable}") from None


def die_with_parent(parent_pid: int) -> None:
    """Ask the kernel for a SIGTERM when the supervisor dies, so that no orphan writes on."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent_pid:
        os.kill(os.getpid(), signal.SIGTERM)


def run_async(config: Config, main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on the configured event loop, made in this process."""
    if config.feeds.loop == "uvloop":
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    else:
        factory = asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)


Alone = Mapping[str, str] | None


def _within_s(alone: Alone) -> float:
    """Return how long to wait for a lease: a supervisor may start a role whose last worker is
    still ending."""
    return TRY_FOR_S if alone is not None else build.HANDOVER_S


def _lease(instance: Instance, role: str, alone: Alone) -> Lease:
    """Take the lease of a role and its slot, so that nothing there speaks of a predecessor."""
    lease = instance.lease(role, _within_s(alone))
    instance.health.start(instance.health.role(role), now_ns())
    return lease


def _source(source: str, config: Config, lists: Lists, alone: Alone) -> None:
    if source not in lists.sources:
        raise Halt(f"{source}: not in the generated set, expected a source that was discovered")
    instance = build.open_instance(config, "feed")
    newest = Reload(config, lists, instance).newest
    worker = build.make_source(config, newest, source, instance, _within_s(alone))
    build.begin_run(instance, [worker.source.id])
    run_async(config, worker.run(StopFlag(instance)))


def _engine(role: str, config: Config, lists: Lists, alone: Alone) -> None:
    instance = build.open_instance(config, "engine")
    lease = _lease(instance, "engine", alone)
    build.begin_run(instance, [instance.health.role("engine")])
    if alone is not None:
        leave_settings(instance, config, alone)
    reload = Reload(config, lists, instance)
    build.EngineRunner(config, reload, instance).run(StopFlag(instance))
    lease.close()


def _tracker(role: str, config: Config, lists: Lists, alone: Alone) -> None:
    instance = build.open_instance(config, "tracker")
    lease = _lease(instance, "tracker", alone)
    build.begin_run(instance, [instance.health.role("tracker")])
    folder = FolderLock(config.paths.data, TRACKER, config.instance)
    if alone is not None:
        folder.take(build.HANDOVER_S)
    try:
        tracker = build.make_tracker(config, lists, instance)
        look = _looks(tracker, config, Reload(config, lists, instance), instance)
        run_async(config, _track(tracker, StopFlag(instance), look))
    finally:
        folder.close()
    lease.close()


def _audit(role: str, config: Config, lists: Lists, alone: Alone) -> None:
    instance = build.open_instance(config, "audit")
    lease = _lease(instance, "audit", alone)
    build.begin_run(instance, [instance.health.role("audit")])
    folder = FolderLock(config.paths.data, AUDIT, config.instance)
    folder.take(build.HANDOVER_S)
    try:
        stop, newest = StopFlag(instance), Reload(config, lists, instance).newest
        run_async(config, build.run_audit(config, newest, instance, stop))
    finally:
        folder.close()
    lease.close()


def _looks(
    tracker: tracker_room.Tracker, config: Config, reload: Reload, instance: Instance
) -> Callable[[], None]:
    """Return what a tracker does at every beat: take new lists, look for lost sources."""
    take_newer = build.relisting(tracker, config, reload)
    losses = Losses(instance, config, tracker.remark)

    def look() -> None:
        take_newer()
        losses.look(reload.lists, now_ns())

    return look


async def _track(tracker: tracker_room.Tracker, stop: Stop, look: Callable[[], None]) -> None:
    try:
        await tracker_room.run(tracker, stop, look)
    finally:
        tracker.close(now_ns())


def _single(role: str, config: Config, lists: Lists, alone: Alone) -> None:
    """Every worker in this one process: the engine in a thread, the others on one loop."""
    instance = build.open_instance(config, "single")
    audit = ("audit",) if config.audit.enabled else ()
    leases = [_lease(instance, name, alone) for name in ("tracker", "engine", *audit)]
    reload = Reload(config, lists, instance)
    sources = [
        build.make_source(config, reload.newest, name, instance, _within_s(alone))
        for name in build.active_sources(config, lists)
    ]
    folder = FolderLock(config.paths.data, AUDIT, config.instance)
    if audit:
        folder.take(build.HANDOVER_S)
    try:
        run_async(config, _single_main(config, reload, instance, sources, StopFlag(instance)))
    finally:
        folder.close()
    for lease in leases:
        lease.close()


async def _single_main(
    config: Config, reload: Reload, instance: Instance, sources: list[SourceWorker], stop: Stop
) -> None:
    ended = threading.Event()

    def stop_all() -> bool:
        return stop() or ended.is_set()

    tracker = build.make_tracker(config, reload.lists, instance)
    engine = build.EngineRunner(config, reload, instance)
    workers: list[Coroutine[Any, Any, None]] = [
        tracker_room.run(tracker, stop_all, _looks(tracker, config, reload, instance)),
        asyncio.to_thread(engine.run, stop_all),
        *(source.run(stop_all) for source in sources),
    ]
    if config.audit.enabled:
        workers.append(build.run_audit(config, reload.newest, instance, stop_all))
    try:
        tasks = [asyncio.create_task(worker) for worker in workers]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        ended.set()  # one ended: by stop, or by an error that gather gives on
        await asyncio.gather(*tasks)
    finally:
        ended.set()
        tracker.close(now_ns())


_Main = Callable[[str, Config, Lists, Alone], None]
_MAINS: dict[str, _Main] = {
    "engine": _engine,
    "tracker": _tracker,
    "audit": _audit,
    "single": _single,
}


def _main_of(role: str, config: Config) -> _Main:
    """Return what a role runs. ConfigError for one that nobody knows."""
    main = _MAINS.get(role) or (_source if role in config.catalogue.source else None)
    if main is None:
        known = ", ".join([*_MAINS, *config.catalogue.source])
        raise ConfigError(f"role {role!r}: unknown, expected one of {known}")
    return main
