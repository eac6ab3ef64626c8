# Every struct in shared memory, once. Explicit widths and padding; words of different owners on
# different cache lines. LAYOUT_VERSION rises with any change; docs/layout.md is generated from
# layout.FIELDS.
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

cdef enum:
    LINE = 64                   # bytes of a cache line
    LAYOUT_VERSION = 9
    MAX_SOURCES = 64
    MAX_SYMBOLS = 65536         # rows of a source: symbol ids, or numbers of its listings
    MAX_EDGES = 1 << 20
    MAX_TRACKS = 32768
    N_COUNTERS = 64             # u64 counters of a health slot
    N_BUCKETS = 320             # log-scaled: 8 per power of two, values below 2^42 ns
    N_MARKS = 8                 # of a health slot
    N_OTHER_ROLES = 32          # health slots after the sources: engine, tracker, supervisor, ...
    N_FIGURES = 32              # u64 figures that the audit tells of a source
    N_OMS_WORDS = 510           # u64 words of the order manager's status
    N_CLASSES = 8192            # of edges, that may be paused: direction ids are below
    STREAM_RECORDS = 4096       # of a stream: how far a reader may fall behind; a power of two

cdef struct Header:             # first 64 bytes of every section file
    uint64_t magic              # written last at creation: a half-made file is not attachable
    uint32_t layout_version
    uint32_t kind               # which section, see layout.SECTIONS
    uint64_t layout_hash        # of layout.FIELDS
    uint64_t generation         # of the instance; rises with every forced re-creation
    uint64_t ring_id            # drawn at creation; stands in OPEN rows
    uint16_t n_sources
    uint16_t n_tracks           # slots of open tracks
    uint32_t n_symbols
    uint32_t n_edges
    uint32_t superseded         # 1: a newer instance took this name; detach
    int64_t created_ns          # CLOCK_BOOTTIME

cdef struct Quote:              # 56 bytes, guarded by QuoteSlot.seq
    double bid_px               # quote currency per one coin; NaN = empty
    double ask_px
    double bid_qty              # coins
    double ask_qty
    int64_t venue_ns            # the venue's Unix time, 0 where it gives none
    int64_t recv_ns             # our CLOCK_BOOTTIME when the socket was read; 0 = empty
    uint64_t flags              # link, age limit and what they are, see layout.QUOTE_FLAGS

cdef struct QuoteSlot:          # one line; index symbol * n_sources + source
    uint64_t seq                # odd while its one writer is inside
    Quote quote

cdef struct WakeLines:          # 128 bytes after the header of a dirty section, and of a stream
    uint32_t wake               # the futex word; writers add one when they see `sleeping`
    uint8_t _pad0[60]
    uint32_t sleeping           # 1 while whoever waits is (about to be) parked
    uint8_t _pad1[60]
# of a dirty section then, per source: its summary words, padded to whole lines; then, per source:
# its leaf words, padded to whole lines. Leaf bit s of word w = symbol 64 w + s; summary bit w is
# leaf word w.

cdef struct Signal:             # one ring record, one line
    uint64_t sequence           # 0, 1, 2, ... of this ring
    int64_t at_ns               # engine time of the decision
    int64_t recv_ns             # receive time of the younger leg: what triggered it
    double buy_px               # ask of the buy leg
    double sell_px              # bid of the sell leg
    double buy_qty              # coins at that ask
    double sell_qty             # coins at that bid
    uint32_t edge
    uint32_t age                # bits 0-29: ms of the older quote; 30: the sell leg's; 31: unproven

cdef struct RingLines:          # 128 bytes after the header; then capacity records
    uint64_t head               # next sequence to write; producer's
    uint8_t _pad0[56]
    uint64_t tail               # next sequence to read; consumer's
    uint8_t _pad1[56]

cdef struct StreamLines:        # one line after the WakeLines of a stream; then its records
    uint64_t head               # next sequence to publish; the producer's, as all in this section
    uint64_t generation         # of the producer: rises with each one that takes the stream over
    uint8_t _pad[48]

cdef struct Told:               # 120 bytes, guarded by StreamRecord.seq
    int64_t at_ns               # CLOCK_BOOTTIME of the decision or the look
    int64_t recv_ns             # receive time of the younger leg
    int64_t opened_ns           # of the track; 0: of none
    uint64_t track              # sequence of its signal in the header's ring; all bits set: of none
    uint32_t edge               # index of its byte in the active table; all bits set: of none
    uint32_t symbol_id          # all bits set: of none
    uint32_t generation         # of the producer that published this
    uint8_t kind                # see layout.RECORD_KINDS
    uint8_t reason              # see layout.REASONS
    uint16_t flags              # bit 0: unproven
    uint32_t buy_age_ms         # of the legs' quotes at at_ns, whole ms; 2^32 - 1: there is none
    uint32_t sell_age_ms
    double buy_px               # ask of the buy leg; NaN, as the next five: not known
    double sell_px              # bid of the sell leg
    double buy_qty              # coins at that ask
    double sell_qty             # coins at that bid
    double gross_bps
    double net_bps
    double peak_net_bps         # of the track until now
    double conversion_px        # what a leg's price is times, to be in the edge's currency; 0: none

