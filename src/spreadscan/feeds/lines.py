"""Log lines of a source, however much there is to tell: a few a minute, the others counted.

While nothing comes from the source at all, every pair falls silent and every socket is lost, again
and again: then there is one line as that begins, and one with the numbers as it ends.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from spreadscan.clock import UtcClock, iso_utc
from spreadscan.logs import facts

log = logging.getLogger(__name__)

MINUTE_NS = 60_000_000_000
_LINES_PER_MINUTE = 5
_NAMED = 3  # of those told together
_MUTE_S = 8.0  # less than any pair's limit
_QUIET_S = 2.0  # of all pairs together: what is told of each waits for what comes of that
_HEARD_LOOKS = 5  # with quotes, until it is not mute any more: a single one is no market
_SILENCE_NEEDS = 10  # pairs: with fewer the silence of all means less, and takes longer to


class SourceLog:
    """What is told of one source. look() once a second says whether it is mute.

    silent_s: without a quote of ten pairs or more, a socket is not believed.
    """

    def __init__(self, source: str, silent_s: float) -> None:
        self.source = source
        self.mute = False
        self.waits = False  # for whether it is mute
        self._silent_s = silent_s
        self._n_heard = -1
        self._heard_ns = 0
        self._mute_ns = 0
        self._looks = 0  # with quotes, while it is mute
        self._untold: Counter[str] = Counter()
        self._lines: list[Lines] = []

    def lines(
        self,
        one: str,
        many: str,
        of: str = "pairs",
        by: str = "symbol",
        level: int = logging.WARNING,
    ) -> "Lines":
        """Return a kind of line. one, many: its phrases; of: what is counted; by: names a row."""
        made = Lines(self, one, many, of, by, level)
        self._lines.append(made)
        return made

    def look(self, n_heard: int, n_pairs: int, now_ns: int) -> None:
        """Hear how many quotes came until now, of so many pairs, and tell what waits for now."""
        if n_heard != self._n_heard:
            self._n_heard, self._heard_ns = n_heard, now_ns
            self._looks += self.mute
        limit_s = max(_MUTE_S, self._silent_s * _SILENCE_NEEDS / max(1, n_pairs))
        silent_s = (now_ns - self._heard_ns) / 1e9
        self.waits = silent_s > _QUIET_S and limit_s <= _MUTE_S
        if silent_s > limit_s:
            self._looks = 0
            if not self.mute and n_pairs:
                self._begin(n_pairs)
        elif self._looks >= _HEARD_LOOKS:
            self._end(now_ns)
        for lines in self._lines:
            lines.tell((), now_ns)

    def untold(self, what: str, n: int) -> None:
        """Count what is not told, since the source is mute."""
        if n:
            self._untold[what] += n

    def _begin(self, n_pairs: int) -> None:
        self.mute, self._mute_ns = True, self._heard_ns
        for lines in self._lines:
            lines.give_up()
        since = iso_utc(UtcClock().utc_ns(self._mute_ns))
        log.warning("source mute", extra=facts(source=self.source, pairs=n_pairs, since=since))

    def _end(self, now_ns: int) -> None:
        mute_s = round((now_ns - self._mute_ns) / 1e9, 1)
        told = facts(source=self.source, mute_s=mute_s, untold=dict(self._untold))
        log.info("source heard again", extra=told)
        self.mute, self._looks = False, 0
        self._untold.clear()


class Lines:
    """Log lines of one kind, made by a SourceLog."""

    def __init__(
        self, source: SourceLog, one: str, many: str, of: str, by: str, level: int
    ) -> None:
        self._log, self._one, self._many = source, one, many
        self._of, self._by, self._level = of, by, level
        self._from_ns = 0
        self._left = 0
        self._waiting: list[dict[str, Any]] = []

    def tell(self, rows: Sequence[dict[str, Any]], now_ns: int) -> None:
        """Tell of rows, now or when the next minute begins; only count them while it is mute."""
        if self._log.mute:
            self._log.untold(self._many, len(rows))
            return
        if now_ns - self._from_ns >= MINUTE_NS:
            self._from_ns, self._left = now_ns, _LINES_PER_MINUTE
        self._waiting += rows
        if self._log.waits:
            return
        if len(self._waiting) <= self._left:
            for row in self._waiting:
                log.log(self._level, self._one, extra=facts(source=self._log.source, **row))
            self._left -= len(self._waiting)
        elif self._left:
            named = ", ".join(str(row[self._by]) for row in self._waiting[:_NAMED])
            told = {self._of: len(self._waiting), "first": named}
            log.log(self._level, self._many, extra=facts(source=self._log.source, **told))
            self._left = 0
        else:
            return
        self._waiting = []

    def give_up(self) -> None:
        """Count what waits for its minute: the source is mute."""
        self._log.untold(self._many, len(self._waiting))
        self._waiting = []
