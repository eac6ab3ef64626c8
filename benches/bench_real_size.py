"""What does a market of real size cost, with room for 4,096 symbols?

Setup: lists as long as the venues' (`sim --universe real`), of which the pairs remain that a
direction can use. Scan: the compiled engine looks at every pair of twelve directions, all of them
quoted and none worth a signal, in a table with room for 4,096 symbols; baseline: the same pairs in
a table of 1,024. Shared memory: bytes of the instance's files, which are allocated when it is made;
baseline: for 1,024 symbols. All processes: `spreadscan run` on simulators at 2,000 quotes/s for
20 seconds; baseline: the small universe. The audit: its process alone, a round of each source every
15 s; baseline: all processes.

Not measured: discovery (bench_discover.py), real networks. What several processes map is divided
among them, the simulators too.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns

import pytest
from spreadcore import Instance
from spreadcore.region import exists, unlink

from known import EIGHT as SOURCES
from known import SOURCE_BY_NAME
from measure import median
from rig import quoted, running, simulators, until, write_lists
from spreadscan.app import build
from spreadscan.app.status import Usage
from spreadscan.config import Config
from spreadscan.lists import Lists, load
from spreadscan.sim import Market
from spreadscan.sim.universe import REAL, UNIVERSES

ROOMS = (1_024, 4_096)
SECONDS, QUICK_S = 20.0, 2.0
NAMES = [source.name for source in SOURCES]


def bench_scan(
    row: Callable[..., None],
    count: Callable[[int], int],
    make_instance: Callable[..., Instance],
    tmp_path: Path,
) -> None:
    write_lists(tmp_path, Market(shape=REAL), NAMES, all_of_use=True)
    lists, rounds = load(tmp_path / "generated"), count(200)
    found, size = {}, {}
    for n_symbols in ROOMS:
        instance = make_instance(
            n_sources=8, n_symbols=n_symbols, n_edges=n_symbols * 12, force=True
        )
        found[n_symbols] = _scan_us(instance, lists, rounds)
        files = Path(instance.directory).iterdir()
        size[n_symbols] = sum(file.stat().st_size for file in files) / 1e6
    n_pairs = sum(map(len, lists.pairs.values()))
    row(
        f"a scan of {n_pairs:,} pairs, room for {ROOMS[1]:,}", found[ROOMS[1]], "us",
        f"room for {ROOMS[0]:,}", found[ROOMS[0]], rounds,
    )  # fmt: skip
    row(
        f"shared memory, room for {ROOMS[1]:,}", size[ROOMS[1]], "MB",
        f"room for {ROOMS[0]:,}", size[ROOMS[0]], 1,
    )  # fmt: skip


def _scan_us(instance: Instance, lists: Lists, rounds: int) -> float:
    """Return the median time of one look at everything."""
    config = Config()
    engine = build.make_engine(config, lists, instance)
    taken = []
    for _ in range(rounds):
        now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        for name, listed in lists.sources.items():
            source = SOURCE_BY_NAME[name].id
            instance.health.beat(source, now)
            for listing in listed.symbols:
                quote = (100.0, 100.1, 1e3, 1e3, 0, now)
                instance.quotes.write(source, listing.symbol_id, *quote)
        begun = perf_counter_ns()
        engine.scan(now)
        taken.append((perf_counter_ns() - begun) / 1e3)
    assert not instance.ring.produced
    return median(taken)


def bench_all_processes(
    row: Callable[..., None],
    pytestconfig: pytest.Config,
    tmp_path: Path,
    instance_name: str,
    python_env: dict[str, str],
) -> None:
    seconds = QUICK_S if pytestconfig.option.quick else SECONDS
    found = {
        name: _costs(tmp_path / name, name, instance_name, python_env, seconds)
        for name in UNIVERSES
    }
    n_listings, pss_mb, cpu_pct, audit_mb, audit_pct = found["real"]
    n_few, few_mb, few_pct, *_ = found["small"]
    row(
        f"PSS of the audit, {n_listings:,} listings", audit_mb, "MB", "all processes", pss_mb,
        seconds, aim="30",
    )  # fmt: skip
    row(
        f"CPU of the audit, {n_listings:,} listings", audit_pct, "% of a core", "all processes",
        cpu_pct, seconds, aim="1.5",
    )  # fmt: skip
    row(
        f"PSS, {n_listings:,} listings subscribed to", pss_mb, "MB", f"{n_few:,} listings", few_mb,
        seconds,
    )  # fmt: skip
    row(
        f"CPU, {n_listings:,} listings subscribed to", cpu_pct, "% of a core",
        f"{n_few:,} listings", few_pct, seconds,
    )  # fmt: skip


def _costs(
    folder: Path, universe: str, instance: str, env: dict[str, str], seconds: float
) -> tuple[int, float, float, float, float]:
    """Return listings subscribed to, PSS in MB and CPU in % of a core of a running scanner, and of
    its audit."""
    folder.mkdir()
    n = write_lists(folder, Market(shape=UNIVERSES[universe]), NAMES, all_of_use=True)
    cores = {min(os.sched_getaffinity(0))}
    try:
        with (
            simulators(folder, env, cores, "--universe", universe) as sims,
            running(folder, env, sims, instance) as attached,
        ):
            until(lambda: quoted(attached) > 0.97 * n, "nearly every quote")
            whole, audit = Usage(attached), Usage(attached, "audit")
            time.sleep(seconds)
            found = [f() for usage in (whole, audit) for f in (usage.pss_mb, usage.cpu_pct)]
    finally:
        if exists(instance):
            unlink(instance)
    return n, *found
