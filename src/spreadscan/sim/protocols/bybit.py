"""Bybit v5, spot and linear: one bad topic refuses its whole request."""

import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from spreadscan.sim.protocols.base import (
    NOTHING,
    Answer,
    Close,
    Conversation,
    Protocol,
    Render,
    Rules,
    compact,
    passed,
    read_names,
    read_object,
)
from spreadscan.types import Book

_IDLE = Answer(close=Close())
# Channels that exist, and are acknowledged, but send nothing here.
_OTHER = re.compile(r"(?:orderbook\.(?:50|200|1000)|publicTrade|tickers|kline\.\w+)\.(\S+)")


def topic(symbol: str) -> str:
    """Return the topic of a symbol's best bid and ask."""
    return f"orderbook.1.{symbol}"


@dataclass(slots=True)
class BybitConversation(Conversation):
    """All topics of a request or none; the snapshots may overtake the acknowledgement."""

    spot: bool = False

    def text(self, frame: str, now_s: float, unix_ms: int) -> Answer:
        self.last_text_s = now_s
        request = read_object(frame)
        if request is None:
            return self._say({}, False, "error:request is not JSON", "")
        op = request.get("op")
        if op == "ping":
            return self._say(request, True, "pong", "ping")
        names = read_names(request.get("args"))
        if op not in ("subscribe", "unsubscribe") or not names:
            return self._say(request, False, "error:invalid op or args", str(op or ""))
        if op == "unsubscribe":
            gone = [name for name in names if name in self.names]
            self.names.difference_update(gone)
            return self._say(request, True, "", op, removed=self._pushing(gone))
        return self._subscribe(request, names)

    def refusal(self, request: dict[str, Any]) -> str:
        op = str(request.get("op"))
        return self._say(request, False, "10006: Too many visits!", op).texts[0]

    def timers(self, now_s: float) -> Answer:
        idle_since = max(self.last_text_s, self.last_push_s)
        return _IDLE if passed(self.rules.idle_s, idle_since, now_s) else NOTHING

    def _subscribe(self, request: dict[str, Any], names: list[str]) -> Answer:
        limit = self.rules.max_args
        if limit and len(names) > limit:
            return self._say(request, False, f"args size >{limit}", "subscribe")
        for i, name in enumerate(names):
            if not self._exists(name):
                if self.spot:
                    return self._say({}, False, f"Invalid symbol :[{name}]", "subscribe")
                return self._say(request, False, f"error:handler not found,topic:{name}")
            if name in self.names or name in names[:i]:
                return self._say(request, False, f"error:already subscribed,topic:{name}")
        chars = sum(map(len, self.names)) + sum(map(len, names))
        if self.rules.max_arg_chars and chars > self.rules.max_arg_chars:
            return self._say(request, False, f"error:args length >{self.rules.max_arg_chars}")
        self.names.update(names)
        said = "subscribe" if self.spot else ""
        return self._say(request, True, said, added=self._pushing(names))

    def _exists(self, name: str) -> bool:
        other = _OTHER.fullmatch(name)
        return name in self.topics or bool(other and topic(other.group(1)) in self.topics)

    def _pushing(self, names: list[str]) -> tuple[str, ...]:
        return tuple(self.topics[name] for name in names if name in self.topics)

    def _say(
        self,
        request: dict[str, Any],
        success: bool,
        ret_msg: str,
        op: str = "subscribe",
        added: tuple[str, ...] = (),
        removed: tuple[str, ...] = (),
    ) -> Answer:
        message = {
            "success": success,
            "ret_msg": ret_msg,
            "conn_id": self.conn_id,
            "req_id": request.get("req_id"),
            "op": op,
        }
        return Answer((compact(message),), added, removed)


def _repeat(render: Render, book: Book, times: int, unix_ns: int) -> bytes:
    """Return a repeated snapshot: only its push time has moved."""
    return re.sub(rb'"ts":\d+', b'"ts":%d' % (unix_ns // 1_000_000), render(book), count=1)


PROTOCOLS = {
    "bybit-spot": Protocol(
        rules=Rules(
            max_args=10, max_arg_chars=21_000, idle_s=600.0, repeat_s=3.0, first_push_s=0.0
        ),
        topic=topic,
        open=partial(BybitConversation, spot=True),
        paths=("/v5/public/spot",),
        repeat=_repeat,
        pushes_first=True,
    ),
    "bybit-futures": Protocol(
        rules=Rules(max_arg_chars=21_000, idle_s=600.0, repeat_s=3.0, first_push_s=0.0),
        topic=topic,
        open=BybitConversation,
        paths=("/v5/public/linear",),
        repeat=_repeat,
        pushes_first=True,
    ),
}
