"""The active table as a Python object: read a state, or move it along one allowed arrow."""
cimport cython
from spreadcore.layout import ACTIVE_STATES
from spreadcore.errors import CoreError, TableFull

FREE, SIGNALLED, TRACKED, REARM = range(4)


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class ActiveTable:
    """States of a mapped `active` section, one byte per edge."""

    def __cinit__(self, Region region not None):
        if region.section != "active":
            raise CoreError(f"active table: section {region.section!r}, expected 'active'")
        self.active.bytes = <uint8_t*>region.body()
        self.active.n_edges = region.header().n_edges
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    def state(self, size_t edge):
        """Return FREE, SIGNALLED, TRACKED or REARM."""
        self._check(edge)
        return load8_acquire(active_byte(&self.active, edge))

    def move(self, size_t edge, int old, int new):
        """Change old to new; False when the state was another. No other check of the arrow."""
        self._check(edge)
        if not self.region.writable:
            raise CoreError(f"{self.region.path}: mapped read-only, expected a writable mapping")
        for value in (old, new):
            if not 0 <= value < len(ACTIVE_STATES):
                raise CoreError(f"active state: {value}, expected 0 to {len(ACTIVE_STATES) - 1}")
        return bool(cas8(active_byte(&self.active, edge), old, new))

    def not_free(self):
        """Return [(edge, state)] of every byte that is not FREE."""
        cdef size_t edge
        cdef uint8_t state
        found = []
        for edge in range(self.active.n_edges):
            state = load8_acquire(active_byte(&self.active, edge))
            if state != ACTIVE_FREE:
                found.append((edge, state))
        return found

    def _check(self, size_t edge):
        if edge >= self.active.n_edges:
            raise TableFull(f"active byte: edge {edge}, expected below {self.active.n_edges}")
