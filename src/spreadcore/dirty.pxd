# The dirty set: per source a two-level bitmap of symbols whose slot changed, and the wake word.
#
# Why nothing is lost. A writer stores the slot, then ORs the leaf bit, then the summary bit, then
# looks at `sleeping`; all seq_cst. The engine swaps the summary word to zero, then the leaf words
# it named, then reads slots. Whatever a writer stored before its leaf OR is seen by the engine that
# takes that bit (the swap reads from the OR). A leaf bit set after the engine's leaf swap is
# followed by a summary OR that comes after the summary swap, so the next look finds it. OR-ing
# always, even when the bit seems set, is what this rests on: a writer that skips may rely on a bit
# that the engine has just taken.
#
# Parking: the engine reads the wake word, stores sleeping = 1, looks at the summaries once more
# and waits on the value read. Either that look sees the writer's bit, or, in the seq_cst order, the
# look precedes the OR, so the writer's later load sees sleeping = 1, adds one and wakes; a wait on
# an outdated value returns at once. The time-out is a net for a writer killed in between.
#
# One wakes for all: a writer that sees `sleeping` swaps it to 0, and only who took the 1 wakes.
# The others' bits are set already, and the engine, once awake, takes all bits before it parks
# again. Who finds 0 may leave it at that: either the engine has not parked, and its look after
# sleeping = 1 comes after this writer's OR; or somebody has taken the 1 and is about to wake it.
# One that is killed between the two leaves the engine to its time-out, as one that is killed
# before them does.
from libc.errno cimport EINTR
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from spreadcore.atomics cimport (
    fetch_add32,
    fetch_or,
    futex_wait,
    futex_wake,
    load32_seq_cst,
    load_seq_cst,
    store32_seq_cst,
    swap,
    swap32,
)
from spreadcore.layout cimport WakeLines
from spreadcore.region cimport Region

cdef struct Dirty:
    WakeLines* lines
    char* summaries             # per source, summary_stride bytes
    char* leaves                # per source, leaf_stride bytes
    size_t summary_stride
    size_t leaf_stride
    uint32_t n_sources
    uint32_t n_symbols
    uint32_t n_summary          # words per source

cdef extern from *:
    """
    #define sc_lowest_bit(word) __builtin_ctzll(word)
    """
    int lowest_bit "sc_lowest_bit" (uint64_t word) noexcept nogil

cdef inline uint64_t* dirty_summary(const Dirty* d, size_t source) noexcept nogil:
    return <uint64_t*>(d.summaries + source * d.summary_stride)

cdef inline uint64_t* dirty_leaf(const Dirty* d, size_t source) noexcept nogil:
    return <uint64_t*>(d.leaves + source * d.leaf_stride)

# after the slot is stored; any process, also the tracker for a pair that it freed
cdef inline void dirty_mark(const Dirty* d, size_t source, size_t symbol) noexcept nogil:
    fetch_or(dirty_leaf(d, source) + (symbol >> 6), <uint64_t>1 << (symbol & 63))
    fetch_or(dirty_summary(d, source) + (symbol >> 12), <uint64_t>1 << ((symbol >> 6) & 63))

# after the marks of one socket read; returns 1 when the engine was parked and has been woken
cdef inline bint dirty_wake(const Dirty* d) noexcept nogil:
    # a look first: a swap would take the line from all that wake nobody
    if load32_seq_cst(&d.lines.sleeping) == 0 or swap32(&d.lines.sleeping, 0) == 0:
        return False
    fetch_add32(&d.lines.wake, 1)
    futex_wake(&d.lines.wake)
    return True

cdef inline bint dirty_any(const Dirty* d) noexcept nogil:
    cdef size_t source, word
    for source in range(d.n_sources):
        for word in range(d.n_summary):
            if load_seq_cst(dirty_summary(d, source) + word):
                return True
    return False

cdef enum:
    PARK_WORK = 0               # work was found before sleeping
    PARK_WOKEN = 1
    PARK_TIMEOUT = 2            # slept to the end, nothing there
    PARK_TIMEOUT_WITH_WORK = 3  # slept to the end although a bit is set and nobody woke us

cdef inline int dirty_park(const Dirty* d, int64_t timeout_ns) noexcept nogil:
    cdef uint32_t seen = load32_seq_cst(&d.lines.wake)
    cdef int rc
    store32_seq_cst(&d.lines.sleeping, 1)
    if dirty_any(d):
        store32_seq_cst(&d.lines.sleeping, 0)
        return PARK_WORK
    rc = futex_wait(&d.lines.wake, seen, timeout_ns)
    store32_seq_cst(&d.lines.sleeping, 0)
    if rc == 0 or rc == EINTR or load32_seq_cst(&d.lines.wake) != seen:
        return PARK_WOKEN
    return PARK_TIMEOUT_WITH_WORK if dirty_any(d) else PARK_TIMEOUT

# Take up to `room` dirty symbols of one source into `out`; returns how many. What does not fit is
# put back. Only the engine calls it.
cdef inline size_t dirty_take(const Dirty* d, size_t source, uint32_t* out,
                              size_t room) noexcept nogil:
    cdef uint64_t* summary = dirty_summary(d, source)
    cdef uint64_t* leaf = dirty_leaf(d, source)
    cdef uint64_t words, bits
    cdef size_t w, i, n = 0
    for w in range(d.n_summary):
        if load_seq_cst(summary + w) == 0:
            continue
        words = swap(summary + w, 0)
        while words:
            if n + 64 > room:
                fetch_or(summary + w, words)
                return n
            i = w * 64 + lowest_bit(words)
            words &= words - 1
            bits = swap(leaf + i, 0)
            while bits:
                out[n] = <uint32_t>(i * 64 + lowest_bit(bits))
                bits &= bits - 1
                n += 1
    return n

cdef class DirtySet:
    cdef:
        readonly Region region
        Dirty dirty
