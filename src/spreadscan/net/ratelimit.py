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


class RateLimit:
    """At most n events in any window of per_s, for each (n, per_s) given.

    `await limit.take()` waits for its turn; turns are given in order of asking.
    """

    def __init__(
        self,
        *windows: tuple[int, float],
        clock_ns: Callable[[], int] = now_ns,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._windows = [(n, int(per_s * 1e9)) for n, per_s in windows]
        self._most = max((n for n, _ in windows), default=0)
        self._times: list[int] = []  # of the last events, as many as any window holds
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._turn = asyncio.Lock()

    def wait_ns(self) -> int:
        """Return how long from now until an event is allowed, 0 = now."""
        now, times = self._clock_ns(), self._times
        waits = (times[-n] + per_ns - now for n, per_ns in self._windows if len(times) >= n)
        return max((0, *waits))

    async def take(self) -> None:
        """Wait until an event is allowed, and count it."""
        async with self._turn:
            while (wait := self._claim()) > 0:
                await self._sleep(wait / 1e9)

    def _claim(self) -> int:
        """Count an event and return 0, or return how long to wait."""
        wait = self.wait_ns()
        if wait == 0:
            self._times = [*self._times, self._clock_ns()][-self._most :]
        return wait


class SharedLimit(RateLimit):
    """A limit that all processes count together, in a file; for what a venue counts by address.

    Its times are CLOCK_BOOTTIME; those of another boot count for nothing. Where the file cannot be
    used, each process counts for itself, and says so once. Turns between processes are given to
    who asks first once one is free.
    """

    def __init__(self, path: Path, *windows: tuple[int, float], **clock: Any) -> None:
        super().__init__(*windows, **clock)
        self._path = path
        self._told = False

    def _claim(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            return self._alone(error)
        try:
            # never waited for: its holder may be stopped
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._claim_locked(fd)
        except BlockingIOError:
            return _LOCKED_NS
        except OSError as error:
            return self._alone(error)
        finally:
            os.close(fd)

    def _claim_locked(self, fd: int) -> int:
        known, now = array("q"), self._clock_ns()
        known.frombytes(os.pread(fd, 8 * self._most, 0)[: os.fstat(fd).st_size // 8 * 8])
        self._times = sorted(at for at in known if 0 < at <= now)
        wait = super()._claim()
        if wait == 0:
            content = array("q", self._times).tobytes()
            os.pwrite(fd, content, 0)
            os.ftruncate(fd, len(content))
        return wait

    def _alone(self, error: OSError) -> int:
        if not self._told:
            self._told = True
            told = facts(path=str(self._path), error=error.strerror)
            log.warning("connects are counted by this process alone", extra=told)
        return super()._claim()


def per_second(rate: float, **clock: Any) -> RateLimit:
    """Return a limit that spaces events evenly: one per 1/rate seconds."""
    return RateLimit((1, 1.0 / rate), **clock)
