"""Events joined to tracks: one row per track, OPEN and CLOSE side by side.

A column of the signals file becomes `open_<name>` and `close_<name>` where both rows have it, and
keeps its name where only the CLOSE has it or it never changes.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spreadscan.disk.format import Column
from spreadscan.export.schema import SIMULATED
from spreadscan.tracker import SIGNALS
from spreadscan.tracker.events import FIXED

Rows = NDArray[np.int64]


class TrackColumn(NamedTuple):
    """A column of the table of tracks, and where its value comes from."""

    column: Column
    source: str  # column of the signals file
    events: tuple[str, ...]  # the first of these rows that the track has


def _columns() -> tuple[TrackColumn, ...]:
    fixed: list[TrackColumn] = []
    times: list[TrackColumn] = []
    opens: list[TrackColumn] = []
    closes: list[TrackColumn] = []
    for c in SIGNALS.columns:
        if c.name == "event" or c.meaning.startswith("GAP"):
            continue
        if c.name in FIXED:
            fixed.append(TrackColumn(c, c.name, ("OPEN", "CLOSE")))
        elif c.meaning.startswith("CLOSE"):
            closes.append(TrackColumn(c, c.name, ("CLOSE",)))
        else:
            into = (times, times) if c.name == "time" else (opens, closes)
            for event, group in zip(("OPEN", "CLOSE"), into, strict=True):
                named = c._replace(name=f"{event.lower()}_{c.name}")
                group.append(TrackColumn(named, c.name, (event,)))
    fixed.append(TrackColumn(SIMULATED, SIMULATED.name, ("OPEN", "CLOSE")))
    return (*fixed, *times, *opens, *closes)


JOINED = _columns()
GAPS = (
    Column("gaps", "integer", "number of GAP rows of the track"),
    Column("gap_s", "s", "their gap_s together"),
)
COLUMNS: tuple[Column, ...] = (*(joined.column for joined in JOINED), *GAPS)


def join(days: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield tracks, for each table of events those that it ends; at last those without an end.

    days: whole rows of the signals files, in order of time. Holds one of them and the rows of
    tracks that are open. A CLOSE whose OPEN is in no file makes a track too, without `open_*`.
    """
    pending: pa.Table | None = None
    for each in days:
        day = each.filter(pc.not_equal(each["event"], "EVENT"))  # remarks, of no track
        events = day if pending is None else pa.concat_tables([pending, day])
        tracks, ended = _tracks(events.combine_chunks())
        pending = events.filter(pa.array(~ended))
        if tracks.num_rows:
            yield tracks
    if pending is not None and pending.num_rows:
        yield _tracks(pending.combine_chunks(), whole=False)[0]


def _tracks(events: pa.Table, *, whole: bool = True) -> tuple[pa.Table, NDArray[np.bool_]]:
    """Return the tracks that have both an OPEN and a CLOSE (or all), and which rows are theirs."""
    ids = pc.dictionary_encode(events["track_id"]).combine_chunks()
    of_row = ids.indices.to_numpy()
    n_tracks = len(ids.dictionary)
    rows = {
        kind: _first(np.flatnonzero(pc.equal(events["event"], kind).to_numpy()), of_row, n_tracks)
        for kind in ("OPEN", "CLOSE")
    }
    wanted = (rows["OPEN"] >= 0) & (rows["CLOSE"] >= 0)
    if not whole:
        wanted[:] = True
    columns = [
        events[joined.source].take(_either([rows[kind][wanted] for kind in joined.events]))
        for joined in JOINED
    ]
    gap_rows = np.flatnonzero(pc.equal(events["event"], "GAP").to_numpy())
    gap_s = np.nan_to_num(events["gap_s"].take(pa.array(gap_rows)).to_numpy())
    counted = np.bincount(of_row[gap_rows], minlength=n_tracks)
    summed = np.bincount(of_row[gap_rows], gap_s, n_tracks)
    columns += [
        pa.array(counted[wanted].astype(np.int64)),
        pa.array(summed[wanted].astype(np.float64)),
    ]
    return pa.table(columns, [column.name for column in COLUMNS]), wanted[of_row]


def _first(rows: Rows, of_row: NDArray[np.int32], n_tracks: int) -> Rows:
    """Return each track's first of these rows, -1 where it has none."""
    first = np.full(n_tracks, -1, np.int64)
    first[of_row[rows[::-1]]] = rows[::-1]
    return first


def _either(choices: list[Rows]) -> pa.Array:
    """Return the first choice that is a row, null where none is."""
    found = choices[0]
    for choice in choices[1:]:
        found = np.where(found >= 0, found, choice)
    return pa.array(found, mask=found < 0)
