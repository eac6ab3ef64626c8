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
    PAUSE_UNIT_NS = 10_000_000  # of the times in Quote.flags

cdef inline void quote_write(QuoteSlot* slot, const Quote* q) noexcept nogil:
    seqlock_write(&slot.seq, <uint64_t*>&slot.quote, q, QUOTE_WORDS)

# `at` gets the even seq under which the quote was read, or the odd one that was in the way; after
# QUOTE_BUSY the content of *q means nothing
cdef inline int quote_read_at(const QuoteSlot* slot, Quote* q, uint64_t* at) noexcept nogil:
    return seqlock_read(&slot.seq, <const uint64_t*>&slot.quote, q, QUOTE_WORDS, at)

cdef inline int quote_read(const QuoteSlot* slot, Quote* q) noexcept nogil:
    cdef uint64_t at
    return quote_read_at(slot, q, &at)

# what a quote says of itself, where its source says nothing while nothing changes; else 0
cdef inline int64_t quote_limit_ns(const Quote* q) noexcept nogil:
    return <int64_t>(q.flags >> 32 & 0xFFFF) * PAUSE_UNIT_NS

cdef inline int64_t quote_pause_ns(const Quote* q) noexcept nogil:
    return <int64_t>(q.flags >> 48) * PAUSE_UNIT_NS

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
