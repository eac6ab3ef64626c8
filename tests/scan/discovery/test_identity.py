"""One ticker, two coins: golden cases of peers, then laws, then a run against simulated sources."""

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from known import EIGHT, TWELVE
from scan.discovery.kit import config_for, instrument, run, simulated, with_listings
from spreadscan.catalogue import built_in
from spreadscan.cli.discover import echo_result
from spreadscan.defaults import default_file
from spreadscan.discovery import Result, discover
from spreadscan.discovery.confirmed import Confirmed, read_confirmed
from spreadscan.discovery.identity import AGREE, leading, strangers
from spreadscan.errors import ConfigError
from spreadscan.lists import load
from spreadscan.sim import Market

ALL = {s.name: s for s in EIGHT}
NOTHING = Confirmed()
EXCHANGES = ("binance", "bybit", "mexc", "okx")


def everywhere(px: float, **other: float) -> dict[str, float]:
    """Return a price on all eight sources, but for those named (_ for -)."""
    return dict.fromkeys(ALL, px) | {name.replace("_", "-"): px for name, px in other.items()}


def out(prices: dict[str, float], confirmed: Confirmed = NOTHING) -> dict[str, str]:
    """Return source -> reason of those in quarantine."""
    return {s: why for (s, _), why in strangers({"X-USDT": prices}, confirmed).items()}


# -- golden cases: real names, with prices of about their size


def test_neiro_two_exchanges_against_two_are_all_kept_out() -> None:
    """Binance's NEIRO is not the NEIRO of Bybit: 11,021 % of "profit"."""
    prices = {
        "binance-spot": 0.00011,
        "binance-futures": 0.00011,
        "bybit-spot": 0.0123,
        "bybit-futures": 0.0122,
    }
    found = out(prices)
    assert set(prices) == set(found)
    assert all("no majority, nobody knows which is wrong" in why for why in found.values())
    assert "0.0123, others 0.00011 (binance-spot), 0.00011 (binance-futures)" in found["bybit-spot"]


def test_derp_one_source_is_another_coin() -> None:
    found = out(everywhere(12.31, mexc_spot=0.0123))
    why = "identity: 0.0123, median of 7 others 12.31: about 10^-3 times theirs: other units"
    assert {"mexc-spot": why} == found
    found = out(everywhere(12.31, mexc_spot=0.0203))
    assert {"mexc-spot": "identity: 0.0203, median of 7 others 12.31: same ticker, other coin"} == (
        found
    )


def test_epik_of_two_sources_nobody_knows_which_is_wrong() -> None:
    assert {"mexc-spot", "okx-futures"} == set(out({"mexc-spot": 0.0009, "okx-futures": 0.0031}))


def test_luna_where_one_exchange_kept_the_old_coin() -> None:
    """LUNA is the new coin; who still calls LUNC by its old ticker has it at 1/3,000."""
    found = out(everywhere(0.16, okx_spot=5.5e-5, okx_futures=5.5e-5))
    assert {"okx-spot", "okx-futures"} == set(found)


def test_1000pepe_whose_multiplier_was_overlooked() -> None:
    found = out(everywhere(6.4e-6, bybit_futures=6.41e-3))
    assert list(found) == ["bybit-futures"]
    assert "about 10^3 times theirs: other units" in found["bybit-futures"]


def test_sources_of_one_exchange_count_once() -> None:
    # one catalogue against one catalogue, though two sources against one
    assert 3 == len(out({"mexc-spot": 1.0, "mexc-futures": 1.0, "okx-spot": 9.0}))
    # and two catalogues against one
    prices = {"mexc-spot": 1.0, "mexc-futures": 1.0, "okx-spot": 9.0, "bybit-futures": 9.0}
    assert {"mexc-spot", "mexc-futures"} == set(out(prices))
    # an exchange may be at odds with itself
    prices = {"mexc-spot": 1.0, "mexc-futures": 9.0, "okx-spot": 9.0}
    assert {"mexc-spot"} == set(out(prices))


def test_three_coins_of_one_name_all_apart() -> None:
    assert 3 == len(out({"binance-spot": 1.0, "bybit-futures": 2.0, "okx-spot": 4.0}))


def test_one_price_alone_is_nobodys_stranger() -> None:
    assert {} == out({"mexc-spot": 1.0})
    assert {} == out({})


@pytest.mark.parametrize(("ratio", "kept"), [(1.0, True), (1.249, True), (1.251, False)])
def test_a_quarter_is_the_limit(ratio: float, kept: bool) -> None:
    for px in (100.0 * ratio, 100.0 / ratio):
        assert ([] if kept else ["mexc-spot"]) == list(out(everywhere(100.0, mexc_spot=px)))


