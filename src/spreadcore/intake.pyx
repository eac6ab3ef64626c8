"""The intake of one feed: decoded fields in, quote slots and dirty bits out.

Called for every decoded top of book: by frames.pyx, or by the feed worker for what only the
reference decoder could read. Takes receive time as an argument and reads no clock. What it
refuses it counts by reason.
"""
cimport cython
from libc.math cimport isnan
from libc.stdlib cimport calloc, free

from spreadcore.cadence cimport cadence_heard, cadence_start
from spreadcore.dirty cimport DirtySet
from spreadcore.health cimport Health
from spreadcore.layout cimport QuoteSlot
from spreadcore.lines cimport LINE_BYTES, new_lines
from spreadcore.quotes cimport (
    AVERAGE_PRICE,
    LIMIT_AT,
    LIMIT_UNIT_NS,
    LINK_BITS,
    PAUSE_UNIT_NS,
    Quotes,
)
from spreadcore.symbols cimport names_forget, names_free, names_put
from spreadcore.tradable cimport LONGEST_SILENCE_S, stale_limit_ns
from spreadcore.layout import DECLINED, SOURCE_COUNTERS
from spreadcore.errors import CoreError, TableFull

cdef enum:
    D_OTHER_CHANNEL, D_BAD_FRAME, D_UNKNOWN_SYMBOL, D_NO_CONTRACT_SIZE, D_NO_SNAPSHOT,
    D_OLD_ID, D_ONE_SIDED, D_BAD_PRICE, D_CROSSED, D_NOT_TRADING, N_DECLINED

cdef size_t C_QUOTES = SOURCE_COUNTERS.index("quotes")
cdef size_t C_REFRESHES = SOURCE_COUNTERS.index("refreshes")
cdef size_t C_EMPTIED = SOURCE_COUNTERS.index("emptied")
cdef size_t C_WAKES = SOURCE_COUNTERS.index("wakes")
cdef size_t C_ID_RESTARTS = SOURCE_COUNTERS.index("id_restarts")
cdef size_t C_DECLINED = SOURCE_COUNTERS.index("declined_other_channel")

if len(DECLINED) != N_DECLINED or DECLINED[D_NOT_TRADING] != "not_trading":
    raise ImportError(f"intake: {len(DECLINED)} reasons in layout, expected {N_DECLINED}")

if sizeof(SymbolState) != 2 * LINE_BYTES:
    raise ImportError(f"intake: a symbol's state has {sizeof(SymbolState)} bytes, expected 2 lines")

RESETS = {"never": RESET_NEVER, "is_one": RESET_IS_ONE, "newer_time": RESET_NEWER_TIME}


cdef inline int decline(Intake* k, int reason) noexcept nogil:
    count(&k.health.counters[C_DECLINED + reason], 1)
    return -1 - reason


cdef inline void mark(Intake* k, size_t symbol, int64_t recv_ns) noexcept nogil:
    dirty_mark(&k.dirty, k.source, symbol)
    if k.n_unflushed == 0:
        k.oldest_recv_ns = recv_ns
    k.n_unflushed += 1


cdef inline bint is_good(double px, double qty) noexcept nogil:
    return isfinite(px) and isfinite(qty) and px > 0 and qty > 0


cdef int one_side_fault(const Fields* f) noexcept nogil:
    """-1 for a quote of one good side and none at all of the other, else the reason."""
    cdef bint no_bid = isnan(f.bid_px) and isnan(f.bid_qty)
    cdef bint no_ask = isnan(f.ask_px) and isnan(f.ask_qty)
    if no_bid == no_ask:
        return D_ONE_SIDED
    if is_good(f.ask_px, f.ask_qty) if no_bid else is_good(f.bid_px, f.bid_qty):
        return -1
    return D_BAD_PRICE


cdef inline int price_fault(const Fields* f, bint one_side_will_do) noexcept nogil:
    """-1 for a good top, of two sides unless one will do, else the reason."""
    if isnan(f.bid_px) or isnan(f.ask_px) or isnan(f.bid_qty) or isnan(f.ask_qty):
        return one_side_fault(f) if one_side_will_do else D_ONE_SIDED
    if not (isfinite(f.bid_px) and isfinite(f.ask_px) and isfinite(f.bid_qty)
            and isfinite(f.ask_qty)):
        return D_BAD_PRICE
    if not (f.bid_px > 0 and f.ask_px > 0 and f.bid_qty > 0 and f.ask_qty > 0):
        return D_BAD_PRICE
    if f.bid_px > f.ask_px:
        return D_CROSSED
    return -1


