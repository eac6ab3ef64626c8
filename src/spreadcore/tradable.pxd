# When a quote may be traded on: its source's beat is young, it is not empty, and either it is older
# neither than the source allows nor than is learnt of its pair, or its venue has stood by it since.
# One that says for how long it is true is never so for longer, whoever stands by it. One rule for
# the engine (which signals) and the tracker (which follows).
#
# While rounds of the audit come, no quote of the source is true for longer than the time within
# which it would have been confirmed; without them what is learnt has to do.
from libc.stdint cimport int64_t, uint32_t

from spreadcore.atomics cimport load_acquire
from spreadcore.audit cimport Verdicts, is_confirmed, last_round_ns
from spreadcore.layout cimport MAX_SOURCES, HealthSlot, Quote
from spreadcore.quotes cimport quote_limit_ns

cdef enum:
    LONGEST_SILENCE_S = 600     # no quote is taken for true for longer

cdef struct Tradable:
    const HealthSlot* sources   # slots of the sources, for their beats
    int64_t stale_ns[MAX_SOURCES]   # by source; never 0
    int64_t limit_ns[MAX_SOURCES]   # the same as of the last look at beats; -1: no quote counts
    int64_t beat_limit_ns
    Verdicts verdicts           # of the audit; figures NULL: there is none
    int64_t confirm_ns[MAX_SOURCES]     # a confirmation holds for so long; 0: there is no audit
    uint32_t n_sources

# a time limit from Python; a double beyond 64 bits of ns would become any number
cdef inline int64_t limit_ns(double seconds) except -1:
    if not 0 <= seconds <= 9e9:
        from spreadcore.errors import CoreError
        raise CoreError(f"time limit: {seconds} s, expected 0 to 9e9")
    return <int64_t>(seconds * 1e9)

# the age limit of a source's quotes from Python
cdef inline int64_t stale_limit_ns(double seconds) except -1:
    if not 0 < seconds <= LONGEST_SILENCE_S:
        from spreadcore.errors import CoreError
        raise CoreError(f"age limit: {seconds} s, expected above 0 to {LONGEST_SILENCE_S}")
    return <int64_t>(seconds * 1e9)

# before limits are set and beats are looked at
cdef inline void start_rule(Tradable* t) noexcept nogil:
    cdef size_t source
    for source in range(MAX_SOURCES):
        t.limit_ns[source] = -1
        t.stale_ns[source] = <int64_t>LONGEST_SILENCE_S * 1_000_000_000
        t.confirm_ns[source] = 0
    t.verdicts.figures = NULL

cdef inline void look_at_beats(Tradable* t, int64_t now_ns) noexcept nogil:
    cdef size_t source
    cdef int64_t limit
    for source in range(t.n_sources):
        limit = t.stale_ns[source]
        if now_ns - <int64_t>load_acquire(&t.sources[source].beat_ns) >= t.beat_limit_ns:
            limit = -1
        elif (t.verdicts.figures != NULL and t.confirm_ns[source] < limit
                and now_ns - last_round_ns(&t.verdicts, source) <= t.confirm_ns[source]):
            limit = t.confirm_ns[source]
        t.limit_ns[source] = limit

cdef inline bint tradable(const Tradable* t, size_t source, size_t symbol, const Quote* q,
                          int64_t now_ns) noexcept nogil:
    cdef int64_t age_ns = now_ns - q.recv_ns
    cdef int64_t own_ns = quote_limit_ns(q)
    if age_ns <= t.limit_ns[source] and (own_ns == 0 or age_ns <= own_ns):
        return q.recv_ns != 0
    return t.limit_ns[source] >= 0 and is_confirmed(
        &t.verdicts, source, symbol, q, now_ns, t.confirm_ns[source])