# -- what a human has confirmed


def test_the_same_is_let_in_and_a_different_one_has_no_say() -> None:
    prices = everywhere(1.0, okx_spot=9.0)
    assert {} == out(prices, Confirmed(same=frozenset({("okx-spot", "X-USDT")})))
    assert {"okx-spot"} == set(out(prices, Confirmed(same=frozenset({("okx-spot", "Y-USDT")}))))
    two = {"mexc-spot": 1.0, "okx-futures": 9.0, "bybit-spot": 1.0}
    assert {"okx-futures"} == set(out(two))
    # without bybit it is one against one again
    different = frozenset({("bybit-spot", "X-USDT")})
    assert {"mexc-spot", "okx-futures"} == set(out(two, Confirmed(different=different)))


def written(folder: Path, text: str) -> Path:
    path = folder / "identity.toml"
    path.write_text(text)
    return path


def test_the_file_is_read_and_none_is_no_exceptions(tmp_path: Path) -> None:
    text = """
    [same]
    "X-USDT" = ["okx-spot", "mexc-futures"]
    [different]
    "币安人生-USDT" = ["binance-spot"]
    """
    assert Confirmed(
        same=frozenset({("okx-spot", "X-USDT"), ("mexc-futures", "X-USDT")}),
        different=frozenset({("binance-spot", "币安人生-USDT")}),
    ) == read_confirmed(written(tmp_path, text), built_in())
    assert Confirmed() == read_confirmed(tmp_path / "none.toml", built_in())


def test_the_file_of_the_house_holds_no_exception_yet() -> None:
    path = default_file("identity.toml")
    assert path.is_file()
    assert Confirmed() == read_confirmed(path, built_in())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[diferent]", "unknown key 'diferent', did you mean 'different'?"),
        ("x = 1", "unknown key 'x', expected one of same, different"),
        ("same = 3", "same: 3, expected a section [same]"),
        ('[same]\nXUSDT = ["okx-spot"]', "pair 'XUSDT', expected one such as 'NEIRO-USDT'"),
        ('[same]\n"-USDT" = ["okx-spot"]', "pair '-USDT', expected one such as"),
        ('[same]\n"X-EUR" = ["okx-spot"]', "pair 'X-EUR', expected one such as"),
        ('[same]\n"X-USDT" = "okx-spot"', "same.X-USDT: 'okx-spot', expected a list of sources"),
        ('[same]\n"X-USDT" = []', "same.X-USDT: [], expected a list of sources"),
        ('[same]\n"X-USDT" = ["okx"]', "unknown source 'okx', did you mean 'okx-spot'?"),
        ('[same]\n"X-USDT" = [1]', "unknown source 1, expected one of binance-spot, "),
        (
            '[same]\n"X-USDT" = ["okx-spot"]\n[different]\n"X-USDT" = ["okx-spot"]',
            "'X-USDT' of okx-spot: same and different, expected one",
        ),
        ("[same", "not TOML"),
    ],
)
def test_what_the_file_may_not_say(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_confirmed(path, built_in())
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"paths\.identity: .*: cannot be read: "):
        read_confirmed(tmp_path, built_in())


# -- laws

PRICES = st.dictionaries(
    st.sampled_from(list(ALL)), st.floats(1e-9, 1e9) | st.sampled_from([1.0, 1.2, 1.3, 10.0])
)


@given(PRICES)
def test_who_stays_agrees_with_everyone_who_stays_but_for_a_chain(prices: dict[str, float]) -> None:
    kept = sorted(px for s, px in prices.items() if s not in out(prices))
    if kept:
        assert kept[-1] <= kept[0] * AGREE * AGREE * (1 + 1e-12)


@given(PRICES, st.randoms(use_true_random=False), st.floats(1e-6, 1e6))
def test_neither_order_nor_unit_matters(
    prices: dict[str, float], rng: random.Random, unit: float
) -> None:
    mixed = list(prices.items())
    rng.shuffle(mixed)
    assert set(out(prices)) == set(out(dict(mixed)))
    near = any(0.999 < b / a / AGREE < 1.001 for a, b in pairwise(sorted(prices.values())))
    if not near and not any(
        0.999 < max(a, b) / min(a, b) / AGREE < 1.001
        for a in prices.values()
        for b in prices.values()
    ):
        scaled = {s: px * unit for s, px in prices.items()}
        assert len(leading(prices)) == len(leading(scaled))


