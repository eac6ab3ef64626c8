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
8. REST bookTicker: on spot a pair that does not trade shows four zeros, or no row at all with
   symbolStatus=TRADING; one unknown name among symbols= refuses the whole request. Futures rows
   tell their time.
9. "!contractInfo" comes from the host path /market; a push may be of brackets alone, with the
   status that was. Spot has no such channel. The system's status is a flag for all markets, and
   only api.binance.com tells it.
10. USD-M lists perpetuals in USDC beside those in USDT: BTCUSDC, its margin asset the same (lists
   of 2025-08 and 2026). Streams, paths and units are alike.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote as escaped

import msgspec
import orjson

from spreadscan.errors import BadFrame, printable
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
from spreadscan.venues.audit import ask_one, read_statuses, read_tickers
from spreadscan.venues.base import (
    Ack,
    AuditPages,
    BookSchema,
    Control,
    Event,
    Facts,
    InstrumentPage,
    Maintenance,
    Match,
    Refusal,
    RestRequest,
    StatusChange,
    StatusPush,
    Ticker,
    Venue,
    VenueSpec,
    decimal_text,
    read_funding,
    read_rows,
    split_multiplier,
)
from spreadscan.venues.values import (
    GOOD_CODES,
    Statuses,
    json_object,
    label,
    lacks,
    page_object,
    page_rows,
    positive_float,
    positive_text,
    quote_in,
)

