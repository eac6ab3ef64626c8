"""What real lists hold beside USDT pairs that trade: other quotes, dated contracts, stocks, rests.

Each exchange's file fills a list up to the rows that it has, with the kinds of rows, names, states
and spellings that were recorded of it. Nothing of this is ever traded; a scanner has to leave it
out.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from spreadscan.sim.coins import invent
from spreadscan.sim.pages.base import Names, Row
from spreadscan.sim.pages.rows import symbol_of
from spreadscan.sim.pages.sources import PAGES


def filler(rows: Mapping[str, int], seed: int) -> Callable[[str, list[Row]], list[Row]]:
    """Return what gives the rows that a source's list lacks of its total, `rows` by source.

    The same for a seed; as many as for the first list of a source where another one is shorter.
    """
    lacking: dict[str, int] = {}

    def more(source: str, listed: list[Row]) -> list[Row]:
        pages = PAGES[source]

        def symbol(row: Row) -> str:
            return symbol_of(row, pages.symbol_keys)

        taken = {pages.base_of(row) for row in listed} - {""}
        names = _names(random.Random(f"{seed}/crowd/{source}"), taken)
        new = _once(pages.crowd(listed, names), symbol, {symbol(row) for row in listed})
        return list(islice(new, lacking.setdefault(source, max(0, rows[source] - len(listed)))))

    return more


def _once(rows: Iterator[Row], symbol: Callable[[Row], str], seen: set[str]) -> Iterator[Row]:
    for row in rows:
        if symbol(row) not in seen:
            seen.add(symbol(row))
            yield row


def _names(rng: random.Random, taken: set[str]) -> Names:
    while True:
        yield from invent(rng, 50, taken)
