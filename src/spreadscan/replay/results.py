"""What came of one replay, read back from the files that it wrote."""

from collections import Counter
from pathlib import Path

import msgspec

from spreadscan.disk.files import data_files, read_rows
from spreadscan.replay.against import Against
from spreadscan.replay.scan import Played
from spreadscan.tracker import SIGNALS
from spreadscan.tracker.track import ends_shown, is_proven

_BEST = 5


class PairTotal(msgspec.Struct, frozen=True, kw_only=True):
    """All ended spreads of a pair in one direction, but for UNPROVEN ones."""

    direction: str
    symbol: str
    tracks: int
    profit_s: float
    peak_net_bps: float


class RunResult(msgspec.Struct, frozen=True, kw_only=True):
    """One recording under one choice of settings."""

    recording: str
    settings: dict[str, str]  # those given on the command line, by key
    config_hash: str
    played: Played
    signals: int
    ended: dict[str, int]  # tracks by reason; seldom ones where there are any
    open: int  # at the end of the recording
    profit_s: float  # time in profit of the ended tracks, but for UNPROVEN ones
    best: tuple[PairTotal, ...]  # by time in profit, then peak
    problems: tuple[str, ...]  # what the recording lacks
    elapsed_s: float
    against: Against | None = None  # the live run

    @property
    def frames_per_s(self) -> float:
        """Return the frames played in a second of ours."""
        return self.played.frames / self.elapsed_s if self.elapsed_s else 0.0


class FileTotals(msgspec.Struct, frozen=True, kw_only=True):
    """What the files of a folder say; as in RunResult."""

    signals: int
    ended: dict[str, int]
    profit_s: float
    best: tuple[PairTotal, ...]

    @property
    def open(self) -> int:
        """Return the tracks without an end."""
        return self.signals - sum(self.ended.values())


def read_outcome(folder: Path) -> FileTotals:
    """Return the totals of the signals files of a folder; BadData where one is not ours."""
    signals, reasons = 0, Counter[str]()
    totals: dict[tuple[str, str], PairTotal] = {}
    for file in data_files(folder, SIGNALS):
        for row in read_rows(file.path, SIGNALS):
            signals += row["event"] == "OPEN"
            if row["event"] == "CLOSE":
                reasons[row["reason"]] += 1
                if is_proven(row["reason"]):
                    key = row["direction"], row["symbol"]
                    totals[key] = _added(totals.get(key), row)
    ranked = sorted(totals.values(), key=lambda t: (-t.profit_s, -t.peak_net_bps, t.symbol))
    return FileTotals(
        signals=signals,
        ended=ends_shown(reasons),
        profit_s=round(sum(total.profit_s for total in totals.values()), 6),
        best=tuple(ranked[:_BEST]),
    )


def _added(total: PairTotal | None, row: dict[str, str]) -> PairTotal:
    profit_s, peak = float(row["profit_s"]), float(row["peak_net_bps"])
    if total is None:
        total = PairTotal(
            direction=row["direction"], symbol=row["symbol"], tracks=0, profit_s=0.0,
            peak_net_bps=peak,
        )  # fmt: skip
    return msgspec.structs.replace(
        total,
        tracks=total.tracks + 1,
        profit_s=round(total.profit_s + profit_s, 6),
        peak_net_bps=max(total.peak_net_bps, peak),
    )
