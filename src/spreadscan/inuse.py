"""What a running scanner leaves beside its instance, for whoever attaches: settings and more.

Files of the instance's folder, which nobody else may enter, readable by their owner alone and
replaced whole. They say nothing once nothing runs: a scanner that starts writes them anew.
"""

import os
import shlex
import sys
import time
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec
from spreadcore import Instance
from spreadcore.errors import CoreError, RegionMissing
from spreadcore.health import Health
from spreadcore.lease import lease_held
from spreadcore.ours import read_ours
from spreadcore.region import ROOT, instance_dir

from spreadscan.catalogue import built_in
from spreadscan.clock import iso_utc
from spreadscan.config import (
    Config,
    as_toml,
    flat,
    from_tree,
    with_absolute_paths,
)
from spreadscan.disk import whole
from spreadscan.errors import ConfigError
from spreadscan.lists import Edge, Lists, Origin, n_proven

T = TypeVar("T")

_PREFIX = "spreadscan-"
_SHOWN = 3  # of other scanners, in a hint
_SETTINGS = "settings.toml"
_LISTS = "lists.json"
_MAINTENANCE = "maintenance.json"
_LOST = "lost.json"
_CLOCKS = "clocks.json"
_WORKERS = ("supervisor", "tracker", "engine", "audit")  # beside the sources


class InUse(NamedTuple):
    """The settings of a scanner. given: as it has them; config: with its paths absolute.

    origins: where each value came from that is no default. started: UTC.
    """

    config: Config
    given: Config
    origins: dict[str, str]
    pid: int
    started: str
    command: str


class ListsInUse(msgspec.Struct, frozen=True, kw_only=True):
    """The set that everyone was asked to take last. listed: pairs proven to quote, by source."""

    generation: int
    written: str
    names: tuple[str, ...]
    retired: frozenset[int]
    retired_unix_s: dict[int, int]
    edges: tuple[Edge, ...] = ()
    origin: Origin | None = None
    listed: dict[str, int] = {}


class _Listed(msgspec.Struct, frozen=True):
    """As much of ListsInUse as says how many pairs sources have: the rest is passed over."""

    listed: dict[str, int] = {}


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """Maintenance that a venue announces. begin_ns, end_ns: Unix, 0 where it does not say.

    source: through which it was learnt; it may speak of the whole exchange. what: the services.
    """

    source: str
    state: Literal["scheduled", "ongoing"]
    title: str
    begin_ns: int
    end_ns: int
    what: str


class Lost(msgspec.Struct, frozen=True, kw_only=True):
    """A source of which no prices come. since_ns: CLOCK_BOOTTIME."""

    source: str
    since_ns: int
    why: str


class MeasuredClock(msgspec.Struct, frozen=True, kw_only=True):
    """How far our clock was ahead of a venue's, known to unsure_ms; at_ns: CLOCK_BOOTTIME."""

    ahead_ms: float
    unsure_ms: float
    at_ns: int


def held_roles(directory: str) -> list[str]:
    """Return the roles that run in an instance's directory, of whatever settings and version."""
    roles = (*_WORKERS, *built_in().source)
    return [role for role in roles if lease_held(directory, role)]


def leave_clocks(instance: Instance, clocks: Mapping[str, MeasuredClock]) -> None:
    """Leave how far our clock is ahead of each venue's, by source."""
    _replace(Path(instance.directory, _CLOCKS), msgspec.json.encode(clocks))


def clocks_measured(instance: Instance) -> dict[str, MeasuredClock]:
    """Return by source how far our clock was ahead; nothing where it is not known."""
    return _left(instance, _CLOCKS, dict[str, MeasuredClock]) or {}


def instances() -> list[str]:
    """Return the names of the instances that there are, of whatever version and owner."""
    try:
        found = os.listdir(ROOT)
    except OSError:
        return []
    return sorted(name.removeprefix(_PREFIX) for name in found if name.startswith(_PREFIX))


def named(instance: str) -> str:
    """Return the option that a hint needs for an instance, '' for the one that needs none."""
    return "" if instance == Config().instance else f" --instance {instance}"


def elsewhere(instance: str) -> str:
    """Return a hint for whoever looked for a scanner in an instance where none is."""
    running = [name for name in instances() if name != instance and _runs(name)]
    if not running:
        return f"no scanner runs: `spreadscan run{named(instance)}` starts one"
    more = f", and {len(running) - _SHOWN} more" if len(running) > _SHOWN else ""
    names = ", ".join(f"{name} (--instance {name})" for name in running[:_SHOWN])
    return f"there runs: {names}{more}"


def _runs(name: str) -> bool:
    try:
        return bool(held_roles(instance_dir(name)))
    except CoreError:  # somebody else's, or not a name that we would give
        return False


def health_slot(health: Health, config: Config, role: str) -> int:
    """Return the number of a role's slot in the health section: a source's is its id."""
    source = config.catalogue.source.get(role)
    return int(health.role(role)) if source is None else source.id


