"""Events joined to tracks, against a join written as a loop over the tracker's own rows."""

from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pytest

from scan.export import made
from scan.tracker.story import Story, World
from spreadscan.export import Damage, find, join, read
from spreadscan.export.schema import SIMULATED, arrow_type
from spreadscan.export.tracks import COLUMNS, JOINED
from spreadscan.tracker import SIGNALS


def tracks_of(folder):
    days = (
        pa.concat_tables(read(source, Damage()))
        for source in find(folder)
        if source.kind == SIGNALS
    )
    found = list(join(days))
    return [row for table in found for row in table.to_pylist()], found


def events_of(folder):
    """All events of a folder as plain values, by track."""
    by_track = defaultdict(list)
    for source in find(folder):
        if source.kind == SIGNALS:
            for table in read(source, Damage()):
                for row in table.to_pylist():
                    by_track[row["track_id"]].append(row)
    return by_track


def joined(events):
    """One track's row, by the rules of the module's docstring."""
    rows = {}
    for event in reversed(events):
        rows[event["event"]] = event
    opened, closed = rows.get("OPEN", {}), rows.get("CLOSE", {})
    gaps = [event["gap_s"] for event in events if event["event"] == "GAP"]
    found = {"gaps": len(gaps), "gap_s": sum(gaps)}
    for column in JOINED:
        of = {"OPEN": opened, "CLOSE": closed}
        first = next((of[event] for event in column.events if of[event]), {})
        found[column.column.name] = first.get(column.source)
    return found


@pytest.fixture
def told(make_instance, monkeypatch, tmp_path) -> Path:
    """The folder of a real tracker that saw every end but DELISTED, and was down for a while."""
    instance = make_instance(n_sources=8, n_symbols=64, n_edges=768, force=True)
    story = Story(instance, tmp_path / "data")
    world = World(monkeypatch, lambda n, name: None)
    tracker = story.tracker(world)
    tracker.recover(story.market.now)
    for _ in range(30):
        story.prices()
        tracker.tick(story.market.now)
    for _ in range(3):
        story.prices()
    tracker = story.tracker(world)
    tracker.recover(story.market.now)
    story.tell(tracker)
    return story.market.folder


def test_the_real_trackers_events_join(told):
    rows, _ = tracks_of(told)
    expected = {track: joined(events) for track, events in events_of(told).items()}
    assert {"CONVERGED", "EXPIRED", "LOST"} == {row["reason"] for row in rows}
    assert sum(row["gaps"] for row in rows) > 0
    assert expected == {row["track_id"]: row for row in rows}


def test_tracks_over_midnight_and_without_an_end(tmp_path):
    made.write(tmp_path, made.spreads(600, seed=3, days=3), grid_s=None)
    rows, found = tracks_of(tmp_path)
    expected = {track: joined(events) for track, events in events_of(tmp_path).items()}
    assert expected == {row["track_id"]: row for row in rows}
    assert len(rows) == len(expected) == 600
    assert 4 == len(found)  # one table a day, and at last the tracks without an end
    assert all(row["close_time"] is None for row in found[-1].to_pylist())
    assert any(row["open_time"].day != row["close_time"].day for row in rows if row["close_time"])


def test_a_close_may_stand_in_an_earlier_file_than_its_open(tmp_path):
    """The clock was put back."""
    made.write(tmp_path, made.spreads(1, seed=8), grid_s=None)
    (path,) = tmp_path.iterdir()
    header, opened, *gaps, closed = path.read_bytes().splitlines(keepends=True)[1:]
    start = SIGNALS.header
    (tmp_path / "signals-20261119.csv").write_bytes(start + closed)
    path.write_bytes(start + b"".join(gaps) + opened)
    (row,), _ = tracks_of(tmp_path)
    assert row["open_time"] is not None
    assert row["close_time"] is not None


def test_a_close_without_its_open_is_a_track(tmp_path):
    made.write(tmp_path, made.spreads(1, seed=8), grid_s=None)
    (path,) = tmp_path.iterdir()
    path.write_bytes(SIGNALS.header + path.read_bytes().splitlines(keepends=True)[-1])
    (row,), _ = tracks_of(tmp_path)
    assert row["open_time"] is None
    assert row["open_net_bps"] is None
    assert row["symbol"]
    assert row["duration_s"] > 0


def test_the_first_of_a_doubled_row_counts(tmp_path):
    made.write(tmp_path, made.spreads(5, seed=8), grid_s=None)
    before, _ = tracks_of(tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes() + b"".join(path.read_bytes().splitlines(True)[2:]))
    after, _ = tracks_of(tmp_path)
    for row in (*before, *after):
        del row["gaps"], row["gap_s"]
    assert before == after


def test_no_events_are_no_tracks(tmp_path):
    (tmp_path / "signals-20261120.csv").write_bytes(SIGNALS.header)
    assert [] == list(join([]))
    columns = (*SIGNALS.columns, SIMULATED)
    empty = pa.table({c.name: pa.array([], arrow_type(c)) for c in columns})
    assert [] == list(join([empty, empty]))


def test_every_column_of_the_signals_file_is_in_the_table():
    sources = {column.source for column in JOINED}
    assert set(SIGNALS.names) - sources == {"event", "gap_s"}
    names = [column.name for column in COLUMNS]
    assert len(set(names)) == len(names)
    assert {"open_time", "close_time", "open_net_bps", "close_net_bps", "exit_bps", "reason",
            "peak_net_bps", "duration_s", "track_id", "gaps", "gap_s"} <= set(names)  # fmt: skip
