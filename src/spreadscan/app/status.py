"""What a running instance says of itself, read from shared memory and /proc; writes nothing."""

import math
import os
import statistics
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from spreadcore import Instance
from spreadcore.funding import FundingRates
from spreadcore.layout import DECLINED, FALLBACK
from spreadcore.watch import PairWatch

from spreadscan.app import build, truth
from spreadscan.app.fees import edge_fees_bps
from spreadscan.app.healthy import judge, role_state
from spreadscan.catalogue import Direction
from spreadscan.clock import UtcClock, iso_utc, now_ns
from spreadscan.config import Config
from spreadscan.control.switches import killed, on_disk
from spreadscan.discovery import outcome
from spreadscan.errors import BadGenerated
from spreadscan.inuse import health_slot, listed_in_use, lost_sources
from spreadscan.lists import Edge, read_metadata
from spreadscan.net.bans import bans_of, host_of
from spreadscan.venues import VENUES

_ROLES = ("supervisor", "engine", "tracker")
_SINCE = ("run", "minute", "creation")
_TRACKS = ("converged", "expired", "lost", "delisted", "not_trading", "unproven", "halted", "open")
_ENGINE = (
    "dirty", "pairs", "untradable", "thin", "unconfirmed", "busy", "sleeps", "timeouts_with_work",
    "asked", "unproven", "contradicted",
)  # fmt: skip
_FILES = ("rows", "torn_lines", "write_errors", "sync_errors", "untrusted_rows")


def status(instance: Instance, config: Config) -> dict[str, Any]:
    """Return sources, signals, tracks and latencies; the keys that `demo --json` prints.

    Counts and latencies are of this run, but for those under `last_minute` and `since_creation`;
    each of the three says since when. What is no count (sockets, queued, open) is as of now; so is
    audit (truth.truth()), whose counts by source are under `since_creation`. tracks_seen: so many
    of the open tracks can be seen at once. health: what healthy.judge() makes of all of it.
    """
    now = now_ns()
    ids = {name: config.catalogue.source[name].id for name in config.sources}
    barred = barred_sources(config)
    watch = pair_watch(instance, config, now)
    levels = {n: _source_levels(instance, i, watch, now) for n, i in ids.items()}
    run, minute, creation = (_counts(instance, ids, since, now) for since in _SINCE)
    audited = truth.truth(instance, config, now)
    if audited:
        creation["audit"] = truth.counts(instance, config)
    listed = listed_in_use(instance)
    sources = {
        name: {"listed": listed.get(name)} | levels[name] | counts | {"barred": barred.get(name)}
        for name, counts in run["sources"].items()
    }
    directions = _directions(instance, config, now)
    found = {
        "instance": config.instance,
        **run,
        "sources": sources,
        "last_minute": minute,
        "since_creation": creation,
        "audit": audited,
        "tracks_seen": instance.tracks.capacity,
        "roles": {
            role: _role(
                instance, config, role, now, sources.get(role, {}), lost=role in directions["lost"]
            )
            for role in roles_of(config)
        },
        "generation": instance.control.reload_generation,
        "lists": lists_status(config),
        "paused": instance.control.pause,
        "pauses": msgspec.to_builtins(on_disk(config).pauses),
        "killed": msgspec.to_builtins(killed(instance)),
        "directions": directions,
    }
    health = judge(found)
    return {
        **found,
        "health": health._asdict() | {"findings": [f._asdict() for f in health.findings]},
    }


def roles_of(config: Config) -> tuple[str, ...]:
    """Return the roles that a scanner of these settings has."""
    audit = ("audit",) if config.audit.enabled else ()
    return (*_ROLES, *audit, *config.sources)


