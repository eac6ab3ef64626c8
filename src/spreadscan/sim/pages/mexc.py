"""MEXC over REST: spot, in Binance's shapes, and futures."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain

import orjson

from spreadscan.sim.pages.base import (
    Limits,
    Lists,
    MarkPx,
    Names,
    OwnPage,
    Query,
    Row,
    SourcePages,
    Spent,
    Units,
    list_rows,
    of_source,
)
from spreadscan.sim.pages.binance import named_rows
from spreadscan.sim.pages.others import CURRENCIES, METALS, STOCKS, quoted
from spreadscan.sim.pages.tickers import binance as spot_tickers
from spreadscan.sim.pages.tickers import mexc as tickers
from spreadscan.types import FundingRate, Instrument
from spreadscan.venues.base import decimal_text


def _spot_page(lists: Lists, query: Query, unix_ms: int, page_rows: int) -> bytes:
    """Return the list, or what symbol= or symbols= name; tick and lot are numbers of decimals."""
    if "symbols" in query:  # a list with commas here
        names = orjson.dumps(query["symbols"].split(",")).decode()
        query = {**query, "symbols": names}
    page = {
        "timezone": "CST",
        "serverTime": unix_ms,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": named_rows(lists["mexc-spot"], query, lambda row: True),
    }
    return orjson.dumps(page)


def _spot_others(first: Row) -> list[Row]:
    return [
        first | {"symbol": "BTCUSDC", "quoteAsset": "USDC"},
        first | {"symbol": "PAUSEUSDT", "baseAsset": "PAUSE", "status": "2"},
        first | {"symbol": "OFFUSDT", "baseAsset": "OFF", "status": "3"},
        first | {"symbol": "CLOSEDUSDT", "baseAsset": "CLOSED", "tradeSideType": 4},
        first | {"symbol": "AAPLXUSDT", "baseAsset": "AAPLX", "fullName": "Apple xStock"},
    ]


def _futures_page(lists: Lists, query: Query, unix_ms: int, page_rows: int) -> bytes:
    """Return the whole list, or the row of symbol= as an object; numbers are JSON numbers."""
    rows, symbol = lists["mexc-futures"], query.get("symbol")
    if symbol is None:
        return tickers.body(rows)
    for row in rows:
        if row["symbol"] == symbol:
            return tickers.body(row)
    raise tickers.refuse()


def _futures_others(first: Row) -> list[Row]:
    coin_margined = {"quoteCoin": "USD", "settleCoin": "BTC", "contractSize": 100}
    usdc = {"quoteCoin": "USDC", "settleCoin": "USDC"}
    stock = {"conceptPlate": ["mc-trade-zone-tradfi", "mc-trade-zone-Stock"]}
    return [
        first | coin_margined | {"symbol": "BTC_USD"},
        first | usdc | {"symbol": "BTC_USDC"},
        first | stock | {"symbol": "AAPLSTOCK_USDT", "baseCoin": "AAPLSTOCK"},
        first | {"symbol": "DARK_USDT", "baseCoin": "DARK", "isHidden": True},
        first | {"symbol": "PAUSE_USDT", "baseCoin": "PAUSE", "state": 4},
        first | {"symbol": "BTC_USDT_261225", "futureType": 2},
    ]


def _funding(query: Query, rates: Sequence[FundingRate], mark_px: MarkPx, unix_ms: int) -> bytes:
    """Return the funding of every contract; numbers are JSON numbers."""
    rows = [
        {
            "symbol": rate.symbol,
            "fundingRate": rate.rate,
            "maxFundingRate": 0.0018,
            "minFundingRate": -0.0018,
            "collectCycle": 8,
            "nextSettleTime": rate.next_ns // 1_000_000,
            "timestamp": unix_ms,
        }
        for rate in rates
    ]
    return orjson.dumps(
        {"success": True, "code": 0, "data": [*rows, rows[0] | {"symbol": "BTC_USD"}]}
    )


def _spot_row(n: int, i: Instrument) -> Row:
    price_digits, lot_digits = _digits(i.tick), _digits(i.lot_step)
    return {
        "symbol": i.venue_symbol,
        "status": "1",
        "baseAsset": i.listed_base,
        "baseAssetPrecision": lot_digits,
        "quoteAsset": i.quote,
        "quotePrecision": price_digits,
        "quoteAssetPrecision": price_digits,
        "baseCommissionPrecision": lot_digits,
        "quoteCommissionPrecision": price_digits,
        "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"],
        "isSpotTradingAllowed": i.api_tradable,
        "isMarginTradingAllowed": False,
        "quoteAmountPrecision": decimal_text(i.min_notional),
        "baseSizePrecision": decimal_text(i.min_qty),
        "permissions": ["SPOT"],
        "filters": [],
        "maxQuoteAmount": "2000000",
        "makerCommission": "0",
        "takerCommission": "0.0005",
        "quoteAmountPrecisionMarket": "1",
        "maxQuoteAmountMarket": "100000",
        "fullName": i.listed_base.title(),
        "tradeSideType": 1,
    }


def _futures_row(n: int, i: Instrument) -> Row:
    return {
        "symbol": i.venue_symbol,
        "displayName": f"{i.venue_symbol} PERPETUAL",
        "displayNameEn": f"{i.venue_symbol} PERPETUAL",
        "positionOpenType": 3,
        "baseCoin": i.listed_base,
        "quoteCoin": i.quote,
        "baseCoinName": i.listed_base,
        "quoteCoinName": i.quote,
        "futureType": 1,
        "settleCoin": i.quote,
        "contractSize": _number(i.contract_size),
        "minLeverage": 1,
        "maxLeverage": 100,
        "priceScale": _digits(i.tick),
        "volScale": 0,
        "amountScale": 4,
        "priceUnit": _number(i.tick),
        "volUnit": _number(i.lot_step),
        "minVol": _number(i.min_qty),
        "maxVol": _number(i.max_qty),
        "bidLimitPriceRate": 0.1,
        "askLimitPriceRate": 0.1,
        "takerFeeRate": 0.0002,
        "makerFeeRate": 0,
        "maintenanceMarginRate": 0.004,
        "initialMarginRate": 0.005,
        "indexOrigin": ["BYBIT", "BINANCE", "OKX", "MEXC"],
        "state": 0,
        "isNew": False,
        "isHot": False,
        "isHidden": False,
        "conceptPlate": ["mc-trade-zone-pow"],
        "apiAllowed": i.api_tradable,
        "limitMaxVol": _number(i.max_qty),
    }


def _digits(step: float) -> int:
    return max(0, math.ceil(-math.log10(step) - 1e-9))


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _spot_time(unix_ns: int) -> Row:
    return {"serverTime": unix_ns // 1_000_000}


def _futures_time(unix_ns: int) -> Row:
    return {"success": True, "code": 0, "data": unix_ns // 1_000_000}


# -- what real lists hold


_QUOTES = ("USDC", "USD1", "BTC", "ETH", "EUR")


def _spot_crowd(rows: list[Row], names: Names) -> Iterator[Row]:
    """Some pairs that no order by API can trade allow one side only."""
    for i, row in enumerate(rows):
        if not row["isSpotTradingAllowed"] and row["tradeSideType"] == 1:
            row["tradeSideType"] = 1 + i % 3
    first = rows[0]
    for base in STOCKS:
        full = {"fullName": f"{base.title()} xStock", "conceptPlates": ["mc-trade-zone-Stock"]}
        if base != "AAPL":
            yield first | {"symbol": f"{base}XUSDT", "baseAsset": f"{base}X"} | full
    for i in range(30):
        base = next(names)
        yield first | {"symbol": f"{base}USDT", "baseAsset": base, "status": "23"[i % 2]}
    for row, base, quote in quoted(rows, "baseAsset", _QUOTES, 1_000):
        if base != quote:
            yield row | {"symbol": f"{base}{quote}", "quoteAsset": quote}


_PLATES = ("mc-trade-zone-Stock", "mc-trade-zone-Commodities", "mc-trade-zone-Forex")


def _futures_crowd(rows: list[Row], names: Names) -> Iterator[Row]:
    """1,174 rows: 1,051 against USDT, 78 USDC, 35 USD1, 10 in coins; 431 are no crypto."""
    for listed in rows[7::40]:  # some clients get these numbers as text
        for key in ("contractSize", "priceUnit", "volUnit", "minVol", "maxVol"):
            listed[key] = str(listed[key])
    first = rows[0]

    def row(base: str, quote: str = "USDT", **fields: object) -> Row:
        name = {"symbol": f"{base}_{quote}", "baseCoin": base, "quoteCoin": quote}
        return first | name | {"settleCoin": quote} | fields

    for base in ("ETH", "XRP", "SOL", "LTC", "DOGE", "ADA", "AVAX", "LINK", "DOT"):
        yield row(base, "USD", settleCoin=base, contractSize=10)
    for template, base, quote in quoted(rows[1:], "baseCoin", ("USDC",), 65):
        yield template | {"symbol": f"{base}_{quote}", "quoteCoin": quote, "settleCoin": quote}
    for template, base, quote in quoted(rows, "baseCoin", ("USD1",), 35):
        yield template | {"symbol": f"{base}_{quote}", "quoteCoin": quote, "settleCoin": quote}
    for state in (1, 2, 3, 4, 5):
        yield row(next(names), state=state)
    for base in ("BTC", "ETH"):
        for date in ("261204", "261211"):
            yield row(base, symbol=f"{base}_USDT_{date}", futureType=2)

    def tradfi(base: str, plate: str, quote: str = "USDT") -> Row:
        return row(base, quote, conceptPlate=["mc-trade-zone-tradfi", plate])

    for base in METALS + CURRENCIES:
        yield tradfi(base, _PLATES[1] if base in METALS else _PLATES[2])
    for base in STOCKS[:12]:
        yield tradfi(f"{base}STOCK", _PLATES[0], "USDC")
    for base in chain(STOCKS[1:], names):
        yield tradfi(f"{base}STOCK", _PLATES[0])


# -- limits


def _beyond_spot(spent: Spent, unix_ns: int) -> tuple[int, dict[str, str], bytes]:
    wait = {"Retry-After": str(math.ceil(spent.left_s))}
    return 429, wait, orjson.dumps({"code": 429, "msg": "Too Many Requests"})


def _beyond_futures(spent: Spent, unix_ns: int) -> tuple[int, dict[str, str], bytes]:
    words = "Requests are too frequent, please try again later"
    return 200, {}, orjson.dumps({"success": False, "code": 510, "message": words})


_ERROR: Row = {"success": False, "code": 500, "message": "Internal system error!"}
_SPOT_TICKERS: dict[str, OwnPage] = {
    "/api/v3/ping": spot_tickers.ping,
    "/api/v3/ticker/bookTicker": spot_tickers.only_symbol(spot_tickers.spot_book_ticker),
    "/api/v3/ticker/price": spot_tickers.only_symbol(spot_tickers.spot_price),
    "/api/v3/ticker/24hr": spot_tickers.only_symbol(spot_tickers.spot_day),
    "/api/v3/depth": spot_tickers.spot_depth,
    "/api/v3/symbol/offline": spot_tickers.mexc_offline,
}
_DETAIL, _DEPTH = "/api/v1/contract/detail", "/api/v1/contract/depth/{symbol}"

PAGES = {
    "mexc-spot": SourcePages(
        units=Units(
            small=547,
            real=1_850,
            rows=1_966,
            min_notional=1.0,
            tells_max_qty=False,  # the page limits the amount in USDT, not the quantity
            coarse_ticks=False,
            no_api=frozenset(("BTC", "ETH", "SOL")),
        ),
        limits=Limits(
            pool=(300, 10.0),
            weights={
                "/api/v3/exchangeInfo": 25,
                "/api/v3/symbol/offline": 10,
                "/api/v3/ticker/bookTicker": 10,
                "/api/v3/ticker/price": 10,
                "/api/v3/ticker/24hr": 25,
                "/api/v3/depth": 3,
            },
            refusal=_beyond_spot,
        ),
        instruments_path="/api/v3/exchangeInfo",
        rows=list_rows(_spot_row, _spot_others),
        page=_spot_page,
        time_path="/api/v3/time",
        time=_spot_time,
        base_of=lambda row: str(row.get("baseAsset", "")),
        live={"status": "1"},
        halted={"status": "2"},
        shows_halted="zeros",
        shows_new="zeros",
        tickers=of_source("mexc-spot", _SPOT_TICKERS),
        error=_ERROR,
        crowd=_spot_crowd,
    ),
    "mexc-futures": SourcePages(
        units=Units(
            small=579,
            real=620,
            rows=1_174,
            symbol="{}_USDT",
            symbol_usdc="{}_USDC",
            contract_usdt=2.0,
            contract_size={
                "BTC": 1e-4,
                "ETH": 0.01,
                "SOL": 0.1,
                "LTC": 0.01,
                "PEPE": 1e7,
                "SHIB": 1e3,
            },
            lot_exponent=lambda coin: 0,
            no_api=frozenset(("LTC",)),
        ),  # fmt: skip
        limits=Limits(
            pool=(20, 2.0),
            paths={_DETAIL: (1, 5.0), _DEPTH: (10, 2.0)},
            per_path=True,
            patience={_DETAIL: 20},
            refusal=_beyond_futures,
        ),
        instruments_path=_DETAIL,
        rows=list_rows(_futures_row, _futures_others),
        page=_futures_page,
        time_path="/api/v1/contract/ping",
        time=_futures_time,
        base_of=lambda row: str(row.get("baseCoin", "")),
        live={"state": 0},
        halted={"state": 4},
        gone={"state": 3},
        shows_halted="zeros",
        shows_new="zeros",
        tickers=of_source(
            "mexc-futures", {"/api/v1/contract/ticker": tickers.ticker, _DEPTH: tickers.depth}
        ),
        funding_path="/api/v1/contract/funding_rate",
        funding=_funding,
        error=_ERROR,
        crowd=_futures_crowd,
    ),
}
