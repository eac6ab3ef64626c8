"""Loops of the stress tests: nogil C on shared memory, one call per process.

Built by tests/build_loops.py against spreadcore from outside, as any other package would. Beside
the product's own inlines it has broken twins of them (no odd mark, no second look before a sleep,
no mark where the bit seems set, a record that is whole before it is), which the tests must catch.
"""
from libc.signal cimport SIGSTOP, raise_
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from spreadcore.atomics cimport (
    fence_release,
    fetch_or,
    futex_wait,
    load32_seq_cst,
    load_acquire,
    load_relaxed,
    load_seq_cst,
    now_ns,
    spin_hint,
    store32_seq_cst,
    store_relaxed,
    store_release,
    swap,
)
from spreadcore.dirty cimport (
    PARK_TIMEOUT_WITH_WORK,
    PARK_WOKEN,
    PARK_WORK,
    Dirty,
    DirtySet,
    dirty_any,
    dirty_leaf,
    dirty_mark,
    dirty_park,
    dirty_summary,
    dirty_take,
    dirty_wake,
)
from spreadcore.engine cimport Engine, engine_turn
from spreadcore.layout cimport OpenTrack, Quote, QuoteSlot, Signal, StreamRecord, Told
from spreadcore.opentracks cimport OpenTracks, open_from, open_write
from spreadcore.quotes cimport (
    QUOTE_BUSY,
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
    STREAM_LOST,
    TOLD_WORDS,
    Broadcast,
    Cursor,
    Stream,
    stream_park,
    stream_publish,
    stream_read,
    stream_wake,
)

cdef extern from "<sched.h>" nogil:
    int sched_yield() noexcept

cdef extern from "<sys/resource.h>" nogil:
    cdef struct rusage:
        long ru_nvcsw
    int RUSAGE_SELF
    int getrusage(int who, rusage* usage) noexcept

cdef extern from "<sys/ptrace.h>" nogil:
    int PTRACE_TRACEME, PTRACE_SINGLESTEP
    long ptrace(int request, int pid, void* address, void* data) noexcept

cdef extern from "<sys/wait.h>" nogil:
    int WUNTRACED
    int waitpid(int pid, int* status, int options) noexcept
    bint WIFSTOPPED(int status) noexcept
    int WSTOPSIG(int status) noexcept

cdef enum:
    LINE_WORDS = 8              # words of a cache line
    MAX_SLOTS = 16
    WORD_DONE = 0               # lines of a board: the run has seen enough
    WORD_ROUND = 1              # takes finished by the engine side
    WORD_FINISHED = 2           # + source: this writer has ended
    WORD_ACK = 8                # + source * MAX_SLOTS + slot: newest number observed

BOARD_BYTES = 64 * (WORD_ACK + 4 * MAX_SLOTS)


cdef class Board:
    """Words shared by the processes of one test, one per cache line; over any shared mapping."""

    cdef unsigned char[::1] _bytes
    cdef uint64_t* words

    def __cinit__(self, unsigned char[::1] shared not None):
        if shared.shape[0] < BOARD_BYTES:
            raise ValueError(f"board: {shared.shape[0]} bytes, expected {BOARD_BYTES}")
        self._bytes = shared
        self.words = <uint64_t*>&shared[0]


cdef inline uint64_t* word(uint64_t* board, size_t line) noexcept nogil:
    return board + line * LINE_WORDS


cdef inline uint64_t random_next(uint64_t* state) noexcept nogil:
    state[0] ^= state[0] << 13
    state[0] ^= state[0] >> 7
    state[0] ^= state[0] << 17
    return state[0]


cdef inline void spin(uint64_t n) noexcept nogil:
    cdef uint64_t _i
    for _i in range(n):
        spin_hint()


cdef inline void idle(uint64_t* n) noexcept nogil:
    """One turn of waiting for another process, which may need this very core."""
    n[0] += 1
    spin_hint()
    if n[0] % 64 == 0:
        sched_yield()


# -- quotes whose every field follows from one number

cdef inline void quote_of(Quote* q, int64_t n) noexcept nogil:
    q.bid_px = <double>n
    q.ask_px = <double>(2 * n)
    q.bid_qty = <double>(-n)
    q.ask_qty = <double>n + 0.5
    q.venue_ns = ~n
    q.recv_ns = n
    q.flags = <uint64_t>n * 1000003


