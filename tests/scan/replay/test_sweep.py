"""Several settings and recordings at once: every combination, on all cores, as if played alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyarrow import parquet

from scan.replay.story import contents, perp, replayed, spot
from spreadscan.cli import options
from spreadscan.cli.replay import replay
from spreadscan.errors import ConfigError, Halt
from spreadscan.replay import play_runs, runs_of, sweep

WITHIN_S = 60


def silent(done, total, note):
    pass


def run(*args):
    return CliRunner().invoke(replay, [str(arg) for arg in args])


@pytest.fixture
def folder(story):
    """A spread of 40 bps that converges, then one of 60 that does."""
    perps = [perp(1300, 40), perp(2050, 1), perp(2300, 60), perp(2450, 1), perp(2700, 1)]
    return story(spots=[spot(1000)], perps=perps)


# -- what is asked for


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, [{}]),
        ({"a": "1"}, [{"a": "1"}]),
        ({"a": "1, 2", "b": "5"}, [{"a": "1", "b": "5"}, {"a": "2", "b": "5"}]),
        ({"a": "", "b": "5"}, [{"a": "", "b": "5"}]),
        ({"s": '["x","y"],["z"]'}, [{"s": '["x","y"]'}, {"s": '["z"]'}]),
        ({"s": '["x", "y"]'}, [{"s": '["x", "y"]'}]),
        ({"s": '"x,y",z'}, [{"s": '"x,y"'}, {"s": "z"}]),
    ],
)
def test_values_are_separated_by_commas_outside_brackets(flags, expected):
    assert expected == sweep.combinations(flags)


def test_the_first_key_changes_slowest():
    found = sweep.combinations({"a": "1,2", "b": "3,4"})
    assert [("1", "3"), ("1", "4"), ("2", "3"), ("2", "4")] == [(f["a"], f["b"]) for f in found]


@pytest.mark.parametrize("text", ["1,", ",1", "1,,2", ",", '["a"],'])
def test_a_missing_value_is_named(text):
    with pytest.raises(ConfigError, match="--set a=.*: a value is missing"):
        sweep.combinations({"a": text})


def test_too_many_combinations_are_refused():
    many = ",".join(map(str, range(101)))
    with pytest.raises(ConfigError, match="10,201 combinations, expected at most 10,000"):
        sweep.combinations({"a": many, "b": many})


def test_fees_of_an_exchange_are_those_of_its_sources(folder):
    (folder / "config.toml").write_text("")
    jobs = runs_of([folder], (), {"fees.okx.taker_bps": "5,8", "fees.mexc-spot.taker_bps": "1"})
    fees = [
        [job.config.venues[name].taker_bps for name in ("okx-spot", "okx-futures", "mexc-spot")]
        for job in jobs
    ]
    assert [[5.0, 5.0, 1.0], [8.0, 8.0, 1.0]] == fees
    assert ["5", "8"] == [job.settings["fees.okx.taker_bps"] for job in jobs]


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("engine.treshold_bps=30,50", "unknown key 'engine.treshold_bps', did you mean"),
        ("engine.threshold_bps=30,x", "command line: engine.threshold_bps: Expected `float`"),
        ("engine.threshold_bps=30,1", "converge_bps 2.0 of okx->mexc, expected below threshold"),
        ("fees.nasdaq.taker_bps=1", "unknown key 'fees.nasdaq.taker_bps', expected fees.EXCHANGE"),
        ("fees.okx.maker_bps=1,2", "unknown key 'fees.okx.maker_bps'"),
        ("fees.okx.taker_bps=5,8", "venues.okx-spot.taker_bps: the fee of tier 'none' is in force"),
        ("universe.include=BTC-*,ETH-*", "universe.include: Expected `array`, got `str`"),
    ],
)
def test_a_wrong_key_or_value_is_named_before_anything_is_played(folder, setting, sentence):
    out = folder.parent / "out"
    got = run("--frames", folder, "--set", setting, "--out", out)
    assert (2, "") == (got.exit_code, got.stdout)
    assert sentence in got.stderr
    assert not out.exists()


def test_other_wrong_usage(folder, tmp_path, monkeypatch):
    args = "--frames", folder, "--set", "engine.threshold_bps=30,50"
    got = run(*args, "--against", tmp_path)
    assert (2, True) == (got.exit_code, "--against: several replays" in got.stderr)
    got = run("--frames", folder, "--frames", folder)
    assert (2, True) == (got.exit_code, f"{folder.name} 2 times" in got.stderr)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    got = run(*args, "--out", tmp_path / "full")
    assert (2, True) == (got.exit_code, "full: holds x" in got.stderr)
    monkeypatch.setattr(options, "find_spec", lambda name: None)
    got = run(*args, "--parquet", tmp_path / "x.parquet")
    assert (2, True) == (got.exit_code, "pip install 'spreadscan[export]'" in got.stderr)


# -- what is played


def test_every_combination_is_played_as_alone(folder, tmp_path):
    """In processes of their own, with their rows in folders of their own."""
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    out, table = tmp_path / "out", tmp_path / "sweep.parquet"
    got = run(
        "--frames", folder, "--frames", other, "--set", "engine.threshold_bps=30,50,70",
        "--set", "tracker.grid_ms=100", "--out", out, "--parquet", table, "--json",
    )  # fmt: skip
    assert 0 == got.exit_code, got.output
    found = json.loads(got.stdout)["replays"]
    expected = [(name, bps, n) for name in (folder.name, "other")
                for bps, n in (("30", 2), ("50", 1), ("70", 0))]  # fmt: skip
    assert expected == [
        (each["recording"], each["settings"]["engine.threshold_bps"], each["signals"])
        for each in found
    ]
    own = f"{folder.name}/engine.threshold_bps=30,tracker.grid_ms=100"
    replayed(folder, tmp_path / "a", engine__threshold_bps="30", tracker__grid_ms="100")
    assert contents(tmp_path / "a") == contents(out / own)
    assert contents(tmp_path / "a") == contents(out / own.replace(folder.name, "other"))
    rows = parquet.read_table(table).to_pylist()
    columns = ("recording", "engine.threshold_bps", "tracker.grid_ms", "signals", "converged")
    assert [(n, float(bps), 100.0, i, i) for n, bps, i in sorted(expected)] == [
        tuple(row[name] for name in columns) for row in rows
    ]
    assert [c for c in rows if not c["signals"]][0]["best_symbol"] is None


def test_a_folder_of_recordings_is_all_of_them(folder, tmp_path):
    (tmp_path / "week").mkdir()
    for name in ("monday", "tuesday"):
        shutil.copytree(folder, tmp_path / "week" / name)
    got = run("--frames", tmp_path / "week", "--set", "engine.threshold_bps=50,30")
    assert 0 == got.exit_code, got.output
    rows = [line.split() for line in got.stdout.splitlines()]
    table = rows[rows.index(["Spreads"]) + 1 :]
    assert ["recording", "engine.threshold_bps", "signals"] == table[0][:3]
    assert [
        ["monday", "50", "1"], ["monday", "30", "2"], ["tuesday", "50", "1"],
        ["tuesday", "30", "2"],
    ] == [row[:3] for row in table[1:5]]  # fmt: skip
    assert ["okx->mexc", "BTC-USDT"] == table[1][-4:-2]


def test_progress_reaches_the_end(folder):
    told = []
    jobs = runs_of([folder], (), {"engine.threshold_bps": "30,50"})
    outcomes = play_runs(jobs, None, lambda *args: told.append(args))
    done, total, note = told[-1]
    assert (done, note) == (total, "2 of 2 replays")
    assert [2, 1] == [outcome.signals for outcome in outcomes]


def test_an_error_of_one_ends_them_all(folder, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    shutil.rmtree(other / "generated")
    jobs = runs_of([folder, other], (), {"engine.threshold_bps": "30,50"})
    with pytest.raises(ConfigError, match=r"other: no generated/ in it"):
        play_runs(jobs, None, silent)


def test_a_killed_process_is_told(folder, monkeypatch):
    monkeypatch.setattr(sweep, "_run_one", kill_oneself)
    jobs = runs_of([folder], (), {"engine.threshold_bps": "30,50"})
    with pytest.raises(Halt, match="one of its processes was killed"):
        play_runs(jobs, None, silent)


def kill_oneself(*args):
    os.kill(os.getpid(), signal.SIGKILL)


def test_an_interrupt_leaves_nothing_behind(market, tmp_path, python_env):
    (tmp_path / "tmp").mkdir()
    many = ",".join(str(30 + n) for n in range(400))
    process = subprocess.Popen(
        [sys.executable, "-m", "spreadscan", "replay", "--frames", str(market), "--set",
         f"engine.threshold_bps={many}"],
        env=python_env | {"TMPDIR": str(tmp_path / "tmp")}, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        start_new_session=True,
    )  # fmt: skip
    try:
        while not list(Path(tmp_path / "tmp").glob("*/*")):
            assert process.poll() is None, process.communicate()
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=WITHIN_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert (130, b"") == (process.returncode, errors)
    assert [] == list((tmp_path / "tmp").iterdir())
