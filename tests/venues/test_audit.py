"""What the audit asks of each venue, and what the answers say: requests, rows, pushes, maintenance.

Answers are written after recorded ones; test_audit_samples.py reads the recorded themselves.
"""

import json
import math
import random
from urllib.parse import parse_qsl

import pytest

from spreadscan.errors import BadFrame, RateLimited, Refused, VenueDown
from spreadscan.venues import VENUES
from spreadscan.venues.base import Maintenance, StatusChange, Ticker

OURS = (RateLimited, VenueDown, Refused, BadFrame)
MS = 1_789_238_862_168
NS = MS * 1_000_000
NS_MAX = 2**63

each_venue = pytest.mark.parametrize("venue", VENUES.values(), ids=str)

# source: symbol, keys of symbol, bid and ask, further keys of a row; a number is text but for MEXC
BINANCE = ("symbol", "bidPrice", "askPrice")
BYBIT = ("symbol", "bid1Price", "ask1Price")
OKX = ("instId", "bidPx", "askPx")
GATE = ("highest_bid", "lowest_ask")
SIZES = {"bidQty": "5.66862000", "askQty": "3.84780000"}
SHAPES = {
    "binance-spot": ("BTCUSDT", BINANCE, SIZES),
    "binance-futures": ("BTCUSDT", BINANCE, SIZES | {"time": MS, "lastUpdateId": 9132437769237}),
    "bybit-spot": ("BTCUSDT", BYBIT, {"bid1Size": "2", "usdIndexPrice": "20784.12009279"}),
    "bybit-futures": ("BTCUSDT", BYBIT, {"fundingRate": "", "nextFundingTime": "0"}),
    "mexc-spot": ("BTCUSDT", BINANCE, SIZES),
    "mexc-futures": ("BTC_USDT", ("symbol", "bid1", "ask1"), {
        "lastPrice": 83501.5, "maxBidPrice": 91851.6, "minAskPrice": 75151.3, "timestamp": MS,
        "riseFallRates": {"zone": "UTC+8", "r7": None}, "riseFallRatesOfTimezone": [0.1, None],
    }),
    "okx-spot": ("BTC-USDT", OKX, {"instType": "SPOT", "bidSz": "0.28", "ts": str(MS)}),
    "okx-futures": ("BTC-USDT-SWAP", OKX, {"instType": "SWAP", "bidSz": "413", "ts": str(MS)}),
    "gate-spot": ("BTC_USDT", ("currency_pair", *GATE), {"last": "77164", "etf_leverage": ""}),
    "gate-futures": ("BTC_USDT", ("contract", *GATE), {"highest_size": "653.2", "last": "77164"}),
}  # fmt: skip
TELLS_TIME = {"binance-futures", "okx-spot", "okx-futures"}


def symbol_of(venue):
    return SHAPES[venue.name][0]


def row_of(venue, symbol=None, bid="77164", ask="77164.1", **changes):
    own, keys, more = SHAPES[venue.name]
    return dict(zip(keys, (symbol or own, bid, ask), strict=True)) | more | changes


def body(venue, rows):
    wrapped = {
        "bybit": {
            "retCode": 0, "retMsg": "OK", "retExtInfo": {}, "time": MS,
            "result": {"category": "spot" if venue.spec.kind == "spot" else "linear",
                       "list": rows},
        },
        "okx": {"code": "0", "msg": "", "data": rows},
        "mexc-futures": {"success": True, "code": 0, "data": rows},
    }  # fmt: skip
    page = wrapped.get(venue.name) or wrapped.get(venue.spec.exchange, rows)
    return json.dumps(page).encode()


def read(venue, *rows):
    return venue.audit.tickers(body(venue, list(rows)))


# ---- what is asked -----------------------------------------------------------------------

