# A leg in another quote currency than its edge: its prices times those of the slot that says what
# that currency costs. Buying costs its ask, selling gives its bid, whichever leg it is: the side
# that is unfavourable, on the way in and on the way out.
from libc.stdint cimport uint8_t, uint32_t

from spreadcore.layout cimport Quote

cdef enum:
    NO_LEG = 0
    BUY_LEG = 1
    SELL_LEG = 2

cdef struct Conversion:         # what converts a leg of an edge, and which; all zero: neither
    uint32_t row                # of the slot
    uint8_t source
    uint8_t leg

# NaN where a side of either is missing
cdef inline void convert(Quote* leg, const Quote* rate) noexcept nogil:
    leg.bid_px *= rate.bid_px
    leg.ask_px *= rate.ask_px

# (leg, source, row) or None from Python; CoreError for another leg than "buy" or "sell"
cdef inline Conversion conversion_from(found) except *:
    cdef Conversion c = Conversion(0, 0, NO_LEG)
    if found is None:
        return c
    leg, source, row = found
    if leg not in ("buy", "sell"):
        from spreadcore.errors import CoreError
        raise CoreError(f"conversion: of leg {leg!r}, expected 'buy' or 'sell'")
    c.leg = BUY_LEG if leg == "buy" else SELL_LEG
    c.source, c.row = source, row
    return c
