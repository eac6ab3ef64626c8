"""How a worker shows others that its role lives, and on which lists."""

from spreadcore import Instance

from spreadscan.clock import now_ns
from spreadscan.errors import Halt


class Role:
    """The health slot of a role. The instance has `health` mapped for writing.

    name: for people. The caller holds the lease.
    """

    def __init__(self, instance: Instance, number: int, name: str) -> None:
        self._instance = instance
        self._health = instance.health
        self._number = number
        self._name = name

    def begin(self) -> None:
        """Take the slot over: nothing of the worker before stands in it but counters."""
        self._health.start(self._number, now_ns())

    def beat(self, state: str) -> None:
        """Say that it lives. Halt where a newer instance took the name: nobody reads this one."""
        self._health.beat(self._number, now_ns(), state)
        if self._instance.superseded:
            raise Halt(f"{self._name}: the instance was replaced, expected to own it")

    def took(self, generation: int) -> None:
        """Say which lists are in use."""
        self._health.acknowledge(self._number, generation)

    def end(self) -> None:
        """Say that it is over."""
        self._health.beat(self._number, now_ns(), "off")
