"""The shared-memory layout as Python facts: sections, sizes, fields, counters, states.

Structs live in layout.pxd; this module checks their sizes at import, derives FIELDS (from which
docs/layout.md is generated) and the layout hash that every section carries. No I/O.
"""
from hashlib import blake2b

MAGIC = int.from_bytes(b"SPREADC1", "little")
VERSION = LAYOUT_VERSION
LIMITS = {"n_sources": MAX_SOURCES, "n_symbols": MAX_SYMBOLS, "n_edges": MAX_EDGES,
          "n_tracks": MAX_TRACKS}
SECTIONS = ("quotes", "dirty", "signals", "active", "health", "control", "funding", "audit",
            "questions", "answers", "acts", "pauses", "oms", "engine_stream", "tracker_stream",
            "tracks")
# marks of (source, symbol) and a wake word: quotes that changed, questions of the engine to the
# audit, its verdicts for the engine to look again, and for feeds to act on
MARKED = ("dirty", "questions", "answers", "acts")
# what happens, told to any number of readers: by the engine, by the tracker
STREAMS = ("engine_stream", "tracker_stream")

# roles after the sources, in health-slot order; the slots after them are free
OTHER_ROLES = (
    "engine", "tracker", "supervisor", "discover", "server", "audit",
    "pools", "quoting", "oms", "api", "relay", "alerts",   # no process has these yet
)

STATES = ("off", "starting", "running", "degraded", "stopping")

# byte of the active table
ACTIVE_STATES = ("free", "signalled", "tracked", "rearm")

# of a slot of open tracks
TRACK_STATES = (
    "free",
    "open",
    "ended",             # its CLOSE row is on its way
)
# of a record in a stream
RECORD_KINDS = (
    "none",
    "signal",            # the engine's decision; the ring has it already
    "open",              # the tracker follows it, its OPEN row stands
    "gap",               # a track goes on after a time without rows; the GAP row stands
    "close",             # the CLOSE row stands
    "kill",              # the kill switch was thrown
    "event",             # what else the tracker writes down
)
# bits of Quote.flags: name, first bit, how many
QUOTE_FLAGS = (
    ("link", 0, 26),     # number of the socket
    ("average", 26, 1),  # 1: prices are averages for the sizes, not the touch
    ("learnt", 27, 1),   # 1: the age limit is learnt of the pair; 0: the quote says it itself
    ("pause_10ms", 28, 16),  # how long the pair is usually quiet at most, as learnt
    ("limit_ms", 44, 20),    # the age up to which it may be true; 0: its source's alone
)
# why a track ended, as it stands in CLOSE rows
REASONS = (
    "", "CONVERGED", "EXPIRED", "LOST", "DELISTED", "UNPROVEN", "NOT_TRADING", "HALTED",
)

# why a frame did not become a quote; `declined` counters stand in this order
DECLINED = (
    "other_channel",     # a frame of a channel that we do not read
    "bad_frame",         # a quote frame that is not what the schema says, or no frame at all
    "unknown_symbol",
    "no_contract_size",
    "no_snapshot",       # a delta before (or not continuing) a snapshot
    "old_id",
    "one_sided",
    "bad_price",         # not finite or not above zero
    "crossed",           # bid above ask
    "not_trading",       # the venue halts the pair, by its status
)

# why the compiled decoder left a frame to the reference decoder; `fallback` counters stand so
FALLBACK = (
    "no_match",      # another channel, or a control message
    "syntax",        # no JSON or protobuf at all
    "text",          # an escape, or text that is not ASCII
    "number",        # negative, too long, or with a large exponent
    "field",         # a wanted value is missing, ill-typed or not exactly roundable in few steps
    "duplicate",     # a wanted key stands twice
    "delta",         # only the worker's one-level book can take it
    "limit",         # too long, too deep, or too many quotes in one frame
    "symbol",        # none of ours
)

