"""Single tracks: which to show, their looks out of the snapshots, and how one is drawn."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from spreadscan.errors import BadData
from spreadscan.export import Damage, Input, read
from spreadscan.report.figures import direction_name, named, span
from spreadscan.report.history import OPEN_YET, Floats, Gap, History, Progress, Tracks
from spreadscan.report.theme import COLOURS, figure

_COLUMNS = ("track_id", "time", "buy_ask", "sell_bid", "net_bps")
_BUCKETS = 200  # of a track; the lowest and the highest net of each are drawn
_HOUR_S = 3600.0


class Line(NamedTuple):
    """What is drawn of a track; age_s: seconds since OPEN. NaN where a leg had no quote."""

    age_s: Floats
    buy_ask: Floats
    sell_bid: Floats
    net_bps: Floats
    looks: int  # before they were thinned out

    def plain(self) -> dict[str, list[float | None]]:
        """Return the values for the page, short: a screen shows no seventh digit."""
        return {
            name: [float(f"{x:.7g}") if x == x else None for x in values]
            for name, values in zip("tbsn", self[:4], strict=True)
        }


def choose(history: History, n: int, budget: int) -> list[int]:
    """Return rows of the newest n / 2 tracks and of the n / 2 with the highest peak, newest first.

    Of those that count in statistics, and no more than can be read in `budget` bytes of text; a
    track is left out where its hours would go beyond it.
    """
    tracks = history.tracks
    proven = np.flatnonzero(tracks.proven)
    newest = list(proven[::-1])
    highest = list(proven[np.argsort(-np.nan_to_num(tracks.peak_net_bps[proven]), kind="stable")])
    hours: set[str] = set()
    chosen: list[int] = []
    for order, most in ((newest, n // 2), (highest, n)):
        for row in order[: 4 * n]:  # a few may be left out
            if len(chosen) == most or row in chosen:
                continue
            more = {each.name: each.text_size for each in _hours_of(history, [row])}
            new = {name: size for name, size in more.items() if name not in hours}
            if more and sum(new.values()) <= budget:
                budget -= sum(new.values())
                hours |= set(new)
                chosen.append(int(row))
    return sorted(chosen, key=lambda row: -tracks.opened_s[row])


def cost(history: History, rows: Sequence[int]) -> int:
    """Return the bytes of text that lines() will read."""
    return sum(each.text_size for each in _hours_of(history, rows))


def _hours_of(history: History, rows: Sequence[int]) -> list[Input]:
    """Files with looks at any of these tracks."""
    opened = history.tracks.opened_s[list(rows)]
    closed = history.tracks.closed_s[list(rows)]
    return [
        each
        for each in history.hours
        if np.any(
            (opened < each.begins.timestamp() + _HOUR_S)
            & ~(closed < each.begins.timestamp())  # an open one has no end
        )
    ]


def lines(history: History, rows: Sequence[int], progress: Progress) -> dict[int, Line]:
    """Return the looks at these tracks, thinned out; faults of the files go to history.faults."""
    ids = history.tracks.id[list(rows)]
    wanted = pa.array(ids, pa.string())
    found: list[pa.Table] = []
    for source in _hours_of(history, rows) if rows else []:
        damage = Damage()
        try:
            for table in read(source, damage, progress, _COLUMNS):
                table = table.filter(pc.is_in(table["track_id"], wanted))
                if table.num_rows:
                    found.append(table)
        except BadData as error:
            history.faults.append(str(error))
        history.faults.extend(damage.sentences())
    if not found:
        return {}
    looks = pa.concat_tables(found)
    return {
        row: _line(looks.filter(pc.equal(looks["track_id"], track)), history.tracks.opened_s[row])
        for row, track in zip(rows, ids, strict=True)
        if pc.any(pc.equal(looks["track_id"], track)).as_py()
    }


def _line(looks: pa.Table, opened_s: float) -> Line:
    looks = looks.sort_by("time")
    age_s = looks["time"].cast(pa.int64()).to_numpy() / 1e6 - opened_s
    buy_ask, sell_bid, net = (looks[name].to_numpy() for name in _COLUMNS[2:])
    rows = _thinned(net)
    return Line(age_s[rows], buy_ask[rows], sell_bid[rows], net[rows], len(age_s))


def _thinned(net: Floats) -> Any:
    """Rows of the first, lowest, highest look of each bucket, and the last."""
    if len(net) <= 2 * _BUCKETS:
        return np.arange(len(net))
    kept = {len(net) - 1}
    for bucket in np.array_split(np.arange(len(net)), _BUCKETS):
        kept.add(int(bucket[0]))  # whatever it is: a leg that was empty shows as a hole
        values = net[bucket]
        if not np.all(np.isnan(values)):
            kept |= {int(bucket[np.nanargmin(values)]), int(bucket[np.nanargmax(values)])}
    return np.array(sorted(kept))


def _broken_at(line: Line, gaps_s: Sequence[tuple[float, float]]) -> Line:
    """A line with a hole in every gap (begin, end: seconds since OPEN)."""
    for begin, end in gaps_s:
        middle = (begin + end) / 2
        at = int(np.searchsorted(line.age_s, middle))
        values = (line.buy_ask, line.sell_bid, line.net_bps)
        buy_ask, sell_bid, net = (np.insert(each, at, np.nan) for each in values)
        line = Line(np.insert(line.age_s, at, middle), buy_ask, sell_bid, net, line.looks)
    return line


def title(tracks: Tracks, row: int) -> str:
    """Return a track's pair and direction."""
    return f"{tracks.pair[row]}  {direction_name(int(tracks.direction[row]))}"


