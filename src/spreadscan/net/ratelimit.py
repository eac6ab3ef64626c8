"""Sliding-window rate limits. One object per thing that the venue counts."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from spreadscan.clock import now_ns


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
        self._windows = [(n, int(per_s * 1e9), deque[int]()) for n, per_s in windows]
        self._clock_ns = clock_ns
        self._sleep = sleep
        self._turn = asyncio.Lock()

    def wait_ns(self) -> int:
        """Return how long from now until an event is allowed, 0 = now."""
        now = self._clock_ns()
        wait = 0
        for n, per_ns, times in self._windows:
            if len(times) >= n:
                wait = max(wait, times[-n] + per_ns - now)
        return wait

    async def take(self) -> None:
        """Wait until an event is allowed, and count it."""
        async with self._turn:
            while (wait := self.wait_ns()) > 0:
                await self._sleep(wait / 1e9)
            now = self._clock_ns()
            for n, _, times in self._windows:
                times.append(now)
                while len(times) > n:
                    times.popleft()


def per_second(rate: float, **clock: Any) -> RateLimit:
    """Return a limit that spaces events evenly: one per 1/rate seconds."""
    return RateLimit((1, 1.0 / rate), **clock)
