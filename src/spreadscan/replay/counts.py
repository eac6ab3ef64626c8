"""What a replay found: every frame by what became of it, last quotes, edges. Plain data."""

from dataclasses import asdict, dataclass, field

from spreadscan.errors import Halt


@dataclass(slots=True, kw_only=True)
class LastQuote:
    """The slot of one symbol at the end of a file, read back from the shared table.

    Prices per coin and sizes in coins, all NaN (and recv_ns 0) when the last frame emptied the
    slot. update_id is that of the last frame that wrote the slot, -1 where it had none.
    """

    symbol: str  # the name that sources share, where it can be told
    bid_px: float
    bid_qty: float
    ask_px: float
    ask_qty: float
    venue_ns: int
    recv_ns: int
    update_id: int
    quotes: int  # that passed the gate in this file


@dataclass(slots=True)
class FrameCounts:
    """The frames of one source: frames == quote_frames + acks + control + all declined.

    A frame counts once: as a quote frame if any of its quotes passed the gate, else as the
    first reason why none did. control == refusals + pongs + events.
    """

    frames: int = 0
    quote_frames: int = 0
    quotes: int = 0  # one frame may hold several
    refreshes: int = 0  # quotes that repeated an update id
    acks: int = 0
    control: int = 0
    refusals: int = 0
    pongs: int = 0
    events: int = 0
    declined: dict[str, int] = field(default_factory=dict)  # reason -> frames
    odd_times: int = 0  # quotes whose venue time was no Unix ms: read as s, us or ns, or not at all
    steps_back: int = 0  # frames stamped earlier than the one before them in the file
    first_recv_ns: int = 0
    last_recv_ns: int = 0
    span_ns: int = 0  # last minus first; of several files the sum, their clocks may differ
    without_contract_size: list[str] = field(default_factory=list)  # venue symbols
    last: dict[str, LastQuote] = field(default_factory=dict)  # by venue symbol

    def check(self, name: str) -> None:
        """Raise Halt unless every frame is accounted for."""
        known = self.quote_frames + self.acks + self.control + sum(self.declined.values())
        if known != self.frames or self.control != self.refusals + self.pongs + self.events:
            raise Halt(f"{name}: {known} frames accounted for, expected {self.frames}")

    def add(self, other: "FrameCounts") -> None:
        """Add a later file of the same source; its last quotes replace those before."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for reason, n in other.declined.items():
            self.declined[reason] = self.declined.get(reason, 0) + n
        self.first_recv_ns = self.first_recv_ns or other.first_recv_ns
        self.last_recv_ns = other.last_recv_ns or self.last_recv_ns
        known = set(self.without_contract_size)
        self.without_contract_size += [s for s in other.without_contract_size if s not in known]
        self.last |= other.last


_COUNTS = ("frames", "quote_frames", "quotes", "refreshes", "acks", "control", "refusals",
           "pongs", "events", "odd_times", "steps_back", "span_ns")  # fmt: skip


@dataclass(slots=True)
class FileCounts:
    """One file: the accounts of the sources in it, by name."""

    file: str  # relative to the folder
    sources: dict[str, FrameCounts]


@dataclass(slots=True)
class Above:
    """How often and how long an edge was strictly above a limit."""

    bps: float
    updates: int
    episodes: int
    total_s: float
    longest_s: float


@dataclass(slots=True, kw_only=True)
class Edge:
    """One symbol bought at the ask of `buy` and sold at the bid of `sell`: gross, before fees."""

    buy: str
    sell: str
    symbol: str
    updates: int  # evaluated: top-of-book updates of either side once both were known
    mean_bps: float
    max_bps: float
    max_ns: int  # receive time of the first update with that maximum
    max_buy_px: float
    max_sell_px: float
    above: list[Above]


@dataclass(slots=True)
class Result:
    """All that a replay found."""

    frames: int
    sources: dict[str, FrameCounts]  # by name, all files together
    files: list[FileCounts]
    edges: list[Edge]
    problems: list[str] = field(default_factory=list)  # what a recording lacks, by file
    remarks: list[str] = field(default_factory=list)  # how files were read

    def plain(self) -> dict[str, object]:
        """Return it as dicts and lists for JSON; floats may be NaN."""
        return asdict(self)
