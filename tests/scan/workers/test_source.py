"""What a source's worker sees to, whatever kind of source it is: here one without any socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from spreadcore import Instance, region
from spreadcore.errors import LeaseHeld, RegionLost
from spreadcore.intake import SourceIntake

from known import SOURCE_BY_NAME
from scan.feeds.kit import Stop, counter, lists_of, messages, quote, row, run, until
from spreadscan.app import processes
from spreadscan.clock import now_ns
from spreadscan.config import Capacity, Config, Feeds, Paths, VenueSettings
from spreadscan.feeds.silence import Silence
from spreadscan.lists import Listing
from spreadscan.recordings.recorder import Recorder
from spreadscan.workers.jobs import Jobs
from spreadscan.workers.source import SourceWorker

SOURCE = SOURCE_BY_NAME["okx-spot"]
A, B, C = (row(i, f"{name}-USDT") for i, name in enumerate("ABC"))


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    return make_instance(n_symbols=64)


class Pool:
    """A kind of source that this project does not know: its prices are there at once."""

    def __init__(self, instance: Instance) -> None:
        regions = [instance.region(name) for name in ("quotes", "dirty", "health")]
        self.intake = SourceIntake(*regions, SOURCE.id)
        self.n_sockets, self.connected = 2, True
        self.heard: list[Any] = []
        self.found: list[bool] = []  # as it began: whether each slot was empty
        self.fails: BaseException | None = None  # what its job falls by
        self._instance = instance
        self._failing = asyncio.Event()

    def open(self, rows: Sequence[Listing], jobs: Jobs, recorder: Recorder) -> None:
        self.heard.append(names(rows))
        self.found = [is_empty(self._instance, row) for row in rows]
        for listed in rows:
            self.price(listed)
        jobs.start("okx-spot work", self._work)

    async def take(
        self, rows: Sequence[Listing], added: Sequence[Listing], gone: Sequence[Listing]
    ) -> None:
        self.heard.append((names(rows), names(added), names(gone)))

    def price(self, listed: Listing) -> None:
        self.intake.add_symbol(listed.symbol_id)
        self.intake.accept(listed.symbol_id, 1, 1.0, 1.0, 2.0, 1.0, 0, 1, 0, now_ns())

    def fail(self, error: BaseException | None = None) -> None:
        self.fails = error
        self._failing.set()

    async def _work(self) -> None:
        await self._failing.wait()
        if self.fails:
            raise self.fails


def names(rows: Sequence[Listing]) -> str:
    return "".join(row.symbol[0] for row in rows)


def is_empty(instance: Instance, listed: Listing) -> bool:
    return bool(0 == quote(instance, SOURCE.name, listed.symbol_id).recv_ns)


class House:
    """One source's worker over a Pool; the test replaces its lists and tells it to stop."""

    def __init__(self, instance: Instance, *rows: Listing, beat_ms: float = 10.0) -> None:
        self.instance, self.lists = instance, lists_of(SOURCE.name, *rows)
        self.pool, self.stop = Pool(instance), Stop()
        config = Config(feeds=Feeds(beat_ms=beat_ms))
        self.worker = SourceWorker(SOURCE, self.pool, config, instance, lambda: self.lists)

    @asynccontextmanager
    async def working(self) -> AsyncIterator["asyncio.Task[None]"]:
        task = asyncio.create_task(self.worker.run(self.stop))
        await until(lambda: self.state != "starting" and self.pool.heard)
        try:
            yield task
            self.stop.now = True
            if not task.done():  # the test has seen how it ended
                await task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    @property
    def state(self) -> str:
        return str(self.info["state"])

    @property
    def info(self) -> dict[str, Any]:
        return dict(self.instance.health.info(SOURCE.id))

    def list_anew(self, *rows: Listing, generation: int) -> None:
        self.lists = msgspec.structs.replace(lists_of(SOURCE.name, *rows), generation=generation)

    def is_over(self) -> None:
        """Hold that nothing is left of it: neither quotes nor sockets, jobs or the lease."""
        assert all(is_empty(self.instance, listed) for listed in (A, B, C))
        assert ("off", 0) == (self.state, counter(self.instance, SOURCE.name, "sockets"))
        self.instance.lease(SOURCE.name).close()
        assert 1 == len(asyncio.all_tasks())


