"""MEXC spot (protobuf aggre.bookTicker) and linear perpetuals (depth.full, five levels).

Docs (checked 2026-11-20): www.mexc.com/api-docs/spot-v3, github.com/mexcdevelop/websocket-proto,
mexcdevelop.github.io/apidocs/contract_v1_en.

Spot:
1. Data frames are protobuf, control frames JSON text. PushDataV3ApiWrapper: 1 channel,
   3 symbol, 6 sendTime (ms), 315 PublicAggreBookTickerV3Api {1 bid, 2 bid size, 3 ask,
   4 ask size, 5 version, 6 lastOrderCreateTime}; all but the times are text. 5 and 6 are there
   since 2026-06. A wrapper without body and a side of empty strings both occur.
2. 30 topics a socket; the 31st may be acknowledged and never sends.
3. Every answer has id 0: one request in flight. A partial refusal has code 0, too.
Futures:
4. No best-bid-offer channel carries sizes; depth.full does, about every 300 ms.
5. Sizes are contracts. Prices and sizes are JSON numbers, at times in exponent form.
6. Answers carry neither id nor (for success) the contract: first data is the confirmation.
7. Client pings are needed even while data flows: without them the server closes at 60 s.
8. Since 2026-06-01 an order by API pays 8 bps as taker, one on the web 4 (three parties cite the
   announcement of 2026-05; the announcement itself was not read).
9. sub.contract without a contract pushes the definition of each that changes, its state among it.

What REST pages answer is in mexc_rest.py.
"""

import re
from collections.abc import Sequence

import msgspec
import orjson

from spreadscan.types import Book
from spreadscan.venues import mexc_rest
from spreadscan.venues.answers import meaning
from spreadscan.venues.audit import read_statuses
from spreadscan.venues.base import (
    Ack,
    AuditPages,
    BookSchema,
    Control,
    Facts,
    Match,
    Pong,
    Refusal,
    StatusChange,
    StatusPush,
    Venue,
    VenueSpec,
    decimal_text,
)
from spreadscan.venues.mexc_rest import FUTURES_ANSWERS, SPOT_ANSWERS
from spreadscan.venues.values import json_object, label

SPOT_SPEC = VenueSpec(
    name="mexc-spot",
    exchange="mexc",
    kind="spot",
    ws_urls=("wss://wbs-api.mexc.com/ws",),
    rest_urls=("https://api.mexc.com",),
    time_path="/api/v3/time",
    time_key="serverTime",
    addresses=Facts("https://www.mexc.com/api-docs/spot-v3/introduction", "2026-11-20"),
    limits=Facts("https://www.mexc.com/api-docs/spot-v3/introduction", "2026-11-20"),
    fees=Facts("https://www.mexc.com/fee", "2026-11-29"),
    rest=Facts("https://www.mexc.com/api-docs/spot-v3/introduction", "2026-11-29"),
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
    rest_limit=(300, 10.0),  # older pages say 500
    taker_bps=5.0,
    validate_batch=30,
    ids_per_request="one",
    socket_life_s=86_400.0,
)
FUTURES_SPEC = msgspec.structs.replace(
    SPOT_SPEC,
    name="mexc-futures",
    kind="perpetual",
    ws_urls=("wss://contract.mexc.com/edge",),
    rest_urls=("https://api.mexc.com", "https://contract.mexc.com"),
    time_path="/api/v1/contract/ping",
    time_key="data",
    addresses=Facts("https://mexcdevelop.github.io/apidocs/contract_v1_en/", "2026-11-20"),
    limits=Facts("https://mexcdevelop.github.io/apidocs/contract_v1_en/", "2026-11-20"),
    fees=Facts("https://www.mexc.com/fee", "2026-11-29"),
    rest=Facts("https://mexcdevelop.github.io/apidocs/contract_v1_en/", "2026-11-29"),
    sizes="contracts",
    stale_after_s=10.0,
    repeats=True,
    topics_per_frame=1,
    topics_per_socket=150,
    rest_limit=(20, 2.0),
    taker_bps=8.0,  # see 8
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

_TOPIC = "spot@public.aggre.bookTicker.v3.api.pb@10ms@"
_REFUSED = re.compile(r"Not Subscribed successfully!\s*\[([^\]]*)\]")
_ACCEPTED = re.compile(r"Subscribed successful!\s*\[([^\]]*)\]")
_CONTRACT = re.compile(r"Contract \[([^\]]+)\]")
_STATES = {"0": "enabled", "1": "delivery", "2": "delivered", "3": "offline", "4": "paused"}


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


def push_subscribe() -> list[str]:
    return ['{"method":"sub.contract"}']


def read_push(frame: bytes) -> list[StatusChange]:
    message = json_object(frame) or {}
    if message.get("channel") != "push.contract":
        return []
    statuses = mexc_rest.FUTURES_STATUSES
    return read_statuses(message.get("data"), "symbol", "state", statuses, _STATES)


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


SPOT_AUDIT = AuditPages(
    tickers_request=mexc_rest.SPOT_TICKERS_REQUEST,
    tickers=mexc_rest.spot_tickers,
    ask_request=mexc_rest.spot_ask_request,
    older_by_s=10.0,  # nothing published
    status_every_s=300.0,
)
FUTURES_AUDIT = AuditPages(
    tickers_request=mexc_rest.FUTURES_TICKERS_REQUEST,
    tickers=mexc_rest.futures_tickers,
    ask_request=mexc_rest.futures_ask_request,
    older_by_s=10.0,  # nothing published; the ticker stream is 2.75 s apart
    status_every_s=300.0,
    push=StatusPush(subscribe=push_subscribe, ping=futures_ping, read=read_push),
)

SPOT = Venue(
    spec=SPOT_SPEC,
    schema=SPOT_BOOK,
    instruments_request=mexc_rest.spot_instruments_request,
    instruments=mexc_rest.spot_instruments,
    topic=spot_topic,
    subscribe=spot_subscribe,
    unsubscribe=spot_unsubscribe,
    ping=spot_ping,
    classify=spot_classify,
    render=spot_render,
    audit=SPOT_AUDIT,
)
FUTURES = Venue(
    spec=FUTURES_SPEC,
    schema=FUTURES_BOOK,
    instruments_request=mexc_rest.futures_instruments_request,
    instruments=mexc_rest.futures_instruments,
    topic=futures_topic,
    subscribe=futures_subscribe,
    unsubscribe=futures_unsubscribe,
    ping=futures_ping,
    classify=futures_classify,
    render=futures_render,
    audit=FUTURES_AUDIT,
    funding_request=mexc_rest.FUNDING_REQUEST,
    funding=mexc_rest.funding,
)
