"""Bytes of the active table that belong to nobody. Looks only, moves nothing."""

from collections.abc import Container

from spreadcore.active import SIGNALLED, TRACKED, ActiveTable
from spreadcore.ring import SignalRing

_EVERY_NS = 1_000_000_000


class Orphans:
    """Bytes that a killed engine or tracker left: no track, no record, at two looks in a row."""

    def __init__(self) -> None:
        self._suspects: set[int] = set()
        self._looked_ns: int | None = None

    def find(
        self, now_ns: int, active: ActiveTable, ring: SignalRing, tracked: Container[int]
    ) -> list[tuple[int, int]]:
        """Look about once a second; return (edge, state) of the bytes that belong to nobody."""
        if self._looked_ns is not None and now_ns - self._looked_ns < _EVERY_NS:
            return []
        self._looked_ns = now_ns
        # the bytes before the ring: a record pushed in between makes the ring not empty
        found = {
            edge: state
            for edge, state in active.not_free()
            if state in (SIGNALLED, TRACKED) and edge not in tracked
        }
        if ring.queued:
            found = {}
        orphans = [(edge, state) for edge, state in found.items() if edge in self._suspects]
        self._suspects = set(found) - {edge for edge, _ in orphans}
        return orphans
