"""Recorded frames on disk: which files of a folder hold them, and when each was received.

1. `frames.tsv.gz`: receive time TAB source TAB frame, several sources in one file. In the folder
   itself or in its sub-folders.
2. Folders named as sources, or one such folder itself: `*.jsonl` a frame a line; `*.tsv` receive
   time TAB frame; `*.log.gz` raw captures of cryptofeed ("seconds: frame", and lines that begin
   with an address: connections and requests); `*.bin` and `pong.txt` one frame each.
   `frames.jsonl`, `decoded_*.jsonl` and `*.json` are about frames and hold none.
3. Receive time is the stamp of the line: Unix s, ms, us or ns, whichever makes a date of 2015 to
   2040 of it, one unit in a file. What is no date is ns of any clock, or s where it has a decimal
   point or ten digits. Without a stamp it is the number of the line in ms.
4. In a line, a frame of a source that speaks protobuf is base64 or hex; control messages are the
   JSON that they are.

What a frame says is not looked at here. BadData names file and line of what cannot be read.
"""

import base64
import binascii
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from spreadscan.catalogue import built_in
from spreadscan.errors import BadData, ConfigError
from spreadscan.venues import VENUES

RECORDING = "frames.tsv.gz"
LINE_BYTES_MAX = 4 << 20  # four times what any decoder takes: such a line is no frame of ours

Form = Literal["recording", "lines", "stamped", "capture", "whole"]

_VENUES = {
    spelled.encode(): name
    for name, venue in VENUES.items()
    for spelled in (name, name.replace("-", "_"), *venue.spec.aliases)
}
_PROTOBUF = frozenset(n for n, venue in VENUES.items() if venue.schema.wire == "protobuf")
_TAB = b"\t"
_ADDRESSES = (b"wss://", b"ws://", b"https://", b"http://")
_NS_MAX = (1 << 63) - 1
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000
_UNITS = {"s": _NS_PER_S, "ms": 1_000_000, "us": 1000, "ns": 1}  # ns of each
_DATES_S = range(1_420_070_400, 2_208_988_800)  # 2015 to 2040: no two units make one of a number
_SECONDS_DIGITS = 10  # 2001 to 2286 as Unix seconds; as ns of a clock, its first ten seconds
_GOES_ON_NS = 60 * _NS_PER_S  # so near to the line before, a stamp is of the same clock
_is_stamp = re.compile(rb"([0-9]{1,19})(?:\.([0-9]+))?").fullmatch
_is_hex = re.compile(rb"(?:[0-9A-Fa-f]{2})+").fullmatch


class Frame(NamedTuple):
    """One frame as it was received. binary: not the text that it stood as in its file."""

    recv_ns: int
    source: str
    payload: bytes
    binary: bool = False


class Stamps:
    """Reads the stamps of one file: of one unit, which the first of them tells."""

    def __init__(self, form: Form) -> None:
        self.unit: str | None = None  # "": of a clock that tells no date; None: before the first
        self._seconds_too = form != "recording"  # there whole numbers that are no date are ns
        self._last_ns = 0

    def ns(self, stamp: bytes) -> int:
        """Return ns, 0 for what is no stamp. ValueError for one of another unit."""
        found = _is_stamp(stamp)
        if not found:
            return 0
        whole, fraction = int(found[1]), found[2]
        unit = self._unit_of(whole, fraction is not None or len(found[1]) == _SECONDS_DIGITS)
        if self.unit is None:
            self.unit = unit
        elif unit != self.unit:
            if self.unit or not 0 <= whole - self._last_ns < _GOES_ON_NS:
                raise ValueError(f"{_in(unit)}, expected {_in(self.unit)} as in the lines before")
            unit = ""  # the clock goes on, into what would be a date
        if not unit and fraction is not None:
            return 0  # no ns of a clock has a part
        ns = _UNITS.get(unit, 1)
        part = int((fraction or b"").ljust(9, b"0")[:9]) * ns // _NS_PER_S
        self._last_ns = whole * ns + part
        return self._last_ns if self._last_ns <= _NS_MAX else 0

    def _unit_of(self, whole: int, may_be_s: bool) -> str:
        for unit, ns in _UNITS.items():
            if whole * ns // _NS_PER_S in _DATES_S:
                return unit
        return "s" if may_be_s and self._seconds_too else ""


