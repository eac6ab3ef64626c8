"""What do all eight feeds and the engine cost in CPU at 10,000 quotes a second?

Setup: `spreadscan run` as a user starts it, feeds, engine, tracker and supervisor as processes,
all pairs of the simulated market on as many sockets as the venues need (some forty); and
`spreadscan sim --flood` on the first processor, 10,000 frames a second over all sources and sockets
by turns, in writes of 1 or 10 frames. Engine and feeds run wherever the kernel likes. Once every
pair has a quote, the CPU of each process (kernel's share included) is counted for ten seconds. With
the engine parked, every socket read wakes it unless it is awake; with coalesce_us it waits so long
after a wake to gather more.

Baselines: of the feeds, what eight bare uvloop processes cost that read as many frames in as many
writes from forty plain sockets and discard them (bare_readers.py): no WebSocket, no decoder, nobody
to wake. Of the engine, its wake-ups a second. Asserted: the quotes reach nine tenths of the rate.

Not measured: a network; TLS; deltas. The simulators share the machine: with two processors, feeds
and engine are woken on one that is busy half of the time.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from spreadcore import Instance

from bare_readers import bare_readers_pct
from known import EIGHT as SOURCES
from rig import cpu_s, quoted, running, simulators, until, write_lists
from spreadscan.sim import Market

FRAMES_PER_S = 10_000
SECONDS, QUICK_SECONDS = 10.0, 1.0
CASES = [
    # frames a write, coalesce_us, aims: feeds, engine
    (1, 0, "18", "8"),
    (10, 0, "4", ""),
    (1, 500, "", "2"),
]


class Count:
    """Quotes, wake-ups and CPU seconds of a running scanner, as of now."""

    def __init__(self, instance: Instance) -> None:
        health = instance.health
        self.at = time.monotonic()
        self.per_source = [health.counters(source.id) for source in SOURCES]
        self.quotes = sum(counters["quotes"] for counters in self.per_source)
        engine = health.role("engine")
        self.sleeps = health.counters(engine)["sleeps"]
        self.feeds_s = sum(cpu_s(health.info(source.id)["pid"]) for source in SOURCES)
        self.engine_s = cpu_s(health.info(engine)["pid"])


@pytest.mark.parametrize(("burst", "coalesce_us", "feeds_aim", "engine_aim"), CASES)
def bench_feeds(
    row: Callable[..., None],
    pytestconfig: pytest.Config,
    tmp_path: Path,
    instance_name: str,
    python_env: dict[str, str],
    burst: int, coalesce_us: int, feeds_aim: str, engine_aim: str,
) -> None:  # fmt: skip
    seconds = QUICK_SECONDS if pytestconfig.option.quick else SECONDS
    n_pairs = write_lists(tmp_path, Market(), [source.name for source in SOURCES])
    arguments = ["--flood", "--flood-rate", str(FRAMES_PER_S), "--frames-per-write", str(burst)]
    first_core = {min(os.sched_getaffinity(0))}
    with (
        simulators(tmp_path, python_env, first_core, *arguments) as sims,
        running(
            tmp_path, python_env, sims, instance_name, "--set", f"engine.coalesce_us={coalesce_us}"
        ) as instance,
    ):
        until(lambda: quoted(instance) == n_pairs, f"quotes of {n_pairs} pairs")
        before = Count(instance)
        time.sleep(seconds)
        after = Count(instance)
    span_s = after.at - before.at
    quotes, sleeps = (
        (getattr(after, key) - getattr(before, key)) / span_s for key in ("quotes", "sleeps")
    )
    feeds_pct, engine_pct = (
        100 * (getattr(after, key) - getattr(before, key)) / span_s
        for key in ("feeds_s", "engine_s")
    )
    assert quotes > 0.9 * FRAMES_PER_S
    bare_pct = bare_readers_pct(python_env, FRAMES_PER_S, burst, seconds, first_core)
    for source, counters in zip(SOURCES, after.per_source, strict=True):
        assert counters["reconnects"] == 0, source.name
    what = f"{burst} frame{'s' if burst > 1 else ''} a write"
    what += f", coalesce_us = {coalesce_us}" if coalesce_us else ""
    row(
        f"CPU of eight feeds, {what}", feeds_pct, "% of a core", "eight bare readers", bare_pct,
        round(span_s), aim=feeds_aim,
    )  # fmt: skip
    row(
        f"CPU of the engine, {what}", engine_pct, "% of a core", "wake-ups/s", sleeps,
        round(span_s), aim=engine_aim,
    )  # fmt: skip
