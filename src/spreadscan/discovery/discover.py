"""The stages in order, with progress told, and the report for people."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import msgspec

from spreadscan.config import Config
from spreadscan.discovery.fetch import Fetched, fetch
from spreadscan.discovery.normalise import assign_ids, direction_pairs, normalise
from spreadscan.discovery.validate import Validation, verdicts
from spreadscan.discovery.write import write_set
from spreadscan.errors import BadGenerated, ConfigError, VenueDown
from spreadscan.lists import Listed, SourceList, load, read_metadata
from spreadscan.net import rest
from spreadscan.types import DIRECTIONS, SOURCE_BY_NAME, Instrument
from spreadscan.venues import VENUES


class SourceResult(msgspec.Struct, kw_only=True):
    """What was found of one source. invalid_pairs, quiet_pairs: name -> reason."""

    total_pairs: int = 0
    valid_pairs: int = 0
    quiet_pairs: dict[str, str] = {}
    invalid_pairs: dict[str, str] = {}
    skipped: dict[str, int] = {}  # REST rows left out, by reason
    declined: dict[str, int] = {}  # frames that gave nothing, by reason
    timeout_sec: float = 0.0  # the limit of a batch
    took_sec: float = 0.0
    error: str = ""


class Result(msgspec.Struct, kw_only=True):
    """What a discovery run found and wrote. directions: name -> pairs."""

    generation: int
    symbols: int
    directions: dict[str, int]
    sources: dict[str, SourceResult]
    took_s: float
    folder: str


class Progress(Protocol):
    """Told what happens; every call is optional to act on."""

    def fetched(self, source: str, pairs: int, error: str) -> None:
        """A source's list has come, or not."""

    def matched(self, symbols: int, directions: Mapping[str, int]) -> None:
        """Pairs per direction before validation."""

    def validating(self, source: str, done: int, total: int) -> None:
        """So many pairs of a source have given a valid update or were refused."""


class Silent:
    """Progress that says nothing."""

    def fetched(self, source: str, pairs: int, error: str) -> None:
        pass

    def matched(self, symbols: int, directions: Mapping[str, int]) -> None:
        pass

    def validating(self, source: str, done: int, total: int) -> None:
        pass


async def discover(
    config: Config, progress: Progress | None = None, *, fresh: bool = False
) -> Result:
    """Find pairs, prove them on the wire, write the set; return what was found.

    fresh: give ids anew in sorted order, whatever set is there. VenueDown where fewer than the
    enabled sources minus two (with one spot and one perpetual) answer: then nothing is written.
    """
    progress = progress or Silent()
    started = time.monotonic()
    previous, generation = _previous(config, fresh)
    fetched = await fetch_all(config, progress)
    _enough(
        config,
        {s for s, f in fetched.items() if not f.error},
        {s: f.error for s, f in fetched.items()},
        "list their pairs",
    )
    kept, dropped = normalise(
        {s: f.instruments for s, f in fetched.items() if not f.error}, config.universe
    )
    _match(config, kept, progress)
    # before the sockets: running out of ids must not cost the validation
    names, retired = assign_ids(set().union(*kept.values()), previous, config.capacity.symbols)
    validations = await _validate_all(config, kept, progress)
    _enough(
        config,
        {s for s, v in validations.items() if v.proven or not kept[s]},
        {s: v.error or "no valid update" for s, v in validations.items()},
        "quote",
    )
    ids = {name: i for i, name in enumerate(names) if i not in retired}
    sources = {s: _source_list(s, kept[s], validations[s], ids) for s in kept}
    final = direction_pairs(
        config, {s: [row.symbol for row in listed.subscribed] for s, listed in sources.items()}
    )
    result = Result(
        generation=generation + 1,
        symbols=len(ids),
        directions={d.name: len(final[d.id]) for d in DIRECTIONS if d.id in final},
        sources={
            s: _source_result(
                config, fetched[s], dropped.get(s, {}), validations.get(s), sources.get(s)
            )
            for s in config.sources
        },
        took_s=time.monotonic() - started,
        folder=config.paths.generated,
    )
    write_set(
        config.paths.generated,
        generation=result.generation,
        names=names,
        retired=retired,
        pairs={d: [ids[name] for name in pairs] for d, pairs in final.items()},
        sources=sources,
        report=report_text(result),
        unix_ns=time.time_ns(),
    )
    return result


def _previous(config: Config, fresh: bool) -> tuple[tuple[str, ...], int]:
    """Return names by id and the generation of the set that is there; none: nothing yet."""
    folder = Path(config.paths.generated)
    try:
        lists = load(folder)
        return () if fresh else lists.names, lists.generation
    except BadGenerated as error:
        if not (folder / "metadata.json").exists():
            return (), 0
        if not fresh:
            raise BadGenerated(
                f"{error}; ids cannot be kept: mend it, or give ids anew with `discover --fresh`"
            ) from None
    with suppress(BadGenerated):
        return (), read_metadata(folder).generation
    return (), 0


