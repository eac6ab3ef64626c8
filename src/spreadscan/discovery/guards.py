"""What has to hold before anything is written: enough sources, and no list that lost its pairs."""

from collections.abc import Mapping

from spreadscan.config import Config
from spreadscan.errors import VenueDown
from spreadscan.lists import Lists

MAY_SHRINK_PCT = 30


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


def trading_or_halted(previous: Lists | None, source: str, trading: int, halts: int) -> int:
    """Return how many pairs a source lists, those among them that have halted since `previous`.

    halts: rows of any pair that are halted now; those of before were no loss then.
    """
    before = previous.n_halted.get(source) if previous else None
    return trading if before is None else trading + max(0, halts - before)


def least_of(previous: Lists | None, source: str) -> int:
    """Return how many pairs a source has to list, by its last answer; 0 where there is none."""
    before = previous.n_listed.get(source, 0) if previous else 0
    return -(-before * (100 - MAY_SHRINK_PCT) // 100)


def refuse_shrunk(previous: Lists | None, listed: Mapping[str, int]) -> None:
    """Refuse lists (source -> pairs) that lost over 30 % since the source last answered.

    Counted are pairs that trade, whatever the universe takes of them. VenueDown names each.
    """
    if previous is None:
        return
    shrunk = []
    for source, now in listed.items():
        least = least_of(previous, source)
        if now < least:
            before = previous.n_listed[source]
            shrunk.append(f"{source} lists {now} pairs, expected at least {least} of {before}")
    if shrunk:
        raise VenueDown(
            f"discovery: {'; '.join(shrunk)} up to generation {previous.generation}; nothing was "
            "written (an outage? where it is the truth: `spreadscan discover --accept-shrink`)"
        )
