"""Rows of the history: an hour each, and what there is at the end."""

from collections import Counter
from collections.abc import Mapping

from spreadscan.audit.history import COUNTED, History
from spreadscan.tracker.columns import AUDIT

HOUR = 3_600 * 10**9
AT = 1_700_002_800 * 10**9  # 2023-11-14 23:00:00


class Desk:
    def __init__(self) -> None:
        self.rows: list[tuple[str, Mapping[str, str]]] = []
        self.takes = True
        self.counts = {"a": Counter(rounds=3), "b": Counter(rounds=5, wrong=1)}
        self.history = History(self.write, self.tallies, AT + HOUR // 2)

    def write(self, day: str, row: Mapping[str, str]) -> bool:
        if self.takes:
            self.rows.append((day, row))
        return self.takes

    def tallies(self) -> Mapping[str, Counter[str]]:
        return self.counts


def test_a_row_of_each_source_stands_there_once_the_hour_is_over() -> None:
    desk = Desk()
    desk.history.end_hour(AT + HOUR - 1)
    assert [] == desk.rows
    desk.history.end_hour(AT + HOUR + 5)
    desk.history.end_hour(AT + HOUR + 6)
    assert ["20231114"] * 2 == [day for day, _ in desk.rows]  # the day that it began in
    first = desk.rows[0][1]
    assert ("2023-11-14T23:30:00.000000Z", "2023-11-15T00:00:00.000000Z") == (
        first["begin"], first["end"],
    )  # fmt: skip
    assert [("a", "3", "0"), ("b", "5", "1")] == [
        (row["source"], row["rounds"], row["wrong"]) for _, row in desk.rows
    ]
    desk.history.close(AT + HOUR + HOUR // 3)
    assert ["20231115"] * 2 == [day for day, _ in desk.rows[2:]]
    assert first["end"] == desk.rows[2][1]["begin"]


def test_a_disk_that_refuses_gets_the_rows_later() -> None:
    desk = Desk()
    desk.takes = False
    desk.history.end_hour(AT + HOUR + 1)
    assert [] == desk.rows
    desk.takes = True
    desk.history.close(AT + HOUR + 2)
    assert ["a", "b", "a", "b"] == [row["source"] for _, row in desk.rows]


def test_every_column_is_counted() -> None:
    assert {"begin", "end", "source", *COUNTED} == set(AUDIT.names)