cdef inline bint storable(const Quote* q) noexcept nogil:
    """Still finite and above zero, once in coins and per coin; a side that is missing stays so."""
    return ((is_good(q.bid_px, q.bid_qty) or isnan(q.bid_px))
            and (is_good(q.ask_px, q.ask_qty) or isnan(q.ask_px)))


cdef inline bint is_old(const Intake* k, const SymbolState* s, const Fields* f) noexcept nogil:
    if f.update_id < 0 or s.last_id < 0 or f.id_kind != s.id_kind or f.update_id >= s.last_id:
        return False
    if k.id_reset == RESET_IS_ONE:
        return f.update_id != 1
    if k.id_reset == RESET_NEWER_TIME:
        return f.venue_ns <= s.last_venue_ns
    return True


cdef inline bint has_no_book(const Fields* f) noexcept nogil:
    """Id 0 over two missing sides: there is no book, nor an id to compare or to remember."""
    return f.update_id == 0 and isnan(f.bid_px) and isnan(f.ask_px)


cdef bint has_restarted(Intake* k, SymbolState* s, uint32_t link, const Fields* f,
                        int64_t recv_ns) noexcept nogil:
    """Whether a lower id is one of a new sequence."""
    if recv_ns - s.last_id_ns < <int64_t>RESTART_S * 1_000_000_000:
        if link != s.link or s.n_old == HANDED_OVER:
            return False
        s.n_old = s.n_old + 1 if s.n_old and f.update_id > s.old_id else 1
        s.old_id = f.update_id
        if s.n_old < RISING_IDS:
            return False
    s.id_restarts += 1
    count(&k.health.counters[C_ID_RESTARTS], 1)
    return True


cdef int intake_accept(Intake* k, size_t symbol, uint32_t link, const Fields* f,
                       int64_t recv_ns) noexcept nogil:
    return take(k, symbol, link, f, recv_ns, NULL)


cdef int take(Intake* k, size_t symbol, uint32_t link, const Fields* f, int64_t recv_ns,
              const uint64_t* own) noexcept nogil:
    """own: what the quote says of itself in its flags, one side will do; NULL: it has to be a top.

    A limit of its own stands in place of the one that is learnt.
    """
    cdef SymbolState* s
    cdef QuoteSlot* slot
    cdef Quote q
    cdef int fault
    cdef bint again, no_book
    if symbol >= k.n_symbols or k.states[symbol].known != KNOWN:
        return decline(k, D_NOT_TRADING if symbol < k.n_symbols
                       and k.states[symbol].known == HALTED else D_UNKNOWN_SYMBOL)
    s = k.states + symbol
    if k.tops != NULL:
        k.tops[symbol] = f[0]
    if isnan(s.qty_scale):
        return decline(k, D_NO_CONTRACT_SIZE)
    no_book = has_no_book(f)
    if not no_book and is_old(k, s, f) and not has_restarted(k, s, link, f, recv_ns):
        return decline(k, D_OLD_ID)
    again = f.update_id >= 0 and f.update_id == s.last_id and f.id_kind == s.id_kind
    if s.link != link:
        s.cadence.heard_ns = 0          # a pause is one of a socket
        s.n_old = HANDED_OVER
    s.link = link
    if not no_book:
        s.last_id = f.update_id
        s.last_id_ns = recv_ns
        s.n_old = 0
        s.id_kind = f.id_kind
        s.last_venue_ns = f.venue_ns
    slot = quote_slot(&k.quotes, k.source, symbol)
    fault = price_fault(f, own != NULL)
    q.bid_px = f.bid_px / s.multiplier
    q.ask_px = f.ask_px / s.multiplier
    q.bid_qty = f.bid_qty * s.qty_scale
    q.ask_qty = f.ask_qty * s.qty_scale
    if fault < 0 and not storable(&q):
        fault = D_BAD_PRICE
    if fault >= 0:
        # the old top is gone, whatever the new one is
        quote_write_empty(slot, link & LINK_BITS)
        s.cadence.heard_ns = 0
        mark(k, symbol, recv_ns)
        count(&k.health.counters[C_EMPTIED], 1)
        return decline(k, fault)
    q.venue_ns = f.venue_ns
    q.recv_ns = recv_ns
    q.flags = link & LINK_BITS
    if k.cap:
        cadence_heard(&s.cadence, recv_ns, k.floor, k.cap)
        if own == NULL or own[0] >> LIMIT_AT == 0:
            q.flags |= s.cadence.word
    if own != NULL:
        q.flags |= own[0]
    quote_write(slot, &q)
    s.last_recv_ns = recv_ns
    s.quotes += 1
    mark(k, symbol, recv_ns)
    count(&k.health.counters[C_QUOTES], 1)
    if again:
        count(&k.health.counters[C_REFRESHES], 1)
        return REFRESHED
    return ACCEPTED


