"""Quotes that answers contradict, and what it takes to prove one wrong. No clock, no I/O.

A source is asked on two pages: rounds, about all pairs, and questions, about some. Each may come
from a cache of its own, and no cache is asked whether it is one. So:

1. Both pages have to contradict one and the same quote, in answers whose age is known, the last
   ten seconds or more after the first.
2. A page takes back what it said itself. A question never takes back what a round said; a round
   does it to a question where it shows a later moment.
3. What is missing from a round accuses until the list of statuses, asked later, says it trades.
"""

from dataclasses import dataclass, field
from typing import Literal

from spreadscan.audit.evidence import NOTHING, Table

SECOND_AFTER_NS = 10_000_000_000  # from the answer that accuses to the one that proves

Page = Literal["round", "question"]


@dataclass(slots=True)
class _Doubt:
    """The quote received at recv_ns. absent: it has no row. Times are those of requests."""

    recv_ns: int
    absent: bool
    first_ns: int
    last_ns: dict[Page, int] = field(default_factory=dict)  # of the last that contradicts
    known_ns: dict[Page, int] = field(default_factory=dict)  # of the first whose age is known
    asked_ns: int = 0  # on our own account
    listed: bool = False  # as trading, since it was missing first


class Doubts:
    """The quotes of one source that are contradicted."""

    def __init__(self) -> None:
        self._doubts: dict[int, _Doubt] = {}

    def forget(self, symbol_id: int) -> None:
        self._doubts.pop(symbol_id, None)

    def keep(self, table: Table) -> None:
        """Forget those about quotes that stand no more."""
        self._doubts = {
            i: doubt
            for i, doubt in self._doubts.items()
            if table.get(i, NOTHING).recv_ns == doubt.recv_ns
        }

    def contradicted(
        self, symbol_id: int, recv_ns: int, page: Page, sent_ns: int, is_age_known: bool
    ) -> bool:
        """Take an answer that shows other prices, or no book; return whether that proves it."""
        doubt = self._of(symbol_id, recv_ns, False, sent_ns)
        doubt.last_ns[page] = sent_ns
        if not is_age_known:
            return False
        doubt.known_ns.setdefault(page, sent_ns)
        known = doubt.known_ns.values()
        return len(known) == 2 and sent_ns - min(known) >= SECOND_AFTER_NS

    def agreed(self, symbol_id: int, recv_ns: int, page: Page, at_ns: int) -> bool:
        """Take an answer that shows the same as of at_ns; return whether no other page objects."""
        doubt = self._doubts.get(symbol_id)
        if doubt is None or doubt.recv_ns != recv_ns:
            return True
        doubt.last_ns.pop(page, None)
        doubt.known_ns.pop(page, None)
        said = max(doubt.last_ns.values(), default=0)
        if said and (page == "question" or at_ns < said):
            return False
        self.forget(symbol_id)
        return True

    def absent(self, symbol_id: int, recv_ns: int, sent_ns: int, told_ns: int) -> tuple[bool, bool]:
        """Take a round without its row; return whether that accuses it, and whether that is over
        as of now. told_ns: as of when the pair was last said to trade."""
        doubt = self._of(symbol_id, recv_ns, True, sent_ns)
        was, doubt.listed = doubt.listed, doubt.listed or told_ns >= doubt.first_ns
        return not doubt.listed, doubt.listed and not was

    def take_due(self, at_ns: int, at_most: int) -> list[int]:
        """Return whom to ask about, so that the other page has its say; each once a round."""
        due: list[int] = []
        for symbol_id, doubt in self._doubts.items():
            if len(due) == at_most:
                break
            since_ns = doubt.known_ns.get("round")
            if since_ns is None or at_ns - min(doubt.known_ns.values()) < SECOND_AFTER_NS:
                continue
            if doubt.asked_ns < doubt.last_ns["round"]:
                doubt.asked_ns = at_ns
                due.append(symbol_id)
        return due

    def _of(self, symbol_id: int, recv_ns: int, absent: bool, sent_ns: int) -> _Doubt:
        doubt = self._doubts.get(symbol_id)
        if doubt is None or doubt.recv_ns != recv_ns or doubt.absent != absent:
            doubt = self._doubts[symbol_id] = _Doubt(recv_ns, absent, sent_ns)
        return doubt
