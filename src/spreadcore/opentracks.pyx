"""Open tracks as a Python object: what is being followed now, read without any file.

The tracker writes through tracks.pyx, a look at a time; this face serves readers, tests and tools.
"""
cimport cython
from typing import NamedTuple

from libc.string cimport memset

from spreadcore.ages cimport age_in, age_out
from spreadcore.dtypes import dtype_of
from spreadcore.errors import CoreError, TableFull
from spreadcore.layout import TRACK_STATES


class OpenTuple(NamedTuple):
    """One track: prices per coin, sizes in coins, bps of buy_px, ns on CLOCK_BOOTTIME.

    track: sequence of its signal in the ring of the instance. edge: index of its byte in the active
    table. state: one of layout.TRACK_STATES. What comes after looked_ns is of the last look at both
    legs, of the signal before the first; NaN where there is none. Ages: whole ms, -1 where there is
    no quote. funding_bps: what the legs receive next, not in net. unproven: as in SignalTuple.
    """

    track: int
    edge: int
    symbol_id: int
    state: str
    opened_ns: int
    looked_ns: int
    buy_px: float
    sell_px: float
    buy_qty: float
    sell_qty: float
    buy_age_ms: int
    sell_age_ms: int
    gross_bps: float
    net_bps: float
    exit_bps: float
    funding_bps: float
    peak_net_bps: float
    tradable: bool
    unproven: bool


cdef tuple_of(const OpenTrack* t):
    return OpenTuple(
        t.track, t.edge, t.symbol_id, TRACK_STATES[t.state], t.opened_ns, t.looked_ns,
        t.buy_px, t.sell_px, t.buy_qty, t.sell_qty, age_out(t.buy_age_ms),
        age_out(t.sell_age_ms), t.gross_bps, t.net_bps, t.exit_bps, t.funding_bps,
        t.peak_net_bps, bool(t.flags & OPEN_TRADABLE), bool(t.flags & OPEN_UNPROVEN))


cdef int open_from(OpenTrack* t, track) except -1:
    if track.state not in TRACK_STATES:
        raise CoreError(
            f"track: state {track.state!r}, expected one of {', '.join(TRACK_STATES)}")
    t.track, t.edge, t.symbol_id = track.track, track.edge, track.symbol_id
    t.state = <uint32_t>TRACK_STATES.index(track.state)
    t.flags = ((OPEN_TRADABLE if track.tradable else 0)
               | (OPEN_UNPROVEN if track.unproven else 0))
    t.opened_ns, t.looked_ns = track.opened_ns, track.looked_ns
    t.buy_px, t.sell_px = track.buy_px, track.sell_px
    t.buy_qty, t.sell_qty = track.buy_qty, track.sell_qty
    t.gross_bps, t.net_bps, t.exit_bps = track.gross_bps, track.net_bps, track.exit_bps
    t.funding_bps, t.peak_net_bps = track.funding_bps, track.peak_net_bps
    t.buy_age_ms, t.sell_age_ms = age_in(track.buy_age_ms), age_in(track.sell_age_ms)
    return 0


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class OpenTracks:
    """Slots of a mapped `tracks` section. The tracker writes, any process reads."""

    def __cinit__(self, Region region not None):
        if region.section != "tracks":
            raise CoreError(f"open tracks: section {region.section!r}, expected 'tracks'")
        self.slots.slots = <TrackSlot*>region.body()
        self.slots.n_slots = region.header().n_tracks
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    @property
    def capacity(self):
        """Tracks that can be seen at once; those beyond it are followed all the same."""
        return self.slots.n_slots

    def put(self, size_t slot, track not None):
        """Write an OpenTuple. Only the one writer may call it."""
        cdef OpenTrack t
        open_from(&t, track)
        open_write(self._writable(slot), &t)

    def clear(self, size_t slot):
        """Say that nobody is followed there. Only the one writer may call it."""
        cdef OpenTrack t
        memset(&t, 0, sizeof(OpenTrack))
        open_write(self._writable(slot), &t)

    def read(self, size_t slot):
        """Return the OpenTuple of a slot; None where it is free, or its writer inside (or dead)."""
        cdef OpenTrack t
        if open_read(self._slot(slot), &t) != SEQ_OK or t.state == SLOT_FREE:
            return None
        return tuple_of(&t)

    def all(self):
        """Return the OpenTuple of every track, oldest first."""
        cdef OpenTrack t
        cdef size_t slot
        found = []
        for slot in range(self.slots.n_slots):
            if open_read(self.slots.slots + slot, &t) == SEQ_OK and t.state != SLOT_FREE:
                found.append(tuple_of(&t))
        return sorted(found, key=lambda row: (row.opened_ns, row.track))

    def array(self):
        """Return them as a NumPy structured array, by slot.

        Fields as in OpenTuple, but: state is an index of layout.TRACK_STATES, an age that there is
        not is 2^32 - 1, bits 0 and 1 of flags are unproven and tradable.
        """
        import numpy as np

        found = np.empty(self.slots.n_slots, dtype=dtype_of("TrackSlot", sizeof(TrackSlot)))
        cdef unsigned char[::1] room = found.view("u1")
        cdef TrackSlot* to = <TrackSlot*>&room[0]
        cdef size_t slot, n = 0
        with nogil:
            for slot in range(self.slots.n_slots):
                if (open_read(self.slots.slots + slot, &to[n].open) == SEQ_OK
                        and to[n].open.state != SLOT_FREE):
                    n += 1
        return found[:n][[name for name in found.dtype.names if name != "seq"]]

    cdef TrackSlot* _slot(self, size_t slot) except NULL:
        if slot >= self.slots.n_slots:
            raise TableFull(f"track slot: {slot}, expected below {self.slots.n_slots}")
        return self.slots.slots + slot

    cdef TrackSlot* _writable(self, size_t slot) except NULL:
        if not self.region.writable:
            raise CoreError(f"{self.region.path}: mapped read-only, expected a writable mapping")
        return self._slot(slot)
