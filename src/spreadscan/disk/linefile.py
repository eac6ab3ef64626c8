"""Append-only text files: one writer that only leaves whole lines.

Rows may be retried for ever and never stand there twice (`append`). Data on files that were
deleted or replaced is gone; the writer goes on in a new one.

A sync is another thread's: it holds no lock that a write waits for, and files that the writer has
left are synced and closed by it. Where it fails, the rows since the sync before may never get to
the disk, whatever a later sync of that file says (the kernel tells once and then takes the pages
for clean): they are counted and told, and the writer goes on in a new part.
"""

import logging
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, RLock

from spreadscan.disk.append import AppendFile
from spreadscan.disk.files import check_header, data_files, format_of
from spreadscan.disk.format import Format, Simulated, simulated_of
from spreadscan.disk.whole import part_of, sync_folder
from spreadscan.errors import BadData
from spreadscan.logs import facts

log = logging.getLogger(__name__)

Count = Callable[[str, int], None]
_TAIL = 4096
_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0  # after a sync that failed; doubles


@dataclass(slots=True, eq=False)
class _File(AppendFile):
    """A file that rows are appended to, or one that the writer has left and a sync has not."""

    path: str
    stamp: str
    inode: tuple[int, int]
    created: bool  # its name is not on the disk yet
    unsynced: int = field(default=0, init=False)  # rows
    syncing: bool = field(default=False, init=False)  # whoever syncs needs the descriptor
    trusted: bool = field(default=True, init=False)  # no sync of it has failed