cdef inline bint is_whole(const Quote* q) noexcept nogil:
    cdef int64_t n = q.recv_ns
    return (q.bid_px == <double>n and q.ask_px == <double>(2 * n) and q.bid_qty == <double>(-n)
            and q.ask_qty == <double>n + 0.5 and q.venue_ns == ~n
            and q.flags == <uint64_t>n * 1000003)


cdef inline void write_slowly(QuoteSlot* slot, const Quote* q, uint64_t pause,
                              bint odd_mark) noexcept nogil:
    """quote_write with a pause after each word; without the odd mark it is broken."""
    cdef uint64_t words[QUOTE_WORDS]
    cdef uint64_t odd = load_relaxed(&slot.seq) | 1
    cdef int i
    memcpy(words, q, sizeof(Quote))
    if odd_mark:
        store_relaxed(&slot.seq, odd)
        fence_release()
    for i in range(QUOTE_WORDS):
        store_relaxed(<uint64_t*>&slot.quote + i, words[i])
        spin(pause)
    store_release(&slot.seq, odd + 1)


def write_until_done(Quotes quotes not None, Board board not None, size_t n_slots,
                     *, bint slowly=False, uint64_t pause=0, bint odd_mark=True,
                     uint64_t gap=0):
    """Write rising numbers over n_slots slots of source 0 until the board says done.

    gap: spins between two writes. Returns the number of writes.
    """
    cdef Quote q
    cdef int64_t n = 0
    cdef size_t i = 0
    with nogil:
        while load_acquire(word(board.words, WORD_DONE)) == 0:
            n += 1
            quote_of(&q, n)
            if slowly:
                write_slowly(quote_slot(&quotes.table, 0, i), &q, pause, odd_mark)
            else:
                quote_write(quote_slot(&quotes.table, 0, i), &q)
            i = i + 1 if i + 1 < n_slots else 0
            spin(gap)
    return n


def read_many(Quotes quotes not None, Board board not None, size_t n_slots, uint64_t n_reads,
              *, uint64_t wait_after=0):
    """Read n_slots slots of source 0 round about until n_reads succeeded, then say done.

    wait_after: after that many reads in a row without a new number, wait until the writer has
    moved, for it has been put off its core; 0 = never. Returns a dict: reads, new (another
    number than this slot's last), torn (fields that disagree), back (a number below this
    slot's last), busy, waits.
    """
    cdef int64_t last[MAX_SLOTS]
    cdef Quote q
    cdef uint64_t reads = 0
    cdef uint64_t fresh = 0
    cdef uint64_t torn = 0
    cdef uint64_t back = 0
    cdef uint64_t busy = 0
    cdef uint64_t waited = 0
    cdef uint64_t waits = 0
    cdef uint64_t dull = 0
    cdef size_t i = 0
    if n_slots > MAX_SLOTS:
        raise ValueError(f"slots: {n_slots}, expected up to {MAX_SLOTS}")
    memset(last, 0, sizeof(last))
    with nogil:
        while load_acquire(&quote_slot(&quotes.table, 0, n_slots - 1).seq) < 2:
            idle(&waited)       # until the writer has been everywhere once
        while reads < n_reads:
            if quote_read(quote_slot(&quotes.table, 0, i), &q) == QUOTE_BUSY:
                busy += 1
                idle(&waited)
            else:
                reads += 1
                if not is_whole(&q):
                    torn += 1
                elif q.recv_ns < last[i]:
                    back += 1
                elif q.recv_ns != last[i]:
                    fresh += 1
                    last[i] = q.recv_ns
                    dull = 0
                else:
                    dull += 1
                if wait_after and dull > wait_after:
                    await_writer(quote_slot(&quotes.table, 0, i))
                    waits += 1
                    dull = 0
            i = i + 1 if i + 1 < n_slots else 0
        store_release(word(board.words, WORD_DONE), 1)
    return {"reads": reads, "new": fresh, "torn": torn, "back": back, "busy": busy,
            "waits": waits}


cdef void await_writer(const QuoteSlot* slot) noexcept nogil:
    cdef uint64_t waited = 0
    cdef uint64_t seq = load_acquire(&slot.seq)
    while load_acquire(&slot.seq) == seq:
        idle(&waited)


