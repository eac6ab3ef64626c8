"""The demo as a user starts it, for its JSON: the shape is a promise."""

import fcntl
import json
import os
import pty
import secrets
import select
import signal
import subprocess
import sys
import termios
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from spreadcore.region import exists, unlink

from e2e.conftest import environment, spreadscan, until
from e2e.oracle import event_rows
from known import EIGHT as SOURCES
from spreadscan.cli.demo import _say

pytestmark = pytest.mark.e2e


def test_demo_json(tmp_path: Path) -> None:
    done = spreadscan("demo", "--seconds", "20", "--json", cwd=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert [s.name for s in SOURCES] == list(summary["sources"])
    for name, source in summary["sources"].items():
        assert source["sockets"] >= 2, name
        assert source["quotes"] > 500, name
        assert source["declined"] == 0, name
        assert source["age_ms"] < 6000, name
    signals, tracks = summary["signals"], summary["tracks"]
    assert signals["produced"] == signals["tracked"] + signals["queued"]
    assert 0 == signals["suspect"]  # pairs that are two coins of one name are in quarantine
    assert tracks["opened"] == signals["tracked"]
    assert tracks["converged"] > 0
    assert tracks["opened"] == (
        tracks["converged"]
        + tracks["expired"]
        + tracks["lost"]
        + tracks["unproven"]
        + tracks["not_trading"]
        + tracks["halted"]
        + tracks["open"]
    )
    rows = [r for r in event_rows(tmp_path / "demo" / "data") if r["event"] == "OPEN"]
    assert list(range(signals["tracked"])) == [int(r["sequence"]) for r in rows]
    for name in ("receive_slot", "receive_signal"):
        assert 0 < summary["latency_ns"][name]["p50"] <= summary["latency_ns"][name]["p99"]
    assert 0 < summary["pss_mb"] < 1000
    assert 0 < summary["cpu_pct"] < 200
    # none of it where a scan of the real market would be
    assert {"demo"} == {path.name for path in tmp_path.iterdir()}
    assert {"data", "generated", "logs"} == {path.name for path in (tmp_path / "demo").iterdir()}
    assert not exists("demo")
    assert summary["files"]
    for path in summary["files"]:
        assert (tmp_path / path).stat().st_size > 0
    its_files_can_be_exported_and_drawn(tmp_path, signals["tracked"], tracks["open"])


@pytest.mark.parametrize("end", ["terminal", "SIGTERM"])
def test_a_demo_that_is_ended_leaves_nothing_behind(tmp_path: Path, end: str) -> None:
    name = f"test-{secrets.token_hex(4)}"
    master, slave = pty.openpty()

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    demo = subprocess.Popen(
        [sys.executable, "-m", "spreadscan", "demo", "--set", f'instance="{name}"'],
        cwd=tmp_path, stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=take_terminal, env=environment() | {"TMPDIR": str(tmp_path), "TERM": "xterm"},
    )  # fmt: skip
    os.close(slave)
    closing = threading.Event()
    screen = threading.Thread(target=read_until, args=(master, closing), daemon=True)
    screen.start()
    try:
        until(lambda: list(tmp_path.glob("demo/data/signals-*")), "the demo's signals", 90.0)
        assert len(processes_in(tmp_path)) > 10
        if end == "terminal":  # the kernel tells who runs there, and its output goes nowhere
            closing.set()
            screen.join(5.0)
            os.close(master)
        else:
            demo.send_signal(signal.SIGTERM)
        demo.wait(20)
        until(lambda: not processes_in(tmp_path), "the end of every process")
        assert not exists(name)
        assert {"demo"} == {path.name for path in tmp_path.iterdir()}
    finally:
        for pid in processes_in(tmp_path):
            os.kill(pid, signal.SIGKILL)
        demo.wait(10)
        closing.set()
        screen.join(5.0)
        if end != "terminal":
            os.close(master)
        if exists(name):
            unlink(name)


def read_until(fd: int, closing: threading.Event) -> None:
    with suppress(OSError):  # nobody has the other end any more
        while not closing.is_set():
            if select.select([fd], [], [], 0.05)[0]:
                os.read(fd, 1 << 16)


def processes_in(folder: Path) -> list[int]:
    """The processes whose working directory that is."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if each.readlink() == folder and b"\0" in (each.parent / "cmdline").read_bytes():
                found.append(int(each.parent.name))
    return found


def its_files_can_be_exported_and_drawn(folder: Path, tracked: int, still_open: int) -> None:
    data = ("--data", str(folder / "demo" / "data"))
    done = spreadscan("export", "--json", *data, cwd=folder)
    assert (0, "") == (done.returncode, done.stderr)
    told = json.loads(done.stdout)
    assert (tracked, still_open) == (told["tracks"]["rows"], told["open_tracks"])
    assert tracked <= min(output["rows"] for output in told["outputs"])
    done = spreadscan("report", "--json", *data, cwd=folder)
    assert (0, "") == (done.returncode, done.stderr)
    told = json.loads(done.stdout)
    assert (tracked, still_open) == (told["signals"], told["ends"]["OPEN"])
    assert told["shown"]
    assert (folder / told["page"]).stat().st_size > 100_000


def test_what_an_earlier_demo_left_open_is_none_of_its_signals(
    capsys: pytest.CaptureFixture[str],
) -> None:
    tracks = {"opened": 41, "converged": 16, "expired": 0, "lost": 26, "delisted": 0, "open": 25}
    tracks |= {"not_trading": 0, "unproven": 0, "halted": 0}
    summary = {"sources": {}, "signals": {"produced": 41}, "tracks": tracks, "files": []}
    summary |= {"pss_mb": 1.0, "cpu_pct": 1.0}
    _say(summary)
    assert "41 signals and 26 spreads that an earlier demo left open, of which 16 converged" in (
        capsys.readouterr().out
    )
    _say(summary | {"tracks": tracks | {"lost": 0}})
    assert "41 signals, of which 16 converged" in capsys.readouterr().out
