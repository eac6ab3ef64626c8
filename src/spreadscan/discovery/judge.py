"""Stage 5, second half: what becomes of each pair of each source, and why.

Its own feed speaks first (validate.py), then the prices of the others (identity.py), then what
was known before: silence proves nothing, so a quiet pair keeps what it had.
"""

from collections.abc import Mapping
from typing import NamedTuple

from spreadcore import Instance
from spreadcore.active import SIGNALLED, TRACKED
from spreadcore.errors import CoreError
from spreadcore.region import exists

from spreadscan.config import Config
from spreadscan.discovery.confirmed import Confirmed
from spreadscan.discovery.identity import strangers
from spreadscan.discovery.units import Kept, mids_of
from spreadscan.discovery.validate import Validation
from spreadscan.lists import SILENT_RUNS_MAX, Listed, Lists, State
from spreadscan.types import DIRECTIONS, SOURCES, Instrument

_AGAIN = " (silent now: not compared again)"

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
) -> dict[str, dict[str, Verdict]]:
    """Return per source: pair -> verdict. open_legs stand in spreads that are open."""
    before = listed_before(previous)
    apart = strangers(mids_of(kept, {s: v.mids for s, v in validations.items()}), confirmed)
    found: dict[str, dict[str, Verdict]] = {}
    for source, rows in kept.items():
        found[source] = {}
        for name, instrument in rows.items():
            leg = source, name
            state, reason = validations[source].verdict(instrument.venue_symbol)
            if leg in confirmed.different:
                verdict = Verdict("quarantined", "identity: confirmed to be another coin")
            elif leg in apart:
                verdict = Verdict("quarantined", apart[leg])
            elif state == "quiet":
                silent = instrument.venue_symbol in validations[source].asked
                verdict = _quiet(reason, silent, instrument, before.get(leg), leg in open_legs)
                if leg in confirmed.same:
                    verdict = verdict._replace(state="quiet", reason=reason)
            else:
                verdict = Verdict(state, reason)
            found[source][name] = verdict
    return found


def _quiet(
    reason: str, silent: bool, instrument: Instrument, before: Listed | None, is_open: bool
) -> Verdict:
    """Return what becomes of a pair without a price. silent: it was asked for, and acknowledged."""
    runs = (before.silent_runs if before else 0) + silent
    if before is not None and before.state == "quarantined":
        return Verdict("quarantined", before.reason.removesuffix(_AGAIN) + _AGAIN, runs)
    multiplier = instrument.multiplier
    if multiplier != 1.0 and (before is None or before.instrument.multiplier != multiplier):
        unproven = f"identity: {multiplier:.0f} coins by its name, and no price yet to prove it"
        return Verdict("quarantined", unproven, runs)
    if runs > 1:
        reason += f", {runs} runs in a row"
    if runs >= SILENT_RUNS_MAX:
        reason += ": kept for a spread that is open" if is_open else ": in no direction"
    return Verdict("quiet", reason, runs)


def listed_before(previous: Lists | None) -> dict[Leg, Listed]:
    """Return what the set before says of each pair of each source."""
    if previous is None:
        return {}
    return {
        (source, row.symbol): row
        for source, listed in previous.sources.items()
        for row in listed.symbols
    }


def open_legs(config: Config, previous: Lists | None) -> frozenset[Leg]:
    """Return both legs of every spread that is open in the instance of this name, if there is one.

    Ids are those of `previous`, which the instance was started with.
    """
    if previous is None or not exists(config.instance):
        return frozenset()
    try:
        active = Instance(config.instance).active
    except CoreError:  # of another layout, or just being replaced: whoever has it is not of ours
        return frozenset()
    by_id = {d.id: d for d in DIRECTIONS}
    return frozenset(
        (SOURCES[source].name, previous.names[symbol])
        for direction, symbol, state in active.not_free()
        if state in (SIGNALLED, TRACKED) and direction in by_id and symbol < len(previous.names)
        for source in (by_id[direction].buy_source, by_id[direction].sell_source)
    )
