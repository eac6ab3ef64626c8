"""Bytes of the active table that belong to nobody. Looks only, moves nothing."""

from collections.abc import Container

from spreadcore.active import SIGNALLED, TRACKED, ActiveTable
from spreadcore.ring import SignalRing

from spreadscan.tracker.track import Pair

_LOOK_EVERY_NS = 1_000_000_000


class Orphans:
    """Bytes that a killed engine or tracker left: no track, no record, at two looks in a row."""

    def __init__(self) -> None:
        self._suspects: set[Pair] = set()
        self._looked_ns: int | None = None

    def look(
        self, now_ns: int, active: ActiveTable, ring: SignalRing, tracked: Container[Pair]
    ) -> list[tuple[Pair, int]]:
        """Look about once a second; return (pair, state) of the bytes that belong to nobody."""
        if self._looked_ns is not None and now_ns - self._looked_ns < _LOOK_EVERY_NS:
            return []
        self._looked_ns = now_ns
        # the bytes before the ring: a record pushed in between makes the ring not empty
        found = {
            (direction, symbol): state
            for direction, symbol, state in active.not_free()
            if state in (SIGNALLED, TRACKED) and (direction, symbol) not in tracked
        }
        if ring.queued:
            found = {}
        orphans = [(pair, state) for pair, state in found.items() if pair in self._suspects]
        self._suspects = set(found) - {pair for pair, _ in orphans}
        return orphans
