"""A source that says nothing at the end of a recording, as where silence is health."""

import gzip
import json
import subprocess
import sys

from cases.kit import environment, instrument
from scan.replay.story import signals, snapshots
from scan.replay.tapes import write_generated

S = 1_000_000_000
AT = 1_795_176_000 * S
LAST_S = 60


def frame(venue, at_s, stream, **data):
    return AT + at_s * S, venue, json.dumps(stream | {"data": {"s": "BTCUSDT", **data}})


def spot(at_s):
    top = {"b": "99.9", "B": "50", "a": "100", "A": "50"}
    return frame("binance_spot", at_s, {"stream": "btcusdt@bookTicker"}, u=at_s, **top)


def perp(at_s):
    topic = {"topic": "orderbook.1.BTCUSDT", "type": "snapshot", "ts": 1, "cts": 1}
    top = {"b": [["101", "50"]], "a": [["101.1", "50"]]}
    return frame("bybit-futures", at_s, topic, u=at_s, seq=at_s, **top)


def program(*arguments):
    done = subprocess.run(
        [sys.executable, "-m", "spreadscan", *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False, env=environment(),
    )  # fmt: skip
    assert 0 == done.returncode, done.stderr


def test_an_import_keeps_the_spreads_of_a_quiet_source(tmp_path):
    """Binance speaks for 5 s, Bybit for a minute: the spread stands to the end."""
    rows = [*map(spot, range(1, 6)), *map(perp, range(6, LAST_S + 1))]
    lines = "".join("\t".join(map(str, row)) + "\n" for row in rows)
    (tmp_path / "frames.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    lists = {s: [instrument(s, "BTC")] for s in ("binance-spot", "bybit-futures")}
    write_generated(tmp_path / "lists", lists)
    rec, out = tmp_path / "rec", tmp_path / "out"
    program("record", "--from", tmp_path / "frames.tsv.gz", "--out", rec)
    program(
        "replay", "--frames", rec, "--generated", tmp_path / "lists", "--out", out,
        "--set", "venues.binance-spot.stale_after_s=600",
    )  # fmt: skip
    assert ["OPEN"] == [row["event"] for row in signals(out)]
    last = snapshots(out)[-1]
    assert ("1", f"2026-11-20T12:0{LAST_S // 60}:00.000000Z") == (last["tradable"], last["time"])
