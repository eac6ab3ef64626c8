"""What MEXC's REST pages answer: lists, funding, tickers, and their errors.

Docs (checked 2026-11-29): www.mexc.com/api-docs/spot-v3 (page of 2026-04),
mexcdevelop.github.io/apidocs/contract_v1_en.

1. Spot: isSpotTradingAllowed means "by API" and is false for majors that trade and stream.
2. Spot tickers: one symbol or all, at the same weight; they tell no time.
3. Futures: one contract asked for by name is an object under "data", all of them a list. Each path
   takes 20 requests in 2 s, detail one in 5 s.
4. Futures tickers have no sizes; their "timestamp" is that of the last trade.
5. funding_rate without a contract lists all of them.
"""

from typing import Any

from spreadscan.errors import BadFrame
from spreadscan.types import FundingRate, Instrument
from spreadscan.venues.answers import (
    BUSY,
    FINAL,
    LIMITED,
    REQUEST,
    TOPICS,
    Meaning,
    Row,
    rest_error,
)
from spreadscan.venues.audit import ask_one, read_tickers
from spreadscan.venues.base import (
    InstrumentPage,
    RestRequest,
    Ticker,
    read_funding,
    read_rows,
    split_multiplier,
)
from spreadscan.venues.values import (
    Statuses,
    label,
    lacks,
    name_in,
    page_object,
    page_rows,
    positive_float,
    positive_text,
    quote_in,
    step_text,
)

# "Blocked!" is said of channels that are no more, of topics too many, and of the moment: a few
# tries tell which. The codes are those of the REST pages; the spot socket sends 0 and words.
SPOT_ANSWERS = (
    Row(Meaning("passing", tries=4), words=r"blocked"),
    Row(LIMITED, ("429", "510")),
    Row(BUSY, ("500", "501", "503", "504", "604", "801")),
    Row(TOPICS, ("10007", "30014", "-1121")),
    Row(REQUEST, ("400", "513", "700004")),
    Row(FINAL, ("401", "402", "403", "406", "511", "700006", "700007")),
)
FUTURES_ANSWERS = (
    Row(LIMITED, ("429", "510")),
    Row(BUSY, ("500", "501", "503", "504", "604", "801")),
    Row(TOPICS, ("1001",)),
    Row(REQUEST, ("513", "600")),
    Row(FINAL, ("401", "402", "403", "406", "511")),
)

# "ENABLED" is what lists of before 2025 say for "1"
SPOT_STATUSES = Statuses(("1", "ENABLED"), ("2",), ("3",))
FUTURES_STATUSES = Statuses(("0",), ("1", "4"), ("2", "3"))

SPOT_TICKERS_REQUEST = RestRequest("/api/v3/ticker/bookTicker", weight=10)
FUTURES_TICKERS_REQUEST = RestRequest("/api/v1/contract/ticker")
FUNDING_REQUEST = RestRequest("/api/v1/contract/funding_rate")

spot_ask_request = ask_one(SPOT_TICKERS_REQUEST.path, "symbol", weight=10)
futures_ask_request = ask_one(FUTURES_TICKERS_REQUEST.path, "symbol")


def spot_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/api/v3/exchangeInfo", weight=25)


def futures_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/api/v1/contract/detail", apart_s=2.0)  # one in 5 s, say some


def spot_instruments(payload: bytes) -> InstrumentPage:
    page = page_object(payload)
    rows = page.get("symbols")
    if isinstance(rows, list):
        return read_rows(rows, _spot_quote, _spot_instrument)
    code = label(page.get("code"))
    if code not in ("", "0"):
        raise rest_error("mexc", SPOT_ANSWERS, code, label(page.get("msg")))
    raise BadFrame("mexc instruments: found no list 'symbols', expected one")


def futures_instruments(payload: bytes) -> InstrumentPage:
    rows = _futures_rows(payload, "instruments")
    return read_rows(rows, _futures_quote, _futures_instrument)


def funding(payload: bytes) -> list[FundingRate]:
    rows = _futures_rows(payload, "funding")
    return read_funding(rows, "symbol", "fundingRate", "nextSettleTime")


def spot_tickers(payload: bytes) -> list[Ticker]:
    rows = page_rows(payload, "mexc", SPOT_ANSWERS, "tickers")
    return read_tickers(rows, "mexc tickers", "symbol", "bidPrice", "askPrice")


