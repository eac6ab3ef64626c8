"""`spreadscan export` as a user calls it: lines, JSON, sentences, exit codes."""

import json

import pytest
from click.testing import CliRunner

from scan.export import made
from spreadscan.cli import options
from spreadscan.cli.main import commands


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made.write(tmp_path / "data", made.spreads(12, seed=4), grid_s=5.0)
    return tmp_path / "data"


def run(*args):
    return CliRunner().invoke(commands, ["export", *map(str, args)])


def test_a_line_per_file_and_a_sum(data):
    got = run()
    assert 0 == got.exit_code, got.stderr
    *files, tracks, total = got.stdout.splitlines()
    assert len(list(data.iterdir())) - 1 == len(files)
    assert files[0].startswith("signals-20261120.parquet: ")
    assert tracks.startswith("tracks.parquet: 12 rows, ")
    assert total.startswith(f"data/parquet: {len(files)} files written, 0 unchanged; ")
    assert "" == got.stderr
    again = run()
    assert 1 == len(again.stdout.splitlines())
    assert f"0 files written, {len(files)} unchanged" in again.stdout


def test_json_is_one_object(data):
    got = run("--json", "--out", data.parent / "out")
    told = json.loads(got.stdout)
    assert 12 == told["tracks"]["rows"]
    assert {"written"} == {output["state"] for output in told["outputs"]}
    names = {output["file"] for output in told["outputs"]} | {"tracks.parquet", ".lock"}
    assert {path.name for path in (data.parent / "out").iterdir()} == names


def test_broken_lines_are_told_and_the_rest_is_exported(data):
    path = data / "signals-20261120.csv"
    path.write_bytes(path.read_bytes() + b"rubbish\nid,20")
    got = run()
    assert 2 == got.exit_code
    assert "; left out: 1 torn or unfinished and 1 broken" in got.stdout.splitlines()[0]
    (told,) = got.stderr.splitlines()
    assert told.startswith("spreadscan: data/signals-20261120.csv: line ")
    assert (2, told) == ((again := run()).exit_code, again.stderr.strip())


def test_a_file_of_another_version_is_told_by_name(data):
    (data / "snapshots-20261120-00.csv").write_text("# spreadscan snapshots v1; x\nid\n")
    got = run()
    assert 2 == got.exit_code
    assert "snapshots-20261120-00.parquet: refused" in got.stdout
    assert "snapshots-20261120-00.csv: begins '# spreadscan snapshots v1', expected" in got.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--data", "nowhere"], "nowhere: No such file or directory, expected a folder of data"),
        (["--since", "soon"], "since: 'soon', expected a span"),
        (["--since", "2030-01-01"], "data: no signals-*.csv[.zst] or snapshots-*.csv[.zst] that"),
        (["--out", "data/signals-20261120.csv"], "signals-20261120.csv: File exists, expected"),
    ],
)
def test_what_cannot_be_is_a_sentence(data, args, words):
    got = run(*args)
    assert 2 == got.exit_code
    assert words in got.stderr
    assert "" == got.stdout
    assert 1 == len(got.stderr.splitlines())


def test_without_pyarrow_the_extra_is_named(data, monkeypatch):
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    got = run()
    assert 2 == got.exit_code
    assert (
        "spreadscan: export: pyarrow is not installed, expected it: "
        "pip install 'spreadscan[export]'\n"
    ) == got.stderr
