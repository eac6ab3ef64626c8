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
    Protocol,
    Row,
    Rules,
    compact,
    passed,
    read_object,
    same_again,
)

_INST_TYPES = ("SPOT", "MARGIN", "SWAP", "FUTURES", "OPTION")
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
        if limit and len(orjson.dumps(request["args"])) > limit:
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
            if not self._exists(arg):
                why = ",".join(f"{key}:{value}" for key, value in arg.items())
                texts += self._error("60018", f"Wrong URL or {why} doesn't exist").texts
                continue
            texts.append(self._event("subscribe", request_id, arg))
            name = _name(arg)
            if name not in self.names:
                self.names.add(name)
                added += [self.topics[name]] if name in self.topics else []
        return Answer(tuple(texts), tuple(added))

    def _unsubscribe(self, request_id: str | None, args: list[dict[str, str]]) -> Answer:
        removed: list[str] = []
        for arg in args:
            name = _name(arg)
            if name in self.names:
                self.names.remove(name)
                removed += [self.topics[name]] if name in self.topics else []
        texts = tuple(self._event("unsubscribe", request_id, arg) for arg in args)
        return Answer(texts, removed=tuple(removed))

    def _event(self, event: str, request_id: str | None, arg: dict[str, str]) -> str:
        return compact({"id": request_id, "event": event, "arg": arg, "connId": self.conn_id})

    def _exists(self, arg: dict[str, str]) -> bool:
        if arg["channel"] == "instruments":
            return arg["instType"] in _INST_TYPES
        known = arg["channel"] == "bbo-tbt" or arg["channel"] in _OTHER_CHANNELS
        return known and topic(arg["instId"]) in self.topics

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
    found = [_read_arg(arg) for arg in args]
    return [arg for arg in found if arg] if found and all(found) else None


def _read_arg(arg: object) -> dict[str, str] | None:
    """Return a channel and what it is about."""
    if not isinstance(arg, dict):
        return None
    keys = ("channel", "instType" if arg.get("channel") == "instruments" else "instId")
    if not all(isinstance(arg.get(key), str) for key in keys):
        return None
    return {key: arg[key] for key in keys}


def _name(arg: dict[str, str]) -> str:
    return ":".join(arg.values())


def _notice(unix_ms: int) -> str:
    message = "The connection will soon be closed for a service upgrade. Please reconnect."
    return compact({"event": "notice", "code": "64008", "msg": message, "connId": "00000000"})


def _status_push(row: Row, unix_ms: int) -> bytes:
    arg = {"channel": "instruments", "instType": row["instType"]}
    return orjson.dumps({"arg": arg, "data": [row]})


def _protocol(inst_type: str) -> Protocol:
    return Protocol(
        rules=Rules(
            max_arg_chars=65_536, ops_per_hour=480, idle_s=30.0, repeat_s=60.0, first_push_s=0.0
        ),
        topic=topic,
        open=OkxConversation,
        paths=("/ws/v5/public",),
        repeat=same_again,
        notice=_notice,
        status=f"instruments:{inst_type}",
        status_push=_status_push,
        clock_ns=10_000_000,
    )


PROTOCOLS = {"okx-spot": _protocol("SPOT"), "okx-futures": _protocol("SWAP")}