# source: all books, one pair, then the weights of both and of the instrument list
REQUESTS = {
    "binance-spot": ("/api/v3/ticker/bookTicker?symbolStatus=TRADING",
                     "/api/v3/ticker/bookTicker?symbols=%5B%22BTCUSDT%22%5D", 4, 4, 20),
    "binance-futures": ("/fapi/v1/ticker/bookTicker",
                        "/fapi/v1/ticker/bookTicker?symbol=BTCUSDT", 5, 2, 1),
    "bybit-spot": ("/v5/market/tickers?category=spot",
                   "/v5/market/tickers?category=spot&symbol=BTCUSDT", 1, 1, 1),
    "bybit-futures": ("/v5/market/tickers?category=linear",
                      "/v5/market/tickers?category=linear&symbol=BTCUSDT", 1, 1, 1),
    "mexc-spot": ("/api/v3/ticker/bookTicker",
                  "/api/v3/ticker/bookTicker?symbol=BTCUSDT", 10, 10, 25),
    "mexc-futures": ("/api/v1/contract/ticker",
                     "/api/v1/contract/ticker?symbol=BTC_USDT", 1, 1, 1),
    "okx-spot": ("/api/v5/market/tickers?instType=SPOT",
                 "/api/v5/market/ticker?instId=BTC-USDT", 1, 1, 1),
    "okx-futures": ("/api/v5/market/tickers?instType=SWAP",
                    "/api/v5/market/ticker?instId=BTC-USDT-SWAP", 1, 1, 1),
    "gate-spot": ("/api/v4/spot/tickers",
                  "/api/v4/spot/tickers?currency_pair=BTC_USDT", 1, 1, 1),
    "gate-futures": ("/api/v4/futures/usdt/tickers",
                     "/api/v4/futures/usdt/tickers?contract=BTC_USDT", 1, 1, 1),
}  # fmt: skip
REST_LIMITS = {
    "binance-spot": (6_000, 60), "binance-futures": (2_400, 60),
    "bybit-spot": (600, 5), "bybit-futures": (600, 5),
    "mexc-spot": (300, 10), "mexc-futures": (20, 2),
    "okx-spot": (20, 2), "okx-futures": (20, 2),
    "gate-spot": (200, 10), "gate-futures": (200, 10),
}  # fmt: skip


@each_venue
def test_requests_and_their_weights(venue):
    audit = venue.audit
    whole, one = audit.tickers_request, audit.ask_request([symbol_of(venue)])
    listed = venue.instruments_request("")
    assert REQUESTS[venue.name] == (
        whole.url(""), one.url(""), whole.weight, one.weight, listed.weight,
    )  # fmt: skip
    assert REST_LIMITS[venue.name] == venue.spec.rest_limit
    requests = (whole, one, listed, venue.funding_request, audit.maintenance_request)
    assert all(0 < r.weight <= venue.spec.rest_limit[0] for r in requests if r)


def test_weights_of_funding_and_maintenance():
    assert {
        "binance-futures": 10, "bybit-futures": 1, "mexc-futures": 1, "okx-futures": 2,
        "gate-futures": 1,
    } == {
        v.name: v.funding_request.weight for v in VENUES.values() if v.funding_request
    }  # fmt: skip
    in_list = [
        v.name
        for v in VENUES.values()
        if v.funding_request and v.funding_request == v.instruments_request("")
    ]
    assert ["gate-futures"] == in_list
    assert {
        "binance-spot": ("/sapi/v1/system/status", 1),
        "bybit-spot": ("/v5/system/status", 1),
        "bybit-futures": ("/v5/system/status", 1),
        "okx-spot": ("/api/v5/system/status", 1),
        "okx-futures": ("/api/v5/system/status", 1),
    } == {
        v.name: (v.audit.maintenance_request.path, v.audit.maintenance_request.weight)
        for v in VENUES.values()
        if v.audit.maintenance_request
    }


def test_pages_with_a_limit_of_their_own():
    requests = [
        r
        for v in VENUES.values()
        for r in (v.audit.tickers_request, v.instruments_request(""), v.audit.maintenance_request)
        if r
    ]
    assert {"/api/v5/system/status": 5.0, "/api/v1/contract/detail": 2.0} == {
        r.path: r.apart_s for r in requests if r.apart_s
    }
    assert {(1, r.path, r.apart_s) for r in requests if r.apart_s} == {
        r.cost for r in requests if r.cost.path
    }


def test_what_answers_prove():
    audits = {v.name: v.audit for v in VENUES.values()}
    assert {"binance-spot"} == {name for name, a in audits.items() if a.trading_only}
    assert {name for name, a in audits.items() if a.rows_tell_time} == TELLS_TIME
    assert {"mexc-spot": 10.0, "mexc-futures": 10.0, "gate-spot": 60.0, "gate-futures": 30.0} == {
        name: a.older_by_s for name, a in audits.items() if a.older_by_s != 5.0
    }
    assert {
        "binance-spot": 600, "binance-futures": 180, "bybit-spot": 180, "bybit-futures": 180,
        "mexc-spot": 300, "mexc-futures": 300, "okx-spot": 300, "okx-futures": 300,
        "gate-spot": 300, "gate-futures": 300,
    } == {name: a.status_every_s for name, a in audits.items()}  # fmt: skip


