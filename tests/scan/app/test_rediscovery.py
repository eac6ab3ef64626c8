"""The timer of discovery: when, one at a time, and what becomes of its child."""

import logging
import os
import select
import time
from collections.abc import Callable

import pytest

from spreadscan.app import rediscovery as module
from spreadscan.app.rediscovery import Rediscovery
from spreadscan.discovery.outcome import Outcome
from spreadscan.lists import Failure

H = 3_600 * 10**9


def fork(main: Callable[[], int]) -> int:
    pid = os.fork()
    if pid == 0:
        os._exit(main())
    return pid


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 10**12
        monkeypatch.setattr(module, "now_ns", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def made(
    discover: Callable[[], int],
    every_h: float = 8.0,
    fork: Callable[[Callable[[], int]], int] = fork,
    last: Callable[[], Outcome | None] = lambda: None,
) -> Rediscovery:
    return Rediscovery(discover, every_h, 300.0, fork, last)


def wait(timer: Rediscovery) -> None:
    ready = select.poll()  # takes any number of a file, as select() does not
    ready.register(timer.pidfd, select.POLLIN)
    assert ready.poll(10_000), "the child did not end"


def test_it_is_jittered_around_its_period(clock: Clock) -> None:
    begun = []
    for _ in range(200):
        timer = made(lambda: 0)
        begun.append((timer._due_ns - clock.now) / H)
    assert 7.2 <= min(begun) < 7.6
    assert 8.4 < max(begun) <= 8.8


def test_it_forks_when_due_and_again_a_period_after_the_end(clock: Clock) -> None:
    timer = made(lambda: 0)
    for _ in range(2):
        clock.now += 7 * H
        timer.start_when_due()
        assert -1 == timer.pidfd
        clock.now += 2 * H
        timer.start_when_due()
        wait(timer)
        assert timer.ended()
        assert -1 == timer.pidfd


@pytest.mark.parametrize(
    ("code", "wrote", "told"),
    [
        (1, False, "discovery failed, the lists stay"),
        (-9, False, "discovery failed, the lists stay"),
        (3, True, "discovery without every source"),
    ],
)
def test_after_a_failure_it_is_due_within_minutes_then_ever_later(
    clock: Clock, caplog: pytest.LogCaptureFixture, code: int, wrote: bool, told: str
) -> None:
    def discover() -> int:
        if code < 0:
            os.kill(os.getpid(), -code)
        return code

    n, waits = 0, []
    timer = made(lambda: 0 if n == 8 else discover())
    clock.now += 9 * H
    for n in range(9):
        timer.start_when_due()
        assert timer.pidfd >= 0
        wait(timer)
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            assert (wrote or n == 8) == timer.ended()
        assert ([] if n == 8 else [told]) == [r.getMessage() for r in caplog.records]
        waits.append((timer._due_ns - clock.now) / H)
        clock.now = timer._due_ns
    minutes = [5, 10, 20, 40, 80, 160, 320, 480, 480]
    for expected, found in zip(minutes, waits, strict=True):
        assert expected * 0.9 <= found * 60 <= expected * 1.1


def test_a_discovery_of_another_program_counts(clock: Clock) -> None:
    """`ctl reload` beside a running scanner: what failed there is tried again here, soon."""
    failed = {"okx-spot": Failure(why="HTTP 503")}
    outcomes = [Outcome(generated="g", ended="1")]
    timer = made(lambda: 0, last=lambda: outcomes[-1])
    for ended, what, hours in (
        ("2", {"refused": "too few"}, 300 / 3600),
        ("3", {"failed": failed}, 600 / 3600),
        ("4", {}, 8.0),
        ("5", {"failed": failed}, 300 / 3600),
    ):
        outcomes.append(Outcome(generated="g", ended=ended, **what))
        for _ in range(3):  # looked at again, it is no news
            timer.start_when_due()
        assert -1 == timer.pidfd
        assert 0.9 * hours <= (timer._due_ns - clock.now) / H <= 1.1 * hours


def test_what_its_own_child_tells_counts_once(clock: Clock) -> None:
    outcomes: list[Outcome | None] = [None]
    timer = made(lambda: 3, last=lambda: outcomes[-1])
    clock.now += 9 * H
    timer.start_when_due()
    wait(timer)
    outcomes.append(Outcome(generated="g", ended="1", failed={"okx-spot": Failure(why="HTTP 503")}))
    assert timer.ended()
    timer.start_when_due()
    assert 0.9 * 300 <= (timer._due_ns - clock.now) / 1e9 <= 1.1 * 300


def test_a_start_after_a_failure_does_not_wait_for_the_period(clock: Clock) -> None:
    timer = made(lambda: 0, last=lambda: Outcome(generated="g", ended="1", refused="too few"))
    assert (timer._due_ns - clock.now) / 1e9 <= 330


def test_one_at_a_time_and_none_is_left_at_the_end(clock: Clock) -> None:
    pids = []

    def counted(main: Callable[[], int]) -> int:
        pids.append(fork(main))
        return pids[-1]

    def slow() -> int:
        time.sleep(60)
        return 0

    timer = made(slow, 1.0, counted)
    clock.now += 2 * H
    timer.start_when_due()
    clock.now += 20 * H
    timer.start_when_due()
    assert 1 == len(pids)
    timer.stop()
    with pytest.raises(ChildProcessError):
        os.waitpid(pids[0], 0)
    timer.stop()


def test_never_is_never(clock: Clock) -> None:
    timer = made(lambda: 0, 0.0)
    clock.now += 1_000 * H
    timer.start_when_due()
    assert -1 == timer.pidfd
    timer = made(lambda: 0, 0.0, last=lambda: Outcome(generated="g", ended="1", refused="x"))
    clock.now += 1_000 * H
    timer.start_when_due()
    assert -1 == timer.pidfd
