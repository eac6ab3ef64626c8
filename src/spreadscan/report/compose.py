"""From a data folder to a page and its pictures."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from spreadscan.app.truth import floored
from spreadscan.audit.agreement import agreement_pct
from spreadscan.disk import whole
from spreadscan.errors import ConfigError
from spreadscan.export import find
from spreadscan.report import figures, timeline, truth
from spreadscan.report.history import OPEN_YET, History, load
from spreadscan.report.page import Chart, Shown, number, pairs_table, render, truth_table
from spreadscan.report.theme import save_png, style, svg
from spreadscan.tracker import SIGNALS
from spreadscan.tracker.remarks import is_cleared, is_thrown
from spreadscan.tracker.track import ends_shown

Progress = Callable[[int, int], None]  # bytes of text done, and in all

_SHOWN = 20  # tracks on the page: some 40 kB each
_BUDGET = 4 << 30  # bytes of snapshots read for them: about a minute
_LISTED = 25  # pairs
_REMARKS = 50  # the newest


class Made(msgspec.Struct):
    """What a report says in numbers, and where it is. NaN where there is no such value.

    Spreads that ended as UNPROVEN stand under ends alone.
    """

    page: str
    pictures: list[str]
    signals: int
    ends: dict[str, int]  # by reason; OPEN: no CLOSE yet; seldom ones where there are any
    pairs: int
    first: str
    last: str
    hours: int  # with snapshots
    gaps: int  # times at which tracks were not looked at, however many tracks
    gap_s: float
    peak_net_bps: float  # median
    duration_s: float  # median
    currency: str  # of amounts; 'USDC/USDT' where both are added up as they are
    notional: float  # median, at OPEN
    opportunities: int  # signals that are one of their own, with an exit price
    kept: float  # by them together, after the fees of both ends
    open_age_ms: float  # median, of the older quote at OPEN
    worst_age_ms: float  # median, of the oldest quote while a spread was followed
    simulated: int  # signals of a simulated market
    market_unknown: int  # signals of which the files do not say
    agreement_pct: float | None  # of the quotes judged, those that agreed with their venue
    audit: dict[str, dict[str, int]]  # what the audit counted, by source and for all
    remarks: list[str]  # what was switched off and on, oldest first, and when
    killed: str  # the remark of a kill that was not cleared until the end of the files
    shown: list[str]  # tracks on the page
    faults: list[str]


def make(
    data: Path, out: Path, since: datetime | None = None, wanted: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
) -> Made:  # fmt: skip
    """Write the page to `out` and PNGs beside it, named after it.

    wanted: ids of tracks to show, whatever it takes to read them; else the newest and the best.
    BadData where the folder holds nothing, ConfigError where a wanted track is not there or `out`
    cannot be written.
    """
    bytes_read = _Bytes(progress)
    bytes_read.total = sum(s.text_size for s in find(data, since) if s.kind == SIGNALS)
    history = load(data, since, bytes_read)
    rows = _rows(history, wanted, data)
    bytes_read.total += timeline.cost(history, rows)
    lines = timeline.lines(history, rows, bytes_read)
    made = _numbers(history, out)
    with style():
        pictures = _pictures(history)
        charts = _charts(pictures, history)
        drawn = {
            row: timeline.draw(history.tracks, row, line, _gaps_of(history, row))
            for row, line in lines.items()
        }
        peaks = np.nan_to_num(history.tracks.peak_net_bps)
        best = sorted(drawn, key=lambda row: -peaks[row])[:1]
        shown = [_shown(history, row, lines[row], drawn[row], row in best) for row in lines]
        made.shown = [track.id for track in shown]
        text = render(
            range_=f"{made.first} to {made.last} UTC" if made.signals else "no signals yet",
            market="; ".join(filter(None, [made.killed, _market(made)])),
            pairs=f"{made.pairs:,} different pairs and directions",
            remarks=made.remarks[-_REMARKS:],
            notes=history.faults,
            tiles=_tiles(made, history),
            ends=made.ends,
            charts=charts,
            tracks=shown,
            tracks_note=_tracks_note(history, shown),
            made=f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC from {data} by spreadscan report.",
        )
        for row in drawn if wanted else best:
            pictures[f"track-{history.tracks.id[row]}"] = drawn[row]
        _write(out, text, pictures, made)
    return made


class _Bytes:
    """Adds up what is read, for a bar whose end comes to be known on the way."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.total = 0
        self._done = 0

    def __call__(self, n: int) -> None:
        self._done += n
        self._progress(self._done, self.total)


