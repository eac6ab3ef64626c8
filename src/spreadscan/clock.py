"""The two clocks: BOOTTIME for every interval, UTC only for files and screens."""

import re
import time
from datetime import UTC, datetime, timedelta

_OFFSET_LIFE_NS = 60_000_000_000
_LOOK_NS = 1_000_000_000  # between looks whether the wall clock was stepped
_STEP_NS = 500_000_000  # more than any clock is slewed by in a minute (500 ppm: 30 ms)
_AT_ONCE_NS = 10_000_000  # two clocks that are read further apart say nothing of each other
_SPAN = re.compile(r"(\d{1,4})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def now_ns() -> int:
    """Return CLOCK_BOOTTIME in ns: recv_ns, beats, deadlines. It goes on through suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class UtcClock:
    """Turn BOOTTIME stamps into UTC by an offset that is read again every minute.

    Where somebody steps the wall clock, within a second.
    """

    def __init__(self) -> None:
        self._read_at_ns = -_OFFSET_LIFE_NS
        self._looked_ns = -_LOOK_NS
        self._offset_ns: int | None = None
        self._stepped_ns = 0

    def offset_ns(self) -> int:
        """Return UTC minus BOOTTIME in ns, at most a minute old."""
        now = now_ns()
        if self._offset_ns is None or now - self._looked_ns >= _LOOK_NS:
            self._look(now)
        assert self._offset_ns is not None
        return self._offset_ns

    def take_step_ns(self) -> int:
        """Return by how much the wall clock was stepped since this was asked last, 0: not."""
        self.offset_ns()
        stepped, self._stepped_ns = self._stepped_ns, 0
        return stepped

    def _look(self, now: int) -> None:
        found = time.time_ns() - now
        if self._offset_ns is None:
            self._offset_ns = found
        elif now_ns() - now > _AT_ONCE_NS:
            return  # we were held up in between: next time
        elif abs(step := found - self._offset_ns) > _STEP_NS:
            self._stepped_ns += step
        elif now - self._read_at_ns < _OFFSET_LIFE_NS:
            self._looked_ns = now
            return
        self._offset_ns, self._read_at_ns, self._looked_ns = found, now, now

    def utc_ns(self, boottime_ns: int) -> int:
        """Return the Unix time in ns of a BOOTTIME stamp."""
        return boottime_ns + self.offset_ns()


def iso_utc(unix_ns: int) -> str:
    """Return Unix ns as 2026-11-20T12:00:00.123456Z (microseconds, truncated)."""
    seconds, ns = divmod(unix_ns, 1_000_000_000)
    whole = datetime.fromtimestamp(seconds, UTC)
    return f"{whole:%Y-%m-%dT%H:%M:%S}.{ns // 1000:06d}Z"


def parse_span(text: str) -> timedelta | None:
    """Return the time meant by '30s', '90m', '24h' or '7d', None where it is no such text."""
    span = _SPAN.fullmatch(text)
    return timedelta(**{_UNITS[span[2]]: int(span[1])}) if span else None
