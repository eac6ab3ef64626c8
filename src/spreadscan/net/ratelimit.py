"""Sliding-window rate limits. One object per thing that the venue counts."""

import asyncio
import fcntl
import logging
import os
from array import array
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from spreadscan.clock import now_ns
from spreadscan.logs import facts

log = logging.getLogger(__name__)

_LOCKED_NS = 5_000_000  # until the file of a shared limit is tried again
_FILE_BYTES_MAX = 1 << 16
_HEAVIEST = 100_000  # beyond it a number is none of ours


class RateLimit:
    """At most n in any window of per_s, for each (n, per_s) given; an event weighs 1, or more.

    `await limit.take()` waits for its turn; turns are given in order of asking. What weighs more
    than a whole window gets it to itself.
    """

    def __init__(
        self,
        *windows: tuple[int, float],
        clock_ns: Callable[[], int] = now_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._windows = [(n, int(per_s * 1e9)) for n, per_s in windows]
        self._longest_ns = max((per_ns for _, per_ns in self._windows), default=0)
        self._taken: list[tuple[int, int]] = []  # when, and what it weighed, in any window
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._turn = asyncio.Lock()

    def wait_ns(self, weight: int = 1) -> int:
        """Return how long from now until an event is allowed, 0 = now."""
        now, wait = self._clock_ns(), 0
        for n, per_ns in self._windows:
            room = n - min(weight, n)
            for at, weighed in reversed(self._taken):
                if at + per_ns <= now:
                    break
                room -= weighed
                if room < 0:  # until this one is out of the window
                    wait = max(wait, at + per_ns - now)
                    break
        return wait

    async def take(self, weight: int = 1) -> None:
        """Wait until an event is allowed, and count it."""
        async with self._turn:
            while (wait := self._claim(weight)) > 0:
                await self._sleep(wait / 1e9)

    def _claim(self, weight: int) -> int:
        """Count an event and return 0, or return how long to wait."""
        wait = self.wait_ns(weight)
        if wait == 0:
            now = self._clock_ns()
            self._taken = [(at, w) for at, w in self._taken if at + self._longest_ns > now] + [
                (now, weight)
            ]
        return wait


class SharedLimit(RateLimit):
    """A limit that all processes count together, in a file; for what a venue counts by address.

    Its times are CLOCK_BOOTTIME; those of another boot count for nothing. Where the file cannot be
    used, each process counts for itself, and says so once. Turns between processes are given to
    who asks first once one is free. Those who share a file may have windows of different size.
    """

    def __init__(self, path: Path, *windows: tuple[int, float], **clock: Any) -> None:
        super().__init__(*windows, **clock)
        self._path = path
        self._told = False

    def _claim(self, weight: int) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            return self._alone(error, weight)
        try:
            # never waited for: its holder may be stopped
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._claim_locked(fd, weight)
        except BlockingIOError:
            return _LOCKED_NS
        except OSError as error:
            return self._alone(error, weight)
        finally:
            os.close(fd)

    def _claim_locked(self, fd: int, weight: int) -> int:
        known, now = array("q"), self._clock_ns()
        known.frombytes(os.pread(fd, _FILE_BYTES_MAX, 0)[: os.fstat(fd).st_size // 16 * 16])
        pairs = zip(known[::2], known[1::2], strict=True)
        self._taken = sorted((at, w) for at, w in pairs if 0 < at <= now and 0 < w <= _HEAVIEST)
        wait = super()._claim(weight)
        if wait == 0:
            content = array("q", (number for taken in self._taken for number in taken)).tobytes()
            os.pwrite(fd, content, 0)
            os.ftruncate(fd, len(content))
        return wait

    def _alone(self, error: OSError, weight: int) -> int:
        if not self._told:
            self._told = True
            told = facts(path=str(self._path), error=error.strerror)
            log.warning("a limit is counted by this process alone", extra=told)
        return super()._claim(weight)


def per_second(rate: float, **clock: Any) -> RateLimit:
    """Return a limit that spaces events evenly: one per 1/rate seconds."""
    return RateLimit((1, 1.0 / rate), **clock)
