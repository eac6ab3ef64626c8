"""OKX v5 tickers, order books and mark prices; spot and swaps are told apart by the instrument."""

from collections.abc import Callable, Mapping

import orjson

from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.rows import Row, Rows
from spreadscan.sim.pages.tickers.view import Level, View
from spreadscan.venues.base import decimal_text

Query = Mapping[str, str]
Views = Mapping[str, View]  # by instType
Page = Callable[[Query, Views, int], bytes | Rows]

_DEPTH_MAX = 400


def body(rows: list[Row]) -> bytes:
    return orjson.dumps({"code": "0", "msg": "", "data": rows})


def refuse(code: str, message: str, status: int = 200) -> Refusal:
    return Refusal({"code": code, "msg": message, "data": []}, status)


def tickers(query: Query, views: Views, unix_ms: int) -> Rows:
    """Return every ticker of an instType."""
    kind, view = _kind(query, views)
    return Rows(view.symbols, lambda symbol: _ticker(view, symbol, kind), body)


def ticker(query: Query, views: Views, unix_ms: int) -> Rows:
    """Return the ticker of instId=."""
    kind, view, one = _one(query, views)
    return Rows([one], lambda symbol: _ticker(view, symbol, kind), body)


def books(query: Query, views: Views, unix_ms: int) -> bytes:
    """Return the book of instId=, sz levels a side."""
    _, view, symbol = _one(query, views)
    size = query.get("sz") or "1"
    if not size.isdigit() or not 1 <= int(size) <= _DEPTH_MAX:
        raise refuse("51000", "Parameter sz error")
    bids, asks = view.levels(symbol, int(size))
    book = view.book(symbol)
    row = {
        "asks": _levels(asks), "bids": _levels(bids), "ts": str(unix_ms),
        "seqId": book.update_id if book else 0,
    }  # fmt: skip
    return body([row])


def mark_prices(query: Query, views: Views, unix_ms: int) -> Rows:
    """Return the mark prices of an instType, or of instId= of it."""
    kind, view = _kind(query, views)
    symbol = query.get("instId")
    if symbol and not view.knows(symbol):
        raise _unknown()

    def row(name: str) -> Row:
        px = decimal_text(view.mid_px(name))
        return {"instType": kind, "instId": name, "markPx": px, "ts": str(unix_ms)}

    return Rows([symbol] if symbol else view.symbols, row, body)


def _unknown() -> Refusal:
    return refuse("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")


def _kind(query: Query, views: Views) -> tuple[str, View]:
    kind = query.get("instType", "")
    if not kind:
        raise refuse("50014", "Parameter instType cannot be empty.", 400)
    if kind not in views:
        raise refuse("51000", "Parameter instType error")
    return kind, views[kind]


def _one(query: Query, views: Views) -> tuple[str, View, str]:
    symbol = query.get("instId", "")
    if not symbol:
        raise refuse("50014", "Parameter instId cannot be empty.", 400)
    for kind, view in views.items():
        if view.knows(symbol):
            return kind, view, symbol
    raise _unknown()


def _levels(side: list[Level]) -> list[list[str]]:
    return [[decimal_text(level.px), decimal_text(level.qty), "0", "1"] for level in side]


def _ticker(view: View, symbol: str, kind: str) -> Row:
    top, last = view.top(symbol), decimal_text(view.mid_px(symbol))
    return {
        "instType": kind,
        "instId": symbol,
        "last": last,
        "lastSz": "1",
        "askPx": "" if top.ask_px is None else decimal_text(top.ask_px),
        "askSz": "" if top.ask_qty is None else decimal_text(top.ask_qty),
        "bidPx": "" if top.bid_px is None else decimal_text(top.bid_px),
        "bidSz": "" if top.bid_qty is None else decimal_text(top.bid_qty),
        "open24h": last,
        "high24h": last,
        "low24h": last,
        "volCcy24h": "1000000",
        "vol24h": "1000",
        "ts": str(top.unix_ms),
        "sodUtc0": last,
        "sodUtc8": last,
    }
