"""Which source lists which coin, and how: the seeded listings of the simulated market.

Counts per source are fixed; majors are everywhere, the rest overlaps by rank and chance. Units
are those of the venue (1000PEPE, contracts), so that REST pages and frames can be rendered.
A Shape says how many: SMALL is quick to discover, REAL as lopsided as the venues' own lists.
"""

import math
import random
from collections.abc import Mapping
from typing import NamedTuple

from spreadscan.catalogue import built_in
from spreadscan.sim.coins import MAJORS, N_COINS, NON_ASCII, ODD, Coin, coins
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


PAIRS: dict[str, int] = {
    "binance-spot": 460,
    "binance-futures": 528,
    "bybit-spot": 394,
    "bybit-futures": 394,
    "mexc-spot": 547,
    "mexc-futures": 579,
    "okx-spot": 278,
    "okx-futures": 252,
}
SMALL = Shape(
    pairs=PAIRS,
    n_coins=N_COINS,
    strangers=(("mexc-spot", 0.1, 1), ("mexc-futures", 1.4, 1)),
)
# Pairs: what the venues are expected to list in late 2026. Rows: recorded of MEXC, Bybit linear and
# Binance futures in August and September 2026; of the others, whose totals nobody recorded, a size
# that their kinds of rows suggest.
REAL = Shape(
    pairs={
        "binance-spot": 430,
        "binance-futures": 560,
        "bybit-spot": 560,
        "bybit-futures": 600,
        "mexc-spot": 1_850,
        "mexc-futures": 620,
        "okx-spot": 290,
        "okx-futures": 280,
    },
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
    rows={
        "binance-spot": 3_400,
        "binance-futures": 909,
        "bybit-spot": 700,
        "bybit-futures": 692,
        "mexc-spot": 1_966,
        "mexc-futures": 1_174,
        "okx-spot": 700,
        "okx-futures": 370,
    },
)
UNIVERSES: dict[str, Shape] = {"small": SMALL, "real": REAL}

_THOUSAND = {"binance-futures": "1000", "bybit-futures": "1000"}
_SUFFIXED = {("SHIB", "bybit-futures"): "SHIB1000"}
_MULTIPLIED: dict[str, dict[str, str]] = {
    "PEPE": _THOUSAND,
    "SHIB": _THOUSAND,
    "BONK": _THOUSAND,
    "FLOKI": _THOUSAND,
    "SATS": {"binance-spot": "1000", "binance-futures": "1000", "bybit-futures": "10000"},
    "CAT": {"binance-spot": "1000", **_THOUSAND},
    "CHEEMS": {"binance-spot": "1000", "binance-futures": "1000", "bybit-futures": "1000000"},
    "BABYDOGE": {"binance-spot": "1M", "binance-futures": "1M", "bybit-futures": "1000000"},
    "MOG": {"binance-futures": "1000000", "bybit-futures": "1000000"},
    "RATS": {"binance-futures": "1000", "bybit-futures": "1000"},
    "LUNC": _THOUSAND,
    "XEC": _THOUSAND,
    "QUBIC": {"bybit-futures": "10000"},
    "WHY": {"binance-futures": "1000", "bybit-futures": "10000"},
    "PEIPEI": {"bybit-futures": "1000000"},
    "ELON": {"bybit-futures": "10000"},
}
_CONTRACT_SIZE: dict[str, dict[str, float]] = {
    "mexc-futures": {"BTC": 1e-4, "ETH": 0.01, "SOL": 0.1, "LTC": 0.01, "PEPE": 1e7, "SHIB": 1e3},
    "okx-futures": {"BTC": 0.01, "ETH": 0.1, "SOL": 1.0, "DOGE": 1e3, "PEPE": 1e7, "SHIB": 1e6,
                    "BONK": 1e5, "FLOKI": 1e5, "SATS": 1e7, "BABYDOGE": 1e9},
}  # fmt: skip
_CONTRACT_USDT = {"mexc-futures": 2.0, "okx-futures": 10.0}  # usual worth of one contract
_SYMBOL = {"mexc-futures": "{}_USDT", "okx-spot": "{}-USDT", "okx-futures": "{}-USDT-SWAP"}
_MIN_NOTIONAL = {"binance-spot": 5.0, "binance-futures": 5.0, "bybit-spot": 1.0,
                 "bybit-futures": 5.0, "mexc-spot": 1.0}  # fmt: skip
