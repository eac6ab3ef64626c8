"""Open tracks as Python knows them; their numbers are in the compiled TrackTable."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from spreadcore.funding import FundingRates
from spreadcore.opentracks import OpenTracks, OpenTuple
from spreadcore.tracks import (
    CONVERGED,
    EXPIRED,
    HALTED,
    LOST,
    NOT_TRADING,
    UNPROVEN,
    TrackTable,
)
from spreadcore.trackstats import StatsTuple
from spreadcore.watch import PairTuple, PairWatch

from spreadscan.config import Config
from spreadscan.lists import Edge

# HALTED: the kill switch was thrown
Reason = Literal["CONVERGED", "EXPIRED", "LOST", "DELISTED", "UNPROVEN", "NOT_TRADING", "HALTED"]
REASONS: tuple[Reason, ...] = get_args(Reason)
_SELDOM: tuple[Reason, ...] = ("UNPROVEN", "NOT_TRADING", "HALTED")
_OUT_OF_STATISTICS = "UNPROVEN"
_ENDS: Mapping[int, Reason] = {
    CONVERGED: "CONVERGED", EXPIRED: "EXPIRED", LOST: "LOST", NOT_TRADING: "NOT_TRADING",
    UNPROVEN: "UNPROVEN", HALTED: "HALTED",
}  # fmt: skip
_DIGITS = "0123456789abcdefghijklmnopqrstuv"
_GAP_NS = 5_000_000_000  # a track without a row for longer gets a GAP row
_EVER_S = 1e9  # 31 years; limits may be infinite


def is_proven(reason: str | None) -> bool:
    """Return whether a track that ended so (None: not yet) counts in statistics.

    The quote that an UNPROVEN one was opened on turned out wrong: there never was such a spread.
    """
    return reason != _OUT_OF_STATISTICS


def ends_shown(counts: Mapping[str, int]) -> dict[str, int]:
    """Return how many tracks ended for each reason; seldom ones only where there are any."""
    return {
        reason: counts.get(reason, 0)
        for reason in REASONS
        if counts.get(reason) or reason not in _SELDOM
    }


def is_delisted(edge: Edge, listed: Mapping[int, Container[int]]) -> bool:
    """Return whether a source lists no more what the edge stands on; listed: rows by source id."""
    return any(source in listed and row not in listed[source] for source, row in edge.slots)


def track_id(ring_id: int, sequence: int) -> str:
    """Return e.g. '3q5k0d9t-00017'; sorts by age within a ring of up to 100,000 signals.

    It stands in every snapshot, so it is short: 40 of the ring id's 63 random bits.
    """
    ring = "".join([_DIGITS[ring_id >> shift & 31] for shift in range(35, -1, -5)])
    return f"{ring}-{sequence:05d}"


@dataclass(frozen=True, slots=True)
class Track:
    """An open track. columns: the fields that all its rows share, as text.

    slot: its place in the TrackTable. sequence: of its signal. edge: of its pair.
    """

    slot: int
    sequence: int
    edge: Edge
    fees_bps: float
    opened_ns: int  # CLOCK_BOOTTIME
    columns: Mapping[str, str]


class Late(NamedTuple):
    """A track that had no row for gap_ns; stats: until now, with the look that ends the gap."""

    track: Track
    gap_ns: int
    stats: StatsTuple


class Ended(NamedTuple):
    """A track that ends with this look; prices: None where a leg was held by its writer."""

    track: Track
    reason: Reason
    stats: StatsTuple
    prices: PairTuple | None


class Sampled(NamedTuple):
    """One look at all tracks; rows: whole snapshot lines."""

    rows: bytes
    n_rows: int
    late: list[Late]
    ended: list[Ended]


class Tracks:
    """The open tracks, one an edge, oldest first.

    A track that ended still has its edge until forget(): its CLOSE row may have to wait.
    """

    def __init__(
        self, watch: PairWatch, funding: FundingRates, tracks: OpenTracks, config: Config
    ) -> None:
        settings = config.tracker
        self._config = config
        self._catalogue = config.catalogue
        self.grid_ns = int(settings.grid_ms * 1e6)
        self._table = TrackTable(
            watch,
            funding,
            grid_ns=self.grid_ns,
            gap_ns=max(_GAP_NS, 3 * self.grid_ns),
            expire_after_ns=int(min(settings.expire_after_s, _EVER_S) * 1e9),
            lost_after_ns=int(min(settings.lost_after_s, _EVER_S) * 1e9),
            tracks=tracks,
        )
        self._of_edge: dict[int, Track] = {}
        self._of_slot: dict[int, Track] = {}  # those that have not ended

    def __len__(self) -> int:
        return len(self._of_edge)

    def __contains__(self, edge_id: object) -> bool:
        return edge_id in self._of_edge

    @property
    def oldest_ns(self) -> int | None:
        """Return when the oldest track was opened, CLOCK_BOOTTIME."""
        return next((track.opened_ns for track in self._of_edge.values()), None)

    def displaced(self, edge_id: int) -> Ended | None:
        """End and forget the edge's track, where there is one that has not ended.

        One edge, one track: there is another only where files were edited.
        """
        track = self._of_edge.pop(edge_id, None)
        if track is None or track.slot not in self._of_slot:
            return None
        stats = self._table.stats(track.slot)
        del self._of_slot[track.slot]
        self._table.remove(track.slot)
        return Ended(track, "LOST", stats, None)

    def follow(
        self, edge: Edge, columns: Mapping[str, str], fees_bps: float, seen: OpenTuple,
        stats: StatsTuple,
    ) -> Track:  # fmt: skip
        """Follow an edge that has no track. seen: what others see of it until the first look."""
        direction = self._catalogue.direction_at[edge.direction]
        slot = self._table.add(
            columns["track_id"].encode(),
            (*edge.buy, *edge.sell),
            fees_bps=fees_bps,
            converge_bps=self._config.limits_bps(direction)[1],
            opened_ns=seen.opened_ns,
            looked_ns=seen.looked_ns,
            stats=stats,
            seen=seen,
            conversion=edge.conversion,
        )
        track = Track(slot, seen.track, edge, fees_bps, seen.opened_ns, columns)
        self._of_edge[edge.id] = self._of_slot[slot] = track
        return track

    def sample(self, now_ns: int, time: str, *, rows: bool, halted_ns: int = 0) -> Sampled:
        """Look once at every track that has not ended.

        rows=False: leave no rows. halted_ns: those opened until then end as HALTED.
        """
        found = self._table.sample(now_ns, time.encode(), rows=rows, halted_ns=halted_ns)
        late = [Late(self._of_slot[slot], gap_ns, stats) for slot, gap_ns, stats in found.late]
        ended = [
            Ended(self._of_slot.pop(slot), _ENDS[reason], self._table.stats(slot), prices)
            for slot, reason, prices in found.ended
        ]
        return Sampled(found.rows, found.n_rows, late, ended)

    def as_they_are(self) -> list[Late]:
        """Return every track that has not ended, with its statistics; no time is missing."""
        return [Late(t, 0, self._table.stats(t.slot)) for t in self._of_slot.values()]

    def delist(self, listed: Mapping[int, Container[int]]) -> list[Ended]:
        """End the tracks of pairs that a leg's source lists no more.

        listed: symbol ids by source id; a source that is not in it is not judged.
        """
        gone = []
        for track in self._of_slot.values():
            if is_delisted(track.edge, listed):
                gone.append(track)
        for track in gone:
            del self._of_slot[track.slot]
            self._table.end(track.slot)
        return [Ended(t, "DELISTED", self._table.stats(t.slot), None) for t in gone]

    def forget(self, track: Track) -> bool:
        """Give up a track that ended; return whether its edge was still its own."""
        self._table.remove(track.slot)
        if self._of_edge.get(track.edge.id) is not track:
            return False
        del self._of_edge[track.edge.id]
        return True
