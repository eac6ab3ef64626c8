"""`spreadscan replay`: recorded frames through the scanner's own path.

Two faces: the account of frames, and a whole scanner with its tracker (docs/replay.md).
"""

import math
import sys
import time
from pathlib import Path
from typing import NoReturn

import click
import msgspec

from spreadscan.cli.options import (
    EXIT_DEGRADED,
    EXIT_USAGE,
    flags_of,
    need,
    print_json,
    read_speed,
    serve_options,
)
from spreadscan.cli.progress import bar
from spreadscan.cli.screen import new_console, say
from spreadscan.errors import BadData, BadGenerated, ConfigError
from spreadscan.replay import Run, parse_limits, parse_pairs, play, play_runs, runs_of
from spreadscan.replay.comparison import show_outcomes
from spreadscan.replay.inputs import recordings_in
from spreadscan.replay.report import show


@click.command()
@click.option(
    "--frames", "folders", metavar="FOLDER", required=True, multiple=True,
    type=click.Path(path_type=Path),
    help="A recording of `spreadscan record`. Scan: or a folder of recordings; may be repeated. "
    "Account: also frames.tsv.gz, or folders named as sources that hold *.jsonl, *.tsv, *.log.gz, "
    "*.bin or pong.txt; instrument files (*.json) beside them tell contract sizes.",
)  # fmt: skip
@click.option(
    "--directions", metavar="BUY:SELL,...", default="",
    help="Account: pairs of sources whose edge is watched, e.g. binance-futures:binance-spot. "
    "Gross: no fees, no age limits.",
)  # fmt: skip
@click.option(
    "--edges", metavar="BPS,...", default="",
    help="Account: limits in bps: updates, episodes and seconds strictly above each.",
)  # fmt: skip
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path),
    help="Scan: new or empty folder for the tracker's files.",
)  # fmt: skip
@click.option(
    "--set", "settings", metavar="KEY=VALUE,...", multiple=True,
    help="Scan: override a recorded setting; with several values, e.g. "
    "engine.threshold_bps=30,50,80, every combination is replayed. May be repeated.",
)  # fmt: skip
@click.option(
    "-c", "--config", "files", metavar="FILE", multiple=True, type=click.Path(dir_okay=False),
    help="Scan: TOML over the recorded settings; a later one wins. May be repeated.",
)  # fmt: skip
@click.option(
    "--generated", metavar="DIR", type=click.Path(path_type=Path),
    help="Scan: lists to use instead of the recorded ones.",
)  # fmt: skip
@click.option(
    "--speed", metavar="X",
    help="Recorded seconds in a second: 1, 10 or any number, or max. A scan runs at max by "
    "default, --serve at 1.",
)  # fmt: skip
@click.option(
    "--against", metavar="DATA_DIR", type=click.Path(path_type=Path),
    help="Scan: data folder of the live run; exit code 3 where one of its signals is missing.",
)  # fmt: skip
@click.option(
    "--parquet", metavar="FILE", type=click.Path(path_type=Path),
    help="Scan: write a row per replay, for notebooks (needs the extra: export).",
)  # fmt: skip
@serve_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def replay(
    folders: tuple[Path, ...],
    directions: str,
    edges: str,
    out: Path | None,
    settings: tuple[str, ...],
    files: tuple[str, ...],
    generated: Path | None,
    speed: str | None,
    against: Path | None,
    parquet: Path | None,
    serving: bool,
    port: int,
    host: str,
    write_config: Path | None,
    as_json: bool,
) -> None:
    """Send recorded frames through decoders, gate, table and engine.

    Without options, or with --directions: the account of every frame per source: quotes, acks,
    control, declined by reason, last quotes.

    With any option of a scan: a whole scanner on the recorded clock, its tracker included, under
    the settings of the recording; the same files each time, byte for byte. The engine takes a
    turn after each frame. Several recordings or settings are spread over the cores.

    With --serve: the recorded exchanges are there again, for any client.
    """
    scan = out or settings or files or generated or against or parquet or len(folders) > 1
    try:
        if serving:
            if scan or directions or edges:
                raise ConfigError("serve: together with a scan or an account, expected either")
            from spreadscan.cli.serve import serve  # the simulators, which no other replay needs

            serve(folders[0], read_speed(speed or "1"), port, host, write_config, as_json)
            return
        if not scan and speed in (None, "max"):
            _account(folders[0], directions, edges, as_json)
            return
        if directions or edges:
            raise ConfigError(
                "directions: together with options of a scan, expected either (a scan compares "
                "the pairs of its lists)"
            )
        if parquet:
            need("export", "pyarrow")
        recordings, flags = recordings_in(folders), flags_of(settings)
        jobs = runs_of(recordings, files, flags, generated, out, against)
        _scan(jobs, read_speed(speed or "max"), parquet, as_json)
    except (BadData, BadGenerated, ConfigError) as error:
        _refuse(error)


def _refuse(error: Exception) -> NoReturn:
    say(f"spreadscan: {error}", err=True)
    sys.exit(EXIT_USAGE)


def _account(folder: Path, directions: str, edges: str, as_json: bool) -> None:
    started = time.monotonic()
    pairs, limits = parse_pairs(directions), parse_limits(edges)
    if limits and not pairs:
        raise ConfigError("edges: limits without directions, expected --directions as well")
    with bar("replaying") as report:
        result = play(folder, pairs, limits, report)
    elapsed_s = time.monotonic() - started
    rate = result.frames / elapsed_s
    if as_json:
        print_json({**result.plain(), "elapsed_s": elapsed_s, "frames_per_s": rate})
        return
    show(result, pairs, new_console())
    say(f"{result.frames:,} frames in {elapsed_s:.2f} s ({rate:,.0f} frames/s)")


def _scan(jobs: list[Run], speed: float, parquet: Path | None, as_json: bool) -> None:
    started = time.monotonic()
    paced = speed < math.inf
    with bar("replaying", long=paced) as report:
        outcomes = play_runs(jobs, speed if paced else None, report)
    elapsed_s = time.monotonic() - started
    if parquet:
        from spreadscan.replay.parquet import write_outcomes

        write_outcomes(parquet, outcomes)
    if as_json:
        print_json({"replays": msgspec.to_builtins(outcomes), "elapsed_s": elapsed_s})
    else:
        show_outcomes(outcomes, new_console())
        frames = sum(outcome.played.frames for outcome in outcomes)
        rate = frames / elapsed_s
        say(f"{frames:,} frames in {elapsed_s:.2f} s ({rate:,.0f} frames/s)")
    if any(outcome.against and outcome.against.missing for outcome in outcomes):
        sys.exit(EXIT_DEGRADED)
