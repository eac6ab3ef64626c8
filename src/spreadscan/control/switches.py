"""What an operator switched off, in shared memory and on the disk: the kill switch and pauses.

The words of shared memory are what the engine goes by. The file in the data folder is what is left
where an instance is made anew, or the machine started again; whoever starts a scanner, or brings
new lists, puts its words back. A kill is in memory first and on the disk then, and is cleared the
other way round: dying in between, or on a full disk, leaves it thrown. Of pauses memory says what
the file does.
"""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from spreadcore import Instance
from spreadcore.errors import LeaseHeld
from spreadcore.lease import Lease

from spreadscan.clock import UtcClock, now_ns
from spreadscan.config import Config
from spreadscan.disk import whole
from spreadscan.errors import ConfigError, printable
from spreadscan.inuse import lists_in_use
from spreadscan.logs import facts

log = logging.getLogger(__name__)

Moment = Annotated[datetime, msgspec.Meta(tz=True)]  # with its offset from UTC
ALL = "all"  # what a pause of everything is of
_FOR_EVER_NS = 1 << 62
Kind = Literal["source", "class", "edge"]
_WRITER_WITHIN_S = 2.0  # another one writes for so long at most, unless its disk hangs


class Killed(msgspec.Struct, frozen=True, kw_only=True):
    """A thrown kill switch. since: None: whoever threw it died before it could say."""

    since: Moment | None
    reason: str

    def __str__(self) -> str:
        since = f" since {_shown(self.since)}" if self.since else ""
        return f"KILLED{since}" + (f": {self.reason}" if self.reason else "")


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """No new signals of something: 'all', or the name of a source, a direction or a pair.

    until: None: until somebody ends it.
    """

    of: str
    since: Moment
    until: Moment | None = None
    reason: str = ""

    @property
    def why(self) -> str:
        """Return until when it is, and what for; empty where neither is said."""
        until = f"until {_shown(self.until)}" if self.until else ""
        return ", ".join(filter(None, [until, self.reason]))

    @property
    def is_over(self) -> bool:
        """Return whether it has ended by itself."""
        return self.until is not None and self.until <= datetime.now(UTC)

    def __str__(self) -> str:
        why = f": {self.why}" if self.why else ""
        return f"paused since {_shown(self.since)}: {self.of}{why}"


class Switches(msgspec.Struct, frozen=True, kw_only=True):
    """What is off. kill: None where it is not thrown."""

    kill: Killed | None = None
    pauses: tuple[Pause, ...] = ()


def path_of(config: Config) -> Path:
    """Return the file that keeps an instance's switches."""
    return Path(config.paths.data, "state", f"control-{config.instance}.json")


def on_disk(config: Config) -> Switches:
    """Return what the file says. ConfigError where it cannot be read: nobody knows then."""
    path = path_of(config)
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Switches)
    except FileNotFoundError:
        return Switches()
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{path}: {error}, expected what is switched off; mend it, or remove it where "
            "nothing is"
        ) from None
    return msgspec.structs.replace(
        found, pauses=tuple(pause for pause in found.pauses if not pause.is_over)
    )


# -- the kill switch


def killed(instance: Instance) -> Killed | None:
    """Return the kill that holds, None where nothing is killed."""
    control = instance.control
    if not control.kill:
        return None
    at_ns = control.kill_at_ns
    return Killed(since=_utc(at_ns) if at_ns else None, reason=control.kill_reason)


def kill(instance: Instance, config: Config, reason: str) -> bool:
    """Throw the kill switch; False where it was thrown before, which keeps its reason.

    It holds from the first line on; ConfigError says where it could not be kept on the disk.
    """
    reason = _one_line(reason)
    thrown: bool = instance.control.throw_kill(now_ns(), reason)
    try:
        with _writer(instance):
            _keep_kill(instance, config, reason if thrown else None)
    except ConfigError as error:
        raise ConfigError(
            f"KILLED, but not on the disk, so an instance that is made anew would not be: {error}"
        ) from None
    return thrown


