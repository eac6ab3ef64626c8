# Pure arithmetic of an edge. Prices > 0 in one quote currency; NaN in, NaN out.

# what selling at sell_px and buying at buy_px gives, in bps of buy_px, before fees
cdef inline double gross_bps(double buy_px, double sell_px) noexcept nogil:
    return (sell_px / buy_px - 1.0) * 1e4

# after the entry taker fees of both legs
cdef inline double net_bps(double buy_px, double sell_px, double fees_bps) noexcept nogil:
    return gross_bps(buy_px, sell_px) - fees_bps

# what closing now would cost: buy the perpetual back at its ask, sell the spot at its bid
cdef inline double exit_bps(double buy_bid, double sell_ask) noexcept nogil:
    return (sell_ask / buy_bid - 1.0) * 1e4
