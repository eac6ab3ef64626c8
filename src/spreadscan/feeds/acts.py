"""What a feed does about verdicts of the audit: it is the only writer of its slots.

A quote found wrong is emptied, if it still stands, and its pair subscribed anew; a pair that its
venue does not trade is emptied and its quotes declined until the verdict says otherwise. Where the
audit finds the source frozen as a whole, the sockets are renewed.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from spreadcore import Instance
from spreadcore.audit import VerdictTuple
from spreadcore.intake import SourceIntake

from spreadscan.feeds.lines import Lines, SourceLog
from spreadscan.feeds.session import Session
from spreadscan.recordings import Verdict, Verdicts

Act = Literal["wrong", "halted", "resumed", ""]


def act(intake: SourceIntake, symbol_id: int, verdict: VerdictTuple) -> Act:
    """Do to a pair's slot what a verdict asks for; return what was done, "" for nothing."""
    if verdict.kind == "not_trading":
        return "halted" if intake.halt_symbol(symbol_id) else ""
    if intake.resume_symbol(symbol_id):
        return "resumed"
    if verdict.kind == "wrong" and intake.empty_quote(symbol_id, verdict.recv_ns):
        return "wrong"
    return ""


class Acts:
    """The acts of one source. record: records verdicts, where somebody records."""

    def __init__(
        self,
        log: SourceLog,
        source_id: int,
        intake: SourceIntake,
        instance: Instance,
        count: Callable[[str], None],
        record: Callable[[Verdicts], None],
    ) -> None:
        self._source_id = source_id
        self._intake = intake
        self._instance = instance
        self._count = count
        self._record = record
        self._renewed_ns = self._renew_ns()  # sockets that are yet to be opened are new
        self._lines: Mapping[Act, Lines] = {
            "wrong": log.lines("quote found wrong", "quotes found wrong"),
            "halted": log.lines("pair not trading", "pairs not trading"),
            "resumed": log.lines("pair trades again", "pairs trade again"),
        }

    def begin(self, symbol_id: int) -> None:
        """Hold to what is known already of a pair that the feed takes up."""
        act(self._intake, symbol_id, self._read(symbol_id))

    def wants_renewal(self) -> bool:
        """Return whether the audit asks for new sockets; true once each time that it does."""
        before, self._renewed_ns = self._renewed_ns, self._renew_ns()
        return self._renewed_ns != before

    def act_on_new(
        self,
        ids: Mapping[str, int],
        names: Mapping[int, str],
        sessions: Iterable[Session],
        now_ns: int,
    ) -> None:
        """Act on the verdicts that are new. ids: by the venue's symbol; names: by id."""
        marked = set(self._instance.acts.take(self._source_id))
        if not marked:
            return
        verdicts = {s: self._read(i) for s, i in ids.items() if i in marked}
        done: dict[Act, list[str]] = {"wrong": [], "halted": [], "resumed": []}
        for symbol, verdict in verdicts.items():
            if what := act(self._intake, ids[symbol], verdict):
                done[what].append(symbol)
        self._record(self._recorded(verdicts))
        for what, name in (("wrong", "found_wrong"), ("halted", "halts")):
            for _ in done[what]:
                self._count(name)
        self._subscribe_anew([*done["wrong"], *done["resumed"]], sessions, now_ns)
        for what, symbols in done.items():
            self._lines[what].tell([{"symbol": names[ids[s]]} for s in symbols], now_ns)

    def _subscribe_anew(
        self, symbols: Sequence[str], sessions: Iterable[Session], now_ns: int
    ) -> None:
        """A new subscription brings the top of now."""
        if symbols:
            for session in sessions:
                session.resubscribe(symbols, now_ns)

    def _renew_ns(self) -> int:
        return self._instance.audit.figures(self._source_id)["renew_ns"]

    def _read(self, symbol_id: int) -> VerdictTuple:
        return self._instance.audit.read(self._source_id, symbol_id)

    def _recorded(self, verdicts: Mapping[str, VerdictTuple]) -> Verdicts:
        round_ns = self._instance.audit.figures(self._source_id)["round_ns"]
        return Verdicts(round_ns, tuple(Verdict(symbol, *v) for symbol, v in verdicts.items()))
