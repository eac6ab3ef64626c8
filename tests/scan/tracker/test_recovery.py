"""What a tracker takes up when it comes back, whatever its files look like."""

import random
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from spreadcore import active

from scan.tracker.conftest import (
    EDGES,
    MEXC_FUTURES,
    MS,
    OKX_SPOT,
    START_NS,
    SYMBOLS,
    Market,
    S,
    compressed,
)
from spreadscan.errors import BadData
from spreadscan.lists import Edge
from spreadscan.tracker import SIGNALS, SNAPSHOTS, Tracker, recovery

FIVE_LOOKS = {
    "peak_net_bps": "30.0000", "peak_time": "2026-11-20T12:00:00.000000Z",
    "peak_after_s": "0.000000", "peak_notional": "301.20", "profit_s": "1.000000",
    "mean_net_bps": "30.0000", "mean_notional": "301.20", "min_notional": "301.20",
    "worst_buy_age_ms": "1000", "worst_sell_age_ms": "1000",
    "looks": "5", "tradable_looks": "5", "skipped": "0",
}  # fmt: skip


def test_an_open_track_is_resumed_after_a_gap(market):
    market.signal(0, 40.0)
    market.step(market.started(), 5)
    market.now += 7 * S
    tracker = market.started()
    counters = market.counters()
    assert (1, 1, 1) == tuple(counters[c] for c in ("recovered", "open", "opened"))
    opened, gap = market.events()
    assert gap == opened | {
        "event": "GAP", "reason": "DOWN", "time": "2026-11-20T12:00:08.000000Z",
        "gap_s": "7.000000", "at_ns": str(START_NS + 8 * S), "buy_px": "", "buy_qty": "",
        "buy_notional": "", "sell_notional": "", "sell_px": "", "sell_qty": "",
        "buy_age_ms": "", "sell_age_ms": "", "gross_bps": "", "net_bps": "", **FIVE_LOOKS,
    }  # fmt: skip
    assert active.TRACKED == market.state(0)
    market.spread(0, 60.0)
    market.step(tracker)
    market.spread(0, 0.0)
    market.step(tracker)
    close = market.events()[2]
    assert ("CONVERGED", "8.400000", "50.0000", "2026-11-20T12:00:08.200000Z") == tuple(
        close[c] for c in ("reason", "duration_s", "peak_net_bps", "peak_time"))  # fmt: skip
    assert active.FREE == market.state(0)


def told(market: Market, restarts_at: Collection[int]) -> dict[str, str]:
    """The statistics of a track of 40 ticks, with a new tracker after some of them."""
    market.signal(0, 40.0)
    tracker = market.started()
    for n in range(40):
        if n in (7, 8, 20):
            market.instance.quotes.write_empty(5, 0)
        else:
            market.spread(0, 0.0 if n == 39 else 12.5 + n * 37 % 50)
        if n == 25:
            market.now += 3 * S  # late: 15 ticks of the grid
        market.step(tracker)
        if n in restarts_at:
            tracker.close(market.now)
            tracker = market.started()
    close = market.events()[-1]
    assert "CONVERGED" == close["reason"]
    return {name: close[name] for name in FIVE_LOOKS}


def test_a_track_of_another_pair_under_the_same_id_is_lost_not_resumed(market):
    """Ids given anew by `discover --fresh`, or an id used again: the prices are another coin's."""
    tracker = market.started()
    for symbol in (0, 3):
        market.signal(symbol, 40.0)
    market.step(tracker, 5)
    tracker.close(market.now)
    tracker = market.tracker()
    tracker.relist(["OTHER-USDT", *SYMBOLS[1:]], EDGES, {}, market.now)
    market.now += 7 * S
    tracker.recover(market.now)
    assert [("OPEN", "0", ""), ("OPEN", "1", ""), ("CLOSE", "0", "LOST"), ("GAP", "1", "DOWN")] == (
        market.kinds()
    )
    assert "BTC-USDT" == market.events()[2]["symbol"]
    market.step(tracker, 12)  # two looks for bytes that belong to nobody
    assert (active.FREE, active.TRACKED) == (market.state(0), market.state(3))


