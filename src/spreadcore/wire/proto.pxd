# One pass over a protobuf message, bounded by its own length and by MAX_DEPTH bodies.
#
# Wire types 0, 1, 2 and 5; fields in any order; unknown ones are skipped. What is rare and what
# the reference would have to interpret (a wanted field twice, varints of ten bytes, text that is
# not ASCII) is left to it.
from spreadcore.wire.program cimport Captures, Program

cdef int proto_scan(const Program* x, const char* frame, size_t n, Captures* c) noexcept nogil
