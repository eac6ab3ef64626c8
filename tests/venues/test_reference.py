"""The reference decoder's grammar: what is a number, a side, an id, a match; and any garbage."""

import json
import math
import random

import pytest

from spreadscan.errors import BadFrame
from spreadscan.types import Book, Delta
from spreadscan.venues import VENUES
from spreadscan.venues.base import BookSchema, Match
from spreadscan.venues.reference import FRAME_BYTES_MAX, ReferenceDecoder, decline_reason

DECODERS = {name: ReferenceDecoder(venue.schema) for name, venue in VENUES.items()}
INF = math.inf


def ticker(**change):
    """A spot bookTicker with fields changed; a value of ... leaves its field out."""
    data = {"u": 5, "s": "BTCUSDT", "b": "1.5", "B": "2", "a": "1.6", "A": "3"} | change
    data = {k: v for k, v in data.items() if v is not ...}
    return json.dumps({"stream": "btcusdt@bookTicker", "data": data}).encode()


def decode_one(source, frame):
    (item,) = DECODERS[source].decode(frame)
    return item


def bid_of(text):
    """The bid price when the wire has this JSON for it."""
    frame = b'{"stream":"x@bookTicker","data":{"s":"X","b":%s,"B":"1","a":"9","A":"1"}}'
    return decode_one("binance-spot", frame % text.encode()).bid_px


# ---- numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"1"', 1.0),
        ('"0.35270000"', 0.3527),
        ('"007.50"', 7.5),
        ('"-1"', -1.0),
        ('"-0"', 0.0),
        ('"7.548E+4"', 75480.0),
        ('"1e-9"', 1e-9),
        ('"1e9"', 1e9),
        ('"1e400"', INF),
        ('"-1e400"', -INF),
        ('"1e-400"', 0.0),
        ('"12345678901234567890123"', 12345678901234567890123.0),
        ('"' + "9" * 500 + '"', INF),
        ('"0.' + "3" * 500 + '"', 1 / 3),
        ("7.548E+4", 75480.0),
        ("75480", 75480.0),
        ("0.08055000", 0.08055),
        ("-3", -3.0),
        ("18446744073709551616", 2.0**64),
    ],
)
def test_numbers(text, expected):
    assert expected == bid_of(text)


@pytest.mark.parametrize(
    "text",
    [
        "nan NaN inf Infinity -inf +1 1_000 .5 1. 1.e5 1e 1e+ e5 - -- 0x10 1,5 1.5.5 5% None",
        " 1|1 |1 000|\\t1|1\\n|\\u00a01|\\u0661|\\uff11|\\u00b2|1\\u0000|\\u0000| ",
    ],
)
def test_texts_that_are_no_numbers(text):
    for part in text.split("|") if "|" in text else text.split():
        with pytest.raises(BadFrame, match="decimal number"):
            bid_of(f'"{part}"')


@pytest.mark.parametrize("value", ["true", "false", "null", "{}", "[]", '["1"]', '{"a":1}'])
def test_values_that_are_no_numbers(value):
    with pytest.raises(BadFrame, match="decimal number"):
        bid_of(value)


def test_a_json_number_that_overflows_is_not_json():
    frame = ticker().replace(b'"1.5"', b"1e400")
    assert b"1e400" in frame
    assert DECODERS["binance-spot"].decode(frame) is None
    assert "bad_frame" == decline_reason(VENUES["binance-spot"], frame)


# ---- sides -------------------------------------------------------------------------------


def side(book):
    return [None if math.isnan(x) else x for x in book[1:5]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"b": "", "B": ""}, [None, None, 1.6, 3.0]),
        ({"b": ""}, [None, None, 1.6, 3.0]),
        ({"B": ""}, [None, None, 1.6, 3.0]),
        ({"a": ""}, [1.5, 2.0, None, None]),
        ({"A": ""}, [1.5, 2.0, None, None]),
        ({"b": "", "A": ""}, [None] * 4),
        ({"B": "0"}, [1.5, 0.0, 1.6, 3.0]),
    ],
)
def test_empty_text_is_a_missing_side(change, expected):
    assert expected == side(decode_one("binance-spot", ticker(**change)))


