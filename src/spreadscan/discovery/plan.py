"""`discover --plan`: the sockets and requests that discovery and the feeds would need, unsent.

Of the set in generated/, or, where there is none, of the lists that the venues give over REST.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from spreadscan.config import Config
from spreadscan.discovery.discover import Progress, fetch_all
from spreadscan.discovery.ids import comparable
from spreadscan.discovery.normalise import normalise
from spreadscan.discovery.origin import origin_of
from spreadscan.feeds.plan import SocketPlan, plan
from spreadscan.feeds.shards import batches, shards
from spreadscan.lists import Lists, differences, load
from spreadscan.venues import VENUES
from spreadscan.venues.base import VenueSpec


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The venue's limits that a plan keeps to."""

    connects_per_s: float
    connects_per_5min: int
    frames_per_s: float
    topics_per_socket: int
    topics_per_frame: int
    bytes_per_frame: int


class SourcePlan(msgspec.Struct, frozen=True, kw_only=True):
    """One source. feed: its standing sockets; validation: those of discovery, before."""

    pairs: int
    feed: SocketPlan
    validation: SocketPlan
    limits: Limits
    error: str = ""  # why its list could not be had


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. generation: of the set it rests on, None where the venues' lists were asked."""

    generation: int | None
    sources: dict[str, SourcePlan]


async def make_plan(config: Config, progress: Progress) -> Plan:
    """Return the plan of the enabled sources. BadGenerated where the set is there but unusable.

    progress hears of the lists that are asked for.
    """
    errors: Mapping[str, str] = {}
    lists = _generated(config)
    if lists:
        symbols = {
            source: [row.instrument.venue_symbol for row in source_list.subscribed]
            for source, source_list in lists.sources.items()
        }
    else:
        symbols, errors = await _listed(config, progress)
    sources = {
        name: await _source(name, symbols.get(name, ()), errors.get(name, ""))
        for name in config.sources
    }
    return Plan(generation=lists.generation if lists else None, sources=sources)


def _generated(config: Config) -> Lists | None:
    """Return the set that is there, None where there is none or a run would discover anew."""
    folder = Path(config.paths.generated)
    if not (folder / "metadata.json").exists():
        return None
    lists = load(folder)
    foreign = any(found.foreign for found in differences(lists.origin, origin_of(config)))
    return None if foreign else lists


async def _source(name: str, symbols: Sequence[str], error: str) -> SourcePlan:
    venue = VENUES[name]
    return SourcePlan(
        pairs=len(symbols),
        feed=await plan(venue, shards(symbols, venue.spec.topics_per_socket)),
        validation=await plan(venue, batches(symbols, venue.spec.validate_batch)),
        limits=_limits(venue.spec),
        error=error,
    )


def _limits(spec: VenueSpec) -> Limits:
    return Limits(**{name: getattr(spec, name) for name in Limits.__struct_fields__})


async def _listed(
    config: Config, progress: Progress
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Return venue symbols by source, and why a source lists none."""
    fetched = await fetch_all(config, progress)
    listed, _ = normalise(
        {s: f.instruments for s, f in fetched.items() if not f.error}, config.universe
    )
    kept = comparable(config, listed).kept
    symbols = {s: [i.venue_symbol for i in rows.values()] for s, rows in kept.items()}
    return symbols, {s: f.error for s, f in fetched.items() if f.error}
