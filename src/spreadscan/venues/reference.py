"""The reference decoder: BookSchema + frame -> books, slow, strict and easy to read.

It is the oracle that a compiled decoder is compared with, and what runs where there is none.
Its grammar, which is also the compiled one's:

1. A frame has at most 1 MiB. JSON is what orjson takes: UTF-8, at most 1,024 levels deep, the
   last of two equal keys counts, whole numbers of 64 bits (larger ones are floats). Null is
   absent.
2. Protobuf: varints of at most 10 bytes and 64 bits; lengths within the buffer; wire types
   0, 1, 2 and 5; field numbers from 1. Fields in any order, the last of two equal ones counts,
   unknown ones are skipped, and so are those of wire types 1 and 5: no schema names one. Empty
   and zero are absent, as proto3 has it.
3. A number is a JSON number (no boolean) or text that is wholly -?digits[.digits][e[+-]digits]
   in ASCII, e or E. So no "nan", "inf", "1_000", " 1", "+1", ".5", "1.". "1e400" is infinite
   and passed on: whether a price makes sense is the gate's question.
4. "" or an empty list on the way is a missing side: price and size of it are both NaN. In JSON
   an absent price is a bad frame; in protobuf it is a missing side.
5. An id is a whole number or 1 to 19 ASCII digits, 0 <= id < 2^63. A time is the same: Unix ms, or
   s, us or ns where it is a date of 2015 to 2040 in these and not in ms. Both are optional: -1 and
   0 where no path leads to one. Whatever else stands where a time is expected is none (0): a quote
   is true without it, also where the time would have been its id. Times that are no Unix ms are
   counted (`odd_times`).
6. Where sizes are text (qty_text), a JSON number beside a price is ill-typed: the venue rounded it.
7. A level of a delta is a list that begins with price and size, neither of them missing.

A frame that does not parse or match is no quote (None): see `decline_reason`. One that matches
and breaks a rule raises BadFrame. Nothing else is ever raised.
"""

import math
import re
from collections.abc import Callable
from typing import Any

from spreadscan.errors import BadFrame
from spreadscan.types import Book, Delta
from spreadscan.venues.base import BookSchema, Match, Venue
from spreadscan.venues.values import is_decimal, json_object

FRAME_BYTES_MAX = 1 << 20

_NAN = math.nan
_ID_MAX = (1 << 63) - 1
_MS_MAX = _ID_MAX // 1_000_000
_NS_PER_S = 1_000_000_000
_DATES_NS = range(1_420_070_400 * _NS_PER_S, 2_208_988_800 * _NS_PER_S)  # 2015 to 2040
_NS_PER_UNIT = (1_000_000, _NS_PER_S, 1000, 1)  # ms first
_is_whole = re.compile(r"[0-9]{1,19}").fullmatch

_Steps = tuple[str | int, ...]
_Getter = Callable[[Any, Any], Any]  # (frame, root) -> the value of one path
_Condition = Callable[[Any, Any], bool]


