"""What a recording lets clients subscribe to: its lists, instrument files, or what frames name."""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from spreadscan import lists
from spreadscan.recordings import Block, Opcode, Recording, unpack
from spreadscan.replay.symbols import instruments_in
from spreadscan.sim.recorded.decode import QuoteReader
from spreadscan.types import Book, Delta, Instrument

_GENERATED = "generated"

Progress = Callable[[int, int], None]  # (bytes read, bytes in all)


class Offer(NamedTuple):
    """The pairs of one source. instruments: empty where the recording knows names only."""

    symbols: tuple[str, ...]
    instruments: tuple[Instrument, ...]


def offers_in(recording: Recording, progress: Progress) -> dict[str, Offer]:
    """Return the pairs of every recorded source.

    From the recorded lists; without lists from instrument files beside the recording; sources
    without those are read through once for the names in their frames. BadGenerated where the
    lists are broken, BadData where an instrument file cannot be read.
    """
    known = _known(recording)
    found, done = {}, 0
    for source in recording.sources:
        instruments = tuple(known.get(source, {}).values())
        symbols = tuple(i.venue_symbol for i in instruments)
        if not instruments:
            read = QuoteReader(source).read
            names: dict[str, None] = {}
            position = 0
            for block in recording.blocks(source):
                names |= dict.fromkeys(_names(block, read))
                position = block.position
                progress(done + position, recording.n_bytes)
            done += position
            symbols = tuple(names)
        found[source] = Offer(symbols, instruments)
    return found


def _known(recording: Recording) -> Mapping[str, Mapping[str, Instrument]]:
    folder = recording.folder / _GENERATED
    if folder.is_dir():
        return {
            name: {row.instrument.venue_symbol: row.instrument for row in listed.symbols}
            for name, listed in lists.load(folder).sources.items()
        }
    return {source: instruments_in(recording.folder, source) for source in recording.sources}


def _names(block: Block, read: Callable[[bytes], list[Book | Delta]]) -> Iterator[str]:
    for frame in unpack(block):
        if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            yield from (quote.symbol for quote in read(frame.payload))
