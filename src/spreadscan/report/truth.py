"""Whether the quotes were true: what the audit of each source came to, out of its files.

A heat map of agreement by source and time, and a table of totals.
"""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from spreadscan.app.truth import floored
from spreadscan.audit.agreement import AGREE_PCT, agreement_pct
from spreadscan.catalogue import built_in
from spreadscan.disk.files import data_files, read_rows
from spreadscan.errors import BadData
from spreadscan.report.theme import COLOURS, bare, figure, hint
from spreadscan.tracker import AUDIT

_HOUR_S = 3600
_STEPS_H = (1, 2, 3, 6, 12, 24, 48, 168, 720)  # of a column
_COLUMNS = 30  # at most
_LABELS = 12
_COUNTED = [column.name for column in AUDIT.columns if column.unit == "integer"]
_ALL = "all"


class Hour(NamedTuple):
    """A row of the audit's files: what was counted of a source in an hour, or less."""

    begin_s: float  # Unix
    end_s: float
    source: str
    counts: Mapping[str, int]


class Total(NamedTuple):
    """All hours of a source together, or of all sources. left_out: of which nothing was judged."""

    source: str
    counts: Mapping[str, int]
    left_out: int = 0


def read(folder: Path, since: datetime | None, faults: list[str]) -> list[Hour]:
    """Return the hours that end after since, oldest first; what cannot be read goes to faults."""
    found: list[Hour] = []
    for file in data_files(folder, AUDIT):
        try:
            found += _hours(file.path, faults)
        except BadData as error:
            faults.append(str(error))
    if since is not None:
        found = [hour for hour in found if hour.end_s >= since.timestamp()]
    return sorted(found, key=lambda hour: (hour.begin_s, hour.source))


def _hours(path: Path, faults: list[str]) -> list[Hour]:
    found, n_broken = [], 0

    def broken() -> None:
        nonlocal n_broken
        n_broken += 1

    for row in read_rows(path, AUDIT, broken):
        try:
            begin_s, end_s = (
                datetime.fromisoformat(row[name]).timestamp() for name in ("begin", "end")
            )
            counts = {name: int(row[name]) for name in _COUNTED}
        except ValueError:
            broken()
            continue
        found.append(Hour(begin_s, end_s, row["source"], counts))
    if n_broken:
        faults.append(f"{path}: left out {n_broken} broken lines, expected rows of the audit")
    return found


def totals(hours: Sequence[Hour]) -> list[Total]:
    """Return one of each source that was audited, and of all where there are several."""
    sums: dict[str, Counter[str]] = {}
    for hour in hours:
        sums.setdefault(hour.source, Counter()).update(hour.counts)
    found = [Total(name, sums[name]) for name in _ordered(sums)]
    if len(found) > 1:
        together = Counter[str]()
        for total in found:
            together.update(total.counts)
        silent = sum(agreement_pct(total.counts) is None for total in found)
        found.append(Total(_ALL, together, silent))
    return found


def _ordered(names: Mapping[str, object]) -> list[str]:
    known = [source.name for source in built_in().sources]
    return sorted(names, key=lambda name: (known.index(name) if name in known else 99, name))


def heat(hours: Sequence[Hour]) -> Figure:
    """Sources by time: which share of the quotes judged agreed with their venue."""
    first, last = min(h.begin_s for h in hours), max(h.begin_s for h in hours)
    step_s = _step_s(first, last)
    begin = int(first // step_s)
    n_columns = int(last // step_s) - begin + 1
    cells: dict[tuple[str, int], Counter[str]] = {}
    for hour in hours:
        key = hour.source, int(hour.begin_s // step_s) - begin
        cells.setdefault(key, Counter()).update(hour.counts)
    names = _ordered({hour.source: None for hour in hours})
    found, axes = figure(10, 0.9 + 0.26 * len(names))
    bare(axes)
    for row, name in enumerate(names):
        for column in range(n_columns):
            counts = cells.get((name, column), Counter())
            box = Rectangle((column + 0.04, row + 0.05), 0.92, 0.9, linewidth=0)
            box.set_facecolor(_colour(counts))
            hint(box, _told(name, (begin + column) * step_s, step_s, counts))
            axes.add_patch(box).set_in_layout(False)
            if counts:
                text = axes.text(column + 0.5, row + 0.5, _short(counts), fontsize=7)
                text.set(ha="center", va="center", in_layout=False)
    axes.set(xlim=(0, max(n_columns, 24)), ylim=(len(names), 0))
    axes.set_yticks([row + 0.5 for row in range(len(names))], names)
    every = math.ceil(n_columns / _LABELS)
    columns = range(0, n_columns, every)
    axes.set_xticks([c + 0.5 for c in columns], list(_labels(columns, begin, step_s)))
    axes.set_xlabel(f"begin of {_length(step_s)}, UTC")
    return found


def _step_s(first: float, last: float) -> int:
    """Return the time of a column, such that all fit beside each other."""
    steps = [hours * _HOUR_S for hours in _STEPS_H]
    return next((s for s in steps if last // s - first // s < _COLUMNS), steps[-1])


def _length(step_s: int) -> str:
    hours = step_s // _HOUR_S
    if hours == 1:
        return "the hour"
    return f"{hours} hours" if hours < 48 and hours != 24 else (
        "the day" if hours == 24 else f"{hours // 24} days"
    )  # fmt: skip


def _labels(columns: Sequence[int], begin: int, step_s: int) -> Iterator[str]:
    """Give the hour, and the day where it is another; or the day alone."""
    day = ""
    for column in columns:
        moment = datetime.fromtimestamp((begin + column) * step_s, UTC)
        text = f"{moment:%H:%M}" if step_s < 24 * _HOUR_S else ""
        if f"{moment:%m-%d}" != day:
            day = f"{moment:%m-%d}"
            text = f"{text}\n{day}" if text else day
        yield text


def _colour(counts: Mapping[str, int]) -> tuple[float, float, float, float]:
    if not counts:
        return to_rgba(COLOURS["grid"], 0.35)
    pct = agreement_pct(counts)
    if pct is None:  # nothing was judged
        return to_rgba(COLOURS["expired"], 0.45)
    if pct < AGREE_PCT:
        return to_rgba(COLOURS["lost"], 0.65)
    return to_rgba(COLOURS["heat"], 0.2 + 0.5 * (pct - AGREE_PCT) / (100 - AGREE_PCT))


def _short(counts: Mapping[str, int]) -> str:
    pct = agreement_pct(counts)
    return "none" if pct is None else floored(pct, 1)


def _told(name: str, at_s: int, step_s: int, counts: Mapping[str, int]) -> str:
    begin, end = (datetime.fromtimestamp(s, UTC) for s in (at_s, at_s + step_s))
    head = f"{name}, {begin:%Y-%m-%d %H:%M} to {end:%m-%d %H:%M} UTC: "
    if not counts:
        return f"{head}not audited"
    judged = counts["agreed"] + counts["accused"]
    return (
        f"{head}{floored(agreement_pct(counts), 2)} % agreed of {judged:,} judged; not judged "
        f"{counts['not_judged']:,}, wrong {counts['wrong']:,}, halted {counts['halts']:,}; rounds "
        f"{counts['rounds']:,}, failed {counts['failed']:,}, lagging {counts['lagging']:,}"
    )
