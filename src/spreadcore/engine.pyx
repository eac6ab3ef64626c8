"""The compiled engine: turns dirty quotes into signals.

A turn takes the dirty rows of every source, reads each changed slot and the counterparts it has
by its edges, works out gross and net, and pushes a signal where all of the rules hold. Time
is an argument of a turn; only the run loop reads the clock. It counts, and never logs.
"""
from libc.math cimport NAN, fabs, isnan
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from spreadcore.active cimport (
    ACTIVE_FREE,
    ACTIVE_REARM,
    ACTIVE_SIGNALLED,
    ActiveTable,
    active_byte,
)
from spreadcore.ages cimport age_in
from spreadcore.audit cimport (
    VERDICT_ACCUSED,
    VERDICT_CONFIRMED,
    VERDICT_NOT_TRADING,
    VERDICT_WRONG,
    AuditTable,
    is_about,
    verdict_kind,
    verdict_read,
)
from spreadcore.atomics cimport (
    cas8,
    load8_acquire,
    nap,
    now_ns as clock_ns,
    spin_hint,
)
from spreadcore.confirm cimport (
    NO_EDGE,
    Confirmation,
    confirm_due,
    confirm_forget,
    confirm_hold,
    confirm_holds,
)
from spreadcore.control cimport Control, PauseTable, is_killed, is_off
from spreadcore.dirty cimport (
    PARK_TIMEOUT_WITH_WORK,
    PARK_WOKEN,
    PARK_WORK,
    DirtySet,
    dirty_mark,
    dirty_park,
    dirty_take,
    dirty_wake,
)
from spreadcore.conversion cimport BUY_LEG, NO_LEG, Conversion, convert
from spreadcore.edges cimport (
    BUYS,
    CONVERTS,
    MAX_RULES,
    NO_ROW,
    EdgeIndex,
    EdgeMap,
    Legs,
    SlotEdge,
    edges_begin,
    edges_end,
)
from spreadcore.edgestats cimport EdgeStats, edges_add
from spreadcore.health cimport Health, count, histogram_add
from spreadcore.layout cimport N_CLASSES, Quote, Signal, Told, Verdict
from spreadcore.limits cimport at_least, at_most, below, limit_at
from spreadcore.quotes cimport (
    QUOTE_BUSY,
    Quotes,
    quote_learnt,
    quote_pause_ns,
    quote_read,
    quote_slot,
)
from spreadcore.ring cimport RING_FULL, UNPROVEN_SIGNAL, SignalRing, ring_push, signal_ages
from spreadcore.spread cimport gross_bps
from spreadcore.stream cimport (
    KIND_SIGNAL,
    TOLD_UNPROVEN,
    Writer,
    stream_publish,
    stream_wake,
)
from spreadcore.tradable cimport limit_ns, look_at_beats, stale_limit_ns, start_rule, tradable

from spreadcore.layout import ENGINE_COUNTERS, RECORD_KINDS
from spreadcore.errors import CoreError, TableFull

cdef enum:
    TAKE = 1024                 # dirty symbols taken per source and look
    SWEEP_CHUNK = 64            # symbols swept per turn at most
    FROZEN_AFTER_MS = 500       # no leg is doubted that was heard since
    MOVED_SPREADS = 4           # a source has moved by so many of its own spreads,
    MOVED_BPS = 5               # and by this: a locked book has none
    ASK_AGAIN_S = 10            # about a leg that has not been proven
    DOUBTED_S = 2               # no answer about a doubted leg counts for longer

cdef enum:                      # what compare() looks at; below: one edge
    CHANGED = 0x40000000
    SWEPT = 0x40000001
    JUDGED = 0x40000002

cdef enum:                      # in the order of layout.ENGINE_COUNTERS
    C_TURNS, C_DIRTY, C_PAIRS, C_SIGNALS, C_SUSPECT, C_UNTRADABLE, C_THIN, C_BUSY, C_RING_FULL,
    C_SWEPT, C_SLEEPS, C_TIMEOUTS_WITH_WORK, C_REARMED, C_UNCONFIRMED, C_FROZEN, C_ASKED,
    C_UNPROVEN, C_CONTRADICTED, N_ENGINE_COUNTERS

if (len(ENGINE_COUNTERS) != N_ENGINE_COUNTERS
        or ENGINE_COUNTERS[C_CONTRADICTED] != "contradicted"):
    raise ImportError("engine: counters differ from layout.ENGINE_COUNTERS")
if RECORD_KINDS[KIND_SIGNAL] != "signal":
    raise ImportError("engine: kinds differ from layout.RECORD_KINDS")


cdef inline void tally(EngineCore* e, int counter) noexcept nogil:
    count(&e.health.counters[counter], 1)


