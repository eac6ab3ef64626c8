"""The arithmetic of an edge; its exactness is a law, in tests/laws/test_edge.py."""

import math

import pytest
from spreadcore.spread import edge_exit_bps, edge_gross_bps, edge_net_bps


def test_gross_is_in_bps_of_what_is_paid():
    assert 100.0 == pytest.approx(edge_gross_bps(100.0, 101.0))
    assert -100.0 == pytest.approx(edge_gross_bps(100.0, 99.0))
    assert 0.0 == edge_gross_bps(7.0, 7.0)


def test_round_numbers_come_out_round():
    """A spread of exactly the threshold is at the threshold: by ratios this is 49.999..."""
    assert 50.0 == edge_gross_bps(100.0, 100.5)
    assert -25.0 == edge_gross_bps(200.0, 199.5)


def test_net_is_gross_less_the_fees_of_both_legs():
    assert edge_gross_bps(100.0, 101.0) - 15.5 == edge_net_bps(100.0, 101.0, 15.5)


def test_exit_is_the_same_arithmetic_the_other_way_round():
    """Sell the spot at its bid, buy the perpetual back at its ask."""
    assert edge_gross_bps(99.0, 102.0) == edge_exit_bps(99.0, 102.0)


@pytest.mark.parametrize(
    ("buy", "sell", "expected"),
    [(0.0, 1.0, math.inf), (1.0, math.inf, math.inf), (1.0, 0.0, -10_000.0)],
)
def test_the_rim_gives_infinities_and_no_exception(buy, sell, expected):
    assert expected == edge_gross_bps(buy, sell)


@pytest.mark.parametrize(
    ("buy", "sell"),
    [(math.nan, 1.0), (1.0, math.nan), (0.0, 0.0), (math.inf, math.inf), (math.inf, 1.0)],
)
def test_what_is_not_a_number_stays_so(buy, sell):
    """Scenario 50."""
    assert math.isnan(edge_gross_bps(buy, sell))
    assert math.isnan(edge_net_bps(buy, sell, 1.0))
    assert math.isnan(edge_exit_bps(buy, sell))
