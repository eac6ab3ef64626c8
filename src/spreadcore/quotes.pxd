# Seqlock quote slots: one writer each, any number of readers in any process.
#
# Why it is correct. The writer makes seq odd (relaxed), then a release fence, then stores the
# payload words (relaxed), then stores the even seq with release. The reader loads seq (acquire),
# loads the words (relaxed), then an acquire fence, then loads seq again. If a word it loaded was
# stored by a write that began after its first look, the two fences make the odd seq of that write
# visible to its second look, which then differs. If both looks give the same even number, every
# word belongs to the write that released it. Payload words are atomic so that a race is a race
# and not undefined behaviour.
#
# A writer killed half-way leaves an odd seq: readers say QUOTE_BUSY, never wait; the next writer
# starts from `seq | 1`, which heals the slot (seq + 1 would turn its parity round for ever).
from libc.math cimport NAN
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from spreadcore.atomics cimport (
    fence_acquire,
    fence_release,
    load_acquire,
    load_relaxed,
    spin_hint,
    store_relaxed,
    store_release,
)
from spreadcore.layout cimport Quote, QuoteSlot
from spreadcore.region cimport Region

cdef enum:
    QUOTE_OK = 0
    QUOTE_BUSY = 1              # a writer was inside at every look, or is dead
    QUOTE_WORDS = 7
    READ_TRIES = 64             # looks before busy; a write takes about ten of them

cdef inline void quote_write(QuoteSlot* slot, const Quote* q) noexcept nogil:
    cdef uint64_t words[QUOTE_WORDS]
    cdef uint64_t odd = load_relaxed(&slot.seq) | 1
    cdef uint64_t* to = <uint64_t*>&slot.quote
    cdef int i
    memcpy(words, q, sizeof(Quote))
    store_relaxed(&slot.seq, odd)
    fence_release()             # the odd seq is visible before any payload word
    for i in range(QUOTE_WORDS):
        store_relaxed(to + i, words[i])
    store_release(&slot.seq, odd + 1)   # pairs with load_acquire in quote_read

# `at` gets the even seq under which the quote was read, or the odd one that was in the way; after
# QUOTE_BUSY the content of *q means nothing
cdef inline int quote_read_at(const QuoteSlot* slot, Quote* q, uint64_t* at) noexcept nogil:
    cdef uint64_t word, seq
    cdef const uint64_t* source = <const uint64_t*>&slot.quote
    cdef int i, _look
    for _look in range(READ_TRIES):
        seq = load_acquire(&slot.seq)
        at[0] = seq
        if seq & 1:
            spin_hint()
            continue
        for i in range(QUOTE_WORDS):
            # word by word straight to its place: through an array the wide copy after it waits
            # for the narrow stores (7 ns a read instead of 3)
            word = load_relaxed(source + i)
            memcpy(<char*>q + 8 * i, &word, 8)
        fence_acquire()         # words are loaded before seq is looked at again
        if load_relaxed(&slot.seq) == seq:
            return QUOTE_OK
    at[0] |= 1
    return QUOTE_BUSY

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
