"""One replay from its folder to its outcome; the same in this process and in one of many."""

import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from spreadscan.config import Config
from spreadscan.errors import ConfigError
from spreadscan.recordings import Recording
from spreadscan.replay.material import lists_of
from spreadscan.replay.outcome import Outcome, read_outcome
from spreadscan.replay.scan import Progress, Scan


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One recording under one choice of settings. out: '' = the rows are not kept."""

    folder: str
    config: Config
    settings: dict[str, str]  # those given on the command line, to tell jobs apart
    generated: str = ""  # '' = the recorded lists
    out: str = ""


def run_job(job: Job, speed: float | None = None, report: Progress | None = None) -> Outcome:
    """Play it. Errors as of Scan; ConfigError for an `out` that holds something."""
    if job.out:
        check_empty(Path(job.out))
        return _play(job, Path(job.out), speed, report)
    with TemporaryDirectory(prefix="spreadscan-replay-") as folder:
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


def _play(job: Job, out: Path, speed: float | None, report: Progress | None) -> Outcome:
    folder = Path(job.folder)
    recording = Recording(folder)
    lists = lists_of(folder, job.config, Path(job.generated) if job.generated else None)
    started = time.monotonic()
    played = Scan(recording, job.config, lists, out).run(speed, report)
    elapsed_s = time.monotonic() - started
    found = read_outcome(out)
    return Outcome(
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
    )
