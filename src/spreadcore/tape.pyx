"""A bounded tape of received frames: one copy each, never a wait; what has no room is counted."""
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_READ
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from libc.string cimport memcpy, memset

from spreadcore.errors import CoreError


cdef class Tape:
    """n_parts parts of part_bytes each: what is filled is taken whole, in order.

    append() from the thread of the sockets, take() and release() from the writer's. CoreError for
    sizes that make no sense, MemoryError where there is no room.
    """

    def __cinit__(self, size_t part_bytes, size_t n_parts):
        cdef size_t i
        if not 2 <= n_parts <= MAX_PARTS:
            raise CoreError(f"tape: {n_parts} parts, expected 2 to {MAX_PARTS}")
        if part_bytes < sizeof(Record) or part_bytes > 1 << 28:
            raise CoreError(f"tape: {part_bytes} bytes a part, expected 16 to {1 << 28}")
        memset(self.parts, 0, sizeof(self.parts))
        self.part_bytes = part_bytes
        for i in range(n_parts):
            self.parts[i].data = <char*>PyMem_RawMalloc(part_bytes)
            if self.parts[i].data == NULL:
                raise MemoryError(f"tape: no room for {n_parts} parts of {part_bytes} bytes")
            self.n_parts += 1

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.n_parts):
            PyMem_RawFree(self.parts[i].data)

    cdef int put(self, int64_t recv_ns, uint32_t link, uint32_t opcode, const char* payload,
                 size_t n) noexcept:
        """Copy one frame; 0 where it was counted as dropped instead."""
        cdef Part* part = self.parts + self.filling
        cdef uint32_t size = <uint32_t>(n << 4 | opcode)
        cdef char* at
        cdef uint64_t number = self.number
        self.number += 1
        if part.used + sizeof(Record) + n > self.part_bytes:
            if sizeof(Record) + n > self.part_bytes or not self._next_part():
                self.lost += 1
                self.dropped += 1
                return 0
            part = self.parts + self.filling
        elif self.lost and part.n:  # only before a part can a gap be told
            if not self._next_part():
                self.lost += 1
                self.dropped += 1
                return 0
            part = self.parts + self.filling
        self.last_ns = max(self.last_ns, recv_ns)
        if part.n == 0:
            part.first_ns, part.first_number, part.dropped = self.last_ns, number, self.lost
            self.lost = 0
        at = part.data + part.used
        # a Record by its fields: copied whole, the copy would wait for them
        memcpy(at, &self.last_ns, 8)
        memcpy(at + 8, &link, 4)
        memcpy(at + 12, &size, 4)
        memcpy(at + sizeof(Record), payload, n)
        part.used += sizeof(Record) + n
        part.last_ns = self.last_ns
        part.n += 1
        return 1

    cdef bint _next_part(self) noexcept:
        """Close the part that grows; False where the next one is not free yet."""
        if self.parts[self.filling].n == 0:
            return True
        if self.n_full + 1 == self.n_parts:
            return False
        self.filling = (self.filling + 1) % self.n_parts
        self.n_full += 1
        return True

    def append(self, int64_t recv_ns, uint32_t link, uint32_t opcode, bytes payload not None):
        """Copy one frame; False where there was no room and it was counted."""
        if opcode > 15:
            raise CoreError(f"tape: opcode {opcode}, expected 0 to 15")
        return self.put(recv_ns, link, opcode, <const char*>payload, len(payload)) == 1

    def take(self, bint growing=False):
        """Return the oldest part, None where none is full; with `growing` also one that is not.

        (records, frames, first_recv_ns, last_recv_ns, first_number, dropped): records is a view
        that is good until release().
        """
        cdef Part* part
        if self.taken:
            raise CoreError("tape: a part is taken already, expected release() first")
        if self.n_full == 0 and (not growing or not self._next_part() or self.n_full == 0):
            return None
        part = self.parts + self.oldest
        self.taken = True
        return (PyMemoryView_FromMemory(part.data, part.used, PyBUF_READ), part.n, part.first_ns,
                part.last_ns, part.first_number, part.dropped)

    def release(self):
        """Give the taken part back to be filled again."""
        if not self.taken:
            raise CoreError("tape: no part is taken, expected take() first")
        cdef Part* part = self.parts + self.oldest
        part.used, part.n = 0, 0
        self.oldest = (self.oldest + 1) % self.n_parts
        self.n_full -= 1
        self.taken = False

    @property
    def frames(self):
        """Frames that were offered, dropped ones among them."""
        return self.number

    @property
    def unplaced(self):
        """Dropped frames that no part tells of, as none has been begun since."""
        return self.lost


cdef Py_ssize_t records_end(const char* data, size_t n_bytes, size_t n_records) noexcept nogil:
    """Walk so many records; return where they end, -1 where they do not fit or time falls."""
    cdef size_t at = 0, _i
    cdef Record head
    cdef int64_t last_ns = 0
    for _i in range(n_records):
        if n_bytes - at < sizeof(Record):
            return -1
        memcpy(&head, data + at, sizeof(Record))
        at += sizeof(Record)
        if head.recv_ns < last_ns or (head.size >> 4) > n_bytes - at:
            return -1
        last_ns = head.recv_ns
        at += head.size >> 4
    return at


def are_records(bytes data not None, size_t n_records):
    """Return True where data is exactly so many records, none received before the one before it."""
    return records_end(<const char*>data, len(data), n_records) == len(data)
