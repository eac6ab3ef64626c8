"""Outcomes of replays as tables for people: one in detail, several side by side."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from spreadscan.replay.against import Signal
from spreadscan.replay.report import Sheet, show_sheets
from spreadscan.replay.results import RunResult
from spreadscan.tracker.track import REASONS

_DECLINED = "declined_"


def show_outcomes(outcomes: Sequence[RunResult], console: Console) -> None:
    """Print the tables, then what the recordings lack."""
    one = outcomes[0] if len(outcomes) == 1 else None
    found = [_sources(one), _tracks(outcomes), _best(one)] if one else [_tracks(outcomes)]
    if one and one.against:
        found += [_signals("Live, and not in the replay", one.against.missing)]
        found += [
            _signals("Live, on a quote that is not in the recording", one.against.unrecorded),
            _signals("Live, on a quote that no recorded audit confirms", one.against.unconfirmed),
        ]
        found += [_signals("In the replay only", one.against.extra)]
    show_sheets([sheet for sheet in found if sheet.rows], console)
    for line in remarks(outcomes):
        console.print(Text(line), soft_wrap=True)


def remarks(outcomes: Sequence[RunResult]) -> list[str]:
    """Return sentences on what the tables cannot say, each once."""
    lines: dict[str, None] = {}
    for outcome in outcomes:
        if outcome.played.left_out:
            names = ", ".join(outcome.played.left_out)
            lines[f"{outcome.recording}: not in use or not in the lists: {names}"] = None
        if against := outcome.against:
            lines[
                f"{against.found:,} of {against.live:,} live signals are in the replay, at most "
                f"{against.most_apart_ms:.1f} ms apart; {len(against.missing):,} missing, "
                f"{len(against.unrecorded):,} on quotes not in the recording, "
                f"{len(against.unconfirmed):,} on old ones without a recorded audit, "
                f"{len(against.extra):,} in the replay only"
            ] = None
        for problem in outcome.problems:
            lines[f"{outcome.recording}: {problem}"] = None
    return list(lines)


def _sources(outcome: RunResult) -> Sheet:
    played = outcome.played
    rows = [
        (
            name,
            f"{counters['frames']:,}",
            *(f"{counters.get(key, 0):,}" for key in ("quotes", "refreshes", "emptied")),
            f"{sum(n for key, n in counters.items() if key.startswith(_DECLINED)):,}",
            ", ".join(
                f"{key.removeprefix(_DECLINED)} {n:,}"
                for key, n in counters.items()
                if key.startswith(_DECLINED)
            ),
        )
        for name, counters in played.sources.items()
    ]
    title = f"{outcome.recording}: {played.frames:,} frames of {played.span_s:,.3f} s"
    columns = ("<source", "frames", "quotes", "refreshed", "emptied", "declined", "<declined as")
    return Sheet(title, columns, rows)


def _tracks(outcomes: Sequence[RunResult]) -> Sheet:
    several = len({outcome.recording for outcome in outcomes}) > 1
    keys = list(dict.fromkeys(key for outcome in outcomes for key in outcome.settings))
    reasons = [r for r in REASONS if any(r in outcome.ended for outcome in outcomes)]
    detailed = len(outcomes) == 1
    columns = (
        *(["<recording"] if several else []), *(f"<{key}" for key in keys), "signals",
        *(reason.lower() for reason in reasons), "open", "profit s",
        *([] if detailed else ["<most time in profit"]),
    )  # fmt: skip
    rows = []
    for outcome in outcomes:
        best = outcome.best[0] if outcome.best else None
        told = f"{best.direction} {best.symbol} {best.profit_s:,.1f} s" if best else "-"
        rows.append(
            (
                *([outcome.recording] if several else []),
                *(outcome.settings.get(key, "-") for key in keys),
                f"{outcome.signals:,}",
                *(f"{outcome.ended.get(reason, 0):,}" for reason in reasons),
                f"{outcome.open:,}",
                f"{outcome.profit_s:,.1f}",
                *([] if detailed else [told]),
            )
        )
    return Sheet("Spreads", columns, rows)


def _best(outcome: RunResult) -> Sheet:
    rows = [
        (total.direction, total.symbol, f"{total.tracks:,}", f"{total.profit_s:,.1f}",
         f"{total.peak_net_bps:.1f}")
        for total in outcome.best
    ]  # fmt: skip
    columns = ("<direction", "<symbol", "spreads", "profit s", "peak net bps")
    return Sheet("Most time in profit", columns, rows)


def _signals(title: str, signals: Sequence[Signal]) -> Sheet:
    rows = [
        (signal.time, signal.direction, signal.symbol, f"{signal.net_bps:.1f}",
         f"followed since {signal.open_since}" if signal.open_since else "")
        for signal in signals
    ]  # fmt: skip
    return Sheet(title, ("<time", "<direction", "<symbol", "net bps", "<"), rows)
