/* The rest of an order book's side, `,n],[px,qty,n],[px,qty,n]]`, checked 64 bytes at a time.
 *
 * Nobody wants its values, but a frame counts only if all of it is JSON. Here bytes become bit
 * masks, and grammar a few operations on them: without a branch per number, which as numbers
 * differ in length from frame to frame would often be guessed wrong.
 */
#ifndef SPREADCORE_LEVELS_H
#define SPREADCORE_LEVELS_H

#include "masks.h"

enum { SC_LEVELS_ROOM = 64 };           /* bytes of a window, which a level has to fit in */

/* Whether a window's first bytes, `all` up to its `last` closing bracket, are levels by JSON's
 * grammar, numbers of at most 19 digits and points. inside: it begins within a level, not between
 * two. Masks are of the whole window. */
static inline int sc_are_levels(const char *p, uint64_t close, uint64_t last, uint64_t inside) {
    uint64_t all = (last << 1) - 1;
    uint64_t digit = sc_digits_64(p) & all, dot = sc_equal_64(p, '.') & all;
    uint64_t comma = sc_equal_64(p, ',') & all, open = sc_equal_64(p, '[') & all;
    uint64_t behind_digit = digit << 1 | inside, before_digit = digit >> 1;
    uint64_t first = digit & ~(behind_digit | dot << 1);
    uint64_t run = digit | dot;
    close &= all;
    run &= run >> 1;
    run &= run >> 2;
    run &= run >> 4;
    run &= run >> 8;                    /* of sixteen, */
    run &= run >> 4;                    /* of twenty */
    uint64_t wrong = (digit | dot | comma | open | close) ^ all;
    wrong |= dot & ~(behind_digit & before_digit);
    wrong |= dot & ((dot << 1) + digit) & ~digit;                   /* 1.2.3 */
    wrong |= first & sc_equal_64(p, '0') & before_digit;            /* 01 */
    wrong |= open & ~(comma << 1 & before_digit);
    wrong |= close & ~(behind_digit & (comma >> 1 | last));
    wrong |= comma & ~((behind_digit & before_digit) | ((close << 1 | !inside) & open >> 1));
    return (wrong | run) == 0;
}

/* The bracket that closes a list of levels: p is at a comma in one of them. NULL where something
 * else than numbers and plain levels stands there, which says nothing about the frame. */
static inline const char *sc_levels_end(const char *p, const char *end) {
    uint64_t inside = 1;
    do {
        if (end - p < SC_LEVELS_ROOM || p[0] != ',')
            return NULL;
        uint64_t close = sc_equal_64(p, ']'), side_end = close & close >> 1;
        if (close == 0)
            return NULL;
        uint64_t last = side_end ? side_end & (~side_end + 1)
                                 : (uint64_t)1 << (63 - __builtin_clzll(close));
        if (!sc_are_levels(p, close, last, inside))
            return NULL;
        p += __builtin_ctzll(last) + 1;
        inside = 0;
    } while (p < end && *p != ']');
    return p < end ? p : NULL;
}

#endif
