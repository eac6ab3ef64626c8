"""The pictures of all tracks together. Each takes tracks and returns a figure; none reads."""

from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from spreadscan.catalogue import built_in
from spreadscan.report.history import OPEN_YET, Floats, Tracks
from spreadscan.report.theme import COLOURS, bare, figure, hint
from spreadscan.tracker.track import REASONS

ENDS = (*REASONS, OPEN_YET)
BARS = 12
_AGES = {1: "1 ms", 10: "10 ms", 100: "0.1 s", 1_000: "1 s", 10_000: "10 s", 60_000: "1 min",
         600_000: "10 min", 3_600_000: "1 h"}  # fmt: skip
_HOURS = 24
_STRONGEST = 0.85  # of the heat colour: ink must stay readable on it
_SPANS = {0.2: "0.2 s", 1: "1 s", 10: "10 s", 60: "1 min", 600: "10 min", 3600: "1 h", 10800: "3 h"}
_BPS = [n * 10.0**k for k in range(-3, 4) for n in (1, 2, 5)]
_SIZES = (10, 100, 1_000, 10_000, 100_000, 1_000_000)


class Pair(NamedTuple):
    """A pair in a direction, over its opportunities; medians leave out what is not known."""

    pair: str
    direction: int
    times: int
    kept: float  # together, in its quote currency
    peak_net_bps: float
    duration_s: float
    notional: float
    trip_bps: float


def opportunities(tracks: Tracks) -> NDArray[np.int64]:
    """Return the rows of tracks that are opportunities of their own, best first.

    Tracks of one coin that overlap in time and share a leg saw one opportunity: the leg that is
    out of line is the same. Of those the one counts that kept most. Tracks without an exit price
    are none.
    """
    kept = tracks.kept
    order = np.argsort(-kept, kind="stable")
    taken: dict[tuple[str, str, int], list[tuple[float, float]]] = {}  # by leg, never overlapping
    found = []
    for row in order[: np.count_nonzero(~np.isnan(kept))]:
        pair, number = str(tracks.pair[row]), int(tracks.direction[row])
        direction = built_in().direction_at.get(number)
        buy, sell = (direction.buy.id, direction.sell.id) if direction else (number, number)
        span_s = float(tracks.opened_s[row]), float(tracks.closed_s[row])
        legs = [taken.setdefault((pair, side, leg), []) for side, leg in
                (("buy", buy), ("sell", sell))]  # fmt: skip
        if not any(_overlaps(spans, span_s) for spans in legs):
            found.append(row)
            for spans in legs:
                insort(spans, span_s)
    return np.array(found, np.int64)


def _overlaps(spans: list[tuple[float, float]], span_s: tuple[float, float]) -> bool:
    at = bisect_left(spans, span_s)
    before, after = spans[at - 1 : at] if at else [], spans[at : at + 1]
    return any(span_s[0] < end and begin < span_s[1] for begin, end in (*before, *after))


def best_pairs(tracks: Tracks, n: int) -> list[Pair]:
    """Return the n pairs whose opportunities kept most after the fees of both ends."""
    tracks = tracks.where(opportunities(tracks))
    keys = np.char.add(np.char.add(tracks.pair.astype(str), " "), tracks.direction.astype(str))
    _, first, of_track = np.unique(keys, return_index=True, return_inverse=True)
    kept_of = np.bincount(of_track, tracks.kept, len(first))
    best = np.argsort(-kept_of, kind="stable")[:n]
    found = []
    for key in best:
        rows = np.flatnonzero(of_track == key)
        found.append(
            Pair(
                str(tracks.pair[first[key]]),
                int(tracks.direction[first[key]]),
                len(rows),
                float(kept_of[key]),
                *(
                    median(column[rows])
                    for column in (
                        tracks.peak_net_bps,
                        tracks.duration_s,
                        tracks.notional,
                        tracks.trip_bps,
                    )
                ),
            )
        )
    return found


