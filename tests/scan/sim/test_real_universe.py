"""`sim --universe real`: as many rows as the venues list, of the kinds that they list."""

from collections import Counter
from urllib.parse import parse_qsl

import orjson
import pytest

from known import LATER, SOURCE_BY_NAME, SOURCES, without_texts
from spreadscan.config import Config
from spreadscan.discovery.ids import comparable
from spreadscan.discovery.normalise import normalise
from spreadscan.sim.market import Market
from spreadscan.sim.pages import MOST_ROWS, Pages
from spreadscan.sim.pages.crowd import filler
from spreadscan.sim.universe import REAL
from spreadscan.types import Instrument
from spreadscan.venues import VENUES

NOW_MS = 1_795_132_800_123
# USDT pairs that trade, and rows in all, where a total was recorded (2026-08, 2026-09)
PAIRS = {
    "binance-spot": 430, "binance-futures": 560, "bybit-spot": 560, "bybit-futures": 600,
    "mexc-spot": 1_850, "mexc-futures": 620, "okx-spot": 290, "okx-futures": 280,
    "gate-spot": 1_500, "gate-futures": 560,
}  # fmt: skip
ROWS = {"mexc-spot": 1_966, "mexc-futures": 1_174, "bybit-futures": 692, "binance-futures": 909}
# kinds of rows that each list must have beside them
KINDS = {
    "binance-spot": {"other_quote", "not_trading", "unknown_status", "spot_not_allowed"},
    "binance-futures": {
        "other_quote", "not_trading", "not_perpetual", "tradfi", "index", "pre_market", "delisted",
    },
    "bybit-spot": {"other_quote", "not_trading", "pre_market", "tokenised_stock"},
    "bybit-futures": {
        "other_quote", "not_trading", "pre_market", "tradfi", "not_perpetual", "delisted",
    },
    "mexc-spot": {"other_quote", "not_trading", "tokenised_stock", "delisted"},
    "mexc-futures": {
        "other_quote", "not_trading", "unknown_status", "tradfi", "hidden", "not_perpetual",
        "delisted",
    },
    "okx-spot": {"other_quote", "not_trading", "unknown_status", "missing_field"},
    "okx-futures": {
        "other_quote", "not_trading", "inverse", "tradfi", "pre_market", "rebase", "missing_field",
    },
    "gate-spot": {"other_quote", "not_trading", "pre_market", "leveraged_token", "tokenised_stock"},
    "gate-futures": {"not_trading", "unknown_status", "tradfi", "pre_market", "delisted"},
}  # fmt: skip
STATES = {
    "binance-spot": ("status", {"BREAK", "HALT", "CANCEL_ONLY", "END_OF_DAY"}),
    "binance-futures": ("contractType", {"TRADIFI_PERPETUAL", "CURRENT_QUARTER", ""}),
    "bybit-spot": ("status", {"PendingOpen", "PreLaunch"}),
    "bybit-futures": ("status", {"PendingOpen", "PreLaunch", "Closed"}),
    "mexc-spot": ("status", {"2", "3"}),
    "mexc-futures": ("state", {1, 2, 3, 4}),
    "okx-spot": ("state", {"suspend", "preopen", "rebase"}),
    "okx-futures": ("state", {"suspend", "post_only", "test"}),
    "gate-spot": ("trade_status", {"untradable", "sellable"}),
    "gate-futures": ("contract_type", {"stocks", "metals", "forex"}),
}


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(seed=1, shape=REAL, also=LATER)


def pages_of(market: Market) -> Pages:
    more = filler(REAL.rows, market.seed)
    return Pages(market.instruments, NOW_MS, MOST_ROWS, more=more)


@pytest.fixture(scope="module")
def pages(market: Market) -> Pages:
    return pages_of(market)


def body_of(pages: Pages, name: str) -> bytes:
    query = dict(parse_qsl(VENUES[name].instruments_request("").query))
    return pages.get(name, query)


