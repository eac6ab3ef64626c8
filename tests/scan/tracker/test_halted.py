"""A kill ends what is open, once, whoever is there to see it; the files say that it was thrown."""

import pytest
from spreadcore.active import FREE

from scan.tracker.conftest import START_NS, Market


def ends(market: Market) -> list[tuple[str, str]]:
    return [(e["sequence"], e["reason"]) for e in market.events() if e["event"] == "CLOSE"]


def remarks(market: Market) -> list[str]:
    return [e["reason"] for e in market.events() if e["event"] == "EVENT"]


def test_open_tracks_end_as_halted_with_the_prices_of_the_look(market):
    tracker = market.started()
    for symbol in range(3):
        market.signal(symbol)
    market.step(tracker)
    market.instance.control.throw_kill(market.now, "a test")
    for symbol in range(3):
        market.spread(symbol, 40.0)
    market.step(tracker)
    assert [("0", "HALTED"), ("1", "HALTED"), ("2", "HALTED")] == ends(market)
    assert {"100.0"} == {e["buy_px"] for e in market.events() if e["event"] == "CLOSE"}
    assert {FREE} == {market.state(symbol) for symbol in range(3)}
    assert (3, 0) == (market.counters()["halted"], market.counters()["open"])


def test_what_the_engine_signalled_before_a_kill_is_opened_and_halted(market):
    tracker = market.started()
    market.signal()
    market.instance.control.throw_kill(market.now, "a test")
    market.step(tracker)
    assert [("0", "HALTED")] == ends(market)
    assert 1 == market.counters()["opened"]


@pytest.mark.parametrize("cleared", [False, True])
def test_a_kill_that_nobody_saw_ends_what_was_open_then(market, cleared):
    tracker = market.started()
    market.signal()
    market.step(tracker)
    tracker.close(market.now)
    control = market.instance.control
    control.throw_kill(market.now, "a test")
    if cleared:
        control.clear_kill("it is over")
        market.now += 10**9
        market.signal(1)
    again = market.started()
    market.step(again)
    assert [("0", "HALTED")] == ends(market)
    assert (1 if cleared else 0) == market.counters()["open"]  # opened after it


def test_the_files_say_once_that_it_was_thrown_and_once_that_it_was_cleared(market):
    tracker = market.started()
    control = market.instance.control
    market.step(tracker)
    assert [] == remarks(market)
    control.throw_kill(market.now, 'a "wrong" fee, in the table')
    market.step(tracker, 3)
    said = "KILLED: a _wrong_ fee_ in the table"
    assert [said] == remarks(market)
    (row,) = [e for e in market.events() if e["event"] == "EVENT"]
    assert str(control.kill_at_ns) == row["at_ns"] != str(START_NS)
    assert {"time", "event", "reason", "at_ns", "config_hash"} == {k for k, v in row.items() if v}
    for _ in range(2):  # a tracker that starts again has read so
        tracker.close(market.now)
        tracker = market.started()
        market.step(tracker, 2)
    assert [said] == remarks(market)
    control.clear_kill("mended")
    tracker.close(market.now)
    tracker = market.started()
    market.step(tracker, 2)
    assert [said, "KILL CLEARED: mended"] == remarks(market)
    control.throw_kill(market.now, "")
    market.step(tracker, 2)
    assert [said, "KILL CLEARED: mended", "KILLED"] == remarks(market)


def test_pauses_are_told_when_they_begin_change_and_end(market):
    off = {}

    def started():
        tracker = market.tracker(pauses=lambda: dict(off))
        tracker.recover(market.now)
        return tracker

    tracker = started()
    expected = []
    for of, why, said in [
        (
            "okx-spot",
            "until 2026-11-20T13:00:00Z, fees",
            "PAUSED okx-spot: until 2026-11-20T13:00:00Z_ fees",
        ),
        ("all", "", "PAUSED all"),
        ("okx-spot", "fees", "PAUSED okx-spot: fees"),
        ("okx->mexc", "", "PAUSED okx->mexc"),
        ("okx-spot", None, "RESUMED okx-spot"),
        ("all", None, "RESUMED all"),
    ]:
        off.pop(of, None)
        off |= {of: why} if why is not None else {}
        market.step(tracker, 2)
        tracker.close(market.now)
        tracker = started()
        market.step(tracker, 2)
        expected.append(said)
        assert expected == remarks(market)
    assert {"event"} == {record.kind for record in market.records()}
