"""`spreadscan replay`: recorded frames through the scanner's own path, each accounted for."""

import sys
import time
from pathlib import Path

import click
from rich.console import Console

from spreadscan.cli.options import EXIT_USAGE, print_json, serve_options
from spreadscan.cli.progress import bar
from spreadscan.errors import BadData, BadGenerated, ConfigError
from spreadscan.replay import parse_limits, parse_pairs, play
from spreadscan.replay.report import show


@click.command()
@click.option(
    "--frames", "folder", metavar="FOLDER", required=True, type=click.Path(path_type=Path),
    help="Folder with frames.tsv.gz, or with folders named as sources that hold *.jsonl, *.tsv, "
    "*.log.gz, *.bin or pong.txt; instrument files (*.json) beside them tell contract sizes.",
)  # fmt: skip
@click.option(
    "--directions", metavar="BUY:SELL,...", default="",
    help="Pairs of sources whose edge is watched, e.g. binance-futures:binance-spot. Gross: no "
    "fees, no age limits.",
)  # fmt: skip
@click.option(
    "--edges", metavar="BPS,...", default="",
    help="Limits in bps: updates, episodes and seconds strictly above each, e.g. --edges=-5,0,3.",
)  # fmt: skip
@serve_options
@click.option(
    "--speed", default="1", show_default=True, metavar="X",
    help="Serve: recorded seconds in a second; max is as fast as clients read.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def replay(
    folder: Path,
    directions: str,
    edges: str,
    serving: bool,
    speed: str,
    port: int,
    host: str,
    write_config: Path | None,
    as_json: bool,
) -> None:
    """Send recorded frames through decoders, gate, table and engine.

    Accounts for every frame per source: quotes, acks, control, declined by reason, last quotes.
    The engine takes a turn after each frame, on the clock of the recording.

    With --serve the recorded exchanges are there again, for any client.
    """
    started = time.monotonic()
    try:
        if serving:
            if directions or edges:
                raise ConfigError("serve: with --directions or --edges, expected either")
            from spreadscan.cli.serve import serve  # the simulators, which no other replay needs

            serve(folder, speed, port, host, write_config, as_json)
            return
        pairs, limits = parse_pairs(directions), parse_limits(edges)
        if limits and not pairs:
            raise ConfigError("edges: limits without directions, expected --directions as well")
        with bar("replaying") as report:
            result = play(folder, pairs, limits, report)
    except (BadData, BadGenerated, ConfigError) as error:
        click.echo(f"spreadscan: {error}", err=True)
        sys.exit(EXIT_USAGE)
    elapsed_s = time.monotonic() - started
    rate = result.frames / elapsed_s
    if as_json:
        print_json({**result.plain(), "elapsed_s": elapsed_s, "frames_per_s": rate})
        return
    show(result, pairs, Console())
    click.echo(f"{result.frames:,} frames in {elapsed_s:.2f} s ({rate:,.0f} frames/s)")
