"""Captures of others, through the program: stamps in any unit, every source, protobuf."""

import base64
import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cases.kit import environment, instrument
from scan.replay.story import signals
from scan.replay.tapes import write_generated
from spreadscan.types import Book
from spreadscan.venues import VENUES

SHARED = Path(__file__).parents[3] / "shared"
GIVEN = SHARED / "cases/15-capture-stamps-in-ms"
SAMPLES = SHARED / "wire/samples/mexc-spot"
AT_S = 1_789_299_660  # 2026
PAIR = "--directions=binance-spot:bybit-futures"


def program(*arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "spreadscan", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, env=environment(),
    )  # fmt: skip
    assert code == done.returncode, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout if code == 0 else done.stderr


def write(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def frames(unit):
    """A minute of two sources, a frame a second of each, 100 bps apart."""
    per = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    for n in range(60):
        for source, bid, ask in (("binance-spot", 99.0, 100.0), ("bybit-futures", 101.0, 102.0)):
            frame = VENUES[source].render(Book("BTCUSDT", bid, 50.0, ask, 50.0, 0, n + 1))
            yield (AT_S + n) * per, source, frame.decode()


def seconds_above(folder):
    found = json.loads(program("replay", "--frames", folder, PAIR, "--edges=50", "--json"))
    (edge,) = found["edges"]
    return edge["above"][0]["total_s"], found["remarks"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_a_minute_is_a_minute_in_any_unit(tmp_path, unit):
    file = write(
        tmp_path / "frames.tsv.gz",
        [f"{t}\t{source}\t{frame}\n" for t, source, frame in frames(unit)],
    )
    total_s, remarks = seconds_above(tmp_path)
    assert 59.0 == total_s
    told = f"frames.tsv.gz: its times are Unix {unit}, read as such"
    assert ([] if unit == "ns" else [told]) == remarks
    said = program("record", "--from", file, "--out", tmp_path / "rec")
    assert (unit != "ns") == (told in said)
    about = json.loads((tmp_path / "rec/recording.json").read_text())
    assert "2026-09-13" == about["started"][:10]
    # the scan of it opens where the recording begins
    lists = {s: [instrument(s, "BTC")] for s in ("binance-spot", "bybit-futures")}
    write_generated(tmp_path / "lists", lists)
    program("replay", "--frames", tmp_path / "rec", "--generated", tmp_path / "lists",
            "--out", tmp_path / "out")  # fmt: skip
    assert about["started"] == signals(tmp_path / "out")[0]["time"]


@pytest.mark.parametrize("name", ["a.tsv", "a.log.gz"])
@pytest.mark.parametrize("unit", ["ms", "us"])
def test_folders_of_sources_are_read_so_too(tmp_path, name, unit):
    between = ": " if name.endswith("gz") else "\t"
    lines = [f"{t}{between}{frame}\n" for t, source, frame in frames(unit) if "bybit" in source]
    write(tmp_path / "bybit-futures" / name, lines)
    found = json.loads(program("replay", "--frames", tmp_path, "--json"))
    assert 59 * 10**9 == found["sources"]["bybit-futures"]["span_ns"]
    assert [f"bybit-futures/{name}: its times are Unix {unit}, read as such"] == found["remarks"]


@pytest.mark.parametrize("command", ["replay", "record"])
def test_two_units_in_one_file_are_refused(tmp_path, command):
    lines = [f"{t}\t{s}\t{frame}\n" for unit in ("ms", "us") for t, s, frame in frames(unit)]
    file = write(tmp_path / "in" / "frames.tsv.gz", lines)
    rec = tmp_path / "rec"
    asked = ("replay", "--frames", tmp_path / "in") if command == "replay" else (
        "record", "--from", file, "--out", rec
    )  # fmt: skip
    said = program(*asked, code=2)
    assert "line 121: time '1789299660000000': in us, expected in ms as in the lines before" in said


@pytest.mark.skipif(not GIVEN.is_dir(), reason=f"no captures at {GIVEN}")
@pytest.mark.parametrize("where", [".", "us"])
def test_the_given_captures(tmp_path, where):
    shutil.copy(GIVEN / where / "frames.tsv.gz", tmp_path)
    total_s, remarks = seconds_above(tmp_path)
    assert (59.0, 1) == (total_s, len(remarks))


@pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no samples at {SAMPLES}")
@pytest.mark.parametrize("as_text", [lambda b: base64.b64encode(b).decode(), bytes.hex])
def test_recorded_protobuf_in_lines_is_what_it_is_in_files(tmp_path, as_text):
    files = sorted(SAMPLES.glob("*.bin"))
    lines = [
        f"{(AT_S + n) * 10**9}\tmexc-spot\t{as_text(path.read_bytes())}\n"
        for n, path in enumerate(files)
    ]
    file = write(tmp_path / "in" / "frames.tsv.gz", lines)
    shutil.copytree(SAMPLES, tmp_path / "mexc-spot", ignore=lambda _, names: [
        name for name in names if not name.endswith(".bin")
    ])  # fmt: skip
    program("record", "--from", file, "--out", tmp_path / "rec")
    found = [
        json.loads(program("replay", "--frames", folder, "--json"))["sources"]["mexc-spot"]
        for folder in (tmp_path / "in", tmp_path / "rec", tmp_path / "mexc-spot")
    ]
    counts = [(s["frames"], s["quotes"], s["declined"]) for s in found]
    assert counts[0] == counts[1]
    assert len(files) == counts[0][0] == counts[2][0]
    assert 2 <= counts[0][1] <= counts[2][1]  # book tickers; a file of its own forgets ids