SPOT_SPEC = VenueSpec(
    name="binance-spot",
    exchange="binance",
    kind="spot",
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
    rest=Facts("https://github.com/binance/binance-spot-api-docs", "2026-11-29"),
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
    rest_limit=(6_000, 60.0),
    taker_bps=10.0,
    validate_batch=200,
    socket_life_s=86_400.0,
)
FUTURES_SPEC = msgspec.structs.replace(
    SPOT_SPEC,
    name="binance-futures",
    kind="perpetual",
    aliases=("binance_usdm",),
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
    rest=Facts(
        "https://developers.binance.com/docs/derivatives/usds-margined-futures", "2026-11-29"
    ),
    ping_every_s=180.0,
    pong_deadline_s=600.0,
    frames_per_s=8.0,
    rest_limit=(2_400, 60.0),
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

SPOT_STATUSES = Statuses(
    ("TRADING",),
    ("HALT", "BREAK", "END_OF_DAY", "CANCEL_ONLY", "PRE_TRADING", "POST_TRADING", "AUCTION_MATCH"),
)
FUTURES_STATUSES = Statuses(
    ("TRADING",),
    ("PENDING_TRADING", "PRE_SETTLE", "SETTLING", "PRE_DELIVERING", "DELIVERING", "BREAK"),
    ("DELIVERED", "CLOSE"),
)

FUNDING_REQUEST = RestRequest("/fapi/v1/premiumIndex", weight=10)
_SPOT_TICKERS, _FUTURES_TICKERS = "/api/v3/ticker/bookTicker", "/fapi/v1/ticker/bookTicker"


def spot_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/api/v3/exchangeInfo", "showPermissionSets=false", 20)


def futures_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/fapi/v1/exchangeInfo")


def _rows(payload: bytes) -> list[Any]:
    page = page_object(payload)
    rows = page.get("symbols")
    if isinstance(rows, list):
        return rows
    if (code := label(page.get("code"))) not in GOOD_CODES:
        raise rest_error("binance", ANSWERS, code, label(page.get("msg")))
    raise BadFrame(f"binance instruments: found {payload[:60]!r}, expected a list 'symbols'")


def spot_instruments(payload: bytes) -> InstrumentPage:
    return read_rows(_rows(payload), _spot_quote, _spot_instrument)


def futures_instruments(payload: bytes) -> InstrumentPage:
    return read_rows(_rows(payload), _futures_quote, _futures_instrument)


def funding(payload: bytes) -> list[FundingRate]:
    rows = page_rows(payload, "binance", ANSWERS, "funding")
    return read_funding(rows, "symbol", "lastFundingRate", "nextFundingTime")


def tickers(payload: bytes) -> list[Ticker]:
    rows = page_rows(payload, "binance", ANSWERS, "tickers")
    return read_tickers(rows, "binance tickers", "symbol", "bidPrice", "askPrice", "time")


def spot_ask_request(venue_symbols: Sequence[str]) -> RestRequest:
    # Without symbolStatus: a pair that is halted answers, by zeros.
    names = escaped(orjson.dumps(list(venue_symbols)).decode(), safe="")
    return RestRequest(_SPOT_TICKERS, f"symbols={names}", 4)


def maintenance(payload: bytes) -> list[Maintenance]:
    page = page_object(payload, "binance system status")
    status = label(page.get("status"))
    if status == "1":
        title = printable(label(page.get("msg")), 200)
        return [Maintenance("ongoing", title, 0, 0, "all services")]
    if status == "0":
        return []
    if (code := label(page.get("code"))) not in GOOD_CODES:
        raise rest_error("binance", ANSWERS, code, label(page.get("msg")))
    raise BadFrame(f"binance system status: found {payload[:60]!r}, expected status 0 or 1")


def push_subscribe() -> list[str]:
    return ['{"method":"SUBSCRIBE","params":["!contractInfo"],"id":1}']


def read_push(frame: bytes) -> list[StatusChange]:
    message = json_object(frame) or {}
    event = message.get("data", message)
    if type(event) is not dict or event.get("e") != "contractInfo":
        return []
    if label(event.get("st")) not in ("", "1"):  # COIN-M
        return []
    return read_statuses(event, "s", "cs", FUTURES_STATUSES)


def _spot_quote(row: dict[str, Any]) -> str:
    return quote_in(row, "quoteAsset")


def _futures_quote(row: dict[str, Any]) -> str:
    return quote_in(row, "quoteAsset", "marginAsset")


def _spot_instrument(row: dict[str, Any], quote: str) -> Instrument | str:
    if missing := lacks(row, "symbol", "baseAsset", "quoteAsset", "status"):
        return missing
    if halt := SPOT_STATUSES.why_not(row.get("status")):
        return halt
    if row.get("isSpotTradingAllowed") is not True:
        return "spot_not_allowed"
    return _instrument(row, quote)


def _futures_instrument(row: dict[str, Any], quote: str) -> Instrument | str:
    if missing := lacks(row, "symbol", "baseAsset", "quoteAsset", "status"):
        return missing
    if halt := FUTURES_STATUSES.why_not(row.get("status")):
        return halt
    contract_type = row.get("contractType")
    if contract_type != "PERPETUAL":
        return "tradfi" if contract_type == "TRADIFI_PERPETUAL" else "not_perpetual"
    kind = row.get("underlyingType", "COIN")  # trimmed and older lists do not carry it
    if kind != "COIN":
        return {"INDEX": "index", "PREMARKET": "pre_market"}.get(label(kind), "tradfi")
    return _instrument(row, quote)


def _instrument(row: dict[str, Any], quote: str) -> Instrument:
    filters = _filters(row)
    lot = filters.get("LOT_SIZE", {})
    # Newer spot rows say NOTIONAL, older MIN_NOTIONAL, futures MIN_NOTIONAL with another key.
    notional = filters.get("NOTIONAL") or filters.get("MIN_NOTIONAL", {})
    tick, min_notional = (
        filters.get("PRICE_FILTER", {}).get("tickSize"),
        notional.get("minNotional", notional.get("notional")),
    )
    base, multiplier = split_multiplier(row["baseAsset"])
    return Instrument(
        venue_symbol=row["symbol"],
        base=base,
        listed_base=row["baseAsset"],
        quote=quote,
        multiplier=multiplier,
        tick=positive_float(tick),
        lot_step=positive_float(lot.get("stepSize")),
        min_qty=positive_float(lot.get("minQty")),
        max_qty=positive_float(lot.get("maxQty")),
        min_notional=positive_float(min_notional),
        tick_text=positive_text(tick),
        lot_text=positive_text(lot.get("stepSize")),
        min_notional_text=positive_text(min_notional),
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


SPOT_AUDIT = AuditPages(
    tickers_request=RestRequest(_SPOT_TICKERS, "symbolStatus=TRADING", 4),
    tickers=tickers,
    ask_request=spot_ask_request,
    ask_at_once=100,  # a URL of under 3 kB
    older_by_s=5.0,  # "some delay is normal", without a number
    trading_only=True,
    status_every_s=600.0,  # every answer about all books tells who trades
    maintenance_request=RestRequest("/sapi/v1/system/status"),
    maintenance=maintenance,
)
FUTURES_AUDIT = AuditPages(
    tickers_request=RestRequest(_FUTURES_TICKERS, weight=5),
    tickers=tickers,
    ask_request=ask_one(_FUTURES_TICKERS, "symbol", weight=2),
    older_by_s=5.0,
    rows_tell_time=True,
    status_every_s=180.0,  # of a pause without settlement nobody says that it is pushed
    push=StatusPush(path="/market/stream", subscribe=push_subscribe, ping=ping, read=read_push),
)

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
    audit=SPOT_AUDIT,
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
    audit=FUTURES_AUDIT,
    funding_request=FUNDING_REQUEST,
    funding=funding,
)
