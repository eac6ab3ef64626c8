"""Instrument lists as they are cut down to what a query names, with each venue's errors, and as
they show pairs that do not trade for a while.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

import orjson

from spreadscan.sim.pages.okx import UNKNOWN_ID
from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.rows import Row, edit_rows, symbol_of
from spreadscan.sim.pages.tickers.binance import asked_symbols, refuse

Query = Mapping[str, str]


def _binance_spot(whole: bytes, query: Query) -> bytes:
    status = query.get("symbolStatus")
    if status is not None and ("symbol" in query or "symbols" in query):
        raise refuse(-1128, "Combination of optional parameters invalid.")
    return _by_symbol(whole, query, lambda row: status in (None, row["status"]))


def _mexc_spot(whole: bytes, query: Query) -> bytes:
    if "symbols" in query:  # a list with commas here
        names = orjson.dumps(query["symbols"].split(",")).decode()
        query = {**query, "symbols": names}
    return _by_symbol(whole, query, lambda row: True)


def _by_symbol(whole: bytes, query: Query, keep: Callable[[Row], bool]) -> bytes:
    if not {"symbol", "symbols", "symbolStatus"}.intersection(query):
        return whole
    page = orjson.loads(whole)
    rows = {row["symbol"]: row for row in page["symbols"] if keep(row)}
    names = asked_symbols(query, rows.__contains__)
    page["symbols"] = list(rows.values()) if names is None else [rows[name] for name in names]
    return orjson.dumps(page)


def _binance_futures(whole: bytes, query: Query) -> bytes:
    return whole  # it has no filters


def _mexc_futures(whole: bytes, query: Query) -> bytes:
    symbol = query.get("symbol")
    if symbol is None:
        return whole
    for row in orjson.loads(whole)["data"]:
        if row["symbol"] == symbol:
            return orjson.dumps({"success": True, "code": 0, "data": row})
    raise Refusal({"success": False, "code": 1001, "message": "Contract does not exist!"})


def okx(whole: bytes, query: Query) -> bytes:
    """Return OKX's list as instId=, instFamily= and uly= leave it; empty ones are none."""
    asked = {key: query[key] for key in ("instId", "instFamily", "uly") if query.get(key)}
    if not asked:
        return whole
    page = orjson.loads(whole)
    page["data"] = [
        row
        for row in page["data"]
        if all(row.get(key, "") == value for key, value in asked.items())
    ]
    return orjson.dumps(page) if page["data"] else UNKNOWN_ID


OF: dict[str, Callable[[bytes, Query], bytes]] = {
    "binance-spot": _binance_spot,
    "binance-futures": _binance_futures,
    "mexc-spot": _mexc_spot,
    "mexc-futures": _mexc_futures,
}


# how each list writes a pair that is halted; None: it leaves the pair out
HALTED: dict[str, Row | None] = {
    "binance-spot": {"status": "BREAK"},
    "binance-futures": {"status": "SETTLING"},
    "bybit-spot": None,
    "bybit-futures": None,
    "mexc-spot": {"status": "2"},
    "mexc-futures": {"state": 4},
    "okx-spot": {"state": "suspend"},
    "okx-futures": {"state": "suspend"},
}

LIVE: dict[str, Row] = {  # and one that trades
    "binance-spot": {"status": "TRADING"},
    "binance-futures": {"status": "TRADING"},
    "bybit-spot": {"status": "Trading"},
    "bybit-futures": {"status": "Trading"},
    "mexc-spot": {"status": "1"},
    "mexc-futures": {"state": 0},
    "okx-spot": {"state": "live"},
    "okx-futures": {"state": "live"},
}


def halted_rows(source: str, rows: Sequence[Row], symbols: Collection[str]) -> list[Row]:
    """Return rows of a source's instrument list with these symbols halted."""
    told = HALTED[source]
    return [
        row | told if told and symbol_of(row) in symbols else row
        for row in rows
        if told or symbol_of(row) not in symbols
    ]


def with_halts(source: str, body: bytes, symbols: Collection[str]) -> bytes:
    """Return a source's instrument page with these symbols halted; other bodies as they are."""
    if not symbols:
        return body
    return edit_rows(body, lambda rows: halted_rows(source, rows, symbols))
