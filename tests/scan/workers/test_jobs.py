"""Jobs: what falls is told, and started again where the worker can do without it meanwhile."""

import asyncio

import pytest

from scan.feeds.kit import messages, run, until
from spreadscan.workers.jobs import Jobs


def test_what_fell_is_told_and_started_again_while_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    begun: list[str] = []

    async def falls() -> None:
        begun.append("falls")
        if len(begun) <= 2:
            raise ZeroDivisionError("a bug")
        await asyncio.sleep(3_600.0)

    async def stands() -> None:
        begun.append("stands")
        await asyncio.sleep(3_600.0)

    async def main() -> None:
        jobs = Jobs()
        jobs.start("falls", falls)
        jobs.start("stands", stands)
        await jobs.wait(3_600.0)  # not for so long: one fell
        for _ in range(3):
            jobs.restart(0.01)  # once, however often it is looked
        assert ["falls", "stands"] == begun
        await until(lambda: ["falls", "stands", "falls"] == begun)
        await jobs.stop()
        assert 1 == len(asyncio.all_tasks())

    run(main())
    assert [{"job": "falls", "again_s": 0.01}] == messages(caplog, "job fell")


def test_a_job_that_falls_as_it_is_ended_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    async def falls() -> None:
        try:
            await asyncio.sleep(3_600.0)
        finally:
            raise ZeroDivisionError("a bug")

    async def main() -> None:
        jobs = Jobs()
        jobs.start("one", falls)
        task = jobs.start("other", falls)
        await asyncio.sleep(0)
        await jobs.end(task)
        assert [{"job": "other"}] == messages(caplog, "job fell")
        await jobs.stop()
        jobs.check()  # told, and gone: nothing to raise

    run(main())
    assert [{"job": "other"}, {"job": "one"}] == messages(caplog, "job fell")
