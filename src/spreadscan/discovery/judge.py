"""Stage 5, second half: what becomes of each pair of each source, and why.

Its own feed speaks first (validate.py), then the prices of the others (identity.py), then what
was known before: silence proves nothing, so a quiet pair keeps what it had.
"""

from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import NamedTuple

from spreadcore import Instance
from spreadcore.active import SIGNALLED, TRACKED
from spreadcore.errors import CoreError
from spreadcore.region import exists

from spreadscan.config import Config
from spreadscan.discovery.confirmed import Confirmed
from spreadscan.discovery.identity import agree, strangers
from spreadscan.discovery.units import Kept, mids_of
from spreadscan.discovery.validate import Validation
from spreadscan.lists import SILENT_RUNS_MAX, Edge, Listing, Lists, State
from spreadscan.types import Instrument

_SILENT = " (silent now: not compared again)"
_ALONE = " (alone now: not compared again)"
_CONFIRMED = "identity: confirmed to be another coin"

Leg = tuple[str, str]  # source, pair


class Verdict(NamedTuple):
    """What becomes of a pair. silent_runs: validations in a row that it let pass in silence."""

    state: State
    reason: str = ""
    silent_runs: int = 0


def judge(
    kept: Kept,
    validations: Mapping[str, Validation],
    confirmed: Confirmed,
    previous: Lists | None,
    open_legs: frozenset[Leg] = frozenset(),
    failed: Mapping[str, str] | None = None,
    halted: Mapping[str, Mapping[str, str]] | None = None,
    too_soon: bool = False,
) -> dict[str, dict[str, Verdict]]:
    """Return per source: pair -> verdict. open_legs stand in spreads that are open.

    failed: why a source gave no list, or no quote of any pair; its pairs are what they were.
    halted: pairs that do not trade now, by source: venue symbol -> why; they are quiet. too_soon:
    after the set before to count silence once more.
    """
    before, failed, halted = listed_before(previous), failed or {}, halted or {}
    doubted = {leg for leg, row in before.items() if _is_doubted(row)}
    mids = mids_of(kept, {s: v.mids for s, v in validations.items()})
    apart = strangers(mids, confirmed, doubted)
    is_retry = too_soon or bool(previous and previous.failed)
    found: dict[str, dict[str, Verdict]] = {}
    for source, rows in kept.items():
        found[source] = {}
        for name, instrument in rows.items():
            leg, was = (source, name), before.get((source, name))
            others = [
                px for s, px in mids.get(name, {}).items() if s != source and (s, name) not in apart
            ]
            if leg in confirmed.different:
                verdict = Verdict("quarantined", _CONFIRMED)
            elif leg in apart:
                verdict = Verdict("quarantined", apart[leg])
            elif why := halted.get(source, {}).get(instrument.venue_symbol):
                verdict = _unheard(why, instrument, was, leg in confirmed.same)
                if verdict.state in ("valid", "quiet"):
                    verdict = Verdict("quiet", why, verdict.silent_runs)
            elif source in failed:
                verdict = _unheard(failed[source], instrument, was, leg in confirmed.same)
            else:
                heard = validations[source]
                state, reason = heard.verdict(instrument.venue_symbol)
                verdict = Verdict(state, reason)
                if state == "quiet":
                    runs = _silent_runs(heard, instrument.venue_symbol, was, is_retry)
                    trusted = leg in confirmed.same or _agrees(heard, instrument, others)
                    verdict = _quiet(reason, runs, instrument, was, leg in open_legs, trusted)
                elif was and leg in doubted and not others and leg not in confirmed.same:
                    verdict = Verdict("quarantined", _again(was.reason, _ALONE))
            found[source][name] = verdict
    return found


def _is_doubted(row: Listing) -> bool:
    return row.state == "quarantined" and row.reason != _CONFIRMED


def _again(reason: str, why: str) -> str:
    """Return a reason of before that stands, and why it was not looked at again."""
    return reason.removesuffix(_SILENT).removesuffix(_ALONE) + why


def _agrees(heard: Validation, instrument: Instrument, others: Sequence[float]) -> bool:
    """Return whether a book that the gate refuses at least shows the price of this coin."""
    hint = heard.hints.get(instrument.venue_symbol)
    if hint is None or not others:
        return False
    return agree(hint / instrument.multiplier, median(others))


def _unheard(why: str, instrument: Instrument, before: Listing | None, trusted: bool) -> Verdict:
    """Return what becomes of a pair whose source failed. trusted: by a human."""
    if before is None or _reading(before.instrument) != _reading(instrument):
        return _quiet(why, 0, instrument, None, False, trusted)
    if before.state == "quarantined" and trusted:
        return Verdict("quiet", why, before.silent_runs)
    return Verdict(before.state, before.reason, before.silent_runs)


def _silent_runs(
    heard: Validation, venue_symbol: str, before: Listing | None, is_retry: bool
) -> int:
    """Return in how many runs in a row a pair was asked for, and acknowledged, and said nothing.

    A book that the gate refuses (one side, crossed) is something. is_retry: the run before lacked a
    source, so this one follows it within minutes: too soon to count.
    """
    if venue_symbol in heard.faults:
        return 0
    before_runs = before.silent_runs if before else 0
    return before_runs + (venue_symbol in heard.asked and not (before and is_retry))


def _quiet(
    reason: str,
    runs: int,
    instrument: Instrument,
    before: Listing | None,
    is_open: bool,
    trusted: bool,
) -> Verdict:
    """Return what becomes of a pair without a good quote. trusted: it is the coin of its name."""
    if before is not None and before.state == "quarantined" and not trusted:
        return Verdict("quarantined", _again(before.reason, _SILENT), runs)
    unproven = before is None or _reading(before.instrument) != _reading(instrument)
    if instrument.renamed and unproven and not trusted:
        return Verdict("quarantined", _unproven(instrument), runs)
    if runs > 1:
        reason += f", {runs} runs in a row"
    if runs >= SILENT_RUNS_MAX:
        reason += ": kept for a spread that is open" if is_open else ": in no direction"
    return Verdict("quiet", reason, runs)


def _reading(instrument: Instrument) -> tuple[str, float]:
    return instrument.base, instrument.multiplier


def _unproven(instrument: Instrument) -> str:
    read = f"{instrument.multiplier:.0f} coins"
    if instrument.multiplier == 1.0:
        read = f"{instrument.base}, another name of it"
    return f"identity: {read} by its name, and no price yet to prove it"


def listed_before(previous: Lists | None) -> dict[Leg, Listing]:
    """Return what the set before says of each pair of each source."""
    if previous is None:
        return {}
    return {
        (source, row.symbol): row
        for source, source_list in previous.sources.items()
        for row in source_list.symbols
    }


def open_legs(config: Config, names: Sequence[str], edges: Iterable[Edge]) -> frozenset[Leg]:
    """Return the pairs that every open spread stands on, in the instance of this name.

    names, edges: of the lists that the instance has.
    """
    by_id = {edge.id: edge for edge in edges}
    if not by_id or not exists(config.instance):
        return frozenset()
    try:
        active = Instance(config.instance).active
    except CoreError:  # of another layout, or just being replaced: whoever has it is not of ours
        return frozenset()
    sources = config.catalogue.source_at
    return frozenset(
        (sources[source].name, names[row])
        for number, state in active.not_free()
        if state in (SIGNALLED, TRACKED) and (edge := by_id.get(number))
        for source, row in edge.slots
    )
