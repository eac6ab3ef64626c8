"""Gate, spot and USDT perpetuals: one bad name refuses its whole request, idle sockets are cut."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from spreadscan.sim.protocols.base import (
    NOTHING,
    Answer,
    Close,
    Conversation,
    Protocol,
    Rules,
    compact,
    passed,
    read_names,
    read_object,
)

# Channels that exist, and are acknowledged, but send nothing here.
_OTHERS = ("trades", "tickers", "order_book", "order_book_update", "candlesticks", "obu")
_CUT = Answer(close=Close(0))
_SIZE = re.compile(rb'"([BA])":"(\d*)[^"]*"')  # of a rendered frame: the whole part of a text
_DECIMAL_HEADER = "X-Gate-Size-Decimal"


def topic(symbol: str) -> str:
    """Return the symbol: a socket has one subscription of the kind served here."""
    return symbol


@dataclass(slots=True)
class GateConversation(Conversation):
    """All names of a request or none. Who does not ask for text gets sizes of whole contracts."""

    market: str = "spot"

    def opened(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Answer:
        self.as_is = self.market == "spot" or headers.get(_DECIMAL_HEADER) == "1"
        return NOTHING

    def form(self, payload: bytes) -> bytes:
        return _SIZE.sub(rb'"\1":\2', payload)

    def text(self, frame: str, now_s: float, unix_ms: int) -> Answer:
        self.last_text_s = now_s
        request = read_object(frame)
        if request is None:
            if self.market == "spot":  # it stays mute
                return NOTHING
            return self._error({}, unix_ms, 1, "request message need json scheme")
        channel, event = request.get("channel"), request.get("event")
        if channel == f"{self.market}.ping":
            return self._say({"channel": f"{self.market}.pong", "event": ""}, unix_ms, None)
        names = read_names(request.get("payload"))
        well_formed = event in ("subscribe", "unsubscribe") and names
        if not well_formed or names is None or isinstance(request.get("time"), str):
            words = "request payload does not follow json schema"
            return self._error({"channel": "", "event": ""}, unix_ms, 1, words)
        own = {key: request.get(key) for key in ("id", "channel", "event", "payload")}
        if channel in [f"{self.market}.{other}" for other in _OTHERS]:
            return self._say(own, unix_ms, {"status": "success"})
        if channel != f"{self.market}.book_ticker":
            return self._error(own, unix_ms, 2, f"Unknown channel {channel}")
        unknown = [name for name in names if name not in self.topics]
        if unknown:
            colon = ":" if self.market == "spot" else ""
            return self._error(own, unix_ms, 2, f"unknown currency pair{colon} {unknown[0]}")
        said = self._say(own, unix_ms, {"status": "success"})
        if event == "subscribe":
            new = [name for name in dict.fromkeys(names) if name not in self.names]
            self.names.update(new)
            return Answer(said.texts, added=tuple(self.topics[name] for name in new))
        gone = [name for name in names if name in self.names]
        self.names.difference_update(gone)
        return Answer(said.texts, removed=tuple(self.topics[name] for name in gone))

    def refusal(self, request: dict[str, Any]) -> str:
        own = {key: request.get(key) for key in ("id", "channel", "event", "payload")}
        return self._error(own, 0, 3, "internal server error").texts[0]

    def timers(self, now_s: float) -> Answer:
        if not self.names and passed(self.rules.no_topic_s, self.last_text_s, now_s):
            return _CUT
        idle_since = max(self.last_text_s, self.last_push_s)
        return _CUT if passed(self.rules.idle_s, idle_since, now_s) else NOTHING

    def _error(self, own: dict[str, Any], unix_ms: int, code: int, words: str) -> Answer:
        error = {"error": {"code": code, "message": words}}
        return self._say(own | error, unix_ms, {"status": "fail"})

    def _say(self, own: dict[str, Any], unix_ms: int, result: dict[str, str] | None) -> Answer:
        trace = self.conn_id * 4
        head = {"time": unix_ms // 1000, "time_ms": unix_ms, "id": own.get("id")}
        message = head | {"conn_id": self.conn_id * 2, "trace_id": trace} | own
        message |= {"result": result} if result else {}
        message |= {"requestId": trace} if self.market == "spot" else {}
        return Answer((compact(message),))


def _notice(market: str, unix_ms: int) -> str:
    words = "The connection will soon be closed for a service upgrade. Please reconnect."
    return compact(
        {
            "time": unix_ms // 1000,
            "time_ms": unix_ms,
            "channel": f"{market}.system",
            "event": "update",
            "result": {"type": "upgrade", "msg": words},
        }
    )


def _protocol(market: str, path: str) -> Protocol:
    return Protocol(
        rules=Rules(no_topic_s=30.0, idle_s=60.0),
        topic=topic,
        open=partial(GateConversation, market=market),
        paths=(path,),
        notice=partial(_notice, market),
    )


PROTOCOLS = {
    "gate-spot": _protocol("spot", "/ws/v4/"),
    "gate-futures": _protocol("futures", "/v4/ws/usdt"),
}
