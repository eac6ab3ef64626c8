# A row of a snapshots file, written and read; spreadscan.tracker.columns names its columns.
from libc.stdint cimport int64_t

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
    double size_usdt
    bint tradable

# CoreError for a name that does not fit
cdef int set_head(RowHead* head, bytes name, double fees_bps) except -1
cdef char* put_row(char* at, const RowHead* head, const char* time, const Pair* p, int64_t now_ns,
                   double funding_bps) except NULL
# `at`: after the name and its comma; `end`: the newline. -1 where it is no row
cdef int take_row(const char* at, const char* end, Seen* seen) except? -2
