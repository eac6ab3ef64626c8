"""Where simulated time stands on our clocks; one object that all exchanges of a server share."""

from dataclasses import dataclass


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
