"""Control words as a Python object. Written by the supervisor or `ctl`, read by everyone."""
cimport cython
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy, memset

from spreadcore.atomics cimport fetch_or, load_acquire, now_ns as clock_ns, store_release
from spreadcore.errors import CoreError, TableFull

cdef enum:
    REASON_BYTES = 48           # of ControlWords.kill_reason


cdef bint is_off(const ControlWords* words, const Pauses* p, size_t buy_source,
                 size_t sell_source, size_t rate_source, size_t class_id, size_t edge,
                 int64_t now_ns) noexcept nogil:
    if is_killed(words) or is_paused(words, now_ns):
        return True
    if p.sources == NULL:
        return False
    return (now_ns < time_of(p.sources + buy_source) or now_ns < time_of(p.sources + sell_source)
            or now_ns < time_of(p.sources + rate_source) or now_ns < time_of(p.classes + class_id)
            or now_ns < time_of(p.edges + edge))


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class Control:
    """Words of a mapped `control` section. Setting one needs a writable mapping."""

    def __cinit__(self, Region region not None):
        if region.section != "control":
            raise CoreError(f"control: section {region.section!r}, expected 'control'")
        self.words = <ControlWords*>region.body()
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    @property
    def pause(self):
        """True: the engine evaluates, but signals nothing new. Set to True: until it is ended."""
        return is_paused(self.words, clock_ns())

    @pause.setter
    def pause(self, bint value):
        if value:
            self.pause_until(0)
        else:
            self._check_writable()
            store_release(&self.words.pause, 0)

    @property
    def pause_until_ns(self):
        """CLOCK_BOOTTIME at which the pause ends by itself; 0: it does not."""
        return time_of(&self.words.pause_until_ns)

    def pause_until(self, int64_t until_ns):
        """Signal nothing new until then, CLOCK_BOOTTIME; 0: until that is ended."""
        self._check_writable()
        store_release(<uint64_t*>&self.words.pause_until_ns, <uint64_t>until_ns)
        store_release(&self.words.pause, 1)

    @property
    def kill(self):
        """True: the kill switch is thrown. No signal leaves, tracks end as HALTED."""
        return is_killed(self.words)

    @property
    def kill_at_ns(self):
        """CLOCK_BOOTTIME at which it was thrown last, also where it is off again; 0: never."""
        return time_of(&self.words.kill_at_ns)

    @property
    def kill_reason(self):
        """Why it was thrown or cleared last; empty where that is not known (yet)."""
        cdef char[REASON_BYTES] text
        if load_acquire(&self.words.kill) == KILL_THROWN:
            return ""
        memcpy(text, self.words.kill_reason, REASON_BYTES)
        return text[:REASON_BYTES].rstrip(b"\0").decode("utf-8", "replace")

    def throw_kill(self, int64_t at_ns, str reason not None):
        """Throw the kill switch; False where it was thrown already, which keeps moment and reason.

        From the first instruction on nothing may signal. at_ns: CLOCK_BOOTTIME. reason: the first
        48 bytes of it are kept.
        """
        self._check_writable()
        if fetch_or(&self.words.kill, KILL_THROWN):
            return False
        store_release(<uint64_t*>&self.words.kill_at_ns, <uint64_t>at_ns)
        self._put_reason(reason)
        fetch_or(&self.words.kill, KILL_TOLD)
        return True

    def clear_kill(self, str reason not None):
        """Let signals leave again. reason: why, as in throw_kill()."""
        self._check_writable()
        self._put_reason(reason)
        store_release(&self.words.kill, 0)

    cdef _put_reason(self, str reason):
        cdef bytes text = reason.encode("utf-8", "replace")[:REASON_BYTES]
        text = text.decode("utf-8", "ignore").encode()      # no half of a character
        memset(self.words.kill_reason, 0, REASON_BYTES)
        memcpy(self.words.kill_reason, <const char*>text, len(text))

    @property
    def reload_generation(self):
        """Generation of the generated set that everyone should take."""
        return load_acquire(&self.words.reload_generation)

    @reload_generation.setter
    def reload_generation(self, unsigned long long value):
        self._check_writable()
        store_release(&self.words.reload_generation, value)

    @property
    def stop(self):
        """True: every process of the instance ends."""
        return load_acquire(&self.words.stop) != 0

    @stop.setter
    def stop(self, bint value):
        self._check_writable()
        store_release(&self.words.stop, value)

    def _check_writable(self):
        if not self.region.writable:
            raise CoreError(f"{self.region.path}: mapped read-only, expected a writable mapping")


@cython.no_gc_clear     # __dealloc__ needs the region: see Region.drop
cdef class PauseTable:
    """Times of a mapped `pauses` section, by kind (source, class, edge) and number.

    CLOCK_BOOTTIME until which no signal leaves on what it is of; 0: it may. A class is known by the
    number that the engine's rules name. Setting one needs a writable mapping.
    """

    def __cinit__(self, Region region not None):
        if region.section != "pauses":
            raise CoreError(f"pauses: section {region.section!r}, expected 'pauses'")
        cdef size_t n_sources = region.n_sources
        self.pauses.sources = <int64_t*>region.body()
        self.pauses.classes = self.pauses.sources + n_sources
        self.pauses.edges = self.pauses.classes + N_CLASSES
        self.region = region
        region.hold()

    def __dealloc__(self):
        if self.region is not None:
            self.region.drop()

    def until(self, str kind not None, size_t number):
        """Return until when one is paused; 0: it is not. TableFull where there is no such one."""
        return time_of(self._word(kind, number))

    def pause(self, str kind not None, size_t number, int64_t until_ns):
        """Let no signal leave on one until then; 0: let it. TableFull as until()."""
        cdef int64_t* word = self._word(kind, number)
        if not self.region.writable:
            raise CoreError(f"{self.region.path}: mapped read-only, expected a writable mapping")
        store_release(<uint64_t*>word, <uint64_t>until_ns)

    def set_all(self, str kind not None, times not None):
        """Let a kind be paused as `times` says, until_ns by number, and in nothing else."""
        for number in times:
            self.pause(kind, number, times[number])
        cdef int64_t* words = self._word(kind, 0)
        cdef size_t n
        for n in range(self._room(kind)):
            if time_of(words + n) and n not in times:
                store_release(<uint64_t*>(words + n), 0)

    def _room(self, str kind):
        rooms = {"source": self.region.n_sources, "class": N_CLASSES, "edge": self.region.n_edges}
        if kind not in rooms:
            raise CoreError(f"pause: of kind {kind!r}, expected one of {', '.join(rooms)}")
        return rooms[kind]

    cdef int64_t* _word(self, str kind, size_t number) except NULL:
        if number >= self._room(kind):
            raise TableFull(f"{kind}: {number}, expected below {self._room(kind)}")
        if kind == "source":
            return self.pauses.sources + number
        return (self.pauses.classes if kind == "class" else self.pauses.edges) + number
