"""The tasks of a worker that never end by themselves, so that none of them falls unseen."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

from spreadscan.logs import facts

log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]


class _Fallen(NamedTuple):
    name: str
    work: Work
    error: BaseException


class Jobs:
    """The jobs of one worker, which looks at its beat whether one fell. Used on the event loop.

    Each that did is one line in the log, with its traceback; check() or restart() says what then.
    What a job holds open it closes when it is cancelled.
    """

    def __init__(self) -> None:
        self._work: dict[asyncio.Task[None], Work] = {}
        self._fell = asyncio.Event()

    def start(self, name: str, work: Work, after_s: float = 0.0) -> asyncio.Task[None]:
        """Start a job; name: what it is of which source, for the log."""

        async def run() -> None:
            if after_s:
                await asyncio.sleep(after_s)
            await work()

        task = asyncio.create_task(run(), name=name)
        task.add_done_callback(lambda _: self._fell.set())
        self._work[task] = work
        return task

    async def wait(self, seconds: float) -> None:
        """Wait until the next beat, which comes at once where a job fell."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._fell.wait()
        self._fell.clear()

    def check(self) -> None:
        """Raise what a job fell by, if one did: the worker can not go on without it."""
        fallen = self._fallen()
        for job in fallen:
            log.error("job fell", extra=facts(job=job.name), exc_info=job.error)
        if fallen:
            raise fallen[0].error

    def restart(self, after_s: float) -> None:
        """Start again what fell, after a pause; the others go on meanwhile."""
        for job in self._fallen():
            told = facts(job=job.name, again_s=after_s)
            log.error("job fell", extra=told, exc_info=job.error)
            self.start(job.name, job.work, after_s)

    async def end(self, *tasks: asyncio.Task[None]) -> None:
        """Cancel some of the jobs and see them end; one that falls meanwhile is told."""
        for task in tasks:
            del self._work[task]
            task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        for task, error in zip(tasks, found, strict=True):
            if isinstance(error, Exception):
                log.error("job fell", extra=facts(job=task.get_name()), exc_info=error)

    async def stop(self) -> None:
        """Cancel all jobs and see them end."""
        await self.end(*self._work)

    def _fallen(self) -> list[_Fallen]:
        """Return what fell since this was asked last."""
        return [
            _Fallen(task.get_name(), self._work.pop(task), _why(task))
            for task in [task for task in self._work if task.done()]
        ]


def _why(task: asyncio.Task[None]) -> BaseException:
    error = None if task.cancelled() else task.exception()
    return error or RuntimeError(f"{task.get_name()}: ended, expected it to go on")
