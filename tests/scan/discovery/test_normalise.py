"""One name per coin over all sources, ids that stay, directions by intersection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from known import EIGHT, TWELVE
from scan.discovery.kit import listed
from spreadscan.config import Config, Universe
from spreadscan.discovery.normalise import direction_pairs, normalise
from spreadscan.types import Instrument

ALL = Universe()


def found(
    universe: Universe = ALL, **sources: list[Instrument]
) -> tuple[dict[str, dict[str, tuple[str, float]]], dict[str, dict[str, int]]]:
    """Return per source: name -> (listed as, multiplier); and what was dropped."""
    kept, dropped = normalise(sources, universe)
    short = {
        source: {name: (i.listed_base, i.multiplier) for name, i in rows.items()}
        for source, rows in kept.items()
    }
    return short, {source: dict(counts) for source, counts in dropped.items()}


def test_a_multiplied_coin_meets_its_bare_name() -> None:
    kept, dropped = found(
        a=[listed("PEPE")], b=[listed("1000PEPE")], c=[listed("SHIB1000"), listed("SHIB")]
    )
    assert {
        "a": {"PEPE-USDT": ("PEPE", 1.0)},
        "b": {"PEPE-USDT": ("1000PEPE", 1000.0)},
        "c": {"SHIB-USDT": ("SHIB", 1.0)},
    } == kept
    assert {"a": {}, "b": {}, "c": {"duplicate": 1}} == dropped


def test_several_multipliers_of_one_coin() -> None:
    """Scenario 47."""
    kept, _ = found(
        a=[listed("CHEEMS")],
        b=[listed("1000CHEEMS")],
        c=[listed("1000000CHEEMS")],
        d=[listed("1MCHEEMS")],
    )
    assert [1.0, 1e3, 1e6, 1e6] == [rows["CHEEMS-USDT"][1] for rows in kept.values()]


def test_a_name_that_only_looks_multiplied_is_a_name() -> None:
    """Who all write it so: 1000X may be a name, and is comparable as it is."""
    kept, _ = found(a=[listed("1000X"), listed("1INCH")], b=[listed("1000X")], c=[listed("1MIL")])
    assert {
        "a": {"1000X-USDT": ("1000X", 1.0), "1INCH-USDT": ("1INCH", 1.0)},
        "b": {"1000X-USDT": ("1000X", 1.0)},
        "c": {"1MIL-USDT": ("1MIL", 1.0)},
    } == kept


@pytest.mark.parametrize(
    ("one", "other", "coin", "multipliers"),
    [
        ("1MBABYDOGE", "1000000BABYDOGE", "BABYDOGE", [1e6, 1e6]),
        ("1000SATS", "10000SATS", "SATS", [1e3, 1e4]),
        ("SHIB1000", "1000SHIB", "SHIB", [1e3, 1e3]),
        ("1000PEPE", "PEPE", "PEPE", [1e3, 1.0]),
        ("MOG", "1000000MOG", "MOG", [1.0, 1e6]),
    ],
)
def test_two_ways_to_write_a_coin_meet(
    one: str, other: str, coin: str, multipliers: list[float]
) -> None:
    """Whether or not anyone lists it bare."""
    kept, _ = found(a=[listed(one)], b=[listed(other)])
    assert [[f"{coin}-USDT"]] * 2 == [list(rows) for rows in kept.values()]
    assert multipliers == [m for rows in kept.values() for _, m in rows.values()]


def test_of_two_listings_the_smaller_multiplier_stays() -> None:
    kept, dropped = found(a=[listed("1000000MOG"), listed("1000MOG")], b=[listed("MOG")])
    assert {"MOG-USDT": ("1000MOG", 1000.0)} == kept["a"]
    assert {"duplicate": 1} == dropped["a"]


def test_of_two_equal_listings_the_first_name_stays_whatever_the_order() -> None:
    one, two = listed("BTC", "BTCUSDT"), listed("BTC", "BTCUSDT2")
    for rows in ([one, two], [two, one]):
        kept, dropped = normalise({"a": rows}, ALL)
        assert "BTCUSDT" == kept["a"]["BTC-USDT"].venue_symbol
        assert 1 == dropped["a"]["duplicate"]


def test_a_name_too_long_for_the_files_is_left_out() -> None:
    kept, dropped = found(a=[listed("😀" * 64), listed("A" * 64)])
    assert ["A" * 64 + "-USDT"] == list(kept["a"])
    assert {"name_too_long": 1} == dropped["a"]


@pytest.mark.parametrize(
    ("include", "exclude", "expected"),
    [
        (("*",), (), {"BTC", "ETH", "1000X", "币安"}),
        (("BTC-*", "ETH-USDT"), (), {"BTC", "ETH"}),
        (("*",), ("E*", "币*"), {"BTC", "1000X"}),
        (("BTC-*",), ("*",), set()),
        (("btc-*",), (), set()),
        (("[BE]*",), ("BT?-USDT",), {"ETH"}),
        ((), (), set()),
    ],
)
def test_include_and_exclude(
    include: tuple[str, ...], exclude: tuple[str, ...], expected: set[str]
) -> None:
    rows = [listed(base) for base in ("BTC", "ETH", "1000X", "币安")]
    kept, dropped = found(Universe(include, exclude), a=rows)
    assert {f"{base}-USDT" for base in expected} == set(kept["a"])
    assert 4 - len(expected) == dropped["a"].get("not_in_universe", 0)


def test_units_pass_unchanged() -> None:
    row = listed("1000PEPE", contract_size=10.0, tick=0.1, min_notional=5.0, api_tradable=False)
    kept, _ = normalise({"a": [row], "b": [listed("PEPE")]}, ALL)
    assert row is kept["a"]["PEPE-USDT"]


NAMES = st.sets(st.text("ABC", min_size=1, max_size=3), max_size=20)


# -- directions


@given(st.fixed_dictionaries({source.name: NAMES for source in EIGHT}))
def test_twelve_directions_by_intersection(symbols: dict[str, set[str]]) -> None:
    pairs = direction_pairs(Config(), symbols)
    assert list(range(12)) == list(pairs)
    for direction in TWELVE:
        buy, sell = direction.buy, direction.sell
        assert ("spot", "perpetual") == (buy.kind, sell.kind)
        assert buy.exchange != sell.exchange
        assert sorted(symbols[buy.name] & symbols[sell.name]) == pairs[direction.id]


def test_the_twelve_are_all_pairs_of_exchanges() -> None:
    found = {(d.buy.id, d.sell.id) for d in TWELVE}
    spots = [s.id for s in EIGHT if s.kind == "spot"]
    perps = [s.id for s in EIGHT if s.kind == "perpetual"]
    assert {(b, s) for b in spots for s in perps if EIGHT[b].exchange != EIGHT[s].exchange} == (
        found
    )


def test_a_source_that_did_not_answer_leaves_its_directions_empty() -> None:
    everywhere = {source.name: {"A"} for source in EIGHT if source.name != "okx-spot"}
    pairs = direction_pairs(Config(), everywhere)
    assert [[], [], []] + [["A"]] * 9 == [pairs[i] for i in range(12)]


def test_directions_of_sources_that_are_not_enabled_are_left_out() -> None:
    config = Config(sources=("okx-spot", "mexc-futures"))
    assert {0: ["A"]} == direction_pairs(config, {"okx-spot": {"A"}, "mexc-futures": {"A", "B"}})
