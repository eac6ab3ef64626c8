"""Never more than n events in any window, turns in order; on a clock moved by hand."""

import asyncio
import fcntl
import logging
import os
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spreadscan.net.ratelimit import RateLimit, SharedLimit, per_second

WINDOW = st.tuples(st.integers(1, 6), st.sampled_from((0.01, 1 / 3, 1.0, 7.5, 60.0)))


class Time:
    """A clock that moves only while somebody sleeps; sleeps may end early, as they do."""

    def __init__(self, seed: int = 0) -> None:
        self.ns = 1_000
        self.slept_ns: list[int] = []
        self._rng = random.Random(seed)

    def now_ns(self) -> int:
        return self.ns

    async def sleep(self, seconds: float) -> None:
        ns = max(1, int(seconds * 1e9 * self._rng.choice((0.5, 1.0, 1.0, 1.1))))
        self.slept_ns.append(ns)
        self.ns += ns
        await asyncio.sleep(0)


def limit(time: Time, *windows: tuple[int, float]) -> RateLimit:
    return RateLimit(*windows, clock_ns=time.now_ns, sleep=time.sleep)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def watched() -> Any:
        async with asyncio.timeout(10):
            return await main

    return asyncio.run(watched())


@settings(deadline=None, max_examples=60)
@given(
    st.lists(WINDOW, min_size=1, max_size=3),
    st.lists(st.floats(0.0, 20.0), min_size=1, max_size=40),
    st.integers(0, 1_000),
)
def test_no_window_ever_holds_more_than_it_may(
    windows: list[tuple[int, float]], pauses_s: list[float], seed: int
) -> None:
    time, taken = Time(seed), []

    async def main() -> None:
        bucket = limit(time, *windows)
        for pause_s in pauses_s:
            time.ns += int(pause_s * 1e9)
            await bucket.take()
            taken.append(time.ns)

    run(main())
    for n, per_s in windows:
        for first, beyond in zip(taken, taken[n:], strict=False):
            assert beyond - first >= int(per_s * 1e9)


def test_no_wait_while_there_is_room() -> None:
    time = Time()

    async def main() -> None:
        bucket = limit(time, (3, 1.0))
        for _ in range(3):
            assert 0 == bucket.wait_ns()
            await bucket.take()
        assert 1_000_000_000 == bucket.wait_ns()

    run(main())
    assert [] == time.slept_ns


def test_the_slowest_window_decides() -> None:
    time = Time()

    async def main() -> None:
        bucket = limit(time, (1, 0.2), (2, 300.0))
        await bucket.take()
        assert 200_000_000 == bucket.wait_ns()
        time.ns += 250_000_000
        await bucket.take()
        assert 299_750_000_000 == bucket.wait_ns()

    run(main())


def test_turns_are_given_in_order_of_asking() -> None:
    time, order = Time(), []

    async def main() -> None:
        bucket = limit(time, (1, 1.0))

        async def one(number: int) -> None:
            await bucket.take()
            order.append(number)

        await asyncio.gather(*(one(i) for i in range(10)))

    run(main())
    assert list(range(10)) == order


def test_who_gives_up_waiting_takes_nothing_and_blocks_nobody() -> None:
    time = Time()

    async def main() -> None:
        stuck = asyncio.Event()

        async def sleep(seconds: float) -> None:
            stuck.set()
            await asyncio.sleep(60)

        bucket = RateLimit((1, 1.0), clock_ns=time.now_ns, sleep=sleep)
        await bucket.take()
        waiting = asyncio.create_task(bucket.take())
        await stuck.wait()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        time.ns += 1_000_000_000
        assert 0 == bucket.wait_ns()
        await bucket.take()

    run(main())


def test_per_second_spaces_evenly() -> None:
    time, taken = Time(), []

    async def main() -> None:
        bucket = per_second(4.0)
        bucket._clock_ns, bucket._sleep = time.now_ns, time.sleep
        for _ in range(20):
            await bucket.take()
            taken.append(time.ns)

    run(main())
    gaps = [later - earlier for earlier, later in zip(taken, taken[1:], strict=False)]
    assert all(gap >= 250_000_000 for gap in gaps)


