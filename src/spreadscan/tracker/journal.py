"""Append-only text files: one writer that only leaves whole lines.

A write is one os.write. What the disk takes of it only in part is cut off again before the next
one, so rows may be retried for ever and never stand there twice. Data on files that were deleted
or replaced is gone; the writer goes on in a new one.
"""

import errno
import logging
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import RLock

from spreadscan.errors import BadData
from spreadscan.logs import facts
from spreadscan.tracker.columns import Format
from spreadscan.tracker.files import check_header

log = logging.getLogger(__name__)

Count = Callable[[str, int], None]
_TAIL = 4096


class LineFile:
    """The files `<kind>-<stamp>.csv` of a folder, one of them open at a time.

    count is told 'rows', 'torn_lines' and 'write_errors'. fsync: sync() is for the disk, and a
    file is synced before the next one is opened.
    """

    def __init__(self, folder: str, kind: Format, count: Count, *, fsync: bool) -> None:
        self.failing = False
        self._folder = folder
        self._kind = kind
        self._count = count
        self._fsync = fsync
        self._path = ""
        self._fd = -1
        self._inode = (0, 0)
        self._size = 0  # of the whole lines in it
        self._undo = False  # there may be more than that: cut it off first
        self._unsynced = False
        self._created = False
        self._lock = RLock()  # remove() and sync() may be another thread's

    def write(self, stamp: str, rows: bytes, n_rows: int) -> bool:
        """Append whole lines to the file of that stamp; False where the disk refuses.

        Then none of them stands there, or will once the next write has cut it off: try again
        with the same rows. BadData where the file is not ours.
        """
        path = os.path.join(self._folder, f"{self._kind.name}-{stamp}.csv")
        with self._lock:
            try:
                self._append(path, rows)
            except OSError as error:
                self._refused(path, error)
                return False
        self._count("rows", n_rows)
        if self.failing:
            self.failing = False
            log.warning("data written again", extra=facts(file=path))
        return True

    @property
    def unsynced(self) -> bool:
        """True while sync() has something to do."""
        return self._unsynced and self._fsync

    def sync(self) -> None:
        """Wait until what was written is on the disk; may take long, so any thread may call it."""
        with self._lock:
            if not self.unsynced or self._fd < 0:
                return
            self._unsynced = False
            try:
                os.fsync(self._fd)
                if self._created:
                    self._created = False
                    sync_folder(self._folder)
            except OSError as error:
                self._refused(self._path, error)

    def remove(self, path: str | Path, size: int) -> bool:
        """Remove a file of this folder; False where it is not of that size: a row came.

        Any thread may call it. A row that comes later begins the file anew.
        """
        with self._lock:
            mine = self._fd >= 0 and str(path) == self._path
            if (mine and self._undo) or os.stat(path).st_size != size:
                return False
            os.unlink(path)
            if mine:
                self._unsynced = False
                fd, self._fd = self._fd, -1
                os.close(fd)
            return True

    def close(self) -> None:
        """Cut off what is not whole, sync and close; a later write opens again."""
        if self._fd < 0:
            return
        if self._undo:
            with suppress(OSError):
                self._cut()
        self._undo = False
        self.sync()
        fd, self._fd = self._fd, -1
        os.close(fd)

    def _append(self, path: str, block: bytes) -> None:
        if self._undo:
            self._cut()
        if not self._is_open(path):
            self._open(path)
        if self._size == 0:
            block = self._kind.header + block
        self._undo = True
        self._unsynced = True
        if os.write(self._fd, block) != len(block):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._undo = False
        self._size += len(block)

    def _cut(self) -> None:
        os.ftruncate(self._fd, self._size)
        self._undo = False

    def _is_open(self, path: str) -> bool:
        """Whether our descriptor is that file, and nobody has shortened it."""
        if self._fd < 0 or path != self._path:
            return False
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == self._inode and found.st_size == self._size

    def _open(self, path: str) -> None:
        self.close()
        os.makedirs(self._folder, exist_ok=True)
        self._created = not os.path.exists(path)
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._size, torn = repair(self._fd, path, self._kind)
        except BaseException:
            os.close(self._fd)
            self._fd = -1
            raise
        found = os.fstat(self._fd)
        self._inode = (found.st_dev, found.st_ino)
        if torn:
            self._count("torn_lines", 1)

    def _refused(self, path: str, error: OSError) -> None:
        self._count("write_errors", 1)
        if self._undo:
            with suppress(OSError):  # else the next write begins with it
                self._cut()
        if not self.failing:
            self.failing = True
            log.error("data not written", extra=facts(file=path, error=error.strerror))


def repair(fd: int, path: str, kind: Format) -> tuple[int, bool]:
    """Cut a torn last line off; return the size that stays and whether there was one.

    BadData where the file is of another version or not ours.
    """
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise BadData(f"{path}: not a plain file, expected {kind.tag!r}")
    if not check_header(os.pread(fd, _TAIL, 0), path, kind):
        os.ftruncate(fd, 0)
        return 0, found.st_size > 0
    whole = at = found.st_size
    while True:  # ends at the header's newline at the latest
        low = max(0, at - _TAIL)
        end = os.pread(fd, at - low, low).rfind(b"\n")
        if end >= 0:
            whole = low + end + 1
            break
        at = low
    if whole != found.st_size:
        os.ftruncate(fd, whole)
    return whole, whole != found.st_size


def repair_file(path: Path, kind: Format) -> bool:
    """Do as repair() with a file that nobody has open; True where a line was torn."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}, expected a file to append to") from None
    try:
        return repair(fd, str(path), kind)[1]
    finally:
        os.close(fd)


def sync_folder(folder: str) -> None:
    """Wait until the names in a folder are on the disk."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
