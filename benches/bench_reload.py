"""How long do updates of other pairs wait while the lists of a running scanner change?

Setup: `spreadscan run` as a user starts it on the whole simulated market (some 680 pairs on eight
sources) at 10,000 quotes/s, the simulators on the first processor. Windows of two seconds by turns,
one without a reload and one in which 1 % of the pairs go and as many come, taken by every process
until all have acknowledged. In each window every receive time in the table is gathered, and the
longest time between two updates of one source is its gap: what a busy feed makes an update wait
shows in full, whatever this process was doing meanwhile. Worst: over all windows and sources.
The engine's pause is the time that it spends between two turns on a new index of which 1 % of the
edges are new: on swapping it and on looking at these. Its baseline is what a thread does beside,
loading the set and making the index. The largest index has 100,000 edges on 32 sources, in an
instance with room for 131,072 on 16,384 rows; its baseline is making it.

Baselines: the windows without a reload of the same run, and as said.

Not measured: discovery, which is a process of its own; a network; more processors than there are.
"""

import os
import random
import statistics
import struct
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from spreadcore import Instance, attach
from spreadcore.edges import RECORD, EdgeIndex
from spreadcore.engine import Engine
from spreadcore.layout import SECTIONS

from known import EIGHT as SOURCES
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
LARGE = {"n_sources": 32, "n_symbols": 16_384, "n_edges": 131_072}
N_EDGES, N_RULES = 100_000, 12


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
            assert not late_roles(instance, Config(), ROLES, generation)
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
    reload = Reload(config, lists, writable)
    engine = EngineRunner(config, reload, writable)
    took, made = [], []
    for n in range(rounds):
        kept = tuple(edge for edge in lists.edges if edge.id % 100 != n % 100)
        begun = time.perf_counter_ns()
        newer = msgspec.structs.replace(
            load(config.paths.generated), generation=lists.generation + 1 + n, edges=kept
        )
        reload.prepare(newer)
        made.append(time.perf_counter_ns() - begun)
        begun = time.perf_counter_ns()
        engine._take()
        took.append(time.perf_counter_ns() - begun)
    n_pairs = sum(map(len, lists.pairs.values()))
    row(
        f"the engine's pause for a new index of {n_pairs:,} pairs", statistics.median(took) / 1e6,
        "ms", "loading the set, making the index", statistics.median(made) / 1e6, rounds, aim="5",
    )  # fmt: skip


def bench_largest_index(
    row: Callable[..., None], count: Callable[[int], int], make_instance: Callable[..., Instance]
) -> None:
    rounds, rng, now = count(50), random.Random(1), now_ns()
    i = make_instance(**LARGE)
    edges = [_edge(rng, number) for number in range(N_EDGES)]
    for _, buy_row, sell_row, _, buy_source, sell_source in edges:
        i.quotes.write(buy_source, buy_row, 100.0, 100.1, 1.0, 1.0, 0, now)
        i.quotes.write(sell_source, sell_row, 100.0, 100.1, 1.0, 1.0, 0, now)
    for source in range(LARGE["n_sources"]):
        i.health.beat(source, now)
    parts = (i.quotes, i.dirty, i.ring, i.active, i.health, i.control)
    engine = Engine(*parts, _index(edges), confirm_s=0.5)
    for rule in range(N_RULES):
        engine.set_rule(rule, 15.0, 15.0, 2.0)
    took, made = [], []
    for _ in range(rounds):
        new = rng.sample(range(N_EDGES), N_EDGES // 100)
        for number in new:
            edges[number] = _edge(rng, number)
        begun = time.perf_counter_ns()
        index = _index(edges)
        made.append(time.perf_counter_ns() - begun)
        begun = time.perf_counter_ns()
        n = engine.replace_index(index, now)
        took.append(time.perf_counter_ns() - begun)
        assert 0.99 * len(new) < n <= len(new)
    for name, of in (("median", statistics.median), ("worst", max)):
        row(
            f"the engine's pause for a new index of {N_EDGES:,} edges, 1 % new, {name}",
            of(took) / 1e6, "ms", "making it", of(made) / 1e6, rounds, aim="5",
        )  # fmt: skip


def _edge(rng: random.Random, number: int) -> tuple[int, int, int, int, int, int]:
    """Return an edge of a pair between two sources, as RECORD has it."""
    row, (buy, sell) = rng.randrange(LARGE["n_symbols"]), rng.sample(range(LARGE["n_sources"]), 2)
    return number, row, row, number % N_RULES, buy, sell


def _index(edges: list[tuple[int, int, int, int, int, int]]) -> EdgeIndex:
    index = EdgeIndex(LARGE["n_sources"], LARGE["n_symbols"], LARGE["n_edges"])
    pack = struct.Struct(RECORD).pack
    index.add_all(b"".join(pack(*edge) for edge in edges))
    index.compress()
    return index
