"""The active table as a Python object: read a state, or move it along one allowed arrow."""
cimport cython
from spreadcore.layout import ACTIVE_STATES
from spreadcore.errors import CoreError, TableFull

FREE, SIGNALLED, TRACKED, REARM = range(4)


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class ActiveTable:
    """States of a mapped `active` section, one byte per (direction, symbol)."""

    def __cinit__(self, Region region not None):
        if region.section != "active":
            raise CoreError(f"active table: section {region.section!r}, expected 'active'")
        self.active.bytes = <uint8_t*>region.body()
        self.active.n_directions = region.header().n_directions
        self.active.n_symbols = region.header().n_symbols
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    def edge(self, size_t direction, size_t symbol):
        """Return the index of the byte, by which streams and open tracks name the pair."""
        self._check(direction, symbol)
        return active_edge(&self.active, direction, symbol)

    def pair(self, size_t edge):
        """Return the (direction, symbol) of an edge."""
        self._check(edge // self.active.n_symbols, 0)
        return edge // self.active.n_symbols, edge % self.active.n_symbols

    def state(self, size_t direction, size_t symbol):
        """Return FREE, SIGNALLED, TRACKED or REARM."""
        self._check(direction, symbol)
        return load8_acquire(active_byte(&self.active, direction, symbol))

    def move(self, size_t direction, size_t symbol, int old, int new):
        """Change old to new; False when the state was another. No other check of the arrow."""
        self._check(direction, symbol)
        if not self.region.writable:
            raise CoreError(f"{self.region.path}: mapped read-only, expected a writable mapping")
        for value in (old, new):
            if not 0 <= value < len(ACTIVE_STATES):
                raise CoreError(f"active state: {value}, expected 0 to {len(ACTIVE_STATES) - 1}")
        return bool(cas8(active_byte(&self.active, direction, symbol), old, new))

    def not_free(self):
        """Return [(direction, symbol, state)] of every byte that is not FREE."""
        cdef size_t d, s
        cdef uint8_t state
        found = []
        for d in range(self.active.n_directions):
            for s in range(self.active.n_symbols):
                state = load8_acquire(active_byte(&self.active, d, s))
                if state != ACTIVE_FREE:
                    found.append((d, s, state))
        return found

    def _check(self, size_t direction, size_t symbol):
        if direction >= self.active.n_directions or symbol >= self.active.n_symbols:
            raise TableFull(
                f"active byte: direction {direction}, symbol {symbol}, expected below "
                f"{self.active.n_directions} and {self.active.n_symbols}")