@pytest.mark.parametrize("field", ["b", "B", "a", "A"])
def test_an_absent_price_or_size_is_a_bad_frame(field):
    with pytest.raises(BadFrame, match="nothing"):
        DECODERS["binance-spot"].decode(ticker(**{field: ...}))


def okx(bids='[["1.5","2","0","1"]]', asks='[["1.6","3","0","1"]]', rest=""):
    return (
        '{"arg":{"channel":"bbo-tbt","instId":"BTC-USDT"},'
        f'"data":[{{"asks":{asks},"bids":{bids}{rest}}}]}}'
    ).encode()


@pytest.mark.parametrize(
    ("bids", "expected"),
    [
        ("[]", [None, None]),
        ("[[]]", [None, None]),
        ('[["",""]]', [None, None]),
        ('[["","2"]]', [None, None]),
        ('[["1","2"],["0.5","9"]]', [1.0, 2.0]),
        ("[[1,2]]", [1.0, 2.0]),
    ],
)
def test_an_empty_list_on_the_way_is_a_missing_side(bids, expected):
    assert [*expected, 1.6, 3.0] == side(decode_one("okx-spot", okx(bids)))


@pytest.mark.parametrize("bids", ["null", "{}", '""', '"12"', '[["1"]]', "[1]", '["12"]', "[null]"])
def test_levels_of_another_shape_are_bad_frames(bids):
    with pytest.raises(BadFrame):
        DECODERS["okx-spot"].decode(okx(bids))


# ---- ids, times, symbols -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (7, 7),
        ((1 << 63) - 1, (1 << 63) - 1),
        ("0", 0),
        ("007", 7),
        ("9223372036854775807", (1 << 63) - 1),
        (..., -1),
        (None, -1),
    ],
)
def test_ids(value, expected):
    assert expected == decode_one("binance-spot", ticker(u=value)).update_id


@pytest.mark.parametrize(
    "value",
    [-1, 1 << 63, 1 << 64, 1.0, 1e3, True, "", "-1", "+1", "1.0", "1e3", " 1", "1_0", "x", [], {}]
    + ["9223372036854775808", "0" * 20, "1" * 5_000, "\u0661", "\u00b2"],
)
def test_ids_that_are_none(value):
    with pytest.raises(BadFrame, match="update_id"):
        DECODERS["binance-spot"].decode(ticker(u=value))


def futures(**change):
    return ticker(**({"e": "bookTicker", "T": 7, "E": 8} | change))


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, 7_000_000),
        ({"T": ...}, 8_000_000),
        ({"T": None}, 8_000_000),
        ({"T": ..., "E": ...}, 0),
        ({"T": "1789469121938"}, 1_789_469_121_938_000_000),
        ({"T": 9_223_372_036_854}, 9_223_372_036_854_000_000),
    ],
)
def test_times_are_the_first_path_that_exists_in_ns(change, expected):
    assert expected == decode_one("binance-futures", futures(**change)).venue_ns


@pytest.mark.parametrize("value", [-1, 0, 9_223_372_036_855, 1 << 63, "", "7.5", 7.5, False, "x",
                                   [], {}, "-1", 1.789e12])  # fmt: skip
def test_times_that_are_none_cost_nothing_and_are_counted(value):
    decoder = ReferenceDecoder(VENUES["binance-futures"].schema)
    (book,) = decoder.decode(futures(T=value))
    assert (0, 1) == (book.venue_ns, decoder.odd_times)


@pytest.mark.parametrize("factor", [1, 10**6, 10**9])
def test_times_of_another_unit_are_scaled_and_counted(factor):
    decoder = ReferenceDecoder(VENUES["binance-futures"].schema)
    (book,) = decoder.decode(futures(T=1_789_299_659 * factor))
    assert (1_789_299_659 * 10**9, 1) == (book.venue_ns, decoder.odd_times)


@pytest.mark.parametrize("time", [(1 << 64) - 1, 1 << 63, 1_789_299_659_915_000])
def test_a_send_time_that_is_none_costs_no_quote(time):
    """MEXC spot numbers by it what has no version."""
    frame = wrapper(head=CHANNEL + field(3, "X") + field(6, time))
    (book,) = DECODERS["mexc-spot"].decode(frame)
    if time < 1 << 63:
        assert (time * 1000, time, 1) == (book.venue_ns, *book[6:])
    else:
        assert (0, -1, 0) == (book.venue_ns, *book[6:])


