"""Binance spot and USDT-M futures: bookTicker, the whole top of book in every message.

Docs (checked 2026-11-20): github.com/binance/binance-spot-api-docs (web-socket-streams.md,
rest-api.md) and developers.binance.com/docs/derivatives/usds-margined-futures.

1. A spot bookTicker has no event name and no time: it is known by its stream name, or bare by
   having a symbol and no "e".
2. Nothing is sent on subscribe and nothing is repeated: silence of a symbol is health.
3. An acknowledgement does not prove that the stream exists.
4. A SUBSCRIBE of more than about 4,088 bytes is never answered: keep to bytes_per_frame.
5. Spot allows 5 incoming messages a second, pongs included: four are ours.
6. premiumIndex without a symbol lists every contract (weight 10 of 2,400 a minute).
   lastFundingRate is what nextFundingTime will bring; dated contracts have "" and 0.
7. Futures bookTicker comes from the routed host path /public; "st" is 1 for USD-M and 2 for
   COIN-M, which the same socket may carry. "!bookTicker" mixes both, every 5 s: never used.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from spreadscan.errors import BadFrame
from spreadscan.types import Book, FundingRate, Instrument
from spreadscan.venues.answers import (
    BUSY,
    FINAL,
    FULL,
    LIMITED,
    REQUEST,
    TOPICS,
    Row,
    meaning,
    rest_error,
)
from spreadscan.venues.base import (
    Ack,
    BookSchema,
    Control,
    Event,
    Facts,
    InstrumentPage,
    Match,
    Refusal,
    RestRequest,
    Venue,
    VenueSpec,
    decimal_text,
    json_object,
    label,
    lacks,
    page_object,
    positive_float,
    read_funding,
    read_rows,
    split_multiplier,
)

SPOT_SPEC = VenueSpec(
    name="binance-spot",
    exchange="binance",
    market="spot",
    ws_urls=(
        "wss://data-stream.binance.vision/stream",
        "wss://stream.binance.com:9443/stream",
        "wss://stream.binance.com/stream",
    ),
    rest_urls=("https://api.binance.com", "https://data-api.binance.vision"),
    time_path="/api/v3/time",
    time_key="serverTime",
    addresses=Facts("https://github.com/binance/binance-spot-api-docs", "2026-11-20"),
    limits=Facts("https://github.com/binance/binance-spot-api-docs", "2026-11-20"),
    fees=Facts("https://www.binance.com/en/fee/trading", "2026-11-29"),
    ping_kind="server",
    ping_every_s=20.0,
    pong_deadline_s=60.0,
    stale_after_s=600.0,
    repeats=False,
    topics_per_frame=150,
    bytes_per_frame=4_000,
    topics_per_socket=200,
    frames_per_s=4.0,
    connects_per_s=5.0,
    connects_per_5min=300,
    taker_bps=10.0,
    validate_batch=200,
    socket_life_s=86_400.0,
)
FUTURES_SPEC = msgspec.structs.replace(
    SPOT_SPEC,
    name="binance-futures",
    market="futures",
    ws_urls=("wss://fstream.binance.com/public/stream",),
    rest_urls=("https://fapi.binance.com",),
    time_path="/fapi/v1/time",
    time_key="serverTime",
    addresses=Facts(
        "https://developers.binance.com/docs/derivatives/usds-margined-futures", "2026-11-20"
    ),
    limits=Facts(
        "https://developers.binance.com/docs/derivatives/usds-margined-futures", "2026-11-20"
    ),
    fees=Facts("https://www.binance.com/en/fee/futureFee", "2026-11-29"),
    ping_every_s=180.0,
    pong_deadline_s=600.0,
    frames_per_s=8.0,
    taker_bps=5.0,
)

SPOT_BOOK = BookSchema(
    match=(
        Match("stream", "*@bookTicker", required=False),
        Match(".e", "bookTicker", required=False),  # every other spot event names itself
        Match(".s", "*"),
    ),
    roots=("data", ""),
    symbol=".s",
    bid_px=".b",
    bid_qty=".B",
    ask_px=".a",
    ask_qty=".A",
    update_id=(".u",),
)
FUTURES_BOOK = msgspec.structs.replace(
    SPOT_BOOK,
    match=(
        Match("stream", "*@bookTicker", required=False),
        Match(".e", "bookTicker"),
        Match(".st", "1", required=False),
    ),
    venue_ms=(".T", ".E"),
)


# Codes from documentation and other clients (ccxt), 2026-11; 4 was recorded.
ANSWERS = (
    Row(LIMITED, ("-1003", "-1034", "429", "418")),
    # -1000 unknown, -1001 internal, -1004 and -1008 busy, -1006 and -1007 no answer from behind
    Row(BUSY, ("-1000", "-1001", "-1004", "-1006", "-1007", "-1008", "500", "503")),
    Row(FULL, ("4",)),
    Row(TOPICS, ("-1121",)),
    Row(REQUEST, ("0", "1", "2", "3", "-1100", "-1101", "-1102", "-1130", "-1135")),
    Row(FINAL, ("-1002", "-1011", "-1016", "-1099", "-2015", "403")),
)

FUNDING_REQUEST = RestRequest("/fapi/v1/premiumIndex")


def spot_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/api/v3/exchangeInfo", "showPermissionSets=false")


def futures_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/fapi/v1/exchangeInfo")


def _rows(payload: bytes) -> list[Any]:
    page = page_object(payload)
    rows = page.get("symbols")
    if type(rows) is list:
        return rows
    if "code" in page:
        raise rest_error("binance", ANSWERS, label(page["code"]), label(page.get("msg")))
    raise BadFrame("binance instruments: found no list 'symbols', expected one")


def spot_instruments(payload: bytes) -> InstrumentPage:
    return read_rows(_rows(payload), _spot_instrument)


def futures_instruments(payload: bytes) -> InstrumentPage:
    return read_rows(_rows(payload), _futures_instrument)


def funding(payload: bytes) -> list[FundingRate]:
    if payload.lstrip()[:1] == b"[":
        try:
            rows: list[Any] = orjson.loads(payload)
        except ValueError as error:
            raise BadFrame(f"binance funding: {error}, expected JSON") from None
        return read_funding(rows, "symbol", "lastFundingRate", "nextFundingTime")
    page = page_object(payload, "binance funding")
    if "code" in page:
        raise rest_error("binance", ANSWERS, label(page["code"]), label(page.get("msg")))
    raise BadFrame("binance funding: found an object, expected a list")


def _spot_instrument(row: dict[str, Any]) -> Instrument | str:
    if missing := lacks(row, "symbol", "baseAsset", "quoteAsset", "status"):
        return missing
    if row.get("quoteAsset") != "USDT":
        return "not_usdt"
    if row.get("status") != "TRADING":
        return "not_trading"
    if row.get("isSpotTradingAllowed") is not True:
        return "spot_not_allowed"
    return _instrument(row)


def _futures_instrument(row: dict[str, Any]) -> Instrument | str:
    if missing := lacks(row, "symbol", "baseAsset", "quoteAsset", "status"):
        return missing
    if not (row.get("quoteAsset") == row.get("marginAsset") == "USDT"):
        return "not_usdt"
    if row.get("status") != "TRADING":
        return "delisted" if row.get("status") in ("CLOSE", "DELIVERED") else "not_trading"
    contract_type = row.get("contractType")
    if contract_type != "PERPETUAL":
        return "tradfi" if contract_type == "TRADIFI_PERPETUAL" else "not_perpetual"
    kind = row.get("underlyingType", "COIN")  # trimmed and older lists do not carry it
    if kind != "COIN":
        return {"INDEX": "index", "PREMARKET": "pre_market"}.get(label(kind), "tradfi")
    return _instrument(row)


def _instrument(row: dict[str, Any]) -> Instrument:
    filters = _filters(row)
    lot = filters.get("LOT_SIZE", {})
    # Newer spot rows say NOTIONAL, older MIN_NOTIONAL, futures MIN_NOTIONAL with another key.
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL", {})
    base, multiplier = split_multiplier(row["baseAsset"])
    return Instrument(
        venue_symbol=row["symbol"],
        base=base,
        listed_base=row["baseAsset"],
        quote="USDT",
        multiplier=multiplier,
        tick=positive_float(filters.get("PRICE_FILTER", {}).get("tickSize")),
        lot_step=positive_float(lot.get("stepSize")),
        min_qty=positive_float(lot.get("minQty")),
        max_qty=positive_float(lot.get("maxQty")),
        min_notional=positive_float(notional.get("minNotional", notional.get("notional"))),
    )


def _filters(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    listed = row.get("filters")
    if type(listed) is not list:
        return {}
    return {label(f.get("filterType")): f for f in listed if type(f) is dict}


def topic(venue_symbol: str) -> str:
    return f"{venue_symbol.lower()}@bookTicker"


def _request(method: str, venue_symbols: Sequence[str], request_id: int) -> str:
    params = [topic(s) for s in venue_symbols]
    return orjson.dumps({"method": method, "params": params, "id": request_id}).decode()


def subscribe(venue_symbols: Sequence[str], request_id: int) -> str:
    return _request("SUBSCRIBE", venue_symbols, request_id)


def unsubscribe(venue_symbols: Sequence[str], request_id: int) -> str:
    return _request("UNSUBSCRIBE", venue_symbols, request_id)


def ping(request_id: int) -> None:
    """Return nothing: the server sends protocol pings, and the transport answers them."""


def classify(frame: bytes) -> Control | None:
    message = json_object(frame)
    if message is None:
        return None
    request_id = label(message.get("id"))
    if "error" in message:
        return _refusal(message["error"], request_id)
    if "code" in message and "msg" in message:
        return _refusal(message, request_id)
    if "result" in message:
        listed = message["result"]
        named = tuple(label(x) for x in listed) if type(listed) is list else ()
        return Ack(request_id, named)
    event = message.get("data", message)
    if type(event) is dict and event.get("e") == "serverShutdown":
        return Event("serverShutdown", restart=True)
    return None


def _refusal(error: object, request_id: str) -> Refusal:
    if type(error) is not dict:
        return Refusal(label(error), request_id, meaning=meaning(ANSWERS, "", label(error)))
    code, text = label(error.get("code")), label(error.get("msg"))
    return Refusal(f"{code}: {text}", request_id, meaning=meaning(ANSWERS, code, text))


def spot_render(book: Book) -> bytes:
    """Return a combined-stream frame. The wire gives no time: venue_ns is not in it."""
    update = f'"u":{book.update_id},' if book.update_id >= 0 else ""
    return (
        f'{{"stream":"{book.symbol.lower()}@bookTicker","data":{{{update}"s":"{book.symbol}",'
        f'"b":"{decimal_text(book.bid_px)}","B":"{decimal_text(book.bid_qty)}",'
        f'"a":"{decimal_text(book.ask_px)}","A":"{decimal_text(book.ask_qty)}"}}}}'
    ).encode()


def futures_render(book: Book) -> bytes:
    """Return a combined-stream frame of the USD-M family, pushed as soon as it was matched."""
    update = f'"u":{book.update_id},' if book.update_id >= 0 else ""
    ms = book.venue_ns // 1_000_000
    times = f',"T":{ms},"E":{ms}' if ms else ""
    return (
        f'{{"stream":"{book.symbol.lower()}@bookTicker","data":{{"e":"bookTicker",{update}'
        f'"s":"{book.symbol}","ps":"{book.symbol}",'
        f'"b":"{decimal_text(book.bid_px)}","B":"{decimal_text(book.bid_qty)}",'
        f'"a":"{decimal_text(book.ask_px)}","A":"{decimal_text(book.ask_qty)}"{times},"st":1}}}}'
    ).encode()


SPOT = Venue(
    spec=SPOT_SPEC,
    schema=SPOT_BOOK,
    instruments_request=spot_instruments_request,
    instruments=spot_instruments,
    topic=topic,
    subscribe=subscribe,
    unsubscribe=unsubscribe,
    ping=ping,
    classify=classify,
    render=spot_render,
)
FUTURES = Venue(
    spec=FUTURES_SPEC,
    schema=FUTURES_BOOK,
    instruments_request=futures_instruments_request,
    instruments=futures_instruments,
    topic=topic,
    subscribe=subscribe,
    unsubscribe=unsubscribe,
    ping=ping,
    classify=classify,
    render=futures_render,
    funding_request=FUNDING_REQUEST,
    funding=funding,
)
