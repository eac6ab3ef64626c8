"""The general scanner of JSON frames: walks every token, driven by a schema's tree of keys."""
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp

from spreadcore.wire.text cimport WORD, levels_end, load_part, load_word, number_end, text_end
from spreadcore.wire.program cimport (
    EMPTY,
    F_DUPLICATE,
    F_LIMIT,
    F_NUMBER,
    F_SYNTAX,
    F_TEXT,
    MAX_DEPTH,
    MAX_ITEMS,
    OTHER,
    TEXT,
    Captures,
    Node,
    Program,
    Value,
    captures_clear,
)

cdef struct Scan:
    const Program* x
    const char* start
    const char* p
    const char* end
    Captures* c
    Tokens* tokens
    uint32_t item


cdef inline void skip_blanks(Scan* s) noexcept nogil:
    while s.p < s.end and (s.p[0] == c' ' or s.p[0] == c'\n' or s.p[0] == c'\t'
                           or s.p[0] == c'\r'):
        s.p += 1


cdef inline bint take(Scan* s, char c) noexcept nogil:
    skip_blanks(s)
    if s.p < s.end and s.p[0] == c:
        s.p += 1
        return True
    return False


cdef inline void note(Scan* s, const char* at, size_t n, int slot, TokenKind kind) noexcept nogil:
    cdef Tokens* t = s.tokens
    if t.n < 0:
        return
    if t.n == MAX_TOKENS or at - s.start > 0x8000 or n > 0x7000:
        t.n = -1
        return
    t.tokens[t.n] = Token(<uint16_t>(at - s.start), <uint16_t>n, <short>slot, <uint16_t>kind)
    t.n += 1


cdef inline void capture(Scan* s, const Node* node, const char* at, size_t n, uint32_t kind,
                         TokenKind token) noexcept nogil:
    """Note a scalar: for its slot, and as a token of the frame's shape."""
    cdef Value* v
    cdef int slot = -1
    if node != NULL and node.slot >= 0:
        slot = node.slot
        v = &s.c.values[s.item][slot]
        v.p, v.n, v.kind = at, <uint32_t>n, kind
    note(s, at, n, slot, token)


cdef inline int scan_text(Scan* s, const Node* node) noexcept nogil:
    cdef const char* start = s.p + 1
    cdef const char* end = text_end(start, s.end)
    if end == NULL:
        return -1 - F_TEXT
    s.p = end + 1
    capture(s, node, start, end - start, TEXT, A_TEXT)
    return 0


cdef inline int scan_number(Scan* s, const Node* node) noexcept nogil:
    cdef bint negative = s.p[0] == c'-'
    cdef const char* start = s.p + negative
    cdef uint32_t kind
    cdef const char* end = number_end(start, s.end, &kind)
    if end == NULL or (negative and node != NULL):  # what that means, the reference says
        return -1 - F_NUMBER
    s.p = end
    if negative:
        s.tokens.n = -1                 # a shape's numbers have no sign
    else:
        capture(s, node, start, end - start, kind, A_NUMBER)
    return 0


cdef inline void leave_other(Scan* s, const Node* node) noexcept nogil:
    """A wanted value that is no text and no number."""
    if node != NULL and node.slot >= 0:
        s.c.values[s.item][node.slot].kind = OTHER
        s.tokens.n = -1


cdef inline int scan_word(Scan* s, const Node* node) noexcept nogil:
    """true, false or null: part of the shape, not a value of it."""
    cdef bint null = s.p[0] == c'n'
    cdef size_t n = 5 if s.p[0] == c'f' else 4
    cdef const char* word = b"null" if null else b"false" if n == 5 else b"true"
    if <size_t>(s.end - s.p) < n or memcmp(s.p, word, n) != 0:
        return -1 - F_SYNTAX
    if not null:
        leave_other(s, node)
    s.p += n
    return 0


cdef const Node* child_of_key(const Program* x, const Node* node, const char* key,
                              size_t n) noexcept nogil:
    cdef const Node* child = x.nodes + node.first_child
    cdef uint64_t word
    cdef size_t _i
    if node.indexed or node.n_children == 0:
        return NULL
    word = load_word(key) if n >= WORD else load_part(key, n)
    for _i in range(node.n_children):
        if child.word == word and child.key_n == n and (
                n <= WORD or memcmp(child.key + WORD, key + WORD, n - WORD) == 0):
            return child
        child += 1
    return NULL


cdef const Node* child_of_index(const Program* x, const Node* node, size_t index) noexcept nogil:
    cdef size_t i
    if node != NULL and node.indexed:
        for i in range(node.n_children):
            if x.nodes[node.first_child + i].word == index:
                return x.nodes + node.first_child + i
    return NULL


