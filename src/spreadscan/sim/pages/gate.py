"""Gate over REST: lists stand bare, errors are objects with a label, under a status of their own.

Perpetuals answer as to who asks for sizes as text.
"""

import math
from collections.abc import Iterator
from itertools import chain

import orjson

from spreadscan.sim.coins import Coin
from spreadscan.sim.pages.base import (
    Limits,
    Lists,
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
from spreadscan.sim.pages.others import CURRENCIES, METALS, STOCKS, quoted
from spreadscan.sim.pages.refusal import Refusal
from spreadscan.sim.pages.rows import Rows
from spreadscan.sim.pages.tickers.view import Level, View
from spreadscan.types import FundingRate, Instrument
from spreadscan.venues.base import decimal_text

_MOST = {"limit": 1_000, "depth": 300}
# contracts of which parts are traded
_DECIMAL = frozenset(("ETH", "SOL", "XRP", "PEPE", "TRX", "SUI", "DOGE"))


def refuse(label: str, message: str = "", status: int = 400) -> Refusal:
    body: Row = {"label": label}
    return Refusal(body | {"message": message} if message else body, status)


def _number(query: Query, key: str, default: int, least: int, most: int) -> int:
    asked = query.get(key, "")
    value = int(asked) if asked.isascii() and asked.isdigit() else None
    if asked and (value is None or not least <= value <= most):
        raise refuse("INVALID_PARAM_VALUE", f"Invalid request parameter `{key}` value: {asked}")
    return default if value is None else value


# -- lists


def _spot_page(lists: Lists, query: Query, unix_ms: int, page_rows: int) -> bytes:
    return orjson.dumps(lists["gate-spot"])


def _contracts_page(lists: Lists, query: Query, unix_ms: int, page_rows: int) -> bytes:
    """Return the whole list, or what limit= and offset= ask for."""
    rows = lists["gate-futures"]
    if "limit" in query or "offset" in query:
        limit = _number(query, "limit", 100, 1, _MOST["limit"])
        begin = _number(query, "offset", 0, 0, 10**9)
        rows = rows[begin : begin + limit]
    return orjson.dumps(rows)


def _digits(step: float) -> int:
    return max(0, math.ceil(-math.log10(step) - 1e-9))


def _spot_row(n: int, i: Instrument) -> Row:
    return {
        "id": i.venue_symbol,
        "base": i.listed_base,
        "base_name": i.listed_base.title(),
        "quote": i.quote,
        "quote_name": "Tether" if i.quote == "USDT" else i.quote,
        "trade_quotes": [],
        "fee": "0.2",
        "min_base_amount": decimal_text(i.min_qty),
        "min_quote_amount": decimal_text(i.min_notional),
        "max_base_amount": decimal_text(i.max_qty),
        "max_quote_amount": "5000000",
        "amount_precision": _digits(i.lot_step),
        "precision": _digits(i.tick),
        "trade_status": "tradable",
        "sell_start": 0,
        "buy_start": 0,
        "type": "normal",
        "trade_url": f"https://www.gate.com/trade/{i.venue_symbol}",
        "st_tag": False,
        "up_rate": "0.08",
        "down_rate": "0.08",
        "slippage": "0.03",
        "market_order_max_stock": decimal_text(i.max_qty / 2),
        "market_order_max_money": "5000000",
    }


def _spot(first: Row, base: str, quote: str = "USDT", **fields: object) -> Row:
    return first | {"id": f"{base}_{quote}", "base": base, "quote": quote} | fields


def _spot_others(first: Row) -> list[Row]:
    return [
        _spot(first, "BTC", "USDC"),
        _spot(first, "ETH", "BTC"),
        _spot(first, "BTC3L"),
        _spot(first, "ETH5S"),
        _spot(first, "PAUSE", trade_status="untradable"),
        _spot(first, "LEAVE", trade_status="sellable"),
        _spot(first, "SOON", trade_status="sellable", buy_start=1_798_185_600),
        _spot(first, "EARLY", type="premarket"),
        _spot(first, "AAPLX", base_name="Apple xStock"),
    ]


def _contract_row(n: int, i: Instrument) -> Row:
    px = decimal_text(i.tick)
    return {
        "funding_rate_indicative": "0.0001",
        "mark_price_round": px,
        "funding_offset": 0,
        "in_delisting": False,
        "risk_limit_base": "500000",
        "interest_rate": "0.0003",
        "index_price": px,
        "order_price_round": px,
        "order_size_min": decimal_text(i.min_qty),
        "enable_decimal": i.lot_step < 1.0,
        "ref_rebate_rate": "0.2",
        "name": i.venue_symbol,
        "ref_discount_rate": "0",
        "order_price_deviate": "0.03",
        "maintenance_rate": "0.003",
        "mark_type": "index",
        "funding_interval": 28_800,
        "type": "direct",
        "risk_limit_step": "1499500000",
        "enable_bonus": True,
        "enable_credit": True,
        "leverage_min": "1",
        "funding_rate": "0.0001",
        "last_price": px,
        "mark_price": px,
        "order_size_max": decimal_text(i.max_qty),
        "funding_next_apply": 1_795_161_600,
        "short_users": 100,
        "config_change_time": 1_788_234_002,
        "create_time": 1_574_035_200,
        "trade_size": "664685",
        "position_size": "289031",
        "long_users": 100,
        "quanto_multiplier": decimal_text(i.contract_size),
        "funding_impact_value": "30000",
        "leverage_max": "100",
        "cross_leverage_default": "10",
        "risk_limit_max": "1500000000",
        "maker_fee_rate": "-0.0001",
        "taker_fee_rate": "0.00075",
        "orders_limit": 100,
        "trade_id": 842_233_200,
        "orderbook_id": 126_201_707_497,
        "funding_cap_ratio": "0.75",
        "voucher_leverage": "2",
        "is_pre_market": False,
        "status": "trading",
        "launch_time": 1_574_035_200,
        "enable_circuit_breaker": False,
        "funding_rate_limit": "0.003",
        "market_order_slip_ratio": "0.01",
        "market_order_size_max": decimal_text(i.max_qty / 2),
        "contract_type": "",
    }


def _contract(first: Row, base: str, **fields: object) -> Row:
    return first | {"name": f"{base}_USDT"} | fields


def _contract_others(first: Row) -> list[Row]:
    return [
        _contract(first, "AAPL", contract_type="stocks"),
        _contract(first, "XAU", contract_type="metals"),
        _contract(first, "OPENAI", is_pre_market=True, funding_rate="0"),
        _contract(first, "LEAVE", in_delisting=True),
        _contract(first, "GONE", status="delisted", in_delisting=True),
        _contract(first, "SOON", status="prelaunch"),
        _contract(first, "PAUSE", status="circuit_breaker"),
    ]


def _funded(row: Row, rate: FundingRate) -> Row:
    told = decimal_text(rate.rate)
    return row | {"funding_rate": told, "funding_next_apply": rate.next_ns // 1_000_000_000}


def _time(unix_ns: int) -> Row:
    return {"server_time": unix_ns // 1_000_000}


# -- tickers and books


def _text(value: float | None) -> str:
    return "" if value is None else decimal_text(value)


def _one_of(query: Query, view: View, key: str) -> str | None:
    symbol = query.get(key)
    if symbol is None:
        return None
    if view.knows(symbol):
        return symbol
    if key == "contract":
        raise refuse("CONTRACT_NOT_FOUND")
    raise refuse("INVALID_CURRENCY", f"Invalid currency {symbol}")


def _spot_tickers(query: Query, view: View, unix_ms: int) -> Rows:
    """Return all tickers, without sizes, or the one of currency_pair= with them."""
    one = _one_of(query, view, "currency_pair")

    def row(symbol: str) -> Row:
        top, last = view.top(symbol), decimal_text(view.mid_px(symbol))
        sizes = {"lowest_size": _text(top.ask_qty), "highest_size": _text(top.bid_qty)}
        return {
            "currency_pair": symbol,
            "last": last,
            "lowest_ask": _text(top.ask_px),
            "highest_bid": _text(top.bid_px),
            **(sizes if one else {}),
            "change_percentage": "0",
            "base_volume": "1000",
            "quote_volume": "1000000",
            "high_24h": last,
            "low_24h": last,
        }

    return Rows([one] if one else view.symbols, row, orjson.dumps)


def _futures_tickers(query: Query, view: View, unix_ms: int) -> Rows:
    one = _one_of(query, view, "contract")

    def row(symbol: str) -> Row:
        top, last = view.top(symbol), decimal_text(view.mid_px(symbol))
        return {
            "last": last,
            "low_24h": last,
            "high_24h": last,
            "change_percentage": "0",
            "funding_rate_indicative": "0.0001",
            "index_price": last,
            "volume_24h_base": "1000",
            "volume_24h_quote": "1000000",
            "contract": symbol,
            "volume_24h_settle": "1000000",
            "funding_rate": "0.0001",
            "mark_price": last,
            "total_size": "1000",
            "highest_bid": _text(top.bid_px),
            "highest_size": _text(top.bid_qty),
            "lowest_ask": _text(top.ask_px),
            "lowest_size": _text(top.ask_qty),
        }

    return Rows([one] if one else view.symbols, row, orjson.dumps)


def _book(query: Query, view: View, key: str) -> tuple[list[Level], list[Level], Row]:
    symbol = _one_of(query, view, key)
    if symbol is None:
        raise refuse("MISSING_REQUIRED_PARAM", f"Missing required parameter: {key}")
    bids, asks = view.levels(symbol, _number(query, "limit", 10, 1, _MOST["depth"]))
    book = view.book(symbol)
    named = {"id": book.update_id if book else 0} if query.get("with_id") == "true" else {}
    return bids, asks, named


def _spot_book(query: Query, view: View, unix_ms: int) -> bytes:
    bids, asks, named = _book(query, view, "currency_pair")
    sides = {
        side: [[decimal_text(level.px), decimal_text(level.qty)] for level in levels]
        for side, levels in (("asks", asks), ("bids", bids))
    }
    return orjson.dumps(named | {"current": unix_ms, "update": unix_ms} | sides)


def _futures_book(query: Query, view: View, unix_ms: int) -> bytes:
    bids, asks, named = _book(query, view, "contract")
    sides = {
        side: [{"p": decimal_text(level.px), "s": decimal_text(level.qty)} for level in levels]
        for side, levels in (("asks", asks), ("bids", bids))
    }
    seconds = unix_ms / 1e3
    return orjson.dumps(named | {"current": seconds, "update": seconds} | sides)


def _nothing(query: Query, view: View, unix_ms: int) -> bytes:
    """Return a list that clients read besides, and that is not simulated."""
    return b"[]"


# -- what real lists hold


def _spot_crowd(rows: list[Row], names: Names) -> Iterator[Row]:
    """Leveraged tokens by the hundred, other quotes, and pairs that trade no more."""
    first = rows[0]
    for row in rows[1:40]:
        for side in ("3L", "3S", "5L", "5S"):
            yield _spot(first, f"{row['base']}{side}")
    for base in STOCKS:
        if base != "AAPL":
            yield _spot(first, f"{base}X", base_name=f"{base.title()} xStock")
    for row, base, quote in quoted(rows, "base", ("USDC", "BTC", "ETH", "TRY"), 200):
        if base != quote:
            yield row | {"id": f"{base}_{quote}", "quote": quote}
    for base in names:
        yield _spot(first, base, trade_status="untradable")


def _contract_crowd(rows: list[Row], names: Names) -> Iterator[Row]:
    """983 rows: 567 of coins, 380 of stocks, 18 of indices, the others of metals and the like."""
    first = rows[0]
    for base in METALS[1:] + CURRENCIES:
        kind = "metals" if base in METALS else "forex"
        yield _contract(first, base, contract_type=kind)
    for status in ("prelaunch", "delisting", "circuit_breaker", "suspend", "something_new"):
        yield _contract(first, next(names), status=status)
    for base in chain(STOCKS[1:], names):
        yield _contract(first, base, contract_type="stocks")


# -- limits


def _headers(path: str, spent: Spent, unix_ns: int) -> dict[str, str]:
    return {
        "X-Gate-RateLimit-Requests-Remain": str(max(0, spent.limit - spent.used)),
        "X-Gate-RateLimit-Limit": str(spent.limit),
        "X-Gate-RateLimit-Reset-Timestamp": str((unix_ns + int(spent.left_s * 1e9)) // 10**9),
    }


def _beyond(spent: Spent, unix_ns: int) -> tuple[int, dict[str, str], bytes]:
    error = {"label": "TOO_MANY_REQUESTS", "message": "Request Rate Limit Exceeded"}
    return 429, {}, orjson.dumps(error)


_LIMITS = Limits(pool=(200, 10.0), per_path=True, headers=_headers, refusal=_beyond)
_ERROR: Row = {"label": "SERVER_ERROR", "message": "Internal server error"}


def _lot(coin: Coin) -> int:
    return -1 if coin.name in _DECIMAL else 0


def _base(row: Row) -> str:
    return str(row.get("name", "")).rpartition("_")[0]


_SPOT_TICKERS: dict[str, OwnPage] = {
    "/api/v4/spot/tickers": _spot_tickers,
    "/api/v4/spot/order_book": _spot_book,
    "/api/v4/margin/currency_pairs": _nothing,
}
_FUTURES_TICKERS: dict[str, OwnPage] = {
    "/api/v4/futures/usdt/tickers": _futures_tickers,
    "/api/v4/futures/usdt/order_book": _futures_book,
    "/api/v4/futures/btc/contracts": _nothing,
}
PAGES = {
    "gate-spot": SourcePages(
        units=Units(
            small=420,
            real=1_500,
            rows=2_238,
            symbol="{}_USDT",
            symbol_usdc="{}_USDC",
            min_notional=3.0,
            coarse_ticks=False,  # ticks and lots are numbers of decimals
        ),
        limits=_LIMITS,
        instruments_path="/api/v4/spot/currency_pairs",
        rows=list_rows(_spot_row, _spot_others),
        page=_spot_page,
        time_path="/api/v4/spot/time",
        time=_time,
        symbol_keys=("currency_pair", "id"),
        base_of=lambda row: str(row.get("base", "")),
        live={"trade_status": "tradable"},
        halted={"trade_status": "untradable"},
        shows_halted="last",
        shows_new="empty",
        tickers=of_source("gate-spot", _SPOT_TICKERS),
        error=_ERROR,
        crowd=_spot_crowd,
    ),
    "gate-futures": SourcePages(
        units=Units(
            small=380,
            real=560,
            rows=983,
            symbol="{}_USDT",
            symbol_usdc="",  # its perpetuals are settled in USDT or coins
            names={"BABYDOGE": ("MBABYDOGE", 1e6)},
            contract_usdt=5.0,
            contract_size={
                "BTC": 1e-4, "ETH": 0.01, "SOL": 1.0, "XRP": 10.0, "PEPE": 1e7, "SHIB": 1e4,
                "BABYDOGE": 100.0, "C98": 9.6,
            },
            lot_exponent=_lot,
        ),
        limits=_LIMITS,
        instruments_path="/api/v4/futures/usdt/contracts",
        rows=list_rows(_contract_row, _contract_others),
        page=_contracts_page,
        time_path="/api/v4/spot/time",
        time=_time,
        symbol_keys=("contract", "name"),
        base_of=_base,
        live={"status": "trading", "in_delisting": False},
        halted={"status": "circuit_breaker"},
        gone={"status": "delisted", "in_delisting": True},
        shows_halted="last",
        shows_new="empty",
        funded=_funded,
        tickers=of_source("gate-futures", _FUTURES_TICKERS),
        error=_ERROR,
        crowd=_contract_crowd,
    ),
}  # fmt: skip