def _rows(history: History, wanted: Sequence[str], data: Path) -> list[int]:
    if not wanted:
        return timeline.choose(history, _SHOWN, _BUDGET)
    by_id = {track: row for row, track in enumerate(history.tracks.id)}
    for track in wanted:
        if track not in by_id:
            raise ConfigError(
                f"track: {track!r} is not among the {len(by_id):,} of {data} in this time, "
                "expected a track_id of its signals files"
            )
    return [by_id[track] for track in dict.fromkeys(wanted)]


def _numbers(history: History, out: Path) -> Made:
    tracks = history.counted
    ends_of = Counter(str(reason) for reason in history.tracks.reason)
    audit = {total.source: total for total in truth.totals(history.audited)}
    outages: dict[tuple[float, str], float] = {}
    for gap in history.gaps:  # a restart leaves a row for every open track, at one time
        key = gap.end_s, gap.reason
        outages[key] = max(outages.get(key, 0.0), gap.gap_s)
    own = figures.opportunities(tracks)
    ends = [np.nanmax(tracks.closed_s, initial=-np.inf), np.max(tracks.opened_s, initial=-np.inf)]
    return Made(
        page=str(out),
        pictures=[],
        signals=len(tracks),
        ends=ends_shown(ends_of) | {OPEN_YET: ends_of[OPEN_YET]},
        pairs=len({*zip(tracks.pair, tracks.direction, strict=True)}),
        first=_minute(tracks.opened_s[0]) if len(tracks) else "",
        last=_minute(max(ends)) if len(tracks) else "",
        hours=len(history.hours),
        gaps=len(outages),
        gap_s=sum(outages.values()),
        peak_net_bps=figures.median(tracks.peak_net_bps),
        duration_s=figures.median(tracks.duration_s),
        currency=tracks.currency,
        notional=figures.median(tracks.notional),
        opportunities=len(own),
        kept=float(np.sum(tracks.kept[own])),
        open_age_ms=figures.median(tracks.open_age_ms),
        worst_age_ms=figures.median(tracks.worst_age_ms),
        simulated=int(np.sum(tracks.simulated == 1)),
        market_unknown=int(np.sum(np.isnan(tracks.simulated))),
        agreement_pct=agreement_pct([*audit.values()][-1].counts) if audit else None,
        audit={name: dict(total.counts) for name, total in audit.items()},
        remarks=[f"{_minute(remark.at_s)} UTC {remark.text}" for remark in history.remarks],
        killed=_killed(history),
        shown=[],
        faults=history.faults,
    )


def _killed(history: History) -> str:
    of_kill = [r for r in history.remarks if is_thrown(r.text) or is_cleared(r.text)]
    if not of_kill or is_cleared(of_kill[-1].text):
        return ""
    return f"{of_kill[-1].text}, at {_minute(of_kill[-1].at_s)} UTC, and not cleared since"


def _market(made: Made) -> str:
    """Say where a market was not, or may not have been, a real one."""
    parts = [
        text if n == made.signals else f"{n:,} of {made.signals:,} signals: {text}"
        for n, text in (
            (made.simulated, "simulated market"),
            (made.market_unknown, "market not known: real or simulated"),
        )
        if n
    ]
    return "; ".join(parts)


def _minute(unix_s: float) -> str:
    return f"{datetime.fromtimestamp(float(unix_s), UTC):%Y-%m-%d %H:%M}"


def _tiles(made: Made, history: History) -> list[tuple[str, str]]:
    agreed = floored(made.agreement_pct, 2)
    gaps = f"{made.gaps:,} gaps" + (f", {figures.span(made.gap_s)} in all" if made.gaps else "")
    sizes = history.counted.notional
    known = np.sort(sizes[~np.isnan(sizes)])
    at_100 = figures.share_at(known, np.array([100.0]))[0] if len(known) else float("nan")
    return [
        ("signals", f"{made.signals:,}"),
        ("median peak, net", number(made.peak_net_bps, 1, " bps")),
        (f"kept after all fees, {made.currency}", number(made.kept, 0)),
        ("median life", figures.span(made.duration_s)),
        (f"{made.currency} at the touch, median", number(made.notional, 0)),
        (f"had 100 {made.currency} or more", number(100 * at_100, 0, " %")),
        (f"hours with snapshots; {gaps}", f"{made.hours:,}"),
        *([("of the quotes agreed with their venue", f"{agreed} %")] if made.audit else []),
    ]


