"""The files of a data folder: names, headers, and reading them, plain or compressed.

`KIND-20261120.csv` is being written or waits to be compressed; `KIND-20261120.csv.zst` is over.
`KIND-20261120.2.csv.zst` holds rows that came after the first was over, `.2.csv` rows that were
not to be appended to the first.
"""

import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import NamedTuple

import zstandard

from spreadscan.disk.format import SIMULATED, Format
from spreadscan.errors import BadData, ConfigError
from spreadscan.logs import facts

log = logging.getLogger(__name__)

COMPRESSED = ".zst"
_BLOCK = 1 << 20
_HEAD = 4096  # longer than a line of any header
_FRAME_HEAD = 18  # bytes, at most
_WAY_OUT = "move the files of that version to another folder, or set another paths.data"
_STAMP = r"(?P<stamp>\d{8}(?:-\d\d)?)(?:\.(?P<part>\d+))?\.csv(?P<zst>\.zst)?"


class DataFile(NamedTuple):
    """A file by its name. stamp: day or hour of its rows; part: 1, or more for late rows."""

    path: Path
    stamp: str
    part: int
    compressed: bool


def data_files(folder: str | Path, kind: Format) -> list[DataFile]:
    """Return the files of a kind, oldest first; BadData where the folder cannot be read.

    A file that was being compressed when its process was killed is there twice; it is listed
    once, plain.
    """
    pattern = re.compile(f"{kind.name}-{_STAMP}")
    try:
        names = os.listdir(folder)
    except OSError as error:
        raise BadData(f"{folder}: {error.strerror}, expected a folder of data") from None
    found = [
        DataFile(Path(folder, m[0]), m["stamp"], int(m["part"] or 1), bool(m["zst"]))
        for m in map(pattern.fullmatch, names)
        if m
    ]
    # the plain one last: what is in it came later, where it is not a copy
    found.sort(key=lambda f: (f.stamp, not f.compressed, f.part))
    plain: dict[str, list[Path]] = {}
    for file in found:
        if not file.compressed:
            plain.setdefault(file.stamp, []).append(file.path)
    return [
        f
        for f in found
        if not (f.compressed and any(is_copy(f.path, p) for p in plain.get(f.stamp, ())))
    ]


def is_copy(compressed: Path, plain: Path) -> bool:
    """Return True where the compressed file holds rows of the plain one.

    One row tells: no row stands in two files.
    """
    return bool(first := _first_row(compressed)) and first == _first_row(plain)


def open_text(path: str | Path) -> BufferedReader:
    """Open a file for its text, whatever its form; OSError, or ZstdError while it is read.

    BadData where a file of such a name is not compressed.
    """
    file = open(path, "rb")  # noqa: SIM115 -- the caller closes it
    if not str(path).endswith(COMPRESSED):
        return file
    if not zstandard.FRAME_HEADER.startswith(found := file.peek(4)[:4]):
        file.close()
        raise BadData(f"{path}: begins {found!r}, expected a file compressed with zstd")
    text = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
    return BufferedReader(text)


def read_head(path: str | Path) -> bytes:
    """Return the first two lines of a file, less where there are fewer or it cannot be read."""
    try:
        with open_text(path) as file:
            return file.readline(_HEAD) + file.readline(_HEAD)
    except (OSError, BadData, zstandard.ZstdError):
        return b""


def format_of(head: bytes, kind: Format) -> Format:
    """Return the format that a file's first lines are of; kind where they are of none that is."""
    found = re.match(rb"# spreadscan %s v(\d{1,9});" % kind.name.encode(), head)
    version = int(found[1]) if found else kind.version
    return kind.at(version) if kind.oldest <= version < kind.version else kind


def text_size(path: str | Path) -> int:
    """Return the bytes of text in a file, -1 where a compressed one does not say.

    BadData where it cannot be read.
    """
    try:
        if not str(path).endswith(COMPRESSED):
            return os.stat(path).st_size
        with open(path, "rb") as file:
            head = file.read(_FRAME_HEAD)
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}, expected a file to read") from None
    try:
        return zstandard.frame_content_size(head)
    except zstandard.ZstdError:
        return -1


