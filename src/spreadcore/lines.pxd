# Private memory that begins at a cache line, so that what is made to fit one lies in one.
from libc.stddef cimport size_t
from libc.string cimport memset

cdef extern from "<stdlib.h>" nogil:
    void* aligned_alloc(size_t alignment, size_t n) noexcept

cdef enum:
    LINE_BYTES = 64

# n zeroed bytes, for free(); NULL where there are none
cdef inline void* new_lines(size_t n) noexcept nogil:
    cdef size_t whole = (n + LINE_BYTES - 1) // LINE_BYTES * LINE_BYTES
    cdef void* p = aligned_alloc(LINE_BYTES, whole)
    if p != NULL:
        memset(p, 0, whole)
    return p
