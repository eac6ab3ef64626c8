"""One socket's life: open, subscribe, keep alive, until it closes.

Used by feeds and by validation in discovery. It obeys the limits of the venue's spec
and knows nothing of the table: books go to a sink.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import Any, Protocol

from spreadcore.frames import LinkIntake

from spreadscan.clock import now_ns
from spreadscan.config import Feeds
from spreadscan.errors import Misbehaved, printable
from spreadscan.feeds.reader import BookSink, FrameReader
from spreadscan.feeds.requests import Requests, RequestSink
from spreadscan.logs import facts
from spreadscan.net.proxy import DIRECTLY, Proxies
from spreadscan.net.ratelimit import RateLimit, per_second
from spreadscan.net.transport import Socket, connect
from spreadscan.venues.base import Ack, Control, Event, Pong, Refusal, Venue

log = logging.getLogger(__name__)

_TICK_S = 1.0  # between looks at deadlines; a quarter of the shortest, where that is less
# Per symbol that needs a snapshot or fell silent; doubles each time.
_RESUBSCRIBE_EVERY_NS = 30_000_000_000
_DOUBLINGS = 7
_SILENCE_NEEDS = 10  # symbols on a socket before its silence alone means anything
# A socket is given up of whose last frames more than half are garbage, or come from channels that
# nobody asked for, faster than any venue's notices.
_JUDGE_AFTER = 200  # frames
_FOREIGN_PER_S = 50.0
_WORDS_KEPT = 300  # of a refusal; they go to logs, reports and screens
_UNREAD_AT_MOST_S = 10.0  # what we send; a peer that never reads it cannot be asked for anything


class SessionSink(BookSink, RequestSink, Protocol):
    """A book sink that also hears of control messages and of the end of a socket read."""

    def flush(self) -> None:
        """A socket read has been read to its end."""

    def control(self, kind: str) -> None:
        """Count 'acks', 'refusals', 'control', 'resubscribes' or 'misbehaved'."""


class Session:
    """One socket for the given venue symbols. run() once; then look at the attributes.

    intake: takes the frames that it can into the table; the sink gets the books of the others,
    without an intake those of all. valid: quotes that passed the gate. refused: venue symbol ->
    text. answered_ns: when the last subscribe request was answered, 0 before; all_answered says
    that none is open, but for topics that the venue ignores. proven: set once all are answered
    (a few may lag) and a quote has come. expiring: set when the socket should get a successor: it
    is life_s old, or the venue announces its end. why_closed: '' while nobody here closed it.
    """

    def __init__(
        self,
        venue: Venue,
        symbols: Sequence[str],
        url: str,
        sink: SessionSink,
        settings: Feeds,
        intake: LinkIntake | None = None,
        life_s: float = math.inf,
        proxies: Proxies = DIRECTLY,
    ) -> None:
        self.venue = venue
        self.symbols = tuple(symbols)
        self.opened_ns = 0
        self.proven = asyncio.Event()
        self.expiring = asyncio.Event()
        self._life_s = life_s
        self._url = url
        self._sink = sink
        self._settings = settings
        self._intake = intake
        self._proxies = proxies
        self._reader = FrameReader(venue, sink, intake)
        self._socket: Socket | None = None
        self._requests = Requests(venue, sink, settings.ack_timeout_s)
        self._news = asyncio.Event()  # the requests may have another to send
        self._pace = per_second(venue.spec.frames_per_s)
        per_hour = venue.spec.requests_per_hour
        self._hourly = RateLimit((per_hour, 3_600.0)) if per_hour else RateLimit()
        self._last_frame_ns = 0
        self._last_quote_ns = 0
        self._last_ping_ns = 0
        self._asked_again: dict[str, tuple[int, int]] = {}  # symbol -> (when, doublings)
        self.why_closed = ""
        self._silence_told_ns = 0  # when all symbols were asked for again
        self._judged = (0, 0, 0, 0)  # frames, bad and foreign ones, and when, at the last look

    @property
    def valid(self) -> int:
        return self._reader.valid + (self._intake.valid if self._intake else 0)

    @property
    def last_frame_ns(self) -> int:
        """Return when anything was received last; the opening counts as such."""
        return max(self._last_frame_ns, self._intake.last_recv_ns if self._intake else 0)

    @property
    def last_quote_ns(self) -> int:
        """Return when a quote passed the gate last; the opening counts as such."""
        return max(self._last_quote_ns, self._intake.last_quote_ns if self._intake else 0)

    @property
    def refused(self) -> dict[str, str]:
        return self._requests.refused

    @property
    def unanswered(self) -> Collection[str]:
        """Return the symbols that the venue was asked for in vain; they are asked for again."""
        return self._requests.unanswered

    @property
    def answered_ns(self) -> int:
        return self._requests.answered_ns

    @property
    def all_answered(self) -> bool:
        return bool(self.answered_ns) and self._requests.is_settled(now_ns())

    @property
    def accepted(self) -> list[str]:
        """Return the symbols that the venue has not refused."""
        return [symbol for symbol in self.symbols if symbol not in self.refused]

    async def run(self) -> str:
        """Open the socket, subscribe, and return why it closed. ConnectionLost: never opened."""
        self._socket = await connect(
            self._settings.transport,
            self._url,
            self,
            timeout_s=self._settings.connect_timeout_s,
            max_frame_bytes=self._settings.max_frame_bytes,
            intake=self._intake,
            headers=self.venue.spec.headers,
            proxies=self._proxies,
        )
        self._begin(now_ns())
        self._requests.subscribe(self.symbols)
        own = [asyncio.create_task(self._send_requests()), asyncio.create_task(self._watch())]
        closing = asyncio.create_task(self._socket.wait_closed())
        every: list[asyncio.Task[Any]] = [*own, closing]
        try:
            await asyncio.wait(every, return_when=asyncio.FIRST_COMPLETED)
            for task in own:
                if task.done() and not closing.done():  # a socket that none looks after is no use
                    error = None if task.cancelled() else task.exception()
                    self.close(f"{task.get_coro().__name__} ended: {error!r}")  # type: ignore[union-attr]
                    told = facts(source=self.venue.name, reason=self.why_closed)
                    log.error("socket given up", extra=told, exc_info=error)
            closed = await closing
            return self.why_closed or closed
        except Misbehaved:
            self._sink.control("misbehaved")
            raise
        finally:
            for task in every:
                task.cancel()
            await asyncio.gather(*every, return_exceptions=True)
            self._socket.close()

    def close(self, why: str) -> None:
        """Close the socket; run() returns `why`."""
        if self._socket and not self.why_closed:
            self.why_closed = why
            self._socket.close()

    def _begin(self, at_ns: int) -> None:
        """Note that the socket is open; a message may come before connect() has returned."""
        if not self.opened_ns:
            self.opened_ns = self._last_frame_ns = self._last_quote_ns = at_ns
            self._last_ping_ns = at_ns

    # -- what the transport calls

    def on_message(self, payload: bytes, recv_ns: int) -> None:
        self._begin(recv_ns)
        self._last_frame_ns = recv_ns
        valid = self._reader.valid
        control = self._reader.read(payload, recv_ns)
        if control is not None:
            self._on_control(control)
        elif self._reader.valid != valid:
            self._last_quote_ns = recv_ns
        elif self._reader.need_snapshot:
            self.resubscribe(self._reader.need_snapshot, recv_ns)
            self._reader.need_snapshot.clear()

    def on_ping(self, recv_ns: int) -> None:
        self._last_frame_ns = recv_ns

    def on_flush(self) -> None:
        self._sink.flush()

    # -- subscribing: one line of requests for the first time, for what was refused or ignored, for
    #    a symbol that needs a new snapshot, and for what lists bring and take while it runs

    def add(self, symbols: Sequence[str]) -> None:
        """Subscribe to more, at once where the socket is open."""
        self.symbols += tuple(symbols)
        if self._socket:
            self._requests.subscribe(symbols)
            self._news.set()

    def drop(self, symbols: Iterable[str]) -> None:
        """Unsubscribe; symbols of other sockets are none of its business."""
        gone = set(symbols).intersection(self.symbols)
        mine = [symbol for symbol in self.symbols if symbol in gone]
        self.symbols = tuple(symbol for symbol in self.symbols if symbol not in gone)
        self._reader.forget(gone)
        for symbol in gone:
            self._asked_again.pop(symbol, None)
        if self._socket:
            self._requests.unsubscribe(mine)
            self._news.set()

    async def _send_requests(self) -> None:
        assert self._socket
        while True:
            if self._requests.next(now_ns()) is None:
                await self._changed()
                continue
            if self._hourly.wait_ns():
                self.expiring.set()  # a successor takes them all with a few requests
            await self._hourly.take()
            await self._pace.take()
            now = now_ns()
            request = self._requests.next(now)  # others may have come or gone meanwhile
            if request is not None:
                self._send(self._requests.send(request, now))

    async def _changed(self) -> None:
        """Wait until the line of requests may give another."""
        self._news.clear()
        wait_ns = self._requests.wait_ns(now_ns())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if wait_ns is None else wait_ns / 1e9):
                await self._news.wait()

    def resubscribe(
        self, symbols: Iterable[str], at_ns: int, at_most: int | None = None
    ) -> list[str]:
        """Ask again for symbols: deltas came without a snapshot, or nothing came; return which.

        Each after 30 s, a minute, and so on, and only those of this socket that are not refused.
        """
        own = set(self.accepted)
        asked = self._requests.is_pending
        due = (s for s in symbols if s in own and not asked(s) and self._is_due(s, at_ns))
        again = list(islice(due, at_most))
        for _ in again:
            self._sink.control("resubscribes")
        self._requests.resubscribe(again)
        self._news.set()
        return again

    def _is_due(self, symbol: str, at_ns: int) -> bool:
        if symbol not in self._asked_again:
            self._asked_again[symbol] = at_ns, 0
            return True
        last_ns, doublings = self._asked_again[symbol]
        wait_ns = _RESUBSCRIBE_EVERY_NS << doublings
        if at_ns - last_ns < wait_ns:
            return False
        quiet_since = at_ns - last_ns < 2 * wait_ns
        self._asked_again[symbol] = at_ns, min(doublings + 1, _DOUBLINGS) if quiet_since else 0
        return True

    def _on_control(self, control: Control) -> None:
        match control:
            case Ack():
                self._sink.control("acks")
                self._requests.acknowledge(control, now_ns())
                self._news.set()
            case Refusal():
                control = control._replace(text=printable(control.text, _WORDS_KEPT))
                self._sink.control("refusals")
                self._requests.refuse(control, now_ns())
                self._news.set()
                if not self.accepted:  # a fault of the venue, or all delisted
                    self.close(f"every pair refused: {control.text}")
            case Event(restart=True):
                self._sink.control("control")
                self.expiring.set()
            case Pong() | Event():
                self._sink.control("control")

    # -- deadlines

    async def _watch(self) -> None:
        spec, settings = self.venue.spec, self._settings
        shortest_s = min(
            settings.ack_timeout_s,
            settings.silent_socket_s / 2,
            spec.pong_deadline_s,
            spec.ping_every_s or math.inf,
            self._life_s,
        )
        patience_s = min(settings.ack_timeout_s, settings.take_over_s / 2)
        while True:
            await asyncio.sleep(min(_TICK_S, shortest_s / 4))
            now = now_ns()
            if spec.ping_kind == "client" and now - self._last_ping_ns >= spec.ping_every_s * 1e9:
                self._last_ping_ns = now
                await self._ping()
            if now - self.last_frame_ns > spec.pong_deadline_s * 1e9:
                self.close(f"nothing received for {spec.pong_deadline_s:g} s")
            elif dead := self._requests.check_deadlines(now, self.valid > 0):
                self.close(dead)
            elif not self.why_closed and (fault := self._misbehaviour(now)):
                self._sink.control("misbehaved")
                self.close(f"cut off: {fault}")
            else:
                self._look_at_silence(now)
            if now - self.opened_ns > self._life_s * 1e9:
                self.expiring.set()
            if self.answered_ns and self.valid and self._requests.is_settled(now, patience_s):
                self.proven.set()
            self._news.set()  # what was unanswered may be asked again

    def _look_at_silence(self, now: int) -> None:
        """Ask again for everything at half of the time that a socket may be silent, then close.

        A few symbols may be quiet themselves: they have longer, the fewer the longer, and then get
        a successor that shows whether they are.
        """
        few = _SILENCE_NEEDS / max(1, len(self.accepted))
        limit_ns = self._settings.silent_socket_s * max(1.0, few) * 1e9
        silent_ns = now - self.last_quote_ns
        if silent_ns > limit_ns and few > 1.0:
            self.expiring.set()
        elif silent_ns > limit_ns:
            self.close(f"no quote for {self._settings.silent_socket_s:g} s")
        elif silent_ns > limit_ns / 2 and self._silence_told_ns < self.last_quote_ns:
            self._silence_told_ns = now
            self.resubscribe(self.symbols, now)

    def _misbehaviour(self, now: int) -> str:
        """Return what a peer does that none may; frames since the last look, once they are enough
        to judge by."""
        assert self._socket
        unread_ns = self._socket.unread_ns
        if unread_ns and now - unread_ns > _UNREAD_AT_MOST_S * 1e9:
            return f"what we send was not read for {_UNREAD_AT_MOST_S:g} s"
        reader = self._reader
        total = reader.frames + (self._intake.frames if self._intake else 0)
        since = self._judged
        frames = total - since[0]
        if frames < _JUDGE_AFTER:
            return ""
        self._judged = (total, reader.bad, reader.foreign, now)
        bad, foreign = reader.bad - since[1], reader.foreign - since[2]
        if 2 * bad > frames:
            return f"mostly garbage, {bad} of {frames} frames"
        took_s = (now - (since[3] or self.opened_ns)) / 1e9
        if 2 * foreign > frames and foreign > took_s * _FOREIGN_PER_S:
            return f"mostly channels that were not asked for, {foreign} of {frames} frames"
        return ""

    async def _ping(self) -> None:
        text = self.venue.ping(self._requests.new_id())
        if text is not None:
            await self._pace.take()
            self._send(text)

    def _send(self, text: str) -> None:
        assert self._socket
        self._socket.send(self.venue.sent_at(text, time.time()))
