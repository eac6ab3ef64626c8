"""Everything the report draws from, read once: tracks as arrays, gaps, and what was read."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spreadscan.errors import BadData
from spreadscan.export import Damage, Input, find, join, read
from spreadscan.report import truth
from spreadscan.tracker import SIGNALS, SNAPSHOTS
from spreadscan.tracker.track import is_proven

Floats = NDArray[np.float64]
Texts = NDArray[np.object_]
Progress = Callable[[int], None]  # bytes of text read since the last call

OPEN_YET = "OPEN"  # in place of a reason
_US = 1e6


@dataclass(frozen=True, slots=True)
class Tracks:
    """A value per track; times in Unix seconds, NaN where there is none."""

    id: Texts
    pair: Texts
    quote: Texts  # currency of its prices and sizes
    direction: NDArray[np.int64]  # its number
    reason: Texts  # OPEN_YET where there is no CLOSE
    opened_s: Floats
    closed_s: Floats
    duration_s: Floats
    open_net_bps: Floats
    peak_net_bps: Floats
    notional: Floats  # at the touch at OPEN, the smaller leg's, in its quote currency
    trip_bps: Floats  # entered at OPEN and left at CLOSE, fees of both ways
    open_age_ms: Floats  # of the older leg's quote
    worst_age_ms: Floats  # of either leg's, from OPEN to CLOSE
    simulated: Floats  # 1: a simulated market, 0: a real one

    def __len__(self) -> int:
        return len(self.opened_s)

    @property
    def kept(self) -> Floats:
        """Return what was left of the size at OPEN after the round trip; NaN: no exit price."""
        return self.notional * self.trip_bps / 1e4

    @property
    def currency(self) -> str:
        """Return the currency of their sums: "USDT"; "USDC/USDT" where one counts as the other."""
        return "/".join(sorted(set(map(str, self.quote)))) or "USDT"

    @property
    def proven(self) -> NDArray[np.bool_]:
        """Return which of the tracks count in statistics."""
        return np.array([is_proven(reason) for reason in self.reason], bool)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> "Tracks":
        """Return some of the tracks, in that order."""
        return Tracks(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def together(parts: Sequence[Tracks]) -> Tracks:
    """Return the tracks of all parts."""
    return Tracks(
        **{
            f.name: np.concatenate([getattr(part, f.name) for part in parts])
            for f in fields(Tracks)
        }
    )


class Gap(NamedTuple):
    """A GAP row; times in Unix seconds."""

    track_id: str
    end_s: float
    gap_s: float
    reason: str


class Remark(NamedTuple):
    """An EVENT row; time in Unix seconds."""

    at_s: float
    text: str


class History(NamedTuple):
    """What a data folder says of the time asked for."""

    tracks: Tracks  # oldest first; what statistics rest on is `counted`
    gaps: list[Gap]
    hours: list[Input]  # files of snapshots
    audited: list[truth.Hour]
    remarks: list[Remark]  # oldest first
    faults: list[str]

    @property
    def counted(self) -> Tracks:
        """Return the tracks that count in statistics; all that is drawn of many rests on these."""
        return self.tracks.where(self.tracks.proven)


def load(folder: Path, since: datetime | None, progress: Progress) -> History:
    """Read the signals files; files that are not ours are left out and told in faults.

    since: tracks opened before are left out. BadData where the folder holds nothing.
    """
    inputs = find(folder, since)
    faults: list[str] = []
    gaps: list[Gap] = []
    remarks: list[Remark] = []

    def days() -> Iterator[pa.Table]:
        for source in inputs:
            if source.kind != SIGNALS:
                continue
            damage = Damage()
            try:
                tables = list(read(source, damage, progress))
            except BadData as error:
                faults.append(str(error))
                continue
            faults.extend(damage.sentences())
            if tables:
                day = pa.concat_tables(tables)
                gaps.extend(_gaps(day))
                remarks.extend(_remarks(day))
                yield day

    found = [_arrays(table) for table in join(days())]
    tracks = together([_nothing(), *found])
    known = ~np.isnan(tracks.opened_s)  # the others' OPEN is in a file that has gone
    if since is not None:
        known &= tracks.opened_s >= since.timestamp()
    tracks = tracks.where(known)
    tracks = tracks.where(np.argsort(tracks.opened_s, kind="stable"))
    if since is not None:
        gaps = [gap for gap in gaps if gap.end_s >= since.timestamp()]
    hours = [each for each in inputs if each.kind == SNAPSHOTS]
    remarks.sort()
    audited = truth.read(folder, since, faults)
    return History(tracks, gaps, hours, audited, remarks, faults)


def _gaps(events: pa.Table) -> list[Gap]:
    rows = events.filter(pc.equal(events["event"], "GAP"))
    return [
        Gap(row["track_id"], row["time"].timestamp(), row["gap_s"] or 0.0, row["reason"] or "")
        for row in rows.select(["track_id", "time", "gap_s", "reason"]).to_pylist()
    ]


def _remarks(events: pa.Table) -> list[Remark]:
    rows = events.filter(pc.equal(events["event"], "EVENT")).select(["time", "reason"]).to_pylist()
    return [Remark(row["time"].timestamp(), row["reason"] or "") for row in rows]


def _nothing() -> Tracks:
    texts, numbers = np.array([], object), np.array([], float)
    return Tracks(texts, texts, texts, np.array([], np.int64), texts, *[numbers] * 10)


def _arrays(table: pa.Table) -> Tracks:
    def floats(name: str) -> Floats:
        values: Floats = table[name].cast(pa.float64()).to_numpy()
        return values

    def seconds(name: str) -> Floats:
        us: Floats = table[name].cast(pa.int64()).cast(pa.float64()).to_numpy()
        return us / _US

    def texts(name: str, empty: str) -> Texts:
        found: Texts = pc.fill_null(table[name], empty).to_numpy()
        return found

    open_net = floats("open_net_bps")
    return Tracks(
        id=texts("track_id", ""),
        pair=texts("symbol", "?"),
        quote=texts("quote", "?"),
        direction=np.nan_to_num(floats("direction_id"), nan=-1).astype(np.int64),
        reason=texts("reason", OPEN_YET),
        opened_s=seconds("open_time"),
        closed_s=seconds("close_time"),
        duration_s=floats("duration_s"),
        open_net_bps=open_net,
        peak_net_bps=np.fmax(floats("peak_net_bps"), open_net),  # without a CLOSE: of OPEN
        notional=np.fmin(floats("open_buy_notional"), floats("open_sell_notional")),
        trip_bps=floats("open_gross_bps") - floats("exit_bps") - 2 * floats("fees_bps"),
        open_age_ms=np.fmax(floats("open_buy_age_ms"), floats("open_sell_age_ms")),
        worst_age_ms=np.fmax(floats("worst_buy_age_ms"), floats("worst_sell_age_ms")),
        simulated=floats("simulated"),
    )
