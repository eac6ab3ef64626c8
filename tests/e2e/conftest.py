"""Real processes on simulated exchanges, in a folder and an instance of their own."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from spreadcore import Instance
from spreadcore.region import exists, unlink

from e2e import bad_day
from spreadscan.config import load as load_settings
from spreadscan.defaults import default_file
from spreadscan.discovery.origin import origin_of
from spreadscan.discovery.write import write_set
from spreadscan.lists import load
from spreadscan.sim.market import Market
from spreadscan.sim.universe import REAL

ROOT = Path(__file__).parents[2]
SEED = 7
RATE = 2000.0


def spreadscan(
    *arguments: str, cwd: Path, timeout: float = 120.0
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end; output as text."""
    return subprocess.run(
        [sys.executable, "-m", "spreadscan", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        env=environment(),
    )


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("SPREAD_")} | {
        "NO_COLOR": "1",
        "COLUMNS": "200",
    }


def until(condition: Callable[[], Any], what: str, within_s: float = 30.0) -> Any:
    """Wait for a condition; its value. Fails the test, naming what was awaited."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    pytest.fail(f"not within {within_s:g} s: {what}")


@dataclass
class Simulators:
    """A running `spreadscan sim`: where it is and when its time began."""

    config: Path
    t0_boottime_ns: int
    t0_unix_ns: int
    process: "subprocess.Popen[str]"


@dataclass
class Scanner:
    """A running `spreadscan run` in its own folder."""

    folder: Path
    name: str
    process: "subprocess.Popen[str]"
    started: float = field(default_factory=time.monotonic)

    def attach(self) -> Instance:
        return Instance(self.name)

    def ctl(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return spreadscan("ctl", *arguments, "--instance", self.name, cwd=self.folder)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ctl("status", "--json").stdout)
        return found

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(10)


@pytest.fixture
def simulators(tmp_path: Path) -> Iterator[Callable[..., Simulators]]:
    """Start simulators; they end with the test."""
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str, seed: int = SEED, rate: float = RATE) -> Simulators:
        config = tmp_path / f"sim{len(running)}.toml"
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "spreadscan",
                "sim",
                "--port",
                "0",
                "--json",
                "--seed",
                str(seed),
                "--rate",
                str(rate),
                "--write-config",
                str(config),
                *arguments,
            ],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        running.append(process)
        assert process.stdout
        told = json.loads(process.stdout.readline())
        return Simulators(config, told["t0_boottime_ns"], told["t0_unix_ns"], process)

    yield start
    for process in running:
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


@pytest.fixture(scope="session")
def discovered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `generated/` of one discovery over simulators with the tests' seed."""
    return discovery_in(tmp_path_factory.mktemp("discovered"), SEED, RATE)


@pytest.fixture(scope="session")
def market() -> Market:
    """The market of the bad days, with lists of real size."""
    return Market(bad_day.SEED, bad_day.RATE, shape=REAL)


@pytest.fixture(scope="session")
def discovered_real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The set of one discovery on the good day before."""
    folder = tmp_path_factory.mktemp("discovered-real")
    return discovery_in(folder, bad_day.SEED, bad_day.RATE, "--universe", "real")


def discovery_in(folder: Path, seed: int, rate: float, *arguments: str) -> Path:
    """Discover over simulators in a folder; return its `generated/`."""
    config = folder / "sim.toml"
    process = subprocess.Popen(
        [
            sys.executable, "-m", "spreadscan", "sim", "--port", "0", "--seed", str(seed),
            "--rate", str(rate), "--write-config", str(config), *arguments,
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        env=environment(),
    )  # fmt: skip
    try:
        until(config.exists, "the simulators' addresses")
        done = spreadscan("discover", "-c", str(config), cwd=folder)
        assert done.returncode == 0, done.stderr
    finally:
        process.kill()
        process.wait()
    return folder / "generated"


def adopt(generated: Path, config: Path, arguments: Sequence[str] = ()) -> None:
    """Say of a set that it was discovered with these settings: that of another simulator is not."""
    given = [value for flag, value in pairwise(arguments) if flag == "--set"]
    files = [config, *(Path(value) for flag, value in pairwise(arguments) if flag == "-c")]
    settings = load_settings(files, dict(setting.split("=", 1) for setting in given), {}).config
    lists = load(generated)
    write_set(
        generated,
        generation=lists.generation,
        names=lists.names,
        retired=lists.retired,
        pairs=lists.pairs,
        edges=lists.edges,
        sources=lists.sources,
        n_listed=lists.n_listed,
        report="",
        unix_ns=time.time_ns(),
        origin=origin_of(settings),
    )


@pytest.fixture
def scanner(tmp_path: Path, discovered: Path) -> Iterator[Callable[..., Scanner]]:
    """Start `spreadscan run` on a discovered set; it ends, and its instance goes, with the test."""
    running: list[Scanner] = []

    def start(
        sim: Simulators, *arguments: str, layout: str = "processes", wait: bool = True
    ) -> Scanner:
        name = f"test-{secrets.token_hex(4)}"
        if not (tmp_path / "generated").exists():
            shutil.copytree(discovered, tmp_path / "generated")
        adopt(tmp_path / "generated", sim.config, arguments)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "spreadscan",
                "run",
                "--no-discover",
                "--instance",
                name,
                "-c",
                str(default_file("demo.toml")),
                "-c",
                str(sim.config),
                "--layout",
                layout,
                *arguments,
            ],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        found = Scanner(tmp_path, name, process)
        running.append(found)
        if wait:
            until(lambda: exists(name) or process.poll() is not None, "the instance")
            instance = found.attach()
            role = instance.health.role("supervisor")
            until(
                lambda: (
                    instance.health.info(role)["state"] == "running" or process.poll() is not None
                ),
                "the supervisor",
            )
            assert process.poll() is None, process.stderr and process.stderr.read()
            instance.close()
        return found

    yield start
    for one in running:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        if one.process.stderr:
            one.process.stderr.close()
        if exists(one.name):
            unlink(one.name)
