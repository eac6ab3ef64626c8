"""Play recorded frames: decoder, gate, slot and an engine turn for each, one after the other.

Nothing is conflated and no clock is read: receive time, the engine's now and the beats of the
sources are the recorded time. One file is one session: own links; update ids, one-level books
and quotes are forgotten at its end.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from spreadcore.frames import LinkIntake
from spreadcore.layout import DECLINED
from spreadcore.wire.decoder import FrameDecoder

from spreadscan.catalogue import built_in
from spreadscan.errors import BadData
from spreadscan.feeds.reader import FrameReader
from spreadscan.recordings import is_recording
from spreadscan.replay.counts import FileCounts, FrameCounts, LastQuote, Result
from spreadscan.replay.frames import FrameFile, find
from spreadscan.replay.recorded import RecordedFile
from spreadscan.replay.requests import Pair
from spreadscan.replay.symbols import Placed, Symbols, declined_in, instruments_in
from spreadscan.replay.table import SYMBOLS_MAX, ReplayTable
from spreadscan.types import Book, Instrument
from spreadscan.venues import VENUES
from spreadscan.venues.base import Ack, Control, Pong, Refusal

_REASON = {name: i for i, name in enumerate(DECLINED)}
_FRAMES_PER_REPORT = 2048

Progress = Callable[[int, int], None]  # (bytes read, bytes in all files)


def play(
    folder: Path,
    pairs: Sequence[Pair] = (),
    limits: Sequence[float] = (),
    progress: Progress | None = None,
    n_symbols: int = SYMBOLS_MAX,
) -> Result:
    """Play every frame of a folder and return what became of each.

    pairs: directions to watch, with limits on gross in bps. n_symbols: room in the table; frames
    of symbols beyond it are declined as unknown_symbol. ConfigError or BadData for a folder or
    file that cannot be played, CoreError where shared memory has no room.
    """
    files = find(folder) if not is_recording(folder) else [RecordedFile(folder)]
    total = sum(file.size for file in files)
    player = Player(ReplayTable(pairs, limits, n_symbols), n_symbols)
    done = 0
    for file in files:

        def report(at: int, before: int = done) -> None:
            if progress:
                progress(before + at, total)

        player.play(file, report)
        done += file.size
    if not player.n_frames:
        raise BadData(f"{folder}: no frame in {len(files)} file(s), expected at least one")
    result = player.result()
    result.problems += [problem for file in files for problem in file.problems]
    result.remarks += [remark for file in files for remark in file.remarks]
    return result


class Player:
    """The state of a replay that outlives a file."""

    def __init__(self, table: ReplayTable, n_symbols: int) -> None:
        self.table = table
        self.symbols = Symbols(n_symbols)
        self.n_frames = 0
        self._files: list[FileCounts] = []
        self._next_link = 1
        self._instruments: dict[tuple[Path, str], Mapping[str, Instrument]] = {}
        self._declined: dict[tuple[Path, str], frozenset[str]] = {}

    def play(self, file: FrameFile | RecordedFile, report: Callable[[int], None]) -> None:
        """Play one file as one session of each of its sources."""
        sessions: dict[str, Session] = {}
        source_ids: list[int] = []
        turn = self.table.turn
        n, recv_ns = 0, 0
        if file.source:
            sessions[file.source] = self.session(file, file.source)
            source_ids.append(built_in().source[file.source].id)
        for recv_ns, source, payload, _ in file.frames():
            session = sessions.get(source)
            if session is None:
                session = sessions[source] = self.session(file, source)
                source_ids.append(built_in().source[source].id)
            session.take(payload, recv_ns)
            turn(source_ids, recv_ns)
            n += 1
            if n % _FRAMES_PER_REPORT == 0:
                report(file.position)
        self.n_frames += n
        self.table.end_episodes(recv_ns)
        accounts = {source: session.close() for source, session in sessions.items()}
        turn(source_ids, recv_ns)
        self._files.append(FileCounts(file.name, accounts))
        report(file.size)

    def session(self, file: FrameFile | RecordedFile, source: str) -> "Session":
        """Return a fresh session of a source, with a link of its own."""
        directory = file.path.parent
        if (directory, source) not in self._instruments:
            listed = file.instruments(source) if isinstance(file, RecordedFile) else {}
            self._instruments[directory, source] = listed or instruments_in(directory, source)
            declined = frozenset[str]() if listed else declined_in(directory, source)
            self._declined[directory, source] = declined
        link = self._next_link
        self._next_link += 1
        known, declined = self._instruments[directory, source], self._declined[directory, source]
        name = f"{file.name}: {source}"
        return Session(self.table, self.symbols, source, link, known, declined, name)

    def result(self) -> Result:
        """Return all accounts, checked, sources in the order of their ids."""
        totals = {source.name: FrameCounts() for source in built_in().sources}
        for file in self._files:
            for name, account in file.sources.items():
                totals[name].add(account)
        seen = {name for file in self._files for name in file.sources}
        return Result(
            self.n_frames,
            {name: account for name, account in totals.items() if name in seen},
            self._files,
            self.table.edges(self.symbols.names),
        )


class Session:
    """One source in one file: its link, its reader, its account."""

    def __init__(
        self,
        table: ReplayTable,
        symbols: Symbols,
        source: str,
        link: int,
        instruments: Mapping[str, Instrument],
        declined: frozenset[str],
        name: str,
    ) -> None:
        self.account = FrameCounts()
        self._table = table
        self._symbols = symbols
        self._source = source
        self._link = link
        self._instruments = instruments
        self._declined = declined
        self._name = name
        self._intake = table.intake(source)
        self._frames = LinkIntake(self._intake, FrameDecoder(VENUES[source].schema), link)
        self._reader = FrameReader(VENUES[source], self, self._frames)
        self._listed: dict[str, Placed | None] = {}
        self._passed = 0  # quotes of this frame
        self._reason = ""  # why the first quote of this frame did not pass

    def take(self, payload: bytes, recv_ns: int) -> None:
        """Read one frame and account for it."""
        account = self.account
        if account.frames == 0:
            account.first_recv_ns = recv_ns
        elif recv_ns < account.last_recv_ns:
            account.steps_back += 1
        account.last_recv_ns = recv_ns
        account.frames += 1
        self._passed, self._reason = self._frames.take(payload, recv_ns), self._frames.refused
        control = None
        if self._passed < 0:
            self._passed, self._reason = 0, ""
            control = self._reader.read(payload, recv_ns)
        self._intake.flush(recv_ns)
        if self._passed:
            account.quote_frames += 1
            account.quotes += self._passed
        elif control is not None:
            self._count(control)
        elif self._reason:
            account.declined[self._reason] = account.declined.get(self._reason, 0) + 1

    def _count(self, control: Control) -> None:
        account = self.account
        if isinstance(control, Ack):
            account.acks += 1
            return
        account.control += 1
        if isinstance(control, Refusal):
            account.refusals += 1
        elif isinstance(control, Pong):
            account.pongs += 1
        else:
            account.events += 1

    # -- what the reader tells

    def book(self, book: Book, recv_ns: int) -> bool:
        """Put one top of book through the gate; its slot and bit are written there."""
        name = book.symbol
        listing = self._listed[name] if name in self._listed else self._list(name)
        if listing is None:
            self.declined("unknown_symbol")
            return False
        code = self._intake.accept(
            listing.symbol_id, self._link, book.bid_px, book.bid_qty, book.ask_px, book.ask_qty,
            book.venue_ns, book.update_id, book.id_kind, recv_ns,
        )  # fmt: skip
        if code >= 0:
            self._passed += 1
            self.account.refreshes += code
            return True
        reason = DECLINED[-1 - code]
        self._reason = self._reason or reason
        if reason == "no_contract_size" and name not in self.account.without_contract_size:
            self.account.without_contract_size.append(name)
        return False

    def declined(self, reason: str) -> None:
        """Count what the reader gave up on."""
        self._intake.decline(_REASON[reason])
        self._reason = self._reason or reason

    def _list(self, venue_symbol: str) -> Placed | None:
        instrument = self._instruments.get(venue_symbol)
        declined = venue_symbol in self._declined
        listing = self._symbols.place(self._source, venue_symbol, instrument, declined=declined)
        if listing:
            # without a contract size every frame has to come by here, to be named
            own = venue_symbol if listing.qty_scale == listing.qty_scale else ""
            self._intake.add_symbol(listing.symbol_id, listing.multiplier, listing.qty_scale, own)
        self._listed[venue_symbol] = listing
        return listing

    def close(self) -> FrameCounts:
        """Read the last quotes back, then empty the slots and forget ids and names."""
        account = self.account
        account.check(self._name)
        account.span_ns = account.last_recv_ns - account.first_recv_ns
        account.refreshes += self._frames.refreshes
        account.odd_times = self._frames.odd_times
        for venue_symbol, listing in self._listed.items():
            written = self._intake.written(listing.symbol_id) if listing else None
            if listing is None or written is None:
                continue
            update_id, quotes = written
            slot = self._table.read(self._source, listing.symbol_id)
            account.last[venue_symbol] = LastQuote(
                symbol=listing.symbol, bid_px=slot.bid_px, bid_qty=slot.bid_qty,
                ask_px=slot.ask_px, ask_qty=slot.ask_qty, venue_ns=slot.venue_ns,
                recv_ns=slot.recv_ns, update_id=update_id, quotes=quotes,
            )  # fmt: skip
        self._intake.empty_link(self._link, True)
        for listing in self._listed.values():
            if listing:
                self._intake.remove_symbol(listing.symbol_id)
        return account
