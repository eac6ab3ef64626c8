"""One suite for every venue: what it sends, what it understands, what it keeps.

Frames are written by hand from the venues' documents, not taken from the code under test.
"""

import json
import math
import random
from datetime import date

import msgspec
import pytest

from known import SOURCES
from spreadscan.errors import BadFrame, RateLimited
from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.venues.answers import BUSY, FULL, LIMITED, REQUEST, TOPICS, Meaning
from spreadscan.venues.base import (
    Ack,
    Event,
    Facts,
    Pong,
    Refusal,
    decimal_text,
    old_facts,
    split_multiplier,
)
from spreadscan.venues.reference import ReferenceDecoder, decline_reason

MS = 1_786_659_828_107
NS = MS * 1_000_000
SYMBOL = {"okx-spot": "BTC-USDT", "okx-futures": "BTC-USDT-SWAP", "mexc-futures": "BTC_USDT"}
SYMBOL |= {"gate-spot": "BTC_USDT", "gate-futures": "BTC_USDT"}
MEXC_TOPIC = "spot@public.aggre.bookTicker.v3.api.pb@10ms@"

each_venue = pytest.mark.parametrize("venue", VENUES.values(), ids=str)


def symbol_of(venue):
    return SYMBOL.get(venue.name, "BTCUSDT")


def book_of(venue):
    ns = 0 if venue.name == "binance-spot" else NS
    return Book(symbol_of(venue), 63561.5, 1.776, 63561.6, 4.848, ns, 31398762)


# ---- specs -------------------------------------------------------------------------------


def test_venues_are_the_sources_in_the_order_of_their_ids():
    assert [(s.name, s.exchange, s.kind) for s in SOURCES] == [
        (v.name, v.spec.exchange, v.spec.kind) for v in VENUES.values()
    ]
    assert [s.name for s in SOURCES] == list(VENUES)


# source: topics a socket, topics a frame, bytes a frame, frames/s, connects/s, per 5 min
PUBLISHED = {
    "binance-spot": (200, 150, 4_000, 4, 5, 300),
    "binance-futures": (200, 150, 4_000, 9, 5, 300),
    "bybit-spot": (200, 10, 21_000, 20, 5, 500),
    "bybit-futures": (200, 500, 21_000, 20, 5, 500),
    "mexc-spot": (30, 30, 8_192, 99, 5, 300),
    "mexc-futures": (150, 1, 8_192, 20, 5, 300),
    "okx-spot": (100, 100, 65_536, 5, 3, 900),
    "okx-futures": (100, 100, 65_536, 5, 3, 900),
    # nothing is published but 300 sockets an address; what others have seen to work
    "gate-spot": (385, 200, 16_384, 385, 5, 300),
    "gate-futures": (200, 857, 16_384, 150, 5, 300),
}


@each_venue
def test_limits_stay_within_what_the_venue_publishes(venue):
    spec = venue.spec
    ours = (
        spec.topics_per_socket,
        spec.topics_per_frame,
        spec.bytes_per_frame,
        spec.frames_per_s,
        spec.connects_per_s,
        spec.connects_per_5min,
    )
    assert [] == [
        (mine, most) for mine, most in zip(ours, PUBLISHED[venue.name], strict=True) if mine > most
    ]
    assert all(n > 0 for n in ours)


def test_stale_rules_and_fees():
    assert {
        "binance-spot": (600.0, 10.0),
        "binance-futures": (600.0, 5.0),
        "bybit-spot": (10.0, 10.0),
        "bybit-futures": (10.0, 5.5),
        "mexc-spot": (600.0, 5.0),
        "mexc-futures": (10.0, 8.0),
        "okx-spot": (75.0, 10.0),
        "okx-futures": (75.0, 5.0),
        "gate-spot": (60.0, 10.0),
        "gate-futures": (60.0, 5.0),
    } == {v.name: (v.spec.stale_after_s, v.spec.taker_bps) for v in VENUES.values()}
    silent = {"binance-spot", "binance-futures", "mexc-spot", "gate-spot", "gate-futures"}
    assert silent == {v.name for v in VENUES.values() if not v.spec.repeats}


@each_venue
def test_every_table_says_where_it_is_from_and_since_when(venue):
    for facts in venue.spec.facts.values():
        assert facts.source.startswith("https://")
        assert date(2026, 11, 20) <= date.fromisoformat(facts.checked) <= date(2026, 11, 29)


def test_tables_older_than_90_days_are_told_in_one_sentence():
    spec = msgspec.structs.replace(
        VENUES["mexc-futures"].spec,
        fees=Facts("https://fees.example", "2026-08-01"),
        addresses=Facts("https://docs.example", "2026-08-02"),
        limits=Facts("https://docs.example", "2026-08-02"),
        rest=Facts("https://docs.example", "2026-08-02"),
    )
    assert "" == old_facts(spec, date(2026, 10, 30))  # the 90th day
    said = old_facts(spec, date(2026, 10, 31))
    assert said.startswith("mexc-futures: fees of 2026-08-01, expected no older than 90 days")
    assert said.endswith("look at https://fees.example and set [venues.mexc-futures]")
    said = old_facts(spec, date(2026, 11, 1))
    assert "fees of 2026-08-01, addresses of 2026-08-02, limits of 2026-08-02, REST limits" in said
    assert 1 == said.count("https://docs.example")


def test_sockets_that_are_cut_after_a_day():
    assert ["binance-spot", "binance-futures", "mexc-spot"] == [
        v.name for v in VENUES.values() if v.spec.socket_life_s == 86_400.0
    ]
    assert 3 == sum(v.spec.socket_life_s > 0 for v in VENUES.values())


# ---- what we send ------------------------------------------------------------------------

