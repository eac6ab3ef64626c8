"""The stages in order, with progress told, and the report for people."""

import asyncio
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, get_args

import msgspec
from spreadcore import Instance
from spreadcore.errors import CoreError
from spreadcore.region import exists

from spreadscan.clock import iso_utc
from spreadscan.config import Config
from spreadscan.discovery.confirmed import read_confirmed
from spreadscan.discovery.conversions import Crossing, crossings, proven_crossings
from spreadscan.discovery.fetch import Fetched, fetch
from spreadscan.discovery.guards import (
    refuse_shrunk,
    refuse_too_few,
    shrunk,
    trading_or_halted,
)
from spreadscan.discovery.ids import (
    Comparable,
    assign_edges,
    assign_ids,
    comparable,
    ids_before,
)
from spreadscan.discovery.judge import Leg, Verdict, judge, open_legs
from spreadscan.discovery.keep import is_young, kept_lists, known_pairs, listed_at, traded_at
from spreadscan.discovery.normalise import direction_pairs, normalise
from spreadscan.discovery.origin import origin_of
from spreadscan.discovery.report import IN_NO_DIRECTION, Result, SourceResult, report_text
from spreadscan.discovery.units import read_before, settle
from spreadscan.discovery.validate import Validation
from spreadscan.discovery.write import write_set
from spreadscan.errors import BadGenerated, ConfigError, RefusedSet
from spreadscan.inuse import ListsInUse, held_roles, lists_in_use, settings_in_use
from spreadscan.lists import (
    Edge,
    Listing,
    Lists,
    Numbered,
    Origin,
    SourceList,
    State,
    load,
    other_id,
    read_metadata,
)
from spreadscan.locks import DISCOVERY, FolderLock
from spreadscan.net import rest
from spreadscan.types import Instrument
from spreadscan.venues import VENUES
from spreadscan.workers.proxies import proxies_of

NOTHING_KNOWN: Mapping[str, Mapping[str, Instrument]] = {}


class Progress(Protocol):
    """Told what happens; every call is optional to act on."""

    def waiting(self, holder: str) -> None:
        """Another discovery has the folder and is waited for."""

    def fetched(self, source: str, pairs: int, error: str) -> None:
        """A source's list has come, or not."""

    def matched(self, symbols: int, directions: Mapping[str, int], left_out: int) -> None:
        """Pairs before validation: in all, per direction, and left out as in no direction."""

    def validating(self, source: str, done: int, total: int) -> None:
        """So many pairs of a source have given a valid update or were refused."""


class Silent:
    """Progress that says nothing."""

    def waiting(self, holder: str) -> None:
        pass

    def fetched(self, source: str, pairs: int, error: str) -> None:
        pass

    def matched(self, symbols: int, directions: Mapping[str, int], left_out: int) -> None:
        pass

    def validating(self, source: str, done: int, total: int) -> None:
        pass


async def discover(
    config: Config,
    progress: Progress | None = None,
    *,
    fresh: bool = False,
    accept_shrink: bool = False,
) -> Result:
    """Find pairs, prove them on the wire, write the set; return what was found.

    One discovery at a time has the folder; ConfigError where another keeps it for too long.
    fresh: give ids anew in sorted order, whatever set is there. VenueDown where fewer than the
    enabled sources minus two (of both kinds of a direction) answer, or one lists over 30 %
    fewer pairs than in the set before (unless accept_shrink): then nothing is written. A source
    that failed is told in the result; it keeps its pairs of the set before (unless fresh).
    """
    progress = progress or Silent()
    origin = origin_of(config)
    lock = FolderLock(config.paths.generated, DISCOVERY, config.instance)
    await _take(lock, config.discovery.wait_s, progress)
    try:
        return await _discover(config, origin, progress, fresh, accept_shrink)
    finally:
        lock.close()


async def _take(lock: FolderLock, within_s: float, progress: Progress) -> None:
    begun = time.monotonic()
    told = False
    while not lock.try_take():
        if time.monotonic() - begun >= within_s:
            raise lock.refusal(within_s)
        if not told:
            progress.waiting(str(lock.holder() or "an unknown process"))
            told = True
        await asyncio.sleep(0.1)


