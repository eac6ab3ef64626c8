"""Data folder in, Parquet folder out: an output per input, and the table of tracks over all."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from spreadscan.errors import BadData
from spreadscan.export import write
from spreadscan.export.folder import Input, again, find
from spreadscan.export.rows import Damage, read
from spreadscan.export.schema import SIMULATED, stored
from spreadscan.export.tracks import COLUMNS, join
from spreadscan.tracker import SIGNALS
from spreadscan.tracker.track import is_proven

Progress = Callable[[int, int], None]  # bytes of text done, and in all

# In time first: rows come in that order, so any amount of them is sorted while it streams, and a
# reader skips the row groups of other times. A track's own times stand in tracks.parquet.
_ORDER = ("time", "track_id")
_TRACKS = "tracks.parquet"


class Output(msgspec.Struct, kw_only=True):
    """What became of one input, or of the table of tracks."""

    file: str
    state: str  # written, unchanged, refused or gone
    rows: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    torn_lines: int = 0
    broken_lines: int = 0
    faults: list[str] = []


class Result(msgspec.Struct):
    """What an export did. Of the rows of tracks.parquet:

    open_tracks: those without a CLOSE; unproven_tracks: those that belong in no statistics.
    """

    out: str
    outputs: list[Output]
    tracks: Output
    open_tracks: int
    unproven_tracks: int

    @property
    def faults(self) -> list[str]:
        """Return what was wrong with the input, a sentence each."""
        return [fault for output in (*self.outputs, self.tracks) for fault in output.faults]


def export(
    data: Path, out: Path, since: datetime | None = None,
    progress: Progress = lambda done, total: None,
) -> Result:  # fmt: skip
    """Write what is new in a data folder as Parquet; what is not has been written before.

    A file that is not ours is told in its Output, the others are exported. BadData where the
    folder holds nothing; ConfigError where `out` cannot be written.
    """
    inputs = find(data, since)
    total = sum(source.text_size for source in inputs)
    done = 0

    def read_bytes(n: int) -> None:
        nonlocal done
        done += n
        progress(done, total)

    outputs = []
    with write.alone(out):
        for source in inputs:
            before = done
            outputs.append(_one(data, source, out, read_bytes))
            read_bytes(before + source.text_size - done)  # whatever was not read after all
        tracks, n_open, n_unproven = _tracks(out)
    return Result(str(out), outputs, tracks, n_open, n_unproven)


def _one(data: Path, source: Input, out: Path, progress: Callable[[int], None]) -> Output:
    path = out / f"{source.name}.parquet"
    facts = write.facts_of(path)
    if facts.get("made_of") == source.fingerprint() and facts.get("format") == source.kind.version:
        return _output(path, "unchanged", facts)
    while True:
        try:
            return _output(path, "written", _write(path, source, progress))
        except BadData as error:
            found = again(data, source)
            if found is None:
                return Output(file=path.name, state="gone")
            if found == source:
                return Output(file=path.name, state="refused", faults=[str(error)])
            source = found  # it was compressed meanwhile


def _write(path: Path, source: Input, progress: Callable[[int], None]) -> dict[str, Any]:
    damage = Damage()
    write.write(
        path,
        read(source, damage, progress),
        stored((*source.kind.columns, SIMULATED)),
        _ORDER,
        lambda n_rows: {
            "made_of": source.fingerprint(),
            "format": source.kind.version,
            "rows": n_rows,
            "bytes_in": source.text_size,
            "torn_lines": damage.torn_lines,
            "broken_lines": damage.broken_lines,
            "faults": damage.sentences(),
        },
    )
    return write.facts_of(path)


def _output(path: Path, state: str, facts: dict[str, Any]) -> Output:
    told = {name: facts[name] for name in Output.__struct_fields__ if name in facts}
    return Output(file=path.name, state=state, bytes_out=path.stat().st_size, **told)


def _tracks(out: Path) -> tuple[Output, int, int]:
    """Join all events in the folder, also those whose text has been removed since.

    Returns how many tracks are open, and unproven, too.
    """
    path = out / _TRACKS
    days = sorted(out.glob(f"{SIGNALS.name}-*.parquet"))
    of_day = {day.name: write.facts_of(day) for day in days}
    made_of = {day: [f.get("made_of"), f.get("format")] for day, f in of_day.items()}
    facts = write.facts_of(path)
    state = "unchanged"
    if facts.get("made_of") != made_of or facts.get("format") != SIGNALS.version:
        state, n_open, n_unproven = "written", 0, 0

        def tracks() -> Iterator[pa.Table]:
            nonlocal n_open, n_unproven
            for table in join(write.read_back(day, SIGNALS) for day in days):
                n_open += table["close_time"].null_count
                n_unproven += _unproven(table)
                yield table

        try:
            write.write(
                path,
                tracks(),
                stored(COLUMNS),
                ("open_time", "track_id"),
                lambda n_rows: {
                    "made_of": made_of,
                    "format": SIGNALS.version,
                    "rows": n_rows,
                    "open": n_open,
                    "unproven": n_unproven,
                },
            )
        except BadData as error:
            return Output(file=path.name, state="refused", faults=[str(error)]), 0, 0
        facts = write.facts_of(path)
    # written before there were any: without that fact
    return _output(path, state, facts), facts["open"], facts.get("unproven", 0)


def _unproven(tracks: pa.Table) -> int:
    reasons = pc.value_counts(tracks["reason"].cast(pa.string())).to_pylist()
    return sum(reason["counts"] for reason in reasons if not is_proven(reason["values"]))