def test_a_converted_track_is_resumed_on_its_own_edge_whatever_that_is_numbered(market):
    """One pair in one direction: as it is, and bought for what another pair is sold for."""
    rate = ("buy", OKX_SPOT, 9)

    def numbered(plain: int, converted: int) -> list[Edge]:
        others = [edge for edge in EDGES if edge.id not in (plain, converted, 0, 1)]
        return [
            *others,
            Edge(plain, 0, OKX_SPOT, 0, MEXC_FUTURES, 0),
            Edge(converted, 0, OKX_SPOT, 0, MEXC_FUTURES, 5, 0, *rate),
        ]

    def tracker(edges: list[Edge]) -> Tracker:
        found = market.tracker()
        found.relist(SYMBOLS, edges, {}, market.now)
        found.recover(market.now)
        return found

    first = tracker(numbered(0, 1))
    for edge in (0, 1):
        market.signal(edge, 40.0)
    market.step(first, 3)
    rows = {row["converted"]: row["track_id"] for row in market.events()}
    assert {"", "buy"} == set(rows)
    first.close(market.now)
    for edge in (0, 1):  # numbered anew: `discover --fresh`
        assert market.instance.active.move(edge, active.TRACKED, active.FREE)
    again = tracker(numbered(7, 3))
    states = market.instance.active.not_free()
    assert {7, 3} == {n for n, state in states if state == active.TRACKED}
    market.step(again, 2)
    assert {("GAP", "", rows[""]), ("GAP", "buy", rows["buy"])} == {
        (row["event"], row["converted"], row["track_id"]) for row in market.events()[2:]
    }
    again.close(market.now)
    # by another rate it is another spread
    other = [e._replace(rate_source=0) if e.converted else e for e in numbered(7, 3)]
    tracker(other)
    assert [("CLOSE", "buy", "LOST")] == [
        (row["event"], row["converted"], row["reason"])
        for row in market.events()[4:] if row["event"] == "CLOSE"
    ]  # fmt: skip


def test_statistics_survive_restarts(market):
    whole = told(market, ())
    assert ("40", "37", "15") == tuple(whole[n] for n in ("looks", "tradable_looks", "skipped"))
    for n, restarts in enumerate([(0,), (38,), (10,), (8, 9, 30), range(39)]):
        market = Market(market.instance, market.folder.parent / str(n))
        again = told(market, restarts)
        for mean in ("mean_net_bps", "mean_notional"):  # rounded at each restart
            assert abs(float(whole[mean]) - float(again.pop(mean))) < 0.02
        assert whole | again == whole, restarts
        assert len(restarts) + 2 == len(market.events())


def test_a_gap_row_has_the_statistics_up_to_it(market):
    market.signal(0, 40.0)
    market.step(market.started(), 5)
    market.now += 9 * S
    tracker = market.started()
    (gap,) = [e for e in market.events() if e["event"] == "GAP"]
    assert FIVE_LOOKS == {name: gap[name] for name in FIVE_LOOKS}
    market.spread(0, 30.0)
    market.step(tracker)
    market.started()  # its statistics begin with that GAP
    gap = market.events()[-1]
    assert ("1.200000", f"{(5 * 30 + 20) / 6:.4f}", "6", "0") == tuple(
        gap[name] for name in ("profit_s", "mean_net_bps", "looks", "skipped"))  # fmt: skip


@pytest.mark.parametrize("reach", [0, 1, 3, 7])
def test_statistics_rest_on_the_newest_snapshots_that_are_read(market, monkeypatch, reach):
    market.signal(0, 40.0)
    market.step(market.started(), 7)
    size = len(next(market.folder.glob("snapshots-*")).read_bytes().splitlines()[-1]) + 1
    monkeypatch.setattr(recovery, "_REREAD_BYTES", reach * size + 20)
    market.started()
    assert str(reach) == market.events()[-1]["looks"]
    market.started()
    assert str(reach) == market.events()[-1]["looks"]  # by the GAP row


