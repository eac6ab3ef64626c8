"""Room for the engine's confirmations: how long each spread has held. Private to its process."""
from libc.stdlib cimport free, malloc

from spreadcore.errors import CoreError


cdef class Confirmation:
    """Times of n_directions x n_symbols pairs, none held; a spread must hold for wait_ns."""

    def __cinit__(self, size_t n_directions, size_t n_symbols, int64_t wait_ns):
        cdef size_t n = n_directions * n_symbols
        cdef size_t pair
        if not 0 < n < NO_PAIR or wait_ns < 0:
            raise CoreError(
                f"confirmation: {n_directions} directions, {n_symbols} symbols, {wait_ns} ns, "
                f"expected 1 to {NO_PAIR - 1} pairs and 0 ns or more")
        self.confirm.held = <Held*>malloc(n * sizeof(Held))
        if not self.confirm.held:
            raise MemoryError
        for pair in range(n):
            self.confirm.held[pair] = Held(NOT_HELD, <uint32_t>pair, <uint32_t>pair)
        self.confirm.wait_ns, self.confirm.n_symbols = wait_ns, <uint32_t>n_symbols
        self.confirm.first = self.confirm.last = NO_PAIR

    def __dealloc__(self):
        free(self.confirm.held)
