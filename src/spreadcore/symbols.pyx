"""Names of symbols as a venue writes them, found without a Python object."""
from libc.stdlib cimport free

from spreadcore.lines cimport new_lines


cdef int grow(Names* x) except -1:
    """Double the entries and place every name anew."""
    cdef Names larger
    cdef NameEntry* to
    cdef uint64_t i, n = 2 * (x.mask + 1) if x.entries != NULL else 64
    larger.entries = <NameEntry*>new_lines(n * sizeof(NameEntry))
    if larger.entries == NULL:
        raise MemoryError
    larger.mask, larger.used = n - 1, x.used
    if x.entries != NULL:
        for i in range(x.mask + 1):
            if x.entries[i].n:
                to = names_entry(&larger, x.entries[i].words, x.entries[i].n)
                to[0] = x.entries[i]
    free(x.entries)
    x[0] = larger
    return 0


cdef int names_put(Names* x, const char* name, size_t n, uint32_t symbol) except -1:
    """Let a name mean a symbol; 0 where it is too long or empty, else 1."""
    cdef uint64_t words[3]
    cdef NameEntry* entry
    if n > NAME_BYTES or n == 0:
        return 0
    if x.entries == NULL or 2 * (x.used + 1) > x.mask + 1:
        grow(x)
    words[0] = words[1] = words[2] = 0
    memcpy(words, name, n)
    entry = names_entry(x, words, <uint32_t>n)
    x.used += entry.n == 0
    memcpy(entry.words, words, sizeof(words))
    entry.n, entry.symbol = <uint32_t>n, symbol
    return 1


cdef void names_forget(Names* x, uint32_t symbol) noexcept:
    """Let no name mean this symbol any more."""
    cdef uint64_t i
    if x.entries != NULL:
        for i in range(x.mask + 1):
            if x.entries[i].n and x.entries[i].symbol == symbol:
                x.entries[i].symbol = NO_SYMBOL


cdef void names_free(Names* x) noexcept:
    free(x.entries)
    x.entries = NULL
