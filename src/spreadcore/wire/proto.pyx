"""The scanner of protobuf frames: the same captures as the JSON one, keyed by field numbers."""
from libc.stdint cimport uint32_t, uint64_t

from spreadcore.wire.program cimport (
    F_DUPLICATE,
    F_LIMIT,
    F_SYNTAX,
    F_TEXT,
    MAX_DEPTH,
    TEXT,
    VARINT,
    Captures,
    Node,
    Program,
    Value,
    captures_clear,
)

cdef enum:
    VARINT_BYTES = 9            # 63 bits; the reference takes the tenth byte
    FIELD_MAX = (1 << 29) - 1


cdef inline const char* varint(const char* p, const char* end, uint64_t* value) noexcept nogil:
    """Read a varint; NULL past the end or past 63 bits, else where it ends."""
    cdef int i
    value[0] = 0
    for i in range(0, 7 * VARINT_BYTES, 7):
        if p >= end:
            return NULL
        value[0] |= <uint64_t>(<unsigned char>p[0] & 0x7F) << i
        if <unsigned char>p[0] < 0x80:
            return p + 1
        p += 1
    return NULL


cdef inline const char* bounded(const char* p, const char* end, uint64_t n) noexcept nogil:
    if p == NULL or n > <uint64_t>(end - p):
        return NULL
    return p + n


cdef inline const Node* child_of_field(const Program* x, const Node* node,
                                       uint64_t field) noexcept nogil:
    cdef const Node* child = x.nodes + node.first_child
    cdef size_t _i
    for _i in range(node.n_children):
        if child.word == field:
            return child
        child += 1
    return NULL


cdef inline bint is_ascii(const char* p, size_t n) noexcept nogil:
    cdef size_t i
    cdef unsigned char bits = 0
    for i in range(n):
        bits |= <unsigned char>p[i]
    return bits < 0x80


cdef inline int found(const Program* x, Captures* c, const Node* node, const char* p, size_t n,
                      uint32_t kind, bint zero, int depth) noexcept nogil:
    """A field that the schema names; zero and empty are absent, as proto3 has it."""
    cdef Value* v
    if c.seen >> node.number & 1:
        return -1 - F_DUPLICATE
    c.seen |= <uint64_t>1 << node.number
    if kind == TEXT and (node.n_children or node.root >= 0):
        return scan_body(x, c, node, p, n, depth + 1)
    if node.slot < 0 or zero:
        return 0
    if kind == TEXT and not is_ascii(p, n):
        return -1 - F_TEXT
    v = &c.values[0][node.slot]
    v.p, v.n, v.kind = p, <uint32_t>n, kind
    return 0


cdef int scan_body(const Program* x, Captures* c, const Node* node, const char* p, size_t n,
                   int depth) noexcept nogil:
    cdef const char* end = p + n
    cdef const char* start
    cdef const Node* child
    cdef uint64_t key, value = 0
    cdef uint32_t wire
    cdef int rc
    if depth > MAX_DEPTH:
        return -1 - F_LIMIT
    if node.root >= 0:
        c.roots |= 1u << node.root
    while p < end:
        p = varint(p, end, &key)
        if p == NULL or not 0 < key >> 3 <= FIELD_MAX:
            return -1 - F_SYNTAX
        start = p
        wire = key & 7
        if wire == 0:
            p = varint(p, end, &value)
        elif wire == 2:
            start = varint(p, end, &value)
            p = bounded(start, end, value)
        elif wire == 1 or wire == 5:
            p = bounded(p, end, 8 if wire == 1 else 4)
        else:
            p = NULL
        if p == NULL:
            return -1 - F_SYNTAX
        if wire == 1 or wire == 5:
            continue                    # no schema names one
        child = child_of_field(x, node, key >> 3)
        if child == NULL:
            continue
        rc = found(x, c, child, start, p - start, TEXT if wire == 2 else VARINT, value == 0, depth)
        if rc < 0:
            return rc
    return 0


cdef int proto_scan(const Program* x, const char* frame, size_t n, Captures* c) noexcept nogil:
    """Check a whole message and capture what the schema wants; 0, or -1 - why not."""
    c.n_items, c.roots, c.seen = 1, 0, 0
    captures_clear(c, x, 0)
    return scan_body(x, c, x.nodes, frame, n, 0)
