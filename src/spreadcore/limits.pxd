# Limits that an edge, or a notional, is held against. What is exactly at its limit in the decimals
# that exchanges and people write counts as at it: neither above nor below. NaN is nowhere.
#
# Doubles miss such a tie by a few bits. How many, with u = 2^-53 and an edge of g bps: reading a
# price and dividing it by its multiplier leaves 2u of it, so the ratio of two is off by 4u and the
# edge by 4u * (1e4 + g) bps; the difference, the division and the product add 3u * g; the fees of
# two legs and the limit, read and summed, 4u of themselves, and taking the fees off another u.
# Together less than 4.5e-12 + 12u * (|limit| + |fees|) where g is about limit + fees. A notional
# is a price, a size (wire size, contract size, multiplier) and their product: 9u of itself.
#
# So the slack is 1e-11 + 18u * (|limit| + |fees|): over twice the first bound. Below it nothing
# real is hidden: files show edges to 1e-2 bps, and one unit of the thirteenth digit of a price is
# 1e-9 bps or more.
from libc.math cimport INFINITY, fabs

cdef struct Limit:
    double least                # from here on a value is at least the limit
    double most                 # up to here it is at most the limit

cdef inline double slack(double limit, double fees) noexcept nogil:
    return 1e-11 + 2e-15 * (fabs(limit) + fabs(fees))

# fees: what was taken off the values that are held against the limit; 0 where nothing was
cdef inline Limit limit_at(double limit, double fees) noexcept nogil:
    cdef double by = slack(limit, fees)
    if not by < INFINITY:       # an infinite limit has no neighbours
        by = 0.0
    return Limit(limit - by, limit + by)

cdef inline bint at_least(double x, const Limit* limit) noexcept nogil:
    return x >= limit.least

cdef inline bint below(double x, const Limit* limit) noexcept nogil:
    return x < limit.least

cdef inline bint at_most(double x, const Limit* limit) noexcept nogil:
    return x <= limit.most

cdef inline bint above(double x, const Limit* limit) noexcept nogil:
    return x > limit.most
