"""Frames between pages that nobody may touch: a read outside of them ends the process."""

import ctypes
import mmap

PAGE = mmap.PAGESIZE
PROT_NONE = 0
_mprotect = ctypes.CDLL(None, use_errno=True).mprotect
_mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Guarded:
    """Room for frames of up to `size` bytes between two guard pages.

    loops: the compiled tests/core/wire/loops.pyx.
    """

    def __init__(self, loops, size=16 * PAGE):
        self._loops = loops
        pages = -(-size // PAGE)
        self._map = mmap.mmap(-1, (pages + 2) * PAGE)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self._start, self._stop = base + PAGE, base + (pages + 1) * PAGE
        self.guards = base, self._stop
        for guard in self.guards:
            if _mprotect(guard, PAGE, PROT_NONE):
                raise OSError(ctypes.get_errno(), "mprotect")

    def last(self, data):
        """Put bytes so that the last one ends the page before a guard; return their address."""
        address = self._stop - self._fitting(data)
        ctypes.memmove(address, data, len(data))
        return address

    def first(self, data):
        """Put bytes right behind a guard; return their address."""
        ctypes.memmove(self._start, data, self._fitting(data))
        return self._start

    def _fitting(self, data):
        if len(data) > self._stop - self._start:
            raise ValueError(f"{len(data)} bytes, room for {self._stop - self._start}")
        return len(data)

    def decode(self, decoder, frame):
        """Return FrameDecoder.decode of a frame that ends at the guard."""
        return self._loops.decode_at(decoder, self.last(frame), len(frame))

    def decode_twice(self, decoder, frame):
        """Return the same, after it was decoded behind the other guard as well."""
        self._loops.decode_at(decoder, self.first(frame), len(frame))
        return self.decode(decoder, frame)
