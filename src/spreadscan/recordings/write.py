"""The files of one run of one source: blocks in, a new file when one is large enough.

Where the disk refuses a block, its frames are counted as dropped before the next one. No thread
and no clock.
"""

import logging
import os
import zlib
from pathlib import Path

import zstandard

from spreadscan.clock import iso_utc
from spreadscan.disk.append import AppendFile
from spreadscan.disk.whole import sync_folder
from spreadscan.logs import facts
from spreadscan.recordings.format import (
    CRC,
    END_MARK,
    ENDING,
    FILE_END,
    FRAMES,
    INDEX_ENTRY,
    INDEX_MARK,
    BlockHead,
    pack_file_head,
)

log = logging.getLogger(__name__)

LEVEL = 1  # a feed's processor is worth more than the last percent of the disk
FILE_BYTES = 256 << 20


class FrameFiles:
    """Writes blocks of a source below `folder`; close() it for the index of the last file."""

    def __init__(
        self, folder: Path, source: str, started_unix_ns: int, file_bytes: int = FILE_BYTES
    ) -> None:
        self.source = source
        self.n_frames = 0  # written
        self.refused = 0  # frames that the disk did not take
        self.folder = folder / FRAMES
        self._run = iso_utc(started_unix_ns)
        self._file_bytes = file_bytes
        self._sequence = 0
        self._file: AppendFile | None = None
        self._name = ""  # of the file
        self._blocks: list[tuple[int, int, int]] = []  # offset, first recv_ns, frames
        self._carried = 0  # dropped frames that no block has told yet
        self._next_number = 0  # of a frame
        self._last_ns = 0  # of a block
        self._pack = zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress
        self._failing = False

    def write(
        self,
        records: bytes | memoryview,
        n_frames: int,
        first_recv_ns: int,
        last_recv_ns: int,
        first_number: int,
        dropped: int,
    ) -> bool:
        """Write a block; False where the disk refuses, which is told once."""
        packed = self._pack(records)
        head = BlockHead(
            n_frames, first_recv_ns, last_recv_ns, first_number, dropped + self._carried,
            len(records), len(packed),
        )  # fmt: skip
        try:
            file = self._file = self._file or self._open()
            at = file.size
            file.append(head.pack() + packed)
        except OSError as error:
            self._refuse(error)
            self.leave_out(n_frames, dropped)
            return False
        self._blocks.append((at, first_recv_ns, n_frames))
        self._next_number, self._last_ns = first_number + n_frames, last_recv_ns
        self.n_frames += n_frames
        self._carried = 0
        self._failing = False
        if file.size >= self._file_bytes:
            self._end()
        return True

    def leave_out(self, n_frames: int, dropped: int) -> None:
        """Count a block that is not written, and the frames dropped before it."""
        self.refused += n_frames
        self._carried += dropped + n_frames
        self._next_number += dropped + n_frames

    def tell_lived(self, until_ns: int, dropped: int = 0) -> None:
        """Write that the feed lived until then: an empty block. dropped: frames before it.

        Nothing where there was no frame yet: who never quoted has nothing to keep.
        """
        if self._sequence:
            at_ns = max(until_ns, self._last_ns)
            self.write(b"", 0, at_ns, at_ns, self._next_number + dropped, dropped)

    def close(self, lived_ns: int = 0, dropped: int = 0) -> None:
        """End the last file. lived_ns: until when the feed lived, 0 = as its last frame says.

        dropped: frames after the last block. A disk that refuses the end costs the index only.
        """
        if lived_ns or dropped + self._carried:
            self.tell_lived(lived_ns, dropped)
        self._end()

    def _open(self) -> AppendFile:
        """Begin the next file, with its head; it is there with it or not at all."""
        name = f"{self.source}-{self._run.replace(':', '')}-{self._sequence:05}{ENDING}"
        path = self.folder / name
        self.folder.mkdir(parents=True, exist_ok=True)
        head = pack_file_head({"source": self.source, "run": self._run, "sequence": self._sequence})
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        file = AppendFile(os.open(path, flags, 0o666), 0)
        try:
            file.append(head)
        except OSError:
            file.close()
            path.unlink()
            raise
        self._blocks, self._name = [], name
        self._sequence += 1
        return file

    def _end(self) -> None:
        if self._file is None:
            return
        entries = b"".join(INDEX_ENTRY.pack(*block) for block in self._blocks)
        index = INDEX_MARK + CRC.pack(len(self._blocks)) + entries
        end = CRC.pack(zlib.crc32(index)) + FILE_END.pack(self._file.size, END_MARK)
        try:
            self._file.append(index + end)
        except OSError as error:
            self._refuse(error)
        try:
            self._file.sync()
            sync_folder(self.folder)
        except OSError as error:  # once told, never asked again: the next file is another one
            n_frames = sum(n for _, _, n in self._blocks)
            told = facts(source=self.source, file=self._name, frames=n_frames, error=error.strerror)
            log.error("recording not synced: frames of this file may be lost", extra=told)
        self._file.close()
        self._file = None

    def _refuse(self, error: OSError) -> None:
        if not self._failing:
            log.error(
                "the disk refuses the recording, frames are dropped from it",
                extra=facts(source=self.source, folder=str(self.folder), error=str(error)),
            )
        self._failing = True
