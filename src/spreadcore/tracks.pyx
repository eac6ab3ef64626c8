"""TrackTable: all open tracks; one look at all of them decides ends and formats rows.

Single-threaded. The caller owns what follows from an end; a slot stays taken until remove(). Its
number is that of the slot in shared memory, as far as there are so many.
"""
from heapq import heappop, heappush
from typing import NamedTuple

from libc.stdlib cimport free, realloc
from libc.string cimport memset

from spreadcore.ages cimport age_in
from spreadcore.audit cimport (
    VERDICT_CONFIRMED,
    VERDICT_NOT_TRADING,
    VERDICT_WRONG,
    Verdicts,
    verdict_kind,
    verdict_read,
)
from spreadcore.conversion cimport NO_LEG
from spreadcore.funding cimport FundingRates, funding_of_edge
from spreadcore.layout cimport OpenTrack, Verdict
from spreadcore.limits cimport below, limit_at
from spreadcore.opentracks cimport (
    OPEN_TRADABLE,
    OPEN_UNPROVEN,
    SLOT_ENDED,
    SLOT_OPEN,
    OpenTracks,
    open_from,
    open_write,
)
from spreadcore.quotes cimport QUOTE_BUSY
from spreadcore.rows cimport ROW_MAX, TIME_BYTES, age_ms, put_row, set_head
from spreadcore.tradable cimport Tradable
from spreadcore.trackstats cimport stats_from, stats_look, stats_tuple
from spreadcore.watch cimport Pair, PairWatch, look_at_beats, pair_read, pair_size, pair_tuple

from spreadcore.errors import CoreError, TableFull
from spreadcore.trackstats import StatsTuple
from spreadcore.watch import PairTuple

CONVERGED, EXPIRED, LOST = END_CONVERGED, END_EXPIRED, END_LOST
NOT_TRADING, UNPROVEN, HALTED = END_NOT_TRADING, END_UNPROVEN, END_HALTED

cdef enum:
    FIRST_CAPACITY = 64         # tracks; doubles
    PROVEN_AFTER_S = 120        # an opening quote is found wrong within it, or has been replaced


class Sampled(NamedTuple):
    """One look at all tracks.

    rows: whole lines. late: (slot, ns without a row until now, statistics with this look).
    ended: (slot, reason, the pair, None where a leg was held by its writer).
    """

    rows: bytes
    n_rows: int
    late: list[tuple[int, int, StatsTuple]]
    ended: list[tuple[int, int, PairTuple | None]]


# why the track ends with this look, or END_NONE; pair: NULL where a leg is held by its writer.
# That is no look at prices, but a slot held for lost_after_s belongs to a dead writer, so the
# time without a tradable look runs on.
cdef int end_of(Track* t, const Pair* pair, int64_t now_ns, int64_t expire_after_ns,
                int64_t lost_after_ns) noexcept nogil:
    if pair != NULL and pair.tradable:
        t.bad_since_ns = -1
        if below(pair.gross_bps - t.head.fees_bps, &t.converge):
            return END_CONVERGED
    elif t.bad_since_ns < 0:
        t.bad_since_ns = now_ns
    if now_ns - t.opened_ns >= expire_after_ns:
        return END_EXPIRED
    if t.bad_since_ns >= 0 and now_ns - t.bad_since_ns >= lost_after_ns:
        return END_LOST
    return END_NONE


# why the audit ends a track, or END_NONE: a leg is halted, or the quote that it was opened on was
# wrong. That one was in the slot before it opened, and still when the venue was asked. Once it is
# confirmed as of then or later it is proven: it opened well, whatever it becomes after that.
cdef int audited_end(const Verdicts* v, size_t source, size_t symbol, int64_t opened_ns,
                     bint* proven) noexcept nogil:
    cdef Verdict found = verdict_read(v, source, symbol)
    cdef int kind = verdict_kind(&found)
    cdef bint of_opening = found.recv_ns <= opened_ns <= found.at_ns
    if kind == VERDICT_NOT_TRADING:
        return END_NOT_TRADING
    if kind == VERDICT_CONFIRMED and of_opening:
        proven[0] = True
    if kind == VERDICT_WRONG and of_opening and not proven[0]:
        return END_UNPROVEN
    return END_NONE


cdef int audited(const Tradable* rule, Track* t, bint stands, int64_t now_ns) noexcept nogil:
    cdef int reason
    if rule.verdicts.figures == NULL or (
            stands and now_ns - t.opened_ns > <int64_t>PROVEN_AFTER_S * 1_000_000_000):
        return END_NONE
    reason = audited_end(&rule.verdicts, t.legs.buy_source, t.legs.buy_row, t.opened_ns,
                         &t.proven[0])
    if reason == END_NONE:
        reason = audited_end(&rule.verdicts, t.legs.sell_source, t.legs.sell_row, t.opened_ns,
                             &t.proven[1])
    if reason == END_NONE and t.conversion.leg != NO_LEG:
        reason = audited_end(&rule.verdicts, t.conversion.source, t.conversion.row,
                             t.opened_ns, &t.proven[2])
    return reason