def _counts(instance: Instance, ids: Mapping[str, int], since: str, now: int) -> dict[str, Any]:
    """Return what was counted since the run, the minute or the instance began."""
    health, ring = instance.health, instance.ring
    engine_role, tracker_role = health.role("engine"), health.role("tracker")
    engine = health.counters(engine_role, since, now)
    tracker = health.counters(tracker_role, since, now)
    # by the ring itself, which is exact whatever died when
    tracked = ring.read - health.counters(tracker_role)["opened"] + tracker["opened"]
    queued = ring.queued
    began_ns = min(health.since_ns(role, since, now) for role in (engine_role, tracker_role))

    def quantiles(roles: Sequence[int]) -> dict[str, int | None]:
        p50, p99 = health.quantiles(roles, (0.5, 0.99), since, now)
        return {"p50": p50, "p99": p99}

    return {
        "since": iso_utc(UtcClock().utc_ns(began_ns)),
        "seconds": round((now - began_ns) / 1e9, 1),
        "sources": {
            name: _source_counts(health.counters(source, since, now))
            for name, source in ids.items()
        },
        "signals": {
            "produced": tracked + queued,
            "tracked": tracked,
            "queued": queued,
            "suspect": engine["suspect"],
            "frozen": engine["frozen"],
        },
        "tracks": {"opened": tracked} | {key: tracker[key] for key in _TRACKS},
        "engine": {key: engine[key] for key in _ENGINE},
        "files": {key: tracker[key] for key in _FILES},
        "latency_ns": {
            "receive_slot": quantiles(list(ids.values())),
            "receive_signal": quantiles([engine_role]),
        },
    }


def lists_status(config: Config) -> dict[str, Any]:
    """Return when the generated set was written, and what discovery went without.

    failed: sources without an answer, by why and of when the list is that their pairs are from;
    refused: why the last discovery wrote nothing, None where it did.
    """
    try:
        metadata = read_metadata(config.paths.generated)
        written, failed = metadata.written, metadata.failed
    except BadGenerated:
        written, failed = None, {}
    ended = outcome.last(config)
    newer = ended is not None and (written is None or ended.ended >= written)
    return {
        "written": written,
        "failed": {s: msgspec.to_builtins(failed[s]) for s in config.sources if s in failed},
        "refused": ended.refused or None if ended and newer else None,
    }


def _directions(instance: Instance, config: Config, now: int) -> dict[str, Any]:
    """Return how many directions are enabled, and which are off since a source is lost.

    lost: the sources, since when (UTC) and why; as the tracker sees it, nothing where none runs.
    """
    lost = lost_sources(instance) if instance.lease_held("tracker") else []
    enabled = config.enabled_directions
    left = directions_left(enabled, {row.source for row in lost})
    utc = UtcClock()
    return {
        "enabled": len(enabled),
        "left": len(left),
        "off": [direction.name for direction in enabled if direction not in left],
        "lost": {
            row.source: {
                "since": iso_utc(utc.utc_ns(row.since_ns)),
                "seconds": round((now - row.since_ns) / 1e9, 1),
                "why": row.why,
            }
            for row in lost
        },
    }


def directions_left(directions: Iterable[Direction], lost: Collection[str]) -> list[Direction]:
    """Return the directions neither of whose sources is lost."""
    return [d for d in directions if d.buy.name not in lost and d.sell.name not in lost]


def barred_sources(config: Config) -> dict[str, dict[str, str | None]]:
    """Return by source why its sockets' hosts are left alone, all of them; the one free first.

    until: UTC, None for a region block.
    """
    bans = {ban.host: ban for ban in bans_of(config).all()}
    barred: dict[str, dict[str, str | None]] = {}
    for name in config.sources:
        hosts = [host_of(url) for url in VENUES[name].ws_urls(config)]
        if not set(hosts) <= set(bans):
            continue
        ban = min((bans[host] for host in hosts), key=lambda ban: ban.left_s(time.time()))
        until = f"{ban.until:%Y-%m-%dT%H:%M:%SZ}" if ban.until else None
        barred[name] = {"until": until, "reason": ban.reason}
    return barred


def _source_levels(
    instance: Instance, source_id: int, watch: PairWatch, now: int
) -> dict[str, Any]:
    """Return a source's sockets, its pairs and their ages, whether it is recorded; as of now.

    pairs: those with a quote that is tradable now, of whose ages age_ms is the median and oldest_ms
    the highest; stale: those with one that is not, for its age or because the feed does not beat.
    """
    counters = instance.health.counters(source_id)
    quoted, _ = instance.quotes.survey(source_id)
    ages_ns = watch.ages(source_id, now)
    return {
        "sockets": counters["sockets"],
        "age_ms": round(statistics.median(ages_ns) / 1e6, 1) if ages_ns else None,
        "oldest_ms": round(max(ages_ns) / 1e6, 1) if ages_ns else None,
        "pairs": len(ages_ns),
        "stale": max(0, quoted - len(ages_ns)),
        "recording": bool(counters["recording"]),
    }


