"""Hosts that told us to stay away, in one small file each, so that a restart obeys them too.

Every process of an address obeys what one of them met: feeds, funding polls and discovery look
here before they connect or ask. A ban ends by the wall clock, for it outlives a boot; a block of
the region has no end and is lifted when a feed starts. Files are replaced whole; of two writers
at once the last one stays, and each of them was told about the same end.
"""

import logging
import math
import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from spreadscan.config import Config
from spreadscan.errors import RateLimited, RegionBlocked, SpreadError
from spreadscan.logs import facts

log = logging.getLogger(__name__)

_PREFIX = "ban-"
_LONGEST_S = 4 * 86_400.0  # Binance's longest ban is three days; a typing error may say 300 years
_SAME = timedelta(seconds=1)


class Ban(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One host. until: UTC, None for a block of the region; reason: the venue's answer."""

    host: str
    until: datetime | None
    reason: str

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
        self._broken: set[Path] = set()  # told of already

    def find(self, url: str) -> Ban | None:
        """Return the ban in force on the host of a URL; a file of one that is over is removed."""
        host = host_of(url)
        ban = self._unwritten.get(host) or self._read(self._path(host))
        if ban and ban.left_s(self._utc_s()) <= 0:
            self._forget(ban)
            return None
        return ban

    def left_s(self, url: str) -> float:
        """Return for how long to leave the host of a URL alone; 0 = it may be asked."""
        ban = self.find(url)
        return ban.left_s(self._utc_s()) if ban else 0.0

    def check(self, url: str) -> None:
        """Raise RateLimited or RegionBlocked while a ban is in force; after_s is what is left."""
        if ban := self.find(url):
            raise ban.error(url, self._utc_s())

    def note(self, url: str, error: Exception) -> None:
        """Keep what an error says of its host, if it says anything; one log line each time."""
        if isinstance(error, RateLimited) and error.after_s > 0:
            end_s = self._utc_s() + min(error.after_s, _LONGEST_S)
            until = datetime.fromtimestamp(end_s, UTC)
        elif isinstance(error, RegionBlocked):
            until = None
        else:
            return
        ban, standing = Ban(host_of(url), until, str(error)), self.find(url)
        if standing and (standing.until is None or (until and standing.until >= until)):
            return  # known, and no shorter
        self._write(ban)
        if standing and until and standing.until and until - standing.until < _SAME:
            return  # the sockets of one moment were told one after the other
        told = facts(host=ban.host, until=until.isoformat() if until else "", reason=ban.reason)
        if until:
            log.warning("host to be left alone", extra=told)
        else:
            log.error("host refuses our region", extra=told)

    def lift_block(self, url: str) -> None:
        """Forget a block of the region (not a ban): somebody may have mended its cause."""
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

    def _read(self, path: Path) -> Ban | None:
        try:
            ban = msgspec.json.decode(path.read_bytes(), type=Ban)
            if ban.until is not None and ban.until.tzinfo is None:
                raise msgspec.ValidationError(f"until {ban.until} has no zone, expected UTC")
            if self._path(ban.host) != path:
                raise msgspec.ValidationError(f"host {ban.host!r}, expected that of its name")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
            if path not in self._broken:
                self._broken.add(path)
                text = f"{error}, expected a ban; it is ignored"
                log.warning("ban file unreadable", extra=facts(path=str(path), error=text))
            return None
        return ban

    def _write(self, ban: Ban) -> None:
        path = self._path(ban.host)
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(ban) + b"\n")
            temporary.rename(path)
        except OSError as error:
            self._unwritten[ban.host] = ban
            log.warning("ban not written", extra=facts(path=str(path), error=str(error)))

    def _forget(self, ban: Ban) -> None:
        self._unwritten.pop(ban.host, None)
        try:
            self._path(ban.host).unlink(missing_ok=True)
        except OSError as error:
            log.warning("ban file stays", extra=facts(host=ban.host, error=str(error)))


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