@pytest.mark.parametrize(
    ("source", "frame"),
    [
        ("binance-spot", ticker(s="")),
        ("okx-spot", okx().replace(b"BTC-USDT", b"")),
        ("bybit-spot", b'{"topic":"orderbook.1.","data":{"b":[],"a":[]}}'),
    ],
)
def test_an_empty_symbol_is_a_bad_frame(source, frame):
    with pytest.raises(BadFrame, match="symbol"):
        DECODERS[source].decode(frame)


@pytest.mark.parametrize("value", ["null", "7", "[]"])
def test_a_symbol_that_is_no_text_is_a_bad_frame(value):
    with pytest.raises(BadFrame, match="symbol"):
        DECODERS["okx-spot"].decode(okx().replace(b'"BTC-USDT"', value.encode()))


# ---- which frames match ------------------------------------------------------------------

QUOTE = '"s":"BTCUSDT","b":"1","B":"2","a":"3","A":"4"'
UM = f'"e":"bookTicker",{QUOTE}'


@pytest.mark.parametrize(
    ("source", "frame", "matches"),
    [
        ("binance-spot", f"{{{QUOTE}}}", True),
        ("binance-spot", f'{{"stream":"btcusdt@bookTicker","data":{{{QUOTE}}}}}', True),
        ("binance-spot", f'{{"stream":"btcusdt@trade","data":{{{QUOTE}}}}}', False),
        ("binance-spot", f'{{"stream":"!bookTicker","data":{{{QUOTE}}}}}', False),
        ("binance-spot", f'{{"stream":7,"data":{{{QUOTE}}}}}', False),
        ("binance-spot", f'{{"e":"depthUpdate",{QUOTE}}}', False),
        ("binance-spot", '{"u":1,"b":"1","B":"2"}', False),
        ("binance-spot", '{"s":["X"],"b":"1","B":"2","a":"3","A":"4"}', False),
        ("binance-spot", '{"s":1.5,"b":"1","B":"2","a":"3","A":"4"}', False),
        ("binance-spot", '{"stream":"btcusdt@bookTicker","data":null}', False),
        ("binance-spot", '{"stream":"btcusdt@bookTicker","data":[1]}', False),
        ("binance-spot", '{"result":null,"id":1}', False),
        ("binance-futures", f"{{{UM}}}", True),
        ("binance-futures", f'{{{UM},"st":1}}', True),
        ("binance-futures", f'{{{UM},"st":"1"}}', True),
        ("binance-futures", f'{{{UM},"st":null}}', True),
        ("binance-futures", f'{{{UM},"st":2}}', False),
        ("binance-futures", f'{{{UM},"st":11}}', False),
        ("binance-futures", f'{{{UM},"st":true}}', False),
        ("binance-futures", f"{{{QUOTE}}}", False),
        ("binance-futures", f'{{"stream":"!bookTicker","data":{{{UM}}}}}', False),
        ("bybit-spot", '{"topic":"orderbook.1.X","data":{"b":[],"a":[]}}', True),
        ("bybit-spot", '{"topic":"orderbook.10.X","data":{"b":[],"a":[]}}', False),
        ("bybit-spot", '{"topic":"orderbook.50.X","data":{"b":[],"a":[]}}', False),
        ("bybit-spot", '{"topic":"xorderbook.1.X","data":{"b":[],"a":[]}}', False),
        ("mexc-futures", '{"symbol":"X","channel":"push.depth","data":{"bids":[]}}', False),
        ("mexc-futures", '{"symbol":"X","channel":"push.depth.full.x","data":{}}', False),
        (
            "mexc-futures",
            '{"symbol":"X","channel":"push.depth.full","data":{"bids":[],"asks":[]}}',
            True,
        ),
        ("okx-spot", '{"arg":{"channel":"bbo-tbt","instId":"X"},"event":"subscribe"}', False),
        ("okx-spot", '{"arg":{"channel":"books","instId":"X"},"data":[]}', False),
        ("okx-spot", '{"arg":"bbo-tbt","data":[{"bids":[],"asks":[]}]}', False),
        (
            "okx-spot",
            '{"arg":{"channel":"bbo-tbt","instId":"X"},"data":[{"bids":[],"asks":[]}]}',
            True,
        ),
    ],
)
def test_which_frames_are_quotes(source, frame, matches):
    books = DECODERS[source].decode(frame.encode())
    assert matches == (books is not None)
    assert not matches or 1 == len(books)
    if not matches:
        assert "other_channel" == decline_reason(VENUES[source], frame.encode())


