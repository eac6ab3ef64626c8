"""The next funding payment of each perpetual: written once a minute by its feed, read by anyone.

Shown beside an edge, never mixed into it. What was written says something until a moment that
its writer sets: the payment itself, or some minutes after the last answer of the venue.
"""
cimport cython
from typing import NamedTuple

from spreadcore.errors import CoreError, TableFull


class FundingTuple(NamedTuple):
    """One funding payment to come.

    rate: share of the notional, above 0 where longs pay shorts. next_ns: the venue's Unix time of
    the payment. until_ns: CLOCK_BOOTTIME from which this says nothing any more.
    """

    rate: float
    next_ns: int
    until_ns: int


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class FundingRates:
    """Funding slots of a mapped `funding` section. One writer per source, any readers.

    perpetuals: bit n where the rows of source id n pay funding; those of other sources never do.
    Where it is not given all do, and a row that nobody writes is not known.
    """

    def __cinit__(self, Region region not None, uint64_t perpetuals=0xFFFFFFFFFFFFFFFF):
        if region.section != "funding":
            raise CoreError(f"funding: section {region.section!r}, expected 'funding'")
        self.table.slots = <FundingSlot*>region.body()
        self.table.n_sources = region.header().n_sources
        self.table.n_symbols = region.header().n_symbols
        self.table.perpetuals = perpetuals
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    cdef FundingSlot* slot(self, size_t source, size_t symbol) except NULL:
        if source >= self.table.n_sources or symbol >= self.table.n_symbols:
            raise TableFull(
                f"funding slot: source {source}, symbol {symbol}, expected below "
                f"{self.table.n_sources} and {self.table.n_symbols}")
        return funding_slot(&self.table, source, symbol)

    def write(self, size_t source, size_t symbol, double rate, int64_t next_ns, int64_t until_ns):
        """Store the next payment. Only the one writer of `source` may call it."""
        cdef Funding f = Funding(rate, next_ns, until_ns)
        cdef FundingSlot* slot = self.slot(source, symbol)
        if not self.region.writable:
            raise CoreError(
                f"{self.region.path}: mapped read-only, expected a writable mapping")
        funding_write(slot, &f)

    def read(self, size_t source, size_t symbol, int64_t now_ns):
        """Return a FundingTuple, or None where nothing is known as of now_ns (CLOCK_BOOTTIME)."""
        cdef Funding f
        cdef uint64_t at
        funding_read_at(self.slot(source, symbol), &f, now_ns, &at)
        return FundingTuple(f.rate, f.next_ns, f.until_ns) if f.until_ns else None

    def bps(self, size_t source, size_t symbol, int64_t now_ns):
        """Return what a seller of the perpetual receives next, in bps of the notional.

        Below 0 where the seller pays; NaN where nothing is known as of now_ns (CLOCK_BOOTTIME).
        """
        self.slot(source, symbol)
        return funding_bps(&self.table, source, symbol, now_ns)

    def edge_bps(self, size_t buy_source, size_t buy_row, size_t sell_source, size_t sell_row,
                 int64_t now_ns):
        """Return what the leg that is sold receives next less what the other pays, in bps.

        Each at its own next payment; a leg that is no perpetual pays nothing. NaN where one is not
        known as of now_ns (CLOCK_BOOTTIME).
        """
        self.slot(buy_source, buy_row)
        self.slot(sell_source, sell_row)
        return funding_of_edge(
            &self.table, buy_source, buy_row, sell_source, sell_row, now_ns)

    def snapshot_into(self, unsigned char[::1] out not None, int64_t now_ns):
        """Copy every slot torn-free into `out` (n_symbols * n_sources slots of 32 bytes).

        Where nothing is known as of now_ns the rate is NaN and the times are 0; the word before
        is odd where a writer was inside at every look. Returns the number of such slots.
        """
        cdef size_t n = <size_t>self.table.n_sources * self.table.n_symbols
        if <size_t>out.shape[0] != n * sizeof(FundingSlot):
            raise CoreError(
                f"snapshot: buffer of {out.shape[0]} bytes, expected {n * sizeof(FundingSlot)}")
        cdef FundingSlot* to = <FundingSlot*>&out[0]
        cdef size_t i
        cdef size_t busy = 0
        with nogil:
            for i in range(n):
                if funding_read_at(self.table.slots + i, &to[i].funding, now_ns,
                                   &to[i].seq) != SEQ_OK:
                    busy += 1
        return busy