def _in(unit: str) -> str:
    return f"in {unit}" if unit else "no date"


def form_of(name: str) -> Form | None:
    """Return how frames lie in a file of that name, None where it holds none."""
    if name == RECORDING:
        return "recording"
    if name == "pong.txt" or name.endswith(".bin"):
        return "whole"
    if name.endswith(".jsonl"):
        return None if name == "frames.jsonl" or name.startswith("decoded_") else "lines"
    if name.endswith(".tsv"):
        return "stamped"
    return "capture" if name.endswith(".log.gz") else None


def find(folder: Path) -> list["FrameFile"]:
    """Return the files of frames of a folder and its sub-folders, in order of their names.

    ConfigError for a folder that is missing or has none, and for frames in a folder that is
    not named as a source.
    """
    if not folder.is_dir():
        what = "not a folder" if folder.exists() else "no such folder"
        raise ConfigError(f"{folder}: {what}, expected a folder of recorded frames")
    try:
        found = _files_of(folder, folder.resolve().name, "")
        for directory in sorted(p for p in folder.iterdir() if p.is_dir()):
            if not directory.name.startswith("."):
                found += _files_of(directory, directory.name, f"{directory.name}/")
    except OSError as error:
        raise ConfigError(f"{error.filename}: cannot be read: {error.strerror}") from None
    if not found:
        raise ConfigError(
            f"{folder}: no files of frames, expected {RECORDING}, a recording of `spreadscan "
            "record`, or folders named as sources with *.jsonl, *.tsv, *.log.gz, *.bin or pong.txt"
        )
    return found


def _files_of(directory: Path, source: str, prefix: str) -> list["FrameFile"]:
    files = []
    for path in sorted(directory.iterdir()):
        form = None if path.name.startswith(".") or not path.is_file() else form_of(path.name)
        if form is None:
            continue
        if form != "recording" and source not in built_in().source:
            hint = built_in().hint(source)
            raise ConfigError(f"{path}: frames in folder {source!r}, which is no source: {hint}")
        known = "" if form == "recording" else source
        files.append(FrameFile(path, f"{prefix}{path.name}", known, form))
    return files


