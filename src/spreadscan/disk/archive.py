"""What becomes of data files that are over: compressed, and in the end removed.

A thread of its own at low priority, beside whoever writes them. A kill at any moment loses no row:
a compressed file gets its name once it is on the disk, and only then the plain one goes.
"""

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import zstandard

from spreadscan.disk.files import (
    COMPRESSED,
    DataFile,
    data_files,
    is_copy,
    read_blocks,
    text_size,
)
from spreadscan.disk.format import Format
from spreadscan.disk.linefile import LineFile
from spreadscan.disk.whole import arriving, remove_remains
from spreadscan.errors import BadData
from spreadscan.logs import facts

log = logging.getLogger(__name__)

_ROUND_S = 30.0
_OVER_AFTER_S = 120  # rows may wait for a disk that is full for a moment
_LEVEL = 1  # a seventh of the text at 600 MB/s (made-up quotes); 2 to 4 gave no less, slower
_BLOCK = 1 << 18
_NICE = 10


class _Stopped(Exception):
    """Told to end while a file was half compressed."""


class Keep(NamedTuple):
    """How much a folder may hold, of all kinds together; beyond it the oldest files go.

    others: kinds whose writers are elsewhere; theirs go once they are compressed. needed: whether
    a file of a kind and a stamp has to stay, called by the archive's thread.
    """

    keep_gb: float
    others: Sequence[Format]
    needed: Callable[[Format, str], bool]


class Archive:
    """Looks after the files of a folder that are over.

    writers: of each kind that this process writes: its files are compressed. unix_ns: the time.
    keep: None where another process removes.
    """

    def __init__(
        self,
        folder: str,
        writers: Mapping[Format, LineFile],
        unix_ns: Callable[[], int],
        keep: Keep | None = None,
    ) -> None:
        self._folder = folder
        self._writers = writers
        self._unix_ns = unix_ns
        self._keep = keep
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._failing = False
        self._foreign: set[Path] = set()  # told of
        self._now_stamp = ""  # files before it are over

    def start(self) -> None:
        """Begin; call it in the process that is to do the work."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="archive", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End at the next block; what is half compressed is begun again some other time."""
        self._stop.set()
        if self._thread:
            self._thread.join()
            self._thread = None

    def round(self, now_unix_ns: int) -> None:
        """Compress what is over, then remove what is too much; errors are logged."""
        over = datetime.fromtimestamp(now_unix_ns / 1e9, UTC) - timedelta(seconds=_OVER_AFTER_S)
        self._now_stamp = f"{over:%Y%m%d-%H}"
        failed: Exception | None = None
        for work in (self._compress_all, self._remove_oldest):  # the second may make room
            try:
                work()
            except (OSError, BadData) as error:
                failed = failed or error
        if failed and not self._failing:
            log.error("old data not looked after", extra=facts(error=str(failed)))
        self._failing = failed is not None

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        while not self._stop.wait(_ROUND_S):
            self.round(self._unix_ns())

    def _compress_all(self) -> None:
        for kind in self._writers:
            remove_remains(self._folder, f"{kind.name}-*")
            for file in data_files(self._folder, kind):
                if file.compressed or not self._is_over(file) or file.path in self._foreign:
                    continue
                try:
                    next(read_blocks(file.path, kind), None)
                except BadData as error:
                    self._foreign.add(file.path)
                    log.warning("left as it is", extra=facts(error=str(error)))
                else:
                    self._compress(kind, file)

    def _is_over(self, file: DataFile) -> bool:
        return file.stamp < self._now_stamp[: len(file.stamp)]

    def _compress(self, kind: Format, file: DataFile) -> None:
        target = _target(kind, file)
        size = text_size(file.path)
        try:
            with arriving(target) as part:
                self._copy(file.path, part, size)
        except _Stopped:
            return
        # False where a row came meanwhile: it is compressed again, with that row
        if self._writers[kind].remove(file.path, size):
            log.info(
                "data compressed",
                extra=facts(file=target, mb=round(size / 1e6, 1),
                            compressed_mb=round(target.stat().st_size / 1e6, 1)),
            )  # fmt: skip

    def _copy(self, path: Path, part: Path, size: int) -> None:
        """Write the compressed form of so many bytes."""
        compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True)
        left = size
        with (
            path.open("rb") as text,
            part.open("wb") as out,
            compressor.stream_writer(out, size=size, closefd=False) as writer,
        ):
            while left and (block := text.read(min(left, _BLOCK))):
                if self._stop.is_set():
                    raise _Stopped
                writer.write(block)
                left -= len(block)

    def _remove_oldest(self) -> None:
        """Remove files that are over, oldest first, until the rest is no more than keep_gb."""
        if (keep := self._keep) is None:
            return
        kinds = (*self._writers, *keep.others)
        found = [(kind, f) for kind in kinds for f in data_files(self._folder, kind)]
        total = sum(_bytes(file.path) for _, file in found)
        n, removed = 0, 0
        # a day's signals after all its hours
        for kind, file in sorted(found, key=lambda entry: (f"{entry[1].stamp}-99"[:11], entry[1])):
            if total - removed <= keep.keep_gb * 1e9:
                break
            if file.path in self._foreign or not self._is_over(file):
                continue
            if keep.needed(kind, file.stamp):
                continue
            if size := self._remove(kind, file):
                n, removed = n + 1, removed + size
        if n:
            log.info("oldest data removed", extra=facts(files=n, mb=round(removed / 1e6, 1)))

    def _remove(self, kind: Format, file: DataFile) -> int:
        """Remove a file and return its size; 0 where a row came, or one may: it stays."""
        size = _bytes(file.path)
        writer = self._writers.get(kind)
        if writer is None and file.compressed:  # nobody writes into it
            file.path.unlink(missing_ok=True)
            return size
        return size if writer and writer.remove(file.path, size) else 0


def _bytes(path: Path) -> int:
    """Return the size of a file; 0 where another process has just compressed it."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _target(kind: Format, file: DataFile) -> Path:
    """Return the name that a plain file gets: the first that is free, or a copy of it."""
    part = 1
    while True:
        late = f".{part}" if part > 1 else ""
        path = file.path.with_name(f"{kind.name}-{file.stamp}{late}.csv{COMPRESSED}")
        if not path.exists() or is_copy(path, file.path):
            return path
        part += 1