class ReferenceDecoder:
    """Decode the frames of one schema. Nothing of a frame is kept but odd_times, a count."""

    def __init__(self, schema: BookSchema) -> None:
        self.odd_times = 0
        protobuf = schema.wire == "protobuf"
        self._read = _protobuf_fields if protobuf else json_object
        self._find_roots = _protobuf_roots if protobuf else _json_roots
        self._number = _protobuf_number if protobuf else _number
        self._roots = [_root(path, protobuf) for path in schema.roots]
        self._on_frame = [_condition(m, protobuf) for m in _matches(schema, relative=False)]
        self._on_root = [_condition(m, protobuf) for m in _matches(schema, relative=True)]
        self._symbol = _getter(schema.symbol, protobuf)
        self._prefix = schema.symbol_prefix
        self._sides = [
            _getter(path, protobuf)
            for path in (schema.bid_px, schema.bid_qty, schema.ask_px, schema.ask_qty)
        ]
        self._qty_text = schema.qty_text and schema.wire == "json"
        self._is_delta = _condition(schema.delta, protobuf) if schema.delta else None
        self._levels = [_getter(path, protobuf) for path in (schema.bids, schema.asks)]
        self._times = [_getter(path, protobuf) for path in schema.venue_ms]
        self._id_is_time = [path in schema.venue_ms for path in schema.update_id]
        self._ids = [_getter(path, protobuf) for path in schema.update_id]

    def decode(self, frame: bytes | memoryview) -> list[Book | Delta] | None:
        """Return the quotes of a frame, None if it is not one of this schema.

        Costs 5 to 7 us for JSON, 11 for protobuf. Raises BadFrame where the frame matches and
        is not as the schema says, or is longer than 1 MiB.
        """
        if len(frame) > FRAME_BYTES_MAX:
            raise BadFrame(f"frame: found {len(frame)} bytes, expected at most {FRAME_BYTES_MAX}")
        tree = self._read(frame)
        if tree is None:
            return None
        # Before the roots: a root may be a bad one only in a frame that is meant for us.
        for holds in self._on_frame:
            if not holds(tree, None):
                return None
        roots = self._find_roots(tree, self._roots)
        if roots is None:
            return None
        for holds in self._on_root:
            for root in roots:
                if not holds(tree, root):
                    return None
        return [self._item(tree, root) for root in roots]

    def _item(self, tree: Any, root: Any) -> Book | Delta:
        symbol = self._symbol(tree, root)
        if type(symbol) is not str:
            raise _bad("symbol", symbol, "text")
        symbol = symbol.removeprefix(self._prefix)
        if not symbol:
            raise _bad("symbol", symbol, "a name")
        venue_ns, odd = _time(self._times, tree, root)
        update_id, id_kind = _id(self._ids, self._id_is_time, tree, root)
        if self._is_delta and self._is_delta(tree, root):
            bids, asks = (
                _delta_side(name, get(tree, root))
                for name, get in zip(("bids", "asks"), self._levels, strict=True)
            )
            self.odd_times += odd
            return Delta(symbol, bids, asks, venue_ns, update_id, id_kind)
        number = self._number
        values = [get(tree, root) for get in self._sides]
        bid_px, bid_qty, ask_px, ask_qty = [number(value) for value in values]
        if self._qty_text:
            _check_text(values[1], bid_px)
            _check_text(values[3], ask_px)
        if bid_px != bid_px or bid_qty != bid_qty:
            bid_px = bid_qty = _NAN
        if ask_px != ask_px or ask_qty != ask_qty:
            ask_px = ask_qty = _NAN
        self.odd_times += odd
        return Book(symbol, bid_px, bid_qty, ask_px, ask_qty, venue_ns, update_id, id_kind)


def decline_reason(venue: Venue, frame: bytes) -> str:
    """Return what to count a frame as that is neither a quote nor a control message.

    "other_channel": a JSON object, or for a protobuf venue a wrapper that names its channel.
    "bad_frame": anything else. Never raises.
    """
    if len(frame) > FRAME_BYTES_MAX:
        return "bad_frame"
    if json_object(frame) is not None:
        return "other_channel"
    if venue.schema.wire == "protobuf":
        fields = _protobuf_fields(frame)
        if fields and type(_walk_protobuf(fields, (1,))) is str:
            return "other_channel"
    return "bad_frame"


def _matches(schema: BookSchema, relative: bool) -> list[Match]:
    """Return the conditions on roots or those on the frame, the symbol's prefix among them."""
    matches = list(schema.match)
    prefixed = Match(schema.symbol, f"{schema.symbol_prefix}*")
    if schema.symbol_prefix and prefixed not in matches:
        matches.append(prefixed)
    return [m for m in matches if m.path.startswith(".") is relative]


def _condition(match: Match, protobuf: bool) -> _Condition:
    get, fits, absent_holds = (
        _getter(match.path, protobuf),
        _matcher(match.pattern),
        not match.required,
    )

    def holds(tree: Any, root: Any) -> bool:
        value = get(tree, root)
        if type(value) is str:
            return fits(value)
        if value is None:
            return absent_holds
        return type(value) is int and fits(str(value))

    return holds


