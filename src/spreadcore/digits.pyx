"""Numbers as text: what repr() writes, ten times as fast for numbers that began as decimals.

A price that came over the wire is n / 10**k with few digits. Where n < 1e15 and k <= 22 both are
exact doubles and the division rounds once, as reading the text does: so equality proves that the
digits of n read back as the very double, and no other text of up to 15 digits does. Everything
else goes through CPython's own conversion.
"""
from cpython.mem cimport PyMem_Free
from libc.math cimport fabs, isinf
from libc.string cimport memcpy, memset, strlen

from spreadcore.errors import CoreError

cdef extern from "Python.h":
    char* PyOS_double_to_string(double x, char code, int precision, int flags, int* kind) \
        except NULL
    double PyOS_string_to_double(const char* text, char** end, void* overflow) except? -1.0
    enum:
        Py_DTSF_ADD_DOT_0

cdef enum:
    MAX_SCALE = 22              # 10**22 is the last exact power of ten

cdef double[MAX_SCALE + 1] POW10
cdef int _k
POW10[0] = 1.0
for _k in range(MAX_SCALE):
    POW10[_k + 1] = POW10[_k] * 10.0


# n and k with x == n / 10**k, for finite x > 0; False where there are none below 1e15 and 23
cdef inline bint as_decimal(double x, uint64_t* n, int* k) noexcept nogil:
    cdef double scaled
    cdef int scale
    for scale in range(MAX_SCALE + 1):
        scaled = x * POW10[scale]
        if scaled >= 1e15:
            return False
        n[0] = <uint64_t>(scaled + 0.5)
        if <double>n[0] / POW10[scale] == x:
            k[0] = scale
            return True
    return False


cdef char* put_uint(char* at, uint64_t n) noexcept nogil:
    cdef char[20] digits
    cdef int i = 20
    while True:
        i -= 1
        digits[i] = 48 + n % 10
        n //= 10
        if n == 0:
            break
    memcpy(at, digits + i, 20 - i)
    return at + 20 - i


cdef inline char* put_zeros(char* at, int n) noexcept nogil:
    memset(at, 48, n)
    return at + n


# n / 10**k in repr's form: plain from 1e-4 to below 1e16, else with an exponent
cdef inline char* put_decimal(char* at, uint64_t n, int k) noexcept nogil:
    cdef char[20] digits
    cdef int size = <int>(put_uint(digits, n) - digits)
    cdef int whole = size - k       # digits before the point
    if k == 0:
        memcpy(at, digits, size)
        memcpy(at + size, b".0", 2)
        return at + size + 2
    if whole > 0:
        memcpy(at, digits, whole)
        at[whole] = 46
        memcpy(at + whole + 1, digits + whole, k)
        return at + size + 1
    if whole > -4:
        memcpy(at, b"0.", 2)
        at = put_zeros(at + 2, -whole)
        memcpy(at, digits, size)
        return at + size
    at[0] = digits[0]
    at += 1
    if size > 1:
        at[0] = 46
        memcpy(at + 1, digits + 1, size - 1)
        at += size
    memcpy(at, b"e-", 2)
    at += 2
    if 1 - whole < 10:
        at = put_zeros(at, 1)
    return put_uint(at, 1 - whole)


cdef char* put_double(char* at, double x) except NULL:
    cdef uint64_t n
    cdef int k
    if x != x:
        return at
    if x < 0:
        at[0] = 45
        return put_double(at + 1, -x)
    if x > 0 and as_decimal(x, &n, &k):
        return put_decimal(at, n, k)
    cdef char* text = PyOS_double_to_string(x, b"r", 0, Py_DTSF_ADD_DOT_0, NULL)
    cdef size_t size = strlen(text)
    memcpy(at, text, size)
    PyMem_Free(text)
    return at + size


cdef char* put_fixed(char* at, double x, int decimals) except NULL:
    cdef uint64_t n
    cdef char[20] digits
    cdef int size
    if x != x:
        return at
    if fabs(x) >= 1e9 or isinf(x):
        return put_double(at, x)
    n = <uint64_t>(fabs(x) * POW10[decimals] + 0.5)
    if x < 0 and n:
        at[0] = 45
        at += 1
    size = <int>(put_uint(digits, n) - digits)
    if size <= decimals:        # 7 as 0.0007
        at[0] = 48
        at += 1
    else:
        memcpy(at, digits, size - decimals)
        at += size - decimals
    if decimals == 0:
        return at
    at[0] = 46
    at += 1
    if size < decimals:
        at = put_zeros(at, decimals - size)
        memcpy(at, digits, size)
        return at + size
    memcpy(at, digits + size - decimals, decimals)
    return at + decimals


