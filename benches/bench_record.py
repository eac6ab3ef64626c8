"""What does a recording cost the feeds, and the disk?

Setup: as in bench_feeds.py, a running scanner and simulators that flood it with 20,000 frames a
second over all sources, in writes of 1 or 10 frames. The recording is off and on by turns, three
seconds each, seven times; CPU (kernel's share and writer threads included) of the eight feeds is
divided by the frames that passed their gates, and the median of each stands here.

Baseline: the same feeds, same run, without recording.

Size: bytes of the files by million frames, beside the bytes of their messages.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import pytest
from spreadcore import Instance

from bench_feeds import Count
from known import EIGHT as SOURCES
from rig import quoted, running, simulators, until, write_lists
from spreadscan.app.record import RecordingRun
from spreadscan.config import load
from spreadscan.recordings import Recording
from spreadscan.sim import Market

FRAMES_PER_S = 20_000
SLICE_S, QUICK_SLICE_S, SLICES = 3.0, 0.5, 7


def us_per_frame(instance: Instance, seconds: float) -> float:
    """Return CPU of all feeds by frame over so many seconds."""
    before = Count(instance)
    time.sleep(seconds)
    after = Count(instance)
    return (after.feeds_s - before.feeds_s) / (after.quotes - before.quotes) * 1e6


@pytest.mark.parametrize(("burst", "aim"), [(1, "x 1.1"), (10, "")])
def bench_record(
    row: Callable[..., None],
    pytestconfig: pytest.Config,
    tmp_path: Path,
    instance_name: str,
    python_env: dict[str, str],
    burst: int, aim: str,
) -> None:  # fmt: skip
    seconds = QUICK_SLICE_S if pytestconfig.option.quick else SLICE_S
    n_pairs = write_lists(tmp_path, Market(), [source.name for source in SOURCES])
    arguments = ["--flood", "--flood-rate", str(FRAMES_PER_S), "--frames-per-write", str(burst)]
    first_core = {min(os.sched_getaffinity(0))}
    off, on = [], []
    folders = [tmp_path / f"rec{i}" for i in range(SLICES)]
    with (
        simulators(tmp_path, python_env, first_core, *arguments) as sims,
        running(tmp_path, python_env, sims, instance_name) as instance,
    ):
        config = load(
            [sims.config],
            {"instance": instance_name, "paths.generated": str(tmp_path / "generated")},
        ).config
        until(lambda: quoted(instance) == n_pairs, f"quotes of {n_pairs} pairs")
        for folder in folders:
            off.append(us_per_frame(instance, seconds))
            run = RecordingRun(instance, config, folder)
            run.begin()
            until(lambda run=run: all(run.keep_up().recording.values()), "eight recording feeds")
            on.append(us_per_frame(instance, seconds))
            done, late = run.end()
            assert not late
            assert not any(done.dropped.values())
    n_frames, n_bytes, n_raw = 0, 0, 0
    for folder in folders:
        recording = Recording(folder)
        n_bytes += recording.n_bytes
        for source in recording.sources:
            for block in recording.blocks(source):
                n_frames += block.n_frames
                n_raw += len(block.data)
        assert not recording.problems
    what = f"{burst} frame{'s' if burst > 1 else ''} a write"
    row(
        f"CPU of the feeds by frame, recording, {what}", median(on), "us",
        "not recording", median(off), n_frames, aim=aim,
    )  # fmt: skip
    row(
        f"recorded, MB by million frames, {what}", n_bytes / n_frames, "MB",
        "with their messages as they are", n_raw / n_frames, n_frames,
    )  # fmt: skip
