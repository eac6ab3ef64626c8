"""MEXC exchangeInfo (spot) and contract/detail (futures)."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from spreadscan.types import FundingRate, Instrument
from spreadscan.venues.base import decimal_text

Row = dict[str, Any]
More = Callable[[list[Row]], list[Row]]  # what else a list holds, of what it has so far


def spot_page(
    instruments: Sequence[Instrument], unix_ms: int, others: bool = True, more: More | None = None
) -> bytes:
    """Return the whole list; tick and lot are numbers of decimals."""
    rows = [_spot_row(i) for i in instruments]
    if others:
        rows += _spot_others(rows[0])
    rows += more(rows) if more else []
    page = {
        "timezone": "CST",
        "serverTime": unix_ms,
        "rateLimits": [],
        "exchangeFilters": [],
        "symbols": rows,
    }
    return orjson.dumps(page)


def _spot_others(first: Row) -> list[Row]:
    return [
        first | {"symbol": "BTCUSDC", "quoteAsset": "USDC"},
        first | {"symbol": "PAUSEUSDT", "baseAsset": "PAUSE", "status": "2"},
        first | {"symbol": "OFFUSDT", "baseAsset": "OFF", "status": "3"},
        first | {"symbol": "CLOSEDUSDT", "baseAsset": "CLOSED", "tradeSideType": 4},
        first | {"symbol": "AAPLXUSDT", "baseAsset": "AAPLX", "fullName": "Apple xStock"},
    ]


def futures_page(
    instruments: Sequence[Instrument], others: bool = True, more: More | None = None
) -> bytes:
    """Return the whole list; numbers are JSON numbers."""
    rows = [_futures_row(i) for i in instruments]
    if others:
        rows += _futures_others(rows[0])
    rows += more(rows) if more else []
    return orjson.dumps({"success": True, "code": 0, "data": rows})


def _futures_others(first: Row) -> list[Row]:
    coin_margined = {"quoteCoin": "USD", "settleCoin": "BTC", "contractSize": 100}
    usdc = {"quoteCoin": "USDC", "settleCoin": "USDC"}
    stock = {"conceptPlate": ["mc-trade-zone-tradfi", "mc-trade-zone-Stock"]}
    return [
        first | coin_margined | {"symbol": "BTC_USD"},
        first | usdc | {"symbol": "BTC_USDC"},
        first | stock | {"symbol": "AAPLSTOCK_USDT", "baseCoin": "AAPLSTOCK"},
        first | {"symbol": "DARK_USDT", "baseCoin": "DARK", "isHidden": True},
        first | {"symbol": "PAUSE_USDT", "baseCoin": "PAUSE", "state": 4},
        first | {"symbol": "BTC_USDT_261225", "futureType": 2},
    ]


def funding_page(rates: Sequence[FundingRate], unix_ms: int) -> bytes:
    """Return the funding of every contract; numbers are JSON numbers."""
    rows = [
        {
            "symbol": rate.symbol,
            "fundingRate": rate.rate,
            "maxFundingRate": 0.0018,
            "minFundingRate": -0.0018,
            "collectCycle": 8,
            "nextSettleTime": rate.next_ns // 1_000_000,
            "timestamp": unix_ms,
        }
        for rate in rates
    ]
    return orjson.dumps(
        {"success": True, "code": 0, "data": [*rows, rows[0] | {"symbol": "BTC_USD"}]}
    )


def _spot_row(i: Instrument) -> Row:
    price_digits, lot_digits = _digits(i.tick), _digits(i.lot_step)
    return {
        "symbol": i.venue_symbol,
        "status": "1",
        "baseAsset": i.listed_base,
        "baseAssetPrecision": lot_digits,
        "quoteAsset": i.quote,
        "quotePrecision": price_digits,
        "quoteAssetPrecision": price_digits,
        "baseCommissionPrecision": lot_digits,
        "quoteCommissionPrecision": price_digits,
        "orderTypes": ["LIMIT", "MARKET", "LIMIT_MAKER"],
        "isSpotTradingAllowed": i.api_tradable,
        "isMarginTradingAllowed": False,
        "quoteAmountPrecision": decimal_text(i.min_notional),
        "baseSizePrecision": decimal_text(i.min_qty),
        "permissions": ["SPOT"],
        "filters": [],
        "maxQuoteAmount": "2000000",
        "makerCommission": "0",
        "takerCommission": "0.0005",
        "quoteAmountPrecisionMarket": "1",
        "maxQuoteAmountMarket": "100000",
        "fullName": i.listed_base.title(),
        "tradeSideType": 1,
    }


def _futures_row(i: Instrument) -> Row:
    return {
        "symbol": i.venue_symbol,
        "displayName": f"{i.venue_symbol} PERPETUAL",
        "displayNameEn": f"{i.venue_symbol} PERPETUAL",
        "positionOpenType": 3,
        "baseCoin": i.listed_base,
        "quoteCoin": i.quote,
        "baseCoinName": i.listed_base,
        "quoteCoinName": i.quote,
        "futureType": 1,
        "settleCoin": i.quote,
        "contractSize": _number(i.contract_size),
        "minLeverage": 1,
        "maxLeverage": 100,
        "priceScale": _digits(i.tick),
        "volScale": 0,
        "amountScale": 4,
        "priceUnit": _number(i.tick),
        "volUnit": _number(i.lot_step),
        "minVol": _number(i.min_qty),
        "maxVol": _number(i.max_qty),
        "bidLimitPriceRate": 0.1,
        "askLimitPriceRate": 0.1,
        "takerFeeRate": 0.0002,
        "makerFeeRate": 0,
        "maintenanceMarginRate": 0.004,
        "initialMarginRate": 0.005,
        "indexOrigin": ["BYBIT", "BINANCE", "OKX", "MEXC"],
        "state": 0,
        "isNew": False,
        "isHot": False,
        "isHidden": False,
        "conceptPlate": ["mc-trade-zone-pow"],
        "apiAllowed": i.api_tradable,
        "limitMaxVol": _number(i.max_qty),
    }


def _digits(step: float) -> int:
    return max(0, math.ceil(-math.log10(step) - 1e-9))


def _number(value: float) -> int | float:
    return int(value) if value.is_integer() else value
