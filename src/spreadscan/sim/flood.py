"""Floods: what a bench or a load test makes of simulated venues.

The market stands still. A socket that has subscribed gets the same books again and again under
rising ids, so that a reader has to take every frame: as fast as it can, or at a given rate. The
conversation around it, and the frames, are the venue's.
"""

import asyncio
import contextlib
import math
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

from spreadscan.clock import now_ns
from spreadscan.errors import ConfigError
from spreadscan.sim.connection import MOST_UNSENT_BYTES, Connection
from spreadscan.sim.flood_frames import FIRST_ROUND, Block
from spreadscan.sim.market import Market, Series
from spreadscan.sim.simtime import SimTime
from spreadscan.types import Book

_BLOCK_FRAMES = 2_048  # and most of one write: a larger one would look like a slow reader
_SETTLED_S = 1.0  # a client that has asked for nothing more for so long has subscribed
_LOOK_S = 0.05
_WAIT_S = 0.001  # for a reader that has enough to read
_SHORTEST_WAIT_S = 5e-5  # of the pacer


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """What is asked for.

    frames: for each socket; 0 is without end. rate: frames per second of all sources together;
    0 is as fast as readers take them. frames_per_write: 0 is one with a rate, else many.
    """

    frames: int = 0
    rate: float = 0.0
    frames_per_write: int = 0

    def __post_init__(self) -> None:
        if self.frames < 0:
            raise ConfigError(f"sim: frames is {self.frames}, expected 0 or more")
        if not 0.0 <= self.rate < math.inf:
            raise ConfigError(f"sim: flood rate is {self.rate}, expected 0 or more frames/s")
        if not 0 <= self.frames_per_write <= _BLOCK_FRAMES:
            raise ConfigError(
                f"sim: frames per write is {self.frames_per_write}, expected 0 to {_BLOCK_FRAMES}"
            )

    @property
    def burst(self) -> int:
        """Frames of one write."""
        return self.frames_per_write or (1 if self.rate else _BLOCK_FRAMES)

    @property
    def block_frames(self) -> int:
        """Frames of a block, in whole writes."""
        return -(-_BLOCK_FRAMES // self.burst) * self.burst


def standing_books(
    market: Market, sim_time: SimTime, series: Sequence[Series], n: int
) -> list[Book]:
    """Return the last books of series that trade, in random order: n, or one of each if more."""
    ticks = [
        (s, *market.last_tick(s, sim_time.done_ns))
        for s in series
        if (s.source_id, s.index) not in market.dead
    ]
    books = (
        market.book(s, k - back, tick_ns, sim_time.unix_ns(tick_ns))
        for back in (count() if ticks else ())
        for s, k, tick_ns in ticks
    )
    chosen = list(islice(books, max(n, len(ticks))))
    random.Random(market.seed).shuffle(chosen)
    return chosen


MakeBlock = Callable[[Connection, int, Iterator[int]], Block | None]


class Stream:
    """The flood of one socket. make: a block of what the socket has subscribed, None of nothing."""

    def __init__(
        self, connection: Connection, make: MakeBlock, flood: Flood, rounds: Iterator[int]
    ) -> None:
        self._connection = connection
        self._make = make
        self._flood = flood
        self._rounds = rounds
        self._left: float = flood.frames or math.inf
        self._block: Block | None = None
        self._symbols: set[str] = set()

    @property
    def ended(self) -> bool:
        connection = self._connection
        return not self._left or connection.closing or connection.transport.is_closing()

    @property
    def full(self) -> bool:
        """Whether the reader has enough to read; well below where slow readers are cut off."""
        return self._connection.transport.get_write_buffer_size() > MOST_UNSENT_BYTES // 4

    def write(self) -> int:
        """Write once; return how many frames."""
        connection = self._connection
        if (self._block is None or self._block.ended) and self._symbols != connection.symbols:
            self._symbols = set(connection.symbols)
            self._block = self._make(connection, self._flood.block_frames, self._rounds)
        if self._block is None:
            return 0
        n, data = self._block.take(int(min(self._left, self._flood.burst)))
        self._left -= n
        connection.pending.append(data)
        connection.n_pushed += n
        connection.flush(now_ns() * 1e-9)
        return n


class Flooder:
    """The flood of one source: a stream for every socket, once it has subscribed.

    sent: is told the number of frames of every write.
    """

    def __init__(self, flood: Flood, make: MakeBlock, sent: Callable[[int], None]) -> None:
        self._flood = flood
        self._make = make
        self._sent = sent
        self._rounds = count(FIRST_ROUND)
        self._tasks: dict[Connection, asyncio.Task[None]] = {}
        self._paced: deque[Stream] = deque()

    def opened(self, connection: Connection) -> None:
        self._tasks[connection] = asyncio.create_task(self._serve(connection))

    def closed(self, connection: Connection) -> None:
        self._tasks.pop(connection).cancel()

    def write(self) -> bool:
        """Write to the socket whose turn it is; False where none has subscribed."""
        while self._paced:
            stream = self._paced.popleft()
            if not stream.ended:
                self._paced.append(stream)
                self._sent(stream.write())
                return True
        return False

    async def _serve(self, connection: Connection) -> None:
        await self._settled(connection)
        stream = Stream(connection, self._make, self._flood, self._rounds)
        if self._flood.rate:
            self._paced.append(stream)
            return
        while not stream.ended:
            n = 0 if stream.full else stream.write()
            self._sent(n)
            await asyncio.sleep(0 if n else _WAIT_S)

    async def _settled(self, connection: Connection) -> None:
        n, looks = 0, 0
        while not n or looks * _LOOK_S < _SETTLED_S:
            await asyncio.sleep(_LOOK_S)
            looks = looks + 1 if n == len(connection.symbols) else 0
            n = len(connection.symbols)


class Pacer:
    """Has the writes of all sources made at a rate; sources take turns, and in each its sockets.

    A thread is the alarm clock, for the timers of event loops know milliseconds only.
    """

    def __init__(self, flood: Flood, flooders: Sequence[Flooder]) -> None:
        self._per_s = flood.rate / flood.burst
        self._turns = deque(flooders)
        self._start_s = time.monotonic()
        self._made = 0
        self._due = asyncio.Event()
        self._ended = threading.Event()

    async def run(self) -> None:
        """Pace until cancelled; writes that nobody could take are left out."""
        loop = asyncio.get_running_loop()
        thread = threading.Thread(target=self._ring, args=(loop,), name="pacer", daemon=True)
        thread.start()
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                for _ in range(int((time.monotonic() - self._start_s) * self._per_s) - self._made):
                    self._made += 1
                    self._write()
        finally:
            self._ended.set()

    def _write(self) -> None:
        for _ in range(len(self._turns)):
            self._turns.rotate(-1)
            if self._turns[-1].write():
                return

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        while not self._ended.is_set():
            now_s = time.monotonic() - self._start_s
            wait_s = (int(now_s * self._per_s) + 1) / self._per_s - now_s
            time.sleep(max(wait_s, _SHORTEST_WAIT_S))
            with contextlib.suppress(RuntimeError):  # the loop has closed, and the flood ended
                loop.call_soon_threadsafe(self._due.set)
