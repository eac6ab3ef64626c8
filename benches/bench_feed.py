"""How many frames a second does one core take from a socket into the table?

Setup: two processes on a core each. One is `spreadscan sim --flood`: after the venue's subscribe
exchange it writes frames of 130 bytes (bookTicker of 190 symbols of binance-spot, in random order,
ids rising) as fast as they are taken. The other is the product's feed worker on uvloop, a fresh
interpreter: socket, framing, decode, gate, slot, dirty bit, one wake per socket read. The clock
runs from the first tenth of the frames to the last. Asserted: as many quotes have passed the
gate as frames were sent. With TLS, the same over wss with the certificate verified; the row says
whose TLS it was.

Baseline, in the same run: what a good Python programmer writes, a loop over aiohttp's messages
with orjson, float() and the same gate, also on uvloop. Between the two: the product's aiohttp
transport, and its picows transport with the reference decoder.

Memory: resident set of the feed after a tenth of 50 million frames and after all of them. In it is
picows' read buffer, which doubles when a read has filled it and never shrinks: a feed that was held
up while the kernel took in some megabytes keeps as many.

Not measured: a network; deltas and other frames that the reference decoder takes; an engine that
is woken (bench_feeds.py); more than one socket.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig import read_flood, simulators, write_lists
from spreadscan.sim import Market

SOURCE, N_SYMBOLS = "binance-spot", 190
FRAMES = {"worker": 50_000_000, "aiohttp": 1_500_000, "reference": 1_000_000, "plain": 500_000}
TLS_FRAMES = {"worker": 15_000_000, "plain": 500_000}
FEWEST = 100_000  # or the reader has them all at its first look
WITHIN_S = 150.0
ROWS = [("worker", "feed"), ("aiohttp", "feed, aiohttp transport"),
        ("reference", "picows + reference decoder")]  # fmt: skip


class Flood:
    """Floods one reader after the other, each a simulator of its own."""

    def __init__(
        self, folder: Path, env: dict[str, str], cores: tuple[set[int], set[int]], instance: str
    ) -> None:
        self._folder, self._env, self._cores, self._instance = folder, env, cores, instance
        self._runs = 0
        write_lists(folder, Market(), [SOURCE], N_SYMBOLS)

    def __call__(self, how: str, frames: int, *, tls: bool = False) -> dict[str, Any]:
        self._runs += 1
        frames = max(frames, FEWEST)
        task = {"how": "worker" if how == "aiohttp" else how, "source": SOURCE}
        task |= {"frames": frames, "warm": frames // 10}
        task |= {"transport": "aiohttp" if how == "aiohttp" else "picows"}
        arguments = ("--source", SOURCE, "--flood", "--frames", str(frames))
        with simulators(self._folder, self._env, self._cores[0], *arguments, tls=tls) as sims:
            instance = f"{self._instance}-{self._runs}"
            found = read_flood(
                self._folder, self._env, self._cores[1], sims, WITHIN_S, instance=instance, **task
            )
        assert sims.sent == {SOURCE: frames}
        assert found["frames"] == frames
        return found


@pytest.fixture
def flood(
    tmp_path: Path, python_env: dict[str, str], two_cores: tuple[set[int], set[int]],
    instance_name: str,
) -> Flood:  # fmt: skip
    return Flood(tmp_path, python_env, two_cores, instance_name)


def bench_feed(flood: Flood, row: Callable[..., None], count: Callable[[int], int]) -> None:
    found = {how: flood(how, count(frames)) for how, frames in FRAMES.items()}
    per_s = {how: run["measured"] / run["seconds"] for how, run in found.items()}
    for how, name in ROWS:
        row(
            f"{name}, flood", per_s[how], "frames/s", "aiohttp + orjson", per_s["plain"],
            found[how]["measured"], aim="1,000,000, x 12" if how == "worker" else "",
        )  # fmt: skip
    before_kb, after_kb = found["worker"]["rss_kb"]
    row(
        f"feed, memory after {found['worker']['frames']:,} frames", after_kb / 1024, "MB",
        "after the first tenth", before_kb / 1024, found["worker"]["measured"], aim="+1 MB",
    )  # fmt: skip


def bench_feed_tls(flood: Flood, row: Callable[..., None], count: Callable[[int], int]) -> None:
    found = {how: flood(how, count(frames), tls=True) for how, frames in TLS_FRAMES.items()}
    worker, plain = (found[how] for how in TLS_FRAMES)
    # picows brings its own transports: OpenSSL called directly, on the socket itself
    engine, _, version = worker["tls"].partition(", ")
    assert engine == "SSLTransport_Socket"
    row(
        f"feed, flood over TLS (aiofastnet, {' '.join(version.split()[:2])})",
        worker["measured"] / worker["seconds"], "frames/s", "aiohttp + orjson, uvloop's TLS",
        plain["measured"] / plain["seconds"], worker["measured"], aim="1,000,000, x 12",
    )  # fmt: skip
