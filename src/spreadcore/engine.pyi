from spreadcore.active import ActiveTable
from spreadcore.audit import AuditTable
from spreadcore.control import Control, PauseTable
from spreadcore.dirty import DirtySet
from spreadcore.edges import EdgeIndex
from spreadcore.edgestats import EdgeStats
from spreadcore.health import Health
from spreadcore.quotes import Quotes
from spreadcore.ring import SignalRing
from spreadcore.stream import Writer

class Engine:
    def __init__(
        self,
        quotes: Quotes,
        dirty: DirtySet,
        ring: SignalRing,
        active: ActiveTable,
        health: Health,
        control: Control,
        index: EdgeIndex,
        *,
        max_gross_bps: float = 3000.0,
        min_notional: float = 0.0,
        beat_limit_s: float = 2.0,
        sweep_s: float = 1.0,
        confirm_s: float = 0.0,
        audit: AuditTable | None = None,
        questions: DirtySet | None = None,
        answers: DirtySet | None = None,
        stream: Writer | None = None,
        pauses: PauseTable | None = None,
    ) -> None: ...
    def replace_index(self, index: EdgeIndex, now_ns: int | None = None) -> int: ...
    def set_rule(
        self,
        rule: int,
        fees_bps: float,
        threshold_bps: float,
        converge_bps: float,
        class_id: int = 0,
    ) -> None: ...
    def set_stale(self, source: int, stale_after_s: float) -> None: ...
    def set_audit(self, source: int, confirm_within_s: float, ask_after_s: float = 0.0) -> None: ...
    def set_answer(self, within_s: float, unproven_signals: bool = False) -> None: ...
    def observe(self, stats: EdgeStats) -> None: ...
    def turn(self, now_ns: int) -> int: ...
    def scan(self, now_ns: int) -> int: ...
    def run(
        self,
        for_s: float = 0.05,
        spin_us: float = 0.0,
        park_ms: float = 5.0,
        coalesce_us: float = 0.0,
    ) -> int: ...
