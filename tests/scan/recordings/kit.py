"""Make recordings without a scanner."""

from pathlib import Path

import msgspec
import orjson
from spreadcore.tape import Tape

from spreadscan.recordings import FrameFiles
from spreadscan.recordings.format import ABOUT, About

START_NS = 1_763_000_000_000_000_000


def about(**other) -> bytes:
    fields = {
        "made_by": "spreadscan 1", "instance": "test", "boot_id": "b", "utc_offset_ns": START_NS,
        "started": "2026-11-21T00:00:00Z", "sources": ("okx-spot",),
    }  # fmt: skip
    return msgspec.json.encode(About(**(fields | other)))


def frames_of(n, link=1):
    """Return n frames: (recv_ns, link, opcode, payload)."""
    return [(1000 + 10 * i, link, 1 + i % 2, b'{"n":%d}' % i * (1 + i % 3)) for i in range(n)]


def make(folder: Path, sources, block=10, file_bytes=1 << 20, **other) -> Path:
    """Write a recording: sources by name to lists of frames, `block` frames in a block."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ABOUT).write_bytes(about(sources=tuple(sources), **other))
    for source, frames in sources.items():
        files = FrameFiles(folder, source, START_NS, file_bytes)
        tape = Tape(1 << 20, 2)
        for i, frame in enumerate(frames):
            tape.append(*frame)
            if i % block == block - 1:
                write(files, tape)
        write(files, tape)
        files.close()
    return folder


def write(files, tape):
    part = tape.take(True)
    if part is not None:
        files.write(*part)
        part[0].release()
        tape.release()


def paths(folder: Path) -> list[Path]:
    return sorted((folder / "frames").iterdir())


def plain(frames):
    return [(f.recv_ns, f.link, f.opcode, f.payload) for f in frames]


def about_of(folder: Path):
    return orjson.loads((folder / ABOUT).read_bytes())
