"""Which pairs were asked about of late, and whether their pages are made anew when asked for again.

A cache on the way keeps what it was asked for: the first question about a pair is answered freshly,
the next ones by the same page. Answers about other pairs show nothing of it. Only a pair that moved
in between does, by its second row: another one, or the first once more.
"""

from collections import deque
from collections.abc import Iterable, Mapping

from spreadscan.audit.evidence import Answer, Pair, Table, agrees
from spreadscan.venues.base import Ticker

MEMORY_NS = 300_000_000_000  # no page is believed to be kept for longer
_SEEN, _SEEN_LIFE_NS = 16, 100_000_000_000  # so many repeats count, and for so long
_AT_LEAST = 2  # fewer tell nothing
_KEPT_SHARE = 0.25  # a row may have been made just before its pair moved


class Lately:
    """What one source was asked about of late."""

    def __init__(self) -> None:
        self._sent_ns: dict[int, deque[int]] = {}
        self._rows: dict[int, tuple[int, Ticker]] = {}  # when asked for last
        self._anew: deque[tuple[int, bool]] = deque(maxlen=_SEEN)  # of repeats: when, whether so

    def ask(self, ids: Iterable[int], sent_ns: int) -> None:
        """Keep that these are asked about; whether an answer comes does not matter to a cache."""
        for symbol_id in ids:
            sent = self._sent_ns.setdefault(symbol_id, deque())
            sent.append(sent_ns)
            while sent[0] < sent_ns - MEMORY_NS:
                sent.popleft()

    def compare(self, pairs: Mapping[int, Pair], answer: Answer, before: Table) -> None:
        """Hold the rows of pairs that move against those of the question before.

        before: the table when the answer was asked for.
        """
        for symbol_id, pair in pairs.items():
            row, held = answer.rows.get(pair.symbol), before.get(symbol_id)
            if row is None:
                continue
            was_ns, was = self._rows.get(symbol_id, (0, None))
            self._rows[symbol_id] = answer.sent_ns, row
            if was is None or held is None or answer.sent_ns - was_ns > MEMORY_NS:
                continue
            if not agrees(held, was):
                anew = (row.bid_px, row.ask_px) != (was.bid_px, was.ask_px)
                self._anew.append((answer.sent_ns, anew))

    def made_ns(self, symbol_id: int, sent_ns: int) -> int:
        """Return when the page about a pair was made at the earliest that is asked for at sent_ns:
        at a question before, unless such pages have been seen to be made anew."""
        seen = [anew for at_ns, anew in self._anew if sent_ns - at_ns <= _SEEN_LIFE_NS]
        if len(seen) >= _AT_LEAST and seen.count(False) <= _KEPT_SHARE * len(seen):
            return sent_ns
        asked = self._sent_ns.get(symbol_id, ())
        return min((at_ns for at_ns in asked if sent_ns - at_ns <= MEMORY_NS), default=sent_ns)

    def of(self, ids: Iterable[int], at_ns: int) -> set[int]:
        """Return which of these were asked about within the memory."""
        return {i for i in ids if (sent := self._sent_ns.get(i)) and at_ns - sent[-1] <= MEMORY_NS}