async def _discover(
    config: Config, origin: Origin, progress: Progress, fresh: bool, accept_shrink: bool
) -> Result:
    started = time.monotonic()
    confirmed = read_confirmed(config.paths.identity, config.catalogue)
    previous, generation = _previous(config, fresh)
    previous = _same_market(previous, origin)
    in_use = _in_use(config)
    guard = None if accept_shrink else previous
    standing = None if fresh else previous
    known = known_pairs(config, standing, time.time())
    fetched = await fetch_all(config, progress, guard, known)
    listed = _listed(config, fetched, guard)
    lost = {s: f.error for s, f in fetched.items() if f.error}
    as_before = kept_lists(config, lost, standing, time.time())
    spelled = read_before(standing)
    halted = {s: f.halted | f.absent for s, f in fetched.items() if not f.error}
    rows = {
        s: as_before[s] if s in as_before else [*f.instruments, *(known[s][v] for v in halted[s])]
        for s, f in fetched.items()
        if s in as_before or not f.error
    }
    everything, dropped = normalise(rows, config.universe, spelled, halted)
    usable = comparable(config, everything)
    _match(config, usable, progress)
    unix_s = int(time.time())
    numbered = None if fresh else _numbered_before(previous, in_use)
    before = ids_before(numbered, unix_s)
    edges_before = numbered.edges if numbered else ()
    # before the sockets, too: running out of numbers must not cost the validation
    ids = assign_ids(usable.names, before, unix_s).in_use
    crossed = crossings(config, usable.kept)
    _number(config, direction_pairs(config, usable.kept), crossed, ids, edges_before, unix_s)
    asked = {
        s: {n: i for n, i in rows.items() if i.venue_symbol not in halted[s]}
        for s, rows in usable.kept.items()
        if s not in as_before
    }
    validations = await _validate_all(config, asked, progress)
    refuse_too_few(
        config,
        {s for s, v in validations.items() if v.proven or not asked[s]},
        {s: v.error or "no valid update" for s, v in validations.items()},
        "quote",
    )
    failed = lost | {s: v.failed for s, v in validations.items() if v.failed}
    wire = {s: v.mids for s, v in validations.items()}
    usable = comparable(config, settle(everything, wire, spelled))
    kept = usable.kept
    numbers = assign_ids(usable.names, before, unix_s)
    ids = numbers.in_use
    held = open_legs(config, before.names, edges_before)
    too_soon = is_young(previous, config.discovery.again_s, unix_s)
    found = judge(kept, validations, confirmed, previous, held, failed, halted, too_soon)
    since = _traded(standing, as_before, halted)
    sources = {s: _source_list(s, kept[s], found[s], ids, since.get(s, {})) for s in kept}
    compared = {s: _compared(source_list, held) for s, source_list in sources.items()}
    final = direction_pairs(config, compared)
    crossed, n_lacking = proven_crossings(config, compared)
    n_crossed = Counter(c.direction.id for c in crossed)
    now_unix_ns = time.time_ns()
    from_lists = {s: iso_utc(now_unix_ns) for s in asked} | {
        s: listed_at(previous, s) for s in as_before if previous
    }
    result = Result(
        # those who run take only what is newer than what they have
        generation=max(generation, in_use.generation if in_use else 0) + 1,
        symbols=len(ids),
        directions={d.name: len(final[d.id]) + n_crossed[d.id] for d in config.enabled_directions},
        sources=_source_results(
            config, fetched, dropped, usable, validations, sources, failed, from_lists
        ),
        in_no_direction=usable.n_left_out,
        without_rate=n_lacking,
        took_s=time.monotonic() - started,
        folder=config.paths.generated,
    )
    by_direction, edges = _number(config, final, crossed, ids, edges_before, unix_s)
    write_set(
        config.paths.generated,
        generation=result.generation,
        names=numbers.names,
        retired=frozenset(numbers.retired),
        retired_unix_s=numbers.retired,
        pairs=by_direction,
        edges=edges,
        sources=sources,
        # one that did not answer is held against its last answer when it comes back
        n_listed=(previous.n_listed if previous else {}) | listed,
        n_halted=(previous.n_halted if previous else {}) | {s: fetched[s].halts for s in listed},
        origin=origin,
        report=report_text(result),
        unix_ns=now_unix_ns,
        failed=result.failed,
    )
    return result


