# Statistics of evaluated edges per (direction, symbol), for replays. The engine feeds it.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from spreadcore.limits cimport Limit

cdef struct EdgeCell:           # one (direction, symbol)
    uint64_t n                  # updates evaluated
    double sum_bps
    double max_bps
    double max_buy_px
    double max_sell_px
    int64_t max_ns

cdef struct LimitCell:          # one (direction, symbol, limit)
    uint64_t n_above            # updates strictly above the limit
    uint64_t episodes
    int64_t since_ns            # start of the open episode, meaningful while `open`
    int64_t total_ns
    int64_t longest_ns
    uint64_t open

cdef struct Edges:
    EdgeCell* cells             # direction * n_symbols + symbol
    LimitCell* limits           # that * n_limits + limit
    Limit* limit_bps
    uint32_t n_directions
    uint32_t n_symbols
    uint32_t n_limits

cdef void edges_add(Edges* e, size_t direction, size_t symbol, double gross, double buy_px,
                    double sell_px, int64_t at_ns) noexcept nogil

cdef class EdgeStats:
    cdef:
        Edges edges
        readonly list limits