SUBSCRIBE = {
    "binance-spot": {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 7},
    "binance-futures": {"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 7},
    "bybit-spot": {"req_id": "7", "op": "subscribe", "args": ["orderbook.1.BTCUSDT"]},
    "bybit-futures": {"req_id": "7", "op": "subscribe", "args": ["orderbook.1.BTCUSDT"]},
    "mexc-spot": {"method": "SUBSCRIPTION", "params": [f"{MEXC_TOPIC}BTCUSDT"]},
    "mexc-futures": {"method": "sub.depth.full", "param": {"symbol": "BTC_USDT", "limit": 5}},
    "okx-spot": {
        "id": "7",
        "op": "subscribe",
        "args": [{"channel": "bbo-tbt", "instId": "BTC-USDT"}],
    },
    "okx-futures": {
        "id": "7",
        "op": "subscribe",
        "args": [{"channel": "bbo-tbt", "instId": "BTC-USDT-SWAP"}],
    },
    **{
        f"gate-{market}": {
            "time": 1_700_000_000,
            "id": 7,
            "channel": f"{market}.book_ticker",
            "event": "subscribe",
            "payload": ["BTC_USDT"],
        }
        for market in ("spot", "futures")
    },
}
UNSUBSCRIBE_WORD = {
    "binance-spot": ("method", "UNSUBSCRIBE"),
    "binance-futures": ("method", "UNSUBSCRIBE"),
    "bybit-spot": ("op", "unsubscribe"),
    "bybit-futures": ("op", "unsubscribe"),
    "mexc-spot": ("method", "UNSUBSCRIPTION"),
    "mexc-futures": ("method", "unsub.depth.full"),
    "okx-spot": ("op", "unsubscribe"),
    "okx-futures": ("op", "unsubscribe"),
    "gate-spot": ("event", "unsubscribe"),
    "gate-futures": ("event", "unsubscribe"),
}


@each_venue
def test_subscribe_says_what_the_documents_say(venue):
    assert SUBSCRIBE[venue.name] == json.loads(venue.subscribe([symbol_of(venue)], 7))


@each_venue
def test_unsubscribe_is_subscribe_with_the_other_word(venue):
    key, word = UNSUBSCRIBE_WORD[venue.name]
    expected = SUBSCRIBE[venue.name] | {key: word}
    got = json.loads(venue.unsubscribe([symbol_of(venue)], 7))
    got.get("param", {}).setdefault("limit", 5)  # whether it repeats the limit is free
    assert expected == got


@each_venue
def test_a_full_frame_keeps_to_the_bytes_and_names_every_topic(venue):
    # As long as listed names get on average; Binance's callers split by bytes as well.
    n = min(venue.spec.topics_per_frame, 120)
    symbols = [f"COIN{i:03}USDT" for i in range(n)]
    frame = venue.subscribe(symbols, 123_456)
    assert venue.spec.bytes_per_frame >= len(frame.encode())
    if venue.spec.topics_per_frame > 1:
        named = [s for s in symbols if venue.topic(s).rpartition(":")[2] in frame]
        assert symbols == named


@each_venue
def test_a_frame_is_stamped_with_its_time_where_the_venue_wants_it(venue):
    """And is not longer than it was planned to be."""
    symbols = [symbol_of(venue)]
    frames = [venue.subscribe(symbols, 7), venue.unsubscribe(symbols, 7), venue.ping(7)]
    for frame in filter(None, frames):
        sent = venue.sent_at(frame, 1_790_000_123.9)
        if venue.spec.exchange != "gate":
            assert frame == sent
            continue
        assert json.loads(frame) | {"time": 1_790_000_123} == json.loads(sent)
        assert len(frame) == len(sent)


def test_mexc_futures_takes_one_contract_a_frame():
    with pytest.raises(ValueError, match="unpack"):
        VENUES["mexc-futures"].subscribe(["BTC_USDT", "ETH_USDT"], 1)


@pytest.mark.parametrize("name", ["bybit-spot", "bybit-futures"])
def test_topics_of_a_socket_fit_bybits_21000_characters(name):
    venue = VENUES[name]
    longest = len(venue.topic("1000000BABYDOGEUSDT"))
    assert longest * venue.spec.topics_per_socket <= 21_000


def test_pings():
    assert {
        "binance-spot": None,
        "binance-futures": None,
        "bybit-spot": '{"req_id":"9","op":"ping"}',
        "bybit-futures": '{"req_id":"9","op":"ping"}',
        "mexc-spot": '{"method":"PING"}',
        "mexc-futures": '{"method":"ping"}',
        "okx-spot": "ping",
        "okx-futures": "ping",
        "gate-spot": '{"time":1700000000,"channel":"spot.ping"}',
        "gate-futures": '{"time":1700000000,"channel":"futures.ping"}',
    } == {v.name: v.ping(9) for v in VENUES.values()}
    assert {v.name for v in VENUES.values() if v.ping(1) is None} == {
        v.name for v in VENUES.values() if v.spec.ping_kind == "server"
    }


CLIENT_PINGS = [v for v in VENUES.values() if v.spec.ping_kind == "client"]


@pytest.mark.parametrize("venue", CLIENT_PINGS, ids=str)
def test_pings_come_before_the_venue_hangs_up(venue):
    # Seconds after which a socket without our ping is closed; Bybit says 10 minutes.
    cut = {"bybit": 600, "mexc": 60, "okx": 30, "gate": 60}[venue.spec.exchange]
    assert venue.spec.ping_every_s < venue.spec.pong_deadline_s <= cut
    assert 2 * venue.spec.ping_every_s <= cut


REQUESTS = {
    "binance-spot": "/api/v3/exchangeInfo?showPermissionSets=false",
    "binance-futures": "/fapi/v1/exchangeInfo?",
    "bybit-spot": "/v5/market/instruments-info?category=spot&limit=1000",
    "bybit-futures": "/v5/market/instruments-info?category=linear&limit=1000",
    "mexc-spot": "/api/v3/exchangeInfo?",
    "mexc-futures": "/api/v1/contract/detail?",
    "okx-spot": "/api/v5/public/instruments?instType=SPOT",
    "okx-futures": "/api/v5/public/instruments?instType=SWAP",
    "gate-spot": "/api/v4/spot/currency_pairs?",
    "gate-futures": "/api/v4/futures/usdt/contracts?",
}


@each_venue
def test_instrument_requests(venue):
    assert REQUESTS[venue.name] == "?".join(venue.instruments_request("")[:2])


def test_bybit_cursor_is_passed_on_as_it_came():
    cursor = "first%3D1%26last%3D2"
    page = {"retCode": 0, "result": {"list": [], "nextPageCursor": cursor}}
    venue = VENUES["bybit-futures"]
    assert cursor == venue.instruments(json.dumps(page).encode()).cursor
    assert f"category=linear&limit=1000&cursor={cursor}" == venue.instruments_request(cursor).query


def test_gates_contracts_go_on_from_a_number_of_rows():
    request = VENUES["gate-futures"].instruments_request("1000")
    assert "/api/v4/futures/usdt/contracts?limit=1000&offset=1000" == request.url("")


# ---- what we understand ------------------------------------------------------------------

OKX_DOUBLE_QUOTE = (
    rb'{"event":"error","code":"60012","msg":"Invalid request: {\"op\": \"subscribe\"}","id":"4"}'
)
CONTROLS = [
    ("binance-spot", b'{"result":null,"id":1}', Ack("1")),
    ("binance-spot", b'{"id":"abc","result":null}', Ack("abc")),
    ("binance-spot", b'{"result":["btcusdt@trade"],"id":3}', Ack("3", ("btcusdt@trade",))),
    ("binance-spot", b'{"result":null,"id":null}', Ack("")),
    (
        "binance-futures",
        b'{"error":{"code":4,"msg":"Too many subscriptions"},"id":19}',
        Refusal("4: Too many subscriptions", "19", meaning=FULL),
    ),
    (
        "binance-futures",
        b'{"code":2,"msg":"Invalid request: x"}',
        Refusal("2: Invalid request: x", meaning=REQUEST),
    ),
    ("binance-spot", b'{"e":"serverShutdown","E":1}', Event("serverShutdown", restart=True)),
    (
        "binance-spot",
        b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}',
        Event("serverShutdown", restart=True),
    ),
    (
        "bybit-spot",
        b'{"success":true,"ret_msg":"subscribe","conn_id":"c","req_id":"5","op":"subscribe"}',
        Ack("5", subscribes=True),
    ),
    (
        "bybit-futures",
        b'{"success":true,"ret_msg":"","conn_id":"c","req_id":"5","op":"subscribe"}',
        Ack("5", subscribes=True),
    ),
    (
        "bybit-futures",
        b'{"success":true,"ret_msg":"pong","conn_id":"c","req_id":"5","op":"ping"}',
        Pong(),
    ),
    ("bybit-futures", b'{"req_id":"5","op":"pong","args":["1675418560633"]}', Pong()),
    (
        "bybit-futures",
        b'{"success":false,"ret_msg":"error:handler not found,topic:orderbook.1.NOPEUSDT",'
        b'"req_id":"6","op":"subscribe"}',
        Refusal(
            "error:handler not found,topic:orderbook.1.NOPEUSDT",
            "6",
            ("orderbook.1.NOPEUSDT",),
            meaning=TOPICS,
        ),
    ),
    (
        "bybit-spot",
        b'{"success":false,"ret_msg":"Invalid symbol :[orderbook.1.NOPEUSDT]","op":"subscribe"}',
        Refusal(
            "Invalid symbol :[orderbook.1.NOPEUSDT]",
            "",
            ("orderbook.1.NOPEUSDT",),
            meaning=TOPICS,
        ),
    ),
    (
        "bybit-spot",
        b'{"success":false,"ret_msg":"Invalid topic: orderbook.1.A, orderbook.1.B",'
        b'"op":"subscribe"}',
        Refusal(
            "Invalid topic: orderbook.1.A, orderbook.1.B",
            "",
            ("orderbook.1.A", "orderbook.1.B"),
            meaning=TOPICS,
        ),
    ),
    (
        "bybit-futures",
        b'{"success":false,"ret_msg":"error:already subscribed,topic:orderbook.1.BTCUSDT",'
        b'"req_id":"8","op":"subscribe"}',
        Refusal(
            "error:already subscribed,topic:orderbook.1.BTCUSDT",
            "8",
            accepted=("orderbook.1.BTCUSDT",),
            meaning=TOPICS,
        ),
    ),
    (
        "bybit-spot",
        b'{"success":false,"ret_msg":"args size >10","req_id":"8","op":"subscribe"}',
        Refusal("args size >10", "8", meaning=REQUEST),
    ),
    (
        "mexc-spot",
        f'{{"id":0,"code":0,"msg":"{MEXC_TOPIC}AUSDT,{MEXC_TOPIC}BUSDT"}}'.encode(),
        Ack("", (f"{MEXC_TOPIC}AUSDT", f"{MEXC_TOPIC}BUSDT")),
    ),
    ("mexc-spot", b'{"id":0,"code":0,"msg":"PONG"}', Pong()),
    (
        "mexc-spot",
        f'{{"id":0,"code":0,"msg":"Subscribed successful! [{MEXC_TOPIC}AUSDT].  Not Subscribed '
        f'successfully! [{MEXC_TOPIC}BUSDT,{MEXC_TOPIC}CUSDT].  Reason： Blocked! "}}'.encode(),
        Refusal(
            f"Subscribed successful! [{MEXC_TOPIC}AUSDT].  Not Subscribed successfully! "
            f"[{MEXC_TOPIC}BUSDT,{MEXC_TOPIC}CUSDT].  Reason： Blocked!",
            "",
            (f"{MEXC_TOPIC}BUSDT", f"{MEXC_TOPIC}CUSDT"),
            (f"{MEXC_TOPIC}AUSDT",),
            Meaning("passing", tries=4),
        ),
    ),
    ("mexc-spot", b'{"id":0,"code":0,"msg":"no such thing"}', Refusal("no such thing")),
    ("mexc-spot", b'{"id":0,"code":1,"msg":"bad json"}', Refusal("1: bad json")),
    (
        "mexc-futures",
        b'{"channel":"rs.sub.depth.full","data":"success","ts":1}',
        Ack(subscribes=True),
    ),
    (
        "mexc-futures",
        b'{"channel":"rs.unsub.depth.full","data":"success","ts":"1"}',
        Ack(subscribes=False),
    ),
    (
        "mexc-futures",
        b'{"channel":"rs.error","data":"Requests are too frequent","ts":1}',
        Refusal("Requests are too frequent", meaning=LIMITED),
    ),
    (
        "mexc-futures",
        b'{"channel":"rs.error","data":"Contract [NOPE_USDT] not exists","ts":1}',
        Refusal("Contract [NOPE_USDT] not exists", "", ("NOPE_USDT",), meaning=TOPICS),
    ),
    (
        "mexc-futures",
        b'{"channel":"rs.error","data":"Contract doesn\'t exist!","ts":"1"}',
        Refusal("Contract doesn't exist!", meaning=TOPICS),
    ),
    ("mexc-futures", b'{"channel":"pong","data":1587453241453}', Pong()),
    ("mexc-futures", b'{"channel":"pong","data":1,"ts":1}', Pong()),
    ("okx-spot", b"pong", Pong()),
    (
        "okx-spot",
        b'{"id":"3","event":"subscribe","arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},'
        b'"connId":"a"}',
        Ack("3", ("bbo-tbt:BTC-USDT",), True),
    ),
    (
        "okx-futures",
        b'{"event":"unsubscribe","arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"}}',
        Ack("", ("bbo-tbt:BTC-USDT-SWAP",), False),
    ),
    (
        "okx-spot",
        b'{"event":"error","code":"60018","msg":"Wrong URL or channel:bbo-tbt,instId:NO-USDT '
        b'doesn\'t exist","connId":"a"}',
        Refusal(
            "60018: Wrong URL or channel:bbo-tbt,instId:NO-USDT doesn't exist",
            "",
            ("bbo-tbt:NO-USDT",),
            meaning=TOPICS,
        ),
    ),
    (
        "okx-spot",
        OKX_DOUBLE_QUOTE,
        Refusal('60012: Invalid request: {"op": "subscribe"}', "4", meaning=REQUEST),
    ),
    (
        "okx-spot",
        b'{"id":"7","event":"error","code":"60014","msg":"Requests too frequent","connId":"a"}',
        Refusal("60014: Requests too frequent", "7", meaning=LIMITED),
    ),
    (
        "bybit-spot",
        b'{"reqId":"7","retCode":10016,"retMsg":"Service is restarting","op":"subscribe"}',
        Refusal("10016: Service is restarting", "7", meaning=BUSY),
    ),
    (
        "bybit-futures",
        b'{"success":false,"ret_msg":"Too many visits!","ret_code":10006,"req_id":"7",'
        b'"op":"subscribe"}',
        Refusal("10006: Too many visits!", "7", meaning=LIMITED),
    ),
    (
        "bybit-spot",
        b'{"success":true,"ret_msg":"","conn_id":"c","req_id":"5","op":"unsubscribe"}',
        Ack("5", subscribes=False),
    ),
    (
        "okx-futures",
        b'{"event":"notice","code":"64008","msg":"upgrade","connId":"a"}',
        Event("64008: upgrade", restart=True),
    ),
    (
        "okx-futures",
        b'{"event":"notice","code":"64009","msg":"else","connId":"a"}',
        Event("64009: else"),
    ),
    (
        "okx-futures",
        b'{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"a"}',
        Event("channel-conn-count"),
    ),
    (
        "gate-spot",
        b'{"time":1,"time_ms":1001,"id":7,"conn_id":"c","channel":"spot.book_ticker",'
        b'"event":"subscribe","payload":["BTC_USDT"],"result":{"status":"success"}}',
        Ack("7", ("BTC_USDT",), True),
    ),
    (
        "gate-futures",
        b'{"time":1,"time_ms":1001,"id":8,"channel":"futures.book_ticker","event":"unsubscribe",'
        b'"payload":["BTC_USDT"],"error":null,"result":{"status":"success"}}',
        Ack("8", ("BTC_USDT",), False),
    ),
    (
        "gate-futures",
        b'{"time":1,"id":8,"channel":"futures.book_ticker","event":"subscribe","payload":'
        b'["BTC_USDT","NOPE_USDT"],"error":{"code":2,"message":"unknown currency pair NOPE_USDT"},'
        b'"result":{"status":"fail"}}',
        Refusal("2: unknown currency pair NOPE_USDT", "8", ("NOPE_USDT",), meaning=TOPICS),
    ),
    (
        "gate-spot",
        b'{"time":1,"channel":"","event":"","error":{"code":1,"message":"request payload does not '
        b'follow json schema"},"result":null}',
        Refusal("1: request payload does not follow json schema", meaning=REQUEST),
    ),
    (
        "gate-spot",
        b'{"time":1,"id":7,"channel":"spot.book_ticker","event":"subscribe","error":{"code":3,'
        b'"message":"internal"},"result":{"status":"fail"}}',
        Refusal("3: internal", "7", meaning=BUSY),
    ),
    (
        "gate-spot",
        b'{"time":1,"time_ms":1001,"channel":"spot.pong","event":"","result":null}',
        Pong(),
    ),
    (
        "gate-futures",
        b'{"time":1,"channel":"futures.system","event":"update","result":{"type":"upgrade",'
        b'"msg":"reconnect please"}}',
        Event("upgrade", restart=True),
    ),
    (
        "gate-spot",
        b'{"time":1,"channel":"spot.system","event":"upgrade","result":null}',
        Event("upgrade", restart=True),
    ),
    (
        "gate-futures",
        b'{"time":1,"channel":"futures.system","event":"update","result":{"type":'
        b'"outdated_sbe_schema_id","msg":"x"}}',
        Event("outdated_sbe_schema_id"),
    ),
]


