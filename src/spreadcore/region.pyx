"""Section files of an instance: create, attach, supersede, unlink.

An instance is a directory `<root>/spreadscan-<name>/` (0700, root is /dev/shm) with one file per
section (0600). It appears whole: it is made beside its place and renamed in. Attaching refuses
what is not safely ours (link, owner, kind) and what is not this layout, with one sentence.
"""
import errno
import mmap
import os
import re
import secrets
import struct
import sys
import tempfile

from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer

from spreadcore.atomics cimport load32_acquire, now_ns, store_release
from spreadcore.layout cimport (
    LAYOUT_VERSION,
    MAX_EDGES,
    MAX_SOURCES,
    MAX_SYMBOLS,
    MAX_TRACKS,
    Header,
    Quote,
    QuoteSlot,
)
from spreadcore.layout import FIELDS, LAYOUT_HASH, MAGIC, SECTIONS, section_bytes
from spreadcore.errors import (
    CoreError,
    LayoutMismatch,
    RegionExists,
    RegionLost,
    RegionMissing,
    RegionRefused,
    TableFull,
)

from spreadcore.ours import check_dir, no_room, open_ours

from libc.math cimport NAN
from libc.stdint cimport uint64_t

ROOT = "/dev/shm"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def instance_dir(str name, str root=ROOT):
    """Return the directory of an instance; a name outside [A-Za-z0-9_.-] is refused."""
    if not _NAME.fullmatch(name):
        raise CoreError(
            f"instance: {name!r}, expected 1 to 63 letters, digits, '_', '.' or '-'")
    return os.path.join(root, f"spreadscan-{name}")


cdef class Region:
    """One section file, mapped. `writable` says how; use attach() or open from Instance."""

    def __cinit__(self, str directory, str section, bint writable=False):
        self.section = section
        self.path = os.path.join(directory, section)
        self.writable = writable
        fd = open_ours(self.path, os.O_RDWR if writable else os.O_RDONLY)
        try:
            size = os.fstat(fd).st_size
            if size < <Py_ssize_t>sizeof(Header):
                raise RegionLost(
                    f"{self.path}: {size} bytes, expected a header of {sizeof(Header)}")
            prot, flags = mmap.PROT_READ, mmap.MAP_SHARED
            if writable:
                # a writer's first touch of a page would be a fault in the middle of a turn
                prot, flags = prot | mmap.PROT_WRITE, flags | mmap.MAP_POPULATE
            try:
                self._map = mmap.mmap(fd, size, flags=flags, prot=prot)
            except OSError as error:
                raise no_room(error, self.path, f"room to map {size} bytes") from None
        finally:
            os.close(fd)
        self._pin()
        self.size = size
        _check_header(self, section)

    def _pin(self):
        PyObject_GetBuffer(
            self._map, &self._view, PyBUF_WRITABLE if self.writable else PyBUF_SIMPLE)
        self.base = <char*>self._view.buf
        self._open = True

    def __dealloc__(self):
        if self._open:
            PyBuffer_Release(&self._view)

    cdef Header* header(self) except NULL:
        if not self._open:
            raise CoreError(f"{self.path}: closed, expected an attached section")
        return <Header*>self.base

    cdef char* body(self) except NULL:
        return <char*>self.header() + sizeof(Header)

    cdef void hold(self) noexcept:
        self._users += 1

    cdef void drop(self) noexcept:
        self._users -= 1

    def check_same(self, Region other not None):
        """Raise LayoutMismatch unless `other` is a section of this very instance.

        Sections are opened one by one; a forced re-creation in between would mix two.
        """
        cdef Header* a = self.header()
        cdef Header* b = other.header()
        if (a.ring_id != b.ring_id or a.generation != b.generation
                or a.n_sources != b.n_sources or a.n_symbols != b.n_symbols
                or a.n_edges != b.n_edges or a.n_tracks != b.n_tracks):
            raise LayoutMismatch(
                f"{other.path}: generation {b.generation}, capacity {_capacity(b)}, expected "
                f"{a.generation} and {_capacity(a)} as {self.section} has (re-created meanwhile? "
                f"attach again)")

    def buffer(self):
        """Return a memoryview (uint8) of the whole file; live views make close() raise."""
        self.header()
        return memoryview(self._map)

    def close(self):
        """Unmap. BufferError while NumPy views or core objects still point into it."""
        if not self._open:
            return
        if self._users:
            raise BufferError(
                f"{self.path}: {self._users} object(s) still use it, expected none at close")
        PyBuffer_Release(&self._view)
        self._open = False
        try:
            self._map.close()
        except BufferError:
            self._pin()
            raise BufferError(
                f"{self.path}: NumPy views are alive, expected none at close") from None

    @property
    def n_sources(self):
        return self.header().n_sources

    @property
    def n_symbols(self):
        return self.header().n_symbols

    @property
    def n_edges(self):
        return self.header().n_edges

    @property
    def n_tracks(self):
        return self.header().n_tracks

    @property
    def generation(self):
        return self.header().generation

    @property
    def ring_id(self):
        return self.header().ring_id

    @property
    def superseded(self):
        """True once a newer instance took this name: detach and attach again."""
        return load32_acquire(&self.header().superseded) != 0

    @property
    def truncated(self):
        """True once somebody cut the file short: touching the rest would be a SIGBUS."""
        self.header()
        return self._map.size() < <Py_ssize_t>self.size