def _matcher(pattern: str) -> Callable[[str], bool]:
    head, star, tail = pattern.partition("*")
    if not star:
        return pattern.__eq__
    if not tail:
        return lambda text: text.startswith(head)
    if not head and "*" not in tail:
        return lambda text: text.endswith(tail)
    whole = re.compile(".*".join(re.escape(p) for p in pattern.split("*")), re.DOTALL)
    return lambda text: whole.fullmatch(text) is not None


def _steps(path: str, protobuf: bool) -> _Steps:
    """Return a path's parts: keys as text; indexes of lists and field numbers as numbers."""
    parts = [p for p in path.split(".") if p]
    return tuple(int(p) if protobuf or p.isdigit() else p for p in parts)


def _root(path: str, protobuf: bool) -> tuple[_Steps, bool]:
    """Return (steps to the root, whether every element there is a root)."""
    return _steps(path.removesuffix(".*"), protobuf), path.endswith(".*")


def _getter(path: str, protobuf: bool) -> _Getter:
    walk = _walk_protobuf if protobuf else _walk_json
    steps = _steps(path, protobuf)
    key = steps[0] if steps else ""
    if path.startswith("."):
        if len(steps) == 1 and not protobuf:  # roots are objects: no need to ask
            return lambda tree, root: root.get(key)
        return lambda tree, root: walk(root, steps)
    if len(steps) == 1 and not protobuf:
        return lambda tree, root: tree.get(key)
    return lambda tree, root: walk(tree, steps)


def _walk_json(node: Any, steps: _Steps) -> Any:
    """Return what the steps lead to: None where absent, "" where an empty list is on the way."""
    for step in steps:
        if type(step) is int:
            if type(node) is not list:
                return None
            if not node:
                return ""
            node = node[step] if step < len(node) else None
        elif type(node) is dict:
            node = node.get(step)
        else:
            return None
    return node


def _walk_protobuf(node: Any, steps: _Steps) -> Any:
    """Return an int or a text, bytes that are not UTF-8 as they are; None where absent."""
    value = _raw_protobuf(node, steps)
    if type(value) is bytes:
        try:
            return value.decode() or None
        except UnicodeDecodeError:
            return value  # no rule takes bytes: ill-typed wherever it is needed
    return value or None


def _raw_protobuf(node: Any, steps: _Steps) -> Any:
    for step in steps:
        if type(node) is bytes:
            node = _nested(node)
        if type(node) is not dict:
            return None
        node = node.get(step)
    return node


def _protobuf_fields(frame: bytes | memoryview) -> dict[int, int | bytes] | None:
    """Return varint and length-delimited fields by number, None where it is no protobuf."""
    buffer = bytes(frame)
    fields: dict[int, int | bytes] = {}
    at, end = 0, len(buffer)
    try:
        while at < end:
            key = buffer[at]  # most keys and lengths are one byte: no call for those
            at += 1
            if key > 0x7F:
                key, at = _varint(buffer, at - 1)
            number, wire_type = key >> 3, key & 7
            if not 0 < number < 1 << 29:
                return None
            if wire_type == 0:
                fields[number], at = _varint(buffer, at)
            elif wire_type == 2:
                length = buffer[at]
                at += 1
                if length > 0x7F:
                    length, at = _varint(buffer, at - 1)
                if length > end - at:
                    return None
                fields[number] = buffer[at : at + length]
                at += length
            elif wire_type in (1, 5):
                at += 8 if wire_type == 1 else 4
                if at > end:
                    return None
            else:
                return None
    except (IndexError, OverflowError):
        return None
    return fields


def _varint(buffer: bytes, at: int) -> tuple[int, int]:
    """Return (value, next position); IndexError past the end, OverflowError past 64 bits."""
    byte = buffer[at]
    if byte < 0x80:
        return byte, at + 1
    value, shift = byte & 0x7F, 7
    while shift < 70:
        at += 1
        byte = buffer[at]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> 64:
                break
            return value, at + 1
        shift += 7
    raise OverflowError


