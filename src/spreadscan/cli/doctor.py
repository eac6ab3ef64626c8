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
from spreadscan.catalogue import built_in
from spreadscan.cli.attach import settings_at
from spreadscan.cli.options import EXIT_DEGRADED, config_options, print_json
from spreadscan.cli.screen import new_console, say, text_column
from spreadscan.config import Config
from spreadscan.credentials import masked
from spreadscan.venues import VENUES


@click.command()
@config_options
@click.option(
    "--live",
    "all_addresses",
    is_flag=True,
    help="Try every address and page of every venue, one pair's quotes too; some 100 requests.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; progress to stderr.")
def doctor(files: Any, settings: Any, instance: Any, all_addresses: bool, as_json: bool) -> None:
    """Look at venues, clock, bans, limits and the instance; say what to do.

    By the settings of the scanner where one runs. Sends two light requests and opens one socket
    per source, changes nothing; --live asks every address for all that discovery and feeds ask
    for, and says what refuses, redirects or has changed shape. Exit code 3 where something is to
    be done.
    """
    config = settings_at(files, settings, instance)
    with _progress(None if all_addresses else n_checks(config)) as tell:
        report = asyncio.run(examine(config, tell, all_addresses=all_addresses))
    if as_json:
        print_json(msgspec.to_builtins(report))
    else:
        own = (_every_address(report),) if all_addresses else (_sources(report), _addresses(config))
        _show(report, (_here(report), *own))
    sys.exit(0 if report.ok else EXIT_DEGRADED)


@contextmanager
def _progress(total: int | None) -> Iterator[Callable[[Check], None]]:
    """Give what to tell each check to: a bar on a terminal, else a line per finding."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress

    console = new_console(stderr=True)
    if not console.is_terminal:
        yield lambda check: say(f"{_what(check)}: {_mark(check)}", err=True)
        return
    columns = (text_column("checking"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, text_column(), console=console) as bar:
        task = bar.add_task("", total=total)
        yield lambda check: bar.update(
            task, advance=1, description=f"{_what(check)}: {_mark(check)}"
        )


def _what(check: Check) -> str:
    return " ".join(filter(None, (check.subject, check.name, check.at)))


def _mark(check: Check) -> str:
    return "ok" if check.ok else f"FINDING {check.found}"


def _show(report: Report, tables: tuple[Any, ...]) -> None:
    from rich.text import Text

    console = new_console()
    for table in tables:
        console.print(table)
    findings = [check for check in report.checks if not check.ok]
    for check in findings:
        found = Text(f"{_what(check)}: {check.found}", style="bold yellow")
        console.print(found, Text(f"  -> {check.advice}"), sep="\n", soft_wrap=True)
    done = f"{len(report.checks)} checks in {report.took_s:.1f} s"
    console.print(f"{done}, {len(findings) or 'nothing'} to mend")


def _here(report: Report) -> Any:
    """Return a row per check of the machine and the instance."""
    from rich.table import Table
    from rich.text import Text

    table = Table("check", "found", title="machine and instance", title_justify="left")
    for check in report.checks:
        if check.subject not in built_in().source:
            table.add_row(check.name, Text(check.found, "" if check.ok else "bold red"))
    return table


def _sources(report: Report) -> Any:
    """Return a row per source, a column per check."""
    from rich.table import Table
    from rich.text import Text

    table = Table("source", title="sources", title_justify="left")
    for name in NAMES:
        table.add_column("our clock" if name == "clock" else name, justify="right")
    cells: dict[str, list[Text]] = {}
    for check in report.checks:
        if check.subject in built_in().source:
            text = "ok" if check.name == "dns" else check.found
            cell = Text(text) if check.ok else Text("!!", "bold red")
            cells.setdefault(check.subject, []).append(cell)
    for source, row in cells.items():
        table.add_row(source, *row)
    return table


def _every_address(report: Report) -> Any:
    """Return a row per source, address and page."""
    from rich.table import Table
    from rich.text import Text

    table = Table("source", "what", "at", "found", title="every address", title_justify="left")
    for check in report.checks:
        if check.subject in built_in().source:
            found = Text(check.found) if check.ok else Text("!!", "bold red")
            table.add_row(check.subject, check.name, check.at, found)
    return table


def _addresses(config: Config) -> Any:
    """Return a row per source: where it is reached, in order of preference."""
    from rich.table import Table

    table = Table("source", "WebSocket", "REST", title="addresses, in order", title_justify="left")
    for source in config.sources:
        venue = VENUES[source]
        table.add_row(
            source,
            *("\n".join(masked(urls(config))) for urls in (venue.ws_urls, venue.rest_urls)),
        )
    return table