def test_statistics_are_read_from_compressed_hours_too(market):
    market.now += 3600 * S - 500 * MS
    market.signal(0, 40.0)
    market.step(market.started(), 7)
    over, _ = sorted(market.folder.glob("snapshots-*"))
    (over.parent / f"{over.name}.zst").write_bytes(compressed(over.read_bytes()))
    over.unlink()
    market.started()
    assert "7" == market.events()[-1]["looks"]


def test_a_closed_track_is_not_resumed(market):
    market.signal(0, 40.0)
    tracker = market.started()
    market.step(tracker)
    market.spread(0, 0.0)
    market.step(tracker)
    market.step(market.started(), 5)
    assert [("OPEN", "0", ""), ("CLOSE", "0", "CONVERGED")] == market.kinds()
    assert 0 == market.counters()["recovered"]


def test_what_outlived_its_time_meanwhile_expires_at_the_first_tick(market):
    market.signal(0, 40.0)
    market.step(market.started(), 5)
    market.now += 120 * S
    market.step(market.started())
    assert [("OPEN", "0", ""), ("GAP", "0", "DOWN"), ("CLOSE", "0", "EXPIRED")] == market.kinds()
    assert "121.200000" == market.events()[2]["duration_s"]
    assert active.REARM == market.state(0)


def test_the_age_survives_a_step_of_the_wall_clock(market):
    market.signal(0, 40.0)
    market.step(market.started(), 5)
    market.utc.shift_ns = -3600 * S
    tracker = market.started()
    assert "0.000000" == market.events()[1]["gap_s"]
    market.spread(0, 0.0)
    market.step(tracker)
    assert "1.200000" == market.events()[2]["duration_s"]


def test_a_close_that_a_clock_put_back_filed_before_the_open_counts(market):
    market.now += 12 * 3600 * S  # 00:00 of the 21st
    market.signal(0, 40.0)
    tracker = market.started()
    market.step(tracker)
    market.utc.shift_ns = -3600 * S
    market.spread(0, 0.0)
    market.step(tracker)
    stepped = ("EVENT", "", "CLOCK: the wall clock was stepped by -3600.000 s")
    assert [("CLOSE", "0", "CONVERGED"), stepped, ("OPEN", "0", "")] == market.kinds()
    market.step(market.started())
    assert 3 == len(market.events())
    assert 0 == market.counters()["recovered"]


def test_tracks_of_another_ring_are_lost(market, make_instance):
    market.signal(0, 40.0)
    market.step(market.started(), 5)
    market.instance = make_instance(n_sources=8, n_symbols=64, n_edges=768, force=True)
    market.now += 30 * S
    tracker = market.started()
    opened, close = market.events()
    assert close == opened | {
        "event": "CLOSE", "reason": "LOST", "time": "2026-11-20T12:00:31.000000Z",
        "duration_s": "1.000000", "gap_s": "30.000000", **FIVE_LOOKS,
        "at_ns": str(START_NS + 31 * S),
        "buy_px": "", "buy_qty": "", "buy_notional": "", "sell_notional": "",
        "sell_px": "", "sell_qty": "", "gross_bps": "", "net_bps": "", "buy_age_ms": "",
        "sell_age_ms": "",
    }  # fmt: skip
    assert [] == market.instance.active.not_free()
    assert (1, 0, 0) == tuple(market.counters()[c] for c in ("lost", "recovered", "open"))
    assert 0 == market.signal(0, 40.0)  # sequences begin again: not taken for the old one
    market.step(tracker)
    assert ("OPEN", "0", "") == market.kinds()[-1]
    assert market.events()[0]["track_id"] != market.events()[-1]["track_id"]
    market.step(market.started())
    assert 4 == len(market.events())  # one GAP more, no second CLOSE


