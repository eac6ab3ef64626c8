# What is kept of a track: its peak, means, time in profit, looks. One rule for the tracker, which
# looks, and for its recovery, which reads what it saw.
from libc.stdint cimport int64_t, uint64_t

from spreadcore.limits cimport Limit, above, at_most, limit_at

cdef struct Stats:
    int64_t looked_ns           # the last look, OPEN before the first; CLOCK_BOOTTIME
    int64_t peak_ns
    double peak_net_bps         # of OPEN and the tradable looks; NaN: none yet
    double peak_notional
    int64_t profit_ns           # net was above 0 at a tradable look
    double sum_net_bps          # of the tradable looks, as the rest
    double sum_notional
    double min_notional
    uint64_t tradable_looks
    uint64_t looks
    uint64_t skipped            # ticks of the grid without a look
    int64_t worst_buy_age_ms    # of OPEN and the looks that found a quote; -1: none
    int64_t worst_sell_age_ms

# ages: -1 where there is no quote
cdef inline void stats_look(Stats* s, bint tradable, double gross_bps, double fees_bps,
                            double notional, int64_t buy_age_ms, int64_t sell_age_ms,
                            int64_t at_ns, int64_t grid_ns) noexcept nogil:
    cdef int64_t passed_ns = at_ns - s.looked_ns
    cdef int64_t ticks = at_ns // grid_ns - s.looked_ns // grid_ns
    cdef double net_bps = gross_bps - fees_bps
    cdef Limit peak = limit_at(s.peak_net_bps, fees_bps)
    cdef Limit zero = limit_at(0.0, fees_bps)
    s.looked_ns = at_ns
    s.looks += 1
    if ticks > 1:
        s.skipped += ticks - 1
    s.worst_buy_age_ms = max(s.worst_buy_age_ms, buy_age_ms)
    s.worst_sell_age_ms = max(s.worst_sell_age_ms, sell_age_ms)
    if not tradable:
        return
    if not at_most(net_bps, &peak):     # also where the first peak is NaN
        s.peak_net_bps, s.peak_ns, s.peak_notional = net_bps, at_ns, notional
    if above(net_bps, &zero) and passed_ns > 0:
        s.profit_ns += min(passed_ns, grid_ns)
    s.sum_net_bps += net_bps
    s.sum_notional += notional
    if s.tradable_looks == 0 or notional < s.min_notional:
        s.min_notional = notional
    s.tradable_looks += 1

cdef stats_tuple(const Stats* s)
cdef int stats_from(Stats* s, found, int64_t looked_ns) except -1
