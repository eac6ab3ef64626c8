# The quick gear for JSON: frames of one topic share all text between their values, so once one of
# them has been checked in full, the next needs its literals compared and only its values scanned.
#
# Why it accepts nothing that the general scanner would not. A shape's literals stand between
# values of known types, and a value is scanned by the same two functions as there. So a frame of
# the shape has the same tokens, keys and nesting as the one that was checked, with other values.
from libc.stdint cimport int16_t, uint16_t, uint32_t

from spreadcore.wire.json cimport MAX_TOKENS, Tokens
from spreadcore.wire.program cimport MAX_SLOTS, Captures, LookUp, Program
from spreadcore.wire.text cimport WORD

cdef enum:
    MAX_SHAPES = 4
    LITERAL_BYTES = 1536

cdef struct Step:               # a literal, then a value
    uint16_t literal            # where it begins in Shape.literals
    uint16_t literal_n
    int16_t slot
    uint16_t kind               # TokenKind

cdef struct Shape:
    uint32_t n_values           # steps; one more literal ends the frame
    uint32_t roots
    uint32_t n_absent
    uint32_t literal_bytes      # used
    int symbol                  # its slot
    uint32_t prefix_n           # of the symbol, not looked up
    uint16_t absent[MAX_SLOTS]  # slots that no value of this shape fills
    Step steps[MAX_TOKENS + 1]
    char literals[LITERAL_BYTES + WORD]

cdef struct Shapes:
    uint32_t n
    uint32_t order[MAX_SHAPES]  # last used first
    Shape shapes[MAX_SHAPES]

cdef bint shapes_scan(Shapes* shapes, const char* frame, size_t n, LookUp look_up, void* context,
                      Captures* c) noexcept nogil
cdef void shapes_learn(Shapes* shapes, const Program* x, const char* frame, size_t n,
                       const Tokens* tokens, uint32_t roots) noexcept nogil
