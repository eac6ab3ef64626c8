# A broadcast stream of records: one producer, any number of readers, each with a cursor of its own.
#
# Record n stands at n % capacity under a seqlock (seqlock.pxd) whose number says which record it
# is: seq is 2 n + 1 while n is written and 2 n + 2 once it is whole. So one look at seq tells a
# reader that waits for n everything: below 2 n + 2, n is not there yet; equal, it is, and it held
# still if seq is the same after the copy; above, the producer came round and n is gone. Then the
# reader goes to an eighth of the capacity after the oldest record that still stands, and counts
# what it passed over: what it got and what it lost are, at every moment, the records from its start
# to its cursor. seq only rises (2^63 records do not come together), so no number stands for two
# contents.
#
# Readers write nothing here (but `sleeping`), so none can hold up the producer or another reader,
# whatever becomes of it. The producer never looks at readers.
#
# Its producer holds the lease of its role, so there is one, and a successor begins when it is dead.
# Killed before the odd seq, record n was never there. Killed between, n is half-written: readers
# wait for it (its predecessor n - capacity is gone, and counted), and the successor writes another
# n over it. Killed after the even seq but before head: n was published, and may have been read, so
# the successor must not write it again; it looks at the seq of record `head` and goes on behind it.
# `generation` rises with each take-over and stands in the records: what a producer did last may not
# have been told before it died, so a reader that sees another generation looks at what is true.
#
# Parking: the reader reads the wake word, stores sleeping = 1, and looks at its record once more; a
# producer publishes, then looks at `sleeping`; a full fence on both sides, so that one of the two
# looks sees the other's store. The producer clears `sleeping` before it adds one to the wake word;
# readers never do. A flag that this takes from a reader that parks meanwhile is no loss: it read
# the wake word before the addition, or it stores the flag after the clearing. A producer killed in
# between leaves sleepers to its successor, who wakes all. The time-out is a net for nobody coming.
from libc.errno cimport EINTR
from libc.stdint cimport int64_t, uint32_t, uint64_t

from spreadcore.atomics cimport (
    fence_seq_cst,
    fetch_add32,
    futex_wait,
    futex_wake,
    load32_seq_cst,
    load_acquire,
    load_relaxed,
    store32_seq_cst,
    store_release,
)
from spreadcore.dirty cimport PARK_TIMEOUT, PARK_TIMEOUT_WITH_WORK, PARK_WOKEN, PARK_WORK
from spreadcore.layout cimport StreamLines, StreamRecord, Told, WakeLines
from spreadcore.region cimport Region
from spreadcore.seqlock cimport seqlock_copy, seqlock_write_as

cdef enum:
    STREAM_OK = 0
    STREAM_EMPTY = 1
    STREAM_LOST = 2             # the cursor has moved on, look again
    TOLD_WORDS = 15
    TOLD_UNPROVEN = 1           # Told.flags
    KIND_SIGNAL = 1             # Told.kind: layout.RECORD_KINDS

cdef struct Stream:
    WakeLines* wakes
    StreamLines* lines
    StreamRecord* records
    uint64_t mask               # capacity - 1; at least 1

cdef struct Cursor:             # a reader's own
    uint64_t next               # sequence that it has not seen yet
    uint64_t lost               # records that were gone when it came to them

# producer: fills told.generation. Does not wake.
cdef inline void stream_publish(const Stream* s, Told* told) noexcept nogil:
    cdef uint64_t n = load_relaxed(&s.lines.head)
    cdef StreamRecord* record = s.records + (n & s.mask)
    told.generation = <uint32_t>load_relaxed(&s.lines.generation)
    seqlock_write_as(&record.seq, 2 * n + 1, <uint64_t*>&record.told, told, TOLD_WORDS)
    store_release(&s.lines.head, n + 1)     # pairs with stream_read

# producer, after the records of one go; True when somebody was parked and has been woken
cdef inline bint stream_wake(const Stream* s) noexcept nogil:
    fence_seq_cst()             # the records are visible before `sleeping` is looked at
    if load32_seq_cst(&s.wakes.sleeping) == 0:
        return False
    stream_wake_all(s)
    return True

cdef inline void stream_wake_all(const Stream* s) noexcept nogil:
    store32_seq_cst(&s.wakes.sleeping, 0)
    fetch_add32(&s.wakes.wake, 1)
    futex_wake(&s.wakes.wake)

# a new producer, before its first record, whatever became of the one before
cdef inline void stream_take_over(const Stream* s) noexcept nogil:
    cdef uint64_t n = load_acquire(&s.lines.head)
    if load_acquire(&s.records[n & s.mask].seq) == 2 * n + 2:
        store_release(&s.lines.head, n + 1)
    store_release(&s.lines.generation, load_relaxed(&s.lines.generation) + 1)
    stream_wake_all(s)

cdef inline uint64_t stream_oldest(const Stream* s, uint64_t head) noexcept nogil:
    return head - s.mask - 1 if head > s.mask else 0

cdef inline int stream_read(const Stream* s, Cursor* c, Told* told) noexcept nogil:
    cdef const StreamRecord* record = s.records + (c.next & s.mask)
    cdef uint64_t whole = 2 * c.next + 2
    cdef uint64_t seq = load_acquire(&record.seq)
    cdef uint64_t head, go_to
    if seq < whole:
        return STREAM_EMPTY
    if seq == whole:
        if seqlock_copy(&record.seq, whole, <const uint64_t*>&record.told, told, TOLD_WORDS):
            c.next += 1
            return STREAM_OK
        seq = load_acquire(&record.seq)
    # all before what stands here are published, whether head is seen to say so or not
    head = max(load_acquire(&s.lines.head), (seq - 1) // 2)     # pairs with stream_publish
    go_to = stream_oldest(s, head) + max(<uint64_t>1, (s.mask + 1) // 8)
    c.lost += go_to - c.next
    c.next = go_to
    return STREAM_LOST

# whether stream_read would not say empty
cdef inline bint stream_ready(const Stream* s, const Cursor* c) noexcept nogil:
    return load_acquire(&s.records[c.next & s.mask].seq) >= 2 * c.next + 2

# one of dirty.pxd's PARK_*; timeout_ns < 0 waits for ever
cdef inline int stream_park(const Stream* s, const Cursor* c, int64_t timeout_ns) noexcept nogil:
    cdef uint32_t seen = load32_seq_cst(&s.wakes.wake)
    cdef int rc
    store32_seq_cst(&s.wakes.sleeping, 1)
    fence_seq_cst()             # `sleeping` is visible before the record is looked at
    if stream_ready(s, c):
        return PARK_WORK
    rc = futex_wait(&s.wakes.wake, seen, timeout_ns)
    if rc == 0 or rc == EINTR or load32_seq_cst(&s.wakes.wake) != seen:
        return PARK_WOKEN
    return PARK_TIMEOUT_WITH_WORK if stream_ready(s, c) else PARK_TIMEOUT

cdef class Broadcast:
    cdef:
        readonly Region region
        Stream stream

cdef class Reader:
    cdef:
        readonly Broadcast broadcast
        Cursor cursor

cdef class Writer:
    cdef readonly Broadcast broadcast
