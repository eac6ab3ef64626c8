"""EdgeIndex: which edges a changed quote takes part in.

Filled from the lists of discovery; the engine walks it without the GIL. An edge may buy and sell on
any two slots; directions are names for sets of edges and play no part here.
"""
from typing import NamedTuple

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset

from spreadcore.conversion cimport NO_LEG, Conversion, conversion_from
from spreadcore.layout cimport MAX_EDGES, MAX_SOURCES, MAX_SYMBOLS
from spreadcore.errors import CoreError, TableFull

# one edge as add_all() takes it: edge, buy row, sell row, rule, buy source, sell source
RECORD = "<IIIHBB"


class LegsTuple(NamedTuple):
    """The two slots of an edge, and the number of its rule."""

    buy_source: int
    buy_row: int
    sell_source: int
    sell_row: int
    rule: int


cdef class EdgeIndex:
    """Edges by number, and the edges of every slot.

    n_sources, n_rows: of the quote table; a row is a symbol id, or the number of a listing.
    n_edges: edge numbers are below it.
    """

    def __cinit__(self, size_t n_sources, size_t n_rows, size_t n_edges):
        for name, found, most in (("sources", n_sources, MAX_SOURCES),
                                  ("rows", n_rows, MAX_SYMBOLS), ("edges", n_edges, MAX_EDGES)):
            if not 1 <= found <= most:
                raise TableFull(f"edge index: {found} {name}, expected 1 to {most}")
        self.map.n_sources, self.map.n_rows, self.map.n_edges = n_sources, n_rows, n_edges
        self.map.first = <uint32_t*>calloc(n_sources * n_rows + 1, sizeof(uint32_t))
        self.map.legs = <Legs*>malloc(n_edges * sizeof(Legs))
        if self.map.first == NULL or self.map.legs == NULL:
            raise MemoryError
        memset(self.map.legs, 0xFF, n_edges * sizeof(Legs))

    def __dealloc__(self):
        free(self.map.first)
        free(self.map.slot_edges)
        free(self.map.legs)
        free(self.map.conversions)

    @property
    def n_sources(self):
        return self.map.n_sources

    @property
    def n_rows(self):
        return self.map.n_rows

    @property
    def n_edges(self):
        """Edge numbers are below this; n_in_use of them have an edge."""
        return self.map.n_edges

    def set_conversion(self, size_t rule, found):
        """Let the edges of a rule, added from now on, have a leg in another quote currency.

        found: (leg, source, row): "buy" or "sell"; the slot that says what a unit of that leg's
        currency costs in the other leg's.
        """
        cdef Conversion conversion = conversion_from(found)
        if rule >= MAX_RULES:
            raise TableFull(f"conversion: rule {rule}, expected below {MAX_RULES}")
        if conversion.source >= self.map.n_sources or conversion.row >= self.map.n_rows:
            raise TableFull(
                f"conversion: source {conversion.source}, row {conversion.row}, expected below "
                f"{self.map.n_sources} and {self.map.n_rows}")
        if self.map.conversions == NULL:
            self.map.conversions = <Conversion*>calloc(MAX_RULES, sizeof(Conversion))
            if self.map.conversions == NULL:
                raise MemoryError
        self.map.conversions[rule] = conversion

    def add(self, size_t edge, size_t buy_source, size_t buy_row, size_t sell_source,
            size_t sell_row, size_t rule=0):
        """Let an edge buy on one slot and sell on another, by the limits of a rule.

        CoreError for an edge that is there already or has one leg; TableFull beyond the room.
        """
        self._add(edge, buy_source, buy_row, sell_source, sell_row, rule)

    def add_all(self, bytes records not None):
        """As add(), of many: RECORD each. After an error nothing more is added."""
        cdef const char* data = records
        cdef size_t n = len(records) // sizeof(EdgeRecord)
        cdef size_t i
        cdef EdgeRecord r
        if n * sizeof(EdgeRecord) != <size_t>len(records):
            raise CoreError(
                f"edges: {len(records)} bytes, expected a multiple of {sizeof(EdgeRecord)}")
        for i in range(n):
            memcpy(&r, data + i * sizeof(EdgeRecord), sizeof(EdgeRecord))
            self._add(r.edge, r.buy_source, r.buy_row, r.sell_source, r.sell_row, r.rule)

    cdef int _add(self, size_t edge, size_t buy_source, size_t buy_row, size_t sell_source,
                  size_t sell_row, size_t rule) except -1:
        cdef EdgeMap* m = &self.map
        if edge >= m.n_edges:
            raise TableFull(f"edge {edge}: expected below {m.n_edges}")
        if rule >= MAX_RULES:
            raise TableFull(f"edge {edge}: rule {rule}, expected below {MAX_RULES}")
        if (buy_source >= m.n_sources or sell_source >= m.n_sources or buy_row >= m.n_rows
                or sell_row >= m.n_rows):
            raise TableFull(
                f"edge {edge}: sources {buy_source} and {sell_source}, rows {buy_row} and "
                f"{sell_row}, expected below {m.n_sources} and {m.n_rows}")
        if buy_source == sell_source and buy_row == sell_row:
            raise CoreError(
                f"edge {edge}: buys and sells on source {buy_source}, row {buy_row}, expected two "
                "slots")
        cdef Conversion c = conversion_of(m, rule)
        if c.leg != NO_LEG:
            if ((c.source, c.row) == (buy_source, buy_row)
                    or (c.source, c.row) == (sell_source, sell_row)):
                raise CoreError(
                    f"edge {edge}: source {c.source}, row {c.row} converts and is a leg, expected "
                    "another slot")
            self._n_converted += 1
        if m.legs[edge].buy_row != NO_ROW:
            raise CoreError(f"edge {edge}: added twice, expected once")
        m.legs[edge] = Legs(<uint32_t>buy_row, <uint32_t>sell_row, <uint16_t>rule,
                            <uint8_t>buy_source, <uint8_t>sell_source)
        self.n_in_use += 1
        self._sorted = False
        return 0

    def legs(self, size_t edge):
        """Return the LegsTuple of an edge, None where there is no such edge."""
        if edge >= self.map.n_edges:
            raise TableFull(f"edge {edge}: expected below {self.map.n_edges}")
        cdef const Legs* legs = self.map.legs + edge
        if legs.buy_row == NO_ROW:
            return None
        return LegsTuple(legs.buy_source, legs.buy_row, legs.sell_source, legs.sell_row, legs.rule)

    def edges_of(self, size_t source, size_t row):
        """Return the numbers of the edges that a slot takes part in, rising."""
        cdef EdgeMap* m = &self.map
        if source >= m.n_sources or row >= m.n_rows:
            raise TableFull(
                f"slot: source {source}, row {row}, expected below {m.n_sources} and {m.n_rows}")
        self.compress()
        cdef SlotEdge* at = edges_begin(m, source, row)
        found = []
        while at != edges_end(m, source, row):
            found.append(at.edge)
            at += 1
        return found

    def compress(self):
        """Sort the edges by slot, as the engine walks them; where any came since the last time.

        An index that the engine takes between two turns is compressed before, or that is done
        then: some ms for 100,000 edges. Without the GIL, on an index that nobody else has yet.
        """
        cdef EdgeMap* m = &self.map
        if self._sorted:
            return
        free(m.slot_edges)
        m.slot_edges = <SlotEdge*>malloc(
            max(1, 2 * self.n_in_use + self._n_converted) * sizeof(SlotEdge))
        if m.slot_edges == NULL:
            raise MemoryError
        with nogil:
            sort(m)
        self._sorted = True


