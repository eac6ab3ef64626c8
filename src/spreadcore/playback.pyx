"""Play recorded blocks through decoder, gate and engine without Python, until it is needed.

run() says why it stopped; Python does what is its own (control messages, links, rows, blocks) and
calls it again. Reads no clock: the time is that of the record, or one that Python gives.
"""
from libc.string cimport memcpy, memset

from spreadcore.atomics cimport load_relaxed, store_release
from spreadcore.confirm cimport confirm_alarm_ns
from spreadcore.engine cimport engine_turn
from spreadcore.frames cimport frame_take
from spreadcore.intake cimport SourceIntake, intake_flush
from spreadcore.quotes cimport Quotes
from spreadcore.wire.decoder cimport FrameDecoder

from spreadcore.errors import CoreError

OVER, BLOCK, HELD, TICK, SIGNAL, MESSAGE, EVENT = range(7)
STOPS = ("over", "block", "held", "tick", "signal", "message", "event")

cdef enum:                      # in the order of STOPS
    S_OVER, S_BLOCK, S_HELD, S_TICK, S_SIGNAL, S_MESSAGE, S_EVENT
    GO_ON = -1

cdef enum:
    TEXT = 1
    BINARY = 2

cdef int64_t NEVER = 0x7FFFFFFFFFFFFFFF


cdef void turn(Playback p, int64_t now_ns) noexcept nogil:
    cdef size_t i
    cdef Reel* r
    for i in range(p.n_sources):
        r = p.reels + i
        if r.lives_ns:
            store_release(&r.health.beat_ns, now_ns if now_ns < r.lives_ns else r.lives_ns)
    p.clock_ns = now_ns
    p.engine.n_noted = 0
    engine_turn(p.engine, now_ns)


cdef inline bint has_signal(const EngineCore* e) noexcept nogil:
    return load_relaxed(&e.ring.lines.head) != load_relaxed(&e.ring.lines.tail)


cdef inline void open_record(Reel* r) noexcept nogil:
    if r.at < r.size:
        memcpy(&r.record, r.data + r.at, sizeof(Record))


cdef inline void advance(Reel* r) noexcept nogil:
    r.at += sizeof(Record) + (r.record.size >> 4)
    r.frames += 1
    open_record(r)


cdef int next_reel(Playback p) noexcept nogil:
    """Make the reel with the oldest record the current one; GO_ON, or why there is none."""
    cdef size_t i
    cdef Reel* r
    cdef int64_t oldest = NEVER
    cdef bint found = False
    for i in range(p.n_sources):
        r = p.reels + i
        if not r.known:
            continue
        if r.at < r.size:
            if not found or r.record.recv_ns < oldest:
                p.current, oldest, found = i, r.record.recv_ns, True
        elif not r.over:
            p.current = i
            return S_BLOCK
    return GO_ON if found else S_OVER


cdef int64_t ends_ns(Playback p) noexcept nogil:
    """Where the last feed ended, once no record is left."""
    cdef size_t i
    cdef int64_t last = p.clock_ns
    for i in range(p.n_sources):
        if p.reels[i].lives_ns > last:
            last = p.reels[i].lives_ns
    return last


cdef int play(Playback p, int64_t tick_ns) noexcept nogil:
    cdef Reel* r
    cdef int stop, opcode
    cdef int64_t alarm_ns, next_ns
    while True:
        stop = next_reel(p)
        if stop == S_BLOCK:
            return stop
        r = p.reels + p.current
        next_ns = ends_ns(p) if stop == S_OVER else r.record.recv_ns
        alarm_ns = confirm_alarm_ns(p.engine.confirm) if p.engine.confirm != NULL else NEVER
        if alarm_ns <= next_ns and alarm_ns < tick_ns:
            turn(p, alarm_ns if alarm_ns > p.clock_ns else p.clock_ns)
            if has_signal(p.engine):
                return S_SIGNAL
            continue
        if tick_ns <= next_ns:
            return S_TICK
        if stop == S_OVER:
            if next_ns == p.clock_ns:
                return stop
            turn(p, next_ns)
            if has_signal(p.engine):
                return S_SIGNAL
            continue
        if r.held:
            return S_HELD
        opcode = r.record.size & 15
        if opcode != TEXT and opcode != BINARY:
            return S_EVENT
        r.frame.link = r.record.link
        if frame_take(&r.frame, r.data + r.at + sizeof(Record), r.record.size >> 4,
                      r.record.recv_ns) < 0:
            return S_MESSAGE
        intake_flush(r.frame.intake, r.record.recv_ns)
        turn(p, r.record.recv_ns)
        advance(r)
        if has_signal(p.engine):
            return S_SIGNAL


