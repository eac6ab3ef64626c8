"""One writer per folder: an flock on a file in it, which says who holds it.

The kernel lets go of it with its holder's last process, however that ends; the text in the file is
for people. The file is readable by its owner alone, so that no other user can hold the lock, and
is removed when it is let go of: whoever gets the lock of a file that is gone meanwhile takes the
one that is there now.
"""

import fcntl
import os
import shlex
import socket
import stat
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from spreadscan.clock import iso_utc
from spreadscan.errors import ConfigError

_LOOK_S = 0.05


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a folder. since: UTC."""

    pid: int
    host: str
    instance: str
    since: str
    command: str

    def __str__(self) -> str:
        ended = self.host == socket.gethostname() and not os.path.exists(f"/proc/{self.pid}")
        return (
            f"instance {self.instance!r} (pid {self.pid} on {self.host}"
            + (", which has ended and left a process behind" if ended else "")
            + f", since {self.since}: {self.command})"
        )


class Purpose(NamedTuple):
    """What a folder is held for. setting: names the folder; advice: what to do where it is held.

    {of} in the advice stands for the option that names the holder's instance.
    """

    name: str
    setting: str
    advice: str


TRACKER = Purpose(
    "tracker",
    "paths.data",
    "end that one (`spreadscan ctl stop{of}`), or set another paths.data",
)
AUDIT = Purpose("audit", TRACKER.setting, TRACKER.advice)
DISCOVERY = Purpose(
    "discovery", "paths.generated", "let that one end first, or set another paths.generated"
)


class FolderLock:
    """The lock of a folder for one purpose; take() it, close() it.

    A forked child shares it: it is held until the last of them has closed it. Children that have
    no part in it call drop(). ConfigError where the folder or its lock cannot be had.
    """

    def __init__(self, folder: str | Path, purpose: Purpose, instance: str) -> None:
        self.path = Path(folder) / f".{purpose.name}.lock"
        self._purpose = purpose
        self._instance = instance
        self._made_folder = False
        self._fd = -1

    def take(self, within_s: float) -> None:
        """Take the lock, waiting for it so long; ConfigError then names who holds it."""
        deadline = time.monotonic() + within_s
        while not self.try_take():
            if time.monotonic() >= deadline:
                raise self.refusal(within_s)
            time.sleep(_LOOK_S)

    def try_take(self) -> bool:
        """Take the lock where it is free; False where another has it."""
        while True:
            fd = self._open()
            try:
                if not self._flock(fd):
                    os.close(fd)
                    return False
                if self._is_there(fd):
                    self._tell(fd)
                    self._fd = fd
                    return True
                os.close(fd)  # its last holder has removed it: there is a newer one, or none
            except BaseException:
                with suppress(OSError):
                    os.close(fd)
                raise

    def holder(self) -> Holder | None:
        """Return who holds it, None where its file does not say."""
        with suppress(OSError, msgspec.DecodeError):
            fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                return msgspec.json.decode(os.pread(fd, 65_536, 0), type=Holder)
            finally:
                os.close(fd)
        return None

    def refusal(self, after_s: float) -> ConfigError:
        """Return what is said where it was not free for so long."""
        holder = self.holder()
        of = f" --instance {holder.instance}" if holder else ""
        return ConfigError(
            f"{self._purpose.setting}: {self.path.parent}: the {self._purpose.name} of "
            f"{holder or 'an unknown process'} holds it, expected it free within {after_s:g} s: "
            f"{self._purpose.advice.format(of=of)}"
        )

    def close(self) -> None:
        """Let go of the lock and remove its file; a folder that was made for it goes, too."""
        if self._fd < 0:
            return
        with suppress(OSError):
            if self._is_there(self._fd):
                self.path.unlink()
                if self._made_folder:
                    self.path.parent.rmdir()  # refuses where anything is in it
        self.drop()

    def drop(self) -> None:
        """Close this process's share of the lock."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> int:
        try:
            if not self.path.parent.is_dir():
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._made_folder = True
            # O_NONBLOCK: a FIFO planted here must not hang the open
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
            fd = os.open(self.path, flags, 0o600)
        except OSError as error:
            raise ConfigError(
                f"{self._purpose.setting}: {error.filename or self.path}: {error.strerror}, "
                "expected a folder that can be written"
            ) from None
        found = os.fstat(fd)
        if not (
            stat.S_ISREG(found.st_mode)
            and found.st_uid == os.geteuid()
            and found.st_nlink <= 1  # 0: just removed by its last holder
            and not found.st_mode & 0o077
        ):
            os.close(fd)
            raise ConfigError(
                f"{self.path}: mode {found.st_mode:o}, uid {found.st_uid}, {found.st_nlink} "
                f"link(s), expected a regular file 600 of uid {os.geteuid()} with one link: "
                "others could hold such a lock; remove it while nothing uses the folder"
            )
        return fd

    def _flock(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise ConfigError(
                f"{self.path}: flock: {error.strerror}, expected a file system with locks for "
                f"{self._purpose.setting}"
            ) from None
        return True

    def _is_there(self, fd: int) -> bool:
        """Return True where the locked file is still the one that others find."""
        try:
            there = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        ours = os.fstat(fd)
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _tell(self, fd: int) -> None:
        holder = Holder(
            pid=os.getpid(),
            host=socket.gethostname(),
            instance=self._instance,
            since=iso_utc(time.time_ns()),
            command=shlex.join(["spreadscan", *sys.argv[1:]]),
        )
        try:
            os.ftruncate(fd, 0)
            os.pwrite(fd, msgspec.json.encode(holder) + b"\n", 0)
        except OSError:  # a full disk: the lock holds, without a name
            pass
