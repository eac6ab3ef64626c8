"""`spreadscan report`: a page to look at, from the tracker's files."""

import sys
import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from spreadscan.cli.options import EXIT_USAGE, data_options, need, print_json, read_config
from spreadscan.cli.progress import bar
from spreadscan.cli.screen import say
from spreadscan.errors import BadData

if TYPE_CHECKING:  # it needs pyarrow and matplotlib, which may not be there
    from spreadscan.report import Made


@click.command()
@data_options
@click.option(
    "--out", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    default=Path("report/report.html"), show_default=True,
    help="The page; its pictures go beside it as PNG.",
)  # fmt: skip
@click.option(
    "--track", "tracks", metavar="ID", multiple=True,
    help="Show this track, by its track_id. May be repeated; else the newest and the best.",
)  # fmt: skip
@click.option("--open", "look", is_flag=True, help="Open the page in the browser.")
def report(
    data: Path | None, since: str | None, as_json: bool, out: Path, tracks: tuple[str, ...],
    look: bool,
) -> None:  # fmt: skip
    """Draw what was found: one HTML page that needs no network, and PNGs.

    Directions by hours, lives and peaks, the best pairs after fees, what could have been taken,
    and single spreads from signal to end. Exit code 2 when a file is not the tracker's or has
    broken lines; what is whole is drawn all the same, and the page says what is missing.
    """
    need("report", "pyarrow", "matplotlib")
    from spreadscan.export import parse_since
    from spreadscan.report import make

    data = data or Path(read_config((), (), None).paths.data)
    try:
        begin = parse_since(since, datetime.now(UTC)) if since else None
        with bar("reading") as progress:
            made = make(data, out, begin, tracks, progress)
    except BadData as error:
        say(f"spreadscan: {error}", err=True)
        sys.exit(EXIT_USAGE)
    if as_json:
        print_json(msgspec.to_builtins(made))
    else:
        _say(made)
    for fault in made.faults:
        say(f"spreadscan: {fault}", err=True)
    if look:
        webbrowser.open(out.resolve().as_uri())
    sys.exit(EXIT_USAGE if made.faults else 0)


def _say(made: "Made") -> None:
    ends = ", ".join(f"{n:,} {reason.lower()}" for reason, n in made.ends.items() if n)
    say(f"{made.signals:,} signals in {made.hours:,} hours, {made.gaps:,} gaps"
               + (f"; {ends}" if ends else ""))  # fmt: skip
    if made.killed:
        say(made.killed)
    say(f"{made.page}: {Path(made.page).stat().st_size / 1e6:.1f} MB, and "
               f"{len(made.pictures)} pictures beside it")  # fmt: skip