# -- the ring

cdef inline void signal_of(Signal* s, uint64_t n) noexcept nogil:
    s.at_ns = <int64_t>n
    s.recv_ns = ~<int64_t>n
    s.buy_px = <double><uint32_t>n
    s.sell_px = <double><uint32_t>n + 0.5
    s.buy_qty = <double>(n >> 32)
    s.sell_qty = -<double>(n & 0xFFFF)
    s.edge = <uint32_t>(n >> 3)
    s.age = <uint32_t>n


cdef inline bint signal_is(const Signal* s, uint64_t n) noexcept nogil:
    return (s.sequence == n and s.at_ns == <int64_t>n and s.recv_ns == ~<int64_t>n
            and s.buy_px == <double><uint32_t>n
            and s.sell_px == <double><uint32_t>n + 0.5 and s.buy_qty == <double>(n >> 32)
            and s.sell_qty == -<double>(n & 0xFFFF) and s.edge == <uint32_t>(n >> 3)
            and s.age == <uint32_t>n)


def produce(SignalRing ring not None, uint64_t first, uint64_t n_records):
    """Push n_records whose fields follow from their sequence."""
    cdef Ring* r = &ring.ring
    cdef Signal s
    cdef uint64_t i
    cdef uint64_t waited = 0
    with nogil:
        for i in range(n_records):
            signal_of(&s, first + i)
            while ring_push(r, &s) == RING_FULL:
                idle(&waited)


def consume(SignalRing ring not None, uint64_t first, uint64_t n_records):
    """Take n_records; return how many of them were the next one, and whole."""
    cdef Ring* r = &ring.ring
    cdef Signal s
    cdef uint64_t i
    cdef uint64_t good = 0
    cdef uint64_t waited = 0
    with nogil:
        for i in range(n_records):
            while ring_peek(r, &s) == RING_EMPTY:
                idle(&waited)
            good += signal_is(&s, first + i)
            ring_advance(r)
    return good


# -- a stream of records whose every word follows from their sequence

cdef inline void told_of(Told* t, uint64_t n) noexcept nogil:
    cdef uint64_t word
    cdef int i
    for i in range(TOLD_WORDS):
        word = (n + <uint64_t>i) * 1000003
        memcpy(<char*>t + 8 * i, &word, 8)
    t.generation = 0            # the producer's, filled in as it publishes
    t.kind, t.reason = 1, 0     # such as there are


cdef inline bint told_is(const Told* t, uint64_t n, uint32_t generation) noexcept nogil:
    cdef Told expected
    told_of(&expected, n)
    expected.generation = generation
    return memcmp(&expected, t, sizeof(Told)) == 0


cdef inline void publish_early(const Stream* s, Told* told) noexcept nogil:
    """Broken: the record is said to be whole before it is."""
    cdef uint64_t n = load_relaxed(&s.lines.head)
    cdef StreamRecord* record = s.records + (n & s.mask)
    cdef uint64_t word
    cdef int i
    told.generation = <uint32_t>load_relaxed(&s.lines.generation)
    store_release(&record.seq, 2 * n + 2)
    for i in range(TOLD_WORDS):
        memcpy(&word, <const char*>told + 8 * i, 8)
        store_relaxed(<uint64_t*>&record.told + i, word)
        spin_hint()
    store_release(&s.lines.head, n + 1)


def publish_many(Broadcast broadcast not None, uint64_t n_records, *, uint64_t gap=0,
                 uint64_t wake_every=0, bint early=False, Board board=None):
    """Publish n_records from the stream's head on. gap: up to so many spins before each.

    wake_every: wake after so many records, 0 never. early: as the broken twin. board: each record
    waits until the one before it is read. Returns the wakes.
    """
    cdef uint64_t* ack = word(board.words, WORD_ACK) if board is not None else NULL
    cdef uint64_t waited = 0
    cdef const Stream* s = &broadcast.stream
    cdef uint64_t first = load_relaxed(&s.lines.head)
    cdef uint64_t state = 88172645463325252
    cdef uint64_t i
    cdef uint64_t wakes = 0
    cdef Told t
    with nogil:
        for i in range(n_records):
            told_of(&t, first + i)
            while ack != NULL and load_acquire(ack) < first + i:
                idle(&waited)
            if gap:
                spin((random_next(&state) >> 20) % gap)
            if early:
                publish_early(s, &t)
            else:
                stream_publish(s, &t)
            if wake_every and i % wake_every == 0:
                wakes += stream_wake(s)
        wakes += stream_wake(s)
    return wakes


