"""The generated set: ids, instruments and directions that every process reads.

Written whole by discovery, read by feeds, engine, tracker and tools. metadata.json is written
last and holds the hashes of the others, so a mixed or half-written set is refused; while one is
written, a copy of the set before it stands in PREVIOUS.
"""

import struct
from collections.abc import Collection, Sequence
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import msgspec

from spreadscan.catalogue import Direction, built_in
from spreadscan.errors import BadGenerated, ConfigError, RefusedSet
from spreadscan.types import Instrument

FORMAT = 5
SYMBOLS_MAGIC = b"SPRDSYM1"
EDGES_MAGIC = b"SPRDEDG1"
_CLASS = struct.Struct("<HBB")  # id, buy source, sell source
_EDGE = struct.Struct("<IHBBIIIBBI")  # as Edge, but for the place of the sources
_CONVERTED = ("", "buy", "sell")
PREVIOUS = ".previous"
SILENT_RUNS_MAX = 3  # runs in a row after which a quiet pair stands in no direction
NAME_BYTES_MAX = 255  # of a pair's name in UTF-8

State = Literal["valid", "quiet", "quarantined", "invalid"]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One pair of one source.

    quiet: listed, but silent during validation, in silent_runs of them in a row; kept.
    quarantined: perhaps another coin under the same ticker; quoted for people to look at and for
    open spreads to end, in no direction. traded: of a halted pair, UTC of the last list that had
    it as trading; "" of all others.
    """

    symbol_id: int
    symbol: str
    state: State
    reason: str = ""
    silent_runs: int = 0
    traded: str = ""
    instrument: Instrument


class SourceList(msgspec.Struct, frozen=True, kw_only=True):
    """All pairs of a source, in order of symbol id."""

    source: str
    symbols: tuple[Listing, ...]

    @property
    def subscribed(self) -> tuple[Listing, ...]:
        """Those that a feed subscribes to."""
        return tuple(s for s in self.symbols if s.state != "invalid")

    @property
    def compared(self) -> tuple[Listing, ...]:
        """Those that may stand in a direction."""
        return tuple(
            s
            for s in self.symbols
            if s.state == "valid" or (s.state == "quiet" and s.silent_runs < SILENT_RUNS_MAX)
        )


def n_proven(lists: "Lists", source: str) -> int:
    """Return how many pairs of a source discovery saw quote."""
    found = lists.sources.get(source)
    return sum(row.state == "valid" for row in found.symbols) if found else 0


def changes(old: Sequence[Listing], new: Sequence[Listing]) -> tuple[list[Listing], list[Listing]]:
    """Return what went and what came between two lists of pairs to subscribe to.

    A pair whose id, venue symbol or units differ went and came: what stood of it is not true.
    """
    was, becomes = {_identity(row): row for row in old}, {_identity(row): row for row in new}
    gone = [row for key, row in was.items() if key not in becomes]
    return gone, [row for key, row in becomes.items() if key not in was]


def _identity(row: Listing) -> tuple[int, str, str]:
    i = row.instrument
    # text: a contract size that is not known is NaN, which equals nothing
    return row.symbol_id, i.venue_symbol, repr((i.multiplier, i.qty_scale))


class Edge(NamedTuple):
    """Buy on one slot (source and row), sell on another. Its number is kept while it is listed.

    direction: id of the class that it is of. A row is a symbol id. retired_unix_s: since when it
    has been in no direction, 0 = it is in use. converted: the leg whose quote currency is not the
    edge's, "buy", "sell" or "" for neither; then rate_source and rate_row are the slot that says
    what that currency costs.
    """

    id: int
    direction: int
    buy_source: int
    buy_row: int
    sell_source: int
    sell_row: int
    retired_unix_s: int = 0
    converted: str = ""
    rate_source: int = 0
    rate_row: int = 0

    @property
    def in_use(self) -> bool:
        return not self.retired_unix_s

    @property
    def buy(self) -> tuple[int, int]:
        """Return the slot that it buys on: source id, row."""
        return self.buy_source, self.buy_row

    @property
    def sell(self) -> tuple[int, int]:
        return self.sell_source, self.sell_row

    @property
    def slots(self) -> tuple[tuple[int, int], ...]:
        """Return all that it stands on: the slots of both legs, and that of what converts one."""
        rate = ((self.rate_source, self.rate_row),) if self.converted else ()
        return self.buy, self.sell, *rate

    @property
    def conversion(self) -> tuple[str, int, int] | None:
        """Return the leg that is converted and the slot that does it, None where neither is."""
        return (self.converted, self.rate_source, self.rate_row) if self.converted else None


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a source gave no list, or no quote at all, when the set was made.

    list_written: UTC of the list that its pairs in the set are from, "" where it has none.
    """

    why: str
    list_written: str = ""

    def __str__(self) -> str:
        pairs = f"those it listed at {self.list_written[:19]}Z" if self.list_written else "none"
        return f"{self.why.rstrip('.')}; its pairs in the set: {pairs}"


