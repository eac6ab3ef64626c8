"""One source as the audit has it: its pairs, what its slots hold, and what is written of them."""

from collections import Counter
from collections.abc import Iterable, Sequence

from spreadcore import Instance

from spreadscan.audit.evidence import Held, Pair, Table
from spreadscan.audit.judge import Judge, Verdict
from spreadscan.audit.witnesses import Witnesses
from spreadscan.config import Config
from spreadscan.lists import Listing
from spreadscan.types import Instrument
from spreadscan.venues.base import Venue


class Source:
    """The pairs, the verdicts and the figures of one source."""

    def __init__(
        self, venue: Venue, config: Config, instance: Instance, rows: Sequence[Listing]
    ) -> None:
        self.venue = venue
        self.name = venue.name
        self.id = config.catalogue.source[venue.name].id
        self.pages = venue.audit
        self.judge = Judge(venue.audit)
        self.witnesses = Witnesses(self.judge.older_by_ns)
        self.pairs: dict[int, Pair] = {}
        self.ids: dict[str, int] = {}  # by the venue's symbol
        self.instruments: dict[str, Instrument] = {}
        self._majors = frozenset(config.discovery.majors)
        self._quotes = instance.quotes
        self._audit = instance.audit
        self._acts = instance.acts
        self._answers = instance.answers
        self._dirty = instance.dirty
        self._tally: Counter[str] = Counter()
        self._wrong: dict[int, int] = {}  # told already: receive times by symbol id
        self._confirmed: dict[int, tuple[int, int]] = {}  # receive time, and as of when
        self.take(rows)
        self._adopt()

    # -- the pairs

    def take(self, rows: Sequence[Listing]) -> None:
        """Audit these pairs from now on."""
        self.pairs = {
            row.symbol_id: _pair(row.symbol_id, row.instrument, self._majors) for row in rows
        }
        self.instruments = {row.instrument.venue_symbol: row.instrument for row in rows}
        self.ids.clear()  # the poll of funding has this very dict
        self.ids.update({pair.symbol: pair.symbol_id for pair in self.pairs.values()})
        self.write(self.judge.take(list(self.pairs.values())))

    def _adopt(self) -> None:
        """Hold to what a process before this one found: a status says it again, or otherwise."""
        for symbol_id in self.pairs:
            verdict = self._audit.read(self.id, symbol_id)
            if verdict.kind == "not_trading":
                self.judge.status(symbol_id, False, verdict.at_ns)

    # -- the table

    def table(self, ids: Iterable[int] | None = None) -> Table:
        """Return what the slots of all pairs, or of those ids, hold now."""
        read = self._quotes.read
        found = {}
        for symbol_id in self.pairs if ids is None else ids:
            pair, quote = self.pairs.get(symbol_id), read(self.id, symbol_id)
            if pair and quote and quote.recv_ns:
                # a slot has prices per coin, a row those of the wire
                m = pair.multiplier
                found[symbol_id] = Held(
                    quote.recv_ns, quote.bid_px * m, quote.ask_px * m, quote.venue_ns
                )
        return found

    def held(self, symbol_id: int) -> Held | None:
        """Return what one slot holds now, None for nothing."""
        return self.table([symbol_id]).get(symbol_id)

    # -- what is found out

    def write(self, verdicts: Iterable[Verdict]) -> None:
        """Write verdicts beside the quotes, and mark them: for the feed, which acts and records,
        and for the engine, which looks again.
        """
        audit, source = self._audit, self.id
        for verdict in verdicts:
            symbol_id, kind = verdict.symbol_id, verdict.kind
            if kind == "confirmed":
                audit.confirm(source, symbol_id, verdict.recv_ns, verdict.at_ns)
                self._confirmed[symbol_id] = verdict.recv_ns, verdict.at_ns
            elif kind == "not_judged":
                audit.not_judged(source, symbol_id, verdict.reason)
                continue  # what was found out before stays
            elif kind == "accused":
                audit.accuse(source, symbol_id, verdict.recv_ns, verdict.at_ns)
            elif kind == "wrong":
                audit.find_wrong(source, symbol_id, verdict.recv_ns, verdict.at_ns)
                if self._wrong.get(symbol_id) != verdict.recv_ns:
                    self._wrong[symbol_id] = verdict.recv_ns
                    self.count("wrong")
            elif kind == "not_trading":
                audit.halt(source, symbol_id, verdict.at_ns)
                self.count("halts")
            else:
                audit.clear(source, symbol_id)
            self._acts.mark(source, symbol_id)
            self._answers.mark(source, symbol_id)
        self._dirty.wake()  # the engine sleeps on that word

    def answered(self, ids: Iterable[int]) -> None:
        """Let the engine look at what it asked, also where nothing new was found out."""
        for symbol_id in ids:
            self._answers.mark(self.id, symbol_id)
        self._dirty.wake()

    def oldest_ns(self, table: Table) -> int:
        """Return the oldest of the times as of which quotes that stand were confirmed, 0: none."""
        self._confirmed = {
            i: (recv_ns, at_ns)
            for i, (recv_ns, at_ns) in self._confirmed.items()
            if i in table and table[i].recv_ns == recv_ns
        }
        return min((at_ns for _, at_ns in self._confirmed.values()), default=0)

    # -- figures

    def count(self, name: str, n: int = 1) -> None:
        """Add to a figure that only rises."""
        self._audit.add(self.id, name, n)
        self._tally[name] += n

    def set(self, **figures: int) -> None:
        """Set figures that say how it is now."""
        for name, value in figures.items():
            self._audit.set(self.id, name, value)

    def figure(self, name: str) -> int:
        return self._audit.figures(self.id)[name]

    def sum_up(self, **figures: int) -> None:
        """Add a round's figures to those of the hour."""
        self._tally.update(figures)

    def take_tally(self) -> Counter[str]:
        """Return what was counted since this was asked last."""
        tally, self._tally = self._tally, Counter()
        return tally


def _pair(symbol_id: int, i: Instrument, majors: frozenset[str]) -> Pair:
    return Pair(symbol_id, i.venue_symbol, i.multiplier, i.tick, i.base in majors)
