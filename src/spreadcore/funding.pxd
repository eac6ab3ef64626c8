# Funding slots: what the holders of a perpetual will pay each other next. A seqlock each
# (seqlock.pxd says why it is correct); one writer per source, any readers in any process.
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint32_t, uint64_t

from spreadcore.layout cimport Funding, FundingSlot
from spreadcore.region cimport Region
from spreadcore.seqlock cimport SEQ_OK, seqlock_read, seqlock_write

cdef enum:
    FUNDING_WORDS = 3

cdef struct FundingTable:
    FundingSlot* slots          # index symbol * n_sources + source
    uint32_t n_sources
    uint32_t n_symbols
    uint64_t perpetuals         # bit per source: its rows pay funding; those of others never do

cdef inline FundingSlot* funding_slot(const FundingTable* t, size_t source,
                                      size_t symbol) noexcept nogil:
    return t.slots + symbol * t.n_sources + source

cdef inline void funding_write(FundingSlot* slot, const Funding* f) noexcept nogil:
    seqlock_write(&slot.seq, <uint64_t*>&slot.funding, f, FUNDING_WORDS)

# as seqlock_read; a slot that holds still but no longer says anything is SEQ_OK with a NaN rate
cdef inline int funding_read_at(const FundingSlot* slot, Funding* f, int64_t now_ns,
                                uint64_t* at) noexcept nogil:
    cdef int rc = seqlock_read(&slot.seq, <const uint64_t*>&slot.funding, f, FUNDING_WORDS, at)
    if rc != SEQ_OK or not now_ns < f.until_ns:
        f[0] = Funding(NAN, 0, 0)
    return rc

# what longs pay shorts at the next payment of a row, in bps of the notional; NaN where that is not
# known, no longer known, or just being written
cdef inline double funding_bps(const FundingTable* t, size_t source, size_t symbol,
                               int64_t now_ns) noexcept nogil:
    cdef Funding f
    cdef uint64_t at
    if not t.perpetuals >> source & 1:
        return 0.0
    funding_read_at(funding_slot(t, source, symbol), &f, now_ns, &at)
    return f.rate * 1e4

# what an edge receives: its short leg's next payment less that of its long leg
cdef inline double funding_of_edge(const FundingTable* t, size_t buy_source, size_t buy_row,
                                   size_t sell_source, size_t sell_row,
                                   int64_t now_ns) noexcept nogil:
    return (funding_bps(t, sell_source, sell_row, now_ns)
            - funding_bps(t, buy_source, buy_row, now_ns))

cdef class FundingRates:
    cdef:
        readonly Region region
        FundingTable table

    cdef FundingSlot* slot(self, size_t source, size_t symbol) except NULL