class Hosts(msgspec.Struct, frozen=True):
    """The addresses of a source, in order of preference."""

    rest: tuple[str, ...]
    ws: tuple[str, ...]


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What decided which pairs a set has: where they were found, and by which settings."""

    hosts: dict[str, Hosts]  # by source
    quotes: tuple[str, ...]
    include: tuple[str, ...]
    exclude: tuple[str, ...]
    majors: tuple[str, ...]
    identity: str  # hash of what a human has confirmed; "" = nothing
    directions: tuple[str, ...] = ()  # that were compared
    converts: tuple[str, ...] = ()  # of these, those whose legs may be in two quote currencies

    def same_market(self, source: str, other: "Origin") -> bool:
        """Return True where both have the source from the same hosts: addresses in common."""
        ours, theirs = self.hosts.get(source), other.hosts.get(source)
        if ours is None or theirs is None:
            return False
        return not (set(ours.rest).isdisjoint(theirs.rest) or set(ours.ws).isdisjoint(theirs.ws))


class Difference(NamedTuple):
    """One thing in which a set is not of these settings. foreign: its pairs are not to be used."""

    text: str
    foreign: bool


def differences(found: Origin | None, wanted: Origin) -> list[Difference]:
    """Return in which a set from `found` is not what `wanted` would give; a text for each kind.

    None: a set that does not say where it is from, which may be anything.
    """
    if found is None:
        return [Difference("it does not say from which hosts it is", True)]
    told = []
    both = [source for source in wanted.hosts if source in found.hosts]
    moved = [source for source in both if not found.same_market(source, wanted)]
    if moved:
        old, new = _moved(found.hosts[moved[0]], wanted.hosts[moved[0]])
        more = f", and {len(moved) - 1} more sources" if len(moved) > 1 else ""
        told.append(Difference(f"{moved[0]} is from {old}, not from {new}{more}", True))
    if set(found.quotes) != set(wanted.quotes):
        was, now = (", ".join(o.quotes) for o in (found, wanted))
        told.append(Difference(f"its pairs are in {was}, not in {now}", True))
    if _universe(found) != _universe(wanted):
        told.append(
            Difference(f"its universe is {_patterns(found)}, not {_patterns(wanted)}", True)
        )
    if missing := [source for source in wanted.hosts if source not in found.hosts]:
        told.append(Difference(f"it is without {', '.join(missing)}", not both))
    if beyond := [source for source in found.hosts if source not in wanted.hosts]:
        told.append(Difference(f"it has {', '.join(beyond)} besides", False))
    if lacks := _without(found, wanted.directions, found.directions):
        told.append(Difference(f"it does not compare {lacks}", False))
    if lacks := _without(found, wanted.converts, found.converts):
        told.append(Difference(f"it does not convert in {lacks}", False))
    if set(found.majors) != set(wanted.majors):
        was, now = (", ".join(o.majors) or "none" for o in (found, wanted))
        told.append(Difference(f"its lists had to have {was}, not {now}", False))
    if found.identity != wanted.identity:
        told.append(Difference("other identities were confirmed then", False))
    return told


def _moved(old: Hosts, new: Hosts) -> tuple[str, str]:
    if set(old.rest).isdisjoint(new.rest):
        return old.rest[0], new.rest[0]
    return old.ws[0], new.ws[0]


def _without(found: Origin, wanted: Collection[str], there: Collection[str]) -> str:
    """Return the directions between sources of the set that are not there, in words."""
    missing = [
        direction.name
        for direction in map(built_in().direction.__getitem__, wanted)
        if direction.name not in there
        and {direction.buy.name, direction.sell.name} <= set(found.hosts)
    ]
    more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    return ", ".join(missing[:3]) + more


def _universe(origin: Origin) -> tuple[set[str], set[str]]:
    return set(origin.include), set(origin.exclude)


def _patterns(origin: Origin) -> str:
    without = f" without {', '.join(origin.exclude)}" if origin.exclude else ""
    return (", ".join(origin.include) or "nothing") + without


class Metadata(msgspec.Struct, frozen=True, kw_only=True):
    """What the set is; hashes by file name (blake2b, 16 bytes, hex).

    n_listed: pairs by source and quote currency that it listed as trading when it last answered,
    patterns of the universe aside; n_halted: rows that it listed as not trading then.
    failed: sources that did not answer this time, or did not quote.
    retired_unix_s: since when an id has been without a pair.
    origin: None in sets of format 1.
    """

    format: int
    generation: int
    written: str  # UTC
    sources: tuple[str, ...]
    symbols: int  # ids in use
    hashes: dict[str, str]
    n_listed: dict[str, dict[str, int]] = {}
    n_halted: dict[str, dict[str, int]] = {}
    failed: dict[str, Failure] = {}
    retired_unix_s: dict[int, int] = {}
    origin: Origin | None = None


class Lists(msgspec.Struct, frozen=True, kw_only=True):
    """A loaded set. names[id] is the pair, also of retired ids; pairs[direction_id] its ids.

    edges: of all directions, retired ones among them, by rising id.

    written, n_listed, n_halted, failed, retired_unix_s, origin: as in Metadata. No two sets are
    written at one time.
    """

    generation: int
    names: tuple[str, ...]
    retired: frozenset[int]
    pairs: dict[int, tuple[int, ...]]
    sources: dict[str, SourceList]
    edges: tuple[Edge, ...] = ()
    written: str = ""
    n_listed: dict[str, dict[str, int]] = {}
    n_halted: dict[str, dict[str, int]] = {}
    failed: dict[str, Failure] = {}
    retired_unix_s: dict[int, int] = {}
    origin: Origin | None = None

    @property
    def n_edge_ids(self) -> int:
        """Return one past the last edge's number."""
        return self.edges[-1].id + 1 if self.edges else 0


