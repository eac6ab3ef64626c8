"""What the files of a tracker that is gone say: open tracks, their statistics, last looks.

Reads and repairs files, moves nothing in shared memory.
"""

from collections.abc import Container, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from spreadcore.digits import time_of
from spreadcore.spread import edge_gross_bps
from spreadcore.trackstats import StatsReader, StatsTuple

from spreadscan.disk.files import DataFile, data_files, read_blocks, read_rows, text_size
from spreadscan.disk.linefile import Count, repair_file
from spreadscan.tracker.columns import SIGNALS, SNAPSHOTS
from spreadscan.tracker.remarks import Remarks
from spreadscan.tracker.track import REASONS, track_id

# what a row says of its edge, whatever its number: direction id, symbol id of the pair that is
# bought; the leg that is converted, and by which source
Pair = tuple[int, int, str, str]

_DAY_S = 86_400.0
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REREAD_BYTES = 256 << 20  # text of snapshots; about a second


class OpenRow(NamedTuple):
    """An OPEN without a CLOSE.

    stats: of the track's looks, in ns of the CLOCK_BOOTTIME of its ring. seen_unix_ns: time of
    the newest row that speaks of it. since_unix_ns: of the newest OPEN or GAP, whose statistics
    the journal has.
    """

    ring_id: int
    sequence: int
    pair: Pair
    unix_ns: int
    at_ns: int
    fees_bps: float
    stats: StatsTuple
    shift_ns: int  # Unix time minus CLOCK_BOOTTIME, as of `since`
    since_unix_ns: int
    seen_unix_ns: int
    columns: Mapping[str, str]


class Journalled(NamedTuple):
    """What the files say. sequences, ended: of the ring asked for."""

    open: list[OpenRow]  # oldest first
    sequences: set[int]  # that have an OPEN row
    ended: dict[Pair, str]  # reason of each pair's last CLOSE
    remarks: Remarks


class _Reader:
    """Collects events row by row; a row that makes no sense is a broken one."""

    def __init__(
        self, ring_id: int, directions: Container[int], n_symbols: int, count: Count
    ) -> None:
        self._ring_id = ring_id
        self._directions = directions
        self._n_symbols = n_symbols
        self._count = count
        self.open: dict[tuple[int, int], OpenRow] = {}
        self.sequences: set[int] = set()
        self._closed: set[tuple[int, int]] = set()
        self._last_close: dict[Pair, tuple[int, str]] = {}  # at_ns, reason
        self.remarks = Remarks()

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
        if event == "EVENT":  # of no track
            self.remarks.read(reason)
            return
        key = ring_id, sequence = _whole(row["ring_id"]), _whole(row["sequence"])
        pair = (
            _whole(row["direction_id"]),
            _whole(row["symbol_id"]),
            row.get("converted", ""),
            row.get("rate_source", ""),
        )
        unix, at_ns = _unix_ns(row["time"]), _whole(row["at_ns"], 60)
        if row["track_id"] != track_id(ring_id, sequence):
            raise ValueError(f"track_id: {row['track_id']!r}, expected that of {key}")
        if pair[0] not in self._directions or pair[1] >= self._n_symbols:
            raise ValueError(f"pair: {pair}, expected one of ours")
        if event == "OPEN":
            # a clock that was put back may have put the CLOSE into a file before this one
            if key not in self._closed:
                fees = _double(row["fees_bps"])
                stats = _opening(row, fees, at_ns)
                self.open[key] = OpenRow(
                    ring_id, sequence, pair, unix, at_ns, fees, stats, unix - at_ns, unix, unix, row
                )
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
                self.open[key] = self.open[key]._replace(
                    stats=_statistics(row, unix - at_ns), shift_ns=unix - at_ns,
                    since_unix_ns=unix, seen_unix_ns=unix,
                )  # fmt: skip
        else:
            raise ValueError(f"event: {event!r} {reason!r}, expected OPEN, CLOSE, GAP or EVENT")


def _unix_ns(text: str) -> int:
    return time_of(text.encode())


def _double(text: str) -> float:
    return float(text or "nan")


def _whole(text: str, bits: int = 63) -> int:
    if not 0 <= (number := int(text)) < 1 << bits:
        raise ValueError(f"{text}, expected 0 or more and at most {bits} bits")
    return number


def _age_ms(text: str) -> int:
    return _whole(text) if text else -1


def _ns(text: str) -> int:
    if not 0 <= (seconds := float(text)) < 1e9:
        raise ValueError(f"{text} s, expected less than 31 years")
    return round(seconds * 1e9)


