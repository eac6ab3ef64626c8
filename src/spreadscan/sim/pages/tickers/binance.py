"""Binance, spot and USDT-M, and MEXC spot, which answers in Binance's shapes."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.rows import Row, Rows
from spreadscan.sim.pages.tickers.view import Top, View
from spreadscan.types import Book
from spreadscan.venues.base import decimal_text

Query = Mapping[str, str]

_STATUSES = ("TRADING", "HALT", "BREAK")
_DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1_000)  # USDT-M; spot takes any number


def refuse(code: int, message: str) -> Refusal:
    return Refusal({"code": code, "msg": message}, 400)


def asked_symbols(query: Query, known: Callable[[str], bool]) -> list[str] | None:
    """Return what symbol= or symbols=[...] name, None where neither stands there."""
    one, many = query.get("symbol"), query.get("symbols")
    if one is not None and many is not None:
        raise refuse(-1128, "Combination of optional parameters invalid.")
    if one is None and many is None:
        return None
    names: Any = [one]
    if many is not None:
        try:
            names = orjson.loads(many)
        except ValueError:
            names = None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise refuse(-1100, "Illegal characters found in parameter 'symbols'.")
        if not names or len(set(names)) != len(names):
            raise refuse(-1101, "Duplicate values for parameter 'symbols'.")
    if "" in names:
        raise refuse(-1105, "Parameter 'symbol' was empty.")
    if not all(known(name) for name in names):
        raise refuse(-1121, "Invalid symbol.")
    return list(names)


def rows_of(query: Query, view: View, render: Callable[[str], Row]) -> Rows:
    """Return an object for symbol=, else a list: of symbols=, or of all; symbolStatus= leaves out
    what has another status.
    """
    names = asked_symbols(query, view.knows)
    status = query.get("symbolStatus")
    if status not in (None, *_STATUSES):
        raise refuse(-1122, "Invalid symbolStatus.")
    kept = [
        name
        for name in (view.symbols if names is None else names)
        if status in (None, "TRADING" if view.trades(name) else "BREAK")
    ]
    one = bool(query.get("symbol"))
    if one and not kept:
        raise refuse(-1220, f"The symbol's status does not match the requested {status}")
    return Rows(kept, render, lambda rows: orjson.dumps(rows[0] if one else rows))


def ping(query: Query, view: View, unix_ms: int) -> bytes:
    return b"{}"


def spot_book_ticker(query: Query, view: View, unix_ms: int) -> Rows:
    return rows_of(query, view, lambda symbol: _touch(symbol, view.top(symbol), spot_text))


def futures_book_ticker(query: Query, view: View, unix_ms: int) -> Rows:
    def row(symbol: str) -> Row:
        top = view.top(symbol)
        numbers = {"time": top.unix_ms, "lastUpdateId": top.update_id}
        return _touch(symbol, top, decimal_text) | numbers

    return rows_of(query, view, row)


def spot_price(query: Query, view: View, unix_ms: int) -> Rows:
    def row(symbol: str) -> Row:
        return {"symbol": symbol, "price": spot_text(view.mid_px(symbol))}

    return rows_of(query, view, row)


def futures_price(query: Query, view: View, unix_ms: int) -> Rows:
    def row(symbol: str) -> Row:
        return {"symbol": symbol, "price": decimal_text(view.mid_px(symbol)), "time": unix_ms}

    return rows_of(query, view, row)


def spot_day(query: Query, view: View, unix_ms: int) -> Rows:
    return rows_of(query, view, lambda symbol: _day(symbol, view, unix_ms))


def futures_day(query: Query, view: View, unix_ms: int) -> Rows:
    def row(symbol: str) -> Row:
        whole = _day(symbol, view, unix_ms)
        return {key: value for key, value in whole.items() if key[:3] not in ("bid", "ask")}

    return rows_of(query, view, row)


def only_symbol(
    page: Callable[[Query, View, int], Rows],
) -> Callable[[Query, View, int], Rows]:
    """Return a page as venues have it that know symbol= alone, and ignore the rest of a query."""

    def ask(query: Query, view: View, unix_ms: int) -> Rows:
        one = {"symbol": query["symbol"]} if "symbol" in query else {}
        return page(one, view, unix_ms)

    return ask


def mexc_offline(query: Query, view: View, unix_ms: int) -> bytes:
    """Return MEXC's list of what does not trade: 2 suspended, 3 delisted; years of it."""
    rows: list[Row] = [
        {"symbol": "LVNUSDT", "state": 3},
        {"symbol": "LOKAUSDT", "state": 3, "offlineTime": 1_724_125_694_000},
    ]
    rows += [{"symbol": s, "state": 3 if gone else 2} for s, gone in view.offline()]
    return orjson.dumps({"data": rows})


