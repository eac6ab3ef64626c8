"""The scanner under a service manager: what it tells it, and when it is silent."""

import os
import shutil
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import ROOT, Scanner, Simulators, until

pytestmark = pytest.mark.e2e

TWO = (
    "--set", 'sources=["okx-spot","mexc-futures"]', "--set", "audit.enabled=false",
)  # fmt: skip


class Manager:
    """systemd's end of the socket: what came, from whom and when."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.bind(str(path))
        self.senders: set[int] = set()
        self.told: list[tuple[float, str]] = []

    def hear(self) -> list[str]:
        while True:
            try:
                data, control, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            except BlockingIOError:
                return [line for _, line in self.told]
            self.senders.add(struct.unpack("3i", control[0][2])[0])
            self.told += [(time.monotonic(), line) for line in data.decode().split("\n")]

    def fed_s(self) -> float:
        """Seconds since the watchdog was fed."""
        self.hear()
        return time.monotonic() - max(at for at, line in self.told if line == "WATCHDOG=1")


def test_ready_when_all_beat_and_fed_while_the_engine_does(
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sim = simulators()
    manager = Manager(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    running = scanner(sim, *TWO)
    until(lambda: "READY=1" in manager.hear(), "READY")
    roles = running.status()["roles"]
    assert all(role["alive"] for role in roles.values())
    until(lambda: "STATUS=running" in manager.hear(), "the state of a healthy scanner")
    until(lambda: manager.fed_s() < 1, "the watchdog fed")
    os.kill(roles["engine"]["pid"], signal.SIGSTOP)
    try:
        until(lambda: manager.fed_s() > 1.5, "a watchdog that goes hungry beside a hung engine")
        until(lambda: "STATUS=hung: no beat for 3 s: engine" in manager.hear(), "why")
    finally:
        os.kill(roles["engine"]["pid"], signal.SIGCONT)
    until(lambda: manager.fed_s() < 1, "the watchdog fed again")
    assert 0 == running.stop()
    assert ["STOPPING=1", "STATUS=stopping"] == manager.hear()[-2:]
    # systemd refuses what comes from others (NotifyAccess=main), and says so each time
    assert {running.process.pid} == manager.senders
    manager.socket.close()


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze (apt: systemd)"
)
def test_it_scans_with_the_system_calls_of_the_unit(
    simulators: Callable[..., Simulators],
    scanner: Callable[..., Scanner],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sim = simulators()
    python = tmp_path / "python"
    unit = ROOT / "deploy" / "spreadscan.service"
    narrow = ROOT / "tests" / "deploy" / "as_unit.py"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {narrow} {unit} {sys.executable} "$@"\n')
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    running = scanner(sim, *TWO, "--set", "cpu.engine=[0]")
    instance = running.attach()
    until(lambda: instance.ring.read, "a spread that is followed")
    assert "Seccomp:\t2" in Path(f"/proc/{running.process.pid}/status").read_text()
    assert 0 == running.stop()
    instance.close()
