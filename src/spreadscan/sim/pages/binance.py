"""Binance exchangeInfo, spot and USDT-M."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from spreadscan.sim.pages.refusal import Refusal
from spreadscan.types import FundingRate, Instrument
from spreadscan.venues.base import decimal_text

Row = dict[str, Any]
MarkPx = Callable[[str], float]  # by venue symbol
More = Callable[[list[Row]], list[Row]]  # what else a list holds, of what it has so far

_FOREVER_MS = 4_133_404_800_000
_QUARTER_MS = 1_798_185_600_000


def _limit(kind: str, interval: str, n: int, limit: int) -> Row:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": n, "limit": limit}


def spot_page(
    instruments: Sequence[Instrument], unix_ms: int, others: bool = True, more: More | None = None
) -> bytes:
    """Return the whole list; prices and sizes have eight decimals."""
    rows = [_spot_row(i) for i in instruments]
    if others:
        rows += _spot_others(rows[0])
    rows += more(rows) if more else []
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
        "symbols": rows,
    }
    return orjson.dumps(page)


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


def futures_page(
    instruments: Sequence[Instrument], unix_ms: int, others: bool = True, more: More | None = None
) -> bytes:
    """Return the whole list."""
    rows = [_futures_row(i) for i in instruments]
    if others:
        rows += _futures_others(rows[0])
    rows += more(rows) if more else []
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
        "symbols": rows,
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


def funding_page(
    rates: Sequence[FundingRate], query: Mapping[str, str], mark_px: MarkPx, unix_ms: int
) -> bytes:
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


def _spot_row(i: Instrument) -> Row:
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


def _futures_row(i: Instrument) -> Row:
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
