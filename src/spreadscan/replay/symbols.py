"""Symbols of a recording: an id each in order of appearance, a name that sources share, units.

A recording tells venue symbols only. Instrument files (REST answers) that lie beside the frames
tell coin, multiplier and contract size; without them the name is read from the venue symbol and
prices and sizes stay as they are, except where sizes are contracts. What cannot have the name of a
coin keeps to itself: it must not be compared with that coin elsewhere.
"""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from spreadscan.errors import BadData, BadFrame, Refused, Retry
from spreadscan.types import QUOTES, Instrument
from spreadscan.venues import VENUES
from spreadscan.venues.base import InstrumentPage, is_nameless

# BTCUSDT, BTC_USDT, BTC-USDT, BTC-USDT-SWAP, and so in USDC, but for BTCPERP, which is Bybit's;
# dated and other quotes keep the venue's name
_is_pair = re.compile(rf"([^-_]+)[-_]?({'|'.join(QUOTES)})(?:-SWAP)?").fullmatch
_is_perp = re.compile(r"([^-_]+)PERP").fullmatch


class Placed(NamedTuple):
    """What the gate has to know about one venue symbol."""

    symbol_id: int
    symbol: str
    multiplier: float
    qty_scale: float  # coins per unit of wire size; NaN = contract size not known


class Symbols:
    """Hands out ids and names; one for a whole replay."""

    def __init__(self, capacity: int) -> None:
        self.names: list[str] = []  # by id
        self._capacity = capacity
        self._ids: dict[str, int] = {}
        self._owner: dict[tuple[str, str], str] = {}  # (source, name) -> venue symbol

    def place(
        self, source: str, venue_symbol: str, instrument: Instrument | None, *,
        declined: bool = False,
    ) -> Placed | None:  # fmt: skip
        """Return the listing of a venue symbol, None where the table has no room for it.

        declined: the source's instrument files have it, but as no pair of ours (a stock, say).
        """
        name = instrument.symbol if instrument else shared_name(venue_symbol)
        # two listings of one coin on one source must not share a slot
        if declined or self._owner.setdefault((source, name), venue_symbol) != venue_symbol:
            name = f"{source}/{venue_symbol}"
        symbol_id = self._ids.get(name)
        if symbol_id is None:
            if len(self.names) == self._capacity:
                return None
            symbol_id = self._ids[name] = len(self.names)
            self.names.append(name)
        if instrument:
            return Placed(symbol_id, name, instrument.multiplier, instrument.qty_scale)
        # sizes that are no contracts count coins, or the listed thousands of them
        unknown = VENUES[source].spec.sizes == "contracts"
        return Placed(symbol_id, name, 1.0, math.nan if unknown else 1.0)


def shared_name(venue_symbol: str) -> str:
    """Return 'BTC-USDT' for any venue's spelling of it, other symbols as they are."""
    if found := _is_pair(venue_symbol):
        return f"{found[1]}-{found[2]}"
    return f"{perp[1]}-USDC" if (perp := _is_perp(venue_symbol)) else venue_symbol


def instruments_in(directory: Path, source: str) -> Mapping[str, Instrument]:
    """Return by venue symbol what the instrument files of a folder say; later names win.

    Files that are no instrument list of that source are left alone.
    """
    return {i.venue_symbol: i for page in _pages(directory, source) for i in page.instruments}


def declined_in(directory: Path, source: str) -> frozenset[str]:
    """Return the venue symbols of a folder's instrument files that are no pairs of ours."""
    left_out = {name for page in _pages(directory, source) for name in page.left_out}
    named = {name for name in left_out if not is_nameless(name)}
    return frozenset(named - instruments_in(directory, source).keys())


def _pages(directory: Path, source: str) -> Iterator[InstrumentPage]:
    for path in sorted(directory.glob("*.json")):
        try:
            yield VENUES[source].instruments(path.read_bytes())
        except (BadFrame, Refused, Retry):
            continue
        except OSError as error:
            raise BadData(
                f"{path}: cannot be read: {error.strerror}, expected a file that can"
            ) from None