class Numbered(Protocol):
    """What gives pairs their ids; as in Lists."""

    @property
    def generation(self) -> int: ...
    @property
    def names(self) -> tuple[str, ...]: ...
    @property
    def retired(self) -> frozenset[int]: ...
    @property
    def retired_unix_s(self) -> dict[int, int]: ...
    @property
    def edges(self) -> tuple[Edge, ...]: ...


def encode_symbols(names: Sequence[str], retired: frozenset[int]) -> bytes:
    """Return symbols.bin: magic, u32 count, then per id u8 retired, u8 length, UTF-8 name."""
    parts = [SYMBOLS_MAGIC, struct.pack("<I", len(names))]
    for symbol_id, name in enumerate(names):
        text = name.encode()
        parts.append(struct.pack("<BB", symbol_id in retired, len(text)) + text)
    return b"".join(parts)


def encode_edges(directions: Collection[int], edges: Sequence[Edge]) -> bytes:
    """Return edges.bin: magic, u32 count, then per direction u16 id, u8 buy and u8 sell source;
    u32 count, then per edge u32 id, u16 direction, u8 buy and u8 sell source, u32 buy row, u32 sell
    row, u32 retired (Unix s), u8 converted leg (0 neither, 1 buy, 2 sell), u8 source and u32 row of
    what converts it, ids rising."""
    parts = [EDGES_MAGIC, struct.pack("<I", len(directions))]
    parts += [_CLASS.pack(*_legs(built_in().direction_at[d])) for d in sorted(directions)]
    parts.append(struct.pack("<I", len(edges)))
    for e in edges:
        parts.append(
            _EDGE.pack(
                e.id, e.direction, e.buy_source, e.sell_source, e.buy_row, e.sell_row,
                e.retired_unix_s, _CONVERTED.index(e.converted), e.rate_source, e.rate_row,
            )
        )  # fmt: skip
    return b"".join(parts)


