"""Gate spot and perpetuals in USDT: book_ticker, the whole top of book in every message.

Docs (checked 2026-11-29, in copies: the site answers no program): www.gate.com/docs/developers,
apiv4/ws and futures/ws (2025-09, 2026-05), apiv4 4.106 (SDK of 2026-10-20); the venue's own clients
at github.com/gateio. Recorded frames are of 2021 to 2026-09.

1. Sizes of perpetuals are contracts. They come as text, with decimals, to whoever sends the header
   X-Gate-Size-Decimal, over REST, too; to others as numbers cut to whole contracts, which is 0 for
   a small order in one of the contracts with `enable_decimal` (ETH, SOL, XRP, PEPE, TRX, ...).
2. Nothing is sent on subscribe and nothing is repeated: silence of a symbol is health.
3. One bad name refuses the whole request; only the first bad one is named.
4. A contract without a book sends t 0, u 0 and "" for both prices.
5. Requests carry their time in s. Only those with a key were ever seen to be checked.
6. An idle socket is closed after 30 s, one of a book that does not move after 60 s; pings of the
   client count. An upgrade of the server is announced on the channel "system".
7. Lists stand bare; errors are objects with a label, some without a message, with an HTTP 4xx.
   The path takes 200 requests in 10 s. The list of contracts came whole where no limit was asked
   for (983 rows, 2026-09); pages are documented to have 1,000 rows at most.
8. The list of contracts tells each one's funding, of the interval, its time in s. It has stocks,
   metals, indices and currencies, told by contract_type, and pre-market contracts that "trade".
   Its fees, and that of a spot pair, are not those of retail. Perpetuals are settled in USDT or
   coins (www.gate.com/help/futures/16697, 2026-11-29; a few in USD1 were seen): none in USDC.
9. Contracts count real coins, but for MBABYDOGE, a million BABYDOGE.
10. Tickers tell no time; those of all spot pairs have come from a cache of many seconds, and have
    no sizes. No announcement of maintenance was found.
"""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import orjson

from spreadscan.types import Book, FundingRate, Instrument
from spreadscan.venues.answers import (
    BUSY,
    FINAL,
    LIMITED,
    REQUEST,
    TOPICS,
    UNSURE,
    Row,
    meaning,
)
from spreadscan.venues.audit import ask_one, read_tickers
from spreadscan.venues.base import (
    Ack,
    AuditPages,
    BookSchema,
    Control,
    Event,
    Facts,
    InstrumentPage,
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
    name_in,
    page_rows,
    positive_float,
    positive_text,
    quote_in,
    step_text,
    unix_s,
)

SPOT_SPEC = VenueSpec(
    name="gate-spot",
    exchange="gate",
    kind="spot",
    ws_urls=("wss://api.gateio.ws/ws/v4/",),  # without the last slash: 404
    rest_urls=("https://api.gateio.ws",),
    time_path="/api/v4/spot/time",
    time_key="server_time",
    addresses=Facts("https://github.com/gateio/gatews", "2026-11-29"),
    limits=Facts("https://github.com/gateio/gatews", "2026-11-29"),
    fees=Facts("https://www.gate.com/fee", "2026-11-29"),
    rest=Facts("https://github.com/gateio/gateapi-python", "2026-11-29"),
    ping_kind="client",
    ping_every_s=15.0,
    pong_deadline_s=40.0,
    stale_after_s=60.0,
    repeats=False,
    # no limits of topics, bytes or connects are published; 857 in a frame, 385 on a socket worked
    topics_per_frame=100,
    bytes_per_frame=4_096,
    topics_per_socket=200,
    frames_per_s=10.0,
    connects_per_s=2.0,
    connects_per_5min=100,
    rest_limit=(200, 10.0),
    taker_bps=10.0,
    validate_batch=150,
    refuses="request",
)
FUTURES_SPEC = msgspec.structs.replace(
    SPOT_SPEC,
    name="gate-futures",
    kind="perpetual",
    sizes="contracts",
    ws_urls=("wss://fx-ws.gateio.ws/v4/ws/usdt",),
    headers=(("X-Gate-Size-Decimal", "1"),),
    topics_per_socket=150,
    list_page=1_000,  # see 7
    taker_bps=5.0,
)

