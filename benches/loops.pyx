"""Loops of the benches: nogil C on shared memory, beside the bare thing that each is compared to.

Built by tests/build_loops.py against spreadcore from outside, as any other package would. A loop
that is timed from outside does n operations and returns nothing; one that reads the clock itself
fills `out` (int64[n], ns). Loops of two processes spin: give each a core of its own.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset
from posix.unistd cimport read, write

from spreadcore.active cimport (
    ACTIVE_FREE,
    ACTIVE_SIGNALLED,
    ACTIVE_TRACKED,
    ActiveTable,
    active_byte,
)
from spreadcore.atomics cimport (
    cas8,
    fence_acquire,
    fence_release,
    fetch_add32,
    futex_wait,
    futex_wake,
    load32_seq_cst,
    load_acquire,
    load_relaxed,
    now_ns,
    spin_hint,
    store_relaxed,
    store_release,
)
from spreadcore.dirty cimport DirtySet, dirty_mark, dirty_take, dirty_wake
from spreadcore.engine cimport Engine, engine_turn
from spreadcore.layout cimport (
    LINE,
    Quote,
    QuoteSlot,
    RingLines,
    Signal,
    StreamLines,
    StreamRecord,
    Told,
    WakeLines,
)
from spreadcore.quotes cimport (
    QUOTE_BUSY,
    QUOTE_OK,
    QUOTE_WORDS,
    Quotes,
    quote_read,
    quote_slot,
    quote_write,
)
from spreadcore.ring cimport (
    RING_EMPTY,
    RING_FULL,
    Ring,
    SignalRing,
    ring_advance,
    ring_peek,
    ring_push,
)
from spreadcore.stream cimport (
    STREAM_EMPTY,
    STREAM_OK,
    Cursor,
    Stream,
    stream_publish,
    stream_read,
)

cdef extern from *:
    """
    /* what p points to must be in memory here, and what was known of memory is forgotten */
    static inline void bench_keep(const void *p) {
        __asm__ __volatile__("" : : "r"(p) : "memory");
    }
    """
    void keep "bench_keep" (const void* p) noexcept nogil

cdef enum:
    STRIDE = 8                  # lines from a symbol to the next, of one source of eight
    TAKE = 1024
    L_JOINED = 0                # layouts of the remote read: the product's slot
    L_SPLIT = 1                 # sequence and data on two lines
    L_BARE = 2                  # one word

JOINED, SPLIT, BARE = L_JOINED, L_SPLIT, L_BARE


cdef class Shared:
    """Cache lines shared by the processes of one bench; over any shared mapping."""

    cdef unsigned char[::1] _bytes
    cdef char* base

    def __cinit__(self, unsigned char[::1] shared not None, size_t n_lines):
        if <size_t>shared.shape[0] < n_lines * LINE:
            raise ValueError(f"shared: {shared.shape[0]} bytes, expected {n_lines * LINE}")
        self._bytes = shared
        self.base = <char*>&shared[0]


cdef inline uint64_t* word(Shared shared, size_t line) noexcept nogil:
    return <uint64_t*>(shared.base + line * LINE)


cdef inline void await_word(const uint64_t* at, uint64_t value) noexcept nogil:
    while load_acquire(at) != value:
        spin_hint()


cdef inline void spin_for(int64_t ns) noexcept nogil:
    cdef int64_t end = now_ns() + ns
    while now_ns() < end:
        spin_hint()


# -- one process: quotes

cdef inline Quote quote_of(uint64_t i) noexcept nogil:
    """A quote made of registers, as the intake makes one of what it decoded."""
    return Quote(100.0 + <double>i, 101.0 + <double>i, 5000.0, 5000.0, <int64_t>i, <int64_t>i, 0)


def write_quotes(Quotes quotes not None, size_t n_slots, uint64_t n):
    """Write n new quotes round about over the first n_slots symbols of source 0."""
    cdef Quote q
    cdef uint64_t i
    cdef size_t symbol = 0
    with nogil:
        for i in range(n):
            q = quote_of(i)
            quote_write(quote_slot(&quotes.table, 0, symbol), &q)
            keep(quotes.table.slots)
            symbol = symbol + 1 if symbol + 1 < n_slots else 0


def copy_quotes_in(Quotes quotes not None, size_t n_slots, uint64_t n):
    """write_quotes with a plain struct copy."""
    cdef Quote q
    cdef uint64_t i
    cdef size_t symbol = 0
    with nogil:
        for i in range(n):
            q = quote_of(i)
            quote_slot(&quotes.table, 0, symbol).quote = q
            keep(quotes.table.slots)
            symbol = symbol + 1 if symbol + 1 < n_slots else 0


def read_quotes(Quotes quotes not None, size_t n_slots, uint64_t n):
    """Read n quotes round about from the first n_slots symbols of source 0."""
    cdef Quote q
    cdef uint64_t _i
    cdef uint64_t busy = 0
    cdef size_t symbol = 0
    with nogil:
        for _i in range(n):
            busy += quote_read(quote_slot(&quotes.table, 0, symbol), &q)
            keep(&q)
            symbol = symbol + 1 if symbol + 1 < n_slots else 0
    if busy:
        raise RuntimeError(f"{busy} reads were busy, expected a table at rest")


def copy_quotes_out(Quotes quotes not None, size_t n_slots, uint64_t n):
    """read_quotes with a plain struct copy."""
    cdef Quote q
    cdef uint64_t _i
    cdef size_t symbol = 0
    with nogil:
        for _i in range(n):
            q = quote_slot(&quotes.table, 0, symbol).quote
            keep(&q)
            symbol = symbol + 1 if symbol + 1 < n_slots else 0


# -- two processes: a read right after a remote write. Line 0 is the baton (odd: the reader's
# turn); then the lines of the slots, STRIDE apart as those of one source are in the real table;
# then, in the split layout, as many lines again that hold the sequence words.

cdef inline char* slot_line(Shared shared, size_t slot) noexcept nogil:
    return shared.base + (1 + slot * STRIDE) * LINE


cdef inline uint64_t* split_seq(Shared shared, size_t slot, size_t n_slots) noexcept nogil:
    return <uint64_t*>(shared.base + (1 + (n_slots + slot) * STRIDE) * LINE)


cdef inline void split_write(uint64_t* seq, uint64_t* to, const Quote* q) noexcept nogil:
    """quote_write with the sequence elsewhere."""
    cdef uint64_t words[QUOTE_WORDS]
    cdef uint64_t odd = load_relaxed(seq) | 1
    cdef int i
    memcpy(words, q, sizeof(Quote))
    store_relaxed(seq, odd)
    fence_release()
    for i in range(QUOTE_WORDS):
        store_relaxed(to + i, words[i])
    store_release(seq, odd + 1)


cdef inline int split_read(const uint64_t* at, const uint64_t* source, Quote* q) noexcept nogil:
    """quote_read with the sequence elsewhere, one look."""
    cdef uint64_t words[QUOTE_WORDS]
    cdef uint64_t seq = load_acquire(at)
    cdef int i
    if seq & 1:
        return QUOTE_BUSY
    for i in range(QUOTE_WORDS):
        words[i] = load_relaxed(source + i)
    fence_acquire()
    if load_relaxed(at) != seq:
        return QUOTE_BUSY
    memcpy(q, words, sizeof(Quote))
    return QUOTE_OK


def remote_writer(Shared shared not None, int layout, const uint8_t[::1] order not None,
                  uint64_t n_rounds):
    """Write every slot of `order`, hand over, and again, n_rounds times."""
    cdef Quote q = quote_of(0)
    cdef size_t n_slots = order.shape[0]
    cdef uint64_t r
    cdef size_t i
    with nogil:
        for r in range(n_rounds):
            await_word(word(shared, 0), 2 * r)
            q.recv_ns = <int64_t>r
            for i in range(n_slots):
                if layout == L_JOINED:
                    quote_write(<QuoteSlot*>slot_line(shared, order[i]), &q)
                elif layout == L_SPLIT:
                    split_write(split_seq(shared, order[i], n_slots),
                                <uint64_t*>slot_line(shared, order[i]), &q)
                else:
                    store_release(<uint64_t*>slot_line(shared, order[i]), r)
            store_release(word(shared, 0), 2 * r + 1)


def remote_reader(Shared shared not None, int layout, const uint8_t[::1] order not None,
                  int64_t[::1] out not None):
    """Once a round is written, read its slots; out[r] is the time of the whole chain.

    Where a read goes depends on what the one before gave, so that they cannot overlap.
    """
    cdef Quote q
    cdef size_t n_slots = order.shape[0]
    cdef uint64_t r, chain, value
    cdef uint64_t wrong = 0
    cdef int64_t start
    cdef size_t i, slot
    with nogil:
        for r in range(<uint64_t>out.shape[0]):
            await_word(word(shared, 0), 2 * r + 1)
            chain = 0           # stays 0, which the compiler does not know
            start = now_ns()
            for i in range(n_slots):
                slot = order[i] + chain
                if layout == L_JOINED:
                    wrong += quote_read(<QuoteSlot*>slot_line(shared, slot), &q)
                    value = <uint64_t>q.recv_ns
                elif layout == L_SPLIT:
                    wrong += split_read(split_seq(shared, slot, n_slots),
                                        <uint64_t*>slot_line(shared, slot), &q)
                    value = <uint64_t>q.recv_ns
                else:
                    value = load_acquire(<uint64_t*>slot_line(shared, slot))
                wrong += value != r
                chain = value >> 63
            out[r] = now_ns() - start
            store_release(word(shared, 0), 2 * r + 2)
    if wrong:
        raise RuntimeError(f"{wrong} reads were not of the round just written")


# -- one process: the dirty set

def mark_and_take(DirtySet dirty not None, const uint16_t[::1] symbols not None,
                  int64_t[::1] mark_ns not None, int64_t[::1] take_ns not None):
    """Mark `symbols` of every source, take them all; the time of each, round by round."""
    cdef uint32_t taken[TAKE]
    cdef size_t n_sources = dirty.dirty.n_sources
    cdef size_t n_symbols = symbols.shape[0]
    cdef size_t source, n, i
    cdef Py_ssize_t r
    cdef int64_t start
    cdef uint64_t wrong = 0
    with nogil:
        for r in range(mark_ns.shape[0]):
            start = now_ns()
            for source in range(n_sources):
                for i in range(n_symbols):
                    dirty_mark(&dirty.dirty, source, symbols[i])
            mark_ns[r] = now_ns() - start
            n = 0
            start = now_ns()
            for source in range(n_sources):
                n += dirty_take(&dirty.dirty, source, taken, TAKE)
                keep(taken)
            take_ns[r] = now_ns() - start
            wrong += n != n_sources * n_symbols
    if wrong:
        raise RuntimeError(f"{wrong} rounds took something else than was marked")


def set_and_scan(size_t n_sources, size_t room, const uint16_t[::1] symbols not None,
                 int64_t[::1] mark_ns not None, int64_t[::1] take_ns not None):
    """mark_and_take with a plain byte per symbol, set and scanned."""
    cdef uint32_t taken[TAKE]
    cdef uint8_t flags[8][TAKE]
    cdef size_t n_symbols = symbols.shape[0]
    cdef size_t source, n, found, s, i
    cdef Py_ssize_t r
    cdef int64_t start
    cdef uint64_t wrong = 0
    if n_sources > 8 or room > TAKE:
        raise ValueError(f"bytes: {n_sources} x {room}, expected up to 8 x {TAKE}")
    memset(flags, 0, sizeof(flags))
    with nogil:
        for r in range(mark_ns.shape[0]):
            start = now_ns()
            for source in range(n_sources):
                for i in range(n_symbols):
                    flags[source][symbols[i]] = 1
                keep(flags)
            mark_ns[r] = now_ns() - start
            n = 0
            start = now_ns()
            for source in range(n_sources):
                found = 0
                for s in range(room):
                    if flags[source][s]:
                        flags[source][s] = 0
                        taken[found] = <uint32_t>s
                        found += 1
                n += found
                keep(taken)
            take_ns[r] = now_ns() - start
            wrong += n != n_sources * n_symbols
    if wrong:
        raise RuntimeError(f"{wrong} rounds took something else than was marked")


# -- two processes: rings, pipes, bare lines, bare futexes

cdef inline Ring ring_over(Shared shared, size_t line, uint64_t capacity) noexcept nogil:
    cdef char* base = shared.base + line * LINE
    return Ring(<RingLines*>base, <Signal*>(base + sizeof(RingLines)), capacity - 1, 0, 0)


def produce(Shared shared not None, uint64_t capacity, uint64_t n):
    """Push n records into the ring that begins at line 0."""
    cdef Ring ring = ring_over(shared, 0, capacity)
    cdef Signal s
    cdef uint64_t i
    memset(&s, 0, sizeof(Signal))
    with nogil:
        for i in range(n):
            s.at_ns = <int64_t>i
            while ring_push(&ring, &s) == RING_FULL:
                spin_hint()


def consume(Shared shared not None, uint64_t capacity, uint64_t n):
    """Take n records; return the ns from the first to the last."""
    cdef Ring ring = ring_over(shared, 0, capacity)
    cdef Signal s
    cdef uint64_t i
    cdef uint64_t wrong = 0
    cdef int64_t start = 0
    with nogil:
        for i in range(n):
            while ring_peek(&ring, &s) == RING_EMPTY:
                spin_hint()
            if i == 0:
                start = now_ns()
            wrong += s.sequence != i or s.at_ns != <int64_t>i
            ring_advance(&ring)
        start = now_ns() - start
    if wrong:
        raise RuntimeError(f"{wrong} records were not the next one")
    return start


cdef inline Stream stream_over(Shared shared, uint64_t capacity) noexcept nogil:
    """The stream that begins at line 2; word 0 counts readers that are there."""
    cdef char* base = shared.base + 2 * LINE
    cdef StreamLines* lines = <StreamLines*>(base + sizeof(WakeLines))
    return Stream(<WakeLines*>base, lines, <StreamRecord*>(lines + 1), capacity - 1)


def stream_produce(Shared shared not None, uint64_t capacity, uint64_t n, uint64_t n_readers,
                   int64_t period_ns):
    """Publish n records once n_readers are there; return the ns that it took.

    period_ns: so much of it for each record, waited for every 16; 0: flat out.
    """
    cdef Stream stream = stream_over(shared, capacity)
    cdef Told told
    cdef uint64_t i
    cdef int64_t start
    memset(&told, 0, sizeof(Told))
    with nogil:
        while load_acquire(word(shared, 0)) < n_readers:
            spin_hint()
        start = now_ns()
        for i in range(n):
            told.at_ns = <int64_t>i
            stream_publish(&stream, &told)
            if period_ns and i % 16 == 15:
                while now_ns() - start < <int64_t>i * period_ns:
                    spin_hint()
        start = now_ns() - start
    return start


def stream_follow(Shared shared not None, uint64_t capacity, uint64_t n):
    """Read what is published until record n - 1; return (records read, how many were lost)."""
    cdef Stream stream = stream_over(shared, capacity)
    cdef Cursor cursor = Cursor(0, 0)
    cdef Told told
    cdef uint64_t wrong = 0
    cdef uint64_t good = 0
    cdef int rc
    with nogil:
        fetch_add32(<uint32_t*>word(shared, 0), 1)
        while cursor.next < n:
            rc = stream_read(&stream, &cursor, &told)
            if rc == STREAM_OK:
                good += 1
                wrong += told.at_ns != <int64_t>(cursor.next - 1)
            elif rc == STREAM_EMPTY:
                spin_hint()
    if wrong or good + cursor.lost != cursor.next:
        raise RuntimeError(f"{wrong} records were another, {good} + {cursor.lost} are not "
                           f"{cursor.next}")
    return good, cursor.lost


def pipe_produce(int fd, uint64_t n):
    """produce over a pipe: one write(2) a record."""
    cdef Signal s
    cdef uint64_t i
    cdef uint64_t wrong = 0
    memset(&s, 0, sizeof(Signal))
    with nogil:
        for i in range(n):
            s.sequence = i
            wrong += write(fd, &s, sizeof(Signal)) != sizeof(Signal)
    if wrong:
        raise RuntimeError(f"{wrong} writes were short")


def pipe_consume(int fd, uint64_t n):
    """consume over a pipe: one read(2) a record."""
    cdef Signal s
    cdef uint64_t i
    cdef uint64_t wrong = 0
    cdef int64_t start = 0
    with nogil:
        for i in range(n):
            wrong += read(fd, &s, sizeof(Signal)) != sizeof(Signal) or s.sequence != i
            if i == 0:
                start = now_ns()
        start = now_ns() - start
    if wrong:
        raise RuntimeError(f"{wrong} records were not the next one")
    return start


def ring_ping(Shared shared not None, size_t back_line, uint64_t capacity, uint64_t batch,
              int64_t[::1] out not None):
    """Send a record through the ring at line 0, await it from the one at back_line.

    out: the time of `batch` round trips.
    """
    cdef Ring there = ring_over(shared, 0, capacity)
    cdef Ring back = ring_over(shared, back_line, capacity)
    cdef Signal s
    cdef Py_ssize_t r
    cdef uint64_t _i
    cdef int64_t start
    memset(&s, 0, sizeof(Signal))
    with nogil:
        for r in range(out.shape[0]):
            start = now_ns()
            for _i in range(batch):
                ring_push(&there, &s)
                while ring_peek(&back, &s) == RING_EMPTY:
                    spin_hint()
                ring_advance(&back)
            out[r] = now_ns() - start


def ring_pong(Shared shared not None, size_t back_line, uint64_t capacity, uint64_t n):
    """Send n records back as they come."""
    cdef Ring there = ring_over(shared, 0, capacity)
    cdef Ring back = ring_over(shared, back_line, capacity)
    cdef Signal s
    cdef uint64_t _i
    with nogil:
        for _i in range(n):
            while ring_peek(&there, &s) == RING_EMPTY:
                spin_hint()
            ring_advance(&there)
            ring_push(&back, &s)


def line_ping(Shared shared not None, uint64_t batch, int64_t[::1] out not None):
    """Store odd numbers into line 0 and await even ones; out: the time of `batch` round trips."""
    cdef uint64_t n = 0
    cdef uint64_t _i
    cdef Py_ssize_t r
    cdef int64_t start
    with nogil:
        for r in range(out.shape[0]):
            start = now_ns()
            for _i in range(batch):
                store_release(word(shared, 0), n + 1)
                n += 2
                await_word(word(shared, 0), n)
            out[r] = now_ns() - start


def line_pong(Shared shared not None, uint64_t n):
    """Answer n odd numbers in line 0."""
    cdef uint64_t i
    with nogil:
        for i in range(n):
            await_word(word(shared, 0), 2 * i + 1)
            store_release(word(shared, 0), 2 * i + 2)


# line 0: the futex word; line 1: sleeps begun; line 2: wake-ups seen

def futex_waker(Shared shared not None, int64_t pause_ns, int64_t[::1] out not None):
    """Wake the sleeper and await its answer; out: from before the wake to the answer's sight."""
    cdef uint32_t* futex = <uint32_t*>word(shared, 0)
    cdef Py_ssize_t r
    cdef int64_t start
    with nogil:
        for r in range(out.shape[0]):
            await_word(word(shared, 1), <uint64_t>(r + 1))
            spin_for(pause_ns)
            start = now_ns()
            fetch_add32(futex, 1)
            futex_wake(futex)
            await_word(word(shared, 2), <uint64_t>(r + 1))
            out[r] = now_ns() - start


