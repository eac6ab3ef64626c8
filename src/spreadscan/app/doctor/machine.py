"""What the machine and the instance have: bans, limits, room, leases, layout, what the audit says.

Writes nothing.
"""

import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path

from msgspec import to_builtins
from msgspec.structs import astuple
from spreadcore import Instance
from spreadcore.errors import CoreError, RegionMissing
from spreadcore.layout import VERSION
from spreadcore.region import ROOT, create, exists, instance_dir

from spreadscan.app import build, truth
from spreadscan.app.doctor.check import Check
from spreadscan.app.healthy import LATE_S
from spreadscan.app.status import roles_of, status
from spreadscan.clock import now_ns
from spreadscan.config import Config
from spreadscan.control.switches import killed, on_disk
from spreadscan.discovery import outcome
from spreadscan.discovery.origin import origin_of
from spreadscan.errors import BadGenerated, ConfigError
from spreadscan.feeds.shards import shards
from spreadscan.inuse import health_slot, instances, named
from spreadscan.lists import SourceList, differences, load
from spreadscan.net.bans import bans_of
from spreadscan.venues import VENUES

_OTHER_FILES = 128  # libraries, logs, shared memory, REST

MachineCheck = Callable[[Config], Check]


def bans(config: Config) -> Check:
    found = bans_of(config).all()
    told = [
        f"{ban.host} until {ban.until:%Y-%m-%dT%H:%M:%SZ}" if ban.until else f"{ban.host} for good"
        for ban in found
    ]
    return _check(
        "bans",
        not found,
        f"to be left alone: {', '.join(told)}" if told else "none",
        "; ".join(b.reason if b.until is None else "wait: nothing is sent before" for b in found),
    )


def open_files(config: Config) -> Check:
    """Hold the soft limit against the sockets of a feed, twice: successors come before the end."""
    try:
        lists = load(config.paths.generated)
        counts = [
            len(shards(_symbols(lists.sources[name]), VENUES[name].spec.topics_per_socket))
            for name in config.sources
            if name in lists.sources
        ]
        sockets = sum(counts)  # of --layout single, which has them all in one process
    except BadGenerated:
        sockets = 64  # of about 680 pairs on eight sources
    need = 2 * sockets + _OTHER_FILES
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = limit == resource.RLIM_INFINITY or limit >= need
    return _check("open files", enough, f"{limit} of {need} needed", f"ulimit -n {need}")


def shared_memory(config: Config) -> Check:
    if exists(config.instance):
        return _check("shared memory", True, "the instance has its own")
    need, free = _instance_bytes(config), _free_bytes(Path(ROOT))
    return _check(
        "shared memory",
        free >= need,
        f"{free / 1e6:,.0f} MB free in {ROOT}, {need / 1e6:,.1f} MB needed",
        f"make room in {ROOT}, or lower capacity.symbols",
    )


def disk(config: Config) -> Check:
    folder = Path(config.paths.data).absolute()
    there = next(p for p in (folder, *folder.parents) if p.is_dir())
    free_mb, reserve_mb = _free_bytes(there) / 1e6, config.tracker.reserve_mb
    return _check(
        "disk",
        free_mb >= reserve_mb and os.access(there, os.W_OK),
        f"{free_mb:,.0f} MB free for {folder}, {reserve_mb:,.0f} MB kept in reserve"
        + ("" if os.access(there, os.W_OK) else f"; {there} cannot be written"),
        "make room, lower tracker.keep_gb, or set paths.data to another disk: no new spread is "
        "followed below tracker.reserve_mb",
    )


def layout(config: Config) -> Check:
    """Attach to the instance as a reader would, and hold its room against what is needed."""
    name = config.instance
    try:
        instance = Instance(name)
    except RegionMissing:
        others = [n for n in instances() if n != name]
        return _check(
            "layout",
            True,
            f"no instance {name!r} yet, `run` makes it"
            + (f"; there are: {', '.join(others)}" if others else ""),
            subject="instance",
        )
    except CoreError as error:
        advice = f"`spreadscan init --force --instance {name}` replaces it"
        return _check("layout", False, str(error), advice, subject="instance")
    found, needed = build.capacity_of(instance), build.least_capacity(config, *_numbers(config))
    return _check(
        "layout",
        build.has_room(found, needed),
        f"version {VERSION}, capacity {astuple(found)}, at least {astuple(needed)} needed",
        f"stop the scanner: the next `spreadscan run{named(name)}` makes it anew with room enough",
        subject="instance",
    )


