"""Errors of the compiled library.

CoreError
├─ RegionMissing    no such instance or section: nobody has created it
├─ RegionExists     creating over something that is there
├─ RegionRefused    a file that is not safely ours: owner, kind, links, mode
├─ NoRoom           the machine refuses memory, bytes, descriptors or a place for an instance
├─ RegionLost       an instance that is not whole: replaced, removed or cut short
├─ LayoutMismatch   another magic, version, layout or capacity than expected
├─ LeaseHeld        a live writer of this role exists
├─ TableFull        an id outside the capacity of the table
└─ RingFull         signals unread, no live consumer
"""


class CoreError(Exception):
    """Base of every error that spreadcore raises on purpose."""


class RegionMissing(CoreError):
    """There is no such instance or section."""


class RegionExists(CoreError):
    """The instance is there already."""


class RegionRefused(CoreError):
    """A file at our place is not safely ours."""


class NoRoom(CoreError):
    """The machine has no room for an instance, or a limit of the process forbids it."""


class RegionLost(CoreError):
    """An instance is not whole: replaced, or a file of it removed, replaced or cut short."""


class LayoutMismatch(CoreError):
    """Shared memory of another version, layout or capacity."""


class LeaseHeld(CoreError):
    """Another live process holds the lease of this role."""


class TableFull(CoreError):
    """An id is outside the capacity of the shared table."""


class RingFull(CoreError):
    """The signal ring has no free record."""
