"""Stage 6: the set into its folder, so that at every instant one whole set is there."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from spreadscan.catalogue import built_in
from spreadscan.clock import iso_utc
from spreadscan.discovery.ids import assign_edges
from spreadscan.disk import whole
from spreadscan.errors import BadGenerated, ConfigError
from spreadscan.lists import (
    FORMAT,
    PREVIOUS,
    Edge,
    Failure,
    Metadata,
    Origin,
    SourceList,
    encode_edges,
    encode_source,
    encode_symbols,
    hash_of,
    read_files,
    read_metadata,
)


def write_set(
    folder: str | Path,
    *,
    generation: int,
    names: Sequence[str],
    retired: frozenset[int],
    pairs: Mapping[int, Sequence[int]],
    sources: Mapping[str, SourceList],
    n_listed: Mapping[str, Mapping[str, int]],
    report: str,
    unix_ns: int,
    failed: Mapping[str, Failure] | None = None,
    retired_unix_s: Mapping[int, int] | None = None,
    origin: Origin | None = None,
    n_halted: Mapping[str, Mapping[str, int]] | None = None,
    edges: Sequence[Edge] | None = None,
) -> None:
    """Write every file of the set, metadata.json last. ConfigError where the folder refuses.

    The same arguments give the same bytes, metadata.json and the report aside. The caller holds
    the folder's lock. edges: of the pairs; not given, they are numbered afresh. origin: None for a
    set that nobody discovered; no scanner runs on it.
    """
    root = Path(folder)
    if edges is None:
        edges = assign_edges(built_in(), pairs, (), unix_ns // 10**9)
    files = {
        "symbols.bin": encode_symbols(names, retired),
        "edges.bin": encode_edges(pairs, edges),
        **{f"source_symbols/{name}.json": encode_source(s) for name, s in sources.items()},
        "symbols.txt": _symbols_text(names, retired),
        "directions.txt": _directions_text(names, pairs),
    }
    metadata = Metadata(
        format=FORMAT,
        generation=generation,
        written=iso_utc(unix_ns),
        sources=tuple(sources),
        symbols=len(names) - len(retired),
        hashes={name: hash_of(content) for name, content in files.items()},
        n_listed={source: dict(counts) for source, counts in n_listed.items()},
        n_halted={source: dict(counts) for source, counts in (n_halted or {}).items()},
        failed=dict(failed or {}),
        retired_unix_s=dict(retired_unix_s or {}),
        origin=origin,
    )
    try:
        (root / "source_symbols").mkdir(parents=True, exist_ok=True)
        _keep_previous(root)
        for name, content in files.items():
            whole.replace(root / name, content)
        whole.replace(root / "validation_report.txt", report.encode())
        _write_metadata(root, metadata)
        _tidy(root, files)
    except OSError as error:
        raise _refused(root, error) from None


def renumber(folder: str | Path, generation: int) -> None:
    """Give the set that is there another generation. The caller holds the folder's lock."""
    root = Path(folder)
    metadata = msgspec.structs.replace(read_metadata(root), generation=generation)
    try:
        _write_metadata(root, metadata)
    except OSError as error:
        raise _refused(root, error) from None


def _write_metadata(root: Path, metadata: Metadata) -> None:
    content = msgspec.json.format(msgspec.json.encode(metadata), indent=1) + b"\n"
    whole.replace(root / "metadata.json", content)


def _refused(root: Path, error: OSError) -> ConfigError:
    return ConfigError(
        f"paths.generated: {error.filename or root}: {error.strerror}, expected a folder that can "
        "be written"
    )


def _keep_previous(root: Path) -> None:
    """Copy the set that is there: a crash before the new one is whole leaves the copy."""
    try:
        _, contents = read_files(root)
    except BadGenerated:
        return  # nothing, or the remains of a crash: then the copy of that time still counts
    copy = root / PREVIOUS
    shutil.rmtree(copy, ignore_errors=True)
    (copy / "source_symbols").mkdir(parents=True)
    for name, content in contents.items():
        whole.replace(copy / name, content)
    whole.sync_folder(root)


def _tidy(root: Path, files: Mapping[str, bytes]) -> None:
    """Remove what the new set does not need: the copy, sources gone, remains of crashes."""
    shutil.rmtree(root / PREVIOUS, ignore_errors=True)
    for old in (root / "source_symbols").glob("*.json"):
        if f"source_symbols/{old.name}" not in files:
            old.unlink()
    for folder in (root, root / "source_symbols"):
        whole.remove_remains(folder)


def _symbols_text(names: Sequence[str], retired: frozenset[int]) -> bytes:
    marks = {i: "\tretired" for i in retired}
    rows = [f"{i}\t{name}{marks.get(i, '')}\n" for i, name in enumerate(names)]
    return "".join(["# id\tpair\n", *rows]).encode()


def _directions_text(names: Sequence[str], pairs: Mapping[int, Sequence[int]]) -> bytes:
    parts = []
    for number in sorted(pairs):
        direction, ids = built_in().direction_at[number], sorted(pairs[number])
        buy, sell = direction.buy.name, direction.sell.name
        parts.append(f"{number}\t{direction.name}\tbuy {buy}, sell {sell}, {len(ids)} pairs\n")
        parts.extend(f"\t{names[i]}\n" for i in ids)
    return "".join(parts).encode()
