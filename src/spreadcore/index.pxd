# (source, symbol) -> the directions it takes part in. Private memory of one process.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

cdef enum:
    INDEX_ROOM = 6              # directions of one (source, symbol)

cdef struct IndexEntry:         # 8 bytes
    uint8_t n
    uint8_t directions[INDEX_ROOM]
    uint8_t _reserved

cdef struct Index:
    IndexEntry* entries         # symbol * n_sources + source
    uint32_t n_sources
    uint32_t n_symbols
    uint8_t buy_source[256]     # by direction
    uint8_t sell_source[256]

cdef inline const IndexEntry* index_at(const Index* x, size_t source, size_t symbol) noexcept nogil:
    return x.entries + symbol * x.n_sources + source

# whether a direction given at creation compares the symbol
cdef inline bint index_has(const Index* x, size_t direction, size_t symbol) noexcept nogil:
    cdef const IndexEntry* entry = index_at(x, x.buy_source[direction], symbol)
    cdef int i
    for i in range(entry.n):
        if entry.directions[i] == direction:
            return True
    return False

cdef class SourceSymbolIndex:
    cdef:
        Index index
        readonly size_t n_directions
        readonly size_t n_pairs

    cdef IndexEntry* _room(self, size_t source, size_t symbol, int direction) except NULL
