"""Health slots as a Python object: who runs, since when, how it fares.

Roles 0 .. n_sources-1 are the sources, then layout.OTHER_ROLES; slots after these are free.
Counters live in shared memory with labels (layout.COUNTERS, by the kind of the role), so that
looking costs the hot path nothing.

since: 'creation' of the instance, the beginning of the 'run', or the last 'minute' (60 to 70 s,
less in a younger run).
"""
cimport cython
import os

from libc.string cimport memset

from spreadcore.atomics cimport load_acquire, store_release
from spreadcore.layout cimport N_COUNTERS, N_MARKS, N_OTHER_ROLES, Mark, MarkBody
from spreadcore.seqlock cimport SEQ_OK, seqlock_read, seqlock_write
from spreadcore.layout import COUNTERS, LEVELS, OTHER_ROLES, STATES
from spreadcore.errors import CoreError, TableFull


cdef enum:
    RUN_MARK = 0
    MARK_WORDS = sizeof(MarkBody) // 8


# only the slot's writer marks
cdef void mark(HealthSlot* s, size_t which, int64_t now_ns) noexcept nogil:
    cdef MarkBody body
    cdef size_t i
    memset(&body, 0, sizeof(MarkBody))
    body.at_ns = now_ns
    for i in range(N_COUNTERS):
        body.counters[i] = load_relaxed(&s.counters[i])
    for i in range(N_BUCKETS):
        body.latency.buckets[i] = load_relaxed(&s.latency.buckets[i])
    seqlock_write(&s.marks[which].seq, <uint64_t*>&s.marks[which].body, &body, MARK_WORDS)


cdef void mark_at_times(HealthSlot* s, int64_t now_ns) noexcept nogil:
    cdef size_t i, oldest = RUN_MARK + 1
    cdef int64_t newest_ns = 0
    for i in range(RUN_MARK + 1, N_MARKS):
        newest_ns = max(newest_ns, s.marks[i].body.at_ns)
        if s.marks[i].body.at_ns < s.marks[oldest].body.at_ns:
            oldest = i
    if now_ns - newest_ns >= MARK_EVERY_NS:
        mark(s, oldest, now_ns)


cdef bint mark_read(const Mark* m, MarkBody* body) noexcept nogil:
    cdef uint64_t at
    return seqlock_read(&m.seq, <const uint64_t*>&m.body, body, MARK_WORDS, &at) == SEQ_OK and (
        body.at_ns != 0)


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class Health:
    """Slots of a mapped `health` section. A role's slot has one writer: the lease holder."""

    def __cinit__(self, Region region not None):
        if region.section != "health":
            raise CoreError(f"health: section {region.section!r}, expected 'health'")
        self.slots = <HealthSlot*>region.body()
        self.n_slots = region.header().n_sources + N_OTHER_ROLES
        self.n_roles = region.header().n_sources + len(OTHER_ROLES)
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

    def kind(self, size_t role):
        """Return the kind of a role, a key of layout.COUNTERS: 'source', or the other's name.

        Empty for a slot that is free.
        """
        self.slot(role)
        if role < self.n_slots - N_OTHER_ROLES:
            return "source"
        return OTHER_ROLES[role - (self.n_slots - N_OTHER_ROLES)] if role < self.n_roles else ""

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
        mark_at_times(s, now_ns)

    def begin_run(self, roles, int64_t now_ns):
        """Let a run of these roles begin: counts of it, and of its minutes, are from here on.

        None of them may be alive yet, but for the one that calls.
        """
        cdef HealthSlot* s
        cdef MarkBody none
        cdef size_t i
        memset(&none, 0, sizeof(MarkBody))
        for role in roles:
            s = self._writable(role)
            for i in range(RUN_MARK + 1, N_MARKS):
                seqlock_write(&s.marks[i].seq, <uint64_t*>&s.marks[i].body, &none, MARK_WORDS)
            mark(s, RUN_MARK, now_ns)
            store_release(&s.restarts, 0)

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
        """Count a restart by the supervisor, in this run."""
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

    def since_ns(self, size_t role, str since, int64_t now_ns):
        """Return from when on the role's counts of that kind are, CLOCK_BOOTTIME."""
        cdef MarkBody base
        self._base(role, since, now_ns, &base)
        return base.at_ns

    def counters(self, size_t role, str since="creation", int64_t now_ns=0):
        """Return the role's counters by name; levels as they are now, whatever `since`."""
        cdef MarkBody base
        cdef HealthSlot* s = self.slot(role)
        self._base(role, since, now_ns, &base)
        found = {}
        for i, name in enumerate(COUNTERS.get(self.kind(role), ())):
            value = load_relaxed(&s.counters[<size_t>i])
            if name not in LEVELS:
                value = (value - base.counters[<size_t>i]) & 0xFFFFFFFFFFFFFFFF
            found[name] = value
        return found

    def quantiles(self, roles, points=(0.5, 0.99), str since="creation", int64_t now_ns=0):
        """Return latency quantiles in ns over the given roles, None where nothing was counted.

        A bucket is up to 12.5 % wide; its upper end is given, so a figure is never too good.
        """
        cdef size_t i
        cdef MarkBody base
        totals = [0] * N_BUCKETS
        for role in roles:
            self._base(role, since, now_ns, &base)
            for i in range(N_BUCKETS):
                totals[i] += (load_relaxed(&self.slot(role).latency.buckets[i])
                              - base.latency.buckets[i])
        n = sum(totals)
        if n == 0:
            return [None] * len(points)
        return [_quantile(totals, n, point) for point in points]

    cdef int _base(self, size_t role, str since, int64_t now_ns, MarkBody* base) except -1:
        """What the role had counted at the beginning of `since`."""
        cdef HealthSlot* s = self.slot(role)
        cdef MarkBody found
        cdef size_t i
        memset(base, 0, sizeof(MarkBody))
        base.at_ns = self.region.header().created_ns
        if since == "creation":
            return 0
        if mark_read(&s.marks[RUN_MARK], &found):
            base[0] = found
        if since == "run":
            return 0
        if since != "minute":
            raise CoreError(f"since: {since!r}, expected creation, run or minute")
        cdef int64_t ago_ns = now_ns - MINUTE_NS
        if <int64_t>load_acquire(&s.beat_ns) < ago_ns and base.at_ns < ago_ns:
            # silent for longer: it has counted nothing since
            base.at_ns = ago_ns
            for i in range(N_COUNTERS):
                base.counters[i] = load_relaxed(&s.counters[i])
            for i in range(N_BUCKETS):
                base.latency.buckets[i] = load_relaxed(&s.latency.buckets[i])
            return 0
        for i in range(RUN_MARK + 1, N_MARKS):
            if mark_read(&s.marks[i], &found) and (
                    base.at_ns < found.at_ns <= ago_ns):
                base[0] = found
        return 0

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
