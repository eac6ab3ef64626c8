"""Room that is left on the disk for what is under way: below it nothing new is begun."""

import logging
import os

from spreadscan.logs import facts

log = logging.getLogger(__name__)

_EVERY_NS = 1_000_000_000


class Reserve:
    """Whether the disk of a folder has less than reserve_mb left; looks once a second.

    It takes a tenth more than the reserve to go on, so that the answer does not flutter. what:
    there is no room for, in words for the log.
    """

    def __init__(self, folder: str, reserve_mb: float, what: str) -> None:
        self._folder = folder
        self._what = what
        self._reserve_bytes = int(reserve_mb * 1e6)
        self._looked_ns: int | None = None
        self.short = False

    def check(self, now_ns: int) -> bool:
        """Return True where the disk is short; told once, as its end is."""
        if self._looked_ns is not None and 0 <= now_ns - self._looked_ns < _EVERY_NS:
            return self.short
        self._looked_ns = now_ns
        try:
            disk = os.statvfs(self._folder)
        except OSError:  # a write will tell what is wrong with it
            return self.short
        free = disk.f_bavail * disk.f_frsize
        was, self.short = self.short, free * 10 < self._reserve_bytes * (11 if self.short else 10)
        if self.short != was:
            tell = log.error if self.short else log.warning
            tell(
                f"disk nearly full, no {self._what}" if self.short else f"room again: {self._what}",
                extra=facts(
                    folder=self._folder, free_mb=free // 10**6,
                    reserve_mb=self._reserve_bytes // 10**6,
                ),
            )  # fmt: skip
        return self.short
