"""Stage 3: which pairs a direction can use, and the numbers that they get.

Only pairs that an enabled direction can use get a number, a proof and a subscription; why is in
docs/decisions/0013-ids-go-to-pairs-that-can-be-compared.md. Numbers stay with their pairs.
"""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from spreadcore.layout import LIMITS

from spreadscan.catalogue import Catalogue
from spreadscan.config import Config
from spreadscan.discovery.conversions import Crossing, crossings
from spreadscan.discovery.normalise import direction_pairs
from spreadscan.discovery.units import Kept
from spreadscan.errors import ConfigError
from spreadscan.lists import Edge, Numbered
from spreadscan.types import Instrument

SYMBOLS_MAX: int = LIMITS["n_symbols"]  # as many as the layout can number
EDGES_MAX: int = LIMITS["n_edges"]
REUSE_AFTER_S = 30 * 86_400  # a number without a pair for this long may be another pair's


class Comparable(NamedTuple):
    """Lists without the pairs that no enabled direction can use.

    left_out: how many listings of each source that were; n_left_out: how many pairs.
    """

    kept: dict[str, dict[str, Instrument]]
    left_out: dict[str, int]
    n_left_out: int

    @property
    def names(self) -> set[str]:
        """Return the pairs that are kept."""
        return set().union(*self.kept.values())


def comparable(config: Config, listed: Kept) -> Comparable:
    """Leave out what stands on no buy source and sell source of an enabled direction.

    A pair that does stays on every source that lists it: the others are witnesses. So does one that
    converts between the currencies of others.
    """
    crossed = crossings(config, listed)
    usable = set().union(*direction_pairs(config, listed).values())
    usable.update(*((c.buy, c.sell, c.rate) for c in crossed))
    kept = {s: {n: i for n, i in rows.items() if n in usable} for s, rows in listed.items()}
    return Comparable(
        kept=kept,
        left_out={s: len(rows) - len(kept[s]) for s, rows in listed.items()},
        n_left_out=len(set().union(*listed.values()) - usable),
    )


class Ids(NamedTuple):
    """Numbers of pairs. names: by id; retired: of ids without a pair, since when (Unix s)."""

    names: tuple[str, ...]
    retired: dict[int, int]

    @property
    def in_use(self) -> dict[str, int]:
        """Return the id of every pair that has one now."""
        return {name: i for i, name in enumerate(self.names) if i not in self.retired}


NONE = Ids((), {})
NO_IDS: Mapping[str, int] = {}


def assign_ids(symbols: Collection[str], before: Ids, unix_s: int) -> Ids:
    """Return the ids of `symbols`: known names keep theirs, new ones follow sorted.

    A new name takes the lowest id that has been without a pair for REUSE_AFTER_S, if there is
    one. ConfigError where the layout cannot number as many.
    """
    present = set(symbols)
    names = list(before.names)
    new = sorted(present.difference(names))
    free = sorted(
        i
        for i, since in before.retired.items()
        if names[i] not in present and unix_s - since >= REUSE_AFTER_S
    )
    for i, name in zip(free, new, strict=False):
        names[i] = name
    names += new[len(free) :]
    if len(names) > SYMBOLS_MAX:
        raise ConfigError(
            f"discovery: {len(names)} ids needed ({len(present)} pairs that directions can use, "
            f"{len(names) - len(present)} ids without a pair), expected at most {SYMBOLS_MAX}: "
            "narrow universe.include or sources, or start ids afresh with `discover --fresh`"
        )
    retired = {i: before.retired.get(i, unix_s) for i, n in enumerate(names) if n not in present}
    return Ids(tuple(names), retired)


def ids_before(previous: Numbered | None, unix_s: int) -> Ids:
    """Return the ids of the set before. Where it does not say since when, retired as of now."""
    if previous is None:
        return NONE
    since = previous.retired_unix_s
    return Ids(previous.names, {i: since.get(i, unix_s) for i in previous.retired})


def assign_edges(
    catalogue: Catalogue,
    pairs: Mapping[int, Collection[int]],
    before: Iterable[Edge],
    unix_s: int,
    crossed: Iterable[Crossing] = (),
    ids: Mapping[str, int] = NO_IDS,
) -> tuple[Edge, ...]:
    """Return the edges of symbol ids by direction id: known ones keep their numbers.

    crossed: edges between quote currencies, beside; ids: of their pairs.

    A new one takes the lowest number that is free: of no edge, or of one that has been in no
    direction for REUSE_AFTER_S. Edges of one pair get numbers side by side. ConfigError where the
    layout cannot number as many.
    """
    wanted = {}
    for direction_id, rows in pairs.items():
        direction = catalogue.direction_at[direction_id]
        for row in rows:
            key = (direction_id, direction.buy.id, row, direction.sell.id, row)
            wanted[key] = (row, direction_id)
    converted = {}
    for c in crossed:
        legs = c.direction.buy.id, ids[c.buy], c.direction.sell.id, ids[c.sell]
        key = (c.direction.id, *legs)
        wanted[key] = (ids[c.buy], c.direction.id)
        converted[key] = c.converted, c.rate_source.id, ids[c.rate]
    found: dict[int, Edge] = {}
    for edge in before:
        key = edge[1:6]
        if key in wanted:
            found[edge.id] = Edge(edge.id, *key, 0, *converted.get(key, ()))
            del wanted[key]
        elif unix_s - (since := edge.retired_unix_s or unix_s) < REUSE_AFTER_S:
            found[edge.id] = edge._replace(retired_unix_s=since)
    number = 0
    for key in sorted(wanted, key=wanted.__getitem__):
        while number in found:
            number += 1
        found[number] = Edge(number, *key, 0, *converted.get(key, ()))
    if len(found) and max(found) >= EDGES_MAX:
        raise ConfigError(
            f"discovery: {len(found)} edges, expected at most {EDGES_MAX}: narrow "
            "universe.include or sources"
        )
    return tuple(found[number] for number in sorted(found))
