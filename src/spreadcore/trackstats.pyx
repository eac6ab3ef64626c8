"""Statistics of tracks, and reading them again from the rows of snapshots files."""
from typing import NamedTuple

from libc.math cimport NAN
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memset

from spreadcore.rows cimport Seen, take_row

from spreadcore.errors import CoreError


class StatsTuple(NamedTuple):
    """What is known of a track; ns of CLOCK_BOOTTIME, NaN where there is nothing.

    Means and the smallest notional are of the tradable looks. Worst ages: highest of a
    leg's quote, at OPEN or a look, whole ms; -1 where there was none.
    """

    peak_net_bps: float
    peak_ns: int
    peak_notional: float
    profit_ns: int = 0
    mean_net_bps: float = NAN
    mean_notional: float = NAN
    min_notional: float = NAN
    tradable_looks: int = 0
    looks: int = 0
    skipped: int = 0
    worst_buy_age_ms: int = -1
    worst_sell_age_ms: int = -1


cdef stats_tuple(const Stats* s):
    cdef double n = s.tradable_looks
    return StatsTuple(
        s.peak_net_bps, s.peak_ns, s.peak_notional, s.profit_ns,
        s.sum_net_bps / n if n else NAN, s.sum_notional / n if n else NAN,
        s.min_notional if n else NAN, s.tradable_looks, s.looks, s.skipped,
        s.worst_buy_age_ms, s.worst_sell_age_ms)


cdef int stats_from(Stats* s, found, int64_t looked_ns) except -1:
    memset(s, 0, sizeof(Stats))
    s.looked_ns = looked_ns
    s.peak_net_bps, s.peak_ns, s.peak_notional = found[:3]
    s.profit_ns = found.profit_ns
    s.tradable_looks, s.looks, s.skipped = found.tradable_looks, found.looks, found.skipped
    s.worst_buy_age_ms = found.worst_buy_age_ms
    s.worst_sell_age_ms = found.worst_sell_age_ms
    if s.tradable_looks:
        s.sum_net_bps = found.mean_net_bps * s.tradable_looks
        s.sum_notional = found.mean_notional * s.tradable_looks
        s.min_notional = found.min_notional
    return 0


cdef struct Reread:
    Stats stats
    double fees_bps
    int64_t shift_ns            # Unix time minus CLOCK_BOOTTIME
    int64_t after_ns            # rows up to here are in the statistics


cdef class StatsReader:
    """Takes up statistics where they ended and adds the looks that snapshots files hold.

    tracks: (id, fees_bps, statistics, Unix ns of the row that they stand in, Unix time minus
    CLOCK_BOOTTIME then). Rows must come oldest first; those of a track that is not asked for, or
    not newer than the one before, are passed over.
    """

    cdef:
        dict _index
        Reread* _tracks
        int64_t _grid_ns

    def __cinit__(self, tracks, *, int64_t grid_ns):
        cdef Reread* track
        if grid_ns < 1:
            raise CoreError(f"grid: {grid_ns} ns, expected at least 1")
        tracks = list(tracks)
        self._grid_ns = grid_ns
        self._tracks = <Reread*>calloc(max(1, len(tracks)), sizeof(Reread))
        if self._tracks == NULL:
            raise MemoryError
        self._index = {}
        for i, (name, fees_bps, stats, since_unix_ns, shift_ns) in enumerate(tracks):
            track = self._tracks + <size_t>i
            stats_from(&track.stats, stats, since_unix_ns - shift_ns)
            track.fees_bps, track.shift_ns = fees_bps, shift_ns
            track.after_ns = track.stats.looked_ns
            self._index[name] = i

    def __dealloc__(self):
        free(self._tracks)

    def read(self, bytes block not None):
        """Add the rows of whole lines; return how many of the tracks' rows make no sense."""
        cdef const char* at = block
        cdef const char* end = at + len(block)
        cdef const char* newline
        cdef const char* comma
        cdef size_t broken = 0
        while at < end:
            newline = <const char*>memchr(at, 10, end - at)
            if newline == NULL:
                break
            comma = <const char*>memchr(at, 44, newline - at)
            if comma != NULL:
                i = self._index.get(at[:comma - at])
                if i is not None:
                    broken += self._add(self._tracks + <size_t>i, comma + 1, newline)
            at = newline + 1
        return broken

    # 1 where the row makes no sense
    cdef int _add(self, Reread* track, const char* at, const char* end) except -1:
        cdef Seen seen
        if take_row(at, end, &seen) < 0:
            return 1
        cdef int64_t at_ns = seen.unix_ns - track.shift_ns
        if at_ns > track.after_ns:
            track.after_ns = at_ns
            stats_look(&track.stats, seen.tradable, seen.gross_bps, track.fees_bps,
                       seen.notional, seen.age_ms[0], seen.age_ms[1], at_ns, self._grid_ns)
        return 0

    def result(self, bytes name not None):
        """Return (StatsTuple, ns of the last look) of a track; KeyError for one not asked for."""
        cdef Reread* track = self._tracks + <size_t>self._index[name]
        return stats_tuple(&track.stats), track.stats.looked_ns
