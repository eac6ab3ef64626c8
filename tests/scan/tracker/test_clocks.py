"""A wall clock that is stepped, a machine that is suspended: nothing is lost untold, and no track
ends for it."""

import pytest

from scan.tracker.conftest import OKX_SPOT, S
from spreadscan.disk.files import data_files
from spreadscan.tracker import SNAPSHOTS

HOUR_NS = 3600 * S
STEPS = [HOUR_NS, -HOUR_NS]


@pytest.mark.parametrize("step_ns", STEPS)
def test_a_step_is_told_of_every_open_track_and_costs_no_tick(market, step_ns, caplog):
    tracker = market.started()
    market.signal(0)
    market.signal(1)
    market.step(tracker, 5)
    market.utc.shift_ns = step_ns
    market.step(tracker, 5)
    tracker.close(market.now)
    assert ["wall clock stepped"] == [record.message for record in caplog.records]
    assert step_ns / S == caplog.records[0].facts["seconds"]
    gaps = [event for event in market.events() if event["event"] == "GAP"]
    assert [("CLOCK", "0.000000")] * 2 == [(gap["reason"], gap["gap_s"]) for gap in gaps]
    (remark,) = (event["reason"] for event in market.events() if event["event"] == "EVENT")
    assert f"CLOCK: the wall clock was stepped by {step_ns / S:+.3f} s" == remark
    assert "CLOSE" not in {event["event"] for event in market.events()}
    assert 2 * 10 == len(market.snapshots())
    assert 2 == len(data_files(str(market.folder), SNAPSHOTS))  # of two hours
    assert (0, 10) == (market.counters()["ticks_skipped"], market.counters()["ticks"])


def story(market, shift_ns):
    """A track over a step and a killed tracker; return what its CLOSE row and its gaps say."""
    tracker = market.started()
    market.signal(0)
    market.step(tracker, 10)
    market.utc.shift_ns = shift_ns
    market.step(tracker, 10)
    market.now += 3 * S  # nobody runs
    tracker = market.started()
    market.spread(0, 45.0)
    market.step(tracker, 10)
    market.spread(0, 0.0)
    market.step(tracker)
    tracker.close(market.now)
    *_, close = sorted(market.events(), key=lambda event: int(event["at_ns"]))
    names = (
        "event", "reason", "duration_s", "looks", "tradable_looks", "skipped", "profit_s",
        "mean_net_bps", "peak_net_bps", "peak_after_s",
    )  # fmt: skip
    gaps = [e["gap_s"] for e in market.events() if (e["event"], e["reason"]) == ("GAP", "DOWN")]
    return [close[name] for name in names], gaps


@pytest.fixture(scope="module")
def undisturbed():
    return {}


@pytest.mark.parametrize("step_ns", [0, *STEPS])  # what follows is held against the first
def test_what_a_successor_reads_is_as_if_no_clock_had_been_stepped(market, step_ns, undisturbed):
    found = story(market, step_ns)
    assert undisturbed.setdefault("story", found) == found
    assert ["CLOSE", "CONVERGED"] == found[0][:2]


def test_a_leg_that_was_gone_before_a_suspension_is_not_lost_by_it(market):
    """Ten minutes that nobody looked are no two seconds without a tradable look."""
    tracker = market.started(tracker__expire_after_s=3600.0)
    market.signal(0)
    market.step(tracker, 5)
    market.instance.quotes.write_empty(OKX_SPOT, 0)
    market.step(tracker, 5)  # a second without the leg
    market.now += 600 * S
    market.step(tracker)
    assert [("OPEN", "0", ""), ("GAP", "0", "LATE")] == market.kinds()
    market.step(tracker, 4)
    assert 2 == len(market.kinds())
    market.spread(0, 40.0)
    market.step(tracker, 20)
    assert 2 == len(market.kinds())  # it is back, and followed on


def test_a_leg_that_stays_away_after_a_suspension_is_lost_in_its_time(market):
    tracker = market.started(tracker__expire_after_s=3600.0)
    market.signal(0)
    market.step(tracker, 5)
    market.now += 600 * S
    market.instance.quotes.write_empty(OKX_SPOT, 0)
    market.step(tracker, 10)
    assert [("OPEN", "0", ""), ("GAP", "0", "LATE")] == market.kinds()
    market.step(tracker)
    assert ("CLOSE", "0", "LOST") == market.kinds()[-1]
