# A seqlock: one writer, any number of readers in any process, a payload of 8-byte words.
#
# Why it is correct. The writer makes seq odd (relaxed), then a release fence, then stores the
# payload words (relaxed), then stores the even seq with release. The reader loads seq (acquire),
# loads the words (relaxed), then an acquire fence, then loads seq again. If a word it loaded was
# stored by a write that began after its first look, the two fences make the odd seq of that write
# visible to its second look, which then differs. If both looks give the same even number, every
# word belongs to the write that released it. Payload words are atomic so that a race is a race
# and not undefined behaviour.
#
# A writer killed half-way leaves an odd seq: readers say busy, never wait; the next writer starts
# from `seq | 1`, which heals the slot (seq + 1 would turn its parity round for ever).
from libc.stdint cimport uint64_t
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

cdef enum:
    SEQ_OK = 0
    SEQ_BUSY = 1                # a writer was inside at every look, or is dead
    READ_TRIES = 64             # looks before busy; a write takes about ten of them

# `odd` is above what seq was before, and nobody has stored it under other words
cdef inline void seqlock_write_as(uint64_t* seq, uint64_t odd, uint64_t* to, const void* source,
                                  int n) noexcept nogil:
    cdef uint64_t word
    cdef int i
    store_relaxed(seq, odd)
    fence_release()             # the odd seq is visible before any payload word
    for i in range(n):
        memcpy(&word, <const char*>source + 8 * i, 8)
        store_relaxed(to + i, word)
    store_release(seq, odd + 1)     # pairs with load_acquire of who reads

cdef inline void seqlock_write(uint64_t* seq, uint64_t* to, const void* source,
                               int n) noexcept nogil:
    seqlock_write_as(seq, load_relaxed(seq) | 1, to, source, n)

# Copy the words that stand under `even`, which was loaded with acquire; False where they do not any
# more, and *to means nothing.
cdef inline bint seqlock_copy(const uint64_t* seq, uint64_t even, const uint64_t* words, void* to,
                              int n) noexcept nogil:
    cdef uint64_t word
    cdef int i
    for i in range(n):
        # word by word straight to its place: through an array the wide copy after it waits
        # for the narrow stores (7 ns a read instead of 3)
        word = load_relaxed(words + i)
        memcpy(<char*>to + 8 * i, &word, 8)
    fence_acquire()             # words are loaded before seq is looked at again
    return load_relaxed(seq) == even

# `at` gets the even seq under which the words were read, or the odd one that was in the way; after
# SEQ_BUSY the content of *to means nothing
cdef inline int seqlock_read(const uint64_t* seq, const uint64_t* words, void* to, int n,
                             uint64_t* at) noexcept nogil:
    cdef uint64_t even
    cdef int _look
    for _look in range(READ_TRIES):
        even = load_acquire(seq)
        at[0] = even
        if even & 1:
            spin_hint()
            continue
        if seqlock_copy(seq, even, words, to, n):
            return SEQ_OK
    at[0] |= 1
    return SEQ_BUSY
