"""Funding of every perpetual: what each venue is asked, and what is read of its answer.

Rows are written by hand after the venues' documents; values differ, so that no two are mixed up.
"""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spreadscan.errors import BadFrame, RateLimited, SpreadError
from spreadscan.types import FundingRate
from spreadscan.venues import VENUES

NEXT_MS = 1_795_161_600_000
AFTER_MS = NEXT_MS + 28_800_000
NEXT_NS = NEXT_MS * 1_000_000

FUTURES = {name: venue for name, venue in VENUES.items() if venue.spec.kind == "perpetual"}
each_futures = pytest.mark.parametrize("venue", FUTURES.values(), ids=str)

REQUESTS = {
    "binance-futures": "/fapi/v1/premiumIndex?",
    "bybit-futures": "/v5/market/tickers?category=linear",
    "mexc-futures": "/api/v1/contract/funding_rate?",
    "okx-futures": "/api/v5/public/funding-rate?instId=ANY",
    "gate-futures": "/api/v4/futures/usdt/contracts?",
}
SYMBOL = {"mexc-futures": "BTC_USDT", "okx-futures": "BTC-USDT-SWAP", "gate-futures": "BTC_USDT"}
KEYS = {
    "binance-futures": ("symbol", "lastFundingRate", "nextFundingTime"),
    "bybit-futures": ("symbol", "fundingRate", "nextFundingTime"),
    "mexc-futures": ("symbol", "fundingRate", "nextSettleTime"),
    "okx-futures": ("instId", "fundingRate", "fundingTime"),
    "gate-futures": ("name", "funding_rate", "funding_next_apply"),
}
ROWS = {
    "binance-futures": {
        "symbol": "BTCUSDT", "markPrice": "63561.50000000", "indexPrice": "63570.1",
        "estimatedSettlePrice": "63550.2", "lastFundingRate": "-0.00003125",
        "interestRate": "0.00010000", "nextFundingTime": NEXT_MS, "time": NEXT_MS - 1_000,
    },
    "bybit-futures": {
        "symbol": "BTCUSDT", "lastPrice": "63561.50", "indexPrice": "63570.1",
        "markPrice": "63561.5", "fundingRate": "-0.00003125", "nextFundingTime": str(NEXT_MS),
        "predictedDeliveryPrice": "", "basisRate": "", "deliveryTime": "0", "bid1Price": "63561",
        "bid1Size": "1.7", "ask1Price": "63562", "ask1Size": "2.1", "fundingIntervalHour": "8",
    },
    "mexc-futures": {
        "symbol": "BTC_USDT", "fundingRate": -0.00003125, "maxFundingRate": 0.0018,
        "minFundingRate": -0.0018, "collectCycle": 8, "nextSettleTime": NEXT_MS,
        "timestamp": NEXT_MS - 1_000, "idxPrice": 63570.1, "fairPrice": 63561.5,
    },
    "okx-futures": {
        "formulaType": "withRate", "fundingRate": "-0.00003125", "fundingTime": str(NEXT_MS),
        "impactValue": "", "instId": "BTC-USDT-SWAP", "instType": "SWAP", "interestRate": "",
        "maxFundingRate": "0.00375", "method": "current_period", "minFundingRate": "-0.00375",
        "nextFundingRate": "0.9", "nextFundingTime": str(AFTER_MS), "premium": "0.0000910",
        "settFundingRate": "0.8", "settState": "settled", "ts": str(NEXT_MS - 1_000),
    },
    "gate-futures": {
        "name": "BTC_USDT", "type": "direct", "funding_rate": "-0.00003125",
        "funding_rate_indicative": "0.9", "funding_next_apply": NEXT_MS // 1_000,
        "funding_interval": 28_800, "funding_offset": 0, "in_delisting": False,
        "quanto_multiplier": "0.0001", "mark_price": "63561.5",
    },
}  # fmt: skip
# listed beside perpetuals, without a payment to come
DATED = {
    "binance-futures": {"symbol": "BTCUSDT_261225", "lastFundingRate": "", "nextFundingTime": 0},
    "bybit-futures": {"symbol": "BTCUSDT-25DEC26", "fundingRate": "", "nextFundingTime": "0"},
    "mexc-futures": {"symbol": "BTC_USDT_261225", "fundingRate": None},
    "okx-futures": {"instId": "BTC-USDT-261225", "fundingRate": "", "fundingTime": ""},
    "gate-futures": {"name": "LEAVE_USDT", "in_delisting": True},
}
ERRORS = {
    "binance-futures": b'{"code":-1003,"msg":"Too many requests"}',
    "bybit-futures": b'{"retCode":10006,"retMsg":"Too many visits!","result":{}}',
    "mexc-futures": b'{"success":false,"code":510,"message":"Requests are too frequent"}',
    "okx-futures": b'{"code":"50011","msg":"Too Many Requests","data":[]}',
    "gate-futures": b'{"message":"too many requests","label":"TOO_MANY_REQUESTS"}',
}


