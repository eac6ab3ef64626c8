"""How a worker shows others that its role lives, and on which lists."""

from spreadcore import Instance

from spreadscan.clock import now_ns


class Role:
    """The health slot of a role. The instance has `health` mapped for writing.

    The caller holds the lease.
    """

    def __init__(self, instance: Instance, number: int) -> None:
        self._instance = instance
        self._health = instance.health
        self._number = number

    def begin(self) -> None:
        """Take the slot over: nothing of the worker before stands in it but counters."""
        self._health.start(self._number, now_ns())

    def beat(self, state: str) -> None:
        """Say that it lives. RegionLost where the instance is not whole any more, or another."""
        self._instance.check()
        self._health.beat(self._number, now_ns(), state)

    def took(self, generation: int) -> None:
        """Say which lists are in use."""
        self._health.acknowledge(self._number, generation)

    def end(self) -> None:
        """Say that it is over."""
        self._health.beat(self._number, now_ns(), "off")
