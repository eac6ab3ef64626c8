"""`spreadscan demo`: the whole scanner on simulated exchanges, for a minute."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from spreadscan.app.demo import Demo
from spreadscan.app.processes import end_by_exception
from spreadscan.cli.options import EXIT_DEGRADED, loaded, print_json
from spreadscan.cli.screen import say
from spreadscan.defaults import default_file


@click.command()
@click.option("--seconds", default=60.0, show_default=True, help="How long to scan.")
@click.option("--seed", default=1, show_default=True, help="Which market.")
@click.option("--rate", default=2000.0, show_default=True, help="Quotes per second, all sources.")
@click.option(
    "--layout",
    type=click.Choice(["processes", "single"]),
    default="processes",
    show_default=True,
    help="A process per worker, or all workers in one.",
)
@click.option(
    "--folder",
    default="demo",
    show_default=True,
    metavar="DIR",
    help="What it writes goes here, into data/, generated/ and logs/, whatever the config says.",
)
@click.option(
    "-c",
    "--config",
    "files",
    multiple=True,
    metavar="FILE",
    help="TOML config, instead of the demo's own. May be repeated.",
)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    help="Override a setting. May be repeated.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Plain progress; the last line is one JSON object."
)
def demo(
    seconds: float,
    seed: int,
    rate: float,
    layout: str,
    folder: str,
    files: tuple[str, ...],
    settings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Run everything on this machine: simulated exchanges, discovery, scanner, live table.

    Afterwards the spreads that were followed are in demo/data/. Your own folders and instance are
    left alone. Ctrl-C, SIGTERM or the end of its terminal end all of it.
    """
    from spreadscan.cli.table import LiveTable

    files = files or (str(default_file("demo.toml")),)
    settings = (*_apart(folder), *settings)
    config = loaded(files, settings, None).config
    run = Demo(config, files, settings)
    run.refuse_another()
    end_by_exception()
    say("starting the simulated exchanges", err=True)
    with run.simulators(seed, rate):
        run.discover()
        with run.scanner(layout) as scanner:
            table = LiveTable(scanner.instance, config, "spreadscan demo", plain=as_json)
            table.show(seconds, scanner.alive)
            summary = scanner.finish()
    if as_json:
        print_json(summary)
    else:
        _say(summary)
    silent = [name for name, s in summary["sources"].items() if not s["quotes"]]
    down = [name for name, role in summary["roles"].items() if not role["alive"]]
    if silent or down:
        say(
            "degraded: "
            + "; ".join(
                f"{what}: {', '.join(names)}"
                for what, names in (("no quotes from", silent), ("not running", down))
                if names
            ),
            err=True,
        )
    sys.exit(EXIT_DEGRADED if silent or down or summary["exit_code"] else 0)


def _apart(folder: str) -> tuple[str, ...]:
    """Return the settings that keep an invented market out of the places of a real one."""
    places = {name: Path(folder, name).as_posix() for name in ("data", "generated", "logs")}
    return (
        'instance="demo"',
        *(f"paths.{name}={json.dumps(place)}" for name, place in places.items()),
    )


def _say(summary: dict[str, Any]) -> None:
    sources, signals, tracks = summary["sources"], summary["signals"], summary["tracks"]
    quotes = sum(s["quotes"] for s in sources.values())
    seen = sum(n for key, n in tracks.items() if key != "opened")
    before = seen - tracks["opened"]  # the tracker takes up what an earlier demo left open
    left = f" and {before} spreads that an earlier demo left open" if before > 0 else ""
    by_audit = "".join(
        f", {tracks[key]} {words}"
        for key, words in (
            ("not_trading", "were halted"),
            ("unproven", "turned out unproven"),
            ("halted", "ended with the kill switch"),
        )
        if tracks[key]
    )
    delivering = sum(bool(s["quotes"]) for s in sources.values())
    say(
        f"\n{delivering} of {len(sources)} sources delivered {quotes:,} quotes; "
        f"{signals['produced']} signals{left}, of which {tracks['converged']} converged, "
        f"{tracks['expired']} expired, {tracks['lost']} were lost{by_audit} and {tracks['open']} "
        f"were open at the end; {summary['pss_mb']:.0f} MB, {summary['cpu_pct']:.0f} % of one core "
        "(simulators and table apart)"
    )
    say("files:")
    for path in summary["files"]:
        say(f"  {path}  {Path(path).stat().st_size:,} bytes")