def median(values: Floats) -> float:
    """Return the median of what is known, NaN where nothing is."""
    known = values[~np.isnan(values)]
    return float(np.median(known)) if len(known) else float("nan")


def heat_signals(tracks: Tracks) -> Figure:
    """Directions by hours of the day: how many signals."""
    directions = _directions(tracks)
    counts = _by_hour(tracks, directions, np.ones(len(tracks)))
    return _heat(counts, directions, "signals", lambda value: f"{value:,.0f}")


def heat_peaks(tracks: Tracks) -> Figure:
    """Directions by hours of the day: mean of the peaks."""
    known = ~np.isnan(tracks.peak_net_bps)
    tracks = tracks.where(known)
    directions, weights = _directions(tracks), (tracks.peak_net_bps, np.ones(len(tracks)))
    sums, counts = (_by_hour(tracks, directions, each) for each in weights)
    with np.errstate(invalid="ignore"):
        cells = sums / counts
    return _heat(cells, directions, "bps mean peak net", lambda value: f"{value:.0f}")


def _directions(tracks: Tracks) -> list[int]:
    """Return the directions that have a row: those scanned by default, and any with a track."""
    seen = set(tracks.direction[tracks.direction >= 0].tolist())
    by_default = {d.id for d in built_in().directions if d.buy.default and d.sell.default}
    return sorted(by_default | seen)


def _by_hour(tracks: Tracks, directions: Sequence[int], weights: Floats) -> Floats:
    """Return sums by direction, in that order, and hour."""
    rows = tracks.direction >= 0
    hours = (tracks.opened_s[rows] // 3600).astype(np.int64) % _HOURS
    cells = np.searchsorted(directions, tracks.direction[rows]) * _HOURS + hours
    n = len(directions) * _HOURS
    sums: Floats = np.bincount(cells, weights[rows], n).astype(np.float64)
    return sums.reshape(-1, _HOURS)


def _heat(
    cells: Floats, directions: Sequence[int], unit: str, text: Callable[[float], str]
) -> Figure:
    found, axes = figure(10, 0.3 + 0.3 * len(directions))
    bare(axes)
    most = np.nanmax(cells, initial=0.0) or 1.0
    for (row, hour), value in np.ndenumerate(cells):
        empty = not value > 0
        share = 0.0 if empty else 0.1 + (_STRONGEST - 0.1) * value / most
        face = to_rgba(COLOURS["grid"], 0.35) if empty else to_rgba(COLOURS["heat"], share)
        box = Rectangle((hour + 0.04, row + 0.05), 0.92, 0.9, facecolor=face, linewidth=0)
        shown = "0" if empty else text(value)
        hint(
            box,
            f"{direction_name(directions[row])}, {hour:02d}:00-{hour:02d}:59 UTC: {shown} {unit}",
        )
        axes.add_patch(box).set_in_layout(False)  # measuring hundreds of these takes seconds
        if not empty:
            number = axes.text(hour + 0.5, row + 0.5, _short(value), fontsize=7.5)
            number.set(ha="center", va="center", in_layout=False)
    axes.set(xlim=(0, _HOURS), ylim=(len(directions), 0), xlabel="hour of the day, UTC")
    axes.set_xticks(np.arange(_HOURS) + 0.5, [f"{hour:02d}" for hour in range(_HOURS)])
    axes.set_yticks(np.arange(len(directions)) + 0.5, [direction_name(d) for d in directions])
    return found


def _short(value: float) -> str:
    return f"{value:.0f}" if value < 999.5 else f"{value / 1e3:.1f}k" if value < 1e5 else "many"


def durations(tracks: Tracks) -> Figure:
    """How long spreads lived, by how they ended."""
    found, axes = figure(5.4, 3.3)
    ended = tracks.where(~np.isnan(tracks.duration_s))
    edges = np.geomspace(0.2, max(10_800.0, np.max(ended.duration_s, initial=0.0)), 40)
    _stacked(axes, ended, np.clip(ended.duration_s, edges[0], None), edges)
    axes.set(xscale="log", xlabel="from signal to end", ylabel="signals")
    axes.set_xticks(list(_SPANS), list(_SPANS.values()))
    axes.set_xticks([], minor=True)
    _mark(axes, median(ended.duration_s), span)
    return found


def peaks(tracks: Tracks) -> Figure:
    """How far spreads went, by how they ended."""
    found, axes = figure(5.4, 3.3)
    known = tracks.where(tracks.peak_net_bps > 0)
    low, high = np.nanpercentile(known.peak_net_bps, [0, 100]) if len(known) else (10.0, 100.0)
    middle, half = np.sqrt(low * high), max(1.02 * np.sqrt(high / low), 2.0)
    edges = np.geomspace(middle / half, middle * half, 40)
    _stacked(axes, known, known.peak_net_bps, edges)
    axes.set(xscale="log", xlabel="peak net edge, bps after entry fees", ylabel="signals")
    ticks = [t for t in _BPS if edges[0] <= t <= edges[-1]]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    _mark(axes, median(known.peak_net_bps), lambda value: f"{value:.0f} bps")
    return found


def _stacked(axes: Axes, tracks: Tracks, values: Floats, edges: Floats) -> None:
    base = np.zeros(len(edges) - 1)
    for reason in ENDS:
        counts, _ = np.histogram(values[tracks.reason == reason], edges)
        if counts.any():
            axes.bar(
                edges[:-1], counts, np.diff(edges), base, align="edge", linewidth=0.6,
                color=COLOURS[reason.lower()], edgecolor=COLOURS["paper"], label=named(reason),
            )  # fmt: skip
        base += counts
    axes.grid(axis="x", visible=False)
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.set_ylim(0, max(1.0, base.max() * 1.15))
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower left", bbox_to_anchor=(0, 1), ncols=len(ENDS), borderaxespad=0.2,
            handlelength=0.8, handletextpad=0.4, columnspacing=1.0,
        )  # fmt: skip


