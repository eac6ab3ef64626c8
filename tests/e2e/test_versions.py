"""Data folders that another version wrote, or that hold what nothing writes yet: all who read them.

v3/ is what version 3 of the program wrote: two spreads, a restart, an end.
"""

import shutil
from collections import Counter
from pathlib import Path

import pytest
from pyarrow import parquet
from spreadcore import active

from scan.tracker.conftest import S, market  # noqa: F401 -- a fixture
from spreadscan.disk.files import data_files, format_of, read_head, read_rows, refuse_strangers
from spreadscan.errors import BadData, ConfigError
from spreadscan.export import export
from spreadscan.replay.against import live_signals
from spreadscan.replay.results import read_outcome
from spreadscan.report.figures import ENDS
from spreadscan.report.history import OPEN_YET, load
from spreadscan.report.theme import COLOURS
from spreadscan.tracker import SIGNALS, SNAPSHOTS
from spreadscan.tracker.track import track_id

V3 = Path(__file__).parent / "v3"
V3_RING = 7299048589971021365
AGES = ("buy_age_ms", "sell_age_ms", "worst_buy_age_ms", "worst_sell_age_ms")
ETH, BTC = 1, 0


def written_by(version, folder):
    """Put the files of an earlier version into a folder."""
    shutil.copytree(V3, folder)
    if version == 2:  # no ages in the signals, nothing of the market
        for path in folder.iterdir():
            head, names, *rows = path.read_text().splitlines()
            names = names.split(",")
            left = [i for i, n in enumerate(names) if "snap" in path.name or n not in AGES]
            lines = [
                ",".join(fields[i] for i in left)
                for fields in (names, *(row.split(",") for row in rows))
            ]
            head = head.replace(" v3;", " v2;").removesuffix("; simulated=false")
            path.write_text("\n".join([head, *lines]) + "\n")
    return folder


def all_rows(folder, kind=SIGNALS):
    return [row for file in data_files(folder, kind) for row in read_rows(file.path, kind)]


def as_of(ring_id, folder):
    """Let the files be of another signal ring."""
    for path in folder.iterdir():
        text = path.read_text().replace(str(V3_RING), str(ring_id))
        for n in (BTC, ETH):
            text = text.replace(track_id(V3_RING, n), track_id(ring_id, n))
        path.write_text(text)


@pytest.mark.parametrize("version", [2, 3])
def test_whoever_reads_takes_an_earlier_version(version, tmp_path):
    data = written_by(version, tmp_path / "data")
    result = export(data, tmp_path / "out")
    assert (2, 1, []) == (result.tracks.rows, result.open_tracks, result.faults)
    ended, open_yet = parquet.read_table(tmp_path / "out/tracks.parquet").to_pylist()
    expected = {
        "symbol": "BTC-USDT", "quote": "USDT", "edge_id": None, "buy_source": None,
        "buy_listing": None, "sell_source": None, "sell_listing": None, "open_buy_notional": 400.0,
        "open_sell_notional": 301.2, "close_sell_notional": 300.33, "peak_notional": 302.1,
        "mean_notional": 301.39, "min_notional": 300.33, "reason": "CONVERGED", "gaps": 1,
        "open_buy_age_ms": {3: 0.0}.get(version), "simulated": {3: False}.get(version),
    }  # fmt: skip
    assert expected == {name: ended[name] for name in expected}
    assert ("ETH-USDT", None) == (open_yet["symbol"], open_yet["reason"])

    history = load(data, None, lambda n: None)
    assert (["USDT"] * 2, [301.2, 301.35], []) == (
        list(history.tracks.quote), list(history.tracks.notional), history.faults,
    )  # fmt: skip
    assert [("okx->mexc", "BTC-USDT", 30.0), ("okx->mexc", "ETH-USDT", 35.0)] == [
        (*signal.pair, signal.net_bps) for signal in live_signals(data, "2026-11-20T11")
    ]
    found = read_outcome(data)
    assert (2, 1, 1, 60.0) == (
        found.signals, found.ended["CONVERGED"], found.open, found.best[0].peak_net_bps
    )  # fmt: skip


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("same_ring", [True, False])
def test_the_tracker_goes_on_in_files_of_its_own(market, version, same_ring):  # noqa: F811
    """A spread that was open is followed on, or lost with its ring: it has an end either way."""
    data = written_by(version, market.folder)
    if same_ring:
        as_of(market.instance.ring.ring_id, data)
        market.signal(BTC), market.signal(ETH)  # as were taken from it
    before = {path: path.read_bytes() for path in data.iterdir()}
    market.now += 10 * S
    refuse_strangers(data, (SIGNALS, SNAPSHOTS))
    tracker = market.started()
    market.signal(2, 40.0)
    market.spread(ETH, 50.0)
    market.step(tracker, 2)
    market.spread(ETH, 0.0)
    market.step(tracker, 1)
    tracker.close(market.now)
    assert before == {path: path.read_bytes() for path in before}
    for kind in (SIGNALS, SNAPSHOTS):
        heads = [read_head(file.path) for file in data_files(data, kind)]
        assert [version, 4] == [format_of(head, kind).version for head in heads]
    expected = [
        ("GAP" if same_ring else "CLOSE", "ETH-USDT", "DOWN" if same_ring else "LOST"),
        ("OPEN", "PEPE-USDT", ""),
        *([("CLOSE", "ETH-USDT", "CONVERGED")] if same_ring else []),
    ]
    rows = all_rows(data)
    assert expected == [(row["event"], row["symbol"], row["reason"]) for row in rows[5:]]
    assert {"USDT"} == {row["quote"] for row in rows if row["symbol"] == "ETH-USDT"}
    ended = rows[-1] if same_ring else rows[5]
    # two looks stand in the GAP row, three in the snapshots after it
    assert ("8" if same_ring else "5") == ended["looks"]
    assert 0 == market.counters()["torn_lines"]
    result = export(data, data / "parquet")
    assert (3, 1, []) == (result.tracks.rows, result.open_tracks, result.faults)
    tracker.archive.round(market.utc.utc_ns(market.now + 2 * 86_400 * S))
    assert {True} == {file.compressed for file in data_files(data, SIGNALS)}
    assert rows == all_rows(data)


