"""What a service manager is told, over real datagram sockets."""

import os
import socket
from collections.abc import Iterator

import pytest

from spreadscan.app.healthy import CORE
from spreadscan.app.notify import Condition, ServiceManager, condition

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


@pytest.mark.parametrize("state", ["off", "hung", "starting", "degraded", "mute"])
def test_condition_goes_by_the_states_of_roles(state):
    sources = ("binance-spot", "okx-futures")
    roles = (*CORE, *sources)
    sentence = "degraded: as judged"

    def told(states, given_up=()):
        found = {
            "health": {"sentence": sentence},
            "roles": {name: {"state": states.get(name, "running")} for name in roles},
        }
        return condition(found, set(given_up))

    assert told({}) == (True, True, sentence)
    gone, waits = state in ("off", "hung"), state in ("off", "hung", "starting")
    for role in roles:
        core = role in CORE
        assert told({role: state})[:2] == (not waits, not (core and gone))
        # a source that only a human can mend holds up nobody
        assert told({role: state}, [role])[:2] == (not (core and gone), not (core and gone))


def test_a_scanner_of_which_nothing_is_known_is_not_ready_and_lives_on():
    found = condition({"health": {"sentence": "unknown"}, "roles": {}}, set())
    assert (False, True, "unknown") == found
