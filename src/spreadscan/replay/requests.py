"""What a replay is asked for on top of the account: pairs of sources and limits, from text."""

import math
from collections import Counter
from typing import NamedTuple

from spreadscan.catalogue import built_in
from spreadscan.errors import ConfigError

PAIRS_MAX = 64  # each has an edge per symbol
LIMITS_MAX = 64


class Pair(NamedTuple):
    """A made-up direction: buy on one source, sell on another, whatever they are."""

    buy: str
    sell: str


def parse_pairs(text: str) -> tuple[Pair, ...]:
    """Return the pairs of "buy:sell,buy:sell"; ConfigError says what is wrong with which."""
    pairs = tuple(_pair(part.strip()) for part in text.split(",")) if text.strip() else ()
    for pair, n in Counter(pairs).items():
        if n > 1:
            raise ConfigError(f"directions: {pair.buy}:{pair.sell} {n} times, expected once")
    if len(pairs) > PAIRS_MAX:
        raise ConfigError(f"directions: {len(pairs)}, expected at most {PAIRS_MAX}")
    return pairs


def parse_limits(text: str) -> tuple[float, ...]:
    """Return the limits of "-5,0,3" in bps; ConfigError for what is no number."""
    limits = tuple(_limit(part.strip()) for part in text.split(",")) if text.strip() else ()
    if len(limits) > LIMITS_MAX:
        raise ConfigError(f"edges: {len(limits)} limits, expected at most {LIMITS_MAX}")
    return limits


def _pair(text: str) -> Pair:
    buy, colon, sell = text.partition(":")
    if not colon:
        raise ConfigError(f"directions: {text!r}, expected BUY:SELL, e.g. okx-spot:mexc-futures")
    for name in (buy, sell):
        if name not in built_in().source:
            raise ConfigError(f"directions: unknown source {name!r}, {built_in().hint(name)}")
    if buy == sell:
        raise ConfigError(f"directions: {text!r}, expected two different sources")
    return Pair(buy, sell)


def _limit(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"edges: {text!r}, expected numbers in bps, e.g. -5,0,3")
    return value
