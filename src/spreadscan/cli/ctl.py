"""`spreadscan ctl`: look at a running instance and steer it. `top` shows it live."""

import sys
import time
from typing import Any

import click
from spreadcore import Instance

from spreadscan.app import build
from spreadscan.app.status import healthy, status
from spreadscan.cli.options import (
    EXIT_DEGRADED,
    EXIT_FAILED,
    SentenceGroup,
    config_options,
    print_json,
    read_config,
)
from spreadscan.errors import ConfigError

_STOP_WITHIN_S = 6.0


@click.group(cls=SentenceGroup)
def ctl() -> None:
    """Look at a running instance, pause, resume or stop it."""


@ctl.command("status")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def ctl_status(files: Any, settings: Any, instance: Any, as_json: bool) -> None:
    """Print how every role fares. Exit code 3 when one is not running."""
    config = read_config(files, settings, instance)
    found = status(build.open_instance(config, "reader"), config)
    if as_json:
        print_json(found)
    else:
        from rich.console import Console

        from spreadscan.cli.table import status_tables

        console = Console()
        for table in status_tables(found):
            console.print(table)
    sys.exit(0 if healthy(found) else EXIT_DEGRADED)


def _attach(files: Any, settings: Any, instance: Any) -> Instance:
    return build.open_instance(read_config(files, settings, instance), "ctl")


@ctl.command()
@config_options
def pause(files: Any, settings: Any, instance: Any) -> None:
    """Signal nothing new; open tracks go on."""
    _attach(files, settings, instance).control.pause = True
    click.echo("paused")


@ctl.command()
@config_options
def resume(files: Any, settings: Any, instance: Any) -> None:
    """Take up signalling again."""
    _attach(files, settings, instance).control.pause = False
    click.echo("resumed")


@ctl.command()
@config_options
def stop(files: Any, settings: Any, instance: Any) -> None:
    """End every process of the instance, files whole."""
    attached = _attach(files, settings, instance)
    config = read_config(files, settings, instance)
    roles = ("supervisor", "tracker", "engine", *config.sources)
    if not any(map(attached.lease_held, roles)):
        raise ConfigError(f"instance {config.instance!r}: nothing is running, expected a scanner")
    attached.control.stop = True
    deadline = time.monotonic() + _STOP_WITHIN_S
    while left := [role for role in roles if attached.lease_held(role)]:
        if time.monotonic() > deadline:
            click.echo(f"still running: {', '.join(left)}", err=True)
            sys.exit(EXIT_FAILED)
        time.sleep(0.05)
    click.echo("stopped")


@click.command()
@config_options
@click.option("--seconds", type=float, help="End by itself after this long.")
def top(files: Any, settings: Any, instance: Any, seconds: float | None) -> None:
    """Show a running instance as a live table, until Ctrl-C."""
    from spreadscan.cli.table import LiveTable

    config = read_config(files, settings, instance)
    LiveTable(build.open_instance(config, "reader"), config).show(seconds)