cdef int scan_object(Scan* s, const Node* node, int depth) noexcept nogil:
    cdef const char* key
    cdef const char* end
    cdef const Node* child
    cdef int rc
    if node != NULL and node.root >= 0:
        s.c.roots |= 1u << node.root
    s.p += 1
    if take(s, c'}'):
        return 0
    while True:
        if not take(s, c'"'):
            return -1 - F_SYNTAX
        key = s.p
        end = text_end(key, s.end)
        if end == NULL:
            return -1 - F_TEXT
        s.p = end + 1
        if not take(s, c':'):
            return -1 - F_SYNTAX
        child = child_of_key(s.x, node, key, end - key) if node != NULL else NULL
        if child != NULL:
            if s.c.seen >> child.number & 1:
                return -1 - F_DUPLICATE
            s.c.seen |= <uint64_t>1 << child.number
        rc = scan_value(s, child, depth + 1)
        if rc < 0:
            return rc
        if take(s, c','):
            continue
        return 0 if take(s, c'}') else -1 - F_SYNTAX


cdef void leave_empty(Scan* s, const Node* node) noexcept nogil:
    """An empty list on the way to these values: the side is missing."""
    cdef size_t slot
    s.tokens.n = -1
    for slot in range(s.x.n_slots):
        if node.slots_below >> slot & 1:
            s.c.values[s.item][slot].kind = EMPTY


cdef int begin_item(Scan* s, const Node* node, size_t index) noexcept nogil:
    """An element of a list of roots: an item of its own, its keys not yet seen."""
    if index == MAX_ITEMS:
        return -1 - F_LIMIT
    if s.p >= s.end or s.p[0] != c'{':
        return -1 - F_SYNTAX            # a bad root, if the frame is ours at all
    if index:
        s.tokens.n = -1
        captures_clear(s.c, s.x, index)
    s.item = <uint32_t>index
    s.c.n_items = <uint32_t>index + 1
    s.c.seen &= ~node.nodes_below
    return 0


cdef inline bint skip_levels(Scan* s, const Node* node) noexcept nogil:
    """Run over the rest of a side whose wanted values are behind, up to its closing bracket."""
    cdef const char* close
    close = levels_end(s.p, s.end)
    if close == NULL:
        return False
    note(s, s.p, close - s.p, -1, SOME_LEVELS)
    s.p = close
    return True


cdef int scan_list(Scan* s, const Node* node, int depth) noexcept nogil:
    cdef size_t index = 0
    cdef int rc
    cdef bint each = node != NULL and node.each
    s.p += 1
    if take(s, c']'):
        if each:
            return -1 - F_SYNTAX        # an empty list of roots: the reference says what it is
        if node != NULL and node.indexed:
            leave_empty(s, node)
        return 0
    while True:
        skip_blanks(s)
        if each:
            rc = begin_item(s, node, index)
            if rc == 0:
                rc = scan_object(s, node, depth + 1)
        else:
            rc = scan_value(s, child_of_index(s.x, node, index), depth + 1)
        if rc < 0:
            return rc
        index += 1
        if node != NULL and index == node.level_n and skip_levels(s, node):
            return 0
        if take(s, c','):
            continue
        if each:
            s.item = 0
        return 0 if take(s, c']') else -1 - F_SYNTAX


cdef int scan_value(Scan* s, const Node* node, int depth) noexcept nogil:
    """Scan what begins at s.p; node: what the schema wants of it, NULL for nothing."""
    cdef char c
    if depth > MAX_DEPTH:
        return -1 - F_LIMIT
    skip_blanks(s)
    if s.p >= s.end:
        return -1 - F_SYNTAX
    c = s.p[0]
    if c == c'"':
        return scan_text(s, node)
    if c == c'{' or c == c'[':
        leave_other(s, node)
        if c == c'[':
            return scan_list(s, node, depth)
        if node != NULL and node.each:
            node = NULL                 # it should have been a list: no root
        return scan_object(s, node, depth)
    if c == c't' or c == c'f' or c == c'n':
        return scan_word(s, node)
    return scan_number(s, node)


cdef int json_scan(const Program* x, const char* frame, size_t n, Captures* c,
                   Tokens* tokens) noexcept nogil:
    """Check a whole frame and capture what the schema wants; 0, or -1 - why not.

    tokens: the texts and numbers in it, for a shape; n is -1 where it makes none.
    """
    cdef Scan s = Scan(x, frame, frame, frame + n, c, tokens, 0)
    cdef int rc
    c.n_items, c.roots, c.seen = 1, 0, 0
    captures_clear(c, x, 0)
    tokens.n = 0
    skip_blanks(&s)
    if s.p >= s.end or s.p[0] != c'{':
        return -1 - F_SYNTAX
    rc = scan_object(&s, x.nodes, 0)
    if rc < 0:
        return rc
    skip_blanks(&s)
    return 0 if s.p == s.end else -1 - F_SYNTAX
