"""Which workers hang: the process lives, and its heartbeat is too old.

Silence is only held against a worker for as long as its supervisor looked: where that itself was
held up, since the machine was suspended or everything was stopped, everybody has his time anew.
"""

import logging
from collections.abc import Iterable

from spreadcore.health import Health

from spreadscan.app.healthy import HUNG_S, STARTING_S
from spreadscan.logs import facts

log = logging.getLogger(__name__)

_HELD_UP_NS = 2_000_000_000  # between two looks, which are 250 ms apart


class Heartbeats:
    """The beats of one supervisor's workers. look() at every turn, then hung_s() of each worker."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self._looked: tuple[int, int] | None = None
        self._resumed_ns = 0

    def look(self, boottime_ns: int, monotonic_ns: int) -> None:
        """Hear that the supervisor looks now; one log line where it could not for long.

        The two clocks part while a machine is suspended, and only then.
        """
        if self._looked:
            gap_ns = boottime_ns - self._looked[0]
            suspended_ns = gap_ns - (monotonic_ns - self._looked[1])
            if gap_ns > _HELD_UP_NS:
                self._resumed_ns = boottime_ns
                suspended = 2 * suspended_ns > gap_ns
                log.warning(
                    "machine was suspended" if suspended else "supervisor was held up",
                    extra=facts(seconds=round(gap_ns / 1e9, 1)),
                )
        self._looked = boottime_ns, monotonic_ns

    def hung_s(self, pid: int, roles: Iterable[int], started_ns: int, now_ns: int) -> float | None:
        """Return for how long a worker has been silent where that is too long, else None.

        roles: the health slots that it writes, the most silent of which counts; started_ns: when
        it was forked. One that has yet to begin, or to get ready, has longer.
        """
        from_ns = max(started_ns, self._resumed_ns)
        worst_s: float | None = None
        for role in roles:
            info = self._health.info(role)
            begun = info["pid"] == pid
            ready = begun and info["state"] in ("running", "degraded")
            silent_s = (now_ns - max(from_ns, info["beat_ns"] if begun else 0)) / 1e9
            if silent_s > (HUNG_S if ready else STARTING_S):
                worst_s = max(silent_s, worst_s or 0.0)
        return worst_s