def encode_source(source_list: SourceList) -> bytes:
    """Return source_symbols/<source>.json: one object per line for people and grep."""
    rows = b",\n".join(msgspec.json.encode(row) for row in source_list.symbols)
    return (
        b'{"source":'
        + msgspec.json.encode(source_list.source)
        + b',"symbols":[\n'
        + rows
        + b"\n]}\n"
    )


def hash_of(content: bytes) -> str:
    """Return the hash that metadata.json keeps of a file."""
    return blake2b(content, digest_size=16).hexdigest()


def read_metadata(folder: str | Path) -> Metadata:
    """Return metadata.json. BadGenerated where it is missing, broken or of another format."""
    return _decode_metadata(Path(folder) / "metadata.json")[0]


def read_files(folder: str | Path) -> tuple[Metadata, dict[str, bytes]]:
    """Return the metadata and the bytes of every file of the set, metadata.json among them.

    BadGenerated names the file that is missing or not of this set.
    """
    root = Path(folder)
    metadata, raw = _decode_metadata(root / "metadata.json")
    contents: dict[str, bytes] = {}
    for name, expected in metadata.hashes.items():
        try:
            contents[name] = (root / name).read_bytes()
        except (OSError, ValueError) as error:
            raise BadGenerated(f"{root / name}: {error}, expected a whole set") from None
        if hash_of(contents[name]) != expected:
            raise BadGenerated(
                f"{root / name}: not of generation {metadata.generation}, expected one set "
                "(run `spreadscan discover`)"
            )
    return metadata, contents | {"metadata.json": raw}


def load(folder: str | Path) -> Lists:
    """Return the set in `folder`; while it is half-written, the one before it.

    BadGenerated names the file that is missing or mixed.
    """
    root = Path(folder)
    for place in (root, root / PREVIOUS):
        with suppress(BadGenerated):
            return _load(place)
    return _load(root)  # a write may just have ended; else this says what is wrong


def check_capacity(lists: Lists, n_symbols: int, n_edges: int) -> None:
    """Refuse lists with more ids than the instance has room for. ConfigError says what to do."""
    for what, n, room in (
        ("ids", len(lists.names), n_symbols), ("edges", lists.n_edge_ids, n_edges),
    ):  # fmt: skip
        if n > room:
            raise ConfigError(
                f"generation {lists.generation}: {n} {what}, expected at most {room}, which the "
                "instance has room for: stop the scanner, and the next `spreadscan run` makes it "
                "anew with more"
            )


