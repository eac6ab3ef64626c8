"""The two clocks: BOOTTIME for every interval, UTC only for files and screens."""

import re
import time
from datetime import UTC, datetime, timedelta

_OFFSET_LIFE_NS = 60_000_000_000
_SPAN = re.compile(r"(\d{1,4})([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def now_ns() -> int:
    """Return CLOCK_BOOTTIME in ns: recv_ns, beats, deadlines. It goes on through suspend."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class UtcClock:
    """Turn BOOTTIME stamps into UTC by an offset that is read again every minute."""

    def __init__(self) -> None:
        self._read_at_ns = -_OFFSET_LIFE_NS
        self._offset_ns = 0

    def offset_ns(self) -> int:
        """Return UTC minus BOOTTIME in ns, at most a minute old."""
        now = now_ns()
        if now - self._read_at_ns >= _OFFSET_LIFE_NS:
            self._offset_ns = time.time_ns() - now
            self._read_at_ns = now
        return self._offset_ns

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