SOURCE_COUNTERS = (
    "quotes", "refreshes", "emptied", "acks", "refusals", "control", "wakes",
    "sockets", "reconnects", "takeovers", "silent_symbols", "resubscribes", "unanswered",
    "recording", "recorded", "unrecorded", "odd_times",
    "id_restarts", "found_wrong", "halts", "misbehaved",
) + tuple(f"declined_{reason}" for reason in DECLINED) + tuple(
    f"fallback_{reason}" for reason in FALLBACK)

ENGINE_COUNTERS = (
    "turns", "dirty", "pairs", "signals", "suspect", "untradable", "thin", "busy",
    "ring_full", "swept", "sleeps", "timeouts_with_work", "rearmed", "unconfirmed",
    "frozen", "asked", "unproven", "contradicted",
)

TRACKER_COUNTERS = (
    "opened", "converged", "expired", "lost", "delisted", "open", "rows", "ticks",
    "ticks_skipped", "recovered", "orphans_freed", "torn_lines", "write_errors", "sync_errors",
    "untrusted_rows", "unproven", "not_trading", "halted",
)

# of a health slot, by the kind of its role: all sources are of one kind, each other role is of
# its own, by its name; a kind that is not here counts nothing
COUNTERS = {
    "source": SOURCE_COUNTERS,
    "engine": ENGINE_COUNTERS,
    "tracker": TRACKER_COUNTERS,
}

# what the audit says of the quote in a slot
VERDICTS = (
    "none",
    "confirmed",         # it stood at the venue
    "accused",           # one answer of the venue differs
    "wrong",             # both of its pages do, ten seconds apart
    "not_trading",       # the pair is halted, whatever its slot holds
)
# why a round could not judge a quote
NOT_JUDGED = (
    "",
    "moved",             # it changed while the answer was under way
    "young",             # it differs, but is younger than the answer may be old
    "no_row",            # the answer does not have the pair
    "no_book",           # the venue shows no two-sided book
    "lagging",           # the answer is too old
    "incomplete",        # the answer is not whole
    "too_many",          # it accuses too many pairs at once to be believed
    "near",              # it shows another price, a tick away at most
    "disputed",          # it shows this price, and the venue's other page another one
    "no_answer",         # the venue could not be asked
)

# per source: levels of the last round, then counts since the instance was created
AUDIT_FIGURES = (
    "round_ns",          # CLOCK_BOOTTIME of the request whose answer was judged last, 0 = none yet
    "audited",           # pairs that hold a quote
    "agreed",            # of them: confirmed by the venue, or quoted while it answered
    "not_judged",        # of them: neither this nor accused
    "accused",
    "halted",            # pairs that do not trade
    "oldest_ns",         # the oldest of the times as of which the confirmed ones stood
    "lag_ns",            # how old the answer was, 0 = nothing tells
    "failing_ns",        # since when no round has been judged, 0 = the last one was
    "below_ns",          # since when fewer than 99 % of those judged agreed, 0 = they do
    "renew_ns",          # when the feed was asked to renew its sockets last, 0 = never
    "rounds",
    "failed",            # rounds without a usable answer
    "lagging",           # rounds whose answer was too old
    "incomplete",        # rounds whose answer was not whole
    "too_many",          # rounds that accused too many at once
    "renewals",          # times that the feed was asked to renew its sockets
    "wrong",             # quotes found wrong
    "halts",
    "questions",
    "answers",           # questions that got an answer in time
    "requests",
    "status_reads",
    "status_pushes",
    "funding_polls",
    "funding_failed",
)

# counters that say how much there is now; the others only rise
LEVELS = ("sockets", "recording", "open")


def _fields_of(str struct, list rows):
    return [(struct, name, offset, size) for name, offset, size in rows]


cdef _check_size(str struct, size_t found, size_t expected):
    if found != expected:
        raise ImportError(f"layout: {struct} has {found} bytes, expected {expected}")