cdef class Playback:
    """Plays sources into one engine; whatever the engine has mapped is written."""

    def __cinit__(self, Engine engine not None):
        memset(self.reels, 0, sizeof(self.reels))
        self._engine, self.engine = engine, &engine.core
        self.n_sources = engine.core.quotes.n_sources
        self._owned = {}

    def add(self, SourceIntake feed not None, FrameDecoder decoder not None):
        """Play a source too, by its gate (of the engine's own table) and its venue's decoder."""
        (<Quotes>self._engine._owned[0]).region.check_same(feed._quotes)
        cdef Reel* r = self.reels + feed.source_id
        r.frame.intake = &feed.intake
        r.frame.program = &decoder.program
        r.frame.shapes = decoder.shapes
        r.health = feed.intake.health
        r.known = True
        self._owned[feed.source_id] = [feed, decoder, b""]

    def load(self, size_t source, bytes data not None, bint held=False):
        """Give a source its next block: whole records, times rising over all of its blocks.

        held: run() stops once more right before the first record, for release().
        """
        cdef Reel* r = self._reel(source)
        if r.at < r.size:
            raise CoreError(f"source {source}: {r.size - r.at} bytes not played, expected none")
        self._owned[source][2] = data
        r.data, r.size, r.at, r.held = data, len(data), 0, held
        open_record(r)

    def end(self, size_t source, int64_t lived_ns):
        """Say that no block of a source follows, and until when its feed lived."""
        self._reel(source).over = True
        self.lives_until(source, lived_ns)

    def lives_until(self, size_t source, int64_t lived_ns):
        """Let a source give no heartbeats after that until release(): its feed was not running."""
        cdef Reel* r = self._reel(source)
        r.lives_ns = lived_ns if lived_ns > 0 else 0

    def release(self, size_t source):
        """Go on after "held"; from now on the source gives heartbeats."""
        cdef Reel* r = self._reel(source)
        r.held, r.lives_ns = False, NEVER

    def run(self, tick_ns=None):
        """Play on; return why it stopped, an index into STOPS.

        OVER: all sources ended, and their feeds. BLOCK: `source` needs a block, or its end. HELD:
        as load() was asked. TICK: the next record is not before tick_ns, and nothing before it is
        left to do. SIGNAL: the ring has a record. MESSAGE, EVENT: record() is Python's, then
        finish().
        """
        cdef int64_t until = NEVER if tick_ns is None else tick_ns
        cdef int stop
        with nogil:
            stop = play(self, until)
        return stop

    def record(self):
        """Return (recv_ns, link, opcode, payload) of the record that run() stopped at."""
        cdef Reel* r = self.reels + self.current
        if r.at >= r.size:
            raise CoreError("playback: no record, expected one that run() stopped at")
        start = r.data + r.at + sizeof(Record)
        return r.record.recv_ns, r.record.link, r.record.size & 15, start[:r.record.size >> 4]

    def finish(self):
        """Go past the record that Python took, with its flush and its turn; True: a signal."""
        cdef Reel* r = self.reels + self.current
        if r.at >= r.size:
            raise CoreError("playback: no record, expected one that run() stopped at")
        intake_flush(r.frame.intake, r.record.recv_ns)
        turn(self, r.record.recv_ns)
        advance(r)
        return has_signal(self.engine)

    def turn(self, int64_t now_ns):
        """Give heartbeats and take an engine turn as of now_ns; True: the ring has a record."""
        turn(self, now_ns)
        return has_signal(self.engine)

    @property
    def source(self):
        """The source that run() stopped at."""
        return self.current

    @property
    def next_ns(self):
        """Receive time of the record that comes next; None where run() has to be called first."""
        if next_reel(self) != GO_ON:
            return None
        return self.reels[self.current].record.recv_ns

    @property
    def now_ns(self):
        """The time of the last turn, 0 before the first."""
        return self.clock_ns

    def frames(self, size_t source):
        """Return the messages and events of a source so far."""
        return self._reel(source).frames

    cdef Reel* _reel(self, size_t source) except NULL:
        if source >= self.n_sources or not self.reels[source].known:
            raise CoreError(f"source {source}: not added, expected one of {sorted(self._owned)}")
        return self.reels + source