def successor(old: Lists, new: Lists) -> Lists:
    """Return `new` as those take it over who run on `old`.

    A source of which `new` has nothing to subscribe to keeps its list: that it could not be
    proven says nothing of its pairs. BadGenerated where an id means another pair than before,
    unless it was without a pair: discovery gives such an id to another pair after a month.
    ConfigError where `new` is of other hosts or another universe.
    """
    if old.origin is not None:
        refuse_foreign(new, old.origin, f"generation {new.generation}")
    refuse_other_ids(old, new)
    proven = {name: found for name, found in new.sources.items() if found.subscribed}
    kept = {name: _still(source_list, new.names) for name, source_list in old.sources.items()}
    return msgspec.structs.replace(new, sources=new.sources | kept | proven)


def _still(source_list: SourceList, names: Sequence[str]) -> SourceList:
    """Return a list of before without the pairs whose id is another pair's now."""
    rows = tuple(row for row in source_list.symbols if names[row.symbol_id] == row.symbol)
    return msgspec.structs.replace(source_list, symbols=rows)


def refuse_foreign(lists: Lists, wanted: Origin, subject: str) -> list[str]:
    """Return in which lists are not of these settings, where they may be used all the same.

    ConfigError where they are of other hosts or another universe, or do not say so.
    """
    found = differences(lists.origin, wanted)
    if foreign := [difference.text for difference in found if difference.foreign]:
        raise ConfigError(
            f"{subject}: {'; '.join(foreign)}: expected a set of the hosts and the universe in "
            "use (`spreadscan discover` writes one)"
        )
    return [difference.text for difference in found]


def refuse_other_ids(old: Numbered, new: Lists) -> None:
    """BadGenerated where an id that has a pair means another one in `new`."""
    if told := other_id(old, new):
        raise BadGenerated(
            f"generation {new.generation}: {told} as in generation {old.generation}; ids given "
            "anew need a restart"
        )


def other_id(old: Numbered, new: Lists) -> str:
    """Return which id in use means another pair or edge in `new`, in words; '' for none."""
    for symbol_id, name in enumerate(old.names):
        found = new.names[symbol_id] if symbol_id < len(new.names) else "missing"
        if found != name and not (symbol_id in old.retired and symbol_id < len(new.names)):
            return f"id {symbol_id} is {found}, expected {name}"
    theirs = {edge.id: edge for edge in new.edges}
    for edge in old.edges:
        other = theirs.get(edge.id)
        if edge.in_use and (other is None or other[1:6] != edge[1:6]):
            return f"edge {edge.id} is {other or 'missing'}, expected {edge}"
    return ""


def _decode_metadata(path: Path) -> tuple[Metadata, bytes]:
    try:
        raw = path.read_bytes()
        metadata = msgspec.json.decode(raw, type=Metadata)
    except FileNotFoundError:
        raise BadGenerated(f"{path}: missing, expected a set of `spreadscan discover`") from None
    except OSError as error:
        raise BadGenerated(f"{path}: {error.strerror}, expected a set of discovery") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadGenerated(f"{path}: {error}, expected metadata of discovery") from None
    if metadata.format != FORMAT:
        raise RefusedSet(
            f"{path}: format {metadata.format}, expected {FORMAT}: of another version of the "
            "program (`spreadscan discover --fresh` writes it anew)"
        )
    return metadata, raw