def draw(tracks: Tracks, row: int, line: Line, gaps: Sequence[Gap]) -> Figure:
    """Draw both prices, the net edge, and the gaps in which nobody looked."""
    found, (prices, edge) = figure(10, 4.4, 2, sharex=True, height_ratios=(3, 2))
    opened_s = tracks.opened_s[row]
    gaps_s = [(gap.end_s - gap.gap_s - opened_s, gap.end_s - opened_s) for gap in gaps]
    line = _broken_at(line, gaps_s)
    per_unit, unit = scale(line.age_s[-1])
    age = line.age_s / per_unit
    buy, sell = COLOURS["buy"], COLOURS["sell"]
    prices.fill_between(age, line.buy_ask, line.sell_bid, color=COLOURS["accent"], alpha=0.10,
                        linewidth=0)  # fmt: skip
    prices.plot(age, line.sell_bid, color=sell, label="sell leg: bid")
    prices.plot(age, line.buy_ask, color=buy, label="buy leg: ask")
    prices.set_ylabel(f"{tracks.quote[row]} per coin")
    prices.ticklabel_format(axis="y", useOffset=False, style="plain")
    prices.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=2, borderaxespad=0.2)
    edge.axhline(0, color=COLOURS["muted"], linewidth=0.8)
    edge.fill_between(age, line.net_bps, color=COLOURS["accent"], alpha=0.14, linewidth=0)
    edge.plot(age, line.net_bps, color=COLOURS["accent"])
    edge.set(ylabel="net, bps", xlabel=f"{unit} since the signal")
    if line.looks and not np.all(np.isnan(line.net_bps)):
        top = int(np.nanargmax(line.net_bps))
        edge.plot(age[top], line.net_bps[top], "o", color=COLOURS["accent"], markersize=5)
        edge.annotate(f"peak {line.net_bps[top]:.1f}", (age[top], line.net_bps[top]), (6, 2),
                      textcoords="offset points", fontsize=8.5)  # fmt: skip
    for (begin, end), gap in zip(gaps_s, gaps, strict=True):
        for axes in (prices, edge):
            axes.axvspan(begin / per_unit, end / per_unit, color=COLOURS["muted"], alpha=0.18,
                         linewidth=0)  # fmt: skip
        prices.text((begin + end) / 2 / per_unit, 0.02, f"gap: {gap.reason.lower()}",
                    transform=prices.get_xaxis_transform(), ha="center", fontsize=7.5,
                    color=COLOURS["muted"])  # fmt: skip
    reason = str(tracks.reason[row])
    ended = named(reason)
    if reason != OPEN_YET:
        edge.axvline(
            tracks.duration_s[row] / per_unit, color=COLOURS[reason.lower()], linewidth=1.2
        )
        ended += f" after {span(tracks.duration_s[row])}"
    prices.set_title(ended, loc="right", fontsize=8.5, color=COLOURS["muted"])
    for axes in (prices, edge):
        axes.set_xlim(min(0.0, age[0]), max(age[-1], age[0] + 1e-9))
    return found


def scale(age_s: float) -> tuple[float, str]:
    """Return the seconds of the unit that suits a span, and its name."""
    return (
        (1.0, "seconds")
        if age_s < 300
        else (60.0, "minutes")
        if age_s < 7200
        else (3600.0, "hours")
    )
