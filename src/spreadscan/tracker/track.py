"""Open tracks as Python knows them; their numbers are in the compiled TrackTable."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

from spreadcore.funding import FundingRates
from spreadcore.tracks import CONVERGED, EXPIRED, LOST, NOT_TRADING, UNPROVEN, TrackTable
from spreadcore.trackstats import StatsTuple
from spreadcore.watch import PairTuple, PairWatch

from spreadscan.config import Config

# HALTED is for trading that a human or the kill switch stops: readers know it, nothing writes it
Reason = Literal["CONVERGED", "EXPIRED", "LOST", "DELISTED", "UNPROVEN", "NOT_TRADING", "HALTED"]
REASONS: tuple[Reason, ...] = get_args(Reason)
_SELDOM: tuple[Reason, ...] = ("UNPROVEN", "NOT_TRADING", "HALTED")
_OUT_OF_STATISTICS = "UNPROVEN"
Pair = tuple[int, int]  # direction_id, symbol_id
_ENDS: Mapping[int, Reason] = {
    CONVERGED: "CONVERGED", EXPIRED: "EXPIRED", LOST: "LOST", NOT_TRADING: "NOT_TRADING",
    UNPROVEN: "UNPROVEN",
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


def track_id(ring_id: int, sequence: int) -> str:
    """Return e.g. '3q5k0d9t-00017'; sorts by age within a ring of up to 100,000 signals.

    It stands in every snapshot, so it is short: 40 of the ring id's 63 random bits.
    """
    ring = "".join([_DIGITS[ring_id >> shift & 31] for shift in range(35, -1, -5)])
    return f"{ring}-{sequence:05d}"


@dataclass(frozen=True, slots=True)
class Track:
    """An open track. columns: the fields that all its rows share, as text.

    slot: its place in the TrackTable.
    """

    slot: int
    pair: Pair
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


class Looked(NamedTuple):
    """One look at all tracks; rows: whole snapshot lines."""

    rows: bytes
    n_rows: int
    late: list[Late]
    ended: list[Ended]


class Tracks:
    """The open tracks, one a pair, oldest first.

    A track that ended still has its pair until forget(): its CLOSE row may have to wait.
    """

    def __init__(self, watch: PairWatch, funding: FundingRates, config: Config) -> None:
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
        )
        self._of_pair: dict[Pair, Track] = {}
        self._of_slot: dict[int, Track] = {}  # those that have not ended

    def __len__(self) -> int:
        return len(self._of_pair)

    def __contains__(self, pair: object) -> bool:
        return pair in self._of_pair

    @property
    def oldest_ns(self) -> int | None:
        """Return when the oldest track was opened, CLOCK_BOOTTIME."""
        return next((track.opened_ns for track in self._of_pair.values()), None)

    def displaced(self, pair: Pair) -> Ended | None:
        """End and forget the pair's track, where there is one that has not ended.

        One pair, one track: there is another only where files were edited.
        """
        track = self._of_pair.pop(pair, None)
        if track is None or track.slot not in self._of_slot:
            return None
        stats = self._table.stats(track.slot)
        del self._of_slot[track.slot]
        self._table.remove(track.slot)
        return Ended(track, "LOST", stats, None)

    def follow(
        self, pair: Pair, columns: Mapping[str, str], fees_bps: float, opened_ns: int,
        stats: StatsTuple, looked_ns: int | None = None,
    ) -> Track:  # fmt: skip
        """Follow a pair that has no track. looked_ns: when it was last looked at, else OPEN."""
        direction = self._catalogue.direction_at[pair[0]]
        slot = self._table.add(
            columns["track_id"].encode(),
            (direction.buy.id, direction.sell.id, pair[1]),
            fees_bps=fees_bps,
            converge_bps=self._config.limits_bps(direction)[1],
            opened_ns=opened_ns,
            looked_ns=opened_ns if looked_ns is None else looked_ns,
            stats=stats,
        )
        track = Track(slot, pair, fees_bps, opened_ns, columns)
        self._of_pair[pair] = self._of_slot[slot] = track
        return track

    def look(self, now_ns: int, time: str, *, rows: bool) -> Looked:
        """Look once at every track that has not ended. rows=False: leave no rows."""
        found = self._table.look(now_ns, time.encode(), rows=rows)
        late = [Late(self._of_slot[slot], gap_ns, stats) for slot, gap_ns, stats in found.late]
        ended = [
            Ended(self._of_slot.pop(slot), _ENDS[reason], self._table.stats(slot), prices)
            for slot, reason, prices in found.ended
        ]
        return Looked(found.rows, found.n_rows, late, ended)

    def delist(self, listed: Mapping[int, Container[int]]) -> list[Ended]:
        """End the tracks of pairs that a leg's source lists no more.

        listed: symbol ids by source id; a source that is not in it is not judged.
        """
        gone = []
        for track in self._of_slot.values():
            direction, symbol_id = self._catalogue.direction_at[track.pair[0]], track.pair[1]
            legs = direction.buy.id, direction.sell.id
            if any(leg in listed and symbol_id not in listed[leg] for leg in legs):
                gone.append(track)
        for track in gone:
            del self._of_slot[track.slot]
            self._table.end(track.slot)
        return [Ended(t, "DELISTED", self._table.stats(t.slot), None) for t in gone]

    def forget(self, track: Track) -> bool:
        """Give up a track that ended; return whether its pair was still its own."""
        self._table.remove(track.slot)
        if self._of_pair.get(track.pair) is not track:
            return False
        del self._of_pair[track.pair]
        return True
