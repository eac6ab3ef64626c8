"""Where simulated time stands on our clocks; one object that all exchanges of a server share."""

from dataclasses import dataclass
from typing import NamedTuple


class AsOf(NamedTuple):
    """When a page is asked for, CLOCK_BOOTTIME, and by what it is not as of then.

    age_ns: its content is so old, and all its times with it. clock_ns: added to the time of the
    whole answer; rows_ns: to the times of its rows.
    """

    boot_ns: int
    age_ns: int = 0
    clock_ns: int = 0
    rows_ns: int = 0


class Moment(NamedTuple):
    """As of when a page is.

    at_s: real seconds since the start. sim_ns: ticks up to here are in it. unix_ns: what its clock
    shows; rows_ns: by how much its rows' times are off.
    """

    at_s: float
    sim_ns: int
    unix_ns: int
    rows_ns: int = 0


@dataclass(slots=True)
class SimTime:
    """Simulated 0 on both clocks, once the server has started. done_ns: published up to here."""

    speed: float = 1.0
    t0_boot_ns: int = 0
    t0_unix_ns: int = 0
    done_ns: int = 0

    def sim_ns(self, boot_ns: int) -> int:
        """Return the simulated time of a CLOCK_BOOTTIME stamp."""
        return int((boot_ns - self.t0_boot_ns) * self.speed)

    def boot_ns(self, sim_ns: int) -> int:
        """Return the CLOCK_BOOTTIME stamp of a simulated time."""
        return self.t0_boot_ns + int(sim_ns / self.speed)

    def unix_ns(self, sim_ns: int) -> int:
        """Return what the venues' clocks show at a simulated time."""
        return self.t0_unix_ns + int(sim_ns / self.speed)

    def unix_of_boot_ns(self, boot_ns: int) -> int:
        """Return what the venues' clocks show at a CLOCK_BOOTTIME stamp."""
        return self.t0_unix_ns + boot_ns - self.t0_boot_ns

    def moment(self, asked: AsOf) -> Moment:
        """Return as of when a page is."""
        real_ns = asked.boot_ns - self.t0_boot_ns - asked.age_ns
        # not beyond what is published: a due tick that waits must not be overtaken
        sim_ns = min(self.done_ns, int(real_ns * self.speed))
        unix_ns = self.t0_unix_ns + real_ns + asked.clock_ns
        return Moment(real_ns * 1e-9, sim_ns, unix_ns, asked.rows_ns)
