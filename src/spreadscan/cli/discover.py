"""`spreadscan discover`, and its progress for terminals and for pipes."""

import asyncio
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
import msgspec
from spreadcore.errors import CoreError

from spreadscan.cli.options import (
    EXIT_DEGRADED,
    EXIT_FAILED,
    config_options,
    print_json,
    read_config,
)
from spreadscan.cli.screen import new_console, say, text_column
from spreadscan.config import Config
from spreadscan.discovery import Result, outcome
from spreadscan.discovery import discover as run_discovery
from spreadscan.discovery.discover import Progress
from spreadscan.discovery.report import remarks
from spreadscan.errors import SpreadError
from spreadscan.lists import Failure
from spreadscan.logs import facts, start_logging

log = logging.getLogger(__name__)


@click.command()
@config_options
@click.option("--fresh", is_flag=True, help="Give ids anew in sorted order.")
@click.option(
    "--accept-shrink", is_flag=True, help="Take lists that lost over 30 % of their pairs."
)
@click.option(
    "--plan",
    "only_plan",
    is_flag=True,
    help="Only show the sockets and requests that this takes, by each venue's limits; of the "
    "set in generated/, else of the venues' lists. Opens no socket, writes nothing.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; progress to stderr.")
def discover(
    files: Any,
    settings: Any,
    instance: Any,
    fresh: bool,
    accept_shrink: bool,
    only_plan: bool,
    as_json: bool,
) -> None:
    """Find the pairs of all sources, prove them on the wire, write generated/.

    Exit code 3 where a source gave no list, or no quote: it keeps its pairs of the set before.
    """
    config = read_config(files, settings, instance)
    if only_plan:
        if fresh or accept_shrink:
            raise click.UsageError(
                "--plan writes nothing, expected without --fresh and --accept-shrink"
            )
        from spreadscan.cli.plan import plan_of, show_plan

        with _progress() as progress:
            made = plan_of(config, progress)
        show_plan(made, as_json=as_json)
        return
    result = discover_with_progress(config, fresh=fresh, accept_shrink=accept_shrink)
    if as_json:
        print_json(msgspec.to_builtins(result))
    else:
        echo_result(result)
    sys.exit(EXIT_DEGRADED if result.failed else 0)


def discover_with_progress(
    config: Config, *, fresh: bool = False, accept_shrink: bool = False
) -> Result:
    """Run discovery and show how it goes on stderr; a bar per source on a terminal."""
    with _logging(config), _progress() as progress:
        return _discover(config, progress, fresh=fresh, accept_shrink=accept_shrink)


def discover_quietly(config: Config) -> int:
    """Run discovery without a word but in its log; return the exit code. For a child process."""
    with _logging(config):
        try:
            result = _discover(config)
        except (SpreadError, CoreError) as error:
            log.error("discovery refused", extra=facts(error=str(error)))
            say(f"spreadscan: discovery: {error}; the lists in use stay", err=True)
            return EXIT_FAILED
        log.info("discovered", extra=facts(generation=result.generation, pairs=result.symbols))
        for line in failed_lines(result.failed):
            log.warning("source failed", extra=facts(error=line))
            say(f"spreadscan: discovery: {line}", err=True)
        return EXIT_DEGRADED if result.failed else 0


def failed_lines(failed: Mapping[str, Failure]) -> list[str]:
    """Return a sentence per source that failed."""
    return [f"{source} failed: {failure}" for source, failure in failed.items()]


def _discover(config: Config, progress: Progress | None = None, **options: bool) -> Result:
    """Run discovery, and leave how it ended for a running scanner and for `ctl status`."""
    try:
        result = asyncio.run(run_discovery(config, progress, **options))
    except (SpreadError, CoreError) as error:
        outcome.write(config, refused=str(error))
        raise
    outcome.write(config, failed=result.failed)
    return result


@contextmanager
def _logging(config: Config) -> Iterator[None]:
    logging_ = start_logging("discover", config.paths.logs, config.log.level, config.log.keep_mb)
    try:
        yield
    finally:
        logging_.stop()


def echo_result(result: Result) -> None:
    """Print what was found, as a table."""
    from rich.table import Table

    console = new_console()
    table = Table(
        title=f"{result.symbols} pairs, generation {result.generation}, {result.took_s:.1f} s"
        + remarks(result),
    )
    table.add_column("source", min_width=15)
    for name in ("total", "valid", "quiet", "quarantined", "invalid", "took s"):
        table.add_column(name, justify="right")
    for name, source in result.sources.items():
        table.add_row(
            name,
            str(source.total_pairs),
            str(source.valid_pairs),
            str(len(source.quiet_pairs)),
            str(len(source.quarantined_pairs)),
            str(len(source.invalid_pairs)),
            f"{source.took_sec:.1f}",
        )
    console.print(table)
    pairs = ", ".join(f"{name} {n}" for name, n in result.directions.items())
    console.print(f"pairs per direction: {pairs}", soft_wrap=True)
    for line in failed_lines(result.failed):
        console.print(line, soft_wrap=True)
    for name, source in result.sources.items():
        for pair, reason in source.quarantined_pairs.items():
            console.print(f"quarantined: {name} {pair}: {reason}", soft_wrap=True)
    console.print(f"written to {result.folder}/", soft_wrap=True)


@contextmanager
def _progress() -> Iterator[Progress]:

    console = new_console(stderr=True)
    if console.is_terminal:
        bars = _Bars(console)
        with bars.live:
            yield bars
    else:
        yield _Lines()


def _matched(symbols: int, directions: Mapping[str, int], left_out: int) -> str:
    pairs = ", ".join(f"{name} {n}" for name, n in directions.items())
    rest = f", {left_out} more in no direction" if left_out else ""
    return f"{symbols} pairs{rest}; per direction: {pairs}"


class _Lines:
    """Progress as plain lines: per source every two seconds at most, and only news."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[float, int]] = {}

    def waiting(self, holder: str) -> None:
        say(f"waiting for the discovery of {holder}", err=True)

    def fetched(self, source: str, pairs: int, error: str) -> None:
        say(f"{source}: {error or f'{pairs} pairs listed'}", err=True)

    def matched(self, symbols: int, directions: Mapping[str, int], left_out: int) -> None:
        say(_matched(symbols, directions, left_out), err=True)

    def validating(self, source: str, done: int, total: int) -> None:
        now = time.monotonic()
        last, last_done = self._told.get(source, (0.0, -1))
        if done == last_done or (now - last < 2.0 and done < total):
            return
        self._told[source] = now, done
        say(f"{source}: {done} of {total} pairs proven", err=True)


class _Bars:
    """Progress as one bar per source."""

    def __init__(self, console: Any) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TimeElapsedColumn,
        )

        self._console = console
        self.live = Progress(
            text_column("{task.description:<16}"),
            BarColumn(),
            MofNCompleteColumn(),
            text_column("pairs proven"),
            TimeElapsedColumn(),
            console=console,
        )
        self._tasks: dict[str, Any] = {}

    def waiting(self, holder: str) -> None:
        self._console.print(f"waiting for the discovery of {holder}")

    def fetched(self, source: str, pairs: int, error: str) -> None:
        self._console.print(f"{source}: {error or f'{pairs} pairs listed'}")

    def matched(self, symbols: int, directions: Mapping[str, int], left_out: int) -> None:
        self._console.print(_matched(symbols, directions, left_out))

    def validating(self, source: str, done: int, total: int) -> None:
        if source not in self._tasks:
            self._tasks[source] = self.live.add_task(source, total=total)
        self.live.update(self._tasks[source], completed=done)
