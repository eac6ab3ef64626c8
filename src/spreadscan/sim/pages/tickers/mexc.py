"""MEXC perpetual tickers and order books: JSON numbers, no sizes in tickers. Spot: binance.py."""

from collections.abc import Mapping
from typing import Any

import orjson

from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.tickers.view import Level, View

Row = dict[str, Any]
Query = Mapping[str, str]

_DEPTH_DEFAULT = 100


def refuse() -> Refusal:
    return Refusal({"success": False, "code": 1001, "message": "Contract does not exist!"})


def ticker(query: Query, view: View, unix_ms: int) -> bytes:
    """Return all tickers, or that of symbol= as an object."""
    symbol = query.get("symbol")
    if symbol is None:
        return _body([_ticker(view, name, unix_ms) for name in view.instruments])
    if not view.knows(symbol):
        raise refuse()
    return _body(_ticker(view, symbol, unix_ms))


def depth(query: Query, view: View, unix_ms: int) -> bytes:
    """Return one contract's book; levels are price, contracts, orders."""
    symbol = query["symbol"]
    if not view.knows(symbol):
        raise refuse()
    limit = query.get("limit", "")
    bids, asks = view.levels(symbol, int(limit) if limit.isdigit() else _DEPTH_DEFAULT)
    book = view.book(symbol)
    return _body(
        {
            "asks": _levels(asks),
            "bids": _levels(bids),
            "version": book.update_id if book else 0,
            "timestamp": unix_ms,
        }
    )


def _body(data: Row | list[Row]) -> bytes:
    return orjson.dumps({"success": True, "code": 0, "data": data})


def _levels(side: list[Level]) -> list[list[float]]:
    return [[level.px, level.qty, 1] for level in side]


def _ticker(view: View, symbol: str, unix_ms: int) -> Row:
    book, mid = view.book(symbol), view.mid_px(symbol)
    return {
        "contractId": 10,
        "symbol": symbol,
        "lastPrice": mid,
        "bid1": book.bid_px if book else 0,
        "ask1": book.ask_px if book else 0,
        "volume24": 1_000,
        "amount24": 1_000 * mid,
        "holdVol": 1_000,
        "lower24Price": mid * 0.99,
        "high24Price": mid * 1.01,
        "riseFallRate": 0,
        "riseFallValue": 0,
        "indexPrice": mid,
        "fairPrice": mid,
        "fundingRate": 0.0001,
        "maxBidPrice": mid * 1.1,
        "minAskPrice": mid * 0.9,
        "timestamp": unix_ms,
    }
