"""A recording on local ports: paced by its receive times, read one block at a time."""

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import uvloop

from spreadscan.catalogue import built_in
from spreadscan.clock import now_ns
from spreadscan.errors import BadData, ConfigError
from spreadscan.recordings import Frame, Recording
from spreadscan.sim.connection import MOST_UNSENT_BYTES
from spreadscan.sim.pages import Pages
from spreadscan.sim.ports import Server, serve
from spreadscan.sim.protocols import PROTOCOLS
from spreadscan.sim.recorded.exchange import RecordedExchange
from spreadscan.sim.recorded.offers import Offer

_WAKE_S = 0.003
_FRAMES_PER_TURN = 500  # then the loop reads its sockets
_TELL_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """How a recording is served. port_base 0: any free ports, else base + source id.

    speed: recorded seconds in a second; infinite: as fast as clients read. settle_s: it begins
    once clients have subscribed and asked for nothing more for so long.
    """

    speed: float = 1.0
    port_base: int = 0
    host: str = "127.0.0.1"
    settle_s: float = 1.0


class RecordingServer(Server[RecordedExchange]):
    """Serve the recorded sources of `listed`. told: called twice a second while it runs.

    ConfigError for options that make no sense, BadData for a recording without a frame.
    """

    def __init__(
        self,
        recording: Recording,
        listed: Mapping[str, Offer],
        options: ServeOptions,
        told: Callable[["RecordingServer"], None] | None = None,
    ) -> None:
        if not options.speed > 0.0:
            raise ConfigError(f"speed: found {options.speed}, expected more than 0")
        super().__init__(options.port_base, options.host)
        self.recording = recording
        self.n_frames = 0  # of the recording, so far
        self.begun = False
        self.ended = False
        self._options = options
        self._told = told
        self._frames: Iterator[Frame] = recording.frames()
        self._next = next(self._frames, None)
        if self._next is None:
            told_of = "; ".join(map(str, recording.problems)) or "empty"
            raise BadData(f"{recording.folder}: no frame can be read ({told_of}), expected some")
        self._at_ns = self._next.recv_ns  # where the recorded clock stands
        self._asked_ns = 0  # when a client last subscribed to something
        pages = self._render(listed)
        for name in recording.sources:
            self.exchanges[name] = RecordedExchange(
                name,
                PROTOCOLS[name].rules,
                listed[name],
                pages if listed[name].instruments else None,
                self.unix_ns,
                self._ask,
            )

    def unix_ns(self) -> int:
        """Return the Unix time of the recording that is served now."""
        return self._at_ns + self.recording.utc_offset_ns

    async def start(self) -> None:
        """Open the ports and wait for clients. ConfigError: a port is taken."""
        await self._open()
        self._go(self._play())
        if self._told:
            self._go(self._tell(self._told))

    def _render(self, listed: Mapping[str, Offer]) -> Pages:
        empty = Offer((), ())
        instruments = [listed.get(source.name, empty).instruments for source in built_in().sources]
        return Pages(instruments, self.unix_ns() // 1_000_000, others=False)

    def _ask(self) -> None:
        self._asked_ns = now_ns()

    async def _play(self) -> None:
        await self._settled()
        self.begun = True
        speed = self._options.speed
        first_ns, begun_ns = self._at_ns, now_ns()
        while self._next is not None:
            until_ns = math.inf
            if speed < math.inf:
                self._at_ns = first_ns + int((now_ns() - begun_ns) * speed)
                until_ns = self._at_ns
            elif self._full():
                await asyncio.sleep(_WAKE_S)
                continue
            n = self._turn(until_ns)
            await asyncio.sleep(0.0 if n == _FRAMES_PER_TURN else _WAKE_S)
        self.ended = True
        await asyncio.Event().wait()  # clients stay, and may come, until we are told to stop

    async def _settled(self) -> None:
        settle_ns = self._options.settle_s * 1e9
        while True:
            await asyncio.sleep(_WAKE_S)
            if self._asked_ns and now_ns() - self._asked_ns >= settle_ns:
                return

    def _turn(self, until_ns: float) -> int:
        """Send what is due, a turn's worth at most; return how many frames."""
        n, frame = 0, self._next
        while frame is not None and frame.recv_ns <= until_ns and n < _FRAMES_PER_TURN:
            self.exchanges[frame.source].play(frame)
            n += 1
            last_ns = frame.recv_ns
            frame = next(self._frames, None)
            if frame is None or until_ns == math.inf:
                self._at_ns = last_ns
        self._next = frame
        self.n_frames += n
        now_s = now_ns() * 1e-9
        for exchange in self.exchanges.values():
            exchange.flush(now_s)
        return n

    def _full(self) -> bool:
        # well below where slow readers are cut off
        return any(
            connection.transport.get_write_buffer_size() > MOST_UNSENT_BYTES // 4
            for exchange in self.exchanges.values()
            for connection in exchange.connections
            if not connection.closing
        )

    async def _tell(self, told: Callable[["RecordingServer"], None]) -> None:
        while True:
            told(self)
            await asyncio.sleep(_TELL_S)


def serve_recording(server: RecordingServer, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, also after the end; `ready` is called with open ports.

    Blocks, in the main thread, with an event loop of its own. ConfigError: a port is taken.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(server, ready))
