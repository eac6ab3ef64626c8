"""Read one file of frames: its whole blocks, and in a sentence what keeps the others from it."""

import io
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import zstandard
from spreadcore.tape import are_records

from spreadscan.catalogue import built_in
from spreadscan.errors import BadData
from spreadscan.recordings.format import (
    ABOUT_BYTES_MAX,
    BLOCK_HEAD_BYTES,
    BLOCK_MARK,
    CRC,
    END_MARK,
    FILE_END,
    FILE_HEAD,
    FILE_MARK,
    INDEX_ENTRY,
    INDEX_MARK,
    BlockHead,
    FileAbout,
    Span,
    check_version,
    unpack_block_head,
)

_SEARCH_BYTES = 1 << 20

Tell = Callable[[str, int | None], None]  # what is wrong, and how many frames that costs


def read_about(path: Path, tell: Tell) -> FileAbout | None:
    """Return whose frames a file holds, None where its head is broken; BadData if not ours."""
    with path.open("rb") as file:
        return _read_about(path, file, tell)


def n_frames(path: Path) -> int:
    """Return the frames of a file, by its index; without one by the heads of its blocks."""
    with path.open("rb") as file:
        entries, end = _index(file)
        if entries is not None:
            return sum(entry.n_frames for entry in entries)
        if _read_about(path, file, _ignore) is None:
            return 0
        return sum(head.n_frames for _, head, _ in _packed(file, end, _ignore))


def span(path: Path) -> Span | None:
    """Return first and last receive time of a file and until when its feed lived, as n_frames.

    Both are 0 in a file without frames; None where it has no block.
    """
    with path.open("rb") as file:
        entries, end = _index(file)
        if entries is not None:
            full = [entry for entry in entries if entry.n_frames]
            edges = [full[0], full[-1], entries[-1]] if full else entries[-1:]
            heads = [head for entry in edges if (head := _head_at(file, entry.offset))]
        elif _read_about(path, file, _ignore) is not None:
            heads = [head for _, head, _ in _packed(file, end, _ignore)]
        else:
            return None
    if not heads:
        return None
    full_heads = [head for head in heads if head.n_frames]
    first_ns = full_heads[0].first_recv_ns if full_heads else 0
    last_ns = full_heads[-1].last_recv_ns if full_heads else 0
    return Span(first_ns, last_ns, heads[-1].last_recv_ns)


def _head_at(file: BinaryIO, offset: int) -> BlockHead | None:
    file.seek(offset)
    return unpack_block_head(file.read(BLOCK_HEAD_BYTES))


def read_blocks(path: Path, tell: Tell) -> Iterator[tuple[BlockHead, bytes | None, int]]:
    """Yield (head, records, bytes of the file up to its end) of each block; None: broken ones."""
    unpacker = zstandard.ZstdDecompressor()
    with path.open("rb") as file:
        entries, end = _index(file)
        if _read_about(path, file, tell) is None:
            return
        for number, head, packed in _packed(file, end, tell):
            data: bytes | None
            try:
                data = unpacker.decompress(packed, max_output_size=max(1, head.raw_bytes))
            except zstandard.ZstdError as error:
                tell(f"block {number} is broken ({error})", head.n_frames)
                data = None
            if data is not None and not _is_what_it_says(data, head):
                tell(f"block {number} is not what its head says", head.n_frames)
                data = None
            yield head, data, file.tell()
        if entries is None:
            tell("no index at its end: cut off, or still being written", None)


def _is_what_it_says(data: bytes, head: BlockHead) -> bool:
    return len(data) == head.raw_bytes and are_records(data, head.n_frames)


def _read_about(path: Path, file: BinaryIO, tell: Tell) -> FileAbout | None:
    head = file.read(FILE_HEAD.size)
    if len(head) < FILE_HEAD.size:
        tell("cut short in its head", None)
        return None
    mark, version, n = FILE_HEAD.unpack(head)
    if mark != FILE_MARK:
        raise BadData(f"{path}: begins with {mark!r}, expected {FILE_MARK!r}")
    check_version(str(path), version)
    text, crc = file.read(min(n, ABOUT_BYTES_MAX)), file.read(CRC.size)
    if crc != CRC.pack(zlib.crc32(text)):
        tell("its head is broken", None)
        return None
    try:
        about = msgspec.json.decode(text, type=FileAbout)
    except msgspec.ValidationError as error:
        raise BadData(f"{path}: {error}, expected the head of a file of frames") from None
    if about.source not in built_in().source:
        raise BadData(f"{path}: source {about.source!r}, expected one of {[*built_in().source]}")
    return about


def _packed(file: BinaryIO, end: int, tell: Tell) -> Iterator[tuple[int, BlockHead, bytes]]:
    """Yield (number in the file, head, zstd frame) of the blocks before `end`."""
    number = 0
    while (at := file.tell()) < end:
        head = unpack_block_head(file.read(BLOCK_HEAD_BYTES))
        if head is None:
            found = _next_block(file, at + 1, end)
            tell(f"broken from byte {at} to {found}", None)
            file.seek(found)
            continue
        packed = file.read(head.packed_bytes)
        if len(packed) < head.packed_bytes:
            tell(f"cut short in block {number}", head.n_frames)
            return
        yield number, head, packed
        number += 1


def _next_block(file: BinaryIO, start: int, end: int) -> int:
    """Return where the next whole head of a block is, `end` where there is none."""
    while start < end:
        file.seek(start)
        data = file.read(_SEARCH_BYTES + BLOCK_HEAD_BYTES)
        at = data.find(BLOCK_MARK)
        while 0 <= at < _SEARCH_BYTES:
            if start + at < end and unpack_block_head(data[at : at + BLOCK_HEAD_BYTES]):
                return start + at
            at = data.find(BLOCK_MARK, at + 1)
        start += _SEARCH_BYTES
    return end


class _Entry(NamedTuple):
    offset: int
    first_recv_ns: int
    n_frames: int


def _index(file: BinaryIO) -> tuple[list[_Entry] | None, int]:
    """Return the entries of the blocks and where the index begins; the file is at its start.

    Without a whole index: None, and the size of the file.
    """
    size = file.seek(0, io.SEEK_END)
    tail_bytes = CRC.size + FILE_END.size
    found, end = None, size
    if size > tail_bytes:
        file.seek(size - tail_bytes)
        tail = file.read(tail_bytes)
        at, mark = FILE_END.unpack(tail[CRC.size :])
        if mark == END_MARK and at <= size - tail_bytes:
            file.seek(at)
            index = file.read(size - tail_bytes - at)
            whole = zlib.crc32(index) == CRC.unpack(tail[: CRC.size])[0]
            if whole and index[: len(INDEX_MARK)] == INDEX_MARK:
                entries = index[len(INDEX_MARK) + CRC.size :]
                found, end = [_Entry(*e) for e in INDEX_ENTRY.iter_unpack(entries)], at
    file.seek(0)
    return found, end


def _ignore(what: str, lost_frames: int | None) -> None:
    """For a first look; who reads the blocks is told."""
