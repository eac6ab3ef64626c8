"""`spreadscan replay`: recorded frames through the scanner's own path.

Two faces: the account of frames, and a whole scanner with its tracker (docs/replay.md).
"""

import sys
import time
from pathlib import Path
from typing import NoReturn

import click
import msgspec
from rich.console import Console

from spreadscan.cli.options import EXIT_USAGE, flags_of, print_json
from spreadscan.cli.progress import bar
from spreadscan.errors import BadData, BadGenerated, ConfigError
from spreadscan.replay import Job, parse_limits, parse_pairs, play, run_job
from spreadscan.replay.comparison import show_outcomes
from spreadscan.replay.material import recordings_in, settings_of
from spreadscan.replay.report import show

_SPEEDS = {"1": 1.0, "10": 10.0, "max": None}


@click.command()
@click.option(
    "--frames", "folder", metavar="FOLDER", required=True, type=click.Path(path_type=Path),
    help="A recording of `spreadscan record`. For the account also: frames.tsv.gz, or folders "
    "named as sources that hold *.jsonl, *.tsv, *.log.gz, *.bin or pong.txt; instrument files "
    "(*.json) beside them tell contract sizes.",
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
    "--set", "settings", metavar="KEY=VALUE", multiple=True,
    help="Scan: override a recorded setting, e.g. engine.threshold_bps=30. May be repeated.",
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
    "--speed", type=click.Choice(list(_SPEEDS)), default="max", show_default=True,
    help="Scan: recorded seconds in a second.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def replay(
    folder: Path,
    directions: str,
    edges: str,
    out: Path | None,
    settings: tuple[str, ...],
    files: tuple[str, ...],
    generated: Path | None,
    speed: str,
    as_json: bool,
) -> None:
    """Send recorded frames through decoders, gate, table and engine.

    Without options, or with --directions: the account of every frame per source: quotes, acks,
    control, declined by reason, last quotes.

    With --out, --set, -c or --generated: a whole scanner on the recorded clock, its tracker
    included, under the settings of the recording; the same files each time, byte for byte. The
    engine takes a turn after each frame.
    """
    scan = bool(out or settings or files or generated or speed != "max")
    try:
        if not scan:
            _account(folder, directions, edges, as_json)
            return
        if directions or edges:
            raise ConfigError(
                "directions: together with options of a scan, expected either (a scan compares "
                "the pairs of its lists)"
            )
        _scan(folder, out, settings, files, generated, _SPEEDS[speed], as_json)
    except (BadData, BadGenerated, ConfigError) as error:
        _refuse(error)


def _refuse(error: Exception) -> NoReturn:
    click.echo(f"spreadscan: {error}", err=True)
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
    show(result, pairs, Console())
    click.echo(f"{result.frames:,} frames in {elapsed_s:.2f} s ({rate:,.0f} frames/s)")


def _scan(
    folder: Path,
    out: Path | None,
    settings: tuple[str, ...],
    files: tuple[str, ...],
    generated: Path | None,
    speed: float | None,
    as_json: bool,
) -> None:
    flags = flags_of(settings)
    (recording,) = recordings_in([folder])
    job = Job(
        folder=str(recording),
        config=settings_of(recording, files, flags),
        settings=flags,
        generated=str(generated or ""),
        out=str(out or ""),
    )
    with bar("replaying", long=speed is not None) as report:
        outcome = run_job(
            job, speed, lambda done, of, ns: report(done, of, f"recorded {ns / 1e9:,.1f} s")
        )
    if as_json:
        print_json({**msgspec.to_builtins(outcome), "frames_per_s": outcome.frames_per_s})
        return
    show_outcomes([outcome], Console())
    click.echo(
        f"{outcome.played.frames:,} frames in {outcome.elapsed_s:.2f} s "
        f"({outcome.frames_per_s:,.0f} frames/s)"
    )
