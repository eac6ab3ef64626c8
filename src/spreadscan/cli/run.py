"""`spreadscan run` and the single workers `feed`, `engine`, `tracker` and `audit`."""

import logging
import os
import signal
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from spreadscan.app import build, processes
from spreadscan.app.folders import refuse_unwritable
from spreadscan.app.notify import ServiceManager
from spreadscan.app.supervisor import Supervisor, in_child
from spreadscan.catalogue import built_in
from spreadscan.cli.options import EXIT_USAGE, config_options, loaded, print_json
from spreadscan.cli.screen import say
from spreadscan.config import Config, Loaded
from spreadscan.control.switches import Switches, on_disk
from spreadscan.discovery.origin import origin_of
from spreadscan.disk.files import refuse_strangers
from spreadscan.errors import BadGenerated, ConfigError
from spreadscan.lists import Lists, Metadata, differences, load, read_metadata, refuse_foreign
from spreadscan.locks import TRACKER, FolderLock
from spreadscan.logs import ConsoleLines, start_logging
from spreadscan.tracker import AUDIT, SIGNALS, SNAPSHOTS
from spreadscan.venues import VENUES
from spreadscan.venues.base import old_facts

_NO_NEWS = ("worker ended", "worker given up")  # as asked for, or told in a sentence
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
@click.option("--json", "as_json", is_flag=True, help="Print what this run counted, as JSON.")
def run(
    files: Any,
    settings: Any,
    instance: Any,
    layout: str,
    seconds: float | None,
    no_discover: bool,
    as_json: bool,
) -> None:
    """Run the scanner: feeds, engine, tracker and audit, restarted when they die.

    Discovers first when generated/ is missing, older than discovery.refresh_h, or of other hosts,
    another universe or other settings, and anew every discovery.reload_h, within minutes where a
    source failed. Ctrl-C, SIGTERM or the end of its terminal end it within 5 s. Exit code 3 where a
    worker was given up, or the pairs in use lack a source's answer; 2 where it ended since the
    engine or the tracker was given up. A service manager that asks for it (systemd, Type=notify)
    is told how it fares.
    """
    manager = ServiceManager.of_environment()
    found = loaded(files, settings, instance)
    config = found.config
    _warn_of_old_facts(config)
    folder = FolderLock(config.paths.data, TRACKER, config.instance)
    processes.end_by_exception()  # until the supervisor has its own way
    folder.take(build.HANDOVER_S)
    try:
        code = _run(found, folder, manager, layout, seconds, no_discover)
    finally:
        folder.close()
    from spreadscan.app.status import status

    ended = status(build.open_instance(config, "reader"), config)
    if as_json:
        print_json(ended)
    else:
        for line in _summary(ended):
            say(line, err=True)
    sys.exit(code)


def _summary(ended: Mapping[str, Any]) -> list[str]:
    """Return what a run counted, and what it had to do to workers, files and lists."""
    from spreadscan.cli.table import run_line

    restarts = {name: role["restarts"] for name, role in ended["roles"].items() if role["restarts"]}
    workers = ", ".join(f"{name} {n} time{'s'[: n != 1]}" for name, n in restarts.items())
    files, refused = ended["files"], ended["lists"]["refused"]
    told = [f"ended after {ended['seconds']:,.0f} s", f"workers started again: {workers or 'none'}"]
    told.append(f"{files['rows']:,} rows written")
    if files["write_errors"]:
        told.append(f"{files['write_errors']:,} writes refused by the disk")
    if files["sync_errors"]:
        rows = files["untrusted_rows"]
        told.append(f"{files['sync_errors']:,} syncs failed: {rows:,} rows may be lost")
    told.append(f"lists of generation {ended['generation']}")
    if refused:
        told.append(f"the last discovery was refused: {refused}")
    return [run_line(ended), "; ".join(told)]


def _run(
    found: Loaded,
    folder: FolderLock,
    manager: ServiceManager,
    layout: str,
    seconds: float | None,
    no_discover: bool,
) -> int:
    config = found.config
    _say_switched_off(config)
    kinds = (SIGNALS, SNAPSHOTS, AUDIT)
    refuse_strangers(config.paths.data, kinds)
    refuse_unwritable(config, kinds, discovers=not no_discover)
    build.wait_until_free(config)
    build.refuse_unusable(config)  # told before discovery
    if not no_discover:
        manager.say("looking for pairs")
        _refresh(config, folder)
    lists = _lists(config, tell=no_discover)
    build.prepare_instance(config, len(lists.names), lists.n_edge_ids, _say)
    processes.preload(config)
    logging_ = start_logging(
        "supervisor", config.paths.logs, config.log.level, config.log.keep_mb, direct=True
    )
    console = ConsoleLines()
    console.addFilter(lambda record: record.msg not in _NO_NEWS)
    logging.getLogger().addHandler(console)

    def rediscover() -> int:
        from spreadscan.cli.discover import discover_quietly

        for number in processes.stop_signals():
            signal.signal(number, signal.SIG_DFL)  # not the flag of the supervisor
        os.nice(_DISCOVERY_NICE)
        return discover_quietly(config)

    no_timer = no_discover or not config.discovery.reload_h
    try:
        supervisor = Supervisor(
            config, lists, layout, None if no_discover else rediscover,
            origins=found.origins, folder=folder, manager=manager,
        )  # fmt: skip

        def ready() -> None:
            _say_running(config, lists, layout, no_timer)
            console.setLevel(logging.INFO)  # from now on a worker that starts is news

        return supervisor.run(seconds, ready)
    finally:
        logging.getLogger().removeHandler(console)
        logging_.stop()


