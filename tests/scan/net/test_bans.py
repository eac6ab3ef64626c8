"""Hosts to be left alone, on a clock by hand: kept over restarts, obeyed to the second."""

import asyncio
import fcntl
import json
import logging
import math
import os
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from spreadscan.config import Config, Paths
from spreadscan.errors import ConnectionLost, RateLimited, RegionBlocked
from spreadscan.net.bans import Bans, bans_of, host_of
from spreadscan.net.connects import Connects
from spreadscan.net.endpoints import Endpoints
from spreadscan.net.ratelimit import RateLimit

URL = "wss://stream.example.com:9443/stream?x=1"
HOST = "stream.example.com"


class Clock:
    """Unix time that passes by sleeping only."""

    def __init__(self) -> None:
        self.s = 1_700_000_000.0
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.s

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.s += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def watched() -> Any:
        async with asyncio.timeout(10):
            return await main

    return asyncio.run(watched())


def facts_of(caplog: pytest.LogCaptureFixture, phrase: str) -> list[dict[str, Any]]:
    return [r.facts for r in caplog.records if r.getMessage() == phrase]  # type: ignore[attr-defined]


def at(url: str, bans: Bans) -> Endpoints:
    return Endpoints("x", (url,), bans)


def connects(clock: Clock, bans: Bans) -> Connects:
    limit = RateLimit((10, 1.0), clock_ns=lambda: round(clock.s * 1e9), sleep=clock.sleep)
    return Connects(at(URL, bans), lambda host: limit, bans, clock.sleep)


def test_a_ban_is_kept_over_a_restart_until_its_very_second(tmp_path: Path, clock: Clock) -> None:
    """Scenario 43, the restart inside the ban."""
    Bans(tmp_path, clock).record(URL, RateLimited("HTTP 418", 120.0))
    again = Bans(tmp_path, clock)
    with pytest.raises(RateLimited, match=r"until 2023-11-14T22:15:20Z \(HTTP 418\)") as caught:
        again.check("https://stream.example.com/other")
    assert 120.0 == caught.value.after_s
    clock.s += 119.999
    assert again.left_s(URL) == pytest.approx(0.001, abs=1e-4)
    clock.s += 0.001
    again.check(URL)
    assert [] == os.listdir(tmp_path)  # what is over is removed


def test_another_host_is_free(tmp_path: Path, clock: Clock) -> None:
    bans = Bans(tmp_path, clock)
    bans.record(URL, RateLimited("x", 120.0))
    for url in ("wss://example.com/ws", "wss://fstream.example.com:9443/ws"):
        bans.check(url)
    assert [HOST] == [ban.host for ban in bans.all()]


def test_429_then_418_the_longer_stays(tmp_path: Path, clock: Clock) -> None:
    bans = Bans(tmp_path, clock)
    bans.record(URL, RateLimited("HTTP 429", 10.0))
    bans.record(URL, RateLimited("HTTP 418", 300.0))
    bans.record(URL, RateLimited("HTTP 429", 10.0))
    assert 300.0 == bans.left_s(URL)
    assert "HTTP 418" == bans.all()[0].reason


def test_no_pause_and_other_errors_are_no_ban(tmp_path: Path, clock: Clock) -> None:
    bans = Bans(tmp_path / "none", clock)
    bans.record(URL, RateLimited("x", 0.0))
    bans.record(URL, ConnectionLost("x"))
    bans.check(URL)
    assert [] == bans.all()
    assert not (tmp_path / "none").exists()


def test_an_absurd_pause_is_cut_to_days(tmp_path: Path, clock: Clock) -> None:
    bans = Bans(tmp_path, clock)
    bans.record(URL, RateLimited("x", 1e300))
    assert 4 * 86_400.0 == bans.left_s(URL)


