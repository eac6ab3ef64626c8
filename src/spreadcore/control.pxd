# Words that an operator writes and every process looks at: pause, kill, reload generation, stop.
#
# Bits of the kill word: THROWN from the first instant on, TOLD once moment and reason stand beside
# it. Whoever sets THROWN writes these two, so they have one writer; one who dies in between leaves
# a switch that is thrown without a reason.
#
# A pause is a time until which no signal leaves, by CLOCK_BOOTTIME: of everything beside the pause
# word, of a source, a class or an edge in the `pauses` section. Each is one word, so a change of it
# is whole; the pause word is set after its time and cleared before it.
from libc.stdint cimport int64_t, uint64_t

from spreadcore.atomics cimport load_acquire
from spreadcore.layout cimport N_CLASSES, ControlWords
from spreadcore.region cimport Region

cdef enum:
    KILL_THROWN = 1
    KILL_TOLD = 2

cdef inline bint is_killed(const ControlWords* words) noexcept nogil:
    return load_acquire(&words.kill) != 0

cdef inline int64_t time_of(const int64_t* word) noexcept nogil:
    return <int64_t>load_acquire(<const uint64_t*>word)

cdef inline bint is_paused(const ControlWords* words, int64_t now_ns) noexcept nogil:
    cdef int64_t until_ns
    if not load_acquire(&words.pause):
        return False
    until_ns = time_of(&words.pause_until_ns)
    return until_ns == 0 or now_ns < until_ns

cdef struct Pauses:             # sources NULL: nobody pauses any
    int64_t* sources            # by id
    int64_t* classes            # by id, N_CLASSES of them
    int64_t* edges              # by number

# Whether nothing may leave on an edge: killed, or paused as a whole or in what it is made of.
# rate_source: of what converts a leg, that of a leg where nothing does. A call, so that the loop of
# the engine does not make room for it: only spreads that hold otherwise come here.
cdef bint is_off(const ControlWords* words, const Pauses* p, size_t buy_source,
                 size_t sell_source, size_t rate_source, size_t class_id, size_t edge,
                 int64_t now_ns) noexcept nogil

cdef class Control:
    cdef:
        readonly Region region
        ControlWords* words

    cdef _put_reason(self, str reason)

cdef class PauseTable:
    cdef:
        readonly Region region
        Pauses pauses

    cdef int64_t* _word(self, str kind, size_t number) except NULL
