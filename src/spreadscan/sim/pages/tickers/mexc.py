"""MEXC perpetual tickers and order books: JSON numbers, no sizes in tickers. Spot: binance.py."""

from collections.abc import Mapping

import orjson

from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.rows import Row, Rows
from spreadscan.sim.pages.tickers.view import Level, View

Query = Mapping[str, str]

_DEPTH_DEFAULT = 100
_TRADE_EVERY_MS = 10_000  # by the rows' times, which are those of trades


def refuse() -> Refusal:
    return Refusal({"success": False, "code": 1001, "message": "Contract does not exist!"})


def ticker(query: Query, view: View, unix_ms: int) -> Rows:
    """Return all tickers, or that of symbol= as an object."""
    symbol = query.get("symbol")
    if symbol is not None and not view.knows(symbol):
        raise refuse()

    def whole(rows: list[Row]) -> bytes:
        return body(rows if symbol is None else rows[0])

    names = view.symbols if symbol is None else [symbol]
    return Rows(names, lambda name: _ticker(view, name), whole)


def depth(query: Query, view: View, unix_ms: int) -> bytes:
    """Return one contract's book; levels are price, contracts, orders."""
    symbol = query["symbol"]
    if not view.knows(symbol):
        raise refuse()
    limit = query.get("limit", "")
    bids, asks = view.levels(symbol, int(limit) if limit.isdigit() else _DEPTH_DEFAULT)
    book = view.book(symbol)
    return body(
        {
            "asks": _levels(asks),
            "bids": _levels(bids),
            "version": book.update_id if book else 0,
            "timestamp": unix_ms,
        }
    )


def body(data: Row | list[Row]) -> bytes:
    """Return what a page has, in its envelope."""
    return orjson.dumps({"success": True, "code": 0, "data": data})


def _levels(side: list[Level]) -> list[list[float]]:
    return [[level.px, level.qty, 1] for level in side]


def _ticker(view: View, symbol: str) -> Row:
    top, mid = view.top(symbol), view.mid_px(symbol)
    return {
        "contractId": 10,
        "symbol": symbol,
        "lastPrice": mid,
        "bid1": top.bid_px,
        "ask1": top.ask_px,
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
        "timestamp": top.unix_ms - top.unix_ms % _TRADE_EVERY_MS,
        "riseFallRates": _CHANGES,
        "riseFallRatesOfTimezone": [0, 0, 0],
    }


_CHANGES = {
    "zone": "UTC+8", "r": 0, "v": 0, "r7": 0.01, "r30": -0.02, "r90": None, "r180": None,
    "r365": None,
}  # fmt: skip