def test_a_block_has_no_end_but_is_lifted_when_a_feed_starts(tmp_path: Path, clock: Clock) -> None:
    bans = Bans(tmp_path, clock)
    bans.record(URL, RateLimited("HTTP 429", 10.0))
    bans.lift_block(URL)
    assert 10.0 == bans.left_s(URL)
    bans.record(URL, RegionBlocked("HTTP 451: set ws_url"))
    bans.record(URL, RateLimited("HTTP 429", 10.0))
    assert math.inf == bans.left_s(URL)
    with pytest.raises(RegionBlocked, match="set ws_url"):
        Bans(tmp_path, clock).check(URL)
    bans.lift_block(URL)
    bans.check(URL)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"host": "stream.example.com"}',
        b'{"host": "stream.example.com", "until": "soon", "reason": ""}',
        b'{"host": "stream.example.com", "until": "2099-01-01T00:00:00", "reason": ""}',
        b'{"host": "other.example.com", "until": null, "reason": ""}',
    ],
)
def test_a_broken_file_is_named_once_and_stands_for_a_minute(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    bans = Bans(tmp_path, clock)
    bans.record(URL, RateLimited("x", 60.0))
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert [60.0, 60.0] == [bans.left_s(URL) for _ in range(2)]  # it was a ban, of whatever length
    with pytest.raises(RateLimited, match="cannot be read"):
        bans.check(URL)
    clock.s += 60.0
    bans.check(URL)
    (told,) = facts_of(caplog, "ban file unreadable")
    assert str(path) == told["path"]
    path.write_bytes(content)
    bans.record(URL, RateLimited("x", 90.0))  # and it is replaced by the next ban
    assert 90.0 == bans.left_s(URL)


def test_a_folder_that_cannot_be_written_keeps_the_ban_in_the_process(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    bans = Bans(tmp_path / "state", clock)
    bans.record(URL, RateLimited("x", 60.0))
    assert 60.0 == bans.left_s(URL)
    assert 1 == len(facts_of(caplog, "ban not written"))
    assert [HOST] == [ban.host for ban in bans.all()]


def test_the_file_says_what_the_docs_say(tmp_path: Path, clock: Clock) -> None:
    config = Config(paths=Paths(data=str(tmp_path)))
    bans_of(config).record(URL, RateLimited("HTTP 418", 120.0))
    path = tmp_path / "state" / "ban-stream.example.com.json"
    found = json.loads(path.read_text())
    assert {"host", "until", "reason"} == set(found)
    assert (HOST, "HTTP 418") == (found["host"], found["reason"])
    assert found["until"].endswith("Z")
    assert [path.name] == os.listdir(path.parent)  # no temporary file is left


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("wss://Stream.Example.com/ws", "stream.example.com"),
        ("wss://stream.example.com:9443/ws", "stream.example.com"),
        ("http://127.0.0.1:18080", "127.0.0.1:18080"),
        ("http://localhost:18080", "localhost:18080"),
        ("ws://me:secret@[::1]:9/x", "[::1]:9"),
    ],
)
def test_a_name_stands_for_its_ports_and_holds_no_secret(url: str, host: str) -> None:
    assert host == host_of(url)


# -- waits that grow


def busy(after_s: float = 60.0, free: int = 0) -> RateLimited:
    return RateLimited("HTTP 403", after_s, grows=True, free=free)


def test_each_limit_that_names_no_time_doubles_the_wait_over_processes(
    tmp_path: Path, clock: Clock
) -> None:
    waits = []
    for _ in range(8):
        bans = Bans(tmp_path, clock)  # a new process each time
        error = busy()
        bans.record(URL, error)
        assert error.after_s == bans.left_s(URL)
        waits.append(bans.left_s(URL))
        clock.s += waits[-1] + 5.0
        bans.check(URL)
    assert [60.0, 120.0, 240.0, 480.0, 960.0, 1_800.0, 1_800.0, 1_800.0] == waits


def test_the_row_ends_after_minutes_without_a_limit(tmp_path: Path, clock: Clock) -> None:
    bans = Bans(tmp_path, clock)
    for _ in range(2):
        bans.record(URL, busy())
        clock.s += bans.left_s(URL) + 899.0
        bans.check(URL)
    clock.s += 1.0
    bans.check(URL)
    assert [] == os.listdir(tmp_path)  # forgotten
    bans.record(URL, busy())
    assert 60.0 == bans.left_s(URL)


def test_the_sockets_of_one_moment_count_once(tmp_path: Path, clock: Clock) -> None:
    bans = Bans(tmp_path, clock)
    for _ in range(20):
        bans.record(URL, busy())
    assert 60.0 == bans.left_s(URL)


def test_a_free_limit_is_only_counted(tmp_path: Path, clock: Clock) -> None:
    """One close for too many requests is a lost socket, the next one a limit."""
    bans = Bans(tmp_path, clock)
    waits = []
    for _ in range(4):
        bans.record(URL, busy(free=1))
        waits.append(bans.left_s(URL))
        clock.s += waits[-1] + 2.0
    assert [0.0, 60.0, 120.0, 240.0] == waits
    assert "HTTP 403" == json.loads(next(tmp_path.iterdir()).read_text())["reason"]


def test_a_longer_wait_that_the_venue_names_is_not_cut_by_the_longest_grown(
    tmp_path: Path, clock: Clock
) -> None:
    bans = Bans(tmp_path, clock)
    bans.record(URL, busy(7_200.0))
    assert 7_200.0 == bans.left_s(URL)


# -- two processes at once