def _number(
    config: Config,
    pairs: Mapping[int, Sequence[str]],
    crossed: Sequence[Crossing],
    ids: Mapping[str, int],
    before: Iterable[Edge],
    unix_s: int,
) -> tuple[dict[int, list[int]], tuple[Edge, ...]]:
    """Return the symbol ids by direction, and their edges; ConfigError where they are too many."""
    by_direction = {d: [ids[name] for name in names] for d, names in pairs.items()}
    edges = assign_edges(config.catalogue, by_direction, before, unix_s, crossed, ids)
    return by_direction, edges


def _previous(config: Config, fresh: bool) -> tuple[Lists | None, int]:
    """Return the set that is there and its generation; None, 0 where there is none yet.

    BadGenerated where it is broken, unless its ids are not wanted any more.
    """
    folder = Path(config.paths.generated)
    try:
        lists = load(folder)
        return lists, lists.generation
    except BadGenerated as error:
        if not (folder / "metadata.json").exists():
            return None, 0
        if not fresh:
            if isinstance(error, RefusedSet):  # it says itself what to do
                raise
            raise BadGenerated(
                f"{error}; ids cannot be kept: mend it, or give ids anew with `discover --fresh`"
            ) from None
    with suppress(BadGenerated):
        return None, read_metadata(folder).generation
    return None, 0


def _same_market(previous: Lists | None, origin: Origin) -> Lists | None:
    """Return of the set before what these hosts said; None where that is nothing.

    Another market's ids, lost pairs and quarantines say nothing about this one.
    """
    if previous is None or (before := previous.origin) is None:
        return None
    same = {source for source in origin.hosts if before.same_market(source, origin)}
    if not same:
        return None
    return msgspec.structs.replace(
        previous,
        sources={s: source_list for s, source_list in previous.sources.items() if s in same},
        n_listed={s: n for s, n in previous.n_listed.items() if s in same},
        n_halted={s: n for s, n in previous.n_halted.items() if s in same},
    )


def _in_use(config: Config) -> ListsInUse | None:
    """Return the set that a running scanner has from this folder, None where there is none."""
    if not exists(config.instance):
        return None
    try:
        instance = Instance(config.instance)
        settings = settings_in_use(instance) if held_roles(instance.directory) else None
    except (CoreError, ConfigError):  # of another version: it takes no set of ours
        return None
    if settings is None or not (lists := lists_in_use(instance)):
        return None
    theirs, ours = (Path(c.paths.generated).resolve() for c in (settings.config, config))
    if theirs != ours:
        return None
    asked = instance.control.reload_generation
    return msgspec.structs.replace(lists, generation=max(lists.generation, asked))


def _numbered_before(previous: Lists | None, in_use: ListsInUse | None) -> Numbered | None:
    """Return whose numbers pairs and edges keep: who runs on them can take no others."""
    if in_use is not None and (previous is None or other_id(in_use, previous)):
        return in_use
    return previous


async def fetch_all(
    config: Config,
    progress: Progress,
    previous: Lists | None = None,
    known: Mapping[str, Mapping[str, Instrument]] = NOTHING_KNOWN,
) -> dict[str, Fetched]:
    """Return what every enabled source lists, asked side by side.

    A list that is far shorter than in `previous` is asked for again before it is believed. known:
    by source, as in fetch().
    """
    async with rest.client(proxies_of(config)) as session:

        async def one(name: str) -> Fetched:
            found = await fetch(
                session,
                VENUES[name],
                config,
                lambda trading, halts: bool(
                    shrunk(previous, name, trading_or_halted(previous, name, trading, halts))
                ),
                known.get(name, {}),
            )
            progress.fetched(name, len(found.instruments), found.error)
            return found

        return dict(
            zip(config.sources, await asyncio.gather(*map(one, config.sources)), strict=True)
        )


def _listed(
    config: Config, fetched: Mapping[str, Fetched], previous: Lists | None
) -> dict[str, dict[str, int]]:
    """Return by source how many pairs it lists, by quote currency.

    VenueDown where too few sources answered, or a list lost its pairs since `previous`.
    """
    listed = {s: f.trading(config.universe.quotes) for s, f in fetched.items() if not f.error}
    errors = {s: f.error for s, f in fetched.items()}
    refuse_too_few(config, set(listed), errors, "list their pairs")
    # halted pairs are no loss; absent ones may be
    refuse_shrunk(
        previous,
        {s: trading_or_halted(previous, s, n, fetched[s].halts) for s, n in listed.items()},
    )
    return listed


