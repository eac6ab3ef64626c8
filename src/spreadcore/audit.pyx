"""What the audit found out: a verdict on the quote of each (symbol, source), and figures by source.

Written by the audit alone; the engine, the tracker and whoever shows it read. It takes times as
arguments and reads no clock.
"""
cimport cython
from typing import NamedTuple

from libc.stdint cimport int64_t, uint64_t

from spreadcore.atomics cimport store_relaxed
from spreadcore.quotes cimport quote_is_over

from spreadcore.errors import CoreError, TableFull
from spreadcore.layout import AUDIT_FIGURES, NOT_JUDGED, VERDICTS

cdef dict FIGURE = {name: i for i, name in enumerate(AUDIT_FIGURES)}
cdef dict REASON = {name: i for i, name in enumerate(NOT_JUDGED)}

if (VERDICTS[VERDICT_NOT_TRADING], AUDIT_FIGURES[FIGURE_ROUND_NS]) != ("not_trading", "round_ns"):
    raise ImportError("audit: verdicts or figures differ from layout")


cdef bint is_confirmed(const Verdicts* t, size_t source, size_t symbol, const Quote* q,
                       int64_t now_ns, int64_t within_ns) noexcept nogil:
    cdef Verdict v
    if t.figures == NULL or q.recv_ns == 0 or quote_is_over(q, now_ns):
        return False
    v = verdict_read(t, source, symbol)
    return (verdict_kind(&v) == VERDICT_CONFIRMED and is_about(&v, q.recv_ns)
            and now_ns - v.at_ns <= within_ns)


