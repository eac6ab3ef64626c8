"""Compiled decoders: a schema of a venue, as data, becomes one call per frame.

Without state but for the shapes of frames seen, which change no answer. What it declines the
reference decoder takes; the two never disagree.
"""
from libc.math cimport NAN, isnan
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp, memset

from spreadcore.wire.decimal cimport decimal_value
from spreadcore.wire.json cimport Tokens, json_scan
from spreadcore.wire.program cimport (
    ABSENT,
    EMPTY,
    F_DELTA,
    F_FIELD,
    F_LIMIT,
    F_NO_MATCH,
    F_SYMBOL,
    FRACTION,
    FRAME_BYTES_MAX,
    MAX_CONDITIONS,
    MAX_NODES,
    MAX_PARTS,
    MAX_PATHS,
    MAX_ROOTS,
    MAX_SLOTS,
    N_FALLBACK,
    TEXT,
    VARINT,
    WHOLE,
    Captures,
    LookUp,
    MAX_ITEMS,
    Node,
    Ref,
    Value,
    root_of,
)
from spreadcore.wire.proto cimport proto_scan
from spreadcore.wire.shape cimport shapes_learn, shapes_scan
from spreadcore.wire.text cimport WORD, digit_stops, eight_digits, load_word

from spreadcore.errors import CoreError
from spreadcore.layout import FALLBACK
from spreadcore.wire.plan import make_plan, parts_of

if len(FALLBACK) != N_FALLBACK or FALLBACK[F_SYMBOL] != "symbol":
    raise ImportError("decoder: reasons differ from layout.FALLBACK")

cdef enum:
    WHOLE_DIGITS = 19           # of an id or a time
    DATES_FROM = 1420070400     # seconds: times from 2015 to 2040 tell their unit
    DATES_N = 788918400

cdef uint64_t ID_MAX = 9223372036854775807
cdef uint64_t MS_MAX = 9223372036854


cdef inline const Value* value_of(const Program* x, const Captures* c, Ref ref, size_t root,
                                  size_t item) noexcept nogil:
    if ref.relative:
        return &c.values[item][ref.slot + root * x.n_relative]
    return &c.values[0][ref.slot]


cdef bint fits(const Condition* m, const Value* v) noexcept nogil:
    """Whether a text has the parts of the pattern in their order, ends where they are bound."""
    cdef const char* p = v.p
    cdef const char* end = v.p + v.n
    cdef const char* last
    cdef size_t i, n
    for i in range(m.n_parts):
        n = m.part_n[i]
        if <size_t>(end - p) < n:
            return False
        last = end - n
        if m.tail and i + 1 == m.n_parts:
            if (m.head and i == 0 and last != p) or memcmp(last, m.parts[i], n) != 0:
                return False
            continue
        while memcmp(p, m.parts[i], n) != 0:
            if (m.head and i == 0) or p == last:
                return False
            p += 1
        p += n
    return True


cdef inline bint holds(const Condition* m, const Value* v) noexcept nogil:
    if v.kind == TEXT or v.kind == WHOLE:
        return fits(m, v)
    return v.kind == ABSENT and not m.required


cdef inline bint may_hold(const Condition* m, const Value* v) noexcept nogil:
    """Whether it holds or is for the reference to say: of these, `holds` knows no text."""
    return v.kind == VARINT or v.kind == EMPTY or holds(m, v)


cdef inline int number(const Program* x, const Value* v, const char* end,
                       double* out) noexcept nogil:
    """A price or a size; NaN for a missing side."""
    if v.kind == TEXT or v.kind == WHOLE or v.kind == FRACTION:
        if v.n:
            return decimal_value(v.p, v.n, end - v.p, out)
    elif v.kind != EMPTY and not (x.protobuf and v.kind == ABSENT):
        return -1
    out[0] = NAN
    return 0


