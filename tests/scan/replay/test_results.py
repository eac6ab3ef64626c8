"""What came of a replay: what the audit ended, and what turned out not to be true."""

from pathlib import Path

import msgspec
import pytest
from pyarrow import parquet
from rich.console import Console

from scan.export import made
from scan.replay.story import perp, spot
from spreadscan.replay import RunResult, play_runs, runs_of
from spreadscan.replay.comparison import show_outcomes
from spreadscan.replay.parquet import write_outcomes
from spreadscan.replay.results import read_outcome


def spread(sequence: int, reason: str, peak_bps: float) -> made.Spread:
    return made.Spread(
        sequence=sequence, symbol_id=sequence % 2, direction=0, opened_s=made.START_S + sequence,
        duration_s=10.0, peak_bps=peak_bps, size_usdt=100.0, buy_px=1.0, reason=reason,
    )  # fmt: skip


def test_what_turned_out_unproven_is_in_no_total(tmp_path: Path) -> None:
    known = [spread(0, "CONVERGED", 50.0), spread(1, "LOST", 40.0), spread(2, "NOT_TRADING", 45.0)]
    made.write(tmp_path / "known", known, grid_s=None)
    more = [*known, spread(3, "UNPROVEN", 900.0), spread(4, "UNPROVEN", 800.0)]
    made.write(tmp_path / "more", [*more, spread(5, "", 30.0)], grid_s=None)
    expected, found = (read_outcome(tmp_path / name) for name in ("known", "more"))
    assert (30.0, 50.0) == (expected.profit_s, expected.best[0].peak_net_bps)
    assert (expected.profit_s, expected.best) == (found.profit_s, found.best)
    assert {"CONVERGED": 1, "EXPIRED": 0, "LOST": 1, "DELISTED": 0, "NOT_TRADING": 1} == (
        expected.ended
    )
    assert (6, 2, 1, 0) == (found.signals, found.ended["UNPROVEN"], found.open, expected.open)


@pytest.fixture
def outcomes(story: object) -> list[RunResult]:
    """Two of one story, of which the second ended by an audit."""
    folder = story(spots=[spot(1000)], perps=[perp(1300, 40), perp(2050, 1)])  # type: ignore[operator]
    (first,) = play_runs(runs_of([folder], (), {}), None, lambda *told: None)
    ended = {**first.ended, "NOT_TRADING": 7}
    return [first, msgspec.structs.replace(first, recording="other", ended=ended)]


def test_ends_of_the_audit_have_a_column_where_there_are_any(
    outcomes: list[RunResult], tmp_path: Path
) -> None:
    def shown(some: list[RunResult]) -> str:
        console = Console(width=200, color_system=None)
        with console.capture() as captured:
            show_outcomes(some, console)
        return captured.get()

    assert "not_trading" not in shown(outcomes[:1])
    assert "not_trading" in shown(outcomes)
    assert "unproven" not in shown(outcomes)
    write_outcomes(tmp_path / "table.parquet", outcomes)
    rows = parquet.read_table(tmp_path / "table.parquet").to_pylist()
    assert {(0, 0), (7, 0)} == {(row["not_trading"], row["unproven"]) for row in rows}
