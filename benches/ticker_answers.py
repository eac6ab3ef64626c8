"""Answers about all books of a source, at their real size: rows as recorded, digits made up.

Rows and kB of each as estimated for late 2026: 10 answers, 13,400 rows, 3.7 MB. And what plain
Python makes of them: json.loads, two look-ups and float() a row, nothing checked.
"""

import json
import random
from collections.abc import Callable
from typing import Any

Row = dict[str, Any]

N_ROWS = {
    "binance-spot": 3_500,
    "binance-futures": 909,
    "bybit-spot": 700,
    "bybit-futures": 850,
    "mexc-spot": 1_966,
    "mexc-futures": 1_174,
    "okx-spot": 750,
    "okx-futures": 330,
    "gate-spot": 2_238,
    "gate-futures": 983,
}
_KEYS = {
    "binance": ("symbol", "bidPrice", "askPrice"),
    "bybit": ("symbol", "bid1Price", "ask1Price"),
    "mexc-spot": ("symbol", "bidPrice", "askPrice"),
    "mexc-futures": ("symbol", "bid1", "ask1"),
    "okx": ("instId", "bidPx", "askPx"),
    "gate-spot": ("currency_pair", "highest_bid", "lowest_ask"),
    "gate-futures": ("contract", "highest_bid", "lowest_ask"),
}
_SIGNS = {
    "mexc-futures": "_USDT",
    "okx-spot": "-USDT",
    "okx-futures": "-USDT-SWAP",
    "gate-spot": "_USDT",
    "gate-futures": "_USDT",
}
_MS = 1_789_238_862_168
_BYBIT = (
    "bid1Size ask1Size lastPrice prevPrice24h price24hPcnt highPrice24h lowPrice24h turnover24h "
    "volume24h"
)
_LINEAR = (
    "indexPrice markPrice prevPrice1h openInterest openInterestValue fundingRate fundingCap "
    "nextFundingTime singleOpenInterest singleOpenInterestValue fundingIntervalHour basisRate "
    "predictedDeliveryPrice deliveryFeeRate deliveryTime basis preOpenPrice preQty "
    "curPreListingPhase"
)
_OKX = "last lastSz askSz bidSz open24h high24h low24h volCcy24h vol24h sodUtc0 sodUtc8"
_MEXC = (
    "lastPrice volume24 amount24 holdVol lower24Price high24Price riseFallRate riseFallValue "
    "indexPrice fairPrice fundingRate maxBidPrice minAskPrice"
)
_GATE_FUTURES = (
    "last low_24h high_24h volume_24h change_percentage funding_rate_indicative index_price "
    "volume_24h_base volume_24h_quote volume_24h_settle funding_rate mark_price total_size "
    "highest_size lowest_size quanto_multiplier"
)
_TEXTS = {
    "binance": "bidQty askQty",
    "mexc-spot": "bidQty askQty",
    "bybit-spot": _BYBIT + " usdIndexPrice",
    "bybit-futures": f"{_BYBIT} {_LINEAR}",
    "okx": _OKX,
    "gate-spot": "last change_percentage base_volume quote_volume high_24h low_24h",
    "gate-futures": _GATE_FUTURES,
}


def keys_of(source: str) -> tuple[str, str, str]:
    """Return where a row has its symbol, bid and ask."""
    return _KEYS.get(source) or _KEYS[source.partition("-")[0]]


def answer(source: str) -> bytes:
    """Return an answer of a source as it comes: compact, digits by a fixed seed."""
    rng = random.Random(f"tickers/{source}")
    exchange = source.partition("-")[0]
    rows = [_row(source, number, rng) for number in range(N_ROWS[source])]
    page: Any = rows
    if exchange == "bybit":
        category = "spot" if source == "bybit-spot" else "linear"
        result = {"category": category, "list": rows}
        page = {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": _MS}
    elif exchange == "okx":
        page = {"code": "0", "msg": "", "data": rows}
    elif source == "mexc-futures":
        page = {"success": True, "code": 0, "data": rows}
    return json.dumps(page, separators=(",", ":")).encode()


def plain(source: str) -> Callable[[bytes], list[tuple[str, float, float]]]:
    """Return the plain reader of a source's answer."""
    symbol_key, bid_key, ask_key = keys_of(source)
    exchange = source.partition("-")[0]

    def read(payload: bytes) -> list[tuple[str, float, float]]:
        page = json.loads(payload)
        if exchange == "bybit":
            page = page["result"]["list"]
        elif exchange == "okx" or source == "mexc-futures":
            page = page["data"]
        return [(row[symbol_key], float(row[bid_key]), float(row[ask_key])) for row in page]

    return read


def _row(source: str, number: int, rng: random.Random) -> Row:
    exchange = source.partition("-")[0]
    symbol_key, bid_key, ask_key = keys_of(source)
    scale = 10.0 ** rng.randint(-3, 4)
    bid_px = round(scale * rng.uniform(1, 9), 8)
    ask_px = round(bid_px * 1.0002, 8)
    symbol = f"COIN{number}{_SIGNS.get(source, 'USDT')}"
    row: Row = {symbol_key: symbol, bid_key: bid_px, ask_key: ask_px}
    if source == "mexc-futures":
        row |= {key: round(bid_px * rng.uniform(0.5, 2), 6) for key in _MEXC.split()}
        days = ("r", "v", "r7", "r30", "r90", "r180", "r365")
        rates = {day: round(rng.uniform(-1, 1), 4) for day in days}
        return row | {
            "contractId": number,
            "timestamp": _MS,
            "riseFallRates": {"zone": "UTC+8", **rates},
            "riseFallRatesOfTimezone": [rates["r"], rates["r7"], rates["r30"]],
        }
    row |= {bid_key: f"{bid_px:.8f}", ask_key: f"{ask_px:.8f}"}
    texts = _TEXTS.get(source) or _TEXTS[exchange]
    row |= {key: f"{scale * rng.uniform(1, 999):.6g}" for key in texts.split()}
    if source == "binance-futures":
        row |= {"time": _MS, "lastUpdateId": 9_132_437_769_237 + number}
    if exchange == "okx":
        row |= {"instType": "SPOT" if source == "okx-spot" else "SWAP", "ts": str(_MS)}
    return row
