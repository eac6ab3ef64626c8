"""How long do updates of other pairs wait while the lists of a running scanner change?

Setup: `spreadscan run` as a user starts it on the whole simulated market (some 680 pairs on eight
sources) at 10,000 quotes/s, the simulators on the first processor. Windows of two seconds by turns,
one without a reload and one in which 1 % of the pairs go and as many come, taken by every process
until all have acknowledged. In each window every receive time in the table is gathered, and the
longest time between two updates of one source is its gap: what a busy feed makes an update wait
shows in full, whatever this process was doing meanwhile. Worst: over all windows and sources.
The engine's pause is the time that it spends on a new index and on scanning it, between two turns;
its baseline is the loading of the set, which a thread does beside.

Baselines: the windows without a reload of the same run, and as said.

Not measured: discovery, which is a process of its own; a network; more processors than there are.
"""

import os
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from spreadcore import Instance, attach
from spreadcore.layout import SECTIONS

from known import SOURCES
from rig import quoted, running, simulators, until, write_lists
from spreadscan.app.build import EngineRunner
from spreadscan.app.status import late_roles
from spreadscan.clock import now_ns
from spreadscan.config import Config, Paths
from spreadscan.lists import load
from spreadscan.reload import Reload
from spreadscan.sim import Market

RATE = 10_000
WINDOWS, WINDOW_S, LOOK_S = 10, 2.0, 0.01
CHANGED = 0.01
NAMES = [source.name for source in SOURCES]
ROLES = ("supervisor", "tracker", "engine", *NAMES)
AIM_MS = "50"


def changed_pairs(market: Market, n_sets: int) -> list[frozenset[str]]:
    """Return n_sets times 1 % of the pairs, none in two of them."""
    names = sorted({f"{row.base}-USDT" for rows in market.instruments for row in rows})
    random.Random(1).shuffle(names)
    n = round(CHANGED * len(names))
    return [frozenset(names[i * n : (i + 1) * n]) for i in range(n_sets)]


def gaps_ms(instance: Instance, seconds: float) -> list[float]:
    """Return the longest time between two updates of each source within so many seconds."""
    seen: list[set[int]] = [set() for _ in SOURCES]
    begun_ns = now_ns()
    with attach(instance.name) as table:
        while now_ns() - begun_ns < seconds * 1e9:
            for source, stamps in enumerate(table.recv_ns.T.copy()):
                seen[source].update(stamps[stamps >= begun_ns].tolist())
            time.sleep(LOOK_S)
    ends = begun_ns, begun_ns + int(seconds * 1e9)
    return [
        float(np.diff(sorted({*ends, *(at for at in stamps if at < ends[1])})).max()) / 1e6
        for stamps in seen
    ]


def bench_reload(
    row: Callable[..., None],
    pytestconfig: pytest.Config,
    tmp_path: Path,
    instance_name: str,
    python_env: dict[str, str],
) -> None:
    windows = 1 if pytestconfig.option.quick else WINDOWS
    market = Market()
    gone = changed_pairs(market, windows + 1)
    write_lists(tmp_path, market, NAMES, without=gone[0])
    calm: list[float] = []
    busy: list[float] = []
    arguments, first_core = ("--rate", str(RATE)), {min(os.sched_getaffinity(0))}
    with (
        simulators(tmp_path, python_env, first_core, *arguments) as sims,
        running(tmp_path, python_env, sims, instance_name) as instance,
    ):
        n_pairs = sum(len(s.subscribed) for s in load(tmp_path / "generated").sources.values())
        until(lambda: quoted(instance) >= 0.99 * n_pairs, f"quotes of {n_pairs} pairs")
        for window in range(windows):
            calm.append(max(gaps_ms(instance, WINDOW_S)))
            generation = window + 2
            write_lists(tmp_path, market, NAMES, generation=generation, without=gone[window + 1])
            instance.control.reload_generation = generation
            busy.append(max(gaps_ms(instance, WINDOW_S)))
            assert not late_roles(instance, ROLES, generation)
        assert all(instance.health.counters(s.id)["reconnects"] == 0 for s in SOURCES)
    what = f"{len(gone[0])} pairs go and {len(gone[0])} come"
    for name, of in (("median", statistics.median), ("worst", max)):
        row(
            f"longest wait for an update, {what}, {name}", of(busy), "ms",
            "no reload", of(calm), windows, aim=AIM_MS,
        )  # fmt: skip


def bench_engine_pause(
    row: Callable[..., None],
    count: Callable[[int], int],
    tmp_path: Path,
    make_instance: Callable[..., Instance],
) -> None:
    market, rounds = Market(), count(100)
    write_lists(tmp_path, market, NAMES)
    instance = make_instance(n_sources=8, n_symbols=1024, n_edges=12288)
    config = Config(instance=instance.name, paths=Paths(generated=str(tmp_path / "generated")))
    lists = load(config.paths.generated)
    writable = Instance(instance.name, SECTIONS)
    engine = EngineRunner(config, Reload(config, lists, writable), writable)
    took, loaded = [], []
    for _ in range(rounds):
        begun = time.perf_counter_ns()
        load(config.paths.generated)
        loaded.append(time.perf_counter_ns() - begun)
        engine._generation = 0
        begun = time.perf_counter_ns()
        engine._take(lists)
        took.append(time.perf_counter_ns() - begun)
    n_pairs = sum(map(len, lists.pairs.values()))
    row(
        f"the engine's pause for a new index of {n_pairs:,} pairs", statistics.median(took) / 1e6,
        "ms", "loading the set", statistics.median(loaded) / 1e6, rounds, aim=AIM_MS,
    )  # fmt: skip
