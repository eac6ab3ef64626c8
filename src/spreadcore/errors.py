"""Errors of the compiled library.

CoreError
├─ RegionMissing    no such instance or section: nobody has created it
├─ RegionExists     creating over something that is there
├─ RegionRefused    a file that is not safely ours: owner, kind, links, mode
├─ LayoutMismatch   another magic, version, layout, size or capacity than expected
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


class LayoutMismatch(CoreError):
    """Shared memory of another version, layout, size or capacity."""


class LeaseHeld(CoreError):
    """Another live process holds the lease of this role."""


class TableFull(CoreError):
    """An id is outside the capacity of the shared table."""


class RingFull(CoreError):
    """The signal ring has no free record."""
