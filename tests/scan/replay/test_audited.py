"""A recording with the verdicts of an audit: what they confirmed, emptied and halted, again."""

import msgspec
import pytest

from scan.replay.story import (
    FEES,
    SPOT,
    SYMBOLS,
    at,
    event,
    perp,
    replayed,
    signals,
    spot,
)
from scan.replay.tapes import MS, START_NS
from spreadscan.errors import BadData
from spreadscan.recordings import Opcode, Verdict, Verdicts

AUDIT = FEES + "[audit]\nenabled = true\n"
AUDITED = {"audited": True}
HEARD_MS = 1000  # the spot leg, once
LIVED = {SPOT: [13_000]}  # silence is health


def verdict(at_ms, kind, *, of_ms=HEARD_MS, as_of_ms=None, round_ms=0):
    """What the audit found of the spot leg, as its feed took it."""
    as_of_ms = at_ms if as_of_ms is None else as_of_ms
    of_ns = START_NS + of_ms * MS if of_ms else 0
    row = Verdict(SYMBOLS[SPOT], kind, "", of_ns, START_NS + as_of_ms * MS)
    told = Verdicts(START_NS + round_ms * MS if round_ms else 0, (row,))
    return event(at_ms, Opcode.VERDICTS, msgspec.json.encode(told), link=0)


def events(folder, out):
    replayed(folder, out)
    return [(row["event"], at(row), row["reason"]) for row in signals(out)]


def test_an_old_leg_signals_when_the_recorded_answer_comes(story, tmp_path):
    spots = [spot(HEARD_MS), verdict(8300, "confirmed")]
    perps = [perp(8000, 40), perp(8900, 41)]
    folder = story(AUDIT, about=AUDITED, spots=spots, perps=perps)
    assert [("OPEN", 8300, "")] == events(folder, tmp_path / "out")


@pytest.mark.parametrize("answers", [[], [verdict(8300, "accused")]])
def test_without_a_yes_there_is_no_signal(story, tmp_path, answers):
    spots = [spot(HEARD_MS), *answers]
    perps = [perp(8000, 40), perp(12_000, 41)]
    folder = story(AUDIT, about=AUDITED, lived_ms=LIVED, spots=spots, perps=perps)
    assert [] == events(folder, tmp_path / "out")


def test_a_recording_without_an_audit_is_judged_by_cadence(story, tmp_path):
    """Whatever the settings say: nobody would answer."""
    folder = story(AUDIT, lived_ms=LIVED, spots=[spot(HEARD_MS)], perps=[perp(8000, 40)])
    assert [("OPEN", 8000, "")] == events(folder, tmp_path / "out")


def test_a_quote_found_wrong_is_gone_and_its_track_unproven(story, tmp_path):
    spots = [spot(HEARD_MS), verdict(6000, "wrong", as_of_ms=5900), spot(8000)]
    perps = [perp(1300, 40), perp(6100, 41), perp(8100, 42)]
    folder = story(AUDIT, about=AUDITED, spots=spots, perps=perps)
    expected = [("OPEN", 1300, ""), ("CLOSE", 6200, "UNPROVEN"), ("OPEN", 8000, "")]
    assert expected == events(folder, tmp_path / "out")


def test_a_halted_pair_says_nothing_until_it_trades(story, tmp_path):
    spots = [
        spot(HEARD_MS), verdict(2000, "not_trading", of_ms=0), spot(2500),
        verdict(4000, "none", of_ms=0, as_of_ms=0), spot(4500),
    ]  # fmt: skip
    perps = [perp(1300, 40), perp(2600, 41), perp(4600, 42)]
    folder = story(AUDIT, about=AUDITED, spots=spots, perps=perps)
    expected = [("OPEN", 1300, ""), ("CLOSE", 2200, "NOT_TRADING"), ("OPEN", 4500, "")]
    assert expected == events(folder, tmp_path / "out")


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (b"{", "verdicts b'{'"),
        (b'{"round_ns": 0, "verdicts": [["BTC-USDT", "good", "", 0, 0, false]]}', "'good'"),
    ],
)
def test_verdicts_that_are_none_are_refused(story, tmp_path, payload, told):
    spots = [spot(HEARD_MS), event(2000, Opcode.VERDICTS, payload, link=0)]
    folder = story(AUDIT, about=AUDITED, spots=spots, perps=[perp(1300, 40)])
    with pytest.raises(BadData, match=told):
        replayed(folder, tmp_path / "out")
