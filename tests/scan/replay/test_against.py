"""A replay held against the files of the live run."""

import json
import shutil

import pytest
from click.testing import CliRunner

from scan.replay.story import PERP, perp, replayed, signals, spot
from scan.replay.tapes import MS, OFFSET_NS, START_NS
from spreadscan.cli.replay import replay
from spreadscan.clock import iso_utc
from spreadscan.replay.against import compare, live_signals
from spreadscan.replay.scan import RecordedUtc
from spreadscan.tracker import SIGNALS

UTC = RecordedUtc(OFFSET_NS)


@pytest.fixture
def folder(story):
    """Spreads at 1300 and at 2300."""
    perps = [perp(1300, 40), perp(2050, 1), perp(2300, 60), perp(2450, 1), perp(3700, 1)]
    return story(spots=[spot(1000)], perps=perps)


def live_at(folder, rows, *moments_ms, symbol="BTC-USDT"):
    """Write what a live tracker would have of signals at these moments."""
    folder.mkdir()
    base = next(row for row in rows if row["event"] == "OPEN")
    text = SIGNALS.header.decode()
    for at_ms in moments_ms:
        at_ns = START_NS + at_ms * MS
        time = iso_utc(UTC.utc_ns(at_ns))
        text += SIGNALS.row(base | {"time": time, "at_ns": str(at_ns), "symbol": symbol})
    (folder / "signals-20261120.csv").write_text(text)
    return folder


@pytest.fixture
def held(folder, tmp_path):
    """Compare live signals at these moments with the replay."""
    out = tmp_path / "out"
    played = replayed(folder, out).played
    assert (1000, 3700) == tuple((ns - START_NS) // MS for ns in (played.first_ns, played.last_ns))
    rows = signals(out)

    def held(*moments_ms, **options):
        live = live_at(tmp_path / "live", rows, *moments_ms, **options)
        return compare(out, live_signals(live, "2026-11-20T12:00:00"), played, UTC)

    return held


def moments(found):
    return [(signal.at_ns - START_NS) // MS for signal in found]


def test_signals_of_nearly_the_same_moment_are_the_same(held):
    got = held(1400, 2100)
    assert (2, 2, (), (), 200.0) == (
        got.live, got.found, got.missing, got.extra, got.most_apart_ms,
    )  # fmt: skip


def test_beyond_200_ms_they_are_not(held):
    got = held(1501, 2300)
    assert (2, 1, 0.0) == (got.live, got.found, got.most_apart_ms)
    assert ([1501], [1300]) == (moments(got.missing), moments(got.extra))
    # the replay was following the pair then, since
    assert "2026-11-20T12:00:01.300000Z" == got.missing[0].open_since


def test_each_signal_of_the_replay_stands_for_one(held):
    got = held(1300, 1350, 2300)
    assert ([1350], []) == (moments(got.missing), moments(got.extra))


def test_the_nearest_is_taken(held):
    assert 10.0 == held(1310, 2300).most_apart_ms


def test_another_pair_is_another(held):
    got = held(1300, symbol="ETH-USDT")
    assert ([1300], [1300, 2300]) == (moments(got.missing), moments(got.extra))
    assert ("okx->mexc", "ETH-USDT", "") == (*got.missing[0].pair, got.missing[0].open_since)


def test_what_is_not_of_the_span_does_not_count(held):
    got = held(999, 1300, 2300, 3701)
    assert (2, 2, ()) == (got.live, got.found, got.extra)


def test_a_spread_that_had_ended_was_not_followed(held):
    [missing] = held(1300, 2300, 3500).missing
    assert "" == missing.open_since


def test_the_command_names_what_is_missing(folder, tmp_path):
    replayed(folder, tmp_path / "live")
    args = ["--frames", str(folder), "--against", str(tmp_path / "live")]
    got = CliRunner().invoke(replay, args)
    assert 0 == got.exit_code, got.output
    said = "2 of 2 live signals are in the replay, at most 0.0 ms apart; 0 missing, 0 on quotes"
    assert said in got.stdout
    got = CliRunner().invoke(replay, [*args, "--set", "engine.threshold_bps=50"])
    assert 3 == got.exit_code, got.output
    rows = [line.split() for line in got.stdout.splitlines()]
    at = rows.index(["Live,", "and", "not", "in", "the", "replay"])
    assert ["2026-11-20T12:00:01.300000Z", "okx->mexc", "BTC-USDT", "40.0"] == rows[at + 2]
    assert "1 of 2 live signals are in the replay" in got.stdout
    got = CliRunner().invoke(replay, [*args[:2], "--against", str(tmp_path / "no")])
    assert (2, True) == (got.exit_code, "no: No such file or directory" in got.stderr)
    shutil.rmtree(tmp_path / "live")
    (tmp_path / "live").mkdir()
    (tmp_path / "live/signals-20261120.csv").write_text("# something\na,b\nc,d\n")
    got = CliRunner().invoke(replay, args)
    assert (2, True) == (got.exit_code, "begins '# something'" in got.stderr)


def test_a_signal_on_a_quote_of_before_the_recording_is_told_apart(story, tmp_path):
    """The spot leg was quoted once, before; what was recorded later quotes it at 3000 only."""
    perps = [perp(1300, 40), perp(2050, 1), perp(2200, 1), perp(2500, 41), perp(3300, 40)]
    whole = story(spots=[spot(1000), spot(3000)], perps=perps)
    part = story(spots=[spot(3000)], perps=perps)
    live = replayed(whole, tmp_path / "live")
    assert 2 == live.signals
    args = ["--frames", str(part), "--against", str(tmp_path / "live"), "--json"]
    got = CliRunner().invoke(replay, args)
    assert 0 == got.exit_code, got.output
    found = json.loads(got.stdout)["replays"][0]["against"]
    assert (2, 0, []) == (found["live"], found["found"], found["missing"])
    assert [1300, 2500] == [(s["at_ns"] - START_NS) // MS for s in found["unrecorded"]]
    assert [3000] == [(s["at_ns"] - START_NS) // MS for s in found["extra"]]


@pytest.mark.parametrize("told", [True, False])
def test_a_signal_after_the_recording_of_a_leg_is_told_apart(story, tmp_path, told):
    """Feeds of a busy machine end one after the other; where it is not told, it is missing."""
    perps = [perp(1300, 40), perp(2050, 1), perp(2300, 60)]
    whole = story(spots=[spot(1000), spot(3600)], perps=perps)
    part = story(
        spots=[spot(1000), spot(3600)], perps=perps[:2], lived_ms={PERP: [2200]} if told else {}
    )
    assert 2 == replayed(whole, tmp_path / "live").signals
    args = ["--frames", str(part), "--against", str(tmp_path / "live"), "--json"]
    got = CliRunner().invoke(replay, args)
    assert (0 if told else 3) == got.exit_code, got.output
    found = json.loads(got.stdout)["replays"][0]["against"]
    assert (2, 1) == (found["live"], found["found"])
    assert [2300] == [
        (s["at_ns"] - START_NS) // MS for s in found["unrecorded" if told else "missing"]
    ]
