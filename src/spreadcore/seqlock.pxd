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

cdef inline void seqlock_write(uint64_t* seq, uint64_t* to, const uint64_t* words,
                               int n) noexcept nogil:
    cdef uint64_t odd = load_relaxed(seq) | 1
    cdef int i
    store_relaxed(seq, odd)
    fence_release()             # the odd seq is visible before any payload word
    for i in range(n):
        store_relaxed(to + i, words[i])
    store_release(seq, odd + 1)     # pairs with load_acquire in seqlock_read

# `at` gets the even seq under which the words were read, or the odd one that was in the way; after
# SEQ_BUSY the content of *to means nothing
cdef inline int seqlock_read(const uint64_t* seq, const uint64_t* words, void* to, int n,
                             uint64_t* at) noexcept nogil:
    cdef uint64_t word, even
    cdef int i, _look
    for _look in range(READ_TRIES):
        even = load_acquire(seq)
        at[0] = even
        if even & 1:
            spin_hint()
            continue
        for i in range(n):
            # word by word straight to its place: through an array the wide copy after it waits
            # for the narrow stores (7 ns a read instead of 3)
            word = load_relaxed(words + i)
            memcpy(<char*>to + 8 * i, &word, 8)
        fence_acquire()         # words are loaded before seq is looked at again
        if load_relaxed(seq) == even:
            return SEQ_OK
    at[0] |= 1
    return SEQ_BUSY