@pytest.mark.parametrize(("source", "frame", "expected"), CONTROLS)
def test_classify(source, frame, expected):
    got = VENUES[source].classify(frame)
    assert expected == got
    assert type(expected) is type(got)  # named tuples of two kinds may be equal
    assert got  # and one without fields must not pass for nothing
    assert ReferenceDecoder(VENUES[source].schema).decode(frame) is None


@each_venue
def test_acks_and_refusals_name_topics_as_topic_does(venue):
    named = [
        topic
        for source, frame, expected in CONTROLS
        if source.partition("-")[0] == venue.spec.exchange
        and isinstance(expected, Ack | Refusal)
        and VENUES[source] is venue
        for topic in expected.topics
    ]
    ours = {"btcusdt@bookTicker"} if venue.spec.exchange == "binance" else set(named)
    symbols = ["BTCUSDT", "NOPEUSDT", "A", "B", "AUSDT", "BUSDT", "CUSDT", "NOPE_USDT"]
    symbols += ["BTC-USDT", "NO-USDT", "BTC-USDT-SWAP", "BTC_USDT"]
    assert ours <= {venue.topic(s) for s in symbols}
    assert ours


@each_venue
def test_a_quote_is_no_control_message(venue):
    frame = venue.render(book_of(venue))
    assert venue.classify(frame) is None


