"""The lease of a writing role: an flock, so that liveness is never a matter of a pid."""

import fcntl
import os
import time

from spreadcore.errors import LeaseHeld, RegionMissing
from spreadcore.ours import open_ours

TRY_FOR_S = 0.2  # a prober may hold the lock for an instant


class Lease:
    """Hold `lease-<role>` in an instance directory until close() or the end of the process.

    Take it after a fork: a lock taken before is shared with the parent. LeaseHeld names the
    holder's pid, for people; what counts is the lock. It is waited for within_s seconds.
    RegionRefused where the file is not safely ours: a link, a FIFO, a folder, somebody else's.
    """

    def __init__(self, directory: str, role: str, within_s: float = TRY_FOR_S) -> None:
        self.path = os.path.join(directory, f"lease-{role}")
        self._fd = open_ours(self.path, os.O_RDWR | os.O_CREAT)
        deadline = time.monotonic() + within_s
        while not _lock(self._fd, fcntl.LOCK_EX):
            if time.monotonic() >= deadline:
                pid = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
                self.close()
                raise LeaseHeld(f"{role}: already running (pid {pid}), expected no other writer")
            time.sleep(0.01)
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def close(self) -> None:
        """Let go of the lease."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def lease_held(directory: str, role: str) -> bool:
    """Return True while a live process holds the lease of that role.

    RegionRefused where its file is not safely ours: then nobody can say.
    """
    try:
        fd = open_ours(os.path.join(directory, f"lease-{role}"), os.O_RDONLY)
    except RegionMissing:
        return False
    try:
        return not _lock(fd, fcntl.LOCK_SH)
    finally:
        os.close(fd)


def _lock(fd: int, kind: int) -> bool:
    try:
        fcntl.flock(fd, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