def rows_of(pages: Pages, name: str) -> list[dict[str, object]]:
    page = orjson.loads(body_of(pages, name))
    rows: list[dict[str, object]] = (
        page
        if isinstance(page, list)
        else page.get("symbols") or page.get("data") or page["result"]["list"]
    )
    return rows


@pytest.mark.parametrize("name", VENUES)
def test_a_parser_finds_the_pairs_among_all_the_rows(
    market: Market, pages: Pages, name: str
) -> None:
    page = VENUES[name].instruments(body_of(pages, name)).of(["USDT"])
    found = {i.venue_symbol: i for i in without_texts(page.instruments)}
    assert PAIRS[name] == len(found) == len(page.instruments)
    assert {i.venue_symbol: i for i in market.instruments[SOURCE_BY_NAME[name].id]} == found
    assert KINDS[name] == set(page.skipped)
    rows = rows_of(pages, name)
    assert ROWS.get(name, REAL.rows[name]) == len(rows) == len(found) + sum(page.skipped.values())
    assert len(rows) == len(pages.rows(name))
    field, states = STATES[name]
    assert states <= {row.get(field) for row in rows}


def test_the_figures_that_were_recorded_of_single_kinds(pages: Pages) -> None:
    mexc = rows_of(pages, "mexc-futures")
    assert Counter(USDT=1_051, USDC=78, USD1=35, USD=10) == Counter(r["quoteCoin"] for r in mexc)
    assert 431 == sum("mc-trade-zone-tradfi" in str(row["conceptPlate"]) for row in mexc)
    assert {int, float, str} == {type(row["contractSize"]) for row in mexc}
    linear = rows_of(pages, "bybit-futures")
    trading = [r for r in linear if (r["quoteCoin"], r["status"]) == ("USDT", "Trading")]
    perpetuals = [r["symbolType"] for r in trading if r["contractType"] == "LinearPerpetual"]
    assert (514, 86) == (perpetuals.count(""), perpetuals.count("innovation"))


def test_names_are_as_odd_as_on_the_venues(market: Market) -> None:
    names = [{i.listed_base for i in rows} for rows in market.instruments]
    everyones: set[str] = set().union(*names)
    assert {"1INCH", "0G", "2Z", "4", "42", "币安人生"} <= everyones
    assert {"1000PEPE", "1000SATS", "1MBABYDOGE", "SHIB1000", "10000QUBIC", "1000000PEIPEI"} <= (
        everyones
    )
    assert 4 == sum("币安人生" in own for own in names)


def test_the_same_seed_gives_the_same_lists(market: Market, pages: Pages) -> None:
    again, other = (
        pages_of(Market(seed=1, shape=REAL, also=LATER)),
        pages_of(Market(seed=2, shape=REAL, also=LATER)),
    )
    for name in VENUES:
        body = body_of(pages, name)
        assert body == body_of(again, name), name
        assert body != body_of(other, name), name


def test_another_list_of_one_source_leaves_the_others_as_they_are(
    market: Market, pages: Pages
) -> None:
    fewer = pages.with_listed("mexc-spot", market.instruments[4][:100])
    page = VENUES["mexc-spot"].instruments(body_of(fewer, "mexc-spot")).of(["USDT"])
    assert (100, 1_966 - 1_850) == (len(page.instruments), sum(page.skipped.values()))
    for name in VENUES:
        assert (name == "mexc-spot") == (body_of(fewer, name) != body_of(pages, name))


def test_most_of_the_largest_list_is_in_no_direction(market: Market) -> None:
    listed: dict[str, tuple[Instrument, ...]] = {s.name: market.instruments[s.id] for s in SOURCES}
    config = Config()
    kept, _ = normalise(listed, config.universe)
    found = comparable(config, kept)
    assert 600 < len(found.names) < 800
    assert found.left_out["mexc-spot"] > 1_000
    assert len(found.names) + found.n_left_out == len(set().union(*kept.values()))
