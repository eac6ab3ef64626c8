"""Import a frames.tsv.gz into a recording: blocks and checksums instead of lines."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from spreadscan import __version__
from spreadscan.catalogue import built_in
from spreadscan.clock import iso_utc
from spreadscan.disk import whole
from spreadscan.errors import BadData, ConfigError
from spreadscan.recordings import FrameFiles, Opcode
from spreadscan.recordings.format import ABOUT, FRAMES, RECORD_HEAD, About, Span
from spreadscan.replay.frames import RECORDING, FrameFile

_FRAMES_PER_REPORT = 2048
_BLOCK_BYTES = 1 << 20
_LINK = 1

Progress = Callable[[int, int], None]  # (bytes read, bytes in all)


class Imported(NamedTuple):
    """frames: by source. remarks: sentences on the file."""

    frames: dict[str, int]
    remarks: tuple[str, ...]


def import_frames(file: Path, folder: Path, progress: Progress) -> Imported:
    """Write the frames of a file into a new recording.

    Instrument files (*.json) beside the file come along. Receive times are those of the file;
    frames of one nanosecond that stand against the order of the sources are set a nanosecond
    apart. Every source lives to the end of the file: nothing tells of one that ended before.
    ConfigError for a folder in use, BadData for a file that cannot be read or whose time
    falls.
    """
    if not file.is_file():
        raise ConfigError(f"{file}: no such file, expected a {RECORDING}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder}: in use already, expected a new or empty folder")
    source = FrameFile(file, file.name, "", "recording")
    writers: dict[str, _Writer] = {}
    last_ns, last_id, first_ns, stamp_before_ns = 0, 0, 0, 0
    (folder / FRAMES).mkdir(parents=True, exist_ok=True)
    for n, (stamp_ns, name, payload, binary) in enumerate(source.frames(), 1):
        source_id = built_in().source[name].id
        if stamp_ns < stamp_before_ns:
            raise BadData(f"{file}: line {n}: time {stamp_ns}, expected from {stamp_before_ns} on")
        stamp_before_ns = stamp_ns
        recv_ns = max(stamp_ns, last_ns)
        recv_ns += recv_ns == last_ns and source_id < last_id
        last_ns, last_id, first_ns = recv_ns, source_id, first_ns or recv_ns
        if name not in writers:
            writers[name] = _Writer(folder, name, first_ns)
        writers[name].put(recv_ns, payload, Opcode.BINARY if binary else Opcode.TEXT)
        if n % _FRAMES_PER_REPORT == 0:
            progress(source.position, source.size)
    if not writers:
        raise BadData(f"{file}: no frame in it, expected at least one")
    for beside in sorted(file.parent.glob("*.json")):
        whole.replace(folder / beside.name, beside.read_bytes())
    frames = {name: writer.close(last_ns) for name, writer in writers.items()}
    _write_about(file, folder, first_ns, last_ns, writers)
    progress(source.size, source.size)
    return Imported(frames, source.remarks)


def _write_about(
    file: Path, folder: Path, first_ns: int, last_ns: int, writers: Mapping[str, "_Writer"]
) -> None:
    frames = {name: writer.n_frames for name, writer in writers.items()}
    about = About(
        made_by=f"spreadscan {__version__}",
        instance=f"import of {file.name}",
        boot_id="",
        utc_offset_ns=0,
        started=iso_utc(first_ns),
        ended=iso_utc(last_ns),
        sources=tuple(frames),
        frames=frames,
        dropped=dict.fromkeys(frames, 0),
        spans={n: Span(w.began_ns, w.last_ns, last_ns) for n, w in writers.items()},
    )
    whole.replace(folder / ABOUT, msgspec.json.format(msgspec.json.encode(about)) + b"\n")


class _Writer:
    """The frames of one source, on their way into blocks."""

    def __init__(self, folder: Path, name: str, started_unix_ns: int) -> None:
        self._files = FrameFiles(folder, name, started_unix_ns)
        self._records = bytearray()
        self._n = 0
        self.began_ns = 0
        self._first_ns = 0  # of the block that grows
        self.last_ns = 0

    def put(self, recv_ns: int, payload: bytes, opcode: Opcode) -> None:
        self._records += RECORD_HEAD.pack(recv_ns, _LINK, len(payload) << 4 | opcode)
        self._records += payload
        self._first_ns, self.last_ns = self._first_ns or recv_ns, recv_ns
        self.began_ns = self.began_ns or recv_ns
        self._n += 1
        if len(self._records) >= _BLOCK_BYTES:
            self._flush()

    @property
    def n_frames(self) -> int:
        return self._files.n_frames

    def close(self, lived_ns: int) -> int:
        """Return the number of frames. lived_ns: where the file ends, for every source in it."""
        if self._n:
            self._flush()
        self._files.close(lived_ns)
        return self._files.n_frames

    def _flush(self) -> None:
        number = self._files.n_frames
        block = bytes(self._records), self._n, self._first_ns, self.last_ns, number, 0
        if not self._files.write(*block):
            raise BadData(f"{self._files.folder}: the disk takes no more, see above")
        self._records.clear()
        self._n = self._first_ns = 0