def clear_kill(instance: Instance, config: Config, reason: str) -> None:
    """Let signals leave again. ConfigError where nothing is killed, or the disk keeps it so."""
    with _writer(instance):
        if not killed(instance):
            raise ConfigError(
                f"instance {instance.name!r}: not killed, expected a thrown kill switch"
            )
        found = on_disk(config)
        if found.kill:
            _keep(config, msgspec.structs.replace(found, kill=None))
        instance.control.clear_kill(_one_line(reason))


def _keep_kill(instance: Instance, config: Config, reason: str | None) -> None:
    """Write what memory says, where the disk does not. reason: the whole one, where it is known."""
    found, held = on_disk(config), killed(instance)
    if held and not found.kill:
        kept = held if reason is None else msgspec.structs.replace(held, reason=reason)
        _keep(config, msgspec.structs.replace(found, kill=kept))


# -- pauses


def pause(
    instance: Instance, config: Config, of: str, until: datetime | None, reason: str = ""
) -> Pause:
    """Let no new signal of something leave until then; a pause of the same is replaced.

    ConfigError where nothing in use has that name, or the time is over.
    """
    _words_of(instance, config, of)
    made = Pause(of=of, since=datetime.now(UTC), until=until, reason=_one_line(reason))
    if made.is_over:
        raise ConfigError(f"pause: until {_shown(made.until)}, expected a time to come")
    with _writer(instance):
        found = on_disk(config)
        pauses = (*(other for other in found.pauses if other.of != of), made)
        _keep(config, msgspec.structs.replace(found, pauses=pauses))
        _set_words(instance, config, pauses)
    return made


def resume(instance: Instance, config: Config, of: str | None = None) -> list[Pause]:
    """End a pause, or all of them; return those that were. ConfigError where there is none."""
    with _writer(instance):
        found = on_disk(config)
        ended = [p for p in found.pauses if of is None or p.of == of]
        if of is not None and not ended:
            names = ", ".join(p.of for p in found.pauses) or "nothing"
            raise ConfigError(f"resume: {of!r} is not paused, expected one of: {names}")
        left = tuple(p for p in found.pauses if p not in ended)
        if ended:
            _keep(config, msgspec.structs.replace(found, pauses=left))
        _set_words(instance, config, left)
    return ended


def switch_on(
    instance: Instance, config: Config, of: str | None, after_kill: str | None
) -> dict[str, Any]:
    """End pauses, or with a reason a kill; return what was `ended`, and what is `left` paused.

    ConfigError where that is not so, or a kill would be cleared without a reason.
    """
    ended: list[Pause] = []
    if after_kill is not None:
        if of is not None:
            raise ConfigError(f"resume: {of!r} with a kill, expected one of the two")
        clear_kill(instance, config, after_kill)
    elif kill := killed(instance):
        raise ConfigError(
            f"instance {instance.name!r}: {kill}, expected no kill: "
            f"`spreadscan ctl resume --after-kill WHY --instance {instance.name}`"
        )
    else:
        ended = resume(instance, config, of)
    left = on_disk(config).pauses
    return {"ended": ended, "left": left, "kill_cleared": after_kill is not None}


