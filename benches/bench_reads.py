"""What does a socket read cost, and how late is a quote, when frames come one by one or in bursts?

Setup: two processes on a core each. One is `spreadscan sim --flood` at a rate: writes of 1, 10 or
100 frames (bookTicker of 190 symbols of binance-spot) to one socket, 4,000 a second (500 of those
of 100 frames), so that the other has time to sleep between them. The other is the product's feed
worker, a fresh interpreter, on uvloop or asyncio. The figure is its CPU, kernel's share and event
loop included, divided by the socket reads counted; the row says how many frames a read had in
truth, for a late reader finds two writes in one. Baselines: of uvloop, the loop over aiohttp's
messages with orjson and float() on uvloop, its CPU per write; of asyncio, uvloop.

Then one frame a write, 10,000 a second: time from the socket read to the slot, from the feed's own
histogram, whose buckets are an eighth wide and given by their upper end. Baseline: the same
transport with the reference decoder.

Not measured: a network; TLS; the engine that a read wakes (bench_feeds.py).
"""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from rig import read_flood, simulators, write_lists
from spreadscan.sim import Market

SOURCE, N_SYMBOLS = "binance-spot", 190
WRITES_PER_S = {1: 4_000, 10: 4_000, 100: 500}  # by frames of a write
WRITES_S = 3
FRAMES_PER_S, FRAMES = 10_000, 40_000
WITHIN_S = 60.0


@pytest.fixture
def paced(
    tmp_path: Path, python_env: dict[str, str], two_cores: tuple[set[int], set[int]],
    instance_name: str, feed_loops: ModuleType,
) -> Callable[..., dict[str, Any]]:  # fmt: skip
    """A function that runs a reader at a rate and returns what it found."""
    write_lists(tmp_path, Market(), [SOURCE], N_SYMBOLS)

    def run(how: str, loop: str, burst: int, per_s: int, frames: int) -> dict[str, Any]:
        arguments = ["--source", SOURCE, "--flood", "--frames", str(frames)]
        arguments += ["--flood-rate", str(per_s), "--frames-per-write", str(burst)]
        with simulators(tmp_path, python_env, two_cores[0], *arguments) as sims:
            found = read_flood(
                tmp_path, python_env, two_cores[1], sims, WITHIN_S,
                instance=f"{instance_name}-{how}-{loop}-{burst}-{per_s}", how=how, loop=loop,
                source=SOURCE, frames=frames, warm=frames // 5, count_reads=feed_loops.__file__,
            )  # fmt: skip
        assert sims.sent == {SOURCE: frames}
        assert found["frames"] == frames
        return found

    return run


@pytest.mark.parametrize("burst", WRITES_PER_S)
def bench_read(
    paced: Callable[..., dict[str, Any]],
    row: Callable[..., None],
    count: Callable[[int], int],
    burst: int,
) -> None:
    per_s = WRITES_PER_S[burst] * burst
    at = burst, per_s, max(per_s, count(per_s * WRITES_S))  # or one look may find all
    plain = paced("plain", "uvloop", *at)
    beside_us = ("aiohttp + orjson, per write", plain["cpu_s"] / plain["measured"] * burst * 1e6)
    for loop in ("uvloop", "asyncio"):
        found = paced("worker", loop, *at)
        us, seen = (x / found["reads"] for x in (found["cpu_s"] * 1e6, found["measured"]))
        row(
            f"socket read, {burst} frames ({seen:.3g} seen), {loop}", us, "us", *beside_us,
            found["reads"],
        )  # fmt: skip
        beside_us = ("uvloop", us)


def bench_receive_to_slot(
    paced: Callable[..., dict[str, Any]], row: Callable[..., None], count: Callable[[int], int]
) -> None:
    at = "uvloop", 1, FRAMES_PER_S, max(FRAMES_PER_S // 4, count(FRAMES))
    found, reference = paced("worker", *at), paced("reference", *at)
    for point in ("p50", "p99"):
        row(
            f"receive to slot, {FRAMES_PER_S:,} frames/s, {point}", found[f"{point}_ns"] / 1e3,
            "us", "with the reference decoder", reference[f"{point}_ns"] / 1e3, found["measured"],
        )  # fmt: skip
