"""Which source lists which coin, and how: the seeded listings of the simulated market.

Counts per source are fixed; majors are everywhere, the rest overlaps by rank and chance. Units
are those of the venue (1000PEPE, contracts), so that REST pages and frames can be rendered.
A Shape says how many: SMALL is quick to discover, REAL as lopsided as the venues' own lists.
"""

import math
import random
from collections.abc import Collection, Mapping
from typing import NamedTuple

from spreadscan.catalogue import built_in
from spreadscan.sim.coins import MAJORS, N_COINS, NON_ASCII, ODD, USDC, Coin, coins
from spreadscan.sim.grid import Grid, power_of_ten
from spreadscan.sim.pages.base import Units
from spreadscan.sim.pages.sources import PAGES
from spreadscan.types import Instrument


class Shape(NamedTuple):
    """How large a universe is.

    pairs: USDT pairs by source. odd: of coins.ODD. left_out: share of the coins that a source
    does not list, whatever their rank. non_ascii: who lists coins.NON_ASCII. strangers: coins
    that have the ticker of another one, as (source, their price as a multiple, how many).
    rows: of the whole list by source, with all that is no USDT pair; elsewhere a few of those.
    """

    pairs: Mapping[str, int]
    n_coins: int
    strangers: tuple[tuple[str, float, int], ...]
    odd: tuple[tuple[str, float], ...] = ()
    left_out: float = 0.0
    non_ascii: tuple[str, ...] = ("binance-spot",)
    rows: Mapping[str, int] = {}


PAIRS: dict[str, int] = {name: pages.units.small for name, pages in PAGES.items()}
SMALL = Shape(
    pairs=PAIRS,
    n_coins=N_COINS,
    strangers=(("mexc-spot", 0.1, 1), ("mexc-futures", 1.4, 1)),
)
# Pairs: what the venues are expected to list in late 2026. Rows: recorded of MEXC, Bybit linear and
# Binance futures in August and September 2026; of the others, whose totals nobody recorded, a size
# that their kinds of rows suggest.
REAL = Shape(
    pairs={name: pages.units.real for name, pages in PAGES.items()},
    n_coins=2_000,
    strangers=(
        ("mexc-spot", 0.1, 6),
        ("mexc-spot", 7.0, 6),
        ("mexc-futures", 1.4, 2),
        ("bybit-spot", 0.02, 1),
    ),
    odd=ODD,
    left_out=0.06,
    non_ascii=("binance-spot", "binance-futures", "mexc-spot", "mexc-futures"),
    rows={name: pages.units.rows for name, pages in PAGES.items()},
)
UNIVERSES: dict[str, Shape] = {"small": SMALL, "real": REAL}

_NO_API_SHARE = 0.05
_IN_USDC_ALL = 8  # so many most traded coins stand against USDC wherever they are listed,
_IN_USDC_SHARE = 0.08  # of the others this share,
_IN_USDC_EACH = 0.7  # each at this share of its sources


class SimListing(NamedTuple):
    """One coin on one source; tick and lot are the grids of its Instrument."""

    coin: Coin
    instrument: Instrument
    tick: Grid
    lot: Grid


def universe(
    seed: int, shape: Shape = SMALL, also: Collection[str] = (), usdc: bool = False
) -> tuple[tuple[SimListing, ...], ...]:
    """Return the listings of every source, by source id, most traded coin first.

    Those of the sources that are scanned by default, and of `also`; others list nothing. usdc: the
    pairs in USDC after those in USDT, which are the same without them.
    """
    table = coins(seed, shape.n_coins, shape.odd)
    names = [s.name for s in built_in().sources if s.default or s.name in also]
    chosen = _choose(random.Random(f"{seed}/listings"), table, shape, names)
    rng = random.Random(f"{seed}/units")
    listed = tuple(
        tuple(_listing(rng, s.name, table[rank]) for rank in sorted(chosen.get(s.name, ())))
        for s in built_in().sources
    )
    return _with_usdc(random.Random(f"{seed}/usdc"), listed) if usdc else listed