OTHER = {
    "binance-spot": b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT","u":1}}',
    "binance-futures": b'{"stream":"!contractInfo","data":{"e":"contractInfo","s":"A"}}',
    "bybit-spot": b'{"topic":"orderbook.50.BTCUSDT","type":"delta","data":{"b":[],"a":[],"u":1}}',
    "bybit-futures": b'{"topic":"tickers.BTCUSDT","type":"delta","data":{"symbol":"BTCUSDT"}}',
    "mexc-spot": b"\x0a\x2espot@public.aggre.deals.v3.api.pb@10ms@BTCUSDT",
    "mexc-futures": b'{"symbol":"BTC_USDT","data":{"price":1},"channel":"push.fair.price"}',
    "okx-spot": b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[]}',
    "okx-futures": b'{"arg":{"channel":"books","instId":"BTC-USDT-SWAP"},"data":[{"asks":[]}]}',
    "gate-spot": b'{"time":1,"channel":"spot.tickers","event":"update","result":{"s":"BTC_USDT"}}',
    "gate-futures": b'{"channel":"futures.trades","event":"update","result":[{"size":1}]}',
}


@each_venue
def test_another_channel_is_neither_quote_nor_control_nor_garbage(venue):
    frame = OTHER[venue.name]
    assert ReferenceDecoder(venue.schema).decode(frame) is None
    assert venue.classify(frame) is None
    assert "other_channel" == decline_reason(venue, frame)


@each_venue
@pytest.mark.parametrize("frame", [b"", b"pong?", b"[1]", b"\xff\xfe\x00", b'{"a":', b"null", b"1"])
def test_garbage_is_a_bad_frame(venue, frame):
    assert ReferenceDecoder(venue.schema).decode(frame) is None
    assert venue.classify(frame) is None
    assert "bad_frame" == decline_reason(venue, frame)


