"""Imports go down only. The table below is the house's plan; change it with the code."""

import ast
from pathlib import Path

import pytest

SRC = Path(__file__).parents[2] / "src"

# level of each room; a module may import lower levels, and its own room
LEVELS = {
    "spreadscan.credentials": 0,
    "spreadscan.errors": 0,
    "spreadscan.types": 0,
    "spreadscan.catalogue": 0,
    "spreadscan.clock": 0,
    "spreadscan.environment": 0,
    "spreadscan.defaults": 0,
    "spreadscan.config": 0,
    "spreadscan.logs": 0,
    "spreadscan.lists": 0,
    "spreadscan.locks": 0,
    "spreadscan.reload": 0,
    "spreadscan.disk": 1,
    "spreadscan.inuse": 2,
    "spreadscan.net": 2,
    "spreadscan.recordings": 2,
    "spreadscan.venues": 2,
    "spreadscan.control": 3,
    "spreadscan.workers": 3,
    "spreadscan.audit": 4,
    "spreadscan.feeds": 4,
    "spreadscan.discovery": 5,
    "spreadscan.tracker": 5,
    "spreadscan.app": 6,
    "spreadscan.export": 6,
    "spreadscan.sim": 6,
    "spreadscan.replay": 7,
    "spreadscan.report": 7,
    "spreadscan.sim.recorded": 8,
    "spreadscan.cli": 9,
}
# narrower than their level allows
ONLY_UP_TO = {"spreadscan.sim": 2}
# the facts of level 0 lean on each other in this order only
FACTS = [
    "credentials", "errors", "types", "catalogue", "clock", "locks", "logs", "environment",
    "defaults", "config", "lists", "reload",
]  # fmt: skip


def room_of(module: str) -> str:
    inner = ".".join(module.split(".")[:3])  # a room within a room has a level of its own
    return inner if inner in LEVELS else ".".join(module.split(".")[:2])


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative import, expected absolute ones"
            # `from spreadscan import config` names a module, not an attribute
            found |= (
                {f"spreadscan.{alias.name}" for alias in node.names}
                if node.module == "spreadscan"
                else {node.module}
            )
    return found


MODULES = sorted((SRC / "spreadscan").rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_down(path: Path) -> None:
    module = ".".join(path.relative_to(SRC).with_suffix("").parts)
    room = room_of(module)
    if room in ("spreadscan.__init__", "spreadscan.__main__"):
        return
    level = LEVELS[room]
    limit = ONLY_UP_TO.get(room, level)
    for target in imports(path):
        if not target.startswith("spreadscan.") or room_of(target) == room:
            continue
        if room_of(target) == "spreadscan.__version__":
            continue
        if level == 0:
            theirs, ours = FACTS.index(target.split(".")[1]), FACTS.index(room.split(".")[1])
            assert theirs < ours, f"{module} imports {target}: beside or above it"
        else:
            assert LEVELS[room_of(target)] <= limit, f"{module} imports {target}: above it"
            assert LEVELS[room_of(target)] < level, f"{module} imports {target}: beside it"


def test_every_room_has_a_level() -> None:
    rooms = {
        f"spreadscan.{p.stem}"
        for p in (SRC / "spreadscan").iterdir()
        if (p.is_dir() or p.suffix == ".py") and not p.name.startswith("__")
    } - {"spreadscan.py"}
    assert rooms == {name for name in LEVELS if name.count(".") == 1}


CORE_ORDER = [
    "errors", "ours", "sigbus", "lease", "layout", "dtypes", "region", "seqlock", "quotes",
    "funding", "ages", "audit", "dirty", "ring", "stream", "opentracks", "active", "control",
    "conversion", "edges", "health",
    "cadence", "tradable", "lines", "fields", "wire", "symbols", "tape", "intake", "frames",
    "listener", "limits", "spread", "edgestats", "watch", "digits", "rows", "trackstats", "tracks",
    "confirm", "engine", "playback",
    "instance", "table", "__init__",
]  # fmt: skip


def core_imports(path: Path) -> set[str]:
    if path.suffix == ".py":
        names = imports(path)
    else:
        lines = path.read_text("utf-8").splitlines()
        names = {
            line.split()[1]
            for line in lines
            if line.startswith(("from spreadcore.", "cimport spreadcore."))
        }
    return {n.split(".")[1] for n in names if n.startswith("spreadcore.")}


@pytest.mark.parametrize(
    "path",
    sorted(p for p in (SRC / "spreadcore").iterdir() if p.suffix in (".py", ".pyx", ".pxd")),
    ids=lambda p: p.name,
)
def test_the_core_is_built_from_below(path: Path) -> None:
    if path.stem == "atomics":
        assert core_imports(path) == set()
        return
    ours = CORE_ORDER.index(path.stem)
    for target in core_imports(path) - {"atomics", path.stem}:
        assert CORE_ORDER.index(target) < ours, f"{path.name} imports spreadcore.{target}"


WIRE_ORDER = ["__init__", "plan", "decimal", "program", "text", "json", "proto", "shape", "decoder"]


@pytest.mark.parametrize(
    "path",
    sorted(p for p in (SRC / "spreadcore/wire").iterdir() if p.suffix in (".py", ".pyx", ".pxd")),
    ids=lambda p: p.name,
)
def test_wire_is_built_from_below(path: Path) -> None:
    assert core_imports(path) <= {"errors", "layout", "fields", "wire"}
    ours = WIRE_ORDER.index(path.stem)
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("from spreadcore.wire."):
            target = line.split()[1].removeprefix("spreadcore.wire.")
            assert WIRE_ORDER.index(target) < ours or target == path.stem, f"{path.name}: {line}"


@pytest.mark.parametrize("path", sorted((SRC / "spreadcore").rglob("*.py*")), ids=lambda p: p.name)
def test_the_core_knows_no_asyncio_and_no_venue(path: Path) -> None:
    text = path.read_text("utf-8").lower()
    for word in ("asyncio", "binance", "bybit", "mexc", "okx"):
        assert word not in text, f"{path.name} speaks of {word}"
