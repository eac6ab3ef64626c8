"""MEXC: spot (JSON control, 30 topics that push) and futures (one contract a frame)."""

import re
from dataclasses import dataclass
from typing import Any

import orjson

from spreadscan.sim.protocols.base import (
    NOTHING,
    Answer,
    Close,
    Conversation,
    Protocol,
    Render,
    Row,
    Rules,
    compact,
    passed,
    read_names,
    read_object,
)
from spreadscan.types import Book

STATUS = "contract"  # sub.contract: the definition of every contract that changes
_TOPIC = "spot@public.aggre.bookTicker.v3.api.pb@10ms@"
# Channels that exist, and are acknowledged, but send nothing here.
_OTHER = re.compile(
    r"spot@public\.(?:aggre\.(?:bookTicker|deals|depth)|bookTicker\.batch|limit\.depth)"
    r"\.v3\.api\.pb(?:@100?ms)?@([^@,\s]+)(?:@\d+)?"
)
_CLOSE = Answer(close=Close())
_TOO_FAST = Answer(close=Close(1008, "Too many requests"))
_LIMITS = (5, 10, 20)
_METHODS = ("ping", "sub.depth.full", "unsub.depth.full", f"sub.{STATUS}", f"unsub.{STATUS}")


def spot_topic(symbol: str) -> str:
    """Return the topic of a spot symbol's best bid and ask."""
    return _TOPIC + symbol


def futures_topic(symbol: str) -> str:
    """Return the symbol: a contract has one subscription of the kind served here."""
    return symbol


@dataclass(slots=True)
class MexcSpotConversation(Conversation):
    """Every answer has id 0 and code 0; topics beyond max_topics are accepted and silent."""

    pinged_s: float = 0.0

    def text(self, frame: str, now_s: float, unix_ms: int) -> Answer:
        if self.too_fast(now_s):
            return _TOO_FAST
        request = read_object(frame)
        if request is None:
            return NOTHING
        if request.get("method") == "PING":
            self.last_text_s = now_s
            return _code_0("PONG")
        names = read_names(request.get("params"))
        if not names:
            return NOTHING
        if request.get("method") == "UNSUBSCRIPTION":
            gone = [name for name in names if name in self.names]
            self.names.difference_update(gone)
            return _code_0(",".join(names), removed=self._pushing(gone))
        return self._subscribe(names) if request.get("method") == "SUBSCRIPTION" else NOTHING

    def refusal(self, request: dict[str, Any]) -> str:
        return compact({"id": 0, "code": 510, "msg": "Requests are too frequent"})

    def timers(self, now_s: float) -> Answer:
        if not self.names and passed(self.rules.no_topic_s, self.opened_s, now_s):
            return _CLOSE
        idle_since = max(self.last_text_s, self.last_push_s)
        return _CLOSE if passed(self.rules.idle_s, idle_since, now_s) else NOTHING

    def _subscribe(self, names: list[str]) -> Answer:
        good = [name for name in names if self._exists(name)]
        bad = [name for name in names if not self._exists(name)]
        new = [name for name in dict.fromkeys(good) if name not in self.names]
        room = len(new)
        if self.rules.max_topics:
            room = max(0, self.rules.max_topics - len(self.names))
        self.names.update(new[:room])
        added = self._pushing(new[:room])
        if not bad:
            return _code_0(",".join(names), added)
        refused = f"Not Subscribed successfully! [{','.join(bad)}].  Reason： Blocked! "
        accepted = f"Subscribed successful! [{','.join(good)}]. " if good else ""
        return _code_0(accepted + refused, added)

    def _exists(self, name: str) -> bool:
        other = _OTHER.fullmatch(name)
        return name in self.topics or bool(other and _TOPIC + other.group(1) in self.topics)

    def _pushing(self, names: list[str]) -> tuple[str, ...]:
        # The slower topic is served at the pace of the faster, and under its name.
        served = dict.fromkeys(name.replace("@100ms@", "@10ms@") for name in names)
        return tuple(self.topics[name] for name in served if name in self.topics)


@dataclass(slots=True)
class MexcFuturesConversation(Conversation):
    """Acknowledgements name no contract; data does not replace the client's ping."""

    pinged_s: float = 0.0

    def __post_init__(self) -> None:
        Conversation.__post_init__(self)
        self.pinged_s = self.opened_s

    def text(self, frame: str, now_s: float, unix_ms: int) -> Answer:
        request = read_object(frame)
        method = None if request is None else request.get("method")
        if request is None or method not in _METHODS:
            return NOTHING
        if method == "ping":
            self.pinged_s = now_s
            return Answer((compact({"channel": "pong", "data": unix_ms, "ts": unix_ms}),))
        if method.endswith(f".{STATUS}"):
            (self.names.add if method.startswith("sub") else self.names.discard)(STATUS)
            return _channel(f"rs.{method}", "success", unix_ms)
        param = request.get("param")
        symbol = param.get("symbol") if isinstance(param, dict) else None
        if not isinstance(param, dict) or param.get("limit", 5) not in _LIMITS:
            return NOTHING
        if not isinstance(symbol, str) or symbol not in self.topics:
            return _channel("rs.error", f"Contract [{symbol}] not exists", unix_ms)
        if method == "unsub.depth.full":
            self.names.discard(symbol)
            return _channel(f"rs.{method}", "success", unix_ms, removed=(symbol,))
        added = () if symbol in self.names else (symbol,)
        self.names.add(symbol)
        return _channel(f"rs.{method}", "success", unix_ms, added)

    def refusal(self, request: dict[str, Any]) -> str:
        return compact({"channel": "rs.error", "data": "Requests are too frequent", "ts": 0})

    def timers(self, now_s: float) -> Answer:
        return _CLOSE if passed(self.rules.client_ping_s, self.pinged_s, now_s) else NOTHING


def _code_0(message: str, added: tuple[str, ...] = (), removed: tuple[str, ...] = ()) -> Answer:
    return Answer((compact({"id": 0, "code": 0, "msg": message}),), added, removed)


def _channel(
    channel: str,
    data: str,
    unix_ms: int,
    added: tuple[str, ...] = (),
    removed: tuple[str, ...] = (),
) -> Answer:
    text = compact({"channel": channel, "data": data, "ts": unix_ms})
    return Answer((text,), added, removed)


def _repeat(render: Render, book: Book, times: int, unix_ns: int) -> bytes:
    return render(book._replace(update_id=book.update_id + times, venue_ns=unix_ns))


def _status_push(row: Row, unix_ms: int) -> bytes:
    push = {"symbol": row["symbol"], "data": row, "channel": "push.contract", "ts": unix_ms}
    return orjson.dumps(push)


PROTOCOLS = {
    "mexc-spot": Protocol(
        rules=Rules(max_topics=30, frames_per_s=100, idle_s=60.0, no_topic_s=30.0),
        topic=spot_topic,
        open=MexcSpotConversation,
        paths=("/ws",),
        binary=True,
    ),
    "mexc-futures": Protocol(
        # A full depth comes every 0.3 s, changed or not, on busy contracts, 6 s on quiet ones.
        rules=Rules(client_ping_s=60.0, repeat_s=5.0, first_push_s=0.28),
        topic=futures_topic,
        open=MexcFuturesConversation,
        paths=("/edge",),
        repeat=_repeat,
        status=STATUS,
        status_push=_status_push,
        id_step=1_000,  # it counts its repeats in between
    ),
}