def futex_sleeper(Shared shared not None, uint64_t n):
    """Sleep until woken, n times, and say so each time."""
    cdef uint32_t* futex = <uint32_t*>word(shared, 0)
    cdef uint32_t i
    with nogil:
        for i in range(<uint32_t>n):
            store_release(word(shared, 1), i + 1)
            while load32_seq_cst(futex) == i:
                futex_wait(futex, i, -1)
            store_release(word(shared, 2), i + 1)


# -- the engine

def mark_slots(Quotes quotes not None, DirtySet dirty not None, const uint32_t[::1] slots not None):
    """Write each slot (symbol * n_sources + source) again with what is in it, and mark it."""
    cdef Py_ssize_t i
    with nogil:
        for i in range(slots.shape[0]):
            rewrite(quotes, dirty, slots[i])


cdef inline void rewrite(Quotes quotes, DirtySet dirty, uint32_t slot) noexcept nogil:
    cdef uint32_t n_sources = quotes.table.n_sources
    cdef Quote q
    quote_read(quotes.table.slots + slot, &q)
    quote_write(quotes.table.slots + slot, &q)
    dirty_mark(&dirty.dirty, slot % n_sources, slot // n_sources)


def turns(Engine engine not None, Quotes quotes not None, DirtySet dirty not None,
          const uint32_t[::1] slots not None, size_t per_turn, int64_t at_ns,
          int64_t[::1] out not None):
    """Write and mark per_turn slots, the next of `slots` round about; out: the turn alone."""
    cdef size_t n_slots = slots.shape[0]
    cdef size_t k = 0
    cdef uint64_t wrong = 0
    cdef size_t _i
    cdef Py_ssize_t r
    cdef int64_t start
    with nogil:
        for r in range(out.shape[0]):
            for _i in range(per_turn):
                rewrite(quotes, dirty, slots[k])
                k = k + 1 if k + 1 < n_slots else 0
            engine.core.n_noted = 0
            start = now_ns()
            wrong += engine_turn(&engine.core, at_ns) != per_turn
            out[r] = now_ns() - start
    if wrong:
        raise RuntimeError(f"{wrong} turns took another number of quotes, expected {per_turn}")


def signals(Quotes quotes not None, DirtySet dirty not None, SignalRing ring not None,
            ActiveTable active not None, size_t source, size_t first_edge,
            const uint16_t[::1] symbols not None, bint parked, int64_t pause_ns,
            int64_t[::1] out not None):
    """Be a feed and a tracker at once: write a spread, await its signal, end it.

    A sample is the time from the clock before the slot is written to the sight of the record
    in the ring, by this process: the way back is in it. Edges are first_edge + symbol.
    Before each, pause_ns pass, and if `parked` the engine is awaited at its futex first. Returns
    how many samples woke it.
    """
    cdef Ring* r = &ring.ring
    cdef uint64_t woken = 0
    cdef Py_ssize_t i
    cdef size_t symbol
    cdef QuoteSlot* slot
    cdef uint8_t* byte
    cdef Quote calm, spread
    cdef Signal s
    cdef int64_t start
    with nogil:
        for i in range(out.shape[0]):
            symbol = symbols[i % symbols.shape[0]]
            slot = quote_slot(&quotes.table, source, symbol)
            byte = active_byte(&active.active, first_edge + symbol)
            quote_read(slot, &calm)
            spread = calm
            spread.bid_px = calm.bid_px * 0.99
            spread.ask_px = calm.ask_px * 0.99
            await_engine(dirty, parked, pause_ns)
            start = now_ns()
            spread.recv_ns = start
            quote_write(slot, &spread)
            dirty_mark(&dirty.dirty, source, symbol)
            woken += dirty_wake(&dirty.dirty)
            while ring_peek(r, &s) == RING_EMPTY:
                spin_hint()
            out[i] = now_ns() - start
            quote_write(slot, &calm)
            ring_advance(r)
            cas8(byte, ACTIVE_SIGNALLED, ACTIVE_TRACKED)
            cas8(byte, ACTIVE_TRACKED, ACTIVE_FREE)
    return woken


cdef inline void await_engine(DirtySet dirty, bint parked, int64_t pause_ns) noexcept nogil:
    while parked and load32_seq_cst(&dirty.dirty.lines.sleeping) == 0:
        spin_hint()
    spin_for(pause_ns)
