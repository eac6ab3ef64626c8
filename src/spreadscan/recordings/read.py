"""Read a recording back: blocks of a source, or all frames in one total order.

What is broken or missing is named in `problems`; everything else is delivered. Blocks are read
one at a time, so memory does not grow with a recording.
"""

import heapq
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from spreadscan.catalogue import built_in
from spreadscan.errors import BadData, ConfigError
from spreadscan.recordings import files
from spreadscan.recordings.format import (
    ABOUT,
    ABOUT_BYTES_MAX,
    ENDING,
    FRAMES,
    RECORD_HEAD,
    Span,
    read_about,
)


class Block(NamedTuple):
    """Some frames of one source; data: packed records, all of them whole and in order.

    One without frames says that the feed lived until last_recv_ns.
    """

    source: str
    run: str  # of the feed: numbers begin anew with each
    first_number: int
    n_frames: int
    first_recv_ns: int
    last_recv_ns: int
    dropped: int  # before it, when it was recorded
    data: bytes
    position: int  # bytes of the source's files up to its end


class Frame(NamedTuple):
    """One frame or event of a link. number: its own in the run of its feed."""

    recv_ns: int
    source: str
    link: int
    number: int
    opcode: int
    payload: bytes


class Problem(NamedTuple):
    """What a recording lacks. lost_frames: None where nobody knows."""

    file: str
    what: str
    lost_frames: int | None

    def __str__(self) -> str:
        lost = "" if self.lost_frames is None else f" ({self.lost_frames:,} frames)"
        return f"{self.file}: {self.what}{lost}"


def is_recording(folder: Path) -> bool:
    """Return True where a folder says that it is one."""
    return (folder / ABOUT).is_file()


class Recording:
    """A recorded folder. ConfigError or BadData where it is none that can be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems: list[Problem] = []
        self.about = read_about(str(folder / ABOUT), _about_text(folder))
        self.utc_offset_ns = self.about.utc_offset_ns
        self._files = self._find()
        self.sources = tuple(sorted(self._files, key=lambda name: built_in().source[name].id))
        if not self.sources:
            raise BadData(f"{folder / FRAMES}: no whole *{ENDING} in it, expected at least one")
        self.n_bytes = sum(path.stat().st_size for path in self._paths())

    def _find(self) -> dict[str, list[tuple[str, Path]]]:
        found: dict[str, list[tuple[str, Path]]] = {}
        for path in sorted((self.folder / FRAMES).glob(f"*{ENDING}")):
            about = files.read_about(path, self._teller(path))
            if about is not None:
                found.setdefault(about.source, []).append((about.run, path))
        return found

    def _paths(self) -> list[Path]:
        return [path for runs in self._files.values() for _, path in runs]

    def _teller(self, path: Path) -> files.Tell:
        def tell(what: str, lost_frames: int | None) -> None:
            problem = Problem(f"{FRAMES}/{path.name}", what, lost_frames)
            if problem not in self.problems:  # blocks may be read more than once
                self.problems.append(problem)

        return tell

    def count(self) -> int:
        """Return how many frames there are, by the indexes: a progress bar needs it first."""
        return sum(files.n_frames(path) for path in self._paths())

    def spans(self) -> dict[str, Span]:
        """Return by source its first and last frame and until when its feed lived."""
        found = {}
        for source in self.sources:
            spans = [span for _, path in self._files[source] if (span := files.span(path))]
            full = [span for span in spans if span.first_ns]
            if full:
                found[source] = Span(full[0].first_ns, full[-1].last_ns, spans[-1].lived_ns)
        return found

    def blocks(self, source: str) -> Iterator[Block]:
        """Yield the blocks of a source in order, whole ones only; the rest is in `problems`.

        What a feed says of its life comes as blocks without frames.
        """
        run, number, last_ns, before = "", 0, 0, 0
        for of_run, path in self._files[source]:
            tell = self._teller(path)
            if of_run != run:
                run, number = of_run, 0
            for head, data, end in files.read_blocks(path, tell):
                missing = head.first_number - number - head.dropped
                if missing > 0:
                    tell(f"missing before it, from number {number}", missing)
                if head.dropped:
                    tell(f"not recorded before number {head.first_number}", head.dropped)
                number = head.first_number + head.n_frames
                if data is None:
                    continue
                if head.n_frames and head.first_recv_ns < last_ns:
                    tell(f"time falls at number {head.first_number}", head.n_frames)
                else:
                    if head.n_frames:
                        last_ns = head.last_recv_ns
                    yield Block(
                        source, run, head.first_number, head.n_frames, head.first_recv_ns,
                        head.last_recv_ns, head.dropped, data, before + end,
                    )  # fmt: skip
            before += path.stat().st_size

    def frames(self) -> Iterator[Frame]:
        """Yield every frame in the order of (recv_ns, source, number): that of their arrival."""
        ids = {source: built_in().source[source].id for source in self.sources}
        streams = [self._frames_of(source) for source in self.sources]
        return heapq.merge(*streams, key=lambda frame: (frame.recv_ns, ids[frame.source]))

    def _frames_of(self, source: str) -> Iterator[Frame]:
        for block in self.blocks(source):
            yield from unpack(block)


def unpack(block: Block) -> Iterator[Frame]:
    """Yield the frames of a block."""
    at, data = 0, block.data
    for i in range(block.n_frames):
        recv_ns, link, size = RECORD_HEAD.unpack_from(data, at)
        at += RECORD_HEAD.size
        payload = data[at : at + (size >> 4)]
        at += len(payload)
        yield Frame(recv_ns, block.source, link, block.first_number + i, size & 15, payload)


def _about_text(folder: Path) -> bytes:
    try:
        with (folder / ABOUT).open("rb") as file:
            return file.read(ABOUT_BYTES_MAX)
    except FileNotFoundError:
        raise ConfigError(f"{folder}: no {ABOUT} in it, expected a recording") from None
    except OSError as error:
        raise BadData(f"{folder / ABOUT}: {error.strerror}, expected a file") from None
