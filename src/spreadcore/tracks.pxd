# Every open track in one array, so that a tick is one pass over it.
from libc.stdint cimport int64_t

from spreadcore.conversion cimport Conversion
from spreadcore.edges cimport Legs
from spreadcore.layout cimport OpenTrack
from spreadcore.limits cimport Limit
from spreadcore.rows cimport RowHead
from spreadcore.trackstats cimport Stats

cdef enum:
    TRACK_NONE = 0              # nobody's slot
    TRACK_OPEN = 1
    TRACK_ENDED = 2             # decided, its CLOSE row is on its way

cdef enum:
    END_NONE = 0
    END_CONVERGED = 1
    END_EXPIRED = 2
    END_LOST = 3
    END_NOT_TRADING = 4
    END_UNPROVEN = 5
    END_HALTED = 6

cdef struct Track:
    RowHead head
    Stats stats
    OpenTrack open              # as others see it
    int state
    Legs legs
    Conversion conversion
    Limit converge              # bps on net
    int64_t opened_ns
    bint[3] proven              # the quotes of the opening: its buy, its sell, what converts
    int64_t rowed_ns            # the last look that left a row
    int64_t bad_since_ns        # of the looks that did not find both legs tradable; -1: none
