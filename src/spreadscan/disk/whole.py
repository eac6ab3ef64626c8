"""Files that are there whole or not at all, whatever ends their writer.

A file that comes or goes has another name, `.NAME.PID-HEX.part`, which no pattern for the files of
a folder finds. It takes its own name once it is on the disk, and then the folder is synced.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def replace(path: str | Path, content: bytes, *, mode: int = 0o666, synced: bool = True) -> None:
    """Put content in place of path; a reader, or a power cut, finds the old or the new one whole.

    mode: less the umask. OSError where the folder refuses; the old one is left then.
    synced: False where nothing may wait for the disk; a kill still leaves one of the two, a power
    cut may leave neither.
    """
    with (
        arriving(path, synced=synced) as part,
        os.fdopen(os.open(part, _NEW, mode), "wb") as file,
    ):
        file.write(content)


@contextmanager
def arriving(path: str | Path, *, synced: bool = True) -> Iterator[Path]:
    """Give a name to write a file under: at the end it is put in place of path, as by replace().

    Where the block raises, what is written there is removed and path is left as it was.
    """
    path = Path(path)
    part = part_of(path)
    try:
        yield part
        if synced:
            _sync(part, os.O_RDONLY)
        os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise
    if synced:
        sync_folder(path.parent)


def part_of(path: Path) -> Path:
    """Return a name in the same folder for what comes or goes as path; another one each time."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")


def remove_remains(folder: str | Path, of: str = "*") -> None:
    """Remove what killed writers left; of: a pattern, for the files of which the caller is the
    only writer.
    """
    for part in Path(folder).glob(f".{of}.*.part"):
        part.unlink(missing_ok=True)


def sync_folder(folder: str | Path) -> None:
    """Wait until the names in a folder are on the disk."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: str | Path, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
