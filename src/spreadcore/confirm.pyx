"""Room for the engine's confirmations: how long each spread has held. Private to its process."""
from libc.stdlib cimport free, malloc

from spreadcore.errors import CoreError


cdef class Confirmation:
    """Times of n edges, none held; a spread must hold for wait_ns."""

    def __cinit__(self, size_t n, int64_t wait_ns):
        cdef size_t edge
        if not 0 < n < NO_EDGE or wait_ns < 0:
            raise CoreError(
                f"confirmation: {n} edges, {wait_ns} ns, expected 1 to {NO_EDGE - 1} edges and 0 "
                "ns or more")
        self.confirm.held = <Held*>malloc(n * sizeof(Held))
        if not self.confirm.held:
            raise MemoryError
        for edge in range(n):
            self.confirm.held[edge] = Held(NOT_HELD, <uint32_t>edge, <uint32_t>edge)
        self.confirm.wait_ns = wait_ns
        self.confirm.first = self.confirm.last = NO_EDGE

    def __dealloc__(self):
        free(self.confirm.held)