cdef inline int whole(const Value* v, uint64_t most, uint64_t* out) noexcept nogil:
    """An id or a time in ms, of 0 to `most`."""
    cdef uint64_t word, w = 0
    cdef uint32_t i = 0, c
    if v.kind == VARINT:
        for i in range(v.n):
            w |= <uint64_t>(<unsigned char>v.p[i] & 0x7F) << (7 * i)
    elif (v.kind == TEXT or v.kind == WHOLE) and 0 < v.n <= WHOLE_DIGITS:
        while v.n - i >= WORD:
            word = load_word(v.p + i)
            if digit_stops(word):
                return -1
            w = 100000000 * w + eight_digits(word)
            i += WORD
        while i < v.n:
            c = <uint32_t><unsigned char>v.p[i] - c'0'
            if c > 9:
                return -1
            w = 10 * w + c
            i += 1
    else:
        return -1
    out[0] = w
    return 0 if w <= most else -1


cdef inline int first(const Program* x, const Captures* c, const Ref* refs, size_t n, size_t root,
                      size_t item) noexcept nogil:
    """The first of the paths that exists: its number, or n where none does."""
    cdef size_t i
    for i in range(n):
        if value_of(x, c, refs[i], root, item).kind != ABSENT:
            return <int>i
    return <int>n


cdef inline bint is_date(uint64_t w, uint64_t per_s) noexcept nogil:
    return w - <uint64_t>DATES_FROM * per_s < <uint64_t>DATES_N * per_s


cdef int64_t odd_ns(uint64_t w, bint* odd) noexcept nogil:
    """A time that is no date in ms: of another unit, else as it is, 0 where it is none."""
    odd[0] = True
    if is_date(w, 1):
        return <int64_t>(w * 1000000000)
    if is_date(w, 1000000):
        return <int64_t>(w * 1000)
    if is_date(w, 1000000000):
        return <int64_t>w
    odd[0] = w == 0 or w > MS_MAX
    return 0 if odd[0] else <int64_t>(w * 1000000)


cdef inline int64_t time_ns(const Program* x, const Captures* c, size_t root, size_t item,
                            bint* odd) noexcept nogil:
    """The venue's time, 0 where there is none or nobody can tell: it never costs a quote."""
    cdef int found = first(x, c, x.times, x.n_times, root, item)
    cdef uint64_t w = 0
    odd[0] = False
    if found == <int>x.n_times:
        return 0
    if whole(value_of(x, c, x.times[found], root, item), ID_MAX, &w) < 0:
        odd[0] = True
        return 0
    return <int64_t>(w * 1000000) if is_date(w, 1000) else odd_ns(w, odd)


cdef inline bint is_rounded(const Value* qty, double px) noexcept nogil:
    """A JSON number beside a price, where sizes are text."""
    return (qty.kind == WHOLE or qty.kind == FRACTION) and not isnan(px)


cdef int finish(const Program* x, const Captures* c, bint by_shape, size_t root, size_t item,
                Item* out, LookUp look_up, void* context) noexcept nogil:
    """Turn the captured values of one item into its fields."""
    cdef Fields* f = &out.fields
    cdef const Value* v = value_of(x, c, x.symbol, root, item)
    cdef double side[4]
    cdef uint64_t w = 0
    cdef int i, found
    if v.kind != TEXT or v.n <= x.prefix_n or (
            x.prefix_n and memcmp(v.p, x.prefix, x.prefix_n) != 0):
        return -1 - F_FIELD
    out.symbol, out.symbol_n = v.p + x.prefix_n, v.n - x.prefix_n
    if by_shape:
        out.looked_up = c.looked_up
    elif look_up != NULL:
        out.looked_up = look_up(context, out.symbol, out.symbol_n)
    for i in range(4):
        if number(x, value_of(x, c, x.sides[i], root, item), c.end, side + i) < 0:
            return -1 - F_FIELD
    if x.qty_text and (is_rounded(value_of(x, c, x.sides[1], root, item), side[0])
                       or is_rounded(value_of(x, c, x.sides[3], root, item), side[2])):
        return -1 - F_FIELD
    f.bid_px, f.bid_qty, f.ask_px, f.ask_qty = side[0], side[1], side[2], side[3]
    if isnan(side[0]) or isnan(side[1]):
        f.bid_px = f.bid_qty = NAN
    if isnan(side[2]) or isnan(side[3]):
        f.ask_px = f.ask_qty = NAN
    f.venue_ns = time_ns(x, c, root, item, &out.odd_time)
    f.update_id, f.id_kind = -1, 0
    found = first(x, c, x.ids, x.n_ids, root, item)
    if found < <int>x.n_ids:
        if whole(value_of(x, c, x.ids[found], root, item), ID_MAX, &w) == 0:
            f.update_id, f.id_kind = <int64_t>w, <unsigned char>found
        elif not x.id_is_time[found]:
            return -1 - F_FIELD
    return 0


