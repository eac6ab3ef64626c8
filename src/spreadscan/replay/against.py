"""A replay held against the live run that was recorded: signals of the one found in the other.

The live engine looks when it gets to it and sees the newest quote of each pair; the replay sees
every frame. So a live signal has to be in the replay at nearly the same moment, and the replay may
have some more.
"""

from collections.abc import Container, Sequence
from pathlib import Path

import msgspec

from spreadscan.catalogue import built_in
from spreadscan.clock import iso_utc
from spreadscan.disk.files import data_files, read_rows
from spreadscan.replay.scan import Moment, Played, RecordedUtc
from spreadscan.tracker import SIGNALS
from spreadscan.tracker.events import day_of

WITHIN_NS = 200_000_000


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """An OPEN row. open_since: of one not found, since when the replay followed the pair."""

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

    @property
    def moment(self) -> Moment:
        """Return when it was of which pair."""
        return Moment(self.at_ns, built_in().direction[self.direction], self.symbol)


class Against(msgspec.Struct, frozen=True, kw_only=True):
    """What a live run's files and a replay have in common, within the recording's span."""

    live: int
    found: int
    missing: tuple[Signal, ...]  # live, and not in the replay within WITHIN_NS
    unrecorded: tuple[Signal, ...]  # such too, but a leg's quote is not in the recording
    unconfirmed: tuple[Signal, ...]  # such too, but on a quote that only an audit could confirm
    extra: tuple[Signal, ...]  # in the replay only
    most_apart_ms: float  # of those found


def live_signals(folder: Path, since: str) -> list[Signal]:
    """Return the OPEN rows of a data folder from a UTC time on; BadData for one not ours."""
    return _events(folder, since, "9999")[0]


def compare(
    out: Path, live: Sequence[Signal], played: Played, utc: RecordedUtc,
    without_quote: Container[Moment] = (), unconfirmed: Container[Moment] = (),
) -> Against:  # fmt: skip
    """Compare what a replay wrote into `out` with live signals, those of its span and boot.

    without_quote: moments of live signals at which the recording had no quote of a leg;
    unconfirmed: at which one was older than it may be, and no audit is recorded.
    """
    first_ns, last_ns = played.first_ns, played.last_ns
    begin, end = (iso_utc(utc.utc_ns(ns)) for ns in (first_ns - WITHIN_NS, last_ns + WITHIN_NS))
    ours, ends = _events(out, begin, end)
    theirs = [s for s in live if first_ns <= s.at_ns <= last_ns and begin <= s.time <= end]
    free = list(ours)
    missing: list[Signal] = []
    unrecorded: list[Signal] = []
    old: list[Signal] = []
    apart_ns = [0]
    for signal in theirs:
        near = [s for s in free if s.pair == signal.pair and _apart(s, signal) <= WITHIN_NS]
        if near:
            match = min(near, key=lambda s: _apart(s, signal))
            apart_ns.append(_apart(match, signal))
            free.remove(match)
            continue
        since = _open_since(signal, ours, ends)
        if signal.moment in without_quote:
            kind = unrecorded
        else:
            kind = old if signal.moment in unconfirmed else missing
        kind.append(msgspec.structs.replace(signal, open_since=since))
    return Against(
        live=len(theirs),
        found=len(apart_ns) - 1,
        missing=tuple(missing),
        unrecorded=tuple(unrecorded),
        unconfirmed=tuple(old),
        extra=tuple(free),
        most_apart_ms=max(apart_ns) / 1e6,
    )


def _apart(one: Signal, other: Signal) -> int:
    return abs(one.at_ns - other.at_ns)


def _events(
    folder: Path, begin: str, end: str
) -> tuple[list[Signal], list[tuple[tuple[str, str], int]]]:
    """Return the OPEN rows between two times, and (pair, at_ns) of the CLOSE rows."""
    opened, ends = [], []
    for file in data_files(folder, SIGNALS):
        if not day_of(begin) <= file.stamp <= (day_of(end) or "9"):
            continue
        for row in read_rows(file.path, SIGNALS):
            if not begin <= row["time"] <= end:
                continue
            if row["event"] == "OPEN" and row["direction"] in built_in().direction:
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
