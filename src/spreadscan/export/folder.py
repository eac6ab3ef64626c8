"""Which files a data folder holds, by the hour or day that they are of. Reads no content."""

import stat
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from spreadscan.clock import parse_span
from spreadscan.disk.files import data_files, text_size
from spreadscan.disk.format import Format
from spreadscan.errors import BadData, ConfigError
from spreadscan.tracker import SIGNALS, SNAPSHOTS

# how a file's name tells its time, and how much time it holds
_STAMPS = {
    SIGNALS: ("%Y%m%d", timedelta(days=1)),
    SNAPSHOTS: ("%Y%m%d-%H", timedelta(hours=1)),
}
_USUAL_RATIO = 7  # text to compressed


class Part(NamedTuple):
    """A file as it was found; it may grow, be compressed or removed at any time."""

    path: Path
    size: int  # bytes on the disk
    text_size: int  # bytes of text, estimated where a compressed file does not say
    mtime_ns: int


class Input(NamedTuple):
    """The rows of one kind and one hour or day: a file, or several, one after the other."""

    kind: Format
    stamp: str
    begins: datetime
    parts: tuple[Part, ...]

    @property
    def name(self) -> str:
        """Return e.g. 'snapshots-20261120-12'."""
        return f"{self.kind.name}-{self.stamp}"

    @property
    def text_size(self) -> int:
        """Return the bytes of text."""
        return sum(part.text_size for part in self.parts)

    def fingerprint(self) -> list[list[str | int]]:
        """Return what changes whenever the files do; plain values, for JSON."""
        return [[part.path.name, part.size, part.mtime_ns] for part in self.parts]


def find(folder: Path, since: datetime | None = None) -> list[Input]:
    """Return the inputs of a data folder, by kind and time; since: those that reach beyond it.

    BadData where there is no such folder, or nothing of the tracker in it.
    """
    found = [
        each
        for kind in _STAMPS
        for each in _of_kind(folder, kind)
        if since is None or each.begins + _STAMPS[kind][1] > since
    ]
    if not found:
        when = f" that reach beyond {since:%Y-%m-%d %H:%M} UTC" if since else ""
        patterns = " or ".join(f"{kind.name}-*.csv[.zst]" for kind in _STAMPS)
        raise BadData(f"{folder}: no {patterns}{when}, expected files of the tracker")
    return found


def again(folder: Path, source: Input) -> Input | None:
    """Return an input as it is now, None where it has gone."""
    return next((each for each in _of_kind(folder, source.kind) if each.name == source.name), None)


def parse_since(text: str, now: datetime) -> datetime:
    """Return the moment meant by '90m', '24h', '7d' before now, or by a UTC date or time."""
    if (span := parse_span(text)) is not None:
        return now - span
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ConfigError(
            f"since: {text!r}, expected a span as 24h or 7d, or a UTC time as 2026-11-20 or "
            "2026-11-20T12:00"
        ) from None


def _of_kind(folder: Path, kind: Format) -> list[Input]:
    found = []
    for stamp, files in groupby(data_files(folder, kind), lambda file: file.stamp):
        begins = _begins(stamp, _STAMPS[kind][0])
        parts = tuple(part for file in files if (part := _part(file.path)))
        if begins and parts:
            found.append(Input(kind, stamp, begins, parts))
    return found


def _part(path: Path) -> Part | None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
            raise BadData(f"{path}: no plain file, expected one of the tracker")
        size = text_size(path)
    except FileNotFoundError:  # compressed or removed since it was listed
        return None
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}, expected a file to read") from None
    if size < 0:
        size = _USUAL_RATIO * status.st_size
    return Part(path, status.st_size, size, status.st_mtime_ns)


def _begins(stamp: str, form: str) -> datetime | None:
    try:
        moment = datetime.strptime(stamp, form).replace(tzinfo=UTC)
    except ValueError:  # of no day: not the tracker's
        return None
    return moment if moment.strftime(form) == stamp else None