def test_every_element_of_a_list_root_is_a_book():
    element = '{"asks":[["2","1"]],"bids":[["%d","1"]],"ts":"%d"}'
    data = ",".join(element % (i, i) for i in (1, 2, 3))
    frame = f'{{"arg":{{"channel":"bbo-tbt","instId":"X"}},"data":[{data}]}}'.encode()
    got = DECODERS["okx-spot"].decode(frame)
    assert [(1.0, 10**6), (2.0, 2 * 10**6), (3.0, 3 * 10**6)] == [
        (b.bid_px, b.venue_ns) for b in got
    ]


@pytest.mark.parametrize("data", ["[]", "[1]", "[{},null]"])
def test_a_list_root_without_objects_is_a_bad_frame(data):
    frame = f'{{"arg":{{"channel":"bbo-tbt","instId":"X"}},"data":{data}}}'
    with pytest.raises(BadFrame):
        DECODERS["okx-spot"].decode(frame.encode())


def schema(**change):
    fields = {
        "match": (Match("c", "a*b*c"),),
        "symbol": "s",
        "bid_px": "b",
        "bid_qty": "b",
        "ask_px": "a",
        "ask_qty": "a",
    }
    return BookSchema(**(fields | change))


@pytest.mark.parametrize(
    ("text", "matches"),
    [("abc", True), ("a--b\\n-c", True), ("aabbcc", True), ("ab", False), ("xabc", False)],
)
def test_stars_within_a_pattern(text, matches):
    frame = f'{{"c":"{text}","s":"X","b":1,"a":2}}'.encode()
    assert matches == (ReferenceDecoder(schema()).decode(frame) is not None)


def test_a_size_that_is_a_number_was_rounded_where_sizes_are_text():
    decoder = ReferenceDecoder(schema(qty_text=True, bid_qty="B", ask_qty="A", match=()))
    good = [Book("X", 1.0, 2.0, 3.0, 4.0, 0, -1)]
    assert good == decoder.decode(b'{"s":"X","b":1,"B":"2","a":"3","A":"4"}')
    for sizes in (b'"B":2,"A":"4"', b'"B":"2","A":4', b'"B":2.5,"A":4'):
        with pytest.raises(BadFrame, match="size: found .*, expected decimal text"):
            decoder.decode(b'{"s":"X","b":1,"a":"3",%s}' % sizes)
    got = decoder.decode(b'{"s":"X","b":"","B":0,"a":"3","A":"4"}')[0]
    assert [None, None, 3.0, 4.0] == side(got)


def test_a_symbol_without_its_prefix_is_another_channel():
    decoder = ReferenceDecoder(schema(symbol_prefix="p:", match=()))
    assert decoder.decode(b'{"s":"X","b":1,"a":2}') is None
    assert [Book("X", 1.0, 1.0, 2.0, 2.0, 0, -1)] == decoder.decode(b'{"s":"p:X","b":1,"a":2}')


def test_the_path_that_gave_the_id_is_told():
    decoder = ReferenceDecoder(schema(update_id=("u", "v"), match=()))
    assert (5, 0) == decoder.decode(b'{"s":"X","b":1,"a":2,"u":5,"v":6}')[0][6:]
    assert (6, 1) == decoder.decode(b'{"s":"X","b":1,"a":2,"v":6}')[0][6:]


def test_the_last_of_two_equal_keys_counts():
    frame = b'{"s":"X","b":"1","B":"1","a":"2","A":"1","b":"1.5"}'
    assert 1.5 == decode_one("binance-spot", frame).bid_px


def test_a_memoryview_will_do():
    for name, venue in VENUES.items():
        frame = venue.render(Book("X", 1.0, 2.0, 3.0, 4.0, 0, 5))
        assert DECODERS[name].decode(frame) == DECODERS[name].decode(memoryview(frame))


# ---- deltas ------------------------------------------------------------------------------


def bybit(kind="delta", b='[["27994.60","0"],["27991.70","0.777"]]', a="[]", u="9"):
    return (
        f'{{"topic":"orderbook.1.BTCUSDT","type":"{kind}","ts":3,'
        f'"data":{{"s":"OTHER","b":{b},"a":{a},"u":{u}}}}}'
    ).encode()