@each_venue
def test_names_are_escaped_and_come_back_whole(venue):
    odd = "币安人生&A=1#%+?/USDT"
    query = dict(parse_qsl(venue.audit.ask_request([odd]).query, strict_parsing=True))
    (named,) = [v for v in query.values() if v not in ("linear", "spot")]
    assert named in (odd, json.dumps([odd], ensure_ascii=False))
    assert venue.audit.ask_request([odd]).query.isascii()


def test_binance_spot_takes_a_hundred_in_a_url_of_3_kb():
    audit = VENUES["binance-spot"].audit
    symbols = [f"1000COIN{i:03}USDT" for i in range(audit.ask_at_once)]
    request = audit.ask_request(symbols)
    assert 100 == len(symbols)
    assert symbols == json.loads(dict(parse_qsl(request.query))["symbols"])
    assert len(request.url("https://data-api.binance.vision")) < 3_000


def test_elsewhere_one_is_asked_at_a_time():
    for venue in VENUES.values():
        if venue.name != "binance-spot":
            assert 1 == venue.audit.ask_at_once
            with pytest.raises(ValueError, match="unpack"):
                venue.audit.ask_request(["A", "B"])


# ---- rows --------------------------------------------------------------------------------


@each_venue
def test_prices_are_read_from_text_and_from_numbers(venue):
    expected = (77164.0, 77164.1, NS if venue.name in TELLS_TIME else 0)
    assert [(symbol_of(venue), *expected)] == read(venue, row_of(venue))
    assert [(symbol_of(venue), *expected)] == read(venue, row_of(venue, bid=77164, ask=77164.1))
    found = read(venue, row_of(venue, bid="7.548E+4", ask=0.00000012))
    assert [(75480.0, 1.2e-7)] == [ticker[1:3] for ticker in found]


@each_venue
@pytest.mark.parametrize(
    "px",
    [None, "", 0, "0", "0.00000000", -1, "-0.5", "nan", "inf", "-inf", "1e400", "1_000", " 1",
     "x", "0x1", "\u0661", True, [], {}, ["1"], "1.", "1,5"],
)  # fmt: skip
def test_a_side_that_the_venue_does_not_show_is_zero(venue, px):
    bid_gone, ask_gone = row_of(venue, bid=px), row_of(venue, ask=px)
    assert [(0.0, 77164.1), (77164.0, 0.0)] == [t[1:3] for t in read(venue, bid_gone, ask_gone)]


@each_venue
def test_a_side_whose_key_is_missing_is_zero(venue):
    _, (_, bid_key, ask_key), _ = SHAPES[venue.name]
    rows = [row_of(venue), row_of(venue), row_of(venue)]
    del rows[0][bid_key]
    del rows[1][ask_key]
    del rows[2][bid_key], rows[2][ask_key]
    assert [(0.0, 77164.1), (77164.0, 0.0), (0.0, 0.0)] == [t[1:3] for t in read(venue, *rows)]


@each_venue
def test_a_crossed_row_keeps_its_prices(venue):
    assert [(5.0, 4.0)] == [t[1:3] for t in read(venue, row_of(venue, bid="5", ask="4"))]


@pytest.mark.parametrize("name", sorted(TELLS_TIME))
@pytest.mark.parametrize("ms", ["", None, 0, "0", -1, 1.5, "1e12", True, 10**13, "x"])
def test_a_time_that_is_none_is_zero(name, ms):
    key = "time" if name == "binance-futures" else "ts"
    assert [0] == [t.row_ns for t in read(VENUES[name], row_of(VENUES[name], **{key: ms}))]


@each_venue
def test_rows_without_a_usable_symbol_are_left_out(venue):
    symbol_key = SHAPES[venue.name][1][0]
    odd = ["", None, 7, "A B", 'A"B', "A,B", "A" * 65, "A\u200b", ["A"], {}]
    rows = [row_of(venue) | {symbol_key: name} for name in odd]
    without = row_of(venue)
    del without[symbol_key]
    rows += [without, None, 1, "row", [], {}, [row_of(venue)]]
    assert [symbol_of(venue)] == [t.symbol for t in read(venue, *rows, row_of(venue))]