SPOT_BOOK = BookSchema(
    match=(Match("channel", "spot.book_ticker"), Match("event", "update")),
    roots=("result",),
    symbol=".s",
    bid_px=".b",
    bid_qty=".B",
    ask_px=".a",
    ask_qty=".A",
    venue_ms=(".t", "time_ms"),
    update_id=(".u",),
    id_reset="newer_time",
)
FUTURES_BOOK = msgspec.structs.replace(
    SPOT_BOOK,
    match=(Match("channel", "futures.book_ticker"), Match("event", "update")),
    qty_text=True,  # see 1
)

# Codes of the sockets (1 bad structure, 2 bad argument, 3 server, 4 key) and labels of REST bodies,
# recorded 2021 to 2026 but for 3 and TOO_MANY_REQUESTS, which documents and other clients have.
_UNKNOWN = r"unknown (?:currency pair|contract):? (\S+)"
ANSWERS = (
    Row(LIMITED, ("TOO_MANY_REQUESTS",)),
    Row(BUSY, ("3", "SERVER_ERROR", "INTERNAL")),
    Row(TOPICS, ("2",), _UNKNOWN),
    Row(UNSURE, ("2",), "alert sub"),  # a second time on this socket
    Row(TOPICS, ("INVALID_CURRENCY", "INVALID_CURRENCY_PAIR", "CONTRACT_NOT_FOUND")),
    Row(REQUEST, ("1", "2", "INVALID_PARAM_VALUE", "MISSING_REQUIRED_PARAM", "TOO_BIG")),
    Row(FINAL, ("4", "INVALID_KEY")),
)

_MADE_AT = 1_700_000_000  # stands for the time at which a frame is sent
_MADE_AT_BEGIN = f'{{"time":{_MADE_AT},'
_named_topics = re.compile(_UNKNOWN).findall
# "sellable" is said before a pair opens and while one is removed
SPOT_STATUSES = Statuses(("tradable",), ("untradable", "buyable", "sellable"))
FUTURES_STATUSES = Statuses(
    ("trading",), ("prelaunch", "circuit_breaker", "suspend"), ("delisting", "delisted")
)
_LEVERAGED = re.compile(r"(.+)(?:[235][LS]|BULL|BEAR)").fullmatch
_STOCK = re.compile(r"xStock|Tokenized", re.IGNORECASE).search  # "Apple xStock", "… Ondo Tokenized"
_MILLIONS = {"MBABYDOGE": ("BABYDOGE", 1e6)}

_CONTRACTS = "/api/v4/futures/usdt/contracts"
_SPOT_TICKERS, _FUTURES_TICKERS = "/api/v4/spot/tickers", "/api/v4/futures/usdt/tickers"
FUNDING_REQUEST = RestRequest(_CONTRACTS)

# -- pages


def spot_instruments_request(cursor: str) -> RestRequest:
    return RestRequest("/api/v4/spot/currency_pairs")


def futures_instruments_request(cursor: str) -> RestRequest:
    # the first without a limit: that has always been the whole list
    page = f"limit={FUTURES_SPEC.list_page}&offset={cursor}" if cursor else ""
    return RestRequest(_CONTRACTS, page)


def _rows(payload: bytes, what: str, symbol_key: str) -> list[Any]:
    return page_rows(
        payload,
        "gate",
        ANSWERS,
        what,
        symbol_key=symbol_key,
        code_key="label",
        words_key="message",
    )


def spot_instruments(payload: bytes) -> InstrumentPage:
    rows = _rows(payload, "instruments", "id")
    bases = {name_in(row, "base") for row in rows if type(row) is dict}
    return read_rows(rows, _spot_quote, partial(_spot_instrument, bases), symbol_key="id")


def futures_instruments(payload: bytes) -> InstrumentPage:
    rows = _rows(payload, "instruments", "name")
    return read_rows(rows, _futures_quote, _futures_instrument, symbol_key="name")


def funding(payload: bytes) -> list[FundingRate]:
    rows = _rows(payload, "funding", "name")
    live = [row for row in rows if type(row) is dict and row.get("in_delisting") is not True]
    return read_funding(live, "name", "funding_rate", "funding_next_apply", unix_s)


