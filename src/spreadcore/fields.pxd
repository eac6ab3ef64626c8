# One top of book as decoded, in wire units: what every decoder gives and the gate takes.
from libc.stdint cimport int64_t, uint8_t

cdef struct Fields:
    double bid_px               # NaN: the side is missing
    double bid_qty
    double ask_px
    double ask_qty
    int64_t venue_ns            # 0: the venue gives no time
    int64_t update_id           # -1: none
    uint8_t id_kind             # ids of different kinds are not comparable
