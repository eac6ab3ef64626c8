"""What the files of a tracker that is gone say: open tracks, last looks; and orphaned bytes.

Reads and repairs files, moves nothing in shared memory.
"""

import os
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from spreadcore.active import SIGNALLED, TRACKED, ActiveTable
from spreadcore.ring import SignalRing

from spreadscan.tracker.columns import SIGNALS, SNAPSHOTS
from spreadscan.tracker.files import DataFile, data_files, read_rows
from spreadscan.tracker.journal import Count, repair_file
from spreadscan.tracker.track import REASONS

Pair = tuple[int, int]  # direction_id, symbol_id
_DAY_S = 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LOOK_EVERY_NS = 1_000_000_000
_TAIL_BYTES = 4 << 20  # a tick of 10,000 tracks is 1.5 MB


class OpenRow(NamedTuple):
    """An OPEN without a CLOSE. seen_unix_ns: time of the newest row that speaks of it."""

    ring_id: int
    sequence: int
    pair: Pair
    unix_ns: int
    at_ns: int
    net_bps: float
    fees_bps: float
    seen_unix_ns: int
    columns: Mapping[str, str]


class Journalled(NamedTuple):
    """What the signals files say. sequences, ended: of the ring asked for."""

    open: list[OpenRow]  # oldest first
    sequences: set[int]  # that have an OPEN row
    ended: dict[Pair, str]  # reason of each pair's last CLOSE


def unix_ns(text: str) -> int:
    """Return the Unix ns of an ISO time as clock.iso_utc() writes it; ValueError for others."""
    if len(text) != 27 or text[-1] != "Z":
        raise ValueError(f"time: {text!r}, expected as 2026-11-20T12:00:00.123456Z")
    return (datetime.fromisoformat(text) - _EPOCH) // timedelta(microseconds=1) * 1000


class _Reader:
    """Collects events row by row; a row that makes no sense is a broken one."""

    def __init__(self, ring_id: int, capacity: Pair, count: Count) -> None:
        self._ring_id = ring_id
        self._capacity = capacity
        self._count = count
        self.open: dict[tuple[int, int], OpenRow] = {}
        self.sequences: set[int] = set()
        self._closed: set[tuple[int, int]] = set()
        self._last_close: dict[Pair, tuple[int, str]] = {}  # at_ns, reason

    @property
    def ended(self) -> dict[Pair, str]:
        return {pair: reason for pair, (_, reason) in self._last_close.items()}

    def file(self, file: DataFile) -> None:
        if not file.compressed and repair_file(file.path, SIGNALS):
            self.broken()
        for row in read_rows(file.path, SIGNALS, self.broken):
            try:
                self._event(row)
            except ValueError:
                self.broken()

    def broken(self) -> None:
        self._count("torn_lines", 1)

    def _event(self, row: Mapping[str, str]) -> None:
        event, reason = row["event"], row["reason"]
        key = ring_id, sequence = int(row["ring_id"]), int(row["sequence"])
        pair = int(row["direction_id"]), int(row["symbol_id"])
        unix, at_ns = unix_ns(row["time"]), int(row["at_ns"])
        if not all(0 <= number < end for number, end in zip(pair, self._capacity, strict=True)):
            raise ValueError(f"pair: {pair}, expected below {self._capacity}")
        if event == "OPEN":
            net, fees = (float(row[name] or "nan") for name in ("net_bps", "fees_bps"))
            # a clock that was put back may have put the CLOSE into a file before this one
            if key not in self._closed:
                self.open[key] = OpenRow(ring_id, sequence, pair, unix, at_ns, net, fees, unix, row)
            if ring_id == self._ring_id:
                self.sequences.add(sequence)
        elif event == "CLOSE" and reason in REASONS:
            self.open.pop(key, None)
            self._closed.add(key)
            newest_ns = self._last_close.get(pair, (at_ns, ""))[0]
            if ring_id == self._ring_id and at_ns >= newest_ns:
                self._last_close[pair] = at_ns, reason
        elif event == "GAP":
            if key in self.open:
                self.open[key] = self.open[key]._replace(seen_unix_ns=unix)
        else:
            raise ValueError(f"event: {event!r} {reason!r}, expected OPEN, CLOSE or GAP")


