"""A recording of `spreadscan record` as the account takes frames: messages only, in total order.

What became of links is left out: in an account the whole recording is one session of a source.
"""

import heapq
from collections.abc import Iterator, Mapping
from pathlib import Path

from spreadscan.catalogue import built_in
from spreadscan.lists import load
from spreadscan.recordings import Opcode, Recording, unpack
from spreadscan.replay.frames import Frame
from spreadscan.types import Instrument

GENERATED = "generated"


class RecordedFile:
    """As a frames.FrameFile: the frames of all sources of a recording."""

    source = ""  # every frame tells its own
    remarks = ()

    def __init__(self, folder: Path) -> None:
        self._recording = Recording(folder)
        self._read: dict[str, int] = {}  # bytes by source
        self.path = folder / "recording.json"  # instrument files of an import lie beside it
        self.name = folder.resolve().name
        self.size = self._recording.n_bytes

    @property
    def position(self) -> int:
        """Bytes of the recording read so far, compressed as they are."""
        return sum(self._read.values())

    @property
    def problems(self) -> tuple[str, ...]:
        """What the recording lacks, as far as it was read."""
        return tuple(map(str, self._recording.problems))

    def frames(self) -> Iterator[Frame]:
        """Yield the messages of all sources by (receive time, source id)."""
        ids = {name: built_in().source[name].id for name in self._recording.sources}
        streams = [self._frames_of(name) for name in ids]
        return heapq.merge(*streams, key=lambda frame: (frame.recv_ns, ids[frame.source]))

    def instruments(self, source: str) -> Mapping[str, Instrument]:
        """Return by venue symbol what the recorded lists say; nothing where there are none."""
        folder = self._recording.folder / GENERATED
        if not folder.is_dir():
            return {}
        source_list = load(folder).sources.get(source)
        rows = source_list.symbols if source_list else ()
        return {row.instrument.venue_symbol: row.instrument for row in rows}

    def _frames_of(self, source: str) -> Iterator[Frame]:
        for block in self._recording.blocks(source):
            for frame in unpack(block):
                if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
                    binary = frame.opcode == Opcode.BINARY
                    yield Frame(frame.recv_ns, source, frame.payload, binary)
            self._read[source] = block.position
