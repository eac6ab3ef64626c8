"""How many recorded frames a second does one core replay, and does memory stay flat?

Setup: recordings of the simulated market, eight sources and the pairs of all directions, written as
the recorder does: 2,000 quotes/s for two minutes, and 20,000 quotes/s for 20 s. Replayed as
`spreadscan replay --out` does it, at full speed: read, unpacked and checked, decoded, gate, table,
an engine turn a frame, tracker with its files. The more spreads are open in a second of recorded
time, the more of it is the tracker. CPU time of one thread, so frames/s a core.

Baseline, in the same run: the same by the reference decoder and a plain Python loop over the frames
(tests/scan/replay/plain.py), which writes the same files.

Memory: resident set of a process of its own after a tenth of 10 million frames and after all of
them: the first recording again and again, its times shifted, each time as another run of its feeds.

Not measured: a cold page cache; a disk that is slower than the tracker; control messages, which
the reference decoder reads.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from scan.replay.plain import plainly
from scan.replay.tapes import market_recording
from spreadscan.recordings import Block, Recording
from spreadscan.replay import Run, play_run
from spreadscan.replay.inputs import lists_of, settings_of
from spreadscan.replay.scan import Scan

ROWS = [("2,000 quotes/s", 2_000.0, 120.0), ("20,000 quotes/s", 20_000.0, 20.0)]
FRAMES = 10_000_000
RUNS = 3
WITHIN_S = 300.0
RECORD_BYTES = 16


def bench_replay(
    row: Callable[..., None], count: Callable[[int], int], tmp_path: Path, one_core: None
) -> None:
    for name, rate, seconds in ROWS:
        folder = market_recording(tmp_path / name, count(int(seconds * 10)) / 10, rate=rate)
        config = settings_of(folder, (), {})
        job = Run(folder=str(folder), config=config, settings={})
        best = 0.0
        for _ in range(RUNS):
            started = time.process_time()
            outcome = play_run(job)
            best = max(best, outcome.played.frames / (time.process_time() - started))
        started = time.process_time()
        plainly(folder, tmp_path / f"{name} plain")
        n = outcome.played.frames
        plain = n / (time.process_time() - started)
        row(
            f"replay, {name}, {outcome.signals} spreads", best, "frames/s",
            "reference decoder, plain loop", plain, n * RUNS, "500,000",
        )  # fmt: skip


class Looped(Recording):
    """A recording again and again. told: called with the frames given out so far."""

    def __init__(self, folder: Path, times: int, told: Callable[[int], None]) -> None:
        super().__init__(folder)
        self._times = times
        self._told = told
        self._given = 0
        blocks = [block for name in self.sources for block in super(Looped, self).blocks(name)]
        first_ns = min(block.first_recv_ns for block in blocks)
        self._period_ns = max(block.last_recv_ns for block in blocks) - first_ns + 1_000_000
        self.n_frames = sum(block.n_frames for block in blocks)

    def blocks(self, source: str) -> Iterator[Block]:
        for time_round in range(self._times):
            for block in super().blocks(source):
                self._given += block.n_frames
                self._told(self._given)
                yield block._replace(data=shifted(block, time_round * self._period_ns))


def shifted(block: Block, by_ns: int) -> bytes:
    """Return the records of a block, received so much later."""
    data, at, heads = bytearray(block.data), 0, []
    for _ in range(block.n_frames):
        heads.append(at)
        at += RECORD_BYTES + (int.from_bytes(data[at + 12 : at + 16], "little") >> 4)
    raw = np.frombuffer(data, np.uint8)
    places = np.array(heads)[:, None] + np.arange(8)
    raw[places] = (raw[places].view(np.int64) + by_ns).view(np.uint8)
    return bytes(data)


def _rss_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _replay_long(folder: Path, out: Path, frames: int) -> dict[str, Any]:
    rss: list[float] = []

    def told(given: int) -> None:
        if not rss and given >= frames // 10:
            rss.append(_rss_mb())

    times = max(2, frames // Looped(folder, 1, told).n_frames)
    recording = Looped(folder, times, told)
    config = settings_of(folder, (), {})
    rss.clear()
    played = Scan(recording, config, lists_of(folder, config, None), out).run()
    return {"frames": played.frames, "before": rss[0], "after": _rss_mb()}


def bench_replay_memory(
    row: Callable[..., None], count: Callable[[int], int], tmp_path: Path, children: Any
) -> None:
    _, rate, seconds = ROWS[0]
    folder = market_recording(tmp_path / "long", count(int(seconds * 10)) / 10, rate=rate)
    children.start("replay", _replay_long, folder, tmp_path / "out", count(FRAMES))
    found = children.results(WITHIN_S)["replay"]
    row(
        f"replay, resident after {found['frames'] / 1e6:.3g} M frames", found["after"], "MB",
        "after a tenth of them", found["before"], found["frames"], "x 1.0",
    )  # fmt: skip
