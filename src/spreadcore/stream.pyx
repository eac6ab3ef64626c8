"""Broadcast streams as Python objects: one writer publishes, any reader reads at its own pace.

What happens, for whoever wants to know of it at once; files and the open tracks have the last
word. A reader that falls behind by more than the capacity is told how many records it lost.
"""
cimport cython
from typing import NamedTuple

from libc.stdint cimport int32_t, uint8_t, uint16_t
from libc.string cimport memset

from spreadcore.ages cimport age_in, age_out
from spreadcore.layout cimport STREAM_RECORDS
from spreadcore.dtypes import dtype_of
from spreadcore.errors import CoreError, TableFull
from spreadcore.layout import REASONS, RECORD_KINDS, STREAMS


class RecordTuple(NamedTuple):
    """One record: prices per coin, sizes in coins, bps of buy_px, ns on CLOCK_BOOTTIME.

    sequence: 0, 1, 2, ... of this stream. kind: one of layout.RECORD_KINDS. reason: of a close,
    one of layout.REASONS. track: sequence of the signal that it follows, in the ring of the
    instance. edge: index of its byte in the active table. These and symbol_id are -1 in what is of
    no pair. recv_ns: of the younger leg's quote, 0 where that is not told; ages: of each leg's at
    at_ns, whole ms, -1 where there is none. conversion_px: what a price of the leg in another quote
    currency was times, to be what stands here; 0: no leg is, or that is not told. opened_ns: of the
    track, 0 where there is none. generation: of the producer; another one has begun anew, and what
    the last one did at its end may be missing. unproven: as in SignalTuple. Prices and edges are
    NaN where they are not known.
    """

    sequence: int
    kind: str
    reason: str
    track: int
    edge: int
    symbol_id: int
    at_ns: int
    recv_ns: int
    opened_ns: int
    buy_px: float
    sell_px: float
    buy_qty: float
    sell_qty: float
    buy_age_ms: int
    sell_age_ms: int
    gross_bps: float
    net_bps: float
    peak_net_bps: float
    conversion_px: float
    generation: int
    unproven: bool


cdef tuple_of(uint64_t sequence, const Told* t):
    return RecordTuple(
        sequence, RECORD_KINDS[t.kind], REASONS[t.reason], <int64_t>t.track, <int32_t>t.edge,
        <int32_t>t.symbol_id,
        t.at_ns, t.recv_ns, t.opened_ns, t.buy_px, t.sell_px, t.buy_qty, t.sell_qty,
        age_out(t.buy_age_ms), age_out(t.sell_age_ms), t.gross_bps, t.net_bps, t.peak_net_bps,
        t.conversion_px, t.generation, bool(t.flags & TOLD_UNPROVEN))


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class Broadcast:
    """The stream of a mapped `engine_stream` or `tracker_stream` section."""

    def __cinit__(self, Region region not None):
        if region.section not in STREAMS:
            raise CoreError(
                f"stream: section {region.section!r}, expected one of {', '.join(STREAMS)}")
        cdef char* body = region.body()
        self.stream.wakes = <WakeLines*>body
        self.stream.lines = <StreamLines*>(body + sizeof(WakeLines))
        self.stream.records = <StreamRecord*>(self.stream.lines + 1)
        self.stream.mask = STREAM_RECORDS - 1
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    @property
    def capacity(self):
        """Records that stand at once."""
        return self.stream.mask + 1

    @property
    def published(self):
        """Records ever published: the sequence of the next one."""
        return load_acquire(&self.stream.lines.head)

    @property
    def oldest(self):
        """Sequence of the oldest record that may still stand."""
        return stream_oldest(&self.stream, load_acquire(&self.stream.lines.head))

    @property
    def generation(self):
        """How many producers have taken the stream over."""
        return load_acquire(&self.stream.lines.generation)

    def reader(self, start=None):
        """Return a Reader of what is published from now on, or from the sequence `start` on.

        What is gone of that is counted as lost. CoreError for a start that is not reached yet.
        """
        return Reader(self, start)

    def writer(self):
        """Return the Writer. The caller holds the lease of the stream's producer."""
        return Writer(self)