cdef int finish_all(const Program* x, const Captures* c, bint by_shape, Item* items,
                    LookUp look_up, void* context) noexcept nogil:
    """The frame's conditions, then every item; how many there are, or -1 - why not.

    by_shape: the captures are of a frame that an accepted one shared its shape with.
    """
    cdef const Condition* m
    cdef size_t root = root_of(x, c.roots), item, i
    cdef int rc
    if root == x.n_roots:
        return -1 - F_NO_MATCH
    for item in range(c.n_items):
        for i in range(x.n_conditions):
            m = x.conditions + i
            if by_shape and m.in_shape:
                continue
            if (item == 0 or m.ref.relative) and not holds(m, value_of(x, c, m.ref, root, item)):
                return -1 - F_NO_MATCH
        if x.has_delta and may_hold(&x.delta, value_of(x, c, x.delta.ref, root, item)):
            return -1 - F_DELTA
    for item in range(c.n_items):
        rc = finish(x, c, by_shape, root, item, items + item, look_up, context)
        if rc < 0:
            return rc
    return <int>c.n_items


cdef int decode(const Program* x, Shapes* shapes, const char* frame, size_t n, Item* items,
                LookUp look_up, void* context) noexcept nogil:
    """Decode a frame; the number of its quotes (up to MAX_ITEMS), or -1 - why it is declined.

    items point into the frame. shapes: NULL, or those of this decoder. look_up: may be NULL.
    """
    cdef Captures c
    cdef Tokens tokens
    cdef int rc
    if n > FRAME_BYTES_MAX:
        return -1 - F_LIMIT
    c.end = frame + n
    if x.protobuf:
        rc = proto_scan(x, frame, n, &c)
        return finish_all(x, &c, False, items, look_up, context) if rc == 0 else rc
    if shapes != NULL and shapes_scan(shapes, frame, n, look_up, context, &c):
        return finish_all(x, &c, True, items, look_up, context)
    rc = json_scan(x, frame, n, &c, &tokens)
    if rc == 0:
        rc = finish_all(x, &c, False, items, look_up, context)
    if rc == 1 and shapes != NULL:
        shapes_learn(shapes, x, frame, n, &tokens, c.roots)
    return rc


