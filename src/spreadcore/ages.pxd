# Ages of quotes in records and slots: whole ms in 32 bits, of which the highest says that there is
# none.
from libc.stdint cimport int64_t, uint32_t

cdef enum:
    NO_AGE = 0xFFFFFFFF

cdef inline uint32_t age_in(int64_t age_ms) noexcept nogil:
    return <uint32_t>min(age_ms, <int64_t>NO_AGE - 1) if age_ms >= 0 else <uint32_t>NO_AGE

cdef inline int64_t age_out(uint32_t age_ms) noexcept nogil:
    return -1 if age_ms == <uint32_t>NO_AGE else <int64_t>age_ms
