"""A data folder becomes a Parquet folder: whole files, again and again, through faults."""

import os
import resource
import signal
from datetime import UTC, datetime

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import zstandard
from pyarrow import parquet

from scan.export import made
from spreadscan.disk.files import data_files, read_rows
from spreadscan.errors import BadData, ConfigError
from spreadscan.export import convert, export, write
from spreadscan.export.tracks import COLUMNS
from spreadscan.tracker import SIGNALS, SNAPSHOTS

WITHIN_S = 60.0
HOUR = "snapshots-20261120-12"


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    made.write(folder, made.spreads(40, seed=11), grid_s=2.0)
    return folder


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out"


def states(result):
    return {output.file: output.state for output in result.outputs}


def rows_of(data, kind):
    return [row for file in data_files(data, kind) for row in read_rows(file.path, kind)]


def of_kind(out, kind):
    """All rows of a kind's Parquet files, by track and time."""
    found = [row for path in out.glob(f"{kind.name}-*.parquet")
             for row in parquet.read_table(path).to_pylist()]  # fmt: skip
    return sorted((row["track_id"], row["time"], row["net_bps"]) for row in found)


def test_every_row_of_every_file_is_there(data, out):
    result = export(data, out)
    assert {"written"} == set(states(result).values())
    assert [] == result.faults
    for kind in (SIGNALS, SNAPSHOTS):
        expected = rows_of(data, kind)
        assert len(expected) == sum(
            output.rows for output in result.outputs if output.file.startswith(kind.name)
        )
        assert [
            (r["track_id"], r["time"], float(r["net_bps"] or "nan"))
            for r in sorted(expected, key=lambda r: (r["track_id"], r["time"]))
        ] == [(t, f"{at:%Y-%m-%dT%H:%M:%S.%f}Z", net if net is not None else pytest.approx(
            float("nan"), nan_ok=True)) for t, at, net in of_kind(out, kind)]  # fmt: skip
    tracks = parquet.read_table(out / "tracks.parquet")
    assert 40 == tracks.num_rows == result.tracks.rows
    assert tracks["close_time"].null_count == result.open_tracks


def test_tracks_that_turned_out_unproven_are_kept_with_their_reason(data, out):
    path = next(data.glob("signals-*.csv"))
    n = path.read_text().count(",CONVERGED,")
    path.write_text(path.read_text().replace(",CONVERGED,", ",UNPROVEN,"))
    for state in ("written", "unchanged"):
        result = export(data, out)
        assert (state, n) == (result.tracks.state, result.unproven_tracks)
    reasons = parquet.read_table(out / "tracks.parquet")["reason"].to_pylist()
    assert 0 < n == reasons.count("UNPROVEN")


def test_types_units_and_order_stand_in_the_files(data, out):
    export(data, out)
    path = next(out.glob("snapshots-*.parquet"))
    found = parquet.read_table(path)
    assert pa.timestamp("us", "UTC") == found.schema.field("time").type
    assert pa.dictionary(pa.int32(), pa.string()) == found.schema.field("track_id").type
    assert pa.bool_() == found.schema.field("tradable").type
    assert pa.float64() == found.schema.field("net_bps").type
    assert b"bps" == found.schema.field("net_bps").metadata[b"unit"]
    assert (*SNAPSHOTS.names, "simulated") == tuple(found.schema.names)
    assert {False} == set(found["simulated"].to_pylist())
    assert pa.int64() == parquet.read_table(next(out.glob("signals-*")))["ring_id"].type
    about = parquet.ParquetFile(path).metadata.row_group(0)
    assert [1, 0] == [column.column_index for column in about.sorting_columns]
    assert "ZSTD" == about.column(0).compression
    rows = [(row["time"], row["track_id"]) for row in found.to_pylist()]
    assert sorted(rows) == rows
    assert [c.name for c in COLUMNS] == parquet.read_schema(out / "tracks.parquet").names


def test_row_groups_are_bounded_and_sorted(data, out, monkeypatch):
    monkeypatch.setattr(write, "ROWS", 100)
    export(data, out)
    paths = [p for p in out.glob("snapshots-*") if parquet.read_metadata(p).num_row_groups > 1]
    assert paths
    for path in paths:
        file = parquet.ParquetFile(path)
        groups = [file.read_row_group(n).to_pylist() for n in range(file.num_row_groups)]
        assert all(len(group) == 100 for group in groups[:-1])
        rows = [(row["time"], row["track_id"]) for group in groups for row in group]
        assert sorted(rows) == rows


