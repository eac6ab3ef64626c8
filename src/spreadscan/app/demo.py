"""The demo: simulators, discovery and the scanner as processes of their own; this one reads."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spreadcore import Instance
from spreadcore.region import unlink

from spreadscan.app import build
from spreadscan.app.status import Usage, status
from spreadscan.config import Config
from spreadscan.errors import SpreadError
from spreadscan.lists import load
from spreadscan.locks import TRACKER, FolderLock

_READY_WITHIN_S = 30.0
_END_WITHIN_S = 6.0


class Demo:
    """One demo run; use the methods in order. files: the config files the children read too."""

    def __init__(self, config: Config, files: Sequence[str], settings: Sequence[str]) -> None:
        self.config = config
        self._arguments = [x for f in files for x in ("--config", f)]
        self._arguments += [x for s in settings for x in ("--set", s)]
        self._started_s = time.time()

    def refuse_another(self) -> None:
        """ConfigError where a scanner runs in this instance, or on this data folder."""
        build.refuse_live(self.config)
        folder = FolderLock(self.config.paths.data, TRACKER, self.config.instance)
        folder.take(0.0)
        folder.close()

    @contextmanager
    def simulators(self, seed: int, rate: float) -> Iterator[None]:
        """Start the simulators on free ports and let the later children know them."""
        with tempfile.TemporaryDirectory(prefix="spreadscan-demo-") as folder:
            addresses = Path(folder) / "sim.toml"
            command = [
                "sim",
                "--port",
                "0",
                "--seed",
                str(seed),
                "--rate",
                str(rate),
                "--write-config",
                str(addresses),
                *(word for name in self.config.sources for word in ("--source", name)),
                *(["--usdc"] if "USDC" in self.config.universe.quotes else []),
            ]
            with _child(command, quiet=True) as child:
                _wait_for(addresses.exists, child, "the simulators")
                self._arguments += ["--config", str(addresses)]
                yield

    def discover(self) -> None:
        """Run discovery; its progress goes to this terminal."""
        done = subprocess.run(
            [*_SPREADSCAN, "discover", *self._arguments], check=False, stdout=subprocess.DEVNULL
        )
        if done.returncode:
            raise SpreadError(f"demo: discovery ended with exit code {done.returncode}")

    @contextmanager
    def scanner(self, layout: str) -> Iterator["Scanner"]:
        """Start the scanner on a fresh instance; ended, and the instance removed, at exit."""
        lists = load(self.config.paths.generated)
        build.create_instance(
            self.config, force=True, n_ids=len(lists.names), n_edges=lists.n_edge_ids
        )
        try:
            command = ["run", "--no-discover", "--layout", layout, *self._arguments]
            with _child(command, quiet=False) as child:
                instance = build.open_instance(self.config, "reader")
                supervisor = instance.health.role("supervisor")
                _wait_for(
                    lambda: instance.health.info(supervisor)["state"] in ("running", "degraded"),
                    child,
                    "the scanner",
                )
                yield Scanner(self, instance, child)
        finally:
            unlink(self.config.instance)

    def new_files(self) -> list[str]:
        """Return the data files that this demo wrote to."""
        return sorted(
            str(path)
            for path in Path(self.config.paths.data).glob("*.csv")
            if path.stat().st_mtime >= self._started_s - 1
        )


class Scanner:
    """A running scanner as the demo sees it."""

    def __init__(self, demo: Demo, instance: Instance, child: "subprocess.Popen[bytes]") -> None:
        self.instance = instance
        self._demo = demo
        self._child = child
        self._usage = Usage(instance)

    def alive(self) -> bool:
        """Return True while the scanner's main process lives."""
        self._usage.sample()
        return self._child.poll() is None

    def finish(self) -> dict[str, Any]:
        """Stop the scanner and return the summary: the last status and what it cost."""
        summary = status(self.instance, self._demo.config)
        pss_mb, cpu_pct = self._usage.pss_mb(), self._usage.cpu_pct()
        died = self._child.poll() is not None
        _end(self._child)
        final = status(self.instance, self._demo.config)
        summary |= {
            "signals": final["signals"],
            "tracks": final["tracks"],
            "pss_mb": round(pss_mb, 1),
            "cpu_pct": round(cpu_pct, 1),
            "files": self._demo.new_files(),
            "exit_code": self._child.returncode,
        }
        self.instance.close()
        if died or self._child.returncode not in (0, 3):
            raise SpreadError(
                f"demo: the scanner ended with exit code {self._child.returncode}; "
                f"see {self._demo.config.paths.logs}/"
            )
        return summary


_SPREADSCAN = [sys.executable, "-m", "spreadscan"]


@contextmanager
def _child(command: Sequence[str], *, quiet: bool) -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(
        [*_SPREADSCAN, *command],
        stdout=subprocess.DEVNULL,
        stderr=None if not quiet else subprocess.PIPE,
        # Ctrl-C is for the demo; it ends its children itself, in order
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield child
    finally:
        _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(_END_WITHIN_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stderr:
        child.stderr.close()


def _wait_for(ready: Any, child: "subprocess.Popen[bytes]", what: str) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while not ready():
        if child.poll() is not None:
            said = child.stderr.read().decode(errors="replace").strip() if child.stderr else ""
            raise SpreadError(
                f"demo: {what} ended with exit code {child.returncode}"
                + (f": {said.splitlines()[-1]}" if said else "")
            )
        if time.monotonic() > deadline:
            raise SpreadError(f"demo: {what} not ready within {_READY_WITHIN_S:g} s")
        time.sleep(0.02)
