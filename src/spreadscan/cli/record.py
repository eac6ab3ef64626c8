"""`spreadscan record`: raw frames of a running scanner into a folder; or an import."""

import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from spreadscan.app.processes import stop_signals
from spreadscan.app.record import Progress, RecordingRun
from spreadscan.cli.attach import attach_as
from spreadscan.cli.options import EXIT_DEGRADED, EXIT_USAGE, config_options, loaded, print_json
from spreadscan.cli.progress import bar
from spreadscan.cli.screen import new_console, say
from spreadscan.clock import parse_span
from spreadscan.errors import BadData, ConfigError
from spreadscan.replay.importing import import_frames

_LOOK_S = 0.5


@click.command()
@config_options
@click.option(
    "--out", metavar="DIR", type=click.Path(path_type=Path),
    help="Folder of the recording, new or empty; by default recordings/<UTC now>.",
)  # fmt: skip
@click.option("--for", "span", metavar="SPAN", help="End after 30s, 10m, 2h; else at Ctrl-C.")
@click.option("--source", "sources", multiple=True, help="Only this source. May be repeated.")
@click.option(
    "--max-gb", type=click.FloatRange(min=0.0, min_open=True), metavar="N",
    help="Beyond it the oldest files are removed; by default record.max_gb.",
)  # fmt: skip
@click.option(
    "--from", "imported", metavar="FILE", type=click.Path(path_type=Path),
    help="Import a frames.tsv.gz (ns TAB venue TAB frame) instead; nothing has to run.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; progress to stderr.")
def record(
    files: Any, settings: Any, instance: Any, out: Path | None, span: str | None,
    sources: tuple[str, ...], max_gb: float | None, imported: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Record the raw frames of a running scanner, to replay them.

    The scan goes on as it is: where the disk is slower than the market, frames are left out of
    the recording, counted, and marked as a gap. Exit code 3 where some were.
    """
    folder = out or Path("recordings") / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    if imported is not None:
        if span or sources or max_gb:
            raise ConfigError("--from: an import has no --for, --source or --max-gb")
        _import(imported, folder, as_json)
        return
    seconds = _seconds(span)
    own = loaded(files, settings, instance)
    if own.origins.pop("record.max_gb", None) and max_gb is None:  # of this process, not of feeds
        max_gb = own.config.record.max_gb
    attached = attach_as(own, "reader")
    run = RecordingRun(attached.instance, attached.config, folder, sources, max_gb)
    _record(run, seconds, as_json)


def _seconds(span: str | None) -> float | None:
    if span is None:
        return None
    found = parse_span(span)
    if not found:
        raise ConfigError(f"--for: {span!r}, expected a span as 30s, 10m, 2h or 1d")
    return found.total_seconds()


def _record(run: RecordingRun, seconds: float | None, as_json: bool) -> None:
    stopped = []
    for number in stop_signals():
        signal.signal(number, lambda number, _: stopped.append(number))
    begun_s = time.monotonic()
    run.begin()
    console = new_console(stderr=True)
    with console.status("recording") if console.is_terminal else _Silent() as shown:
        while not stopped and run.instance_lives:
            elapsed_s = time.monotonic() - begun_s
            if seconds is not None and elapsed_s >= seconds:
                break
            progress = run.keep_up()
            n_live = sum(progress.recording.values())
            shown.update(f"{run.folder}  {_line(elapsed_s, progress)}, {n_live} sources")
            left_s = _LOOK_S if seconds is None else min(_LOOK_S, seconds - elapsed_s)
            time.sleep(max(0.0, left_s))
        shown.update("closing the files")
        done, late = run.end()
    _tell(run, time.monotonic() - begun_s, done, late, as_json)


class _Silent:
    """No terminal: nothing is shown."""

    def __enter__(self) -> "_Silent":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, _: str) -> None:
        pass


def _line(elapsed_s: float, progress: Progress) -> str:
    minutes, seconds = divmod(int(elapsed_s), 60)
    return (
        f"{minutes:02}:{seconds:02}  {sum(progress.frames.values()):,} frames, "
        f"{progress.n_bytes / 1e6:,.1f} MB, {sum(progress.dropped.values()):,} dropped"
    )


def _tell(
    run: RecordingRun, elapsed_s: float, done: Progress, late: list[str], as_json: bool
) -> None:
    if as_json:
        print_json(
            {
                "folder": str(run.folder), "seconds": round(elapsed_s, 3), "bytes": done.n_bytes,
                "frames": done.frames, "dropped": done.dropped, "late": late,
            }
        )  # fmt: skip
    else:
        say(f"{run.folder}  {_line(elapsed_s, done)}")
        for source in run.sources:
            dropped = f", {done.dropped[source]:,} dropped" if done.dropped[source] else ""
            say(f"  {source:<16}{done.frames[source]:>12,} frames{dropped}")
    for source in late:
        say(f"late: {source} has not closed its files; its log says why", err=True)
    sys.exit(EXIT_DEGRADED if late or any(done.dropped.values()) else 0)


def _import(file: Path, folder: Path, as_json: bool) -> None:
    try:
        with bar("importing") as report:
            done = import_frames(file, folder, report)
    except BadData as error:
        say(f"spreadscan: {error}", err=True)
        sys.exit(EXIT_USAGE)
    if as_json:
        print_json({"folder": str(folder.resolve()), **done._asdict()})
        return
    say(f"{folder.resolve()}: {sum(done.frames.values()):,} frames")
    for line in done.remarks:
        say(line)
    for source, n in done.frames.items():
        say(f"  {source:<16}{n:>12,} frames")