def test_what_has_not_changed_is_not_written_again(data, out):
    export(data, out)
    before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    again = export(data, out)
    assert {"unchanged"} == set(states(again).values()) | {again.tracks.state}
    assert before == {path.name: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    path = data / f"{HOUR}.csv"
    with path.open("ab") as file:
        file.write(path.read_bytes().splitlines(keepends=True)[-1])
    third = export(data, out)
    assert {f"{HOUR}.parquet"} == {name for name, s in states(third).items() if s == "written"}
    assert "unchanged" == third.tracks.state
    assert before[f"{HOUR}.parquet"] != (out / f"{HOUR}.parquet").stat().st_mtime_ns


def test_a_compressed_hour_takes_the_place_of_the_plain_one(data, out):
    export(data, out)
    before = of_kind(out, SNAPSHOTS)
    compress(data / f"{HOUR}.csv")
    assert "written" == states(export(data, out))[f"{HOUR}.parquet"]
    assert before == of_kind(out, SNAPSHOTS)


def compress(path):
    path.with_name(f"{path.name}.zst").write_bytes(zstandard.compress(path.read_bytes()))
    path.unlink()


def test_an_hour_that_is_compressed_or_removed_under_way(data, out, monkeypatch):
    """The files change after they were listed, before they are opened."""
    real, removed = convert.read, data / "snapshots-20261120-13.csv"

    def read(source, *rest, **more):
        if source.name == HOUR and source.parts[0].path.suffix == ".csv":
            compress(source.parts[0].path)
        if source.name == removed.stem:
            removed.unlink()
        return real(source, *rest, **more)

    monkeypatch.setattr(convert, "read", read)
    result = export(data, out)
    assert "written" == states(result)[f"{HOUR}.parquet"]
    assert "gone" == states(result)[f"{removed.stem}.parquet"]
    assert [] == result.faults
    assert not (out / f"{removed.stem}.parquet").exists()


def test_a_foreign_file_is_told_and_the_others_are_exported(data, out):
    (data / f"{HOUR}.csv").write_text("# spreadscan snapshots v1; older\ntrack_id,time\n")
    result = export(data, out)
    assert {"refused"} == {s for name, s in states(result).items() if name == f"{HOUR}.parquet"}
    assert {"written"} == {s for name, s in states(result).items() if name != f"{HOUR}.parquet"}
    (fault,) = result.faults
    assert f"{data / HOUR}.csv: begins '# spreadscan snapshots v1'" in fault
    assert not (out / f"{HOUR}.parquet").exists()


def test_faults_are_told_again_where_nothing_is_written_anew(data, out):
    path = data / f"{HOUR}.csv"
    path.write_bytes(path.read_bytes() + b"broken\nid,2026")
    first, second = export(data, out), export(data, out)
    assert "unchanged" == states(second)[f"{HOUR}.parquet"]
    for result in (first, second):
        (output,) = (o for o in result.outputs if o.file == f"{HOUR}.parquet")
        assert (1, 1) == (output.torn_lines, output.broken_lines)
        assert "1 fields, expected" in result.faults[0]


def test_tracks_outlive_the_text_they_came_from(data, out):
    export(data, out)
    before = parquet.read_table(out / "tracks.parquet")
    for path in data.glob("signals-20261120*"):
        path.unlink()
    made.write(data, [], grid_s=None)
    (data / "signals-20261122.csv").write_bytes(SIGNALS.header)
    assert "written" == export(data, out).tracks.state
    assert before == parquet.read_table(out / "tracks.parquet")


def test_since_leaves_older_files_alone(data, out):
    result = export(data, out, datetime(2026, 11, 20, 14, 30, tzinfo=UTC))
    assert all(
        name.startswith("signals") or name >= "snapshots-20261120-14" for name in states(result)
    )
    assert "snapshots-20261120-14.parquet" in states(result)


def test_a_foreign_parquet_file_among_ours_is_named(data, out):
    out.mkdir()
    parquet.write_table(pa.table({"x": [1]}), out / "signals-20250101.parquet")
    result = export(data, out)
    assert "refused" == result.tracks.state
    assert f"{out}/signals-20250101.parquet: columns x..., expected those" in result.faults[0]
    (out / "signals-20250101.parquet").write_bytes(b"PAR1 or not")
    assert "expected a Parquet file of this program" in export(data, out).faults[0]


def test_progress_ends_where_all_is_read(data, out):
    told = []
    export(data, out, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1][0] == told[-1][1] == sum(p.stat().st_size for p in data.iterdir())


def test_two_exports_do_not_mix(data, out):
    with (
        write.alone(out),
        pytest.raises(ConfigError, match="another export is at work, expected none"),
    ):
        export(data, out)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("n", range(3))
def test_a_killed_export_leaves_whole_files_only(data, out, children, moment, n):
    """It dies around the renaming of the n-th file."""
    if n:  # some are there already, of an earlier state
        whole = {path: path.read_bytes() for path in data.iterdir()}
        for path, content in whole.items():
            path.write_bytes(content[: len(content) * 2 // 3])
        export(data, out)
        for path, content in whole.items():
            path.write_bytes(content)

    def dying():
        calls = iter(range(1000))
        real = os.fsync

        def fsync(fd):
            if next(calls) == 2 * n + (moment == "after"):
                os.kill(os.getpid(), signal.SIGKILL)
            real(fd)

        os.fsync = fsync
        export(data, out)

    children.start("export", dying)
    assert {"export": None} == children.results(WITHIN_S)
    for path in out.glob("*.parquet"):
        parquet.read_table(path)
    assert list(out.glob(".*.part")) or moment == "after"
    result = export(data, out)
    assert [] == list(out.glob(".*.part"))
    assert len(rows_of(data, SNAPSHOTS)) == len(of_kind(out, SNAPSHOTS))
    assert 40 == result.tracks.rows


def test_a_full_disk_is_a_sentence_and_leaves_nothing_half(data, out, children):
    """The kernel refuses a file of more than 20 kB."""

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            export(data, out)
        except ConfigError as error:
            return str(error)

    children.start("export", limited)
    told = children.results(WITHIN_S)["export"]
    path, _, fault = told.partition(": ")
    assert "File too large, expected room to write it" == fault
    assert path.startswith(f"{out}/")
    assert [] == list(out.glob(".*.part"))
    for path in out.glob("*.parquet"):
        parquet.read_table(path)
    assert 40 == export(data, out).tracks.rows


def test_a_folder_that_cannot_be_written_is_a_sentence(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="expected room to write it"):
        export(data, tmp_path / "file" / "out")
    with pytest.raises(BadData, match="expected a folder of data"):
        export(tmp_path / "none", tmp_path / "out")


# -- files of an earlier version

UNITS = (
    "time UTC; px in quote currency per coin; qty in coins; usdt in USDT; bps of the buy price; "
    "_s seconds; _ms milliseconds; _ns nanoseconds"
)
V2_SIGNALS = (
    "time,event,track_id,ring_id,sequence,direction,direction_id,symbol,symbol_id,buy_px,buy_qty,"
    "buy_usdt,sell_px,sell_qty,sell_usdt,buy_bid,sell_ask,gross_bps,net_bps,exit_bps,funding_bps,"
    "fees_bps,peak_net_bps,peak_time,peak_after_s,peak_size_usdt,profit_s,mean_net_bps,"
    "mean_size_usdt,min_size_usdt,looks,tradable_looks,skipped,duration_s,gap_s,reason,at_ns,"
    "config_hash"
)
V2_SNAPSHOTS = (
    "track_id,time,buy_bid,buy_bid_qty,buy_ask,buy_ask_qty,sell_bid,sell_bid_qty,sell_ask,"
    "sell_ask_qty,buy_age_ms,sell_age_ms,gross_bps,net_bps,exit_bps,funding_bps,tradable"
)


NAMES_NOW = {
    "buy_usdt": "buy_notional",
    "sell_usdt": "sell_notional",
    "peak_size_usdt": "peak_notional",
    "mean_size_usdt": "mean_notional",
    "min_size_usdt": "min_notional",
}


def as_v2(path):
    """Write a file as version 2 of the program did."""
    names, *rows = path.read_text().splitlines()[1:]
    kind = path.name.split("-")[0]
    wanted = (V2_SIGNALS if kind == "signals" else V2_SNAPSHOTS).split(",")
    places = [names.split(",").index(NAMES_NOW.get(name, name)) for name in wanted]
    lines = [f"# spreadscan {kind} v2; {UNITS}", ",".join(wanted)]
    lines += [",".join([row.split(",")[place] for place in places]) for row in rows]
    path.write_text("\n".join(lines) + "\n")


AGES = ("buy_age_ms", "sell_age_ms")
MISSING = {
    "simulated", "edge_id", "buy_source", "buy_listing", "sell_source", "sell_listing", *AGES,
    *(f"{prefix}_{age}" for prefix in ("open", "close", "worst") for age in AGES),
}  # fmt: skip


def test_version_2_is_exported_and_what_it_has_not_is_null(data, out):
    """But for the quote currency, which was USDT."""
    export(data, out)
    before = {path.name: parquet.read_table(path).to_pylist() for path in out.glob("*.parquet")}
    for path in data.glob("*.csv"):
        as_v2(path)
    result = export(data, out)
    assert [] == result.faults
    assert {"written"} == {*states(result).values(), result.tracks.state}
    for name, rows in before.items():
        gone = MISSING if not name.startswith("snapshots") else {"simulated"}
        assert [
            {key: None if key in gone else value for key, value in row.items()} for row in rows
        ] == parquet.read_table(out / name).to_pylist()
    first = before["tracks.parquet"][0]
    assert ("USDT", True, True) == (
        first["quote"], first["worst_buy_age_ms"] > 0, first["peak_notional"] > 0
    )  # fmt: skip


def test_rows_of_both_versions_in_one_day_stand_side_by_side(data, out):
    path = data / f"{HOUR}.csv"
    later = data / f"{HOUR}.2.csv"
    head, rows = path.read_bytes().split(b"\n", 2)[:2], path.read_bytes().split(b"\n", 2)[2]
    as_v2(path)
    later.write_bytes(b"\n".join([head[0].replace(b"=false", b"=true"), head[1], rows]))
    export(data, out)
    found = parquet.read_table(out / f"{HOUR}.parquet")["simulated"].to_pylist()
    n = rows.count(b"\n")
    assert (n, n) == (found.count(None), found.count(True))


# in that order the ages stood in version 3, which told the market, too
V3_SIGNALS = (
    V2_SIGNALS.replace("sell_usdt,", "sell_usdt,buy_age_ms,sell_age_ms,").replace(
        "min_size_usdt,", "min_size_usdt,worst_buy_age_ms,worst_sell_age_ms,"
    )
    + ",simulated"
)


@pytest.mark.parametrize(("version", "columns"), [(2, V2_SIGNALS), (3, V3_SIGNALS)])
def test_parquet_of_an_earlier_version_whose_text_has_gone_is_joined(data, out, version, columns):
    """Its text was removed: what was exported then is all there is."""
    export(data, out)
    before = parquet.read_table(out / "tracks.parquet").to_pylist()
    day = next(out.glob("signals-*.parquet"))
    names = columns.split(",")
    facts = write.facts_of(day) | {"format": version}
    old = parquet.read_table(day).select([NAMES_NOW.get(name, name) for name in names])
    metadata = {**(old.schema.metadata or {}), b"spreadscan": orjson.dumps(facts)}
    parquet.write_table(old.rename_columns(names).replace_schema_metadata(metadata), day)
    (data / f"{day.stem}.csv").unlink()
    result = export(data, out)
    assert ("written", []) == (result.tracks.state, result.faults)
    tracks = parquet.read_table(out / "tracks.parquet")
    of_day = tracks.filter(pc.equal(pc.strftime(tracks["open_time"], "%Y%m%d"), day.stem[8:]))
    assert of_day.num_rows
    assert of_day["open_buy_age_ms"].null_count == (of_day.num_rows if version == 2 else 0)
    assert of_day["simulated"].null_count == (of_day.num_rows if version == 2 else 0)
    assert {"USDT"} == set(of_day["quote"].to_pylist())
    ids = of_day["track_id"].to_pylist()
    assert [row["open_buy_notional"] for row in before if row["track_id"] in ids] == (
        of_day["open_buy_notional"].to_pylist()
    )


def test_parquet_of_a_newer_version_is_refused(data, out):
    export(data, out)
    day = next(out.glob("signals-*.parquet"))
    table = parquet.read_table(day)
    facts = write.facts_of(day) | {"format": 5}
    metadata = {**(table.schema.metadata or {}), b"spreadscan": orjson.dumps(facts)}
    parquet.write_table(table.replace_schema_metadata(metadata), day)
    (data / f"{day.stem}.csv").unlink()
    (fault,) = export(data, out).faults
    assert f"{day}: columns time, event, " in fault
    assert "of v5, expected those of v4 or an earlier one" in fault
