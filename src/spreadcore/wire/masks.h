/* Sixteen bytes at once: a bit for each that equals a character, that is a digit, or that ends or
 * forbids plain text (a quote, a backslash, a control character, one that is not ASCII). */
#ifndef SPREADCORE_MASKS_H
#define SPREADCORE_MASKS_H

#include <stdint.h>

static inline uint32_t sc_plain_equal(const char *p, char c) {
    uint32_t mask = 0;
    for (int i = 0; i < 16; i++)
        mask |= (uint32_t)(p[i] == c) << i;
    return mask;
}

static inline uint32_t sc_plain_digits(const char *p) {
    uint32_t mask = 0;
    for (int i = 0; i < 16; i++)
        mask |= (uint32_t)(p[i] >= '0' && p[i] <= '9') << i;
    return mask;
}

static inline uint32_t sc_plain_text_stops(const char *p) {
    uint32_t mask = 0;
    for (int i = 0; i < 16; i++)
        mask |= (uint32_t)(p[i] == '"' || p[i] == '\\' || (unsigned char)(p[i] - 0x20) > 0x5F) << i;
    return mask;
}

#if defined(__SSE2__)
#include <emmintrin.h>

enum { SC_MASKS_ARE_QUICK = 1 };

static inline __m128i sc_sixteen(const char *p) {
    return _mm_loadu_si128((const __m128i *)p);
}

static inline uint32_t sc_bits(__m128i marked) {
    return (uint32_t)_mm_movemask_epi8(marked);
}

static inline __m128i sc_up_to(__m128i bytes, char most) {
    return _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(most)), bytes);
}

static inline __m128i sc_same(__m128i bytes, char c) {
    return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c));
}

static inline uint32_t sc_equal(const char *p, char c) {
    return sc_bits(sc_same(sc_sixteen(p), c));
}

static inline uint32_t sc_digits(const char *p) {
    return sc_bits(sc_up_to(_mm_xor_si128(sc_sixteen(p), _mm_set1_epi8('0')), 9));
}

static inline uint32_t sc_text_stops(const char *p) {
    __m128i bytes = sc_sixteen(p);
    __m128i marked = _mm_or_si128(sc_same(bytes, '"'), sc_same(bytes, '\\'));
    marked = _mm_or_si128(marked, sc_up_to(bytes, 0x1F));
    return sc_bits(_mm_or_si128(marked, bytes));    /* the top bit of what is not ASCII */
}
#else
enum { SC_MASKS_ARE_QUICK = 0 };
#define sc_equal sc_plain_equal
#define sc_digits sc_plain_digits
#define sc_text_stops sc_plain_text_stops
#endif

/* The same for 64 bytes. */
static inline uint64_t sc_equal_64(const char *p, char c) {
    return (uint64_t)sc_equal(p, c) | (uint64_t)sc_equal(p + 16, c) << 16
         | (uint64_t)sc_equal(p + 32, c) << 32 | (uint64_t)sc_equal(p + 48, c) << 48;
}

static inline uint64_t sc_digits_64(const char *p) {
    return (uint64_t)sc_digits(p) | (uint64_t)sc_digits(p + 16) << 16
         | (uint64_t)sc_digits(p + 32) << 32 | (uint64_t)sc_digits(p + 48) << 48;
}

#endif
