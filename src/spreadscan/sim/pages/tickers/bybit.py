"""Bybit v5 tickers and order books; spot and linear are told apart by `category`."""

from collections.abc import Mapping

import orjson

from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.rows import Row, Rows
from spreadscan.sim.pages.tickers.view import Level, View
from spreadscan.types import FundingRate
from spreadscan.venues.base import decimal_text

Query = Mapping[str, str]

_DEPTH_DEFAULT = {"spot": 1, "linear": 25}
_DEPTH_MAX = {"spot": 200, "linear": 1_000}


def body(result: Row, unix_ms: int) -> bytes:
    """Return a result in its envelope."""
    return orjson.dumps(
        {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": unix_ms}
    )


def refuse(message: str, unix_ms: int) -> Refusal:
    return Refusal(
        {"retCode": 10001, "retMsg": message, "result": {}, "retExtInfo": {}, "time": unix_ms}
    )


def of_category(
    query: Query, views: Mapping[str, View], sources: Mapping[str, str], unix_ms: int
) -> View:
    """Return the view of category=."""
    source = sources.get(query.get("category", ""))
    if source is None:
        raise refuse("params error: category is invalid", unix_ms)
    return views[source]


def tickers(query: Query, view: View, unix_ms: int, rates: Mapping[str, FundingRate]) -> Rows:
    """Return the category's tickers, or that of symbol=. rates: of perpetuals, {} on spot."""
    category, symbol = query["category"], query.get("symbol")
    if symbol and not view.knows(symbol):
        raise refuse("params error: symbol invalid", unix_ms)

    def whole(rows: list[Row]) -> bytes:
        if category == "linear" and not symbol and rows:
            dated = {"symbol": "BTCUSDT-25DEC26", "fundingRate": "", "nextFundingTime": "0"}
            rows = [*rows, rows[0] | dated]
        return body({"category": category, "list": rows}, unix_ms)

    names = [symbol] if symbol else view.symbols
    return Rows(names, lambda name: _ticker(view, name, rates.get(name)), whole)


def order_book(query: Query, view: View, unix_ms: int) -> bytes:
    """Return one symbol's book."""
    category, symbol = query["category"], query.get("symbol", "")
    if not view.knows(symbol):
        raise refuse("params error: symbol invalid", unix_ms)
    try:
        limit = int(query.get("limit") or _DEPTH_DEFAULT[category])
    except ValueError:
        raise refuse("params error: limit invalid", unix_ms) from None
    if not 1 <= limit <= _DEPTH_MAX[category]:
        raise refuse("params error: limit invalid", unix_ms)
    bids, asks = view.levels(symbol, limit)
    book = view.book(symbol)
    update_id = book.update_id if book else 0
    at_ms = book.venue_ns // 1_000_000 if book else unix_ms
    result = {
        "s": symbol, "b": _levels(bids), "a": _levels(asks), "ts": unix_ms, "u": update_id,
        "seq": update_id, "cts": at_ms,
    }  # fmt: skip
    return body(result, unix_ms)


def _levels(side: list[Level]) -> list[list[str]]:
    return [[decimal_text(level.px), decimal_text(level.qty)] for level in side]


def _ticker(view: View, symbol: str, rate: FundingRate | None) -> Row:
    top, mid = view.top(symbol), view.mid_px(symbol)
    row: Row = {
        "symbol": symbol,
        "bid1Price": "" if top.bid_px is None else decimal_text(top.bid_px),
        "bid1Size": "" if top.bid_qty is None else decimal_text(top.bid_qty),
        "ask1Price": "" if top.ask_px is None else decimal_text(top.ask_px),
        "ask1Size": "" if top.ask_qty is None else decimal_text(top.ask_qty),
        "lastPrice": decimal_text(mid),
        "prevPrice24h": decimal_text(mid),
        "price24hPcnt": "0",
        "highPrice24h": decimal_text(mid * 1.01),
        "lowPrice24h": decimal_text(mid * 0.99),
        "turnover24h": "1000000",
        "volume24h": "1000",
    }
    if rate is None:
        return row | {"usdIndexPrice": ""}
    return row | {
        "indexPrice": decimal_text(mid),
        "markPrice": decimal_text(mid),
        "prevPrice1h": decimal_text(mid),
        "openInterest": "1000",
        "openInterestValue": decimal_text(1000 * mid),
        "fundingRate": decimal_text(rate.rate),
        "nextFundingTime": str(rate.next_ns // 1_000_000),
        "fundingIntervalHour": "8",
        "predictedDeliveryPrice": "",
        "basisRate": "",
        "deliveryFeeRate": "",
        "deliveryTime": "0",
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }
