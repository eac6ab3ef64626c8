"""`spreadscan discover --plan`: what opening all sockets takes, as a table or as JSON."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any

import msgspec

from spreadscan.cli.options import EXIT_DEGRADED, print_json
from spreadscan.cli.screen import new_console
from spreadscan.config import Config
from spreadscan.discovery.discover import Progress
from spreadscan.discovery.plan import Plan, SourcePlan, make_plan
from spreadscan.feeds.plan import SocketPlan


def plan_of(config: Config, progress: Progress) -> Plan:
    return asyncio.run(make_plan(config, progress))


def show_plan(made: Plan, *, as_json: bool) -> None:
    """Print the plan. Exit code 3 where a source's list could not be had."""
    if as_json:
        print_json(msgspec.to_builtins(made))
    else:
        _table(made)
    if any(source.error for source in made.sources.values()):
        sys.exit(EXIT_DEGRADED)


def _table(made: Plan) -> None:

    console = new_console()
    of = "the venues' lists" if made.generation is None else f"generation {made.generation}"
    console.print(_sockets(f"feeds, of {of}", made, lambda source: source.feed))
    console.print(_sockets("validation in discovery", made, lambda source: source.validation))
    for name, source in made.sources.items():
        if source.error:
            console.print(f"{name}: {source.error}", soft_wrap=True)
    console.print("seconds: at least, by the venues' own limits; their answers come on top")


def _sockets(title: str, made: Plan, part: Callable[[SourcePlan], SocketPlan]) -> Any:
    from rich.table import Table

    table = Table(title=title, title_justify="left")
    table.add_column("source", no_wrap=True)
    for name in ("pairs", "sockets", "topics", "requests", "bytes", "seconds"):
        table.add_column(name, justify="right")
    for name, source in made.sources.items():
        own = part(source)
        table.add_row(
            name,
            str(source.pairs),
            str(own.sockets),
            str(own.topics_per_socket),
            str(own.frames),
            f"{own.bytes:,}",
            f"{own.seconds:.1f}",
        )
    return table
