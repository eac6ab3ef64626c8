"""What a fault script makes of the body of a REST answer: fewer rows, or another shape."""

import random
import re
from functools import partial
from math import isfinite
from typing import Any
from zlib import crc32

import orjson

from spreadscan.sim.pages.rows import Row, edit_rows, symbol_of

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_ENVELOPE = ("code", "retCode")  # what tells good from bad stays as it is
_ERRORS: dict[str, dict[str, object]] = {
    "binance": {"code": -1001, "msg": "Internal error; unable to process your request."},
    "bybit": {"retCode": 10016, "retMsg": "Server error", "result": {}, "retExtInfo": {}},
    "mexc": {"success": False, "code": 500, "message": "Internal system error!"},
    "okx": {"code": "50001", "data": [], "msg": "Service temporarily unavailable. Try again later"},
}


def without_rows(body: bytes, share: float, rng: random.Random | None, key: str) -> bytes:
    """Return a page without a share of its rows. rng: draws them; None: the same for a key."""

    def drawn(rows: list[Row], rng: random.Random) -> list[Row]:
        n = round(len(rows) * (1.0 - share))
        return [rows[i] for i in sorted(rng.sample(range(len(rows)), n))]

    def fixed(rows: list[Row]) -> list[Row]:  # by name: whatever else stands in the list
        return [
            row
            for row in rows
            if crc32(f"{key}/{symbol_of(row)}".encode()) >= share * 0x1_0000_0000
        ]

    return edit_rows(body, fixed if rng is None else partial(drawn, rng=rng))


def misshapen(body: bytes, how: str, source: str) -> bytes:
    """Return a page as WrongShape.how says, as far as it is about the body alone."""
    if how == "half":
        return edit_rows(body, lambda rows: rows[: len(rows) // 2])
    if how == "empty_list":
        return edit_rows(body, lambda rows: [])
    if how == "error_body":
        return orjson.dumps(_ERRORS[source.partition("-")[0]])
    return orjson.dumps(_retyped(orjson.loads(body), how == "text"))


def _retyped(value: Any, to_text: bool) -> Any:
    if isinstance(value, dict):
        return {k: v if k in _ENVELOPE else _retyped(v, to_text) for k, v in value.items()}
    if isinstance(value, list):
        return [_retyped(item, to_text) for item in value]
    if to_text and isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    if not to_text and isinstance(value, str) and _NUMBER.fullmatch(value):
        number = float(value)
        if value.lstrip("-").isdigit() and len(value) < 18:
            return int(value)
        return number if isfinite(number) else value
    return value
