"""A number in a name: a multiplier, or a part of it? Golden cases, then simulated sources."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from known import DIRECTIONS, SOURCES
from scan.discovery.kit import config_for, listed, run, simulated, with_listings, without
from spreadscan.config import Universe
from spreadscan.discovery import Result, discover
from spreadscan.discovery.confirmed import Confirmed
from spreadscan.discovery.identity import strangers
from spreadscan.discovery.normalise import normalise
from spreadscan.discovery.units import NOTHING, Read, mids_of, read_before, settle
from spreadscan.lists import Lists, load
from spreadscan.sim import Market
from spreadscan.types import Instrument

# Listings of one coin: source -> (listed base, price as quoted; None: it says nothing)
Wire = dict[str, tuple[str, float | None]]


def resolved(wire: Wire, before: Read = NOTHING) -> tuple[dict[str, tuple[str, float]], set[str]]:
    """Return (source -> pair and multiplier, sources in quarantine) after the prices."""
    kept, _ = normalise({s: [listed(base)] for s, (base, _) in wire.items()}, Universe(), before)
    quoted = {s: {f"{base}USDT": px} if px else {} for s, (base, px) in wire.items()}
    final = settle(kept, quoted, before)
    apart = strangers(mids_of(final, quoted), Confirmed())
    names = {s: (name, i.multiplier) for s, rows in final.items() for name, i in rows.items()}
    return names, {source for source, _ in apart}


def test_1000pepe_on_two_perpetuals_is_pepe_on_spot() -> None:
    names, apart = resolved(
        {
            "binance-futures": ("1000PEPE", 6.4e-3),
            "bybit-futures": ("1000PEPE", 6.41e-3),
            "okx-spot": ("PEPE", 6.39e-6),
        }
    )
    assert {
        "binance-futures": ("PEPE-USDT", 1e3),
        "bybit-futures": ("PEPE-USDT", 1e3),
        "okx-spot": ("PEPE-USDT", 1.0),
    } == names
    assert set() == apart


def test_1000sats_is_sats_where_the_prices_say_so() -> None:
    names, apart = resolved(
        {
            "binance-spot": ("1000SATS", 1.61e-5),
            "bybit-futures": ("10000SATS", 1.61e-4),
            "okx-futures": ("SATS", 1.61e-8),
        }
    )
    assert {("SATS-USDT", 1e3), ("SATS-USDT", 1e4), ("SATS-USDT", 1.0)} == set(names.values())
    assert set() == apart


def test_more_zeros_are_multiples_too() -> None:
    names, apart = resolved(
        {
            "bybit-futures": ("10000000AIDOGE", 2e-3),
            "binance-spot": ("AIDOGE", 2e-10),
            "mexc-spot": ("AIDOGE", 2.01e-10),
        }
    )
    assert {("AIDOGE-USDT", 1e7), ("AIDOGE-USDT", 1.0)} == set(names.values())
    assert set() == apart
    names, apart = resolved({"bybit-futures": ("100000PEIPEI", 0.1), "mexc-spot": ("PEIPEI", 1e-6)})
    assert {("PEIPEI-USDT", 1e5), ("PEIPEI-USDT", 1.0)} == set(names.values())
    assert set() == apart


def test_luna2_is_luna_where_the_prices_say_so() -> None:
    perps = ("binance-futures", "bybit-futures")
    names, apart = resolved(
        {name: ("LUNA2", 0.171) for name in perps}
        | {"okx-spot": ("LUNA", 0.17), "bybit-spot": ("LUNA", 0.17)}
    )
    assert ({("LUNA-USDT", 1.0)}, set()) == (set(names.values()), apart)
    names, apart = resolved({name: ("LUNA2", 0.171) for name in perps})
    assert ({("LUNA2-USDT", 1.0)}, set()) == (set(names.values()), apart)
    names, apart = resolved(
        {name: ("LUNA2", 0.171) for name in perps}
        | {"okx-spot": ("LUNA", 6e-5), "mexc-spot": ("LUNA", 6e-5)}  # the old one
    )
    assert {"LUNA2-USDT"} == {names[name][0] for name in perps}
    assert ({"LUNA-USDT"}, set()) == ({names["okx-spot"][0], names["mexc-spot"][0]}, apart)


def test_a_source_that_lists_both_names_keeps_the_bare_one() -> None:
    rows = {"a": [listed("LUNA2"), listed("LUNA")], "b": [listed("LUNA")]}
    kept, dropped = normalise(rows, Universe())
    assert "LUNA" == kept["a"]["LUNA-USDT"].listed_base
    assert {"duplicate": 1} == dropped["a"]


def test_1000x_is_a_coin_of_that_very_name_where_two_exchanges_agree_on_it() -> None:
    """X Empire is X on two exchanges; another coin is called 1000X on three."""
    names, apart = resolved(
        {
            "okx-spot": ("X", 4e-5),
            "bybit-futures": ("X", 4.02e-5),
            "mexc-spot": ("1000X", 0.31),
            "mexc-futures": ("1000X", 0.312),
            "binance-futures": ("1000X", 0.311),
        }
    )
    assert {("X-USDT", 1.0)} == {names[s] for s in ("okx-spot", "bybit-futures")}
    assert {("1000X-USDT", 1.0)} == {
        names[s] for s in ("mexc-spot", "mexc-futures", "binance-futures")
    }
    assert set() == apart


def test_1000x_of_one_exchange_alone_is_quarantined() -> None:
    names, apart = resolved(
        {"okx-spot": ("X", 4e-5), "bybit-futures": ("X", 4e-5), "mexc-spot": ("1000X", 0.3)}
    )
    assert ("X-USDT", 1e3) == names["mexc-spot"]
    assert {"mexc-spot"} == apart


def test_1mbabydoge_is_1000000babydoge_without_a_bare_one() -> None:
    names, apart = resolved(
        {"binance-spot": ("1MBABYDOGE", 6.1e-4), "bybit-futures": ("1000000BABYDOGE", 6.1e-4)}
    )
    assert {("BABYDOGE-USDT", 1e6)} == set(names.values())
    assert set() == apart


def test_1mbabydoge_and_a_bare_one_whose_list_means_something_else() -> None:
    names, apart = resolved(
        {"binance-spot": ("1MBABYDOGE", 6.1e-4), "mexc-futures": ("BABYDOGE", 6.1e-4)}
    )
    assert {"binance-spot", "mexc-futures"} == apart  # a million apart, one against one


def test_1000cat_everywhere_is_comparable_as_it_is() -> None:
    names, apart = resolved(
        {"binance-spot": ("1000CAT", 2.7e-3), "bybit-futures": ("1000CAT", 2.71e-3)}
    )
    assert {("1000CAT-USDT", 1.0)} == set(names.values())
    assert set() == apart


def test_1inch_is_1inch() -> None:
    names, apart = resolved({"okx-spot": ("1INCH", 0.18), "bybit-futures": ("1INCH", 0.18)})
    assert {("1INCH-USDT", 1.0)} == set(names.values())
    assert set() == apart


def test_a_multiplier_whose_others_say_nothing_stays_what_the_name_says() -> None:
    names, _ = resolved(
        {
            "binance-futures": ("1000PEPE", 6.4e-3),
            "bybit-futures": ("1000PEPE", 6.4e-3),
            "okx-spot": ("PEPE", None),
        }
    )
    assert {"PEPE-USDT"} == {name for name, _ in names.values()}


# -- what was read before


NAMED = Read(as_names=frozenset({"1000X"}))
MULTIPLIED = Read(as_multiples=frozenset({"1000X"}))


@pytest.mark.parametrize("px", [0.31, None])
def test_a_name_stays_one_while_a_witness_is_silent(px: float | None) -> None:
    wire: Wire = {
        "okx-spot": ("X", 4e-5),
        "mexc-spot": ("1000X", 0.31),
        "bybit-spot": ("1000X", px),
    }
    names, apart = resolved(wire, NAMED)
    assert ({("1000X-USDT", 1.0)}, set()) == ({names["mexc-spot"], names["bybit-spot"]}, apart)


def test_a_name_that_turns_out_to_be_a_multiple_becomes_one() -> None:
    wire: Wire = {"okx-spot": ("X", 3.1e-4), "mexc-futures": ("1000X", 0.31)}
    names, apart = resolved(wire, NAMED)
    assert ({("X-USDT", 1.0), ("X-USDT", 1e3)}, set()) == (set(names.values()), apart)


def test_a_multiple_stays_one_while_nobody_lists_the_bare_coin() -> None:
    wire: Wire = {"binance-spot": ("1000X", 0.31), "bybit-futures": ("1000X", 0.311)}
    assert {("X-USDT", 1e3)} == set(resolved(wire, MULTIPLIED)[0].values())
    assert {("1000X-USDT", 1.0)} == set(resolved(wire)[0].values())


def test_a_multiple_whose_prices_say_a_name_becomes_one() -> None:
    wire: Wire = {
        "okx-spot": ("X", 4e-5),
        "binance-spot": ("1000X", 0.31),
        "bybit-futures": ("1000X", 0.311),
    }
    names, apart = resolved(wire, MULTIPLIED)
    assert ({("X-USDT", 1.0), ("1000X-USDT", 1.0)}, set()) == (set(names.values()), apart)


BASES = st.sampled_from(["X", "1000X", "10000X", "1MX", "X1000", "10000000X"])
MANTISSAS = st.floats(1.0, 9.99)
READS = st.sampled_from([NOTHING, NAMED, MULTIPLIED])
WIRES = st.dictionaries(
    st.sampled_from([s.name for s in SOURCES]),
    st.tuples(
        BASES, st.none() | st.builds(lambda m, e: m * 10.0**e, MANTISSAS, st.integers(-7, 2))
    ),
    min_size=2,
)


@given(WIRES, READS)
def test_a_power_of_ten_never_becomes_a_direction(wire: Wire, before: Read) -> None:
    """Whatever the lists and prices: two that stay under one name are near each other."""
    names, apart = resolved(wire, before)
    prices: dict[str, list[float]] = {}
    for source, (name, multiplier) in names.items():
        px = wire[source][1]
        if px and source not in apart:
            prices.setdefault(name, []).append(px / multiplier)
    for found in prices.values():
        assert max(found) < 2 * min(found)


# -- against simulated sources


def discovered(market: Market, folder: Path, *include: str, **options: Any) -> tuple[Result, Lists]:
    async def main() -> Result:
        async with simulated(market) as server:
            config = config_for(folder, server, include=include, no_new_s=3.0, **options)
            return await discover(config)

    result = run(main())
    return result, load(folder / "generated")


@pytest.mark.parametrize(
    ("coin", "bare_too"),
    [("PEPE", True), ("SATS", True), ("CHEEMS", True), ("BABYDOGE", True), ("BABYDOGE", False)],
)
def test_multiplied_listings_gain_directions(
    moving: Market, tmp_path: Path, coin: str, bare_too: bool
) -> None:
    def drop_bare(rows: list[Instrument]) -> list[Instrument]:
        return [i for i in rows if i.base != coin or i.multiplier != 1.0]

    market = moving if bare_too else with_listings(moving, {s.name: drop_bare for s in SOURCES})
    lists_it = {s.id for s in SOURCES for i in market.instruments[s.id] if i.base == coin}
    possible = {d.name for d in DIRECTIONS if {d.buy.id, d.sell.id} <= lists_it}
    assert possible
    result, lists = discovered(market, tmp_path, "BTC-*", f"*{coin}*")
    assert {"BTC-USDT", f"{coin}-USDT"} == set(lists.names)
    assert possible == {name for name, n in result.directions.items() if n == 2}
    assert not any(r.quarantined_pairs for r in result.sources.values())


def relisted(coin: str, base: str) -> Callable[[list[Instrument]], list[Instrument]]:
    """Return a change that lists what the socket quotes for a coin under another name."""

    def change(rows: list[Instrument]) -> list[Instrument]:
        theirs = next(i for i in rows if i.base == coin)
        name = listed(base)
        new = replace(
            theirs, base=name.base, listed_base=name.listed_base, multiplier=name.multiplier
        )
        return [*(i for i in rows if i is not theirs), new]

    return change


def test_a_coin_called_1000x_meets_itself_and_needs_an_id_of_its_own(
    moving: Market, tmp_path: Path
) -> None:
    market = with_listings(
        moving,
        {
            "okx-spot": relisted("DOGE", "X"),
            "bybit-futures": relisted("DOGE", "X"),
            "mexc-spot": relisted("LTC", "1000X"),
            "binance-futures": relisted("LTC", "1000X"),
        },
    )
    include = ("BTC-*", "X-*")
    result, lists = discovered(market, tmp_path, *include)
    assert ("1000X-USDT", "BTC-USDT", "X-USDT") == lists.names
    assert {"okx->bybit": 2, "mexc->binance": 2, "okx->mexc": 1} == {
        name: result.directions[name] for name in ("okx->bybit", "mexc->binance", "okx->mexc")
    }
    (own,) = (r.instrument for r in lists.sources["mexc-spot"].symbols if r.symbol_id == 0)
    assert ("1000X", "1000X", 1.0) == (own.base, own.listed_base, own.multiplier)
    assert Read(as_names=frozenset({"1000X"})) == read_before(lists)


def test_a_list_that_fails_once_renames_nothing(moving: Market, tmp_path: Path) -> None:
    """CAT is bare on okx-spot alone; without it only 1000CAT is left, and it is CAT still."""
    include = ("BTC-*", "CAT-*", "1000CAT-*")
    sources = ("binance-spot", "bybit-futures", "binance-futures", "okx-spot")
    _, first = discovered(moving, tmp_path, *include, sources=sources)
    assert Read(as_multiples=frozenset({"1000CAT"})) == read_before(first)
    market = with_listings(moving, {"okx-spot": without("CAT")})
    _, second = discovered(market, tmp_path, *include, sources=sources)
    assert (first.names, frozenset()) == (second.names, second.retired)
