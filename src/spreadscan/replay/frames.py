"""Recorded frames on disk: which files of a folder hold them, and when each was received.

1. `frames.tsv.gz`: receive time in ns TAB venue TAB frame, several sources in one file. In the
   folder itself or in its sub-folders.
2. Folders named as sources, or one such folder itself: `*.jsonl` a frame a line; `*.tsv` receive
   time TAB frame; `*.log.gz` raw captures of cryptofeed ("seconds: frame", and lines that begin
   with an address: connections and requests); `*.bin` and `pong.txt` one frame each.
   `frames.jsonl`, `decoded_*.jsonl` and `*.json` are about frames and hold none.
3. Receive time is the stamp of the line: Unix seconds (a decimal point, or ten digits) or ns of
   any clock. Without a stamp it is the number of the line in ms.

What a frame says is not looked at here. BadData names file and line of what cannot be read.
"""

import difflib
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

from spreadscan.errors import BadData, ConfigError
from spreadscan.types import SOURCE_BY_NAME

RECORDING = "frames.tsv.gz"
LINE_BYTES_MAX = 4 << 20  # four times what any decoder takes: such a line is no frame of ours

Form = Literal["recording", "lines", "stamped", "capture", "whole"]

_VENUES = {name.encode(): name for name in SOURCE_BY_NAME} | {
    b"binance_spot": "binance-spot",
    b"binance_usdm": "binance-futures",
}
_TAB = b"\t"
_ADDRESSES = (b"wss://", b"ws://", b"https://", b"http://")
_NS_MAX = (1 << 63) - 1
_NS_PER_MS = 1_000_000
_SECONDS_DIGITS = 10  # 2001 to 2286 as Unix seconds; as ns of a clock, its first ten seconds
_is_stamp = re.compile(rb"([0-9]{1,19})(?:\.([0-9]+))?").fullmatch


class Frame(NamedTuple):
    """One frame as it was received."""

    recv_ns: int
    source: str
    payload: bytes


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
        if form != "recording" and source not in SOURCE_BY_NAME:
            near = difflib.get_close_matches(source, SOURCE_BY_NAME, 1, 0.6)
            hint = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(SOURCE_BY_NAME)}"
            raise ConfigError(f"{path}: frames in folder {source!r}, expected a source: {hint}")
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
        self._raw: BinaryIO | None = None

    @property
    def position(self) -> int:
        """Bytes of the file read so far, compressed as they are."""
        return 0 if self._raw is None else self.size if self._raw.closed else self._raw.tell()

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
            recv_ns = int(stamp) if stamp.isdigit() and len(stamp) < 20 else 0
            if not 0 < recv_ns <= _NS_MAX:
                raise self._bad(number, f"time {_shown(stamp)}", "ns above 0")
            yield Frame(recv_ns, source, payload)

    def _lines_only(self) -> Iterator[Frame]:
        for number, line in self._lines():
            if line:
                yield Frame(number * _NS_PER_MS, self.source, line)

    def _stamped(self) -> Iterator[Frame]:
        for number, line in self._lines():
            stamp, tab, payload = line.partition(_TAB)
            if not tab:
                raise self._bad(number, "no TAB in the line", "time TAB frame")
            yield Frame(self._stamp_ns(number, stamp), self.source, payload)

    def _capture(self) -> Iterator[Frame]:
        for number, line in self._lines():
            if not line or line.startswith(_ADDRESSES):
                continue  # where the capture connected, and what it sent
            stamp, colon, payload = line.partition(b": ")
            if not colon:
                raise self._bad(number, f"line {_shown(line)}", "seconds, ': ' and a frame")
            yield Frame(self._stamp_ns(number, stamp), self.source, payload)

    def _whole(self) -> Iterator[Frame]:
        try:
            with self.path.open("rb") as raw:
                self._raw = raw
                payload = raw.read(LINE_BYTES_MAX)
        except OSError as error:
            raise self._bad(1, f"cannot be read: {error.strerror}", "one frame") from None
        text = payload.rstrip(b"\r\n") if self.path.suffix == ".txt" else payload
        yield Frame(_NS_PER_MS, self.source, text)

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
        """Return ns: seconds have a decimal point or ten digits, ns neither."""
        found = _is_stamp(stamp)
        ns = 0
        if found:
            whole, fraction = found.groups()
            ns = int(whole)
            if fraction is not None or len(whole) == _SECONDS_DIGITS:
                ns = ns * 1_000_000_000 + int((fraction or b"").ljust(9, b"0")[:9])
        if not 0 < ns <= _NS_MAX:
            raise self._bad(number, f"time {_shown(stamp)}", "Unix seconds or ns above 0")
        return ns

    def _bad(self, number: int, found: str, expected: str) -> BadData:
        return BadData(f"{self.path}: line {number}: {found}, expected {expected}")


def _shown(text: bytes) -> str:
    return repr(text[:40].decode("utf-8", "backslashreplace"))
