# A BookSchema as the scanners walk it: a tree of keys with slots at the values that matter.
#
# Paths relative to a root stand in the tree once for each root, with slots of their own: which
# root counts is known only at the end of a frame. Values are captured as places in the frame; they
# become numbers once the whole frame has been checked.
from libc.stdint cimport int16_t, uint16_t, uint32_t, uint64_t

cdef enum:
    MAX_NODES = 64              # bits of Captures.seen
    MAX_SLOTS = 48
    MAX_ROOTS = 4
    MAX_CONDITIONS = 12
    MAX_PATHS = 4               # fall-backs of one field
    MAX_PARTS = 4               # texts of a pattern between its stars
    MAX_ITEMS = 8               # quotes in one frame
    MAX_DEPTH = 32
    FRAME_BYTES_MAX = 1 << 20   # as the reference decoder

# why a frame goes to the reference decoder; in the order of layout.FALLBACK
cdef enum:
    F_NO_MATCH, F_SYNTAX, F_TEXT, F_NUMBER, F_FIELD, F_DUPLICATE, F_DELTA, F_LIMIT, F_SYMBOL,
    N_FALLBACK

cdef enum Kind:
    ABSENT = 0
    TEXT = 1                    # p, n: without the quotes
    WHOLE = 2                   # a JSON number of digits alone
    FRACTION = 3                # a JSON number with a point or an exponent
    VARINT = 4                  # of protobuf, above zero
    EMPTY = 5                   # an empty list stands on the way
    OTHER = 6                   # true, false, an object, a list

cdef struct Value:
    const char* p
    uint32_t n
    uint32_t kind

cdef struct Node:
    uint64_t word               # first eight bytes of the key, or the index, or the field number
    const char* key
    uint32_t key_n
    int16_t slot                # of a value that is wanted; -1
    int16_t root                # number of the root that stands here; -1
    uint16_t first_child
    uint16_t n_children
    uint16_t number             # of this node: its bit in Captures.seen
    bint each                   # the elements of this list are the items
    bint indexed                # children are indexes of a list
    uint16_t level_n            # values up to the last one wanted, of a side's last level; 0
    uint64_t slots_below
    uint64_t nodes_below        # without itself

cdef struct Ref:                # a path of the schema
    uint16_t slot               # of the first root, where it is relative
    uint16_t relative

cdef struct Condition:
    Ref ref
    bint required
    bint head                   # the first part begins the text
    bint tail                   # the last part ends it
    bint whole_text             # one text alone fits
    bint in_shape               # and nothing else asks for it, so shapes hold it
    uint32_t n_parts
    const char* parts[MAX_PARTS]
    uint32_t part_n[MAX_PARTS]

cdef struct Program:
    Node nodes[MAX_NODES]
    uint32_t n_nodes
    uint32_t n_slots
    uint32_t n_relative         # slots of one root
    uint32_t n_roots
    bint root_is_frame[MAX_ROOTS]
    bint protobuf
    Condition conditions[MAX_CONDITIONS]
    uint32_t n_conditions
    uint64_t in_shape           # slots of conditions that shapes hold
    bint has_delta
    Condition delta
    Ref symbol
    const char* prefix
    uint32_t prefix_n
    Ref sides[4]                # bid_px, bid_qty, ask_px, ask_qty
    bint qty_text               # a size that is a JSON number was rounded by the venue
    Ref times[MAX_PATHS]
    uint32_t n_times
    Ref ids[MAX_PATHS]
    bint id_is_time[MAX_PATHS]  # a time that numbers quotes without an id of their own
    uint32_t n_ids

# Told each symbol before the numbers of its quote are read, so that what it looks up may come from
# memory meanwhile; what it returns stands in Item.looked_up.
ctypedef uint32_t (*LookUp)(void* context, const char* symbol, size_t n) noexcept nogil

cdef struct Captures:
    Value values[MAX_ITEMS][MAX_SLOTS]  # slots of paths from the frame's start: those of item 0
    uint32_t n_items
    uint32_t roots              # bit per root that exists
    const char* end             # of the frame
    uint32_t looked_up          # of the only item, where a shape has it looked up on the way
    uint64_t seen               # nodes whose key stood there already

# Which of the roots that exist is the frame's; n_roots where none is
cdef inline size_t root_of(const Program* x, uint32_t roots) noexcept nogil:
    cdef size_t root = 0
    while root < x.n_roots and not (x.root_is_frame[root] or roots >> root & 1):
        root += 1
    return root

# No item yet; values are cleared as items come
cdef inline void captures_clear(Captures* c, const Program* x, size_t item) noexcept nogil:
    cdef size_t i
    for i in range(x.n_slots):
        c.values[item][i].kind = ABSENT
