"""Files that are safely ours: nothing that others planted is followed, waited for or believed.

Whatever lies at a place of ours may be a link, a FIFO, a folder, or somebody else's file.
"""

import errno
import os
import stat

from spreadcore.errors import NoRoom, RegionMissing, RegionRefused


def check_dir(directory: str) -> None:
    """Raise RegionMissing or RegionRefused unless it is a folder that only we may enter."""
    try:
        found = os.lstat(directory)
    except FileNotFoundError:
        raise RegionMissing(f"{directory}: missing, expected a created instance") from None
    if not stat.S_ISDIR(found.st_mode):
        raise RegionRefused(f"{directory}: not a directory, expected an instance")
    if found.st_uid != os.geteuid():
        raise RegionRefused(f"{directory}: owned by uid {found.st_uid}, expected {os.geteuid()}")
    if found.st_mode & 0o077:
        raise RegionRefused(f"{directory}: mode {found.st_mode & 0o777:o}, expected 700")


def no_room(error: OSError, subject: str, needed: str) -> NoRoom:
    """Return what is said where the system refused what is needed; limits are named as such."""
    if error.errno in (errno.EMFILE, errno.ENFILE):
        needed = "free descriptors (ulimit -n)"
    elif error.errno == errno.EFBIG:
        needed = f"larger files to be allowed (ulimit -f): {needed}"
    return NoRoom(f"{subject}: {error.strerror}, expected {needed}")


def open_ours(path: str, flags: int) -> int:
    """Open a regular file that only we own and may open, in a folder that only we may enter.

    flags: of os.open; a file that they create has the mode 600. Never waits. RegionMissing where
    it is not there, RegionRefused where it is not ours, NoRoom where no descriptor is free.
    """
    check_dir(os.path.dirname(path))
    try:
        # O_NONBLOCK: a FIFO planted here must not hang the open
        fd = os.open(path, flags | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK, 0o600)
    except FileNotFoundError:
        raise RegionMissing(f"{path}: missing, expected a created instance") from None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise no_room(error, path, "") from None
        raise RegionRefused(f"{path}: {error.strerror}, expected a plain file of ours") from None
    found = os.fstat(fd)
    if not (
        stat.S_ISREG(found.st_mode)
        and found.st_uid == os.geteuid()
        and found.st_nlink <= 1  # 0: it was removed since
        and not found.st_mode & 0o077
    ):
        os.close(fd)
        raise RegionRefused(
            f"{path}: mode {found.st_mode:o}, uid {found.st_uid}, {found.st_nlink} link(s); "
            f"expected a regular file 600 of uid {os.geteuid()} with one link"
        )
    return fd


def read_ours(path: str | os.PathLike[str]) -> bytes:
    """Return what such a file holds. Errors as of open_ours(), or OSError while it is read."""
    with os.fdopen(open_ours(os.fspath(path), os.O_RDONLY), "rb") as file:
        return file.read()