def test_a_delta_has_the_topics_symbol_its_levels_and_the_push_time():
    expected = Delta("BTCUSDT", ((27994.6, 0.0), (27991.7, 0.777)), (), 3_000_000, 9)
    got = decode_one("bybit-futures", bybit())
    assert expected == got
    assert isinstance(got, Delta)


def test_what_is_no_delta_is_a_snapshot():
    got = decode_one("bybit-futures", bybit("snapshot"))
    assert isinstance(got, Book)
    assert [27994.6, 0.0, None, None] == side(got)


@pytest.mark.parametrize(
    "levels",
    ["null", "{}", '"12"', "[1]", '[["1"]]', "[[]]", '[["","1"]]', '[["1",""]]', '[["1","nan"]]'],
)
def test_levels_of_a_delta_that_are_none(levels):
    for frame in (bybit(b=levels), bybit(a=levels)):
        with pytest.raises(BadFrame):
            DECODERS["bybit-spot"].decode(frame)


# ---- protobuf ----------------------------------------------------------------------------


def varint(n):
    out = b""
    while n > 127:
        out += bytes([n & 127 | 128])
        n >>= 7
    return out + bytes([n])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


CHANNEL = field(1, "spot@public.aggre.bookTicker.v3.api.pb@10ms@X")
PRICES = [field(1, "1.5"), field(2, "2"), field(3, "1.6"), field(4, "3")]


BODY = b"".join(PRICES)
HEAD = CHANNEL + field(3, "X") + field(6, 7)


def wrapper(body=BODY, head=HEAD):
    return head + field(315, body)


def pb(frame):
    return decode_one("mexc-spot", frame)


X = Book("X", 1.5, 2.0, 1.6, 3.0, 7_000_000, 7, 1)


def test_tag_bytes_of_the_ticker_field():
    assert b"\xda\x13" == field(315, b"")[:2]


def test_fields_come_in_any_order_and_unknown_ones_are_skipped():
    assert X == pb(wrapper())
    unknown = field(99, "?") + field(4, 12) + varint(50 << 3 | 1) + bytes(8)
    unknown += varint(51 << 3 | 5) + bytes(4)
    body = unknown + b"".join(reversed(PRICES)) + field(6, 12)
    assert X == pb(unknown + field(315, body) + field(6, 7) + field(3, "X") + CHANNEL + unknown)


def test_the_last_of_two_equal_fields_counts():
    assert 9.0 == pb(wrapper(BODY + field(1, "9"))).bid_px
    assert "Y" == pb(wrapper() + field(3, "Y")).symbol
    assert 4.5 == pb(wrapper() + field(315, field(1, "4.5") + b"".join(PRICES[1:]))).bid_px


def test_the_version_goes_before_the_time():
    assert (81721676217, 0) == pb(wrapper(BODY + field(5, "81721676217")))[6:]
    assert (7, 1) == pb(wrapper())[6:]
    assert (7, 1) == pb(wrapper(BODY + field(5, "")))[6:]
    assert (-1, 0) == pb(wrapper(head=CHANNEL + field(3, "X")))[6:]


@pytest.mark.parametrize("missing", [0, 1, 2, 3])
@pytest.mark.parametrize("how", ["absent", "empty"])
def test_an_absent_or_empty_price_is_a_missing_side(missing, how):
    body = list(PRICES)
    body[missing] = b"" if how == "absent" else field(missing + 1, "")
    expected = [None, None, 1.6, 3.0] if missing < 2 else [1.5, 2.0, None, None]
    assert expected == side(pb(wrapper(b"".join(body))))


def test_a_wrapper_without_ticker_is_no_quote_but_no_garbage_either():
    frame = CHANNEL + field(3, "X") + field(6, 7)
    assert DECODERS["mexc-spot"].decode(frame) is None
    assert "other_channel" == decline_reason(VENUES["mexc-spot"], frame)
    assert DECODERS["mexc-spot"].decode(frame + field(315, 12)) is None


