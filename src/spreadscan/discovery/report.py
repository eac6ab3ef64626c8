"""What a discovery run found, for people and for programs."""

import msgspec

from spreadscan.errors import printable
from spreadscan.lists import Failure

IN_NO_DIRECTION = "in_no_direction"  # the reason of `skipped` for pairs that none can use

_LISTS = (
    ("quarantined", "quarantined_pairs"),
    ("invalid", "invalid_pairs"),
    ("quiet", "quiet_pairs"),
)


class SourceResult(msgspec.Struct, kw_only=True):
    """What was found of one source. *_pairs: name -> reason."""

    total_pairs: int = 0
    valid_pairs: int = 0
    quiet_pairs: dict[str, str] = {}
    quarantined_pairs: dict[str, str] = {}
    invalid_pairs: dict[str, str] = {}
    skipped: dict[str, int] = {}  # REST rows left out, by reason
    incomplete_rows: dict[str, str] = {}  # those of them that lack a field, by name
    declined: dict[str, int] = {}  # frames that gave nothing, by reason
    timeout_sec: float = 0.0  # the limit of a batch
    took_sec: float = 0.0
    error: str = ""  # why it gave no list, or no quote at all
    list_written: str = ""  # then: UTC of the list that its pairs are from


class Result(msgspec.Struct, kw_only=True):
    """What a discovery run found and wrote. directions: name -> edges.

    in_no_direction: pairs that are listed, but that no enabled direction can use. without_rate:
    edges between quote currencies that were left out, since nobody quotes now what converts them.
    """

    generation: int
    symbols: int
    directions: dict[str, int]
    sources: dict[str, SourceResult]
    took_s: float
    folder: str
    in_no_direction: int = 0
    without_rate: int = 0

    @property
    def failed(self) -> dict[str, Failure]:
        """Return the sources that failed: the set is degraded."""
        return {
            name: Failure(why=source.error, list_written=source.list_written)
            for name, source in self.sources.items()
            if source.error
        }


def remarks(result: Result) -> str:
    """Return what was left out of all directions, as the end of a line; "" where nothing was."""
    more = f"; {n} more in no direction" if (n := result.in_no_direction) else ""
    return more + (f"; {n} edges without a rate" if (n := result.without_rate) else "")


def report_text(result: Result) -> str:
    """Return validation_report.txt: totals per source, then every pair that is not valid."""
    lines = [
        f"generation {result.generation}, {result.symbols} pairs, {result.took_s:.1f} s"
        + remarks(result),
        "",
        "source            total  valid  quiet  quarantined  invalid  timeout_sec  took_sec",
    ]
    for name, source in result.sources.items():
        lines.append(
            f"{name:<16} {source.total_pairs:>6} {source.valid_pairs:>6} "
            f"{len(source.quiet_pairs):>6} {len(source.quarantined_pairs):>12} "
            f"{len(source.invalid_pairs):>8} "
            f"{source.timeout_sec:>12g} {source.took_sec:>9g}"
        )
    if result.failed:
        lines += ["", "failed sources"]
        lines += [f"{name:<16} {failure}" for name, failure in result.failed.items()]
    lines += ["", "direction         pairs"]
    lines += [f"{name:<16} {pairs:>6}" for name, pairs in result.directions.items()]
    for title, field in _LISTS:
        lines += ["", f"{title} pairs"]
        for name, source in result.sources.items():
            rows: dict[str, str] = getattr(source, field)
            lines += [f"{name:<16} {pair:<20} {reason}" for pair, reason in sorted(rows.items())]
    lines += ["", "rows left out of the lists"]
    for name, source in result.sources.items():
        lines += [f"{name:<16} {why:<20} {n}" for why, n in sorted(source.skipped.items())]
    for name, source in result.sources.items():
        lines += [f"{name:<16} {row:<20} {why}" for row, why in source.incomplete_rows.items()]
    return "\n".join(map(printable, lines)) + "\n"
