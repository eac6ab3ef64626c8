"""How old an answer is, by pairs that move: the moment at which the table held what its rows say.

Up to 64 pairs of a source bear witness. What the table says of them is noted once a second; the
newest moment that agrees with a witness's row is how old the answer is at least. Between two seen
a price may have been anywhere between them. Pairs that have not moved lately bear none.
"""

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from spreadscan.audit.evidence import NOTHING, Held, Lag, Pair, Rows, Table, agrees, has_book
from spreadscan.audit.judge import LAGGING_AT_LEAST_NS
from spreadscan.venues.base import Ticker

AT_MOST = 64
AT_LEAST = 4  # fewer prove nothing
REMEMBERED_NS = 60_000_000_000


class _Observation(NamedTuple):
    since_ns: int  # when it was first seen so
    held: Held


class Witnesses:
    """The witnesses of one source."""

    def __init__(self, older_by_ns: int) -> None:
        self._moved_within_ns = max(older_by_ns, LAGGING_AT_LEAST_NS)
        self._seen: dict[int, list[_Observation]] = {}
        self._last_round: Table = {}

    def choose(self, table: Table) -> None:
        """Take pairs that moved since this was called last in place of those that move no more.

        While there are too few of them, those that were heard last: they may be the next to move.
        """
        still = {i: seen for i, seen in self._seen.items() if len(seen) > 1 and i in table}
        before = self._last_round
        others = sorted(
            (i for i in table if i not in still),
            key=lambda i: (not _moved(before.get(i, NOTHING), table[i]), -table[i].recv_ns),
        )
        self._last_round = table
        chosen = others[: AT_MOST - len(still)]
        self._seen = still | {i: self._seen.get(i, []) for i in chosen}

    @property
    def ids(self) -> list[int]:
        """The symbol ids of those who bear witness now."""
        return list(self._seen)

    def observe(self, table: Table, at_ns: int) -> None:
        """Keep what the table says of each now; about once a second."""
        forget_ns = at_ns - REMEMBERED_NS
        for symbol_id, seen in self._seen.items():
            held = table.get(symbol_id)
            if held is None:
                continue
            if not seen or _moved(seen[-1].held, held):
                seen.append(_Observation(at_ns, held))
            while len(seen) > 1 and seen[1].since_ns < forget_ns:
                del seen[0]

    def moving(
        self,
        pairs: Mapping[int, Pair],
        at_ns: int,
        at_most: int,
        first: Callable[[Iterable[int], int], set[int]] = lambda ids, at_ns: set(),
    ) -> list[int]:
        """Return symbol ids of some that would bear witness of an answer that is fresh, by lot: the
        busiest ones are soon back at a price that they had before. first: picks those to prefer."""
        able = [
            i
            for i, seen in self._seen.items()
            if i in pairs
            and self._moves(seen, at_ns)
            and not _says_nothing(seen, _row_of(seen[-1].held), pairs[i].tick)
        ]
        preferred = first(able, at_ns)
        random.shuffle(able)
        return sorted(able, key=lambda i: i not in preferred)[:at_most]

    def lag(self, pairs: Mapping[int, Pair], rows: Rows, after: Table, sent_ns: int) -> Lag:
        """Return how old the rows of an answer are that was asked for at sent_ns.

        after: the table when it came, for an answer may be newer than its request.
        """
        return lag_of(self.ages(pairs, rows, after, sent_ns))

    def ages(
        self, pairs: Mapping[int, Pair], rows: Rows, after: Table, sent_ns: int
    ) -> list[int | None]:
        """Return how old each row is, in ns, of which somebody bears witness; None: too old."""
        ages = []
        for symbol_id, seen in self._seen.items():
            pair = pairs.get(symbol_id)
            row = rows.get(pair.symbol) if pair else None
            if pair is None or row is None or not has_book(row) or not self._moves(seen, sent_ns):
                continue
            newest = _Observation(sent_ns, after.get(symbol_id, NOTHING))
            if _says_nothing([*seen, newest], row, pair.tick):
                continue
            ages.append(_newest_agreeing([*seen, newest], row, pair.tick, sent_ns))
        return ages

    def _moves(self, seen: list[_Observation], sent_ns: int) -> bool:
        return len(seen) > 1 and seen[-1].since_ns >= sent_ns - self._moved_within_ns


def lag_of(ages: Sequence[int | None], share: float = 0.8) -> Lag:
    """Return what ages of rows say of answers: that which a share of them is below; bad where that
    is older than anything that is remembered.

    Each is the least that it can be: a price that comes back makes a row look younger.
    """
    if len(ages) < AT_LEAST:
        return Lag(None)
    older = sorted(math.inf if age is None else age for age in ages)
    age = older[math.ceil(share * len(older)) - 1]
    return Lag(None, bad=True) if age == math.inf else Lag(int(age))


def _moved(was: Held, held: Held) -> bool:
    """Return whether a slot that held a quote holds one of another price."""
    return bool(was.recv_ns and held.recv_ns) and (was.bid_px, was.ask_px) != (
        held.bid_px,
        held.ask_px,
    )


def _says_nothing(seen: list[_Observation], row: Ticker, tick: float) -> bool:
    """Return whether the table held what a row says for much of the time: it may be of any age."""
    agreeing = sum(note.held.recv_ns > 0 and agrees(note.held, row, tick) for note in seen)
    return len(seen) > 2 and 3 * agreeing > len(seen)


def _row_of(held: Held) -> Ticker:
    """Return a row that shows what a slot holds."""
    return Ticker("", held.bid_px, held.ask_px)


def _newest_agreeing(
    seen: list[_Observation], row: Ticker, tick: float, sent_ns: int
) -> int | None:
    """Return how long before sent_ns the table last held what a row says; None: at no time."""
    until_ns = sent_ns
    for at in range(len(seen) - 1, -1, -1):
        note = seen[at]
        if note.held.recv_ns and agrees(note.held, row, tick):
            return max(0, sent_ns - until_ns)
        if at and _is_between(seen[at - 1].held, note.held, row, tick):
            return max(0, sent_ns - note.since_ns)
        until_ns = note.since_ns
    return None


def _is_between(a: Held, b: Held, row: Ticker, tick: float) -> bool:
    if not (a.recv_ns and b.recv_ns):
        return False
    return (
        min(a.bid_px, b.bid_px) - tick <= row.bid_px <= max(a.bid_px, b.bid_px) + tick
        and min(a.ask_px, b.ask_px) - tick <= row.ask_px <= max(a.ask_px, b.ask_px) + tick
    )
