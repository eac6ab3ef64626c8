"""Hosts that told us to stay away, in one small file each, so that a restart obeys them too.

Every process of an address obeys what one of them met: feeds, funding polls and discovery look
here before they connect or ask. A ban ends by the wall clock, for it outlives a boot; a block of
the region has no end and is lifted when a feed starts. Where a venue names no time, each limit that
follows soon after the one before doubles the wait; for that a ban's file is kept for a while after
its end. Files are replaced whole, and compared and written or removed under a lock of the folder.
"""

import fcntl
import logging
import math
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from spreadscan.config import Config
from spreadscan.disk import whole
from spreadscan.errors import RateLimited, RegionBlocked, SpreadError
from spreadscan.logs import facts
from spreadscan.net.refusals import LONGEST_WAIT_S

log = logging.getLogger(__name__)

_PREFIX = "ban-"
_SAME = timedelta(seconds=1)
_LONGEST_GROWN_S = 1_800.0
_REMEMBERED_S = 900.0  # after its end: a limit within this long is the next of a row
_UNREADABLE_S = 60.0  # what a file that cannot be read stands for: it was a ban
_LOCK_TRIES, _LOCK_EVERY_S = 20, 0.005  # its holder may be stopped: never waited for long


class Ban(msgspec.Struct, frozen=True, omit_defaults=True):
    """One host. until: UTC, None for a block of the region; reason: the venue's answer.

    in_row: limits in a row that named no time; the next one's wait grows by it.
    What a later version adds is passed over.
    """

    host: str
    until: datetime | None
    reason: str
    in_row: int = 0

    def left_s(self, utc_s: float) -> float:
        """Return for how long it holds from a Unix time on; inf for a block."""
        return math.inf if self.until is None else self.until.timestamp() - utc_s

    def error(self, url: str, utc_s: float) -> SpreadError:
        """Return what a request within the ban is answered with, unsent."""
        if self.until is None:
            return RegionBlocked(self.reason)
        return RateLimited(
            f"{url}: not asked, {self.host} is to be left alone until "
            f"{self.until:%Y-%m-%dT%H:%M:%SZ} ({self.reason})",
            max(0.0, self.left_s(utc_s)),
        )


