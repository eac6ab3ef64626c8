"""Maintenance that venues tell of beside what a fault script plans, as they were seen to."""

from spreadscan.sim.pages.base import Work

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


def past(unix_ms: int) -> list[tuple[Work, str, int]]:
    """Return (work, state, env) of what is over: completed and cancelled."""
    day = unix_ms - unix_ms % DAY_MS
    work = Work("Matching engine upgrade", day - 90 * HOUR_MS, day - 89 * HOUR_MS)
    return [(work, "completed", 1), (work._replace(title="Postponed"), "canceled", 1)]


def demo(unix_ms: int) -> Work:
    """Return a work of a day's length, of the demo trading."""
    day = unix_ms - unix_ms % DAY_MS
    return Work("Demo trading upgrade", day, day + 25 * HOUR_MS)
