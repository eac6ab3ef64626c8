"""Times that the compiled loops fill in, and what is said of them."""

from array import array
from collections.abc import Sequence


def times(n: int) -> "array[int]":
    """Return room for n times in ns."""
    return array("q", bytes(8 * n))


def quantile(ns: Sequence[int], point: float) -> float:
    """Return the time that `point` of them are not above."""
    return float(sorted(ns)[min(len(ns) - 1, int(point * len(ns)))])


def median(ns: Sequence[int]) -> float:
    return quantile(ns, 0.5)
