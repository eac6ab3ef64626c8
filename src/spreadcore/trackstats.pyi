from collections.abc import Iterable
from typing import NamedTuple

class StatsTuple(NamedTuple):
    peak_net_bps: float
    peak_ns: int
    peak_notional: float
    profit_ns: int = 0
    mean_net_bps: float = ...
    mean_notional: float = ...
    min_notional: float = ...
    tradable_looks: int = 0
    looks: int = 0
    skipped: int = 0
    worst_buy_age_ms: int = -1
    worst_sell_age_ms: int = -1

class StatsReader:
    def __init__(
        self, tracks: Iterable[tuple[bytes, float, StatsTuple, int, int]], *, grid_ns: int
    ) -> None: ...
    def read(self, block: bytes) -> int: ...
    def result(self, name: bytes) -> tuple[StatsTuple, int]: ...
