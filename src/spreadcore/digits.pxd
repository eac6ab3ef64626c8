# Numbers as text and back, for rows of data files. Every put_* writes at `at`, without a NUL, and
# returns the place after it; NaN writes nothing. No call writes more than PUT_MAX bytes.
from libc.stdint cimport int64_t, uint64_t

cdef enum:
    PUT_MAX = 32

# as repr() spells it: the shortest text that reads back as the same double
cdef char* put_double(char* at, double x) except NULL
# so many decimals, at most 9; above 1e9 as put_double
cdef char* put_fixed(char* at, double x, int decimals) except NULL
cdef char* put_uint(char* at, uint64_t n) noexcept nogil

# The double of a field that ends before `end`; NaN where it is empty. -1 where it is no number.
cdef int take_double(const char* at, const char* end, double* x) except? -2
# Unix ns of 2026-11-20T12:00:00.123456Z, 27 bytes, before 2200; -1 where it is no such time
cdef int64_t take_time(const char* at) noexcept nogil
