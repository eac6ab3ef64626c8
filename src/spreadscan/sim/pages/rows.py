"""Pages as rows: made one by one, so that an event loop is not held up, and edited afterwards."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import orjson

Row = dict[str, Any]

_AT_ONCE = 100  # rows, 2 to 4 ms
_LISTS = ("symbols", "data", "list")  # where the pages have their rows


class Rows(NamedTuple):
    """A page of one row for each symbol. whole: makes the body of them."""

    symbols: Sequence[str]
    row: Callable[[str], Row]
    whole: Callable[[list[Row]], bytes]

    def body(self) -> bytes:
        return self.whole([self.row(symbol) for symbol in self.symbols])

    async def in_pieces(self) -> bytes:
        """Return the body; others have their turn meanwhile."""
        rows: list[Row] = []
        for begin in range(0, len(self.symbols), _AT_ONCE):
            rows += map(self.row, self.symbols[begin : begin + _AT_ONCE])
            await asyncio.sleep(0)
        return self.whole(rows)


def edit_rows(body: bytes, change: Callable[[list[Row]], list[Row]]) -> bytes:
    """Return a page with other rows; a page without a list of rows as it is."""
    page = orjson.loads(body)
    if isinstance(page, list):
        return orjson.dumps(change(page))
    for holder in (page, page.get("result", {})):
        for key in _LISTS:
            if isinstance(holder.get(key), list):
                holder[key] = change(holder[key])
                return orjson.dumps(page)
    return body


def symbol_of(row: Row, keys: Sequence[str]) -> str:
    """Return the venue's name of the pair that a row is about."""
    return next((str(row[key]) for key in keys if row.get(key)), "")
