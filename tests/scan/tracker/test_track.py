"""When a track ends, look by look."""

import math

import pytest
from spreadcore.watch import PairTuple

from spreadscan.tracker.track import Limits, Track, track_id
from spreadscan.types import DIRECTIONS

S = 1_000_000_000
LIMITS = Limits(expire_after_ns=60 * S, lost_after_ns=2 * S)


def look(gross_bps: float, tradable: bool = True) -> PairTuple:
    nan = math.nan
    return PairTuple(nan, nan, nan, nan, nan, nan, nan, nan, 0, 0, gross_bps, nan, tradable)


@pytest.fixture
def track() -> Track:
    return Track(
        DIRECTIONS[0], 7, {"track_id": "x"}, fees_bps=10.0, converge_bps=2.0,
        opened_ns=100 * S, net_bps=30.0,
    )  # fmt: skip


def test_it_converges_once_net_is_below_the_limit_and_not_at_it(track):
    assert track.step(look(12.0), 101 * S, LIMITS) is None
    assert track.step(look(11.999), 102 * S, LIMITS) == "CONVERGED"


def test_a_price_that_is_not_tradable_does_not_converge_it(track):
    assert track.step(look(-50.0, tradable=False), 101 * S, LIMITS) is None


def test_it_expires_at_the_limit(track):
    assert track.step(look(40.0), 160 * S - 1, LIMITS) is None
    assert track.step(look(40.0), 160 * S, LIMITS) == "EXPIRED"


def test_converged_says_more_than_expired(track):
    assert track.step(look(0.0), 170 * S, LIMITS) == "CONVERGED"


def test_it_is_lost_after_so_long_without_a_tradable_look(track):
    assert track.step(look(40.0, tradable=False), 110 * S, LIMITS) is None
    assert track.step(look(math.nan, tradable=False), 112 * S - 1, LIMITS) is None
    assert track.step(look(math.nan, tradable=False), 112 * S, LIMITS) == "LOST"


def test_one_tradable_look_starts_the_count_again(track):
    track.step(look(40.0, tradable=False), 110 * S, LIMITS)
    track.step(look(40.0), 111 * S, LIMITS)
    assert track.step(look(40.0, tradable=False), 112 * S, LIMITS) is None
    assert track.step(look(40.0, tradable=False), 114 * S - 1, LIMITS) is None
    assert track.step(look(40.0, tradable=False), 114 * S, LIMITS) == "LOST"


def test_a_long_pause_is_no_absence_of_the_market(track):
    """Seen tradable, then nobody looked for a minute: one bad look is not a lost pair."""
    track.step(look(40.0), 101 * S, LIMITS)
    assert track.step(look(40.0, tradable=False), 150 * S, LIMITS) is None


def test_a_slot_held_by_a_dead_writer_is_lost_too(track):
    assert track.step(None, 110 * S, LIMITS) is None
    assert track.step(None, 112 * S, LIMITS) == "LOST"


def test_a_busy_look_breaks_no_count(track):
    track.step(look(40.0, tradable=False), 110 * S, LIMITS)
    track.step(None, 111 * S, LIMITS)
    assert track.step(look(40.0, tradable=False), 112 * S, LIMITS) == "LOST"


def test_a_busy_slot_expires(track):
    track.step(look(40.0), 159 * S, LIMITS)
    assert track.step(None, 160 * S, LIMITS) == "EXPIRED"


def test_the_peak_is_the_highest_tradable_net_and_its_first_moment(track):
    for second, pair in [
        (101, look(45.0)), (102, look(60.0)), (103, look(60.0)), (104, look(50.0)),
        (105, look(99.0, tradable=False)), (106, None),
    ]:  # fmt: skip
        track.step(pair, second * S, LIMITS)
    assert (50.0, 102 * S) == (track.peak_net_bps, track.peak_ns)


def test_the_opening_may_be_the_peak(track):
    track.step(look(39.0), 101 * S, LIMITS)
    assert (30.0, 100 * S) == (track.peak_net_bps, track.peak_ns)


def test_unknown_fees_never_converge():
    track = Track(
        DIRECTIONS[0], 7, {"track_id": "x"}, fees_bps=math.nan, converge_bps=2.0,
        opened_ns=0, net_bps=math.nan,
    )  # fmt: skip
    assert track.step(look(-50.0), S, LIMITS) is None
    assert track.step(look(-50.0), 60 * S, LIMITS) == "EXPIRED"


def test_ids_sort_by_age_and_differ_by_ring():
    ids = [track_id(5, n) for n in (0, 9, 10, 9_999, 99_999)]
    assert sorted(ids) == ids
    assert track_id(5, 1) != track_id(6, 1)
    assert "0000000a-00017" == track_id(10, 17)
    assert "vvvvvvvv-123456" == track_id((1 << 63) - 1, 123_456)