class Bans:
    """The bans of one folder, which is made with the first of them. utc_s: Unix time now."""

    def __init__(self, folder: str | Path, utc_s: Callable[[], float] = time.time) -> None:
        self._folder = Path(folder)
        self._utc_s = utc_s
        self._unwritten: dict[str, Ban] = {}  # where the disk refused: it holds in this process
        self._broken: dict[Path, float] = {}  # told of already, and when it was found so

    def find(self, url: str) -> Ban | None:
        """Return the ban in force on the host of a URL; a file of one that is over is removed."""
        ban = self._last(host_of(url))
        if ban is None or ban.left_s(self._utc_s()) > 0:
            return ban
        if not ban.in_row or ban.left_s(self._utc_s()) <= -_REMEMBERED_S:
            self._forget(ban)
        return None

    def left_s(self, url: str) -> float:
        """Return for how long to leave the host of a URL alone; 0 = it may be asked."""
        ban = self.find(url)
        return ban.left_s(self._utc_s()) if ban else 0.0

    def check(self, url: str) -> None:
        """Raise RateLimited or RegionBlocked while a ban is in force; after_s is what is left."""
        if ban := self.find(url):
            raise ban.error(url, self._utc_s())

    def record(self, url: str, error: Exception) -> None:
        """Keep what an error says of its host, if it says anything; one log line each time.

        The wait of an error that grows becomes what it has grown to.
        """
        host = host_of(url)
        with self._locked():
            last, now_s = self._last(host), self._utc_s()
            standing = last if last and last.left_s(now_s) > 0 else None
            in_row = 0
            if isinstance(error, RateLimited) and error.grows:
                in_row = _next_in_row(last, standing, now_s)
                error.after_s = _grown_s(error, in_row)
            if isinstance(error, RateLimited) and (error.after_s > 0 or in_row):
                end_s = now_s + min(error.after_s, LONGEST_WAIT_S)
                until = datetime.fromtimestamp(end_s, UTC)
            elif isinstance(error, RegionBlocked):
                until = None
            else:
                return
            if standing and (standing.until is None or (until and standing.until >= until)):
                return  # known, and no shorter
            ban = Ban(host, until, str(error), in_row)
            self._write(ban)
        if ban.left_s(now_s) <= 0:
            return  # counted, not yet a ban
        if standing and until and standing.until and until - standing.until < _SAME:
            return  # the sockets of one moment were told one after the other
        told = facts(host=ban.host, until=until.isoformat() if until else "", reason=ban.reason)
        if until:
            log.warning("host to be left alone", extra=told)
        else:
            log.error("host refuses our region", extra=told)

    def lift_block(self, url: str) -> None:
        """Forget a block of the region (not a ban): its cause may have been removed."""
        ban = self.find(url)
        if ban and ban.until is None:
            self._forget(ban)

    def all(self) -> list[Ban]:
        """Return what is in force, by host; removes nothing."""
        files = sorted(self._folder.glob(f"{_PREFIX}*.json")) if self._folder.is_dir() else []
        found = [*map(self._read, files), *self._unwritten.values()]
        return [ban for ban in found if ban and ban.left_s(self._utc_s()) > 0]

    def _path(self, host: str) -> Path:
        return self._folder / f"{_PREFIX}{file_name(host)}.json"

    def _last(self, host: str) -> Ban | None:
        """Return the last ban of a host, in force or not; one that cannot be read is in force."""
        path = self._path(host)
        ban = self._unwritten.get(host) or self._read(path)
        if ban or path not in self._broken:
            return ban
        try:
            end_s = min(path.stat().st_mtime, self._broken[path]) + _UNREADABLE_S
        except OSError:
            return None
        return Ban(host, datetime.fromtimestamp(end_s, UTC), f"{path} cannot be read")

    def _read(self, path: Path) -> Ban | None:
        try:
            ban = msgspec.json.decode(path.read_bytes(), type=Ban)
            if ban.until is not None and ban.until.tzinfo is None:
                raise msgspec.ValidationError(f"until {ban.until} has no zone, expected UTC")
            if self._path(ban.host) != path:
                raise msgspec.ValidationError(f"host {ban.host!r}, expected that of its name")
        except FileNotFoundError:
            self._broken.pop(path, None)
            return None
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            if path not in self._broken:
                self._broken[path] = self._utc_s()
                text = f"{error}, expected a ban; its host is left alone for a minute"
                log.warning("ban file unreadable", extra=facts(path=str(path), error=text))
            return None
        self._broken.pop(path, None)
        return ban

    def _write(self, ban: Ban) -> None:
        path = self._path(ban.host)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # a feed's loop does not wait for the disk
            whole.replace(path, msgspec.json.encode(ban) + b"\n", synced=False)
        except OSError as error:
            self._unwritten[ban.host] = ban
            log.warning("ban not written", extra=facts(path=str(path), error=str(error)))
        else:
            self._unwritten.pop(ban.host, None)

    def _forget(self, ban: Ban) -> None:
        """Remove a ban, unless another has taken its place meanwhile."""
        self._unwritten.pop(ban.host, None)
        path = self._path(ban.host)
        try:
            with self._locked():
                if self._last(ban.host) == ban:
                    path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("ban file stays", extra=facts(host=ban.host, error=str(error)))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the folder's lock, where there is a folder and nobody holds it for long."""
        try:
            fd = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:  # the first ban makes the folder; writing tells what is wrong with it
            yield
            return
        try:
            for _ in range(_LOCK_TRIES):
                try:
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    time.sleep(_LOCK_EVERY_S)
                else:
                    break
            yield
        finally:
            os.close(fd)


def _next_in_row(last: Ban | None, standing: Ban | None, now_s: float) -> int:
    """Return which of a row a limit is that names no time; within a ban it is none of its own."""
    if standing:
        return max(1, standing.in_row)
    if last and last.left_s(now_s) > -_REMEMBERED_S:
        return last.in_row + 1
    return 1


def _grown_s(error: RateLimited, in_row: int) -> float:
    """Return the wait of the in_row-th limit of a row."""
    doublings = in_row - 1 - error.free
    if doublings < 0:
        return 0.0
    return max(error.after_s, min(error.after_s * 2.0 ** min(doublings, 20), _LONGEST_GROWN_S))


def host_of(url: str) -> str:
    """Return what a venue counts by: the host's name, whatever the port.

    Ports of a numeric address or of a bare name ("localhost") are servers of their own.
    """
    netloc = urlsplit(url).netloc.rpartition("@")[2].lower()
    name, _, port = netloc.rpartition(":")
    is_name = "." in name and not name.replace(".", "").isdigit()
    return name if port.isdigit() and is_name else netloc


def file_name(host: str) -> str:
    """Return a host as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]", "_", host)


def state_folder(config: Config) -> Path:
    """Return where the processes of a config keep what venues count by address."""
    return Path(config.paths.data) / "state"


def bans_of(config: Config) -> Bans:
    """Return the bans that all processes of a config share."""
    return Bans(state_folder(config))