def test_another_channel_with_a_broken_body_is_no_bad_frame():
    head = field(1, "spot@public.aggre.deals.v3.api.pb@10ms@X") + field(3, "X")
    frame = head + field(315, b"\xff\xff")
    assert DECODERS["mexc-spot"].decode(frame) is None
    assert "other_channel" == decline_reason(VENUES["mexc-spot"], frame)


@pytest.mark.parametrize(
    "frame",
    [
        wrapper(b"\x0a"),
        wrapper(b"\x0a\x05abc"),
        wrapper(b"\x0b\x01"),
        wrapper(b"\x02\x00"),
        wrapper(field(1, "nan")),
        wrapper(field(1, " 1")),
        wrapper(field(1, "1_0")),
        wrapper(field(1, "\u0661")),
        wrapper(field(1, b"\xff\xfe")),
        wrapper(field(1, 7)),
        wrapper(BODY + field(5, "x")),
        wrapper(BODY + field(5, "-1")),
        wrapper(BODY + field(5, "9223372036854775808")),
        wrapper(head=CHANNEL + field(3, "") + field(6, 7)),
        wrapper(head=CHANNEL + field(6, 7)),
        wrapper(head=CHANNEL + field(3, 7)),
        wrapper(head=CHANNEL + field(3, b"\xff")),
    ],
)
def test_protobuf_that_matches_and_is_bad(frame):
    with pytest.raises(BadFrame) as caught:
        DECODERS["mexc-spot"].decode(frame)
    assert 120 > len(str(caught.value))


@pytest.mark.parametrize(
    "tail",
    [
        b"\x80",
        b"\x20" + b"\x80" * 10 + b"\x00",  # a varint of eleven bytes
        b"\x20" + b"\xff" * 9 + b"\x02",  # ten bytes, but 65 bits
        b"\x0a\x7f",
        b"\x0a" + b"\xff" * 9 + b"\x01",  # a length of 2^64 - 1
        b"\x09\x00",  # eight bytes announced
        b"\x0d\x00\x00\x00",  # four bytes announced
        b"\x0b",  # group
        b"\x0c",
        b"\x0e",
        b"\x0f",
        b"\x00\x00",  # field 0
        varint(1 << 32) + b"\x00",  # field 2^29
    ],
)
def test_protobuf_that_does_not_parse_is_no_quote(tail):
    assert [X] == DECODERS["mexc-spot"].decode(wrapper())
    assert DECODERS["mexc-spot"].decode(wrapper() + tail) is None
    assert "bad_frame" == decline_reason(VENUES["mexc-spot"], wrapper() + tail)


def test_a_varint_of_64_bits_is_read():
    frame = wrapper() + b"\x20" + b"\xff" * 9 + b"\x01"  # field 4, unknown here
    assert [X] == DECODERS["mexc-spot"].decode(frame)


def test_every_cut_of_a_protobuf_frame_is_survived():
    frame = wrapper()
    for end in range(len(frame)):
        assert DECODERS["mexc-spot"].decode(frame[:end]) is None


# ---- bounds and garbage ------------------------------------------------------------------


@pytest.mark.parametrize("source", VENUES)
def test_a_frame_above_a_mebibyte_is_bad_and_one_below_is_not(source):
    venue, decoder = VENUES[source], DECODERS[source]
    frame = venue.render(Book("X", 1.0, 2.0, 3.0, 4.0, 0, 5))
    fill = FRAME_BYTES_MAX - len(frame)
    if venue.schema.wire == "protobuf":
        most = frame + varint(99 << 3 | 2) + varint(fill - 5) + bytes(fill - 5)
    else:
        most = frame + b" " * fill
    assert FRAME_BYTES_MAX == len(most)
    assert decoder.decode(frame) == decoder.decode(most)
    with pytest.raises(BadFrame, match="1048577"):
        decoder.decode(most + b" ")
    assert "bad_frame" == decline_reason(venue, most + b" ")


@pytest.mark.parametrize("source", VENUES)
@pytest.mark.parametrize("opening", [b"[", b'{"data":', b'{"b":[', b"\x0a\x80", b"\xda\x13"])
def test_deep_nesting_is_survived(source, opening):
    frame = opening * 100_000
    assert DECODERS[source].decode(frame) is None
    assert "bad_frame" == decline_reason(VENUES[source], frame)