def health(config: Config) -> Check:
    """Tell the state of a scanner that runs, as `ctl status` does, with all that is wrong."""
    instance = _instance(config)
    found = status(instance, config)["health"] if instance else None
    if found is None or found["state"] == "off":
        return _check("health", True, "nobody runs", subject="instance")
    words = [finding["words"] for finding in found["findings"]]
    return _check(
        "health",
        found["exit_code"] == 0,
        ": ".join(filter(None, [found["state"], "; ".join(words)])),
        "`spreadscan ctl status` shows each role; docs/operations.md, States, says what each means",
        subject="instance",
    )


def leases(config: Config) -> Check:
    """Tell holders that stopped beating, and who ended without a word while others run."""
    try:
        instance = Instance(config.instance)
        health = instance.health
    except CoreError:
        return _check("leases", True, "nobody runs", subject="instance")
    held, wrong, now = [], [], now_ns()
    supervised = instance.lease_held("supervisor")
    for role in roles_of(config):
        info = health.info(health_slot(health, config, role))
        since_s = (now - info["beat_ns"]) / 1e9
        if not instance.lease_held(role):
            if supervised and info["state"] != "off":
                wrong.append(f"{role} ended without a word {since_s:.0f} s ago")
            continue
        held.append(role)
        if since_s > LATE_S:
            wrong.append(f"{role} (pid {info['pid']}) holds it, silent for {since_s:.0f} s")
    return _check(
        "leases",
        not wrong,
        "; ".join(wrong) or f"held: {', '.join(held) or 'none, nobody runs'}",
        f"see {config.paths.logs}/<role>.log; its supervisor kills what is silent for 10 s and "
        f"starts it anew; what it gave up needs `ctl stop{named(config.instance)}` and `run`",
        subject="instance",
    )


def audit(config: Config) -> Check:
    """Tell an audit that does not run beside the feeds that it should confirm."""
    if not config.audit.enabled:
        return _check("audit", True, "not enabled", subject="instance")
    instance = _instance(config)
    scans = instance is not None and instance.lease_held("engine")
    alive = instance is not None and instance.lease_held("audit")
    return _check(
        "audit",
        alive or not scans,
        "runs" if alive else "does not run" if scans else "nobody runs",
        f"see {config.paths.logs}/audit.log; `ctl stop{named(config.instance)}` and `run` start it "
        "again. Until then the "
        "silence of a pair alone tells whether its quote is old, and funding is not known",
        subject="instance",
    )


def confirmations(config: Config) -> Check:
    """Tell sources whose rounds fail, lag, or contradict too much to be believed."""
    advice = (
        f"see {config.paths.logs}/audit.log for the reason, and `doctor --live`, which asks for "
        "the same; nothing of such a source is confirmed or emptied meanwhile"
    )
    return _of_audit("confirmations", "confirms_nothing", config, advice)


def agreement(config: Config) -> Check:
    """Tell sources of whose quotes too many differ from what their venue shows."""
    advice = (
        "look at one of its pairs at the venue: if our quotes are old, restart the scanner; else "
        "what its REST API shows has changed: use a newer release"
    )
    return _of_audit("agreement", "disagrees", config, advice)


def _of_audit(name: str, kind: str, config: Config, advice: str) -> Check:
    instance, now = _instance(config), now_ns()
    if instance is None or not (config.audit.enabled and instance.lease_held("audit")):
        return _check(name, True, "no audit runs", subject="instance")
    found = [t.words for t in truth.troubles(instance, config, now) if t.kind == kind]
    said = truth.truth(instance, config, now)
    assert said
    together = said["all"]
    words = f"agreed {together['agreed']:,} of {together['audited']:,}"
    if together["left_out"]:
        words += f", {together['left_out']} of {len(said['sources'])} sources left out"
    return _check(name, not found, "; ".join(found) or words, advice, subject="instance")


def clocks(config: Config) -> Check:
    """Tell that our clock and a venue's differ, as the audit measures it all the time."""
    instance, now = _instance(config), now_ns()
    if instance is None or not (config.audit.enabled and instance.lease_held("audit")):
        return _check("clocks", True, "no audit runs", subject="instance")
    found = [t.words for t in truth.troubles(instance, config, now) if t.kind == "clock"]
    said = truth.truth(instance, config, now)
    assert said
    known = [s for s in said["sources"].values() if s["clock_ahead_ms"] is not None]
    words = f"asked {len(known)} of {len(said['sources'])} venues"
    if known:
        words += f", the furthest differs by {said['all']['clock_ahead_ms']:+,.0f} ms"
    advice = "if all venues say so, set this machine's clock by NTP (timedatectl set-ntp true)"
    return _check("clocks", not found, "; ".join(found) or words, advice, subject="instance")


