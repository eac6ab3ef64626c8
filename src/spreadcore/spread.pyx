"""The edge of two quotes in bps, for Python callers; the engine uses the inlines of spread.pxd."""


def edge_gross_bps(double buy_px, double sell_px):
    """Return the edge of buying at buy_px and selling at sell_px before fees, in bps of buy_px.

    Prices > 0 in one quote currency. NaN in, NaN out; a price of 0 gives inf or NaN.
    """
    return _guard(buy_px, sell_px)


def edge_net_bps(double buy_px, double sell_px, double fees_bps):
    """Return the edge after fees_bps, the entry taker fees of both legs together."""
    return _guard(buy_px, sell_px) - fees_bps


def edge_exit_bps(double buy_bid, double sell_ask):
    """Return what closing the pair now would cost, in bps of buy_bid, before fees."""
    return _guard(buy_bid, sell_ask)


cdef double _guard(double buy, double sell) noexcept:
    # division by zero in C gives inf or NaN, which never passes a `net >= threshold`
    return gross_bps(buy, sell)
