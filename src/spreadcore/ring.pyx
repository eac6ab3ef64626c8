"""The signal ring as a Python object: the engine pushes, the tracker peeks and advances.

One producer and one consumer at a time, each holding its lease. `produced == read + queued`
always; the consumer advances only after what it did with a record is safe.
"""
cimport cython
from typing import NamedTuple

from spreadcore.layout cimport ring_capacity
from spreadcore.errors import CoreError, RingFull, TableFull


class SignalTuple(NamedTuple):
    """One signal: prices per coin, sizes in coins, ns on CLOCK_BOOTTIME.

    recv_ns: of the younger quote. Ages: of each leg's quote at at_ns, whole ms. unproven: on a leg
    whose venue was asked whether it still stands, and did not answer in time.
    """

    sequence: int
    at_ns: int
    recv_ns: int
    buy_px: float
    sell_px: float
    buy_qty: float
    sell_qty: float
    edge: int
    buy_age_ms: int
    sell_age_ms: int
    unproven: bool = False


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class SignalRing:
    """Ring of a mapped `signals` section; `ring_id` names it in OPEN rows."""

    def __cinit__(self, Region region not None):
        if region.section != "signals":
            raise CoreError(f"ring: section {region.section!r}, expected 'signals'")
        cdef char* body = region.body()
        self.ring.lines = <RingLines*>body
        self.ring.records = <Signal*>(body + sizeof(RingLines))
        self.ring.mask = ring_capacity(region.header().n_edges) - 1
        self.ring.seen_head = load_acquire(&self.ring.lines.tail)
        self.ring.seen_tail = self.ring.seen_head
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    @property
    def capacity(self):
        return self.ring.mask + 1

    @property
    def ring_id(self):
        return self.region.ring_id

    @property
    def produced(self):
        """Records ever pushed (head)."""
        return load_acquire(&self.ring.lines.head)

    @property
    def read(self):
        """Records that the consumer is done with (tail)."""
        return load_acquire(&self.ring.lines.tail)

    @property
    def queued(self):
        """Records pushed and not yet advanced over."""
        cdef uint64_t tail = load_acquire(&self.ring.lines.tail)
        return load_acquire(&self.ring.lines.head) - tail

    def push(self, size_t edge, int64_t at_ns, int64_t buy_recv_ns,
             int64_t sell_recv_ns, double buy_px, double sell_px, double buy_qty, double sell_qty):
        """Append a record and return its sequence; RingFull without a live consumer."""
        self._check_writable()
        if edge >= self.region.n_edges:
            raise TableFull(f"signal: edge {edge}, expected below {self.region.n_edges}")
        cdef Signal s
        s.at_ns = at_ns
        signal_ages(&s, buy_recv_ns, sell_recv_ns)
        s.buy_px, s.sell_px, s.buy_qty, s.sell_qty = buy_px, sell_px, buy_qty, sell_qty
        s.edge = <uint32_t>edge
        if ring_push(&self.ring, &s) == RING_FULL:
            raise RingFull(
                f"{self.region.path}: {self.capacity} signals unread, expected a live consumer")
        return s.sequence

    def peek(self):
        """Return the oldest unread record as a SignalTuple, None when there is none."""
        cdef Signal s
        if ring_peek(&self.ring, &s) == RING_EMPTY:
            return None
        cdef int64_t younger_ms = max(s.at_ns - s.recv_ns, 0) // 1_000_000
        cdef bint sell_is_older = s.age & SELL_IS_OLDER
        cdef int64_t older_ms = s.age & AGE_MS
        return SignalTuple(
            s.sequence, s.at_ns, s.recv_ns, s.buy_px, s.sell_px, s.buy_qty, s.sell_qty,
            s.edge, younger_ms if sell_is_older else older_ms,
            older_ms if sell_is_older else younger_ms, bool(s.age & UNPROVEN_SIGNAL))

    def advance(self):
        """Let go of the record that peek() gave; CoreError when there is none."""
        self._check_writable()
        if self.queued == 0:
            raise CoreError(f"{self.region.path}: advance on an empty ring, expected a record")
        ring_advance(&self.ring)

    def _check_writable(self):
        if not self.region.writable:
            raise CoreError(f"{self.region.path}: mapped read-only, expected a writable mapping")

    def _start_at(self, uint64_t index):
        """Tests: begin at `index` (both ends), to walk over a wrap of 64 bits."""
        self._check_writable()
        store_release(&self.ring.lines.head, index)
        store_release(&self.ring.lines.tail, index)
        self.ring.seen_head = index
        self.ring.seen_tail = index
