from typing import NamedTuple

from spreadcore.region import Region

class QuoteTuple(NamedTuple):
    bid_px: float
    ask_px: float
    bid_qty: float
    ask_qty: float
    venue_ns: int
    recv_ns: int
    flags: int

    @property
    def link(self) -> int: ...
    @property
    def average(self) -> bool: ...
    @property
    def limit_s(self) -> float: ...
    @property
    def valid_ms(self) -> int: ...
    @property
    def pause_s(self) -> float: ...

class Quotes:
    def __init__(self, region: Region) -> None: ...
    @property
    def region(self) -> Region: ...
    def write(
        self,
        source: int,
        symbol: int,
        bid_px: float,
        ask_px: float,
        bid_qty: float,
        ask_qty: float,
        venue_ns: int,
        recv_ns: int,
        flags: int = 0,
    ) -> None: ...
    def write_empty(self, source: int, symbol: int) -> None: ...
    def read(self, source: int, symbol: int) -> QuoteTuple | None: ...
    def sequence(self, source: int, symbol: int) -> int: ...
    def survey(self, source: int) -> tuple[int, int]: ...
    def snapshot_into(self, out: bytearray | memoryview) -> int: ...
