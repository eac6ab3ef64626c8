"""The quote table as a Python object: checked writes and torn-free reads of single slots.

Feeds write through intake.pyx and the engine reads the C structs; this face serves tests,
the tracker and tools. Whole-table reading for notebooks is in table.py.
"""
cimport cython
from typing import NamedTuple

from spreadcore.atomics cimport load_acquire

from spreadcore.errors import CoreError, TableFull
from spreadcore.layout import QUOTE_FLAGS

if QUOTE_FLAGS != (
        ("link", 0, LINK_BITS.bit_length()), ("average", AVERAGE_PRICE.bit_length() - 1, 1),
        ("learnt", LIMIT_LEARNT.bit_length() - 1, 1),
        ("pause_10ms", PAUSE_AT, PAUSE_BITS.bit_length()), ("limit_ms", LIMIT_AT, 64 - LIMIT_AT)):
    raise ImportError("quotes: bits of the flags differ from layout.QUOTE_FLAGS")


class QuoteTuple(NamedTuple):
    """One quote: prices per coin, sizes in coins, NaN when empty; ns stamps, 0 when absent."""

    bid_px: float
    ask_px: float
    bid_qty: float
    ask_qty: float
    venue_ns: int
    recv_ns: int
    flags: int

    @property
    def link(self):
        """The number of the socket that it came by."""
        return self.flags & LINK_BITS

    @property
    def average(self):
        """Whether its prices are averages for its sizes; else they are those of the touch."""
        return bool(self.flags & AVERAGE_PRICE)

    @property
    def limit_s(self):
        """The age up to which it may be true, as learnt; 0 where nothing is learnt."""
        return (self.flags >> LIMIT_AT) / 1e3 if self.flags & LIMIT_LEARNT else 0.0

    @property
    def valid_ms(self):
        """The age up to which it may be true, as it says itself; 0: it says nothing."""
        return 0 if self.flags & LIMIT_LEARNT else self.flags >> LIMIT_AT

    @property
    def pause_s(self):
        """How long its pair is usually quiet at most; 0 where nothing is learnt."""
        return (self.flags >> PAUSE_AT & PAUSE_BITS) * PAUSE_UNIT_NS / 1e9


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class Quotes:
    """Quote slots of a mapped `quotes` section. One writer per source, any readers."""

    def __cinit__(self, Region region not None):
        if region.section != "quotes":
            raise CoreError(f"quotes: section {region.section!r}, expected 'quotes'")
        self.table.slots = <QuoteSlot*>region.body()
        self.table.n_sources = region.header().n_sources
        self.table.n_symbols = region.header().n_symbols
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    cdef QuoteSlot* slot(self, size_t source, size_t symbol) except NULL:
        if source >= self.table.n_sources or symbol >= self.table.n_symbols:
            raise TableFull(
                f"quote slot: source {source}, symbol {symbol}, expected below "
                f"{self.table.n_sources} and {self.table.n_symbols}")
        return quote_slot(&self.table, source, symbol)

    def write(self, size_t source, size_t symbol, double bid_px, double ask_px, double bid_qty,
              double ask_qty, int64_t venue_ns, int64_t recv_ns, uint64_t flags=0):
        """Store a quote. Only the one writer of `source` may call it."""
        cdef Quote q = Quote(bid_px, ask_px, bid_qty, ask_qty, venue_ns, recv_ns, flags)
        cdef QuoteSlot* slot = self.slot(source, symbol)
        self._check_writable()
        quote_write(slot, &q)

    def write_empty(self, size_t source, size_t symbol):
        """Store the empty quote: NaN and recv_ns 0."""
        cdef QuoteSlot* slot = self.slot(source, symbol)
        self._check_writable()
        quote_write_empty(slot, 0)

    def read(self, size_t source, size_t symbol):
        """Return a QuoteTuple, or None when a writer is inside (or died there)."""
        cdef Quote q
        if quote_read(self.slot(source, symbol), &q) == QUOTE_BUSY:
            return None
        return QuoteTuple(q.bid_px, q.ask_px, q.bid_qty, q.ask_qty, q.venue_ns, q.recv_ns,
                          q.flags)

    def sequence(self, size_t source, size_t symbol):
        """Return the raw sequence word: even = at rest; two more per write."""
        return load_acquire(&self.slot(source, symbol).seq)

    def survey(self, size_t source):
        """Return (slots of the source that hold a quote, newest recv_ns among them or 0)."""
        self.slot(source, 0)
        cdef Quote q
        cdef size_t symbol
        cdef size_t n = 0
        cdef int64_t newest = 0
        with nogil:
            for symbol in range(self.table.n_symbols):
                if quote_read(quote_slot(&self.table, source, symbol), &q) == QUOTE_BUSY:
                    continue
                if q.recv_ns != 0:
                    n += 1
                    if q.recv_ns > newest:
                        newest = q.recv_ns
        return n, newest

    def snapshot_into(self, unsigned char[::1] out not None):
        """Copy every slot torn-free into `out` (n_symbols * n_sources slots of 64 bytes).

        The word before each quote holds the even sequence that it was read under, or an odd
        one with an empty quote where a writer was inside at every look. Returns the number of
        such slots.
        """
        cdef size_t n = <size_t>self.table.n_sources * self.table.n_symbols
        if <size_t>out.shape[0] != n * sizeof(QuoteSlot):
            raise CoreError(
                f"snapshot: buffer of {out.shape[0]} bytes, expected {n * sizeof(QuoteSlot)}")
        cdef QuoteSlot* to = <QuoteSlot*>&out[0]
        cdef size_t i
        cdef size_t busy = 0
        with nogil:
            for i in range(n):
                if quote_read_at(self.table.slots + i, &to[i].quote, &to[i].seq) == QUOTE_BUSY:
                    to[i].quote = Quote(NAN, NAN, NAN, NAN, 0, 0, 0)
                    busy += 1
        return busy

    def _check_writable(self):
        if not self.region.writable:
            raise CoreError(f"{self.region.path}: mapped read-only, expected a writable mapping")
