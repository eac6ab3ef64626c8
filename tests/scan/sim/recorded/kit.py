"""Recordings of the simulated market, as the venues render it, and servers of them."""

import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from known import SOURCE_BY_NAME, SOURCES
from scan.recordings.kit import make
from spreadscan.discovery.write import write_set
from spreadscan.lists import Listing, SourceList
from spreadscan.recordings import Opcode, Recording
from spreadscan.sim import Market
from spreadscan.sim.recorded import RecordingServer, ServeOptions, offers_in
from spreadscan.types import Book
from spreadscan.venues import VENUES

N = 3  # pairs of each source
START_NS = 5_000_000_000_000  # of the recorded clock
LINK = 1

Frame = tuple[int, int, int, bytes]  # recv_ns, link, opcode, payload

# what venues say beside quotes
ANSWERS = {
    "binance": b'{"result":null,"id":1}',
    "bybit": b'{"success":true,"ret_msg":"pong","conn_id":"recorded","op":"ping"}',
    "mexc": b'{"channel":"pong","data":1}',
    "okx": b"pong",
    "gate": b'{"time":1,"channel":"spot.pong","event":"","result":null}',
}


def opcode_of(source: str) -> Opcode:
    return Opcode.BINARY if source == "mexc-spot" else Opcode.TEXT


def quoted(source: str, recv_ns: int, book: Book, link: int = LINK) -> Frame:
    return recv_ns, link, opcode_of(source), VENUES[source].render(book)


def frames_of(market: Market, source: str, seconds: float) -> tuple[list[Frame], list[Book]]:
    """Return the frames of N pairs over some seconds, and the last book of each."""
    source_id = SOURCE_BY_NAME[source].id
    answer = ANSWERS[source.partition("-")[0]]
    frames: list[Frame] = [
        (START_NS, LINK, Opcode.OPENED, b"wss://recorded"),
        (START_NS, LINK, Opcode.TEXT, answer),
    ]
    books = [market.quote(source_id, i, 0) for i in range(N)]
    last = [book for book in books if book is not None]
    assert len(last) == N, f"{source}: dead pairs"
    frames += [quoted(source, START_NS + 1, book) for book in last]
    for at_ns, of_source, i in market.ticks(0, int(seconds * 1e9)):
        if of_source == source_id and i < N:
            book = market.quote(source_id, i, at_ns)
            assert book is not None
            last[i] = book
            frames.append(quoted(source, START_NS + at_ns, book))
    return frames, last


def rows_of(market: Market, source: str) -> list[Listing]:
    return [
        Listing(symbol_id=i, symbol=found.symbol, state="valid", instrument=found)
        for i, found in enumerate(market.instruments[SOURCE_BY_NAME[source].id][:N])
    ]


def record(folder: Path, market: Market, seconds: float = 0.5) -> dict[str, list[Book]]:
    """Write a recording of all sources with its lists; return the last books by source."""
    found = {source.name: frames_of(market, source.name, seconds) for source in SOURCES}
    make(
        folder, {name: frames for name, (frames, _) in found.items()}, utc_offset_ns=time.time_ns()
    )
    write_set(
        folder / "generated",
        generation=1,
        names=[f"N{i}-USDT" for i in range(N)],
        retired=frozenset(),
        pairs={},
        sources={
            s.name: SourceList(source=s.name, symbols=tuple(rows_of(market, s.name)))
            for s in SOURCES
        },
        n_listed={},
        report="",
        unix_ns=1,
    )
    return {name: last for name, (_, last) in found.items()}


def recorded(folder: Path, sources: dict[str, Iterable[Frame]]) -> Path:
    """Write a recording without lists, as an import is."""
    return make(folder, {name: list(frames) for name, frames in sources.items()})


@asynccontextmanager
async def serving(folder: Path, **options: Any) -> AsyncIterator[RecordingServer]:
    """Serve a recording; it begins as soon as something is subscribed, with settle_s=0."""
    recording = Recording(folder)
    listed = offers_in(recording, lambda done, total: None)
    server = RecordingServer(recording, listed, ServeOptions(**{"settle_s": 0.0, **options}))
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
