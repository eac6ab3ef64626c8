"""Shapes of frames: learnt from what the general scanner accepted, tried before it."""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from spreadcore.wire.program cimport ABSENT, TEXT, Value
from spreadcore.wire.text cimport load_part, load_word, number_end, text_end


cdef inline bint is_literal(const char* p, const char* literal, size_t n,
                            size_t room) noexcept nogil:
    """Compare n bytes; literals may be read to the end of their last word, frames may not."""
    cdef uint64_t word
    if n > room:
        return False
    while n >= WORD:
        if load_word(p) != load_word(literal):
            return False
        p += WORD
        literal += WORD
        n -= WORD
        room -= WORD
    if n == 0:
        return True
    word = load_word(p) if room >= WORD else load_part(p, n)
    return (word ^ load_word(literal)) << (64 - 8 * n) == 0


cdef bint shape_scan(const Shape* shape, const char* frame, size_t n, Captures* c) noexcept nogil:
    cdef const char* p = frame
    cdef const char* end = frame + n
    cdef const char* stop
    cdef const Step* step
    cdef Value* v
    cdef uint32_t i, kind
    for i in range(shape.n_values):
        step = &shape.steps[i]
        if not is_literal(p, shape.literals + step.literal, step.literal_n, end - p):
            return False
        p += step.literal_n
        if step.text:
            kind = TEXT
            stop = text_end(p, end)
        else:
            stop = number_end(p, end, &kind)
        if stop == NULL:
            return False
        if step.slot >= 0:
            v = &c.values[0][step.slot]
            v.p, v.n, v.kind = p, <uint32_t>(stop - p), kind
        p = stop
    step = &shape.steps[shape.n_values]
    if step.literal_n != end - p or not is_literal(p, shape.literals + step.literal,
                                                   step.literal_n, end - p):
        return False
    for i in range(shape.n_absent):
        c.values[0][shape.absent[i]].kind = ABSENT
    c.n_items, c.roots = 1, shape.roots
    return True


cdef bint shapes_scan(Shapes* shapes, const char* frame, size_t n, Captures* c) noexcept nogil:
    """Capture the values of a frame of a known shape; False where it has none of them."""
    cdef uint32_t i, found
    for i in range(shapes.n):
        found = shapes.order[i]
        if shape_scan(shapes.shapes + found, frame, n, c):
            to_front(shapes, i)
            return True
    return False


cdef inline void to_front(Shapes* shapes, uint32_t i) noexcept nogil:
    cdef uint32_t found = shapes.order[i]
    while i:
        shapes.order[i] = shapes.order[i - 1]
        i -= 1
    shapes.order[0] = found


cdef void shapes_learn(Shapes* shapes, const Program* x, const char* frame, size_t n,
                       const Tokens* tokens, uint32_t roots) noexcept nogil:
    """Keep the shape of a frame that was accepted, in place of the one not used for longest."""
    cdef Shape* shape
    cdef uint64_t filled = 0
    cdef size_t i, at = 0, to = 0, literal_n
    if tokens.n < 0 or n > LITERAL_BYTES:
        return
    if shapes.n < MAX_SHAPES:
        shapes.order[shapes.n] = shapes.n
        shapes.n += 1
    to_front(shapes, shapes.n - 1)
    shape = shapes.shapes + shapes.order[0]
    shape.n_values, shape.roots, shape.n_absent = tokens.n, roots, 0
    for i in range(<size_t>tokens.n + 1):
        literal_n = (tokens.tokens[i].at if i < <size_t>tokens.n else n) - at
        memcpy(shape.literals + to, frame + at, literal_n)
        shape.steps[i].literal = <unsigned short>to
        shape.steps[i].literal_n = <unsigned short>literal_n
        to += literal_n
        if i == <size_t>tokens.n:
            break
        at = tokens.tokens[i].at + tokens.tokens[i].n
        shape.steps[i].slot = tokens.tokens[i].slot
        shape.steps[i].text = tokens.tokens[i].text
        if tokens.tokens[i].slot >= 0:
            filled |= <uint64_t>1 << tokens.tokens[i].slot
    for i in range(x.n_slots):
        if not filled >> i & 1:
            shape.absent[shape.n_absent] = <unsigned short>i
            shape.n_absent += 1