@each_venue
def test_classify_takes_any_bytes(venue):
    rng = random.Random(20261120)
    own = [frame for source, frame, _ in CONTROLS if source == venue.name] + [OTHER[venue.name]]
    odd = ["null", "true", "[]", "{}", "1.5", '"x"', "[[[1]]]", '{"e":{}}', "-1", '"\\u0000"']
    seen = set()
    for frame in own:
        for _ in range(300):
            mutated = bytearray(frame)
            for _ in range(rng.randrange(1, 4)):
                at = rng.randrange(len(mutated))
                mutated[at : at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
                mutated = mutated or bytearray(b"x")
            seen.add(type(venue.classify(bytes(mutated))))
        try:
            message = json.loads(frame)
        except ValueError:
            continue
        for key in list(message):
            for value in odd:
                swapped = message | {key: json.loads(value)}
                seen.add(type(venue.classify(json.dumps(swapped).encode())))
    for _ in range(300):
        seen.add(type(venue.classify(rng.randbytes(rng.randrange(60)))))
    venue.classify(b"[" * 100_000)
    venue.classify(b'{"a":' * 100_000)
    assert {Ack, Refusal, Pong, Event, type(None)} >= seen
    assert type(None) in seen


# ---- what we render ----------------------------------------------------------------------

RENDERED = {
    "binance-spot": b'{"stream":"btcusdt@bookTicker","data":{"u":31398762,"s":"BTCUSDT",'
    b'"b":"63561.5","B":"1.776","a":"63561.6","A":"4.848"}}',
    "binance-futures": b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","u":31398762,'
    b'"s":"BTCUSDT","ps":"BTCUSDT","b":"63561.5","B":"1.776","a":"63561.6","A":"4.848",'
    b'"T":1786659828107,"E":1786659828107,"st":1}}',
    "bybit": b'{"topic":"orderbook.1.BTCUSDT","ts":1786659828107,"type":"snapshot","data":'
    b'{"s":"BTCUSDT","b":[["63561.5","1.776"]],"a":[["63561.6","4.848"]],"u":31398762,'
    b'"seq":31398762},"cts":1786659828107}',
    "mexc-futures": b'{"symbol":"BTC_USDT","data":{"cts":1786659828107,"asks":[[63561.6,4.848,1]],'
    b'"bids":[[63561.5,1.776,1]],"version":31398762},"channel":"push.depth.full",'
    b'"ts":1786659828107}',
    "okx-spot": b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":'
    b'[["63561.6","4.848","0","1"]],"bids":[["63561.5","1.776","0","1"]],'
    b'"ts":"1786659828107","seqId":31398762}]}',
    "okx-futures": b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT-SWAP"},"data":[{"asks":'
    b'[["63561.6","4.848","0","1"]],"bids":[["63561.5","1.776","0","1"]],'
    b'"ts":"1786659828107","seqId":31398762}]}',
    "mexc-spot": b"\x0a\x33spot@public.aggre.bookTicker.v3.api.pb@10ms@BTCUSDT\x1a\x07BTCUSDT"
    b"\x30\x8b\xe3\xe5\xe9\xff\x33\xda\x13\x31\x0a\x0763561.5\x12\x051.776\x1a\x0763561.6"
    b"\x22\x054.848\x2a\x0831398762\x30\x8b\xe3\xe5\xe9\xff\x33",
    **{
        f"gate-{market}": b'{"time":1786659828,"time_ms":1786659828107,"channel":"%s.book_ticker",'
        b'"event":"update","result":{"t":1786659828107,"u":31398762,"s":"BTC_USDT","b":"63561.5",'
        b'"B":"1.776","a":"63561.6","A":"4.848"}}' % market.encode()
        for market in ("spot", "futures")
    },
}


@each_venue
def test_render_is_the_frame_the_venue_sends(venue):
    expected = RENDERED.get(venue.name) or RENDERED[venue.spec.exchange]
    assert expected == venue.render(book_of(venue))


@each_venue
def test_decode_of_a_frame_written_by_hand(venue):
    frame = RENDERED.get(venue.name) or RENDERED[venue.spec.exchange]
    assert [book_of(venue)] == ReferenceDecoder(venue.schema).decode(frame)


@each_venue
def test_small_and_large_numbers_are_rendered_without_exponent(venue):
    book = book_of(venue)._replace(bid_px=1e-9, ask_px=2e-9, bid_qty=1e22, ask_qty=5e-7)
    frame = venue.render(book)
    assert b"0.000000001" in frame
    assert b"10000000000000000000000" in frame
    assert [book] == ReferenceDecoder(venue.schema).decode(frame)


@each_venue
def test_symbols_need_not_be_ascii(venue):
    symbol = "币安人生USDT"
    frame = venue.subscribe([symbol], 1)
    # Binance takes stream names in lower case.
    assert (symbol.lower() if venue.spec.exchange == "binance" else symbol) in frame
    book = book_of(venue)._replace(symbol=symbol)
    assert [book] == ReferenceDecoder(venue.schema).decode(venue.render(book))


@each_venue
def test_a_missing_side_is_rendered_and_read_back(venue):
    book = book_of(venue)._replace(ask_px=math.nan, ask_qty=math.nan)
    (got,) = ReferenceDecoder(venue.schema).decode(venue.render(book))
    assert (63561.5, 1.776) == (got.bid_px, got.bid_qty)
    assert math.isnan(got.ask_px)
    assert math.isnan(got.ask_qty)


@each_venue
def test_what_a_venue_may_lack_is_left_out(venue):
    book = book_of(venue)._replace(venue_ns=0, update_id=-1)
    frame = venue.render(book)
    if venue.name == "mexc-spot":
        assert b"\x30\x00" in frame  # sendTime 0 is no time
    else:
        assert b"-1" not in frame
        assert b'"ts"' not in frame
    assert [book] == ReferenceDecoder(venue.schema).decode(frame)


# ---- numbers and names -------------------------------------------------------------------


NO_MULTIPLES = """1INCH 1CAT 1DOLLAR 100X 10SET 0G 42 2Z 1000 1000000 100042 1M 2M 0X0 4 BTC
币安人生 我踏马来了 A8 IQ50 LUNA LUNC LUNA21 SPX6900 B2 C98 X2Y2 H2O100 A100 BTC2000
X11000 RATS10 2000PEPE 10PEPE 0001000X"""


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("1000PEPE", ("PEPE", 1000.0)),
        ("10000SATS", ("SATS", 10_000.0)),
        ("1000000MOG", ("MOG", 1_000_000.0)),
        ("1MBABYDOGE", ("BABYDOGE", 1_000_000.0)),
        ("100000PEIPEI", ("PEIPEI", 1e5)),
        ("10000000AIDOGE", ("AIDOGE", 1e7)),
        ("100000000X", ("X", 1e8)),
        ("1000000000X", ("X", 1e9)),
        ("10000000000X", ("10000000000X", 1.0)),  # more than anyone would list
        ("1000币安人生", ("币安人生", 1e3)),
        ("1M币安", ("币安", 1e6)),
        ("10001INCH", ("1INCH", 1e3)),
        ("1000IQ50", ("IQ50", 1e3)),
        ("1000x", ("x", 1e3)),
        ("SHIB1000", ("SHIB", 1000.0)),
        ("币1000000", ("币", 1e6)),
        ("LUNA2", ("LUNA", 1.0)),
        *((name, (name, 1.0)) for name in NO_MULTIPLES.split()),
    ],
)
def test_multipliers(listed, expected):
    assert expected == split_multiplier(listed)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(76745.18, "76745.18"), (2.0, "2"), (1e-9, "0.000000001"), (1e16, "1" + "0" * 16)],
)
def test_decimal_text(value, expected):
    assert expected == decimal_text(value)


# ---- instruments -------------------------------------------------------------------------

