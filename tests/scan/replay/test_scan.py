"""A scanner over a recording: one order, one clock, the same files each time."""

import json
import os
import shutil
import tempfile

import pytest
from click.testing import CliRunner
from spreadcore.digits import time_of

from scan.replay.plain import plainly
from scan.replay.story import (
    FEES,
    PERP,
    SPOT,
    at,
    contents,
    event,
    perp,
    replayed,
    signals,
    snapshots,
    spot,
)
from scan.replay.tapes import (
    MS,
    OFFSET_NS,
    START_NS,
    S,
    market_recording,
    write_run,
)
from spreadscan.cli.replay import replay
from spreadscan.clock import iso_utc
from spreadscan.disk.format import simulated_of
from spreadscan.recordings import Opcode, Recording
from spreadscan.replay.inputs import settings_of
from spreadscan.replay.throttle import Throttle

# -- the whole way


def test_two_replays_write_the_same_bytes(market, tmp_path):
    first = replayed(market, tmp_path / "a")
    second = replayed(market, tmp_path / "b")
    assert first.signals > 20
    assert len(snapshots(tmp_path / "a")) > 500
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert first.played == second.played
    assert (first.ended, first.best) == (second.ended, second.best)
    assert first.config_hash == settings_of(market, (), {}).hash()


def test_pairs_in_usdc_are_played_like_the_others(tmp_path):
    settings = "[engine]\nthreshold_bps = -60\nconverge_bps = -500\n"
    folder = market_recording(tmp_path / "recording", 3.0, settings=settings, usdc=True)
    replayed(folder, tmp_path / "a")
    opened = [row for row in signals(tmp_path / "a") if row["event"] == "OPEN"]
    assert {"USDC", "USDT"} == {row["quote"] for row in opened}
    assert all(row["symbol"].endswith(f"-{row['quote']}") for row in opened)
    btc = {row["direction"]: row for row in opened if row["symbol"] == "BTC-USDC"}
    assert 12 == len(btc)
    assert ("BTC-USDC", "BTCPERP") == (
        btc["okx->bybit"]["buy_listing"], btc["okx->bybit"]["sell_listing"],
    )  # fmt: skip


def test_another_setting_gives_other_files(market, tmp_path):
    replayed(market, tmp_path / "a")
    got = replayed(market, tmp_path / "b", engine__threshold_bps="60")
    assert contents(tmp_path / "a") != contents(tmp_path / "b")
    assert 0 < got.signals
    assert all(float(r["net_bps"]) >= 60 for r in signals(tmp_path / "b") if r["event"] == "OPEN")


