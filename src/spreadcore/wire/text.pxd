# Texts and numbers of a JSON frame, found eight bytes at a time: what both gears of the scanner
# share. Little-endian, like the table's magic.
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from spreadcore.wire.program cimport FRACTION, WHOLE

cdef extern from *:
    """
    #define sc_first_byte(mask) (__builtin_ctzll(mask) >> 3)
    """
    size_t first_byte "sc_first_byte" (uint64_t mask) noexcept nogil
    size_t first_bit "__builtin_ctz" (uint32_t mask) noexcept nogil

cdef extern from "wire/levels.h" nogil:
    # the bracket that closes a list of lists of numbers, p at a comma in one of these; NULL where
    # other things than that stand there
    const char* levels_end "sc_levels_end" (const char* p, const char* end) noexcept

cdef extern from "wire/masks.h" nogil:
    enum:
        MASKS_ARE_QUICK "SC_MASKS_ARE_QUICK"    # else words of eight bytes are
    uint32_t digits_of "sc_digits" (const char* p) noexcept     # bits of 16 bytes
    uint32_t equal_of "sc_equal" (const char* p, char c) noexcept
    uint32_t text_stops_of "sc_text_stops" (const char* p) noexcept

cdef extern from "wire/decimal.h" nogil:
    # eight digits in the order of the text as a number
    uint64_t eight_digits "sc_eight_digits" (uint64_t word) noexcept

cdef enum:
    WORD = 8
    MASK = 16                   # bytes of which a mask is made
    NUMBER_DIGITS = 19          # below 2^64, so that a whole number is one for orjson, too

cdef inline uint64_t load_word(const char* p) noexcept nogil:
    cdef uint64_t word
    memcpy(&word, p, WORD)
    return word

# the first n (1 to 7) bytes of what p points at, the rest zero; reads no byte behind them
cdef inline uint64_t load_part(const char* p, size_t n) noexcept nogil:
    cdef uint64_t word = 0
    cdef size_t i
    for i in range(n):
        word |= <uint64_t><unsigned char>p[i] << (8 * i)
    return word

# High bit of every byte that ends or forbids plain text: a quote, a backslash, a control character
# or one that is not ASCII. Only the lowest of them counts: borrows may set higher ones.
cdef inline uint64_t text_stops(uint64_t word) noexcept nogil:
    cdef uint64_t quote = word ^ 0x2222222222222222u
    cdef uint64_t backslash = word ^ 0x5C5C5C5C5C5C5C5Cu
    return (((quote - 0x0101010101010101u) & ~quote)
            | ((backslash - 0x0101010101010101u) & ~backslash)
            | ((word - 0x2020202020202020u) & ~word)
            | word) & 0x8080808080808080u

# Return the closing quote of a text that begins at p, NULL where there is none before `end` or
# where a byte stands before it that plain text has not.
cdef inline const char* text_end(const char* p, const char* end) noexcept nogil:
    cdef uint64_t stops
    cdef uint32_t mask
    while MASKS_ARE_QUICK and end - p >= MASK:
        mask = text_stops_of(p)
        if mask:
            p += first_bit(mask)
            return p if p[0] == c'"' else NULL
        p += MASK
    while end - p >= WORD:
        stops = text_stops(load_word(p))
        if stops:
            p += first_byte(stops)
            return p if p[0] == c'"' else NULL
        p += WORD
    while p < end:
        if p[0] == c'"':
            return p
        if p[0] == c'\\' or <unsigned char>p[0] < 0x20 or <unsigned char>p[0] > 0x7F:
            return NULL
        p += 1
    return NULL

# High bit of every byte that is no digit; without carries, so each of them counts.
cdef inline uint64_t digit_stops(uint64_t word) noexcept nogil:
    cdef uint64_t value = word ^ 0x3030303030303030u
    return (((value & 0x7F7F7F7F7F7F7F7Fu) + 0x7676767676767676u) | value) & 0x8080808080808080u

cdef inline const char* digits_end(const char* p, const char* end) noexcept nogil:
    cdef uint64_t stops
    while end - p >= WORD:
        stops = digit_stops(load_word(p))
        if stops:
            return p + first_byte(stops)
        p += WORD
    while p < end and c'0' <= p[0] <= c'9':
        p += 1
    return p

# The end of a number of less than 16 bytes, without exponent, that is not negative; else NULL,
# which says nothing. 16 bytes may be read.
cdef inline const char* short_number_end(const char* p, uint32_t* kind) noexcept nogil:
    cdef uint32_t digits = digits_of(p)
    cdef uint32_t dots = equal_of(p, c'.')
    cdef size_t n = first_bit(~(digits | dots))
    cdef uint32_t dot = dots & ((<uint32_t>1 << n) - 1)
    if n == 0 or n == MASK or p[n] == c'e' or p[n] == c'E':
        return NULL
    if dot & (dot - 1) or dot & (1 | <uint32_t>1 << (n - 1)):
        return NULL
    if p[0] == c'0' and digits & 2:
        return NULL
    kind[0] = FRACTION if dot else WHOLE
    return p + n

# Return the end of a number at p that is not negative, NULL where there is none by JSON's grammar
# or one with so many digits or such an exponent that orjson may make something else of it.
cdef inline const char* number_end(const char* p, const char* end, uint32_t* kind) noexcept nogil:
    cdef const char* start = p
    cdef const char* part
    cdef size_t digits
    if MASKS_ARE_QUICK and end - p >= MASK:
        part = short_number_end(p, kind)
        if part != NULL:
            return part
    p = digits_end(p, end)
    digits = p - start
    kind[0] = WHOLE
    if digits == 0 or (digits > 1 and start[0] == c'0'):
        return NULL
    if p < end and p[0] == c'.':
        kind[0] = FRACTION
        part = p + 1
        p = digits_end(part, end)
        if p == part:
            return NULL
        digits += p - part
    if p < end and (p[0] == c'e' or p[0] == c'E'):
        kind[0] = FRACTION
        p += 1
        if p < end and (p[0] == c'-' or p[0] == c'+'):
            p += 1
        part = p
        p = digits_end(part, end)
        if p == part or p - part > 2:
            return NULL
    return p if digits <= NUMBER_DIGITS else NULL
