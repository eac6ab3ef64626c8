"""What an operator switched off, in shared memory and on the disk.

The words of shared memory are what the engine goes by. The file in the data folder is what is left
where an instance is made anew, or the machine started again; whoever starts a scanner puts its
words back. A switch goes off in memory first and on the disk then, and on again the other way
round: dying in between, or on a full disk, leaves it off.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from spreadcore import Instance
from spreadcore.errors import LeaseHeld
from spreadcore.lease import Lease

from spreadscan.clock import UtcClock, now_ns
from spreadscan.config import Config
from spreadscan.disk import whole
from spreadscan.errors import ConfigError

_WRITER_WITHIN_S = 2.0  # another one writes for so long at most, unless its disk hangs


class Killed(msgspec.Struct, frozen=True, kw_only=True):
    """A thrown kill switch. since: UTC; None: whoever threw it died before it could say."""

    since: datetime | None
    reason: str

    def __str__(self) -> str:
        since = f" since {self.since:%Y-%m-%dT%H:%M:%SZ}" if self.since else ""
        return f"KILLED{since}" + (f": {self.reason}" if self.reason else "")


class Switches(msgspec.Struct, frozen=True, kw_only=True):
    """What is off. kill: None where it is not thrown."""

    kill: Killed | None = None


def path_of(config: Config) -> Path:
    """Return the file that keeps an instance's switches."""
    return Path(config.paths.data, "state", f"control-{config.instance}.json")


def on_disk(config: Config) -> Switches:
    """Return what the file says. ConfigError where it cannot be read: nobody knows then."""
    path = path_of(config)
    try:
        return msgspec.json.decode(path.read_bytes(), type=Switches)
    except FileNotFoundError:
        return Switches()
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(
            f"{path}: {error}, expected what is switched off; mend it, or remove it where "
            "nothing is"
        ) from None


def killed(instance: Instance) -> Killed | None:
    """Return the kill that holds, None where nothing is killed."""
    control = instance.control
    if not control.kill:
        return None
    at_ns = control.kill_at_ns
    since = datetime.fromtimestamp(UtcClock().utc_ns(at_ns) / 1e9, UTC) if at_ns else None
    return Killed(since=since, reason=control.kill_reason)


def kill(instance: Instance, config: Config, reason: str) -> bool:
    """Throw the kill switch; False where it was thrown before, which keeps its reason.

    It holds from the first line on; ConfigError says where it could not be kept on the disk.
    """
    reason = _one_line(reason)
    thrown: bool = instance.control.throw_kill(now_ns(), reason)
    with _writer(instance):
        _keep_kill(instance, config, reason if thrown else None)
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


def restore(instance: Instance, config: Config) -> None:
    """Have in memory and on the disk what either has: at the start of a scanner.

    instance: its control section is mapped for writing. ConfigError as on_disk().
    """
    with _writer(instance):
        if kill := on_disk(config).kill:
            at_ns = _boottime_ns(kill.since) if kill.since else now_ns()
            instance.control.throw_kill(at_ns, kill.reason)
        _keep_kill(instance, config, None)


def _keep_kill(instance: Instance, config: Config, reason: str | None) -> None:
    """Write what memory says, where the disk does not. reason: the whole one, where it is known."""
    found, held = on_disk(config), killed(instance)
    if held and not found.kill:
        kept = held if reason is None else msgspec.structs.replace(held, reason=reason)
        _keep(config, msgspec.structs.replace(found, kill=kept))


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
            f"{path}: {error.strerror}, expected room for what is switched off: the running "
            "scanner obeys, one that is made anew would not know"
        ) from None


def _one_line(reason: str) -> str:
    """Return what somebody typed as text for logs, screens and files."""
    return " ".join("".join(c if c.isprintable() else " " for c in reason).split())


def _boottime_ns(utc: datetime) -> int:
    """Return the CLOCK_BOOTTIME of a UTC time that is over; now where it reads as in the future."""
    now = now_ns()
    age_ns = UtcClock().utc_ns(now) - int(utc.timestamp() * 1e9)
    return now - max(0, age_ns)
