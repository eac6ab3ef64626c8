"""Log lines about pairs of a source, however many: a few a minute, the others counted."""

import logging
from collections.abc import Sequence
from typing import Any

from spreadscan.logs import facts

log = logging.getLogger(__name__)

MINUTE_NS = 60_000_000_000
_LINES_PER_MINUTE = 5
_NAMED = 3  # of those told together


class Lines:
    """Log lines about pairs: a few a minute one by one, the others together."""

    def __init__(self, one: str, many: str, source: str) -> None:
        self._one, self._many, self._source = one, many, source
        self._from_ns = 0
        self._left = 0
        self._waiting: list[dict[str, Any]] = []

    def tell(self, rows: Sequence[dict[str, Any]], now_ns: int) -> None:
        """Tell of rows, each with its symbol, now or when the next minute begins."""
        if now_ns - self._from_ns >= MINUTE_NS:
            self._from_ns, self._left = now_ns, _LINES_PER_MINUTE
        self._waiting += rows
        if len(self._waiting) <= self._left:
            for row in self._waiting:
                log.warning(self._one, extra=facts(source=self._source, **row))
            self._left -= len(self._waiting)
        elif self._left:
            named = ", ".join(row["symbol"] for row in self._waiting[:_NAMED])
            told = facts(source=self._source, pairs=len(self._waiting), first=named)
            log.warning(self._many, extra=told)
            self._left = 0
        else:
            return
        self._waiting = []
