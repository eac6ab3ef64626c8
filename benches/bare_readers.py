"""The least that eight feeds could cost: bare uvloop readers of as many sockets, who discard.

As a program: connect N sockets to PORT and read for ever.
"""

import asyncio
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import uvloop

from rig import cpu_s

READERS, SOCKETS_EACH = 8, 5
FRAME_BYTES = 138
_PACE_S = 0.0005


def bare_readers_pct(
    env: dict[str, str], frames_per_s: int, frames_per_write: int, seconds: float, core: set[int]
) -> float:
    """Return percent of a core of all readers together; this process writes, on `core`."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        command = [sys.executable, __file__, str(server.getsockname()[1]), str(SOCKETS_EACH)]
        readers = [subprocess.Popen(command, env=env) for _ in range(READERS)]
        for reader in readers:
            stack.callback(reader.wait)
            stack.callback(reader.kill)
        peers = [stack.enter_context(server.accept()[0]) for _ in range(READERS * SOCKETS_EACH)]
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, core)
        stack.callback(os.sched_setaffinity, 0, before)
        for peer in peers:
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        used_s = -sum(cpu_s(reader.pid) for reader in readers)
        _write(
            peers, bytes(FRAME_BYTES * frames_per_write), frames_per_s / frames_per_write, seconds
        )
        used_s += sum(cpu_s(reader.pid) for reader in readers)
    return 100 * used_s / seconds


def _write(peers: list[socket.socket], data: bytes, writes_per_s: float, seconds: float) -> None:
    begun, n = time.monotonic(), 0
    while (elapsed := time.monotonic() - begun) < seconds:
        while n < elapsed * writes_per_s:
            peers[n % len(peers)].sendall(data)
            n += 1
        time.sleep(_PACE_S)


class _Discard(asyncio.BufferedProtocol):
    def __init__(self) -> None:
        self._buffer = bytearray(65_536)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        pass


async def _read(port: int, n_sockets: int) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(n_sockets):
        await loop.create_connection(_Discard, "127.0.0.1", port)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_read(int(sys.argv[1]), int(sys.argv[2])))