def test_a_header_of_an_earlier_version_that_was_torn_is_an_empty_file(market):  # noqa: F811
    whole = (V3 / "signals-20261120.csv").read_bytes()
    market.folder.mkdir()
    path = market.folder / "signals-20261120.csv"
    for size in range(0, whole.index(b"\n", whole.index(b"\n") + 1), 7):
        path.write_bytes(whole[:size])
        assert [] == all_rows(market.folder)
    tracker = market.started()
    market.signal(0, 40.0)
    market.step(tracker)
    assert path.read_bytes().startswith(SIGNALS.header)
    assert 1 == market.counters()["torn_lines"]


@pytest.mark.parametrize("tag", ["v1", "v5", "v40"])
def test_what_is_older_or_newer_is_refused_with_both_names(market, tmp_path, tag):  # noqa: F811
    market.folder.mkdir()
    path = market.folder / "signals-20261120.csv"
    path.write_bytes(SIGNALS.header.replace(b" v4;", f" {tag};".encode()) + b"\n")
    words = (
        f"{path}: begins '# spreadscan signals {tag}', expected '# spreadscan signals v4' or one "
        "from v2 on; move the files of that version to another folder, or set another paths.data"
    )
    for call in (
        market.started,
        lambda: refuse_strangers(market.folder, (SIGNALS,)),
        lambda: read_outcome(market.folder),
        lambda: live_signals(market.folder, "2026-11-20T11"),
    ):
        with pytest.raises((BadData, ConfigError)) as caught:
            call()
        assert words == str(caught.value)
    assert [words] == export(market.folder, tmp_path / "out").faults
    assert [words] == load(market.folder, None, lambda n: None).faults


@pytest.fixture
def by_hand(market):  # noqa: F811
    """Two spreads, one halted by hand, and remarks between the rows, as later versions write."""
    tracker = market.started()
    for symbol in (BTC, ETH):
        market.signal(symbol, 40.0)
    market.step(tracker, 2)
    tracker.close(market.now)
    rows = all_rows(market.folder)
    remark = {"event": "EVENT", "time": rows[0]["time"], "reason": "PAUSE", "config_hash": "c"}
    halted = rows[0] | {"event": "CLOSE", "reason": "HALTED", "duration_s": "0.400000",
                        "profit_s": "0.400000", "peak_net_bps": "30.0000"}  # fmt: skip
    of_ring = remark | {"reason": "KILL", "ring_id": rows[0]["ring_id"], "at_ns": "1"}
    path = market.folder / "signals-20261120.csv"
    text = "".join(map(SIGNALS.row, [remark, *rows, of_ring, halted, remark]))
    path.write_bytes(SIGNALS.header + text.encode())
    return market


def test_the_tracker_takes_up_what_is_not_halted(by_hand):
    by_hand.now += S
    tracker = by_hand.started()
    by_hand.step(tracker, 7)  # the orphaned byte is freed by its reason
    assert (1, 0) == (by_hand.counters()["recovered"], by_hand.counters()["torn_lines"])
    assert (active.FREE, active.TRACKED) == (by_hand.state(BTC), by_hand.state(ETH))


def test_whoever_reads_knows_halts_and_passes_over_remarks(by_hand, tmp_path):
    data = by_hand.folder
    result = export(data, tmp_path / "out")
    assert (2, 1, []) == (result.tracks.rows, result.open_tracks, result.faults)
    tracks = parquet.read_table(tmp_path / "out/tracks.parquet").to_pylist()
    assert ["HALTED", None] == [track["reason"] for track in tracks]
    events = parquet.read_table(tmp_path / "out/signals-20261120.parquet").to_pylist()
    assert ["KILL", "PAUSE", "PAUSE"] == sorted(
        row["reason"] for row in events if row["event"] == "EVENT" and row["track_id"] is None
    )
    assert 6 == len(events)
    found = read_outcome(data)
    assert (2, 1, 1, 0.4) == (found.signals, found.ended["HALTED"], found.open, found.profit_s)
    assert 2 == len(live_signals(data, "2026-11-20T11"))
    history = load(data, None, lambda n: None)
    assert ([], [0.4]) == (history.faults, list(history.tracks.duration_s[:1]))
    assert {"HALTED": 1, OPEN_YET: 1} == Counter(history.counted.reason)


def test_the_report_has_a_colour_for_each_end():
    assert {end.lower() for end in ENDS} <= set(COLOURS)


def test_a_row_of_no_track_that_is_no_remark_is_broken(by_hand, tmp_path):
    path = by_hand.folder / "signals-20261120.csv"
    text = path.read_text().replace(",EVENT,,", ",OPEN,,", 1)
    path.write_text(text)
    result = export(by_hand.folder, tmp_path / "out")
    assert (1, 2) == (result.outputs[0].broken_lines, result.tracks.rows)
