"""Health slots as a Python object: who runs, since when, how it fares.

Roles 0 .. n_sources-1 are the sources, then layout.OTHER_ROLES. Counters live in shared memory
with labels (layout.SOURCE_COUNTERS and its sisters), so that looking costs the hot path nothing.
"""
cimport cython
import os

from spreadcore.atomics cimport load_acquire, store_release
from spreadcore.layout cimport N_COUNTERS, N_OTHER_ROLES
from spreadcore.layout import (
    ENGINE_COUNTERS,
    OTHER_ROLES,
    SOURCE_COUNTERS,
    STATES,
    TRACKER_COUNTERS,
)
from spreadcore.errors import CoreError, TableFull


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class Health:
    """Slots of a mapped `health` section. A role's slot has one writer: the lease holder."""

    def __cinit__(self, Region region not None):
        if region.section != "health":
            raise CoreError(f"health: section {region.section!r}, expected 'health'")
        self.slots = <HealthSlot*>region.body()
        self.n_slots = region.header().n_sources + N_OTHER_ROLES
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    cdef HealthSlot* slot(self, size_t role) except NULL:
        if role >= self.n_slots:
            raise TableFull(f"health role: {role}, expected below {self.n_slots}")
        return self.slots + role

    def role(self, str name):
        """Return the role number of 'engine', 'tracker', ...; sources are their own ids."""
        if name not in OTHER_ROLES:
            raise CoreError(f"health role: {name!r}, expected one of {', '.join(OTHER_ROLES)}")
        return self.n_slots - N_OTHER_ROLES + OTHER_ROLES.index(name)

    def start(self, size_t role, int64_t now_ns):
        """Take the slot over: identity and start time; counters go on from where they are."""
        cdef HealthSlot* s = self._writable(role)
        store_release(&s.pid, os.getpid())
        store_release(&s.boot_id, _boot_id())
        s.start_ns = now_ns
        store_release(&s.state, STATES.index("starting"))
        store_release(&s.beat_ns, now_ns)

    def beat(self, size_t role, int64_t now_ns, str state="running"):
        """Say that the role lives. The engine trusts a source's quotes for 2 s after its beat."""
        cdef HealthSlot* s = self._writable(role)
        store_release(&s.state, STATES.index(state))
        store_release(&s.beat_ns, now_ns)

    def acknowledge(self, size_t role, uint64_t generation):
        """Say which generated set the role has in use."""
        store_release(&self._writable(role).acked_generation, generation)

    def add(self, size_t role, size_t counter, uint64_t n=1):
        """Add to a counter (index into the role's counter names)."""
        if counter >= N_COUNTERS:
            raise TableFull(f"counter: {counter}, expected below {N_COUNTERS}")
        count(&self._writable(role).counters[counter], n)

    def set(self, size_t role, size_t counter, uint64_t value):
        """Set a counter that is a level rather than a count (sockets, open)."""
        if counter >= N_COUNTERS:
            raise TableFull(f"counter: {counter}, expected below {N_COUNTERS}")
        store_relaxed(&self._writable(role).counters[counter], value)

    def restarted(self, size_t role):
        """Count a restart by the supervisor."""
        cdef HealthSlot* s = self._writable(role)
        store_release(&s.restarts, load_acquire(&s.restarts) + 1)

    def latency(self, size_t role, int64_t ns, uint64_t n=1):
        """Add n times ns to the role's latency histogram."""
        histogram_add(&self._writable(role).latency, ns, n)

    def info(self, size_t role):
        """Return {'pid', 'start_ns', 'beat_ns', 'state', 'acked_generation', 'restarts'}."""
        cdef HealthSlot* s = self.slot(role)
        return {
            "pid": load_acquire(&s.pid),
            "start_ns": s.start_ns,
            "beat_ns": <int64_t>load_acquire(&s.beat_ns),
            "state": STATES[min(load_acquire(&s.state), len(STATES) - 1)],
            "acked_generation": load_acquire(&s.acked_generation),
            "restarts": load_acquire(&s.restarts),
        }

    def counters(self, size_t role):
        """Return the role's counters by name."""
        cdef HealthSlot* s = self.slot(role)
        cdef size_t i
        values = [load_relaxed(&s.counters[i]) for i in range(N_COUNTERS)]
        return dict(zip(self._names(role), values, strict=False))

    def quantiles(self, roles, points=(0.5, 0.99)):
        """Return latency quantiles in ns over the given roles, None where nothing was counted.

        A bucket is up to 12.5 % wide; its upper end is given, so a figure is never too good.
        """
        cdef size_t i
        totals = [0] * N_BUCKETS
        for role in roles:
            for i in range(N_BUCKETS):
                totals[i] += load_relaxed(&self.slot(role).latency.buckets[i])
        n = sum(totals)
        if n == 0:
            return [None] * len(points)
        return [_quantile(totals, n, point) for point in points]

    def _names(self, size_t role):
        if role < self.n_slots - N_OTHER_ROLES:
            return SOURCE_COUNTERS
        name = OTHER_ROLES[role - (self.n_slots - N_OTHER_ROLES)] if (
            role - (self.n_slots - N_OTHER_ROLES) < len(OTHER_ROLES)) else ""
        return {"engine": ENGINE_COUNTERS, "tracker": TRACKER_COUNTERS}.get(name, ())

    cdef HealthSlot* _writable(self, size_t role) except NULL:
        if not self.region.writable:
            raise CoreError(f"{self.region.path}: mapped read-only, expected a writable mapping")
        return self.slot(role)


def bucket_upper_ns(int bucket):
    """Return the largest value in ns that falls into a histogram bucket."""
    if bucket < 8:
        return bucket
    top, step = divmod(bucket, 8)
    return ((8 + step + 1) << (top - 1)) - 1


def bucket_index(int64_t ns):
    """Return the histogram bucket of a value in ns."""
    return bucket_of(ns)


def _quantile(totals, n, point):
    rank, seen = point * n, 0
    for bucket, amount in enumerate(totals):
        seen += amount
        if amount and seen >= rank:
            return bucket_upper_ns(bucket)
    raise AssertionError("unreachable: the counts sum to n")


def _boot_id():
    with open("/proc/sys/kernel/random/boot_id") as file:
        return int(file.read().replace("-", "")[:16], 16)