class FrameFile:
    """One file of frames. `source` is '' where every line names its own."""

    def __init__(self, path: Path, name: str, source: str, form: Form) -> None:
        self.path = path
        self.name = name  # relative to the folder that was searched
        self.source = source
        self.form = form
        self.size = path.stat().st_size
        self.problems: tuple[str, ...] = ()  # such a file is whole, or it is refused
        self._stamps = Stamps(form)
        self._raw: BinaryIO | None = None

    @property
    def position(self) -> int:
        """Bytes of the file read so far, compressed as they are."""
        return 0 if self._raw is None else self.size if self._raw.closed else self._raw.tell()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader should know, as far as the file was read: a sentence each."""
        unit = self._stamps.unit
        if not unit or unit in (("ns",) if self.form == "recording" else ("s", "ns")):
            return ()
        return (f"{self.name}: its times are Unix {unit}, read as such",)

    def frames(self) -> Iterator[Frame]:
        """Yield the frames in file order. BadData names the line that cannot be read."""
        if self.form == "recording":
            return self._recording()
        if self.form == "lines":
            return self._lines_only()
        return {"stamped": self._stamped, "capture": self._capture, "whole": self._whole}[
            self.form
        ]()

    def _recording(self) -> Iterator[Frame]:
        for number, line in self._lines():
            try:
                stamp, venue, payload = line.split(_TAB, 2)
            except ValueError:
                raise self._bad(
                    number, f"{line.count(_TAB)} TAB in the line", "time TAB venue TAB frame"
                ) from None
            source = _VENUES.get(venue)
            if source is None:
                known = ", ".join(name.decode() for name in _VENUES)
                raise self._bad(number, f"venue {_shown(venue)}", f"one of {known}")
            yield self._frame(self._stamp_ns(number, stamp), source, payload)

    def _lines_only(self) -> Iterator[Frame]:
        for number, line in self._lines():
            if line:
                yield self._frame(number * _NS_PER_MS, self.source, line)

    def _stamped(self) -> Iterator[Frame]:
        for number, line in self._lines():
            stamp, tab, payload = line.partition(_TAB)
            if not tab:
                raise self._bad(number, "no TAB in the line", "time TAB frame")
            yield self._frame(self._stamp_ns(number, stamp), self.source, payload)

    def _capture(self) -> Iterator[Frame]:
        for number, line in self._lines():
            if not line or line.startswith(_ADDRESSES):
                continue  # where the capture connected, and what it sent
            stamp, colon, payload = line.partition(b": ")
            if not colon:
                raise self._bad(number, f"line {_shown(line)}", "seconds, ': ' and a frame")
            yield self._frame(self._stamp_ns(number, stamp), self.source, payload)

    def _frame(self, recv_ns: int, source: str, text: bytes) -> Frame:
        payload = binary_of(text) if source in _PROTOBUF else None
        return Frame(recv_ns, source, text if payload is None else payload, payload is not None)

    def _whole(self) -> Iterator[Frame]:
        try:
            with self.path.open("rb") as raw:
                self._raw = raw
                payload = raw.read(LINE_BYTES_MAX)
        except OSError as error:
            raise self._bad(1, f"cannot be read: {error.strerror}", "one frame") from None
        text = payload.rstrip(b"\r\n") if self.path.suffix == ".txt" else payload
        yield Frame(_NS_PER_MS, self.source, text, self.path.suffix == ".bin")

    def _lines(self) -> Iterator[tuple[int, bytes]]:
        """Yield (number from 1, line without its end)."""
        number = 0
        try:
            with self.path.open("rb") as raw:
                self._raw = raw
                lines: io.BufferedIOBase = raw
                if self.path.suffix == ".gz":
                    lines = gzip.GzipFile(fileobj=raw)
                while line := lines.readline(LINE_BYTES_MAX):
                    number += 1
                    if len(line) == LINE_BYTES_MAX:
                        raise self._bad(number, f"{len(line)} bytes and more", "a shorter line")
                    yield number, line.rstrip(b"\r\n")
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise self._bad(number + 1, f"broken gzip ({error})", "a whole file") from None
        except OSError as error:
            raise self._bad(number + 1, f"cannot be read: {error.strerror}", "a file") from None

    def _stamp_ns(self, number: int, stamp: bytes) -> int:
        try:
            ns = self._stamps.ns(stamp)
        except ValueError as error:
            raise BadData(f"{self.path}: line {number}: time {_shown(stamp)}: {error}") from None
        if not ns:
            raise self._bad(number, f"time {_shown(stamp)}", "Unix s, ms, us or ns above 0")
        return ns

    def _bad(self, number: int, found: str, expected: str) -> BadData:
        return BadData(f"{self.path}: line {number}: {found}, expected {expected}")


def binary_of(text: bytes) -> bytes | None:
    """Return the message that a line of a protobuf source stands for, None where it is text.

    Base64 of a message never looks like hex: its first bytes, the tag 0x0a and a length, make
    `C` and one of `g` to `v`.
    """
    if text.startswith(b"{"):
        return None
    try:
        return bytes.fromhex(text.decode()) if _is_hex(text) else base64.b64decode(text, None, True)
    except (binascii.Error, ValueError):
        return None


def _shown(text: bytes) -> str:
    return repr(text[:40].decode("utf-8", "backslashreplace"))
