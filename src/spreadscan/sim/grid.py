"""Decimal steps of prices and sizes, exactly."""

from typing import NamedTuple


class Grid(NamedTuple):
    """A decimal step: n steps are n * step / inverse, the float nearest to that decimal."""

    step: int
    inverse: int

    def at(self, n: int) -> float:
        """Return n steps."""
        return n * self.step / self.inverse


def power_of_ten(exponent: int, step: int = 1) -> Grid:
    """Return the grid of step * 10**exponent."""
    return Grid(step * 10**exponent, 1) if exponent >= 0 else Grid(step, 10**-exponent)
