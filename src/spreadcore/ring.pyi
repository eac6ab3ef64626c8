from typing import NamedTuple

from spreadcore.region import Region

class SignalTuple(NamedTuple):
    sequence: int
    at_ns: int
    recv_ns: int
    buy_px: float
    sell_px: float
    buy_qty: float
    sell_qty: float
    edge: int
    buy_age_ms: int
    sell_age_ms: int
    unproven: bool = False

class SignalRing:
    def __init__(self, region: Region) -> None: ...
    @property
    def region(self) -> Region: ...
    @property
    def capacity(self) -> int: ...
    @property
    def ring_id(self) -> int: ...
    @property
    def produced(self) -> int: ...
    @property
    def read(self) -> int: ...
    @property
    def queued(self) -> int: ...
    def push(
        self,
        edge: int,
        at_ns: int,
        buy_recv_ns: int,
        sell_recv_ns: int,
        buy_px: float,
        sell_px: float,
        buy_qty: float,
        sell_qty: float,
    ) -> int: ...
    def peek(self) -> SignalTuple | None: ...
    def advance(self) -> None: ...