def spot_depth(query: Query, view: View, unix_ms: int) -> bytes:
    symbol, limit = _one(query, view), _limit(query, 100)
    return orjson.dumps({"lastUpdateId": _id(view.book(symbol))} | _sides(view, symbol, limit))


def futures_depth(query: Query, view: View, unix_ms: int) -> bytes:
    symbol, limit = _one(query, view), _limit(query, 500)
    if limit not in _DEPTH_LIMITS:
        raise refuse(-4021, f"{limit} is not valid depth limit")
    book = view.book(symbol)
    at_ms = book.venue_ns // 1_000_000 if book else unix_ms
    head = {"lastUpdateId": _id(book), "E": unix_ms, "T": at_ms}
    return orjson.dumps(head | _sides(view, symbol, limit))


def spot_text(value: float) -> str:
    """Return a number as spot pages write it: eight decimals, and more where it has more."""
    text = f"{value:.8f}"
    return text if float(text) == value else decimal_text(value)


def _one(query: Query, view: View) -> str:
    symbol = query.get("symbol")
    if not symbol:
        raise refuse(
            -1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
        )
    if not view.knows(symbol):
        raise refuse(-1121, "Invalid symbol.")
    return symbol


def _limit(query: Query, default: int) -> int:
    try:
        return max(1, int(query.get("limit", default)))
    except ValueError:
        raise refuse(-1100, "Illegal characters found in parameter 'limit'.") from None


def _sides(view: View, symbol: str, limit: int) -> Row:
    bids, asks = view.levels(symbol, limit)
    return {
        "bids": [[spot_text(level.px), spot_text(level.qty)] for level in bids],
        "asks": [[spot_text(level.px), spot_text(level.qty)] for level in asks],
    }


def _id(book: Book | None) -> int:
    return book.update_id if book else 0


def _touch(symbol: str, top: Top, text: Callable[[float], str]) -> Row:
    return {
        "symbol": symbol,
        "bidPrice": "" if top.bid_px is None else text(top.bid_px),
        "bidQty": "" if top.bid_qty is None else text(top.bid_qty),
        "askPrice": "" if top.ask_px is None else text(top.ask_px),
        "askQty": "" if top.ask_qty is None else text(top.ask_qty),
    }


def _day(symbol: str, view: View, unix_ms: int) -> Row:
    """Return a day of 2 % around a price that stands where it began; volumes are made up."""
    top, last = view.top(symbol), view.mid_px(symbol)
    qty = top.bid_qty or 0.0
    return {
        "symbol": symbol,
        "priceChange": "0.00000000",
        "priceChangePercent": "0.000",
        "weightedAvgPrice": spot_text(last),
        "prevClosePrice": spot_text(last),
        "lastPrice": spot_text(last),
        "lastQty": spot_text(qty),
        **_touch(symbol, top, spot_text),
        "openPrice": spot_text(last),
        "highPrice": spot_text(last * 1.01),
        "lowPrice": spot_text(last * 0.99),
        "volume": spot_text(1_000 * qty),
        "quoteVolume": spot_text(1_000 * qty * last),
        "openTime": unix_ms - 86_400_000,
        "closeTime": unix_ms,
        "firstId": 1,
        "lastId": 1_000,
        "count": 1_000,
    }
