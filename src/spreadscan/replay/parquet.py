"""Outcomes as a Parquet file for notebooks: one row a replay, a column for each setting."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from spreadscan.disk.format import Column
from spreadscan.export.schema import arrow_type, stored
from spreadscan.export.write import write
from spreadscan.replay.results import RunResult
from spreadscan.tracker.track import REASONS

_FIXED = (
    Column("recording", "text", "name of its folder"),
    Column("config_hash", "text", "as in the rows of the signals file"),
    Column("frames", "integer", "played, events of links among them"),
    Column("span_s", "s", "of the recorded clock"),
    Column("signals", "integer", "tracks that were opened"),
    *(Column(reason.lower(), "integer", f"tracks that ended as {reason}") for reason in REASONS),
    Column("open", "integer", "tracks without an end when the recording ended"),
    Column("profit_s", "s", "time in profit of all ended tracks but UNPROVEN ones"),
    Column("best_direction", "text", "of the pair with the most time in profit"),
    Column("best_symbol", "text", "that pair"),
    Column("best_profit_s", "s", "its time in profit"),
    Column("best_peak_net_bps", "bps", "its highest net"),
    Column("problems", "integer", "what the recording lacks"),
    Column("elapsed_s", "s", "that the replay took"),
)


def write_outcomes(path: Path, outcomes: Sequence[RunResult]) -> None:
    """Write the file; settings that are numbers throughout are numbers in it.

    ConfigError where the disk refuses.
    """
    keys = dict.fromkeys(key for outcome in outcomes for key in outcome.settings)
    columns = (*(_setting(key, outcomes) for key in keys), *_FIXED)
    rows = [outcome.settings | _row(outcome) for outcome in outcomes]
    arrays = []
    for column in columns:
        values = [row.get(column.name) for row in rows]
        if column.unit == "number":
            values = [None if value is None else float(str(value)) for value in values]
        arrays.append(pa.array(values, arrow_type(column)))
    table = pa.table(arrays, [column.name for column in columns])
    write(path, [table], stored(columns), ["recording", *keys], lambda n: {"replays": n})


def _setting(key: str, outcomes: Sequence[RunResult]) -> Column:
    texts = [outcome.settings[key] for outcome in outcomes if key in outcome.settings]
    return Column(key, "number" if all(map(_is_number, texts)) else "text", "as it was set")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _row(outcome: RunResult) -> dict[str, object]:
    best = outcome.best[0] if outcome.best else None
    return {
        "recording": outcome.recording,
        "config_hash": outcome.config_hash,
        "frames": outcome.played.frames,
        "span_s": outcome.played.span_s,
        "signals": outcome.signals,
        **{reason.lower(): outcome.ended.get(reason, 0) for reason in REASONS},
        "open": outcome.open,
        "profit_s": outcome.profit_s,
        "best_direction": best and best.direction,
        "best_symbol": best and best.symbol,
        "best_profit_s": best and best.profit_s,
        "best_peak_net_bps": best and best.peak_net_bps,
        "problems": len(outcome.problems),
        "elapsed_s": outcome.elapsed_s,
    }
