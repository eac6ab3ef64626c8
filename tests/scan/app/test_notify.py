"""What a service manager is told, over real datagram sockets."""

import os
import socket
from collections.abc import Iterator

import pytest

from spreadscan.app.build import begin_run
from spreadscan.app.notify import Condition, ServiceManager, condition
from spreadscan.catalogue import built_in
from spreadscan.clock import now_ns
from spreadscan.config import Config

STARTING = Condition(ready=False, alive=False, sentence="2 of 3 roles beat")
GOOD = Condition(ready=True, alive=True, sentence="3 of 3 roles beat")
HANGING = Condition(ready=False, alive=False, sentence="2 of 3 roles beat, engine does not")


class Listener:
    """A service manager's end: what came since the last look, without waiting."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(address.replace("@", "\0", 1))

    def heard(self) -> list[list[str]]:
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return messages


@pytest.fixture(params=["path", "abstract"])
def listener(request, tmp_path, monkeypatch) -> Iterator[Listener]:
    at = str(tmp_path / "notify") if request.param == "path" else f"@spreadscan-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", at)
    found = Listener(at)
    yield found
    found.socket.close()


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand: [now in s]."""
    seconds = [100.0]
    monkeypatch.setattr("spreadscan.app.notify.now_ns", lambda: int(seconds[0] * 1e9))
    return seconds


def watched(monkeypatch, every_s: float, pid: int | None = None) -> ServiceManager:
    monkeypatch.setenv("WATCHDOG_USEC", str(int(every_s * 1e6)))
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() if pid is None else pid))
    return ServiceManager.of_environment()


def test_it_is_told_what_is_due_and_no_more(listener, clock, monkeypatch):
    manager = watched(monkeypatch, 1.0)
    manager.say("looking for pairs\nMAINPID=1")
    assert [["STATUS=looking for pairs MAINPID=1"]] == listener.heard()
    seen = []
    for look in (STARTING, GOOD, GOOD, HANGING, HANGING, GOOD):
        manager.follow(lambda look=look: look)
        manager.follow(lambda: pytest.fail("looked again within half of the watchdog's time"))
        seen.append(listener.heard())
        clock[0] += 0.5
    manager.stopping()
    assert [
        [["STATUS=2 of 3 roles beat"]],
        [["STATUS=3 of 3 roles beat", "READY=1", "WATCHDOG=1"]],
        [["WATCHDOG=1"]],
        [["STATUS=2 of 3 roles beat, engine does not"]],
        [],  # a hung engine is not fed by a healthy supervisor
        [["STATUS=3 of 3 roles beat", "WATCHDOG=1"]],
    ] == seen
    assert [["STOPPING=1", "STATUS=stopping"]] == listener.heard()


def test_the_watchdog_of_another_process_is_not_fed(listener, monkeypatch):
    manager = watched(monkeypatch, 1.0, pid=os.getpid() + 1)
    manager.follow(lambda: GOOD)
    assert [["STATUS=3 of 3 roles beat", "READY=1"]] == listener.heard()


def test_no_child_inherits_it(listener, monkeypatch):
    watched(monkeypatch, 1.0)
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(os.environ)
    ServiceManager.of_environment().follow(lambda: pytest.fail("nobody asked for it"))


def test_what_was_not_heard_is_said_again(tmp_path, clock, caplog):
    manager = ServiceManager(str(tmp_path / "notify"))
    for _ in range(3):
        manager.follow(lambda: GOOD)
        clock[0] += 1
    assert ["service manager does not listen"] == [record.message for record in caplog.records]
    listener = Listener(str(tmp_path / "notify"))
    manager.follow(lambda: GOOD)
    assert [["STATUS=3 of 3 roles beat", "READY=1"]] == listener.heard()
    listener.socket.close()


def test_condition_asks_each_role_for_its_lease_and_its_beat(make_instance, instance_name):
    instance = make_instance(n_sources=8, n_symbols=8, n_edges=8)
    config = Config(instance=instance_name)
    sources = ("binance-spot", "okx-futures")
    roles = {"supervisor", "engine", "tracker", *sources}
    health = instance.health
    number = {r: built_in().source[r].id if r in sources else health.role(r) for r in roles}

    def told(given_up=()):
        found = condition(instance, config, roles, set(given_up))
        return found.ready, found.alive, found.sentence

    begin_run(instance)
    for role in roles:
        health.beat(number[role], now_ns())
    assert told() == (
        False, False, "0 of 5 roles beat, binance-spot does not, engine does not, "
        "okx-futures does not, supervisor does not, tracker does not",
    )  # fmt: skip
    leases = {role: instance.lease(role) for role in roles}
    assert told() == (True, True, "5 of 5 roles beat")
    for role in roles:
        health.beat(number[role], now_ns() - 6_000_000_000)
        vital = role not in sources
        assert told() == (False, not vital, f"4 of 5 roles beat, {role} does not")
        # a source that only a human can mend holds up nobody
        assert told([role])[:2] == (not vital, not vital)
        health.beat(number[role], now_ns())
    instance.control.pause = True
    assert told() == (True, True, "5 of 5 roles beat; paused")
    for lease in leases.values():
        lease.close()