cdef class FrameDecoder:
    """The decoder of one schema (spreadscan.venues.base.BookSchema or anything of its fields).

    shapes: compare frames with the shapes of earlier ones first; changes no answer. CoreError
    for a schema that the compiled scanners cannot hold.
    """

    def __cinit__(self, schema not None, *, bint shapes=True):
        memset(&self.program, 0, sizeof(self.program))
        self._texts = []
        self.declined = ""
        self._compile(schema)
        if shapes and not self.program.protobuf:
            self.shapes = <Shapes*>calloc(1, sizeof(Shapes))
            if self.shapes == NULL:
                raise MemoryError

    def __dealloc__(self):
        free(self.shapes)

    def decode(self, bytes frame not None):
        """Return the quotes of a frame as tuples in the order of spreadscan.types.Book, or None.

        None: the reference decoder has to look; `declined` says why, by layout.FALLBACK. odd_times
        counts the quotes whose time was no Unix ms.
        """
        cdef Item items[MAX_ITEMS]
        cdef int n = decode(&self.program, self.shapes, <const char*>frame, len(frame), items,
                            NULL, NULL)
        if n < 0:
            self.declined = FALLBACK[-1 - n]
            return None
        self.declined = ""
        for i in range(n):
            self.odd_times += items[i].odd_time
        return [_quote(items + i) for i in range(n)]

    def _compile(self, schema):
        cdef Program* x = &self.program
        plan = make_plan(schema)
        conditions = list(schema.match)
        _within("paths", len(plan.nodes), MAX_NODES)
        _within("values", plan.n_slots, MAX_SLOTS)
        _within("roots", len(plan.root_is_frame), MAX_ROOTS)
        _within("conditions", len(conditions), MAX_CONDITIONS)
        _within("fall-backs of venue_ms", len(schema.venue_ms), MAX_PATHS)
        _within("fall-backs of update_id", len(schema.update_id), MAX_PATHS)
        x.protobuf = schema.wire == "protobuf"
        x.n_nodes, x.n_slots = len(plan.nodes), plan.n_slots
        x.n_relative, x.n_roots = plan.n_relative, len(plan.root_is_frame)
        for i, is_frame in enumerate(plan.root_is_frame):
            x.root_is_frame[i] = is_frame
        self._set_nodes(plan.nodes)
        x.n_conditions = len(conditions)
        for i, match in enumerate(conditions):
            self._set_condition(&x.conditions[i], match, plan.refs)
            if match.path in plan.used_once and x.conditions[i].whole_text:
                self._leave_to_shapes(&x.conditions[i])
        x.has_delta = schema.delta is not None
        if x.has_delta:
            self._set_condition(&x.delta, schema.delta, plan.refs)
        x.symbol = _ref(plan.refs[schema.symbol])
        x.prefix, x.prefix_n = self._keep(schema.symbol_prefix.encode()), len(schema.symbol_prefix)
        sides = (schema.bid_px, schema.bid_qty, schema.ask_px, schema.ask_qty)
        for i, path in enumerate(sides):
            x.sides[i] = _ref(plan.refs[path])
        x.qty_text = schema.qty_text and schema.wire == "json"
        x.n_times, x.n_ids = len(schema.venue_ms), len(schema.update_id)
        for i, path in enumerate(schema.venue_ms):
            x.times[i] = _ref(plan.refs[path])
        for i, path in enumerate(schema.update_id):
            x.ids[i], x.id_is_time[i] = _ref(plan.refs[path]), path in schema.venue_ms

    def _set_nodes(self, list nodes):
        cdef Node* to
        numbers = {id(node): i for i, node in enumerate(nodes)}
        for i, node in enumerate(nodes):
            to = &self.program.nodes[i]
            key = node.key.encode()
            to.key, to.key_n, to.number = self._keep(key), len(key), i
            to.slot, to.root, to.each = node.slot, node.root, node.each
            to.indexed = not self.program.protobuf and any(c.isdigit() for c in node.children)
            to.level_n = node.level_n
            to.n_children = len(node.children)
            to.first_child = numbers[id(next(iter(node.children.values())))] if node.children else 0
            to.word = int(node.key) if node.key.isdigit() else int.from_bytes(key[:8], "little")
            for below in node.below():
                to.nodes_below |= <uint64_t>1 << <int>numbers[id(below)]
                if below.slot >= 0:
                    to.slots_below |= <uint64_t>1 << <int>below.slot

    cdef int _set_condition(self, Condition* to, match, dict refs) except -1:
        parts, head, tail = parts_of(match.pattern)
        _within(f"parts of the pattern {match.pattern!r}", len(parts), MAX_PARTS)
        to.ref, to.required = _ref(refs[match.path]), match.required
        to.head, to.tail, to.n_parts = head, tail, len(parts)
        to.whole_text = head and tail and len(parts) == 1
        for i, part in enumerate(parts):
            to.parts[i], to.part_n[i] = self._keep(part), len(part)
        return 0

    cdef int _leave_to_shapes(self, Condition* m) except -1:
        """Nobody but the condition asks for the value, and one alone fits: part of a shape."""
        cdef Program* x = &self.program
        cdef size_t root
        m.in_shape = True
        for root in range(x.n_roots if m.ref.relative else 1):
            x.in_shape |= <uint64_t>1 << (m.ref.slot + root * x.n_relative)
        return 0

    cdef const char* _keep(self, bytes text) except NULL:
        self._texts.append(text)
        return <const char*>text

    @property
    def n_shapes(self):
        """Shapes of frames learnt so far."""
        return self.shapes.n if self.shapes != NULL else 0


cdef object _quote(const Item* item):
    cdef const Fields* f = &item.fields
    return (
        item.symbol[:item.symbol_n].decode("ascii"), f.bid_px, f.bid_qty, f.ask_px, f.ask_qty,
        f.venue_ns, f.update_id, f.id_kind)


cdef Ref _ref(tuple ref) except *:
    return Ref(ref[0], ref[1])


def _within(str what, size_t found, size_t most):
    if found > most:
        raise CoreError(f"schema: {found} {what}, expected at most {most}")
