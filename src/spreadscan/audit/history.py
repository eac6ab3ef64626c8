"""What the audit of each source came to, hour by hour: rows for a file."""

from collections import Counter
from collections.abc import Callable, Mapping

from spreadscan.clock import iso_utc

_HOUR_NS = 3_600_000_000_000
_WAITING_MAX = 1_000  # rows that the disk did not take, some days of them

COUNTED = (
    "rounds", "failed", "lagging", "incomplete", "too_many", "audited", "agreed", "not_judged",
    "accused", "wrong", "halts", "questions", "answers", "requests", "status_reads",
    "status_pushes", "funding_polls", "funding_failed",
)  # fmt: skip

# write(day as 20261120, row by column name) -> whether it stands in the file now
Write = Callable[[str, Mapping[str, str]], bool]
Tallies = Callable[[], Mapping[str, Counter[str]]]


class History:
    """Writes a row per source when an hour of UTC is over, and at the end of a run.

    tallies: gives by source what was counted since it was asked last. Times are Unix ns.
    """

    def __init__(self, write: Write, tallies: Tallies, unix_ns: int) -> None:
        self._write = write
        self._tallies = tallies
        self._since_ns = unix_ns
        self._waiting: list[tuple[str, dict[str, str]]] = []

    def end_hour(self, unix_ns: int) -> None:
        """Write the hour that is over, if one is."""
        if unix_ns // _HOUR_NS != self._since_ns // _HOUR_NS:
            self.close(unix_ns)

    def close(self, unix_ns: int) -> None:
        """Write what there is since the last rows."""
        day = iso_utc(self._since_ns)[:10].replace("-", "")
        for source, counts in self._tallies().items():
            row = {
                "begin": iso_utc(self._since_ns),
                "end": iso_utc(unix_ns),
                "source": source,
                **{name: str(counts[name]) for name in COUNTED},
            }
            self._waiting.append((day, row))
        self._since_ns = unix_ns
        del self._waiting[:-_WAITING_MAX]
        while self._waiting and self._write(*self._waiting[0]):
            del self._waiting[0]
