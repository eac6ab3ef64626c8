# Quote slots: a seqlock each (seqlock.pxd says why it is correct); one writer per source, any
# readers in any process.
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint32_t, uint64_t

from spreadcore.layout cimport Quote, QuoteSlot
from spreadcore.region cimport Region
from spreadcore.seqlock cimport SEQ_BUSY, SEQ_OK, seqlock_read, seqlock_write

cdef enum:
    QUOTE_OK = SEQ_OK
    QUOTE_BUSY = SEQ_BUSY       # a writer was inside at every look, or is dead
    QUOTE_WORDS = 7
    PAUSE_UNIT_NS = 10_000_000  # of the pause in Quote.flags
    LIMIT_UNIT_NS = 1_000_000   # of the age limit there

cdef enum:                      # as layout.QUOTE_FLAGS says
    LINK_BITS = 0x3FFFFFF
    AVERAGE_PRICE = 1 << 26
    LIMIT_LEARNT = 1 << 27
    PAUSE_AT = 28
    PAUSE_BITS = 0xFFFF
    LIMIT_AT = 44               # the highest bits, so that the hot path needs no mask

cdef inline void quote_write(QuoteSlot* slot, const Quote* q) noexcept nogil:
    seqlock_write(&slot.seq, <uint64_t*>&slot.quote, q, QUOTE_WORDS)

# `at` gets the even seq under which the quote was read, or the odd one that was in the way; after
# QUOTE_BUSY the content of *q means nothing
cdef inline int quote_read_at(const QuoteSlot* slot, Quote* q, uint64_t* at) noexcept nogil:
    return seqlock_read(&slot.seq, <const uint64_t*>&slot.quote, q, QUOTE_WORDS, at)

cdef inline int quote_read(const QuoteSlot* slot, Quote* q) noexcept nogil:
    cdef uint64_t at
    return quote_read_at(slot, q, &at)

# the age up to which a quote is true: as learnt of its pair, or as it says of itself; 0: its source
# alone knows
cdef inline int64_t quote_limit_ns(const Quote* q) noexcept nogil:
    return <int64_t>(q.flags >> LIMIT_AT) * LIMIT_UNIT_NS

# whether that is learnt, as it is where a source says nothing while nothing changes
cdef inline bint quote_learnt(const Quote* q) noexcept nogil:
    return q.flags & LIMIT_LEARNT != 0

# whether it says of itself that it is not true any more
cdef inline bint quote_is_over(const Quote* q, int64_t now_ns) noexcept nogil:
    cdef int64_t limit_ns = quote_limit_ns(q)
    return limit_ns != 0 and not quote_learnt(q) and now_ns - q.recv_ns > limit_ns

cdef inline int64_t quote_pause_ns(const Quote* q) noexcept nogil:
    return <int64_t>(q.flags >> PAUSE_AT & PAUSE_BITS) * PAUSE_UNIT_NS

cdef inline void quote_write_empty(QuoteSlot* slot, uint64_t flags) noexcept nogil:
    cdef Quote q = Quote(NAN, NAN, NAN, NAN, 0, 0, flags)
    quote_write(slot, &q)

cdef struct QuoteTable:
    QuoteSlot* slots            # index symbol * n_sources + source
    uint32_t n_sources
    uint32_t n_symbols

cdef inline QuoteSlot* quote_slot(const QuoteTable* t, size_t source, size_t symbol) noexcept nogil:
    return t.slots + symbol * t.n_sources + source

cdef class Quotes:
    cdef:
        readonly Region region
        QuoteTable table

    cdef QuoteSlot* slot(self, size_t source, size_t symbol) except NULL