cdef list _header_fields():
    cdef Header h
    cdef char* o = <char*>&h
    return [
        ("magic", <char*>&h.magic - o, sizeof(h.magic)),
        ("layout_version", <char*>&h.layout_version - o, sizeof(h.layout_version)),
        ("kind", <char*>&h.kind - o, sizeof(h.kind)),
        ("layout_hash", <char*>&h.layout_hash - o, sizeof(h.layout_hash)),
        ("generation", <char*>&h.generation - o, sizeof(h.generation)),
        ("ring_id", <char*>&h.ring_id - o, sizeof(h.ring_id)),
        ("n_sources", <char*>&h.n_sources - o, sizeof(h.n_sources)),
        ("n_tracks", <char*>&h.n_tracks - o, sizeof(h.n_tracks)),
        ("n_symbols", <char*>&h.n_symbols - o, sizeof(h.n_symbols)),
        ("n_edges", <char*>&h.n_edges - o, sizeof(h.n_edges)),
        ("superseded", <char*>&h.superseded - o, sizeof(h.superseded)),
        ("created_ns", <char*>&h.created_ns - o, sizeof(h.created_ns)),
    ]


cdef list _slot_fields():
    cdef QuoteSlot s
    cdef char* o = <char*>&s
    return [
        ("seq", <char*>&s.seq - o, sizeof(s.seq)),
        ("bid_px", <char*>&s.quote.bid_px - o, sizeof(s.quote.bid_px)),
        ("ask_px", <char*>&s.quote.ask_px - o, sizeof(s.quote.ask_px)),
        ("bid_qty", <char*>&s.quote.bid_qty - o, sizeof(s.quote.bid_qty)),
        ("ask_qty", <char*>&s.quote.ask_qty - o, sizeof(s.quote.ask_qty)),
        ("venue_ns", <char*>&s.quote.venue_ns - o, sizeof(s.quote.venue_ns)),
        ("recv_ns", <char*>&s.quote.recv_ns - o, sizeof(s.quote.recv_ns)),
        ("flags", <char*>&s.quote.flags - o, sizeof(s.quote.flags)),
    ]


cdef list _signal_fields():
    cdef Signal s
    cdef char* o = <char*>&s
    return [
        ("sequence", <char*>&s.sequence - o, sizeof(s.sequence)),
        ("at_ns", <char*>&s.at_ns - o, sizeof(s.at_ns)),
        ("recv_ns", <char*>&s.recv_ns - o, sizeof(s.recv_ns)),
        ("buy_px", <char*>&s.buy_px - o, sizeof(s.buy_px)),
        ("sell_px", <char*>&s.sell_px - o, sizeof(s.sell_px)),
        ("buy_qty", <char*>&s.buy_qty - o, sizeof(s.buy_qty)),
        ("sell_qty", <char*>&s.sell_qty - o, sizeof(s.sell_qty)),
        ("edge", <char*>&s.edge - o, sizeof(s.edge)),
        ("age", <char*>&s.age - o, sizeof(s.age)),
    ]


cdef list _ring_fields():
    cdef RingLines r
    cdef char* o = <char*>&r
    return [
        ("head", <char*>&r.head - o, sizeof(r.head)),
        ("tail", <char*>&r.tail - o, sizeof(r.tail)),
    ]


cdef list _wake_fields():
    cdef WakeLines w
    cdef char* o = <char*>&w
    return [
        ("wake", <char*>&w.wake - o, sizeof(w.wake)),
        ("sleeping", <char*>&w.sleeping - o, sizeof(w.sleeping)),
    ]


cdef list _stream_fields():
    cdef StreamLines s
    cdef char* o = <char*>&s
    return [
        ("head", <char*>&s.head - o, sizeof(s.head)),
        ("generation", <char*>&s.generation - o, sizeof(s.generation)),
    ]