cdef struct StreamRecord:       # two lines; record n stands at n % STREAM_RECORDS
    uint64_t seq                # 2 n + 1 while record n is written, 2 n + 2 once it is whole
    Told told

cdef struct OpenTrack:          # 120 bytes, guarded by TrackSlot.seq
    uint64_t track              # sequence of its signal in the ring that the header names
    uint32_t edge               # index of its byte in the active table
    uint32_t symbol_id
    uint32_t state              # see layout.TRACK_STATES
    uint32_t flags              # bit 0: unproven; bit 1: both legs tradable at the last look
    int64_t opened_ns           # CLOCK_BOOTTIME of the signal
    int64_t looked_ns           # of the last look at both legs, which what follows is of
    double buy_px               # ask of the buy leg; NaN, as all doubles here: none
    double sell_px              # bid of the sell leg
    double buy_qty              # coins at that ask
    double sell_qty             # coins at that bid
    double gross_bps
    double net_bps
    double exit_bps
    double funding_bps          # what the legs receive next; not in net
    double peak_net_bps         # until now
    uint32_t buy_age_ms         # of the legs' quotes, whole ms; 2^32 - 1: there is none
    uint32_t sell_age_ms

cdef struct TrackSlot:          # two lines; n_tracks of them
    uint64_t seq                # odd while its one writer is inside
    OpenTrack open

cdef struct Histogram:
    uint64_t buckets[N_BUCKETS]

cdef struct MarkBody:
    int64_t at_ns               # CLOCK_BOOTTIME; 0: none taken
    uint64_t _pad[6]
    uint64_t counters[N_COUNTERS]
    Histogram latency

cdef struct Mark:               # what a slot had counted at a moment; guarded by seq
    uint64_t seq
    MarkBody body

cdef struct HealthSlot:         # one per role; one writer
    uint64_t pid                # shown only; liveness is the lease
    uint64_t boot_id            # first 64 bits of the kernel's boot id
    int64_t start_ns            # CLOCK_BOOTTIME
    uint64_t beat_ns            # CLOCK_BOOTTIME of the last beat; engine reads the sources'
    uint64_t state              # see layout.STATES
    uint64_t acked_generation   # of the generated set in use
    uint64_t restarts           # by the supervisor, in this run
    uint64_t _reserved
    uint64_t counters[N_COUNTERS]
    Histogram latency           # sources: receive->slot; engine: receive->signal
    Mark marks[N_MARKS]         # first: when the run began; the others: one every 10 s, by turns

cdef struct Funding:            # 24 bytes, guarded by FundingSlot.seq
    double rate                 # of the notional, per payment; above 0: longs pay shorts
    int64_t next_ns             # the venue's Unix time of the next payment
    int64_t until_ns            # CLOCK_BOOTTIME from which this says nothing; 0 = it never did

cdef struct FundingSlot:        # half a line; index symbol * n_sources + source
    uint64_t seq                # odd while its one writer is inside
    Funding funding

cdef struct ControlWords:       # after the header; one line per word
    uint64_t pause              # 1: no new signals
    int64_t pause_until_ns      # CLOCK_BOOTTIME at which it ends by itself; 0: it does not
    uint8_t _pad0[48]
    uint64_t kill               # not 0: the kill switch is thrown, see control.pxd
    int64_t kill_at_ns          # CLOCK_BOOTTIME at which it was thrown last; 0: never
    char kill_reason[48]        # why, then why it was cleared; UTF-8, filled up with zeros
    uint64_t reload_generation  # newest generated set that everyone should take
    uint8_t _pad2[56]
    uint64_t stop               # 1: everyone ends
    uint8_t _pad3[56]

cdef struct OmsStatus:          # what the order manager says of itself; later
    uint64_t seq                # odd while its one writer is inside
    int64_t at_ns               # CLOCK_BOOTTIME; 0: it has said nothing yet
    uint64_t words[N_OMS_WORDS]

cdef struct AuditFigures:       # one per source, at the begin of the audit section
    uint64_t words[N_FIGURES]   # names in layout.AUDIT_FIGURES

cdef struct Verdict:            # 24 bytes, guarded by VerdictSlot.seq
    int64_t recv_ns             # receive time of the quote that it is about; 0: of none
    int64_t at_ns               # CLOCK_BOOTTIME as of which it is so
    uint64_t word               # bits 0-7: layout.VERDICTS; 8-15: layout.NOT_JUDGED

cdef struct VerdictSlot:        # half a line, after the figures; index symbol * n_sources + source
    uint64_t seq                # odd while its one writer is inside
    Verdict verdict

# bytes of `n` words of 8, padded to whole lines
cdef inline size_t padded_words(size_t n) noexcept nogil:
    return (n * 8 + LINE - 1) // LINE * LINE

cdef inline size_t leaf_words(size_t n_symbols) noexcept nogil:
    return (n_symbols + 63) // 64

cdef inline size_t summary_words(size_t n_symbols) noexcept nogil:
    return (leaf_words(n_symbols) + 63) // 64

# there is never more than one signal of an edge on its way
cdef inline size_t ring_capacity(size_t n_edges) noexcept nogil:
    cdef size_t n = 1
    while n < n_edges:
        n *= 2
    return n
