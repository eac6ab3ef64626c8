"""MEXC spot (protobuf aggre.bookTicker) and USDT perpetuals (depth.full, five levels).

Docs (checked 2026-11-20): www.mexc.com/api-docs/spot-v3, github.com/mexcdevelop/websocket-proto,
mexcdevelop.github.io/apidocs/contract_v1_en.

Spot:
1. Data frames are protobuf, control frames JSON text. PushDataV3ApiWrapper: 1 channel,
   3 symbol, 6 sendTime (ms), 315 PublicAggreBookTickerV3Api {1 bid, 2 bid size, 3 ask,
   4 ask size, 5 version, 6 lastOrderCreateTime}; all but the times are text. 5 and 6 are there
   since 2026-06. A wrapper without body and a side of empty strings both occur.
2. 30 topics a socket; the 31st may be acknowledged and never sends.
3. Every answer has id 0: one request in flight. A partial refusal has code 0, too.
4. isSpotTradingAllowed means "by API" and is false for majors that trade and stream.
Futures:
5. No best-bid-offer channel carries sizes; depth.full does, about every 300 ms.
6. Sizes are contracts. Prices and sizes are JSON numbers, at times in exponent form.
7. Answers carry neither id nor (for success) the contract: first data is the confirmation.
8. funding_rate without a contract lists all of them (20 requests / 2 s).
9. Client pings are needed even while data flows: without them the server closes at 60 s.
10. Since 2026-06-01 an order by API pays 8 bps as taker, one on the web 4 (three parties cite the
   announcement of 2026-05; the announcement itself was not read).
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec
import orjson

from spreadscan.errors import BadFrame
from spreadscan.types import Book, FundingRate, Instrument
from spreadscan.venues.answers import (
    BUSY,
    FINAL,
    LIMITED,
    REQUEST,
    TOPICS,
    Meaning,
    Row,
    meaning,
    rest_error,
)
from spreadscan.venues.base import (
    Ack,
    BookSchema,
    Control,
    Facts,
    InstrumentPage,
    Match,
    Pong,
    Refusal,
    RestRequest,
    Venue,
    VenueSpec,
    decimal_text,
    json_object,
    label,
    lacks,
    name_in,
    page_object,
    positive_float,
    read_funding,
    read_rows,
    split_multiplier,
)

SPOT_SPEC = VenueSpec(
    name="mexc-spot",
    exchange="mexc",
    market="spot",
    ws_urls=("wss://wbs-api.mexc.com/ws",),
    rest_urls=("https://api.mexc.com",),
    time_path="/api/v3/time",
    time_key="serverTime",
    addresses=Facts("https://www.mexc.com/api-docs/spot-v3/introduction", "2026-11-20"),
    limits=Facts("https://www.mexc.com/api-docs/spot-v3/introduction", "2026-11-20"),
    fees=Facts("https://www.mexc.com/fee", "2026-11-29"),
    ping_kind="client",
    ping_every_s=15.0,
    pong_deadline_s=30.0,
    stale_after_s=600.0,
    repeats=False,  # its cadence on quiet pairs is not measured
    topics_per_frame=30,
    bytes_per_frame=4_096,  # nothing published; thirty topics take half of it
    topics_per_socket=30,
    frames_per_s=20.0,
    connects_per_s=5.0,
    connects_per_5min=300,
    taker_bps=5.0,
    validate_batch=30,
    ids_per_request="one",
    socket_life_s=86_400.0,
)
FUTURES_SPEC = msgspec.structs.replace(
    SPOT_SPEC,
    name="mexc-futures",
    market="futures",
    ws_urls=("wss://contract.mexc.com/edge",),
    rest_urls=("https://api.mexc.com", "https://contract.mexc.com"),
    time_path="/api/v1/contract/ping",
    time_key="data",
    addresses=Facts("https://mexcdevelop.github.io/apidocs/contract_v1_en/", "2026-11-20"),
    limits=Facts("https://mexcdevelop.github.io/apidocs/contract_v1_en/", "2026-11-20"),
    fees=Facts("https://www.mexc.com/fee", "2026-11-29"),
    stale_after_s=10.0,
    repeats=True,
    topics_per_frame=1,
    topics_per_socket=150,
    taker_bps=8.0,  # see 10
    socket_life_s=0.0,
)

SPOT_BOOK = BookSchema(
    wire="protobuf",
    match=(Match("1", "spot@public.aggre.bookTicker.v3.api.pb@*"),),
    roots=("315",),
    symbol="3",
    bid_px=".1",
    bid_qty=".2",
    ask_px=".3",
    ask_qty=".4",
    venue_ms=("6",),
    update_id=(".5", "6"),
)
FUTURES_BOOK = BookSchema(
    match=(Match("channel", "push.depth.full"),),
    symbol="symbol",
    bid_px="data.bids.0.0",
    bid_qty="data.bids.0.1",
    ask_px="data.asks.0.0",
    ask_qty="data.asks.0.1",
    venue_ms=("data.cts", "ts"),
    update_id=("data.version",),
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

_TOPIC = "spot@public.aggre.bookTicker.v3.api.pb@10ms@"
_REFUSED = re.compile(r"Not Subscribed successfully!\s*\[([^\]]*)\]")
_ACCEPTED = re.compile(r"Subscribed successful!\s*\[([^\]]*)\]")
_CONTRACT = re.compile(r"Contract \[([^\]]+)\]")


FUNDING_REQUEST = RestRequest("/api/v1/contract/funding_rate")


def spot_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/api/v3/exchangeInfo")


def futures_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/api/v1/contract/detail")


def spot_instruments(payload: bytes) -> InstrumentPage:
    page = page_object(payload)
    rows = page.get("symbols")
    if type(rows) is list:
        return read_rows(rows, _spot_instrument)
    code = label(page.get("code"))
    if code not in ("", "0"):
        raise rest_error("mexc", SPOT_ANSWERS, code, label(page.get("msg")))
    raise BadFrame("mexc instruments: found no list 'symbols', expected one")


def futures_instruments(payload: bytes) -> InstrumentPage:
    return read_rows(_futures_rows(payload, "instruments"), _futures_instrument)


def funding(payload: bytes) -> list[FundingRate]:
    rows = _futures_rows(payload, "funding")
    return read_funding(rows, "symbol", "fundingRate", "nextSettleTime")


def _futures_rows(payload: bytes, what: str) -> list[Any]:
    page = page_object(payload, what)
    code = label(page.get("code"))
    if page.get("success") is False or code not in ("", "0"):
        raise rest_error("mexc", FUTURES_ANSWERS, code, label(page.get("message")))
    rows = page.get("data")
    if type(rows) is dict:  # one contract asked for by name, or pushed
        rows = [rows]
    if type(rows) is not list:
        raise BadFrame(f"mexc {what}: found no list 'data', expected one")
    return rows


def _spot_instrument(row: dict[str, Any]) -> Instrument | str:
    symbol, listed_base = name_in(row, "symbol"), name_in(row, "baseAsset")
    if not (symbol and listed_base):
        return lacks(row, "symbol", "baseAsset")
    if "status" not in row or "quoteAsset" not in row:
        return "missing_field: status or quoteAsset"
    if row.get("quoteAsset") != "USDT":
        return "not_usdt"
    side_type = label(row.get("tradeSideType"))
    # "ENABLED" is what lists of before 2025 say for "1"; side type 4 is closed.
    status = label(row.get("status"))
    if status not in ("1", "ENABLED") or side_type == "4":
        return "delisted" if status == "3" else "not_trading"
    if "xStock" in label(row.get("fullName")) or _in_plate(row.get("conceptPlates"), "stock"):
        return "tokenised_stock"
    base, multiplier = split_multiplier(listed_base)
    tick_digits = row.get("quotePrecision", row.get("quoteAssetPrecision"))
    return Instrument(
        venue_symbol=symbol,
        base=base,
        listed_base=listed_base,
        quote="USDT",
        multiplier=multiplier,
        tick=_decimal_step(tick_digits),
        lot_step=_decimal_step(row.get("baseAssetPrecision")),
        min_qty=positive_float(row.get("baseSizePrecision")),
        min_notional=positive_float(row.get("quoteAmountPrecision")),
        # Side types 2 and 3 allow buying or selling alone: seen, but never traded by us.
        api_tradable=row.get("isSpotTradingAllowed") is True and side_type in ("", "1"),
    )


def _futures_instrument(row: dict[str, Any]) -> Instrument | str:
    symbol, listed_base = name_in(row, "symbol"), name_in(row, "baseCoin")
    contract_size = positive_float(row.get("contractSize"))
    if not (symbol and listed_base and contract_size):
        return lacks(row, "symbol", "baseCoin") or "missing_field: contractSize"
    if "state" not in row or "quoteCoin" not in row:
        return "missing_field: state or quoteCoin"
    if not (row.get("quoteCoin") == row.get("settleCoin") == "USDT"):
        return "not_usdt"
    if (state := label(row.get("state"))) != "0":
        return "delisted" if state in ("2", "3") else "not_trading"
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
        quote="USDT",
        contract_size=contract_size,
        multiplier=multiplier,
        tick=positive_float(row.get("priceUnit")),
        lot_step=positive_float(row.get("volUnit")),
        min_qty=positive_float(row.get("minVol")),
        max_qty=positive_float(row.get("limitMaxVol", row.get("maxVol"))),
        api_tradable=row.get("apiAllowed") is True,
    )


def _in_plate(plates: object, word: str) -> bool:
    return type(plates) is list and any(word in label(p).lower() for p in plates)


def _decimal_step(digits: object) -> float:
    text = label(digits)
    return float(f"1e-{text}") if re.fullmatch("[0-9]{1,2}", text) else 0.0


def spot_topic(venue_symbol: str) -> str:
    return _TOPIC + venue_symbol


def futures_topic(venue_symbol: str) -> str:
    return venue_symbol


def _spot_request(method: str, venue_symbols: Sequence[str]) -> str:
    params = [spot_topic(s) for s in venue_symbols]
    return orjson.dumps({"method": method, "params": params}).decode()


def spot_subscribe(venue_symbols: Sequence[str], request_id: int) -> str:
    return _spot_request("SUBSCRIPTION", venue_symbols)


def spot_unsubscribe(venue_symbols: Sequence[str], request_id: int) -> str:
    return _spot_request("UNSUBSCRIPTION", venue_symbols)


def _futures_request(method: str, venue_symbols: Sequence[str]) -> str:
    (symbol,) = venue_symbols  # the venue takes one contract a frame
    param = {"symbol": symbol, "limit": 5}
    return orjson.dumps({"method": method, "param": param}).decode()


def futures_subscribe(venue_symbols: Sequence[str], request_id: int) -> str:
    return _futures_request("sub.depth.full", venue_symbols)


def futures_unsubscribe(venue_symbols: Sequence[str], request_id: int) -> str:
    return _futures_request("unsub.depth.full", venue_symbols)


def spot_ping(request_id: int) -> str:
    return '{"method":"PING"}'


def futures_ping(request_id: int) -> str:
    return '{"method":"ping"}'


def spot_classify(frame: bytes) -> Control | None:
    message = json_object(frame)
    if message is None or "code" not in message or "msg" not in message:
        return None
    code, text = label(message["code"]), label(message["msg"])
    if code != "0":
        return Refusal(f"{code}: {text}", meaning=meaning(SPOT_ANSWERS, code, text))
    if text == "PONG":
        return Pong()
    refused = _REFUSED.search(text)
    accepted = _ACCEPTED.search(text)
    went_through = _names(accepted.group(1)) if accepted else ()
    if refused:
        what = meaning(SPOT_ANSWERS, "", text)
        return Refusal(text.strip(), "", _names(refused.group(1)), went_through, what)
    topics = went_through or _names(text)
    if all(name.startswith("spot@") for name in topics):
        return Ack("", topics)
    return Refusal(text, meaning=meaning(SPOT_ANSWERS, "", text))  # code 0 alone proves nothing


def _names(joined: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in joined.split(",") if name.strip())


def futures_classify(frame: bytes) -> Control | None:
    message = json_object(frame)
    if message is None:
        return None
    channel, data = label(message.get("channel")), message.get("data")
    if channel == "pong":
        return Pong()
    if not channel.startswith("rs."):
        return None
    if channel != "rs.error" and data == "success":
        return Ack("", (), not channel.startswith("rs.unsub."))
    text = label(data)
    named = tuple(_CONTRACT.findall(text))
    return Refusal(text, "", named, (), meaning(FUTURES_ANSWERS, "", text))


def spot_render(book: Book) -> bytes:
    """Return the protobuf wrapper with its ticker; a missing side's fields are left out.

    A book whose id is its sendTime (id_kind 1) has no version, as before 2026-06.
    """
    symbol = book.symbol.encode()
    body = (
        _text_field(0x0A, decimal_text(book.bid_px))
        + _text_field(0x12, decimal_text(book.bid_qty))
        + _text_field(0x1A, decimal_text(book.ask_px))
        + _text_field(0x22, decimal_text(book.ask_qty))
    )
    ms = _varint(book.venue_ns // 1_000_000)
    if book.id_kind == 0 and book.update_id >= 0:
        body += _text_field(0x2A, str(book.update_id)) + b"\x30" + ms
    channel = _TOPIC.encode() + symbol
    return b"".join(
        (
            b"\x0a" + _varint(len(channel)) + channel,
            b"\x1a" + _varint(len(symbol)) + symbol,
            b"\x30" + ms,
            b"\xda\x13" + _varint(len(body)) + body,
        )
    )


def _text_field(tag: int, text: str) -> bytes:
    return bytes((tag, len(text))) + text.encode() if text else b""


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def futures_render(book: Book) -> bytes:
    """Return a depth.full frame of one level; a missing side is []."""
    ms = book.venue_ns // 1_000_000
    engine, push = (f'"cts":{ms},', f',"ts":{ms}') if ms else ("", "")
    update = f',"version":{book.update_id}' if book.update_id >= 0 else ""
    return (
        f'{{"symbol":"{book.symbol}","data":{{{engine}'
        f'"asks":{_side(book.ask_px, book.ask_qty)},"bids":{_side(book.bid_px, book.bid_qty)}'
        f'{update}}},"channel":"push.depth.full"{push}}}'
    ).encode()


def _side(px: float, qty: float) -> str:
    return f"[[{decimal_text(px)},{decimal_text(qty)},1]]" if px == px else "[]"


SPOT = Venue(
    spec=SPOT_SPEC,
    schema=SPOT_BOOK,
    instruments_request=spot_instruments_request,
    instruments=spot_instruments,
    topic=spot_topic,
    subscribe=spot_subscribe,
    unsubscribe=spot_unsubscribe,
    ping=spot_ping,
    classify=spot_classify,
    render=spot_render,
)
FUTURES = Venue(
    spec=FUTURES_SPEC,
    schema=FUTURES_BOOK,
    instruments_request=futures_instruments_request,
    instruments=futures_instruments,
    topic=futures_topic,
    subscribe=futures_subscribe,
    unsubscribe=futures_unsubscribe,
    ping=futures_ping,
    classify=futures_classify,
    render=futures_render,
    funding_request=FUNDING_REQUEST,
    funding=funding,
)
