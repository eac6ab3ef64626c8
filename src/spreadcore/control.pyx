"""Control words as a Python object. Written by the supervisor or `ctl`, read by everyone."""
cimport cython
from spreadcore.atomics cimport load_acquire, store_release
from spreadcore.errors import CoreError


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
        """True: the engine evaluates, but signals nothing new."""
        return load_acquire(&self.words.pause) != 0

    @pause.setter
    def pause(self, bint value):
        self._check_writable()
        store_release(&self.words.pause, value)

    @property
    def kill(self):
        """True: the kill switch of order execution is on."""
        return load_acquire(&self.words.kill) != 0

    @kill.setter
    def kill(self, bint value):
        self._check_writable()
        store_release(&self.words.kill, value)

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
