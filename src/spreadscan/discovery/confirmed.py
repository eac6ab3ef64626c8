"""What a human has confirmed of single pairs: the same coin after all, or another one for ever."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from spreadscan.catalogue import Catalogue
from spreadscan.errors import ConfigError
from spreadscan.types import QUOTES

_KINDS = ("same", "different")


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """Exceptions of the identity guard, as (source, pair)."""

    same: frozenset[tuple[str, str]] = frozenset()
    different: frozenset[tuple[str, str]] = frozenset()


def read_confirmed(path: str | Path, catalogue: Catalogue) -> Confirmed:
    """Return what the file says; nothing where there is none.

    ConfigError names the file, the key and what was expected of it.
    """
    try:
        tree = tomllib.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError:
        return Confirmed()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"paths.identity: {path}: cannot be read: {error}") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    for kind in tree:
        if kind not in _KINDS:
            raise ConfigError(f"{path}: unknown key {kind!r}, {_hint(kind, _KINDS)}")
    same, different = (_pairs(path, kind, tree.get(kind, {}), catalogue) for kind in _KINDS)
    if both := sorted(same & different):
        source, pair = both[0]
        raise ConfigError(f"{path}: {pair!r} of {source}: same and different, expected one")
    return Confirmed(same=same, different=different)


def _pairs(
    path: str | Path, kind: str, table: Any, catalogue: Catalogue
) -> frozenset[tuple[str, str]]:
    if type(table) is not dict:
        raise ConfigError(f"{path}: {kind}: {table!r}, expected a section [{kind}]")
    found = set()
    for pair, sources in table.items():
        base, _, quote = pair.rpartition("-")
        if not (base and quote in QUOTES):
            raise ConfigError(f"{path}: {kind}: pair {pair!r}, expected one such as 'NEIRO-USDT'")
        if type(sources) is not list or not sources:
            raise ConfigError(
                f"{path}: {kind}.{pair}: {sources!r}, expected a list of sources such as "
                '["mexc-spot"]'
            )
        for source in sources:
            if source not in catalogue.source:
                hint = catalogue.hint(str(source))
                raise ConfigError(f"{path}: {kind}.{pair}: unknown source {source!r}, {hint}")
            found.add((source, pair))
    return frozenset(found)


def _hint(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, 1, 0.5)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}"