def leave_settings(instance: Instance, config: Config, origins: Mapping[str, str]) -> None:
    """Leave the settings that this process runs with. ConfigError where there is no room."""
    folder = os.getcwd()
    head = {
        "pid": os.getpid(),
        "started": iso_utc(time.time_ns()),
        "command": shlex.join(["spreadscan", *sys.argv[1:]]),
        "folder": folder,
    }
    lines = [
        "# The settings of the scanner that runs, or ran last; its paths are relative to `folder`.",
        *(f"{key} = {_text(value)}" for key, value in head.items()),
        "",
        "[origins]  # of what is no default",
        *(f"{_text(key)} = {_text(origin)}" for key, origin in sorted(origins.items())),
        "",
        "[settings]",
        as_toml(config),
    ]
    _replace(Path(instance.directory, _SETTINGS), "\n".join(lines).encode())


def settings_stamp(instance: Instance) -> int:
    """Return a number that is another one once settings are left anew, 0 before any."""
    try:
        return os.stat(Path(instance.directory, _SETTINGS)).st_mtime_ns
    except OSError:
        return 0


def settings_in_use(instance: Instance) -> InUse | None:
    """Return the settings of the scanner that runs or ran last, None before any.

    ConfigError where they are not of this version, RegionRefused where they are not safely ours.
    """
    path = Path(instance.directory, _SETTINGS)
    try:
        tree = tomllib.loads(read_ours(path).decode())
        given = _of_this_version(tree["settings"], str(path))
        return InUse(
            config=with_absolute_paths(given, tree["folder"]),
            given=given,
            origins=dict(tree["origins"]),
            pid=tree["pid"],
            started=tree["started"],
            command=tree["command"],
        )
    except RegionMissing:
        return None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise ConfigError(f"{path}: {error!r}, expected the settings of a scanner") from None


def _of_this_version(tree: dict[str, Any], path: str) -> Config:
    try:
        return from_tree(tree, path)
    except ConfigError as error:
        raise ConfigError(
            f"{error}: the scanner there is of another version: use the commands of that one, or "
            "start it anew"
        ) from None


def unlike(in_use: InUse, own: Config, origins: Mapping[str, str]) -> list[str]:
    """Return what was given here (origins) and is another in use: a text for each setting."""
    here = flat(with_absolute_paths(own, os.getcwd()))
    there = flat(in_use.config)
    return [
        f"{key} is {_text(there.get(key))} ({in_use.origins.get(key, 'default')}), not "
        f"{_text(here[key])} ({origin})"
        for key, origin in origins.items()
        if key in here and key != "instance" and here[key] != there.get(key)
    ]


def leave_lists(instance: Instance, lists: Lists) -> None:
    """Leave which set everyone is asked to take."""
    kept = ListsInUse(
        generation=lists.generation,
        written=lists.written,
        names=lists.names,
        retired=lists.retired,
        retired_unix_s=lists.retired_unix_s,
        edges=lists.edges,
        origin=lists.origin,
        listed={name: n_proven(lists, name) for name in lists.sources},
    )
    _replace(Path(instance.directory, _LISTS), msgspec.json.encode(kept))


def lists_in_use(instance: Instance) -> ListsInUse | None:
    """Return the set of the scanner that runs or ran last, None where it is not known."""
    return _left(instance, _LISTS, ListsInUse)


def listed_in_use(instance: Instance) -> dict[str, int]:
    """Return by source how many pairs of its list were proven to quote; nothing: not known."""
    found = _left(instance, _LISTS, _Listed)
    return found.listed if found else {}


def leave_maintenance(instance: Instance, announced: Sequence[Announced]) -> None:
    """Leave what the venues announce."""
    _replace(Path(instance.directory, _MAINTENANCE), msgspec.json.encode(announced))


def maintenance_announced(instance: Instance) -> list[Announced]:
    """Return what the venues announced when they were asked last; nothing where it is not known."""
    return _left(instance, _MAINTENANCE, list[Announced]) or []


def leave_lost(instance: Instance, lost: Iterable[Lost]) -> None:
    """Leave which sources are lost."""
    _replace(Path(instance.directory, _LOST), msgspec.json.encode(list(lost)))


def lost_sources(instance: Instance) -> list[Lost]:
    """Return the sources that were lost when somebody looked last; nothing where nobody did."""
    return _left(instance, _LOST, list[Lost]) or []


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _left(instance: Instance, name: str, kind: type[T]) -> T | None:
    """Return what a file beside the instance holds, None where it is not there, or not of ours."""
    with suppress(OSError, CoreError, msgspec.DecodeError):
        return msgspec.json.decode(read_ours(Path(instance.directory, name)), type=kind)
    return None


def _replace(path: Path, content: bytes) -> None:
    try:
        whole.replace(path, content, mode=0o600)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}, expected room beside the instance") from None