cdef class Reader:
    """A cursor of one reader; made by Broadcast.reader(). Reading writes nothing shared."""

    def __cinit__(self, Broadcast broadcast not None, start=None):
        cdef uint64_t head = load_acquire(&broadcast.stream.lines.head)
        if start is not None and not 0 <= start <= head:
            raise CoreError(
                f"{broadcast.region.path}: start {start}, expected 0 to {head}, the records "
                "published until now")
        self.cursor.next = head if start is None else start
        self.broadcast = broadcast

    @property
    def next(self):
        """Sequence of the record that comes next."""
        return self.cursor.next

    @property
    def lost(self):
        """Records that were gone when this reader came to them, in all."""
        return self.cursor.lost

    def read(self, size_t n):
        """Return ([RecordTuple, at most n], how many were lost before or between them).

        Does not wait. The records' sequences show where the lost ones were.
        """
        cdef uint64_t lost = self.cursor.lost
        cdef Told told
        cdef int rc
        found = []
        while <size_t>len(found) < n:
            rc = stream_read(&self.broadcast.stream, &self.cursor, &told)
            if rc == STREAM_EMPTY:
                break
            if rc == STREAM_OK:
                found.append(tuple_of(self.cursor.next - 1, &told))
        return found, self.cursor.lost - lost

    def array(self, size_t n):
        """Return (records as a NumPy structured array, how many were lost); as read(), and faster.

        At most n of them, and no more than the capacity. Fields as in RecordTuple, but: kind and
        reason are indices of layout.RECORD_KINDS and REASONS, an age that there is not is 2^32 - 1,
        bit 0 of flags is unproven.
        """
        import numpy as np

        cdef uint64_t lost = self.cursor.lost
        dtype = dtype_of("StreamRecord", sizeof(StreamRecord), seq="sequence")
        found = np.empty(min(n, self.broadcast.capacity), dtype=dtype)
        if not len(found):
            return found, 0
        cdef unsigned char[::1] room = found.view("u1")
        cdef StreamRecord* to = <StreamRecord*>&room[0]
        cdef size_t taken = 0
        cdef size_t wanted = len(found)
        cdef int rc
        with nogil:
            while taken < wanted:
                rc = stream_read(&self.broadcast.stream, &self.cursor, &to[taken].told)
                if rc == STREAM_EMPTY:
                    break
                if rc == STREAM_OK:
                    to[taken].seq = self.cursor.next - 1
                    taken += 1
        return found[:taken], self.cursor.lost - lost

    def park(self, int64_t timeout_ns):
        """Sleep until there is a record: 'work', 'woken', 'timeout' or 'timeout_with_work'.

        -1 = for ever. 'woken' may be early: read, and park again. CoreError on a read-only mapping,
        which cannot say that somebody sleeps.
        """
        _check_writable(self.broadcast)
        cdef int rc
        with nogil:
            rc = stream_park(&self.broadcast.stream, &self.cursor, timeout_ns)
        return ("work", "woken", "timeout", "timeout_with_work")[rc]


cdef class Writer:
    """The producer of a stream; making one takes the stream over from the one before.

    The caller holds the lease of the role whose stream it is. CoreError on a read-only mapping.
    """

    def __cinit__(self, Broadcast broadcast not None):
        _check_writable(broadcast)
        self.broadcast = broadcast
        stream_take_over(&broadcast.stream)

    def publish(self, str kind not None, *, int64_t edge, int64_t symbol_id, int64_t track,
                int64_t at_ns, double buy_px, double sell_px, double buy_qty, double sell_qty,
                double gross_bps, double net_bps, double peak_net_bps, str reason="",
                int64_t recv_ns=0, int64_t opened_ns=0, int64_t buy_age_ms=-1,
                int64_t sell_age_ms=-1, double conversion_px=0.0, bint unproven=False):
        """Publish a record as RecordTuple says it, and return its sequence; does not wake.

        TableFull for an edge or a symbol beyond the instance, CoreError for an unknown word.
        """
        cdef Region region = self.broadcast.region
        if kind not in RECORD_KINDS[1:] or reason not in REASONS:
            raise CoreError(
                f"record: {kind!r} {reason!r}, expected one of {', '.join(RECORD_KINDS[1:])} and, "
                f"or none, one of {', '.join(REASONS[1:])}")
        cdef int64_t n_edges = region.n_edges
        if not (-1 <= edge < n_edges and -1 <= symbol_id < region.n_symbols):
            raise TableFull(
                f"record: edge {edge}, symbol {symbol_id}, expected below {n_edges} and "
                f"{region.n_symbols}, or -1")
        cdef Told t
        memset(&t, 0, sizeof(Told))
        t.kind, t.reason = <uint8_t>RECORD_KINDS.index(kind), <uint8_t>REASONS.index(reason)
        t.edge, t.symbol_id, t.track = <uint32_t>edge, <uint32_t>symbol_id, <uint64_t>track
        t.at_ns, t.recv_ns, t.opened_ns = at_ns, recv_ns, opened_ns
        t.flags = <uint16_t>(TOLD_UNPROVEN if unproven else 0)
        t.buy_px, t.sell_px, t.buy_qty, t.sell_qty = buy_px, sell_px, buy_qty, sell_qty
        t.buy_age_ms, t.sell_age_ms = age_in(buy_age_ms), age_in(sell_age_ms)
        t.gross_bps, t.net_bps, t.peak_net_bps = gross_bps, net_bps, peak_net_bps
        t.conversion_px = conversion_px
        stream_publish(&self.broadcast.stream, &t)
        return load_relaxed(&self.broadcast.stream.lines.head) - 1

    def wake(self):
        """Wake the readers that are parked, after the records of one go; True where there were."""
        return bool(stream_wake(&self.broadcast.stream))


cdef _check_writable(Broadcast broadcast):
    if not broadcast.region.writable:
        raise CoreError(
            f"{broadcast.region.path}: mapped read-only, expected a writable mapping")
