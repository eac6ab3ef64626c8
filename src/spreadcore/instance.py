"""An attached instance: its sections as core objects, opened when first asked for."""

import os
from functools import cached_property

from spreadcore.active import ActiveTable
from spreadcore.audit import AuditTable
from spreadcore.control import Control, PauseTable
from spreadcore.dirty import DirtySet
from spreadcore.errors import RegionLost, RegionMissing
from spreadcore.funding import FundingRates
from spreadcore.health import Health
from spreadcore.layout import SECTIONS
from spreadcore.lease import TRY_FOR_S, Lease, lease_held
from spreadcore.opentracks import OpenTracks
from spreadcore.quotes import Quotes
from spreadcore.region import ROOT, Region, instance_dir
from spreadcore.ring import SignalRing
from spreadcore.stream import Broadcast


class Instance:
    """Sections of the instance `name`; those in `writable` are mapped for writing.

    Raises RegionMissing, RegionRefused, RegionLost or LayoutMismatch at the first section that is
    not right; the control section is opened at once, so that a wrong name fails here.
    """

    def __init__(self, name: str, writable: tuple[str, ...] = (), root: str = ROOT) -> None:
        self.name = name
        self.directory = instance_dir(name, root)
        self.writable = writable
        self._regions: dict[str, Region] = {}
        self.region("control")
        self._files = {path: _seen(path) for path in self._paths()}

    def region(self, section: str) -> Region:
        """Return the mapped section.

        LayoutMismatch where the instance has been re-created since this one was attached.
        """
        if section not in self._regions:
            region = Region(self.directory, section, section in self.writable)
            if section != "control":
                self._regions["control"].check_same(region)
            self._regions[section] = region
        return self._regions[section]

    @cached_property
    def quotes(self) -> Quotes:
        return Quotes(self.region("quotes"))

    @cached_property
    def dirty(self) -> DirtySet:
        return DirtySet(self.region("dirty"))

    @cached_property
    def ring(self) -> SignalRing:
        return SignalRing(self.region("signals"))

    @cached_property
    def active(self) -> ActiveTable:
        return ActiveTable(self.region("active"))

    @cached_property
    def health(self) -> Health:
        return Health(self.region("health"))

    @cached_property
    def control(self) -> Control:
        return Control(self.region("control"))

    @cached_property
    def pauses(self) -> PauseTable:
        return PauseTable(self.region("pauses"))

    @cached_property
    def funding(self) -> FundingRates:
        return FundingRates(self.region("funding"))

    @cached_property
    def audit(self) -> AuditTable:
        return AuditTable(self.region("audit"))

    @cached_property
    def questions(self) -> DirtySet:
        return DirtySet(self.region("questions"))

    @cached_property
    def answers(self) -> DirtySet:
        return DirtySet(self.region("answers"))

    @cached_property
    def acts(self) -> DirtySet:
        return DirtySet(self.region("acts"))

    @cached_property
    def tracks(self) -> OpenTracks:
        return OpenTracks(self.region("tracks"))

    @cached_property
    def engine_stream(self) -> Broadcast:
        return Broadcast(self.region("engine_stream"))

    @cached_property
    def tracker_stream(self) -> Broadcast:
        return Broadcast(self.region("tracker_stream"))

    @property
    def superseded(self) -> bool:
        """True once a newer instance took this name."""
        return self.region("control").superseded

    def check(self) -> None:
        """Raise RegionLost where this is not the whole instance that was attached to any more.

        That is: a newer one took its name, or a file was cut short, removed or replaced. For the
        beat of whoever works in it: some 30 us. Between two looks a cut may be a SIGBUS (sigbus).
        """
        control = self.region("control")
        # what says so is read before names are looked at: those of a newer instance are others
        if not control.truncated and control.superseded:
            raise RegionLost(
                f"instance {self.name!r}: the instance was replaced or removed, expected it to stay"
            )
        for path, (file, size) in self._files.items():
            try:
                found, found_size = _seen(path)
            except RegionMissing:
                raise RegionLost(f"{path}: removed while in use, expected it to stay") from None
            if found != file:
                raise RegionLost(f"{path}: replaced while in use, expected it to stay")
            if found_size != size:
                raise RegionLost(f"{path}: cut to {found_size} bytes while in use, expected {size}")

    def _paths(self) -> list[str]:
        return [os.path.join(self.directory, section) for section in SECTIONS]

    def lease(self, role: str, within_s: float = TRY_FOR_S) -> Lease:
        """Take the lease of a writing role; LeaseHeld where a live process keeps it for so long."""
        return Lease(self.directory, role, within_s)

    def lease_held(self, role: str) -> bool:
        """Return True while a live process holds the lease of that role."""
        return lease_held(self.directory, role)

    def close(self) -> None:
        """Unmap everything. BufferError while views or other core objects are alive."""
        for name, kind in list(vars(type(self)).items()):
            if isinstance(kind, cached_property):
                self.__dict__.pop(name, None)
        for region in list(self._regions.values()):
            region.close()
        self._regions.clear()


def _seen(path: str) -> tuple[tuple[int, int], int]:
    """Return which file has that name, and its bytes. RegionMissing where none has."""
    try:
        found = os.lstat(path)
    except OSError as error:  # a file in the place of the folder is none of ours either
        raise RegionMissing(f"{path}: missing, expected a created instance") from error
    return (found.st_dev, found.st_ino), found.st_size
