"""Make workers out of config, lists and an instance. Nothing else constructs them."""

import struct
import time
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import msgspec
from spreadcore import Instance
from spreadcore.edges import RECORD, EdgeIndex
from spreadcore.engine import Engine
from spreadcore.errors import LayoutMismatch, RegionLost, RegionMissing
from spreadcore.layout import LIMITS, SECTIONS, TRACKER_COUNTERS
from spreadcore.lease import TRY_FOR_S, lease_held
from spreadcore.region import create, exists, instance_dir

from spreadscan.app.fees import edge_fees_bps
from spreadscan.clock import UtcClock, now_ns
from spreadscan.config import Capacity, Config, VenueSettings
from spreadscan.control import switches
from spreadscan.disk.archive import Archive
from spreadscan.disk.format import Simulated
from spreadscan.disk.linefile import LineFile
from spreadscan.errors import ConfigError
from spreadscan.feeds.websocket import WebSocketFeed
from spreadscan.inuse import elsewhere, held_roles, named
from spreadscan.lists import Lists
from spreadscan.reload import Reload
from spreadscan.tracker import AUDIT, Tracker
from spreadscan.types import Instrument
from spreadscan.venues import VENUES
from spreadscan.workers.source import Feed, SourceWorker

WRITABLE = {
    "feed": ("quotes", "dirty", "health", "acts"),
    "engine": ("dirty", "signals", "active", "health", "questions", "answers", "engine_stream"),
    "tracker": ("dirty", "signals", "active", "health", "tracks", "tracker_stream"),
    "audit": ("dirty", "health", "funding", "audit", "questions", "answers", "acts"),
    "single": (
        "quotes",
        "dirty",
        "signals",
        "active",
        "health",
        "funding",
        "audit",
        "questions",
        "answers",
        "acts",
        "engine_stream",
        "tracker_stream",
        "tracks",
    ),
    "supervisor": ("health", "control", "pauses"),
    "ctl": ("control", "pauses"),
    "reader": (),
}
HANDOVER_S = 6.0  # a predecessor that is ending holds its lease and its folder for up to this long
_RUN_FOR_S = 0.05  # the engine comes back to Python at least this often
_LOOK_NS = 250_000_000  # between its looks whether the instance is whole: rarer than its beats


def least_capacity(config: Config, n_ids: int, n_edges: int = 0) -> Capacity:
    """Return the room that an instance for so many symbol ids and edges must have."""
    own = config.capacity
    return Capacity(
        max(own.sources, *(i + 1 for i in config.source_ids)),
        max(own.symbols, n_ids),
        max(own.edges, n_edges),
    )


def new_capacity(config: Config, n_ids: int, n_edges: int = 0) -> Capacity:
    """Return the room that an instance for so many symbol ids and edges is made with.

    That of the config; where more are needed, doubled until an eighth is spare, as far as the
    layout goes.
    """
    least = least_capacity(config, n_ids, n_edges)
    return msgspec.structs.replace(
        least,
        symbols=_doubled(config.capacity.symbols, n_ids, LIMITS["n_symbols"]),
        edges=_doubled(config.capacity.edges, n_edges, LIMITS["n_edges"]),
    )


def _doubled(room: int, needed: int, most: int) -> int:
    if needed <= room:
        return room
    while room < needed + needed // 8:
        room *= 2
    return min(room, most)


def capacity_of(instance: Instance) -> Capacity:
    """Return the room that an instance was made with."""
    region = instance.region("control")
    return Capacity(region.n_sources, region.n_symbols, region.n_edges, region.n_tracks)


def has_room(found: Capacity, needed: Capacity) -> bool:
    """Return whether an instance of one capacity will do for another."""
    return all(getattr(found, name) >= getattr(needed, name) for name in Capacity.__struct_fields__)


