# Pure arithmetic of an edge. Prices > 0 in one quote currency; NaN in, NaN out.

# what selling at sell_px and buying at buy_px gives, in bps of buy_px, before fees. The difference
# first: each of the three roundings is then relative to the edge itself, however small it is
# (sell_px / buy_px - 1 is off by 1e-12 bps at any edge, and 50 bps come out as 49.999...)
cdef inline double gross_bps(double buy_px, double sell_px) noexcept nogil:
    return (sell_px - buy_px) / buy_px * 1e4

# after the entry taker fees of both legs
cdef inline double net_bps(double buy_px, double sell_px, double fees_bps) noexcept nogil:
    return gross_bps(buy_px, sell_px) - fees_bps

# what closing now would cost: buy back what was sold at its ask, sell what was bought at its bid
cdef inline double exit_bps(double buy_bid, double sell_ask) noexcept nogil:
    return gross_bps(buy_bid, sell_ask)