def test_it_beats_over_slots_that_are_empty_before_and_after(instance: Instance) -> None:
    async def main() -> None:
        before = Pool(instance)  # as one that was killed
        before.price(A)
        house = House(instance, A, B)
        assert not is_empty(instance, A)
        with pytest.raises(LeaseHeld, match="okx-spot: already running"):
            House(instance)
        async with house.working():
            assert ["AB"] == house.pool.heard
            assert [True, True] == house.pool.found
            assert not is_empty(instance, A)
            for connected, n_sockets, state in ((True, 2, "running"), (False, 1, "degraded")):
                house.pool.connected, house.pool.n_sockets = connected, n_sockets
                beat_ns = now_ns()
                await until(lambda since_ns=beat_ns: house.info["beat_ns"] > since_ns)
                assert (state, n_sockets) == (
                    house.state,
                    counter(instance, SOURCE.name, "sockets"),
                )
        house.is_over()

    run(main())


def test_newer_lists_are_taken_once_and_older_never(instance: Instance) -> None:
    async def main() -> None:
        house = House(instance, A, B)
        async with house.working():
            assert 3 == house.info["acked_generation"]
            house.list_anew(B, C, generation=5)
            await until(lambda: house.info["acked_generation"] == 5)
            for generation in (4, 5):
                house.list_anew(A, generation=generation)
                beat_ns = now_ns()
                await until(lambda since_ns=beat_ns: house.info["beat_ns"] > since_ns)
            house.list_anew(C, generation=6)
            await until(lambda: house.info["acked_generation"] == 6)
        assert ["AB", ("BC", "C", "A"), ("C", "", "B")] == house.pool.heard

    run(main())


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), None], ids=["falls", "returns"])
def test_a_job_that_falls_is_told_once_and_ends_it_at_once(
    instance: Instance, caplog: pytest.LogCaptureFixture, error: BaseException | None
) -> None:
    async def main() -> None:
        house = House(instance, A, beat_ms=3_600_000.0)
        async with house.working() as task:
            house.pool.fail(error)
            with pytest.raises(type(error) if error else RuntimeError) as caught:
                await task
            told = str(error or "okx-spot work: ended, expected it to go on")
            assert told == str(caught.value)
            house.is_over()

    run(main())
    assert [{"job": "okx-spot work"}] == messages(caplog, "job fell")


def test_a_replaced_instance_ends_it(instance: Instance, instance_name: str) -> None:
    async def main() -> None:
        async with House(instance, A).working() as task:
            region.create(instance_name, n_symbols=64, force=True)
            with pytest.raises(RegionLost, match="the instance was replaced"):
                await task

    run(main())


def test_the_process_of_a_job_that_falls_ends_with_its_traceback_in_the_log(
    instance_name: str, instance: Instance, children: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With another code than 2, so that a supervisor starts it anew."""

    def falls(*args: Any) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Silence, "check", falls)
    config = Config(
        instance=instance_name,
        capacity=Capacity(symbols=64),
        venues={SOURCE.name: VenueSettings(ws_url="ws://127.0.0.1:1/")},
        paths=Paths(logs=str(tmp_path), data=str(tmp_path)),
    )

    def role() -> int:
        return processes.run_role(SOURCE.name, config, lists_of(SOURCE.name, A))

    children.start("feed", role)
    assert {"feed": processes.EXIT_FAILED} == children.results(within_s=20.0)
    lines = [json.loads(line) for line in (tmp_path / "okx-spot.log").read_text().splitlines()]
    (told,) = [line for line in lines if line["level"] == "ERROR"]
    assert ("job fell", "okx-spot silence") == (told["message"], told["job"])
    assert "died" == lines[-1]["message"]
    for line in (told, lines[-1]):
        assert line["traceback"].endswith("ZeroDivisionError: a bug")
    assert "off" == instance.health.info(SOURCE.id)["state"]
