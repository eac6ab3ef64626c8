"""A file that grows by whole blocks."""

import errno
import os
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class AppendFile:
    """An open file that blocks are appended to. fd: opened with O_APPEND; size: of whole blocks.

    What the disk takes of a block only in part is cut off again, at the latest before the next
    one, so a block may be retried for ever and never stands there twice.
    """

    fd: int
    size: int
    torn: bool = field(default=False, init=False)  # there may be more than `size`

    def append(self, block: bytes) -> None:
        """Append a block by one system call. OSError: nothing of it counts."""
        self.settle()
        self.torn = True
        try:
            if os.write(self.fd, block) != len(block):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            with suppress(OSError):  # else the next append begins with it
                self.settle()
            raise
        self.torn = False
        self.size += len(block)

    def settle(self) -> None:
        """Cut off what an append left that failed; OSError where the disk refuses that, too."""
        if self.torn:
            os.ftruncate(self.fd, self.size)
            self.torn = False

    def sync(self) -> None:
        """Wait until what was appended is on the disk."""
        os.fsync(self.fd)

    def close(self) -> None:
        """Close the descriptor; what is torn stays so."""
        os.close(self.fd)
