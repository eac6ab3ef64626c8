"""The tracker's text as Arrow tables, block by block: an hour may be larger than the memory.

A block that Arrow refuses is halved until the lines at fault stand alone; they are left out,
counted and named, the others stay.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from spreadscan.disk.files import format_of, read_blocks, read_head
from spreadscan.disk.format import Format, simulated_of
from spreadscan.errors import BadData
from spreadscan.export.folder import Input, Part
from spreadscan.export.schema import SIMULATED, filled, reading

Progress = Callable[[int], None]  # bytes of text that were read since the last call

_BLOCK = 8 << 20
_FIRST_LINE = 3  # after the two of the header
_NAMED = 5  # broken lines that are told one by one
_MOST_BROKEN = 1000  # in one input: a file with more is no file of the tracker
_KEYS = ("track_id", "time")  # without these a line is no row, whatever else it holds
_MARKET = {"true": True, "false": False}


@dataclass
class Damage:
    """What of an input is not in its tables."""

    torn_lines: int = 0  # last lines without their newline: under way, or cut by a kill
    broken_lines: int = 0
    broken_at: list[str] = field(default_factory=list)  # file, line and fault of the first few
    cut_short: list[str] = field(default_factory=list)  # files that end before their end

    def broken(self, path: Path, line: int, fault: str) -> None:
        """Count a line; BadData where there have been too many."""
        self.broken_lines += 1
        if self.broken_lines > _MOST_BROKEN:
            raise BadData(
                f"{path}: more than {_MOST_BROKEN:,} broken lines up to line {line}, expected a "
                f"file of the tracker; the first: {self.broken_at[0]}"
            )
        if len(self.broken_at) < _NAMED:
            self.broken_at.append(f"{path}: line {line}: {fault}")

    def sentences(self) -> list[str]:
        """Return what a human should hear; a torn last line is no fault."""
        told = [*self.cut_short, *self.broken_at]
        if self.broken_lines > len(self.broken_at):
            told.append(f"and {self.broken_lines - len(self.broken_at)} more broken lines")
        return told


def read(
    source: Input, damage: Damage, progress: Progress = lambda n: None,
    columns: Sequence[str] | None = None,
) -> Iterator[pa.Table]:  # fmt: skip
    """Yield the rows of an input as tables of a few MB, in the order in which they were written.

    Texts are strings. columns: which to give, all by default; SIMULATED is what the head of a row's
    file says. Columns that a file of an earlier version has not are null, or what is assumed.
    BadData where a file is of an unknown version, not ours, or has gone since it was found.
    """
    wanted = [
        column
        for column in (*source.kind.columns, SIMULATED)
        if columns is None or column.name in columns
    ]
    for part in source.parts:
        line = _FIRST_LINE
        head = read_head(part.path)
        kind, market = format_of(head, source.kind), _MARKET.get(simulated_of(head))
        there = [column.name for column in wanted if column in kind.columns]
        for block in _blocks(part, kind, damage):
            for table in _tables(block, line, part.path, kind, damage, there):
                yield filled(table, wanted, market)
            line += block.count(b"\n")
            progress(len(block))


def _blocks(part: Part, kind: Format, damage: Damage) -> Iterator[bytes]:
    """Whole lines, several MB of them at a time: worth two processors."""
    waiting: list[bytes] = []
    cut_short: list[str] = []
    for block in read_blocks(part.path, kind, lambda: cut_short.append(str(part.path))):
        waiting.append(block)
        if sum(map(len, waiting)) >= _BLOCK:
            yield b"".join(waiting)
            waiting.clear()
    if waiting:
        yield b"".join(waiting)
    damage.cut_short += [
        f"{path}: damaged or cut short, expected a whole file; what comes before is used"
        for path in cut_short
    ]
    damage.torn_lines += _is_torn(part)


def _is_torn(part: Part) -> bool:
    """Whether a file that nobody writes to ends within a line."""
    if part.path.suffix != ".csv" or not part.size:
        return False
    try:
        with part.path.open("rb") as file:
            whole = file.seek(0, os.SEEK_END) == part.size
            file.seek(part.size - 1)
            return whole and file.read(1) != b"\n"
    except FileNotFoundError:
        return False


def _tables(
    block: bytes, line: int, path: Path, kind: Format, damage: Damage,
    columns: Sequence[str],
) -> Iterator[pa.Table]:  # fmt: skip
    """Parse whole lines; where some are at fault, those before and after them."""
    try:
        table = _parse(block, kind, columns)
    except pa.ArrowInvalid as error:
        n_lines = block.count(b"\n")
        if n_lines == 1:
            damage.broken(path, line, str(error))
            return
        middle = block.find(b"\n", len(block) // 2) + 1
        if middle == len(block):  # the last line is longer than all before it
            middle = block.rfind(b"\n", 0, -1) + 1
        yield from _tables(block[:middle], line, path, kind, damage, columns)
        line += block.count(b"\n", 0, middle)
        yield from _tables(block[middle:], line, path, kind, damage, columns)
    else:
        yield table


def _parse(block: bytes, kind: Format, wanted: Sequence[str]) -> pa.Table:
    """Return the rows of whole lines; ArrowInvalid where one of them is none."""
    n_lines, n_commas = block.count(b"\n"), block.count(b",")
    if n_commas != n_lines * (len(kind.names) - 1):
        found = n_commas + 1 if n_lines == 1 else 0
        raise pa.ArrowInvalid(f"{found} fields, expected {len(kind.names)}")
    needed = [name for name in (*_KEYS, "event") if name in kind.names and name not in wanted]
    table = csv.read_csv(
        pa.py_buffer(block),
        csv.ReadOptions(column_names=kind.names),
        csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
        csv.ConvertOptions(
            column_types=reading(kind),
            include_columns=[*wanted, *needed],
            null_values=[""],
            strings_can_be_null=True,
            true_values=["1"],
            false_values=["0"],
        ),
    )
    if table.num_rows != n_lines:
        raise pa.ArrowInvalid(f"{table.num_rows} rows in {n_lines} lines, expected as many")
    for name in _KEYS:
        if table[name].null_count > (_remarks(table) if name == "track_id" else 0):
            raise pa.ArrowInvalid(f"no {name}, expected one in every row")
    return table.select(list(wanted))


def _remarks(table: pa.Table) -> int:
    """Return the number of rows that are of no track, and say so."""
    if not table["track_id"].null_count or "event" not in table.column_names:
        return 0
    alone = pc.and_(pc.is_null(table["track_id"]), pc.equal(table["event"], "EVENT"))
    return pc.sum(alone).as_py() or 0