def create_instance(
    config: Config, *, force: bool = False, n_ids: int = 0, n_edges: int = 0
) -> bool:
    """Create the instance; False where one with enough room is there already.

    n_ids, n_edges: that it must have room for, beside what the config says. force replaces what is
    there. ConfigError where the one there is too small; LayoutMismatch or RegionRefused where
    it is not usable at all.
    """
    if exists(config.instance) and not force:
        found, least = (
            capacity_of(Instance(config.instance)),
            least_capacity(config, n_ids, n_edges),
        )
        if not has_room(found, least):
            raise ConfigError(
                f"instance {config.instance!r}: capacity {_told(found)}, expected at least "
                f"{_told(least)} (sources, symbols, edges, tracks): "
                f"`spreadscan run{named(config.instance)}` makes it anew, and "
                f"`spreadscan init --force{named(config.instance)}`"
            )
        return False
    if force:
        refuse_live(config)
        keep_switches(config)
    capacity = new_capacity(config, n_ids, n_edges)
    create(
        config.instance,
        n_sources=capacity.sources,
        n_symbols=capacity.symbols,
        n_edges=capacity.edges,
        n_tracks=capacity.tracks,
        force=force,
    )
    keep_switches(config)
    return True


def keep_switches(config: Config) -> None:
    """Let an instance and the disk have the same switched off."""
    try:
        switches.restore(open_instance(config, "ctl"), config)
    except (RegionMissing, LayoutMismatch):
        return  # there is none, or one of another version: the disk knows


def wait_until_free(config: Config) -> None:
    """Wait for a scanner of this instance that is ending. ConfigError where it goes on."""
    place, deadline_s = instance_dir(config.instance), time.monotonic() + HANDOVER_S
    while lease_held(place, "supervisor"):
        if time.monotonic() >= deadline_s:
            refuse_live(config)
        time.sleep(0.05)


def prepare_instance(config: Config, n_ids: int, n_edges: int, say: Callable[[str], None]) -> None:
    """Have an instance with room for so many symbol ids and edges, whatever was left behind.

    One that is too small, not whole or of another version is made anew; say() is told before.
    ConfigError where it is in use.
    """
    if exists(config.instance):
        why = _damage(config)
        if not why:
            found = capacity_of(Instance(config.instance))
            least = least_capacity(config, n_ids, n_edges)
            if has_room(found, least):
                keep_switches(config)
                return
            why = (
                f"instance {config.instance!r}: capacity {_told(found)}, at least {_told(least)} "
                "needed (sources, symbols, edges, tracks)"
            )
        refuse_live(config)
        say(f"{why}: made anew with {_told(new_capacity(config, n_ids, n_edges))}")
    create_instance(config, force=True, n_ids=n_ids, n_edges=n_edges)


def refuse_unusable(config: Config) -> None:
    """RegionRefused where prepare_instance() would end so, some work later."""
    if exists(config.instance):
        _damage(config)


def _damage(config: Config) -> str:
    """Return why an instance is of no use to anybody of this version, '' where it is."""
    try:
        instance = Instance(config.instance)
        for section in SECTIONS:
            instance.region(section)
        instance.close()
    except (RegionMissing, RegionLost, LayoutMismatch) as error:
        return str(error)
    return ""


def _told(capacity: Capacity) -> str:
    return " x ".join(str(getattr(capacity, name)) for name in Capacity.__struct_fields__)


def refuse_live(config: Config) -> None:
    """ConfigError where a scanner runs in the instance, be it damaged or of another version."""
    if live := held_roles(instance_dir(config.instance)):
        raise ConfigError(
            f"instance {config.instance!r}: in use by {', '.join(live)}, expected nobody: "
            f"`spreadscan ctl stop --instance {config.instance}` first"
        )


