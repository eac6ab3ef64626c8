"""Error answers sorted by what to do next: one test per code and wording, expectations by hand."""

import json

import pytest

from spreadscan.errors import RateLimited, Refused, RequestRefused, VenueDown
from spreadscan.venues import VENUES, binance, bybit, mexc, okx
from spreadscan.venues.answers import UNSURE, Meaning, meaning

TABLES = {
    "binance": binance.ANSWERS,
    "bybit": bybit.ANSWERS,
    "mexc-spot": mexc.SPOT_ANSWERS,
    "mexc-futures": mexc.FUTURES_ANSWERS,
    "okx": okx.ANSWERS,
}
CODES = {
    "binance": {
        "passing": "-1000 -1001 -1003 -1004 -1006 -1007 -1008 -1034 4 418 429 500 503",
        "topics": "-1121",
        "request": "0 1 2 3 -1100 -1101 -1102 -1130 -1135",
        "final": "-1002 -1011 -1016 -1099 -2015 403",
    },
    "bybit": {
        "passing": "10000 10006 10009 10016 10018 10019 10403 10429 20003",
        "topics": "10029",
        "request": "10001 10404",
        "final": "10003 10004 10005 10007 10008 10010 10017 10024 10027",
    },
    "mexc-spot": {
        "passing": "429 500 501 503 504 510 604 801",
        "topics": "10007 30014 -1121",
        "request": "400 513 700004",
        "final": "401 402 403 406 511 700006 700007",
    },
    "mexc-futures": {
        "passing": "429 500 501 503 504 510 604 801",
        "topics": "1001",
        "request": "513 600",
        "final": "401 402 403 406 511",
    },
    "okx": {
        "passing": "50001 50004 50005 50011 50013 50026 50040 50061 60014 60016 60023 63999 64007",
        "topics": "60018 51001 64000",
        "request": "50014 50015 50016 51000 60012 60013 60019 60027",
        "final": "50110 60008 60011 60028 60029 64001 64003",
    },
}
PACE = {  # those that speak of our pace: RateLimited in a REST body
    "binance": "-1003 -1034 418 429",
    "bybit": "10006 10009 10018 10403 10429 20003",
    "mexc-spot": "429 510",
    "mexc-futures": "429 510",
    "okx": "50011 50040 50061 60014 60023",
}
EACH_CODE = [
    (name, code, kind)
    for name, kinds in CODES.items()
    for kind, codes in kinds.items()
    for code in codes.split()
]


@pytest.mark.parametrize(("name", "code", "kind"), EACH_CODE)
def test_each_code_has_its_kind(name: str, code: str, kind: str) -> None:
    found = meaning(TABLES[name], code, "")
    assert (kind, 0) == (found.kind, found.tries)
    assert (code in PACE[name].split()) == found.limited
    assert not found.limited or found.pause_s >= 1.0


def test_there_is_a_test_of_each_code() -> None:
    rows = [(name, row) for name, table in TABLES.items() for row in table]
    in_tables = {(name, code) for name, row in rows for code in row.codes}
    assert in_tables == {(name, code) for name, code, _ in EACH_CODE}


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("bybit", "error:handler not found,topic:orderbook.1.AUSDT", "topics"),
        ("bybit", "Invalid symbol :[orderbook.1.AUSDT]", "topics"),
        ("bybit", "Invalid topic: orderbook.1.AUSDT", "topics"),
        ("bybit", "args size >10", "request"),
        ("bybit", "error:args length >21000", "request"),
        ("bybit", "error:request is not JSON", "request"),
        ("bybit", "error:invalid op or args", "request"),
        ("bybit", "Too many visits!", "passing"),
        ("bybit", "System level frequency protection", "passing"),
        ("bybit", "Internal system error", "passing"),
        ("bybit", "Server is restarting", "passing"),
        ("mexc-futures", "Contract [NOPE_USDT] not exists", "topics"),
        ("mexc-futures", "Contract doesn't exist!", "topics"),
        ("mexc-futures", "Requests are too frequent", "passing"),
        ("mexc-futures", "System busy, try again later", "passing"),
        ("mexc-futures", "Under maintenance", "passing"),
        ("binance", "Server is currently overloaded with other requests", "passing"),
        ("okx", "Service temporarily unavailable", "passing"),
    ],
)
def test_words_tell_the_kind_where_there_is_no_code(name: str, text: str, kind: str) -> None:
    found = meaning(TABLES[name], "", text)
    assert (kind, 0) == (found.kind, found.tries)


def test_blocked_means_the_moment_for_a_few_tries() -> None:
    text = "Not Subscribed successfully! [spot@public.x@AUSDT].  Reason： Blocked!"
    assert Meaning("passing", tries=4) == meaning(mexc.SPOT_ANSWERS, "", text)


def test_what_nobody_knows_is_tried_a_few_times_before_a_pair_is_retired() -> None:
    for table in TABLES.values():
        assert UNSURE == meaning(table, "99123", "no such text anywhere")
        assert UNSURE == meaning(table, "", "")
    assert ("passing", True) == (UNSURE.kind, UNSURE.tries > 0)


def test_a_code_goes_before_the_words_beside_it() -> None:
    assert "request" == meaning(okx.ANSWERS, "60012", "Invalid request: try again").kind
    assert "passing" == meaning(okx.ANSWERS, "63999", "BTC-USDT does not exist").kind


def test_a_socket_that_is_full_may_take_a_smaller_request() -> None:
    assert meaning(binance.ANSWERS, "4", "Too many subscriptions").smaller
    assert meaning(okx.ANSWERS, "", "Too many subscriptions").smaller


# -- the same table sorts the bodies of REST answers


def body(name: str, code: str) -> bytes:
    exchange = name.partition("-")[0]
    number: object = int(code)
    said = {
        "binance": {"code": number, "msg": "said"},
        "bybit": {"retCode": number, "retMsg": "said", "result": {}},
        "okx": {"code": code, "msg": "said", "data": []},
    }
    if name == "mexc-futures":
        return json.dumps({"success": False, "code": number, "message": "said"}).encode()
    return json.dumps(said.get(exchange) or {"code": number, "msg": "said"}).encode()


EACH_BODY = [
    (source, code, kind)
    for source in VENUES
    for name, code, kind in EACH_CODE
    if name in (source, source.partition("-")[0]) and code != "0"
]


@pytest.mark.parametrize(("source", "code", "kind"), EACH_BODY)
def test_a_rest_body_raises_what_its_code_asks_for(source: str, code: str, kind: str) -> None:
    pace = PACE.get(source) or PACE[source.partition("-")[0]]
    about_it = {"final": Refused, "topics": RequestRefused, "request": RequestRefused}
    expected = about_it.get(kind, VenueDown)
    venue = VENUES[source]
    parsers = (venue.instruments, venue.funding, venue.audit.tickers, venue.audit.maintenance)
    for parse in filter(None, parsers):
        with pytest.raises((RateLimited, VenueDown, Refused), match=f"{code} said") as caught:
            parse(body(source, code))
        assert (RateLimited if code in pace.split() else expected) is type(caught.value)


def test_a_long_text_is_cut() -> None:
    text = json.dumps({"code": "50011", "msg": "x" * 10_000, "data": []}).encode()
    with pytest.raises(RateLimited) as caught:
        VENUES["okx-spot"].instruments(text)
    assert len(str(caught.value)) < 300
