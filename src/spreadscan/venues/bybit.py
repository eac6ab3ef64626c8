"""Bybit v5 spot and linear perpetuals: orderbook.1, a snapshot of one level each side.

Docs (checked 2026-11-20): bybit-exchange.github.io/docs/v5 (websocket/public/orderbook,
ws/connect, market/instrument).

1. Level 1 is snapshot-only now; deltas are still read, as in recordings of 2023.
2. The symbol is that of the topic: on a relayed instrument data.s differs from it.
3. An unchanged book is repeated after 3 s with the same "u": a silent symbol is a dead one.
   u = 1 says that the engine restarted.
4. One bad topic refuses its whole request; the answer names it, not always with a req_id. So does
   one that is subscribed already, which goes on.
5. Spot takes 10 topics a request. Topics of one socket may have 21,000 characters in all.
6. The time of the engine, "cts", stands at top level; frames of 2023 have only "ts".
7. tickers lists the funding of every linear contract; "" and "0" for dated ones.
8. A rate-limited REST answer is an HTTP 200 with a retCode and no list.
9. Tickers have a time for the whole answer only, and other trailing zeros than the stream. Of a
   contract or pair that does not trade the instrument lists have no row; nothing is pushed.
10. system/status lists completed maintenance, too, and that of the demo (env 2).
11. A perpetual settled in USDC is BTCPERP (list of 2026-10-08), in the category and on the sockets
   of the linear ones; BTC-25DEC26 is a dated one.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec
import orjson

from spreadscan.errors import BadFrame
from spreadscan.types import Book, FundingRate, Instrument
from spreadscan.venues.answers import (
    BANNED,
    BUSY,
    FINAL,
    LIMITED,
    REQUEST,
    TOPICS,
    Row,
    meaning,
    rest_error,
)
from spreadscan.venues.audit import ask_one, read_maintenance, read_tickers
from spreadscan.venues.base import (
    Ack,
    AuditPages,
    BookSchema,
    Control,
    Facts,
    InstrumentPage,
    Maintenance,
    Match,
    Pong,
    Refusal,
    RestRequest,
    Ticker,
    Venue,
    VenueSpec,
    decimal_text,
    read_funding,
    read_rows,
    split_multiplier,
)
from spreadscan.venues.values import (
    Statuses,
    json_object,
    label,
    lacks,
    page_object,
    positive_float,
    positive_text,
    quote_in,
)

SPOT_SPEC = VenueSpec(
    name="bybit-spot",
    exchange="bybit",
    refuses="request",
    lists_halted=False,
    kind="spot",
    ws_urls=("wss://stream.bybit.com/v5/public/spot",),
    rest_urls=("https://api.bybit.com", "https://api.bytick.com"),
    time_path="/v5/market/time",
    time_key="time",
    addresses=Facts("https://bybit-exchange.github.io/docs/v5/ws/connect", "2026-11-20"),
    limits=Facts("https://bybit-exchange.github.io/docs/v5/ws/connect", "2026-11-20"),
    fees=Facts("https://www.bybit.com/en/help-center/article/Trading-Fee-Structure", "2026-11-29"),
    rest=Facts("https://bybit-exchange.github.io/docs/v5/rate-limit", "2026-11-29"),
    ping_kind="client",
    ping_every_s=20.0,
    pong_deadline_s=30.0,
    stale_after_s=10.0,
    topics_per_frame=10,
    bytes_per_frame=21_000,
    topics_per_socket=150,
    frames_per_s=20.0,
    connects_per_s=5.0,
    connects_per_5min=500,
    rest_limit=(600, 5.0),
    taker_bps=10.0,
    validate_batch=50,
)
FUTURES_SPEC = msgspec.structs.replace(
    SPOT_SPEC,
    name="bybit-futures",
    kind="perpetual",
    ws_urls=("wss://stream.bybit.com/v5/public/linear",),
    topics_per_frame=100,
    topics_per_socket=200,
    taker_bps=5.5,
)

BOOK = BookSchema(
    match=(Match("topic", "orderbook.1.*"),),
    symbol="topic",
    symbol_prefix="orderbook.1.",
    bid_px="data.b.0.0",
    bid_qty="data.b.0.1",
    ask_px="data.a.0.0",
    ask_qty="data.a.0.1",
    delta=Match("type", "delta"),
    bids="data.b",
    asks="data.a",
    venue_ms=("cts", "ts"),
    update_id=("data.u",),
    id_reset="is_one",
)

# Codes from documentation and other clients (ccxt), 2026-11, none provoked at the venue; public
# sockets mostly send words alone.
ANSWERS = (
    # 10403 and 10429 stand in the answers of the trade socket, 20003: too often in one session
    Row(LIMITED, ("10006", "10018", "10403", "10429", "20003")),
    Row(BANNED, ("10009",)),
    # 10000 server timeout, 10016 internal, or the service restarts, 10019 restarting
    Row(BUSY, ("10000", "10016", "10019")),
    Row(TOPICS, ("10029",)),
    Row(REQUEST, ("10001", "10404")),
    # 10003-10005 and 10007 keys, 10008 banned user, 10010 other IP, 10017 no such path, 10024 and
    # 10027 banned by rules
    Row(
        FINAL,
        ("10003", "10004", "10005", "10007", "10008", "10010", "10017", "10024", "10027"),
    ),
    Row(TOPICS, words=r"handler not found"),
    Row(REQUEST, words=r"args (size|length)|invalid op|not JSON"),
)

# Symbol types that are plain coins; anything else is skipped by name until someone looks.
# PreLaunch is judged apart; PendingOpen: listed, no orders until it trades
_STATUSES = Statuses(("Trading",), ("PendingOpen", "Settling", "Delivering"), ("Closed",))
_COIN_TYPES = {"", "innovation", "adventure"}
_OTHER_TYPES = {
    "xstocks": "tokenised_stock",
    "stock": "tradfi",
    "commodity": "tradfi",
    "forex": "tradfi",
}
# "…,topic:orderbook.1.X", "Invalid symbol :[orderbook.1.X]", "Invalid topic: orderbook.1.X"
_NAMED_TOPIC = re.compile(r"[\[,:]\s*([A-Za-z]+\.[^\s,\[\]]+)")


_DIRECTIONS = {"subscribe": True, "unsubscribe": False}

_TICKERS = "/v5/market/tickers"
FUNDING_REQUEST = RestRequest(_TICKERS, "category=linear")

# system/status: 4 is pushes to an account, 3 and 4 of the products are options and spreads
_SERVICES = {"1": "trading", "2": "trading", "3": "trading", "5": "market data"}
_PRODUCTS = {"linear": "1", "spot": "2"}


def spot_instruments_request(cursor: str) -> RestRequest:
    return _request_page("spot", cursor)


def futures_instruments_request(cursor: str) -> RestRequest:
    return _request_page("linear", cursor)


def _request_page(category: str, cursor: str) -> RestRequest:
    query = f"category={category}&limit=1000"
    # The venue hands its cursor out escaped; escaping it again loses the page.
    return RestRequest(
        "/v5/market/instruments-info", f"{query}&cursor={cursor}" if cursor else query
    )


def spot_instruments(payload: bytes) -> InstrumentPage:
    rows, cursor = _rows(payload)
    return read_rows(rows, _spot_quote, _spot_instrument, cursor)


def futures_instruments(payload: bytes) -> InstrumentPage:
    rows, cursor = _rows(payload)
    return read_rows(rows, _futures_quote, _futures_instrument, cursor)


def funding(payload: bytes) -> list[FundingRate]:
    rows, _ = _rows(payload, "funding")
    return read_funding(rows, "symbol", "fundingRate", "nextFundingTime")


def spot_tickers(payload: bytes) -> list[Ticker]:
    return _read_tickers(payload, "spot")


def futures_tickers(payload: bytes) -> list[Ticker]:
    return _read_tickers(payload, "linear")


def _read_tickers(payload: bytes, category: str) -> list[Ticker]:
    result = _result(payload, "tickers")
    # The two markets share their symbols: the one's prices would look like the other's, wrong.
    found = label(result.get("category", category))
    if found != category:
        raise BadFrame(f"bybit tickers: found category {found[:20]!r}, expected {category!r}")
    return read_tickers(result["list"], "bybit tickers", "symbol", "bid1Price", "ask1Price")


def spot_maintenance(payload: bytes) -> list[Maintenance]:
    return _read_maintenance(payload, "spot")


def futures_maintenance(payload: bytes) -> list[Maintenance]:
    return _read_maintenance(payload, "linear")


def _read_maintenance(payload: bytes, category: str) -> list[Maintenance]:
    def services(row: dict[str, Any]) -> str:
        products, kinds = _labels(row.get("product")), _labels(row.get("serviceTypes"))
        if products and _PRODUCTS[category] not in products:
            return ""
        if not kinds:
            return "services not named"
        return ", ".join(dict.fromkeys(_SERVICES[kind] for kind in kinds if kind in _SERVICES))

    what = "system status"
    return read_maintenance(_result(payload, what)["list"], f"bybit {what}", services)


def _labels(values: object) -> list[str]:
    return sorted(map(label, values)) if type(values) is list else []


def _rows(payload: bytes, what: str = "instruments") -> tuple[list[Any], str]:
    result = _result(payload, what)
    return result["list"], label(result.get("nextPageCursor"))


def _result(payload: bytes, what: str) -> dict[str, Any]:
    """Return what an answer holds, a list of rows under 'list' in it."""
    page = page_object(payload, what)
    code = label(page.get("retCode"))
    if code not in ("", "0"):
        raise rest_error("bybit", ANSWERS, code, label(page.get("retMsg")))
    result = page.get("result")
    if type(result) is not dict or not isinstance(result.get("list"), list):
        raise BadFrame(f"bybit {what}: found no list 'result.list', expected one")
    return result


def _spot_quote(row: dict[str, Any]) -> str:
    return quote_in(row, "quoteCoin")


def _futures_quote(row: dict[str, Any]) -> str:
    return quote_in(row, "quoteCoin", "settleCoin")


def _refused(row: dict[str, Any]) -> str:
    if missing := lacks(row, "symbol", "baseCoin", "quoteCoin", "status"):
        return missing
    if row.get("status") == "PreLaunch" or row.get("isPreListing") is True:
        return "pre_market"
    if halt := _STATUSES.why_not(row.get("status")):
        return halt
    kind = label(row.get("symbolType"))
    return "" if kind in _COIN_TYPES else _OTHER_TYPES.get(kind, "unknown_symbol_type")


def _spot_instrument(row: dict[str, Any], quote: str) -> Instrument | str:
    refused = _refused(row)
    if refused:
        return refused
    lot = _object(row, "lotSizeFilter")
    return _instrument(
        row,
        quote,
        lot_step=lot.get("basePrecision"),
        max_qty=positive_float(lot.get("maxLimitOrderQty", lot.get("maxOrderQty"))),
        min_notional=lot.get("minOrderAmt"),
    )


def _futures_instrument(row: dict[str, Any], quote: str) -> Instrument | str:
    refused = _refused(row)
    if refused:
        return refused
    if row.get("contractType") != "LinearPerpetual":
        return "not_perpetual"
    lot = _object(row, "lotSizeFilter")
    return _instrument(
        row,
        quote,
        lot_step=lot.get("qtyStep"),
        max_qty=positive_float(lot.get("maxOrderQty")),
        min_notional=lot.get("minNotionalValue"),
    )


def _instrument(
    row: dict[str, Any], quote: str, lot_step: object, max_qty: float, min_notional: object
) -> Instrument:
    tick = _object(row, "priceFilter").get("tickSize")
    base, multiplier = split_multiplier(row["baseCoin"])
    return Instrument(
        venue_symbol=row["symbol"],
        base=base,
        listed_base=row["baseCoin"],
        quote=quote,
        multiplier=multiplier,
        tick=positive_float(tick),
        lot_step=positive_float(lot_step),
        min_qty=positive_float(_object(row, "lotSizeFilter").get("minOrderQty")),
        max_qty=max_qty,
        min_notional=positive_float(min_notional),
        tick_text=positive_text(tick),
        lot_text=positive_text(lot_step),
        min_notional_text=positive_text(min_notional),
    )


def _object(row: dict[str, Any], key: str) -> dict[str, Any]:
    value = row.get(key)
    return value if type(value) is dict else {}


def topic(venue_symbol: str) -> str:
    return f"orderbook.1.{venue_symbol}"


def _request(op: str, venue_symbols: Sequence[str], request_id: int) -> str:
    args = [topic(s) for s in venue_symbols]
    return orjson.dumps({"req_id": str(request_id), "op": op, "args": args}).decode()


def subscribe(venue_symbols: Sequence[str], request_id: int) -> str:
    return _request("subscribe", venue_symbols, request_id)


def unsubscribe(venue_symbols: Sequence[str], request_id: int) -> str:
    return _request("unsubscribe", venue_symbols, request_id)


def ping(request_id: int) -> str:
    return f'{{"req_id":"{request_id}","op":"ping"}}'


def classify(frame: bytes) -> Control | None:
    message = json_object(frame)
    if message is None or "topic" in message:
        return None
    op, text = message.get("op"), label(message.get("ret_msg", message.get("retMsg")))
    if op == "pong" or (op == "ping" and message.get("success") is not False):
        return Pong()
    request_id = label(message.get("req_id", message.get("reqId")))
    if message.get("success") is True:
        return Ack(request_id, (), _DIRECTIONS.get(label(op)))
    code = label(message.get("ret_code", message.get("retCode")))
    if message.get("success") is False or code not in ("", "0"):
        named = tuple(_NAMED_TOPIC.findall(text))
        if "already subscribed" in text:
            return Refusal(text, request_id, accepted=named, meaning=TOPICS)
        said = f"{code}: {text}" if code else text
        return Refusal(said, request_id, named, (), meaning(ANSWERS, code, text))
    return None


def render(book: Book) -> bytes:
    """Return a snapshot frame, pushed as soon as it was matched; a missing side is []."""
    ms = book.venue_ns // 1_000_000
    push, engine = (f'"ts":{ms},', f',"cts":{ms}') if ms else ("", "")
    ids = f',"u":{book.update_id},"seq":{book.update_id}' if book.update_id >= 0 else ""
    return (
        f'{{"topic":"orderbook.1.{book.symbol}",{push}"type":"snapshot",'
        f'"data":{{"s":"{book.symbol}","b":{_side(book.bid_px, book.bid_qty)},'
        f'"a":{_side(book.ask_px, book.ask_qty)}{ids}}}{engine}}}'
    ).encode()


def _side(px: float, qty: float) -> str:
    return f'[["{decimal_text(px)}","{decimal_text(qty)}"]]' if px == px else "[]"


SPOT_AUDIT = AuditPages(
    tickers_request=RestRequest(_TICKERS, "category=spot"),
    tickers=spot_tickers,
    ask_request=ask_one(_TICKERS, "symbol", "category=spot&"),
    older_by_s=5.0,  # nothing published
    status_every_s=180.0,
    maintenance_request=RestRequest("/v5/system/status"),
    maintenance=spot_maintenance,
)
FUTURES_AUDIT = replace(
    SPOT_AUDIT,
    tickers_request=RestRequest(_TICKERS, "category=linear"),
    tickers=futures_tickers,
    ask_request=ask_one(_TICKERS, "symbol", "category=linear&"),
    maintenance=futures_maintenance,
)

SPOT = Venue(
    spec=SPOT_SPEC,
    schema=BOOK,
    instruments_request=spot_instruments_request,
    instruments=spot_instruments,
    topic=topic,
    subscribe=subscribe,
    unsubscribe=unsubscribe,
    ping=ping,
    classify=classify,
    render=render,
    audit=SPOT_AUDIT,
)
FUTURES = Venue(
    spec=FUTURES_SPEC,
    schema=BOOK,
    instruments_request=futures_instruments_request,
    instruments=futures_instruments,
    topic=topic,
    subscribe=subscribe,
    unsubscribe=unsubscribe,
    ping=ping,
    classify=classify,
    render=render,
    audit=FUTURES_AUDIT,
    funding_request=FUNDING_REQUEST,
    funding=funding,
)
