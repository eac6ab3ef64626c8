# Slots of open tracks: what is being followed now, for whoever wants to know. A seqlock each
# (seqlock.pxd says why it is correct); one writer, the tracker, which knows the free ones; any
# readers.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from spreadcore.layout cimport OpenTrack, TrackSlot
from spreadcore.region cimport Region
from spreadcore.seqlock cimport SEQ_OK, seqlock_read, seqlock_write

cdef enum:
    TRACK_WORDS = 15

cdef enum:                      # in the order of layout.TRACK_STATES
    SLOT_FREE = 0
    SLOT_OPEN = 1
    SLOT_ENDED = 2

cdef enum:                      # OpenTrack.flags
    OPEN_UNPROVEN = 1
    OPEN_TRADABLE = 2

cdef struct OpenSlots:
    TrackSlot* slots
    uint32_t n_slots

cdef inline void open_write(TrackSlot* slot, const OpenTrack* track) noexcept nogil:
    seqlock_write(&slot.seq, <uint64_t*>&slot.open, track, TRACK_WORDS)

# as seqlock_read; a slot whose writer is inside or dead says nothing
cdef inline int open_read(const TrackSlot* slot, OpenTrack* track) noexcept nogil:
    cdef uint64_t at
    return seqlock_read(&slot.seq, <const uint64_t*>&slot.open, track, TRACK_WORDS, &at)

cdef int open_from(OpenTrack* t, track) except -1      # an OpenTuple

cdef class OpenTracks:
    cdef:
        readonly Region region
        OpenSlots slots

    cdef TrackSlot* _slot(self, size_t slot) except NULL
    cdef TrackSlot* _writable(self, size_t slot) except NULL