cdef list _record_fields():
    cdef StreamRecord r
    cdef char* o = <char*>&r
    return [
        ("seq", <char*>&r.seq - o, sizeof(r.seq)),
        ("at_ns", <char*>&r.told.at_ns - o, sizeof(r.told.at_ns)),
        ("recv_ns", <char*>&r.told.recv_ns - o, sizeof(r.told.recv_ns)),
        ("opened_ns", <char*>&r.told.opened_ns - o, sizeof(r.told.opened_ns)),
        ("track", <char*>&r.told.track - o, sizeof(r.told.track)),
        ("edge", <char*>&r.told.edge - o, sizeof(r.told.edge)),
        ("symbol_id", <char*>&r.told.symbol_id - o, sizeof(r.told.symbol_id)),
        ("generation", <char*>&r.told.generation - o, sizeof(r.told.generation)),
        ("kind", <char*>&r.told.kind - o, sizeof(r.told.kind)),
        ("reason", <char*>&r.told.reason - o, sizeof(r.told.reason)),
        ("flags", <char*>&r.told.flags - o, sizeof(r.told.flags)),
        ("buy_age_ms", <char*>&r.told.buy_age_ms - o, sizeof(r.told.buy_age_ms)),
        ("sell_age_ms", <char*>&r.told.sell_age_ms - o, sizeof(r.told.sell_age_ms)),
        ("buy_px", <char*>&r.told.buy_px - o, sizeof(r.told.buy_px)),
        ("sell_px", <char*>&r.told.sell_px - o, sizeof(r.told.sell_px)),
        ("buy_qty", <char*>&r.told.buy_qty - o, sizeof(r.told.buy_qty)),
        ("sell_qty", <char*>&r.told.sell_qty - o, sizeof(r.told.sell_qty)),
        ("gross_bps", <char*>&r.told.gross_bps - o, sizeof(r.told.gross_bps)),
        ("net_bps", <char*>&r.told.net_bps - o, sizeof(r.told.net_bps)),
        ("peak_net_bps", <char*>&r.told.peak_net_bps - o, sizeof(r.told.peak_net_bps)),
        ("conversion_px", <char*>&r.told.conversion_px - o, sizeof(r.told.conversion_px)),
    ]


cdef list _track_fields():
    cdef TrackSlot s
    cdef char* o = <char*>&s
    return [
        ("seq", <char*>&s.seq - o, sizeof(s.seq)),
        ("track", <char*>&s.open.track - o, sizeof(s.open.track)),
        ("edge", <char*>&s.open.edge - o, sizeof(s.open.edge)),
        ("symbol_id", <char*>&s.open.symbol_id - o, sizeof(s.open.symbol_id)),
        ("state", <char*>&s.open.state - o, sizeof(s.open.state)),
        ("flags", <char*>&s.open.flags - o, sizeof(s.open.flags)),
        ("opened_ns", <char*>&s.open.opened_ns - o, sizeof(s.open.opened_ns)),
        ("looked_ns", <char*>&s.open.looked_ns - o, sizeof(s.open.looked_ns)),
        ("buy_px", <char*>&s.open.buy_px - o, sizeof(s.open.buy_px)),
        ("sell_px", <char*>&s.open.sell_px - o, sizeof(s.open.sell_px)),
        ("buy_qty", <char*>&s.open.buy_qty - o, sizeof(s.open.buy_qty)),
        ("sell_qty", <char*>&s.open.sell_qty - o, sizeof(s.open.sell_qty)),
        ("gross_bps", <char*>&s.open.gross_bps - o, sizeof(s.open.gross_bps)),
        ("net_bps", <char*>&s.open.net_bps - o, sizeof(s.open.net_bps)),
        ("exit_bps", <char*>&s.open.exit_bps - o, sizeof(s.open.exit_bps)),
        ("funding_bps", <char*>&s.open.funding_bps - o, sizeof(s.open.funding_bps)),
        ("peak_net_bps", <char*>&s.open.peak_net_bps - o, sizeof(s.open.peak_net_bps)),
        ("buy_age_ms", <char*>&s.open.buy_age_ms - o, sizeof(s.open.buy_age_ms)),
        ("sell_age_ms", <char*>&s.open.sell_age_ms - o, sizeof(s.open.sell_age_ms)),
    ]