cdef inline int park_blindly(const Stream* s, const Cursor* c, int64_t timeout_ns) noexcept nogil:
    """Broken: stream_park without the second look."""
    cdef uint32_t seen
    store32_seq_cst(&s.wakes.sleeping, 1)
    spin(16)
    seen = load32_seq_cst(&s.wakes.wake)
    if futex_wait(&s.wakes.wake, seen, timeout_ns) == 0:
        return PARK_WOKEN
    return PARK_TIMEOUT_WITH_WORK


def follow(Broadcast broadcast not None, uint64_t end, *, uint64_t slow_every=0, uint64_t slow=0,
           bint parks=False, bint blindly=False, double park_s=-1.0, Board board=None):
    """Read from record 0 to `end`. slow_every, slow: so many spins after so many records.

    parks: sleep where there is nothing, for park_s at most; blindly: as the broken twin. board:
    where it says how far it has read. Returns a dict: good (the next record, and whole), bad (any
    other), lost, between (lost, by what lies between the records), times_lost, empty (looks that
    found nothing), late (sleeps to the end of park_s although a record was there).
    """
    cdef const Stream* s = &broadcast.stream
    cdef uint64_t* ack = word(board.words, WORD_ACK) if board is not None else NULL
    cdef Cursor c = Cursor(0, 0)
    cdef int64_t park_ns = <int64_t>(park_s * 1e9) if park_s >= 0 else -1
    cdef uint64_t good = 0
    cdef uint64_t bad = 0
    cdef uint64_t times_lost = 0
    cdef uint64_t empty = 0
    cdef uint64_t late = 0
    cdef uint64_t waited = 0
    cdef uint64_t lost = 0      # by what lies between the records, not by what the stream says
    cdef uint64_t expected = 0
    cdef uint32_t generation = <uint32_t>broadcast.generation
    cdef Told t
    cdef int rc
    with nogil:
        while c.next < end:
            rc = stream_read(s, &c, &t)
            if rc == STREAM_EMPTY:
                empty += 1
                if not parks:
                    idle(&waited)
                elif blindly:
                    late += park_blindly(s, &c, park_ns) == PARK_TIMEOUT_WITH_WORK and (
                        load_acquire(&s.lines.head) > c.next)
                else:
                    late += stream_park(s, &c, park_ns) == PARK_TIMEOUT_WITH_WORK
            elif rc == STREAM_LOST:
                times_lost += 1
            elif told_is(&t, c.next - 1, generation):
                good += 1
                lost += c.next - 1 - expected
                expected = c.next
                if ack != NULL:
                    store_release(ack, c.next)
                if slow_every and good % slow_every == 0:
                    spin(slow)
            else:
                bad += 1
        lost += c.next - expected
    return {"good": good, "bad": bad, "lost": c.lost, "between": lost, "times_lost": times_lost,
            "empty": empty, "late": late}


# -- the dirty set

cdef inline void mark_if_clear(const Dirty* d, size_t source, size_t symbol) noexcept nogil:
    """Broken: what seems set is not set again."""
    cdef uint64_t* leaf = dirty_leaf(d, source) + (symbol >> 6)
    cdef uint64_t* summary = dirty_summary(d, source) + (symbol >> 12)
    cdef uint64_t leaf_bit = <uint64_t>1 << (symbol & 63)
    cdef uint64_t summary_bit = <uint64_t>1 << ((symbol >> 6) & 63)
    if not load_seq_cst(leaf) & leaf_bit:
        fetch_or(leaf, leaf_bit)
    if not load_seq_cst(summary) & summary_bit:
        fetch_or(summary, summary_bit)


cdef inline int park_slowly(const Dirty* d, uint64_t pause, bint look_again) noexcept nogil:
    """dirty_park for ever, with a pause before `sleeping`; without the second look it is broken."""
    cdef uint32_t seen = load32_seq_cst(&d.lines.wake)
    spin(pause)
    store32_seq_cst(&d.lines.sleeping, 1)
    if look_again and dirty_any(d):
        store32_seq_cst(&d.lines.sleeping, 0)
        return PARK_WORK
    futex_wait(&d.lines.wake, seen, -1)
    store32_seq_cst(&d.lines.sleeping, 0)
    return PARK_WOKEN


