"""`spreadscan doctor`: what keeps the scanner from running well, and what to do about it."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
import msgspec

from spreadscan.app.doctor import Check, Report, examine
from spreadscan.app.doctor.examine import n_checks
from spreadscan.app.doctor.reach import NAMES
from spreadscan.cli.options import EXIT_DEGRADED, config_options, print_json, read_config
from spreadscan.config import Config
from spreadscan.types import SOURCE_BY_NAME
from spreadscan.venues import VENUES


@click.command()
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; progress to stderr.")
def doctor(files: Any, settings: Any, instance: Any, as_json: bool) -> None:
    """Look at venues, clock, bans, limits and the instance; say what to do.

    Sends two light requests and opens one socket per source, changes nothing. Exit code 3 where
    something is to be done.
    """
    config = read_config(files, settings, instance)
    with _progress(n_checks(config)) as tell:
        report = asyncio.run(examine(config, tell))
    if as_json:
        print_json(msgspec.to_builtins(report))
    else:
        _show(report, config)
    sys.exit(0 if report.ok else EXIT_DEGRADED)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[Check], None]]:
    """Give what to tell each check to: a bar on a terminal, else a line per finding."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda check: click.echo(f"{check.subject} {check.name}: {_mark(check)}", err=True)
        return
    columns = (TextColumn("checking"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TextColumn("{task.description}"), console=console) as bar:
        task = bar.add_task("", total=total)
        yield lambda check: bar.update(
            task, advance=1, description=f"{check.subject} {check.name}: {_mark(check)}"
        )


def _mark(check: Check) -> str:
    return "ok" if check.ok else f"FINDING {check.found}"


def _show(report: Report, config: Config) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    for table in (*_tables(report), _addresses(config)):
        console.print(table)
    findings = [check for check in report.checks if not check.ok]
    for check in findings:
        found = Text(f"{check.subject} {check.name}: {check.found}", style="bold yellow")
        console.print(found, Text(f"  -> {check.advice}"), sep="\n", soft_wrap=True)
    done = f"{len(report.checks)} checks in {report.took_s:.1f} s"
    console.print(f"{done}, {len(findings) or 'nothing'} to mend", highlight=False)


def _tables(report: Report) -> tuple[Any, Any]:
    """Return a row per check of the machine and the instance, and a row per source."""
    from rich.table import Table
    from rich.text import Text

    here = Table("check", "found", title="machine and instance", title_justify="left")
    sources = Table("source", title="sources", title_justify="left")
    for name in NAMES:
        sources.add_column("our clock" if name == "clock" else name, justify="right")
    cells: dict[str, list[Text]] = {}
    for check in report.checks:
        if check.subject in SOURCE_BY_NAME:
            text = "ok" if check.name == "dns" else check.found
            cell = Text(text) if check.ok else Text("!!", "bold red")
            cells.setdefault(check.subject, []).append(cell)
        else:
            here.add_row(check.name, Text(check.found, "" if check.ok else "bold red"))
    for source, row in cells.items():
        sources.add_row(source, *row)
    return here, sources


def _addresses(config: Config) -> Any:
    """Return a row per source: where it is reached, in order of preference."""
    from rich.table import Table

    table = Table("source", "WebSocket", "REST", title="addresses, in order", title_justify="left")
    for source in config.sources:
        venue = VENUES[source]
        table.add_row(
            source, *("\n".join(urls(config)) for urls in (venue.ws_urls, venue.rest_urls))
        )
    return table
