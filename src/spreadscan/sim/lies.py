"""What a fault script makes of the body of a REST answer: fewer rows, or another shape."""

import random
import re
from functools import partial
from math import isfinite
from typing import Any
from zlib import crc32

import orjson

from spreadscan.sim.pages.rows import Row, edit_rows, symbol_of
from spreadscan.sim.pages.sources import PAGES

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_ENVELOPE = ("code", "retCode")  # what tells good from bad stays as it is


def without_rows(
    body: bytes, share: float, rng: random.Random | None, key: str, source: str
) -> bytes:
    """Return a page without a share of its rows. rng: draws them; None: the same for a key."""
    symbol_keys = PAGES[source].symbol_keys

    def drawn(rows: list[Row], rng: random.Random) -> list[Row]:
        n = round(len(rows) * (1.0 - share))
        return [rows[i] for i in sorted(rng.sample(range(len(rows)), n))]

    def fixed(rows: list[Row]) -> list[Row]:  # by name: whatever else stands in the list
        return [
            row
            for row in rows
            if crc32(f"{key}/{symbol_of(row, symbol_keys)}".encode()) >= share * 0x1_0000_0000
        ]

    return edit_rows(body, fixed if rng is None else partial(drawn, rng=rng))


def misshapen(body: bytes, how: str, source: str) -> bytes:
    """Return a page as WrongShape.how says, as far as it is about the body alone."""
    if how == "half":
        return edit_rows(body, lambda rows: rows[: len(rows) // 2])
    if how == "empty_list":
        return edit_rows(body, lambda rows: [])
    if how == "error_body":
        return orjson.dumps(PAGES[source].error)
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
