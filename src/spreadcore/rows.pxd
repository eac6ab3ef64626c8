# A row of a snapshots file, written and read; spreadscan.tracker.columns names its columns.
from libc.stdint cimport int64_t

from spreadcore.layout cimport Quote
from spreadcore.watch cimport Pair

cdef enum:
    NAME_MAX = 32               # bytes of a track's id
    TIME_BYTES = 27             # 2026-11-20T12:00:00.123456Z
    ROW_MAX = 512               # bytes of a row, its newline included

cdef struct RowHead:
    char[NAME_MAX] name         # the track's id
    int name_bytes
    double fees_bps

cdef struct Seen:               # of a row, what statistics rest on
    int64_t unix_ns
    double gross_bps            # worked out from the prices: as exact as they are
    double notional
    int64_t[2] age_ms           # buy, sell; -1: no quote
    bint tradable

# whole ms since a quote was received, -1 where there is none; it may be newer than the look
cdef inline int64_t age_ms(const Quote* q, int64_t now_ns) noexcept nogil:
    return max(now_ns - q.recv_ns, 0) // 1_000_000 if q.recv_ns else -1

# CoreError for a name that does not fit
cdef int set_head(RowHead* head, bytes name, double fees_bps) except -1
cdef char* put_row(char* at, const RowHead* head, const char* time, const Pair* p, int64_t now_ns,
                   double funding_bps) except NULL
# `at`: after the name and its comma; `end`: the newline. -1 where it is no row
cdef int take_row(const char* at, const char* end, Seen* seen) except? -2
