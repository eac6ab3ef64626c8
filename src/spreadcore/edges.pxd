# Slots -> the edges that they take part in: what a changed quote is compared with. Private memory
# of one process, built once from the lists of discovery.
#
# An edge buys on one slot (source, row) and sells on another. The edges of a slot stand side by
# side (compressed rows), so there is no limit per slot and memory follows what is used.
#
# An edge whose legs have different quote currencies has a third slot, which converts one of them;
# it is of the edge's rule. There the edge stands, too: who moves that slot moves the edge.
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from spreadcore.conversion cimport Conversion

cdef enum:
    NO_ROW = 0xFFFFFFFF
    MAX_RULES = 65536

cdef enum:                      # what a slot is to an edge
    SELLS = 0
    BUYS = 1
    CONVERTS = 2                # the other slot is then the one that is bought on

cdef struct SlotEdge:           # 12 bytes: an edge as one of its slots sees it
    uint32_t edge
    uint32_t other_row          # of the slot that it is compared with
    uint16_t rule               # limits and fees, see engine.set_rule
    uint8_t other_source
    uint8_t side                # SELLS, BUYS, CONVERTS: this slot

cdef struct Legs:               # of an edge; buy_row NO_ROW: there is no such edge
    uint32_t buy_row
    uint32_t sell_row
    uint16_t rule
    uint8_t buy_source
    uint8_t sell_source

cdef packed struct EdgeRecord:  # as RECORD says
    uint32_t edge
    uint32_t buy_row
    uint32_t sell_row
    uint16_t rule
    uint8_t buy_source
    uint8_t sell_source

cdef struct EdgeMap:
    uint32_t* first             # by slot (row * n_sources + source): its first in slot_edges
    SlotEdge* slot_edges
    Legs* legs                  # by edge
    Conversion* conversions     # by rule; NULL: no leg is converted
    uint32_t n_sources
    uint32_t n_rows
    uint32_t n_edges            # edge ids are below

# of the edges with a rule; leg NO_LEG: none of them is converted
cdef inline Conversion conversion_of(const EdgeMap* m, size_t rule) noexcept nogil:
    return m.conversions[rule] if m.conversions != NULL else Conversion(0, 0, 0)

cdef inline SlotEdge* edges_begin(const EdgeMap* m, size_t source, size_t row) noexcept nogil:
    return m.slot_edges + m.first[row * m.n_sources + source]

# one past the last
cdef inline SlotEdge* edges_end(const EdgeMap* m, size_t source, size_t row) noexcept nogil:
    return m.slot_edges + m.first[row * m.n_sources + source + 1]

cdef class EdgeIndex:
    cdef:
        EdgeMap map
        readonly size_t n_in_use
        size_t _n_converted     # edges of rules with a conversion
        bint _sorted

    cdef int _add(self, size_t edge, size_t buy_source, size_t buy_row, size_t sell_source,
                  size_t sell_row, size_t rule) except -1
