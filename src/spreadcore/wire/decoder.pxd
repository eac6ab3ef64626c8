# BookSchema -> compiled decoder: a frame in, its quotes out, or a reason why the reference decoder
# (spreadscan.venues.reference) has to look. Whatever this one accepts, that one gives the same of.
from libc.stdint cimport uint32_t

from spreadcore.fields cimport Fields
from spreadcore.wire.program cimport Condition, LookUp, Program
from spreadcore.wire.shape cimport Shapes

cdef struct Item:               # one quote: points into the frame
    const char* symbol          # prefix cut
    uint32_t symbol_n
    uint32_t looked_up
    bint odd_time               # its time is no Unix ms: scaled, or not known
    Fields fields

cdef int decode(const Program* x, Shapes* shapes, const char* frame, size_t n, Item* items,
                LookUp look_up, void* context) noexcept nogil

cdef class FrameDecoder:
    cdef:
        Program program
        Shapes* shapes          # NULL: the general scanner alone
        list _texts             # that the program points into
        readonly str declined
        readonly size_t odd_times

    cdef int _set_condition(self, Condition* to, match, dict refs) except -1
    cdef int _leave_to_shapes(self, Condition* m) except -1
    cdef const char* _keep(self, bytes text) except NULL
