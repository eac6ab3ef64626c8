"""Binance over REST, spot and USDT-M."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

import orjson

from spreadscan.sim.pages.base import (
    Limits,
    Lists,
    MarkPx,
    Names,
    Query,
    Row,
    SourcePages,
    Spent,
    Units,
    Work,
    list_rows,
    listed_by,
    of_source,
)
from spreadscan.sim.pages.others import METALS, STOCKS, quoted
from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.tickers import binance as tickers
from spreadscan.types import FundingRate, Instrument
from spreadscan.venues.base import decimal_text

_FOREVER_MS = 4_133_404_800_000
_QUARTER_MS = 1_798_185_600_000


def _limit(kind: str, interval: str, n: int, limit: int) -> Row:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": n, "limit": limit}


def _spot_page(lists: Lists, query: Query, unix_ms: int, page_rows: int) -> bytes:
    """Return the list as symbol=, symbols= or symbolStatus= leave it."""
    status = query.get("symbolStatus")
    if status is not None and ("symbol" in query or "symbols" in query):
        raise tickers.refuse(-1128, "Combination of optional parameters invalid.")
    rows = lists["binance-spot"]
    page = {
        "timezone": "UTC",
        "serverTime": unix_ms,
        "rateLimits": [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, 6_000),
            _limit("ORDERS", "SECOND", 10, 100),
            _limit("ORDERS", "DAY", 1, 200_000),
            _limit("RAW_REQUESTS", "MINUTE", 5, 300_000),
        ],
        "exchangeFilters": [],
        "symbols": named_rows(rows, query, lambda row: status in (None, row["status"])),
    }
    return orjson.dumps(page)


def named_rows(rows: list[Row], query: Query, keep: Callable[[Row], bool]) -> list[Row]:
    """Return the rows that symbol= or symbols= name, or all; of those to keep."""
    if not {"symbol", "symbols", "symbolStatus"}.intersection(query):
        return rows
    kept = {row["symbol"]: row for row in rows if keep(row)}
    names = tickers.asked_symbols(query, kept.__contains__)
    return list(kept.values()) if names is None else [kept[name] for name in names]


def _spot_others(first: Row) -> list[Row]:
    return [
        first | {"symbol": "BTCFDUSD", "quoteAsset": "FDUSD"},
        first | {"symbol": "BTCUSDC", "quoteAsset": "USDC"},
        first | {"symbol": "ETHBTC", "baseAsset": "ETH", "quoteAsset": "BTC"},
        first | {"symbol": "LUNAUSDT", "baseAsset": "LUNA", "status": "BREAK"},
        first | {"symbol": "PAUSEUSDT", "baseAsset": "PAUSE", "status": "HALT"},
        first | {"symbol": "LEAVEUSDT", "baseAsset": "LEAVE", "status": "CANCEL_ONLY"},
        first | {"symbol": "CLOSEDUSDT", "baseAsset": "CLOSED", "isSpotTradingAllowed": False},
    ]


def _futures_page(lists: Lists, query: Query, unix_ms: int, page_rows: int) -> bytes:
    """Return the whole list; it has no filters."""
    page = {
        "timezone": "UTC",
        "serverTime": unix_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            _limit("REQUEST_WEIGHT", "MINUTE", 1, 2_400),
            _limit("ORDERS", "MINUTE", 1, 1_200),
            _limit("ORDERS", "SECOND", 10, 300),
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": lists["binance-futures"],
    }
    return orjson.dumps(page)


def _futures_others(first: Row) -> list[Row]:
    dated = {"contractType": "NEXT_QUARTER", "deliveryDate": _QUARTER_MS}
    return [
        first | dated | {"symbol": "BTCUSDT_261225"},
        first | {"symbol": "BTCUSDC", "quoteAsset": "USDC", "marginAsset": "USDC"},
        first | {"symbol": "BTCUSD1", "quoteAsset": "USD1", "marginAsset": "USD1"},
        first | {"symbol": "ETHBTC", "baseAsset": "ETH", "quoteAsset": "BTC"},
        _other(first, "TSLA", contractType="TRADIFI_PERPETUAL", underlyingType="EQUITY"),
        _other(first, "BTCDOM", underlyingType="INDEX"),
        _other(first, "EARLY", underlyingType="PREMARKET"),
        _other(first, "OLD", status="SETTLING"),
        _other(first, "SOON", contractType="", status="PENDING_TRADING"),
        _other(first, "LAST", contractType="CURRENT_QUARTER DELIVERING", status="DELIVERING"),
    ]


def _funding(query: Query, rates: Sequence[FundingRate], mark_px: MarkPx, unix_ms: int) -> bytes:
    """Return premiumIndex of every contract, or of symbol= as an object."""
    symbol = query.get("symbol")
    if symbol is not None:
        rates = [rate for rate in rates if rate.symbol == symbol]
        if not rates:
            raise Refusal({"code": -1121, "msg": "Invalid symbol."}, 400)
    rows = [
        {
            "symbol": rate.symbol,
            "markPrice": (mark := f"{mark_px(rate.symbol):.8f}"),
            "indexPrice": mark,
            "estimatedSettlePrice": mark,
            "lastFundingRate": f"{rate.rate:.8f}",
            "interestRate": "0.00010000",
            "nextFundingTime": rate.next_ns // 1_000_000,
            "time": unix_ms,
        }
        for rate in rates
    ]
    if symbol is not None:
        return orjson.dumps(rows[0])
    dated = {"symbol": "BTCUSDT_261225", "lastFundingRate": "", "nextFundingTime": 0}
    return orjson.dumps([*rows, rows[0] | dated])


def _spot_row(n: int, i: Instrument) -> Row:
    return {
        "symbol": i.venue_symbol,
        "status": "TRADING",
        "baseAsset": i.listed_base,
        "baseAssetPrecision": 8,
        "quoteAsset": i.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT"],
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": f"{i.tick:.8f}",
                "maxPrice": f"{i.tick * 1e8:.8f}",
                "tickSize": f"{i.tick:.8f}",
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": f"{i.min_qty:.8f}",
                "maxQty": f"{i.max_qty:.8f}",
                "stepSize": f"{i.lot_step:.8f}",
            },
            {
                "filterType": "NOTIONAL",
                "minNotional": f"{i.min_notional:.8f}",
                "applyMinToMarket": True,
                "maxNotional": "9000000.00000000",
                "applyMaxToMarket": False,
                "avgPriceMins": 5,
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        ],
        "permissions": [],
    }


def _futures_row(n: int, i: Instrument) -> Row:
    return {
        "symbol": i.venue_symbol,
        "pair": i.venue_symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _FOREVER_MS,
        "onboardDate": 1_569_398_400_000,
        "status": "TRADING",
        "baseAsset": i.listed_base,
        "quoteAsset": i.quote,
        "marginAsset": i.quote,
        "pricePrecision": 8,  # not the tick
        "quantityPrecision": 3,  # not the lot
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": ["PoW"],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10_000,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": decimal_text(i.tick),
                "maxPrice": decimal_text(i.tick * 1e8),
                "tickSize": decimal_text(i.tick),
            },
            {
                "filterType": "LOT_SIZE",
                "minQty": decimal_text(i.min_qty),
                "maxQty": decimal_text(i.max_qty),
                "stepSize": decimal_text(i.lot_step),
            },
            {"filterType": "MAX_NUM_ORDERS", "limit": 200},
            {"filterType": "MIN_NOTIONAL", "notional": decimal_text(i.min_notional)},
            {
                "filterType": "PERCENT_PRICE",
                "multiplierUp": "1.0500",
                "multiplierDown": "0.9500",
                "multiplierDecimal": "4",
            },
        ],
        "orderTypes": ["LIMIT", "MARKET", "STOP", "STOP_MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX", "GTD"],
    }


def _other(row: Row, base: str, **fields: object) -> Row:
    return row | {"symbol": f"{base}USDT", "pair": f"{base}USDT", "baseAsset": base} | fields


def _time(unix_ns: int) -> Row:
    return {"serverTime": unix_ns // 1_000_000}


def _maintenance(query: Query, works: Sequence[Work], unix_ms: int) -> bytes:
    """Say of the whole exchange whether there is any."""
    down = any(work.state(unix_ms) == "ongoing" for work in works)
    return orjson.dumps({"status": int(down), "msg": "system_maintenance" if down else "normal"})


# -- what real lists hold


def _spot_crowd(rows: list[Row], names: Names) -> Iterator[Row]:
    """Most rows of exchangeInfo are pairs that stopped trading years ago."""
    others = ("FDUSD", "TRY", "BTC", "BNB", "EUR", "USD1")
    for row, base, quote in quoted(rows, "baseAsset", others, 900):
        if base != quote:
            yield row | {"symbol": f"{base}{quote}", "quoteAsset": quote}
    first = rows[0]
    for base in STOCKS:  # tokenised: ordinary rows against another dollar
        yield first | {"symbol": f"{base}BUSD1", "baseAsset": f"{base}B", "quoteAsset": "USD1"}
    for base in ("BTCUP", "BTCDOWN", "ETHUP", "ETHDOWN", "ADABULL", "XRPBEAR"):
        yield first | {"symbol": f"{base}USDT", "baseAsset": base, "status": "BREAK"}
    for status in ("HALT", "CANCEL_ONLY", "END_OF_DAY", "SOMETHING_NEW"):
        base = next(names)
        yield first | {"symbol": f"{base}USDT", "baseAsset": base, "status": status}
    for quote in cycle(("USDT", "BTC", "BNB", "BUSD", "ETH", "TUSD", "USDT", "PAX")):
        base = next(names)
        old = {"status": "BREAK", "quoteAsset": quote, "isSpotTradingAllowed": quote != "PAX"}
        yield first | {"symbol": f"{base}{quote}", "baseAsset": base} | old


def _futures_crowd(rows: list[Row], names: Names) -> Iterator[Row]:
    first = rows[0]

    def row(base: str, **fields: object) -> Row:
        symbol = {"symbol": f"{base}USDT", "pair": f"{base}USDT", "baseAsset": base}
        return first | symbol | fields

    for base in (*STOCKS[1:], "SAMSUNG", "HYNIX"):
        kind = "KR_EQUITY" if base in ("SAMSUNG", "HYNIX") else "EQUITY"
        yield row(base, contractType="TRADIFI_PERPETUAL", underlyingType=kind)
    for base in METALS:
        yield row(base, contractType="TRADIFI_PERPETUAL", underlyingType="COMMODITY")
    for template, base, quote in quoted(rows, "baseAsset", ("USDC", "USD1"), 90):
        new = {"symbol": f"{base}{quote}", "pair": f"{base}{quote}"}
        yield template | new | {"quoteAsset": quote, "marginAsset": quote}
    for base in ("BTC", "ETH"):
        for date, kind in (("270326", "CURRENT_QUARTER"), ("270625", "NEXT_QUARTER")):
            yield row(base, symbol=f"{base}USDT_{date}", contractType=kind)
    for state in ("PENDING_TRADING", "PRE_SETTLE", "PRE_DELIVERING", "DELIVERED", "CLOSE", "BREAK"):
        yield row(next(names), status=state)
    while True:  # delisted, and still in the list
        yield row(next(names), status="SETTLING", deliveryDate=1_764_547_200_000)


# -- limits


def _one_or_all(one: int, many: int) -> Callable[[Query], int]:
    return lambda query: one if query.get("symbol") else many


def _spot_day(query: Query) -> int:
    n = query["symbols"].count(",") + 1 if "symbols" in query else 0
    return 2 if query.get("symbol") or 0 < n <= 20 else 40 if 0 < n <= 100 else 80


def _depth(default: int, *steps: tuple[int, int]) -> Callable[[Query], int]:
    """Weigh a book by how many levels are asked for; steps: (up to so many, weight)."""

    def weight(query: Query) -> int:
        asked = query.get("limit", "")
        limit = int(asked) if asked.isdigit() else default
        return next((weight for most, weight in steps if limit <= most), steps[-1][1])

    return weight


_WRONG_HEADER = "/fapi/v1/ticker/bookTicker"  # its own weight is not in what it tells


def _headers(path: str, spent: Spent, unix_ns: int) -> dict[str, str]:
    used = spent.before if path == _WRONG_HEADER else spent.used
    return {"X-MBX-USED-WEIGHT-1M": str(used)}


def _beyond(spent: Spent, unix_ns: int) -> tuple[int, dict[str, str], bytes]:
    words = f"Too much request weight used; current limit is {spent.limit} per 1 MINUTE."
    wait = {"Retry-After": str(math.ceil(spent.left_s))}
    return 429, wait, orjson.dumps({"code": -1003, "msg": words})


_ERROR: Row = {"code": -1001, "msg": "Internal error; unable to process your request."}

PAGES = {
    "binance-spot": SourcePages(
        units=Units(
            small=460,
            real=430,
            rows=3_400,
            min_notional=5.0,
            decimals=8,
            names=listed_by("1000", "SATS", "CAT", "CHEEMS") | listed_by("1M", "BABYDOGE"),
        ),
        limits=Limits(
            pool=(6_000, 60.0),
            weights={
                "/api/v3/exchangeInfo": 20,
                "/api/v3/ticker/bookTicker": _one_or_all(2, 4),
                "/api/v3/ticker/price": _one_or_all(2, 4),
                "/api/v3/ticker/24hr": _spot_day,
                "/api/v3/depth": _depth(100, (100, 5), (500, 25), (1_000, 50), (5_000, 250)),
            },
            headers=_headers,
            refusal=_beyond,
        ),
        instruments_path="/api/v3/exchangeInfo",
        rows=list_rows(_spot_row, _spot_others),
        page=_spot_page,
        time_path="/api/v3/time",
        time=_time,
        base_of=lambda row: str(row.get("baseAsset", "")),
        live={"status": "TRADING"},
        halted={"status": "BREAK"},
        shows_halted="zeros",
        shows_new="zeros",
        years_of_zeros=True,
        tickers=of_source(
            "binance-spot",
            {
                "/api/v3/ping": tickers.ping,
                "/api/v3/ticker/bookTicker": tickers.spot_book_ticker,
                "/api/v3/ticker/price": tickers.spot_price,
                "/api/v3/ticker/24hr": tickers.spot_day,
                "/api/v3/depth": tickers.spot_depth,
            },
        ),
        maintenance_path="/sapi/v1/system/status",  # USD-M has a host of its own, which lacks it
        maintenance=_maintenance,
        error=_ERROR,
        crowd=_spot_crowd,
    ),
    "binance-futures": SourcePages(
        units=Units(
            small=528,
            real=560,
            rows=909,
            min_notional=5.0,
            names=listed_by(
                "1000",
                "PEPE",
                "SHIB",
                "BONK",
                "FLOKI",
                "SATS",
                "CAT",
                "CHEEMS",
                "RATS",
                "LUNC",
                "XEC",
                "WHY",
            )
            | listed_by("1M", "BABYDOGE")
            | listed_by("1000000", "MOG"),
        ),
        limits=Limits(
            pool=(2_400, 60.0),
            weights={
                "/fapi/v1/premiumIndex": _one_or_all(1, 10),
                "/fapi/v1/ticker/bookTicker": _one_or_all(2, 5),
                "/fapi/v1/ticker/price": _one_or_all(1, 2),
                "/fapi/v2/ticker/price": _one_or_all(1, 2),
                "/fapi/v1/ticker/24hr": _one_or_all(1, 40),
                "/fapi/v1/depth": _depth(500, (50, 2), (100, 5), (500, 10), (1_000, 20)),
            },
            headers=_headers,
            refusal=_beyond,
        ),
        instruments_path="/fapi/v1/exchangeInfo",
        rows=list_rows(_futures_row, _futures_others),
        page=_futures_page,
        time_path="/fapi/v1/time",
        time=_time,
        base_of=lambda row: str(row.get("baseAsset", "")),
        live={"status": "TRADING"},
        halted={"status": "SETTLING"},
        gone={"status": "CLOSE"},
        shows_halted="last",
        shows_new="zeros",
        tickers=of_source(
            "binance-futures",
            {
                "/fapi/v1/ping": tickers.ping,
                "/fapi/v1/ticker/bookTicker": tickers.only_symbol(tickers.futures_book_ticker),
                "/fapi/v1/ticker/price": tickers.only_symbol(tickers.futures_price),
                "/fapi/v2/ticker/price": tickers.only_symbol(tickers.futures_price),
                "/fapi/v1/ticker/24hr": tickers.only_symbol(tickers.futures_day),
                "/fapi/v1/depth": tickers.futures_depth,
            },
        ),
        funding_path="/fapi/v1/premiumIndex",
        funding=_funding,
        error=_ERROR,
        crowd=_futures_crowd,
    ),
}
