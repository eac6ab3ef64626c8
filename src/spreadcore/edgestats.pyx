"""EdgeStats: mean, maximum, and time above limits of every edge that the engine evaluates.

An episode above a limit starts at the first update above it and ends at the first one not
above; finish() ends those still open. Used by replays; a live engine runs without it.
"""
from libc.math cimport INFINITY
from libc.stdlib cimport calloc, free

from spreadcore.limits cimport above, limit_at

from spreadcore.errors import CoreError, TableFull


cdef void edges_add(Edges* e, size_t at, double gross, double buy_px, double sell_px,
                    int64_t at_ns) noexcept nogil:
    cdef EdgeCell* c = e.cells + at
    cdef LimitCell* cell
    cdef Limit highest = limit_at(c.max_bps, 0.0)   # the first of equal ones counts
    cdef size_t i
    c.n += 1
    c.sum_bps += gross
    if above(gross, &highest) or c.n == 1:
        c.max_bps, c.max_buy_px, c.max_sell_px, c.max_ns = gross, buy_px, sell_px, at_ns
    for i in range(e.n_limits):
        cell = e.limits + at * e.n_limits + i
        if above(gross, e.limit_bps + i):
            cell.n_above += 1
            if not cell.open:
                cell.open = 1
                cell.episodes += 1
                cell.since_ns = at_ns
        elif cell.open:
            limit_close(cell, at_ns)


cdef void limit_close(LimitCell* cell, int64_t at_ns) noexcept nogil:
    cdef int64_t ns = at_ns - cell.since_ns
    cell.open = 0
    cell.total_ns += ns
    if ns > cell.longest_ns:
        cell.longest_ns = ns


cdef class EdgeStats:
    """Cells for n_edges and the given limits in bps."""

    def __cinit__(self, size_t n_edges, limits):
        cdef size_t i
        self.limits = [float(x) for x in limits]
        self.edges.n_edges = n_edges
        self.edges.n_limits = len(self.limits)
        self.edges.cells = <EdgeCell*>calloc(n_edges, sizeof(EdgeCell))
        self.edges.limits = <LimitCell*>calloc(
            n_edges * max(1, len(self.limits)), sizeof(LimitCell))
        self.edges.limit_bps = <Limit*>calloc(max(1, len(self.limits)), sizeof(Limit))
        if not (self.edges.cells and self.edges.limits and self.edges.limit_bps):
            raise MemoryError
        for i in range(self.edges.n_limits):
            if self.limits[i] != self.limits[i]:
                raise CoreError(f"limit {i}: NaN, expected bps")
            self.edges.limit_bps[i] = limit_at(self.limits[i], 0.0)
        for i in range(n_edges):
            self.edges.cells[i].max_bps = -INFINITY

    def __dealloc__(self):
        free(self.edges.cells)
        free(self.edges.limits)
        free(self.edges.limit_bps)

    def finish(self, int64_t at_ns):
        """End the episodes that are still open."""
        cdef size_t i
        cdef size_t n = <size_t>self.edges.n_edges * self.edges.n_limits
        for i in range(n):
            if self.edges.limits[i].open:
                limit_close(self.edges.limits + i, at_ns)

    def result(self, size_t at):
        """Return what was seen of one edge as a dict; prices per coin, ns, bps, seconds."""
        if at >= self.edges.n_edges:
            raise TableFull(f"edge {at}: expected below {self.edges.n_edges}")
        cdef EdgeCell* c = self.edges.cells + at
        if c.n == 0:
            return {"updates": 0}
        limits = []
        cdef size_t i
        cdef LimitCell* cell
        for i in range(self.edges.n_limits):
            cell = self.edges.limits + at * self.edges.n_limits + i
            limits.append({
                "bps": self.limits[i], "updates": cell.n_above, "episodes": cell.episodes,
                "total_s": cell.total_ns / 1e9, "longest_s": cell.longest_ns / 1e9})
        return {"updates": c.n, "mean_bps": c.sum_bps / c.n, "max_bps": c.max_bps,
                "max_ns": c.max_ns, "max_buy_px": c.max_buy_px, "max_sell_px": c.max_sell_px,
                "above": limits}