def _source_counts(counters: Mapping[str, int]) -> dict[str, Any]:
    """Return a source's quotes, and its frames by what became of them.

    declined: refused by a decoder or the gate. fallback: read by the reference decoder, since the
    compiled one leaves it control messages and what is rare. unrecorded: frames that a recording
    had to go without. odd_times: quotes whose venue time was no Unix ms. found_wrong: quotes that
    were emptied since the audit proved them wrong; halts: pairs found not to trade. misbehaved:
    sockets that we cut since the venue sent more than it may, or what it may not.
    """
    declined = {reason: counters[f"declined_{reason}"] for reason in DECLINED}
    fallback = {reason: counters[f"fallback_{reason}"] for reason in FALLBACK}
    return {
        "quotes": counters["quotes"],
        "declined": sum(declined.values()),
        "declined_by": {reason: n for reason, n in declined.items() if n},
        "fallback": sum(fallback.values()),
        "fallback_by": {reason: n for reason, n in fallback.items() if n},
        "reconnects": counters["reconnects"],
        "misbehaved": counters["misbehaved"],
        "silent_symbols": counters["silent_symbols"],
        "unanswered": counters["unanswered"],
        "id_restarts": counters["id_restarts"],
        "odd_times": counters["odd_times"],
        "found_wrong": counters["found_wrong"],
        "halts": counters["halts"],
        "recorded": counters["recorded"],
        "unrecorded": counters["unrecorded"],
    }


def pair_watch(instance: Instance, config: Config, now: int) -> PairWatch:
    """Return what judges quotes as the engine does, by the beats as of now."""
    watch = PairWatch(
        instance.quotes,
        instance.health,
        beat_limit_s=config.engine.beat_limit_s,
        stale_after_s=build.stale_after_s(config),
        audit=instance.audit if config.audit.enabled else None,
        confirm_within_s=build.confirm_within_s(config),
    )
    watch.refresh(now)
    return watch


def _named(names: Sequence[str], edge: Edge) -> str:
    """Return the pair of an edge; where a leg is converted, also the currency that it sells for."""
    buy, sell = (names[r] if r < len(names) else str(r) for r in (edge.buy_row, edge.sell_row))
    return f"{buy}/{sell.rpartition('-')[2]}" if edge.converted else buy


def late_roles(
    instance: Instance, config: Config, roles: Iterable[str], generation: int
) -> dict[str, int]:
    """Return those that have not acknowledged a generated set, with the one that they have."""
    acked = {
        role: instance.health.info(health_slot(instance.health, config, role))["acked_generation"]
        for role in roles
    }
    return {role: found for role, found in acked.items() if found < generation}


def _role(
    instance: Instance,
    config: Config,
    role: str,
    now: int,
    levels: Mapping[str, Any],
    *,
    lost: bool,
) -> dict[str, Any]:
    """Return what is known of a role; levels: of a source, its pairs, and how many are listed.

    lost: it has been there, or has had its time to come.
    """
    info = instance.health.info(health_slot(instance.health, config, role))
    alive = instance.lease_held(role)
    beat_age_s = (now - info["beat_ns"]) / 1e9
    lived_s = math.inf if lost else (now - info["start_ns"]) / 1e9
    state = role_state(
        info["state"],
        alive=alive,
        beat_age_s=beat_age_s,
        lived_s=lived_s,
        pairs=levels.get("pairs"),
        listed=levels.get("listed"),
    )
    return {
        "alive": alive,
        "pid": info["pid"],
        "state": state,
        "beat_age_ms": round(1e3 * beat_age_s, 1) if info["beat_ns"] else None,
        "restarts": info["restarts"],
        "generation": info["acked_generation"],
    }