def announcements(config: Config) -> Check:
    """Tell maintenance that is under way; what is announced is no finding yet."""
    instance = _instance(config)
    announced = truth.maintenance(instance) if instance else []
    lines = truth.maintenance_lines([to_builtins(row) for row in announced])
    return _check(
        "announcements",
        not any(row.state == "ongoing" for row in announced),
        "; ".join(lines) or "no maintenance that is known",
        "wait for its end, or take the source out of `sources`",
        subject="instance",
    )


def _instance(config: Config) -> Instance | None:
    """Return the instance, None where there is none to be read; layout() tells why."""
    try:
        return Instance(config.instance)
    except CoreError:
        return None


def generated(config: Config) -> Check:
    if not Path(config.paths.generated, "metadata.json").exists():
        return _check("generated", True, "none yet, `run` discovers first")
    try:
        lists = load(config.paths.generated)
    except BadGenerated as error:
        return _check("generated", False, str(error), "`spreadscan discover` writes it anew")
    failed = [f"{s} failed: {lists.failed[s]}" for s in config.sources if s in lists.failed]
    missing = [s for s in config.sources if s not in lists.sources and s not in lists.failed]
    troubles = [*failed, *([f"without {', '.join(missing)}"] if missing else [])]
    try:
        found = differences(lists.origin, origin_of(config))
    except ConfigError as error:
        return _check("generated", False, str(error), "correct it: discovery ends with this")
    if foreign := [difference.text for difference in found if difference.foreign]:
        troubles.append(f"of another market ({'; '.join(foreign)}): `run` discovers anew")
    ended = outcome.last(config)
    if ended and ended.refused and ended.ended >= lists.written:
        troubles.append(f"the last discovery was refused: {ended.refused}")
    return _check(
        "generated",
        not troubles,
        "; ".join([f"generation {lists.generation}, {len(lists.names)} ids", *troubles]),
        "`spreadscan discover` writes it anew"
        if foreign
        else "a running scanner asks again by itself; `spreadscan discover` does so now",
    )


def switches(config: Config) -> Check:
    """Tell what an operator switched off: a scanner that finds nothing may be told to."""
    instance = _instance(config)
    try:
        off = on_disk(config)
    except ConfigError as error:
        advice = "no scanner starts until that is mended"
        return _check("switches", False, str(error), advice, subject="instance")
    kill = (killed(instance) if instance else None) or off.kill
    found = [str(each) for each in (kill, *off.pauses) if each]
    after = " --after-kill WHY" if kill else ""
    return _check(
        "switches",
        not found,
        "; ".join(found) or "nothing is switched off",
        f"`spreadscan ctl resume{after} --instance {config.instance}` lets signals leave",
        subject="instance",
    )


CHECKS: tuple[MachineCheck, ...] = (
    bans, open_files, shared_memory, disk, generated, layout, health, leases, audit,
    confirmations, agreement, clocks, announcements, switches,
)  # fmt: skip


def _check(name: str, ok: bool, found: str, advice: str = "", *, subject: str = "machine") -> Check:
    return Check(subject=subject, name=name, ok=ok, found=found, advice="" if ok else advice)


def _symbols(source_list: SourceList) -> list[str]:
    return [row.instrument.venue_symbol for row in source_list.subscribed]


def _free_bytes(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def _numbers(config: Config) -> tuple[int, int]:
    """Return how many symbol ids and edges the set has, 0 where there is none to be read."""
    try:
        lists = load(config.paths.generated)
    except BadGenerated:
        return 0, 0
    return len(lists.names), lists.n_edge_ids


def _instance_bytes(config: Config) -> int:
    """Return what an instance that `run` makes takes: one is made, elsewhere."""
    capacity = build.new_capacity(config, *_numbers(config))
    with tempfile.TemporaryDirectory() as root:
        create(
            config.instance,
            n_sources=capacity.sources,
            n_symbols=capacity.symbols,
            n_edges=capacity.edges,
            n_tracks=capacity.tracks,
            root=root,
        )
        return sum(f.stat().st_size for f in Path(instance_dir(config.instance, root)).iterdir())
