from typing import Final, NamedTuple

from spreadcore.funding import FundingRates
from spreadcore.opentracks import OpenTracks, OpenTuple
from spreadcore.trackstats import StatsTuple
from spreadcore.watch import PairTuple, PairWatch

CONVERGED: Final[int]
EXPIRED: Final[int]
LOST: Final[int]
NOT_TRADING: Final[int]
UNPROVEN: Final[int]
HALTED: Final[int]

class Sampled(NamedTuple):
    rows: bytes
    n_rows: int
    late: list[tuple[int, int, StatsTuple]]
    ended: list[tuple[int, int, PairTuple | None]]

class TrackTable:
    def __init__(
        self,
        watch: PairWatch,
        funding: FundingRates,
        *,
        grid_ns: int,
        gap_ns: int,
        expire_after_ns: int,
        lost_after_ns: int,
        tracks: OpenTracks | None = None,
    ) -> None: ...
    def __len__(self) -> int: ...
    def add(
        self,
        name: bytes,
        pair: tuple[int, int, int, int],
        *,
        fees_bps: float,
        converge_bps: float,
        opened_ns: int,
        looked_ns: int,
        stats: StatsTuple,
        seen: OpenTuple | None = None,
        conversion: tuple[str, int, int] | None = None,
    ) -> int: ...
    def remove(self, slot: int) -> None: ...
    def end(self, slot: int) -> None: ...
    def stats(self, slot: int) -> StatsTuple: ...
    def sample(
        self, now_ns: int, time: bytes, *, rows: bool = True, halted_ns: int = 0
    ) -> Sampled: ...