def _mark(axes: Axes, value: float, text: Callable[[float], str]) -> None:
    """Draw the median, where there is one."""
    if value == value:
        axes.axvline(value, color=COLOURS["ink"], linewidth=1, linestyle=(0, (3, 2)))
        axes.annotate(f"median {text(value)}", (value, axes.get_ylim()[1]), (5, -3), va="top",
                      textcoords="offset points", fontsize=8.5)  # fmt: skip


def named(reason: str) -> str:
    """Return a reason as people read it."""
    return "still open" if reason == OPEN_YET else reason.lower().replace("_", " ")


def direction_name(number: int) -> str:
    """Return a direction's name as it is shown, e.g. 'okx → mexc'."""
    known = built_in().direction_at.get(number)
    return known.name.replace("->", " → ") if known else f"direction {number}"


def span(seconds: float) -> str:
    """Return a time span in the unit that suits it."""
    if seconds != seconds:
        return "–"
    for limit, unit, size in ((1, "ms", 1e-3), (120, "s", 1), (7_200, "min", 60)):
        if seconds < limit:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 3600:,.1f} h"


def bars(pairs: list[Pair], currency: str) -> Figure:
    """The best pairs, up to BARS of them, by what their opportunities kept in quote currency."""
    found, axes = figure(5.4, 3.9)
    places = np.arange(len(pairs))
    kept = [pair.kept for pair in pairs]
    drawn = axes.barh(places, kept, 0.72, color=COLOURS["accent"])
    for bar, pair in zip(drawn, pairs, strict=True):
        hint(bar, f"{pair.pair} {direction_name(pair.direction)}: {pair.times:,} times, "
                  f"{pair.kept:,.2f} {pair.pair.rpartition('-')[2]}")  # fmt: skip
    axes.bar_label(drawn, [f"{value:,.2f}" for value in kept], padding=3, fontsize=8)
    axes.set_yticks(places, [f"{p.pair}  {direction_name(p.direction)}" for p in pairs])
    axes.set_ylim(BARS - 0.4, -0.6)
    low, high = min([*kept, 0.0]), max([*kept, 0.0])
    room = 0.2 * (high - low)  # for the numbers beside the bars
    axes.set_xlim(low - room * (low < 0), (high + room * (high > 0)) if room else 1.0)
    axes.set_xlabel(f"{currency} kept, all times together")
    axes.grid(axis="y", visible=False)
    return found


