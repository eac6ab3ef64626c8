# One pass over a JSON frame: checked to its end, wanted values captured, nothing allocated.
#
# Strict where orjson is, and stricter: what it would have to interpret (escapes, text that is not
# ASCII, a wanted key that stands twice, numbers of more than 19 digits) it leaves to the reference.
from libc.stdint cimport int16_t, uint16_t

from spreadcore.wire.program cimport Captures, Program

cdef enum:
    MAX_TOKENS = 64             # values noted for a shape

cdef enum TokenKind:
    A_NUMBER
    A_TEXT
    SOME_LEVELS                 # what levels_end runs over

cdef struct Token:              # a part of the frame that the next one has differently, in order
    uint16_t at
    uint16_t n
    int16_t slot                # -1: nobody wants it
    uint16_t kind

cdef struct Tokens:
    Token tokens[MAX_TOKENS]
    int n                       # -1: not noted, this frame makes no shape

cdef int json_scan(const Program* x, const char* frame, size_t n, Captures* c,
                   Tokens* tokens) noexcept nogil