class Watch:
    """What is paused, as the file says, for who asks many times a second."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._path = path_of(config)
        self._stamp: tuple[int, int] | None = None
        self._pauses: tuple[Pause, ...] = ()

    def __call__(self) -> Mapping[str, str]:
        """Return why something is paused, by what it is. A file that nobody can read: as before."""
        try:
            stat = self._path.stat()
            stamp = stat.st_mtime_ns, stat.st_ino
        except FileNotFoundError:
            self._stamp, self._pauses = None, ()
        except OSError as error:  # a folder that may not be entered, a disk that hangs
            if self._stamp:
                self._stamp = None
                log.error("switches cannot be read", extra=facts(error=str(error)))
        else:
            if stamp != self._stamp:
                self._stamp = stamp
                self._read()
        return {pause.of: pause.why for pause in self._pauses if not pause.is_over}

    def _read(self) -> None:
        try:
            self._pauses = on_disk(self._config).pauses
        except ConfigError as error:
            log.error("switches cannot be read", extra=facts(error=str(error)))


# -- starting


def restore(instance: Instance, config: Config) -> None:
    """Have in memory and on the disk what either has: at the start of a scanner, or with new lists.

    instance: its control and pauses are mapped for writing. ConfigError as on_disk().
    """
    with _writer(instance):
        found = on_disk(config)
        if found.kill:
            at_ns = _boottime_ns(found.kill.since) if found.kill.since else now_ns()
            instance.control.throw_kill(min(at_ns, now_ns()), found.kill.reason)
        _keep_kill(instance, config, None)
        _set_words(instance, config, found.pauses)


def _set_words(instance: Instance, config: Config, pauses: tuple[Pause, ...]) -> None:
    """Let memory say what these pauses do, and nothing else."""
    times: dict[Kind, dict[int, int]] = {"source": {}, "class": {}, "edge": {}}
    everything: Pause | None = None
    for each in pauses:
        everything = each if each.of == ALL else everything
        try:
            words = _words_of(instance, config, each.of)
        except ConfigError:
            continue  # not in use any more, or not yet: it holds once it is
        for kind, numbers in words.items():
            for number in numbers:
                times[kind][number] = max(times[kind].get(number, 0), _until_ns(each))
    if everything:
        instance.control.pause_until(_until_ns(everything) if everything.until else 0)
    else:
        instance.control.pause = False
    for kind, of_kind in times.items():
        instance.pauses.set_all(kind, of_kind)


def _words_of(instance: Instance, config: Config, of: str) -> dict[Kind, list[int]]:
    """Return the words of the pauses section that something has, by their kind.

    A pair has those of the edges in use that stand on it. ConfigError for what nothing is called.
    """
    sources = {name: config.catalogue.source[name].id for name in config.sources}
    directions = {direction.name: direction.id for direction in config.enabled_directions}
    if of == ALL:
        return {}
    if of in sources:
        return {"source": [sources[of]]}
    if of in directions:
        return {"class": [directions[of]]}
    lists = lists_in_use(instance)
    names = lists.names if lists else ()
    edges = lists.edges if lists else ()
    rows = {row for row, name in enumerate(names) if name == of}
    found = [e.id for e in edges if e.in_use and any(row in rows for _, row in e.slots)]
    if found:
        return {"edge": found}
    known = [ALL, *sources, *directions, *names]
    near = get_close_matches(of, known, 1)
    raise ConfigError(
        f"pause: {of!r} is in use nowhere, expected all, a source, a direction or a pair"
        + (f": {near[0]}?" if near else "")
    )


# -- the file


@contextmanager
def _writer(instance: Instance) -> Iterator[None]:
    """Be the one who reads the file and writes it anew."""
    try:
        lease = Lease(instance.directory, "switches", _WRITER_WITHIN_S)
    except LeaseHeld:
        raise ConfigError(
            f"instance {instance.name!r}: another command has switched something for "
            f"{_WRITER_WITHIN_S:g} s, expected it to be done: try again"
        ) from None
    try:
        yield
    finally:
        lease.close()


def _keep(config: Config, switches: Switches) -> None:
    path = path_of(config)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole.replace(path, msgspec.json.encode(switches), mode=0o600)
    except OSError as error:
        raise ConfigError(
            f"{path}: {error.strerror}, expected room for what is switched off"
        ) from None


def _one_line(reason: str) -> str:
    """Return what somebody typed as text for logs, screens and files."""
    return " ".join(printable(reason).split())


def _shown(utc: datetime | None) -> str:
    return f"{utc.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if utc else ""


def _utc(boottime_ns: int) -> datetime:
    return datetime.fromtimestamp(UtcClock().utc_ns(boottime_ns) / 1e9, UTC)


def _boottime_ns(utc: datetime) -> int:
    now = now_ns()
    return now + int(utc.timestamp() * 1e9) - UtcClock().utc_ns(now)


def _until_ns(pause: Pause) -> int:
    return min(_boottime_ns(pause.until), _FOR_EVER_NS) if pause.until else _FOR_EVER_NS