async def fetch_all(config: Config, progress: Progress) -> dict[str, Fetched]:
    """Return what every enabled source lists, asked side by side."""
    async with rest.client() as session:

        async def one(name: str) -> Fetched:
            found = await fetch(session, VENUES[name], config)
            progress.fetched(name, len(found.instruments), found.error)
            return found

        return dict(
            zip(config.sources, await asyncio.gather(*map(one, config.sources)), strict=True)
        )


def _match(
    config: Config, kept: Mapping[str, Mapping[str, Instrument]], progress: Progress
) -> None:
    """Tell the pairs per direction. ConfigError where the universe leaves no pair at all."""
    pairs = direction_pairs(config, kept)
    progress.matched(
        len(set().union(*kept.values())),
        {d.name: len(pairs[d.id]) for d in DIRECTIONS if d.id in pairs},
    )
    if not any(pairs.values()):
        raise ConfigError(
            "universe: no pair is listed on both sides of any direction, expected some "
            f"(include {', '.join(config.universe.include)}; "
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


def _enough(config: Config, good: set[str], errors: Mapping[str, str], what: str) -> None:
    """Hold the rule: enabled sources minus two, one spot and one perpetual among them."""
    need = max(2, len(config.sources) - 2)
    markets = {SOURCE_BY_NAME[s].market for s in good}
    if len(good) >= min(need, len(config.sources)) and len(markets) == 2:
        return
    bad = "; ".join(f"{s}: {errors[s]}" for s in errors if s not in good and errors[s])
    raise VenueDown(
        f"discovery: {len(good)} of {len(config.sources)} sources {what}, expected at least "
        f"{need} with a spot and a perpetual one; nothing was written ({bad or 'no reason known'})"
    )


def _source_list(
    source: str, rows: Mapping[str, Instrument], validation: Validation, ids: Mapping[str, int]
) -> SourceList:
    found = verdicts(validation, {name: i.venue_symbol for name, i in rows.items()})
    return SourceList(
        source=source,
        symbols=tuple(
            Listed(
                symbol_id=ids[name],
                symbol=name,
                state=found[name][0],
                reason=found[name][1],
                instrument=rows[name],
            )
            for name in sorted(rows, key=lambda name: ids[name])
        ),
    )


def _source_result(
    config: Config,
    fetched: Fetched,
    dropped: Mapping[str, int],
    validation: Validation | None,
    listed: SourceList | None,
) -> SourceResult:
    if validation is None or listed is None:
        return SourceResult(error=fetched.error, skipped=dict(fetched.skipped))
    by_state: dict[str, dict[str, str]] = {"valid": {}, "quiet": {}, "invalid": {}}
    for row in listed.symbols:
        by_state[row.state][row.symbol] = row.reason
    return SourceResult(
        total_pairs=len(listed.symbols),
        valid_pairs=len(by_state["valid"]),
        quiet_pairs=by_state["quiet"],
        invalid_pairs=by_state["invalid"],
        skipped=dict(fetched.skipped) | dict(dropped),
        declined=validation.declined,
        timeout_sec=config.discovery.batch_limit_s,
        took_sec=round(validation.took_s, 1),
        error="" if validation.proven else validation.error,
    )


def report_text(result: Result) -> str:
    """Return validation_report.txt: totals per source, then every pair that is not valid."""
    lines = [
        f"generation {result.generation}, {result.symbols} pairs, {result.took_s:.1f} s",
        "",
        "source            total  valid  quiet  invalid  timeout_sec  took_sec",
    ]
    for name, source in result.sources.items():
        lines.append(
            f"{name:<16} {source.total_pairs:>6} {source.valid_pairs:>6} "
            f"{len(source.quiet_pairs):>6} {len(source.invalid_pairs):>8} "
            f"{source.timeout_sec:>12g} {source.took_sec:>9g}  {source.error}".rstrip()
        )
    lines += ["", "direction         pairs"]
    lines += [f"{name:<16} {pairs:>6}" for name, pairs in result.directions.items()]
    for title, field in (("invalid", "invalid_pairs"), ("quiet", "quiet_pairs")):
        lines += ["", f"{title} pairs"]
        for name, source in result.sources.items():
            rows: dict[str, str] = getattr(source, field)
            lines += [f"{name:<16} {pair:<20} {reason}" for pair, reason in sorted(rows.items())]
    lines += ["", "rows left out of the lists"]
    for name, source in result.sources.items():
        lines += [f"{name:<16} {why:<20} {n}" for why, n in sorted(source.skipped.items())]
    return "\n".join(lines) + "\n"
