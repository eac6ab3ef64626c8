"""Scenarios 6 and 16: workers that hang while their process lives, and what it costs: nothing."""

import json
import os
import signal
import time
from collections.abc import Callable

import pytest
from spreadcore import Instance

from e2e import oracle
from e2e.conftest import Scanner, Simulators, until
from known import EIGHT_BY_NAME as SOURCE_BY_NAME

pytestmark = pytest.mark.e2e

ROLES = ("okx-futures", "engine", "tracker", "audit")
SHORT_S, BACK_WITHIN_S = 4.0, 15.0


def number_of(instance: Instance, role: str) -> int:
    source = SOURCE_BY_NAME.get(role)
    return source.id if source else instance.health.role(role)


def test_a_short_stop_is_survived_and_a_hang_is_over_within_15_s(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    scan = scanner(simulators())
    instance = scan.attach()
    health = instance.health
    numbers = {role: number_of(instance, role) for role in ROLES}

    def pids() -> dict[str, int]:
        return {role: health.info(number)["pid"] for role, number in numbers.items()}

    def send(number: int) -> None:
        for pid in pids().values():
            os.kill(pid, number)

    def runs(role: str) -> bool:
        return bool(health.info(numbers[role])["state"] == "running")

    until(lambda: all(map(runs, ROLES)), "every role to run")
    until(lambda: instance.ring.read > 0, "a signal")
    first, before = pids(), instance.ring.read
    send(signal.SIGSTOP)
    time.sleep(SHORT_S)
    found = scan.status()
    states = {role: found["roles"][role]["state"] for role in ROLES}
    assert dict.fromkeys(ROLES, "hung") == states
    assert ("hung", 3) == (found["health"]["state"], found["health"]["exit_code"])
    send(signal.SIGCONT)
    until(lambda: instance.ring.read > before, "a signal after the short stop")
    assert first == pids()

    send(signal.SIGSTOP)
    stopped = time.monotonic()
    until(
        lambda: all(pids()[role] != first[role] and runs(role) for role in ROLES),
        "every role to run again",
    )
    # the promise to users, with room for a busy machine; not a measure of speed
    assert time.monotonic() - stopped < BACK_WITHIN_S + 3.0
    assert {1} == {health.info(number)["restarts"] for number in numbers.values()}
    before = instance.ring.read
    until(lambda: instance.ring.read > before, "a signal after the restarts")
    told = scan.folder / "logs" / "supervisor.log"

    def states() -> list[str]:
        rows = map(json.loads, told.read_text().splitlines())
        return [row["state"] for row in rows if row["message"] == "scanner's state"]

    until(lambda: states()[-1] == "running", "the supervisor to say so")
    assert "hung" in states()
    assert scan.stop() == 0

    assert instance.ring.produced == instance.ring.read + instance.ring.queued
    rows = oracle.event_rows(scan.folder / "data")
    opened = [int(r["sequence"]) for r in rows if r["event"] == "OPEN"]
    assert list(range(instance.ring.read)) == opened
    closed = [r["track_id"] for r in rows if r["event"] == "CLOSE"]
    assert len(closed) == len(set(closed))