# The 16 slots of a source lie two by two in words of the bitmap that are far apart, so that both
# of its levels, and what a take puts back for want of room, are fought over.
cdef inline size_t symbol_of(size_t slot) noexcept nogil:
    return slot // 2 * 1000 + slot % 2


cdef inline size_t slot_of(size_t symbol) noexcept nogil:
    return symbol // 1000 * 2 + symbol % 1000


SYMBOLS = 8192                  # capacity that holds them


def feed_and_wait(Quotes quotes not None, DirtySet dirty not None, Board board not None,
                  size_t source, uint64_t seed, *, uint64_t max_delay, double patience_s):
    """Be a feed: store rising numbers, mark, wake; wait until the engine side saw them.

    A round is one to four updates on any of 16 slots and one wake; most rounds wait for their
    observation and then for up to max_delay spins, so that the next mark falls anywhere into
    the other side's way to its sleep. Ends when the board says done, or when a number was not
    observed for patience_s. Returns (updates, that number or 0, whether the other side then
    slept although a bit was set).
    """
    cdef uint64_t number = 0
    cdef uint64_t lost = 0
    cdef int64_t patience_ns = <int64_t>(patience_s * 1e9)
    cdef uint64_t state = seed * 2 + 1
    cdef uint64_t last[MAX_SLOTS]
    cdef uint64_t n, _i
    cdef size_t slot
    cdef bint asleep = False
    cdef Quote q
    memset(last, 0, sizeof(last))
    with nogil:
        while not lost and load_acquire(word(board.words, WORD_DONE)) == 0:
            n = 1 + (random_next(&state) >> 20) % 4
            for _i in range(n):
                slot = (random_next(&state) >> 20) % MAX_SLOTS
                number += 1
                quote_of(&q, number)
                quote_write(quote_slot(&quotes.table, source, symbol_of(slot)), &q)
                dirty_mark(&dirty.dirty, source, symbol_of(slot))
                last[slot] = number
            dirty_wake(&dirty.dirty)
            if (random_next(&state) >> 20) % 8 == 0:
                continue        # now and then the next round follows at once
            lost = await_acks(board.words, source, last, patience_ns)
            spin((random_next(&state) >> 20) % (max_delay + 1))
        if not lost:
            lost = await_acks(board.words, source, last, patience_ns)
        asleep = load32_seq_cst(&dirty.dirty.lines.sleeping) and dirty_any(&dirty.dirty)
        store_release(word(board.words, WORD_FINISHED + source), 1)
        dirty_mark(&dirty.dirty, source, 0)
        dirty_wake(&dirty.dirty)
    return number, lost, bool(lost and asleep)


cdef uint64_t await_acks(uint64_t* board, size_t source, const uint64_t* last,
                         int64_t patience_ns) noexcept nogil:
    """0 once every slot's last number (or a newer one) was observed, else one that was not."""
    cdef size_t slot
    cdef uint64_t* ack
    cdef uint64_t waited = 0
    cdef int64_t end = 0
    for slot in range(MAX_SLOTS):
        ack = word(board, WORD_ACK + source * MAX_SLOTS + slot)
        while load_acquire(ack) < last[slot]:
            idle(&waited)
            if waited % 8192 == 0:
                if end == 0:
                    end = now_ns() + patience_ns
                elif now_ns() > end:
                    return last[slot]
    return 0


