"""What a feed does about verdicts of the audit: it is the only writer of its slots.

A quote found wrong is emptied, if it still stands, and its pair subscribed anew; a pair that its
venue does not trade is emptied and its quotes declined until the verdict says otherwise.
"""

from collections.abc import Callable, Iterable, Mapping

from spreadcore import Instance
from spreadcore.intake import FeedIntake

from spreadscan.feeds.lines import Lines
from spreadscan.feeds.session import Session


class Acts:
    """The acts of one source; names: of its pairs by symbol id, as they are now."""

    def __init__(
        self,
        source: str,
        source_id: int,
        intake: FeedIntake,
        instance: Instance,
        count: Callable[[str], None],
    ) -> None:
        self._source_id = source_id
        self._intake = intake
        self._instance = instance
        self._count = count
        self._wrong = Lines("quote found wrong", "quotes found wrong", source)
        self._halted = Lines("pair not trading", "pairs not trading", source)
        self._resumed = Lines("pair trades again", "pairs trade again", source)

    def begin(self, symbol_id: int) -> None:
        """Hold to what is known already of a pair that the feed takes up."""
        if self._instance.audit.read(self._source_id, symbol_id).kind == "not_trading":
            self._intake.halt_symbol(symbol_id)

    def look(
        self,
        ids: Mapping[str, int],
        names: Mapping[int, str],
        sessions: Iterable[Session],
        now_ns: int,
    ) -> None:
        """Act on the verdicts that are new. ids: by the venue's symbol."""
        marked = [i for i in self._instance.acts.take(self._source_id) if i in names]
        if not marked:
            return
        wrong, halted, resumed = [], [], []
        for symbol_id in marked:
            verdict = self._instance.audit.read(self._source_id, symbol_id)
            if verdict.kind == "not_trading":
                if self._intake.halt_symbol(symbol_id):
                    self._count("halts")
                    halted.append(symbol_id)
            elif self._intake.resume_symbol(symbol_id):
                resumed.append(symbol_id)
            if verdict.kind == "wrong" and self._intake.empty_quote(symbol_id, verdict.recv_ns):
                self._count("found_wrong")
                wrong.append(symbol_id)
        if anew := {*wrong, *resumed}:  # a new subscription brings the top of now
            symbols = [symbol for symbol, symbol_id in ids.items() if symbol_id in anew]
            for session in sessions:
                session.resubscribe(symbols, now_ns)
        for lines, found in (
            (self._wrong, wrong),
            (self._halted, halted),
            (self._resumed, resumed),
        ):
            lines.tell([{"symbol": names[i]} for i in found], now_ns)
