"""Two runs of one instance: what each says at its end is its own."""

import json
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from spreadcore.region import exists, unlink

from spreadscan.defaults import default_file
from spreadscan.disk.format import simulated_of

from .conftest import Simulators, adopt, spreadscan


def ran(folder: Path, sim: Simulators, name: str, seconds: float) -> dict[str, Any]:
    done = spreadscan(
        "run", "--no-discover", "--instance", name, "-c", str(default_file("demo.toml")),
        "-c", str(sim.config), "--set", 'paths.data="data"', "--set", 'paths.generated="generated"',
        "--seconds", str(seconds), "--json", cwd=folder,
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def name() -> Any:
    made = f"test-{secrets.token_hex(4)}"
    yield made
    if exists(made):
        unlink(made)


def test_run_json_counts_its_own_run(
    simulators: Callable[..., Simulators], discovered: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(discovered, tmp_path / "generated")
    sim = simulators()
    adopt(tmp_path / "generated", sim.config)
    first, second = (ran(tmp_path, sim, name, seconds) for seconds in (6.0, 3.0))
    quotes = [sum(s["quotes"] for s in found["sources"].values()) for found in (first, second)]
    total = sum(s["quotes"] for s in second["since_creation"]["sources"].values())
    assert sum(quotes) == total
    assert 0 < quotes[1] < total
    for key in ("tracked", "suspect"):
        assert second["since_creation"]["signals"][key] == (
            first["signals"][key] + second["signals"][key])  # fmt: skip
    assert first["since_creation"]["since"] <= first["since"] < second["since"]
    assert second["seconds"] < first["seconds"] + 6
    # no more than this run has in it, though it is younger than a minute
    assert second["last_minute"]["sources"] == {
        source: {key: counts[key] for key in second["last_minute"]["sources"][source]}
        for source, counts in second["sources"].items()
    }
    heads = {simulated_of(path.read_bytes()) for path in (tmp_path / "data").glob("*.csv")}
    assert {"true"} == heads