cdef int take_double(const char* at, const char* end, double* x) except? -2:
    cdef uint64_t n = 0
    cdef int scale = -1         # digits after the point; -1: before it
    cdef const char* c = at
    if at == end:
        x[0] = float("nan")
        return 0
    while c < end and n < 100_000_000_000_000:
        if 48 <= c[0] <= 57:
            n = n * 10 + (c[0] - 48)
            scale += scale >= 0
        elif c[0] == 46 and scale < 0 and c > at:
            scale = 0
        else:
            break
        c += 1
    if c == end and scale <= MAX_SCALE:
        x[0] = <double>n / POW10[max(scale, 0)]
        return 0
    return take_any(at, end, x)


cdef int take_any(const char* at, const char* end, double* x) except? -2:
    cdef char[PUT_MAX + 1] text
    cdef char* stopped
    if end - at > PUT_MAX:
        return -1
    memcpy(text, at, end - at)
    text[end - at] = 0
    try:
        x[0] = PyOS_string_to_double(text, &stopped, NULL)
    except ValueError:
        return -1
    return 0 if stopped == text + (end - at) else -1


cdef inline int two(const char* at) noexcept nogil:
    return (at[0] - 48) * 10 + at[1] - 48


cdef int64_t take_time(const char* at) noexcept nogil:
    cdef const char* shape = b"dddd-dd-ddTdd:dd:dd.ddddddZ"
    cdef int i, month, day, hour, minute, second
    cdef int64_t year, era, days
    for i in range(27):
        if not (48 <= at[i] <= 57 if shape[i] == 100 else at[i] == shape[i]):
            return -1
    year = two(at) * 100 + two(at + 2)
    month, day = two(at + 5), two(at + 8)
    hour, minute, second = two(at + 11), two(at + 14), two(at + 17)
    if not (1970 <= year < 2200 and 1 <= month <= 12 and 1 <= day <= 31):
        return -1
    if hour > 23 or minute > 59 or second > 59:
        return -1
    # days from civil, years that begin in March: Hinnant, chrono-compatible low-level date
    # algorithms
    year -= month <= 2
    era = year // 400
    days = (year - era * 400) * 365 + (year - era * 400) // 4 - (year - era * 400) // 100
    days += (153 * (month - 3 if month > 2 else month + 9) + 2) // 5 + day - 1
    days += era * 146_097 - 719_468
    days = ((days * 24 + hour) * 60 + minute) * 60 + second     # in seconds, from here on
    return days * 1_000_000_000 + (
        (two(at + 20) * 100 + two(at + 22)) * 100 + two(at + 24)) * 1000


def number_text(double x):
    """Return the shortest text that reads back as the same double, as repr(); NaN is empty."""
    cdef char[PUT_MAX] text
    return text[:put_double(text, x) - text]


def fixed_text(double x, int decimals):
    """Return x with so many decimals, 0 to 9; NaN is empty, above 1e9 it is number_text(x)."""
    cdef char[PUT_MAX] text
    if not 0 <= decimals <= 9:
        raise CoreError(f"decimals: {decimals}, expected 0 to 9")
    return text[:put_fixed(text, x, decimals) - text]


def number_of(bytes text not None):
    """Return the double of a field, NaN for an empty one; ValueError for what is no number."""
    cdef double x
    cdef const char* at = text
    if take_double(at, at + len(text), &x) < 0:
        raise ValueError(f"number: {text!r}, expected as 12.5 or 1e-05")
    return x


def time_of(bytes text not None):
    """Return the Unix ns of a time as 2026-11-20T12:00:00.123456Z; ValueError for others.

    Those before 1970 and from 2200 on are others: differences of two always fit in 64 bits.
    """
    cdef int64_t ns = take_time(text) if len(text) == 27 else -1
    if ns < 0:
        raise ValueError(f"time: {text!r}, expected as 2026-11-20T12:00:00.123456Z")
    return ns