@each_venue
def test_no_rows_are_an_answer(venue):
    assert [] == read(venue)


@pytest.mark.parametrize("name", ["binance-spot", "binance-futures", "mexc-spot", "mexc-futures"])
def test_one_pair_may_come_as_an_object(name):
    venue = VENUES[name]
    row = row_of(venue)
    page = {"success": True, "code": 0, "data": row} if name == "mexc-futures" else row
    assert [(77164.0, 77164.1)] == [t[1:3] for t in venue.audit.tickers(json.dumps(page).encode())]


# ---- answers that are none ---------------------------------------------------------------


@each_venue
def test_rows_of_another_shape_are_a_bad_frame_and_no_empty_books(venue):
    symbol_key = SHAPES[venue.name][1][0]
    listed = {symbol_key: symbol_of(venue), "status": "TRADING", "fundingRate": "0.0001"}
    for rows in ([listed], [{}], [1, "x"], [listed, {"bid": 1}]):
        with pytest.raises(BadFrame, match=f"found {len(rows)} rows of another shape, expected"):
            read(venue, *rows)


@each_venue
def test_an_answer_of_another_venue_is_refused(venue):
    """But for those that cannot be told apart: one shape, other prices."""
    alike = [{"binance-spot", "binance-futures", "mexc-spot"}, {"okx-spot", "okx-futures"}]
    for other in VENUES.values():
        if other is venue or any({venue.name, other.name} <= group for group in alike):
            continue
        with pytest.raises(BadFrame, match="found .* expected"):
            venue.audit.tickers(body(other, [row_of(other)]))


@each_venue
@pytest.mark.parametrize(
    "page",
    [b"", b"<html>" + b"x" * 100_000, b"{}", b"\xff" * 80, b"[" * 100_000, b'{"a":' * 100_000,
     b"7", b"null", b'"text"', b'{"data":null}', b'{"result":null}', b'{"retCode":0,"result":{}}'],
)  # fmt: skip
def test_a_body_that_is_no_list_is_a_bad_frame_in_one_sentence(venue, page):
    parsers = filter(None, (venue.audit.tickers, venue.audit.maintenance))
    for parse in parsers:
        with pytest.raises(BadFrame, match="expected") as caught:
            parse(page)
        assert "\n" not in str(caught.value)
        assert len(str(caught.value)) < 400


@each_venue
def test_half_an_answer_is_a_bad_frame(venue):
    whole = body(venue, [row_of(venue)] * 50)
    for end in range(1, len(whole), 37):
        with pytest.raises(BadFrame):
            venue.audit.tickers(whole[:end])


# ---- one law for all parsers -------------------------------------------------------------

ODD = (
    None, True, False, 0, 7, -1.5, 10**18, "", "x", "0", "-1", "nan", "1e400", "1e-400", "\u0000",
    [], [None], [[]], {}, {"code": -1}, {"symbol": "X"},
)  # fmt: skip
TOKENS = (
    b"null", b"true", b'""', b"0", b"-1", b"1e309", b"[]", b"{}", b'"', b"\\", b",", b":", b"\xff",
    b"\x00", b"\\u0000", b"\\ud800", b"NaN", b"9" * 40,
)  # fmt: skip
N_MUTANTS = 5_000


def answers_of(venue):
    """Return (parser, an answer that it takes) of everything that the audit reads of a venue."""
    symbols = [None, "ETH", "币安人生USDT", "SOL"]
    found = [(venue.audit.tickers, body(venue, [row_of(venue, s) for s in symbols]))]
    if venue.audit.maintenance:
        found.append((venue.audit.maintenance, MAINTENANCE[venue.spec.exchange]))
    if venue.audit.push:
        found.append((venue.audit.push.read, PUSHED[venue.name][0]))
    return found


def assert_sound(parse, payload):
    """Assert that a parser gives what its contract says or one of our errors; return whether it
    gave something."""
    found, said = None, ""
    try:
        found = parse(payload)
    except OURS as error:
        said = str(error)
    assert len(said) < 400
    if found is None:
        assert parse.__name__ != "read_push", f"{payload!r}: {said}"  # those never raise
        return False
    for item in found:
        if isinstance(item, Ticker):
            assert all(math.isfinite(px) and px >= 0 for px in item[1:3]), payload
            assert 0 <= item.row_ns < NS_MAX
            assert item.symbol
        elif isinstance(item, Maintenance):
            assert item.state in ("scheduled", "ongoing")
            assert item.what
            assert item.title.isprintable()
            assert 0 <= item.begin_ns < NS_MAX > item.end_ns >= 0
        else:
            assert isinstance(item, StatusChange)
            assert item.symbol
            assert item.word.isprintable()
            assert item.trading in (True, False, None)
    return bool(found)