def live_spreads(
    instance: Instance, config: Config, names: Sequence[str], edges: Mapping[int, Edge]
) -> list[dict[str, Any]]:
    """Return the edges being tracked now, best net first; notional: at the touch, in the quote
    currency of the pair.

    names, edges: by number, of the lists in use.

    What is open is the tracker's word, prices are those of this moment.

    proven: False where the signal left although a leg's venue did not answer; best_spread() says
    which of them counts as the best.
    funding_bps: what the sell leg receives next less what the buy leg pays, None: not known.
    quote_age_ms: of the older leg's quote. Where a leg has none that is None, edges and size NaN.
    """
    now = now_ns()
    watch = pair_watch(instance, config, now)
    fees_bps = edge_fees_bps(config, names)
    enabled = {direction.id for direction in config.enabled_directions}
    funding = FundingRates(instance.region("funding"), config.catalogue.perpetuals)
    rows: list[dict[str, Any]] = []
    for track in instance.tracks.all():
        edge = edges.get(track.edge)
        if track.state != "open" or edge is None or edge.direction not in enabled:
            continue
        direction = config.catalogue.direction_at[edge.direction]
        pair = watch.read(*edge.buy, *edge.sell, now, edge.conversion)
        if pair is None:
            continue
        symbol_id = edge.buy_row
        funding_bps = funding.edge_bps(*edge.buy, *edge.sell, now)
        ages_ns = pair.buy_age_ns, pair.sell_age_ns  # -1: empty
        sizes = pair.buy_ask * pair.buy_ask_qty, pair.sell_bid * pair.sell_bid_qty
        whole = min(ages_ns) >= 0
        rows.append(
            {
                "direction": direction.name,
                "direction_id": direction.id,
                "edge_id": edge.id,
                "symbol_id": symbol_id,
                "symbol": _named(names, edge),
                "converted": edge.converted,
                "gross_bps": pair.gross_bps,
                "net_bps": pair.gross_bps - fees_bps(edge),
                "funding_bps": None if math.isnan(funding_bps) else funding_bps,
                "notional": min(sizes) if whole else math.nan,
                "quote_age_ms": max(ages_ns) / 1e6 if whole else None,
                "tradable": pair.tradable,
                "age_s": (now - track.opened_ns) / 1e9,
                "proven": not track.unproven,
            }
        )
    # NaN (a side is empty just now) sorts last
    rows.sort(key=lambda r: -r["net_bps"] if r["net_bps"] == r["net_bps"] else float("inf"))
    return rows


def best_spread(spreads: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the first of live_spreads() that could be traded on and is proven, None for none."""
    return next((row for row in spreads if row["tradable"] and row["proven"]), None)


class Usage:
    """Memory and CPU of an instance's processes, from /proc. role: of that one alone."""

    def __init__(self, instance: Instance, role: str = "") -> None:
        self._instance = instance
        self._roles = [instance.health.role(role)] if role else range(instance.health.n_roles)
        self._since_ns = now_ns()
        self._ticks: dict[int, int] = {}
        self._total = 0
        self.sample()
        self._since_ns, self._total = now_ns(), 0

    def pids(self) -> set[int]:
        """Return the pids of live roles, as their health slots say."""
        health = self._instance.health
        pids = {health.info(role)["pid"] for role in self._roles} - {0}
        return {pid for pid in pids if os.path.exists(f"/proc/{pid}/stat")}

    def sample(self) -> None:
        """Add the CPU time used since the last call; call it while the processes live."""
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            ticks = int(fields[11]) + int(fields[12])
            # a process first seen after the start is counted from its own beginning
            self._total += ticks - self._ticks.get(pid, 0)
            self._ticks[pid] = ticks

    def cpu_pct(self) -> float:
        """Return CPU since construction, in percent of one core."""
        self.sample()
        seconds = (now_ns() - self._since_ns) / 1e9
        return 100.0 * self._total / os.sysconf("SC_CLK_TCK") / max(seconds, 1e-9)

    def pss_mb(self) -> float:
        """Return the proportional set size of all processes together, in MB."""
        total_kb = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    rows = [line for line in file if line.startswith("Pss:")]
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
            total_kb += sum(int(row.split()[1]) for row in rows)
        return total_kb / 1024
