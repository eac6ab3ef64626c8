# Both legs of a pair as of one moment, judged by the engine's own rule.
from libc.math cimport NAN
from libc.stdint cimport int64_t

from spreadcore.audit cimport AuditTable
from spreadcore.conversion cimport BUY_LEG, NO_LEG, Conversion, convert
from spreadcore.edges cimport Legs
from spreadcore.health cimport Health
from spreadcore.layout cimport Quote
from spreadcore.quotes cimport QUOTE_BUSY, QUOTE_OK, Quotes, QuoteTable, quote_read, quote_slot
from spreadcore.spread cimport exit_bps, gross_bps
from spreadcore.tradable cimport Tradable, look_at_beats, tradable

cdef struct Pair:
    Quote buy                   # the leg that is bought; both in the edge's quote currency
    Quote sell
    double gross_bps            # NaN where a leg is empty
    double exit_bps
    bint tradable               # both legs and what converts one, as of the last look at beats

# QUOTE_OK or QUOTE_BUSY; the slots are of the table
cdef inline int pair_read(const QuoteTable* t, const Tradable* rule, const Legs* legs,
                          const Conversion* c, int64_t now_ns, Pair* p) noexcept nogil:
    cdef Quote rate
    if (quote_read(quote_slot(t, legs.buy_source, legs.buy_row), &p.buy) == QUOTE_BUSY
            or quote_read(quote_slot(t, legs.sell_source, legs.sell_row), &p.sell) == QUOTE_BUSY):
        return QUOTE_BUSY
    p.tradable = (tradable(rule, legs.buy_source, legs.buy_row, &p.buy, now_ns)
                  and tradable(rule, legs.sell_source, legs.sell_row, &p.sell, now_ns))
    if c.leg != NO_LEG:
        if quote_read(quote_slot(t, c.source, c.row), &rate) == QUOTE_BUSY:
            return QUOTE_BUSY
        convert(&p.buy if c.leg == BUY_LEG else &p.sell, &rate)
        p.tradable = p.tradable and tradable(rule, c.source, c.row, &rate, now_ns)
    p.gross_bps = p.exit_bps = NAN
    if p.buy.recv_ns != 0 and p.sell.recv_ns != 0:
        p.gross_bps = gross_bps(p.buy.ask_px, p.sell.bid_px)
        p.exit_bps = exit_bps(p.buy.bid_px, p.sell.ask_px)
    return QUOTE_OK

# what could be taken at the touch, in quote currency: the smaller of the two notionals
cdef inline double pair_size(const Pair* p) noexcept nogil:
    cdef double buy = p.buy.ask_px * p.buy.ask_qty
    cdef double sell = p.sell.bid_px * p.sell.bid_qty
    return buy if buy < sell else sell

cdef pair_tuple(const Pair* p, int64_t now_ns)

cdef class PairWatch:
    cdef:
        Quotes quotes
        Health health
        AuditTable audit        # None: no quote is ever confirmed
        Tradable rule

    cdef Conversion conversion(self, found) except *
