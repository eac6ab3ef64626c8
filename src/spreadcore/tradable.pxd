# When a quote may be traded on: its source's beat is young, it is not empty, and it is not older
# than the source allows. One rule for the engine (which signals) and the tracker (which follows).
from libc.stdint cimport int64_t, uint32_t

from spreadcore.atomics cimport load_acquire
from spreadcore.layout cimport MAX_SOURCES, HealthSlot, Quote

cdef struct Tradable:
    const HealthSlot* sources   # slots of the sources, for their beats
    int64_t stale_ns[MAX_SOURCES]   # by source; 0: no age limit per symbol
    bint fresh[MAX_SOURCES]     # the source's beat is young, as of the last look
    int64_t beat_limit_ns
    uint32_t n_sources

# a time limit from Python; a double beyond 64 bits of ns would become any number
cdef inline int64_t limit_ns(double seconds) except -1:
    if not 0 <= seconds <= 9e9:
        from spreadcore.errors import CoreError
        raise CoreError(f"time limit: {seconds} s, expected 0 to 9e9")
    return <int64_t>(seconds * 1e9)

cdef inline void look_at_beats(Tradable* t, int64_t now_ns) noexcept nogil:
    cdef size_t source
    for source in range(t.n_sources):
        t.fresh[source] = (
            now_ns - <int64_t>load_acquire(&t.sources[source].beat_ns) < t.beat_limit_ns)

cdef inline bint tradable(const Tradable* t, size_t source, const Quote* q,
                          int64_t now_ns) noexcept nogil:
    if q.recv_ns == 0 or not t.fresh[source]:
        return False
    return t.stale_ns[source] == 0 or now_ns - q.recv_ns <= t.stale_ns[source]