def begin_run(instance: Instance, roles: Iterable[int] | None = None) -> None:
    """Let counts of a run begin: of all roles, or of one that starts by itself.

    Before any of them lives; in a role that the supervisor started it does nothing, the run is
    the supervisor's.
    """
    health = instance.health
    if roles is not None and instance.lease_held("supervisor"):
        return
    roles = range(health.n_roles) if roles is None else list(roles)
    tracker = health.role("tracker")
    if tracker in roles:  # one that was killed may have left it behind the ring
        health.set(tracker, TRACKER_COUNTERS.index("opened"), instance.ring.read)
    health.begin_run(roles, now_ns())


def open_instance(config: Config, role: str) -> Instance:
    """Attach with the sections that the role writes mapped for writing.

    RegionMissing names the scanners that there are; LayoutMismatch for one of another version says
    what to do with it.
    """
    name = config.instance
    if not exists(name):
        raise RegionMissing(
            f"instance {name!r}: there is none, expected a scanner: {elsewhere(name)}"
        )
    try:
        return Instance(name, WRITABLE[role])
    except LayoutMismatch as error:
        live = ", ".join(held_roles(instance_dir(name)))
        hint = f"nothing runs there, and `spreadscan run{named(name)}` makes it anew"
        if live:
            hint = f"{live} run there: use the commands of their version, or end them first"
        raise LayoutMismatch(f"{error}; {hint}") from None


def live_roles(instance: Instance) -> list[str]:
    """Return the roles that run. ConfigError where none does."""
    roles = held_roles(instance.directory)
    if not roles:
        raise ConfigError(
            f"instance {instance.name!r}: nothing is running, expected a scanner: "
            f"{elsewhere(instance.name)}"
        )
    return roles


def active_sources(config: Config, lists: Lists) -> tuple[str, ...]:
    """Return the enabled sources that the generated set has pairs for."""
    return tuple(s for s in config.sources if s in lists.sources and lists.sources[s].subscribed)


def stale_after_s(config: Config) -> dict[int, float]:
    """Return by source id the age after which a quote is not tradable, whatever is learnt of it."""
    return {
        config.catalogue.source[name].id: VENUES[name].stale_after_s(config)
        for name in config.sources
    }


def confirm_within_s(config: Config) -> dict[int, float]:
    """Return by source id for how long a confirmation holds; nothing without an audit."""
    if not config.audit.enabled:
        return {}
    own = {name: config.venues.get(name, VenueSettings()) for name in config.sources}
    return {
        config.catalogue.source[name].id: config.audit.confirm_within_s
        if venue.confirm_within_s is None
        else venue.confirm_within_s
        for name, venue in own.items()
    }


def _websocket_feed(source: str, config: Config, instance: Instance) -> Feed:
    return WebSocketFeed(VENUES[source], config, instance)


# what brings the prices of a source, by its kind in the catalogue
_FEEDS: Mapping[str, Callable[[str, Config, Instance], Feed]] = {
    "spot": _websocket_feed,
    "perpetual": _websocket_feed,
}


def make_source(
    config: Config,
    newest: Callable[[], Lists],
    name: str,
    instance: Instance,
    lease_within_s: float = TRY_FOR_S,
) -> SourceWorker:
    """Return the worker of a source, which holds its lease.

    ConfigError for a source of a kind that nobody brings prices of; LeaseHeld as SourceWorker.
    """
    source = config.catalogue.source[name]
    make = _FEEDS.get(source.kind)
    if make is None:
        raise ConfigError(
            f"{name}: a source of the kind {source.kind!r}, expected one of {', '.join(_FEEDS)}"
        )
    feed = make(name, config, instance)
    return SourceWorker(source, feed, config, instance, newest, lease_within_s)