class VerdictTuple(NamedTuple):
    """One of layout.VERDICTS on the quote received at recv_ns (0: of none), so as of at_ns.

    reason: one of layout.NOT_JUDGED, why the last round could not judge; "" where it could. Times
    are CLOCK_BOOTTIME.
    """

    kind: str
    reason: str
    recv_ns: int
    at_ns: int


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class AuditTable:
    """Verdicts and figures of a mapped `audit` section."""

    def __cinit__(self, Region region not None):
        if region.section != "audit":
            raise CoreError(f"audit: section {region.section!r}, expected 'audit'")
        self.verdicts.n_sources = region.header().n_sources
        self.verdicts.n_symbols = region.header().n_symbols
        self.verdicts.figures = <AuditFigures*>region.body()
        self.verdicts.slots = <VerdictSlot*>(self.verdicts.figures + self.verdicts.n_sources)
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    def confirm(self, size_t source, size_t symbol, int64_t recv_ns, int64_t at_ns):
        """Say that the quote received at recv_ns stood at its venue as of at_ns."""
        self._write(source, symbol, Verdict(recv_ns, at_ns, VERDICT_CONFIRMED))

    def accuse(self, size_t source, size_t symbol, int64_t recv_ns, int64_t at_ns):
        """Say that an answer asked for at at_ns differs from the quote received at recv_ns."""
        self._write(source, symbol, Verdict(recv_ns, at_ns, VERDICT_ACCUSED))

    def find_wrong(self, size_t source, size_t symbol, int64_t recv_ns, int64_t at_ns):
        """Say that two answers do, the last of them asked for at at_ns."""
        self._write(source, symbol, Verdict(recv_ns, at_ns, VERDICT_WRONG))

    def halt(self, size_t source, size_t symbol, int64_t at_ns):
        """Say that the pair does not trade, as of at_ns."""
        self._write(source, symbol, Verdict(0, at_ns, VERDICT_NOT_TRADING))

    def clear(self, size_t source, size_t symbol):
        """Say that nothing is known of the pair or its quote."""
        self._write(source, symbol, Verdict(0, 0, VERDICT_NONE))

    def not_judged(self, size_t source, size_t symbol, str reason not None):
        """Say why the last round could not judge; what was found out before stays."""
        if reason not in REASON:
            raise CoreError(f"reason: {reason!r}, expected one of {', '.join(NOT_JUDGED[1:])}")
        self._check(source, symbol)
        # its own slot: there is no other writer to read torn words of
        cdef Verdict v = verdict_slot(&self.verdicts, source, symbol).verdict
        v.word = (v.word & ~<uint64_t>0xFF00) | <uint64_t>REASON[reason] << 8
        self._write(source, symbol, v)

    def read(self, size_t source, size_t symbol):
        """Return the VerdictTuple of a pair; kind 'none' too while its writer is inside."""
        self._check_ids(source, symbol)
        cdef Verdict v = verdict_read(&self.verdicts, source, symbol)
        return VerdictTuple(VERDICTS[verdict_kind(&v)], NOT_JUDGED[v.word >> 8 & 0xFF],
                            v.recv_ns, v.at_ns)

    def put(self, size_t source, size_t symbol, verdict not None):
        """Write a VerdictTuple as it was read, such as one that was recorded."""
        for known, found in ((VERDICTS, verdict.kind), (NOT_JUDGED, verdict.reason)):
            if found not in known:
                words = ", ".join(filter(None, known))
                raise CoreError(f"verdict: {found!r}, expected one of {words}")
        self._write(source, symbol, Verdict(
            verdict.recv_ns, verdict.at_ns, <uint64_t>VERDICTS.index(verdict.kind)
            | <uint64_t>REASON[verdict.reason] << 8))

    def snapshot_into(self, unsigned char[::1] out not None):
        """Copy every slot torn-free into `out` (n_symbols * n_sources slots of 32 bytes).

        A slot whose writer was inside at every look is empty and has an odd seq.
        """
        cdef size_t n = <size_t>self.verdicts.n_sources * self.verdicts.n_symbols
        if <size_t>out.shape[0] != n * sizeof(VerdictSlot):
            raise CoreError(
                f"snapshot: buffer of {out.shape[0]} bytes, expected {n * sizeof(VerdictSlot)}")
        cdef VerdictSlot* to = <VerdictSlot*>&out[0]
        cdef const VerdictSlot* slot
        cdef size_t i
        with nogil:
            for i in range(n):
                slot = self.verdicts.slots + i
                if seqlock_read(&slot.seq, <const uint64_t*>&slot.verdict, &to[i].verdict,
                                VERDICT_WORDS, &to[i].seq) != SEQ_OK:
                    to[i].verdict = Verdict(0, 0, VERDICT_NONE)

    def set(self, size_t source, str name not None, uint64_t value):
        """Set a figure of a source."""
        store_relaxed(&self.verdicts.figures[source].words[self._figure(source, name)], value)

    def add(self, size_t source, str name not None, uint64_t n=1):
        """Add to a figure of a source."""
        cdef uint64_t* word = &self.verdicts.figures[source].words[self._figure(source, name)]
        store_relaxed(word, load_relaxed(word) + n)

    def figures(self, size_t source):
        """Return the figures of a source by name (layout.AUDIT_FIGURES)."""
        self._check_ids(source, 0)
        cdef AuditFigures* found = self.verdicts.figures + source
        return {name: load_relaxed(&found.words[i]) for i, name in enumerate(AUDIT_FIGURES)}

    def _figure(self, size_t source, str name):
        self._check(source, 0)
        if name not in FIGURE:
            raise CoreError(f"figure: {name!r}, expected one of {', '.join(AUDIT_FIGURES)}")
        return FIGURE[name]

    def _check_ids(self, size_t source, size_t symbol):
        if source >= self.verdicts.n_sources or symbol >= self.verdicts.n_symbols:
            raise TableFull(
                f"verdict: source {source}, symbol {symbol}, expected below "
                f"{self.verdicts.n_sources} and {self.verdicts.n_symbols}")

    cdef int _check(self, size_t source, size_t symbol) except -1:
        self._check_ids(source, symbol)
        if not self.region.writable:
            raise CoreError(
                f"{self.region.path}: mapped read-only, expected a writable mapping")
        return 0

    cdef int _write(self, size_t source, size_t symbol, Verdict v) except -1:
        self._check(source, symbol)
        cdef VerdictSlot* slot = verdict_slot(&self.verdicts, source, symbol)
        seqlock_write(&slot.seq, <uint64_t*>&slot.verdict, &v, VERDICT_WORDS)
        return 0