def spot_tickers(payload: bytes) -> list[Ticker]:
    rows = _rows(payload, "tickers", "currency_pair")
    return read_tickers(rows, "gate tickers", "currency_pair", "highest_bid", "lowest_ask")


def futures_tickers(payload: bytes) -> list[Ticker]:
    rows = _rows(payload, "tickers", "contract")
    return read_tickers(rows, "gate tickers", "contract", "highest_bid", "lowest_ask")


def _spot_quote(row: dict[str, Any]) -> str:
    return quote_in(row, "quote")


def _futures_quote(row: dict[str, Any]) -> str:
    """Say nothing of an inverse contract: read() calls it that."""
    if row.get("type") != "direct":
        return ""
    quote = name_in(row, "name").rpartition("_")[2]
    return quote if quote in ("USDT", "") else f"{quote}/USDT"  # the list of what USDT settles


def _spot_instrument(bases: set[str], row: dict[str, Any], quote: str) -> Instrument | str:
    if missing := lacks(row, "id", "base", "quote", "trade_status"):
        return missing
    listed_base = row["base"]
    if halt := SPOT_STATUSES.why_not(row["trade_status"]):
        return halt
    if label(row.get("type")) == "premarket":
        return "pre_market"
    leveraged = _LEVERAGED(listed_base)
    if leveraged and leveraged[1] in bases:
        return "leveraged_token"
    if _STOCK(label(row.get("base_name"))):
        return "tokenised_stock"
    tick, lot = step_text(row.get("precision")), step_text(row.get("amount_precision"))
    base, multiplier = split_multiplier(listed_base)
    return Instrument(
        venue_symbol=row["id"],
        base=base,
        listed_base=listed_base,
        quote=quote,
        multiplier=multiplier,
        tick=positive_float(tick),
        lot_step=positive_float(lot),
        min_qty=positive_float(row.get("min_base_amount")),
        max_qty=positive_float(row.get("max_base_amount")),
        min_notional=positive_float(row.get("min_quote_amount")),
        tick_text=tick,
        lot_text=lot,
        min_notional_text=positive_text(row.get("min_quote_amount")),
    )


def _futures_instrument(row: dict[str, Any], quote: str) -> Instrument | str:
    if missing := lacks(row, "name", "type"):
        return missing
    if row["type"] != "direct":
        return "inverse"
    listed_base = row["name"].removesuffix(f"_{quote}")
    if not listed_base:
        return "missing_field: the coin in its name"
    if row.get("in_delisting") is True:
        return "delisted"
    # lists of before 2025 lack it
    if halt := FUTURES_STATUSES.why_not(row.get("status", "trading")):
        return halt
    if row.get("is_pre_market") is True:
        return "pre_market"
    if label(row.get("contract_type")):
        return "tradfi"
    contract_size = positive_float(row.get("quanto_multiplier"))
    if not contract_size:
        return "missing_field: quanto_multiplier"
    lot = "0.1" if row.get("enable_decimal") is True else "1"  # no field says so
    base, multiplier = _MILLIONS.get(listed_base) or split_multiplier(listed_base)
    return Instrument(
        venue_symbol=row["name"],
        base=base,
        listed_base=listed_base,
        quote=quote,
        contract_size=contract_size,
        multiplier=multiplier,
        tick=positive_float(row.get("order_price_round")),
        lot_step=positive_float(lot),
        min_qty=positive_float(row.get("order_size_min")),
        max_qty=positive_float(row.get("order_size_max")),
        tick_text=positive_text(row.get("order_price_round")),
        lot_text=lot,
    )


# -- sockets


def topic(venue_symbol: str) -> str:
    return venue_symbol


def _request(channel: str, event: str, venue_symbols: Sequence[str], request_id: int) -> str:
    request = {
        "time": _MADE_AT,
        "id": request_id,
        "channel": channel,
        "event": event,
        "payload": list(venue_symbols),
    }
    return orjson.dumps(request).decode()


def ping(channel: str, request_id: int) -> str:
    return f'{_MADE_AT_BEGIN}"channel":"{channel}"}}'


