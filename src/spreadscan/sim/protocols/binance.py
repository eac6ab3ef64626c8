"""Binance, spot and USDT-M: acknowledges any stream name, pings from the server's side."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from spreadscan.sim.protocols.base import (
    NOTHING,
    Answer,
    Close,
    Conversation,
    Protocol,
    Row,
    Rules,
    passed,
    read_names,
)

STATUS = "!contractInfo"  # of perpetuals: listings, settlements, brackets
_TOO_FAST = Answer(close=Close(1008, "Too many requests"))
_NO_PONG = Answer(close=Close(1008, "Pong timeout"))


def topic(symbol: str) -> str:
    """Return the stream name of a symbol's best bid and ask."""
    return f"{symbol.lower()}@bookTicker"


@dataclass(slots=True)
class BinanceConversation(Conversation):
    """Streams of any name are accepted; only known ones push, and only on a change."""

    pinged_s: float = 0.0  # when the oldest unanswered ping went out, 0 = none
    next_ping_s: float = 0.0

    def __post_init__(self) -> None:
        Conversation.__post_init__(self)
        self.next_ping_s = self.opened_s + self.rules.server_ping_s

    def text(self, frame: str, now_s: float, unix_ms: int) -> Answer:
        if self.too_fast(now_s):
            return _TOO_FAST
        limit = self.rules.max_request_bytes
        if limit and len(frame.encode()) > limit:
            return NOTHING
        try:
            request = orjson.loads(frame)
        except ValueError:
            return _flat(3, "Invalid JSON: expected value at line 1 column 1")
        if not isinstance(request, dict) or "method" not in request:
            return _flat(2, _invalid("missing field `method`", frame))
        request_id = request.get("id")
        if isinstance(request_id, (bool, float, list, dict)):
            return _flat(2, _invalid("invalid `id`", frame))
        return self._request(request, frame)

    def refusal(self, request: dict[str, Any]) -> str:
        error = {"code": -1003, "msg": "Too many requests"}
        return orjson.dumps({"error": error, "id": request.get("id")}).decode()

    def control(self, pong: bool, now_s: float) -> Answer:
        if pong:
            self.pinged_s = 0.0
        return _TOO_FAST if self.too_fast(now_s) else NOTHING

    def timers(self, now_s: float) -> Answer:
        if self.pinged_s and passed(self.rules.pong_within_s, self.pinged_s, now_s):
            return _NO_PONG
        if self.rules.server_ping_s and now_s >= self.next_ping_s:
            self.next_ping_s = now_s + self.rules.server_ping_s
            self.pinged_s = self.pinged_s or now_s
            return Answer(ping=b"%d" % int(now_s * 1000))
        return NOTHING

    def opened(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        """Subscribe the streams that the URL names; a raw socket has no envelopes."""
        self.as_is = path.endswith("/stream")
        if not query.get("streams"):
            return NOTHING
        names = query["streams"].split("/")
        self.names.update(names)
        return Answer(added=self._known(names))

    def form(self, payload: bytes) -> bytes:
        return bare(payload)

    def _request(self, request: dict[str, Any], frame: str) -> Answer:
        method, request_id = request["method"], request.get("id")
        if method == "LIST_SUBSCRIPTIONS":
            return _result(sorted(self.names), request_id)
        params = request.get("params")
        if method in ("SET_PROPERTY", "GET_PROPERTY"):
            return self._property(method, params, request_id, frame)
        if method not in ("SUBSCRIBE", "UNSUBSCRIBE"):
            return _flat(2, _invalid(f"unknown variant `{method}`", frame))
        names = read_names(params)
        if names is None:
            return _flat(2, _invalid("missing field `params`", frame))
        if method == "UNSUBSCRIBE":
            gone = [name for name in names if name in self.names]
            self.names.difference_update(gone)
            return _result(None, request_id, removed=self._known(gone))
        if self.rules.max_topics and len(self.names.union(names)) > self.rules.max_topics:
            error = {"code": 4, "msg": "Too many subscriptions"}
            return Answer((orjson.dumps({"error": error, "id": request_id}).decode(),))
        new = [name for name in dict.fromkeys(names) if name not in self.names]
        self.names.update(new)
        return _result(None, request_id, added=self._known(new))

    def _property(self, method: str, params: object, request_id: object, frame: str) -> Answer:
        if not isinstance(params, list) or not params or params[0] != "combined":
            return _flat(2, _invalid("unknown property", frame))
        if method == "GET_PROPERTY":
            return _result(self.as_is, request_id)
        if len(params) != 2 or not isinstance(params[1], bool):
            return _flat(2, "Invalid request: too many parameters")
        self.as_is = params[1]
        return _result(None, request_id)

    def _known(self, names: list[str]) -> tuple[str, ...]:
        return tuple(self.topics[name] for name in names if name in self.topics)


def bare(frame: bytes) -> bytes:
    """Return what stands in the combined-stream envelope, as a raw socket sends it."""
    return frame[frame.index(b'"data":') + 7 : -1]


def in_envelope(frame: bytes, symbol: str) -> bytes:
    """Return what a combined stream sends: frame, in its envelope where it has none."""
    if frame.startswith(b'{"stream"'):
        return frame
    return b'{"stream":"%s","data":%s}' % (topic(symbol).encode(), frame)


def _result(
    result: object,
    request_id: object,
    added: tuple[str, ...] = (),
    removed: tuple[str, ...] = (),
) -> Answer:
    text = orjson.dumps({"result": result, "id": request_id}).decode()
    return Answer((text,), added, removed)


def _flat(code: int, message: str) -> Answer:
    return Answer((orjson.dumps({"code": code, "msg": message}).decode(),))


def _invalid(what: str, frame: str) -> str:
    return f"Invalid request: {what} at line 1 column {len(frame)}"


def _notice(unix_ms: int) -> str:
    event = {"e": "serverShutdown", "E": unix_ms}
    return orjson.dumps({"stream": "!serverShutdown", "data": event}).decode()


_BRACKETS = [
    {"bs": 1, "bnf": 0, "bnc": 5_000, "mmr": 0.01, "cf": 0, "mi": 21, "ma": 50},
    {"bs": 2, "bnf": 5_000, "bnc": 25_000, "mmr": 0.025, "cf": 75, "mi": 11, "ma": 20},
]


def _status_push(row: Row, unix_ms: int) -> bytes:
    event = {
        "e": "contractInfo", "E": unix_ms, "s": row["symbol"], "ps": row["pair"],
        "ct": row["contractType"], "dt": row["deliveryDate"], "ot": row["onboardDate"],
        "cs": row["status"], "bks": _BRACKETS, "st": 1,
    }  # fmt: skip
    return orjson.dumps({"stream": STATUS, "data": event})


PROTOCOLS = {
    "binance-spot": Protocol(
        rules=Rules(
            max_topics=1_024,
            max_request_bytes=4_088,
            frames_per_s=5,
            server_ping_s=20.0,
            pong_within_s=60.0,
        ),
        topic=topic,
        open=BinanceConversation,
        paths=("/stream", "/ws", "/ws/{streams}"),
        notice=_notice,
        clock_ns=0,
    ),
    "binance-futures": Protocol(
        rules=Rules(
            max_topics=1_024,
            max_request_bytes=4_088,
            frames_per_s=10,
            server_ping_s=180.0,
            pong_within_s=600.0,
        ),
        topic=topic,
        open=BinanceConversation,
        # Unrouted paths still deliver what /public does; /private (where the official client opens
        # a socket, whatever it wants) accepts and sends nothing, /market has the statuses only.
        paths=(
            "/public/stream",
            "/public/ws",
            "/public/ws/{streams}",
            "/stream",
            "/ws",
            "/ws/{streams}",
            "/market/stream",
            "/market/ws",
            "/market/ws/{streams}",
            "/private/stream",
            "/private/ws",
        ),
        notice=_notice,
        status=STATUS,
        status_path="/market/",
        status_push=_status_push,
    ),
}
