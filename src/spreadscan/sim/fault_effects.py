"""What a fault script does to one simulated source: its sockets, its books, its pages.

`FaultEffects` belongs to an Exchange, `SocketEffects` to one of its sockets, `PageEffects` to one
request over REST. Seconds count from the start.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from math import inf
from typing import TypeVar

from aiohttp import web

from spreadscan.clock import now_ns
from spreadscan.sim import faults as script
from spreadscan.sim.faults import Fault
from spreadscan.sim.lies import dated, misshapen, with_other_rows, without_book, without_rows
from spreadscan.sim.pages.rows import Row
from spreadscan.sim.protocols import PROTOCOLS
from spreadscan.sim.simtime import AsOf, SimTime
from spreadscan.types import Book, Instrument

_OTHER_HOST = "localhost"  # clients are told the address in numbers
_HTML = "<!DOCTYPE html><html><head><title>Attention Required!</title></head></html>"
_DEPTH = 100_000
_F = TypeVar("_F", bound=Fault)


class SocketEffects:
    """The faults of one socket, and how far they are."""

    def __init__(self, faults: Sequence[script.SocketFault], effects: "FaultEffects") -> None:
        self._faults = faults
        self._effects = effects
        self._unsent = bytearray()
        self._begun = False  # a frame that never ends
        self._announced_s: float | None = None
        self.n_frames = 0

    def of(self, kind: type[_F]) -> _F | None:
        """Return the fault of this kind if it is in force now."""
        now_s = self._effects.now_s()
        for fault in self._faults:
            in_force = fault.at_s <= now_s < fault.until_s and self.n_frames >= fault.after_frames
            if in_force and isinstance(fault, kind):
                return fault
        return None

    def takes_data(self) -> bool:
        """Count a data frame; False when it must not be sent."""
        if self.of(script.Mute) or self.of(script.HalfOpen):
            return False
        self.n_frames += 1
        return True

    def answers(self) -> bool:
        """Return whether requests and pings are answered."""
        mute = self.of(script.Mute)
        return not (self.of(script.HalfOpen) or (mute and not mute.pongs))

    def busy(self) -> bool:
        """Return whether requests are refused for the moment."""
        return self.of(script.Busy) is not None

    def write(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write data as far as the faults let it through."""
        if self._unsent or self.of(script.Drip):
            self._unsent += data
        elif not self._begun:
            transport.write(data)

    def turn(self, transport: asyncio.WriteTransport) -> None:
        """Do what is due by time; asked 20 times a second."""
        if drip := self.of(script.Drip):
            drop = bytes(self._unsent[: drip.drop_bytes])
            del self._unsent[: drip.drop_bytes]
            transport.write(drop)
        if self.of(script.HalfOpen) and isinstance(transport, asyncio.Transport):
            transport.pause_reading()
        huge, endless = self.of(script.HugeFrame), self.of(script.EndlessFrame)
        if huge and not self._begun:
            transport.write(bytes((0x81, 127)) + huge.size_bytes.to_bytes(8))
        if endless:
            head = bytes((0x00 if self._begun else 0x01, 127))  # text, then its continuations
            transport.write(head + endless.piece_bytes.to_bytes(8) + b" " * endless.piece_bytes)
        self._begun = self._begun or bool(huge or endless)

    def end(self) -> int | None:
        """Return the close code (0: cut) once the socket has to end, else None."""
        now_s = self._effects.now_s()
        restart = self.of(script.Restart)
        if restart and self._announced_s is not None:
            return 1001 if now_s >= self._announced_s + restart.notice_s else None
        close = self.of(script.Close)
        return close.code if close else None

    def announcement(self) -> str | None:
        """Return the venue's notice of its restart, once."""
        if self._announced_s is not None or not self.of(script.Restart):
            return None
        self._announced_s = self._effects.now_s()
        notice = PROTOCOLS[self._effects.name].notice
        return notice(now_ns() // 1_000_000) if notice else None


class PageEffects:
    """The faults of one request of a page, the n-th."""

    def __init__(self, effects: "FaultEffects", faults: Sequence[script.RestFault], n: int) -> None:
        self._effects = effects
        self._faults = faults
        self._n = n

    @property
    def foreign(self) -> bool:
        """Whether another venue answers."""
        return any(
            isinstance(f, script.WrongShape) and f.how == "other_venue" for f in self._faults
        )

    async def answer(self, request: web.Request) -> web.Response | None:
        """Return the answer in place of the page, None for the page itself."""
        cursor = request.query.get("cursor")
        for fault in self._faults:
            if isinstance(fault, script.Hang):
                await asyncio.sleep(fault.hang_s)
            elif isinstance(fault, script.Status):
                return _refusal(fault)
            elif isinstance(fault, script.MissingPage) and cursor:
                return web.Response(status=404)
            elif isinstance(fault, script.WrongShape) and fault.how == "html":
                return web.Response(text=_HTML, content_type="text/html")
            elif (
                isinstance(fault, script.WrongShape)
                and fault.how == "redirect"
                and (to := _elsewhere(request))
            ):
                return web.Response(status=302, headers={"Location": to})
        return None

    def as_of(self) -> AsOf:
        """Return as of when the page is that is made now."""
        boot_ns = now_ns()
        age_ns, clock_ns, rows_ns = 0, 0, 0
        for fault in self._faults:
            if isinstance(fault, script.Cached):
                age_ns += self._effects.since_ns(fault, boot_ns) % max(1, int(fault.age_s * 1e9))
            elif isinstance(fault, script.Stale):
                age_ns += int(fault.age_s * 1e9)
                hidden_ns = int(fault.age_s * 1e9) if fault.row_times == "now" else 0
                clock_ns, rows_ns = clock_ns + hidden_ns, rows_ns + hidden_ns
            elif isinstance(fault, script.PageClock):
                shift_ns = int(fault.shift_s * 1e9)
                clock_ns, rows_ns = clock_ns + shift_ns, rows_ns + shift_ns
        return AsOf(boot_ns, age_ns, clock_ns, rows_ns)

    def body(self, body: bytes) -> bytes:
        """Return the body of the page as it is sent."""
        for fault in self._faults:
            if isinstance(fault, script.MissingRows):
                key = f"{self._effects.seed}/rows/{self._effects.name}"
                rng = None if fault.same else random.Random(f"{key}/{self._n}")
                body = without_rows(body, fault.share, rng, key, self._effects.name)
            elif isinstance(fault, script.RowFault):
                change = partial(self._rows_of, fault)
                body = with_other_rows(body, fault.symbols, self._effects.name, change)
            elif isinstance(fault, script.WrongShape) and fault.how != "other_venue":
                body = misshapen(body, fault.how, self._effects.name)
        cut = any(isinstance(fault, script.PartialPage) for fault in self._faults)
        return body[: len(body) // 2] if cut else body

    def _rows_of(self, fault: script.RowFault, symbol: str, row: Row) -> list[Row]:
        if isinstance(fault, script.KeptRows):
            return [self._effects.kept(fault, symbol, row)]
        if isinstance(fault, script.RowClock):
            return [dated(row, fault.shift_s)]
        return [row, without_book(row, self._effects.name)]


class FaultEffects:
    """The faults of one source. name: of the source; time: counts at_s from its start.

    faults may be changed while it serves: those of sockets befall the next ones that open.
    """

    def __init__(self, name: str, faults: Sequence[Fault], time: SimTime, seed: int) -> None:
        self.name = name
        self.faults = [fault for fault in faults if fault.source in ("*", name)]
        self._time = time
        self.seed = seed
        self._n_opened = 0
        self._n_books = 0
        self._asked: Counter[str] = Counter()
        self._kept: dict[tuple[script.KeptRows, str], tuple[float, Row]] = {}

    def now_s(self) -> float:
        """Return real seconds since the server started."""
        return (now_ns() - self._time.t0_boot_ns) * 1e-9

    def since_ns(self, fault: Fault, boot_ns: int) -> int:
        """Return for how long a fault has been in force at a CLOCK_BOOTTIME stamp."""
        return boot_ns - self._time.t0_boot_ns - int(fault.at_s * 1e9)

    def kept(self, fault: script.KeptRows, symbol: str, row: Row) -> Row:
        """Return the row that is shown in place of this one."""
        now_s = self.now_s()
        since_s, kept = self._kept.get((fault, symbol), (-inf, row))
        if now_s - since_s > fault.age_s:
            self._kept[fault, symbol] = now_s, row
            return row
        return kept

    def active(self, kind: type[_F], at_s: float | None = None) -> list[_F]:
        """Return the faults of this kind that are in force, now or at another time."""
        if not self.faults:
            return []
        t = self.now_s() if at_s is None else at_s
        return [f for f in self.faults if isinstance(f, kind) and f.at_s <= t < f.until_s]

    def socket(self) -> SocketEffects | None:
        """Count a new socket and return what befalls it, None for nothing."""
        self._n_opened += 1
        announces = self.name in script.ANNOUNCING
        faults = [
            f
            for f in self.faults
            if isinstance(f, script.SocketFault)
            and (not f.connects or self._n_opened in f.connects)
            and (announces or not isinstance(f, script.Restart))
        ]
        return SocketEffects(faults, self) if faults else None

    def topics(self, names: Mapping[str, str]) -> Mapping[str, str]:
        """Return the subscriptions (name -> symbol) that the venue knows now."""
        unknown = {s for f in self.active(script.Refuse) for s in f.symbols} | self.delisted()
        return {n: s for n, s in names.items() if s not in unknown} if unknown else names

    def delisted(self, at_s: float | None = None) -> set[str]:
        """Return the symbols that the venue does not list, shrunken lists apart."""
        return {symbol for fault in self.active(script.Delist, at_s) for symbol in fault.symbols}

    def silent(self) -> set[str]:
        """Return the symbols that send nothing now: delisted, halted or frozen."""
        frozen = {symbol for fault in self.active(script.Freeze) for symbol in fault.symbols}
        return frozen | self.delisted()

    def halted(self, at_s: float | None = None) -> dict[str, script.Halt]:
        """Return the symbols that do not trade, and why: the first of their halts."""
        faults = sorted(self.active(script.Halt, at_s), key=lambda fault: -fault.at_s)
        return {symbol: fault for fault in faults for symbol in fault.symbols}

    def list_state(self, at_s: float | None = None) -> Hashable:
        """Return what the instrument list depends on."""
        shrinks = tuple(self.active(script.Shrink, at_s))
        return frozenset(self.delisted(at_s)), shrinks, frozenset(self.halted(at_s))

    def listed(
        self, instruments: Sequence[Instrument], at_s: float | None = None
    ) -> list[Instrument] | None:
        """Return what the instrument list shows; None: all of it."""
        delisted, shrinks = self.delisted(at_s), self.active(script.Shrink, at_s)
        if not delisted and not shrinks:
            return None
        left = [i for i in instruments if i.venue_symbol not in delisted]
        for shrink in shrinks:
            rng = random.Random(f"{self.seed}/shrink/{self.name}")
            n = round(len(left) * (1.0 - shrink.share))
            left = [left[i] for i in sorted(rng.sample(range(len(left)), n))]
        return left

    def works(self) -> list[script.Maintenance]:
        """Return what the venue has announced."""
        return self.active(script.Maintenance)

    def book(self, book: Book) -> Book:
        """Return the book as the venue sends it now."""
        for fault in self.active(script.BookFault):
            if self._befalls(fault, book.symbol):
                book = _spoil(fault, book)
        return book

    def payload(self, symbol: str, payload: bytes) -> bytes:
        """Return the frame's content as the venue sends it now."""
        for fault in self.active(script.Garbage):
            if self._befalls(fault, symbol):
                self._n_books += 1
                if self._n_books % fault.every == 0:
                    return _garble(fault.how, payload)
        return payload

    def page(self, *names: str) -> PageEffects:
        """Count a request of a page, under each of its names; return what befalls it."""
        self._asked.update(names)
        faults = [
            fault
            for fault in self.active(script.RestFault)
            if any(
                fault.page in (name, "*")
                and (not fault.requests or self._asked[name] in fault.requests)
                for name in names
            )
        ]
        return PageEffects(self, faults, self._asked[names[0]])

    def _befalls(self, fault: script.BookFault, symbol: str) -> bool:
        return self._n_opened >= fault.from_connect and (
            not fault.symbols or symbol in fault.symbols
        )


def _spoil(fault: Fault, book: Book) -> Book:
    if isinstance(fault, script.OldIds):
        return book._replace(update_id=max(1, book.update_id - fault.back))
    if isinstance(fault, script.Clock):
        venue_ns = book.venue_ns // 1000 if fault.seconds else book.venue_ns
        return book._replace(venue_ns=venue_ns + int(fault.shift_s * 1e9))
    if not isinstance(fault, script.Prices):
        return book
    bid, ask = book.bid_px, book.ask_px
    bid, ask = {
        "crossed": (ask, bid),
        "zero": (0.0, ask),
        "locked": (bid, bid),
        "spike": (100.0 * bid, 100.0 * ask),
    }[fault.how]
    return book._replace(bid_px=bid, ask_px=ask)


def _garble(how: str, payload: bytes) -> bytes:
    if how == "half":
        return payload[: len(payload) // 2]
    return b"[" * _DEPTH if how == "deep" else b"\xff\xfe" + payload


def _elsewhere(request: web.Request) -> str:
    """Return the URL of a page at another host, which serves it; "" where it is asked for there."""
    host, _, port = request.host.partition(":")
    return "" if host == _OTHER_HOST else f"http://{_OTHER_HOST}:{port}{request.path_qs}"


def _refusal(fault: script.Status) -> web.Response:
    wait_s = fault.retry_after_s
    headers = {} if wait_s is None else {"Retry-After": str(wait_s)}
    if fault.html:
        return web.Response(
            status=fault.status, text=_HTML, content_type="text/html", headers=headers
        )
    return web.json_response({"code": fault.status}, status=fault.status, headers=headers)
