"""How fast a replay goes: as it was, ten times as fast, or as fast as it can."""

import time
from collections.abc import Callable

_STEP_NS = 20_000_000  # of our time; frames of one step are played together


class Throttle:
    """Recorded time against ours, from the first frame on. speed: recorded seconds a second."""

    def __init__(
        self,
        speed: float,
        first_ns: int,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep_s: Callable[[float], None] = time.sleep,
    ) -> None:
        self._speed = speed
        self._first_ns = first_ns
        self._clock_ns = clock_ns
        self._sleep_s = sleep_s
        self._started_ns = clock_ns()

    def reached_ns(self) -> int:
        """Return the recorded time that may be played up to now."""
        return self._first_ns + int((self._clock_ns() - self._started_ns) * self._speed) + 1

    def wait(self) -> None:
        """Let some time pass."""
        self._sleep_s(_STEP_NS / 1e9)
