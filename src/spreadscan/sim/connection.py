"""One WebSocket of a simulated venue, sending side: frames are collected and written at once.

Frames go straight to the transport, built once for all sockets of a topic: aiohttp's own
send_str costs more than everything else a quote needs. It still does handshakes, reading,
pings and closing, and writes whole frames only, so the two do not cut into each other.
"""

import asyncio

from aiohttp import web

from spreadscan.sim.fault_effects import SocketEffects
from spreadscan.sim.protocols import Conversation

TEXT, BINARY = 0x81, 0x82
# A reader this far behind is cut off; the kernel's buffers come on top.
MOST_UNSENT_BYTES = 1 << 20


def frame(payload: bytes, opcode: int) -> bytes:
    """Return payload as one unmasked WebSocket frame, as a server sends it."""
    n = len(payload)
    if n < 126:
        return bytes((opcode, n)) + payload
    if n < 65_536:
        return bytes((opcode, 126)) + n.to_bytes(2) + payload
    return bytes((opcode, 127)) + n.to_bytes(8) + payload


class Connection:
    """One open socket: its conversation, and what is to be written at the next flush."""

    __slots__ = (
        "closing", "conversation", "effects", "n_pushed", "path", "pending", "symbols", "transport",
        "ws",
    )  # fmt: skip

    def __init__(
        self,
        ws: web.WebSocketResponse,
        transport: asyncio.WriteTransport,
        conversation: Conversation,
        effects: SocketEffects | None = None,
        path: str = "",
    ) -> None:
        self.ws = ws
        self.transport = transport
        self.conversation = conversation
        self.effects = effects
        self.path = path
        self.symbols: set[str] = set()  # those that push to this socket
        self.pending: list[bytes] = []
        self.n_pushed = 0
        self.closing = False

    @property
    def answers(self) -> bool:
        """Whether pings and requests are answered."""
        return self.effects is None or self.effects.answers()

    def flush(self, now_s: float) -> bool:
        """Write what is pending; False when the reader is too slow and was cut off."""
        data = b"".join(self.pending)
        self.pending.clear()
        if self.closing or self.transport.is_closing():
            return True
        if self.transport.get_write_buffer_size() > MOST_UNSENT_BYTES:
            self.cut()
            return False
        if self.effects is None:
            self.transport.write(data)
        else:
            self.effects.write(self.transport, data)
        if self.n_pushed:
            self.conversation.last_push_s = now_s
            self.n_pushed = 0
        return True

    def cut(self) -> None:
        """End the TCP connection without a close frame."""
        self.closing = True
        self.transport.abort()

    async def close(self, code: int, reason: str) -> None:
        """Say why, wait a little for the other side, end."""
        self.closing = True
        await self.ws.close(code=code, message=reason.encode())
