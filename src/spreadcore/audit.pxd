# Verdicts: what the audit found out about the quote in a slot. A seqlock each (seqlock.pxd says why
# it is correct); the audit is the one writer, any readers in any process.
#
# A verdict names its quote by the receive time, so one that is about an earlier quote says nothing
# of the one that stands now, and no reader has to be told when a feed writes. Only not_trading is
# about the pair. Readers that go by a slot's age look here only for a quote older than its limit.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from spreadcore.atomics cimport load_relaxed
from spreadcore.layout cimport AuditFigures, Quote, Verdict, VerdictSlot
from spreadcore.region cimport Region
from spreadcore.seqlock cimport SEQ_OK, seqlock_read, seqlock_write

cdef enum:
    VERDICT_WORDS = 3

cdef enum:                      # in the order of layout.VERDICTS
    VERDICT_NONE, VERDICT_CONFIRMED, VERDICT_ACCUSED, VERDICT_WRONG, VERDICT_NOT_TRADING

cdef enum:                      # in the order of layout.AUDIT_FIGURES
    FIGURE_ROUND_NS = 0

cdef struct Verdicts:
    AuditFigures* figures       # by source; NULL: there is no audit
    VerdictSlot* slots          # index symbol * n_sources + source
    uint32_t n_sources
    uint32_t n_symbols

cdef inline VerdictSlot* verdict_slot(const Verdicts* t, size_t source,
                                      size_t symbol) noexcept nogil:
    return t.slots + symbol * t.n_sources + source

# what is known; none where the writer is inside for long, or dead
cdef inline Verdict verdict_read(const Verdicts* t, size_t source, size_t symbol) noexcept nogil:
    cdef const VerdictSlot* slot = verdict_slot(t, source, symbol)
    cdef Verdict v
    cdef uint64_t at
    if seqlock_read(&slot.seq, <const uint64_t*>&slot.verdict, &v, VERDICT_WORDS, &at) != SEQ_OK:
        v = Verdict(0, 0, VERDICT_NONE)
    return v

cdef inline int verdict_kind(const Verdict* v) noexcept nogil:
    return <int>(v.word & 0xFF)

cdef inline bint is_about(const Verdict* v, int64_t recv_ns) noexcept nogil:
    return recv_ns != 0 and v.recv_ns == recv_ns

# whether the venue stood by this very quote within the time, and the quote itself says of no end;
# for quotes that are old, so no part of what is inlined for all of them
cdef bint is_confirmed(const Verdicts* t, size_t source, size_t symbol, const Quote* q,
                       int64_t now_ns, int64_t within_ns) noexcept nogil

# when the last round of a source was asked for that could be judged
cdef inline int64_t last_round_ns(const Verdicts* t, size_t source) noexcept nogil:
    return <int64_t>load_relaxed(&t.figures[source].words[FIGURE_ROUND_NS])

cdef class AuditTable:
    cdef:
        readonly Region region
        Verdicts verdicts

    cdef int _check(self, size_t source, size_t symbol) except -1
    cdef int _write(self, size_t source, size_t symbol, Verdict v) except -1
