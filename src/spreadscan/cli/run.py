"""`spreadscan run` and the single workers `feed`, `engine` and `tracker`."""

import os
import signal
import sys
import time
from datetime import UTC, datetime
from typing import Any

import click
from spreadcore.region import exists

from spreadscan.app import build, processes
from spreadscan.app.supervisor import Supervisor, in_child
from spreadscan.cli.options import config_options, print_json, read_config
from spreadscan.config import Config
from spreadscan.errors import BadGenerated, ConfigError
from spreadscan.lists import Lists, load, read_metadata
from spreadscan.logs import start_logging
from spreadscan.types import SOURCE_BY_NAME
from spreadscan.venues import VENUES
from spreadscan.venues.base import old_facts

_DISCOVERY_NICE = 10  # while the scan runs its feeds go first


@click.command()
@config_options
@click.option(
    "--layout",
    type=click.Choice(["processes", "single"]),
    default="processes",
    show_default=True,
    help="A process per worker, or all workers in one.",
)
@click.option("--seconds", type=click.FloatRange(min=0.1), help="End by itself after this long.")
@click.option(
    "--no-discover", is_flag=True, help="Use generated/ as it is, however old; no timer either."
)
@click.option("--json", "as_json", is_flag=True, help="Print the final status as JSON.")
def run(
    files: Any,
    settings: Any,
    instance: Any,
    layout: str,
    seconds: float | None,
    no_discover: bool,
    as_json: bool,
) -> None:
    """Run the scanner: feeds, engine and tracker, restarted when they die.

    Discovers first when generated/ is missing or older than discovery.refresh_h, and anew every
    discovery.reload_h, within minutes where a source failed. Ctrl-C or SIGTERM end it within 5 s.
    Exit code 3 where a worker was given up, or the pairs in use lack a source's answer.
    """
    config = read_config(files, settings, instance)
    _warn_of_old_facts(config)
    if exists(config.instance):
        build.open_instance(config, "reader")  # one that nobody can use is told before discovery
    if not no_discover:
        _refresh(config)
    lists = load(config.paths.generated)
    build.prepare_instance(config, len(lists.names), _say)
    processes.preload(config)
    logging_ = start_logging(
        "supervisor", config.paths.logs, config.log.level, config.log.keep_mb, direct=True
    )

    def rediscover() -> int:
        from spreadscan.cli.discover import discover_quietly

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)  # not the flag of the supervisor
        os.nice(_DISCOVERY_NICE)
        return discover_quietly(config)

    no_timer = no_discover or not config.discovery.reload_h
    try:
        supervisor = Supervisor(config, lists, layout, None if no_discover else rediscover)
        code = supervisor.run(seconds, lambda: _say_running(config, lists, layout, no_timer))
    finally:
        logging_.stop()
    if as_json:
        from spreadscan.app.status import status

        print_json(status(build.open_instance(config, "reader"), config))
    sys.exit(code)


def _warn_of_old_facts(config: Config) -> None:
    """Say which sources' fees, addresses or limits nobody has checked for long, a line each."""
    today = datetime.now(UTC).date()
    for source in config.sources:
        if old := old_facts(VENUES[source].spec, today):
            click.echo(f"warning: {old}", err=True)


def _say(line: str) -> None:
    click.echo(line, err=True)


def _say_running(config: Config, lists: Lists, layout: str, no_timer: bool) -> None:
    sources = build.active_sources(config, lists)
    pairs = sum(len(p) for p in lists.pairs.values())
    click.echo(
        f"running ({layout}): {len(sources)} sources, {pairs} pairs in "
        f"{len(config.enabled_directions)} directions; data in {config.paths.data}/, "
        f"logs in {config.paths.logs}/; Ctrl-C ends it",
        err=True,
    )
    for source in config.sources:
        if source in lists.failed:
            again = "" if no_timer else f"; asked again in about {config.discovery.again_s:g} s"
            click.echo(f"degraded: {source} failed: {lists.failed[source]}{again}", err=True)


def _refresh(config: Config) -> None:
    """Discover when the generated set is missing or old; an old set is better than none.

    One that lacks a source's answer is old after minutes.
    """
    age_h, failed = _found(config)
    fresh_h = config.discovery.again_s / 3600 if failed else config.discovery.refresh_h
    if age_h is not None and age_h < min(fresh_h, config.discovery.refresh_h):
        return

    def main() -> None:
        from spreadscan.cli.discover import discover_with_progress

        discover_with_progress(config)

    code = in_child(main)  # it makes threads and a loop, which a forking process may not have
    if code and age_h is None:
        raise BadGenerated("discovery failed and there is no earlier set, expected one of both")
    if code:
        click.echo(f"discovery failed; going on with the set of {age_h:.0f} h ago", err=True)


def _found(config: Config) -> tuple[float | None, bool]:
    """Return the age in hours of the set that is there, None for none; whether a source failed."""
    try:
        metadata = read_metadata(config.paths.generated)
    except BadGenerated:
        return None, False
    age_s = time.time() - datetime.fromisoformat(metadata.written).timestamp()
    return age_s / 3600, any(source in metadata.failed for source in config.sources)


def _one_worker(role: str, files: Any, settings: Any, instance: Any) -> None:
    config = read_config(files, settings, instance)
    lists = load(config.paths.generated)
    build.prepare_instance(config, len(lists.names), _say)
    sys.exit(processes.run_role(role, config, lists, to_stderr=True))


@click.command()
@click.argument("source")
@config_options
def feed(source: str, files: Any, settings: Any, instance: Any) -> None:
    """Run the feed of one SOURCE, e.g. binance-spot, until Ctrl-C."""
    if source not in SOURCE_BY_NAME:
        raise ConfigError(f"source: {source!r}, expected one of {', '.join(SOURCE_BY_NAME)}")
    _one_worker(source, files, settings, instance)


@click.command()
@config_options
def engine(files: Any, settings: Any, instance: Any) -> None:
    """Run the engine alone, until Ctrl-C."""
    _one_worker("engine", files, settings, instance)


@click.command()
@config_options
def tracker(files: Any, settings: Any, instance: Any) -> None:
    """Run the tracker alone, until Ctrl-C."""
    _one_worker("tracker", files, settings, instance)
