"""Bybit v5 instruments-info, spot (one page) and linear (paged by a cursor)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from spreadscan.types import Instrument
from spreadscan.venues.base import decimal_text

Row = dict[str, Any]
More = Callable[[list[Row]], list[Row]]  # what else a list holds, of what it has so far

MOST_ROWS = 1_000  # that the venue gives in a page
PAGE_ROWS = 150  # fewer, so that a small list still takes pages
_DEFAULT_ROWS = 500
_DELIVERY_MS = "1798185600000"


def spot_rows(
    instruments: Sequence[Instrument], others: bool = True, more: More | None = None
) -> list[Row]:
    """Return all spot rows."""
    rows = [_spot_row(i) for i in instruments]
    rows += _spot_others(rows[0]) if others else []
    return [*rows, *more(rows)] if more else rows


def _spot_others(first: Row) -> list[Row]:
    return [
        first | {"symbol": "BTCUSDC", "quoteCoin": "USDC"},
        first | {"symbol": "AAPLXUSDT", "baseCoin": "AAPLX", "symbolType": "xstocks",
                 "xstockMultiplier": "0.1"},
        first | {"symbol": "ETHBTC", "baseCoin": "ETH", "quoteCoin": "BTC"},
    ]  # fmt: skip


def linear_rows(
    instruments: Sequence[Instrument], others: bool = True, more: More | None = None
) -> list[Row]:
    """Return all linear rows, in the order of their symbols."""
    rows = [_linear_row(i) for i in instruments]
    if others:
        rows += _linear_others(rows[0])
    rows += more(rows) if more else []
    return sorted(rows, key=lambda row: str(row["symbol"]))


def _linear_others(first: Row) -> list[Row]:
    dated = {"contractType": "LinearFutures", "deliveryTime": _DELIVERY_MS}
    usdc = {"quoteCoin": "USDC", "settleCoin": "USDC"}
    before = {
        "status": "PreLaunch",
        "isPreListing": True,
        "preListingInfo": {"curAuctionPhase": "CallAuction", "phases": []},
    }
    return [
        first | usdc | {"symbol": "BTCPERP"},
        first | dated | {"symbol": "BTCUSDT-25DEC26"},
        first | dated | {"symbol": "BTCUSDT-26MAR27"},
        first | before | {"symbol": "NEWUSDT", "baseCoin": "NEW"},
        first | {"symbol": "TSLAUSDT", "baseCoin": "TSLA", "symbolType": "stock"},
        first | {"symbol": "XAUUSDT", "baseCoin": "XAU", "symbolType": "commodity"},
    ]


def page(rows: list[Row] | None, query: Mapping[str, str], unix_ms: int, page_rows: int) -> bytes:
    """Return the page that limit and cursor ask for, of the rows that symbol= and baseCoin= leave.

    Spot ignores limit and cursor.

    nextPageCursor is already percent-encoded: a client that encodes it again gets an error.
    """
    category = query.get("category", "")
    if rows is None:
        return _error(10001, "params error: category is invalid", unix_ms)
    if symbol := query.get("symbol"):
        rows = [row for row in rows if row["symbol"] == symbol]
        if not rows:
            return _error(10001, "params error: symbol invalid", unix_ms)
    if coin := query.get("baseCoin"):
        rows = [row for row in rows if row["baseCoin"] == coin]
    result: Row = {"category": category, "list": rows}
    if category == "linear":
        try:
            limit = int(query.get("limit", _DEFAULT_ROWS))
            begin = _after(rows, query.get("cursor", ""))
        except ValueError:
            return _error(10001, "params error: cursor or limit is invalid", unix_ms)
        end = begin + max(1, min(limit, page_rows))
        result["list"] = rows[begin:end]
        result["nextPageCursor"] = _cursor(rows, begin, end)
    body = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": unix_ms}
    return orjson.dumps(body)


def _cursor(rows: list[Row], begin: int, end: int) -> str:
    if end >= len(rows):
        return ""
    return quote(f"first={rows[begin]['symbol']}&last={rows[end - 1]['symbol']}", safe="")


def _after(rows: list[Row], cursor: str) -> int:
    if not cursor:
        return 0
    last = cursor.partition("&last=")[2]
    return 1 + [row["symbol"] for row in rows].index(last)


def _error(code: int, message: str, unix_ms: int) -> bytes:
    body = {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": unix_ms}
    return orjson.dumps(body)


def _spot_row(i: Instrument) -> Row:
    return {
        "symbol": i.venue_symbol,
        "baseCoin": i.listed_base,
        "quoteCoin": i.quote,
        "innovation": "0",
        "status": "Trading",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": decimal_text(i.lot_step),
            "quotePrecision": "0.00000001",
            "minOrderQty": decimal_text(i.min_qty),
            "maxOrderQty": decimal_text(i.max_qty),
            "minOrderAmt": decimal_text(i.min_notional),
            "maxOrderAmt": "2000000",
            "maxLimitOrderQty": decimal_text(i.max_qty),
            "maxMarketOrderQty": decimal_text(i.max_qty / 2),
        },
        "priceFilter": {"tickSize": decimal_text(i.tick)},
        "riskParameters": {"priceLimitRatioX": "0.01", "priceLimitRatioY": "0.02"},
        "symbolType": "",
    }


def _linear_row(i: Instrument) -> Row:
    return {
        "symbol": i.venue_symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": i.listed_base,
        "quoteCoin": i.quote,
        "launchTime": "1585526400000",
        "deliveryTime": "0",
        "deliveryFeeRate": "",
        "priceScale": "2",
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"},
        "priceFilter": {
            "minPrice": decimal_text(i.tick),
            "maxPrice": decimal_text(i.tick * 1e8),
            "tickSize": decimal_text(i.tick),
        },
        "lotSizeFilter": {
            "maxOrderQty": decimal_text(i.max_qty),
            "minOrderQty": decimal_text(i.min_qty),
            "qtyStep": decimal_text(i.lot_step),
            "postOnlyMaxOrderQty": decimal_text(i.max_qty),
            "maxMktOrderQty": decimal_text(i.max_qty),
            "minNotionalValue": decimal_text(i.min_notional),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": 480,
        "settleCoin": i.quote,
        "copyTrading": "none",
        "upperFundingRate": "0.00375",
        "lowerFundingRate": "-0.00375",
        "isPreListing": False,
        "preListingInfo": None,
        "symbolType": "",
    }
