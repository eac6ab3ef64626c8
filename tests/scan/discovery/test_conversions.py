"""Which edges between quote currencies there are, and who converts them."""

from typing import Any

import pytest

from spreadscan.config import Config, load
from spreadscan.discovery.conversions import crossings, proven_crossings
from spreadscan.discovery.ids import NONE, assign_edges, assign_ids, comparable
from spreadscan.discovery.normalise import direction_pairs
from spreadscan.errors import ConfigError
from spreadscan.types import Instrument

SOURCES = ("binance-spot", "okx-spot", "mexc-futures")
CONVERT = {"directions.okx->mexc.convert": True}


def config(**flags: Any) -> Config:
    given = {"sources": list(SOURCES), "universe.quotes": ["USDT", "USDC"]} | flags
    return load(flags=given, environ={}).config


def listed(**pairs: str) -> dict[str, dict[str, Instrument]]:
    """'BTC-USDT ETH-USDC' by source, as keyword."""
    return {
        source.replace("_", "-"): {
            name: Instrument(
                venue_symbol=name, base=name.split("-")[0], listed_base=name.split("-")[0],
                quote=name.split("-")[1],
            )
            for name in names.split()
        }
        for source, names in pairs.items()
    }  # fmt: skip


def told(found: Any) -> set[tuple[str, str, str, str, str]]:
    return {(c.buy, c.sell, c.converted, c.rate_source.name, c.rate) for c in found}


EVERYTHING = listed(
    binance_spot="USDC-USDT BTC-USDT",
    okx_spot="BTC-USDT BTC-USDC ETH-USDC",
    mexc_futures="BTC-USDT BTC-USDC ETH-USDT SOL-USDT",
)


def test_a_direction_that_does_not_convert_has_none() -> None:
    assert [] == crossings(config(), EVERYTHING)
    assert {"BTC-USDT", "BTC-USDC"} == comparable(config(), EVERYTHING).names


def test_every_coin_in_two_currencies_is_bought_in_one_and_sold_in_the_other() -> None:
    found = crossings(config(**CONVERT), EVERYTHING)
    rate = "binance-spot", "USDC-USDT"  # okx-spot, where one would convert, does not list it
    assert {
        ("BTC-USDC", "BTC-USDT", "buy", *rate),
        ("BTC-USDT", "BTC-USDC", "sell", *rate),
        ("ETH-USDC", "ETH-USDT", "buy", *rate),
    } == told(found)
    assert {"okx->mexc"} == {c.direction.name for c in found}


def test_the_exchange_of_the_leg_converts_where_it_can() -> None:
    pairs = EVERYTHING | listed(okx_spot="USDC-USDT ETH-USDC")
    assert {("ETH-USDC", "ETH-USDT", "buy", "okx-spot", "USDC-USDT")} == told(
        crossings(config(**CONVERT), pairs)
    )


def test_what_converts_is_subscribed_to_although_it_is_in_no_direction() -> None:
    found = comparable(config(**CONVERT), EVERYTHING)
    assert {"BTC-USDT", "BTC-USDC", "ETH-USDT", "ETH-USDC", "USDC-USDT"} == found.names
    assert {"USDC-USDT", "BTC-USDT"} == set(found.kept["binance-spot"])
    assert 1 == found.n_left_out  # SOL, which nobody sells on


def test_without_anybody_who_converts_it_is_refused_and_said_between_which() -> None:
    pairs = EVERYTHING | listed(binance_spot="BTC-USDT")
    said = (
        "okx->mexc converts between USDT and USDC (BTC-USDT, BTC-USDC), expected USDT-USDC or "
        "USDC-USDT on a spot source that is scanned, and in the universe (include *; exclude "
        "nothing)"
    )
    with pytest.raises(ConfigError) as caught:
        crossings(config(**CONVERT), pairs)
    assert f"directions: {said}" == str(caught.value)
    # a spot source that did not answer may list it: nothing is refused for good
    del pairs["okx-spot"]
    assert [] == crossings(config(**CONVERT), pairs)
    pairs = EVERYTHING | listed(binance_spot="BTC-USDT")
    # once a set stands, one that quotes no more takes its edges with it, and nothing else
    assert ([], 3) == proven_crossings(config(**CONVERT), pairs)


def test_edges_keep_their_numbers_whoever_converts_them() -> None:
    settings = config(**CONVERT)

    def edges(pairs: Any, before: Any, unix_s: int) -> Any:
        usable = comparable(settings, pairs)
        numbers = assign_ids(usable.names, NONE, unix_s).in_use
        same = {
            d: [numbers[name] for name in names]
            for d, names in direction_pairs(settings, usable.kept).items()
        }
        crossed = crossings(settings, usable.kept)
        found = assign_edges(settings.catalogue, same, before, unix_s, crossed, numbers)
        return numbers, found

    ids, first = edges(EVERYTHING, (), 1)
    sources = settings.catalogue.source
    by = sources["binance-spot"].id, ids["USDC-USDT"]
    assert {None: 3, ("buy", *by): 2, ("sell", *by): 1} == {
        c: [e.conversion for e in first].count(c) for c in {e.conversion for e in first}
    }
    both = dict(EVERYTHING)
    both["okx-spot"] = both["okx-spot"] | listed(okx_spot="USDC-USDT")["okx-spot"]
    _, second = edges(both, first, 2)
    assert [e[:6] for e in first] == [e[:6] for e in second]
    # a leg that is bought there is converted there now; of the other, no exchange has a spot source
    assert {sources["okx-spot"].id} == {e.rate_source for e in second if e.converted == "buy"}
