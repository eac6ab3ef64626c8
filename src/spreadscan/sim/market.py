"""The simulated market: a pure function of (seed, simulated time).

Time is in ns since the market's own zero and may be negative. Nothing here reads a clock, does
I/O or remembers what was asked, so a test can work out by brute force what servers published.
"""

import math
import random
from collections.abc import Collection, Iterator
from typing import NamedTuple

from spreadscan.catalogue import built_in
from spreadscan.errors import ConfigError
from spreadscan.sim.coins import USDC
from spreadscan.sim.dislocations import CHANCE, Dislocation, Schedule
from spreadscan.sim.protocols import PROTOCOLS
from spreadscan.sim.ticks import CYCLE_NS, FEWEST, Cycle, share_out
from spreadscan.sim.universe import SMALL, Shape, SimListing, universe
from spreadscan.types import Book, FundingRate, Instrument

DEFAULT_RATE = 2_000.0
EPOCH_UNIX_NS = 1_795_132_800_000_000_000  # venue time of simulated time 0: 2026-11-20T00:00Z

_DEAD_SHARE = 0.015
_NEVER_DEAD = 60  # ranks below this always tick
_TAU = 2.0 * math.pi
_NOISE_BITS = 13
_NOISE_MASK = (1 << _NOISE_BITS) - 1

# Gross edge of any spot -> futures pair outside dislocations, worst case in bps: basis 2.5 +
# level of both legs 1.6 + noise of both 3.0 + drift within the longest gap 2.9 = 10.
_NOISE_BPS = 1.5
_LEVEL_BPS = 0.8
_BASIS_BPS = 2.5
_OWN_DRIFT_BPS = 1.2  # of one coin within the longest gap of its quotes
_COMMON = ((60.0, 2_400.0), (6.0, 300.0))  # amplitude bps, period s: all coins together
_LARGEST_SWING_BPS = 120.0
# USDC against USDT: amplitude bps, radians per s, phase; and how much less pairs in it are traded
_PEG = (0.5, _TAU / 900.0, 0.0)
_SHARE = {"USDT": 1.0, "USDC": 0.3}

# Funding: a rate of -2 to +4 bps that moves a little every minute, paid every 8 h, by some every 4.
_FUNDING_H = (8, 8, 8, 4)
_FUNDING_E8 = (10_000, 29_000, 1_000)  # middle, by coin, by minute; in 1e-8 of the notional
_MINUTE_NS, _HOUR_NS = 60 * 10**9, 3_600 * 10**9

Wave = tuple[float, float, float]  # amplitude bps, radians per s, phase
Tick = tuple[int, int, int]  # time in ns, source id, index among the listings of the source


class Touch(NamedTuple):
    """Best bid and ask of one coin: price per coin, size in coins."""

    bid_px: float
    bid_qty: float
    ask_px: float
    ask_qty: float


class Series:
    """One (source, listing) and its constants; made and read by Market and the servers."""

    __slots__ = (
        "basis", "common", "drift", "half_spread", "id_base", "id_step", "index", "level_bps",
        "listing", "noise_at", "notional", "number", "schedule", "scale", "source_id", "symbol",
    )  # fmt: skip

    def __init__(self, number: int, source_id: int, index: int, listing: SimListing) -> None:
        self.number = number
        self.source_id = source_id
        self.index = index
        self.listing = listing
        self.symbol = listing.instrument.venue_symbol
        self.scale = listing.coin.px * listing.instrument.multiplier
        self.common: tuple[Wave, ...] = ()
        self.drift: tuple[Wave, ...] = ()
        self.basis: Wave = (0.0, 0.0, 0.0)
        self.level_bps = 0.0
        self.half_spread = 0.0  # as a fraction of the price
        self.notional = 0.0  # usual size at the touch, quote currency
        self.noise_at = 0
        self.id_base = 0
        self.id_step = PROTOCOLS[built_in().source_at[source_id].name].id_step
        self.schedule: Schedule