def test_a_track_of_days_ago_is_found_after_a_long_stand_still(market):
    """The instance lived on, nobody tracked: the files are old, and the newest there are."""
    market.signal(0, 40.0)
    market.step(market.started())
    market.now += 40 * 86_400 * S
    market.started()
    assert 1 == market.counters()["recovered"]
    assert ["signals-20261120.csv", "signals-20261230.csv"] == [
        path.name for path in sorted(market.folder.glob("signals-*"))]  # fmt: skip


def test_a_file_of_the_future_hides_nothing(market):
    """A clock was far ahead once."""
    market.signal(0, 40.0)
    market.step(market.started())
    (market.folder / "signals-20991231.csv").write_bytes(SIGNALS.header)
    market.started()
    assert 1 == market.counters()["recovered"]


def test_old_files_are_not_read(market):
    market.folder.mkdir()
    for name in ("signals-20261101.csv", "signals-99999999.csv", "signals-x.csv", "notes.txt"):
        (market.folder / name).write_text("not ours\n")
    (market.folder / "snapshots-20261119-23.csv").touch()
    market.started()


@pytest.mark.parametrize("day", ["20261119", "20261120", "20991231"])
def test_a_foreign_file_that_may_matter_is_refused(market, day):
    market.folder.mkdir()
    path = market.folder / f"signals-{day}.csv"
    path.write_text("# spreadscan signals v5; newer\ntime\n")
    with pytest.raises(BadData) as caught:
        market.started()
    assert (
        f"{path}: begins '# spreadscan signals v5', expected '# spreadscan signals v4' or one from "
        "v2 on; move the files of that version to another folder, or set another paths.data"
    ) == str(caught.value)


def test_a_foreign_snapshots_file_is_refused(market):
    market.folder.mkdir()
    path = market.folder / "snapshots-20261120-11.csv"
    path.write_text("x\n")
    with pytest.raises(BadData, match=r"snapshots-20261120-11\.csv: begins 'x'"):
        market.started()


def test_a_data_folder_that_is_a_file_is_refused(market):
    market.folder.write_text("")
    with pytest.raises(BadData, match="data: File exists, expected a folder"):
        market.started()


def test_a_kill_between_open_row_and_tail_opens_once(market):
    market.signal(0, 40.0)
    market.started().poll(market.now)
    market.instance.ring._start_at(0)  # as if the tail had not moved yet
    market.instance.ring.push(0, market.now, market.now, market.now, 100.0, 100.4, 4.0, 3.0)
    market.instance.active.move(0, active.TRACKED, active.SIGNALLED)
    tracker = market.started()
    assert active.TRACKED == market.state(0)
    market.step(tracker)
    assert [("OPEN", "0", ""), ("GAP", "0", "DOWN")] == market.kinds()
    assert 0 == market.instance.ring.queued
    assert 1 == market.counters()["opened"]


# -- orphans


def orphan(market: Market, state: int) -> None:
    assert market.instance.active.move(0, active.FREE, state)


@pytest.mark.parametrize("state", [active.SIGNALLED, active.TRACKED])
def test_an_orphan_is_freed_at_the_second_look(market, state):
    orphan(market, state)
    tracker = market.started()
    market.step(tracker, 5)
    assert state == market.state(0)  # looked at 0.2 s
    market.step(tracker)
    assert active.FREE == market.state(0)
    assert [0] == market.instance.dirty.take(6)
    assert 1 == market.counters()["orphans_freed"]


def test_an_orphan_of_an_expired_track_rearms(market):
    market.signal(0, 40.0)
    tracker = market.started(tracker__expire_after_s=1.0)
    market.step(tracker, 5)
    assert active.REARM == market.state(0)
    market.instance.active.move(0, active.REARM, active.TRACKED)  # killed before the byte
    market.instance.dirty.take(6)
    tracker = market.started()
    market.step(tracker, 6)
    assert active.REARM == market.state(0)
    assert [] == market.instance.dirty.take(6)


