# Spreads that wait for their confirmation: since when each (direction, symbol) holds.
#
# A pair that begins to hold enters a list, at the end. All wait equally long, so the list is in the
# order of their alarms and looking whether one is due costs one comparison. Links instead of a
# queue: a pair that stops holding leaves from the middle, so there is never more than one entry
# per pair and no allocation. An alarm that has gone off leaves the list but not the table: where
# the spread holds and still may not signal (paused, too thin), its next tick or sweep decides.
from libc.stdint cimport int64_t, uint32_t

cdef enum:
    NOT_HELD = -1               # in since_ns; no clock of ours goes below 0
    NO_PAIR = 0xFFFFFFFF

cdef struct Held:               # of one pair: direction * n_symbols + symbol
    int64_t since_ns
    uint32_t before             # neighbours in the list; the pair itself where it is in none
    uint32_t after

cdef struct Confirm:
    Held* held                  # NULL: spreads signal at once
    int64_t wait_ns
    uint32_t n_symbols
    uint32_t first              # longest in the list
    uint32_t last

cdef inline bint confirm_holds(const Confirm* c, size_t pair) noexcept nogil:
    return c.held[pair].since_ns != NOT_HELD

# True once the pair has held for long enough; the first call sets its alarm
cdef inline bint confirm_hold(Confirm* c, size_t pair, int64_t now_ns) noexcept nogil:
    if c.held[pair].since_ns == NOT_HELD:
        c.held[pair].since_ns = now_ns
        confirm_append(c, <uint32_t>pair)
    return now_ns - c.held[pair].since_ns >= c.wait_ns

# the pair no longer holds
cdef inline void confirm_forget(Confirm* c, size_t pair) noexcept nogil:
    c.held[pair].since_ns = NOT_HELD
    confirm_remove(c, <uint32_t>pair)

# when the next alarm is due; the end of time: none
cdef inline int64_t confirm_alarm_ns(const Confirm* c) noexcept nogil:
    return c.held[c.first].since_ns + c.wait_ns if c.first != NO_PAIR else 0x7FFFFFFFFFFFFFFF

# the next pair whose alarm is due, off the list with it; NO_PAIR: none
cdef inline uint32_t confirm_due(Confirm* c, int64_t now_ns) noexcept nogil:
    cdef uint32_t pair = c.first
    if pair == NO_PAIR or now_ns - c.held[pair].since_ns < c.wait_ns:
        return NO_PAIR
    confirm_remove(c, pair)
    return pair

cdef inline void confirm_append(Confirm* c, uint32_t pair) noexcept nogil:
    c.held[pair].before, c.held[pair].after = c.last, NO_PAIR
    if c.last == NO_PAIR:
        c.first = pair
    else:
        c.held[c.last].after = pair
    c.last = pair

cdef inline void confirm_remove(Confirm* c, uint32_t pair) noexcept nogil:
    cdef uint32_t before = c.held[pair].before, after = c.held[pair].after
    if before == pair:          # in no list
        return
    if before == NO_PAIR:
        c.first = after
    else:
        c.held[before].after = after
    if after == NO_PAIR:
        c.last = before
    else:
        c.held[after].before = before
    c.held[pair].before = c.held[pair].after = pair

cdef class Confirmation:
    cdef Confirm confirm
