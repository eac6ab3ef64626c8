"""The frames of one socket: from bytes to slots in one call, counted, nothing allocated."""
from spreadcore.health cimport count
from spreadcore.intake cimport REFRESHED, intake_accept
from spreadcore.quotes cimport quote_slot
from spreadcore.symbols cimport NO_SYMBOL, names_find
from spreadcore.wire.decoder cimport Item, decode
from spreadcore.wire.program cimport F_SYMBOL, MAX_ITEMS

from spreadcore.layout import DECLINED, SOURCE_COUNTERS

cdef size_t C_ODD_TIMES = SOURCE_COUNTERS.index("odd_times")
cdef size_t C_FALLBACK = SOURCE_COUNTERS.index("fallback_no_match")


cdef extern from *:
    """
    #define sc_prefetch(p) __builtin_prefetch(p, 1)
    """
    void prefetch "sc_prefetch" (const void* p) noexcept nogil


cdef uint32_t look_up(void* intake, const char* name, size_t n) noexcept nogil:
    """Find a symbol; what the gate will touch of it is on its way while numbers are read."""
    cdef Intake* k = <Intake*>intake
    cdef uint32_t symbol = names_find(&k.names, name, n)
    if symbol != NO_SYMBOL:
        prefetch(k.states + symbol)
        prefetch(quote_slot(&k.quotes, k.source, symbol))
    return symbol


cdef void count_odd_times(LinkCore* f, uint64_t n) noexcept nogil:
    f.odd_times += n
    count(&f.intake.health.counters[C_ODD_TIMES], n)


cdef int frame_take(LinkCore* f, const char* frame, size_t n, int64_t recv_ns) noexcept nogil:
    cdef Item items[MAX_ITEMS]
    cdef int i, code, passed = 0, odd = 0
    cdef int found = decode(f.program, f.shapes, frame, n, items, look_up, f.intake)
    for i in range(found):
        if items[i].looked_up == NO_SYMBOL:
            found = -1 - F_SYMBOL
            break
    if found < 0:
        count(&f.intake.health.counters[C_FALLBACK - 1 - found], 1)
        return found
    f.refused = 0
    for i in range(found):
        code = intake_accept(f.intake, items[i].looked_up, f.link, &items[i].fields, recv_ns)
        passed += code >= 0
        f.refreshes += code == REFRESHED
        odd += items[i].odd_time
        if code < 0 and f.refused == 0:
            f.refused = code
    if odd:
        count_odd_times(f, odd)
    f.frames += 1
    f.last_recv_ns = recv_ns
    if passed:
        f.valid += passed
        f.last_quote_ns = recv_ns
    return passed


cdef class LinkIntake:
    """The intake of one socket of a feed: `link` is its number, the decoder that of the venue."""

    def __cinit__(self, SourceIntake feed not None, FrameDecoder decoder not None, uint32_t link):
        self.feed, self._decoder = feed, decoder
        self.core.intake = &feed.intake
        self.core.program = &decoder.program
        self.core.shapes = decoder.shapes
        self.core.link = link

    def take(self, bytes frame not None, int64_t recv_ns):
        """Take a frame into the table; return how many quotes passed the gate.

        -1 - index into layout.FALLBACK: nothing was done, the reference decoder has to look.
        """
        return frame_take(&self.core, <const char*>frame, len(frame), recv_ns)

    def count_odd_times(self, uint64_t n):
        """Count quotes of this socket, read by the reference decoder, whose time was no Unix ms."""
        count_odd_times(&self.core, n)

    def record(self, uint32_t opcode, bytes payload not None, int64_t recv_ns):
        """Copy a frame to the feed's tape, where it has one."""
        if self.feed.tape is not None:
            self.feed.tape.append(recv_ns, self.core.link, opcode, payload)

    def top(self, str name not None):
        """Return the last top of book of a symbol in wire units, by the venue's own name.

        (bid_px, bid_qty, ask_px, ask_qty, venue_ns, update_id, id_kind), whoever decoded it; None
        before the first, after its socket closed, or where the feed does not keep them.
        """
        cdef bytes text = name.encode()
        cdef uint32_t symbol = names_find(&self.core.intake.names, text, len(text))
        return None if symbol == NO_SYMBOL else self.feed.top(symbol)

    @property
    def frames(self):
        """Frames taken here."""
        return self.core.frames

    @property
    def valid(self):
        """Quotes of them that passed the gate."""
        return self.core.valid

    @property
    def refreshes(self):
        """Of these, how many repeated an update id."""
        return self.core.refreshes

    @property
    def odd_times(self):
        """Quotes of this socket, whoever read them, whose venue time was no Unix ms."""
        return self.core.odd_times

    @property
    def refused(self):
        """Why a quote of the last frame taken did not pass, by layout.DECLINED; '' if all did."""
        return DECLINED[-1 - self.core.refused] if self.core.refused else ""

    @property
    def last_recv_ns(self):
        """When the last of them was received, 0 before."""
        return self.core.last_recv_ns

    @property
    def last_quote_ns(self):
        """When the last quote that passed was received, 0 before."""
        return self.core.last_quote_ns