def test_only_the_last_close_counts(market):
    tracker = market.started(tracker__expire_after_s=1.0)
    market.signal(0, 40.0)
    market.step(tracker, 5)
    market.instance.active.move(0, active.REARM, active.FREE)
    market.signal(0, 40.0)
    market.spread(0, 0.0)
    market.step(tracker)
    assert ["EXPIRED", "CONVERGED"] == [r for _, _, r in market.kinds() if r]
    orphan(market, active.TRACKED)
    market.step(market.started(), 6)
    assert active.FREE == market.state(0)


def test_an_orphan_rearms_by_a_close_of_this_very_run(market):
    market.signal(0, 40.0)
    tracker = market.started(tracker__expire_after_s=1.0)
    market.step(tracker, 5)
    market.instance.active.move(0, active.REARM, active.SIGNALLED)  # a killed engine's
    market.step(tracker, 15)
    assert active.REARM == market.state(0)
    assert 1 == market.counters()["orphans_freed"]


def test_what_ended_in_another_ring_says_nothing(market, make_instance):
    market.signal(0, 40.0)
    tracker = market.started(tracker__expire_after_s=1.0)
    market.step(tracker, 5)
    assert "EXPIRED" == market.kinds()[-1][2]
    market.instance = make_instance(n_sources=8, n_symbols=64, n_edges=768, force=True)
    orphan(market, active.SIGNALLED)
    market.step(market.started(), 6)
    assert active.FREE == market.state(0)


def test_rearm_is_no_orphan(market):
    orphan(market, active.REARM)
    market.step(market.started(), 20)
    assert active.REARM == market.state(0)


def test_a_record_on_its_way_is_no_orphan(market):
    """The ring is not empty: the tracker may be behind."""
    tracker = market.started()
    market.signal(1, 40.0)
    orphan(market, active.SIGNALLED)
    tracker._drain = lambda now_ns: None
    market.step(tracker, 20)
    assert active.SIGNALLED == market.state(0)


def test_a_byte_that_was_free_between_the_looks_is_no_orphan(market):
    tracker = market.started()
    orphan(market, active.SIGNALLED)
    market.step(tracker)
    market.instance.active.move(0, active.SIGNALLED, active.FREE)
    market.step(tracker, 5)
    orphan(market, active.SIGNALLED)
    market.step(tracker, 9)
    assert active.SIGNALLED == market.state(0)
    market.step(tracker)
    assert active.FREE == market.state(0)


def test_a_track_that_is_followed_is_no_orphan(market):
    market.signal(0, 40.0)
    market.step(market.started(), 30)
    assert 0 == market.counters()["orphans_freed"]


# -- files that were cut, torn and flipped


@pytest.fixture
def memory_market(market):
    """A market whose files are in memory: thousands of them are written anew."""
    with TemporaryDirectory(dir="/dev/shm", prefix="spreadscan-test-") as folder:
        market.folder = Path(folder, "data")
        market.settings["paths.data"] = str(market.folder)
        yield market


