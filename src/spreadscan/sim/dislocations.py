"""When one source prices a coin away from the others: a seeded schedule, pure in time.

Time is cut into epochs, shifted per series; an epoch holds at most one dislocation, inside it.
"""

import random
from typing import NamedTuple

EPOCH_NS = 90_000_000_000
_SHORTEST_S, _LONGEST_S = 1.0, 60.0
_LOWEST_BPS, _HIGHEST_BPS = 60.0, 200.0
# Chance per epoch and series; by count it opens 10 to 30 spreads in 10 s over all directions.
CHANCE = 0.032
_AGAINST = 0.12  # share that closes a spread instead of opening one


class Dislocation(NamedTuple):
    """The price of one series is off by up to peak_bps from start_ns to end_ns."""

    start_ns: int
    end_ns: int
    rise_ns: int
    fall_ns: int
    peak_bps: float  # signed: > 0 above the other sources

    def at(self, t_ns: int) -> float:
        """Return the offset in bps at t_ns: a ramp up, a bulge, a ramp down; 0 outside."""
        if not self.start_ns < t_ns < self.end_ns:
            return 0.0
        x = (t_ns - self.start_ns) / (self.end_ns - self.start_ns)
        ramp = min(1.0, (t_ns - self.start_ns) / self.rise_ns, (self.end_ns - t_ns) / self.fall_ns)
        return self.peak_bps * ramp * (0.8 + 0.8 * x * (1.0 - x))


_NEVER = Dislocation(-1, -1, 1, 1, 0.0)


class Schedule:
    """The dislocations of one series. sign: +1 where a high price opens spreads, else -1."""

    __slots__ = ("_chance", "_key", "_shift_ns", "_sign", "current", "epoch_end_ns",
                 "epoch_start_ns")  # fmt: skip

    def __init__(self, key: str, sign: int, chance: float = CHANCE) -> None:
        self._key = key
        self._sign = sign
        self._chance = chance
        self._shift_ns = random.Random(key).randrange(EPOCH_NS)
        # The last epoch asked for, kept because the next question is nearly always the same.
        self.epoch_start_ns = self.epoch_end_ns = 0
        self.current = _NEVER

    def offset_bps(self, t_ns: int) -> float:
        """Return the offset of the series in bps at t_ns."""
        if not self.epoch_start_ns <= t_ns < self.epoch_end_ns:
            epoch = (t_ns + self._shift_ns) // EPOCH_NS
            self.current = self._draw(epoch)
            self.epoch_start_ns = epoch * EPOCH_NS - self._shift_ns
            self.epoch_end_ns = self.epoch_start_ns + EPOCH_NS
        current = self.current
        if current.start_ns < t_ns < current.end_ns:
            return current.at(t_ns)
        return 0.0

    def between(self, t0_ns: int, t1_ns: int) -> list[Dislocation]:
        """Return the dislocations that touch (t0_ns, t1_ns), in order."""
        first = (t0_ns + self._shift_ns) // EPOCH_NS
        last = (t1_ns + self._shift_ns) // EPOCH_NS
        drawn = (self._draw(epoch) for epoch in range(first, last + 1))
        return [d for d in drawn if d.peak_bps and d.start_ns < t1_ns and d.end_ns > t0_ns]

    def _draw(self, epoch: int) -> Dislocation:
        rng = random.Random(f"{self._key}/{epoch}")
        if rng.random() >= self._chance:
            return _NEVER
        life_s = _SHORTEST_S * (_LONGEST_S / _SHORTEST_S) ** rng.random()
        life_ns = int(life_s * 1e9)
        start_ns = epoch * EPOCH_NS - self._shift_ns + rng.randrange(EPOCH_NS - life_ns)
        peak = _LOWEST_BPS * (_HIGHEST_BPS / _LOWEST_BPS) ** rng.random()
        sign = -self._sign if rng.random() < _AGAINST else self._sign
        rise_ns = int(min(life_ns / 4, rng.uniform(0.1e9, 0.8e9)))
        fall_ns = int(min(life_ns / 4, rng.uniform(0.2e9, 1.6e9)))
        return Dislocation(start_ns, start_ns + life_ns, rise_ns, fall_ns, sign * peak)
