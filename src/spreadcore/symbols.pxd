# A venue's names of symbols -> symbol ids: open addressing over entries of half a cache line.
# Private memory of one feed; built once from the lists, read for every frame.
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    NAME_BYTES = 24             # longer names are not kept: their frames go to the reference
    NO_SYMBOL = 0xFFFFFFFF

cdef struct NameEntry:
    uint64_t words[3]           # the name, padded with zeros
    uint32_t n                  # 0: free
    uint32_t symbol             # NO_SYMBOL: the name is taken and means none

cdef struct Names:
    NameEntry* entries          # NULL before the first name
    uint64_t mask               # entries - 1; at most half of them are used
    uint64_t used

cdef inline uint64_t name_hash(const uint64_t* words) noexcept nogil:
    cdef uint64_t h = words[0] * 0x9E3779B97F4A7C15u
    h = (h ^ (h >> 32) ^ words[1]) * 0xC2B2AE3D27D4EB4Fu
    h = (h ^ (h >> 29) ^ words[2]) * 0x165667B19E3779F9u
    return h ^ (h >> 32)

# the entry of a name, or the free one where it would stand
cdef inline NameEntry* names_entry(const Names* x, const uint64_t* words,
                                   uint32_t n) noexcept nogil:
    cdef uint64_t i = name_hash(words) & x.mask
    cdef NameEntry* entry
    while True:
        entry = x.entries + i
        if entry.n == 0 or (entry.words[0] == words[0] and entry.words[1] == words[1]
                            and entry.words[2] == words[2] and entry.n == n):
            return entry
        i = (i + 1) & x.mask

cdef inline uint32_t names_find(const Names* x, const char* name, size_t n) noexcept nogil:
    cdef uint64_t words[3]
    cdef NameEntry* entry
    if n > NAME_BYTES or n == 0 or x.entries == NULL:
        return NO_SYMBOL
    words[0] = words[1] = words[2] = 0
    memcpy(words, name, n)
    entry = names_entry(x, words, <uint32_t>n)
    return entry.symbol if entry.n else NO_SYMBOL

cdef int names_put(Names* x, const char* name, size_t n, uint32_t symbol) except -1
cdef void names_forget(Names* x, uint32_t symbol) noexcept
cdef void names_free(Names* x) noexcept
