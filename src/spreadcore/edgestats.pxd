# Statistics of evaluated edges per edge, for replays. The engine feeds it.
from libc.stdint cimport int64_t, uint32_t, uint64_t

from spreadcore.limits cimport Limit

cdef struct EdgeCell:           # one edge
    uint64_t n                  # updates evaluated
    double sum_bps
    double max_bps
    double max_buy_px
    double max_sell_px
    int64_t max_ns

cdef struct LimitCell:          # one edge and limit
    uint64_t n_above            # updates strictly above the limit
    uint64_t episodes
    int64_t since_ns            # start of the open episode, meaningful while `open`
    int64_t total_ns
    int64_t longest_ns
    uint64_t open

cdef struct Edges:
    EdgeCell* cells             # by edge
    LimitCell* limits           # that * n_limits + limit
    Limit* limit_bps
    uint32_t n_edges
    uint32_t n_limits

cdef void edges_add(Edges* e, size_t at, double gross, double buy_px, double sell_px,
                    int64_t at_ns) noexcept nogil

cdef class EdgeStats:
    cdef:
        Edges edges
        readonly list limits
