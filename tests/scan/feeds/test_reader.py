"""Every frame is exactly one thing: books, a control message, or garbage with a reason."""

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from spreadcore.layout import DECLINED

from scan.feeds.kit import Heard, ack, book
from spreadscan.feeds.reader import FrameReader
from spreadscan.types import Book
from spreadscan.venues import VENUES
from spreadscan.venues.base import Ack, Event, Pong, Refusal

SYMBOL = {"okx-spot": "BTC-USDT", "okx-futures": "BTC-USDT-SWAP", "mexc-futures": "BTC_USDT"}


def symbol_of(name: str) -> str:
    return SYMBOL.get(name, "BTCUSDT")


def frame_of(name: str, update_id: int = 7) -> bytes:
    return VENUES[name].render(book(symbol_of(name), update_id))


def reader_of(name: str, **options: Any) -> tuple[FrameReader, Heard]:
    heard = Heard(**options)
    return FrameReader(VENUES[name], heard), heard


@pytest.mark.parametrize("name", VENUES)
def test_a_quote_goes_to_the_sink_with_its_fields(name: str) -> None:
    reader, heard = reader_of(name)
    assert reader.read(frame_of(name), 5) is None
    (found,) = heard.books
    assert (symbol_of(name), 100.0, 2.0, 101.0, 3.0) == found[:5]
    assert 7 == found.update_id
    assert (1, 1, 0) == (reader.frames, reader.valid, reader.bad)


@pytest.mark.parametrize("name", VENUES)
def test_what_the_gate_refuses_is_not_valid(name: str) -> None:
    reader, heard = reader_of(name, takes=lambda book: False)
    reader.read(frame_of(name), 5)
    assert (1, 0) == (len(heard.books), reader.valid)


def test_control_messages_come_back_and_count_as_nothing_else() -> None:
    for name, text, kind in (
        ("binance-spot", '{"result":null,"id":3}', Ack),
        ("bybit-spot", '{"success":false,"ret_msg":"no","req_id":"1","op":"subscribe"}', Refusal),
        ("okx-spot", "pong", Pong),
        ("okx-spot", '{"event":"notice","code":"64008","msg":"soon"}', Event),
        ("mexc-futures", '{"channel":"pong","data":1}', Pong),
    ):
        reader, heard = reader_of(name)
        assert isinstance(reader.read(text.encode(), 1), kind)
        assert ([], {}) == (heard.books, heard.declines)


@pytest.mark.parametrize("name", VENUES)
def test_an_answer_written_by_hand_is_understood(name: str) -> None:
    venue, symbol = VENUES[name], symbol_of(name)
    request = json.loads(venue.subscribe([symbol], 5))
    for text in ack(name, request):
        assert isinstance(reader_of(name)[0].read(text.encode(), 1), Ack)


def test_one_frame_may_carry_several_books() -> None:
    reader, heard = reader_of("okx-spot")
    message = json.loads(frame_of("okx-spot"))
    message["data"] *= 3
    reader.read(json.dumps(message).encode(), 1)
    assert (3, 3, 1) == (len(heard.books), reader.valid, reader.frames)


GARBAGE = {
    "not json": b"what?",
    "nothing": b"",
    "invalid UTF-8": b'{"stream":"btcusdt@bookTicker","data":{"s":"\xff\xfe"}}',
    "cut": frame_of("binance-futures")[:-9],
    "deep": b"[" * 100_000,
    "deep object": b'{"a":' * 100_000,
    "huge": b'{"stream":"' + b"x" * (1 << 20) + b'"}',
    "a number": b"1",
    "null": b"null",
    "NaN": b'{"stream":"btcusdt@bookTicker","data":{"e":"bookTicker","s":"BTCUSDT","b":NaN}}',
}


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize("frame", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_a_bad_frame(name: str, frame: bytes) -> None:
    reader, heard = reader_of(name)
    assert reader.read(frame, 1) is None
    assert {"bad_frame": 1} == heard.declines
    assert (1, 1, 0) == (reader.frames, reader.bad, reader.valid)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("b", "1e400"), ("b", "0x10"), ("b", "ten"), ("b", True), ("b", {}), ("b", "-"),
        ("b", "1_000"), ("A", " 1"), ("u", "x"), ("u", -1), ("u", 2**63), ("s", 5),
        ("s", ""), ("a", "inf"), ("a", "nan"), ("B", "１"),
    ],
)  # fmt: skip
def test_a_quote_with_a_broken_field_is_a_bad_frame_or_no_number(field: str, value: Any) -> None:
    message = json.loads(frame_of("binance-futures"))
    message["data"][field] = value
    reader, heard = reader_of("binance-futures", takes=lambda b: 0.0 < b.bid_px < b.ask_px < 1e9)
    reader.read(json.dumps(message).encode(), 1)
    assert 0 == reader.valid
    assert 1 == heard.declines.total() + len(heard.books)


