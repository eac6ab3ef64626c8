"""The answer to a picows handshake, held back until it is whole.

picows judges an answer by what came in one socket read, so of a refusal it may have the headers
alone; but whether a 403 passes is told by its page. Within bounds of bytes and time the rest is
waited for; then the WebSocket's own protocol has the connection, and sees every byte at once.
"""

import asyncio
import re
from typing import Any

_MOST_BYTES = 14 * 1024  # below what picows takes for an answer; pages are looked at for words
_BODY_WITHIN_S = 2.0  # from its headers on

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d{1,9}) *\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_CHUNK_HEAD = re.compile(rb"(?:^|\r\n)[0-9a-f]+(?:;[^\r]*)?\r\n", re.IGNORECASE)
_LAST_CHUNK = b"0\r\n\r\n"


class WholeAnswer(asyncio.BufferedProtocol):
    """Stands before `inner`, a client's WebSocket protocol, until the handshake is answered."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self._buffer = bytearray(_MOST_BYTES)
        self._n = 0
        self._transport: Any = None
        self._deadline: asyncio.TimerHandle | None = None
        self._handed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.inner.connection_made(transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[self._n :]

    def buffer_updated(self, nbytes: int) -> None:
        self._n += nbytes
        answer = bytes(self._buffer[: self._n])
        if self._n == _MOST_BYTES or is_whole(answer):
            self._hand_over()
        elif b"\r\n\r\n" in answer and not self._deadline:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(_BODY_WITHIN_S, self._hand_over)

    def eof_received(self) -> Any:
        self._hand_over()
        return self.inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc:  # else the peer's end has come before, or ours: what came is nobody's any more
            self._hand_over()
        elif self._deadline:
            self._deadline.cancel()
        self.inner.connection_lost(exc)

    def _hand_over(self) -> None:
        if self._handed:
            return
        self._handed = True
        if self._deadline:
            self._deadline.cancel()
        if not self._transport.is_closing():
            self._transport.set_protocol(self.inner)
        if self._n:
            self.inner.get_buffer(self._n)[: self._n] = self._buffer[: self._n]
            self.inner.buffer_updated(self._n)


def is_whole(answer: bytes) -> bool:
    """Return whether no more of an answer to a handshake is to come, as far as it says."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return False
    if head.split(b" ", 2)[1:2] == [b"101"]:
        return True
    if _CHUNKED.search(head):
        return body.endswith(_LAST_CHUNK)
    length = _LENGTH.search(head + b"\r\n")
    return bool(length) and len(body) >= int(length[1])  # type: ignore[index]


def words_of(body: bytes, chunked: bool) -> bytes:
    """Return a body without the heads of its chunks, which may cut a phrase in two."""
    return _CHUNK_HEAD.sub(b"", body) if chunked else body
