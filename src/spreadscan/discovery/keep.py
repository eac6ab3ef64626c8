"""What stays of a source that fails: its pairs of the set before, as that had them, for a day.

A list that does not come says nothing of the pairs in it, and their feed may be healthy.
"""

import math
from collections.abc import Collection
from datetime import datetime

from msgspec.structs import replace

from spreadscan.config import Config
from spreadscan.lists import Lists
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
        source: [_as_listed(row.instrument) for row in previous.sources[source].symbols]
        for source in failed
        if source in previous.sources
        and _age_h(listed_at(previous, source), unix_s) < config.discovery.keep_h
    }


def listed_at(previous: Lists, source: str) -> str:
    """Return the UTC time of the list that a source's pairs in a set are from."""
    failure = previous.failed.get(source)
    return failure.listed if failure else previous.written


def _age_h(utc: str, unix_s: float) -> float:
    try:
        return (unix_s - datetime.fromisoformat(utc).timestamp()) / 3600
    except ValueError:  # a set by another hand
        return math.inf


def _as_listed(instrument: Instrument) -> Instrument:
    base, multiplier = split_multiplier(instrument.listed_base)
    return replace(instrument, base=base, multiplier=multiplier)
