# Health slots: identity, beat, counters and latency histograms; one writer each.
#
# Counters and histograms rise from the creation of the instance on, over restarts and runs. What
# was counted since some moment is the difference to a mark: a copy of both that the slot's writer
# takes when a run begins and, at its beats, every MARK_EVERY_NS. The newest mark that is a minute
# old is what "the last minute" is counted from, 60 to 70 s. A mark is a seqlock; one whose writer
# was killed half-way is passed over.
from libc.stdint cimport int64_t, uint64_t

from spreadcore.atomics cimport load_relaxed, store_relaxed
from spreadcore.layout cimport N_BUCKETS, HealthSlot, Histogram, MarkBody
from spreadcore.region cimport Region

cdef extern from *:
    """
    #define sc_highest_bit(word) (63 - __builtin_clzll(word))
    """
    int highest_bit "sc_highest_bit" (uint64_t word) noexcept nogil

# Bucket of a value in ns: 8 per power of two, so a bucket is at most 12.5 % wide.
cdef inline int bucket_of(int64_t ns) noexcept nogil:
    cdef uint64_t v = <uint64_t>ns if ns > 0 else 0
    cdef int top, bucket
    if v < 8:
        return <int>v
    top = highest_bit(v)
    bucket = (top - 2) * 8 + <int>((v >> (top - 3)) & 7)
    return bucket if bucket < N_BUCKETS else N_BUCKETS - 1

# single writer: a plain add in two relaxed halves, so that readers never see half a word
cdef inline void count(uint64_t* counter, uint64_t n) noexcept nogil:
    store_relaxed(counter, load_relaxed(counter) + n)

cdef inline void histogram_add(Histogram* h, int64_t ns, uint64_t n) noexcept nogil:
    count(&h.buckets[bucket_of(ns)], n)

cdef enum:
    MARK_EVERY_NS = 10_000_000_000
    MINUTE_NS = 60_000_000_000

cdef class Health:
    cdef:
        readonly Region region
        HealthSlot* slots
        readonly size_t n_slots
        readonly size_t n_roles         # slots below it have a role; the rest is free

    cdef HealthSlot* slot(self, size_t role) except NULL
    cdef HealthSlot* _writable(self, size_t role) except NULL
    cdef int _base(self, size_t role, str since, int64_t now_ns, MarkBody* base) except -1
