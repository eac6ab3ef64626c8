"""`spreadscan replay` as a user calls it: tables, JSON, sentences, exit codes."""

import json
import os
import re
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from spreadscan.cli.replay import replay

DIRECTIONS = "--directions=binance-futures:binance-spot,okx-spot:mexc-futures"


@pytest.fixture
def folder(record, write, spot_frame, futures_frame):
    write("okx-futures/pong.txt", "pong")
    arg = '{"channel":"bbo-tbt","instId":"A\\u001b[31m-USDT-SWAP"}'
    write(
        "okx-futures/a.jsonl",
        f'{{"arg":{arg},"data":[{{"asks":[["2","1"]],"bids":[["1","1"]]}}]}}',
    )
    return record(
        (1723161254024619568, "binance_usdm", futures_frame(99, 100, 1)),
        (1723161254024619569, "binance_spot", spot_frame("100.30", 101, 1)),
        (1723161254024619568, "binance_spot", spot_frame("100.20", 101, 2)),
        (1723161255024619568, "binance_spot", "garbage"),
    )


def run(*args):
    return CliRunner().invoke(replay, [str(arg) for arg in args])


def test_tables(folder):
    got = run("--frames", folder, DIRECTIONS, "--edges=-5,25")
    assert 0 == got.exit_code, got.stderr
    rows = [re.split(r"  +", line.strip()) for line in got.stdout.splitlines()]
    assert "6 frames" == got.stdout.splitlines()[0]
    assert ["binance-spot", "3", "2", "0", "0", "0", "1", "1.000", "bad_frame 1"] in rows
    quote = "frames.tsv.gz binance-spot BTCUSDT 2 100.2 1 101 1 - 2"
    assert quote.split() in rows
    edge = ["binance-futures:binance-spot", "BTC-USDT"]
    peak = ["30.000000", "1723161254024619569", "100.3 / 100"]
    assert [*edge, "2", "25.0000", *peak] in rows
    assert [*edge, "-5", "2", "1", "1.000", "1.000"] in rows
    assert [*edge, "25", "1", "1"] in [row[:5] for row in rows]
    assert "binance-spot: 1 frame(s) stamped earlier than the one before" in got.stdout
    assert "okx-spot:mexc-futures: no symbol had quotes of both sources" in got.stdout
    assert "tells the contract size of A [31m-USDT-SWAP" in got.stdout
    assert "\x1b" not in got.stdout
    assert re.fullmatch(r"6 frames in [\d.]+ s \([\d,]+ frames/s\)", got.stdout.splitlines()[-1])


def test_json(folder):
    got = run("--frames", folder, DIRECTIONS, "--edges=0", "--json")
    assert 0 == got.exit_code, got.stderr
    report = json.loads(got.stdout.splitlines()[-1])
    assert 6 == report["frames"]
    assert ["binance-spot", "binance-futures", "okx-futures"] == list(report["sources"])
    source = report["sources"]["binance-spot"]
    assert (3, 2, {"bad_frame": 1}, 1) == tuple(
        source[key] for key in ("frames", "quotes", "declined", "steps_back")
    )
    assert {
        "symbol": "BTC-USDT", "bid_px": 100.2, "bid_qty": 1.0, "ask_px": 101.0, "ask_qty": 1.0,
        "venue_ns": 0, "recv_ns": 1723161254024619568, "update_id": 2, "quotes": 2,
    } == source["last"]["BTCUSDT"]  # fmt: skip
    assert 1_000_000_000 == report["sources"]["binance-futures"]["last"]["BTCUSDT"]["venue_ns"]
    files = [file["file"] for file in report["files"]]
    assert ["frames.tsv.gz", "okx-futures/a.jsonl", "okx-futures/pong.txt"] == files
    assert source == report["files"][0]["sources"]["binance-spot"]
    (edge,) = report["edges"]
    assert (100.3 - 100.0) / 100.0 * 1e4 == edge["max_bps"]
    assert 1723161254024619569 == edge["max_ns"]
    assert report["frames_per_s"] > 0


def test_an_emptied_quote_is_null_in_json(record, spot_frame):
    folder = record(
        (1, "binance_spot", spot_frame(1, 2, 1)), (2, "binance_spot", spot_frame("", 2, 2))
    )
    report = json.loads(run("--frames", folder, "--json").stdout)
    quote = report["sources"]["binance-spot"]["last"]["BTCUSDT"]
    assert (None, None, 0) == (quote["bid_px"], quote["ask_qty"], quote["recv_ns"])


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ((), "Missing option '--frames'"),
        (("--frames", "/no/such/folder"), "/no/such/folder: no such folder"),
        (("--frames", ".", "--directions=a:b"), "directions: unknown source 'a'"),
        (("--frames", ".", "--edges=1"), "edges: limits without directions"),
        (("--frames", ".", "--edges=x", DIRECTIONS), "edges: 'x', expected numbers"),
    ],
)
def test_wrong_usage(args, sentence):
    got = run(*args)
    assert 2 == got.exit_code
    assert sentence in got.stderr
    assert "" == got.stdout


def test_bad_input_names_file_and_line(write):
    got = run("--frames", write("okx-spot/a.tsv", "1\tx\nno tab\n"), "--json")
    assert 2 == got.exit_code
    assert got.stderr.startswith("spreadscan: ")
    assert got.stderr.endswith(
        "okx-spot/a.tsv: line 2: no TAB in the line, expected time TAB frame\n"
    )
    assert "" == got.stdout


def test_an_interrupt_ends_it_without_a_trace(record, spot_frame, python_env):
    row = spot_frame(1, 2, 1)
    folder = record(*((i, "binance_spot", row) for i in range(1, 100_000)))
    code = (
        "import pathlib, signal, sys\n"
        "from spreadscan.replay import play\n"
        # a job in the background of a shell inherits SIGINT ignored
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "play(pathlib.Path(sys.argv[1]), progress=lambda done, of: print(done, flush=True))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=python_env,
    )  # fmt: skip
    try:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
    assert b"KeyboardInterrupt" in errors
    assert [] == [n for n in os.listdir("/dev/shm") if f"replay-{process.pid}-" in n]
