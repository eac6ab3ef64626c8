"""OKX v5 spot and linear swaps: bbo-tbt, the whole top of book in every message.

Docs (checked 2026-11-20): www.okx.com/docs-v5/en (public data, order book channels).

1. Spot and swap share one socket address, without a port: 8443 was switched off on 2026-10-31.
   One acknowledgement per argument.
2. Swap sizes are contracts of ctVal * ctMult coins; swap rows leave baseCcy and quoteCcy empty.
   uly names the currency, settleCcy the same: BTC-USD_UM is settled in several dollars and is
   none of ours (families as of 2025-08).
3. The heartbeat is the bare text "ping"/"pong", no JSON and no protocol frame; without it
   the server closes after 30 s (close code 4004).
4. seqId may be missing, and falls after maintenance: then a later ts says that it restarted.
5. 480 subscribe, unsubscribe and login operations an hour and socket: requests_per_hour.
6. New listings first show as rows with nearly every field empty, or as LISTING-SPOT-… ids.
7. funding-rate takes instId=ANY for every swap (10 requests / 2 s). fundingTime is the next
   payment, nextFundingTime the one after it.
8. Notice 64008 comes about a minute before the server closes the socket.
9. Tickers: a missing side is "", ts is when the row was made. Limits over REST are per path and
   address, 20 requests in 2 s at the paths that are asked often; system/status takes one in 5 s.
10. The instruments channel of the same socket pushes rows whose state changed; those that leave
   become "expired". An initial list may come (until 2026-09-30 it did).
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
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
    Row,
    meaning,
    rest_error,
)
from spreadscan.venues.audit import ask_one, read_maintenance, read_statuses, read_tickers
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
    Pong,
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
    Statuses,
    json_object,
    label,
    lacks,
    name_in,
    page_object,
    positive_float,
    positive_text,
    quote_in,
)

SPOT_SPEC = VenueSpec(
    name="okx-spot",
    exchange="okx",
    kind="spot",
    ws_urls=("wss://ws.okx.com/ws/v5/public",),
    rest_urls=("https://www.okx.com",),
    time_path="/api/v5/public/time",
    time_key="data.0.ts",
    addresses=Facts("https://www.okx.com/docs-v5/en/", "2026-11-29"),
    limits=Facts("https://www.okx.com/docs-v5/en/", "2026-11-20"),
    fees=Facts("https://www.okx.com/fees", "2026-11-29"),
    rest=Facts("https://www.okx.com/docs-v5/en/", "2026-11-29"),
    ping_kind="client",
    ping_every_s=15.0,
    pong_deadline_s=25.0,
    stale_after_s=75.0,
    topics_per_frame=100,
    bytes_per_frame=65_536,
    topics_per_socket=100,
    frames_per_s=5.0,
    requests_per_hour=480,
    connects_per_s=3.0,
    connects_per_5min=900,
    rest_limit=(20, 2.0),  # see 9
    taker_bps=10.0,
    validate_batch=100,
)
FUTURES_SPEC = msgspec.structs.replace(
    SPOT_SPEC, name="okx-futures", kind="perpetual", sizes="contracts", taker_bps=5.0
)

BOOK = BookSchema(
    match=(Match("arg.channel", "bbo-tbt"),),
    roots=("data.*",),
    symbol="arg.instId",
    bid_px=".bids.0.0",
    bid_qty=".bids.0.1",
    ask_px=".asks.0.0",
    ask_qty=".asks.0.1",
    venue_ms=(".ts",),
    update_id=(".seqId",),
    id_reset="newer_time",
)

# Codes that a client without keys meets: from documentation and other clients (ccxt), 2026-11; none
# was provoked at the venue.
ANSWERS = (
    Row(LIMITED, ("50011", "50040", "50061", "60014", "60023")),
    # 50001 service down for now, 50004 endpoint timeout, 50005 API offline, 50013 and 50026 busy,
    # 60016 the socket's buffer is full, 63999 and 64007 internal: "please try again later"
    Row(BUSY, ("50001", "50004", "50005", "50013", "50026", "60016", "63999", "64007")),
    Row(TOPICS, ("60018", "51001", "64000")),
    # 50014 to 50016, 51000: a parameter of a page is missing or wrong
    Row(REQUEST, ("50014", "50015", "50016", "51000", "60012", "60013", "60019", "60027")),
    # 60008, 60028, 64001: not at this address; 60011: after login; 60029, 64003: higher tiers;
    # 50110: not from this IP
    Row(FINAL, ("50110", "60008", "60011", "60028", "60029", "64001", "64003")),
)

# post_only: nobody can take. expired is pushed alone, of what leaves the list
STATUSES = Statuses(
    ("live",), ("suspend", "preopen", "test", "rebase", "settling", "post_only", "expired")
)
_RESTART_NOTICE = "64008"
# "channel:ticker,instId:BTC-USDT doesn't exist", also after "Wrong URL or "
_NAMED_TOPIC = re.compile(r"channel\s*:\s*([^\s,]+)\s*,\s*instId\s*:\s*([^\s,]+)")


FUNDING_REQUEST = RestRequest("/api/v5/public/funding-rate", "instId=ANY", 2)
_TICKER = "/api/v5/market/ticker"

# system/status; 6, 7, 10 and 11 are block, bot, spread and copy trading
_SERVICES = {
    "0": "WebSocket",
    "5": "trading",
    "8": "trading, by accounts",
    "9": "trading, by products",
    "99": "others, such as some instruments",
}
_OTHER_SERVICES = {"6", "7", "10", "11"}


def spot_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/api/v5/public/instruments", "instType=SPOT")


def futures_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/api/v5/public/instruments", "instType=SWAP")


def spot_instruments(payload: bytes) -> InstrumentPage:
    return read_rows(_rows(payload), _spot_quote, _spot_instrument, symbol_key="instId")


def futures_instruments(payload: bytes) -> InstrumentPage:
    return read_rows(_rows(payload), _futures_quote, _futures_instrument, symbol_key="instId")


def funding(payload: bytes) -> list[FundingRate]:
    return read_funding(_rows(payload, "funding"), "instId", "fundingRate", "fundingTime")


def tickers(payload: bytes) -> list[Ticker]:
    rows = _rows(payload, "tickers")
    return read_tickers(rows, "okx tickers", "instId", "bidPx", "askPx", "ts")


def maintenance(payload: bytes) -> list[Maintenance]:
    rows = _rows(payload, "system status")
    return read_maintenance(rows, "okx system status", _services)


def _services(row: dict[str, Any]) -> str:
    kind = label(row.get("serviceType"))
    if kind in _OTHER_SERVICES:
        return ""
    return _SERVICES.get(kind, f"service {kind[:10]}" if kind.isdigit() else "services not named")


def push_subscribe(inst_type: str) -> list[str]:
    args = [{"channel": "instruments", "instType": inst_type}]
    return [orjson.dumps({"id": "1", "op": "subscribe", "args": args}).decode()]


def read_push(frame: bytes) -> list[StatusChange]:
    message = json_object(frame) or {}
    arg = message.get("arg")
    if type(arg) is not dict or arg.get("channel") != "instruments":
        return []
    return read_statuses(message.get("data"), "instId", "state", STATUSES)


def _rows(payload: bytes, what: str = "instruments") -> list[Any]:
    page = page_object(payload, what)
    code = label(page.get("code"))
    if code not in ("", "0"):
        raise rest_error("okx", ANSWERS, code, label(page.get("msg")))
    rows = page.get("data")
    if not isinstance(rows, list):
        raise BadFrame(f"okx {what}: found no list 'data', expected one")
    return rows


def _refused(row: dict[str, Any]) -> str:
    if halt := STATUSES.why_not(row.get("state")):
        return halt
    rule = label(row.get("ruleType"))
    if rule not in ("", "normal"):
        return {"pre_market": "pre_market", "rebase_contract": "rebase"}.get(rule, "unknown_rule")
    # Rows of 2022 have no instCategory; 1 is crypto, the others are stocks, metals, indices.
    return "" if label(row.get("instCategory")) in ("", "1") else "tradfi"


def _spot_quote(row: dict[str, Any]) -> str:
    return quote_in(row, "quoteCcy")


def _family(row: dict[str, Any]) -> str:
    return name_in(row, "uly") or name_in(row, "instFamily")


def _futures_quote(row: dict[str, Any]) -> str:
    """Say nothing of an inverse swap: read() calls it that."""
    family, settled = _family(row), name_in(row, "settleCcy")
    if row.get("ctType") != "linear" or not family:
        return ""
    quote = family.rpartition("-")[2]
    return quote if quote == settled else f"{quote}/{settled}"


def _spot_instrument(row: dict[str, Any], quote: str) -> Instrument | str:
    base = name_in(row, "baseCcy")
    if not (name_in(row, "instId") and base and quote):
        return lacks(row, "instId", "baseCcy", "quoteCcy")
    if missing := lacks(row, "instType", "state"):
        return missing
    if row.get("instType") != "SPOT":
        return "not_spot"
    return _refused(row) or _instrument(row, base, quote, contract_size=1.0)


def _futures_instrument(row: dict[str, Any], quote: str) -> Instrument | str:
    family, base = _family(row), name_in(row, "ctValCcy")
    if not (name_in(row, "instId") and family and base):
        return lacks(row, "instId", "ctValCcy") or "missing_field: uly"
    if missing := lacks(row, "instType", "state"):
        return missing
    if row.get("instType") != "SWAP":
        return "not_perpetual"
    if row.get("ctType") != "linear":
        return "inverse"
    refused = _refused(row)
    if refused:
        return refused
    # A contract counted in anything but its own coin would be off by the price.
    if family != f"{base}-{quote}":
        return "odd_contract"
    contract_size = positive_float(row.get("ctVal")) * positive_float(row.get("ctMult"))
    if not 0.0 < contract_size < float("inf"):
        return "missing_field: ctVal or ctMult"
    return _instrument(row, base, quote, contract_size)


def _instrument(
    row: dict[str, Any], listed_base: str, quote: str, contract_size: float
) -> Instrument:
    base, multiplier = split_multiplier(listed_base)
    return Instrument(
        venue_symbol=row["instId"],
        base=base,
        listed_base=listed_base,
        quote=quote,
        contract_size=contract_size,
        multiplier=multiplier,
        tick=positive_float(row.get("tickSz")),
        lot_step=positive_float(row.get("lotSz")),
        min_qty=positive_float(row.get("minSz")),
        max_qty=positive_float(row.get("maxLmtSz")),
        tick_text=positive_text(row.get("tickSz")),
        lot_text=positive_text(row.get("lotSz")),
    )


def topic(venue_symbol: str) -> str:
    return f"bbo-tbt:{venue_symbol}"


def _request(op: str, venue_symbols: Sequence[str], request_id: int) -> str:
    args = [{"channel": "bbo-tbt", "instId": s} for s in venue_symbols]
    return orjson.dumps({"id": str(request_id), "op": op, "args": args}).decode()


def subscribe(venue_symbols: Sequence[str], request_id: int) -> str:
    return _request("subscribe", venue_symbols, request_id)


def unsubscribe(venue_symbols: Sequence[str], request_id: int) -> str:
    return _request("unsubscribe", venue_symbols, request_id)


def ping(request_id: int) -> str:
    return "ping"


def classify(frame: bytes) -> Control | None:
    if frame == b"pong":
        return Pong()
    message = json_object(frame)
    if message is None:
        return None
    event = label(message.get("event"))
    if not event:
        return None
    request_id = label(message.get("id"))
    if event in ("subscribe", "unsubscribe"):
        return Ack(request_id, _topics_of_arg(message.get("arg")), event == "subscribe")
    code, said = label(message.get("code")), label(message.get("msg"))
    text = f"{code}: {said}"
    if event == "error":
        named = tuple(f"{channel}:{symbol}" for channel, symbol in _NAMED_TOPIC.findall(text))
        return Refusal(text, request_id, named, (), meaning(ANSWERS, code, said))
    if event == "notice":
        return Event(text, restart=code == _RESTART_NOTICE)
    return Event(event)


def _topics_of_arg(arg: object) -> tuple[str, ...]:
    if type(arg) is not dict:
        return ()
    channel, symbol = label(arg.get("channel")), label(arg.get("instId"))
    return (f"{channel}:{symbol}",) if channel and symbol else ()


def render(book: Book) -> bytes:
    """Return a bbo-tbt frame; a missing side is []. Order counts are made up: nobody reads them."""
    ms = book.venue_ns // 1_000_000
    time = f',"ts":"{ms}"' if ms else ""
    update = f',"seqId":{book.update_id}' if book.update_id >= 0 else ""
    return (
        f'{{"arg":{{"channel":"bbo-tbt","instId":"{book.symbol}"}},'
        f'"data":[{{"asks":{_side(book.ask_px, book.ask_qty)},'
        f'"bids":{_side(book.bid_px, book.bid_qty)}{time}{update}}}]}}'
    ).encode()


def _side(px: float, qty: float) -> str:
    return f'[["{decimal_text(px)}","{decimal_text(qty)}","0","1"]]' if px == px else "[]"


SPOT_AUDIT = AuditPages(
    tickers_request=RestRequest("/api/v5/market/tickers", "instType=SPOT"),
    tickers=tickers,
    ask_request=ask_one(_TICKER, "instId"),
    older_by_s=5.0,
    rows_tell_time=True,
    status_every_s=300.0,
    push=StatusPush(subscribe=partial(push_subscribe, "SPOT"), ping=ping, read=read_push),
    maintenance_request=RestRequest("/api/v5/system/status", apart_s=5.0),
    maintenance=maintenance,
)
FUTURES_AUDIT = replace(
    SPOT_AUDIT,
    tickers_request=RestRequest("/api/v5/market/tickers", "instType=SWAP"),
    push=StatusPush(subscribe=partial(push_subscribe, "SWAP"), ping=ping, read=read_push),
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