cdef void evaluate(EngineCore* e, size_t source, size_t row, const SlotEdge* x, const Quote* mine,
                   const Quote* other, int64_t now_ns, bint changed, bint stands) noexcept nogil:
    """One edge of a slot, as of now.

    changed: a quote of it has just come; else it is swept, which is no news for statistics.
    stands: both legs are tradable.
    """
    cdef const Quote* buy = mine if x.side == BUYS else other
    cdef const Quote* sell = other if x.side == BUYS else mine
    cdef const Conversion* c
    cdef const Quote* rate = NULL
    cdef Quote found, turned
    if e.map.conversions != NULL and e.map.conversions[x.rule].leg != NO_LEG:
        c, rate = e.map.conversions + x.rule, &found
        if not read_rate(e, c, buy if c.leg == BUY_LEG else sell, &found, &turned):
            return
        if c.leg == BUY_LEG:
            buy = &turned
        else:
            sell = &turned
        stands = stands and tradable(&e.rule, c.source, c.row, rate, now_ns)
    if holds(e, x, buy, sell, now_ns, changed, stands):
        decide(e, source, row, x, mine, other, buy, sell, rate, now_ns, changed)
    elif e.confirm != NULL and confirm_holds(e.confirm, x.edge):
        confirm_forget(e.confirm, x.edge)
        tally(e, C_UNCONFIRMED)


cdef bint read_rate(EngineCore* e, const Conversion* c, const Quote* leg, Quote* rate,
                    Quote* turned) noexcept nogil:
    """Read what converts a leg, and turn it into the edge's currency; False where it is busy."""
    if quote_read(quote_slot(&e.quotes, c.source, c.row), rate) == QUOTE_BUSY:
        tally(e, C_BUSY)
        return False
    turned[0] = leg[0]
    convert(turned, rate)
    return True


cdef void decide(EngineCore* e, size_t source, size_t row, const SlotEdge* x, const Quote* mine,
                 const Quote* other, const Quote* buy, const Quote* sell, const Quote* rate,
                 int64_t now_ns, bint changed) noexcept nogil:
    """Signal a spread that holds, unless it is too new, too thin, paused or rests on doubt.

    buy, sell: in the edge's quote currency. rate: what one was converted by, NULL where none was.
    """
    cdef bint mine_doubted, other_doubted
    cdef int proof
    cdef const Conversion* c = e.map.conversions + x.rule if rate != NULL else NULL
    cdef const Legs* legs = e.map.legs + x.edge
    if e.confirm != NULL and not confirm_hold(e.confirm, x.edge, now_ns):
        return
    if not (at_least(buy.ask_px * buy.ask_qty, &e.min_notional)
            and at_least(sell.bid_px * sell.bid_qty, &e.min_notional)
            and (rate == NULL or at_least(touch(rate, c.leg), &e.min_notional))):
        tally(e, C_THIN)
        return
    if is_off(e.control, &e.pauses, legs.buy_source, legs.sell_source,
              legs.buy_source if c == NULL else c.source, e.rules[x.rule].class_id, x.edge, now_ns):
        return
    mine_doubted = is_frozen(e, source, row, mine, now_ns)
    other_doubted = is_frozen(e, x.other_source, x.other_row, other, now_ns)
    if mine_doubted or other_doubted:
        tally(e, C_FROZEN)
    proof = max(prove(e, source, row, mine, mine_doubted, now_ns),
                prove(e, x.other_source, x.other_row, other, other_doubted, now_ns))
    if rate != NULL:
        proof = max(proof, prove(e, c.source, c.row, rate, False, now_ns))
    if proof > UNPROVEN or (proof == UNPROVEN and not e.asking.unproven_signals):
        return
    signal(e, x, buy, sell, now_ns, changed, proof,
           0.0 if rate == NULL else rate.ask_px if c.leg == BUY_LEG else rate.bid_px)
    if e.confirm != NULL:
        confirm_forget(e.confirm, x.edge)


cdef inline double touch(const Quote* rate, int leg) noexcept nogil:
    """What the side of a conversion that a leg takes is worth."""
    return rate.ask_px * rate.ask_qty if leg == BUY_LEG else rate.bid_px * rate.bid_qty


cdef bint holds(EngineCore* e, const SlotEdge* x, const Quote* buy, const Quote* sell,
                int64_t now_ns, bint changed, bint stands) noexcept nogil:
    """Whether a spread stands on tradable legs and nobody follows it; cheapest rule first."""
    cdef const EdgeRule* rule = e.rules + x.rule
    cdef uint8_t* byte
    cdef double gross, net
    cdef uint8_t state
    tally(e, C_PAIRS)
    if buy.recv_ns == 0 or sell.recv_ns == 0:
        tally(e, C_UNTRADABLE)
        return False
    gross = gross_bps(buy.ask_px, sell.bid_px)
    if e.edges != NULL and changed:
        edges_add(e.edges, x.edge, gross, buy.ask_px, sell.bid_px, now_ns)
    if not stands:
        tally(e, C_UNTRADABLE)
        return False
    if not at_most(gross, &e.max_gross):
        # a slot may have one side only; any other NaN is suspect, too
        tally(e, C_UNTRADABLE if isnan(buy.ask_px) or isnan(sell.bid_px) else C_SUSPECT)
        return False
    net = gross - rule.fees_bps
    byte = active_byte(&e.active, x.edge)
    state = load8_acquire(byte)
    if state == ACTIVE_REARM and below(net, &rule.converge):
        if cas8(byte, ACTIVE_REARM, ACTIVE_FREE):
            tally(e, C_REARMED)
        return False
    return state == ACTIVE_FREE and at_least(net, &rule.threshold)