def test_the_compiled_loop_does_what_a_plain_one_does(market, tmp_path):
    """The reference decoder reads every frame, Python keeps order, clock, turns and ticks."""
    replayed(market, tmp_path / "a")
    plainly(market, tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


# -- a story with one pair


def test_open_and_close_are_at_the_recorded_moments(story, tmp_path):
    folder = story(spots=[spot(1000)], perps=[perp(1200, 5), perp(1300, 40), perp(1350, 50)])
    got = replayed(folder, tmp_path / "out")
    [opened] = signals(tmp_path / "out")
    assert (1, 1) == (got.signals, got.open)
    assert ("OPEN", "okx->mexc", "BTC-USDT") == (
        opened["event"], opened["direction"], opened["symbol"],
    )  # fmt: skip
    assert ("2026-11-20T12:00:01.300000Z", 1300) == (opened["time"], at(opened))
    assert ("100.0", "40.0000") == (opened["buy_px"], opened["net_bps"])


def test_a_tick_is_at_each_multiple_of_the_grid(story, tmp_path):
    perps = [perp(1300, 40), perp(2050, 1), perp(2200, 1)]
    folder = story(spots=[spot(1000)], perps=perps)
    got = replayed(folder, tmp_path / "out")
    opened, closed = signals(tmp_path / "out")
    assert (1300, 2200, "CONVERGED") == (at(opened), at(closed), closed["reason"])
    times = [time_of(row["time"].encode()) for row in snapshots(tmp_path / "out")]
    assert [1400, 1600, 1800, 2000, 2200] == [(time - START_NS - OFFSET_NS) // MS for time in times]
    assert (1, {"CONVERGED": 1, "EXPIRED": 0, "LOST": 0, "DELISTED": 0}, 0) == (
        got.signals, got.ended, got.open,
    )  # fmt: skip
    [best] = got.best
    assert ("BTC-USDT", 1, 40.0) == (best.symbol, best.tracks, best.peak_net_bps)
    assert float(closed["profit_s"]) == best.profit_s == got.profit_s
    assert (4, 1.2) == (got.played.frames, got.played.span_s)


def test_a_confirmation_falls_due_between_frames(story, tmp_path):
    folder = story(spots=[spot(1000)], perps=[perp(1300, 40), perp(1900, 41)])
    replayed(folder, tmp_path / "out", engine__confirm_ms="250")
    [opened] = signals(tmp_path / "out")
    assert (1550, "40.0000") == (at(opened), opened["net_bps"])


def test_a_source_that_does_not_tell_lives_to_its_last_frame(story, tmp_path):
    perps = [perp(1300, 40), *(perp(ms, 40) for ms in range(1400, 20_000, 100))]
    folder = story(spots=[spot(1000), spot(5000)], perps=perps)
    replayed(folder, tmp_path / "out", tracker__lost_after_s="3")
    opened, closed = signals(tmp_path / "out")
    assert (1300, "LOST") == (at(opened), closed["reason"])
    # 2 s of beats after its last frame, then 3 s without
    assert 10_000 == at(closed)


# quotes that are good for long, as those of a source whose silence is health
QUIET = FEES + "".join(f"[venues.{name}]\nstale_after_s = 600\n" for name in (SPOT, PERP))


def test_a_source_that_lived_and_was_quiet_keeps_its_spreads(story, tmp_path):
    perps = [perp(1300, 40), *(perp(ms, 40) for ms in range(1400, 20_000, 100))]
    told = {SPOT: [30_000], PERP: [30_000]}
    folder = story(QUIET, told, spots=[spot(1000)], perps=perps)
    got = replayed(folder, tmp_path / "out", tracker__lost_after_s="3")
    assert (1, 1, 29.0) == (got.signals, got.open, got.played.span_s)
    rows = snapshots(tmp_path / "out")
    assert {"1"} == {row["tradable"] for row in rows}
    assert iso_utc(START_NS + OFFSET_NS + 30 * S) == rows[-1]["time"]  # also where nothing came


def test_a_source_that_died_while_it_was_quiet_loses_them(story, tmp_path):
    """As its last block without frames tells; the other one is recorded to the end."""
    perps = [perp(ms, 40) for ms in range(1300, 20_000, 100)]
    folder = story(QUIET, {SPOT: [5000]}, spots=[spot(1000)], perps=perps)
    replayed(folder, tmp_path / "out", tracker__lost_after_s="3")
    _, closed = signals(tmp_path / "out")
    assert ("LOST", 10_000) == (closed["reason"], at(closed))


def test_a_quiet_end_is_followed_until_it_expires(story, tmp_path):
    told = {SPOT: [9000], PERP: [9000]}
    folder = story(QUIET, told, spots=[spot(1000)], perps=[perp(1300, 40)])
    replayed(folder, tmp_path / "out", tracker__expire_after_s="5")
    _, closed = signals(tmp_path / "out")
    assert ("EXPIRED", 6400) == (closed["reason"], at(closed))


def test_a_confirmation_falls_due_in_a_quiet_end(story, tmp_path):
    told = {SPOT: [9000], PERP: [9000]}
    folder = story(QUIET, told, spots=[spot(1000)], perps=[perp(1300, 40)])
    replayed(folder, tmp_path / "out", engine__confirm_ms="2500")
    [opened] = signals(tmp_path / "out")
    assert 3800 == at(opened)


def test_a_feed_that_was_started_anew_died_when_its_run_says(story, tmp_path):
    spots = [[spot(1000)], [spot(15_000, 1)]]
    perps = [perp(ms, 40) for ms in range(1300, 20_000, 100)]
    for first_ms, expected in ((4000, 9000), (1000, 6000)):
        folder = story(QUIET, {SPOT: [first_ms, 20_000]}, spots=spots, perps=perps)
        replayed(folder, tmp_path / str(first_ms), tracker__lost_after_s="3")
        rows = signals(tmp_path / str(first_ms))
        assert ["OPEN", "CLOSE", "OPEN"] == [row["event"] for row in rows]
        assert ("LOST", expected) == (rows[1]["reason"], at(rows[1]))


def test_a_closed_link_empties_its_quotes_and_one_taken_over_does_not(story, tmp_path):
    took = b'{"from":1,"symbols":["BTC-USDT"]}'
    closing = [spot(1000), event(1100, Opcode.CLOSED, b"bye")]
    kept = [
        spot(1000), event(1050, Opcode.OPENED, link=2), event(1060, Opcode.TOOK_OVER, took, link=2),
        event(1100, Opcode.CLOSED, b"bye"),
    ]  # fmt: skip
    for spots, expected in ((closing, 0), (kept, 1)):
        folder = story(spots=[*spots, event(3000, Opcode.OPENED, link=9)], perps=[perp(1300, 40)])
        assert expected == replayed(folder, tmp_path / f"out{expected}").signals


def test_another_run_of_a_feed_begins_from_nothing(story, tmp_path):
    """Its quotes are gone and lower ids are taken, as in a feed that was started again."""
    spots = [[spot(1000, 900), event(1010, Opcode.CLOSED)], [event(1500, Opcode.OPENED)]]
    folder = story(spots=spots, perps=[perp(1600, 40), perp(1800, 40)])
    assert 0 == replayed(folder, tmp_path / "a").signals
    spots = [[spot(1000, 900)], [spot(1500, 1)]]
    folder = story(spots=spots, perps=[perp(1600, 40), perp(1800, 40)])
    got = replayed(folder, tmp_path / "b")
    assert (1, 2) == (got.signals, got.played.sources[SPOT]["quotes"])


def test_a_gap_is_named_and_quotes_of_before_it_are_not_traded_on(story, tmp_path):
    folder = story(spots=[], perps=[perp(1300, 40), perp(2000, 40)])
    write_run(folder, SPOT, [spot(1000), spot(1100), spot(1600)], START_NS, block=1)
    [path] = (folder / "frames").glob("okx-spot*")
    raw = path.read_bytes()
    second = raw.index(b"BLCK", raw.index(b"BLCK") + 1)
    broken = bytearray(raw)
    broken[second + 60] ^= 1  # in the second block's frames
    path.write_bytes(broken)
    got = replayed(folder, tmp_path / "a")
    [problem] = [line for line in got.problems if "block 1" in line]
    assert path.name in problem
    # the quote of before the gap stood until it was reached: at 1600, by the block after it
    assert (1, 3) == (got.signals, got.played.sources[SPOT]["frames"] + 1)
    path.write_bytes(raw)
    whole = replayed(folder, tmp_path / "b")
    assert ((), 3) == (whole.problems, whole.played.sources[SPOT]["frames"])


def test_a_recording_cut_anywhere_in_its_last_block_plays_what_is_whole(story, tmp_path):
    folder = story(spots=[], perps=[perp(1300, 40), perp(2050, 1), perp(2200, 1)])
    write_run(folder, SPOT, [spot(1000), spot(1600)], START_NS, block=1)
    [path] = (folder / "frames").glob("okx-spot*")
    raw = path.read_bytes()
    last, index = raw.rindex(b"BLCK"), raw.rindex(b"INDX")
    seen = set()
    for size in range(last, index):
        path.write_bytes(raw[:size])
        got = replayed(folder, tmp_path / str(size))
        assert (1, 1, 1) == (
            got.signals,
            got.ended["CONVERGED"],
            got.played.sources[SPOT]["quotes"],
        )
        assert all(path.name in line for line in got.problems)
        seen |= {line.partition(": ")[2] for line in got.problems}
        shutil.rmtree(tmp_path / str(size))
    assert {
        "cut short in block 1 (1 frames)",
        "no index at its end: cut off, or still being written",
    } <= seen


def test_a_file_that_is_missing_in_the_middle_is_named(story, tmp_path):
    frames = [spot(ms) for ms in range(1000, 4000, 100)]
    folder = story(spots=[], perps=[perp(1300, 1)])
    write_run(folder, SPOT, frames, START_NS, block=5, file_bytes=300)
    paths = sorted((folder / "frames").glob("okx-spot*"))
    assert len(paths) > 3
    paths[1].unlink()
    got = replayed(folder, tmp_path / "out")
    [problem] = got.problems
    assert paths[2].name in problem
    assert "missing before it, from number" in problem
    n = got.played.sources[SPOT]["frames"]
    assert f"({len(frames) - n} frames)" in problem
    assert 1 == got.played.sources[SPOT]["emptied"]  # what stood before the gap


def test_nothing_stays_in_shared_memory(story, tmp_path):
    before = set(os.listdir("/dev/shm"))
    replayed(story(spots=[spot(1000)], perps=[perp(1300, 40)]), tmp_path / "out")
    assert before >= {name for name in os.listdir("/dev/shm") if f"replay-{os.getpid()}-" in name}


def test_control_messages_are_read_by_the_reference(story, tmp_path):
    ack = START_NS + 900 * MS, 1, 1, b'{"event":"subscribe","arg":{"channel":"bbo-tbt"}}'
    folder = story(spots=[ack, spot(1000)], perps=[perp(1300, 40)])
    got = replayed(folder, tmp_path / "out")
    assert (2, 1) == tuple(got.played.sources[SPOT][key] for key in ("frames", "quotes"))
    assert not any(key.startswith("declined") for key in got.played.sources[SPOT])


# -- the pace


def test_the_pace_follows_the_recorded_clock(story, tmp_path):
    class Time:
        now_ns, slept = 77, 0

        def sleep(self, seconds):
            self.now_ns += int(seconds * 1e9)
            self.slept += 1

    time = Time()
    pace = Throttle(10.0, START_NS, lambda: time.now_ns, time.sleep)
    assert START_NS + 1 == pace.reached_ns()
    pace.wait()
    assert START_NS + 200 * MS + 1 == pace.reached_ns()


def test_a_paced_replay_writes_the_same_files(story, tmp_path):
    folder = story(spots=[spot(1000)], perps=[perp(1300, 40), perp(2050, 1), perp(2200, 1)])
    told = []
    replayed(folder, tmp_path / "a")
    got = replayed(folder, tmp_path / "b", 10.0, lambda *args: told.append(args))
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert got.elapsed_s >= 0.1  # 1.2 s of recorded time
    done, total, recorded_ns = told[-1]
    assert (done, total) == (Recording(folder).n_bytes,) * 2
    assert 0 < recorded_ns <= 1200 * MS


# -- what cannot be played


def refused(*args):
    got = CliRunner().invoke(replay, [str(arg) for arg in args])
    assert (2, "") == (got.exit_code, got.stdout), got.output
    assert got.stderr.startswith("spreadscan: ")
    return got.stderr


def test_bad_input_is_a_sentence(story, tmp_path):
    folder = story(spots=[spot(1000)], perps=[perp(1300, 40)])
    frames = "--frames", folder
    out = "--out", tmp_path / "out"
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").touch()
    (tmp_path / "empty").mkdir()
    said = refused(*frames, "--out", tmp_path / "full")
    assert "full: holds notes.txt, expected a new or empty folder" in said
    assert "empty: no recording.json" in refused("--frames", tmp_path / "empty", *out)
    assert "no/such: no such folder" in refused("--frames", "no/such", *out)
    said = refused(*frames, *out, "--set", "engine.treshold_bps=3")
    assert "unknown key 'engine.treshold_bps', did you mean 'threshold_bps'?" in said
    assert "command line: engine.sweep_s: 0.0" in refused(*frames, *out, "--set=engine.sweep_s=0")
    assert "--set x: no '='" in refused(*frames, *out, "--set=x")
    said = refused(*frames, *out, '--set=sources=["bybit-spot","okx-futures"]')
    assert "expected one that is recorded: mexc-futures, okx-spot" in said
    said = refused(*frames, *out, "--set", "venues.okx-spot.taker_bps=3")
    assert "the fee of tier 'none' is in force, expected tiers.none.okx-spot" in said
    assert "together with options of a scan" in refused(*frames, *out, "--directions=a:b")
    assert not (tmp_path / "out").exists()


def test_a_recording_that_is_not_ours_is_a_sentence(story, tmp_path):
    folder = story(spots=[spot(1000)], perps=[perp(1300, 40)])
    args = "--frames", folder, "--out", tmp_path / "out"
    about = folder / "recording.json"
    text = about.read_text()
    about.write_text(text.replace('"format":1', '"format":2'))
    assert "recording.json: format 2, expected 1 (made by a newer spreadscan)" in refused(*args)
    about.write_text("[]")
    assert "recording.json: not a JSON object" in refused(*args)
    about.write_text(text)
    [path] = (folder / "frames").glob("okx-spot*")
    raw = path.read_bytes()
    path.write_bytes(b"something" + raw)
    assert f"{path.name}: begins with" in refused(*args)
    path.write_bytes(raw)
    shutil.rmtree(folder / "generated")
    said = refused(*args)
    assert "no generated/ in it (an import has none), expected --generated DIR" in said
    for path in (folder / "frames").iterdir():
        path.unlink()
    assert "expected at least one" in refused(*args)


def test_an_event_that_no_recorder_writes_is_named(story, tmp_path):
    folder = story(spots=[event(1000, 5)], perps=[perp(1300, 40)])
    said = refused("--frames", folder, "--out", tmp_path / "a")
    assert "okx-spot: opcode 5 of link 1, expected records of 0 opened, 1 text" in said
    folder = story(spots=[event(1000, Opcode.TOOK_OVER, b"{}")], perps=[perp(1300, 40)])
    said = refused("--frames", folder, "--out", tmp_path / "b")
    assert "okx-spot: take-over by link 1 says" in said


def test_the_command_tells_what_was_found(story, tmp_path, monkeypatch):
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    folder = story(spots=[spot(1000)], perps=[perp(1300, 40), perp(2050, 1), perp(2200, 1)])
    [path] = (folder / "frames").glob("okx-spot*")
    path.write_bytes(path.read_bytes()[:-4])
    args = ["--frames", str(folder), "--set", "engine.threshold_bps=30"]
    got = CliRunner().invoke(replay, args)
    assert 0 == got.exit_code, got.output
    rows = [line.split() for line in got.stdout.splitlines()]
    assert ["okx-spot", "1", "1", "0", "0", "0"] in rows
    assert ["30", "1", "1", "0", "0", "0", "0", "0.9"] in rows
    assert ["okx->mexc", "BTC-USDT", "1", "0.9", "40.0"] in rows
    assert f"{folder.name}: frames/{path.name}: no index at its end" in got.stdout
    [found] = json.loads(CliRunner().invoke(replay, [*args, "--json"]).stdout)["replays"]
    assert (1, {"engine.threshold_bps": "30"}) == (found["signals"], found["settings"])
    assert {path.name in line for line in found["problems"]} == {True}
    assert [] == list((tmp_path / "tmp").iterdir())  # without --out nothing is kept


@pytest.mark.parametrize(("address", "expected"), [
    ("ws://127.0.0.1:9", "true"), ("wss://okx.example", "false"), (None, "unknown"),
])  # fmt: skip
def test_rows_say_what_the_recording_knows_of_its_market(story, tmp_path, address, expected):
    settings = f'{FEES}[venues.okx-spot]\nws_url = "{address}"\n' if address else FEES
    folder = story(settings, spots=[spot(1000)], perps=[perp(1300, 40)])
    if address is None:
        (folder / "config.toml").unlink()
    replayed(folder, tmp_path / "out")
    (path,) = (tmp_path / "out").glob("signals-*")
    assert expected == simulated_of(path.read_bytes())
