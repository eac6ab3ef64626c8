"""PairWatch: both legs of a pair as of one moment, judged by the engine's own rule."""
from typing import NamedTuple

from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memset

from spreadcore.conversion cimport NO_LEG, Conversion, conversion_from
from spreadcore.tradable cimport limit_ns, stale_limit_ns, start_rule

from spreadcore.errors import TableFull


class PairTuple(NamedTuple):
    """Both legs: prices per coin, sizes in coins, ages in ns (-1 = empty), edges in bps.

    NaN prices, sizes and edges where a leg is empty. tradable: both legs are.
    """

    buy_bid: float
    buy_ask: float
    buy_bid_qty: float
    buy_ask_qty: float
    sell_bid: float
    sell_ask: float
    sell_bid_qty: float
    sell_ask_qty: float
    buy_age_ns: int
    sell_age_ns: int
    gross_bps: float
    exit_bps: float
    tradable: bool


cdef pair_tuple(const Pair* p, int64_t now_ns):
    cdef const Quote* b = &p.buy
    cdef const Quote* s = &p.sell
    return PairTuple(
        b.bid_px, b.ask_px, b.bid_qty, b.ask_qty, s.bid_px, s.ask_px, s.bid_qty, s.ask_qty,
        now_ns - b.recv_ns if b.recv_ns else -1, now_ns - s.recv_ns if s.recv_ns else -1,
        p.gross_bps, p.exit_bps, bool(p.tradable))


cdef class PairWatch:
    """Reader of pairs. beat_limit_s as the engine has it; stale_after_s by source id.

    audit: with it, quotes that it confirmed within confirm_within_s (by source id) count, too.
    """

    def __cinit__(self, Quotes quotes not None, Health health not None, *,
                  double beat_limit_s=2.0, stale_after_s=None, AuditTable audit=None,
                  confirm_within_s=None):
        memset(&self.rule, 0, sizeof(Tradable))
        start_rule(&self.rule)
        self.quotes, self.health = quotes, health
        self.rule.sources = health.slot(0)
        self.rule.n_sources = quotes.table.n_sources
        self.rule.beat_limit_ns = limit_ns(beat_limit_s)
        for source, seconds in (stale_after_s or {}).items():
            if not 0 <= source < quotes.table.n_sources:
                raise TableFull(
                    f"source id: {source}, expected below {quotes.table.n_sources}")
            self.rule.stale_ns[<size_t>source] = stale_limit_ns(seconds)
        if audit is not None:
            quotes.region.check_same(audit.region)
            self.audit, self.rule.verdicts = audit, audit.verdicts
        for source, seconds in (confirm_within_s or {}).items():
            if not 0 <= source < quotes.table.n_sources:
                raise TableFull(
                    f"source id: {source}, expected below {quotes.table.n_sources}")
            self.rule.confirm_ns[<size_t>source] = stale_limit_ns(seconds)

    def refresh(self, int64_t now_ns):
        """Take the sources' beats as of now_ns; read() judges by the last look."""
        look_at_beats(&self.rule, now_ns)

    def ages(self, size_t source, int64_t now_ns):
        """Return the ages in ns of the source's quotes that are tradable, as of the last look."""
        cdef Quote q
        cdef size_t symbol
        self.quotes.slot(source, 0)             # raises where there is none
        ages = []
        for symbol in range(self.quotes.table.n_symbols):
            if quote_read(quote_slot(&self.quotes.table, source, symbol), &q) == QUOTE_BUSY:
                continue
            if tradable(&self.rule, source, symbol, &q, now_ns):
                ages.append(now_ns - q.recv_ns)
        return ages

    def read(self, size_t buy_source, size_t buy_row, size_t sell_source, size_t sell_row,
             int64_t now_ns, conversion=None):
        """Return a PairTuple, or None while a writer is inside one of the slots.

        conversion: (leg, source, row): what converts "buy" or "sell" into the other's currency.
        """
        cdef Conversion converts = self.conversion(conversion)
        cdef Pair pair
        cdef Legs legs
        self.quotes.slot(buy_source, buy_row)   # raises where there is none
        self.quotes.slot(sell_source, sell_row)
        legs.buy_source, legs.buy_row = <uint8_t>buy_source, <uint32_t>buy_row
        legs.sell_source, legs.sell_row = <uint8_t>sell_source, <uint32_t>sell_row
        if pair_read(&self.quotes.table, &self.rule, &legs, &converts, now_ns, &pair) == QUOTE_BUSY:
            return None
        return pair_tuple(&pair, now_ns)

    cdef Conversion conversion(self, found) except *:
        """Take it from Python; raises where there is no such slot."""
        cdef Conversion converts = conversion_from(found)
        if converts.leg != NO_LEG:
            self.quotes.slot(converts.source, converts.row)
        return converts
