"""What the scanner should have found, worked out from the simulated market by brute force.

Plain Python over the market's published function: no spreadcore, no shared memory, no decoder.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from known import EIGHT as SOURCES
from spreadscan.catalogue import built_in
from spreadscan.lists import Lists
from spreadscan.sim.market import Market, Touch

MARGIN_BPS = 2.0
WITHIN_NS = 500_000_000


@dataclass
class Rules:
    """The limits of a run: bps on net by direction id, seconds, USDT."""

    fees_bps: dict[int, float]
    threshold_bps: float
    converge_bps: float
    max_gross_bps: float
    min_notional: float
    expire_ns: int
    expire_slack_ns: int = 600_000_000  # grid and start of the track


@dataclass
class Open:
    """One OPEN row with its CLOSE; times in simulated ns."""

    at_ns: int
    net_bps: float
    reason: str  # '' while open
    closed_ns: int


class Steps:
    """The published top of every listing as steps over time, from one walk over all ticks."""

    def __init__(self, market: Market, t0: int, t1: int) -> None:
        self.begin, self.end = t0, t1
        self._steps: dict[tuple[int, int], list[tuple[int, Touch]]] = {}
        for source in SOURCES:
            for index in range(len(market.instruments[source.id])):
                touch = market.touch(source.id, index, t0)
                if touch is not None:
                    self._steps[source.id, index] = [(t0, touch)]
        for t, source_id, index in market.ticks(t0, t1):
            touch = market.touch(source_id, index, t)
            assert touch is not None
            self._steps[source_id, index].append((t, touch))

    def of(self, source_id: int, index: int) -> list[tuple[int, Touch]]:
        """Return (time, touch) in order of time; nothing for a dead listing."""
        return self._steps.get((source_id, index), [])


class Edges:
    """The net edge of one pair over time: steps at the ticks of either leg."""

    def __init__(self, steps: Steps, direction: int, buy: int, sell: int, rules: Rules) -> None:
        d = built_in().direction_at[direction]
        self.steps: list[tuple[int, float, bool]] = []  # time, net, takeable
        self.end = steps.end
        legs: list[Touch | None] = [None, None]
        ticks = [(t, 0, touch) for t, touch in steps.of(d.buy.id, buy)]
        ticks += [(t, 1, touch) for t, touch in steps.of(d.sell.id, sell)]
        for t, leg, touch in sorted(ticks, key=lambda tick: tick[0]):
            legs[leg] = touch
            b, s = legs
            if b is None or s is None:
                continue
            gross = (s.bid_px / b.ask_px - 1.0) * 1e4
            enough = min(b.ask_px * b.ask_qty, s.bid_px * s.bid_qty) >= rules.min_notional
            takeable = enough and gross <= rules.max_gross_bps
            self.steps.append((t, gross - rules.fees_bps[direction], takeable))

    def spans(self) -> Iterator[tuple[int, int, float, bool]]:
        """Yield (from, to, net, takeable)."""
        for i, (t, net, takeable) in enumerate(self.steps):
            until = self.steps[i + 1][0] if i + 1 < len(self.steps) else self.end
            yield t, until, net, takeable

    def highest(self, t0: int, t1: int) -> float:
        """Return the highest net that held at any time in [t0, t1]."""
        return max((net for a, b, net, _ in self.spans() if a <= t1 and b >= t0), default=-1e9)


def clear_edges(edges: Edges, rules: Rules, since: int) -> list[tuple[int, int]]:
    """Return (start, end) of edges at least MARGIN above the threshold for at least 1 s.

    Only those that began after `since`, out of a market clearly below the threshold, so that
    the start of the signal is not in doubt.
    """
    high, low = rules.threshold_bps + MARGIN_BPS, rules.threshold_bps - MARGIN_BPS
    found, start, armed = [], None, False
    for a, _b, net, takeable in edges.spans():
        if takeable and net >= high:
            if start is None and armed and a >= since:
                start = a
            armed = False
        else:
            if start is not None and a - start >= 1_000_000_000:
                found.append((start, a))
            start = None
            armed = net < rules.converge_bps - MARGIN_BPS and net < low or (armed and net < low)
    return found


def expected_end(edges: Edges, rules: Rules, opened: int, until: int) -> str:
    """Return the end reason that a track opened at `opened` must have had by `until`.

    '' where it must still be open, '?' where the margins leave it in doubt.
    """
    expiry = opened + rules.expire_ns
    for a, b, net, _ in edges.spans():
        if b <= opened:
            continue
        if net < rules.converge_bps + MARGIN_BPS:
            sure = net < rules.converge_bps - MARGIN_BPS and b - max(a, opened) > WITHIN_NS
            if not sure:
                return "?"  # it may have been seen or not
            if a > expiry + rules.expire_slack_ns:
                return "EXPIRED"
            if a + WITHIN_NS > expiry - rules.expire_slack_ns:
                return "?"
            return "CONVERGED" if a + WITHIN_NS < until else "?"
        if a > expiry + rules.expire_slack_ns:
            break
    if until < expiry - rules.expire_slack_ns:
        return ""
    return "EXPIRED" if until > expiry + rules.expire_slack_ns else "?"


def read_csv(path: Path) -> list[dict[str, str]]:
    """Return the rows of one data file, the comment line left out."""
    with path.open(newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def event_rows(data: Path) -> list[dict[str, str]]:
    """Return all event rows of a data folder in time order."""
    return [row for path in sorted(data.glob("signals-*.csv")) for row in read_csv(path)]


def tracks_of(rows: list[dict[str, str]], to_sim_ns: Any) -> dict[tuple[int, str], list[Open]]:
    """Return (direction id, symbol) -> its tracks, in order."""
    by_id: dict[str, Open] = {}
    found: dict[tuple[int, str], list[Open]] = {}
    for row in rows:
        at = to_sim_ns(row["time"])
        if row["event"] == "OPEN":
            track = by_id[row["track_id"]] = Open(at, float(row["net_bps"]), "", 0)
            found.setdefault((int(row["direction_id"]), row["symbol"]), []).append(track)
        elif row["event"] == "CLOSE":
            by_id[row["track_id"]].reason = row["reason"]
            by_id[row["track_id"]].closed_ns = at
    return found


def listings(lists: Lists, market: Market) -> dict[tuple[int, str], int]:
    """Return (source id, shared name) -> index among the market's listings of the source."""
    found = {}
    for source in SOURCES:
        by_name = {i.venue_symbol: n for n, i in enumerate(market.instruments[source.id])}
        for row in lists.sources[source.name].subscribed:
            found[source.id, row.symbol] = by_name[row.instrument.venue_symbol]
    return found