def _with_usdc(
    rng: random.Random, listed: tuple[tuple[SimListing, ...], ...]
) -> tuple[tuple[SimListing, ...], ...]:
    """Return the listings with a share of each source's coins against USDC, too.

    Every spot source has USDC against USDT besides.
    """
    ranks = {row.coin.rank for rows in listed for row in rows}
    coins_too = {rank for rank in ranks if rank < _IN_USDC_ALL or rng.random() < _IN_USDC_SHARE}
    found = []
    for source, rows in zip(built_in().sources, listed, strict=True):
        more = []
        if rows and source.kind == "spot":
            more.append(_listing(rng, source.name, USDC))
        if rows and PAGES[source.name].units.symbol_usdc:
            more += [
                _listing(rng, source.name, row.coin, "USDC")
                for row in rows
                if row.coin.rank in coins_too
                and (row.coin.rank < _IN_USDC_ALL or rng.random() < _IN_USDC_EACH)
            ]
        found.append(rows + tuple(more))
    return tuple(found)


def _choose(
    rng: random.Random, table: list[Coin], shape: Shape, names: list[str]
) -> dict[str, set[int]]:
    everywhere = set(range(len(MAJORS)))
    odd = next(c.rank for c in table if c.name == NON_ASCII)
    rest = [c.rank for c in table if c.rank not in everywhere and c.rank != odd]
    chosen: dict[str, set[int]] = {}
    for name in names:
        n_pairs = shape.pairs[name]
        own = {odd} if name in shape.non_ascii else set()
        able = [rank for rank in rest if rng.random() >= shape.left_out] if shape.left_out else rest
        by_score = sorted(able, key=lambda rank: rank * (0.45 + rng.random()))
        own |= everywhere
        chosen[name] = own | set(by_score[: n_pairs - len(own)])
    _list_everyone(rng, rest, chosen)
    return chosen


def _list_everyone(rng: random.Random, rest: list[int], chosen: dict[str, set[int]]) -> None:
    # A coin that chance listed nowhere takes the place of one that several sources list.
    listed = {rank: sum(rank in own for own in chosen.values()) for rank in rest}
    for rank in [rank for rank in rest if listed[rank] == 0]:
        own = chosen[rng.choice(("mexc-spot", "mexc-futures", "binance-futures"))]
        out = max(r for r in own if listed.get(r, 0) > 2)
        own.remove(out)
        own.add(rank)
        listed[out] -= 1
        listed[rank] = 1


def _listing(rng: random.Random, source: str, coin: Coin, quote: str = "USDT") -> SimListing:
    units = PAGES[source].units
    listed_base, multiplier = units.names.get(coin.name, (coin.name, 1.0))
    wire_px = coin.px * multiplier
    contract_size = _contract_size(units, coin)
    tick = _tick(rng, units, coin.rank, wire_px)
    lot = _lot(source, units, coin, wire_px)
    unit_usdt = wire_px * contract_size * lot.at(1)
    instrument = Instrument(
        venue_symbol=(units.symbol if quote == "USDT" else units.symbol_usdc).format(listed_base),
        base=coin.name,
        listed_base=listed_base,
        quote=quote,
        contract_size=contract_size,
        multiplier=multiplier,
        tick=tick.at(1),
        lot_step=lot.at(1),
        min_qty=lot.at(rng.choice((1, 1, 2, 5))),
        max_qty=lot.at(10 ** round(math.log10(5e6 / unit_usdt))) if units.tells_max_qty else 0.0,
        min_notional=units.min_notional,
        api_tradable=units.no_api is None
        or (coin.name not in units.no_api and rng.random() >= _NO_API_SHARE),
    )
    return SimListing(coin, instrument, tick, lot)


def _contract_size(units: Units, coin: Coin) -> float:
    if not units.contract_usdt:
        return 1.0
    known = units.contract_size.get(coin.name)
    return known or power_of_ten(round(math.log10(units.contract_usdt / coin.px))).at(1)


def _tick(rng: random.Random, units: Units, rank: int, wire_px: float) -> Grid:
    # A tick of 0.1 to 1 bps of the price, one decimal finer for the first ten coins, five
    # times coarser for some others.
    decimals = 4 - math.floor(math.log10(wire_px)) + (rank < 10)
    limit = units.decimals
    coarse = units.coarse_ticks and rank >= 10 and decimals <= limit and rng.random() < 0.12
    return power_of_ten(-min(decimals, limit), 5 if coarse else 1)


def _lot(source: str, units: Units, coin: Coin, wire_px: float) -> Grid:
    if units.lot_exponent:
        return power_of_ten(units.lot_exponent(coin))
    worth = 2.0 if source.endswith("futures") else 0.5
    return power_of_ten(min(0, math.floor(math.log10(worth / wire_px))))