cdef list _health_fields():
    cdef HealthSlot h
    cdef char* o = <char*>&h
    return [
        ("pid", <char*>&h.pid - o, sizeof(h.pid)),
        ("boot_id", <char*>&h.boot_id - o, sizeof(h.boot_id)),
        ("start_ns", <char*>&h.start_ns - o, sizeof(h.start_ns)),
        ("beat_ns", <char*>&h.beat_ns - o, sizeof(h.beat_ns)),
        ("state", <char*>&h.state - o, sizeof(h.state)),
        ("acked_generation", <char*>&h.acked_generation - o, sizeof(h.acked_generation)),
        ("restarts", <char*>&h.restarts - o, sizeof(h.restarts)),
        ("counters", <char*>&h.counters - o, sizeof(h.counters)),
        ("latency", <char*>&h.latency - o, sizeof(h.latency)),
        ("marks", <char*>&h.marks - o, sizeof(h.marks)),
    ]


cdef list _mark_fields():
    cdef Mark m
    cdef char* o = <char*>&m
    return [
        ("seq", <char*>&m.seq - o, sizeof(m.seq)),
        ("at_ns", <char*>&m.body.at_ns - o, sizeof(m.body.at_ns)),
        ("counters", <char*>&m.body.counters - o, sizeof(m.body.counters)),
        ("latency", <char*>&m.body.latency - o, sizeof(m.body.latency)),
    ]


cdef list _control_fields():
    cdef ControlWords c
    cdef char* o = <char*>&c
    return [
        ("pause", <char*>&c.pause - o, sizeof(c.pause)),
        ("pause_until_ns", <char*>&c.pause_until_ns - o, sizeof(c.pause_until_ns)),
        ("kill", <char*>&c.kill - o, sizeof(c.kill)),
        ("kill_at_ns", <char*>&c.kill_at_ns - o, sizeof(c.kill_at_ns)),
        ("kill_reason", <char*>&c.kill_reason - o, sizeof(c.kill_reason)),
        ("reload_generation", <char*>&c.reload_generation - o, sizeof(c.reload_generation)),
        ("stop", <char*>&c.stop - o, sizeof(c.stop)),
    ]


cdef list _funding_fields():
    cdef FundingSlot s
    cdef char* o = <char*>&s
    return [
        ("seq", <char*>&s.seq - o, sizeof(s.seq)),
        ("rate", <char*>&s.funding.rate - o, sizeof(s.funding.rate)),
        ("next_ns", <char*>&s.funding.next_ns - o, sizeof(s.funding.next_ns)),
        ("until_ns", <char*>&s.funding.until_ns - o, sizeof(s.funding.until_ns)),
    ]


cdef list _oms_fields():
    cdef OmsStatus s
    cdef char* o = <char*>&s
    return [
        ("seq", <char*>&s.seq - o, sizeof(s.seq)),
        ("at_ns", <char*>&s.at_ns - o, sizeof(s.at_ns)),
        ("words", <char*>&s.words - o, sizeof(s.words)),
    ]


cdef list _verdict_fields():
    cdef VerdictSlot s
    cdef char* o = <char*>&s
    return [
        ("seq", <char*>&s.seq - o, sizeof(s.seq)),
        ("recv_ns", <char*>&s.verdict.recv_ns - o, sizeof(s.verdict.recv_ns)),
        ("at_ns", <char*>&s.verdict.at_ns - o, sizeof(s.verdict.at_ns)),
        ("word", <char*>&s.verdict.word - o, sizeof(s.verdict.word)),
    ]


_check_size("Header", sizeof(Header), LINE)
_check_size("QuoteSlot", sizeof(QuoteSlot), LINE)
_check_size("Signal", sizeof(Signal), LINE)
_check_size("WakeLines", sizeof(WakeLines), 2 * LINE)
_check_size("RingLines", sizeof(RingLines), 2 * LINE)
_check_size("Mark", sizeof(Mark), LINE + 8 * N_COUNTERS + 8 * N_BUCKETS)
_check_size("HealthSlot", sizeof(HealthSlot),
            LINE + 8 * N_COUNTERS + 8 * N_BUCKETS + N_MARKS * sizeof(Mark))
