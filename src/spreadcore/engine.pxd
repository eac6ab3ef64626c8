# The engine: dirty quotes -> edges -> signal. One process, no Python inside a turn.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from spreadcore.active cimport Active
from spreadcore.audit cimport AuditTable
from spreadcore.confirm cimport Confirm
from spreadcore.control cimport Pauses
from spreadcore.dirty cimport Dirty, DirtySet
from spreadcore.edges cimport EdgeIndex, EdgeMap
from spreadcore.edgestats cimport Edges
from spreadcore.layout cimport MAX_SOURCES, ControlWords, HealthSlot
from spreadcore.limits cimport Limit
from spreadcore.quotes cimport QuoteTable
from spreadcore.ring cimport Ring
from spreadcore.stream cimport Stream
from spreadcore.tradable cimport Tradable

cdef enum:
    NOTED = 64                  # signals of one turn whose latency is measured

cdef struct EdgeRule:            # of all edges that name it
    double fees_bps             # entry taker fees of both legs
    Limit threshold             # bps on net
    Limit converge              # bps on net, below the threshold
    size_t class_id             # for pauses

cdef struct Anchor:             # twice the mids (bid + ask) of an edge's legs; NaN: not known
    double of_sell              # as it was when the buy leg was heard last
    double of_buy               # as it was when the sell leg was

cdef enum Proof:                # that a leg still stands; a spread's is that of its worse leg
    PROVEN = 0
    UNPROVEN = 1                # its venue was asked and has not answered in time
    WAITING = 2
    CONTRADICTED = 3            # its venue says otherwise

cdef struct Asking:             # of the audit about legs that are old
    Dirty questions
    Dirty answers               # slots of which there is another verdict
    int64_t* asked_ns           # by slot; below 0: counted unproven since
    int64_t after_ns[MAX_SOURCES]   # a younger leg needs no proof; 0: none of the source does
    int64_t answer_ns           # an answer is waited for so long
    bint unproven_signals       # and then the signal leaves all the same, marked
    size_t n_asked              # since the last wake

cdef struct EngineCore:
    QuoteTable quotes
    Dirty dirty
    EdgeMap map
    Active active
    Ring ring
    Stream stream               # signals once they are in the ring; no records: told to nobody
    size_t n_told               # since the last wake
    HealthSlot* health          # the engine's own slot
    const ControlWords* control
    Pauses pauses
    Edges* edges                # NULL unless a replay wants statistics
    Confirm* confirm            # NULL: a spread signals at once
    Anchor* anchors             # by edge
    int64_t* heard_ns           # by slot: the quote that the anchors are of
    EdgeRule* rules
    Tradable rule               # as of this turn
    Asking asking
    Limit max_gross             # bps
    Limit min_notional          # at the touch, both legs, quote currency
    int64_t sweep_ns            # the whole table is looked at once per this long; 0 = never
    int64_t swept_at_ns
    size_t sweep_at             # next symbol
    int64_t noted_recv_ns[NOTED]
    size_t n_noted

cdef size_t engine_turn(EngineCore* e, int64_t now_ns) noexcept nogil
cdef size_t engine_scan(EngineCore* e, int64_t now_ns) noexcept nogil
cdef size_t engine_run(EngineCore* e, int64_t for_ns, int64_t spin_ns, int64_t park_ns,
                       int64_t coalesce_ns) noexcept nogil

cdef class Engine:
    cdef:
        EngineCore core
        tuple _owned            # everything the pointers point into, with:
        EdgeIndex _index

    cdef _make_anchors(self, EdgeIndex index)
    cdef _confirm(self, EdgeIndex index, int64_t wait_ns)
    cdef _ask(self, AuditTable audit, DirtySet questions, DirtySet answers)