def refuse_strangers(folder: str | Path, kinds: Iterable[Format]) -> None:
    """Raise ConfigError where the newest file of a kind is of an unknown version or not ours.

    For whoever starts a writer of them: it would find out late. Cheap: one file.
    """
    try:
        for kind in kinds:
            for file in data_files(folder, kind)[-1:] if Path(folder).is_dir() else ():
                for _ in read_blocks(file.path, kind):
                    break
    except BadData as error:
        raise ConfigError(str(error)) from None


def read_blocks(
    path: str | Path, kind: Format, broken: Callable[[], None] = lambda: None, skip_bytes: int = 0
) -> Iterator[bytes]:
    """Yield the whole lines after the header, about a megabyte at a time.

    They are of the version that the header says: see format_of().
    skip_bytes: text before that is passed over, up to the next line. A last line without its
    newline is left out: it may be under way. Where a compressed file is cut or damaged its good
    part is used, broken() called and a line logged. BadData where a file cannot be read, is of
    an unknown version or not ours.
    """
    head = b""
    try:
        with open_text(path) as file:
            head = file.readline(_HEAD) + file.readline(_HEAD)
            if check_header(head, path, kind):
                yield from _whole_lines(file, skip_bytes - len(head))
            if str(path).endswith(COMPRESSED) and file.raw.tell() < max(1, text_size(path)):
                _damaged(path, "cut short", broken)
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}, expected a file to read") from None
    except zstandard.ZstdError as error:
        _damaged(path, str(error), broken)


def _whole_lines(file: BufferedReader, skip_bytes: int) -> Iterator[bytes]:
    if skip_bytes > 0:
        skip_bytes -= 1  # where the byte before is a newline, a line begins here
        while skip_bytes and (block := file.read(min(skip_bytes, _BLOCK))):
            skip_bytes -= len(block)
        file.readline()
    rest = b""
    while block := file.read(_BLOCK):
        rest += block
        end = rest.rfind(b"\n") + 1
        if end:
            yield rest[:end]
            rest = rest[end:]


def read_rows(
    path: str | Path, kind: Format, broken: Callable[[], None] = lambda: None
) -> Iterator[dict[str, str]]:
    """Yield the whole rows of a file by column name, as read_blocks() finds them.

    Of whatever version: the names are those of `kind`, with '' or what is assumed where the file
    has no such column. What is not a row is passed to broken().
    """
    names = format_of(read_head(path), kind).names
    blank = {column.name: column.assumed for column in kind.columns}
    for block in read_blocks(path, kind, broken):
        for line in block.split(b"\n")[:-1]:
            try:
                fields = line.decode().split(",")
            except UnicodeDecodeError:
                fields = []
            if len(fields) == len(names):
                yield blank | dict(zip(names, fields, strict=True))
            else:
                broken()


def _first_row(path: Path) -> bytes:
    try:
        with open_text(path) as file:
            return [file.readline(_HEAD) for _ in range(3)][2]
    except (OSError, BadData, zstandard.ZstdError):
        return b""


def _damaged(path: object, what: str, broken: Callable[[], None]) -> None:
    log.warning("data file is damaged, the part before is used", extra=facts(file=path, error=what))
    broken()


def check_header(head: bytes, path: object, kind: Format) -> Format | None:
    """Return the format of a file of ours; None where its header was torn (or for nothing at all).

    BadData for any other: an unknown version, other columns, not ours.
    """
    lines = head.split(b"\n", 2)
    found = format_of(head, kind)
    if torn := len(lines) < 3:
        if any(kind.head(simulated).startswith(head) for simulated in SIMULATED):
            return None
        lines = [*lines, b"", b""]
    tag, _, _ = lines[0].decode("utf-8", "replace").partition(";")
    if tag != found.tag:
        other = re.fullmatch(rf"# spreadscan {kind.name} v\d+", tag)
        earlier = f" or one from v{kind.oldest} on" if kind.oldest < kind.version else ""
        raise BadData(
            f"{path}: begins {tag[:60]!r}, expected {kind.tag!r}{earlier}"
            + (f"; {_WAY_OUT}" if other else "")
        )
    columns, expected = lines[1].decode("utf-8", "replace"), ",".join(found.spelled)
    if torn and found != kind and expected.startswith(columns):
        return None
    if columns != expected:
        raise BadData(
            f"{path}: columns {columns[:60]!r}..., expected those of {found.tag!r} "
            f"({found.spelled[0]}, {found.spelled[1]}, ...)"
        )
    return found