def _traded(
    previous: Lists | None, as_before: Collection[str], halted: Mapping[str, Collection[str]]
) -> dict[str, dict[str, str]]:
    """Return since when a pair of a source has not been listed as trading, by venue symbol."""
    if previous is None:
        return {}
    return {
        source: {
            row.instrument.venue_symbol: traded_at(previous, source, row)
            for row in source_list.symbols
            if row.instrument.venue_symbol in halted.get(source, ())
            or (source in as_before and row.traded)
        }
        for source, source_list in previous.sources.items()
    }


def _match(config: Config, usable: Comparable, progress: Progress) -> None:
    """Tell the pairs per direction. ConfigError where the universe leaves no pair at all."""
    pairs = direction_pairs(config, usable.kept)
    progress.matched(
        len(usable.names),
        {d.name: len(pairs[d.id]) for d in config.enabled_directions},
        usable.n_left_out,
    )
    if not any(pairs.values()):
        raise ConfigError(
            "universe: no pair is listed on both sides of any direction, expected some "
            f"(in {', '.join(config.universe.quotes)}; "
            f"include {', '.join(config.universe.include)}; "
            f"exclude {', '.join(config.universe.exclude) or 'nothing'})"
        )


async def _validate_all(
    config: Config, kept: Mapping[str, Mapping[str, Instrument]], progress: Progress
) -> dict[str, Validation]:
    async def one(source: str, rows: Mapping[str, Instrument]) -> Validation:
        def tell(done: int) -> None:
            progress.validating(source, done, len(rows))

        tell(0)
        validation = Validation(VENUES[source], config, tell)
        await validation.run([i.venue_symbol for i in rows.values()])
        return validation

    return dict(
        zip(kept, await asyncio.gather(*(one(s, rows) for s, rows in kept.items())), strict=True)
    )


def _source_list(
    source: str,
    rows: Mapping[str, Instrument],
    found: Mapping[str, Verdict],
    ids: Mapping[str, int],
    traded: Mapping[str, str],
) -> SourceList:
    return SourceList(
        source=source,
        symbols=tuple(
            Listing(
                symbol_id=ids[name],
                symbol=name,
                state=found[name].state,
                reason=found[name].reason,
                silent_runs=found[name].silent_runs,
                traded=traded.get(rows[name].venue_symbol, ""),
                instrument=rows[name],
            )
            for name in sorted(rows, key=lambda name: ids[name])
        ),
    )


def _compared(source_list: SourceList, in_use: frozenset[Leg]) -> list[str]:
    """Return the pairs that may stand in a direction; quiet ones for as long as one is open."""
    kept = {row.symbol for row in source_list.compared} | {
        row.symbol
        for row in source_list.symbols
        if row.state == "quiet" and (source_list.source, row.symbol) in in_use
    }
    return sorted(kept)


def _source_results(
    config: Config,
    fetched: Mapping[str, Fetched],
    dropped: Mapping[str, Mapping[str, int]],
    usable: Comparable,
    validations: Mapping[str, Validation],
    sources: Mapping[str, SourceList],
    failed: Mapping[str, str],
    from_lists: Mapping[str, str],
) -> dict[str, SourceResult]:
    results = {}
    for name in config.sources:
        skipped = dict(fetched[name].skipped) | dict(dropped.get(name, {}))
        if left_out := usable.left_out.get(name):
            skipped[IN_NO_DIRECTION] = left_out
        results[name] = result = SourceResult(
            skipped=skipped,
            incomplete_rows=fetched[name].incomplete,
            error=failed.get(name, ""),
            list_written=from_lists.get(name, "") if name in failed else "",
        )
        if name not in sources:
            continue
        by_state: dict[str, dict[str, str]] = {state: {} for state in get_args(State)}
        for row in sources[name].symbols:
            by_state[row.state][row.symbol] = row.reason
        result.total_pairs = len(sources[name].symbols)
        result.valid_pairs = len(by_state["valid"])
        result.quiet_pairs = by_state["quiet"]
        result.quarantined_pairs = by_state["quarantined"]
        result.invalid_pairs = by_state["invalid"]
        if name in validations:
            result.declined = validations[name].declined
            result.timeout_sec = config.discovery.batch_limit_s
            result.took_sec = round(validations[name].took_s, 1)
    return results
