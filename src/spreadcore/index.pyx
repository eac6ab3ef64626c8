"""SourceSymbolIndex: which directions a changed quote takes part in.

Built once from the lists of discovery; the engine walks it without the GIL. Directions are
data (a pair of sources), so more of them are more rows here and no more code.
"""
from libc.stdlib cimport calloc, free

from spreadcore.layout cimport MAX_SOURCES, MAX_SYMBOLS
from spreadcore.errors import CoreError, TableFull


cdef class SourceSymbolIndex:
    """Map (source, symbol) to up to six direction ids."""

    def __cinit__(self, size_t n_sources, size_t n_symbols, directions):
        """directions: sequence of (direction_id, buy_source, sell_source)."""
        if not (1 <= n_sources <= MAX_SOURCES and 1 <= n_symbols <= MAX_SYMBOLS):
            raise TableFull(
                f"index: {n_sources} sources, {n_symbols} symbols, expected 1 to {MAX_SOURCES} "
                f"and 1 to {MAX_SYMBOLS}")
        self.index.entries = <IndexEntry*>calloc(n_sources * n_symbols, sizeof(IndexEntry))
        if self.index.entries == NULL:
            raise MemoryError
        self.index.n_sources = n_sources
        self.index.n_symbols = n_symbols
        cdef size_t d
        for d in range(256):
            self.index.buy_source[d] = 255
            self.index.sell_source[d] = 255
        for direction, buy, sell in directions:
            if not 0 <= direction < 255:
                raise TableFull(f"direction id: {direction}, expected 0 to 254")
            if not (0 <= buy < n_sources and 0 <= sell < n_sources and buy != sell):
                raise CoreError(
                    f"direction {direction}: sources {buy} and {sell}, expected two below "
                    f"{n_sources}")
            if self.index.buy_source[<size_t>direction] != 255:
                raise CoreError(f"direction {direction}: given twice, expected once")
            self.index.buy_source[direction] = buy
            self.index.sell_source[direction] = sell
            self.n_directions = max(self.n_directions, direction + 1)

    def __dealloc__(self):
        free(self.index.entries)

    def add(self, int direction, size_t symbol):
        """Let the direction compare this symbol; a pair already there is refused."""
        if not 0 <= direction < 255 or self.index.buy_source[direction] == 255:
            raise CoreError(f"direction {direction}: unknown, expected one given at creation")
        if symbol >= self.index.n_symbols:
            raise TableFull(f"symbol id: {symbol}, expected below {self.index.n_symbols}")
        cdef IndexEntry* buy = self._room(self.index.buy_source[direction], symbol, direction)
        cdef IndexEntry* sell = self._room(self.index.sell_source[direction], symbol, direction)
        _append(buy, direction)
        _append(sell, direction)
        self.n_pairs += 1

    cdef IndexEntry* _room(self, size_t source, size_t symbol, int direction) except NULL:
        """The entry of one side, once it is sure that the direction may be added there."""
        cdef IndexEntry* entry = self.index.entries + symbol * self.index.n_sources + source
        cdef int i
        for i in range(entry.n):
            if entry.directions[i] == direction:
                raise CoreError(
                    f"direction {direction}, symbol {symbol}: added twice, expected once")
        if entry.n == INDEX_ROOM:
            raise TableFull(
                f"source {source}, symbol {symbol}: more than {INDEX_ROOM} directions")
        return entry

    def directions_of(self, size_t source, size_t symbol):
        """Return the direction ids of a (source, symbol), in order of adding."""
        if source >= self.index.n_sources or symbol >= self.index.n_symbols:
            raise TableFull(
                f"index: source {source}, symbol {symbol}, expected below "
                f"{self.index.n_sources} and {self.index.n_symbols}")
        cdef const IndexEntry* entry = index_at(&self.index, source, symbol)
        return [entry.directions[i] for i in range(entry.n)]

    def sources_of(self, int direction):
        """Return (buy_source, sell_source) of a direction."""
        if not 0 <= direction < 255 or self.index.buy_source[direction] == 255:
            raise CoreError(f"direction {direction}: unknown, expected one given at creation")
        return self.index.buy_source[direction], self.index.sell_source[direction]


cdef void _append(IndexEntry* entry, int direction) noexcept:
    entry.directions[entry.n] = <uint8_t>direction
    entry.n += 1
