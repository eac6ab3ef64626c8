"""Bybit v5 over REST: spot, and linear, whose instruments are paged by a cursor."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from urllib import parse

import orjson

from spreadscan.sim.pages.base import (
    Limits,
    Lists,
    Names,
    Query,
    Rates,
    Row,
    SourcePages,
    Spent,
    Units,
    Views,
    Work,
    list_rows,
    listed_by,
)
from spreadscan.sim.pages.maintenance import demo, past
from spreadscan.sim.pages.others import CURRENCIES, METALS, STOCKS, quoted
from spreadscan.sim.pages.rows import Rows
from spreadscan.sim.pages.tickers import bybit as tickers
from spreadscan.types import Instrument
from spreadscan.venues.base import decimal_text

_SOURCES = {"spot": "bybit-spot", "linear": "bybit-futures"}  # by category
_DEFAULT_ROWS = 500
_DELIVERY_MS = "1798185600000"


def _spot_others(first: Row) -> list[Row]:
    return [
        first | {"symbol": "BTCUSDC", "quoteCoin": "USDC"},
        first | {"symbol": "AAPLXUSDT", "baseCoin": "AAPLX", "symbolType": "xstocks",
                 "xstockMultiplier": "0.1"},
        first | {"symbol": "ETHBTC", "baseCoin": "ETH", "quoteCoin": "BTC"},
    ]  # fmt: skip


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


def _page(lists: Lists, query: Query, unix_ms: int, page_rows: int) -> bytes:
    """Return the page that limit and cursor ask for, of the rows that symbol= and baseCoin= leave.

    Spot ignores limit and cursor.

    nextPageCursor is already percent-encoded: a client that encodes it again gets an error.
    """
    category = query.get("category", "")
    rows = lists.get(_SOURCES.get(category, ""))
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
    return parse.quote(f"first={rows[begin]['symbol']}&last={rows[end - 1]['symbol']}", safe="")


def _after(rows: list[Row], cursor: str) -> int:
    if not cursor:
        return 0
    last = cursor.partition("&last=")[2]
    return 1 + [row["symbol"] for row in rows].index(last)


def _error(code: int, message: str, unix_ms: int) -> bytes:
    body = {"retCode": code, "retMsg": message, "result": {}, "retExtInfo": {}, "time": unix_ms}
    return orjson.dumps(body)


def _spot_row(n: int, i: Instrument) -> Row:
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


def _linear_row(n: int, i: Instrument) -> Row:
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


def _time(unix_ns: int) -> Row:
    ms = unix_ns // 1_000_000
    result = {"timeSecond": str(ms // 1000), "timeNano": str(unix_ns)}
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": ms}


def _tickers(query: Query, views: Views, rates: Rates, unix_ms: int) -> Rows:
    """Return the tickers of a category: of linear contracts with their funding."""
    view = tickers.of_category(query, views, _SOURCES, unix_ms)
    return tickers.tickers(query, view, unix_ms, rates() if query["category"] == "linear" else {})


def _order_book(query: Query, views: Views, rates: Rates, unix_ms: int) -> bytes:
    view = tickers.of_category(query, views, _SOURCES, unix_ms)
    return tickers.order_book(query, view, unix_ms)


def _maintenance(query: Query, works: Sequence[Work], unix_ms: int) -> bytes:
    """Return what is planned, what is over, cancelled and of the demo trading, too."""
    told = [(work, work.state(unix_ms), 1) for work in works]
    told += [*past(unix_ms), (demo(unix_ms), "ongoing", 2)]
    asked = query.get("state")
    rows = [_work(n, *entry) for n, entry in enumerate(told) if asked in (None, "", entry[1])]
    return orjson.dumps(
        {"retCode": 0, "retMsg": "", "result": {"list": rows}, "retExtInfo": {}, "time": unix_ms}
    )


def _work(n: int, work: Work, state: str, env: int) -> Row:
    return {
        "id": f"{n:08x}-587f-11f0-bcc9-56f28c94d6ea",
        "title": work.title,
        "state": state,
        "begin": str(work.begin_ms),
        "end": str(work.end_ms),
        "href": "",
        "serviceTypes": [2, 3, 4, 5],
        "product": [1, 2],
        "uidSuffix": [],
        "maintainType": 1,
        "env": env,
    }


# -- what real lists hold


_MONTHS = ("04DEC26", "11DEC26", "25DEC26", "29JAN27", "26MAR27", "25JUN27")


def _spot_crowd(rows: list[Row], names: Names) -> Iterator[Row]:
    for base in STOCKS[1:]:
        kind = {"symbolType": "xstocks", "xstockMultiplier": "1"}
        yield rows[0] | {"symbol": f"{base}XUSDT", "baseCoin": f"{base}X"} | kind
    yield rows[0] | {"symbol": "SOONUSDT", "baseCoin": "SOON", "status": "PendingOpen"}
    yield rows[0] | {"symbol": "NEWUSDT", "baseCoin": "NEW", "status": "PreLaunch"}
    for row, base, quote in quoted(rows, "baseCoin", ("EUR", "USDE", "BRL", "MNT"), 1_000):
        yield row | {"symbol": f"{base}{quote}", "quoteCoin": quote}


def _linear_crowd(rows: list[Row], names: Names) -> Iterator[Row]:
    """692 rows. Of the 600 coins some are marked as innovation; 514 are without a mark."""
    first = rows[0]
    plain = {key: first[key] for key in ("contractType", "status", "quoteCoin", "symbolType")}
    for coin in [row for row in rows if plain.items() <= row.items()][3::7]:
        coin["symbolType"] = "innovation"

    def row(base: str, **fields: object) -> Row:
        return first | {"symbol": f"{base}USDT", "baseCoin": base} | fields

    for base in STOCKS[:24]:
        yield row(base, symbolType="stock")
    for base in (*METALS[1:], *CURRENCIES):
        yield row(base, symbolType="forex" if base in CURRENCIES else "commodity")
    yield row("SOON", status="PendingOpen")
    yield row("LEAVE", status="Delivering")
    yield row("GONE", status="Closed")
    for month in _MONTHS:
        dated = {"contractType": "LinearFutures", "quoteCoin": "USDC", "settleCoin": "USDC"}
        yield first | dated | {"symbol": f"BTC-{month}", "deliveryTime": "1798185600000"}
        if month not in ("25DEC26", "26MAR27"):
            yield first | dated | {"symbol": f"ETHUSDT-{month}", "quoteCoin": "USDT"}
    for template, base, quote in quoted(rows[1:], "baseCoin", ("USDC",), 1_000):
        usdc = {"quoteCoin": quote, "settleCoin": quote}
        yield template | usdc | {"symbol": f"{base}PERP"}


# -- limits


def _headers(path: str, spent: Spent, unix_ns: int) -> dict[str, str]:
    return {
        "X-Bapi-Limit": str(spent.limit),
        "X-Bapi-Limit-Status": str(max(0, spent.limit - spent.used)),
        "X-Bapi-Limit-Reset-Timestamp": str((unix_ns + int(spent.left_s * 1e9)) // 10**6),
    }


def _beyond(spent: Spent, unix_ns: int) -> tuple[int, dict[str, str], bytes]:
    error = {"retCode": 10006, "retMsg": "Too many visits!", "result": {}}
    return 200, {}, orjson.dumps(error | {"retExtInfo": {}, "time": unix_ns // 10**6})


_TICKERS, _BOOK = "/v5/market/tickers", "/v5/market/orderbook"
_SPOT = SourcePages(
    units=Units(small=394, real=560, rows=700, min_notional=1.0),
    limits=Limits(pool=(600, 5.0), headers=_headers, refusal=_beyond),
    instruments_path="/v5/market/instruments-info",
    rows=list_rows(_spot_row, _spot_others),
    page=_page,
    time_path="/v5/market/time",
    time=_time,
    base_of=lambda row: str(row.get("baseCoin", "")),
    live={"status": "Trading"},
    halted=None,
    shows_halted="absent",
    shows_new="empty",
    tickers={_TICKERS: _tickers, _BOOK: _order_book},
    maintenance_path="/v5/system/status",
    maintenance=_maintenance,
    error={"retCode": 10016, "retMsg": "Server error", "result": {}, "retExtInfo": {}},
    crowd=_spot_crowd,
)
PAGES = {
    "bybit-spot": _SPOT,
    "bybit-futures": replace(
        _SPOT,
        units=Units(
            small=394,
            real=600,
            rows=692,
            symbol_usdc="{}PERP",
            min_notional=5.0,
            names=listed_by("1000", "PEPE", "BONK", "FLOKI", "CAT", "LUNC", "XEC", "RATS")
            | {"SHIB": ("SHIB1000", 1000.0)}
            | listed_by("10000", "SATS", "QUBIC", "WHY", "ELON")
            | listed_by("1000000", "CHEEMS", "BABYDOGE", "MOG", "PEIPEI"),
        ),
        rows=list_rows(_linear_row, _linear_others, lambda row: str(row["symbol"])),
        funding_path=_TICKERS,  # its tickers are its funding page, too
        crowd=_linear_crowd,
    ),
}