_NO_MAX_QTY = {"mexc-spot"}  # its page limits the amount in USDT, not the quantity
_MAX_DECIMALS = {"binance-spot": 8}
_NO_API_SHARE = 0.05
_NO_API = {"mexc-spot": {"BTC", "ETH", "SOL"}, "mexc-futures": {"LTC"}}


class Grid(NamedTuple):
    """A decimal step: n steps are n * step / inverse, the float nearest to that decimal."""

    step: int
    inverse: int

    def at(self, n: int) -> float:
        """Return n steps."""
        return n * self.step / self.inverse


class Listing(NamedTuple):
    """One coin on one source; tick and lot are the grids of its Instrument."""

    coin: Coin
    instrument: Instrument
    tick: Grid
    lot: Grid


def power_of_ten(exponent: int, step: int = 1) -> Grid:
    """Return the grid of step * 10**exponent."""
    return Grid(step * 10**exponent, 1) if exponent >= 0 else Grid(step, 10**-exponent)


def universe(seed: int, shape: Shape = SMALL) -> tuple[tuple[Listing, ...], ...]:
    """Return the listings of every source, by source id, most traded coin first."""
    table = coins(seed, shape.n_coins, shape.odd)
    chosen = _choose(random.Random(f"{seed}/listings"), table, shape)
    rng = random.Random(f"{seed}/units")
    return tuple(
        tuple(_listing(rng, source.name, table[rank]) for rank in sorted(chosen[source.name]))
        for source in built_in().sources
    )


def _choose(rng: random.Random, table: list[Coin], shape: Shape) -> dict[str, set[int]]:
    everywhere = set(range(len(MAJORS)))
    odd = next(c.rank for c in table if c.name == NON_ASCII)
    rest = [c.rank for c in table if c.rank not in everywhere and c.rank != odd]
    chosen: dict[str, set[int]] = {}
    for name, n_pairs in shape.pairs.items():
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


def _listing(rng: random.Random, source: str, coin: Coin) -> Listing:
    prefix = _MULTIPLIED.get(coin.name, {}).get(source, "")
    listed_base = _SUFFIXED.get((coin.name, source), prefix + coin.name)
    multiplier = 1e6 if prefix == "1M" else float(prefix or 1)
    wire_px = coin.px * multiplier
    contract_size = _contract_size(source, coin)
    tick = _tick(rng, source, coin.rank, wire_px)
    lot = _lot(source, coin.rank, wire_px)
    unit_usdt = wire_px * contract_size * lot.at(1)
    no_api = _NO_API.get(source)
    instrument = Instrument(
        venue_symbol=_SYMBOL.get(source, "{}USDT").format(listed_base),
        base=coin.name,
        listed_base=listed_base,
        quote="USDT",
        contract_size=contract_size,
        multiplier=multiplier,
        tick=tick.at(1),
        lot_step=lot.at(1),
        min_qty=lot.at(rng.choice((1, 1, 2, 5))),
        max_qty=0.0 if source in _NO_MAX_QTY else lot.at(10 ** round(math.log10(5e6 / unit_usdt))),
        min_notional=_MIN_NOTIONAL.get(source, 0.0),
        api_tradable=no_api is None or (coin.name not in no_api and rng.random() >= _NO_API_SHARE),
    )
    return Listing(coin, instrument, tick, lot)


def _contract_size(source: str, coin: Coin) -> float:
    worth = _CONTRACT_USDT.get(source)
    if worth is None:
        return 1.0
    known = _CONTRACT_SIZE[source].get(coin.name)
    return known or power_of_ten(round(math.log10(worth / coin.px))).at(1)


def _tick(rng: random.Random, source: str, rank: int, wire_px: float) -> Grid:
    # A tick of 0.1 to 1 bps of the price, one decimal finer for the first ten coins, five
    # times coarser for some others.
    decimals = 4 - math.floor(math.log10(wire_px)) + (rank < 10)
    limit = _MAX_DECIMALS.get(source, 16)
    coarse = source != "mexc-spot" and rank >= 10 and decimals <= limit and rng.random() < 0.12
    return power_of_ten(-min(decimals, limit), 5 if coarse else 1)


def _lot(source: str, rank: int, wire_px: float) -> Grid:
    if source == "okx-futures":
        return power_of_ten(-2 if rank < 5 else -1 if rank < 30 else 0)
    if source == "mexc-futures":
        return power_of_ten(0)
    worth = 2.0 if source.endswith("futures") else 0.5
    return power_of_ten(min(0, math.floor(math.log10(worth / wire_px))))