def _load(root: Path) -> Lists:
    metadata, contents = read_files(root)
    try:
        names, retired = _decode_symbols(contents["symbols.bin"])
        pairs, edges = _decode_edges(contents["edges.bin"])
        sources = {
            source: msgspec.json.decode(contents[f"source_symbols/{source}.json"], type=SourceList)
            for source in metadata.sources
        }
    except (KeyError, struct.error, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise BadGenerated(f"{root}: {error!r}, expected a set of `spreadscan discover`") from None
    if any(max(edge.buy_row, edge.sell_row, edge.rate_row) >= len(names) for edge in edges):
        raise BadGenerated(f"{root}: edges.bin: ids beyond symbols.bin, expected one set")
    for source, source_list in sources.items():
        if source not in built_in().source or any(
            s.symbol_id >= len(names) for s in source_list.symbols
        ):
            raise BadGenerated(f"{root}: {source}: ids beyond symbols.bin, expected one set")
        _refuse_rivals(root, source_list)
    return Lists(
        generation=metadata.generation,
        names=names,
        retired=retired,
        pairs=pairs,
        edges=edges,
        sources=sources,
        written=metadata.written,
        n_listed=metadata.n_listed,
        n_halted=metadata.n_halted,
        failed=metadata.failed,
        retired_unix_s=metadata.retired_unix_s,
        origin=metadata.origin,
    )


def _refuse_rivals(root: Path, source_list: SourceList) -> None:
    """Refuse two listings of a source in one row: what one says would stand for the other."""
    rows: dict[int, str] = {}
    for listing in source_list.symbols:
        symbol = listing.instrument.venue_symbol
        if (other := rows.setdefault(listing.symbol_id, symbol)) != symbol:
            raise RefusedSet(
                f"{root}: {source_list.source}: row {listing.symbol_id} is of {other!r} and of "
                f"{symbol!r}, expected one of them (`spreadscan discover --fresh` writes it anew)"
            )


def _decode_symbols(content: bytes) -> tuple[tuple[str, ...], frozenset[int]]:
    if content[:8] != SYMBOLS_MAGIC:
        raise BadGenerated(f"symbols.bin: begins {content[:8]!r}, expected {SYMBOLS_MAGIC!r}")
    (count,) = struct.unpack_from("<I", content, 8)
    names, retired, at = [], set(), 12
    for symbol_id in range(count):
        gone, length = struct.unpack_from("<BB", content, at)
        names.append(struct.unpack_from(f"{length}s", content, at + 2)[0].decode())
        at += 2 + length
        if gone:
            retired.add(symbol_id)
    return tuple(names), frozenset(retired)


def _legs(direction: Direction) -> tuple[int, int, int]:
    return direction.id, direction.buy.id, direction.sell.id


def _decode_edges(content: bytes) -> tuple[dict[int, tuple[int, ...]], tuple[Edge, ...]]:
    """Return the symbol ids by direction, and all edges."""
    if content[:8] != EDGES_MAGIC:
        raise BadGenerated(f"edges.bin: begins {content[:8]!r}, expected {EDGES_MAGIC!r}")
    known = set(map(_legs, built_in().direction_at.values()))
    (count,) = struct.unpack_from("<I", content, 8)
    at = 12 + count * _CLASS.size
    pairs: dict[int, list[int]] = {}
    for direction in _CLASS.iter_unpack(content[12:at]):
        if direction not in known:
            raise BadGenerated(f"edges.bin: direction {direction}, expected one of ours")
        pairs[direction[0]] = []
    (count,) = struct.unpack_from("<I", content, at)
    if len(content) != at + 4 + count * _EDGE.size:
        raise BadGenerated(
            f"edges.bin: {len(content)} bytes, expected {at + 4 + count * _EDGE.size} with "
            f"{count} edges"
        )
    edges, last = [], -1
    for number, direction, buy, sell, buy_row, sell_row, since, leg, *rate in _EDGE.iter_unpack(
        content[at + 4 :]
    ):
        if number <= last or (direction, buy, sell) not in known:
            raise BadGenerated(
                f"edges.bin: edge {number} after {last}, direction {direction} from {buy} to "
                f"{sell}, expected rising numbers and directions of ours"
            )
        if leg >= len(_CONVERTED):
            raise BadGenerated(f"edges.bin: edge {number}, converted leg {leg}, expected 0, 1 or 2")
        last = number
        legs = buy, buy_row, sell, sell_row
        edges.append(Edge(number, direction, *legs, since, _CONVERTED[leg], *rate))
        if not since and buy_row == sell_row:
            pairs.setdefault(direction, []).append(buy_row)
    return {d: tuple(sorted(ids)) for d, ids in pairs.items()}, tuple(edges)
