"""Recordings of made-up markets, written as a scanner's recorder writes them."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
from spreadcore.tape import Tape

from known import EIGHT, TWELVE
from spreadscan.discovery.write import write_set
from spreadscan.lists import Listing, SourceList
from spreadscan.recordings import FrameFiles
from spreadscan.recordings.format import ABOUT, About
from spreadscan.sim import Market
from spreadscan.types import Instrument
from spreadscan.venues import VENUES

S = 1_000_000_000
MS = 1_000_000
START_NS = 1_000 * S  # of the recorded clock: on the tracker's grid
OFFSET_NS = 1_795_176_000 * S - START_NS  # START_NS is 2026-11-20T12:00:00Z

Row = tuple[int, int, int, bytes]  # recv_ns, link, opcode, payload


def write_recording(
    folder: Path, frames: Mapping[str, Sequence[Row] | Sequence[Sequence[Row]]], *,
    settings: str = "", block: int = 1000, about: Mapping[str, object] | None = None,
    lived_ns: Mapping[str, Sequence[int]] | None = None,
) -> Path:  # fmt: skip
    """Write a recording: by source its records, or those of each of its runs.

    lived_ns: until when each run of a source lived, where it tells.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fields = {
        "made_by": "spreadscan test", "instance": "test", "boot_id": "b",
        "utc_offset_ns": OFFSET_NS, "started": "2026-11-20T12:00:00Z", "sources": tuple(frames),
    }  # fmt: skip
    (folder / ABOUT).write_bytes(msgspec.json.encode(About(**(fields | dict(about or {})))))
    (folder / "config.toml").write_text(settings)
    for source, rows in frames.items():
        runs = rows if rows and isinstance(rows[0], list) else [rows]
        for number, run in enumerate(runs):
            lived = (lived_ns or {}).get(source, ())[number:]
            write_run(
                folder, source, run, START_NS + OFFSET_NS + number * S, block,
                lived_ns=lived[0] if lived else 0,
            )  # fmt: skip
    return folder


def write_run(
    folder: Path, source: str, rows: Iterable[Row], unix_ns: int, block: int = 1000,
    file_bytes: int = 1 << 28, lived_ns: int = 0,
) -> None:  # fmt: skip
    """Write the files of one run of a feed. lived_ns: until when it did, 0 = it does not tell."""
    files, tape = FrameFiles(folder, source, unix_ns, file_bytes), Tape(8 << 20, 2)
    for number, row in enumerate(rows, 1):
        assert tape.append(*row)
        if number % block == 0:
            _flush(files, tape)
    _flush(files, tape)
    files.close(lived_ns)


def _flush(files: FrameFiles, tape: Tape) -> None:
    part = tape.take(True)
    if part is not None:
        files.write(*part)
        part[0].release()
        tape.release()


def write_generated(folder: Path, instruments: Mapping[str, Sequence[Instrument]]) -> Path:
    """Write lists in which every pair of two sources is compared."""
    names = sorted({i.symbol for rows in instruments.values() for i in rows})
    ids = {name: number for number, name in enumerate(names)}
    of = {source: {i.symbol for i in rows} for source, rows in instruments.items()}
    pairs = {
        d.id: [ids[name] for name in sorted(buys & sells)]
        for d in TWELVE
        if (buys := of.get(d.buy.name, set())) and (sells := of.get(d.sell.name, set()))
    }
    write_set(
        folder, generation=1, names=names, retired=frozenset(), pairs=pairs,
        sources={
            source: SourceList(
                source=source,
                symbols=tuple(
                    Listing(symbol_id=ids[i.symbol], symbol=i.symbol, state="valid", instrument=i)
                    for i in rows
                ),
            )
            for source, rows in instruments.items()
        },
        n_listed={},
        report="", unix_ns=0,
    )  # fmt: skip
    return folder


def market_recording(
    folder: Path,
    seconds: float,
    *,
    rate: float = 2000.0,
    seed: int = 7,
    settings: str = "",
    usdc: bool = False,
) -> Path:
    """Record the simulated market: a link per source, frames as its venue sends them."""
    market = Market(seed, rate, usdc=usdc)
    instruments = {s.name: _one_each(market.instruments[s.id]) for s in EIGHT}
    known = {name: {i.venue_symbol for i in rows} for name, rows in instruments.items()}
    frames: dict[str, list[Row]] = {
        name: [(START_NS, 1, 0, b"wss://example.test")] for name in instruments
    }
    for at_ns, series, k in market.due(0, int(seconds * S)):
        name = EIGHT[series.source_id].name
        if series.symbol in known[name]:
            book = market.book(series, k, at_ns, START_NS + at_ns + OFFSET_NS)
            opcode = 2 if name == "mexc-spot" else 1
            frames[name].append((START_NS + at_ns, 1, opcode, VENUES[name].render(book)))
    write_generated(folder / "generated", instruments)
    return write_recording(folder, frames, settings=settings)


def _one_each(rows: Sequence[Instrument]) -> list[Instrument]:
    """The first listing of each coin: two of one name would share an id."""
    return list({i.symbol: i for i in reversed(rows)}.values())
