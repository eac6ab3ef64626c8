"""Edges in the simplest order: a direction compares a row of a source with that row of another."""

from collections.abc import Sequence

from spreadcore.edges import EdgeIndex


class Pairs(EdgeIndex):
    """directions: (number, buy source, sell source). The edge of a direction and a row is number
    direction * n_rows + row, its rule the direction."""

    def __new__(
        cls, n_sources: int, n_rows: int, directions: Sequence[tuple[int, int, int]]
    ) -> "Pairs":
        n_directions = max((number for number, _, _ in directions), default=0) + 1
        made = super().__new__(cls, n_sources, n_rows, n_directions * n_rows)
        made.directions = {number: legs for number, *legs in directions}
        return made

    def __init__(self, *_: object) -> None:
        """All is done by __new__()."""

    def edge(self, direction: int, row: int) -> int:
        return direction * self.n_rows + row

    def compare(self, direction: int, row: int) -> None:
        """Let a direction compare this row."""
        buy, sell = self.directions[direction]
        self.add(self.edge(direction, row), buy, row, sell, row, direction)