def test_a_deep_value_in_a_bad_place_is_named_and_not_shown():
    deep = b"[" * 1000 + b"]" * 1000
    for frame in (
        ticker(s="X").replace(b'"1.5"', deep),
        ticker().replace(b'"u": 5', b'"u":' + deep),
    ):
        with pytest.raises(BadFrame, match="list") as caught:
            DECODERS["binance-spot"].decode(frame)
        assert 120 > len(str(caught.value))


def test_a_long_value_in_a_bad_place_is_cut():
    with pytest.raises(BadFrame) as caught:
        DECODERS["binance-spot"].decode(ticker(b="x" * 100_000))
    assert 120 > len(str(caught.value))


def check(items):
    """What every decoded item keeps to, whatever was sent."""
    assert items
    for item in items:
        assert isinstance(item.symbol, str)
        assert item.symbol
        assert 0 <= item.venue_ns < 1 << 63
        assert -1 <= item.update_id < 1 << 63
        if isinstance(item, Book):
            assert math.isnan(item.bid_px) == math.isnan(item.bid_qty)
            assert math.isnan(item.ask_px) == math.isnan(item.ask_qty)
            assert all(type(x) is float for x in item[1:5])
        else:
            assert not any(math.isnan(x) for level in item.bids + item.asks for x in level)


@pytest.mark.parametrize("source", VENUES)
def test_mutated_frames_are_quotes_or_bad_frames_or_nothing(source):
    rng = random.Random(f"{source} 20261120")
    venue, decoder = VENUES[source], DECODERS[source]
    frames = [venue.render(Book("BTCUSDT", 1.5, 2.0, 1.6, 3.0, 7_000_000, 5))]
    if venue.schema.delta:
        frames.append(bybit())
    outcomes = {"quote": 0, "bad": 0, "none": 0}
    for _ in range(4_000):
        mutated = bytearray(rng.choice(frames))
        for _ in range(rng.choice((1, 1, 1, 2, 5))):
            at = rng.randrange(len(mutated))
            what = rng.randrange(4)
            if what == 0:
                mutated[at] = rng.randrange(256)
            elif what == 1:
                mutated[at] = rng.choice(b'0123456789"{}[],:.-e \x00\x80')
            elif what == 2:
                del mutated[at : at + rng.randrange(1, 6)]
            else:
                mutated[at:at] = rng.choice((b"0", b'"', b"1e9", b"[]", b"\xff", b"null"))
        try:
            items = decoder.decode(bytes(mutated))
        except BadFrame:
            outcomes["bad"] += 1
            continue
        outcomes["quote" if items is not None else "none"] += 1
        if items is None:
            assert decline_reason(venue, bytes(mutated)) in ("other_channel", "bad_frame")
        else:
            check(items)
    assert min(outcomes.values()) > 20, outcomes  # every way out was taken


JUNK = [
    None,
    True,
    -1,
    0,
    7,
    1 << 63,
    1.5,
    "",
    "x",
    "1",
    "nan",
    [],
    [[]],
    [["1", "2"]],
    {},
    {"0": 1},
]


@pytest.mark.parametrize("source", [v.name for v in VENUES.values() if v.schema.wire == "json"])
def test_any_value_in_any_place_is_a_quote_or_a_bad_frame_or_nothing(source):
    decoder, venue = DECODERS[source], VENUES[source]
    whole = json.loads(venue.render(Book("BTCUSDT", 1.5, 2.0, 1.6, 3.0, 7_000_000, 5)))
    outcomes = set()

    def places(node):
        keys = node if isinstance(node, dict) else range(len(node))
        for key in list(keys):
            yield node, key
            if isinstance(node[key], dict | list):
                yield from places(node[key])

    for node, key in list(places(whole)):
        kept = node[key]
        for junk in JUNK:
            node[key] = junk
            try:
                items = decoder.decode(json.dumps(whole).encode())
            except BadFrame:
                outcomes.add("bad")
                continue
            outcomes.add("none" if items is None else "quote")
            if items is not None:
                check(items)
        node[key] = kept
    assert {"bad", "none", "quote"} == outcomes


@pytest.mark.parametrize("source", VENUES)
def test_random_bytes_are_survived(source):
    rng = random.Random(20261120)
    for _ in range(2_000):
        frame = rng.randbytes(rng.randrange(80))
        assert DECODERS[source].decode(frame) is None
        assert decline_reason(VENUES[source], frame) in ("other_channel", "bad_frame")
