"""`spreadscan record` beside a running scanner, as a user runs it."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.conftest import Scanner, Simulators, environment, spreadscan, until
from spreadscan.recordings import Opcode, Recording

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("layout", ["processes", "single"])
def test_what_a_feed_takes_is_recorded_beside_the_scan(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner], layout: str
) -> None:
    scan = scanner(simulators(), layout=layout)
    until(lambda: scan.ctl("status").returncode == 0, "every role running")
    folder = scan.folder / "rec"
    arguments = ["record", "--instance", scan.name, "--out", str(folder), "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "spreadscan", *arguments, "--for", "60s"],
        cwd=scan.folder, stdout=subprocess.PIPE, text=True, env=environment(),
    )  # fmt: skip
    health = scan.attach().health
    until(lambda: health.counters(0)["recorded"] > 50, "frames of binance-spot")
    again = spreadscan(*arguments[:3], "--out", "other", cwd=scan.folder)
    assert (1, True) == (again.returncode, "record: already running" in again.stderr)
    assert "recording 8 sources" in scan.ctl("status").stdout
    pid = health.info(7)["pid"]
    if layout == "processes":
        os.kill(pid, signal.SIGKILL)
        until(lambda: health.info(7)["pid"] != pid, "a new feed")
        until(lambda: health.counters(7)["sockets"], "its sockets")
    process.send_signal(signal.SIGINT)
    told = json.loads(process.communicate(timeout=30)[0])
    assert 0 == process.returncode
    assert [] == told["late"]
    assert {0} == set(told["dropped"].values())
    recording = Recording(folder)
    found = dict.fromkeys(recording.sources, 0)
    for frame in recording.frames():
        found[frame.source] += 1
        assert frame.payload or frame.opcode not in (Opcode.TEXT, Opcode.BINARY)
    if layout == "processes":  # what the killed feed had not written is gone, and named
        (cut,) = recording.problems
        assert cut.what.startswith("no index at its end")
        assert "okx-futures" in cut.file
        found.pop("okx-futures")
    else:
        assert [] == recording.problems
    assert {name: told["frames"][name] for name in found} == found
    assert all(found.values())
    assert told["bytes"] == recording.n_bytes == size(folder / "frames")


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_nothing_runs(tmp_path: Path) -> None:
    done = spreadscan("record", "--instance", "none-such", cwd=tmp_path)
    assert "Traceback" not in done.stderr
    assert (1, True) == (done.returncode, "there is none, expected a scanner" in done.stderr)
