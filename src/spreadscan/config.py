"""Settings: one frozen tree, read from TOML, environment and command line.

Order, later wins: defaults below (defaults/default.toml says the same, with every unit) < files
given < SPREAD_<SECTION>_<KEY> in the environment < command-line flags. Unknown keys are refused
with the nearest name. Every value remembers where it came from (`spreadscan config show`).
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import blake2b
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, get_args, get_origin
from urllib.parse import urlsplit

import msgspec

from spreadscan.catalogue import Catalogue, Direction, built_in
from spreadscan.credentials import masked
from spreadscan.defaults import IDENTITY
from spreadscan.environment import SETTINGS_PREFIX
from spreadscan.errors import ConfigError
from spreadscan.types import QUOTES

PROXY_SCHEMES = ("http", "socks5", "socks5h")
DIRECT = "direct"  # in place of a proxy
BY_DEFAULT = tuple(source.name for source in built_in().sources if source.default)


class Universe(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which pairs: shell patterns on the shared name, e.g. "BTC-*". exclude wins."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    quotes: tuple[str, ...] = ("USDT",)  # quote currencies; also "USDC"


class Capacity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Least room in shared memory; fixed when the instance is created."""

    sources: int = 8  # up to 64
    symbols: int = 4096  # up to 65,536; `run` makes more where the set needs it
    edges: int = 16_384  # up to 1,048,576; likewise
    tracks: int = 4096  # that others see at once; more are followed, too; up to 32768


class VenueSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may differ from the venue's own table; absent = as in the table."""

    ws_url: str | tuple[str, ...] | None = None  # one, or several in order of preference
    rest_url: str | tuple[str, ...] | None = None
    taker_bps: float | None = None  # entry taker fee of your account tier
    stale_after_s: float | None = None  # an older quote is not tradable
    confirm_within_s: float | None = None  # as in [audit]
    proxy: str | None = None  # for its hosts, in place of net.proxy; "direct" = none


