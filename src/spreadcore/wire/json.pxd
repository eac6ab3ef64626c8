# One pass over a JSON frame: checked to its end, wanted values captured, nothing allocated.
#
# Strict where orjson is, and stricter: what it would have to interpret (escapes, text that is not
# ASCII, a wanted key that stands twice, numbers of more than 19 digits) it leaves to the reference.
from libc.stdint cimport int16_t, uint16_t

from spreadcore.wire.program cimport Captures, Program

cdef enum:
    MAX_TOKENS = 64             # values noted for a shape

cdef struct Token:              # a text or number of the frame, in order
    uint16_t at
    uint16_t n
    int16_t slot                # -1: nobody wants it
    uint16_t text

cdef struct Tokens:
    Token tokens[MAX_TOKENS]
    int n                       # -1: not noted, this frame makes no shape

cdef int json_scan(const Program* x, const char* frame, size_t n, Captures* c,
                   Tokens* tokens) noexcept nogil
