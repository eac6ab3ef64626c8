"""What a good Python programmer writes to read these frames: orjson and float(), or protobuf.

The baseline of bench_decode.py and bench_feed.py. One function per wire, for the frames that are
meant for it alone: no frame is checked. Each returns (symbol, bid_px, bid_qty, ask_px, ask_qty,
update id).
"""

from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

Fields = tuple[str, float, float, float, float, int]
_TEXT = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_INT64 = descriptor_pb2.FieldDescriptorProto.TYPE_INT64
_MESSAGE = descriptor_pb2.FieldDescriptorProto.TYPE_MESSAGE


def binance(frame: bytes) -> Fields:
    d = orjson.loads(frame)["data"]
    return d["s"], float(d["b"]), float(d["B"]), float(d["a"]), float(d["A"]), d["u"]


def bybit(frame: bytes) -> Fields:
    d = orjson.loads(frame)["data"]
    (bid_px, bid_qty), (ask_px, ask_qty) = d["b"][0], d["a"][0]
    return d["s"], float(bid_px), float(bid_qty), float(ask_px), float(ask_qty), d["u"]


def mexc_futures(frame: bytes) -> Fields:
    message = orjson.loads(frame)
    d = message["data"]
    bid, ask = d["bids"][0], d["asks"][0]
    fields = float(bid[0]), float(bid[1]), float(ask[0]), float(ask[1])
    return message["symbol"], *fields, d["version"]


def okx(frame: bytes) -> Fields:
    message = orjson.loads(frame)
    d = message["data"][0]
    bid, ask = d["bids"][0], d["asks"][0]
    fields = float(bid[0]), float(bid[1]), float(ask[0]), float(ask[1])
    return message["arg"]["instId"], *fields, d["seqId"]


def gate(frame: bytes) -> Fields:
    d = orjson.loads(frame)["result"]
    return d["s"], float(d["b"]), float(d["B"]), float(d["a"]), float(d["A"]), d["u"]


def _wrapper() -> Any:
    """The published messages of MEXC spot, as far as a ticker needs them."""
    file = descriptor_pb2.FileDescriptorProto(name="ticker.proto", package="t", syntax="proto3")
    ticker = file.message_type.add(name="PublicAggreBookTickerV3Api")
    names = ("bidPrice", "bidQuantity", "askPrice", "askQuantity", "version")
    for number, name in enumerate(names, 1):
        ticker.field.add(name=name, number=number, type=_TEXT, label=1)
    ticker.field.add(name="lastUpdateTime", number=6, type=_INT64, label=1)
    wrapper = file.message_type.add(name="PushDataV3ApiWrapper")
    wrapper.field.add(name="channel", number=1, type=_TEXT, label=1)
    wrapper.field.add(name="symbol", number=3, type=_TEXT, label=1)
    wrapper.field.add(name="sendTime", number=6, type=_INT64, label=1)
    wrapper.field.add(
        name="publicAggreBookTicker", number=315, type=_MESSAGE, label=1,
        type_name=".t.PublicAggreBookTickerV3Api",
    )  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("t.PushDataV3ApiWrapper")
    return message_factory.GetMessageClass(found)


_Wrapper = _wrapper()


def mexc_spot(frame: bytes) -> Fields:
    message = _Wrapper.FromString(frame)
    t = message.publicAggreBookTicker
    fields = float(t.bidPrice), float(t.bidQuantity), float(t.askPrice), float(t.askQuantity)
    return message.symbol, *fields, int(t.version)


PLAIN: dict[str, Callable[[bytes], Fields]] = {
    "binance-spot": binance,
    "binance-futures": binance,
    "bybit-spot": bybit,
    "bybit-futures": bybit,
    "mexc-spot": mexc_spot,
    "mexc-futures": mexc_futures,
    "okx-spot": okx,
    "okx-futures": okx,
    "gate-spot": gate,
    "gate-futures": gate,
}
