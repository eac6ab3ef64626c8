"""OKX v5, spot and swap: one answer per argument, text pings, close 4004 when nothing flows."""

import re
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import orjson

from spreadscan.sim.protocols.base import (
    NOTHING,
    Answer,
    Close,
    Conversation,
    compact,
    passed,
    read_object,
)

_OTHER_CHANNELS = {"books", "books5", "books-rpi", "tickers", "trades", "mark-price"}
_ID = re.compile(r"[0-9A-Za-z]{1,32}")


def topic(symbol: str) -> str:
    """Return a name of a symbol's best bid and ask; the wire has two keys instead."""
    return f"bbo-tbt:{symbol}"


@dataclass(slots=True)
class OkxConversation(Conversation):
    """Arguments stand for themselves: a bad one does not touch its neighbours."""

    _ops: deque[float] = field(default_factory=deque)

    def text(self, frame: str, now_s: float, unix_ms: int) -> Answer:
        self.last_text_s = now_s
        if frame == "ping":
            return Answer(("pong",))
        request = read_object(frame)
        args = None if request is None else _read_args(request)
        if request is None or args is None:
            return self._error("60012", f"Invalid request: {frame[:200]}")
        if self._too_many(now_s):
            return self._error("60014", "Requests too frequent")
        limit = self.rules.max_arg_chars
        if limit and len(orjson.dumps(args)) > limit:
            return self._error("60012", f"Invalid request: args longer than {limit} bytes")
        if request["op"] == "subscribe":
            return self._subscribe(request.get("id"), args)
        return self._unsubscribe(request.get("id"), args)

    def refusal(self, request: dict[str, Any]) -> str:
        return self._error("60014", "Requests too frequent").texts[0]

    def timers(self, now_s: float) -> Answer:
        seconds = self.rules.idle_s
        if passed(seconds, max(self.last_text_s, self.last_push_s), now_s):
            return Answer(close=Close(4004, f"No data received in {seconds:g}s."))
        return NOTHING

    def _subscribe(self, request_id: str | None, args: list[dict[str, str]]) -> Answer:
        texts: list[str] = []
        added: list[str] = []
        for arg in args:
            channel, symbol = arg["channel"], arg["instId"]
            name = f"{channel}:{symbol}"
            if topic(symbol) not in self.topics or (
                channel != "bbo-tbt" and channel not in _OTHER_CHANNELS
            ):
                why = f"channel:{channel},instId:{symbol} doesn't exist"
                texts += self._error("60018", f"Wrong URL or {why}").texts
                continue
            texts.append(self._event("subscribe", request_id, arg))
            if name not in self.names:
                self.names.add(name)
                added += [self.topics[name]] if name in self.topics else []
        return Answer(tuple(texts), tuple(added))

    def _unsubscribe(self, request_id: str | None, args: list[dict[str, str]]) -> Answer:
        removed: list[str] = []
        for arg in args:
            name = f"{arg['channel']}:{arg['instId']}"
            if name in self.names:
                self.names.remove(name)
                removed += [self.topics[name]] if name in self.topics else []
        texts = tuple(self._event("unsubscribe", request_id, arg) for arg in args)
        return Answer(texts, removed=tuple(removed))

    def _event(self, event: str, request_id: str | None, arg: dict[str, str]) -> str:
        what = {"channel": arg["channel"], "instId": arg["instId"]}
        return compact({"id": request_id, "event": event, "arg": what, "connId": self.conn_id})

    def _error(self, code: str, message: str) -> Answer:
        error = {"event": "error", "code": code, "msg": message, "connId": self.conn_id}
        return Answer((compact(error),))

    def _too_many(self, now_s: float) -> bool:
        self._ops.append(now_s)
        while self._ops[0] <= now_s - 3_600.0:
            self._ops.popleft()
        return bool(self.rules.ops_per_hour) and len(self._ops) > self.rules.ops_per_hour


def _read_args(request: dict[str, Any]) -> list[dict[str, str]] | None:
    request_id, args = request.get("id"), request.get("args")
    if request.get("op") not in ("subscribe", "unsubscribe") or not isinstance(args, list):
        return None
    if request_id is not None and not (isinstance(request_id, str) and _ID.fullmatch(request_id)):
        return None
    well_formed = args and all(
        isinstance(arg, dict)
        and isinstance(arg.get("channel"), str)
        and isinstance(arg.get("instId"), str)
        for arg in args
    )
    return args if well_formed else None
