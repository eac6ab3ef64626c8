# Words that an operator writes and every process looks at: pause, kill, reload generation, stop.
#
# Bits of the kill word: THROWN from the first instant on, TOLD once moment and reason stand beside
# it. Whoever sets THROWN writes these two, so they have one writer; one who dies in between leaves
# a switch that is thrown without a reason.
from libc.stdint cimport uint64_t

from spreadcore.atomics cimport load_acquire
from spreadcore.layout cimport ControlWords
from spreadcore.region cimport Region

cdef enum:
    KILL_THROWN = 1
    KILL_TOLD = 2

cdef inline bint is_killed(const ControlWords* words) noexcept nogil:
    return load_acquire(&words.kill) != 0

cdef class Control:
    cdef:
        readonly Region region
        ControlWords* words

    cdef _put_reason(self, str reason)
