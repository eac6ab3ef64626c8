"""What a fault script makes of the body of a REST answer: fewer rows, or another shape."""

import random
import re
from collections.abc import Callable, Collection
from functools import partial
from math import isfinite
from typing import Any
from zlib import crc32

import orjson

from spreadscan.sim.pages.rows import Row, edit_rows, symbol_of
from spreadscan.sim.pages.sources import PAGES

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")
_TIMES = ("ts", "time", "timestamp")  # of rows, in ms
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


def with_other_rows(
    body: bytes, symbols: Collection[str], source: str, change: Callable[[str, Row], list[Row]]
) -> bytes:
    """Return a page whose rows of these symbols (none: all) are what change makes of them."""
    keys = PAGES[source].symbol_keys

    def of(row: Row) -> list[Row]:
        symbol = symbol_of(row, keys)
        return change(symbol, row) if not symbols or symbol in symbols else [row]

    page = orjson.loads(body)
    if isinstance(page, dict) and symbol_of(page, keys):  # of one pair, without a list
        return orjson.dumps(of(page)[0])
    if isinstance(page, dict) and isinstance(page.get("data"), dict):
        return orjson.dumps(page | {"data": of(page["data"])[0]})
    return edit_rows(body, lambda rows: [new for row in rows for new in of(row)])


def without_book(row: Row, source: str) -> Row:
    """Return a row of the same pair and time of which all else is zero."""
    as_it_is = (*PAGES[source].symbol_keys, *_TIMES)
    return {k: v if k in as_it_is else "0" if isinstance(v, str) else 0 for k, v in row.items()}


def dated(row: Row, shift_s: float) -> Row:
    """Return a row whose own time is off."""
    return row | {
        key: type(row[key])(int(row[key]) + int(shift_s * 1e3)) for key in _TIMES if row.get(key)
    }


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
