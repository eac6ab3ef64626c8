from typing import Any, NamedTuple

import numpy as np
from spreadcore.region import Region

class OpenTuple(NamedTuple):
    track: int
    edge: int
    symbol_id: int
    state: str
    opened_ns: int
    looked_ns: int
    buy_px: float
    sell_px: float
    buy_qty: float
    sell_qty: float
    buy_age_ms: int
    sell_age_ms: int
    gross_bps: float
    net_bps: float
    exit_bps: float
    funding_bps: float
    peak_net_bps: float
    tradable: bool
    unproven: bool

class OpenTracks:
    def __init__(self, region: Region) -> None: ...
    @property
    def region(self) -> Region: ...
    @property
    def capacity(self) -> int: ...
    def put(self, slot: int, track: OpenTuple) -> None: ...
    def clear(self, slot: int) -> None: ...
    def read(self, slot: int) -> OpenTuple | None: ...
    def all(self) -> list[OpenTuple]: ...
    def array(self) -> np.ndarray[Any, Any]: ...
