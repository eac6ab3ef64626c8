# One byte per edge: the life of a signal.
#
#   FREE -> SIGNALLED   engine, before it pushes the record
#   SIGNALLED -> TRACKED  tracker, once the OPEN row is written
#   TRACKED -> FREE     tracker, after the CLOSE row: converged, lost, delisted
#   TRACKED -> REARM    tracker, after the CLOSE row: expired, halted
#   REARM -> FREE       engine, once net falls below converge_bps; tracker, once a leg is delisted
#
# Each arrow is one compare-and-swap, so no state is ever skipped over by two sides at once.
from libc.stdint cimport uint8_t, uint32_t

from spreadcore.atomics cimport cas8, load8_acquire
from spreadcore.region cimport Region

cdef enum:
    ACTIVE_FREE = 0
    ACTIVE_SIGNALLED = 1
    ACTIVE_TRACKED = 2
    ACTIVE_REARM = 3

cdef struct Active:
    uint8_t* bytes              # by edge
    uint32_t n_edges

cdef inline uint8_t* active_byte(const Active* a, size_t edge) noexcept nogil:
    return a.bytes + edge

cdef class ActiveTable:
    cdef:
        readonly Region region
        Active active
