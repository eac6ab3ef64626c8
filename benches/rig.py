"""What the benches of the feed path set up: simulators that flood, lists for feeds, one reader.

Each is a process of its own and pinned; readers are fresh interpreters, so that their memory and
what they import are a feed's alone.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spreadcore import Instance
from spreadcore.errors import CoreError

from known import EIGHT as SOURCES
from known import SOURCE_BY_NAME
from spreadscan.config import Config
from spreadscan.config import load as load_settings
from spreadscan.discovery.ids import NONE, assign_edges, assign_ids, comparable
from spreadscan.discovery.normalise import direction_pairs, normalise
from spreadscan.discovery.origin import origin_of
from spreadscan.discovery.write import write_set
from spreadscan.lists import Listing, SourceList, load
from spreadscan.sim import Market

_HERE = Path(__file__).parent
_END_S = 20.0
_WITHIN_S, _LOOK_S = 60.0, 0.1


def write_lists(
    folder: Path, market: Market, sources: Sequence[str], n: int | None = None, *,
    generation: int = 1, without: Container[str] = (), all_of_use: bool = False,
) -> int:  # fmt: skip
    """Write generated/ as discovery would, of the pairs that trade, n of each source at most.

    without: pairs that have an id, but are not listed. all_of_use: none that no direction can
    use. Edges keep the numbers of the set that is there. Returns how many a scanner subscribes to.
    """
    before = load(folder / "generated") if (folder / "generated/metadata.json").exists() else None
    listed = {}
    for source in sources:
        rows = market.instruments[SOURCE_BY_NAME[source].id]
        dead = {index for source_id, index in market.dead if SOURCE_BY_NAME[source].id == source_id}
        listed[source] = [row for index, row in enumerate(rows) if index not in dead][:n]
    config = Config()
    kept, _ = normalise(listed, config.universe)
    if all_of_use:
        kept = comparable(config, kept).kept
    unix_s = int(time.time())
    numbers = assign_ids(set().union(*kept.values()), NONE, unix_s)
    ids = numbers.in_use
    kept = {
        source: {name: row for name, row in rows.items() if name not in without}
        for source, rows in kept.items()
    }
    pairs = {d: [ids[name] for name in found] for d, found in direction_pairs(config, kept).items()}
    write_set(
        folder / "generated",
        generation=generation,
        names=numbers.names,
        retired=frozenset(numbers.retired),
        pairs=pairs,
        edges=assign_edges(config.catalogue, pairs, before.edges if before else (), unix_s),
        sources={
            source: SourceList(
                source=source,
                symbols=tuple(
                    Listing(symbol_id=ids[name], symbol=name, state="valid", instrument=rows[name])
                    for name in sorted(rows)
                ),
            )
            for source, rows in kept.items()
        },
        n_listed={source: {"USDT": len(rows)} for source, rows in kept.items()},
        report="",
        unix_ns=time.time_ns(),
        origin=before.origin if before else None,
    )
    return sum(map(len, kept.values()))


def adopt(folder: Path, config: Config) -> None:
    """Say of generated/ that it was discovered with these settings."""
    lists = load(folder / "generated")
    write_set(
        folder / "generated",
        generation=lists.generation,
        names=lists.names,
        retired=lists.retired,
        pairs=lists.pairs,
        edges=lists.edges,
        sources=lists.sources,
        n_listed=lists.n_listed,
        report="",
        unix_ns=time.time_ns(),
        origin=origin_of(config),
    )


@dataclass
class Simulators:
    """A running `spreadscan sim`; `sent` is frames by source, once it has ended."""

    config: Path
    ca: Path
    urls: dict[str, str]
    sent: dict[str, int] = field(default_factory=dict)


@contextmanager
def simulators(
    folder: Path, env: dict[str, str], cores: set[int], *arguments: str, tls: bool = False
) -> Iterator[Simulators]:
    """Run `spreadscan sim` with these arguments meanwhile."""
    config, ca = folder / "sim.toml", folder / "ca.pem"
    command = [sys.executable, "-m", "spreadscan", "sim", "--port", "0", "--json", *arguments]
    command += ["--write-config", str(config), *(("--tls", str(ca)) if tls else ())]
    child = subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        os.sched_setaffinity(child.pid, cores)
        assert child.stdout
        told = json.loads(child.stdout.readline() or _died(child))
        urls = {name: row["ws_url"] for name, row in told["sources"].items()}
        found = Simulators(config, ca, urls)
        yield found
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=_END_S)
        assert child.returncode == 0, said
        found.sent = {name: int(n) for name, n, _ in (line.split() for line in said.splitlines())}
    finally:
        child.kill()
        child.communicate()


def _died(child: "subprocess.Popen[str]") -> str:
    raise RuntimeError(f"sim: {child.communicate()[1][-2000:]}")


@contextmanager
def running(
    folder: Path, env: dict[str, str], sims: Simulators, instance: str, *arguments: str
) -> Iterator[Instance]:
    """Run the scanner meanwhile; yields its instance, control mapped for writing."""
    adopt(folder, load_settings([sims.config]).config)
    command = [sys.executable, "-m", "spreadscan", "run", "--no-discover", "-c", str(sims.config)]
    command += ["--instance", instance, *arguments]
    child = subprocess.Popen(command, cwd=folder, env=env, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: attached(instance) is not None, "the instance")
        yield Instance(instance, ("control",))
        child.send_signal(signal.SIGTERM)
        _, said = child.communicate(timeout=_WITHIN_S)
        assert child.returncode == 0, said
    finally:
        child.kill()
        child.communicate()


def attached(name: str) -> Instance | None:
    try:
        return Instance(name)
    except CoreError:
        return None


def quoted(instance: Instance) -> int:
    return sum(instance.quotes.survey(source.id)[0] for source in SOURCES)


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + _WITHIN_S
    while not holds():
        assert time.monotonic() < end, f"not within {_WITHIN_S:g} s: {what}"
        time.sleep(_LOOK_S)


def read_flood(
    folder: Path, env: dict[str, str], cores: set[int], sims: Simulators, within_s: float,
    **task: Any,
) -> dict[str, Any]:  # fmt: skip
    """Run reader.py on a task and return what it found; see there."""
    task |= {"folder": str(folder), "config": str(sims.config), "urls": sims.urls}
    trusted = {"SSL_CERT_FILE": str(sims.ca)} if sims.ca.exists() else {}
    child = subprocess.Popen(
        [sys.executable, str(_HERE / "reader.py"), json.dumps(task)],
        env=env | trusted, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        os.sched_setaffinity(child.pid, cores)
        out, said = child.communicate(timeout=within_s)
    finally:
        child.kill()
        child.communicate()
    assert child.returncode == 0, said[-3000:]
    found: dict[str, Any] = json.loads(out)
    return found


def cpu_s(pid: int) -> float:
    """Return the seconds that a process and its threads have run so far."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9
