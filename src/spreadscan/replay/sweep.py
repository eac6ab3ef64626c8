"""Many replays: every combination of the settings asked for, over every recording, on all cores."""

import itertools
import os
import re
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from spreadscan.disk.files import data_files
from spreadscan.errors import ConfigError, Halt
from spreadscan.replay.inputs import settings_of, spelled_out
from spreadscan.replay.results import RunResult
from spreadscan.replay.run import PREFIX, Run, check_empty, play_run
from spreadscan.tracker import SIGNALS

COMBINATIONS_MAX = 10_000
_LOOK_S = 0.2
# outside brackets and quotes: a list is one value
_VALUE = re.compile(r"""(?:\[[^\]]*\]|\{[^}]*\}|"[^"]*"|'[^']*'|[^,\[{"'])+""")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.=,+-]")

Progress = Callable[
    [int, int, str], None
]  # (bytes played, bytes in all, what else there is to say)


def combinations(flags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return every combination of values: {"a": "1,2", "b": "5"} gives two.

    Values are separated by commas; a TOML list in brackets is one value. ConfigError names the
    key of an empty value, and for too many combinations.
    """
    values = {key: _values(key, text) for key, text in flags.items()}
    n = 1
    for choices in values.values():
        n *= len(choices)
    if n > COMBINATIONS_MAX:
        raise ConfigError(f"--set: {n:,} combinations, expected at most {COMBINATIONS_MAX:,}")
    return [
        dict(zip(values, choice, strict=True)) for choice in itertools.product(*values.values())
    ]


def _values(key: str, text: str) -> list[str]:
    found = [part.strip() for part in _VALUE.findall(text)]
    if text and len(found) != len(_VALUE.sub("", text)) + 1 or "" in found:
        raise ConfigError(f"--set {key}={text}: a value is missing, expected e.g. {key}=1,2")
    return found or [""]


def runs_of(
    recordings: Sequence[Path], files: Sequence[str], flags: Mapping[str, str],
    generated: Path | None = None, out: Path | None = None, against: Path | None = None,
) -> list[Run]:  # fmt: skip
    """Return a job per recording and combination; several each get a folder of their own in out.

    ConfigError names the key or value that cannot be, before anything is played; BadData where
    `against` is no folder.
    """
    chosen = combinations(flags)
    alone = len(chosen) * len(recordings) == 1
    if against and not alone:
        raise ConfigError("--against: several replays, expected one recording and one setting each")
    if against:
        data_files(against, SIGNALS)  # refuses what is no folder before anything is played
    if out:
        check_empty(out)
    jobs = []
    for recording, settings in itertools.product(recordings, chosen):
        config = settings_of(recording, files, spelled_out(settings))
        own = "" if out is None else str(out if alone else out / _name(recording, settings))
        jobs.append(
            Run(
                folder=str(recording),
                config=config,
                settings=settings,
                generated=str(generated or ""),
                out=own,
                against=str(against or ""),
            )  # fmt: skip
        )
    return jobs


def _name(recording: Path, settings: Mapping[str, str]) -> Path:
    text = ",".join(f"{key}={value}" for key, value in settings.items())
    return Path(recording.resolve().name, _UNSAFE.sub("_", text))


def play_runs(jobs: Sequence[Run], speed: float | None, report: Progress) -> list[RunResult]:
    """Run them all, one process a core, and return their outcomes in that order.

    Errors as of play_run; the first one ends the others. Halt where a process was killed.
    """
    with TemporaryDirectory(prefix=PREFIX) as scratch:
        if len(jobs) == 1:
            return [play_run(jobs[0], speed, scratch, _recorded(report))]
        return _run_beside(jobs, speed, scratch, report)


def _recorded(report: Progress) -> Callable[[int, int, int], None]:
    return lambda done, of, ns: report(done, of, f"recorded {ns / 1e9:,.1f} s")


def _run_beside(
    jobs: Sequence[Run], speed: float | None, scratch: str, report: Progress
) -> list[RunResult]:
    # not forked: a bar draws in a thread of this process
    context = get_context("spawn")
    played = context.Array("q", len(jobs), lock=False)  # bytes of each job
    cores = len(os.sched_getaffinity(0))
    pool = ProcessPoolExecutor(min(len(jobs), cores), context, _begin, (played,))
    try:
        with _interrupts_held():
            futures = [
                pool.submit(_run_one, number, job, speed, scratch)
                for number, job in enumerate(jobs)
            ]
        sizes = {job.folder: _size(Path(job.folder)) for job in jobs}
        total = sum(sizes[job.folder] for job in jobs)
        waiting = set(futures)
        while waiting:
            done, waiting = wait(waiting, _LOOK_S, FIRST_EXCEPTION)
            for future in done:
                future.result()
            report(sum(played), total, f"{len(jobs) - len(waiting)} of {len(jobs)} replays")
        return [future.result() for future in futures]
    except BrokenProcessPool:
        raise Halt("replay: one of its processes was killed, expected all to end") from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold SIGINT back, also for processes that start meanwhile: each until its _begin()."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "frames").glob("*.frames"))


_played: Any = None  # in a process of the pool


def _begin(played: Any) -> None:
    global _played
    _played = played
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ends without a word; the parent tells
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _run_one(number: int, job: Run, speed: float | None, scratch: str) -> RunResult:
    def report(done: int, of: int, recorded_ns: int) -> None:
        _played[number] = done

    return play_run(job, speed, scratch, report)