cdef void sort(EdgeMap* m) noexcept nogil:
    cdef size_t n_slots = <size_t>m.n_sources * m.n_rows
    cdef size_t slot, edge
    cdef uint32_t at = 0
    cdef const Legs* legs
    cdef Conversion c
    memset(m.first, 0, (n_slots + 1) * sizeof(uint32_t))
    for edge in range(m.n_edges):
        legs = m.legs + edge
        if legs.buy_row != NO_ROW:
            m.first[<size_t>legs.buy_row * m.n_sources + legs.buy_source] += 1
            m.first[<size_t>legs.sell_row * m.n_sources + legs.sell_source] += 1
            c = conversion_of(m, legs.rule)
            if c.leg != NO_LEG:
                m.first[<size_t>c.row * m.n_sources + c.source] += 1
    for slot in range(n_slots):         # counts become ends, which the last pass draws down
        at += m.first[slot]
        m.first[slot] = at
    m.first[n_slots] = at
    for edge in range(m.n_edges, 0, -1):
        legs = m.legs + edge - 1
        if legs.buy_row != NO_ROW:
            put(m, <uint32_t>(edge - 1), legs, BUYS)
            put(m, <uint32_t>(edge - 1), legs, SELLS)
            put(m, <uint32_t>(edge - 1), legs, CONVERTS)


cdef void put(EdgeMap* m, uint32_t edge, const Legs* legs, uint8_t side) noexcept nogil:
    """Put an edge before those that a slot of it has already; CONVERTS: where it has one."""
    cdef Conversion c = conversion_of(m, legs.rule)
    cdef size_t row = legs.buy_row if side == BUYS else legs.sell_row
    cdef size_t source = legs.buy_source if side == BUYS else legs.sell_source
    if side == CONVERTS:
        if c.leg == NO_LEG:
            return
        row, source = c.row, c.source
    cdef uint32_t* first = m.first + row * m.n_sources + source
    first[0] -= 1
    m.slot_edges[first[0]] = SlotEdge(
        edge, legs.sell_row if side == BUYS else legs.buy_row, legs.rule,
        legs.sell_source if side == BUYS else legs.buy_source, side)