def test_what_is_over_does_not_take_a_newer_ban_with_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process writes between the look at the old ban and its removal."""
    bans, other = Bans(tmp_path, clock), Bans(tmp_path, clock)
    bans.record(URL, RateLimited("HTTP 429", 10.0))
    clock.s += 10.0
    real = Bans._forget

    def late(self: Bans, ban: Any) -> None:
        monkeypatch.setattr(Bans, "_forget", real)
        other.record(URL, RateLimited("HTTP 418", 600.0))
        real(self, ban)

    monkeypatch.setattr(Bans, "_forget", late)
    bans.find(URL)
    assert 600.0 == Bans(tmp_path, clock).left_s(URL)


def test_a_lifted_block_does_not_take_a_newer_ban_with_it(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bans = Bans(tmp_path, clock)
    bans.record(URL, RegionBlocked("HTTP 451"))
    found = bans.find(URL)
    (path,) = tmp_path.iterdir()
    path.unlink()
    Bans(tmp_path, clock).record(URL, RateLimited("HTTP 418", 600.0))
    assert found
    bans._forget(found)
    assert 600.0 == bans.left_s(URL)


def test_many_processes_that_note_and_look_never_lose_the_longest(
    tmp_path: Path, children: Any
) -> None:
    """Real processes: each expires and renews short bans while one writes the longest."""

    def hammer() -> None:
        bans = Bans(tmp_path)
        for _ in range(400):
            bans.record(URL, RateLimited("HTTP 429", 0.001))
            bans.find(URL)

    for n in range(3):
        children.start(f"hammer-{n}", hammer)
    time.sleep(0.1)
    Bans(tmp_path).record(URL, RateLimited("HTTP 418", 600.0))
    children.results(60.0)
    assert Bans(tmp_path).left_s(URL) > 500.0
    assert ["ban-stream.example.com.json"] == os.listdir(tmp_path)


def test_a_lock_that_is_held_costs_a_moment_not_the_ban(tmp_path: Path, clock: Clock) -> None:
    bans = Bans(tmp_path, clock)
    bans.record(URL, RateLimited("HTTP 429", 10.0))
    fd = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        bans.record(URL, RateLimited("HTTP 418", 600.0))
    finally:
        os.close(fd)
    assert 600.0 == bans.left_s(URL)


# -- leave to connect


def test_all_sockets_wait_for_the_end_of_the_ban_and_no_longer(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    leave = connects(clock, Bans(tmp_path, clock))
    start_s = clock.s

    async def main() -> list[float]:
        await leave.take()
        assert start_s == clock.s
        leave.failed(URL, RateLimited("HTTP 429", 42.0))
        times: list[float] = []

        async def one() -> None:
            await leave.take()
            times.append(clock.s)

        await asyncio.gather(*(one() for _ in range(3)))
        return times

    times = run(main())
    assert min(times) == pytest.approx(start_s + 42.0, abs=1e-3)
    assert 1 == len(facts_of(caplog, "host to be left alone"))
    assert 1 == len(facts_of(caplog, "host may be asked again"))


def test_a_ban_that_another_process_met_is_obeyed(tmp_path: Path, clock: Clock) -> None:
    leave, start_s = connects(clock, Bans(tmp_path, clock)), clock.s
    Bans(tmp_path, clock).record(URL, RateLimited("HTTP 418", 17.5))
    run(leave.take())
    assert clock.s == pytest.approx(start_s + 17.5, abs=1e-3)


def test_a_ban_that_grows_while_it_is_waited_for_is_waited_for_whole(
    tmp_path: Path, clock: Clock
) -> None:
    bans, start_s = Bans(tmp_path, clock), clock.s
    bans.record(URL, RateLimited("HTTP 429", 10.0))

    async def sleep(seconds: float) -> None:
        if 1 == len(clock.slept):
            bans.record(URL, RateLimited("HTTP 418", 100.0))
        await clock.sleep(seconds)

    grown_at_s = start_s + 5.0
    run(Connects(at(URL, bans), lambda host: RateLimit((10, 1.0)), bans, sleep).take())
    assert clock.s == pytest.approx(grown_at_s + 100.0, abs=1e-3)


def test_who_has_no_patience_is_told_at_once(tmp_path: Path, clock: Clock) -> None:
    leave, start_s = connects(clock, Bans(tmp_path, clock)), clock.s
    leave.failed(URL, RateLimited("HTTP 418", 120.0))
    with pytest.raises(RateLimited, match="left alone until") as caught:
        run(leave.take(90.0))
    assert (120.0, start_s) == (caught.value.after_s, clock.s)
    leave.failed(URL, RegionBlocked("HTTP 451"))
    with pytest.raises(RegionBlocked):
        run(leave.take(90.0))


def test_a_ban_met_while_waiting_for_a_turn_is_obeyed(tmp_path: Path, clock: Clock) -> None:
    bans, start_s = Bans(tmp_path, clock), clock.s

    async def sleep(seconds: float) -> None:
        bans.record(URL, RateLimited("HTTP 429", 30.0))
        await clock.sleep(seconds)

    limit = RateLimit((1, 1.0), clock_ns=lambda: round(clock.s * 1e9), sleep=sleep)

    async def main() -> None:
        leave = Connects(at(URL, bans), lambda host: limit, bans, clock.sleep)
        await leave.take()
        await leave.take()

    run(main())
    assert clock.s >= start_s + 30.0
