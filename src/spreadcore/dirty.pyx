"""A set of marks as a Python object: mark, take, wake, park. One is of the quotes that changed.

Feeds mark through intake.pyx and the engine takes through the C functions of dirty.pxd (whose
head comment is the argument for correctness). This face serves the tracker, tests and tools.
"""
cimport cython
from spreadcore.layout cimport leaf_words, padded_words, summary_words
from spreadcore.errors import CoreError, TableFull
from spreadcore.layout import MARKED


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class DirtySet:
    """Bitmaps and wake word of a section of layout.MARKED; marking needs a writable mapping.

    One process takes; any may mark.
    """

    def __cinit__(self, Region region not None):
        if region.section not in MARKED:
            raise CoreError(
                f"dirty set: section {region.section!r}, expected one of {', '.join(MARKED)}")
        cdef size_t n_symbols = region.header().n_symbols
        cdef char* body = region.body()
        cdef Dirty* d = &self.dirty
        d.n_sources = region.header().n_sources
        d.n_symbols = n_symbols
        d.n_summary = summary_words(n_symbols)
        d.summary_stride = padded_words(summary_words(n_symbols))
        d.leaf_stride = padded_words(leaf_words(n_symbols))
        d.lines = <WakeLines*>body
        d.summaries = body + sizeof(WakeLines)
        d.leaves = d.summaries + d.n_sources * d.summary_stride
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    def mark(self, size_t source, size_t symbol):
        """Say that the slot changed; store the slot before. Does not wake."""
        self._check(source, symbol)
        dirty_mark(&self.dirty, source, symbol)

    def wake(self):
        """Wake the engine if it is parked; True when it was."""
        self._check(0, 0)
        return bool(dirty_wake(&self.dirty))

    def take(self, size_t source):
        """Return the dirty symbols of a source, ascending, and clear them."""
        self._check(source, 0)
        cdef uint32_t out[1024]
        taken = []
        cdef size_t n, i
        while True:
            n = dirty_take(&self.dirty, source, out, 1024)
            if n == 0:
                return taken
            for i in range(n):
                taken.append(out[i])

    def pending(self):
        """Return True while any symbol of any source is dirty."""
        return bool(dirty_any(&self.dirty))

    def park(self, int64_t timeout_ns):
        """Sleep until woken: 'work', 'woken', 'timeout' or 'timeout_with_work'; -1 = for ever."""
        self._check(0, 0)
        cdef int rc
        with nogil:
            rc = dirty_park(&self.dirty, timeout_ns)
        return ("work", "woken", "timeout", "timeout_with_work")[rc]

    def _check(self, size_t source, size_t symbol):
        if not self.region.writable:
            raise CoreError(f"{self.region.path}: mapped read-only, expected a writable mapping")
        if source >= self.dirty.n_sources or symbol >= self.dirty.n_symbols:
            raise TableFull(
                f"dirty bit: source {source}, symbol {symbol}, expected below "
                f"{self.dirty.n_sources} and {self.dirty.n_symbols}")
