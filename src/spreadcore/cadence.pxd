# How long a pair is usually quiet, where its source says nothing while nothing changes: from that
# follows for how long its quote may be taken for true.
#
# A pause is the time between two quotes of one socket that had the pair all the while. Kept are
# the two longest of the bucket that fills and of the one before it; the longest *usual* pause is
# the second longest of the four, so one outlier is not usual. What is learnt goes into every slot
# (Quote.flags): readers need no table of their own, and what was true when a pair fell silent
# stays so. Times are kept in the slot's unit of pauses, rounded up: 16 bits hold eleven minutes.
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from spreadcore.quotes cimport (
    LIMIT_AT,
    LIMIT_LEARNT,
    LIMIT_UNIT_NS,
    PAUSE_AT,
    PAUSE_UNIT_NS,
)

cdef enum:
    KNOWN_AFTER = 16            # pauses until the limit is learnt, and at least so many a bucket
    GUESSED_AFTER = 4           # pauses until the usual pause is: only a doubt hangs on it
    LIMIT_PAUSES = 4            # usual pauses that a pair may be silent for
    UNKNOWN_LIMIT = 12_000      # in PAUSE_UNIT_NS: 120 s, before enough is known
    UNKNOWN_PAUSE = 200         # 2 s: what nothing is known of is soon doubted
    LONGEST_PAUSE = 0xFFFF
    BUCKET_S = 600

cdef struct Cadence:            # 48 bytes
    int64_t heard_ns            # where the pause began that lasts; 0: the next quote ends none
    int64_t longer_ns           # a longer pause changes what is known; -1: any does
    int64_t turn_ns             # from here on the bucket may turn over
    uint64_t word               # limit, LIMIT_LEARNT and usual pause, as they stand in Quote.flags
    uint16_t longest[2]         # of this bucket
    uint16_t before[2]          # of the one before
    uint32_t n                  # pauses in this bucket

cdef inline void cadence_start(Cadence* c, uint16_t floor, uint16_t cap) noexcept nogil:
    c.heard_ns = c.turn_ns = 0
    c.longest[0] = c.longest[1] = c.before[0] = c.before[1] = 0
    c.n, c.longer_ns = 0, -1
    cadence_tell(c, floor, cap)

# the pair was heard at now_ns
cdef inline void cadence_heard(Cadence* c, int64_t now_ns, uint16_t floor,
                               uint16_t cap) noexcept nogil:
    cdef int64_t since_ns = c.heard_ns
    c.heard_ns = now_ns
    if since_ns == 0:
        return
    c.n += 1
    if now_ns - since_ns > c.longer_ns or now_ns >= c.turn_ns:
        cadence_learn(c, now_ns - since_ns, now_ns, floor, cap)

cdef inline void cadence_learn(Cadence* c, int64_t pause_ns, int64_t now_ns,
                               uint16_t floor, uint16_t cap) noexcept nogil:
    cdef int64_t units = (pause_ns + PAUSE_UNIT_NS - 1) // PAUSE_UNIT_NS
    cdef uint16_t pause = <uint16_t>(0 if units < 0 else
                                     units if units < LONGEST_PAUSE else LONGEST_PAUSE)
    if c.turn_ns == 0:
        c.turn_ns = now_ns + <int64_t>BUCKET_S * 1_000_000_000
    if pause > c.longest[0]:
        c.longest[0], c.longest[1] = pause, c.longest[0]
    elif pause > c.longest[1]:
        c.longest[1] = pause
    if c.n >= KNOWN_AFTER:
        c.longer_ns = 0         # known, now and for ever
        if now_ns >= c.turn_ns:
            c.before[0], c.before[1] = c.longest[0], c.longest[1]
            c.longest[0] = c.longest[1] = 0
            c.n, c.turn_ns = 0, now_ns + <int64_t>BUCKET_S * 1_000_000_000
    cadence_tell(c, floor, cap)
    if c.longer_ns >= 0:
        c.longer_ns = <int64_t>c.longest[1] * PAUSE_UNIT_NS

# the second longest of the four
cdef inline uint16_t cadence_usual(const Cadence* c) noexcept nogil:
    cdef uint16_t usual = c.longest[0] if c.longest[0] < c.before[0] else c.before[0]
    if c.longest[1] > usual:
        usual = c.longest[1]
    return c.before[1] if c.before[1] > usual else usual

cdef inline void cadence_tell(Cadence* c, uint16_t floor, uint16_t cap) noexcept nogil:
    cdef uint32_t usual = cadence_usual(c)
    cdef uint32_t limit = UNKNOWN_LIMIT
    if c.longer_ns >= 0:
        limit = LIMIT_PAUSES * usual
    elif c.n < GUESSED_AFTER:
        usual = UNKNOWN_PAUSE
    if limit < floor:
        limit = floor
    if limit > cap:
        limit = cap
    c.word = (<uint64_t>(limit * (PAUSE_UNIT_NS // LIMIT_UNIT_NS)) << LIMIT_AT | LIMIT_LEARNT
              | <uint64_t>usual << PAUSE_AT)
