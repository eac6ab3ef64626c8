from typing import Final, NamedTuple

RECORD: Final[str]

class LegsTuple(NamedTuple):
    buy_source: int
    buy_row: int
    sell_source: int
    sell_row: int
    rule: int

class EdgeIndex:
    def __init__(self, n_sources: int, n_rows: int, n_edges: int) -> None: ...
    @property
    def n_sources(self) -> int: ...
    @property
    def n_rows(self) -> int: ...
    @property
    def n_edges(self) -> int: ...
    @property
    def n_in_use(self) -> int: ...
    def set_conversion(self, rule: int, found: tuple[str, int, int] | None) -> None: ...
    def add(
        self,
        edge: int,
        buy_source: int,
        buy_row: int,
        sell_source: int,
        sell_row: int,
        rule: int = 0,
    ) -> None: ...
    def add_all(self, records: bytes) -> None: ...
    def legs(self, edge: int) -> LegsTuple | None: ...
    def edges_of(self, source: int, row: int) -> list[int]: ...