def ages(tracks: Tracks) -> Figure:
    """How old the quotes were that spreads rest on: shares of signals by age."""
    found, axes = figure(10, 3.0)
    ends = list(_AGES)
    axes.set(
        xscale="log", xlim=(ends[0], ends[-1]), ylim=(0, 1.04), ylabel="share of signals",
        xlabel="age of the older quote, at most",
    )  # fmt: skip
    axes.set_xticks(ends, list(_AGES.values()))
    axes.set_xticks([], minor=True)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    grid = np.geomspace(ends[0], ends[-1], 320)
    drawn = (("at OPEN", tracks.open_age_ms, "accent"),
             ("worst while followed", tracks.worst_age_ms, "sell"))  # fmt: skip
    for name, values, colour in drawn:
        known = np.sort(np.fmax(values[~np.isnan(values)], ends[0]))
        if not len(known):
            continue
        share = 1.0 - share_at(known, np.nextafter(grid, np.inf))
        axes.step(grid, share, where="post", color=COLOURS[colour], linewidth=1.8,
                  label=f"{name}, median {span(median(known) / 1e3)}")  # fmt: skip
        for age in (1_000, 10_000, 60_000):
            value = float(np.mean(known <= age))
            (dot,) = axes.plot(age, value, "o", color=COLOURS[colour], markersize=4)
            hint(dot, f"{name}: {value:.1%} of {len(known):,} signals within {_AGES[age]}")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right")
    else:
        axes.text(0.5, 0.5, "no signal tells the age of its quotes", ha="center", va="center",
                  transform=axes.transAxes, color=COLOURS["muted"])  # fmt: skip
    return found


def sizes(tracks: Tracks) -> Figure:
    """Which share of the spreads could have been taken at a size."""
    found, axes = figure(5.4, 3.9)
    known = np.sort(tracks.notional[~np.isnan(tracks.notional)])
    axes.set(
        xscale="log", xlim=(_SIZES[0], _SIZES[-1]), ylim=(0, 1.04), ylabel="share of signals",
        xlabel=f"{tracks.currency} available at OPEN, at the touch of both legs",
    )  # fmt: skip
    axes.set_xticks(list(_SIZES), [_money(size) for size in _SIZES])
    axes.set_xticks([], minor=True)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
    if len(known):
        grid = np.geomspace(_SIZES[0], _SIZES[-1], 240)
        share = share_at(known, grid)
        axes.fill_between(grid, share, color=COLOURS["accent"], alpha=0.14, linewidth=0)
        axes.plot(grid, share, color=COLOURS["accent"], linewidth=1.8)
        for size in (100, 1_000, 10_000):
            value = float(share_at(known, np.array([float(size)]))[0])
            (dot,) = axes.plot(size, value, "o", color=COLOURS["accent"], markersize=5)
            hint(
                dot, f"{value:.1%} of signals had at least {size:,} {tracks.currency} on both legs"
            )
            axes.annotate(f"{value:.0%} ≥ {_money(size)}", (size, value), (7, 4),
                          textcoords="offset points", fontsize=8.5)  # fmt: skip
    return found


def share_at(known: Floats, at: Floats) -> Floats:
    """Return which share of sorted values is at least each of `at`."""
    below: NDArray[np.int64] = np.searchsorted(known, at, "left")
    return 1.0 - below / max(1, len(known))


def _money(amount: float) -> str:
    return f"{amount:,.0f}" if amount < 1e4 else f"{amount / 1e3:,.0f}k" if amount < 1e6 else "1M"
