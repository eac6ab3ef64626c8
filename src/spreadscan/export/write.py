"""Parquet files that are there whole or not at all, and know what they were made of."""

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from pyarrow import parquet

from spreadscan.disk import whole
from spreadscan.disk.format import Format
from spreadscan.errors import BadData, ConfigError
from spreadscan.export.schema import SIMULATED, arrow_type, encoded, filled, reading, sorted_by

ROWS = 1 << 18  # of a row group: what is held in memory, some 100 MB with its sorted copy
_MADE_OF = b"spreadscan"  # key of our facts among a file's metadata


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Be the only export into a folder, which is created; ConfigError where there is another."""
    with _sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
        fd = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(f"{folder}: another export is at work, expected none") from None
        whole.remove_remains(folder)  # of one that was killed
        yield
    finally:
        os.close(fd)


def write(
    path: Path, tables: Iterable[pa.Table], schema: pa.Schema, order: Sequence[str],
    facts: Callable[[int], dict[str, Any]],
) -> None:  # fmt: skip
    """Write the rows. The file appears, or is replaced, when it is whole.

    order: columns by which each row group is sorted. facts: given the number of rows at the end,
    returns what facts_of() will. ConfigError where the disk refuses.
    """
    n_rows = 0
    sorting = parquet.SortingColumn.from_ordering(schema, [(name, "ascending") for name in order])
    with (
        _sentences(path),
        whole.arriving(path) as part,
        parquet.ParquetWriter(
            part, schema, compression="zstd", compression_level=3, sorting_columns=sorting
        ) as writer,
    ):
        for group in _groups(tables, ROWS):
            writer.write_table(encoded(sorted_by(group, order), schema), ROWS)
            n_rows += group.num_rows
        writer.add_key_value_metadata({_MADE_OF: orjson.dumps(facts(n_rows))})


def facts_of(path: Path) -> dict[str, Any]:
    """Return what write() was told of a file; empty where it is not there or not ours."""
    try:
        found = parquet.read_metadata(path).metadata or {}
        facts: dict[str, Any] = orjson.loads(found[_MADE_OF])
    except (OSError, KeyError, pa.ArrowInvalid, orjson.JSONDecodeError):
        return {}
    return facts


def read_back(path: Path, kind: Format) -> pa.Table:
    """Return a file of write() with rows of a kind, texts as strings, and SIMULATED.

    Columns that it has not, since an earlier version wrote it, are null, or what is assumed.
    BadData where it has others.
    """
    version = facts_of(path).get("format", kind.version)
    old = kind.at(version)
    columns, expected = (*kind.columns, SIMULATED), (*old.spelled, SIMULATED.name)
    try:
        found = parquet.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise BadData(f"{path}: {error}, expected a Parquet file of this program") from None
    with found:
        names = tuple(found.schema_arrow.names)
        # the oldest do not tell the market
        if version > kind.version or names not in (expected, old.spelled):
            of = f" of v{version}" if version > kind.version else ""
            raise BadData(
                f"{path}: columns {', '.join(names)[:60]}...{of}, expected those of "
                f"v{kind.version} or an earlier one; move it to a folder of its own"
            )
        table = found.read()
    table = filled(table.rename_columns([*old.names, SIMULATED.name][: len(names)]), columns)
    types = {**reading(kind), SIMULATED.name: arrow_type(SIMULATED)}
    return table.cast(pa.schema(types))


def _groups(tables: Iterable[pa.Table], n_rows: int) -> Iterator[pa.Table]:
    """Yield tables of n_rows rows, the last one of fewer."""
    waiting: list[pa.Table] = []
    n_waiting = 0
    for table in tables:
        waiting.append(table)
        n_waiting += table.num_rows
        while n_waiting >= n_rows:
            whole = pa.concat_tables(waiting)
            yield whole.slice(0, n_rows)
            waiting = [whole.slice(n_rows)]
            n_waiting -= n_rows
    if n_waiting:
        yield pa.concat_tables(waiting)


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(f"{path}: {_fault(error)}, expected room to write it") from None


def _fault(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno else str(error)