def _pictures(history: History) -> dict[str, Any]:
    tracks = history.counted
    return {
        "heat-signals": figures.heat_signals(tracks),
        "heat-peaks": figures.heat_peaks(tracks),
        "durations": figures.durations(tracks),
        "peaks": figures.peaks(tracks),
        "pairs": figures.bars(figures.best_pairs(tracks, figures.BARS), tracks.currency),
        "sizes": figures.sizes(tracks),
        "ages": figures.ages(tracks),
        **({"truth": truth.heat(history.audited)} if history.audited else {}),
    }


_TITLES = {
    "heat-signals": ("Signals by direction and hour",
                     "Buy on the left, sell on the right; of exchanges: spot, perpetual."),
    "heat-peaks": ("Mean peak by direction and hour",
                   "Highest net edge of each spread, bps after entry fees, averaged."),
    "durations": ("How long they lived", "From the signal to the end; time runs in powers of ten."),
    "peaks": ("How far they went", "Highest net edge while it was followed."),
    "pairs": ("Best pairs after fees of both ends",
              "What was left of each opportunity, closed at its last look."),
    "sizes": ("What could have been taken", "Share of signals with at least so much on both legs."),
    "ages": ("How old the quotes were",
             "Share of signals by the age of the older quote, at OPEN and at worst until the end."),
    "truth": ("Whether the quotes were true",
              "Of a hundred quotes judged, those that agreed with what their venue showed when it "
              "was asked. Red: below 99; none: no answer that could be used; empty: not audited."),
}  # fmt: skip
_WIDE = ("heat-signals", "heat-peaks", "ages", "truth")


def _charts(pictures: dict[str, Any], history: History) -> list[Chart]:
    found = [
        Chart(name, *_TITLES[name], svg(figure, _TITLES[name][0]), name in _WIDE)
        for name, figure in pictures.items()
    ]
    if history.audited:
        found[-1] = found[-1]._replace(
            svg=f"{found[-1].svg}\n{truth_table(truth.totals(history.audited))}"
        )
    table = pairs_table(figures.best_pairs(history.counted, _LISTED), history.counted.currency)
    says = "By what their opportunities kept; the other columns are medians over them."
    return [*found, Chart("table", f"Best {_LISTED} pairs", says, table, wide=True)]


def _gaps_of(history: History, row: int) -> list[Any]:
    return [gap for gap in history.gaps if gap.track_id == history.tracks.id[row]]


def _shown(
    history: History, row: int, line: timeline.Line, figure: Any, first: bool
) -> Shown:  # fmt: skip
    tracks = history.tracks
    title = timeline.title(tracks, row)
    drawn = svg(figure, title)  # it is laid out from here on
    axes = figure.axes[0]
    box, scale = axes.get_position(), timeline.scale(line.age_s[-1])[0]
    peak = number(tracks.peak_net_bps[row], 1, " bps")
    size = number(tracks.notional[row], 0, f" {tracks.quote[row]}")
    began = f"{datetime.fromtimestamp(tracks.opened_s[row], UTC):%Y-%m-%d %H:%M:%S}"
    return Shown(
        id=str(tracks.id[row]),
        first=first,
        label=f"{began}  {title}  peak {peak}, {figures.named(str(tracks.reason[row]))}",
        caption=f"Track {tracks.id[row]}, signal at {began} UTC, {line.looks:,} looks, "
        f"peak net {peak}, {size} at the touch at OPEN.",
        svg=drawn,
        data={
            **line.plain(),
            "box": [round(float(edge), 5) for edge in (box.x0, box.x1)],
            "span": [float(edge * scale) for edge in axes.get_xlim()],
        },
    )


def _tracks_note(history: History, shown: Sequence[Shown]) -> str:
    if not shown:
        found = len(history.tracks)
        return "No snapshots of these signals were found." if found else "Nothing to show yet."
    return (
        f"{len(shown)} of {len(history.counted):,}: the newest and those with the highest peak. "
        "Any other: spreadscan report --track ID. Grey bands are gaps, in which nobody looked."
    )


def _write(out: Path, text: str, pictures: dict[str, Any], made: Made) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for name, figure in pictures.items():
            path = out.with_name(f"{out.stem}-{name}.png")
            with whole.arriving(path) as part:
                save_png(figure, part)
            made.pictures.append(str(path))
        whole.replace(out, text.encode())
    except OSError as error:
        raise ConfigError(f"{out}: {error.strerror}, expected room to write it") from None
