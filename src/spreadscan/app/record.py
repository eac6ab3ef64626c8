"""A recording beside a running scan: asks the feeds, watches over its folder, closes it.

The feeds record while this process lives; docs/recordings.md says what lies in the folder.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from spreadcore import Instance

from spreadscan import __version__
from spreadscan.app.build import live_roles
from spreadscan.clock import UtcClock, iso_utc, now_ns
from spreadscan.config import Config, as_toml
from spreadscan.disk import whole
from spreadscan.errors import BadData, BadGenerated, ConfigError
from spreadscan.inuse import settings_in_use
from spreadscan.lists import read_files, read_metadata
from spreadscan.logs import facts
from spreadscan.recordings import Recording, request
from spreadscan.recordings.format import ABOUT, ENDING, FRAMES, About, Span

log = logging.getLogger(__name__)

_COPY_TRIES, _COPY_WAIT_S = 5, 0.2
_CLOSE_WITHIN_S = 10.0
_BYTES_PER_GB = 1_000_000_000


class Progress(NamedTuple):
    """How a recording goes, by source: being recorded now, frames so far; and its size."""

    recording: dict[str, bool]
    frames: dict[str, int]
    dropped: dict[str, int]
    n_bytes: int


class RecordingRun:
    """One recording of a running instance. begin(), look() about once a second, end().

    folder: new or empty. sources: those of the config by default. ConfigError where nothing runs
    or the folder is in use; LeaseHeld where another recording runs.
    """

    def __init__(
        self, instance: Instance, config: Config, folder: Path,
        sources: Sequence[str] = (), max_gb: float | None = None,
    ) -> None:  # fmt: skip
        self.sources = _chosen(sources, live_roles(instance), config)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder}: in use already, expected a new or empty folder")
        self.folder = folder.resolve()
        self._instance = instance
        self._config = config
        self._max_bytes = int((config.record.max_gb if max_gb is None else max_gb) * _BYTES_PER_GB)
        self._removed: list[str] = []
        self._generation = 0
        self._n_bytes = 0
        self._troubled = False
        self._started_ns = now_ns()
        self._utc_offset_ns = UtcClock().offset_ns()
        self._before: dict[str, dict[str, int]] = {}

    def begin(self) -> None:
        """Write the folder's head and ask the feeds."""
        self._lease = self._instance.lease(request.ROLE)
        try:
            (self.folder / FRAMES).mkdir(parents=True, exist_ok=True)
            in_use = settings_in_use(self._instance)
            settings = as_toml(in_use.given if in_use else self._config, mask=True)
            whole.replace(self.folder / "config.toml", settings.encode())
            self._copy_lists()
            self._write_about()
        except OSError as error:
            path = error.filename or self.folder
            raise ConfigError(f"{path}: {error.strerror}, expected to write there") from None
        self._before = {name: self._counters(name) for name in self.sources}
        asking = request.Request(
            folder=str(self.folder), sources=self.sources, started_ns=self._started_ns
        )
        request.ask(self._instance, asking)

    def keep_up(self) -> Progress:
        """Remove what is beyond the size, take newer lists over, and say how it goes.

        Whatever the disk or the lists refuse meanwhile: the feeds go on, and it is tried again.
        """
        try:
            self._n_bytes = self._make_room(_files(self.folder))
            self._copy_lists()
        except (OSError, BadGenerated) as error:
            if not self._troubled:
                log.warning("recording: not up to date", extra=facts(error=str(error)))
            self._troubled = True
        else:
            self._troubled = False
        return self._progress(self._n_bytes)

    def end(self, within_s: float = _CLOSE_WITHIN_S) -> tuple[Progress, list[str]]:
        """Take the request back, wait for the files; return how it went, and who is late.

        ConfigError where the disk has no room for the totals; the frames are there.
        """
        request.withdraw(self._instance)
        deadline_s = time.monotonic() + within_s
        while (late := self._open()) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        self._lease.close()
        done = self._progress(sum(size for _, size in _files(self.folder)))
        try:
            self._write_about(iso_utc(time.time_ns()), done)
        except OSError as error:
            raise ConfigError(
                f"{self.folder / ABOUT}: {error.strerror}, expected room for the totals; the "
                "recording is whole but for them"
            ) from None
        return done, late

    @property
    def instance_lives(self) -> bool:
        """False once no feed runs any more."""
        return any(self._instance.lease_held(name) for name in self.sources)

    def _open(self) -> list[str]:
        """Return the sources whose feeds live and have not closed their files."""
        return [
            name for name in self.sources
            if self._counters(name)["recording"] and self._instance.lease_held(name)
        ]  # fmt: skip

    def _counters(self, source: str) -> dict[str, int]:
        return self._instance.health.counters(self._config.catalogue.source[source].id)

    def _progress(self, n_bytes: int) -> Progress:
        now = {name: self._counters(name) for name in self.sources}
        return Progress(
            {name: bool(now[name]["recording"]) for name in self.sources},
            {name: now[name]["recorded"] - self._before[name]["recorded"] for name in self.sources},
            {
                name: now[name]["unrecorded"] - self._before[name]["unrecorded"]
                for name in self.sources
            },
            n_bytes,
        )

    def _make_room(self, files: list[tuple[Path, int]]) -> int:
        """Remove the oldest files beyond the size, never the newest of a source."""
        n_bytes = sum(size for _, size in files)
        newest = {path.name.rsplit("-", 3)[0]: path for path, _ in files}
        for path, size in files:
            if n_bytes <= self._max_bytes:
                break
            if path not in newest.values():
                path.unlink()
                n_bytes -= size
                self._removed.append(path.name)
                log.warning("oldest part of the recording removed", extra=facts(file=path.name))
        if self._removed:
            self._write_about()
        return n_bytes

    def _copy_lists(self) -> None:
        """Copy the generated set, where it is another than the one here."""
        for attempt in range(_COPY_TRIES):
            try:
                if read_metadata(self._config.paths.generated).generation == self._generation:
                    return
                metadata, contents = read_files(self._config.paths.generated)
                break
            except BadGenerated:  # it is being written now
                if attempt == _COPY_TRIES - 1:
                    raise
                time.sleep(_COPY_WAIT_S)
        to = self.folder / "generated"
        for name, content in contents.items():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            whole.replace(to / name, content)
        self._generation = metadata.generation

    def _write_about(self, ended: str = "", done: Progress | None = None) -> None:
        about = About(
            made_by=f"spreadscan {__version__}",
            instance=self._instance.name,
            boot_id=Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip(),
            utc_offset_ns=self._utc_offset_ns,
            started=iso_utc(self._started_ns + self._utc_offset_ns),
            ended=ended,
            sources=self.sources,
            audited=self._config.audit.enabled,
            frames=done.frames if done else {},
            dropped=done.dropped if done else {},
            spans=_spans(self.folder) if done else {},
            removed_files=tuple(self._removed),
        )
        content = msgspec.json.format(msgspec.json.encode(about)) + b"\n"
        whole.replace(self.folder / ABOUT, content)


def _chosen(wanted: Sequence[str], live: Sequence[str], config: Config) -> tuple[str, ...]:
    feeds = [name for name in live if name in config.catalogue.source]
    for name in wanted:
        if name not in feeds:
            raise ConfigError(f"source {name!r}: not running, expected one of {', '.join(feeds)}")
    if not feeds:
        raise ConfigError("no feed is running, expected at least one")
    return tuple(wanted) or tuple(feeds)


def _spans(folder: Path) -> dict[str, Span]:
    try:
        return Recording(folder).spans()
    except BadData:  # not a whole file in it
        return {}


def _files(folder: Path) -> list[tuple[Path, int]]:
    """Return the files of frames with their sizes, the oldest first."""
    found = []
    for path in (folder / FRAMES).glob(f"*{ENDING}"):
        status = path.stat()
        found.append((status.st_mtime_ns, path, status.st_size))
    return [(path, size) for _, path, size in sorted(found)]