cdef void signal(EngineCore* e, const SlotEdge* x, const Quote* buy, const Quote* sell,
                 int64_t now_ns, bint changed, int proof, double conversion_px) noexcept nogil:
    cdef uint8_t* byte = active_byte(&e.active, x.edge)
    cdef Signal s
    # the byte first: a kill between the two leaves a byte that the tracker can find and free,
    # never a record whose edge could signal twice
    if not cas8(byte, ACTIVE_FREE, ACTIVE_SIGNALLED):
        return
    memset(&s, 0, sizeof(Signal))
    s.at_ns = now_ns
    signal_ages(&s, buy.recv_ns, sell.recv_ns)
    if proof == UNPROVEN:
        s.age |= UNPROVEN_SIGNAL
    s.buy_px, s.sell_px = buy.ask_px, sell.bid_px
    s.buy_qty, s.sell_qty = buy.ask_qty, sell.bid_qty
    s.edge = x.edge
    if is_killed(e.control):    # again: what leaves after this word is set left before it was seen
        cas8(byte, ACTIVE_SIGNALLED, ACTIVE_FREE)
        return
    if ring_push(&e.ring, &s) == RING_FULL:
        cas8(byte, ACTIVE_SIGNALLED, ACTIVE_FREE)
        tally(e, C_RING_FULL)
        return
    tally(e, C_SIGNALS)
    if e.stream.records != NULL:
        tell(e, x, &s, buy, sell, conversion_px)
    if changed and e.n_noted < NOTED:   # a swept slot's age says nothing of our speed
        e.noted_recv_ns[e.n_noted] = s.recv_ns
        e.n_noted += 1