cdef void open_look(Track* t, const Pair* p, int64_t now_ns, double received_bps) noexcept nogil:
    """Let others see what a look found."""
    cdef OpenTrack* o = &t.open
    o.looked_ns = now_ns
    o.flags = (o.flags & OPEN_UNPROVEN) | (OPEN_TRADABLE if p.tradable else 0)
    o.buy_px, o.buy_qty = p.buy.ask_px, p.buy.ask_qty
    o.sell_px, o.sell_qty = p.sell.bid_px, p.sell.bid_qty
    o.gross_bps, o.net_bps, o.exit_bps = p.gross_bps, p.gross_bps - t.head.fees_bps, p.exit_bps
    o.funding_bps, o.peak_net_bps = received_bps, t.stats.peak_net_bps
    o.buy_age_ms = age_in(age_ms(&p.buy, now_ns))
    o.sell_age_ms = age_in(age_ms(&p.sell, now_ns))


cdef class TrackTable:
    """Tracks by slot number. Times in ns of CLOCK_BOOTTIME.

    funding: of the instance that watch reads; it stands in the rows and decides nothing. gap_ns: a
    track without a row for longer is reported late, and time that nobody looked for so long is
    none that a leg was lost in. expire_after_ns, lost_after_ns: as in the
    config. tracks: where others see what is open; the slots are taken over, whoever left them.
    """

    cdef:
        PairWatch _watch
        FundingRates _funding
        OpenTracks _shown       # None: nobody sees
        size_t _n_shown         # slots of it
        Track* _tracks
        char* _rows             # capacity rows of ROW_MAX bytes
        size_t _n               # slots in use and free ones among them
        size_t _capacity
        list _free
        int64_t _grid_ns, _gap_ns, _expire_after_ns, _lost_after_ns
        int64_t _sampled_ns     # the last look at all; -1: none yet

    def __cinit__(self, PairWatch watch not None, FundingRates funding not None, *,
                  int64_t grid_ns, int64_t gap_ns, int64_t expire_after_ns,
                  int64_t lost_after_ns, OpenTracks tracks=None):
        if grid_ns < 1:
            raise CoreError(f"grid: {grid_ns} ns, expected at least 1")
        watch.quotes.region.check_same(funding.region)
        self._watch, self._funding, self._free = watch, funding, []
        self._grid_ns, self._gap_ns = grid_ns, gap_ns
        self._expire_after_ns, self._lost_after_ns = expire_after_ns, lost_after_ns
        self._sampled_ns = -1
        self._grow(FIRST_CAPACITY)
        if tracks is not None:
            watch.quotes.region.check_same(tracks.region)
            self._shown, self._n_shown = tracks, tracks.slots.n_slots
            for slot in range(self._n_shown):
                tracks.clear(slot)

    def __dealloc__(self):
        free(self._tracks)
        free(self._rows)

    def __len__(self):
        return self._n - len(self._free)

    def add(self, bytes name not None, pair not None, *, double fees_bps, double converge_bps,
            int64_t opened_ns, int64_t looked_ns, stats not None, seen=None, conversion=None):
        """Follow a pair (buy source and row, sell source and row); return the track's slot.

        name: its id in the rows. looked_ns: when it was last looked at, opened_ns for a new one.
        conversion: as PairWatch.read() takes it.
        seen: the OpenTuple that others see until the first look; needed where they see any.
        CoreError for a name that does not fit, TableFull for a pair beyond the quote table.
        """
        cdef Track t
        memset(&t, 0, sizeof(Track))
        t.legs.buy_source, t.legs.buy_row, t.legs.sell_source, t.legs.sell_row = pair
        self._watch.quotes.slot(t.legs.buy_source, t.legs.buy_row)
        self._watch.quotes.slot(t.legs.sell_source, t.legs.sell_row)
        t.conversion = self._watch.conversion(conversion)
        set_head(&t.head, name, fees_bps)
        stats_from(&t.stats, stats, looked_ns)
        t.state, t.bad_since_ns = TRACK_OPEN, -1
        t.converge = limit_at(converge_bps, fees_bps)
        t.opened_ns, t.rowed_ns = opened_ns, looked_ns
        if self._shown is not None:
            open_from(&t.open, seen)
            t.open.state = SLOT_OPEN
        cdef size_t slot
        if self._free:
            slot = heappop(self._free)      # the lowest: others see those
        else:
            if self._n == self._capacity:
                self._grow(2 * self._capacity)
            slot = self._n
            self._n += 1
        self._tracks[slot] = t
        self._show(slot)
        return slot

    def remove(self, size_t slot):
        """Give the slot of a track back; it may be another's at once."""
        self._track(slot).state = TRACK_NONE
        heappush(self._free, slot)
        if slot < self._n_shown:
            self._shown.clear(slot)

    def end(self, size_t slot):
        """Look at a track no more; it keeps its slot until remove()."""
        self._end(slot)

    def stats(self, size_t slot):
        """Return the StatsTuple of a track."""
        return stats_tuple(&self._track(slot).stats)

    def sample(self, int64_t now_ns, bytes time not None, *, bint rows=True,
               int64_t halted_ns=0):
        """Look at every track that has not ended; return a Sampled.

        time: of now_ns, as it stands in the rows. rows=False: look, but leave no rows. halted_ns:
        what was opened until then is halted.
        """
        if len(time) != TIME_BYTES:
            raise CoreError(f"time: {time!r}, expected as 2026-11-20T12:00:00.123456Z")
        late, ended = [], []
        cdef char* at = self._rows
        cdef const char* when = time
        cdef size_t slot, n_rows = 0
        cdef Track* t
        cdef Pair pair
        cdef Pair* found
        cdef int reason
        cdef double received
        # nobody looked, as in a suspended machine: nobody knows how the legs were meanwhile
        cdef int64_t unseen_ns = now_ns - self._sampled_ns
        if self._sampled_ns < 0 or unseen_ns < self._gap_ns:
            unseen_ns = 0
        self._sampled_ns = now_ns
        look_at_beats(&self._watch.rule, now_ns)
        for slot in range(self._n):
            t = self._tracks + slot
            if t.state != TRACK_OPEN:
                continue
            if t.bad_since_ns >= 0:
                t.bad_since_ns += unseen_ns
            found = NULL
            if pair_read(&self._watch.quotes.table, &self._watch.rule, &t.legs,
                         &t.conversion, now_ns, &pair) != QUOTE_BUSY:
                found = &pair
                stats_look(&t.stats, pair.tradable, pair.gross_bps, t.head.fees_bps,
                           pair_size(found), age_ms(&pair.buy, now_ns),
                           age_ms(&pair.sell, now_ns), now_ns, self._grid_ns)
                received = funding_of_edge(
                    &self._funding.table, t.legs.buy_source, t.legs.buy_row,
                    t.legs.sell_source, t.legs.sell_row, now_ns)
                open_look(t, found, now_ns, received)
                if rows:
                    if now_ns - t.rowed_ns >= self._gap_ns:
                        late.append((slot, now_ns - t.rowed_ns, stats_tuple(&t.stats)))
                    t.rowed_ns = now_ns
                    at = put_row(at, &t.head, when, found, now_ns, received)
                    n_rows += 1
            reason = audited(&self._watch.rule, t, found != NULL and pair.tradable, now_ns)
            if reason == END_NONE and t.opened_ns <= halted_ns:
                reason = END_HALTED
            if reason == END_NONE:
                reason = end_of(t, found, now_ns, self._expire_after_ns, self._lost_after_ns)
            if reason != END_NONE:
                self._end(slot)
                ended.append((slot, reason, pair_tuple(found, now_ns) if found != NULL else None))
            elif found != NULL:
                self._show(slot)
        return Sampled(self._rows[:at - self._rows], n_rows, late, ended)

    cdef int _end(self, size_t slot) except -1:
        cdef Track* t = self._track(slot)
        t.state, t.open.state = TRACK_ENDED, SLOT_ENDED
        self._show(slot)
        return 0

    cdef void _show(self, size_t slot) noexcept:
        if slot < self._n_shown:
            open_write(self._shown.slots.slots + slot, &self._tracks[slot].open)

    cdef Track* _track(self, size_t slot) except NULL:
        if slot >= self._n or self._tracks[slot].state == TRACK_NONE:
            raise TableFull(f"track slot: {slot}, expected one of {len(self)} in use")
        return self._tracks + slot

    cdef int _grow(self, size_t capacity) except -1:
        cdef void* tracks = realloc(self._tracks, capacity * sizeof(Track))
        if tracks == NULL:
            raise MemoryError
        self._tracks = <Track*>tracks
        cdef void* rows = realloc(self._rows, capacity * ROW_MAX)
        if rows == NULL:
            raise MemoryError
        self._rows = <char*>rows
        self._capacity = capacity
        return 0