def futures_tickers(payload: bytes) -> list[Ticker]:
    # Never maxBidPrice and minAskPrice: these are limits for orders. No time: see 4.
    rows = _futures_rows(payload, "tickers")
    return read_tickers(rows, "mexc tickers", "symbol", "bid1", "ask1")


def _futures_rows(payload: bytes, what: str) -> list[Any]:
    page = page_object(payload, what)
    code = label(page.get("code"))
    if page.get("success") is False or code not in ("", "0"):
        raise rest_error("mexc", FUTURES_ANSWERS, code, label(page.get("message")))
    rows = page.get("data")
    if type(rows) is dict:  # one contract asked for by name, or pushed
        rows = [rows]
    if not isinstance(rows, list):
        raise BadFrame(f"mexc {what}: found no list 'data', expected one")
    return rows


def _spot_quote(row: dict[str, Any]) -> str:
    return quote_in(row, "quoteAsset")


def _futures_quote(row: dict[str, Any]) -> str:
    return quote_in(row, "quoteCoin", "settleCoin")


def _spot_instrument(row: dict[str, Any], quote: str) -> Instrument | str:
    symbol, listed_base = name_in(row, "symbol"), name_in(row, "baseAsset")
    if not (symbol and listed_base):
        return lacks(row, "symbol", "baseAsset")
    if "status" not in row or not quote:
        return "missing_field: status or quoteAsset"
    if halt := SPOT_STATUSES.why_not(row.get("status")):
        return halt
    side_type = label(row.get("tradeSideType"))
    if side_type == "4":  # closed
        return "not_trading"
    if "xStock" in label(row.get("fullName")) or _in_plate(row.get("conceptPlates"), "stock"):
        return "tokenised_stock"
    base, multiplier = split_multiplier(listed_base)
    tick = step_text(row.get("quotePrecision", row.get("quoteAssetPrecision")))
    lot = step_text(row.get("baseAssetPrecision"))
    return Instrument(
        venue_symbol=symbol,
        base=base,
        listed_base=listed_base,
        quote=quote,
        multiplier=multiplier,
        tick=positive_float(tick),
        lot_step=positive_float(lot),
        min_qty=positive_float(row.get("baseSizePrecision")),
        min_notional=positive_float(row.get("quoteAmountPrecision")),
        tick_text=tick,
        lot_text=lot,
        min_notional_text=positive_text(row.get("quoteAmountPrecision")),
        # Side types 2 and 3 allow buying or selling alone: seen, but never traded by us.
        api_tradable=row.get("isSpotTradingAllowed") is True and side_type in ("", "1"),
    )


def _futures_instrument(row: dict[str, Any], quote: str) -> Instrument | str:
    symbol, listed_base = name_in(row, "symbol"), name_in(row, "baseCoin")
    contract_size = positive_float(row.get("contractSize"))
    if not (symbol and listed_base and contract_size):
        return lacks(row, "symbol", "baseCoin") or "missing_field: contractSize"
    if "state" not in row or not quote:
        return "missing_field: state or quoteCoin"
    if halt := FUTURES_STATUSES.why_not(row.get("state")):
        return halt
    if row.get("isHidden") is True:
        return "hidden"
    if label(row.get("futureType", 1)) != "1":  # lists of before dated contracts lack it
        return "not_perpetual"
    if _in_plate(row.get("conceptPlate"), "tradfi"):
        return "tradfi"
    base, multiplier = split_multiplier(listed_base)
    return Instrument(
        venue_symbol=symbol,
        base=base,
        listed_base=listed_base,
        quote=quote,
        contract_size=contract_size,
        multiplier=multiplier,
        tick=positive_float(row.get("priceUnit")),
        lot_step=positive_float(row.get("volUnit")),
        min_qty=positive_float(row.get("minVol")),
        max_qty=positive_float(row.get("limitMaxVol", row.get("maxVol"))),
        tick_text=positive_text(row.get("priceUnit")),
        lot_text=positive_text(row.get("volUnit")),
        api_tradable=row.get("apiAllowed") is True,
    )


def _in_plate(plates: object, word: str) -> bool:
    return type(plates) is list and any(word in label(p).lower() for p in plates)
