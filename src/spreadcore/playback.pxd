# Recorded frames of several sources, merged into one order and played on their own clock.
#
# Order: receive time, then source id; within a source as recorded. Before a frame is taken, what
# the clock owes is done: the confirmations that fell due, and the tick that Python asked to be
# woken for. After each frame: flush, one engine turn at its time. After the last one the clock goes
# on to where the last feed ended.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from spreadcore.engine cimport Engine, EngineCore
from spreadcore.frames cimport LinkCore
from spreadcore.layout cimport MAX_SOURCES, HealthSlot
from spreadcore.tape cimport Record

cdef struct Reel:               # one source
    LinkCore frame             # of all its links: the link is set for each frame
    HealthSlot* health
    const char* data            # current block: packed records
    size_t size
    size_t at                   # of the next record; size: the block is used up
    Record record               # at `at`
    bint known                  # the source plays
    bint over                   # no block follows
    bint held                   # Python wants to act before the next record
    int64_t lives_ns            # its feed gives heartbeats until then
    uint64_t frames             # messages and events so far

cdef class Playback:
    cdef:
        Reel reels[MAX_SOURCES]
        EngineCore* engine
        size_t n_sources
        size_t current          # reel whose record the last stop is about
        int64_t clock_ns
        dict _owned             # by source: intake, decoder and block, with:
        Engine _engine

    cdef Reel* _reel(self, size_t source) except NULL
