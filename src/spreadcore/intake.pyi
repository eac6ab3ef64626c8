from typing import Final

from spreadcore.region import Region

RESETS: Final[dict[str, int]]

class FeedIntake:
    def __init__(
        self,
        quotes: Region,
        dirty: Region,
        health: Region,
        source_id: int,
        id_reset: str = "never",
        keep_tops: bool = False,
    ) -> None: ...
    @property
    def source_id(self) -> int: ...
    def add_symbol(
        self, symbol: int, multiplier: float = 1.0, qty_scale: float = 1.0, name: str = ""
    ) -> None: ...
    def remove_symbol(self, symbol: int) -> None: ...
    def accept(
        self,
        symbol: int,
        link: int,
        bid_px: float,
        bid_qty: float,
        ask_px: float,
        ask_qty: float,
        venue_ns: int,
        update_id: int,
        id_kind: int,
        recv_ns: int,
    ) -> int: ...
    def decline(self, reason: int, n: int = 1) -> None: ...
    def flush(self, now_ns: int) -> None: ...
    def empty_all(self) -> int: ...
    def empty_link(self, link: int, forget_ids: bool) -> int: ...
    def top(self, symbol: int) -> tuple[float, float, float, float, int, int, int] | None: ...
    def last_recv_ns(self, symbol: int) -> int: ...
    def silent(self, since_ns: int) -> list[int]: ...
