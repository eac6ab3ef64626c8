from collections.abc import Mapping
from typing import NamedTuple

from spreadcore.audit import AuditTable
from spreadcore.health import Health
from spreadcore.quotes import Quotes

class PairTuple(NamedTuple):
    buy_bid: float
    buy_ask: float
    buy_bid_qty: float
    buy_ask_qty: float
    sell_bid: float
    sell_ask: float
    sell_bid_qty: float
    sell_ask_qty: float
    buy_age_ns: int
    sell_age_ns: int
    gross_bps: float
    exit_bps: float
    tradable: bool

class PairWatch:
    def __init__(
        self,
        quotes: Quotes,
        health: Health,
        *,
        beat_limit_s: float = 2.0,
        stale_after_s: Mapping[int, float] | None = None,
        audit: AuditTable | None = None,
        confirm_within_s: Mapping[int, float] | None = None,
    ) -> None: ...
    def refresh(self, now_ns: int) -> None: ...
    def ages(self, source: int, now_ns: int) -> list[int]: ...
    def read(
        self,
        buy_source: int,
        buy_row: int,
        sell_source: int,
        sell_row: int,
        now_ns: int,
        conversion: tuple[str, int, int] | None = None,
    ) -> PairTuple | None: ...
