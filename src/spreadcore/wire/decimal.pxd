# Decimal text to double, correctly rounded: the same bits as Python's float() or passed on.
#
# Three ways, all exact but for one rounding at the end. Whole numbers below 2^64: the conversion
# rounds. Up to 2^53 with a power of ten up to 10^22: both are doubles, so one division or
# multiplication rounds once (Clinger 1990). Up to 19 digits over 10^1 to 10^19: a quotient of at
# least 63 bits with its remainder as the sticky bit, rounded half to even.
from libc.stdint cimport int64_t, uint64_t
from libc.math cimport ldexp

cdef extern from *:
    """
    static const double sc_ten_to[23] = {
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
        1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    static const unsigned long long sc_whole_ten_to[20] = {
        1ull, 10ull, 100ull, 1000ull, 10000ull, 100000ull, 1000000ull, 10000000ull, 100000000ull,
        1000000000ull, 10000000000ull, 100000000000ull, 1000000000000ull, 10000000000000ull,
        100000000000000ull, 1000000000000000ull, 10000000000000000ull, 100000000000000000ull,
        1000000000000000000ull, 10000000000000000000ull};
    #define sc_leading_zeros(x) __builtin_clzll(x)

    /* In C, as Cython would take a wide type for the narrow one it is declared as. */
    static inline unsigned long long sc_quotient(unsigned long long w, unsigned long long d,
                                                 int *sticky) {
        unsigned __int128 numerator = (unsigned __int128)w << 63;
        unsigned long long q = (unsigned long long)(numerator / d);
        *sticky = (unsigned long long)numerator != q * d;
        return q;
    }
    """
    const double* ten_to "sc_ten_to"
    const uint64_t* whole_ten_to "sc_whole_ten_to"
    int leading_zeros "sc_leading_zeros" (uint64_t x) noexcept nogil
    # (w << 63) / d where both have their top bit set; sticky: whether something remains
    uint64_t quotient "sc_quotient" (uint64_t w, uint64_t d, int* sticky) noexcept nogil

cdef extern from "wire/decimal.h" nogil:
    enum:
        SC_MASKS_ARE_QUICK
        SC_SHORT_BYTES
        SC_SHORT_ROOM
    # digits[.digits] as whole / 10^places; 0 says nothing
    bint short_decimal "sc_short_decimal" (const char* p, size_t n, uint64_t* whole,
                                           int* places) noexcept

cdef enum:
    EXPONENT_MAX = 9999
    FULL = 1000000000000000000  # 10^18: nineteen digits, which are always below 2^64

# w / 10^k for w > 0 and k of 1 to 19
cdef inline double divided(uint64_t w, int k) noexcept nogil:
    cdef int up = leading_zeros(w)
    cdef int down = leading_zeros(whole_ten_to[k])
    cdef int sticky
    cdef uint64_t q = quotient(w << up, whole_ten_to[k] << down, &sticky)   # of 63 or 64 bits
    cdef int cut = 11 - leading_zeros(q)            # bits below the 53 that stay
    cdef uint64_t half = <uint64_t>1 << (cut - 1)
    cdef uint64_t rest = q & (2 * half - 1)
    cdef uint64_t m = q >> cut
    if rest > half or (rest == half and (sticky or m & 1)):
        m += 1
    return ldexp(<double>m, cut - 63 - up + down)

# w * 10^exponent; 0 where it can be rounded here, else -1
cdef inline int rounded(uint64_t w, int exponent, double* out) noexcept nogil:
    if w == 0:
        out[0] = 0.0
    elif exponent == 0:
        out[0] = <double>w
    elif w <= <uint64_t>1 << 53 and -22 <= exponent <= 22:
        out[0] = <double>w / ten_to[-exponent] if exponent < 0 else <double>w * ten_to[exponent]
    elif -19 <= exponent < 0:
        out[0] = divided(w, -exponent)
    else:
        return -1
    return 0

# Text that is wholly digits[.digits][e[+-]digits], byte by byte; 0 where it is and can be rounded
# here, else -1: not that grammar, negative, or too long for these ways.
cdef inline int any_decimal_value(const char* p, size_t n, double* out) noexcept nogil:
    cdef const char* end = p + n
    cdef const char* start = p
    cdef uint64_t w = 0
    cdef int exponent = 0
    cdef int given = 0
    cdef bint negative
    cdef unsigned int c
    while p < end:
        c = <unsigned int><unsigned char>p[0] - c'0'
        if c > 9:
            break
        if w >= FULL:
            return -1
        w = 10 * w + c
        p += 1
    if p == start:
        return -1
    if p < end and p[0] == c'.':
        p += 1
        start = p
        while p < end:
            c = <unsigned int><unsigned char>p[0] - c'0'
            if c > 9:
                break
            if w < FULL:
                w = 10 * w + c
                exponent -= 1
            elif c:             # zeros behind nineteen digits change nothing
                return -1
            p += 1
        if p == start:
            return -1
    if p < end and (p[0] == c'e' or p[0] == c'E'):
        p += 1
        negative = p < end and p[0] == c'-'
        if negative or (p < end and p[0] == c'+'):
            p += 1
        start = p
        while p < end and c'0' <= p[0] <= c'9':
            if given > EXPONENT_MAX:
                return -1
            given = 10 * given + (p[0] - c'0')
            p += 1
        if p == start:
            return -1
        exponent += -given if negative else given
    return rounded(w, exponent, out) if p == end else -1

# The same, where `room` bytes may be read at p; short ones without a branch per digit.
cdef inline int decimal_value(const char* p, size_t n, size_t room, double* out) noexcept nogil:
    cdef uint64_t w
    cdef int places
    if (SC_MASKS_ARE_QUICK and 0 < n <= SC_SHORT_BYTES and room >= SC_SHORT_ROOM
            and short_decimal(p, n, &w, &places)):
        return rounded(w, -places, out)
    return any_decimal_value(p, n, out)
