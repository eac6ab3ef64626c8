"""What has to hold before anything is written: enough sources, and no list that lost its pairs."""

from collections.abc import Mapping

from spreadscan.config import Config
from spreadscan.errors import VenueDown
from spreadscan.lists import Lists

MAY_SHRINK_PCT = 30
MAY_SHRINK = 3  # pairs, of a list so short that they are more

MAJORS_IN = "USDT"  # every exchange lists the majors against it, whatever is wanted of its list

Counts = Mapping[str, int]  # of pairs, by quote currency


def refuse_too_few(config: Config, good: set[str], errors: Mapping[str, str], what: str) -> None:
    """Hold the rule: enabled sources minus two, of both kinds that some direction compares.

    VenueDown names the others of `errors` (source -> what went wrong there).
    """
    need = max(2, len(config.sources) - 2)
    kinds = {config.catalogue.source[s].kind for s in good}
    compared = any({d.buy.kind, d.sell.kind} <= kinds for d in config.enabled_directions)
    if len(good) >= min(need, len(config.sources)) and compared:
        return
    bad = "; ".join(f"{s}: {errors[s]}" for s in errors if s not in good and errors[s])
    raise VenueDown(
        f"discovery: {len(good)} of {len(config.sources)} sources {what}, expected at least "
        f"{need} of the kinds that a direction compares; nothing was written "
        f"({bad or 'no reason known'})"
    )


def trading_or_halted(
    previous: Lists | None, source: str, trading: Counts, halts: Counts
) -> dict[str, int]:
    """Return how many pairs a source lists, those among them that have halted since `previous`.

    halts: rows of any pair that are halted now; those of before were no loss then.
    """
    before = previous.n_halted.get(source) if previous else None
    if before is None:
        return dict(trading)
    return {q: n + max(0, halts.get(q, 0) - before.get(q, 0)) for q, n in trading.items()}


def shrunk(previous: Lists | None, source: str, listed: Counts) -> list[str]:
    """Return in which quote currencies a source lists too few pairs, by its last answer."""
    before = previous.n_listed.get(source, {}) if previous else {}
    return [q for q, now in listed.items() if now < _least(before.get(q, 0))]


def _least(before: int) -> int:
    return max(0, min(-(-before * (100 - MAY_SHRINK_PCT) // 100), before - MAY_SHRINK))


def refuse_shrunk(previous: Lists | None, listed: Mapping[str, Counts]) -> None:
    """Refuse lists that lost over 30 % of a currency's pairs since the source last answered.

    Counted are pairs that trade, whatever the universe's patterns take of them. VenueDown names
    each.
    """
    if previous is None:
        return
    told = []
    for source, counts in listed.items():
        for quote in shrunk(previous, source, counts):
            before = previous.n_listed[source][quote]
            told.append(
                f"{source} lists {counts[quote]} {quote} pairs, expected at least "
                f"{_least(before)} of {before}"
            )
    if told:
        raise VenueDown(
            f"discovery: {'; '.join(told)} up to generation {previous.generation}; nothing was "
            "written (an outage? where it is the truth: `spreadscan discover --accept-shrink`)"
        )