cdef void tell(EngineCore* e, const SlotEdge* x, const Signal* s, const Quote* buy,
               const Quote* sell, double conversion_px) noexcept nogil:
    """Tell whoever reads the stream of a signal that is in the ring, so that it gets a track."""
    cdef Told t
    memset(&t, 0, sizeof(Told))
    t.kind = KIND_SIGNAL
    t.flags = TOLD_UNPROVEN if s.age & UNPROVEN_SIGNAL else 0
    t.at_ns = t.opened_ns = s.at_ns
    t.recv_ns, t.track = s.recv_ns, s.sequence
    t.edge, t.symbol_id = x.edge, e.map.legs[x.edge].buy_row
    t.buy_age_ms = age_in(max(s.at_ns - buy.recv_ns, 0) // 1_000_000)
    t.sell_age_ms = age_in(max(s.at_ns - sell.recv_ns, 0) // 1_000_000)
    t.buy_px, t.sell_px, t.buy_qty, t.sell_qty = s.buy_px, s.sell_px, s.buy_qty, s.sell_qty
    t.gross_bps = gross_bps(s.buy_px, s.sell_px)
    t.net_bps = t.peak_net_bps = t.gross_bps - e.rules[x.rule].fees_bps
    t.conversion_px = conversion_px
    stream_publish(&e.stream, &t)
    e.n_told += 1


cdef inline void wake_readers(EngineCore* e) noexcept nogil:
    if e.n_told:
        stream_wake(&e.stream)
        e.n_told = 0


cdef inline int64_t answer_limit_ns(const EngineCore* e, size_t source,
                                    bint doubted) noexcept nogil:
    """For how long an answer proves a leg."""
    cdef int64_t after_ns = e.asking.after_ns[source]
    return min(after_ns, <int64_t>DOUBTED_S * 1_000_000_000) if doubted else after_ns


cdef inline bint proves(const Verdict* v, const Quote* leg, int64_t now_ns,
                        int64_t within_ns) noexcept nogil:
    return (verdict_kind(v) == VERDICT_CONFIRMED and is_about(v, leg.recv_ns)
            and now_ns - v.at_ns <= within_ns)


cdef inline bint contradicts(const Verdict* v, const Quote* leg) noexcept nogil:
    cdef int kind = verdict_kind(v)
    return kind == VERDICT_NOT_TRADING or (
        is_about(v, leg.recv_ns) and (kind == VERDICT_ACCUSED or kind == VERDICT_WRONG))


cdef int prove(EngineCore* e, size_t source, size_t row, const Quote* leg, bint doubted,
               int64_t now_ns) noexcept nogil:
    """Whether a leg still stands: its age says so, or its venue, who is asked where it must be.

    The answer is a verdict and a mark of its own, so nothing waits here. doubted: the coin moved
    away while it was silent, so neither its age nor an answer of before says anything.
    """
    cdef int64_t after_ns = e.asking.after_ns[source]
    cdef int64_t* asked_ns
    cdef int64_t since_ns
    cdef Verdict v
    if e.asking.asked_ns == NULL:
        return CONTRADICTED if doubted else PROVEN
    asked_ns = e.asking.asked_ns + row * e.quotes.n_sources + source
    v = verdict_read(&e.rule.verdicts, source, row)
    if contradicts(&v, leg):                # whatever its age: that is known already
        if asked_ns[0] > leg.recv_ns:       # once a question, which is over
            tally(e, C_CONTRADICTED)
        asked_ns[0] = 0
        return CONTRADICTED
    if after_ns == 0:
        return CONTRADICTED if doubted else PROVEN
    if not doubted and now_ns - leg.recv_ns <= after_ns:
        return PROVEN
    if proves(&v, leg, now_ns, answer_limit_ns(e, source, doubted)):
        return PROVEN
    since_ns = asked_ns[0] if asked_ns[0] >= 0 else -asked_ns[0]
    # what was asked about an earlier quote says nothing of this one
    if (since_ns <= leg.recv_ns + (0 if doubted else after_ns)
            or now_ns - since_ns > max(<int64_t>ASK_AGAIN_S * 1_000_000_000,
                                       2 * e.asking.answer_ns)):
        asked_ns[0] = now_ns
        dirty_mark(&e.asking.questions, source, row)
        e.asking.n_asked += 1
        tally(e, C_ASKED)
        return WAITING
    if now_ns - since_ns < e.asking.answer_ns:
        return WAITING
    if asked_ns[0] > 0:                     # once a question
        asked_ns[0] = -since_ns
        tally(e, C_UNPROVEN)
    return WAITING if doubted else UNPROVEN     # that nobody says otherwise is not enough here


cdef void settle(EngineCore* e, size_t source, size_t row, int64_t now_ns) noexcept nogil:
    """A question is over once its answer proves the leg, whatever has become of the spread.

    One that is too old when it comes proves nothing: it leaves the question open, or the leg would
    be asked about again and again.
    """
    cdef int64_t* asked_ns = e.asking.asked_ns + row * e.quotes.n_sources + source
    cdef Quote leg
    cdef Verdict v
    if (asked_ns[0] == 0
            or quote_read(quote_slot(&e.quotes, source, row), &leg) == QUOTE_BUSY):
        return
    v = verdict_read(&e.rule.verdicts, source, row)
    if proves(&v, &leg, now_ns,
              answer_limit_ns(e, source, is_frozen(e, source, row, &leg, now_ns))):
        asked_ns[0] = 0


cdef inline void send_questions(EngineCore* e) noexcept nogil:
    if e.asking.n_asked:
        dirty_wake(&e.asking.questions)
        e.asking.n_asked = 0


cdef bint is_frozen(EngineCore* e, size_t source, size_t row, const Quote* leg,
                    int64_t now_ns) noexcept nogil:
    """Whether a leg fell silent and most of the coin's other sources moved away since.

    Only where silence is health: a leg that is silent for longer than it usually is. Those that it
    is compared with anywhere are asked, by where they were when it was heard last.
    """
    cdef const SlotEdge* x = edges_begin(&e.map, source, row)
    cdef const SlotEdge* end = edges_end(&e.map, source, row)
    cdef Quote other
    cdef double then
    cdef int known = 0, moved = 0
    if (not quote_learnt(leg) or now_ns - leg.recv_ns <= quote_pause_ns(leg)
            or now_ns - leg.recv_ns <= FROZEN_AFTER_MS * 1_000_000):
        return False
    while x != end:
        then = e.anchors[x.edge].of_sell if x.side == BUYS else e.anchors[x.edge].of_buy
        if (x.side != CONVERTS and not isnan(then)
                and quote_read(quote_slot(&e.quotes, x.other_source, x.other_row), &other)
                != QUOTE_BUSY
                and tradable(&e.rule, x.other_source, x.other_row, &other, now_ns)):
            known += 1
            moved += has_moved(then, &other)
        x += 1
    return 2 * moved > known


cdef inline bint has_moved(double then, const Quote* q) noexcept nogil:
    """Whether the mid is far from what it was; then: twice that."""
    cdef double now = q.bid_px + q.ask_px
    cdef double way = fabs(now - then)
    return (way > 2 * MOVED_SPREADS * (q.ask_px - q.bid_px)
            and way * 10_000 > MOVED_BPS * now)


cdef size_t compare(EngineCore* e, size_t source, size_t row, int64_t now_ns,
                    size_t which) noexcept nogil:
    """A slot's quote against its counterparts; returns against how many.

    which: CHANGED and JUDGED, all of them; SWEPT, those that it buys for; else that edge. Where it
    converts, an edge is compared from the slot that it is bought on.
    A busy slot is left alone: its writer marks it dirty after the write, and if the writer died
    there is nothing to see until it is healed.
    """
    cdef const SlotEdge* x = edges_begin(&e.map, source, row)
    cdef const SlotEdge* end = edges_end(&e.map, source, row)
    cdef Quote mine, other
    cdef size_t n = 0
    cdef bint mine_stands, stands, heard
    if x == end:
        return 0
    if quote_read(quote_slot(&e.quotes, source, row), &mine) == QUOTE_BUSY:
        tally(e, C_BUSY)
        return 0
    mine_stands = tradable(&e.rule, source, row, &mine, now_ns)
    heard = quote_learnt(&mine) and is_another(e, source, row, &mine)
    if which != CHANGED and quote_learnt(&mine):
        remember_all(e, source, row, heard, now_ns)
    while x != end:
        if which == CHANGED or which == JUDGED or which == x.edge or (
                which == SWEPT and x.side == BUYS):
            n += 1
            if x.side == CONVERTS:
                compare(e, x.other_source, x.other_row, now_ns, x.edge)
                x += 1
                continue
            if quote_read(quote_slot(&e.quotes, x.other_source, x.other_row), &other) == QUOTE_BUSY:
                tally(e, C_BUSY)
            else:
                stands = tradable(&e.rule, x.other_source, x.other_row, &other, now_ns)
                if heard:
                    remember(e.anchors + x.edge, x.side == BUYS, &other, stands)
                evaluate(e, source, row, x, &mine, &other, now_ns, which == CHANGED,
                         stands and mine_stands)
        x += 1
    return n


cdef inline bint is_another(EngineCore* e, size_t source, size_t row,
                            const Quote* q) noexcept nogil:
    """Whether a quote is another one than at the last look: a slot may be marked as it was."""
    cdef int64_t* heard_ns = e.heard_ns + row * e.quotes.n_sources + source
    if heard_ns[0] == q.recv_ns:
        return False
    heard_ns[0] = q.recv_ns
    return True


cdef inline void remember(Anchor* a, bint of_sell, const Quote* q, bint stands) noexcept nogil:
    """Keep where a leg stands, now that the other one was heard."""
    cdef double mids = q.bid_px + q.ask_px if stands else NAN
    if of_sell:
        a.of_sell = mids
    else:
        a.of_buy = mids


cdef void remember_all(EngineCore* e, size_t source, size_t row, bint heard,
                       int64_t now_ns) noexcept nogil:
    """Do so for every leg that one is compared with; not heard: for those of which none is known.

    An update that was never marked, a source that is back, an engine or an index that is new.
    """
    cdef const SlotEdge* x = edges_begin(&e.map, source, row)
    cdef const SlotEdge* end = edges_end(&e.map, source, row)
    cdef Quote other
    cdef Anchor* a
    while x != end:
        a = e.anchors + x.edge
        if (x.side != CONVERTS and (heard or isnan(a.of_sell if x.side == BUYS else a.of_buy))
                and quote_read(quote_slot(&e.quotes, x.other_source, x.other_row), &other)
                != QUOTE_BUSY):
            remember(a, x.side == BUYS, &other,
                     tradable(&e.rule, x.other_source, x.other_row, &other, now_ns))
        x += 1


cdef size_t sweep_row(EngineCore* e, size_t row, int64_t now_ns) noexcept nogil:
    """Every edge that buys on a slot of the row once, changed or not; returns how many."""
    cdef size_t source, n = 0
    for source in range(e.map.n_sources):
        n += compare(e, source, row, now_ns, SWEPT)
    return n


cdef void sweep(EngineCore* e, int64_t now_ns) noexcept nogil:
    """Look at the whole table about once per sweep_ns, a few rows per turn.

    It finds an update whose writer was killed between slot and bit, and edges that became
    tradable or free without a tick of their own.
    """
    cdef int64_t n_rows = e.map.n_rows
    cdef int64_t elapsed = now_ns - e.swept_at_ns
    cdef int64_t due
    cdef size_t _i
    if e.sweep_ns <= 0 or elapsed <= 0:
        return
    if elapsed >= e.sweep_ns:           # apart: days times 65,536 rows would leave 64 bits
        due = n_rows
        e.swept_at_ns = now_ns
    else:
        due = elapsed * n_rows // e.sweep_ns
        e.swept_at_ns += due * e.sweep_ns // n_rows
    if due > SWEEP_CHUNK:
        due = SWEEP_CHUNK
        e.swept_at_ns = now_ns
    for _i in range(<size_t>due):
        sweep_row(e, e.sweep_at, now_ns)
        e.sweep_at = e.sweep_at + 1 if e.sweep_at + 1 < e.map.n_rows else 0
    count(&e.health.counters[C_SWEPT], <uint64_t>due)


cdef void confirm_all(EngineCore* e, int64_t now_ns) noexcept nogil:
    """Look again at spreads that have held for long enough without a tick of their own."""
    cdef uint32_t edge = confirm_due(e.confirm, now_ns)
    cdef const Legs* legs
    while edge != NO_EDGE:
        legs = e.map.legs + edge
        compare(e, legs.buy_source, legs.buy_row, now_ns, edge)
        edge = confirm_due(e.confirm, now_ns)


cdef inline bint same_legs(const Legs* a, const Legs* b) noexcept nogil:
    return (a.buy_row == b.buy_row and a.sell_row == b.sell_row
            and a.buy_source == b.buy_source and a.sell_source == b.sell_source)


cdef void forget_others(EngineCore* e, const EdgeMap* before) noexcept nogil:
    """Let nothing stay that was known of an edge which the index has no more, or as another."""
    cdef size_t edge
    for edge in range(e.map.n_edges):
        if e.map.legs[edge].buy_row != NO_ROW and same_legs(e.map.legs + edge, before.legs + edge):
            continue
        e.anchors[edge] = Anchor(NAN, NAN)
        if e.confirm != NULL and confirm_holds(e.confirm, edge):
            confirm_forget(e.confirm, edge)


cdef size_t look_at_new(EngineCore* e, const EdgeMap* before, int64_t now_ns) noexcept nogil:
    """Evaluate every edge that the index before had not, or as another; returns how many."""
    cdef const Legs* legs
    cdef size_t edge, n = 0
    look_at_beats(&e.rule, now_ns)
    for edge in range(e.map.n_edges):
        legs = e.map.legs + edge
        if legs.buy_row != NO_ROW and not same_legs(legs, before.legs + edge):
            n += compare(e, legs.buy_source, legs.buy_row, now_ns, edge)
    wake_readers(e)
    send_questions(e)
    return n


cdef void look_at_answers(EngineCore* e, int64_t now_ns) noexcept nogil:
    """Look again at slots of which the audit has found out something: no quote has changed."""
    cdef unsigned int rows[TAKE]
    cdef size_t source, i, taken
    if e.asking.asked_ns == NULL:
        return
    for source in range(e.quotes.n_sources):
        taken = dirty_take(&e.asking.answers, source, rows, TAKE)
        for i in range(taken):
            if rows[i] < e.map.n_rows:
                settle(e, source, rows[i], now_ns)
                compare(e, source, rows[i], now_ns, JUDGED)


cdef size_t engine_turn(EngineCore* e, int64_t now_ns) noexcept nogil:
    """Evaluate what is dirty, sweep a little; returns the number of dirty quotes."""
    cdef unsigned int rows[TAKE]
    cdef size_t source, i, taken, n = 0
    look_at_beats(&e.rule, now_ns)
    for source in range(e.quotes.n_sources):
        taken = dirty_take(&e.dirty, source, rows, TAKE)
        for i in range(taken):
            tally(e, C_DIRTY)
            if rows[i] < e.map.n_rows:      # the index may be smaller than the table
                compare(e, source, rows[i], now_ns, CHANGED)
        n += taken
    look_at_answers(e, now_ns)
    if e.confirm != NULL:
        confirm_all(e, now_ns)
    sweep(e, now_ns)
    wake_readers(e)
    send_questions(e)
    tally(e, C_TURNS)
    return n


cdef size_t engine_scan(EngineCore* e, int64_t now_ns) noexcept nogil:
    """Evaluate every edge once: what an engine does at its start."""
    cdef size_t row, n = 0
    look_at_beats(&e.rule, now_ns)
    for row in range(e.map.n_rows):
        n += sweep_row(e, row, now_ns)
    e.swept_at_ns = now_ns
    wake_readers(e)
    send_questions(e)
    return n


cdef void gather(EngineCore* e, int64_t end, int64_t coalesce_ns) noexcept nogil:
    """Let quotes come together. Writers see nobody parked, so none of them pays for a wake."""
    cdef int64_t left
    if coalesce_ns > 0:
        left = end - clock_ns()
        if left > 0:
            nap(coalesce_ns if coalesce_ns < left else left)
            tally(e, C_SLEEPS)


cdef size_t engine_run(EngineCore* e, int64_t for_ns, int64_t spin_ns, int64_t park_ns,
                       int64_t coalesce_ns) noexcept nogil:
    cdef int64_t now = clock_ns()
    cdef int64_t end = now + for_ns
    cdef int64_t idle_since = now
    cdef int64_t left
    cdef size_t i, total = 0, n
    cdef int rc
    while now < end:
        n = engine_turn(e, now)
        total += n
        if e.n_noted:
            now = clock_ns()
            for i in range(e.n_noted):
                histogram_add(&e.health.latency, now - e.noted_recv_ns[i], 1)
            e.n_noted = 0
        if n:
            gather(e, end, coalesce_ns)
            now = clock_ns()
            idle_since = now
            continue
        if spin_ns < 0 or now - idle_since < spin_ns:
            spin_hint()
            now = clock_ns()
            continue
        left = end - now
        if left <= 0:
            break               # a negative time-out would wait for ever
        rc = dirty_park(&e.dirty, park_ns if 0 <= park_ns < left else left)
        if rc == PARK_TIMEOUT_WITH_WORK:
            tally(e, C_TIMEOUTS_WITH_WORK)
        if rc != PARK_WORK:
            tally(e, C_SLEEPS)
        if rc == PARK_WORK or rc == PARK_WOKEN:
            gather(e, end, coalesce_ns)
        now = clock_ns()
        idle_since = now
    return total


cdef class Engine:
    """The engine over mapped sections; the caller holds the 'engine' lease.

    max_gross_bps: above it the two sides are not the same coin (counted suspect).
    min_notional: quote currency at the touch that both legs need. beat_limit_s: a source
    silent for longer is not tradable. sweep_s: period of the sweep, 0 = no sweep. confirm_s:
    how long a spread must have stood at or above its threshold, on tradable legs, before it
    signals; 0 = it signals at once. audit: whose confirmations count, and whom set_audit() lets it
    ask; what it asks it marks in questions, what was answered it finds in answers; these are given
    with it. stream: tells others of its signals. pauses: of sources, classes and edges.
    """

    def __cinit__(self, Quotes quotes not None, DirtySet dirty not None,
                  SignalRing ring not None, ActiveTable active not None, Health health not None,
                  Control control not None, EdgeIndex index not None, *,
                  double max_gross_bps=3000.0, double min_notional=0.0, double beat_limit_s=2.0,
                  double sweep_s=1.0, double confirm_s=0.0, AuditTable audit=None,
                  DirtySet questions=None, DirtySet answers=None, Writer stream=None,
                  PauseTable pauses=None):
        cdef EngineCore* e = &self.core
        memset(e, 0, sizeof(EngineCore))
        for owner in (dirty, ring, active, health):
            if not owner.region.writable:
                raise CoreError(
                    f"{owner.region.path}: mapped read-only, expected a writable mapping")
        for owner in (dirty, ring, active, health, control):
            quotes.region.check_same(owner.region)
        e.quotes, e.dirty = quotes.table, dirty.dirty
        e.active, e.ring = active.active, ring.ring
        e.health = health.slot(health.role("engine"))
        e.rule.sources = health.slot(0)
        e.rule.n_sources = quotes.table.n_sources
        e.control = control.words
        e.max_gross, e.min_notional = limit_at(max_gross_bps, 0.0), limit_at(min_notional, 0.0)
        start_rule(&e.rule)
        e.rule.beat_limit_ns = limit_ns(beat_limit_s)
        e.sweep_ns = limit_ns(sweep_s)
        e.rules = <EdgeRule*>calloc(MAX_RULES, sizeof(EdgeRule))
        if e.rules == NULL:
            raise MemoryError
        self._owned = (quotes, dirty, ring, active, health, control)
        self._make_anchors(index)
        self.replace_index(index)
        if confirm_s:
            self._confirm(index, limit_ns(confirm_s))
        if audit is not None:
            self._ask(audit, questions, answers)
        if stream is not None:
            quotes.region.check_same(stream.broadcast.region)
            e.stream = stream.broadcast.stream
            self._owned += (stream,)
        if pauses is not None:
            quotes.region.check_same(pauses.region)
            e.pauses = pauses.pauses
            self._owned += (pauses,)

    def __dealloc__(self):
        free(self.core.rules)
        free(self.core.anchors)
        free(self.core.heard_ns)
        free(self.core.asking.asked_ns)

    cdef _make_anchors(self, EdgeIndex index):
        cdef EngineCore* e = &self.core
        e.anchors = <Anchor*>malloc(index.map.n_edges * sizeof(Anchor))
        e.heard_ns = <int64_t*>calloc(
            <size_t>index.map.n_rows * e.quotes.n_sources, sizeof(int64_t))
        if e.anchors == NULL or e.heard_ns == NULL:
            raise MemoryError
        cdef size_t edge
        for edge in range(index.map.n_edges):
            e.anchors[edge] = Anchor(NAN, NAN)

    cdef _confirm(self, EdgeIndex index, int64_t wait_ns):
        cdef Confirmation confirmation = Confirmation(index.map.n_edges, wait_ns)
        self._owned += (confirmation,)
        self.core.confirm = &confirmation.confirm

    cdef _ask(self, AuditTable audit, DirtySet questions, DirtySet answers):
        cdef EngineCore* e = &self.core
        for marks in (questions, answers):
            if marks is None or not marks.region.writable:
                raise CoreError("engine: an audit, expected writable questions and answers with it")
        for owner in (audit, questions, answers):
            self._owned[0].region.check_same(owner.region)
        e.rule.verdicts = audit.verdicts
        e.asking.questions, e.asking.answers = questions.dirty, answers.dirty
        e.asking.asked_ns = <int64_t*>calloc(
            <size_t>e.quotes.n_symbols * e.quotes.n_sources, sizeof(int64_t))
        if e.asking.asked_ns == NULL:
            raise MemoryError
        self._owned += (audit, questions, answers)

    def replace_index(self, EdgeIndex index not None, now_ns=None):
        """Compare the edges of another index from the next turn on; not beside a running turn.

        As many edges and rows as the one before; what takes time is best done before, see
        EdgeIndex.compress(). now_ns: look at every edge that is new, as of then; else that is left
        to scan() or to the sweep. Returns at how many it looked.
        """
        cdef EngineCore* e = &self.core
        if (index.map.n_sources != e.quotes.n_sources or index.map.n_rows > e.quotes.n_symbols
                or index.map.n_edges > e.active.n_edges):
            raise TableFull(
                f"index: {index.map.n_sources} sources, {index.map.n_rows} rows, "
                f"{index.map.n_edges} edges, expected to fit {e.quotes.n_sources}, "
                f"{e.quotes.n_symbols} and {e.active.n_edges}")
        if self._index is not None and (index.map.n_edges != e.map.n_edges
                                        or index.map.n_rows != e.map.n_rows):
            raise CoreError(
                f"index: {index.map.n_edges} edges, {index.map.n_rows} rows, expected "
                f"{e.map.n_edges} and {e.map.n_rows} as before")
        index.compress()
        cdef EdgeIndex before = index if self._index is None else self._index
        cdef const EdgeMap* others = &before.map
        cdef int64_t at_ns = -1 if now_ns is None else now_ns
        cdef size_t n = 0
        self._index, e.map = index, index.map
        with nogil:
            forget_others(e, others)
            if at_ns >= 0:
                n = look_at_new(e, others, at_ns)
        return n

    def set_rule(self, size_t rule, double fees_bps, double threshold_bps, double converge_bps,
                 size_t class_id=0):
        """Set the fees of both legs and the limits on net, in bps, of the edges with that rule.

        class_id: which pause of a class holds for them.
        """
        if rule >= MAX_RULES:
            raise TableFull(f"rule: {rule}, expected below {MAX_RULES}")
        if class_id >= N_CLASSES:
            raise TableFull(f"rule {rule}: class {class_id}, expected below {N_CLASSES}")
        if not converge_bps < threshold_bps:
            raise CoreError(
                f"rule {rule}: converge_bps {converge_bps}, expected below threshold_bps "
                f"{threshold_bps}")
        self.core.rules[rule] = EdgeRule(
            fees_bps, limit_at(threshold_bps, fees_bps), limit_at(converge_bps, fees_bps), class_id)

    def set_stale(self, size_t source, double stale_after_s):
        """Set the age after which a quote of the source is not tradable; 600 s before it is set."""
        if source >= self.core.quotes.n_sources:
            raise TableFull(f"source id: {source}, expected below {self.core.quotes.n_sources}")
        self.core.rule.stale_ns[source] = stale_limit_ns(stale_after_s)

    def set_audit(self, size_t source, double confirm_within_s, double ask_after_s=0.0):
        """Let confirmations of the source's quotes hold for confirm_within_s.

        ask_after_s: no signal leaves on a leg older than that which has not been confirmed within
        it; the audit is asked. 0: nothing is asked. CoreError without an audit.
        """
        if source >= self.core.quotes.n_sources:
            raise TableFull(f"source id: {source}, expected below {self.core.quotes.n_sources}")
        if self.core.asking.asked_ns == NULL:
            raise CoreError(f"source {source}: limits of an audit, expected an engine with one")
        self.core.rule.confirm_ns[source] = stale_limit_ns(confirm_within_s)
        self.core.asking.after_ns[source] = limit_ns(ask_after_s)

    def set_answer(self, double within_s, bint unproven_signals=False):
        """Wait for an answer of the audit for within_s; then no signal leaves, or a marked one."""
        self.core.asking.answer_ns = limit_ns(within_s)
        self.core.asking.unproven_signals = unproven_signals

    def observe(self, EdgeStats stats not None):
        """Feed every evaluation of a changed quote to `stats`, whatever the rules say of it."""
        if stats.edges.n_edges < self.core.map.n_edges:
            raise CoreError(
                f"edge statistics: {stats.edges.n_edges} edges, expected {self.core.map.n_edges} "
                "as the index has")
        self._owned += (stats,)
        self.core.edges = &stats.edges

    def turn(self, int64_t now_ns):
        """Do one turn as of now_ns; return the number of dirty quotes it took."""
        self.core.n_noted = 0
        return engine_turn(&self.core, now_ns)

    def scan(self, int64_t now_ns):
        """Evaluate every edge once; return how many there are."""
        return engine_scan(&self.core, now_ns)

    def run(self, double for_s=0.05, double spin_us=0.0, double park_ms=5.0,
            double coalesce_us=0.0):
        """Turn for about for_s seconds without the GIL; return the dirty quotes it took.

        spin_us: look that long before parking on the futex; 0 parks at once, -1 never parks.
        park_ms: the longest sleep, -1 to the end of for_s; a net, writers wake the engine.
        coalesce_us: after a wake and between turns that found quotes, wait that long for more;
            fewer wakes and turns, later signals.
        """
        cdef size_t n
        cdef int64_t for_ns = <int64_t>(for_s * 1e9)
        cdef int64_t spin_ns = <int64_t>(spin_us * 1e3)
        cdef int64_t park_ns = <int64_t>(park_ms * 1e6)
        cdef int64_t coalesce_ns = <int64_t>(coalesce_us * 1e3)
        with nogil:
            n = engine_run(&self.core, for_ns, spin_ns, park_ns, coalesce_ns)
        return n
