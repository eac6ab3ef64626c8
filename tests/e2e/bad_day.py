"""A bad day by seed: which pairs freeze, halt or restart their ids, which venue goes mute; and an
oracle in plain Python that knows when each pair was really heard.

No spreadcore, no shared memory, no decoder: the market's published function and the script alone.
"""

import json
import random
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from e2e import oracle
from known import EIGHT as SOURCES
from known import EIGHT_BY_NAME as SOURCE_BY_NAME
from known import TWELVE as DIRECTIONS
from spreadscan.lists import Lists
from spreadscan.lists import load as load_lists
from spreadscan.sim.market import Market, Touch

NS = 1_000_000_000
SEED = 11
RATE = 3_000.0
# How long a quote may be traded on after its venue was last heard (docs/architecture.md,
# Freshness): by the source where it repeats itself, else learnt from the pair, as bounded here.
REPEATS_S = {"bybit-spot": 10.0, "bybit-futures": 10.0, "mexc-futures": 10.0, "okx-spot": 75.0,
             "okx-futures": 75.0}  # fmt: skip
LEAST_LEARNT_S, UNKNOWN_S, KNOWN_PAUSES, TIMES = 10.0, 120.0, 16, 4.0
RESTARTING = ("binance-spot", "binance-futures", "mexc-spot", "mexc-futures")  # ids rise for ever

Pair = tuple[int, int]  # source id, index among the market's listings of the source


@dataclass
class Day:
    """What goes wrong, in seconds since the simulators opened.

    silent: (begin, end) of a pair that says nothing, halted: those of them whose venue says so.
    mute: (begin, end) of a whole source. ids: when a pair's ids begin anew. lists: (begin, end) in
    which a source refuses its list.
    """

    silent: dict[Pair, tuple[float, float]] = field(default_factory=dict)
    halted: set[Pair] = field(default_factory=set)
    mute: dict[int, tuple[float, float]] = field(default_factory=dict)
    ids: dict[Pair, float] = field(default_factory=dict)
    lists: dict[int, tuple[float, float]] = field(default_factory=dict)
    script: str = ""

    def write(self, path: Path) -> Path:
        path.write_text(self.script)
        return path


def make_day(
    market: Market,
    pairs: Sequence[Pair],
    seed: int,
    begin_s: float,
    end_s: float,
    *,
    silent: int,
    ids: int,
    mute: Sequence[str] = (),
    lists: Sequence[str] = (),
) -> Day:
    """Draw a day between two times: so many silent pairs (halted and frozen by turns) and id
    restarts among `pairs`, each pair once; these sources mute, these lists refused.

    A silent or mute spell takes at least a third of the day, and some never end.
    """
    rng = random.Random(f"{seed}/bad day")
    day, lines = Day(), []
    span = end_s - begin_s
    chosen = rng.sample(list(pairs), silent)
    for n, pair in enumerate(chosen):
        begin = begin_s + rng.uniform(0.0, 0.4) * span
        end = begin + rng.uniform(0.34, 0.9) * span
        day.silent[pair] = (begin, end)
        if n % 2:
            day.halted.add(pair)
        lines.append(_entry(market, "halt" if n % 2 else "freeze", pair, begin, end))
    able = [p for p in pairs if p not in day.silent and SOURCES[p[0]].name in RESTARTING]
    for pair in rng.sample(able, ids):
        day.ids[pair] = begin_s + rng.uniform(0.0, 0.7) * span
        lines.append(_entry(market, "old_ids", pair, day.ids[pair], None, back=900_000))
    for name in mute:
        begin = begin_s + rng.uniform(0.1, 0.3) * span
        day.mute[SOURCE_BY_NAME[name].id] = (begin, begin + 0.4 * span)
        lines.append(_source_entry("mute", name, begin, begin + 0.4 * span))
    for n, name in enumerate(lists):
        begin = begin_s + rng.uniform(0.0, 0.3) * span
        day.lists[SOURCE_BY_NAME[name].id] = (begin, begin + 0.5 * span)
        status = {"status": 503} if n % 2 else {}
        kind = "status" if n % 2 else "partial_page"
        lines.append(_source_entry(kind, name, begin, begin + 0.5 * span, **status))
    day.script = "\n".join(lines)
    return day


