"""The recording of a feed: what its sockets receive, as it was, and never at the feed's cost."""

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from spreadcore import Instance
from spreadcore.frames import LinkIntake
from spreadcore.intake import SourceIntake
from spreadcore.wire.decoder import FrameDecoder

from known import SOURCE_BY_NAME
from scan.feeds.kit import (
    Exchange,
    book,
    config_of,
    counter,
    lists_of,
    quick,
    quote,
    row,
    run,
    until,
    working,
)
from scan.recordings.kit import about
from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.errors import BadData
from spreadscan.recordings import Frame, Opcode, Recording, recorder, request
from spreadscan.venues import VENUES

SOURCE = "okx-spot"
A, B = row(0, "A-USDT"), row(1, "B-USDT")


@pytest.fixture(params=["picows", "aiohttp"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def instance(make_instance: Callable[..., Instance]) -> Instance:
    return make_instance(n_symbols=64)


@pytest.fixture
def asker(instance: Instance, tmp_path: Path) -> Iterator["Asker"]:
    asker = Asker(instance, tmp_path / "rec")
    yield asker
    asker.leave()


class Asker:
    """What `spreadscan record` does to the feeds."""

    def __init__(self, instance: Instance, folder: Path) -> None:
        self.instance, self.folder = instance, folder
        folder.mkdir()
        (folder / "recording.json").write_bytes(about(utc_offset_ns=0))
        self.lease = instance.lease(request.ROLE)

    def ask(self, *sources: str, folder: Path | None = None) -> None:
        wanted = request.Request(
            folder=str(folder or self.folder), sources=sources, started_ns=now_ns()
        )
        request.ask(self.instance, wanted)

    def leave(self) -> None:
        self.lease.close()

    def frames(self) -> list[Frame]:
        recording = Recording(self.folder)
        found = list(recording.frames())
        assert [] == recording.problems
        return found


def recording(instance: Instance) -> bool:
    return counter(instance, SOURCE, "recording") == 1


def feed(instance: Instance, exchange: Exchange, transport: str, **spec: Any) -> Any:
    venue = quick(SOURCE, connects_per_s=1_000.0, frames_per_s=1_000.0, **spec)
    return working(
        venue, config_of(SOURCE, exchange.url, transport), lists_of(SOURCE, A, B), instance
    )


def payload(n: int, listed: Any = A) -> bytes:
    return VENUES[SOURCE].render(book(listed.instrument.venue_symbol, n, bid_qty=n + 1.0))


async def send(exchange: Exchange, instance: Instance, payloads: list[bytes]) -> None:
    before = counter(instance, SOURCE, "quotes")
    await exchange.guests[-1].send(*payloads)
    await until(lambda: counter(instance, SOURCE, "quotes") == before + len(payloads))


def messages(frames: list[Frame]) -> list[bytes]:
    return [f.payload for f in frames if f.opcode in (Opcode.TEXT, Opcode.BINARY)]


def test_what_is_received_while_it_is_asked_for(
    instance: Instance, asker: Asker, transport: str
) -> None:
    sent = [payload(n, listed) for n in range(1, 40) for listed in (A, B)]

    async def main() -> None:
        async with Exchange(SOURCE) as exchange, feed(instance, exchange, transport):
            await until(lambda: exchange.guests and exchange.guests[0].requests)
            await send(exchange, instance, [payload(0)])  # before
            asker.ask(SOURCE)
            await until(lambda: recording(instance))
            begun_ns = now_ns()
            await send(exchange, instance, sent)
            request.withdraw(instance)
            await until(lambda: not recording(instance))
            await send(exchange, instance, [payload(99)])  # after
            frames = asker.frames()
            assert sent == messages(frames)
            assert all(begun_ns < f.recv_ns < now_ns() for f in frames)
            assert {1} == {f.link for f in frames}
            assert len(sent) == counter(instance, SOURCE, "recorded")
            assert 0 == counter(instance, SOURCE, "unrecorded")

    run(main())


def test_the_recording_makes_the_same_table_again(
    instance: Instance, asker: Asker, transport: str, make_instance: Callable[..., Instance]
) -> None:
    live: list[Any] = []

    async def main() -> None:
        async with Exchange(SOURCE) as exchange, feed(instance, exchange, transport):
            await until(lambda: exchange.guests and exchange.guests[0].requests)
            asker.ask(SOURCE)
            await until(lambda: recording(instance))
            await send(exchange, instance, [payload(n, s) for n in range(1, 20) for s in (A, B)])
            live.extend(quote(instance, SOURCE, listed.symbol_id) for listed in (A, B))

    run(main())  # the feed's end ends its files
    again = make_instance(n_symbols=64, force=True)
    intake = SourceIntake(
        again.region("quotes"), again.region("dirty"), again.region("health"),
        SOURCE_BY_NAME[SOURCE].id, learn_to_s=VENUES[SOURCE].learn_to_s(Config()),
        learn_from_s=VENUES[SOURCE].learn_from_s(Config()),
    )  # fmt: skip
    for listed in (A, B):
        intake.add_symbol(listed.symbol_id, name=listed.instrument.venue_symbol)
    frames = LinkIntake(intake, FrameDecoder(VENUES[SOURCE].schema), 1)
    for frame in asker.frames():
        if frame.opcode == Opcode.TEXT:
            frames.take(frame.payload, frame.recv_ns)
    assert live == [quote(again, SOURCE, listed.symbol_id) for listed in (A, B)]


def test_what_becomes_of_a_link_is_recorded(
    instance: Instance, asker: Asker, transport: str
) -> None:
    async def main() -> None:
        async with Exchange(SOURCE) as exchange, feed(instance, exchange, transport):
            await until(lambda: exchange.guests and exchange.guests[0].requests)
            asker.ask(SOURCE)
            await until(lambda: recording(instance))
            await send(exchange, instance, [payload(1)])
            exchange.guests[0].peer.cut()
            await until(lambda: len(exchange.guests) == 2 and exchange.guests[1].requests)
            await send(exchange, instance, [payload(1)])
            url = exchange.url.encode()
        events = [
            (f.link, f.opcode, f.payload)
            for f in asker.frames()
            if f.opcode not in (Opcode.TEXT, Opcode.BINARY)
        ]
        assert [(1, Opcode.CLOSED, b"connection lost"), (2, Opcode.OPENED, url)] == events[:2]
        assert [(2, Opcode.CLOSED, b"stopped")] == events[2:]

    run(main())


def test_a_feed_that_starts_anew_goes_on_recording(
    instance: Instance, asker: Asker, transport: str
) -> None:
    async def main() -> None:
        asker.ask(SOURCE)
        for n in (1, 2):
            async with Exchange(SOURCE) as exchange, feed(instance, exchange, transport):
                await until(lambda e=exchange: e.guests and e.guests[0].requests)
                await until(lambda: recording(instance))
                await send(exchange, instance, [payload(n)])

    run(main())
    assert [payload(1), payload(2)] == [m for m in messages(asker.frames()) if b'"bids"' in m]
    assert 2 == len(list((asker.folder / "frames").iterdir()))


def test_a_quiet_feed_tells_that_it_lives(
    instance: Instance, asker: Asker, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recorder, "_LOOK_S", 0.02)
    monkeypatch.setattr(recorder, "_BLOCK_S", 0.1)

    def lived_ns() -> int:
        try:
            return Recording(asker.folder).spans()[SOURCE].lived_ns
        except BadData:  # the head of the file is not written yet
            return 0

    async def main() -> tuple[int, int]:
        async with Exchange(SOURCE) as exchange, feed(instance, exchange, transport):
            await until(lambda: exchange.guests and exchange.guests[0].requests)
            asker.ask(SOURCE)
            await until(lambda: recording(instance))
            await send(exchange, instance, [payload(1)])
            quiet_ns = now_ns()
            await until(lambda: any((asker.folder / "frames").glob("*")))
            await until(lambda: lived_ns() > quiet_ns)  # also if it were killed now
            request.withdraw(instance)
            asked_ns = now_ns()
            await until(lambda: not recording(instance))
            return quiet_ns, asked_ns

    quiet_ns, asked_ns = run(main())
    span = Recording(asker.folder).spans()[SOURCE]
    assert span.last_ns < quiet_ns < asked_ns < span.lived_ns < now_ns()
    asker.frames()  # no problem in it


def test_it_ends_with_who_asked(instance: Instance, asker: Asker, transport: str) -> None:
    async def main() -> None:
        async with Exchange(SOURCE) as exchange, feed(instance, exchange, transport):
            await until(lambda: exchange.guests and exchange.guests[0].requests)
            asker.ask("okx-futures")
            await asyncio.sleep(0.1)
            assert not recording(instance)  # others were asked
            asker.ask(SOURCE)
            await until(lambda: recording(instance))
            asker.leave()  # killed: its request still lies there
            await until(lambda: not recording(instance))
            await send(exchange, instance, [payload(1)])

    run(main())
    assert [] == messages(asker.frames() if (asker.folder / "frames").exists() else [])


def test_a_folder_that_takes_nothing_costs_the_recording_only(
    instance: Instance, asker: Asker, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    barred = asker.folder / "barred"
    barred.write_text("a file where a folder should be")

    async def main() -> None:
        async with Exchange(SOURCE) as exchange, feed(instance, exchange, transport):
            await until(lambda: exchange.guests and exchange.guests[0].requests)
            asker.ask(SOURCE, folder=barred)
            await until(lambda: recording(instance))
            await send(exchange, instance, [payload(n) for n in range(1, 30)])
            request.withdraw(instance)
            await until(lambda: not recording(instance))
            await send(exchange, instance, [payload(99)])
            assert 29 == counter(instance, SOURCE, "unrecorded")
            assert 0 == counter(instance, SOURCE, "recorded")

    run(main())
    told = [r for r in caplog.records if "the disk refuses the recording" in r.getMessage()]
    assert 1 == len(told)


def test_a_disk_that_hangs_costs_the_recording_only(
    instance: Instance, asker: Asker, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer takes nothing: the tape fills up, the rest is counted and told as a gap."""
    monkeypatch.setattr(recorder, "_PART_BYTES", 2_000)
    hangs = True
    drain = recorder._Writer._drain
    monkeypatch.setattr(
        recorder._Writer, "_drain", lambda self, growing: not hangs and drain(self, growing=growing)
    )
    sent = [payload(n) for n in range(1, 1_500)]

    async def main() -> None:
        nonlocal hangs
        async with Exchange(SOURCE) as exchange:
            config = config_of(SOURCE, exchange.url, transport, max_frame_bytes=1_000)
            venue = quick(SOURCE, connects_per_s=1_000.0)
            async with working(venue, config, lists_of(SOURCE, A, B), instance):
                await until(lambda: exchange.guests and exchange.guests[0].requests)
                asker.ask(SOURCE)
                await until(lambda: recording(instance))
                await send(exchange, instance, sent)
                await until(lambda: counter(instance, SOURCE, "unrecorded"))
                hangs = False
                await until(lambda: counter(instance, SOURCE, "recorded"))
                await send(exchange, instance, [payload(9_999)])

    run(main())
    found = Recording(asker.folder)
    kept = messages(list(found.frames()))
    lost = counter(instance, SOURCE, "unrecorded")
    assert len(sent) + 1 == len(kept) + lost - sum(m not in {*sent, payload(9_999)} for m in kept)
    assert payload(9_999) == [m for m in kept if m in {*sent, payload(9_999)}][-1]
    assert [lost] == [problem.lost_frames for problem in found.problems]


def test_a_request_of_another_version_is_none(instance: Instance, asker: Asker) -> None:
    path = Path(instance.directory, "record.json")
    path.touch(0o600)
    path.write_text(json.dumps({"what": 1}))
    assert request.asked(instance) is None
    path.write_text("{")
    assert request.asked(instance) is None


def test_the_tape_holds_the_longest_message(instance: Instance, tmp_path: Path) -> None:
    longest = 3_000_000
    config = Config(feeds=config_of(SOURCE, "ws://x", max_frame_bytes=longest).feeds)
    intake = SourceIntake(
        instance.region("quotes"), instance.region("dirty"), instance.region("health"), 6
    )
    asker = Asker(instance, tmp_path / "rec")
    asker.ask(SOURCE)
    one = recorder.Recorder(instance, SOURCE, intake, config)
    one.follow_request()
    one.append(1, Opcode.TEXT, b"x" * longest)
    one.stop()
    assert [longest] == [len(m) for m in messages(asker.frames())]
    asker.leave()


def test_after_the_end_nothing_is_copied_any_more(instance: Instance, asker: Asker) -> None:
    intake = SourceIntake(
        instance.region("quotes"), instance.region("dirty"), instance.region("health"), 6
    )
    asker.ask(SOURCE)
    one = recorder.Recorder(instance, SOURCE, intake, Config())
    one.follow_request()
    assert one._writer is not None
    tape = one._writer.tape
    socket = LinkIntake(intake, FrameDecoder(VENUES[SOURCE].schema), 1)
    socket.record(Opcode.TEXT, b"x", now_ns())
    assert 1 == tape.frames
    one.stop()
    socket.record(Opcode.TEXT, b"y", now_ns())
    assert 1 == tape.frames