cdef void intake_flush(Intake* k, int64_t now_ns) noexcept nogil:
    """Wake the engine once for all marks of a socket read; their age goes to the histogram."""
    if k.n_unflushed == 0:
        return
    if dirty_wake(&k.dirty):
        count(&k.health.counters[C_WAKES], 1)
    histogram_add(&k.health.latency, now_ns - k.oldest_recv_ns, k.n_unflushed)
    k.n_unflushed = 0


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class SourceIntake:
    """Intake of one source; the caller holds the source's lease and is its only writer.

    id_reset: 'never', 'is_one' or 'newer_time' (which lower ids are a new sequence). keep_tops:
    remember each symbol's last top of book in wire units, for venues that send deltas. learn_to_s:
    for a source that says nothing while nothing changes, the longest that a pair may be silent;
    for how long each may is learnt from its pauses and stands in its slot. 0: nothing is learnt.
    learn_from_s: the shortest limit that is learnt.
    """

    def __cinit__(self, Region quotes not None, Region dirty not None, Region health not None,
                  size_t source_id, str id_reset="never", bint keep_tops=False,
                  double learn_to_s=0.0, double learn_from_s=10.0):
        for region in (quotes, dirty, health):
            if not region.writable:
                raise CoreError(f"{region.path}: mapped read-only, expected a writable mapping")
        quotes.check_same(dirty)
        quotes.check_same(health)
        if id_reset not in RESETS:
            raise CoreError(f"id_reset: {id_reset!r}, expected one of {', '.join(RESETS)}")
        if source_id >= quotes.n_sources:
            raise TableFull(f"source id: {source_id}, expected below {quotes.n_sources}")
        self.source_id = source_id
        self.intake.quotes = Quotes(quotes).table
        self.intake.dirty = DirtySet(dirty).dirty
        self.intake.health = Health(health).slot(source_id)
        self.intake.source = source_id
        self.intake.n_symbols = quotes.n_symbols
        self.intake.id_reset = RESETS[id_reset]
        if learn_to_s:
            self.intake.cap = <uint16_t>max(1, stale_limit_ns(learn_to_s) // PAUSE_UNIT_NS)
            self.intake.floor = <uint16_t>(stale_limit_ns(learn_from_s) // PAUSE_UNIT_NS)
        self.intake.states = <SymbolState*>new_lines(
            quotes.n_symbols * sizeof(SymbolState))
        if keep_tops:
            self.intake.tops = <Fields*>calloc(quotes.n_symbols, sizeof(Fields))
        if self.intake.states == NULL or (keep_tops and self.intake.tops == NULL):
            raise MemoryError
        self._quotes, self._dirty, self._health = quotes, dirty, health
        for region in (self._quotes, self._dirty, self._health):
            (<Region>region).hold()

    def __dealloc__(self):
        free(self.intake.states)
        free(self.intake.tops)
        names_free(&self.intake.names)
        for region in (self._quotes, self._dirty, self._health):
            if region is not None:
                (<Region>region).drop()

    def record_to(self, Tape tape):
        """Let the sockets copy what they receive to a tape from now on; None: no more."""
        self.tape = tape

    def add_symbol(self, size_t symbol, double multiplier=1.0, double qty_scale=1.0,
                   str name not None=""):
        """Accept quotes of a symbol: coins per listed unit, coins per wire unit of size.

        qty_scale NaN: the contract size is not known, its frames are declined so. name: the
        venue's own, by which frames find it; without one, or with one of more than 24 bytes, its
        frames are left to the reference decoder.
        """
        if not (multiplier > 0 and isfinite(multiplier)):
            raise CoreError(f"symbol {symbol}: multiplier {multiplier}, expected above 0")
        if not (isnan(qty_scale) or (qty_scale > 0 and isfinite(qty_scale))):
            raise CoreError(f"symbol {symbol}: qty_scale {qty_scale}, expected above 0 or NaN")
        cdef SymbolState* s = self._state(symbol)
        cdef bytes text = name.encode()
        names_put(&self.intake.names, text, len(text), <uint32_t>symbol)
        s.multiplier, s.qty_scale = multiplier, qty_scale
        s.last_id = -1
        s.quotes = 0
        s.id_restarts = 0
        s.known = KNOWN
        cadence_start(&s.cadence, self.intake.floor, self.intake.cap)

    def remove_symbol(self, size_t symbol):
        """Empty the slot, decline more quotes of the symbol, forget its name; wake the engine."""
        cdef SymbolState* s = self._state(symbol)
        names_forget(&self.intake.names, <uint32_t>symbol)
        if s.known:
            self._empty(symbol)
            s.known = 0
            s.link = 0
            s.last_recv_ns = 0
            dirty_wake(&self.intake.dirty)

    def halt_symbol(self, size_t symbol):
        """Empty the slot and decline quotes until resume_symbol(); return whether it was not so.

        The pair stays subscribed. Wakes the engine.
        """
        cdef SymbolState* s = self._state(symbol)
        if s.known != KNOWN:
            return False
        self._empty(symbol)
        s.known = HALTED
        dirty_wake(&self.intake.dirty)
        return True

    def resume_symbol(self, size_t symbol):
        """Accept quotes of a halted symbol again; return whether it was halted."""
        cdef SymbolState* s = self._state(symbol)
        if s.known != HALTED:
            return False
        s.known = KNOWN
        return True

    def empty_quote(self, size_t symbol, int64_t recv_ns):
        """Empty the slot if it still holds the quote received then; return whether it did.

        Wakes the engine.
        """
        cdef SymbolState* s = self._state(symbol)
        if not s.known or quote_slot(
                &self.intake.quotes, self.source_id, symbol).quote.recv_ns != recv_ns:
            return False
        self._empty(symbol)
        dirty_wake(&self.intake.dirty)
        return True

    def accept(self, size_t symbol, uint32_t link, double bid_px, double bid_qty, double ask_px,
               double ask_qty, int64_t venue_ns, int64_t update_id, uint8_t id_kind,
               int64_t recv_ns):
        """Pass one top of book (wire units) through the gate into its slot.

        Returns 0 accepted, 1 refreshed (the same id again), or -1 - index into
        layout.DECLINED. Does not wake: call flush() after the last frame of a socket read.
        """
        cdef Fields f
        f.bid_px, f.bid_qty, f.ask_px, f.ask_qty = bid_px, bid_qty, ask_px, ask_qty
        f.venue_ns, f.update_id, f.id_kind = venue_ns, update_id, id_kind
        return intake_accept(&self.intake, symbol, link, &f, recv_ns)

    def put(self, size_t symbol, uint32_t link, double bid_px, double bid_qty, double ask_px,
            double ask_qty, int64_t venue_ns, int64_t update_id, int64_t recv_ns, *,
            valid_ms=0, bint average=False):
        """As accept(), for a source whose quotes may have one side, and say of themselves:

        valid_ms: the age from which it is not true any more, whoever stands by it (whole ms, up to
        600,000; 0: the source's rule). average: its prices are averages for its sizes, not the
        touch. A missing side is NaN in price and size. CoreError for a valid_ms beyond.
        """
        if type(valid_ms) is not int or not 0 <= valid_ms <= LONGEST_SILENCE_S * 1000:
            raise CoreError(
                f"symbol {symbol}: valid_ms {valid_ms}, expected whole ms from 0 to "
                f"{LONGEST_SILENCE_S * 1000}")
        cdef Fields f
        cdef uint64_t own = <uint64_t>valid_ms << LIMIT_AT | (AVERAGE_PRICE if average else 0)
        f.bid_px, f.bid_qty, f.ask_px, f.ask_qty = bid_px, bid_qty, ask_px, ask_qty
        f.venue_ns, f.update_id, f.id_kind = venue_ns, update_id, 0
        return take(&self.intake, symbol, link, &f, recv_ns, &own)

    def decline(self, int reason, uint64_t n=1):
        """Count a frame that the caller declined: index into layout.DECLINED."""
        if not 0 <= reason < N_DECLINED:
            raise CoreError(f"reason: {reason}, expected 0 to {N_DECLINED - 1}")
        count(&self.intake.health.counters[C_DECLINED + reason], n)

    def flush(self, int64_t now_ns):
        """Wake the engine once for everything accepted since the last flush."""
        intake_flush(&self.intake, now_ns)

    def empty_all(self):
        """Empty every slot of the source that holds a quote, wake the engine; return how many."""
        cdef size_t symbol
        cdef QuoteSlot* slot
        cdef int n = 0
        for symbol in range(self.intake.n_symbols):
            slot = quote_slot(&self.intake.quotes, self.source_id, symbol)
            if slot.quote.recv_ns != 0 or slot.seq & 1:
                self._empty(symbol)
                n += 1
        dirty_wake(&self.intake.dirty)
        return n

    def empty_link(self, uint32_t link, bint forget_ids):
        """Empty what the link still owns, wake the engine; return how many.

        forget_ids: the socket closed, a new one may start from lower ids.
        """
        cdef size_t symbol
        cdef SymbolState* s
        cdef int n = 0
        for symbol in range(self.intake.n_symbols):
            s = self.intake.states + symbol
            if not s.known or s.link != link:
                continue
            self._empty(symbol)
            n += 1
            if forget_ids:
                s.last_id = -1
                s.link = 0
        dirty_wake(&self.intake.dirty)
        return n

    def hand_over(self, uint32_t old, uint32_t new, symbols):
        """Let a link own what another one does of these symbols; return how many.

        The new one has been subscribed since before the old one ends: what stood still stands.
        """
        cdef SymbolState* s
        cdef int n = 0
        for symbol in symbols:
            s = self._state(symbol)
            if s.known and s.link == old:
                s.link = new
                s.n_old = HANDED_OVER
                n += 1
        return n

    def subscribed_anew(self, uint32_t link, symbols, int64_t now_ns):
        """Hear that a link has subscribed to these symbols once more: its ids may begin anew.

        What it owns of them begins a new pause: it may not have been listening before.
        """
        cdef SymbolState* s
        for symbol in symbols:
            s = self._state(symbol)
            if s.known and s.link == link:
                s.last_id = -1
                if s.cadence.heard_ns:
                    s.cadence.heard_ns = now_ns

    def id_restarts(self):
        """Return how often each symbol's ids began anew though its socket went on; those above 0.

        Since the symbol was added.
        """
        cdef size_t symbol
        return {symbol: self.intake.states[symbol].id_restarts
                for symbol in range(self.intake.n_symbols)
                if self.intake.states[symbol].known and self.intake.states[symbol].id_restarts}

    def unheard(self):
        """Return the symbols that no open socket has written yet."""
        cdef size_t symbol
        return [symbol for symbol in range(self.intake.n_symbols)
                if self.intake.states[symbol].known and self.intake.states[symbol].link == 0]

    def top(self, size_t symbol):
        """Return the last top of book decoded, in wire units; None where none is known or kept.

        (bid_px, bid_qty, ask_px, ask_qty, venue_ns, update_id, id_kind); NaN: a missing side.
        """
        cdef const SymbolState* s = self._state(symbol)
        cdef const Fields* f
        if self.intake.tops == NULL or not s.known or s.link == 0:
            return None
        f = self.intake.tops + symbol
        return (f.bid_px, f.bid_qty, f.ask_px, f.ask_qty, f.venue_ns, f.update_id, f.id_kind)

    def written(self, size_t symbol):
        """Return (update id of what wrote the slot last, quotes accepted since it was added).

        None where no open socket has written it.
        """
        cdef const SymbolState* s = self._state(symbol)
        return (s.last_id, s.quotes) if s.link else None

    def last_recv_ns(self, size_t symbol):
        """Return when the symbol last had an accepted quote, 0 for never."""
        return self._state(symbol).last_recv_ns

    def limit_s(self, size_t symbol):
        """Return the age up to which the symbol's quotes are true, as learnt; 0: none is learnt."""
        cdef SymbolState* s = self._state(symbol)
        return self._own_ns(s) / 1e9 if self.intake.cap else 0.0

    def silent(self, int64_t now_ns, double limit_s):
        """Return the symbols without an accepted quote for limit_s, or for what is learnt of them.

        Not those that never had one, and not those whose socket has closed.
        """
        cdef size_t symbol
        cdef SymbolState* s
        cdef int64_t limit_ns = stale_limit_ns(limit_s)
        found = []
        for symbol in range(self.intake.n_symbols):
            s = self.intake.states + symbol
            if self.intake.cap:
                limit_ns = self._own_ns(s)
            if s.known and s.link and s.last_recv_ns and now_ns - s.last_recv_ns > limit_ns:
                found.append(symbol)
        return found

    cdef int64_t _own_ns(self, const SymbolState* s) noexcept:
        return <int64_t>(s.cadence.word >> LIMIT_AT) * LIMIT_UNIT_NS

    def _empty(self, size_t symbol):
        self.intake.states[symbol].cadence.heard_ns = 0
        quote_write_empty(quote_slot(&self.intake.quotes, self.source_id, symbol), 0)
        dirty_mark(&self.intake.dirty, self.source_id, symbol)
        count(&self.intake.health.counters[C_EMPTIED], 1)

    cdef SymbolState* _state(self, size_t symbol) except NULL:
        if symbol >= self.intake.n_symbols:
            raise TableFull(f"symbol id: {symbol}, expected below {self.intake.n_symbols}")
        return self.intake.states + symbol