class Heard:
    """When each pair was last heard, by the market's ticks and the day's silences."""

    def __init__(self, market: Market, day: Day, begin_s: float, end_s: float) -> None:
        self._market = market
        self._day = day
        self._ticks: dict[Pair, list[int]] = {}
        for at_ns, source_id, index in market.ticks(int(begin_s * NS), int(end_s * NS)):
            self._ticks.setdefault((source_id, index), []).append(at_ns)

    def silences(self, pair: Pair) -> Iterator[tuple[float, float]]:
        """Yield the spells in which nothing of a pair came."""
        if pair in self._day.silent:
            yield self._day.silent[pair]
        if pair[0] in self._day.mute:
            yield self._day.mute[pair[0]]

    def silence_at(self, pair: Pair, at_s: float) -> float:
        """Return for how many seconds a pair has been silent by script, 0 where it is not."""
        return max((at_s - a for a, b in self.silences(pair) if a <= at_s < b), default=0.0)

    def disturbed(self, pair: Pair, at_s: float, recovery_s: float) -> bool:
        """Return whether something befalls a pair now, or did within recovery_s."""
        spells = [*self.silences(pair)]
        if pair in self._day.ids:
            spells.append((self._day.ids[pair], self._day.ids[pair]))
        return any(a <= at_s < b + recovery_s for a, b in spells)

    def last_tick_s(self, pair: Pair, at_s: float) -> float | None:
        """Return when a pair last ticked at or before at_s, None for not yet."""
        found = [t for t in self._ticks.get(pair, ()) if t <= at_s * NS]
        return found[-1] / NS if found else None

    def ticks_within(self, pair: Pair, begin_s: float, end_s: float) -> bool:
        """Return whether a pair ticks in [begin_s, end_s]."""
        ticks = self._ticks.get(pair, ())
        at = bisect_left(ticks, begin_s * NS)
        return at < len(ticks) and ticks[at] <= end_s * NS

    def longest_limit_s(self, pair: Pair, since_s: float, at_s: float) -> float:
        """Return for how long at most a pair's last quote may be traded on, heard since since_s."""
        name = SOURCES[pair[0]].name
        if name in REPEATS_S:
            return REPEATS_S[name]
        silent = [span for span in self.silences(pair) if span[0] <= at_s]
        until_s = min((a for a, _ in silent), default=at_s)
        ticks = [t / NS for t in self._ticks.get(pair, ()) if since_s <= t / NS <= until_s]
        pauses = [b - a for a, b in zip(ticks, ticks[1:], strict=False)]
        if len(pauses) <= KNOWN_PAUSES:
            return UNKNOWN_S
        return max(LEAST_LEARNT_S, TIMES * max(pauses))

    def touches(self, pair: Pair, at_s: float, within_s: float) -> list[Touch]:
        """Return every top that a scanner may believe at at_s: published within_s before, and the
        last one before that; during a silence the last one before it.
        """
        spells = [a for a, b in self.silences(pair) if a <= at_s < b]
        end_s = min([at_s, *spells])
        ticks = [t for t in self._ticks.get(pair, ()) if t <= end_s * NS]
        recent = [t for t in ticks if t >= (end_s - within_s) * NS]
        older = [t for t in ticks if t < (end_s - within_s) * NS][-1:]
        found = [self._market.touch(*pair, t) for t in (*older, *recent)]
        return [touch for touch in found if touch]


def _entry(
    market: Market, what: str, pair: Pair, begin: float, end: float | None, **more: object
) -> str:
    symbol = market.instruments[pair[0]][pair[1]].venue_symbol
    facts = {"symbols": [symbol]} | more
    return _source_entry(what, SOURCES[pair[0]].name, begin, end, **facts)


def _source_entry(what: str, source: str, begin: float, end: float | None, **more: object) -> str:
    values: Mapping[str, object] = {
        "what": what,
        "source": source,
        "at_s": round(begin, 3),
        **({} if end is None else {"until_s": round(end, 3)}),
        **more,
    }
    return "\n".join(["[[fault]]", *(f"{k} = {json.dumps(v)}" for k, v in values.items()), ""])


def live_pairs(lists: Lists, market: Market) -> dict[Pair, int]:
    """Return every pair that stands in a direction and ticks, with its symbol id."""
    index = oracle.listings(lists, market)
    found: dict[Pair, int] = {}
    for direction in DIRECTIONS:
        for symbol_id in lists.pairs[direction.id]:
            for source_id in (direction.buy.id, direction.sell.id):
                pair = source_id, index[source_id, lists.names[symbol_id]]
                if pair not in market.dead:
                    found[pair] = symbol_id
    return found


def of_the_set(market: Market, folder: Path, most_rank: int) -> list[Pair]:
    """Return the pairs of a discovered set whose coin is among the busier ones, in order."""
    lists = load_lists(folder)
    return sorted(
        pair
        for pair in live_pairs(lists, market)
        if market.listings[pair[0]][pair[1]].coin.rank < most_rank
    )