def test_a_frame_of_another_channel_is_named_so() -> None:
    for name, text in (
        ("binance-spot", b'{"stream":"btcusdt@trade","data":{"e":"trade","s":"BTCUSDT"}}'),
        ("bybit-spot", b'{"topic":"tickers.BTCUSDT","data":{}}'),
        ("okx-spot", b'{"arg":{"channel":"tickers","instId":"BTC-USDT"},"data":[{}]}'),
        ("mexc-spot", b"\n" + bytes([len("spot@public.aggre.deals")]) + b"spot@public.aggre.deals"),
    ):
        reader, heard = reader_of(name)
        assert reader.read(text, 1) is None
        assert {"other_channel": 1} == heard.declines
        assert 0 == reader.bad


def delta(symbol: str, update_id: int, bids: list[list[str]]) -> bytes:
    change = {"s": symbol, "b": bids, "a": [], "u": update_id, "seq": 1}
    topic = f"orderbook.1.{symbol}"
    return json.dumps({"topic": topic, "type": "delta", "ts": 1, "data": change}).encode()


def test_deltas_need_a_snapshot_and_then_make_whole_books() -> None:
    reader, heard = reader_of("bybit-spot")
    reader.read(delta("BTCUSDT", 8, [["100", "5"]]), 1)
    assert {"BTCUSDT"} == reader.need_snapshot
    assert ({"no_snapshot": 1}, [], 0) == (heard.declines, heard.books, reader.bad)
    reader.read(frame_of("bybit-spot", 8), 2)
    reader.read(delta("BTCUSDT", 9, [["100", "5"], ["100.5", "1"]]), 3)
    assert [(100.0, 2.0), (100.5, 1.0)] == [(b.bid_px, b.bid_qty) for b in heard.books]
    reader.read(delta("BTCUSDT", 11, [["99", "5"]]), 4)  # 10 is missing
    assert {"no_snapshot": 2} == heard.declines


def test_a_new_reader_knows_nothing_of_the_old_socket() -> None:
    old, _ = reader_of("bybit-spot")
    old.read(frame_of("bybit-spot", 8), 1)
    new, heard = reader_of("bybit-spot")
    new.read(delta("BTCUSDT", 9, []), 2)
    assert {"no_snapshot": 1} == heard.declines


@pytest.mark.parametrize("name", VENUES)
@given(st.data())
def test_any_bytes_are_one_thing_and_nothing_raises(name: str, data: st.DataObject) -> None:
    reader, heard = reader_of(name)
    whole = frame_of(name)
    frames = data.draw(st.lists(st.binary(max_size=60), max_size=5))
    rng = random.Random(data.draw(st.integers(0, 1 << 30)))
    for _ in range(20):
        mutant = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            mutant[rng.randrange(len(mutant))] = rng.randrange(256)
        frames.append(bytes(mutant))
        frames.append(whole[: rng.randrange(len(whole))])
    controls = sum(reader.read(frame, 1) is not None for frame in frames)
    assert len(frames) == reader.frames
    assert len(frames) == controls + heard.declines.total() + len(heard.books)
    assert set(heard.declines) <= set(DECLINED)
    assert heard.declines["bad_frame"] == reader.bad


def test_the_sink_sees_books_only() -> None:
    reader, heard = reader_of("bybit-spot")
    reader.read(frame_of("bybit-spot", 8), 1)
    reader.read(delta("BTCUSDT", 9, []), 2)
    assert {Book} == {type(found) for found in heard.books}