def stamp(frame: str, unix_s: int) -> str:
    """Put in when a request leaves: within a minute of the server's clock, by the documents."""
    return f'{{"time":{unix_s:010d},{frame.removeprefix(_MADE_AT_BEGIN)}'


def classify(frame: bytes) -> Control | None:
    message = json_object(frame)
    if message is None:
        return None
    channel, event = label(message.get("channel")), label(message.get("event"))
    request_id = label(message.get("id"))
    error = message.get("error")
    if error is not None:  # "error": null stands in old frames of any kind
        return _refusal(error, request_id)
    if channel.endswith(".pong"):
        return Pong()
    if channel.endswith(".system"):
        result = message.get("result")
        kind = label(result.get("type")) if type(result) is dict else ""
        # the venue's own client waits for the event, documents have the type
        return Event(kind or event, restart="upgrade" in (kind, event))
    if event in ("subscribe", "unsubscribe"):
        payload = message.get("payload")
        names = payload if type(payload) is list else []
        topics = tuple(name for name in names if type(name) is str)
        return Ack(request_id, topics, event == "subscribe")
    return None


def _refusal(error: object, request_id: str) -> Refusal:
    code, text = "", label(error)
    if type(error) is dict:
        code, text = label(error.get("code")), label(error.get("message"))
    said = f"{code}: {text}"
    return Refusal(said, request_id, tuple(_named_topics(text)), (), meaning(ANSWERS, code, text))


def _render(channel: str) -> Callable[[Book], bytes]:
    def render(book: Book) -> bytes:
        """Return a book_ticker frame with text sizes; a missing side is "" with a size of 0."""
        ms = book.venue_ns // 1_000_000
        pushed = f'"time":{ms // 1000},"time_ms":{ms},' if ms else ""
        time = f'"t":{ms},' if ms else ""
        update = f'"u":{book.update_id},' if book.update_id >= 0 else ""
        return (
            f'{{{pushed}"channel":"{channel}","event":"update","result":{{{time}{update}'
            f'"s":"{book.symbol}","b":"{decimal_text(book.bid_px)}",'
            f'"B":"{decimal_text(book.bid_qty) or 0}","a":"{decimal_text(book.ask_px)}",'
            f'"A":"{decimal_text(book.ask_qty) or 0}"}}}}'
        ).encode()

    return render


SPOT_AUDIT = AuditPages(
    tickers_request=RestRequest(_SPOT_TICKERS),
    tickers=spot_tickers,
    ask_request=ask_one(_SPOT_TICKERS, "currency_pair"),
    older_by_s=60.0,  # see 10
    status_every_s=300.0,
)
FUTURES_AUDIT = AuditPages(
    tickers_request=RestRequest(_FUTURES_TICKERS),
    tickers=futures_tickers,
    ask_request=ask_one(_FUTURES_TICKERS, "contract"),
    older_by_s=30.0,  # nothing published
    status_every_s=300.0,
)

SPOT = Venue(
    spec=SPOT_SPEC,
    schema=SPOT_BOOK,
    instruments_request=spot_instruments_request,
    instruments=spot_instruments,
    topic=topic,
    subscribe=partial(_request, "spot.book_ticker", "subscribe"),
    unsubscribe=partial(_request, "spot.book_ticker", "unsubscribe"),
    ping=partial(ping, "spot.ping"),
    classify=classify,
    render=_render("spot.book_ticker"),
    audit=SPOT_AUDIT,
    stamp=stamp,
)
FUTURES = Venue(
    spec=FUTURES_SPEC,
    schema=FUTURES_BOOK,
    instruments_request=futures_instruments_request,
    instruments=futures_instruments,
    topic=topic,
    subscribe=partial(_request, "futures.book_ticker", "subscribe"),
    unsubscribe=partial(_request, "futures.book_ticker", "unsubscribe"),
    ping=partial(ping, "futures.ping"),
    classify=classify,
    render=_render("futures.book_ticker"),
    audit=FUTURES_AUDIT,
    stamp=stamp,
    funding_request=FUNDING_REQUEST,
    funding=funding,
)