def take_and_sleep(Quotes quotes not None, DirtySet dirty not None, Board board not None,
                   size_t n_sources, uint64_t n_sleeps, *, bint slowly=False, uint64_t pause=0,
                   bint look_again=True):
    """Be the engine: take what is dirty, observe it, park without a time-out.

    Says done once the kernel has put it to sleep n_sleeps times; ends when every feed has
    finished. Returns a dict: parks, sleeps (those in which it gave up its core), looks (work
    found at the second look), observed, back (a number below one seen before), torn.
    """
    cdef uint32_t symbols[128]
    cdef uint64_t parks = 0
    cdef uint64_t looks = 0
    cdef uint64_t sleeps_before = n_switches()
    cdef uint64_t observed = 0
    cdef uint64_t back = 0
    cdef uint64_t torn = 0
    cdef size_t source, taken, n, i
    cdef uint64_t* ack
    cdef Quote q
    with nogil:
        while True:
            n = 0
            for source in range(n_sources):
                taken = dirty_take(&dirty.dirty, source, symbols, 128)
                n += taken
                for i in range(taken):
                    if quote_read(quote_slot(&quotes.table, source, symbols[i]),
                                  &q) == QUOTE_BUSY:
                        continue    # its writer is inside and will mark it
                    if q.recv_ns == 0:
                        continue
                    observed += 1
                    torn += not is_whole(&q)
                    ack = word(board.words,
                               WORD_ACK + source * MAX_SLOTS + slot_of(symbols[i]))
                    back += <uint64_t>q.recv_ns < load_relaxed(ack)
                    store_release(ack, <uint64_t>q.recv_ns)
            if n:
                continue
            if all_finished(board.words, n_sources):
                break
            if slowly:
                n = park_slowly(&dirty.dirty, pause, look_again)
            else:
                n = dirty_park(&dirty.dirty, -1)
            if n == PARK_WORK:
                looks += 1
                continue
            parks += 1
            if parks % 256 == 0 and n_switches() - sleeps_before >= n_sleeps:
                store_release(word(board.words, WORD_DONE), 1)
    return {"parks": parks, "sleeps": n_switches() - sleeps_before, "looks": looks,
            "observed": observed, "back": back, "torn": torn}


cdef uint64_t n_switches() noexcept nogil:
    """How often this process gave up its core of its own accord."""
    cdef rusage usage
    getrusage(RUSAGE_SELF, &usage)
    return <uint64_t>usage.ru_nvcsw


cdef bint all_finished(uint64_t* board, size_t n_sources) noexcept nogil:
    cdef size_t source
    for source in range(n_sources):
        if load_acquire(word(board, WORD_FINISHED + source)) == 0:
            return False
    return True


def feed_in_bursts(Quotes quotes not None, DirtySet dirty not None, Board board not None,
                   uint64_t n_rounds, *, bint skip_if_set, double for_s):
    """Be a feed whose every burst must be observed by a take that starts after it.

    One to four updates of slot 0 in a row; then, once two takes have ended that were not over
    before, the last number must have been observed: no clock is asked whether it is lost.
    Ends at the first lost number, after n_rounds, or after for_s. Returns (rounds, lost).
    """
    cdef uint64_t number = 0
    cdef uint64_t state = 88172645463325252
    cdef uint64_t rounds = 0
    cdef uint64_t lost = 0
    cdef uint64_t fence = 0
    cdef uint64_t waited = 0
    cdef uint64_t n, _i, seen_round
    cdef int64_t end = now_ns() + <int64_t>(for_s * 1e9)
    cdef uint64_t* ack = word(board.words, WORD_ACK)
    cdef QuoteSlot* slot = quote_slot(&quotes.table, 0, 0)
    cdef Quote q
    with nogil:
        while rounds < n_rounds and not lost:
            rounds += 1
            n = 1 + (random_next(&state) >> 20) % 4
            for _i in range(n):
                number += 1
                quote_of(&q, number)
                quote_write(slot, &q)
                if skip_if_set:
                    mark_if_clear(&dirty.dirty, 0, 0)
                else:
                    dirty_mark(&dirty.dirty, 0, 0)
                spin((random_next(&state) >> 20) % 16)
            swap(&fence, rounds)    # the last write is visible before the round is looked at
            seen_round = load_seq_cst(word(board.words, WORD_ROUND))
            while load_acquire(word(board.words, WORD_ROUND)) < seen_round + 2:
                idle(&waited)
            if load_acquire(ack) < number:
                lost = number
            if rounds & 0xFFF == 0 and now_ns() > end:
                break
        store_release(word(board.words, WORD_DONE), 1)
    return rounds, lost


