# Quote slots: a seqlock each (seqlock.pxd says why it is correct); one writer per source, any
# readers in any process.
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from spreadcore.layout cimport Quote, QuoteSlot
from spreadcore.region cimport Region
from spreadcore.seqlock cimport SEQ_BUSY, SEQ_OK, seqlock_read, seqlock_write

cdef enum:
    QUOTE_OK = SEQ_OK
    QUOTE_BUSY = SEQ_BUSY       # a writer was inside at every look, or is dead
    QUOTE_WORDS = 7

cdef inline void quote_write(QuoteSlot* slot, const Quote* q) noexcept nogil:
    cdef uint64_t words[QUOTE_WORDS]
    memcpy(words, q, sizeof(Quote))
    seqlock_write(&slot.seq, <uint64_t*>&slot.quote, words, QUOTE_WORDS)

# `at` gets the even seq under which the quote was read, or the odd one that was in the way; after
# QUOTE_BUSY the content of *q means nothing
cdef inline int quote_read_at(const QuoteSlot* slot, Quote* q, uint64_t* at) noexcept nogil:
    return seqlock_read(&slot.seq, <const uint64_t*>&slot.quote, q, QUOTE_WORDS, at)

cdef inline int quote_read(const QuoteSlot* slot, Quote* q) noexcept nogil:
    cdef uint64_t at
    return quote_read_at(slot, q, &at)

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