def create(str name, *, size_t n_sources=8, size_t n_symbols=1024, size_t n_edges=4096,
           size_t n_tracks=4096, bint force=False, str root=ROOT, uint64_t ring_id=0):
    """Create the instance and return its generation.

    ring_id: of its signal ring, 0 = a random one; given, a replay names its spreads alike each
    time.
    NoRoom where the root has no room or place for it, or a limit of this process forbids it.
    TableFull for a capacity beyond 64 sources, 65536 symbols, 1048576 edges or 32768 open tracks;
    RegionExists where one is there, unless `force`: then the old one is marked superseded and
    replaced under the next generation. The caller sees to it that no writer is alive.
    """
    for what, value, limit in (("sources", n_sources, MAX_SOURCES),
                               ("symbols", n_symbols, MAX_SYMBOLS),
                               ("edges", n_edges, MAX_EDGES),
                               ("tracks", n_tracks, MAX_TRACKS)):
        if not 1 <= value <= limit:
            raise TableFull(f"capacity: {value} {what}, expected 1 to {limit}")
    place = instance_dir(name, root)
    if os.path.lexists(place) and not force:
        raise RegionExists(f"instance {name!r}: {place} exists, expected a free name")
    generation = 1
    if os.path.lexists(place):
        check_dir(place)
        generation = _generation_of(place) + 1
    sizes = [section_bytes(s, n_sources, n_symbols, n_edges, n_tracks) for s in SECTIONS]
    subject, needed = f"instance {name!r}: no room in {root}", f"{sum(sizes)} free bytes"
    try:
        # a random name: whatever others plant in a shared root, we neither follow nor remove it
        making = tempfile.mkdtemp(prefix=f".{os.path.basename(place)}.", dir=root)
    except OSError as error:
        raise no_room(error, subject, needed) from None
    try:
        ring_id = ring_id or secrets.randbits(63) | 1
        for section in SECTIONS:
            _make_section(making, section, n_sources, n_symbols, n_edges, n_tracks,
                          generation, ring_id)
        _take_place(making, place, force)
    except BaseException as error:
        _remove(making)
        if isinstance(error, OSError):
            raise no_room(error, subject, needed) from None
        raise
    return generation


def unlink(str name, str root=ROOT):
    """Mark the instance superseded and remove its files; readers keep their mapping."""
    place = instance_dir(name, root)
    if not os.path.lexists(place):
        raise RegionMissing(f"instance {name!r}: no {place}, expected a created instance")
    check_dir(place)
    _supersede_all(place)
    _remove(place)


def exists(str name, str root=ROOT):
    """Return True where an instance of that name is there (of any layout)."""
    return os.path.lexists(instance_dir(name, root))


cdef _make_section(str directory, str section, size_t n_sources, size_t n_symbols,
                   size_t n_edges, size_t n_tracks, uint64_t generation, uint64_t ring_id):
    path = os.path.join(directory, section)
    cdef size_t size = section_bytes(section, n_sources, n_symbols, n_edges, n_tracks)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        # reserve now: a full tmpfs must be an error here, not a SIGBUS in a feed later
        os.posix_fallocate(fd, 0, size)
        mapped = mmap.mmap(fd, size)
    finally:
        os.close(fd)
    cdef Py_buffer view
    PyObject_GetBuffer(mapped, &view, PyBUF_WRITABLE)
    cdef Header* h = <Header*>view.buf
    cdef QuoteSlot* slots = <QuoteSlot*>(<char*>view.buf + sizeof(Header))
    cdef Quote empty = Quote(NAN, NAN, NAN, NAN, 0, 0, 0)
    cdef size_t i
    if section == "quotes":
        for i in range(n_sources * n_symbols):
            slots[i].quote = empty
    h.layout_version = LAYOUT_VERSION
    h.kind = SECTIONS.index(section)
    h.layout_hash = LAYOUT_HASH
    h.generation = generation
    h.ring_id = ring_id
    h.n_sources = n_sources
    h.n_tracks = n_tracks
    h.n_symbols = n_symbols
    h.n_edges = n_edges
    h.created_ns = now_ns()
    store_release(&h.magic, MAGIC)
    PyBuffer_Release(&view)
    mapped.close()