async def run_audit(
    config: Config, newest: Callable[[], Lists], instance: Instance, stop: Callable[[], bool]
) -> None:
    """Run the audit, with its history in the data folder. The caller holds that for it."""
    # with an HTTP client of some 10 MB, which no other role needs
    from spreadscan.audit.worker import AuditWorker

    market: Simulated = "true" if config.simulated else "false"
    folder, utc = config.paths.data, UtcClock()
    rows = LineFile(folder, AUDIT, lambda *_: None, fsync=False, simulated=market)
    archive = Archive(folder, {AUDIT: rows}, lambda: utc.utc_ns(now_ns()))

    def write(day: str, row: Mapping[str, str]) -> bool:
        return rows.write(day, AUDIT.row(row).encode(), 1)

    archive.start()
    try:
        await AuditWorker(config, instance, newest, write).run(stop)
    finally:
        archive.stop()
        rows.close()


def instruments_of(config: Config, lists: Lists) -> dict[int, dict[int, Instrument]]:
    """Return what each source lists, whatever became of its proof, by source and symbol id."""
    return {
        config.catalogue.source[name].id: {row.symbol_id: row.instrument for row in source.symbols}
        for name, source in lists.sources.items()
    }


def make_tracker(config: Config, lists: Lists, instance: Instance) -> Tracker:
    """Return a tracker that has recovered what the files say is open."""
    tracker = Tracker(
        instance,
        config,
        lists.names,
        lists.edges,
        edge_fees_bps(config, lists.names),
        stale_after_s(config),
        confirm_within_s(config),
        utc=UtcClock(),
        pauses=switches.Watch(config),
    )
    tracker.recover(now_ns())
    relist(tracker, config, lists)
    return tracker


def relist(tracker: Tracker, config: Config, lists: Lists) -> None:
    """Let a tracker take lists, and say so."""
    tracker.relist(
        lists.names,
        lists.edges,
        instruments_of(config, lists),
        now_ns(),
        edge_fees_bps(config, lists.names),
    )
    tracker.instance.health.acknowledge(tracker.role, lists.generation)


def relisting(tracker: Tracker, config: Config, reload: Reload) -> Callable[[], None]:
    """Return what a tracker does at every beat: take lists that are newer than its own."""
    generation = reload.lists.generation

    def take_newer() -> None:
        nonlocal generation
        lists = reload.newest()
        if lists.generation > generation:
            relist(tracker, config, lists)
            generation = lists.generation

    return take_newer


class EdgeRule(NamedTuple):
    """What the engine holds a set of edges to, in bps: fees, and the limits on what is left.

    direction: its number, by which pauses know it.
    """

    fees_bps: float
    threshold_bps: float
    converge_bps: float
    direction: int


def make_index(
    config: Config, lists: Lists, instance: Instance
) -> tuple[EdgeIndex, list[EdgeRule]]:
    """Return the index of the edges in use of the directions that are enabled, and its rules.

    Edges of one direction, the same fees and the same conversion share a rule.
    """
    capacity = capacity_of(instance)
    index = EdgeIndex(capacity.sources, capacity.symbols, capacity.edges)
    enabled = {direction.id: direction for direction in config.enabled_directions}
    fees_bps = edge_fees_bps(config, lists.names)
    numbers: dict[tuple[int, float, tuple[str, int, int] | None], int] = {}
    pack = struct.Struct(RECORD).pack
    records = []
    for e in lists.edges:
        direction = enabled.get(e.direction)
        if direction and e.in_use and (not e.converted or config.converts(direction)):
            rule = numbers.setdefault((e.direction, fees_bps(e), e.conversion), len(numbers))
            records.append(pack(e.id, e.buy_row, e.sell_row, rule, e.buy_source, e.sell_source))
    rules = []
    for (direction_id, fees, conversion), rule in numbers.items():
        if conversion:
            index.set_conversion(rule, conversion)
        limits = config.limits_bps(enabled[direction_id])
        rules.append(EdgeRule(fees, *limits, direction_id))
    index.add_all(b"".join(records))
    index.compress()
    return index, rules


def set_rules(engine: Engine, rules: Iterable[EdgeRule]) -> None:
    """Let an engine go by the rules of its index; not beside a running turn."""
    for number, rule in enumerate(rules):
        engine.set_rule(number, *rule)


