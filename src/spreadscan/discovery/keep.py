"""What stays of the set before, for a day: the pairs of a source that fails, and those that halt.

A list that does not come says nothing of the pairs in it, and their feed may be healthy. A pair
that is halted comes back, and its counterparts at the other sources are healthy.
"""

import math
from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec.structs import replace

from spreadscan.config import Config
from spreadscan.lists import Listing, Lists, SourceList
from spreadscan.types import Instrument
from spreadscan.venues.base import split_multiplier


def kept_lists(
    config: Config, failed: Collection[str], previous: Lists | None, unix_s: float
) -> dict[str, list[Instrument]]:
    """Return by source what it listed before, of those that failed to list and are kept.

    Names are read anew from what was listed, like those of a list that has just come.
    """
    if previous is None:
        return {}
    return {
        source: [_as_listed(row.instrument) for row in _wanted(config, previous.sources[source])]
        for source in failed
        if source in previous.sources
        and _age_h(listed_at(previous, source), unix_s) < config.discovery.keep_h
    }


# Reasons to leave out a row of a known pair that are for good. Whatever else a row says of a pair
# that was traded (another quote currency, another kind) is a field that it lacks for once.
_OVER = ("delisted", "duplicate")


def known_pairs(
    config: Config, previous: Lists | None, unix_s: float
) -> dict[str, dict[str, Instrument]]:
    """Return by source the pairs that are kept where they are halted now, by venue symbol.

    That is what was listed as trading within discovery.keep_h, as it was listed.
    """
    if previous is None:
        return {}
    return {
        source: {
            row.instrument.venue_symbol: _as_listed(row.instrument)
            for row in _wanted(config, source_list)
            if _age_h(traded_at(previous, source, row), unix_s) < config.discovery.keep_h
        }
        for source, source_list in previous.sources.items()
    }


def _wanted(config: Config, source_list: SourceList) -> list[Listing]:
    """Return the pairs that are not in a quote currency that has been given up."""
    quotes = config.universe.quotes
    return [row for row in source_list.symbols if row.instrument.quote in quotes]


def halted(left_out: Mapping[str, str], known: Collection[str]) -> dict[str, str]:
    """Return which known pairs the rows left out of a list are halts of, and why."""
    return {
        symbol: f"listed as {why.partition(': ')[0]}"
        for symbol, why in left_out.items()
        if symbol in known and why not in _OVER
    }


def absent(known: Collection[str]) -> dict[str, str]:
    """Return why known pairs are kept that a list without halted ones does not have."""
    return dict.fromkeys(known, "not listed: halted or gone")


def traded_at(previous: Lists, source: str, row: Listing) -> str:
    """Return the UTC time of the last list that had a pair of a set as trading."""
    return row.traded or listed_at(previous, source)


def listed_at(previous: Lists, source: str) -> str:
    """Return the UTC time of the list that a source's pairs in a set are from."""
    failure = previous.failed.get(source)
    return failure.list_written if failure else previous.written


def is_young(previous: Lists | None, within_s: float, unix_s: float) -> bool:
    """Return whether a set was written within so many seconds before."""
    return previous is not None and 0 <= _age_h(previous.written, unix_s) * 3600 < within_s


def _age_h(utc: str, unix_s: float) -> float:
    try:
        return (unix_s - datetime.fromisoformat(utc).timestamp()) / 3600
    except ValueError:  # a set by another hand
        return math.inf


def _as_listed(instrument: Instrument) -> Instrument:
    base, multiplier = split_multiplier(instrument.listed_base)
    return replace(instrument, base=base, multiplier=multiplier)
