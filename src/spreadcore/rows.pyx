"""Rows of a snapshots file.

An empty field means that there is no such value. Prices and sizes read back as the very double,
edges have two decimals (the prices tell the rest), ages are whole milliseconds.
"""
from libc.string cimport memchr, memcpy

from spreadcore.digits cimport put_double, put_fixed, put_uint, take_double, take_time
from spreadcore.layout cimport Quote
from spreadcore.spread cimport gross_bps

from spreadcore.errors import CoreError

cdef enum:
    N_FIELDS = 16               # after the name
    TRADABLE = 15               # the last of them
    BUY_ASK = 3
    SELL_BID = 5
    BUY_AGE = 9


# price, size and the comma after each; nothing for an empty leg
cdef inline char* put_side(char* at, const Quote* q, double px, double qty) except NULL:
    if q.recv_ns:
        at = put_double(at, px)
    at[0] = 44
    at += 1
    if q.recv_ns:
        at = put_double(at, qty)
    at[0] = 44
    return at + 1


cdef inline char* put_age(char* at, const Quote* q, int64_t now_ns) noexcept nogil:
    if q.recv_ns:
        at = put_uint(at, age_ms(q, now_ns))
    at[0] = 44
    return at + 1


cdef inline char* put_bps(char* at, double bps) except NULL:
    at = put_fixed(at, bps, 2)
    at[0] = 44
    return at + 1


cdef char* put_row(char* at, const RowHead* head, const char* time, const Pair* p, int64_t now_ns,
                   double funding_bps) except NULL:
    memcpy(at, head.name, head.name_bytes)
    at += head.name_bytes
    at[0] = 44
    memcpy(at + 1, time, TIME_BYTES)
    at[TIME_BYTES + 1] = 44
    at += TIME_BYTES + 2
    at = put_side(at, &p.buy, p.buy.bid_px, p.buy.bid_qty)
    at = put_side(at, &p.buy, p.buy.ask_px, p.buy.ask_qty)
    at = put_side(at, &p.sell, p.sell.bid_px, p.sell.bid_qty)
    at = put_side(at, &p.sell, p.sell.ask_px, p.sell.ask_qty)
    at = put_age(at, &p.buy, now_ns)
    at = put_age(at, &p.sell, now_ns)
    at = put_bps(at, p.gross_bps)
    at = put_bps(at, p.gross_bps - head.fees_bps)
    at = put_bps(at, p.exit_bps)
    at = put_bps(at, funding_bps)
    at[0] = 49 if p.tradable else 48
    at[1] = 10
    return at + 2


# whole ms; -1: an empty field; -2: no age at all
cdef int64_t take_age(const char* at, const char* end) noexcept nogil:
    cdef int64_t ms = 0
    if at == end:
        return -1
    if end - at > 15:
        return -2
    while at < end:
        if not 48 <= at[0] <= 57:
            return -2
        ms = ms * 10 + at[0] - 48
        at += 1
    return ms


cdef int take_row(const char* at, const char* end, Seen* seen) except? -2:
    cdef const char* fields[N_FIELDS + 1]
    cdef double[4] sides        # buy_ask, its size, sell_bid, its size
    cdef int i
    cdef const char* comma
    fields[0] = at
    for i in range(1, N_FIELDS):
        comma = <const char*>memchr(fields[i - 1], 44, end - fields[i - 1])
        if comma == NULL:
            return -1
        fields[i] = comma + 1
    fields[N_FIELDS] = end + 1
    if end - fields[TRADABLE] != 1 or fields[TRADABLE][0] not in (48, 49):
        return -1
    if fields[1] - at != TIME_BYTES + 1:
        return -1
    seen.unix_ns = take_time(at)
    if seen.unix_ns < 0:
        return -1
    for i in range(2):
        if (take_double(fields[BUY_ASK + i], fields[BUY_ASK + i + 1] - 1, &sides[i]) < 0 or
                take_double(fields[SELL_BID + i], fields[SELL_BID + i + 1] - 1, &sides[2 + i]) < 0):
            return -1
        seen.age_ms[i] = take_age(fields[BUY_AGE + i], fields[BUY_AGE + i + 1] - 1)
        if seen.age_ms[i] < -1:
            return -1
    seen.tradable = fields[TRADABLE][0] == 49
    seen.gross_bps = gross_bps(sides[0], sides[2])
    seen.notional = min(sides[0] * sides[1], sides[2] * sides[3])
    # only a row that was changed by hand is tradable without prices
    return -1 if seen.tradable and seen.gross_bps != seen.gross_bps else 0


cdef int set_head(RowHead* head, bytes name, double fees_bps) except -1:
    if not 0 < len(name) <= NAME_MAX or set(name) & {10, 13, 34, 44}:
        raise CoreError(f"track id: {name!r}, expected 1 to {NAME_MAX} bytes that need no quotes")
    memcpy(head.name, <const char*>name, len(name))
    head.name_bytes = len(name)
    head.fees_bps = fees_bps
    return 0
