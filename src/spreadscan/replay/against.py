"""A replay held against the live run that was recorded: signals of the one found in the other.

The live engine looks when it gets to it and sees the newest quote of each pair; the replay sees
every frame. So a live signal has to be in the replay at nearly the same moment, and the replay may
have some more.
"""

from pathlib import Path

import msgspec

from spreadscan.clock import iso_utc
from spreadscan.replay.scan import RecordedUtc
from spreadscan.tracker import SIGNALS, read_rows
from spreadscan.tracker.events import day_of
from spreadscan.tracker.files import data_files

WITHIN_NS = 200_000_000


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """An OPEN row. open_since: of a missing one, since when the replay followed the pair."""

    direction: str
    symbol: str
    time: str  # UTC
    at_ns: int
    net_bps: float
    open_since: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        """Return (direction, symbol)."""
        return self.direction, self.symbol


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """What a live run's files and a replay have in common, within the recording's span."""

    live: int
    found: int
    missing: tuple[Signal, ...]  # live, and not in the replay within WITHIN_NS
    extra: tuple[Signal, ...]  # in the replay only
    most_apart_ms: float  # of those found


def compare(out: Path, live: Path, first_ns: int, last_ns: int, utc: RecordedUtc) -> Against:
    """Compare the rows in `out` with those of a data folder that are of that span and boot.

    BadData where a file is not the tracker's.
    """
    begin, end = (iso_utc(utc.utc_ns(ns)) for ns in (first_ns - WITHIN_NS, last_ns + WITHIN_NS))
    ours, ends = _events(out, begin, end)
    theirs = [
        signal for signal in _events(live, begin, end)[0] if first_ns <= signal.at_ns <= last_ns
    ]
    free = list(ours)
    missing, apart_ns = [], [0]
    for signal in theirs:
        near = [
            s for s in free
            if s.pair == signal.pair and abs(s.at_ns - signal.at_ns) <= WITHIN_NS
        ]  # fmt: skip
        if near:
            match = min(near, key=lambda s: abs(s.at_ns - signal.at_ns))
            apart_ns.append(abs(match.at_ns - signal.at_ns))
            free.remove(match)
        else:
            since = _open_since(signal, ours, ends)
            missing.append(msgspec.structs.replace(signal, open_since=since))
    return Against(
        live=len(theirs),
        found=len(theirs) - len(missing),
        missing=tuple(missing),
        extra=tuple(free),
        most_apart_ms=max(apart_ns) / 1e6,
    )


def _events(
    folder: Path, begin: str, end: str
) -> tuple[list[Signal], list[tuple[tuple[str, str], int]]]:
    """Return the OPEN rows between two times, and (pair, at_ns) of the CLOSE rows."""
    opened, ends = [], []
    for file in data_files(folder, SIGNALS):
        if not day_of(begin) <= file.stamp <= day_of(end):
            continue
        for row in read_rows(file.path, SIGNALS):
            if not begin <= row["time"] <= end:
                continue
            if row["event"] == "OPEN":
                opened.append(
                    Signal(
                        direction=row["direction"],
                        symbol=row["symbol"],
                        time=row["time"],
                        at_ns=int(row["at_ns"]),
                        net_bps=float(row["net_bps"]),
                    )  # fmt: skip
                )
            elif row["event"] == "CLOSE":
                ends.append(((row["direction"], row["symbol"]), int(row["at_ns"])))
    return opened, ends


def _open_since(signal: Signal, ours: list[Signal], ends: list[tuple[tuple[str, str], int]]) -> str:
    """Return when the replay opened the spread that was open at a live signal, '' for none."""
    before = [s for s in ours if s.pair == signal.pair and s.at_ns < signal.at_ns]
    if not before:
        return ""
    last = before[-1]
    ended = any(p == signal.pair and last.at_ns < at < signal.at_ns for p, at in ends)
    return "" if ended else last.time