def body(venue, rows):
    if venue.name in ("binance-futures", "gate-futures"):
        return json.dumps(rows).encode()
    if venue.name == "bybit-futures":
        page = {"retCode": 0, "retMsg": "OK", "result": {"category": "linear", "list": rows}}
        return json.dumps(page).encode()
    if venue.name == "mexc-futures":
        return json.dumps({"success": True, "code": 0, "data": rows}).encode()
    return json.dumps({"code": "0", "data": rows, "msg": ""}).encode()


def rate_of(venue, **changes):
    keys = dict(zip(("symbol", "rate", "next"), KEYS[venue.name], strict=True))
    row = ROWS[venue.name] | {keys[name]: value for name, value in changes.items()}
    return venue.funding(body(venue, [row]))


def test_perpetuals_have_funding_and_spot_has_none():
    assert set(REQUESTS) == set(FUTURES)
    for venue in VENUES.values():
        has = venue.name in FUTURES
        assert (has, has) == (venue.funding_request is not None, venue.funding is not None)


@each_futures
def test_requests(venue):
    assert REQUESTS[venue.name] == "?".join(venue.funding_request[:2])


@each_futures
def test_the_next_payment_is_read_and_no_other(venue):
    symbol = SYMBOL.get(venue.name, "BTCUSDT")
    assert [FundingRate(symbol, -0.00003125, NEXT_NS)] == rate_of(venue)


@each_futures
def test_contracts_without_a_payment_are_left_out(venue):
    row = ROWS[venue.name]
    page = body(venue, [DATED[venue.name], row, row | DATED[venue.name]])
    assert [rate_of(venue)[0]] == venue.funding(page)


@each_futures
@pytest.mark.parametrize("rate", ["0", "0.00000000", 0, 0.0, "-0.02", "1e-4", 1e-7])
def test_rates_that_are_numbers_are_read(venue, rate):
    assert [float(rate)] == [found.rate for found in rate_of(venue, rate=rate)]


@each_futures
@pytest.mark.parametrize(
    "rate",
    ["", "x", None, True, [], {}, "nan", "inf", "-inf", "1e400", "1", -1, 10**25, "0x1"],
)
def test_rates_that_are_none_are_left_out(venue, rate):
    assert [] == rate_of(venue, rate=rate)


@each_futures
@pytest.mark.parametrize(
    "next_ms", ["", "0", 0, None, -1, 1.5e12, "17e11", True, 10**13, str(10**20), "\u0661"]
)
def test_times_that_are_none_are_left_out(venue, next_ms):
    assert [] == rate_of(venue, next=next_ms)


@each_futures
@pytest.mark.parametrize("symbol", ["", None, 7, "A B", 'A"B', "A,B", "A" * 65])
def test_names_that_are_none_are_left_out(venue, symbol):
    assert [] == rate_of(venue, symbol=symbol)


@each_futures
def test_odd_rows_are_left_out_and_never_a_crash(venue):
    row = ROWS[venue.name]
    odd = [None, True, 7, -1.5, "", "x", [], [None], {}, "1e400", "\u0000"]
    rows = [row | {key: value} for key in row for value in odd]
    rows += [{k: v for k, v in row.items() if k != key} for key in row]
    for found in venue.funding(body(venue, [*rows, None, 1, "row", [], {}])):
        assert math.isfinite(found.rate)
        assert 0 < found.next_ns < 2**63


@each_futures
def test_an_error_body_is_a_venue_down(venue):
    with pytest.raises(RateLimited, match=r"(?i)too (many|frequent)|too frequent"):
        venue.funding(ERRORS[venue.name])


@each_futures
@pytest.mark.parametrize("text", [b"", b"<html>", b"{}", b"\xff", b"[" * 100_000, b"[1", b"7"])
def test_a_body_that_is_no_list_is_a_bad_frame_with_a_short_text(venue, text):
    with pytest.raises(BadFrame) as caught:
        venue.funding(text)
    assert 200 > len(str(caught.value))
    assert "funding" in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(sorted({"code", "data", "result", "list", "retCode",
                                                  *sum(KEYS.values(), ())})), inner, max_size=4)
    ),
    max_leaves=12,
)  # fmt: skip


@each_futures
@given(value=json_values, raw=st.binary(max_size=40))
def test_no_answer_makes_a_parser_fall(venue, value, raw):
    """The feed must go on whatever an answer is: a parser says no with one of our errors."""
    for payload in (json.dumps(value).encode(), raw):
        try:
            found = venue.funding(payload)
        except SpreadError:
            continue
        assert all(abs(f.rate) < 1 and 0 < f.next_ns < 2**63 for f in found)