def _nested(body: bytes) -> dict[int, int | bytes]:
    fields = _protobuf_fields(body)
    if fields is None:
        raise BadFrame(f"body: found {len(body)} bytes, expected a protobuf message")
    return fields


def _json_roots(tree: Any, roots: list[tuple[_Steps, bool]]) -> list[Any] | None:
    for steps, every in roots:
        node = _walk_json(tree, steps)
        if every:
            if type(node) is list:
                return _elements(node)
        elif type(node) is dict:
            return [node]
    return None


def _elements(nodes: list[Any]) -> list[Any]:
    if not nodes:
        raise BadFrame("root: found an empty list, expected at least one element")
    for node in nodes:
        if type(node) is not dict:
            raise _bad("root", node, "an object")
    return nodes


def _protobuf_roots(tree: Any, roots: list[tuple[_Steps, bool]]) -> list[Any] | None:
    for steps, _ in roots:
        body = _raw_protobuf(tree, steps)
        if type(body) is bytes:
            return [_nested(body)]
        if type(body) is dict:  # "": the frame itself
            return [body]
    return None


def _first(getters: list[_Getter], tree: Any, root: Any) -> tuple[Any, int]:
    """Return (value, which path gave it) of the first path that exists; whole text as a number."""
    for kind, get in enumerate(getters):
        value = get(tree, root)
        if value is not None:
            return (int(value) if type(value) is str and _is_whole(value) else value), kind
    return None, 0


def _id(getters: list[_Getter], is_time: list[bool], tree: Any, root: Any) -> tuple[int, int]:
    """Return (update id, its kind)."""
    value, kind = _first(getters, tree, root)
    if type(value) is int and 0 <= value <= _ID_MAX:
        return value, kind
    if value is not None and not is_time[kind]:
        raise _bad("update_id", value, f"a whole number of 0 to {_ID_MAX}")
    return -1, 0


def _time(getters: list[_Getter], tree: Any, root: Any) -> tuple[int, bool]:
    """Return (Unix ns, whether something stands there that is no Unix ms)."""
    value, _ = _first(getters, tree, root)
    if type(value) is not int:
        return 0, value is not None
    for ns in _NS_PER_UNIT:
        if value * ns in _DATES_NS:
            return value * ns, ns != _NS_PER_UNIT[0]
    known = 0 < value <= _MS_MAX
    return (value * 1_000_000 if known else 0), not known


def _number(value: Any) -> float:
    kind = type(value)
    if kind is str:
        if is_decimal(value):
            return float(value)
        if not value:
            return _NAN
    elif kind is float or kind is int:
        return float(value)
    raise _bad("price or size", value, "a decimal number")


def _check_text(qty: Any, px: float) -> None:
    if px == px and type(qty) is not str:
        raise _bad("size", qty, "decimal text: numbers are rounded")


def _protobuf_number(value: Any) -> float:
    if value is None:
        return _NAN
    if type(value) is str:
        return _number(value)
    raise _bad("price or size", value, "decimal text")


def _delta_side(name: str, levels: Any) -> tuple[tuple[float, float], ...]:
    if type(levels) is not list:
        raise _bad(name, levels, "a list of levels")
    return tuple(_delta_level(name, level) for level in levels)


def _delta_level(name: str, level: Any) -> tuple[float, float]:
    if type(level) is not list or len(level) < 2:
        raise _bad(name, level, "[price, size]")
    px, qty = _number(level[0]), _number(level[1])
    if px != px or qty != qty:
        raise _bad(name, "", "a price and a size")
    return px, qty


def _bad(name: str, value: Any, expected: str) -> BadFrame:
    # Only plain values are shown: the repr of a deep or long container has no bound.
    plain = value is None or type(value) in (str, int, float, bool)
    found = "nothing" if value is None else repr(value)[:40] if plain else type(value).__name__
    return BadFrame(f"{name}: found {found}, expected {expected}")
