"""The lines that the pages tell people to type, on files of the real tracker and its export."""

import re
from pathlib import Path

import duckdb
import pandas
import polars
import pytest
import zstandard

from spreadscan.export import export
from spreadscan.tracker import SIGNALS, SNAPSHOTS

ROOT = Path(__file__).parents[3]
LIBRARIES = {"pandas": pandas, "polars": polars, "duckdb": duckdb}
DAY, HOUR = "20261120", "20261120-12"


def lines():
    for page in ("README.md", "docs/data-files.md"):
        text = (ROOT / page).read_text("utf-8")
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            for line in block.splitlines():
                if line.split(".")[0] in LIBRARIES:
                    yield line


LINES = sorted(set(lines()))


@pytest.fixture
def data(market, monkeypatch):
    """The tracker's files of a few tracks, and what export makes of them."""
    monkeypatch.chdir(market.folder.parent)
    tracker = market.started()
    for symbol in range(5):
        market.signal(symbol, 40.0)
        market.step(tracker, 3)
        market.spread(symbol, 5.0)
    market.step(tracker, 3)
    tracker.close(market.now)
    assert {f"signals-{DAY}.csv", f"snapshots-{HOUR}.csv"} == {
        path.name for path in market.folder.iterdir()
    }
    export(market.folder, market.folder / "parquet")
    return market


def n_rows(result):
    return len(result.pl() if hasattr(result, "pl") else result)  # DuckDB reads when it must


def expected(market, line):
    events, looks = market.events(), market.snapshots()
    if "group" in line:
        key = next(k for k in ("direction", "symbol", "track_id") if k in line)
        return len({row[key] for row in events})
    if "tracks.parquet" in line:
        return len({row["track_id"] for row in events})
    return len(events if SIGNALS.name in line else looks)


def test_the_pages_have_lines_for_all_three():
    for name in LIBRARIES:
        assert any(line.startswith(name) and ".csv" in line for line in LINES), name
        assert any(line.startswith(name) and "parquet" in line for line in LINES), name


@pytest.mark.parametrize("line", LINES)
def test_a_line_reads_every_row(data, line):
    assert expected(data, line) == n_rows(eval(line, dict(LIBRARIES)))


@pytest.mark.parametrize("line", [line for line in LINES if ".csv" in line])
def test_a_line_reads_compressed_files_too(data, line):
    count = expected(data, line)
    assert count > 5
    for kind, stamp in ((SIGNALS, DAY), (SNAPSHOTS, HOUR)):
        path = data.folder / f"{kind.name}-{stamp}.csv"
        path.with_name(f"{path.name}.zst").write_bytes(zstandard.compress(path.read_bytes()))
        path.unlink()
    line = re.sub(r"\.csv(?!\*)", ".csv.zst", line)  # where it names one file
    line = line.replace(".read_csv.zst", ".read_csv")
    assert count == n_rows(eval(line, dict(LIBRARIES)))


def test_types_are_what_the_page_says(data):
    looks = polars.read_csv("data/snapshots-*.csv*", comment_prefix="#", try_parse_dates=True)
    assert isinstance(looks.schema["time"], polars.Datetime)
    tracks = pandas.read_parquet("data/parquet/tracks.parquet")
    assert "UTC" in str(tracks["open_time"].dtype)
    assert "category" == str(tracks["direction"].dtype)
    assert "int64" == str(tracks["ring_id"].dtype)
    kind, *_ = duckdb.sql("select typeof(open_time) from 'data/parquet/tracks.parquet'").fetchall()[
        0
    ]
    assert "TIMESTAMP WITH TIME ZONE" == kind