def read_journal(
    folder: str,
    ring_id: int,
    capacity: Pair,
    now_unix_ns: int,
    expire_after_s: float,
    count: Count,
) -> Journalled:
    """Return what is open and what has ended, by the files that may know.

    Those are the files from expire_after_s and a day before the last sign of life in the folder
    (or before now, where that is earlier). Torn last lines are cut off, rows that make no sense
    are left out, both are counted. capacity: ids of directions and symbols end below these.
    BadData where a file of such a name is not ours.
    """
    reader = _Reader(ring_id, capacity, count)
    for file in _signals_files(folder, now_unix_ns, expire_after_s):
        reader.file(file)
    rows = sorted(reader.open.values(), key=lambda row: (row.at_ns, row.sequence))
    looks = _last_looks(folder, {row.columns["track_id"] for row in rows}, count)
    for i, row in enumerate(rows):
        last = max(row.seen_unix_ns, looks.get(row.columns["track_id"], 0))
        rows[i] = row._replace(seen_unix_ns=last)
    return Journalled(rows, reader.sequences, reader.ended)


def _signals_files(folder: str, now_unix_ns: int, expire_after_s: float) -> list[DataFile]:
    signals, snapshots = data_files(folder, SIGNALS), data_files(folder, SNAPSHOTS)
    days = [_day(file.stamp) for file in (*signals, *snapshots)]
    today = date(1970, 1, 1) + timedelta(days=now_unix_ns // 86_400_000_000_000)
    back = timedelta(days=min(expire_after_s // _DAY_S + 2, 36_500))
    newest = min(max(days, default=today), today)
    oldest = newest - back if newest.toordinal() > back.days else date.min
    return [file for file in signals if _day(file.stamp) >= oldest]


def _day(stamp: str) -> date:
    try:
        return date(int(stamp[:4]), int(stamp[4:6]), int(stamp[6:8]))
    except ValueError:  # 20261399: of no day, so of no interest
        return date.min


def _last_looks(folder: str, ids: Collection[str], count: Count) -> dict[str, int]:
    """Unix ns of the last snapshot of each track, as far as the newest files' ends say."""
    looks: dict[str, int] = {}
    for file in reversed(data_files(folder, SNAPSHOTS)[-2:]):
        if file.compressed:
            continue
        path = file.path
        if repair_file(path, SNAPSHOTS):
            count("torn_lines", 1)
        for name, text in _tail_backwards(path):
            if len(looks) == len(ids):
                break
            if name in ids and name not in looks:
                try:
                    looks[name] = unix_ns(text)
                except ValueError:
                    count("torn_lines", 1)
    return looks


def _tail_backwards(path: Path) -> Iterator[tuple[str, str]]:
    """(track_id, time) of the last rows of a snapshots file, newest first."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read().split(b"\n")
    for line in reversed(lines[2 if start == 0 else 1 : -1]):
        name, _, rest = line.decode("utf-8", "replace").partition(",")
        yield name, rest.partition(",")[0]


class Orphans:
    """Bytes that a killed engine or tracker left: no track, no record, at two looks in a row."""

    def __init__(self) -> None:
        self._suspects: set[Pair] = set()
        self._looked_ns: int | None = None

    def look(
        self, now_ns: int, active: ActiveTable, ring: SignalRing, tracked: Collection[Pair]
    ) -> list[tuple[Pair, int]]:
        """Look about once a second; return (pair, state) of the bytes that belong to nobody."""
        if self._looked_ns is not None and now_ns - self._looked_ns < _LOOK_EVERY_NS:
            return []
        self._looked_ns = now_ns
        # the bytes before the ring: a record pushed in between makes the ring not empty
        found = {
            (direction, symbol): state
            for direction, symbol, state in active.not_free()
            if state in (SIGNALLED, TRACKED) and (direction, symbol) not in tracked
        }
        if ring.queued:
            found = {}
        orphans = [(pair, state) for pair, state in found.items() if pair in self._suspects]
        self._suspects = set(found) - {pair for pair, _ in orphans}
        return orphans
