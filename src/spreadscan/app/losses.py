"""Which sources are lost, and which directions with them: decided with patience, told once.

The engine needs none of this, for it looks at every quote: a direction whose source is lost has no
signals. This is for people and files. The tracker looks, since it is the one who writes files.
"""

from collections.abc import Callable
from dataclasses import dataclass

from spreadcore import Instance

from spreadscan.app.healthy import MUTE_SHARE, STARTING_S
from spreadscan.app.status import directions_left, pair_watch
from spreadscan.clock import UtcClock, iso_utc
from spreadscan.config import Config
from spreadscan.inuse import Lost, leave_lost, lost_sources
from spreadscan.lists import Lists, n_proven

_EVERY_NS = 1_000_000_000
# looks in a row that say otherwise, until it is believed; while a machine is too busy for one a
# second they take longer, and so has everybody else longer
_LOOKS = 5
_FIRST_LOOKS = int(STARTING_S)  # of a source that has not been there yet
_BACK_SHARE = 2 * MUTE_SHARE  # of the pairs are fresh: between the two nothing changes


@dataclass(slots=True)
class _Source:
    n_listed: int
    seen: bool = False
    since_ns: int = 0  # from when on the looks in a row say otherwise than what is told
    looks: int = 0


class Losses:
    """The sources of a scanner that has pairs of them; look() at every beat of the tracker.

    remark: takes what is told, and when. What was told of before goes on: what a tracker that is
    restarted finds lost is not told twice.
    """

    def __init__(
        self, instance: Instance, config: Config, remark: Callable[[str, int], None]
    ) -> None:
        self._instance = instance
        self._config = config
        self._remark = remark
        self._watch = pair_watch(instance, config, 0)
        self._generation = -1
        self._sources: dict[str, _Source] = {}
        self._lost = {lost.source: lost for lost in lost_sources(instance)}
        self._looked_ns = 0

    def look(self, lists: Lists, now_ns: int) -> None:
        """Look at every source, about once a second; tell of each that is lost or back since."""
        if now_ns - self._looked_ns < _EVERY_NS:
            return
        self._looked_ns = now_ns
        if lists.generation != self._generation:
            self._take(lists)
        self._watch.refresh(now_ns)
        for name, source in self._sources.items():
            self._look_at(name, source, now_ns)

    def _take(self, lists: Lists) -> None:
        """Look at those that lists have pairs of; what is known of the others is forgotten."""
        self._generation = lists.generation
        listed = {name: n_proven(lists, name) for name in self._config.sources}
        before = self._sources
        self._sources = {name: before.get(name, _Source(n)) for name, n in listed.items() if n}
        for name, source in self._sources.items():
            source.n_listed = listed[name]
        for name in self._lost.keys() - self._sources.keys():
            del self._lost[name]
        leave_lost(self._instance, self._lost.values())

    def _look_at(self, name: str, source: _Source, now_ns: int) -> None:
        is_lost = name in self._lost
        fresh = len(self._watch.ages(self._config.catalogue.source[name].id, now_ns))
        share = fresh / source.n_listed
        source.seen |= share >= _BACK_SHARE
        if not (share >= _BACK_SHARE if is_lost else share < MUTE_SHARE):
            source.looks = 0
            return
        if not source.looks:
            source.since_ns = now_ns
        source.looks += 1
        if source.looks >= (_LOOKS if source.seen or is_lost else _FIRST_LOOKS):
            source.looks = 0
            self._turn(name, source.since_ns, now_ns)

    def _turn(self, name: str, since_ns: int, now_ns: int) -> None:
        lost = self._lost.pop(name, None)
        if lost:
            text = f"BACK {name}: after {(since_ns - lost.since_ns) / 1e9:.1f} s"
        else:
            why = "mute" if self._instance.lease_held(name) else "does not run"
            self._lost[name] = Lost(source=name, since_ns=since_ns, why=why)
            text = f"LOST {name}: since {iso_utc(UtcClock().utc_ns(since_ns))[:19]}Z; {why}"
        enabled = self._config.enabled_directions
        left = directions_left(enabled, self._lost)
        leave_lost(self._instance, self._lost.values())
        self._remark(f"{text}; {len(left)} of {len(enabled)} directions left", now_ns)
