"""What all commands share: options for the config, errors as sentences, JSON output."""

import errno
import math
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import click
import orjson
from spreadcore.errors import CoreError, LayoutMismatch, NoRoom, RegionLost, RegionRefused
from spreadcore.ours import no_room

from spreadscan.cli.screen import say
from spreadscan.clock import parse_span
from spreadscan.config import Config, Loaded, load
from spreadscan.credentials import masked
from spreadscan.errors import EXIT_LOST, BadData, ConfigError, SpreadError

EXIT_FAILED, EXIT_USAGE, EXIT_DEGRADED = 1, 2, 3
_NO_ROOM = {errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOMEM}


def config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config FILE (repeatable), --set KEY=VALUE (repeatable) and --instance NAME."""
    for option in (
        click.option("--instance", metavar="NAME", help="Instance in shared memory."),
        click.option(
            "--set",
            "settings",
            metavar="KEY=VALUE",
            multiple=True,
            help="Override a setting, e.g. engine.spin_us=-1. May be repeated.",
        ),
        click.option(
            "-c",
            "--config",
            "files",
            metavar="FILE",
            multiple=True,
            type=click.Path(dir_okay=False),
            help="TOML config; a later one wins. May be repeated.",
        ),
    ):
        command = option(command)
    return command


def loaded(files: tuple[str, ...], settings: tuple[str, ...], instance: str | None) -> Loaded:
    """Return the effective settings of a command line."""
    flags: dict[str, Any] = flags_of(settings)
    if instance is not None:
        flags["instance"] = f'"{instance}"'
    return load(files, flags)


def flags_of(settings: tuple[str, ...]) -> dict[str, str]:
    """Return --set KEY=VALUE by key; ConfigError for one without '='."""
    flags = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ConfigError(f"--set {setting}: no '=', expected KEY=VALUE")
        flags[key.strip()] = value.strip()
    return flags


def read_config(files: tuple[str, ...], settings: tuple[str, ...], instance: str | None) -> Config:
    return loaded(files, settings, instance).config


def read_speed(text: str) -> float:
    """Return recorded seconds in a second, infinite for 'max'. ConfigError for what is neither."""
    try:
        speed = math.inf if text == "max" else float(text)
    except ValueError:
        speed = math.nan
    if speed > 0.0:
        return speed
    raise ConfigError(f"speed: found {text!r}, expected a number above 0 or max")


def read_end(span: str | None, until: str | None) -> datetime | None:
    """Return the UTC time of --for or --until, None for neither; ConfigError for what is none."""
    if span is not None and until is not None:
        raise ConfigError(f"--for {span} and --until {until}, expected one of the two")
    if span is not None:
        if (length := parse_span(span)) is None:
            raise ConfigError(f"--for: found {span!r}, expected a time as 90s, 10m, 24h or 7d")
        return datetime.now(UTC) + length
    if until is None:
        return None
    try:
        found = datetime.fromisoformat(until)
    except ValueError:
        raise ConfigError(
            f"--until: found {until!r}, expected a UTC time as 2026-11-20T12:00"
        ) from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def serve_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --serve, and --port, --host and --write-config that belong to it."""
    for option in (
        click.option(
            "--write-config", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
            help="Serve: write the addresses as a TOML config once every port is open.",
        ),
        click.option(
            "--host", default="127.0.0.1", show_default=True, help="Serve: address to listen on."
        ),
        click.option(
            "--port", default=18080, show_default=True,
            help="Serve: first of the ports (+ source id); 0 takes any free ones.",
        ),
        click.option(
            "--serve", "serving", is_flag=True,
            help="Serve the recording by the venues' own protocols, until Ctrl-C. It begins a "
            "second after the first clients have subscribed; who comes later gets the last "
            "quotes first. Needs a recording of `spreadscan record`.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def data_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --data DIR, --since WHEN and --json, for what reads the tracker's files."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object only."),
        click.option(
            "--since",
            metavar="WHEN",
            help="Leave out what is older: 90m, 24h, 7d, or a UTC time as 2026-11-20T12:00.",
        ),
        click.option(
            "--data",
            metavar="DIR",
            type=click.Path(path_type=Path),
            help="Folder of the tracker's files; by default paths.data of the config.",
        ),
    ):
        command = option(command)
    return command


def need(extra: str, *modules: str) -> None:
    """Refuse to go on without an optional library; ConfigError names the extra that has it."""
    for module in modules:
        if find_spec(module) is None:
            raise ConfigError(
                f"{extra}: {module} is not installed, expected it: "
                f"pip install 'spreadscan[{extra}]'"
            )


def print_json(value: Any, *, indent: bool = False) -> None:
    """Print one JSON object on one line (or indented), NaN as null, without credentials."""
    option = orjson.OPT_INDENT_2 if indent else 0
    click.echo(orjson.dumps(masked(value), default=str, option=option).decode())


def stop_with(error: Exception) -> NoReturn:
    """Print the error as a sentence and exit.

    2 for what people mend: config, usage, files that are not ours, room, and what another version
    of the program made; 4 for an instance that was lost while in use; else 1.
    """
    say(f"spreadscan: {error}", err=True)
    if isinstance(error, RegionLost):
        sys.exit(EXIT_LOST)
    mended = isinstance(error, (ConfigError, BadData, LayoutMismatch, NoRoom, RegionRefused))
    sys.exit(EXIT_USAGE if mended else EXIT_FAILED)


class SentenceGroup(click.Group):
    """A group whose commands never show a traceback for what a user can cause."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (SpreadError, CoreError) as error:
            stop_with(error)
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            stop_with(no_room(error, error.filename or "the machine", "room to go on"))
        except KeyboardInterrupt:
            sys.exit(130)