def places(tree, path=()):
    """Yield the path of every value in a tree."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def changed(payload, path, value):
    tree = json.loads(payload)
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return json.dumps(tree).encode()


def mutant(rng, payload):
    """Return an answer with one to four changes of its bytes."""
    out = bytearray(payload)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(out))
        kind = rng.randrange(5)
        if kind == 0:
            out[at] = rng.randrange(256)
        elif kind == 1:
            del out[at : at + rng.randint(1, 12)]
        elif kind == 2:
            out[at:at] = rng.choice(TOKENS)
        elif kind == 3:
            out[at : at + rng.randint(1, 12)] = rng.choice(TOKENS)
        else:
            other = rng.randrange(len(out))
            out[at:at] = out[other : other + rng.randint(1, 60)]
        out = out or bytearray(b"x")
    return bytes(out)


@each_venue
def test_no_answer_makes_a_parser_fall_or_show_a_price_that_is_none(venue):
    rng = random.Random(f"audit/{venue.name}")
    every = [payload for other in VENUES.values() for _, payload in answers_of(other)]
    for parse, payload in answers_of(venue):
        assert assert_sound(parse, payload)
        for other in every:
            assert_sound(parse, other)
        for path in places(json.loads(payload)):
            for odd in ODD:
                assert_sound(parse, changed(payload, path, odd))
        taken = sum(assert_sound(parse, mutant(rng, payload)) for _ in range(N_MUTANTS))
        assert N_MUTANTS // 50 < taken < N_MUTANTS  # both doors were tried
        for _ in range(500):
            assert_sound(parse, rng.randbytes(rng.randrange(200)))


# ---- pushes ------------------------------------------------------------------------------

CONTRACT_INFO = {
    "e": "contractInfo", "E": MS, "s": "BIGTIMEUSDT", "ps": "BIGTIMEUSDT", "ct": "PERPETUAL",
    "dt": 4133404800000, "ot": MS, "cs": "SETTLING", "bks": [],
}  # fmt: skip
OKX_ROW = {"instType": "SPOT", "instId": "BTC-USDT", "state": "suspend", "expTime": ""}
MEXC_ROW = {"symbol": "BTC_USDT", "baseCoin": "BTC", "contractSize": 0.0001, "state": 4}


def frame(**message):
    return json.dumps(message).encode()


def okx_frame(*rows, kind="SPOT"):
    return frame(arg={"channel": "instruments", "instType": kind}, data=rows)


PUSHED = {
    "binance-futures": [
        frame(stream="!contractInfo", data=CONTRACT_INFO),
        StatusChange("BIGTIMEUSDT", False, "SETTLING"),
    ],
    "mexc-futures": [
        frame(channel="push.contract", symbol="BTC_USDT", ts=MS, data=MEXC_ROW),
        StatusChange("BTC_USDT", False, "paused"),
    ],
    "okx-spot": [okx_frame(OKX_ROW), StatusChange("BTC-USDT", False, "suspend")],
    "okx-futures": [
        okx_frame(OKX_ROW | {"instId": "BTC-USDT-SWAP"}, kind="SWAP"),
        StatusChange("BTC-USDT-SWAP", False, "suspend"),
    ],
}


def read_push(name, payload):
    return VENUES[name].audit.push.read(payload)


def test_which_venues_push_and_what_is_sent_for_it():
    assert set(PUSHED) == {v.name for v in VENUES.values() if v.audit.push}
    okx = '{"id":"1","op":"subscribe","args":[{"channel":"instruments","instType":"%s"}]}'
    assert {
        "binance-futures": ['{"method":"SUBSCRIBE","params":["!contractInfo"],"id":1}'],
        "mexc-futures": ['{"method":"sub.contract"}'],
        "okx-spot": [okx % "SPOT"],
        "okx-futures": [okx % "SWAP"],
    } == {name: VENUES[name].audit.push.subscribe() for name in PUSHED}
    for name in PUSHED:
        assert VENUES[name].ping(3) == VENUES[name].audit.push.ping(3)


def test_the_push_is_on_the_host_of_the_quotes():
    binance = VENUES["binance-futures"].audit.push
    for ws_url, expected in (
        ("wss://fstream.binance.com/public/stream", "wss://fstream.binance.com/market/stream"),
        ("wss://fstream.binance.com/stream", "wss://fstream.binance.com/market/stream"),
        ("ws://127.0.0.1:9001/public/stream?x=1", "ws://127.0.0.1:9001/market/stream"),
    ):
        assert expected == binance.url(ws_url)
    for name in ("okx-spot", "okx-futures", "mexc-futures"):
        for url in (*VENUES[name].spec.ws_urls, "ws://127.0.0.1:9001/a/b"):
            assert url == VENUES[name].audit.push.url(url)


@pytest.mark.parametrize("name", PUSHED)
def test_a_push_tells_the_status(name):
    payload, expected = PUSHED[name]
    assert [expected] == read_push(name, payload)


def test_statuses_of_okx():
    states = ("live", "suspend", "preopen", "expired", "rebase", "settling", "post_only", "test")
    rows = [OKX_ROW | {"instId": f"{i}-USDT", "state": state} for i, state in enumerate(states)]
    found = read_push("okx-spot", okx_frame(*rows))
    assert [("live", True), *((state, False) for state in states[1:])] == [
        (change.word, change.trading) for change in found
    ]
    placeholder = {"instId": "LISTING-SPOT-XXX-USDT", "listTime": ""}
    assert [] == read_push("okx-spot", okx_frame(placeholder, None, 7, {"state": "live"}))


def test_statuses_of_mexc():
    for state, expected in ((0, (True, "enabled")), ("3", (False, "offline")), (9, (None, "9"))):
        pushed = frame(channel="push.contract", data=MEXC_ROW | {"state": state})
        assert [("BTC_USDT", *expected)] == read_push("mexc-futures", pushed)
    assert 2 == len(read_push("mexc-futures", frame(channel="push.contract", data=[MEXC_ROW] * 2)))


def test_statuses_of_binance_are_those_of_usdt_contracts():
    trading = StatusChange("BIGTIMEUSDT", True, "TRADING")
    assert [trading] == read_push("binance-futures", frame(**CONTRACT_INFO | {"cs": "TRADING"}))
    assert [trading] == read_push(
        "binance-futures", frame(**CONTRACT_INFO | {"cs": "TRADING", "st": 1})
    )
    assert [] == read_push("binance-futures", frame(**CONTRACT_INFO | {"st": 2}))


@pytest.mark.parametrize("name", PUSHED)
def test_other_frames_push_nothing(name):
    venue = VENUES[name]
    others = (
        venue.subscribe([symbol_of(venue)], 1).encode(),
        b"pong", b"", b"[]", b"null", b"\xff", b"[" * 100_000,
        b'{"result":null,"id":1}',
        b'{"channel":"rs.sub.contract","data":"success","ts":1}',
        b'{"channel":"pong","data":1,"ts":1}',
        b'{"event":"subscribe","arg":{"channel":"instruments","instType":"SPOT"},"connId":"a"}',
        b'{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},"data":[{"asks":[],"bids":[]}]}',
        *(PUSHED[other][0] for other in PUSHED if other.split("-")[0] != venue.spec.exchange),
    )  # fmt: skip
    for other in others:
        assert [] == venue.audit.push.read(other)


# ---- maintenance -------------------------------------------------------------------------

BYBIT_ROW = {
    "id": "4d95b2a0", "title": "t06", "state": "scheduled", "begin": str(MS), "end": str(MS + 1),
    "href": "", "serviceTypes": [2, 3, 4, 5], "product": [1, 2], "uidSuffix": [],
    "maintainType": 1, "env": 1,
}  # fmt: skip
OKX_STATUS = {
    "begin": str(MS), "end": str(MS + 1), "href": "", "preOpenBegin": "", "scheDesc": "",
    "serviceType": "5", "state": "scheduled", "maintType": "1", "env": "1", "system": "unified",
    "title": "t06",
}  # fmt: skip
SCHEDULED = ("scheduled", "t06", NS, NS + 1_000_000)


def bybit_status(*rows):
    return frame(retCode=0, retMsg="", result={"list": rows}, retExtInfo={}, time=MS)


def okx_status(*rows):
    return frame(code="0", msg="", data=rows)


MAINTENANCE = {
    "binance": b'{"status":1,"msg":"system_maintenance"}',
    "bybit": bybit_status(BYBIT_ROW),
    "okx": okx_status(OKX_STATUS),
}


def test_maintenance_that_is_announced():
    for name, what in (
        ("bybit-spot", "trading, market data"),
        ("bybit-futures", "trading, market data"),
        ("okx-spot", "trading"),
        ("okx-futures", "trading"),
    ):
        venue = VENUES[name]
        found = venue.audit.maintenance(MAINTENANCE[venue.spec.exchange])
        assert [(*SCHEDULED, what)] == found


def test_binance_has_a_flag():
    read = VENUES["binance-spot"].audit.maintenance
    assert [("ongoing", "system_maintenance", 0, 0, "all services")] == read(MAINTENANCE["binance"])
    assert [] == read(b'{"status":0,"msg":"normal"}')
    assert [] == read(b'{"status":"0"}')
    for page in (b'{"status":2}', b'{"status":null,"msg":"x"}'):
        with pytest.raises(BadFrame, match="expected status 0 or 1"):
            read(page)


LEFT_OUT = [
    ("bybit", {"state": "completed"}), ("bybit", {"state": "canceled"}), ("bybit", {"state": None}),
    ("bybit", {"env": 2}), ("bybit", {"serviceTypes": [4]}), ("bybit", {"product": [3, 4]}),
    ("okx", {"state": "completed"}), ("okx", {"state": "canceled"}), ("okx", {"env": "2"}),
    ("okx", {"serviceType": "7"}), ("okx", {"serviceType": "11"}),
]  # fmt: skip


@pytest.mark.parametrize(("exchange", "change"), LEFT_OUT)
def test_maintenance_of_no_concern_is_left_out(exchange, change):
    wrap, row = (bybit_status, BYBIT_ROW) if exchange == "bybit" else (okx_status, OKX_STATUS)
    for market in ("spot", "futures"):
        read = VENUES[f"{exchange}-{market}"].audit.maintenance
        assert 1 == len(read(wrap(row | change, row)))
        assert [] == read(wrap(row | change))


def test_bybit_tells_its_products_apart():
    found = {
        market: VENUES[f"bybit-{market}"].audit.maintenance(
            bybit_status(BYBIT_ROW | {"product": [product], "title": market})
        )
        for market, product in (("futures", 1), ("spot", 2))
    }
    assert {"futures": ["futures"], "spot": ["spot"]} == {
        market: [one.title for one in listed] for market, listed in found.items()
    }
    assert [] == VENUES["bybit-spot"].audit.maintenance(bybit_status(BYBIT_ROW | {"product": [1]}))
    assert [] == VENUES["bybit-futures"].audit.maintenance(
        bybit_status(BYBIT_ROW | {"product": [2]})
    )


def test_what_maintenance_does_not_say_is_told_as_unknown():
    """Not as no maintenance: services and products that are not named may be ours."""
    bare = {"serviceTypes": None, "product": [], "begin": "", "end": None, "env": None}
    (found,) = VENUES["bybit-spot"].audit.maintenance(bybit_status(BYBIT_ROW | bare))
    assert ("scheduled", "t06", 0, 0, "services not named") == found
    words = []
    for kind in ("", None, "0", "99", "12"):
        row = OKX_STATUS | {"serviceType": kind, "state": "pre_open"}
        (found,) = VENUES["okx-spot"].audit.maintenance(okx_status(row))
        assert "ongoing" == found.state
        words.append(found.what)
    assert ["services not named"] * 2 + [
        "WebSocket", "others, such as some instruments", "service 12",
    ] == words  # fmt: skip


def test_a_title_is_short_and_fit_for_a_terminal():
    (found,) = VENUES["okx-spot"].audit.maintenance(
        okx_status(OKX_STATUS | {"title": "a\x1b[31m\nb\u202e" + "x" * 500})
    )
    assert "a [31m b x" == found.title[:10]
    assert 200 == len(found.title)


@pytest.mark.parametrize("name", ["bybit-spot", "bybit-futures", "okx-spot", "okx-futures"])
def test_rows_without_a_state_are_no_maintenance_list(name):
    venue = VENUES[name]
    with pytest.raises(BadFrame, match="found 1 rows without a state"):
        venue.audit.maintenance(body(venue, [row_of(venue)]))
    assert [] == venue.audit.maintenance(body(venue, []))
