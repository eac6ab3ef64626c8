"""Looks at a feed's pairs once a second: which are silent, and whose ids began anew.

A pair that is silent for longer than it may be (its source's limit, or what its own pauses taught
the intake) is counted, told of once, and subscribed anew. So is one that was acknowledged and never
came. The feed starts it; reads the intake and asks sessions, knows no sockets.
"""

from collections.abc import Callable, Iterable, Sequence

from spreadcore.intake import SourceIntake

from spreadscan.config import Config
from spreadscan.feeds.lines import MINUTE_NS, SourceLog
from spreadscan.feeds.session import Session
from spreadscan.lists import Listing
from spreadscan.venues.base import Venue

# Where silence is health a night makes hundreds of pairs silent, and asking proves nothing.
_ASKED_PER_MINUTE = 20


class Silence:
    """The looks at one source. ids: symbol id by the venue's symbol, as they are now."""

    def __init__(
        self,
        venue: Venue,
        config: Config,
        intake: SourceIntake,
        ids: dict[str, int],
        count: Callable[[str], None],
        log: SourceLog,
    ) -> None:
        self._intake = intake
        self._ids = ids
        self._count = count
        self._repeats = venue.spec.repeats
        self._limit_s = venue.stale_after_s(config)
        self._unheard_s = self._limit_s if self._repeats else config.feeds.silent_socket_s
        self._silent: set[int] = set()
        self._restarts: dict[int, int] = {}
        self._asked_ns: dict[str, int] = {}
        self._asked_from_ns = 0
        self._left_to_ask = 0
        self._silences = log.lines("pair silent", "pairs silent")
        self._beginnings = log.lines("ids began anew", "ids of pairs began anew")

    def check(self, rows: Sequence[Listing], sessions: Iterable[Session], now_ns: int) -> None:
        """Look at the pairs that are listed, as of now; sessions: those that may be asked."""
        names = {row.symbol_id: row.symbol for row in rows}
        silent = set(self._intake.silent(now_ns, self._limit_s))
        fallen = sorted(silent - self._silent)
        for _ in fallen:
            self._count("silent_symbols")
        self._silent = silent
        self._silences.tell(
            [{"symbol": names[i], "limit_s": self._limit_of(i)} for i in fallen if i in names],
            now_ns,
        )
        restarts = self._intake.id_restarts()
        begun = [i for i, times in restarts.items() if times != self._restarts.get(i)]
        self._restarts = restarts
        self._beginnings.tell(
            [{"symbol": names[i], "times": restarts[i]} for i in begun if i in names], now_ns
        )
        proven = {row.symbol_id for row in rows if row.state == "valid"}
        self._ask(silent, proven.intersection(self._intake.unheard()), sessions, now_ns)

    def _limit_of(self, symbol_id: int) -> float:
        return round(self._intake.limit_s(symbol_id), 2) or self._limit_s

    def _ask(
        self, silent: set[int], unheard: set[int], sessions: Iterable[Session], now_ns: int
    ) -> None:
        """Subscribe anew to what fell silent, and to what never came: an ack is no proof."""
        if now_ns - self._asked_from_ns >= MINUTE_NS:
            self._asked_from_ns, self._left_to_ask = now_ns, _ASKED_PER_MINUTE
        for session in sessions:
            if not session.answered_ns:
                continue
            if now_ns - session.answered_ns > self._unheard_s * 1e9:
                wanting = silent | unheard if self._repeats else unheard
                session.resubscribe(self._of(session, wanting), now_ns)
            if not self._repeats and self._left_to_ask:
                self._ask_some(session, silent, now_ns)

    def _ask_some(self, session: Session, silent: set[int], now_ns: int) -> None:
        """As many as the minute allows: first those that were not asked for yet."""
        wanting = self._of(session, silent)
        wanting.sort(key=lambda symbol: self._asked_ns.get(symbol, 0))
        asked = session.resubscribe(wanting, now_ns, self._left_to_ask)
        self._asked_ns.update(dict.fromkeys(asked, now_ns))
        self._left_to_ask -= len(asked)

    def _of(self, session: Session, symbol_ids: set[int]) -> list[str]:
        return [symbol for symbol in session.symbols if self._ids[symbol] in symbol_ids]