BINANCE_FILTERS = [
    {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00002"},
    {"filterType": "NOTIONAL", "minNotional": "5.0"},
    {"filterType": "MIN_NOTIONAL", "notional": "100"},
]
ROWS = {
    "binance-spot": {
        "symbol": "PEPEUSDT",
        "status": "TRADING",
        "baseAsset": "PEPE",
        "quoteAsset": "USDT",
        "isSpotTradingAllowed": True,
        "filters": BINANCE_FILTERS[:3],
    },
    "binance-futures": {
        "symbol": "1000PEPEUSDT",
        "contractType": "PERPETUAL",
        "status": "TRADING",
        "baseAsset": "1000PEPE",
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "underlyingType": "COIN",
        "filters": [BINANCE_FILTERS[0], BINANCE_FILTERS[1], BINANCE_FILTERS[3]],
    },
    "bybit-spot": {
        "symbol": "PEPEUSDT",
        "baseCoin": "PEPE",
        "quoteCoin": "USDT",
        "status": "Trading",
        "symbolType": "innovation",
        "lotSizeFilter": {
            "basePrecision": "0.00002",
            "minOrderQty": "0.00001",
            "maxOrderQty": "1",
            "maxLimitOrderQty": "9000",
            "minOrderAmt": "5",
        },
        "priceFilter": {"tickSize": "0.01"},
    },
    "bybit-futures": {
        "symbol": "1000PEPEUSDT",
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": "1000PEPE",
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "symbolType": "",
        "lotSizeFilter": {
            "qtyStep": "0.00002",
            "minOrderQty": "0.00001",
            "maxOrderQty": "9000",
            "minNotionalValue": "100",
        },
        "priceFilter": {"tickSize": "0.01"},
    },
    "mexc-spot": {
        "symbol": "PEPEUSDT",
        "status": "1",
        "baseAsset": "PEPE",
        "baseAssetPrecision": 5,
        "quoteAsset": "USDT",
        "quotePrecision": 2,
        "quoteAssetPrecision": 2,
        "isSpotTradingAllowed": True,
        "baseSizePrecision": "0.00001",
        "quoteAmountPrecision": "5",
        "tradeSideType": 1,
        "fullName": "Pepe",
    },
    "mexc-futures": {
        "symbol": "PEPE_USDT",
        "baseCoin": "PEPE",
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "futureType": 1,
        "contractSize": 10000000,
        "priceUnit": 0.01,
        "volUnit": 1,
        "minVol": 2,
        "maxVol": 8000,
        "limitMaxVol": 9000,
        "state": 0,
        "isHidden": False,
        "apiAllowed": True,
        "conceptPlate": ["mc-trade-zone-pow"],
    },
    "okx-spot": {
        "instType": "SPOT",
        "instId": "PEPE-USDT",
        "baseCcy": "PEPE",
        "quoteCcy": "USDT",
        "state": "live",
        "tickSz": "0.01",
        "lotSz": "0.00002",
        "minSz": "0.00001",
        "maxLmtSz": "9000",
        "ruleType": "normal",
        "instCategory": "1",
    },
    "okx-futures": {
        "instType": "SWAP",
        "instId": "PEPE-USDT-SWAP",
        "baseCcy": "",
        "quoteCcy": "",
        "uly": "PEPE-USDT",
        "instFamily": "PEPE-USDT",
        "settleCcy": "USDT",
        "ctType": "linear",
        "ctVal": "5000000",
        "ctMult": "2",
        "ctValCcy": "PEPE",
        "state": "live",
        "tickSz": "0.01",
        "lotSz": "0.00002",
        "minSz": "0.00001",
        "maxLmtSz": "9000",
        "ruleType": "normal",
        "instCategory": "1",
    },
    "gate-spot": {
        "id": "PEPE_USDT",
        "base": "PEPE",
        "base_name": "Pepe",
        "quote": "USDT",
        "min_base_amount": "0.00001",
        "min_quote_amount": "3",
        "max_base_amount": "9000",
        "amount_precision": 5,
        "precision": 2,
        "trade_status": "tradable",
        "type": "normal",
    },
    "gate-futures": {
        "name": "PEPE_USDT",
        "type": "direct",
        "quanto_multiplier": "10000000",
        "status": "trading",
        "in_delisting": False,
        "is_pre_market": False,
        "contract_type": "",
        "order_price_round": "0.01",
        "order_size_min": "0.1",
        "order_size_max": "9000",
        "enable_decimal": True,
    },
}
# tick, lot_step, min_qty, max_qty, min_notional
NUMBERS = {
    "binance-spot": (0.01, 0.00002, 0.00001, 9000.0, 5.0),
    "binance-futures": (0.01, 0.00002, 0.00001, 9000.0, 100.0),
    "bybit-spot": (0.01, 0.00002, 0.00001, 9000.0, 5.0),
    "bybit-futures": (0.01, 0.00002, 0.00001, 9000.0, 100.0),
    "mexc-spot": (0.01, 0.00001, 0.00001, 0.0, 5.0),
    "mexc-futures": (0.01, 1.0, 2.0, 9000.0, 0.0),
    "okx-spot": (0.01, 0.00002, 0.00001, 9000.0, 0.0),
    "okx-futures": (0.01, 0.00002, 0.00001, 9000.0, 0.0),
    "gate-spot": (0.01, 0.00001, 0.00001, 9000.0, 3.0),
    "gate-futures": (0.01, 0.1, 0.1, 9000.0, 0.0),
}
CONTRACT_SIZE = {"mexc-futures": 1e7, "okx-futures": 1e7, "gate-futures": 1e7}


def page_of(venue, rows, quotes=("USDT",)):
    body = {
        "binance": {"symbols": rows},
        "bybit": {"retCode": 0, "retMsg": "OK", "result": {"list": rows}},
        "mexc": {"symbols": rows}
        if venue.spec.kind == "spot"
        else {"success": True, "code": 0, "data": rows},
        "okx": {"code": "0", "data": rows, "msg": ""},
        "gate": rows,
    }[venue.spec.exchange]
    return venue.instruments(json.dumps(body).encode()).of(quotes)


@each_venue
def test_every_field_of_an_instrument(venue):
    row = ROWS[venue.name]
    page = page_of(venue, [row])
    assert {} == page.skipped
    (got,) = page.instruments
    listed = "1000PEPE" if venue.name in ("binance-futures", "bybit-futures") else "PEPE"
    assert (row[NAME_KEYS[venue.name][0]], "PEPE", listed, "USDT", "PEPE-USDT") == (
        got.venue_symbol,
        got.base,
        got.listed_base,
        got.quote,
        got.symbol,
    )
    assert (CONTRACT_SIZE.get(venue.name, 1.0), 1000.0 if listed != "PEPE" else 1.0) == (
        got.contract_size,
        got.multiplier,
    )
    assert NUMBERS[venue.name] == pytest.approx(
        (got.tick, got.lot_step, got.min_qty, got.max_qty, got.min_notional), rel=1e-12
    )
    assert got.api_tradable is True


SKIPS = [
    ("binance-spot", {"quoteAsset": "USD1"}, "other_quote"),
    ("binance-spot", {"status": "BREAK"}, "not_trading"),
    ("binance-spot", {"status": "CANCEL_ONLY"}, "not_trading"),
    ("binance-spot", {"isSpotTradingAllowed": False}, "spot_not_allowed"),
    ("binance-spot", {"symbol": None}, "missing_field"),
    ("binance-futures", {"marginAsset": "USDC"}, "other_quote"),
    ("binance-futures", {"quoteAsset": "USD1"}, "other_quote"),
    ("binance-futures", {"status": "SETTLING"}, "not_trading"),
    ("binance-futures", {"contractType": "CURRENT_QUARTER DELIVERING"}, "not_perpetual"),
    ("binance-futures", {"contractType": "", "status": "PENDING_TRADING"}, "not_trading"),
    ("binance-futures", {"contractType": "TRADIFI_PERPETUAL"}, "tradfi"),
    ("binance-futures", {"underlyingType": "INDEX"}, "index"),
    ("binance-futures", {"underlyingType": "PREMARKET"}, "pre_market"),
    ("binance-futures", {"underlyingType": "KR_EQUITY"}, "tradfi"),
    ("bybit-spot", {"quoteCoin": "USD1"}, "other_quote"),
    ("bybit-spot", {"status": "PreLaunch"}, "pre_market"),
    ("bybit-spot", {"status": "Closed"}, "delisted"),
    ("bybit-spot", {"symbolType": "xstocks", "xstockMultiplier": "0.1"}, "tokenised_stock"),
    ("bybit-spot", {"symbolType": "something new"}, "unknown_symbol_type"),
    ("bybit-spot", {"baseCoin": ""}, "missing_field"),
    ("bybit-futures", {"contractType": "LinearFutures"}, "not_perpetual"),
    ("bybit-futures", {"settleCoin": "USDC"}, "other_quote"),
    ("bybit-futures", {"isPreListing": True}, "pre_market"),
    ("bybit-futures", {"symbolType": "commodity"}, "tradfi"),
    ("mexc-spot", {"status": "2"}, "not_trading"),
    ("mexc-spot", {"tradeSideType": 4}, "not_trading"),
    ("mexc-spot", {"quoteAsset": "USD1"}, "other_quote"),
    ("mexc-spot", {"fullName": "Apple xStock"}, "tokenised_stock"),
    ("mexc-spot", {"conceptPlates": ["mc-trade-zone-Stock"]}, "tokenised_stock"),
    ("mexc-futures", {"state": 4}, "not_trading"),
    ("mexc-futures", {"isHidden": True}, "hidden"),
    ("mexc-futures", {"futureType": 2}, "not_perpetual"),
    ("mexc-futures", {"quoteCoin": "USD", "settleCoin": "BTC"}, "other_quote"),
    ("mexc-futures", {"settleCoin": "USDC"}, "other_quote"),
    ("mexc-futures", {"contractSize": None}, "missing_field"),
    ("mexc-futures", {"contractSize": "nan"}, "missing_field"),
    ("mexc-futures", {"conceptPlate": ["mc-trade-zone-tradfi"]}, "tradfi"),
    ("okx-spot", {"state": "preopen"}, "not_trading"),
    ("okx-spot", {"quoteCcy": "USD1"}, "other_quote"),
    ("okx-spot", {"instId": "LISTING-SPOT-XXX-USDT", "baseCcy": ""}, "missing_field"),
    ("okx-spot", {"ruleType": "pre_market"}, "pre_market"),
    ("okx-spot", {"instCategory": "3"}, "tradfi"),
    ("okx-futures", {"state": "post_only"}, "not_trading"),
    ("okx-futures", {"ctType": "inverse", "ctValCcy": "USD"}, "inverse"),
    ("okx-futures", {"settleCcy": "USDC"}, "other_quote"),
    ("okx-futures", {"uly": "PEPE-USD_UM"}, "other_quote"),
    ("okx-futures", {"ctVal": ""}, "missing_field"),
    ("okx-futures", {"ctMult": "0"}, "missing_field"),
    ("okx-futures", {"ctValCcy": "USDT"}, "odd_contract"),
    ("okx-futures", {"ruleType": "rebase_contract"}, "rebase"),
    ("okx-futures", {"instType": "FUTURES"}, "not_perpetual"),
    ("gate-spot", {"quote": "USD1"}, "other_quote"),
    ("gate-spot", {"trade_status": "untradable"}, "not_trading"),
    ("gate-spot", {"trade_status": "sellable", "buy_start": 1_790_000_000}, "not_trading"),
    ("gate-spot", {"type": "premarket"}, "pre_market"),
    ("gate-spot", {"base": "PEPE3L", "id": "PEPE3L_USDT"}, "leveraged_token"),
    ("gate-spot", {"base": "PEPEBEAR", "id": "PEPEBEAR_USDT"}, "leveraged_token"),
    ("gate-spot", {"base_name": "Apple xStock"}, "tokenised_stock"),
    ("gate-spot", {"base_name": "Tesla Ondo Tokenized Stock"}, "tokenised_stock"),
    ("gate-futures", {"type": "inverse", "quanto_multiplier": "0"}, "inverse"),
    ("gate-futures", {"name": "PEPE_USD1"}, "other_quote"),
    ("gate-futures", {"name": "PEPE_USDC"}, "other_quote"),  # settled in USDT, by its path
    ("gate-futures", {"name": "_USDT"}, "missing_field"),
    ("gate-futures", {"in_delisting": True}, "delisted"),
    ("gate-futures", {"status": "delisting"}, "delisted"),
    ("gate-futures", {"status": "circuit_breaker"}, "not_trading"),
    ("gate-futures", {"status": "something new"}, "unknown_status"),
    ("gate-futures", {"is_pre_market": True}, "pre_market"),
    ("gate-futures", {"contract_type": "stocks"}, "tradfi"),
    ("gate-futures", {"quanto_multiplier": "0"}, "missing_field"),
]


@pytest.mark.parametrize(("source", "change", "reason"), SKIPS)
def test_rows_left_out_are_counted_by_reason(source, change, reason):
    venue = VENUES[source]
    page = page_of(venue, [ROWS[source] | change, ROWS[source]])
    assert {reason: 1} == page.skipped
    assert ["PEPE-USDT"] == [i.symbol for i in page.instruments]


# How each lists a coin against USDC. Bybit calls the perpetual BTCPERP (list of 2026-10-08), OKX's
# family and settlement name the currency (its own table, 2025-08), Gate has no such perpetual.
IN_USDC = {
    "binance-spot": {"symbol": "PEPEUSDC", "quoteAsset": "USDC"},
    "binance-futures": {"symbol": "1000PEPEUSDC", "quoteAsset": "USDC", "marginAsset": "USDC"},
    "bybit-spot": {"symbol": "PEPEUSDC", "quoteCoin": "USDC"},
    "bybit-futures": {"symbol": "1000PEPEPERP", "quoteCoin": "USDC", "settleCoin": "USDC"},
    "mexc-spot": {"symbol": "PEPEUSDC", "quoteAsset": "USDC"},
    "mexc-futures": {
        "symbol": "PEPE_USDC", "quoteCoin": "USDC", "settleCoin": "USDC", "contractSize": 1000000,
    },
    "okx-spot": {"instId": "PEPE-USDC", "quoteCcy": "USDC"},
    "okx-futures": {
        "instId": "PEPE-USDC-SWAP", "uly": "PEPE-USDC", "instFamily": "PEPE-USDC",
        "settleCcy": "USDC", "ctVal": "1000000", "ctMult": "1",
    },
    "gate-spot": {"id": "PEPE_USDC", "quote": "USDC"},
}  # fmt: skip


@pytest.mark.parametrize("source", IN_USDC)
def test_a_pair_in_usdc_is_read_as_one_in_usdt_is(source):
    venue, key = VENUES[source], NAME_KEYS[source][0]
    row = ROWS[source] | IN_USDC[source]
    page = page_of(venue, [ROWS[source], row], ("USDC",))
    (got,) = page.instruments
    assert {"other_quote": 1} == page.skipped
    assert {ROWS[source][key]: "other_quote"} == page.left_out
    both = page_of(venue, [ROWS[source], row], ("USDT", "USDC"))
    assert ["PEPE-USDT", "PEPE-USDC"] == [i.symbol for i in both.instruments]
    other = {"venue_symbol": row[key], "quote": "USDC"}
    if source in CONTRACT_SIZE:
        other["contract_size"] = 1e6
    assert msgspec.structs.replace(both.instruments[0], **other) == got
    book = Book(got.venue_symbol, 1.5, 2.0, 1.75, 3.0, 0, 7)
    (seen,) = ReferenceDecoder(venue.schema).decode(venue.render(book))
    assert book[:5] == seen[:5]


@pytest.mark.parametrize("source", IN_USDC)
def test_halts_are_counted_by_quote_currency(source):
    venue, key = VENUES[source], NAME_KEYS[source][0]
    usdt, usdc = ROWS[source], ROWS[source] | IN_USDC[source]
    said = (change for name, change, why in SKIPS if (name, why) == (source, "not_trading"))
    halted = next(said, {"status": "Delivering"})  # of Bybit, which lists few that do not trade
    page = page_of(venue, [usdt, usdc | halted], ("USDT", "USDC"))
    assert ({"USDC": 1}, {"not_trading": 1}) == (page.halts(), page.skipped)
    page = page.of(("USDT",))
    assert ({}, {"other_quote": 1}) == (page.halts(), page.skipped)
    assert ({usdc[key]: "other_quote"}, 2) == (page.left_out, page.n_rows)


@pytest.mark.parametrize(
    ("source", "change", "said"),
    [
        ("binance-spot", {"quoteAsset": None}, {"PEPEUSDT": "missing_field: quoteAsset"}),
        ("binance-futures", {"status": ""}, {"1000PEPEUSDT": "missing_field: status"}),
        ("bybit-spot", {"baseCoin": 7}, {"PEPEUSDT": "missing_field: baseCoin"}),
        ("bybit-futures", {"symbol": "A B"}, {"row 1": "missing_field: symbol"}),
        ("mexc-spot", {"baseAsset": ""}, {"PEPEUSDT": "missing_field: baseAsset"}),
        ("mexc-futures", {"contractSize": -1}, {"PEPE_USDT": "missing_field: contractSize"}),
        ("okx-spot", {"state": None}, {"PEPE-USDT": "missing_field: state"}),
        ("okx-futures", {"ctVal": ""}, {"PEPE-USDT-SWAP": "missing_field: ctVal or ctMult"}),
        ("gate-spot", {"trade_status": None}, {"PEPE_USDT": "missing_field: trade_status"}),
        ("gate-futures", {"name": "A B"}, {"row 1": "missing_field: name"}),
        (
            "gate-futures",
            {"quanto_multiplier": ""},
            {"PEPE_USDT": "missing_field: quanto_multiplier"},
        ),
        ("okx-futures", {"status": "anything", "new": [1]}, {}),  # unknown fields are ignored
        ("okx-futures", {"state": "anything"}, {}),  # and a new value is no missing one
    ],
)
def test_a_row_that_lacks_something_is_named(source, change, said):
    other = {"symbol": "OTHERUSDT", "instId": "OTHER-USDT", "id": "OTHER_USDT", "name": "O_USDT"}
    page = page_of(VENUES[source], [ROWS[source] | other, ROWS[source] | change])
    assert said == page.incomplete


def test_a_row_that_is_none_is_named_by_its_number():
    page = page_of(VENUES["okx-spot"], [ROWS["okx-spot"], 7, None])
    why = "missing_field: it is no object"
    assert {"row 1": why, "row 2": why} == page.incomplete


@pytest.mark.parametrize(
    ("source", "field"),
    [("mexc-spot", "status"), ("mexc-spot", "quoteAsset"), ("mexc-futures", "state")],
)
def test_a_field_that_is_not_there_is_not_a_value_that_says_no(source, field):
    row = {key: value for key, value in ROWS[source].items() if key != field}
    page = page_of(VENUES[source], [row])
    assert {"missing_field": 1} == page.skipped
    assert field in page.incomplete[row["symbol"]]


NAME_KEYS = {
    "binance-spot": ("symbol", "baseAsset"),
    "binance-futures": ("symbol", "baseAsset"),
    "bybit-spot": ("symbol", "baseCoin"),
    "bybit-futures": ("symbol", "baseCoin"),
    "mexc-spot": ("symbol", "baseAsset"),
    "mexc-futures": ("symbol", "baseCoin"),
    "okx-spot": ("instId", "baseCcy"),
    "okx-futures": ("instId", "ctValCcy"),
    "gate-spot": ("id", "base"),
    "gate-futures": ("name",),
}


@each_venue
@pytest.mark.parametrize(
    "name", ["", "A B", 'A"B', "A'B", "A,B", "A\\B", "A\n", "A\u200b", "A\u00a0", "A" * 65, 7]
)
def test_names_that_would_break_a_request_or_a_file_are_left_out(venue, name):
    for key in NAME_KEYS[venue.name]:
        page = page_of(venue, [ROWS[venue.name] | {key: name}])
        assert {"missing_field": 1} == page.skipped


KEEPS = [
    ("mexc-spot", {"isSpotTradingAllowed": False}, False),
    ("mexc-spot", {"tradeSideType": 3}, False),
    ("mexc-spot", {"status": 1}, True),
    ("mexc-spot", {"status": "ENABLED"}, True),
    ("mexc-futures", {"apiAllowed": False}, False),
    ("mexc-futures", {"state": "0", "futureType": "1", "contractSize": "0.01"}, True),
    ("bybit-futures", {"symbolType": "adventure"}, True),
    ("okx-spot", {"instCategory": 1}, True),
    ("gate-spot", {"base": "3L", "id": "3L_USDT"}, True),  # of no coin
    ("gate-futures", {"enable_decimal": False, "order_size_min": 1}, True),
]


@pytest.mark.parametrize(("source", "change", "api_tradable"), KEEPS)
def test_rows_kept(source, change, api_tradable):
    page = page_of(VENUES[source], [ROWS[source] | change])
    assert [api_tradable] == [i.api_tradable for i in page.instruments]


@each_venue
def test_odd_rows_are_skipped_and_never_a_crash(venue):
    row = ROWS[venue.name]
    odd = [None, True, 7, -1.5, "", "x", [], [None], {}, {"filterType": []}, "1e400", "\u0000"]
    rows = [row | {key: value} for key in row for value in odd]
    rows += [{k: v for k, v in row.items() if k != key} for key in row]
    rows += [None, 1, "row", [], {}]
    page = page_of(venue, rows)
    assert len(rows) == len(page.instruments) + sum(page.skipped.values())
    assert page.skipped["missing_field"] >= 5
    for got in page.instruments:
        assert got.contract_size > 0
        assert all(math.isfinite(x) and x >= 0 for x in (got.tick, got.lot_step, got.max_qty))
        texts = (got.tick_text, got.lot_text, got.min_notional_text)
        assert (got.tick, got.lot_step, got.min_notional) == tuple(float(x or 0) for x in texts)


@each_venue
def test_a_symbol_listed_twice_counts_once(venue):
    page = page_of(venue, [ROWS[venue.name], ROWS[venue.name]])
    assert 1 == len(page.instruments)
    assert {"duplicate": 1} == page.skipped


ERRORS = {
    "binance": b'{"code":-1003,"msg":"Too many requests"}',
    "bybit": b'{"retCode":10006,"retMsg":"Too many visits!","result":{}}',
    "mexc-spot": b'{"code":429,"msg":"Too Many Requests"}',
    "mexc-futures": b'{"success":false,"code":510,"message":"Requests are too frequent"}',
    "okx": b'{"code":"50011","msg":"Too Many Requests","data":[]}',
    "gate": b'{"label":"TOO_MANY_REQUESTS","message":"Too many requests"}',
}


@each_venue
def test_a_body_of_too_many_is_a_rate_limit_with_a_wait(venue):
    body = ERRORS.get(venue.name) or ERRORS[venue.spec.exchange]
    with pytest.raises(RateLimited, match=r"(?i)too (many|frequent)|too frequent") as caught:
        venue.instruments(body)
    assert caught.value.after_s >= 1.0


@each_venue
@pytest.mark.parametrize(
    "body", [b"", b"<html>" + b"x" * 100_000, b"[]", b"{}", b"\xff", b"[" * 100_000]
)
def test_a_body_that_is_no_list_is_a_bad_frame_with_a_short_text(venue, body):
    if body == b"[]" and venue.spec.exchange == "gate":  # lists stand bare, and one may be empty
        assert 0 == venue.instruments(body).n_rows
        return
    with pytest.raises(BadFrame) as caught:
        venue.instruments(body)
    assert 200 > len(str(caught.value))