def test_on_the_real_clock_it_waits() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        bucket = RateLimit((2, 0.05))
        begin = loop.time()
        for _ in range(5):
            await bucket.take()
        return loop.time() - begin

    assert run(main()) >= 0.1


# -- shared by processes


@settings(deadline=None, max_examples=40)
@given(
    st.lists(WINDOW, min_size=1, max_size=3),
    st.lists(st.tuples(st.integers(0, 3), st.floats(0.0, 5.0)), min_size=1, max_size=40),
)
def test_who_shares_a_file_keeps_the_limit_together(
    tmp_path_factory: pytest.TempPathFactory,
    windows: list[tuple[int, float]],
    asked: list[tuple[int, float]],
) -> None:
    """Four askers of one file, as four processes would be."""
    time, taken = Time(), []
    path = tmp_path_factory.mktemp("shared") / "state" / "connects"

    async def main() -> None:
        askers = [
            SharedLimit(path, *windows, clock_ns=time.now_ns, sleep=time.sleep) for _ in range(4)
        ]
        for who, pause_s in asked:
            time.ns += int(pause_s * 1e9)
            await askers[who].take()
            taken.append(time.ns)

    run(main())
    for n, per_s in windows:
        assert all(b - a >= int(per_s * 1e9) for a, b in zip(taken, taken[n:], strict=False))


def test_processes_take_turns(tmp_path: Path, children: Any) -> None:
    def connect(path: Path) -> list[int]:
        async def main() -> list[int]:
            limit, taken = SharedLimit(path, (1, 0.02)), []
            for _ in range(6):
                await limit.take()
                taken.append(limit._taken[-1][0])
            return taken

        return asyncio.run(main())

    for n in range(3):
        children.start(f"process {n}", connect, tmp_path / "connects")
    taken = sorted(at for times in children.results(30.0).values() for at in times)
    assert 18 == len(taken)
    assert all(b - a >= 20_000_000 for a, b in zip(taken, taken[1:], strict=False))


def test_a_holder_that_is_stopped_delays_but_does_not_block(tmp_path: Path) -> None:
    time, path = Time(), tmp_path / "connects"
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    tries = 0

    async def sleep(seconds: float) -> None:
        nonlocal tries
        tries += 1
        if tries == 3:
            os.close(fd)
        await time.sleep(seconds)

    run(SharedLimit(path, (1, 1.0), clock_ns=time.now_ns, sleep=sleep).take())
    assert 3 == tries


def test_times_of_another_boot_count_for_nothing(tmp_path: Path) -> None:
    time, path = Time(), tmp_path / "connects"
    late = Time()
    late.ns = 10**15
    run(SharedLimit(path, (1, 60.0), clock_ns=late.now_ns, sleep=late.sleep).take())
    run(SharedLimit(path, (1, 60.0), clock_ns=time.now_ns, sleep=time.sleep).take())
    assert [] == time.slept_ns


@pytest.mark.parametrize("content", [b"x", b"\xff" * 8, b"\0" * 800, bytes(range(256)) * 16])
def test_a_file_that_is_not_ours_harms_nothing(tmp_path: Path, content: bytes) -> None:
    time, path = Time(), tmp_path / "connects"
    path.write_bytes(content)
    run(SharedLimit(path, (2, 1.0), clock_ns=time.now_ns, sleep=time.sleep).take())
    assert time.ns < 10**10


def test_without_a_folder_each_counts_for_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    time = Time()
    limit = SharedLimit(
        tmp_path / "file" / "connects", (1, 1.0), clock_ns=time.now_ns, sleep=time.sleep
    )

    async def main() -> None:
        for _ in range(3):
            await limit.take()

    with caplog.at_level(logging.WARNING):
        run(main())
    assert sum(time.slept_ns) >= 2_000_000_000
    assert ["a limit is counted by this process alone"] == caplog.messages