@given(st.integers(3, 4), st.floats(1.26, 1e9), st.booleans(), st.data())
def test_one_exchange_against_two_or_more_is_found(
    n: int, ratio: float, below: bool, data: Any
) -> None:
    exchanges = data.draw(st.permutations(EXCHANGES))[:n]
    wrong = exchanges[0]
    factor = 1 / ratio if below else ratio
    prices = {
        s: (factor if ALL[s].exchange == wrong else 1.0)
        for s in ALL
        if ALL[s].exchange in exchanges
    }
    assert {f"{wrong}-spot", f"{wrong}-futures"} == set(out(prices))


# -- against simulated sources


def discovered(market: Market, folder: Path, identity: str = "", **options: Any) -> Result:
    async def main() -> Result:
        async with simulated(market) as server:
            config = config_for(folder, server, **options)
            written(folder, identity)
            return await discover(config)

    result: Result = run(main())
    return result


def suspects(market: Market) -> dict[str, str]:
    """Return source -> the pair that is another coin there."""
    return {EIGHT[s].name: market.instruments[s][i].symbol for s, i in market.suspects}


def test_another_coin_of_the_market_makes_no_direction(
    moving: Market, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Scenario 47."""
    strange = suspects(moving)
    assert {"mexc-spot", "mexc-futures"} == set(strange)  # a tenth of the price, and 1.4 of it
    result = discovered(moving, tmp_path, include=("BTC-*", *strange.values()), no_new_s=4.0)
    lists = load(tmp_path / "generated")
    report = (tmp_path / "generated" / "validation_report.txt").read_text()
    echo_result(result)
    told = capsys.readouterr().out
    for source, name in strange.items():
        reason = result.sources[source].quarantined_pairs[name]
        assert reason.startswith("identity: ")
        assert ("about 10^-1 times theirs" in reason) == (source == "mexc-spot")
        assert f"{source:<16} {name:<20} {reason}" in report
        assert f"quarantined: {source} {name}: {reason}" in told
        symbol_id = lists.names.index(name)
        with_it = {d for d, ids in lists.pairs.items() if symbol_id in ids}
        assert with_it  # the others go on
        assert not any(source in names_of(d) for d in with_it)
        row = next(r for r in lists.sources[source].symbols if r.symbol == name)
        assert "quarantined" == row.state
        assert row in lists.sources[source].subscribed
    assert 2 == sum(len(r.quarantined_pairs) for r in result.sources.values())


def names_of(direction: int) -> tuple[str, str]:
    d = TWELVE[direction]
    return d.buy.name, d.sell.name


def test_what_is_confirmed_wins_over_the_prices(moving: Market, tmp_path: Path) -> None:
    strange = suspects(moving)["mexc-spot"]
    identity = f"""
    [same]
    "{strange}" = ["mexc-spot"]
    [different]
    "BTC-USDT" = ["okx-spot"]
    """
    result = discovered(
        moving, tmp_path, identity, include=("BTC-*", "ETH-*", strange), no_new_s=4.0
    )
    assert {} == result.sources["mexc-spot"].quarantined_pairs
    assert {"BTC-USDT": "identity: confirmed to be another coin"} == (
        result.sources["okx-spot"].quarantined_pairs
    )
    lists = load(tmp_path / "generated")
    btc, other = lists.names.index("BTC-USDT"), lists.names.index(strange)
    assert not any(btc in ids for d, ids in lists.pairs.items() if "okx-spot" in names_of(d))
    assert any(other in ids for d, ids in lists.pairs.items() if "mexc-spot" in names_of(d))


def test_a_wrong_file_ends_the_run_before_anything_is_asked(moving: Market, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'sam', did you mean 'same'"):
        discovered(moving, tmp_path, "[sam]", include=("BTC-*",))
    assert not (tmp_path / "generated").exists()


def test_two_sources_that_disagree_are_both_kept_out(moving: Market, tmp_path: Path) -> None:
    """A list may call what its socket quotes by another coin's name."""

    def epik_is(coin: str) -> Callable[[list[Any]], list[Any]]:
        def change(rows: list[Any]) -> list[Any]:
            theirs = next(i for i in rows if i.base == coin)
            return [*(i for i in rows if i is not theirs), instrument(theirs.venue_symbol, "EPIK")]

        return change

    market = with_listings(moving, {"okx-spot": epik_is("DOGE"), "bybit-futures": epik_is("LTC")})
    result = discovered(market, tmp_path, include=("BTC-*", "EPIK-*"))
    for name in ("okx-spot", "bybit-futures"):
        assert "nobody knows which is wrong" in result.sources[name].quarantined_pairs["EPIK-USDT"]
    assert {1} == set(result.directions.values())  # BTC alone
