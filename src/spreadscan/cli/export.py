"""`spreadscan export`: the tracker's files as Parquet."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from spreadscan.cli.options import EXIT_USAGE, data_options, need, print_json, read_config
from spreadscan.cli.progress import bar
from spreadscan.cli.screen import say
from spreadscan.errors import BadData

if TYPE_CHECKING:  # it needs pyarrow, which may not be there
    from spreadscan.export import Result


@click.command()
@data_options
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path),
    help="Folder to write into; by default parquet/ in the data folder.",
)  # fmt: skip
def export(data: Path | None, since: str | None, as_json: bool, out: Path | None) -> None:
    """Write signals and snapshots as Parquet, and tracks.parquet: one row per spread.

    Those with the reason UNPROVEN were opened on a quote that turned out wrong: leave them out of
    statistics.

    May run at any time, also beside a scanner, and again and again: files that have not changed
    are not written anew. Exit code 2 when a file is not the tracker's or has broken lines; what
    is whole is exported all the same.
    """
    need("export", "pyarrow")
    from spreadscan.export import export as run
    from spreadscan.export import parse_since

    data = data or Path(read_config((), (), None).paths.data)
    started = time.monotonic()
    try:
        begin = parse_since(since, datetime.now(UTC)) if since else None
        with bar("exporting") as progress:
            result = run(data, out or data / "parquet", begin, progress)
    except BadData as error:
        say(f"spreadscan: {error}", err=True)
        sys.exit(EXIT_USAGE)
    if as_json:
        print_json({**msgspec.to_builtins(result), "elapsed_s": time.monotonic() - started})
    else:
        _show(result, time.monotonic() - started)
    for fault in result.faults:
        say(f"spreadscan: {fault}", err=True)
    sys.exit(EXIT_USAGE if result.faults else 0)


def _show(result: "Result", elapsed_s: float) -> None:
    for output in (*result.outputs, result.tracks):
        if output.state == "written":
            came_from = f" from {output.bytes_in / 1e6:,.1f} MB" if output.bytes_in else ""
            say(
                f"{output.file}: {output.rows:,} rows, {output.bytes_out / 1e6:,.1f} MB{came_from}"
                + _left_out(output.torn_lines, output.broken_lines)
            )
        elif output.state != "unchanged":
            say(f"{output.file}: {output.state}")
    states = [output.state for output in result.outputs]
    written = sum(output.rows for output in result.outputs if output.state == "written")
    say(
        f"{result.out}: {states.count('written')} files written, {states.count('unchanged')} "
        f"unchanged; {written:,} rows in {elapsed_s:.1f} s; {result.tracks.rows:,} tracks, "
        f"{result.open_tracks:,} without an end"
        + (f", {result.unproven_tracks:,} unproven" if result.unproven_tracks else "")
    )


def _left_out(torn: int, broken: int) -> str:
    parts = [f"{torn} torn or unfinished" if torn else "", f"{broken} broken" if broken else ""]
    told = " and ".join(part for part in parts if part)
    return f"; left out: {told}" if told else ""
