/* Short decimal text to a whole number and a power of ten, without a branch per digit: prices
 * differ in length from frame to frame, and a wrong guess costs as much as all of this. */
#ifndef SPREADCORE_DECIMAL_H
#define SPREADCORE_DECIMAL_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "masks.h"

enum { SC_SHORT_BYTES = 16, SC_SHORT_ROOM = 17 };

/* Eight digits, or zero bytes, as a number: pairs, fours and the whole by one multiplication each. */
static inline uint64_t sc_eight_digits(uint64_t word) {
    word = (word & 0x0F0F0F0F0F0F0F0Full) * 2561 >> 8;
    word = (word & 0x00FF00FF00FF00FFull) * 6553601 >> 16;
    return (word & 0x0000FFFF0000FFFFull) * 42949672960001ull >> 32;
}

/* 1 where the n bytes at p are digits[.digits], up to eight on each side: *whole / 10^*places.
 * SC_SHORT_ROOM bytes at p may be read. 0 says nothing. */
static inline int sc_short_decimal(const char *p, size_t n, uint64_t *whole, int *places) {
    static const uint32_t ten_to[] = {
        1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    uint32_t all = ((uint32_t)1 << n) - 1, dot = sc_equal(p, '.') & all;
    unsigned has_dot = dot != 0, before = (unsigned)__builtin_ctz(dot | (uint32_t)1 << n);
    unsigned behind = (unsigned)n - before - has_dot;
    uint64_t high, low;
    if (((sc_digits(p) & all) | dot) != all || (dot & (dot - 1)) != 0
            || before - 1 > 7 || behind > 8 || behind < has_dot)
        return 0;
    memcpy(&high, p, sizeof high);
    memcpy(&low, p + before + has_dot, sizeof low);
    *whole = sc_eight_digits(high << 8 * (8 - before)) * ten_to[behind]
           + sc_eight_digits(low << 4 * (8 - behind) << 4 * (8 - behind));
    *places = (int)behind;
    return 1;
}

#endif