def _say_switched_off(config: Config) -> None:
    """Say first what was switched off before: who starts a scanner may be another."""
    build.keep_switches(config)  # so that the disk says what memory does
    if (off := on_disk(config)) != Switches():
        from spreadscan.cli.table import off_lines

        for line in off_lines(off, config.instance):
            say(line, err=True)


def _lists(config: Config, *, tell: bool) -> Lists:
    """Return the set in generated/. ConfigError where it is not of this config's market.

    tell: in what else it is not of this config.
    """
    lists = load(config.paths.generated)
    for text in refuse_foreign(lists, origin_of(config), f"{config.paths.generated}/"):
        if tell:
            say(f"{config.paths.generated}/: {text}; used as it is", err=True)
    return lists


def _warn_of_old_facts(config: Config) -> None:
    """Say which sources' fees, addresses or limits nobody has checked for long, a line each."""
    today = datetime.now(UTC).date()
    for source in config.sources:
        if old := old_facts(VENUES[source].spec, today):
            say(f"warning: {old}", err=True)


def _say(line: str) -> None:
    say(line, err=True)


def _say_running(config: Config, lists: Lists, layout: str, no_timer: bool) -> None:
    sources = build.active_sources(config, lists)
    directions = config.enabled_directions
    pairs = sum(len(lists.pairs.get(direction.id, ())) for direction in directions)
    plural = "" if len(directions) == 1 else "s"
    off = on_disk(config)
    word = ", KILLED, no signals" if off.kill else ", paused" if off.pauses else ""
    say(
        f"running ({layout}){word}: {len(sources)} sources, {pairs} pairs in "
        f"{len(directions)} direction{plural}; data in {config.paths.data}/, logs in "
        f"{config.paths.logs}/; Ctrl-C ends it",
        err=True,
    )
    for source in config.sources:
        if source in lists.failed:
            again = "" if no_timer else f"; asked again in about {config.discovery.again_s:g} s"
            say(f"degraded: {source} failed: {lists.failed[source]}{again}", err=True)


def _refresh(config: Config, folder: FolderLock) -> None:
    """Discover when the set is missing, old or of other settings.

    One that lacks a source's answer is old after minutes. One that is merely old, or found with
    other settings, is better than none.
    """
    metadata = _metadata(config)
    found = differences(metadata.origin, origin_of(config)) if metadata else []
    for difference in found:
        say(f"{config.paths.generated}/: {difference.text}; discovering anew", err=True)
    age_h = _age_h(metadata) if metadata else 0.0
    if metadata and not found and age_h < _fresh_h(config, metadata):
        return

    def main() -> None:
        from spreadscan.cli.discover import discover_with_progress

        folder.drop()
        discover_with_progress(config)

    code = in_child(main)  # it makes threads and a loop, which a forking process may not have
    if not code:
        return
    if metadata is None or any(difference.foreign for difference in found):
        if code == EXIT_USAGE:  # the reason is told: a human edits the settings
            sys.exit(code)
        what = "an earlier set" if metadata is None else "a set of these hosts and this universe"
        raise BadGenerated(f"discovery failed and there is no earlier set, expected {what}")
    say(f"discovery failed; going on with the set of {age_h:.0f} h ago", err=True)


def _metadata(config: Config) -> Metadata | None:
    try:
        return read_metadata(config.paths.generated)
    except BadGenerated:
        return None


def _age_h(metadata: Metadata) -> float:
    return (time.time() - datetime.fromisoformat(metadata.written).timestamp()) / 3600


def _fresh_h(config: Config, metadata: Metadata) -> float:
    """Return for how long a set is not asked for again."""
    failed = any(source in metadata.failed for source in config.sources)
    again_h = config.discovery.again_s / 3600 if failed else config.discovery.refresh_h
    return min(again_h, config.discovery.refresh_h)


def _one_worker(role: str, files: Any, settings: Any, instance: Any) -> None:
    found = loaded(files, settings, instance)
    lists = _lists(found.config, tell=True)
    build.prepare_instance(found.config, len(lists.names), lists.n_edge_ids, _say)
    sys.exit(processes.run_role(role, found.config, lists, alone=found.origins))


@click.command()
@click.argument("source")
@config_options
def feed(source: str, files: Any, settings: Any, instance: Any) -> None:
    """Run the feed of one SOURCE, e.g. binance-spot, until Ctrl-C."""
    if source not in built_in().source:
        raise ConfigError(f"source: {source!r}, expected one of {', '.join(built_in().source)}")
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


@click.command()
@config_options
def audit(files: Any, settings: Any, instance: Any) -> None:
    """Run the audit alone: ask the venues whether the table's quotes still stand, until Ctrl-C."""
    _one_worker("audit", files, settings, instance)
