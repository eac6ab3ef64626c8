"""Fixtures of all tests: instances that leave nothing behind, and children under a watchdog."""

import ctypes
import importlib.util
import os
import pickle
import secrets
import select
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

# before anybody imports numpy: its threads would make every fork in these tests a gamble
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from spreadcore import Instance, region
from spreadcore.layout import SECTIONS

TESTS = Path(__file__).parent
PR_SET_PDEATHSIG = 1


class Hang(AssertionError):
    """Children were still running when their time was over; they have been killed."""


class Children:
    """Forked processes: each runs one call, its result comes back, none outlives the test."""

    def __init__(self) -> None:
        self._running: dict[int, tuple[str, int]] = {}  # pid -> name, result pipe

    def start(
        self,
        name: str,
        call: Callable[..., Any],
        *args: Any,
        cpus: set[int] | None = None,
        **options: Any,
    ) -> int:
        """Fork, pin to `cpus`, call; return the pid."""
        parent = os.getpid()
        out, into = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(out)
            _be_child(parent, into, cpus, lambda: call(*args, **options))
        os.close(into)
        self._running[pid] = (name, out)
        return pid

    def results(self, within_s: float) -> dict[str, Any]:
        """Wait for all; return results by name. Hang when they need longer than within_s.

        A child that raised makes this raise RuntimeError with its traceback; one that was
        killed has the result None.
        """
        end = time.monotonic() + within_s
        found = {}
        for pid, (name, out) in list(self._running.items()):
            data = _read_all(out, end)
            if data is None:
                names = [name for name, _ in self._running.values()]
                self.kill()
                raise Hang(f"{', '.join(names)}: not done within {within_s} s")
            self._reap(pid)
            done, result = pickle.loads(data) if data else (True, None)
            if not done:
                self.kill()
                raise RuntimeError(f"{name}:\n{result}")
            found[name] = result
        return found

    def kill_one(self, pid: int) -> None:
        """Kill one of them now."""
        os.kill(pid, signal.SIGKILL)
        self._reap(pid)

    def kill(self) -> None:
        """Kill what still runs."""
        for pid in list(self._running):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._reap(pid)

    def _reap(self, pid: int) -> None:
        _, out = self._running.pop(pid)
        os.close(out)
        with suppress(ChildProcessError):  # a test may have waited for it itself
            os.waitpid(pid, 0)


def _be_child(parent: int, into: int, cpus: set[int] | None, call: Callable[[], Any]) -> None:
    code = 1
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)
        if cpus is not None:
            os.sched_setaffinity(0, cpus)
        try:
            answer = (True, call())
            code = 0
        except BaseException:
            answer = (False, traceback.format_exc())
        with os.fdopen(into, "wb") as pipe:
            pipe.write(pickle.dumps(answer))
    finally:
        os._exit(code)


def _read_all(fd: int, end: float) -> bytes | None:
    """All that comes until the other side closes; None when `end` comes first."""
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    parts = []
    while True:
        if not poll.poll(max(0.0, end - time.monotonic()) * 1e3):
            return None
        part = os.read(fd, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)


@pytest.fixture
def children() -> Iterator[Children]:
    """A Children whose processes are killed at the end, however the test ends."""
    family = Children()
    yield family
    family.kill()


@pytest.fixture
def instance_name() -> Iterator[str]:
    """The name of an instance that does not exist; what the test makes of it is removed."""
    name = f"test-{os.getpid()}-{secrets.token_hex(4)}"
    yield name
    for left in Path(region.ROOT).glob(f"*spreadscan-{name}*"):
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


@pytest.fixture
def make_instance(instance_name: str) -> Iterator[Callable[..., Instance]]:
    """A function that creates the instance and opens all of it for writing.

    Takes the capacities and `force` of region.create.
    """
    opened = []

    def make(**options: Any) -> Instance:
        region.create(instance_name, **options)
        opened.append(Instance(instance_name, writable=SECTIONS))
        return opened[-1]

    yield make
    for instance in opened:
        with suppress(BufferError):  # a failed test still holds parts of it
            instance.close()


@pytest.fixture(scope="session")
def build_cython(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], ModuleType]:
    """A function that compiles a pyx against spreadcore and imports it."""
    spec = importlib.util.spec_from_file_location("build_loops", TESTS / "build_loops.py")
    assert spec is not None
    assert spec.loader is not None
    builder = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(builder)

    def build(source: Path) -> ModuleType:
        return builder.build(source, tmp_path_factory.mktemp(source.stem))

    return build


@pytest.fixture(scope="session")
def python_env() -> dict[str, str]:
    """Environment in which a fresh interpreter imports what these tests import."""
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