class LineFile:
    """The files `<kind>-<stamp>[.<part>].csv` of a folder, one of them written at a time.

    count is told 'rows', 'torn_lines', 'write_errors', 'sync_errors' and 'untrusted_rows'. fsync:
    sync() is for the disk. simulated: what the head of each file says of its market; a file that
    says otherwise, or is of an earlier version, is gone on with in a new part.
    """

    def __init__(
        self, folder: str, kind: Format, count: Count, *, fsync: bool,
        simulated: Simulated = "false",
    ) -> None:  # fmt: skip
        self.failing = False
        self.sync_failing = False
        self._folder = folder
        self._kind = kind
        self._count = count
        self._fsync = fsync
        self._simulated = simulated
        self._file: _File | None = None
        self._left: list[_File] = []  # with rows to sync, oldest first
        self._untrusted: set[str] = set()  # paths
        self._pause_s = 0.0
        self._sync_at_s = 0.0  # not before, by time.monotonic()
        self._lock = RLock()  # for moments: the writer waits for it
        self._one_sync = Lock()

    def write(self, stamp: str, rows: bytes, n_rows: int) -> bool:
        """Append whole lines to the file of that stamp; False where the disk refuses.

        Then none of them stands there, or will once the next write has cut it off: try again
        with the same rows. BadData where the file is not ours.
        """
        with self._lock:
            try:
                file = self._append(stamp, rows)
            except OSError as error:
                self._refused(stamp, error)
                return False
            file.unsynced += n_rows
        self._count("rows", n_rows)
        if self.failing:
            self.failing = False
            log.warning("data written again", extra=facts(file=file.path))
        return True

    @property
    def unsynced(self) -> bool:
        """True while it is time for a sync: there are rows, and no pause after a failure."""
        if not self._fsync or time.monotonic() < self._sync_at_s:
            return False
        with self._lock:
            return any(file.unsynced for file in self._files())

    def sync(self) -> None:
        """Wait until what was written before is on the disk: for a thread beside the writer's.

        It may take long; rows may be written meanwhile. Errors are counted and logged.
        """
        if not self._fsync:
            return
        with self._one_sync:
            with self._lock:
                taken = [(file, file.unsynced) for file in self._files() if file.unsynced]
                for file, _ in taken:
                    file.unsynced, file.syncing = 0, True
            for file, n_rows in taken:
                self._sync(file, n_rows)

    def remove(self, path: str | Path, size: int) -> bool:
        """Remove a file of this folder; False where it is not of that size: a row came.

        Any thread may call it. A row that comes later begins the file anew.
        """
        going = part_of(Path(path))
        with self._lock:
            mine = [file for file in self._files() if file.path == str(path)]
            if any(file.torn for file in mine) or os.stat(path).st_size != size:
                return False
            os.rename(path, going)
            for file in mine:
                self._drop(file)
        os.unlink(going)  # of hundreds of MB: longer than a writer should wait
        return True

    def close(self) -> None:
        """Cut off what is not whole, sync and close; a later write opens again."""
        with self._lock:
            if (file := self._file) is not None:
                with suppress(OSError):
                    file.settle()
                self._leave(file)
        self.sync()
        with self._lock:
            for file in [*self._left]:
                self._drop(file)

    def _files(self) -> list[_File]:
        return [*self._left, *([self._file] if self._file else [])]

    def _append(self, stamp: str, block: bytes) -> _File:
        if self._file:
            self._file.settle()
        file = self._file if self._is_open(stamp) else self._open(stamp)
        assert file is not None
        if file.size == 0:
            block = self._kind.head(self._simulated) + block
        file.append(block)
        return file

    def _is_open(self, stamp: str) -> bool:
        """Whether our descriptor is that stamp's file, trusted, and nobody has shortened it."""
        file = self._file
        if file is None or file.stamp != stamp or not file.trusted:
            return False
        try:
            found = os.stat(file.path)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == file.inode and found.st_size == file.size

    def _open(self, stamp: str) -> _File:
        if self._file:
            self._leave(self._file)
        os.makedirs(self._folder, exist_ok=True)
        # the newest part: rows stand in the order of parts
        part = max([f.part for f in data_files(self._folder, self._kind)
                    if f.stamp == stamp and not f.compressed], default=1)  # fmt: skip
        while True:
            path = os.path.join(self._folder, self._kind.file_name(stamp, part))
            if path not in self._untrusted and (file := self._opened(stamp, path)):
                self._file = file
                return file
            part += 1

    def _opened(self, stamp: str, path: str) -> _File | None:
        """Return a file ready for more rows, None where its head is not as ours would be."""
        created = not os.path.exists(path)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            size, torn = repair(fd, path, self._kind)
            head = os.pread(fd, _TAIL, 0)
            same_market = simulated_of(head) == self._simulated
            ours = same_market and format_of(head, self._kind) == self._kind
        except BaseException:
            os.close(fd)
            raise
        if torn:
            self._count("torn_lines", 1)
        if size and not ours:
            os.close(fd)
            return None
        found = os.fstat(fd)
        return _File(fd, size, path, stamp, (found.st_dev, found.st_ino), created)

    def _leave(self, file: _File) -> None:
        """Write no more to a file; a sync that is due closes it."""
        self._file = None
        if self._fsync and (file.unsynced or file.syncing):
            self._left.append(file)
        else:
            self._drop(file)

    def _drop(self, file: _File) -> None:
        if file is self._file:
            self._file = None
        elif file in self._left:
            self._left.remove(file)
        file.unsynced = 0
        if not file.syncing:  # else by whoever syncs it
            file.close()

    # -- by the thread that syncs

    def _sync(self, file: _File, n_rows: int) -> None:
        failed: OSError | None = None
        try:
            file.sync()
            if file.created:
                sync_folder(self._folder)
                file.created = False
        except OSError as error:
            failed = error
        with self._lock:
            file.syncing = False
            if failed:
                file.trusted = False
                self._untrusted.add(file.path)
            if file is self._file or (file in self._left and file.unsynced):
                pass  # it is needed on
            elif file in self._left:
                self._drop(file)
            else:
                file.close()
        self._told(file, n_rows, failed)

    def _told(self, file: _File, n_rows: int, failed: OSError | None) -> None:
        if failed:
            self._count("sync_errors", 1)
            self._count("untrusted_rows", n_rows)
            self._pause_s = min(max(2 * self._pause_s, _PAUSE_S), _LONGEST_PAUSE_S)
            self._sync_at_s = time.monotonic() + self._pause_s
            log.error(
                "data not synced: its newest rows may be lost, a new file is begun",
                extra=facts(file=file.path, rows=n_rows, error=failed.strerror),
            )
        elif self.sync_failing:
            log.warning("data synced again", extra=facts(file=file.path))
        if not failed:
            self._pause_s = self._sync_at_s = 0.0
        self.sync_failing = failed is not None

    def _refused(self, stamp: str, error: OSError) -> None:
        self._count("write_errors", 1)
        if not self.failing:
            self.failing = True
            file = self._file
            path = file.path if file else os.path.join(self._folder, self._kind.file_name(stamp))
            log.error("data not written", extra=facts(file=path, error=error.strerror))


def repair(fd: int, path: str, kind: Format) -> tuple[int, bool]:
    """Cut a torn last line off; return the size that stays and whether there was one.

    BadData where the file is of an unknown version or not ours.
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
