# What a feed's sockets receive, copied for a recording: parts of fixed size, filled one after the
# other by the loop's thread and taken by a writer's. Both hold the GIL here, so there is no lock.
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef enum:
    MAX_PARTS = 64

cdef struct Record:             # before each payload, nothing in between
    int64_t recv_ns
    uint32_t link
    uint32_t size               # payload bytes << 4 | opcode

cdef struct Part:
    char* data
    size_t used
    uint32_t n
    int64_t first_ns
    int64_t last_ns
    uint64_t first_number
    uint64_t dropped            # frames before this part that found no room

cdef class Tape:
    cdef:
        Part parts[MAX_PARTS]
        size_t n_parts
        size_t part_bytes
        size_t filling          # index of the part that grows
        size_t oldest           # index of the part to take next
        size_t n_full           # parts from `oldest` on that do not grow any more
        bint taken              # the oldest is with the writer
        int64_t last_ns         # of any record: time never falls on a tape
        uint64_t number         # of the next frame
        uint64_t lost           # frames since the last record
        readonly uint64_t dropped

    cdef int put(self, int64_t recv_ns, uint32_t link, uint32_t opcode, const char* payload,
                 size_t n) noexcept
    cdef bint _next_part(self) noexcept

cdef Py_ssize_t records_end(const char* data, size_t n_bytes, size_t n_records) noexcept nogil