class Net(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the world is reached."""

    proxy: str = ""  # http:// or socks5://; "" = as HTTPS_PROXY and the like say, "direct" = none


class Discovery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Finding pairs and proving them on the wire."""

    tries: int = 5  # per list
    backoff_ms: tuple[float, ...] = (500.0, 1000.0, 2000.0, 4000.0)  # before each further try
    rest_timeout_s: float = 20.0  # a whole REST answer
    list_limit_s: float = 60.0  # a source's whole list, all its pages and tries
    after_ack_s: float = 30.0  # a batch ends this long after its last ack
    no_new_s: float = 10.0  # or after this long without a newly valid symbol
    batch_limit_s: float = 90.0  # or this long after its start, connect and all
    keep_h: float = 24.0  # a failed list, or a halted pair, keeps its place for this long
    again_s: float = 300.0  # discovery that failed, or a source in it, is made again; doubles
    refresh_h: float = 12.0  # `run` discovers again at start when the set is older
    majors: tuple[str, ...] = ("BTC", "ETH", "SOL", "XRP")  # a list without one is not whole
    wait_s: float = 120.0  # for another discovery of the same folder to end
    reload_h: float = 8.0  # a running `run` discovers again and reloads about this often; 0 = never


class Feeds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Market-data sockets."""

    transport: Literal["picows", "aiohttp"] = "picows"
    loop: Literal["uvloop", "asyncio"] = "uvloop"
    connect_timeout_s: float = 10.0
    ack_timeout_s: float = 10.0  # what is unanswered for longer is asked for again by itself
    max_frame_bytes: int = 1_048_576
    backoff_base_s: float = 0.5  # grows, with jitter, until a socket has been healthy
    backoff_cap_s: float = 30.0
    healthy_after_s: float = 120.0  # of quotes on one socket: then waits begin anew
    beat_ms: float = 250.0
    silent_socket_s: float = 60.0  # no quote on a socket of ten pairs or more: a new one
    take_over_s: float = 10.0  # a successor has to quote within this long beside the old socket


class Audit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Asking the venues over REST whether silent quotes are still true."""

    enabled: bool = True
    every_s: float = 15.0  # between rounds of a source, about
    confirm_within_s: float = 60.0  # a quote neither heard nor confirmed for longer is not tradable
    ask_after_s: float = 5.0  # a spread on an older leg waits for an answer; 0 = asks nothing
    answer_within_s: float = 2.0  # for so long
    unproven: Literal["drop", "signal"] = "drop"  # what becomes of it without an answer
    funding_every_s: float = 60.0  # between looks at the perpetuals' funding; 0 = never


class Engine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Turning quotes into signals. Limits in bps of the buy price, on net unless said."""

    spin_us: float = 0.0  # look this long before sleeping; 0 parks at once, -1 always spins
    park_ms: float = 5.0
    coalesce_us: float = 0.0  # after a wake wait this long for more quotes: less CPU, later
    threshold_bps: float = 15.0
    converge_bps: float = 2.0  # below the threshold
    confirm_ms: float = 0.0  # a spread must stand this long before it signals; 0 = at once
    max_gross_bps: float = 3000.0  # above it the two sides are not the same coin
    min_notional_usdt: float = 20.0  # of the quote currency at the touch, on both legs
    beat_limit_s: float = 2.0  # a source silent for longer is not tradable
    sweep_s: float = 1.0  # the whole table is looked at about this often


class DirectionSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A class of edges: one direction, or all of some kind (docs/architecture.md#directions).

    Absent = as the next wider class that fits has it; without one: true, limits of [engine].
    """

    threshold_bps: float | None = None
    converge_bps: float | None = None
    enabled: bool | None = None  # false: not compared
    convert: bool | None = None  # true: pairs in other quote currencies, too, by what these cost


class Tracker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Following spreads into files."""

    grid_ms: float = 200.0
    expire_after_s: float = 10_800.0
    lost_after_s: float = 10.0  # a side not tradable for this long ends the track
    fsync: Literal["never", "open_close", "always"] = "open_close"
    keep_gb: float = 50.0  # of data files; beyond it the oldest are removed
    reserve_mb: float = 200.0  # free on the disk; below it no new track is begun


class Control(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who else may see how the scanner fares. Its own user steers it without any setting."""

    status_socket: str = ""  # path of a socket that answers `status` alone; "" = none
    status_group: str = ""  # group whose members may ask there


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Recording raw frames beside a running scan."""

    buffer_mb: float = 16.0  # per source, for what the disk has not taken yet; beyond it: dropped
    max_gb: float = 20.0  # of a recording; beyond it its oldest files are removed


class Cpu(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Processors to pin each role to, e.g. [0]; empty = wherever the kernel likes."""

    feeds: tuple[int, ...] = ()
    engine: tuple[int, ...] = ()
    tracker: tuple[int, ...] = ()
    audit: tuple[int, ...] = ()
    supervisor: tuple[int, ...] = ()


class Paths(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Folders and files, relative to the working directory."""

    generated: str = "generated"
    data: str = "data"
    logs: str = "logs"
    identity: str = "config/identity.toml"  # confirmed identities; no such file: none


class Log(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Logging; one file per process in paths.logs."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    keep_mb: float = 50.0  # per process; the file before it is kept once


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The effective settings of one scanner."""

    instance: str = "default"
    sources: tuple[str, ...] = BY_DEFAULT
    account_tier: str = ""  # name of the section of [tiers] whose fees are ours; "" = none
    universe: Universe = Universe()
    capacity: Capacity = Capacity()
    net: Net = Net()
    venues: dict[str, VenueSettings] = {}
    tiers: dict[str, dict[str, float]] = {}  # by name: taker fee in bps by source
    pair_taker_bps: dict[str, dict[str, float]] = {}  # the same by pair, where it has its own
    discovery: Discovery = Discovery()
    feeds: Feeds = Feeds()
    audit: Audit = Audit()
    engine: Engine = Engine()
    directions: dict[str, DirectionSettings] = {}  # by name: "okx->mexc", "perpetual->perpetual"
    tracker: Tracker = Tracker()
    control: Control = Control()
    record: Record = Record()
    cpu: Cpu = Cpu()
    paths: Paths = Paths()
    log: Log = Log()

    @property
    def catalogue(self) -> Catalogue:
        """Which sources and directions there can be, enabled or not."""
        return built_in()

    @property
    def source_ids(self) -> tuple[int, ...]:
        return tuple(self.catalogue.source[name].id for name in self.sources)

    @property
    def enabled_directions(self) -> tuple[Direction, ...]:
        """Directions that are compared: both sources enabled; built in or of a class; not off."""
        names = set(self.sources)
        found = []
        for direction in self.catalogue.direction_at.values():
            if {direction.buy.name, direction.sell.name} <= names:
                classes = self.classes_of(direction)
                if (direction.built_in or classes) and self._of(classes, "enabled", True):
                    found.append(direction)
        return tuple(found)

    def classes_of(self, direction: Direction) -> tuple[str, ...]:
        """Return the names of [directions] that a direction is of, the closest first."""
        fits = [(-closeness, name) for name in self.directions
                if (closeness := direction.closeness(name))]  # fmt: skip
        return tuple(name for _, name in sorted(fits))

    def converts(self, direction: Direction) -> bool:
        """Return whether a direction's legs may be in two quote currencies."""
        return bool(self._of(self.classes_of(direction), "convert", False))

    def _of(self, classes: Sequence[str], key: str, default: Any) -> Any:
        """Return the value of the first class that has one."""
        values = (getattr(self.directions[name], key) for name in classes)
        return next((value for value in values if value is not None), default)

    @property
    def simulated(self) -> bool:
        """True where an enabled source has an address on this machine: a market made up here."""
        return any(
            is_loopback(url)
            for name in self.sources
            if (own := self.venues.get(name))
            for url in (*urls_of(own.ws_url or ()), *urls_of(own.rest_url or ()))
        )

    def limits_bps(self, direction: Direction) -> tuple[float, float]:
        """Return (threshold_bps, converge_bps) of a direction."""
        classes = self.classes_of(direction)
        return (
            self._of(classes, "threshold_bps", self.engine.threshold_bps),
            self._of(classes, "converge_bps", self.engine.converge_bps),
        )

    def hash(self) -> str:
        """Return a short text that changes with any setting; it stands in OPEN rows."""
        digest = blake2b(msgspec.json.encode(self, order="sorted"), digest_size=4).hexdigest()
        return f"c{digest}"  # a letter first, or tables read some of them as numbers


class Loaded(msgspec.Struct, frozen=True):
    """A config and where each value came from ('engine.spin_us' -> 'default', a file, ...)."""

    config: Config
    origins: dict[str, str]


def load(
    files: Sequence[str | Path] = (),
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Loaded:
    """Return the effective settings.

    flags: dotted keys to values ("engine.spin_us": -1); text is read as TOML where it is TOML.
    Raises ConfigError that names file, key and the nearest known name.
    """
    tree: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for file in files:
        _merge(tree, _read_toml(Path(file)), str(file), origins)
    for name, text in sorted((os.environ if environ is None else environ).items()):
        if name.startswith(SETTINGS_PREFIX):
            layer = _nest(_env_key(name), text)
            _merge(tree, layer, f"environment {name}", origins, is_text=True)
    for key, value in (flags or {}).items():
        _merge(tree, _nest(key, value), "command line", origins, is_text=True)
    if "paths.identity" not in origins:
        _take_identity(tree, files, origins)
    config = msgspec.convert(tree, Config)  # every value was held to its type when merged
    _check(config, origins)
    return Loaded(config, origins)


def _take_identity(
    tree: dict[str, Any], files: Sequence[str | Path], origins: dict[str, str]
) -> None:
    """Take the file of confirmed identities that lies beside the first config that has one."""
    for file in files:
        path = Path(file).with_name(IDENTITY)
        if path.exists():
            layer = {"paths": {"identity": str(path)}}
            _merge(tree, layer, f"beside {file}", origins)
            return


def urls_of(given: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return a setting that is one text or several as several."""
    return (given,) if isinstance(given, str) else given


def from_tree(tree: dict[str, Any], origin: str) -> Config:
    """Return the settings of a TOML tree and of nothing else; ConfigError names `origin`."""
    checked: dict[str, Any] = {}
    origins: dict[str, str] = {}
    _merge(checked, tree, origin, origins)
    config = msgspec.convert(checked, Config)
    _check(config, origins)
    return config


def with_absolute_paths(config: Config, folder: str | Path) -> Config:
    """Return the settings with every path as seen from a folder: good in any other, too."""
    places = {
        name: os.path.join(folder, p) for name, p in msgspec.structs.asdict(config.paths).items()
    }
    return msgspec.structs.replace(config, paths=Paths(**places))


def flat(config: Config) -> dict[str, Any]:
    """Return the tree as dotted keys to plain values."""
    return {".".join(parts): value for parts, value in _leaves(config)}


def as_toml(config: Config, mask: bool = False) -> str:
    """Return the settings as TOML that load() reads; those that are absent are left out.

    mask: without the credentials of addresses, for what others may read.
    """
    lines = []
    for parts, value in _leaves(config):
        if value is not None:
            # JSON is TOML for texts, numbers, booleans and lists of them
            shown = masked(value) if mask else value
            lines.append(f"{_quoted(parts)} = {msgspec.json.encode(shown).decode()}\n")
    return "".join(lines)


def _leaves(config: Config) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield where each value stands, and the value; a name may hold dots itself."""

    def walk(at: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Any]]:
        if isinstance(value, dict):
            for key, inner in value.items():
                yield from walk((*at, key), inner)
        else:
            yield at, value

    return walk((), msgspec.to_builtins(config))


def _quoted(parts: Sequence[str]) -> str:
    return ".".join(
        part if _BARE_KEY.fullmatch(part) else msgspec.json.encode(part).decode() for part in parts
    )


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file, expected a TOML config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def _merge(
    tree: dict[str, Any],
    layer: dict[str, Any],
    origin: str,
    origins: dict[str, str],
    *,
    is_text: bool = False,
) -> None:
    """Lay a layer over the tree. is_text: text in it is read as TOML where it is TOML."""

    def walk(into: dict[str, Any], new: dict[str, Any], struct: Any, prefix: str) -> None:
        for key, value in new.items():
            path = f"{prefix}{key}"
            kind = _field_type(struct, key, path, origin)
            if is_text and isinstance(value, str):
                value = _value_of(value, kind)
            if not _is_section(kind):
                _check_type(value, kind, path, origin)
                into[key] = value
                origins[path] = origin
            elif isinstance(value, dict):
                walk(into.setdefault(key, {}), value, kind, f"{path}.")
            else:
                raise ConfigError(f"{origin}: {path}: {value!r}, expected a section [{path}]")

    walk(tree, layer, Config, "")


def _is_section(kind: Any) -> bool:
    return _is_table(kind) or (isinstance(kind, type) and issubclass(kind, msgspec.Struct))


def _is_table(kind: Any) -> bool:
    return get_origin(kind) is dict


def _check_type(value: Any, kind: Any, path: str, origin: str) -> None:
    try:
        msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        text, _, item = str(error).partition(" - at `$")
        if get_origin(kind) is Literal:
            text = f"{value!r}, expected one of {', '.join(get_args(kind))}"
        raise ConfigError(f"{origin}: {path}{item.rstrip('`')}: {text}") from None


# keys of earlier versions whose new name does not tell itself by being near
_RENAMED = {"capacity.directions": "capacity.edges"}


def _field_type(struct: Any, key: str, path: str, origin: str) -> Any:
    """Return the type under `key`, or refuse the key with the nearest known name."""
    if _is_table(struct):
        inner = get_args(struct)[1]
        if _is_table(inner):  # [tiers]: names of the user's own
            return inner
        if inner is DirectionSettings:
            if fault := built_in().class_fault(key):
                raise ConfigError(f"{origin}: unknown key {path!r}, {fault}")
        elif key not in built_in().source:
            raise _unknown(path, key, list(built_in().source), origin)
        return inner
    fields = {f.name: f.type for f in msgspec.structs.fields(struct)}
    if key not in fields:
        if there := _RENAMED.get(path) or _elsewhere(key):
            raise ConfigError(f"{origin}: unknown key {path!r}, did you mean {there!r}?")
        raise _unknown(path, key, list(fields), origin)
    return fields[key]


def _elsewhere(key: str) -> str:
    """Return where the key of that very name stands, '' where it is no key or one of several."""
    found = [
        f"{section.name}.{key}"
        for section in msgspec.structs.fields(Config)
        if isinstance(section.type, type) and issubclass(section.type, msgspec.Struct)
        if key in section.type.__struct_fields__
    ]
    return found[0] if len(found) == 1 else ""


def _unknown(path: str, key: str, known: Sequence[str], origin: str) -> ConfigError:
    near = difflib.get_close_matches(key, known, 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
    return ConfigError(f"{origin}: unknown key {path!r}, {hint}")


def _nest(key: str, value: Any) -> dict[str, Any]:
    for part in reversed(_split_key(key)):
        value = {part: value}
    result: dict[str, Any] = value
    return result


def _split_key(key: str) -> list[str]:
    """Split a dotted key; the middle of venues.* and directions.* may hold dots itself."""
    parts = key.split(".")
    return [parts[0], ".".join(parts[1:-1]), parts[-1]] if len(parts) > 3 else parts


def _value_of(text: str, kind: Any) -> Any:
    """Return text as the TOML value that it is, else as it is; names may look like numbers."""
    try:
        value = tomllib.loads(f"x = {text}")["x"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    return text if kind is str and not isinstance(value, str) else value


def _env_key(name: str) -> str:
    """SPREAD_ENGINE_SPIN_US -> engine.spin_us; the first part that is a section splits."""
    rest = name.removeprefix(SETTINGS_PREFIX).lower()
    section, _, key = rest.partition("_")
    if section in {f.name for f in msgspec.structs.fields(Config)} and key:
        return f"{section}.{key}"
    return rest


# Of any number: as seconds, 31 years; in ns it fits 64 bits. Beyond it loops and timers choke.
_MOST = 1e9
# Lowest and highest value that makes sense; beside a NaN, what is outside is a slip of the pen.
_LIMITS: dict[str, tuple[float, float]] = {
    "capacity.sources": (len(BY_DEFAULT), 64),
    "capacity.symbols": (1, 65_536),
    "capacity.edges": (1, 1_048_576),
    "capacity.tracks": (1, 32_768),
    "discovery.tries": (1, 100),
    "discovery.rest_timeout_s": (0.001, 3_600),
    "discovery.list_limit_s": (0.001, 3_600),
    "discovery.wait_s": (0, 86_400),
    "discovery.after_ack_s": (0, _MOST),
    "discovery.no_new_s": (0, _MOST),
    "discovery.batch_limit_s": (0.001, _MOST),
    "discovery.keep_h": (0, 8_760),
    "discovery.again_s": (1, 86_400),
    "discovery.refresh_h": (0, _MOST),
    "discovery.reload_h": (0, 8_760),
    "feeds.connect_timeout_s": (0.001, 3_600),
    "feeds.ack_timeout_s": (0.001, _MOST),
    "feeds.max_frame_bytes": (1_024, 1 << 30),
    "feeds.backoff_base_s": (0.001, _MOST),
    "feeds.backoff_cap_s": (0.001, _MOST),
    "feeds.healthy_after_s": (0, _MOST),
    "feeds.beat_ms": (1, 1_500),
    "feeds.silent_socket_s": (0.001, _MOST),
    "feeds.take_over_s": (0.001, _MOST),
    "audit.every_s": (1, 300),
    "audit.confirm_within_s": (1, 600),
    "audit.ask_after_s": (0, 600),
    "audit.answer_within_s": (0.05, 60),
    "audit.funding_every_s": (0, 3_600),
    "engine.spin_us": (-1, _MOST),
    "engine.park_ms": (0.001, 1_000),
    "engine.coalesce_us": (0, 100_000),
    "engine.confirm_ms": (0, 3_600_000),
    "engine.max_gross_bps": (0, _MOST),
    "engine.min_notional_usdt": (0, _MOST),
    "engine.beat_limit_s": (0.001, _MOST),
    "engine.sweep_s": (0.001, _MOST),
    "tracker.grid_ms": (1, _MOST),
    "tracker.expire_after_s": (0.001, _MOST),
    "tracker.lost_after_s": (0, _MOST),
    "tracker.keep_gb": (0.001, _MOST),
    "tracker.reserve_mb": (0, _MOST),
    "log.keep_mb": (0.001, _MOST),
    "record.buffer_mb": (1, 64),
    "record.max_gb": (0.001, _MOST),
}
_FEE_MOST_BPS = 10_000.0  # the whole notional
_FUNDING_AT_LEAST_S = 5  # a list of every perpetual is a heavy question
_ROUNDS_WITHIN = 2  # of the audit, within the time for which a confirmation counts: one may fail
_SILENT_AT_MOST_S = 600.0  # as in spreadcore.tradable
_RELOAD_AT_LEAST_H = 0.1  # discovery asks every venue for everything
_INSTANCE = re.compile(r"[A-Za-z0-9_.-]{1,63}")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def _check(config: Config, origins: Mapping[str, str]) -> None:
    """Rules between values, each told with the key to change."""

    def refuse(key: str, text: str) -> None:
        raise ConfigError(f"{origins.get(key, 'default')}: {key}: {text}")

    if not _INSTANCE.fullmatch(config.instance):
        refuse("instance", f"{config.instance!r}, expected up to 63 letters, digits and _.-")
    for key, (low, high) in _LIMITS.items():
        section, _, name = key.partition(".")
        value = getattr(getattr(config, section), name)
        if not low <= value <= high:
            limits = f"{low} to {high}" if high != _MOST else f"at least {low}"
            if high == _MOST < value:
                limits = f"at most {high:,.0f}"
            refuse(key, f"{value}, expected {limits}")
    waits = config.discovery.backoff_ms
    if not waits or not all(0 <= wait <= _MOST for wait in waits):
        refuse("discovery.backoff_ms", f"{list(waits)}, expected one or more waits of 0 or more")
    for role in ("feeds", "engine", "tracker", "audit", "supervisor"):
        if any(number < 0 for number in getattr(config.cpu, role)):
            refuse(f"cpu.{role}", f"{list(getattr(config.cpu, role))}, expected numbers from 0")
    if not config.feeds.beat_ms <= config.engine.beat_limit_s * 500:
        refuse(
            "feeds.beat_ms",
            f"{config.feeds.beat_ms}, expected at most half of engine.beat_limit_s "
            f"({config.engine.beat_limit_s} s)",
        )
    if 0 < config.audit.funding_every_s < _FUNDING_AT_LEAST_S:
        refuse(
            "audit.funding_every_s",
            f"{config.audit.funding_every_s}, expected 0 or at least {_FUNDING_AT_LEAST_S}",
        )
    _check_confirmations(config, origins, refuse)
    if 0 < config.discovery.reload_h < _RELOAD_AT_LEAST_H:
        refuse(
            "discovery.reload_h",
            f"{config.discovery.reload_h}, expected 0 or at least {_RELOAD_AT_LEAST_H}",
        )
    _check_quotes(config, refuse)
    _check_sources(config, refuse)
    _check_venues(config, refuse)
    _check_tiers(config, refuse)
    _check_directions(config, origins, refuse)
    _check_numbers(config, refuse)
    _check_control(config.control, refuse)


def _check_control(control: Control, refuse: Callable[[str, str], None]) -> None:
    path, group = control.status_socket, control.status_group
    if path and not Path(path).is_absolute():
        refuse("control.status_socket", f"{path!r}, expected an absolute path")
    if bool(path) != bool(group):
        lacks = "status_group" if path else "status_socket"
        refuse(f"control.{lacks}", "'', expected status_socket and status_group, or neither")


def _check_confirmations(
    config: Config, origins: Mapping[str, str], refuse: Callable[[str, str], None]
) -> None:
    """Refuse a time within which no round comes, or none if one fails: what is quiet for longer
    would be tradable now and then."""
    if not config.audit.enabled:
        return
    every_s = config.audit.every_s
    own = {f"venues.{name}": venue.confirm_within_s for name, venue in config.venues.items()}
    for section, seconds in {"audit": config.audit.confirm_within_s, **own}.items():
        if seconds is None or seconds >= _ROUNDS_WITHIN * every_s:
            continue
        key = f"{section}.confirm_within_s"
        if key in origins:
            least = f"at least {_ROUNDS_WITHIN} times audit.every_s ({every_s} s)"
            refuse(key, f"{seconds}, expected {least}")
        most = f"at most {seconds / _ROUNDS_WITHIN} s, for {key} is {seconds} s"
        refuse("audit.every_s", f"{every_s}, expected {most}")


def _check_numbers(config: Config, refuse: Callable[[str, str], None]) -> None:
    """Refuse what is left of numbers that no worker can reckon with, wherever they stand."""
    for key, value in flat(config).items():
        for number in value if isinstance(value, list | tuple) else (value,):
            if isinstance(number, float | int) and not -_MOST <= number <= _MOST:
                refuse(key, f"{number}, expected a number of {-_MOST:,.0f} to {_MOST:,.0f}")


def _check_quotes(config: Config, refuse: Callable[[str, str], None]) -> None:
    given = config.universe.quotes
    if not given or not set(given) <= set(QUOTES) or len(set(given)) != len(given):
        refuse("universe.quotes", f"{list(given)}, expected one or more of {', '.join(QUOTES)}")


def _check_sources(config: Config, refuse: Callable[[str, str], None]) -> None:
    for name in config.sources:
        if name not in config.catalogue.source:
            refuse("sources", f"unknown source {name!r}, {config.catalogue.hint(name)}")
    if len(set(config.sources)) != len(config.sources):
        refuse("sources", "one is named twice, expected each once")
    if not config.enabled_directions:
        refuse(
            "sources",
            f"{', '.join(config.sources) or 'none'}, expected both of a direction: a spot and a "
            "futures source of different exchanges, or what [directions] names",
        )


def _check_venues(config: Config, refuse: Callable[[str, str], None]) -> None:
    if config.net.proxy not in ("", DIRECT) and (fault := proxy_fault(config.net.proxy)):
        refuse("net.proxy", f'{fault}, or "{DIRECT}"')
    for name, own in config.venues.items():
        for field, schemes in (("ws_url", ("ws", "wss")), ("rest_url", ("http", "https"))):
            given = getattr(own, field)
            if given == ():
                refuse(f"venues.{name}.{field}", f"an empty list, expected {schemes[1]}://host")
            for url in urls_of(given or ()):
                if not _is_url(url, schemes):
                    expected = f"expected {schemes[1]}://host[:port]"
                    refuse(f"venues.{name}.{field}", f"{_shown(url)}, {expected}")
        if own.proxy not in (None, "", DIRECT) and (fault := proxy_fault(own.proxy)):
            refuse(f"venues.{name}.proxy", f'{fault}, or "{DIRECT}"')
        if own.taker_bps is not None and not abs(own.taker_bps) <= _FEE_MOST_BPS:
            refuse(f"venues.{name}.taker_bps", f"{own.taker_bps}, expected a number of bps")
        for key in ("stale_after_s", "confirm_within_s"):
            seconds = getattr(own, key)
            if seconds is not None and not 0 < seconds <= _SILENT_AT_MOST_S:
                refuse(
                    f"venues.{name}.{key}",
                    f"{seconds}, expected above 0 to {_SILENT_AT_MOST_S:g}: no quote is true for "
                    "ever",
                )


def _check_tiers(config: Config, refuse: Callable[[str, str], None]) -> None:
    tier = config.account_tier
    if tier and tier not in config.tiers:
        near = difflib.get_close_matches(tier, config.tiers, 1, 0.4)
        listed = ", ".join(config.tiers) or "none"
        hint = f"did you mean {near[0]!r}?" if near else f"expected one of [tiers]: {listed}"
        refuse("account_tier", f"unknown tier {tier!r}, {hint}")
    for section in ("tiers", "pair_taker_bps"):
        for name, fees in getattr(config, section).items():
            for source, bps in fees.items():
                if not abs(bps) <= _FEE_MOST_BPS:
                    refuse(f"{section}.{name}.{source}", f"{bps}, expected a number of bps")


def proxy_fault(url: str) -> str:
    """Return what is wrong with a proxy's address, '' for none."""
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
        if is_good and parts.path in ("", "/") and not parts.query:
            return ""
    except ValueError:  # a port or an address that is none
        pass
    return f"{_shown(url)}, expected http://[user:password@]host[:port], or socks5://"


def _shown(url: str) -> str:
    """Return an address that is none for a message: nobody knows where its password ends."""
    return "an address with a user that cannot be read" if "@" in url else repr(url)


def _is_url(text: str, schemes: tuple[str, str]) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in schemes and bool(url.hostname) and url.port != 0
    except ValueError:  # a port or an address that is none
        return False


def is_loopback(url: str) -> bool:
    """Return whether an address is on this machine."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:  # a name, or a short form as 127.1
        return host == "localhost" or host.endswith(".localhost") or host.startswith("127.")
    mapped = getattr(address, "ipv4_mapped", None) or address  # ::ffff:127.0.0.1
    return bool(mapped.is_loopback or mapped.is_unspecified)  # one reaches 0.0.0.0 at home


def _check_directions(
    config: Config, origins: Mapping[str, str], refuse: Callable[[str, str], None]
) -> None:
    for direction in dict.fromkeys((*config.catalogue.directions, *config.enabled_directions)):
        classes = config.classes_of(direction)
        _refuse_rivals(config, direction, classes, refuse)
        threshold, converge = config.limits_bps(direction)
        if not converge < threshold:
            own = [f"directions.{name}.{key}" for name in classes
                   for key in ("converge_bps", "threshold_bps")]  # fmt: skip
            keys = (*own, "engine.converge_bps", "engine.threshold_bps")
            refuse(
                next((key for key in keys if key in origins), "engine.converge_bps"),
                f"converge_bps {converge} of {direction.name}, expected below threshold_bps "
                f"{threshold}",
            )


def _refuse_rivals(
    config: Config, direction: Direction, classes: Sequence[str], refuse: Callable[[str, str], None]
) -> None:
    """Refuse two classes that fit a direction alike and say different things of it."""
    for key in DirectionSettings.__struct_fields__:
        having = [name for name in classes if getattr(config.directions[name], key) is not None]
        for name in having[1:]:
            if direction.closeness(name) < direction.closeness(having[0]):
                break
            ours, theirs = (getattr(config.directions[n], key) for n in (having[0], name))
            if ours != theirs:
                refuse(
                    f"directions.{having[0]}.{key}",
                    f"{_toml(ours)}, and {_toml(theirs)} of {name}, which fits "
                    f"{direction.name} as closely: expected one of them, or a section of its own",
                )


def _toml(value: Any) -> str:
    return msgspec.json.encode(value).decode()