def make_engine(config: Config, lists: Lists, instance: Instance, audited: bool = True) -> Engine:
    """Return the engine of the lists' edges, as the new producer of its stream.

    The caller holds its lease. audited: False where no audit answers.
    """
    settings = config.engine
    audited = audited and config.audit.enabled
    index, rules = make_index(config, lists, instance)
    engine = Engine(
        instance.quotes,
        instance.dirty,
        instance.ring,
        instance.active,
        instance.health,
        instance.control,
        index,
        max_gross_bps=settings.max_gross_bps,
        min_notional=settings.min_notional_usdt,
        beat_limit_s=settings.beat_limit_s,
        sweep_s=settings.sweep_s,
        confirm_s=settings.confirm_ms / 1e3,
        audit=instance.audit if audited else None,
        questions=instance.questions if audited else None,
        answers=instance.answers if audited else None,
        stream=instance.engine_stream.writer(),
        pauses=instance.pauses,
    )
    set_rules(engine, rules)
    for source_id, seconds in stale_after_s(config).items():
        engine.set_stale(source_id, seconds)
    for source_id, seconds in confirm_within_s(config).items() if audited else ():
        engine.set_audit(source_id, seconds, config.audit.ask_after_s)
    engine.set_answer(config.audit.answer_within_s, config.audit.unproven == "signal")
    return engine


class EngineRunner:
    """The compiled engine in its loop; run() blocks its thread, without the GIL.

    The index of newer lists is made by the thread that loads them, so that the engine stands still
    for no longer than it takes to swap the two and to look at what is new.
    """

    def __init__(self, config: Config, reload: Reload, instance: Instance) -> None:
        self._config = config
        self._reload = reload
        self._generation = reload.lists.generation
        self._instance = instance
        self._role = instance.health.role("engine")
        self._newest: tuple[int, EdgeIndex, list[EdgeRule]] | None = None
        reload.prepare = self._prepare
        self.engine = make_engine(config, reload.lists, instance)

    def run(self, stop: Callable[[], bool]) -> None:
        """Scan everything once, then turn until stop() is true. The caller holds the lease.

        RegionLost once the instance is not whole any more, or another.
        """
        health, settings = self._instance.health, self._config.engine
        health.start(self._role, now_ns())
        health.acknowledge(self._role, self._generation)
        self.engine.scan(now_ns())
        look_ns = 0
        while not stop():
            now = now_ns()
            if now >= look_ns:
                self._instance.check()
                look_ns = now + _LOOK_NS
            health.beat(self._role, now)
            self._reload.newest()
            self._take()
            self.engine.run(_RUN_FOR_S, settings.spin_us, settings.park_ms, settings.coalesce_us)
        health.beat(self._role, now_ns(), "off")

    def _prepare(self, lists: Lists) -> None:
        self._newest = lists.generation, *make_index(self._config, lists, self._instance)

    def _take(self) -> None:
        """Between turns: compare the edges of newer lists from now on, and what is new at once."""
        if self._newest is None or self._newest[0] == self._generation:
            return
        generation, index, rules = self._newest
        set_rules(self.engine, rules)
        self.engine.replace_index(index, now_ns())
        self._generation = generation
        self._instance.health.acknowledge(self._role, generation)


def roles_of(config: Config, lists: Lists, layout: str) -> Mapping[str, tuple[int, ...]]:
    """Return the worker roles of a layout in starting order, each with its processors."""
    cpu = config.cpu
    if layout == "single":
        return {"single": cpu.engine or cpu.feeds}
    # the tracker first: its recovery ends before the engine may signal
    return {
        "tracker": cpu.tracker,
        "engine": cpu.engine,
        **({"audit": cpu.audit} if config.audit.enabled else {}),
        **dict.fromkeys(active_sources(config, lists), cpu.feeds),
    }
