"""Shapes of frames: learnt from what the general scanner accepted, tried before it."""
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from spreadcore.wire.json cimport A_TEXT, SOME_LEVELS, Token
from spreadcore.wire.program cimport ABSENT, TEXT, LookUp, Value, root_of
from spreadcore.wire.text cimport levels_end, load_part, load_word, number_end, text_end


cdef inline bint is_literal(const char* p, const char* literal, size_t n,
                            size_t room) noexcept nogil:
    """Compare n bytes; literals may be read to the end of their last word, frames may not."""
    cdef size_t i = 0
    cdef uint64_t word
    if n > room:
        return False
    if n < WORD:
        if n == 0:
            return True
        word = load_word(p) if room >= WORD else load_part(p, n)
        return (word ^ load_word(literal)) << (64 - 8 * n) == 0
    while i + WORD < n:
        if load_word(p + i) != load_word(literal + i):
            return False
        i += WORD
    return load_word(p + n - WORD) == load_word(literal + n - WORD)


cdef bint shape_scan(const Shape* shape, const char* frame, size_t n, LookUp look_up,
                     void* context, Captures* c) noexcept nogil:
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
        kind = TEXT
        if step.kind == A_TEXT:
            stop = text_end(p, end)
        elif step.kind == SOME_LEVELS:
            stop = levels_end(p, end)
        else:
            stop = number_end(p, end, &kind)
        if stop == NULL:
            return False
        if step.slot >= 0:
            v = &c.values[0][step.slot]
            v.p, v.n, v.kind = p, <uint32_t>(stop - p), kind
            if step.slot == shape.symbol and look_up != NULL and v.n > shape.prefix_n:
                c.looked_up = look_up(context, p + shape.prefix_n, v.n - shape.prefix_n)
        p = stop
    step = &shape.steps[shape.n_values]
    if step.literal_n != end - p or not is_literal(p, shape.literals + step.literal,
                                                   step.literal_n, end - p):
        return False
    for i in range(shape.n_absent):
        c.values[0][shape.absent[i]].kind = ABSENT
    c.n_items, c.roots = 1, shape.roots
    return True


cdef bint shapes_scan(Shapes* shapes, const char* frame, size_t n, LookUp look_up, void* context,
                      Captures* c) noexcept nogil:
    """Capture the values of a frame of a known shape; False where it has none of them."""
    cdef uint32_t i, found
    for i in range(shapes.n):
        found = shapes.order[i]
        if shape_scan(shapes.shapes + found, frame, n, look_up, context, c):
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
    cdef const Token* token
    cdef uint64_t filled = 0
    cdef int i
    cdef size_t at = 0
    if tokens.n < 0 or n > LITERAL_BYTES:
        return
    if shapes.n < MAX_SHAPES:
        shapes.order[shapes.n] = shapes.n
        shapes.n += 1
    to_front(shapes, shapes.n - 1)
    shape = shapes.shapes + shapes.order[0]
    shape.n_values, shape.roots, shape.n_absent = 0, roots, 0
    shape.literal_bytes = 0
    shape.symbol, shape.prefix_n = x.symbol.slot, x.prefix_n
    if x.symbol.relative:
        shape.symbol += <int>(root_of(x, roots) * x.n_relative)
    for i in range(tokens.n):
        token = tokens.tokens + i
        if token.slot >= 0 and x.in_shape >> token.slot & 1:
            continue
        keep_literal(shape, frame + at, token.at - at)
        shape.steps[shape.n_values].slot = token.slot
        shape.steps[shape.n_values].kind = token.kind
        shape.n_values += 1
        at = token.at + token.n
        if token.slot >= 0:
            filled |= <uint64_t>1 << token.slot
    keep_literal(shape, frame + at, n - at)
    for i in range(<int>x.n_slots):
        if not filled >> i & 1:
            shape.absent[shape.n_absent] = <uint16_t>i
            shape.n_absent += 1


cdef void keep_literal(Shape* shape, const char* p, size_t n) noexcept nogil:
    """The text before the next step's value, or behind the last one."""
    cdef Step* step = &shape.steps[shape.n_values]
    memcpy(shape.literals + shape.literal_bytes, p, n)
    step.literal, step.literal_n = <uint16_t>shape.literal_bytes, <uint16_t>n
    shape.literal_bytes += <uint32_t>n