def take_in_rounds(Quotes quotes not None, DirtySet dirty not None, Board board not None):
    """Be an engine that never sleeps: take, observe, count the round, until done."""
    cdef uint32_t symbols[64]
    cdef uint64_t rounds = 0
    cdef uint64_t waited = 0
    cdef size_t taken
    cdef Quote q
    with nogil:
        while load_acquire(word(board.words, WORD_DONE)) == 0:
            taken = dirty_take(&dirty.dirty, 0, symbols, 64)
            if taken and quote_read(quote_slot(&quotes.table, 0, 0), &q) != QUOTE_BUSY:
                store_release(word(board.words, WORD_ACK), <uint64_t>q.recv_ns)
            rounds += 1
            # seq_cst: the next take must not look before this round is seen to be over
            swap(word(board.words, WORD_ROUND), rounds)
            idle(&waited)
    return rounds


# -- one operation, killed at any of its instructions

cdef inline void offer_to_tracer() noexcept nogil:
    ptrace(PTRACE_TRACEME, 0, NULL, NULL)
    raise_(SIGSTOP)


def update_traced(Quotes quotes not None, DirtySet dirty not None, size_t source, size_t symbol,
                  double bid_px, double ask_px, double qty, int64_t recv_ns):
    """Under a tracer: stop, store a quote, mark it, wake, stop."""
    cdef Quote q = Quote(bid_px, ask_px, qty, qty, 0, recv_ns, 1)
    with nogil:
        offer_to_tracer()
        quote_write(quote_slot(&quotes.table, source, symbol), &q)
        dirty_mark(&dirty.dirty, source, symbol)
        dirty_wake(&dirty.dirty)
        raise_(SIGSTOP)


def push_traced(SignalRing ring not None, uint64_t number):
    """Under a tracer: stop, push the record of `number`, stop."""
    cdef Signal s
    with nogil:
        signal_of(&s, number)
        offer_to_tracer()
        ring_push(&ring.ring, &s)
        raise_(SIGSTOP)


def peek_is(SignalRing ring not None, uint64_t number):
    """Return True when the oldest record is the whole one of `number`, None when there is none."""
    cdef Signal s
    if ring_peek(&ring.ring, &s) == RING_EMPTY:
        return None
    return bool(signal_is(&s, number))


def publish_traced(Broadcast broadcast not None, uint64_t number):
    """Under a tracer: stop, publish the record of `number` and wake, stop."""
    cdef Told t
    with nogil:
        told_of(&t, number)
        offer_to_tracer()
        stream_publish(&broadcast.stream, &t)
        stream_wake(&broadcast.stream)
        raise_(SIGSTOP)


def read_is(Broadcast broadcast not None, uint64_t at, uint64_t number, uint32_t generation):
    """Return what a reader finds at record `at`: True, the whole record of `number`; False, it is
    lost; None, it is not there yet. RuntimeError for anything else."""
    cdef Cursor c = Cursor(at, 0)
    cdef Told t
    cdef int rc = stream_read(&broadcast.stream, &c, &t)
    if rc == STREAM_EMPTY:
        return None
    if rc == STREAM_LOST:
        return False
    if not told_is(&t, number, generation):
        raise RuntimeError(f"record {at}: torn, expected that of {number}")
    return True


def track_traced(OpenTracks tracks not None, size_t slot, track not None):
    """Under a tracer: stop, write an OpenTuple into a slot, stop."""
    cdef OpenTrack t
    open_from(&t, track)
    with nogil:
        offer_to_tracer()
        open_write(tracks.slots.slots + slot, &t)
        raise_(SIGSTOP)


def turn_traced(Engine engine not None, int64_t now):
    """Under a tracer: stop, do one turn of the engine, stop."""
    with nogil:
        offer_to_tracer()
        engine_turn(&engine.core, now)
        raise_(SIGSTOP)


def step(int pid, size_t n_steps):
    """Let a traced child, stopped at its start, do up to n_steps instructions.

    Returns how many it did: fewer than n_steps when it came to its end. OSError where the
    kernel does not let us trace.
    """
    cdef int status = 0
    cdef size_t done = 0
    cdef bint stopped
    with nogil:
        waitpid(pid, &status, WUNTRACED)    # a child that may not be traced stops all the same
        stopped = WIFSTOPPED(status)
        while stopped and done < n_steps:
            if ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == -1:
                stopped = False
                break
            waitpid(pid, &status, 0)
            if not WIFSTOPPED(status):
                stopped = False
                break
            if WSTOPSIG(status) == SIGSTOP:
                break
            done += 1
    if not stopped:
        raise OSError(f"pid {pid}: not traceable, expected a stopped child")
    return done
