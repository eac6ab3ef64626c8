"""When every series of the simulated market ticks: one seeded cycle, repeated for ever.

A table of (offset, series) in time order answers both questions cheaply: which ticks are due
in an interval, and which one was the last of a series.
"""

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence

CYCLE_NS = 10_000_000_000
FEWEST, MOST = 2, 500  # ticks of one series in a cycle; 2 keep gaps below LONGEST_GAP_S
LONGEST_GAP_S = 5.9


def share_out(weights: Sequence[float], rate: float) -> list[int]:
    """Return ticks per cycle of each series: by weight, rate per second in all.

    Weight 0 never ticks; every other series gets FEWEST at least and MOST at most, so the sum
    may be above a very low rate or below a very high one.
    """
    counts = [FEWEST if w > 0.0 else 0 for w in weights]
    left = round(rate * CYCLE_NS / 1e9) - sum(counts)
    open_ = [i for i, w in enumerate(weights) if w > 0.0]
    while left > 0 and open_:
        total = sum(weights[i] for i in open_)
        given = 0
        for i in open_:
            more = min(MOST - counts[i], int(left * weights[i] / total))
            counts[i] += more
            given += more
        open_ = [i for i in open_ if counts[i] < MOST]
        if not given:
            for i in open_[:left]:
                counts[i] += 1
            break
        left -= given
    return counts


class Cycle:
    """Tick times of all series. Tick k of a series is its k-th since time 0; k may be < 0."""

    def __init__(self, seed: int, counts: Sequence[int]) -> None:
        rng = random.Random(f"{seed}/ticks")
        self.offsets: list[list[int]] = [_offsets(rng, n) for n in counts]
        table = [
            (offset, series, j)
            for series, offsets in enumerate(self.offsets)
            for j, offset in enumerate(offsets)
        ]
        table.sort()
        self._at = [row[0] for row in table]
        self._what = [(series, j, len(self.offsets[series])) for _, series, j in table]

    def last(self, series: int, t_ns: int) -> tuple[int, int]:
        """Return (k, time) of the last tick at or before t_ns; the series must tick."""
        offsets = self.offsets[series]
        cycle, rest = divmod(t_ns, CYCLE_NS)
        j = bisect_right(offsets, rest) - 1
        start = cycle * CYCLE_NS if j >= 0 else (cycle - 1) * CYCLE_NS
        return cycle * len(offsets) + j, start + offsets[j]

    def due(self, t0_ns: int, t1_ns: int) -> Iterator[tuple[int, int, int]]:
        """Yield (time, series, k) of all ticks in (t0_ns, t1_ns], in order."""
        cycle, rest = divmod(t0_ns, CYCLE_NS)
        i = bisect_right(self._at, rest)
        at, what = self._at, self._what
        while at:
            if i == len(at):
                i = 0
                cycle += 1
            t_ns = cycle * CYCLE_NS + at[i]
            if t_ns > t1_ns:
                return
            series, j, n = what[i]
            yield t_ns, series, cycle * n + j
            i += 1


def _offsets(rng: random.Random, n: int) -> list[int]:
    if not n:
        return []
    phase = rng.random()
    jitter = min(0.8, LONGEST_GAP_S * 1e9 / CYCLE_NS * n - 1.0)
    return sorted(int(((j + jitter * rng.random()) / n + phase) % 1.0 * CYCLE_NS) for j in range(n))