cdef _take_place(str making, str place, bint force):
    if not force:
        try:
            os.rename(making, place)    # refuses a directory that has files
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise RegionExists(f"{place}: exists, expected a free name") from None
            raise
        return
    old = making + ".old"
    if os.path.lexists(place):
        _supersede_all(place)
        os.rename(place, old)
    os.rename(making, place)
    _remove(old)


# magic, generation and superseded stand at these offsets in every version of the layout, so that
# a new version can tell the readers of an old one that they were replaced
cdef _supersede_all(str directory):
    for section in SECTIONS:
        try:
            fd = open_ours(os.path.join(directory, section), os.O_RDWR)
        except CoreError:
            continue    # not safely ours, so nobody of ours is reading it
        try:
            if _is_section(os.pread(fd, sizeof(Header), 0)):
                os.pwrite(fd, (1).to_bytes(4, sys.byteorder), _offset("superseded"))
        finally:
            os.close(fd)


cdef _generation_of(str directory):
    """The generation of whatever stands there; 0 where it cannot be read."""
    try:
        fd = open_ours(os.path.join(directory, "control"), os.O_RDONLY)
    except CoreError:
        return 0
    try:
        head = os.pread(fd, sizeof(Header), 0)
    finally:
        os.close(fd)
    if not _is_section(head):
        return 0
    return struct.unpack_from("=Q", head, _offset("generation"))[0]


cdef bint _is_section(bytes head):
    return len(head) == sizeof(Header) and struct.unpack_from("=Q", head)[0] == MAGIC


cdef size_t _offset(str field):
    return next(offset for struct, name, offset, _ in FIELDS if (struct, name) == ("Header", field))


cdef _remove(str directory):
    """Remove a flat directory of ours, whatever is missing in it."""
    try:
        check_dir(directory)
        entries = os.listdir(directory)
    except (RegionMissing, FileNotFoundError):
        return
    for entry in entries:
        path = os.path.join(directory, entry)
        try:
            os.unlink(path)
        except OSError as error:    # such as a folder that somebody put there
            raise RegionRefused(f"{path}: {error.strerror}, expected a file to remove") from None
    os.rmdir(directory)


cdef str _name_at(str path):
    return os.path.basename(os.path.dirname(path)).removeprefix("spreadscan-")


cdef str _capacity(Header* h):
    return f"{h.n_sources} x {h.n_symbols} x {h.n_edges} x {h.n_tracks}"


cdef _check_header(Region region, str section):
    cdef Header* h = region.header()
    cdef bint fits
    if h.magic != MAGIC:
        raise LayoutMismatch(
            f"{region.path}: magic {h.magic:#x}, expected {MAGIC:#x} (not made by spreadcore)")
    if h.layout_version != LAYOUT_VERSION or h.layout_hash != LAYOUT_HASH:
        raise LayoutMismatch(
            f"{region.path}: layout {h.layout_version}/{h.layout_hash:016x}, expected "
            f"{LAYOUT_VERSION}/{LAYOUT_HASH:016x} (made by another version; "
            f"'spreadscan init --force --instance {_name_at(region.path)}' replaces it)")
    fits = (section in SECTIONS and h.kind == SECTIONS.index(section)
            and 1 <= h.n_sources <= MAX_SOURCES and 1 <= h.n_symbols <= MAX_SYMBOLS
            and 1 <= h.n_edges <= MAX_EDGES and 1 <= h.n_tracks <= MAX_TRACKS)
    if not fits:
        raise LayoutMismatch(
            f"{region.path}: kind {h.kind}, capacity {_capacity(h)}, expected a {section} section")
    expected = section_bytes(section, h.n_sources, h.n_symbols, h.n_edges, h.n_tracks)
    if region.size != expected:
        raise RegionLost(f"{region.path}: {region.size} bytes, expected {expected}")
