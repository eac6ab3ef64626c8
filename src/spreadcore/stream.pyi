from typing import Any, NamedTuple

import numpy as np
from spreadcore.region import Region

class RecordTuple(NamedTuple):
    sequence: int
    kind: str
    reason: str
    track: int
    edge: int
    symbol_id: int
    at_ns: int
    recv_ns: int
    opened_ns: int
    buy_px: float
    sell_px: float
    buy_qty: float
    sell_qty: float
    buy_age_ms: int
    sell_age_ms: int
    gross_bps: float
    net_bps: float
    peak_net_bps: float
    conversion_px: float
    generation: int
    unproven: bool

class Broadcast:
    def __init__(self, region: Region) -> None: ...
    @property
    def region(self) -> Region: ...
    @property
    def capacity(self) -> int: ...
    @property
    def published(self) -> int: ...
    @property
    def oldest(self) -> int: ...
    @property
    def generation(self) -> int: ...
    def reader(self, start: int | None = None) -> Reader: ...
    def writer(self) -> Writer: ...

class Reader:
    def __init__(self, broadcast: Broadcast, start: int | None = None) -> None: ...
    @property
    def broadcast(self) -> Broadcast: ...
    @property
    def next(self) -> int: ...
    @property
    def lost(self) -> int: ...
    def read(self, n: int) -> tuple[list[RecordTuple], int]: ...
    def array(self, n: int) -> tuple[np.ndarray[Any, Any], int]: ...
    def park(self, timeout_ns: int) -> str: ...

class Writer:
    def __init__(self, broadcast: Broadcast) -> None: ...
    @property
    def broadcast(self) -> Broadcast: ...
    def publish(
        self,
        kind: str,
        *,
        edge: int,
        symbol_id: int,
        track: int,
        at_ns: int,
        buy_px: float,
        sell_px: float,
        buy_qty: float,
        sell_qty: float,
        gross_bps: float,
        net_bps: float,
        peak_net_bps: float,
        reason: str = "",
        recv_ns: int = 0,
        opened_ns: int = 0,
        buy_age_ms: int = -1,
        sell_age_ms: int = -1,
        conversion_px: float = 0.0,
        unproven: bool = False,
    ) -> int: ...
    def wake(self) -> bool: ...
