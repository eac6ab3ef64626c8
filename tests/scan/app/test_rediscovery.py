"""The timer of discovery: when, one at a time, and what becomes of its child."""

import logging
import os
import select
import time
from collections.abc import Callable

import pytest

from spreadscan.app import rediscovery as module
from spreadscan.app.rediscovery import Rediscovery

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


def wait(timer: Rediscovery) -> None:
    assert select.select([timer.pidfd], [], [], 10)[0], "the child did not end"


def test_it_is_jittered_around_its_period(clock: Clock) -> None:
    begun = []
    for _ in range(200):
        timer = Rediscovery(lambda: 0, 8.0, fork)
        begun.append((timer._due_ns - clock.now) / H)
    assert 7.2 <= min(begun) < 7.6
    assert 8.4 < max(begun) <= 8.8


@pytest.mark.parametrize(("code", "wrote"), [(0, True), (1, False)])
def test_it_forks_when_due_and_again_a_period_after_the_end(
    clock: Clock, caplog: pytest.LogCaptureFixture, code: int, wrote: bool
) -> None:
    timer = Rediscovery(lambda: code, 8.0, fork)
    clock.now += 7 * H
    timer.start_when_due()
    assert -1 == timer.pidfd
    clock.now += 2 * H
    timer.start_when_due()
    wait(timer)
    with caplog.at_level(logging.ERROR):
        assert wrote == timer.ended()
    told = [r.getMessage() for r in caplog.records]
    assert ([] if wrote else ["discovery failed, the lists stay"]) == told
    assert -1 == timer.pidfd
    clock.now += 7 * H
    timer.start_when_due()
    assert -1 == timer.pidfd


def test_one_at_a_time_and_none_is_left_at_the_end(clock: Clock) -> None:
    pids = []

    def counted(main: Callable[[], int]) -> int:
        pids.append(fork(main))
        return pids[-1]

    def slow() -> int:
        time.sleep(60)
        return 0

    timer = Rediscovery(slow, 1.0, counted)
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
    timer = Rediscovery(lambda: 0, 0.0, fork)
    clock.now += 1_000 * H
    timer.start_when_due()
    assert -1 == timer.pidfd