def written(market: Market, n: int = 20) -> tuple[Path, Path]:
    """So many signals, half of them closed, as a killed tracker leaves them."""
    tracker = market.started()
    for symbol in range(n):
        market.signal(symbol, 40.0)
        market.step(tracker)
    for symbol in range(n // 2):
        market.spread(symbol, 0.0)
        market.step(tracker)
    return next(market.folder.glob("signals-*")), next(market.folder.glob("snapshots-*"))


def whole_rows(content: bytes, header: bytes) -> list[bytes]:
    if len(content) < len(header):
        return []
    return content[len(header) :].split(b"\n")[:-1]


def cuts(content: bytes) -> list[int]:
    """Return every size within the last rows, and every seventh within those before."""
    end = len(content)
    return [*range(max(0, end - 4096), end - 1024, 7), *range(max(0, end - 1024), end + 1)]


def test_a_signals_file_cut_anywhere_loses_no_whole_row(memory_market):
    """Scenario 22."""
    market = memory_market
    signals, _ = written(market, 12)
    full = signals.read_bytes()
    for size in (*range(0, len(SIGNALS.header) + 300, 3), *cuts(full)):
        signals.write_bytes(full[:size])
        before = market.counters()
        tracker = market.started()
        rows = whole_rows(full[:size], SIGNALS.header)
        content = signals.read_bytes() if signals.exists() else b""
        assert rows == whole_rows(content, SIGNALS.header)[: len(rows)]
        opened = {row.split(b",")[2] for row in rows if b",OPEN," in row}
        closed = {row.split(b",")[2] for row in rows if b",CLOSE," in row}
        after = market.counters()
        assert len(opened - closed) == after["recovered"] - before["recovered"] == after["open"]
        whole = size == 0 or (size >= len(SIGNALS.header) and full[size - 1 : size] == b"\n")
        assert int(not whole) == after["torn_lines"] - before["torn_lines"]
        tracker.close(market.now)


def test_a_snapshots_file_cut_anywhere_is_gone_on_with(memory_market):
    market = memory_market
    signals, snapshots = written(market, 12)
    events, full = signals.read_bytes(), snapshots.read_bytes()
    for size in (*range(0, 400, 5), *cuts(full)):
        signals.write_bytes(events)
        snapshots.write_bytes(full[:size])
        tracker = market.started()
        market.step(tracker)
        tracker.close(market.now)
        content = snapshots.read_bytes()
        rows = whole_rows(full[:size], SNAPSHOTS.header)
        assert content.startswith(SNAPSHOTS.header)
        assert rows == whole_rows(content, SNAPSHOTS.header)[: len(rows)]
        assert {len(SNAPSHOTS.names)} == {
            len(row.split(b",")) for row in whole_rows(content, SNAPSHOTS.header)
        }


def test_a_compressed_file_cut_anywhere_gives_what_is_left_of_it(memory_market):
    """Nothing of ours cuts one; a disk or a copy may have."""
    market = memory_market
    signals, snapshots = written(market, 12)
    for path in (signals, snapshots):
        text = path.read_bytes()
        path.unlink()
        path = path.with_name(f"{path.name}.zst")
        whole = compressed(text)
        recovered = []
        for size in range(len(whole) + 1):
            path.write_bytes(whole[:size])
            before = market.counters()
            tracker = market.started()
            after = market.counters()
            recovered.append(after["recovered"] - before["recovered"])
            told = after["torn_lines"] - before["torn_lines"]
            assert told == (size < len(whole)) or size >= len(whole) - 4  # the checksum
            tracker.close(market.now)
            for gaps in market.folder.glob("signals-*.csv"):
                gaps.unlink()
    assert {recovered[-1]} == set(recovered)  # the snapshots only tell of statistics


def test_the_gap_is_counted_from_the_last_whole_snapshot(market):
    market.signal(0, 40.0)
    market.step(market.started(), 5)
    path = next(market.folder.glob("snapshots-*"))
    path.write_bytes(path.read_bytes()[:-1])  # the one of 1.0 s
    market.now = START_NS + 3 * S
    market.started()
    assert "2.200000" == market.events()[1]["gap_s"]


def test_the_gap_is_counted_over_the_turn_of_an_hour(market):
    market.now += 3600 * S - 300 * MS
    market.signal(0, 40.0)
    tracker = market.started()
    market.step(tracker, 1)
    market.signal(1, 40.0)
    market.instance.quotes.write_empty(5, 0)
    market.step(tracker, 1)
    assert 2 == len(list(market.folder.glob("snapshots-*")))
    path = market.folder / "snapshots-20261120-13.csv"
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([r for r in rows if not r.split(",")[0].endswith("-00000")]))
    market.now += 5 * S
    market.started()
    gaps = {e["sequence"]: e["gap_s"] for e in market.events() if e["event"] == "GAP"}
    assert {"0": "5.200000", "1": "5.000000"} == gaps


