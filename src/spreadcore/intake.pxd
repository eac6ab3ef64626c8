# The gate between decoded fields and the table: ids, units, prices, slot, dirty bit, wake.
#
# Every call carries its link (number of the socket). Per symbol the feed keeps the link that wrote
# last (its owner) and the last id. Ids are compared while links live side by side and forgotten
# when the owner closes cold or has subscribed anew. An equal id is a refresh: the venue repeats an
# unchanged top. A lower one is refused for as long as that explains the stream: after RISING_IDS of
# them in a row that rise, from the socket that wrote the last id (what one socket brings is in
# order), or where no id was taken for RESTART_S, the venue has begun to count anew. A socket beside
# it may lag by a burst, so of its ids only the latter is believed.
from libc.math cimport isfinite
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from spreadcore.cadence cimport Cadence
from spreadcore.dirty cimport Dirty, dirty_mark, dirty_wake
from spreadcore.fields cimport Fields
from spreadcore.health cimport count, histogram_add
from spreadcore.layout cimport HealthSlot, Quote
from spreadcore.quotes cimport QuoteTable, quote_slot, quote_write, quote_write_empty
from spreadcore.region cimport Region
from spreadcore.symbols cimport Names
from spreadcore.tape cimport Tape

cdef enum:
    ACCEPTED = 0
    REFRESHED = 1
    # else -1 - index into layout.DECLINED

cdef enum:
    RISING_IDS = 3
    RESTART_S = 5
    HANDED_OVER = 0xFF          # in n_old: the owner did not write the last id

cdef enum:                      # in SymbolState.known; 0: not of this feed
    KNOWN = 1
    HALTED = 2                  # its venue does not trade it: quotes are declined

cdef enum IdReset:
    RESET_NEVER = 0
    RESET_IS_ONE = 1            # id 1 restarts the sequence
    RESET_NEWER_TIME = 2        # a lower id with a later venue time restarts it

cdef struct SymbolState:
    double multiplier           # coins per listed unit: price of one coin = wire / multiplier
    double qty_scale            # coins per wire unit of size; NaN = contract size not known
    int64_t last_id
    int64_t last_venue_ns
    int64_t last_recv_ns        # of the last accepted quote, 0 before it
    uint64_t quotes             # accepted since the symbol was added
    uint32_t link               # owner of the slot, 0 = nobody
    uint8_t id_kind
    uint8_t known               # KNOWN or HALTED: subscribed by this feed
    uint8_t n_old               # lower ids in a row from the owner that rise, or HANDED_OVER
    uint8_t pad0
    int64_t last_id_ns          # when last_id was taken
    Cadence cadence             # the second line
    int64_t old_id              # the last of the n_old
    uint32_t id_restarts        # of this run
    uint32_t pad1

cdef struct Intake:
    QuoteTable quotes
    Dirty dirty
    HealthSlot* health
    SymbolState* states
    Fields* tops                # by symbol, wire units: what deltas build upon; NULL: not kept
    Names names                 # of frames, as the venue writes them
    uint32_t source
    uint32_t n_symbols
    IdReset id_reset
    uint16_t cap                # of limits that are learnt, in PAUSE_UNIT_NS; 0: none is learnt
    uint16_t floor              # of them, too: the shortest
    uint64_t n_unflushed        # quotes marked since the last flush
    int64_t oldest_recv_ns      # of those

cdef int intake_accept(Intake* k, size_t symbol, uint32_t link, const Fields* f,
                       int64_t recv_ns) noexcept nogil
cdef void intake_flush(Intake* k, int64_t now_ns) noexcept nogil

cdef class SourceIntake:
    cdef:
        Intake intake
        Region _quotes
        Region _dirty
        Region _health
        readonly size_t source_id
        Tape tape                   # what is received is copied there; None: nowhere

    cdef SymbolState* _state(self, size_t symbol) except NULL
    cdef int64_t _own_ns(self, const SymbolState* s) noexcept
