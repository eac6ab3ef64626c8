"""One replay from its folder to its outcome; the same in this process and in one of many."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from spreadscan.config import Config
from spreadscan.errors import ConfigError
from spreadscan.recordings import Recording
from spreadscan.replay.against import compare, live_signals
from spreadscan.replay.inputs import lists_of
from spreadscan.replay.results import RunResult, read_outcome
from spreadscan.replay.scan import Progress, RecordedUtc, Scan

PREFIX = "spreadscan-replay-"  # of folders for rows that are not kept


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One recording under one choice of settings. out: '' = the rows are not kept.

    against: data folder of the live run, '' = it is held against none.
    """

    folder: str
    config: Config
    settings: dict[str, str]  # those given on the command line, to tell jobs apart
    generated: str = ""  # '' = the recorded lists
    out: str = ""
    against: str = ""


def play_run(
    job: Run, speed: float | None = None, scratch: str = "", report: Progress | None = None
) -> RunResult:
    """Play it. Errors as of Scan; ConfigError for an `out` that holds something.

    scratch: folder for rows that are not kept, '' = the system's.
    """
    if job.out:
        check_empty(Path(job.out))
        return _play(job, Path(job.out), speed, report)
    with TemporaryDirectory(prefix=PREFIX, dir=scratch or None) as folder:
        return _play(job, Path(folder), speed, report)


def check_empty(out: Path) -> None:
    """Refuse a folder with anything in it: rows are appended, and two replays would mix."""
    try:
        found = next(out.iterdir(), None)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}, expected a new or empty folder") from None
    if found is not None:
        raise ConfigError(f"{out}: holds {found.name}, expected a new or empty folder")


def _play(job: Run, out: Path, speed: float | None, report: Progress | None) -> RunResult:
    folder = Path(job.folder)
    recording = Recording(folder)
    lists = lists_of(folder, job.config, Path(job.generated) if job.generated else None)
    utc = RecordedUtc(recording.utc_offset_ns)
    live = live_signals(Path(job.against), recording.about.started) if job.against else []
    scan = Scan(recording, job.config, lists, out)
    started = time.monotonic()
    played = scan.run(speed, report, [signal.moment for signal in live])
    elapsed_s = time.monotonic() - started
    found = read_outcome(out)
    against = (
        compare(out, live, played, utc, scan.without_quote, scan.unconfirmed)
        if job.against
        else None
    )
    return RunResult(
        recording=folder.resolve().name,
        settings=job.settings,
        config_hash=job.config.hash(),
        played=played,
        signals=found.signals,
        ended=found.ended,
        open=found.open,
        profit_s=found.profit_s,
        best=found.best,
        problems=tuple(map(str, recording.problems)),
        elapsed_s=elapsed_s,
        against=against,
    )
