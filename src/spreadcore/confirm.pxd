# Spreads that wait for their confirmation: since when each edge holds.
#
# An edge that begins to hold enters a list, at the end. All wait equally long, so the list is in
# the order of their alarms and looking whether one is due costs one comparison. Links instead of a
# queue: one that stops holding leaves from the middle, so there is never more than one entry
# per edge and no allocation. An alarm that has gone off leaves the list but not the table: where
# the spread holds and still may not signal (paused, too thin), its next tick or sweep decides.
from libc.stdint cimport int64_t, uint32_t

cdef enum:
    NOT_HELD = -1               # in since_ns; no clock of ours goes below 0
    NO_EDGE = 0xFFFFFFFF

cdef struct Held:               # of one edge
    int64_t since_ns
    uint32_t before             # neighbours in the list; the edge itself where it is in none
    uint32_t after

cdef struct Confirm:
    Held* held                  # NULL: spreads signal at once
    int64_t wait_ns
    uint32_t first              # longest in the list
    uint32_t last

cdef inline bint confirm_holds(const Confirm* c, size_t edge) noexcept nogil:
    return c.held[edge].since_ns != NOT_HELD

# True once the edge has held for long enough; the first call sets its alarm
cdef inline bint confirm_hold(Confirm* c, size_t edge, int64_t now_ns) noexcept nogil:
    if c.held[edge].since_ns == NOT_HELD:
        c.held[edge].since_ns = now_ns
        confirm_append(c, <uint32_t>edge)
    return now_ns - c.held[edge].since_ns >= c.wait_ns

# the edge no longer holds
cdef inline void confirm_forget(Confirm* c, size_t edge) noexcept nogil:
    c.held[edge].since_ns = NOT_HELD
    confirm_remove(c, <uint32_t>edge)

# when the next alarm is due; the end of time: none
cdef inline int64_t confirm_alarm_ns(const Confirm* c) noexcept nogil:
    return c.held[c.first].since_ns + c.wait_ns if c.first != NO_EDGE else 0x7FFFFFFFFFFFFFFF

# the next edge whose alarm is due, off the list with it; NO_EDGE: none
cdef inline uint32_t confirm_due(Confirm* c, int64_t now_ns) noexcept nogil:
    cdef uint32_t edge = c.first
    if edge == NO_EDGE or now_ns - c.held[edge].since_ns < c.wait_ns:
        return NO_EDGE
    confirm_remove(c, edge)
    return edge

cdef inline void confirm_append(Confirm* c, uint32_t edge) noexcept nogil:
    c.held[edge].before, c.held[edge].after = c.last, NO_EDGE
    if c.last == NO_EDGE:
        c.first = edge
    else:
        c.held[c.last].after = edge
    c.last = edge

cdef inline void confirm_remove(Confirm* c, uint32_t edge) noexcept nogil:
    cdef uint32_t before = c.held[edge].before, after = c.held[edge].after
    if before == edge:          # in no list
        return
    if before == NO_EDGE:
        c.first = after
    else:
        c.held[before].after = after
    if after == NO_EDGE:
        c.last = before
    else:
        c.held[after].before = before
    c.held[edge].before = c.held[edge].after = edge

cdef class Confirmation:
    cdef Confirm confirm
