# Single-producer single-consumer ring of Signal records.
#
# head counts records written, tail records read; both only rise (64 bits do not wrap in practice;
# differences are taken modulo 2^64, so they may). The producer stores the record, then releases
# head; the consumer acquires head, reads the record, acts on it (journals it), then releases tail;
# the producer acquires tail before it reuses a record. Each side keeps a copy of the other's index
# and loads the shared one only when the copy says full or empty, or makes no sense: a copy may be
# older than what another process of the same role has done since (a restarted, forked consumer).
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcpy

from spreadcore.atomics cimport load_acquire, load_relaxed, store_relaxed, store_release
from spreadcore.layout cimport RingLines, Signal
from spreadcore.region cimport Region

cdef enum:
    RING_OK = 0
    RING_FULL = 1
    RING_EMPTY = 2

cdef enum:                      # in Signal.age
    AGE_MS = 0x3FFFFFFF
    SELL_IS_OLDER = 0x40000000

cdef extern from *:             # no enum of C has room for bit 31
    """
    #define UNPROVEN_SIGNAL 0x80000000u
    """
    uint32_t UNPROVEN_SIGNAL

cdef struct Ring:
    RingLines* lines
    Signal* records
    uint64_t mask               # capacity - 1
    uint64_t seen_head          # consumer's copy
    uint64_t seen_tail          # producer's copy

# producer: fills record.sequence. Word by word: a wide copy of what has just been stored in narrow
# pieces waits for them (6 times the whole push)
cdef inline int ring_push(Ring* r, Signal* record) noexcept nogil:
    cdef uint64_t head = load_relaxed(&r.lines.head)
    cdef uint64_t* to
    cdef uint64_t word
    cdef int i
    if head - r.seen_tail > r.mask:
        r.seen_tail = load_acquire(&r.lines.tail)   # pairs with ring_advance
        if head - r.seen_tail > r.mask:
            return RING_FULL
    to = <uint64_t*>(r.records + (head & r.mask))
    store_relaxed(to, head)     # the sequence
    for i in range(1, <int>(sizeof(Signal) // 8)):
        memcpy(&word, <const char*>record + 8 * i, 8)
        store_relaxed(to + i, word)
    record.sequence = head
    store_release(&r.lines.head, head + 1)          # pairs with ring_peek
    return RING_OK

# consumer: the oldest unread record stays in place until ring_advance
cdef inline int ring_peek(Ring* r, Signal* record) noexcept nogil:
    cdef uint64_t tail = load_relaxed(&r.lines.tail)
    if r.seen_head - tail - 1 > r.mask:             # no unread record that we know of
        r.seen_head = load_acquire(&r.lines.head)   # pairs with ring_push
        if tail == r.seen_head:
            return RING_EMPTY
    memcpy(record, r.records + (tail & r.mask), sizeof(Signal))
    return RING_OK

cdef inline void ring_advance(Ring* r) noexcept nogil:
    store_release(&r.lines.tail, load_relaxed(&r.lines.tail) + 1)   # pairs with ring_push

# the receive times of a signal's quotes; at_ns is set already, and a quote may be newer than it
cdef inline void signal_ages(Signal* s, int64_t buy_recv_ns, int64_t sell_recv_ns) noexcept nogil:
    cdef int64_t older_ms = max(s.at_ns - min(buy_recv_ns, sell_recv_ns), 0) // 1_000_000
    s.recv_ns = max(buy_recv_ns, sell_recv_ns)
    s.age = <uint32_t>min(older_ms, <int64_t>AGE_MS)
    if buy_recv_ns > sell_recv_ns:
        s.age |= SELL_IS_OLDER

cdef class SignalRing:
    cdef:
        readonly Region region
        Ring ring