_check_size("ControlWords", sizeof(ControlWords), 4 * LINE)
_check_size("OmsStatus", sizeof(OmsStatus), 64 * LINE)
_check_size("FundingSlot", sizeof(FundingSlot), LINE // 2)
_check_size("VerdictSlot", sizeof(VerdictSlot), LINE // 2)
_check_size("StreamLines", sizeof(StreamLines), LINE)
_check_size("StreamRecord", sizeof(StreamRecord), 2 * LINE)
_check_size("TrackSlot", sizeof(TrackSlot), 2 * LINE)


cdef _check_room(str what, names, size_t room):
    if len(names) > room:
        raise ImportError(f"layout: {len(names)} {what}, expected at most {room}")


_check_room("figures of the audit", AUDIT_FIGURES, N_FIGURES)
_check_room("other roles", OTHER_ROLES, N_OTHER_ROLES)
for _kind in COUNTERS:
    _check_room(f"counters of kind {_kind}", COUNTERS[_kind], N_COUNTERS)

FIELDS = tuple(
    _fields_of("Header", _header_fields())
    + _fields_of("QuoteSlot", _slot_fields())
    + _fields_of("WakeLines", _wake_fields())
    + _fields_of("RingLines", _ring_fields())
    + _fields_of("Signal", _signal_fields())
    + _fields_of("HealthSlot", _health_fields())
    + _fields_of("Mark", _mark_fields())
    + _fields_of("ControlWords", _control_fields())
    + _fields_of("FundingSlot", _funding_fields())
    + _fields_of("VerdictSlot", _verdict_fields())
    + _fields_of("OmsStatus", _oms_fields())
    + _fields_of("StreamLines", _stream_fields())
    + _fields_of("StreamRecord", _record_fields())
    + _fields_of("TrackSlot", _track_fields())
)
# Names are part of the layout: a counter that moved is a layout that changed.
LAYOUT_HASH = int.from_bytes(
    blake2b(
        repr((VERSION, FIELDS, SECTIONS, OTHER_ROLES, STATES, ACTIVE_STATES,
              COUNTERS, VERDICTS, NOT_JUDGED, AUDIT_FIGURES, STREAM_RECORDS, RECORD_KINDS,
              REASONS, TRACK_STATES)).encode(),
        digest_size=8,
    ).digest(),
    "little",
)


def section_bytes(str section, size_t n_sources, size_t n_symbols, size_t n_edges,
                  size_t n_tracks):
    """Return the size in bytes of a section file, header included."""
    cdef size_t body
    if section == "quotes":
        body = sizeof(QuoteSlot) * n_sources * n_symbols
    elif section in MARKED:
        body = sizeof(WakeLines) + n_sources * (
            padded_words(summary_words(n_symbols)) + padded_words(leaf_words(n_symbols)))
    elif section == "signals":
        body = sizeof(RingLines) + sizeof(Signal) * ring_capacity(n_edges)
    elif section in STREAMS:
        body = sizeof(WakeLines) + sizeof(StreamLines) + sizeof(StreamRecord) * STREAM_RECORDS
    elif section == "tracks":
        body = sizeof(TrackSlot) * n_tracks
    elif section == "active":
        body = n_edges
    elif section == "health":
        body = sizeof(HealthSlot) * (n_sources + N_OTHER_ROLES)
    elif section == "control":
        body = sizeof(ControlWords)
    elif section == "funding":
        body = sizeof(FundingSlot) * n_sources * n_symbols
    elif section == "audit":
        body = sizeof(AuditFigures) * n_sources + sizeof(VerdictSlot) * n_sources * n_symbols
    elif section == "pauses":
        body = sizeof(int64_t) * (n_sources + N_CLASSES + n_edges)
    elif section == "oms":
        body = sizeof(OmsStatus)
    else:
        raise ValueError(f"section: {section!r}, expected one of {', '.join(SECTIONS)}")
    return sizeof(Header) + body