def test_a_broken_line_in_the_middle_is_skipped_and_counted(market):
    signals, _ = written(market)
    lines = signals.read_bytes().split(b"\n")
    lines[5] = lines[5][:40]  # an OPEN of one of the closed
    lines[26] = b"\x00" * 80  # the CLOSE of another
    signals.write_bytes(b"\n".join(lines))
    market.started()
    counters = market.counters()
    assert (2, 11) == (counters["torn_lines"], counters["recovered"])


BAD_FIELDS = {
    "time": ["", "now", "2026-11-20 12:00:00.000000Z ", "2026-13-20T12:00:00.000000Z"],
    "event": ["", "OPEN ", "open"],
    "ring_id": ["", "0x12", "12.0"],
    "sequence": ["", "-", "1e3"],
    "direction_id": ["", "99", "-1"],
    "symbol_id": ["", "64", "-1"],
    "track_id": ["", "x", "00000000-00000"],
    "buy_px": ["much"],
    "sell_qty": ["1x"],
    "fees_bps": ["-"],
    "at_ns": ["", "1.5", "-1", "9" * 19],
}


@pytest.mark.parametrize(
    ("field", "value"), [(f, v) for f, values in BAD_FIELDS.items() for v in values]
)
def test_a_row_that_makes_no_sense_is_skipped(market, field, value):
    market.signal(0, 40.0)
    market.started().poll(market.now)
    path = next(market.folder.glob("signals-*"))
    row = path.read_text().splitlines()[2].split(",")
    row[SIGNALS.names.index(field)] = value
    with path.open("a") as file:
        file.write(",".join(row) + "\n")
    market.started()
    counters = market.counters()
    assert (1, 1) == (counters["torn_lines"], counters["recovered"])


BAD_STATISTICS = {
    "peak_net_bps": ["x"],
    "peak_time": ["", "2026"],
    "profit_s": ["", "-1", "inf", "nan"],
    "looks": ["", "-1", "1.0", "9" * 30],
    "tradable_looks": ["", "x"],
    "mean_notional": ["-"],
}


@pytest.mark.parametrize(
    ("field", "value"), [(f, v) for f, values in BAD_STATISTICS.items() for v in values]
)
def test_a_gap_row_whose_statistics_make_no_sense_is_skipped(market, field, value):
    market.signal(0, 40.0)
    market.step(market.started(), 5)
    market.started()
    path = next(market.folder.glob("signals-*"))
    *lines, gap = path.read_text().splitlines()
    row = gap.split(",")
    row[SIGNALS.names.index(field)] = value
    path.write_text("\n".join([*lines, ",".join(row)]) + "\n")
    market.started()
    assert 1 == market.counters()["torn_lines"]
    assert "5" == market.events()[-1]["looks"]  # read again since OPEN


def test_flipped_bytes_are_survived(market):
    """Scenario 23."""
    signals, snapshots = written(market)
    contents = {path: path.read_bytes() for path in (signals, snapshots)}
    rng = random.Random(7)
    for _ in range(300):
        for path, content in contents.items():
            flipped = bytearray(content)
            for _ in range(rng.randrange(1, 12)):
                at = rng.randrange(len(content.split(b"\n")[0]), len(content))
                flipped[at] = rng.choice([0, 10, 13, 34, 44, 48, 57, 255, flipped[at] ^ 1])
            path.write_bytes(flipped)
        try:
            tracker = market.started()
            market.step(tracker)
            tracker.close(market.now)
        except BadData as error:  # the header itself
            assert "expected" in str(error)  # noqa: PT017
        for extra in set(market.folder.iterdir()) - set(contents):
            extra.unlink()