class Market:
    """Sources of best bid and ask: those that are scanned by default, and more.

    rate: quotes per second of simulated time over all sources; `self.rate` is what comes out
    (a rate too low to keep every live series ticking within 6 s is raised). freeze_after_s:
    nothing ticks after that time. dislocation_chance: per series and 90 s; 0 for none. shape: of
    the universe. also: sources that are not scanned by default; the market of the others is
    another one with them. usdc: pairs in USDC, too, at the price in USDT over that of USDC; so is
    that market another one.
    """

    def __init__(
        self,
        seed: int = 1,
        rate: float = DEFAULT_RATE,
        freeze_after_s: float | None = None,
        dislocation_chance: float = CHANCE,
        shape: Shape = SMALL,
        also: Collection[str] = (),
        usdc: bool = False,
    ) -> None:
        if not 0.0 < rate < math.inf:
            raise ConfigError(f"sim: rate is {rate}, expected more than 0 quotes/s")
        if freeze_after_s is not None and not 0.0 <= freeze_after_s < math.inf:
            raise ConfigError(f"sim: freeze-after is {freeze_after_s}, expected 0 s or more")
        self.seed = seed
        self.shape = shape
        self.listings = universe(seed, shape, also, usdc)
        self.instruments: tuple[tuple[Instrument, ...], ...] = tuple(
            tuple(row.instrument for row in rows) for rows in self.listings
        )
        self.sources = tuple(s.name for s in built_in().sources if self.listings[s.id])
        self.freeze_ns = None if freeze_after_s is None else int(freeze_after_s * 1e9)
        self.series: list[Series] = []
        self._first: list[int] = []  # number of the first series of each source
        for source_id, rows in enumerate(self.listings):
            self._first.append(len(self.series))
            for index, row in enumerate(rows):
                self.series.append(Series(len(self.series), source_id, index, row))
        rng = random.Random(f"{seed}/market")
        dead = self._draw_dead(rng)
        self.dead: frozenset[tuple[int, int]] = frozenset((s.source_id, s.index) for s in dead)
        quiet = {s.number for s in dead}
        weights = [
            0.0
            if s.number in quiet
            else _SHARE[s.listing.instrument.quote] / (1.0 + s.listing.coin.rank / 20.0)
            for s in self.series
        ]
        counts = share_out(weights, rate)
        self.rate = sum(counts) * 1e9 / CYCLE_NS
        self.rate_raised = self.rate > rate + FEWEST
        self._cycle = Cycle(seed, counts)
        self._common = tuple((a, _TAU / period, _TAU * rng.random()) for a, period in _COMMON)
        self._noise = [rng.uniform(-1.0, 1.0) for _ in range(_NOISE_MASK + 1)]
        self._set_prices(rng, counts)
        for s in self.series:
            sign = 1 if built_in().source_at[s.source_id].kind == "perpetual" else -1
            unit = s.listing.instrument
            name = unit.base if unit.quote == "USDT" else unit.symbol
            key = f"{seed}/dislocations/{s.source_id}/{name}"
            s.schedule = Schedule(key, sign, 0.0 if unit.base == "USDC" else dislocation_chance)
        self.suspects = self._set_strangers(rng, quiet)

    def quote(self, source_id: int, index: int, t_ns: int) -> Book | None:
        """Return the book published last at or before t_ns, in wire units; None if dead."""
        s = self.at(source_id, index)
        if not self._cycle.offsets[s.number]:
            return None
        k, tick_ns = self.last_tick(s, t_ns)
        return self.book(s, k, tick_ns, EPOCH_UNIX_NS + tick_ns)

    def touch(self, source_id: int, index: int, t_ns: int) -> Touch | None:
        """Return quote() per one coin, as the scanner keeps it; None if dead."""
        book = self.quote(source_id, index, t_ns)
        if book is None:
            return None
        unit = self.listings[source_id][index].instrument
        px, qty = unit.multiplier, unit.qty_scale
        return Touch(book.bid_px / px, book.bid_qty * qty, book.ask_px / px, book.ask_qty * qty)

    def ticks(self, t0_ns: int, t1_ns: int) -> Iterator[Tick]:
        """Yield every tick in (t0_ns, t1_ns], in order of time."""
        for t_ns, s, _ in self.due(t0_ns, t1_ns):
            yield t_ns, s.source_id, s.index

    def tick_times(self, source_id: int, index: int, t0_ns: int, t1_ns: int) -> list[int]:
        """Return the tick times of one series in (t0_ns, t1_ns]."""
        number = self.at(source_id, index).number
        return [t for t, s, _ in self.due(t0_ns, t1_ns) if s.number == number]

    def dislocations(self, source_id: int, index: int, t0_ns: int, t1_ns: int) -> list[Dislocation]:
        """Return what is planned for one series between two times."""
        return self.at(source_id, index).schedule.between(t0_ns, t1_ns)

    def funding(self, source_id: int, index: int, unix_ns: int) -> FundingRate:
        """Return what a perpetual's venue says of its next payment when its clock shows unix_ns."""
        s = self.at(source_id, index)
        minute = unix_ns // _MINUTE_NS
        middle, by_coin, by_minute = _FUNDING_E8
        of_coin = self._noise[s.noise_at] * by_coin
        of_minute = self._noise[(s.noise_at + minute) & _NOISE_MASK] * by_minute
        period_ns = _FUNDING_H[s.noise_at % len(_FUNDING_H)] * _HOUR_NS
        next_ns = (unix_ns // period_ns + 1) * period_ns
        return FundingRate(s.symbol, round(middle + of_coin + of_minute) / 1e8, next_ns)

    def at(self, source_id: int, index: int) -> Series:
        """Return the series of one listing."""
        return self.series[self._first[source_id] + index]

    def due(self, t0_ns: int, t1_ns: int) -> Iterator[tuple[int, Series, int]]:
        """Yield (time, series, k) of every tick in (t0_ns, t1_ns]; for the servers."""
        if self.freeze_ns is not None:
            t1_ns = min(t1_ns, self.freeze_ns)
        series = self.series
        for t_ns, number, k in self._cycle.due(t0_ns, t1_ns):
            yield t_ns, series[number], k

    def last_tick(self, s: Series, t_ns: int) -> tuple[int, int]:
        """Return (k, time) of the last tick of a live series at or before t_ns."""
        if self.freeze_ns is not None:
            t_ns = min(t_ns, self.freeze_ns)
        return self._cycle.last(s.number, t_ns)

    def book(self, s: Series, k: int, tick_ns: int, unix_ns: int) -> Book:
        """Return what tick k of a series publishes; unix_ns is the venue's clock at that time.

        About 4 us. Prices, sizes and id depend on k and tick_ns only.
        """
        at = tick_ns * 1e-9
        noise, sin = self._noise, math.sin
        bps = s.level_bps + noise[(s.noise_at + k) & _NOISE_MASK] * _NOISE_BPS
        for amplitude, speed, phase in s.common:
            bps += amplitude * sin(speed * at + phase)
        for amplitude, speed, phase in s.drift:
            bps += amplitude * sin(speed * at + phase)
        amplitude, speed, phase = s.basis
        bps += amplitude * sin(speed * at + phase) + s.schedule.offset_bps(tick_ns)
        mid = s.scale * (1.0 + bps * 1e-4)
        tick, lot = s.listing.tick, s.listing.lot
        steps = mid * tick.inverse / tick.step
        bid = max(1, math.floor(steps * (1.0 - s.half_spread)))
        ask = max(bid + 1, math.ceil(steps * (1.0 + s.half_spread)))
        lots = s.notional / mid
        half = s.noise_at + k * 7
        return Book(
            s.symbol,
            bid * tick.step / tick.inverse,
            lot.at(math.ceil(lots * (1.5 + noise[half & _NOISE_MASK]))),
            ask * tick.step / tick.inverse,
            lot.at(math.ceil(lots * (1.5 + noise[(half + 3) & _NOISE_MASK]))),
            _venue_time(s.source_id, unix_ns),
            s.id_base + k * s.id_step,
        )

    def _draw_dead(self, rng: random.Random) -> list[Series]:
        mortal = [s for s in self.series if s.listing.coin.rank >= _NEVER_DEAD]
        return rng.sample(mortal, round(_DEAD_SHARE * len(self.series)))

    def _set_prices(self, rng: random.Random, counts: list[int]) -> None:
        gap_s: dict[int, float] = {}
        for s, n in zip(self.series, counts, strict=True):
            if n:
                rank = s.listing.coin.rank
                gap_s[rank] = max(gap_s.get(rank, 0.0), min(5.9, 18.0 / n))
        drift = {rank: _drift(rng, _OWN_DRIFT_BPS / gap) for rank, gap in gap_s.items()}
        basis = {rank: _wave(rng, _BASIS_BPS, 400.0, 1_500.0) for rank in gap_s}
        for s in self.series:
            rank, unit = s.listing.coin.rank, s.listing.instrument
            s.common, s.drift = self._common, drift.get(rank, ())
            if unit.base == USDC.name:
                s.common, s.drift = (_PEG,), ()
            elif unit.quote == USDC.name:
                s.common = (*self._common, (-_PEG[0], *_PEG[1:]))
                s.scale /= USDC.px
            if built_in().source_at[s.source_id].kind == "perpetual":
                s.basis = basis.get(rank, s.basis)
            s.level_bps = rng.uniform(-_LEVEL_BPS, _LEVEL_BPS)
            width = rng.uniform(0.1, 0.4) if rank < 10 else rng.uniform(0.6, 1.5 + rank / 300.0)
            s.half_spread = width * 1e-4
            s.noise_at = rng.getrandbits(_NOISE_BITS)
            s.id_base = rng.randrange(10_000_000, 900_000_000) + 1_000_000_000 * (s.id_step > 9)
            usdt = 10 ** rng.uniform(3.4, 4.6) * (8.0 if rank < 10 else 1.0)
            s.notional = usdt / unit.contract_size / s.listing.lot.at(1)

    def _set_strangers(self, rng: random.Random, quiet: set[int]) -> tuple[tuple[int, int], ...]:
        in_usdt = [s for s in self.series if s.listing.instrument.quote == "USDT"]
        n_listed: dict[str, int] = {}
        for s in in_usdt:
            name = s.listing.coin.name
            n_listed[name] = n_listed.get(name, 0) + (s.number not in quiet)
        taken: set[str] = set()
        found = []
        strangers = [row[:2] for row in self.shape.strangers for _ in range(row[2])]
        for source_name, factor in strangers:
            able = [
                s
                for s in in_usdt
                if built_in().source_at[s.source_id].name == source_name
                and s.number not in quiet
                and s.listing.coin.rank >= 100
                and n_listed[s.listing.coin.name] >= 6
                and s.listing.coin.name not in taken
            ]
            s = rng.choice(able)
            taken.add(s.listing.coin.name)
            s.scale *= factor
            s.schedule = Schedule("", 1, 0.0)
            found.append((s.source_id, s.index))
        return tuple(found)


def _wave(rng: random.Random, amplitude: float, shortest_s: float, longest_s: float) -> Wave:
    return amplitude, _TAU / rng.uniform(shortest_s, longest_s), _TAU * rng.random()


def _drift(rng: random.Random, bps_per_s: float) -> tuple[Wave, ...]:
    slow, fast = rng.uniform(300.0, 900.0), rng.uniform(20.0, 60.0)
    swing = min(_LARGEST_SWING_BPS, 0.6 * bps_per_s * slow / _TAU)
    return (
        (swing, _TAU / slow, _TAU * rng.random()),
        (0.4 * bps_per_s * fast / _TAU, _TAU / fast, _TAU * rng.random()),
    )


def _venue_time(source_id: int, unix_ns: int) -> int:
    grid = PROTOCOLS[built_in().source_at[source_id].name].clock_ns
    return unix_ns - unix_ns % grid if grid else 0