def _opening(row: Mapping[str, str], fees_bps: float, at_ns: int) -> StatsTuple:
    """Return the statistics of an OPEN row: it is the first peak. The prices are exact."""
    buy, sell = _double(row["buy_px"]), _double(row["sell_px"])
    size = min(buy * _double(row["buy_qty"]), sell * _double(row["sell_qty"]))
    return StatsTuple(
        edge_gross_bps(buy, sell) - fees_bps, at_ns, size,
        worst_buy_age_ms=_age_ms(row["buy_age_ms"]), worst_sell_age_ms=_age_ms(row["sell_age_ms"]),
    )  # fmt: skip


def _statistics(row: Mapping[str, str], shift_ns: int) -> StatsTuple:
    """Return the statistics that stand in a GAP row."""
    return StatsTuple(
        _double(row["peak_net_bps"]),
        _unix_ns(row["peak_time"]) - shift_ns,
        _double(row["peak_notional"]),
        _ns(row["profit_s"]),
        _double(row["mean_net_bps"]),
        _double(row["mean_notional"]),
        _double(row["min_notional"]),
        _whole(row["tradable_looks"]),
        _whole(row["looks"]),
        _whole(row["skipped"]),
        _age_ms(row["worst_buy_age_ms"]),
        _age_ms(row["worst_sell_age_ms"]),
    )


def read_journal(
    folder: str,
    ring_id: int,
    directions: Container[int],
    n_symbols: int,
    now_unix_ns: int,
    expire_after_s: float,
    grid_ns: int,
    count: Count,
) -> Journalled:
    """Return what is open and what has ended, by the files that may know.

    Those are the files from expire_after_s and a day before the last sign of life in the folder
    (or before now, where that is earlier). Torn last lines are cut off, rows that make no sense
    are left out, both are counted. directions: ids that there
    can be; symbol ids are below n_symbols. BadData where a file of such a name is not ours.
    """
    reader = _Reader(ring_id, directions, n_symbols, count)
    for file in _signals_files(folder, now_unix_ns, expire_after_s):
        reader.file(file)
    rows = sorted(reader.open.values(), key=lambda row: (row.at_ns, row.sequence))
    looked = _with_looks(folder, rows, now_unix_ns, grid_ns, count)
    return Journalled(looked, reader.sequences, reader.ended, reader.remarks)


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


def _with_looks(
    folder: str, rows: Sequence[OpenRow], now_unix_ns: int, grid_ns: int, count: Count
) -> list[OpenRow]:
    """Return the rows with the statistics and the last look that the snapshots add to them."""
    files = data_files(folder, SNAPSHOTS)
    for file in files[-2:]:
        if not file.compressed and repair_file(file.path, SNAPSHOTS):
            count("torn_lines", 1)
    reader = StatsReader(
        [(_name(r), r.fees_bps, r.stats, r.since_unix_ns, r.shift_ns) for r in rows],
        grid_ns=grid_ns,
    )
    since_ns = min((r.since_unix_ns for r in rows), default=0)
    for file, skip_bytes in _files_between(files, since_ns, now_unix_ns):
        blocks = read_blocks(file.path, SNAPSHOTS, lambda: count("torn_lines", 1), skip_bytes)
        for block in blocks if rows else ():
            if broken := reader.read(block):
                count("torn_lines", broken)
    found = []
    for row in rows:
        stats, looked_ns = reader.result(_name(row))
        seen = max(row.seen_unix_ns, looked_ns + row.shift_ns)
        found.append(row._replace(stats=stats, seen_unix_ns=seen))
    return found


def _name(row: OpenRow) -> bytes:
    return row.columns["track_id"].encode()


def _files_between(
    files: Sequence[DataFile], since_ns: int, now_ns: int
) -> list[tuple[DataFile, int]]:
    """Files with rows since then, oldest first, and the text to pass over in each; Unix times.

    No more than the newest _REREAD_BYTES, so that a start takes no longer than that. Those of
    hours to come are of before a clock was put back, so their looks are known already.
    """
    first, last = (
        f"{_EPOCH + timedelta(microseconds=ns // 1000):%Y%m%d-%H}" for ns in (since_ns, now_ns)
    )
    left, found = _REREAD_BYTES, []
    for file in reversed(files):
        if file.stamp > last:
            continue
        if file.stamp < first or left <= 0:
            break
        size = text_size(file.path)
        found.append((file, max(0, size - left)))
        left -= size
    return found[::-1]
