"""How recordings lie on disk, packed and unpacked; docs/recordings.md has it in words.

File: head, blocks, index. Block: head, then one zstd frame of records. Record: head, payload.
All numbers little endian. Nothing is ever changed in place: a file that ends anywhere is read up
to its last whole block.
"""

import zlib
from collections.abc import Sequence
from enum import IntEnum
from struct import Struct
from typing import Any, NamedTuple

import msgspec
import orjson

from spreadscan.errors import BadData

VERSION = 1
ABOUT = "recording.json"
FRAMES = "frames"  # the folder of the files
ENDING = ".frames"

FILE_MARK, BLOCK_MARK, INDEX_MARK, END_MARK = b"spreadrc", b"BLCK", b"INDX", b"ENDX"
RAW_BYTES_MAX = 64 << 20  # of one block, so that a wrong head cannot ask for all memory
ABOUT_BYTES_MAX = 1 << 20

FILE_HEAD = Struct("<8sII")  # mark, version, bytes of the JSON that follows; then its crc32
RECORD_HEAD = Struct("<qII")  # recv_ns, link, payload bytes << 4 | opcode
INDEX_ENTRY = Struct("<QqI")  # offset of a block, its first recv_ns, its frames
FILE_END = Struct("<Q4s")  # offset of the index, mark
CRC = Struct("<I")
_BLOCK_HEAD = Struct("<4sIqqQQII")
BLOCK_HEAD_BYTES = _BLOCK_HEAD.size + CRC.size


class Opcode(IntEnum):
    """What a record is. 1 and 2 as in WebSocket frames: a whole message, its fragments joined."""

    OPENED = 0  # the link opened; payload: its URL
    TEXT = 1
    BINARY = 2
    TOOK_OVER = 3  # payload: JSON {"from": link, "symbols": [names as the venue writes them]}
    VERDICTS = 4  # of the audit, link 0; payload: JSON of Verdicts
    CLOSED = 8  # the link closed, what it still owned was emptied; payload: why


def took_over(old: int, symbols: Sequence[str]) -> bytes:
    """Return the payload of TOOK_OVER."""
    return orjson.dumps({"from": old, "symbols": list(symbols)})


class Verdict(msgspec.Struct, frozen=True, array_like=True):
    """What the audit found out of one pair; symbol as the venue writes it, times as received."""

    symbol: str
    kind: str
    reason: str
    recv_ns: int
    at_ns: int


class Verdicts(msgspec.Struct, frozen=True):
    """Payload of VERDICTS. round_ns: of the last round of the source by then."""

    round_ns: int
    verdicts: tuple[Verdict, ...]


class BlockHead(NamedTuple):
    """What stands before a block's frames. numbers: first_number, first_number + 1, ..."""

    n_frames: int
    first_recv_ns: int
    last_recv_ns: int
    first_number: int
    dropped: int  # frames before this block that were received and not recorded
    raw_bytes: int
    packed_bytes: int

    def pack(self, mark: bytes = BLOCK_MARK) -> bytes:
        """Return the bytes of the head, its crc32 at the end."""
        head = _BLOCK_HEAD.pack(mark, *self)
        return head + CRC.pack(zlib.crc32(head))


def unpack_block_head(data: bytes) -> BlockHead | None:
    """Return the head that these bytes are, None where they are none or broken."""
    if len(data) != BLOCK_HEAD_BYTES or data[:4] != BLOCK_MARK:
        return None
    if CRC.unpack(data[_BLOCK_HEAD.size :])[0] != zlib.crc32(data[: _BLOCK_HEAD.size]):
        return None
    head = BlockHead(*_BLOCK_HEAD.unpack(data[: _BLOCK_HEAD.size])[1:])
    return head if head.raw_bytes <= RAW_BYTES_MAX else None


def pack_file_head(about: dict[str, Any]) -> bytes:
    """Return the beginning of a file; about: whose frames, see docs/recordings.md."""
    text = orjson.dumps(about)
    return FILE_HEAD.pack(FILE_MARK, VERSION, len(text)) + text + CRC.pack(zlib.crc32(text))


class FileAbout(msgspec.Struct, frozen=True):
    """The JSON at the beginning of a file."""

    source: str
    run: str  # UTC at which the feed began: numbers go on over the files of one run
    sequence: int  # of this file in its run


class Span(msgspec.Struct, frozen=True):
    """A source in a recording: its first and last frame, and until when its feed lived.

    On the recorded clock. lived_ns is last_ns where the recording does not tell.
    """

    first_ns: int
    last_ns: int
    lived_ns: int


class About(msgspec.Struct, frozen=True, kw_only=True):
    """recording.json. utc_offset_ns: UTC minus recv_ns, for the whole recording."""

    format: int = VERSION
    made_by: str
    instance: str
    boot_id: str
    utc_offset_ns: int
    started: str
    ended: str = ""  # '' while it runs, and where it was cut off
    sources: tuple[str, ...]
    audited: bool = False  # verdicts of an audit are recorded, too
    frames: dict[str, int] = {}  # at the end, by source
    dropped: dict[str, int] = {}
    spans: dict[str, Span] = {}
    removed_files: tuple[str, ...] = ()  # the oldest, for want of room


def read_about(path: str, text: bytes) -> About:
    """Return what recording.json says. BadData names the file."""
    try:
        version = orjson.loads(text).get("format")
    except (orjson.JSONDecodeError, AttributeError):
        raise BadData(f"{path}: not a JSON object, expected the head of a recording") from None
    check_version(path, version)
    try:
        return msgspec.json.decode(text, type=About)
    except msgspec.ValidationError as error:
        raise BadData(f"{path}: {error}, expected format {VERSION}") from None


def check_version(path: str, version: object) -> None:
    """Raise BadData for a format that this program does not read."""
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        hint = "made by a newer spreadscan" if newer else "not one of ours"
        raise BadData(f"{path}: format {version!r}, expected {VERSION} ({hint})")
