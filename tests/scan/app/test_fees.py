"""What the settings say that trading costs, by source, by pair, by edge."""

import math

import pytest

from known import EIGHT, SOURCE_BY_NAME, TWELVE
from spreadscan.app.fees import direction_fees_bps, edge_fees_bps, taker_fee
from spreadscan.config import Config, VenueSettings, load
from spreadscan.errors import ConfigError
from spreadscan.lists import Edge
from spreadscan.venues import VENUES

NAMES = ("BTC-USDT", "BTC-USDC", "USDC-USDT")


def test_an_accounts_tier_wins_over_venues_which_win_over_the_table() -> None:
    config = Config(
        account_tier="vip1",
        tiers={"vip1": {"okx-spot": 8.0, "mexc-futures": -0.5}, "vip2": {"okx-futures": 1.0}},
        venues={
            "okx-spot": VenueSettings(taker_bps=9.0),
            "okx-futures": VenueSettings(None, None, 4.0),
        },
    )
    table = {name: venue.spec.taker_bps for name, venue in VENUES.items()}
    expected = table | {"okx-spot": 8.0, "mexc-futures": -0.5, "okx-futures": 4.0}
    assert expected == {name: taker_fee(config, name)[0] for name in VENUES}
    for direction in TWELVE:
        legs = [expected[EIGHT[s].name] for s in (direction.buy.id, direction.sell.id)]
        assert sum(legs) == direction_fees_bps(config)[direction.id]


def test_without_a_tier_its_fees_do_not_count() -> None:
    config = Config(tiers={"vip1": {"okx-spot": 8.0}})
    assert (VENUES["okx-spot"].spec.taker_bps, "") == taker_fee(config, "okx-spot")


def test_a_pair_with_a_fee_of_its_own_and_a_conversion_on_an_edge() -> None:
    spot, perp = (SOURCE_BY_NAME[name].id for name in ("okx-spot", "mexc-futures"))
    config = Config(
        sources=("okx-spot", "mexc-futures"),
        account_tier="mine",
        tiers={"mine": {"okx-spot": 8.0, "mexc-futures": 2.0}},
        pair_taker_bps={"USDC-USDT": {"okx-spot": 0.0}, "BTC-USDC": {"okx-spot": 1.0}},
    )
    fees_bps = edge_fees_bps(config, NAMES)
    usdt, usdc = Edge(0, 0, spot, 0, perp, 0), Edge(1, 0, spot, 1, perp, 1)
    assert (10.0, 3.0) == (fees_bps(usdt), fees_bps(usdc))
    convert = usdc._replace(sell_row=0, converted="buy", rate_source=spot, rate_row=2)
    assert 3.0 == fees_bps(convert)  # converting is free there
    assert 3.0 + 2.0 == fees_bps(convert._replace(rate_source=perp, rate_row=0))
    assert math.isnan(fees_bps(usdt._replace(buy_source=0)))  # not scanned


def test_a_fee_that_is_none_is_refused() -> None:
    flags = {"pair_taker_bps.BTC-USDT.okx-spot": "nan"}
    with pytest.raises(
        ConfigError, match="pair_taker_bps.BTC-USDT.okx-spot: nan, expected a number of bps"
    ):
        load(flags=flags, environ={})
