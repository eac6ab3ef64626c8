"""What a replay runs on: recordings, the settings that they were made with, their lists."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spreadscan.app.fees import taker_fee
from spreadscan.catalogue import built_in
from spreadscan.config import Config, load
from spreadscan.disk.format import Simulated
from spreadscan.errors import ConfigError
from spreadscan.lists import Lists
from spreadscan.lists import load as load_lists
from spreadscan.recordings import is_recording
from spreadscan.replay.recorded import GENERATED

SETTINGS = "config.toml"


def recordings_in(folders: Sequence[Path]) -> list[Path]:
    """Return the recordings that are meant: each folder, or the recordings in it.

    ConfigError for a folder that is neither, and for two of one name.
    """
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            what = "not a folder" if folder.exists() else "no such folder"
            raise ConfigError(f"{folder}: {what}, expected a recording")
        own = [folder] if is_recording(folder) else sorted(filter(is_recording, folder.iterdir()))
        if not own:
            raise ConfigError(
                f"{folder}: no recording.json, expected a recording of `spreadscan record` or a "
                "folder of recordings (frames of other forms: `spreadscan record --from`)"
            )
        found += own
    names = [path.resolve().name for path in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(f"frames: {name} {names.count(name)} times, expected each name once")
    return found


def market_of(folder: Path) -> Simulated:
    """Return whether a recording is of a simulated market, as the settings beside it tell."""
    own = folder / SETTINGS
    if not own.is_file():
        return "unknown"
    return "true" if load([own], environ={}).config.simulated else "false"


def settings_of(folder: Path, files: Sequence[str], flags: Mapping[str, Any]) -> Config:
    """Return the settings of a recording, overridden by files and flags.

    The environment is not looked at: it was part of the recorded settings. ConfigError for what
    cannot be, and for a fee that the account's tier hides.
    """
    own = folder / SETTINGS
    config = load([*([own] if own.is_file() else []), *files], flags, environ={}).config
    for key in flags:
        section, _, rest = key.partition(".")
        source = rest.removesuffix(".taker_bps")
        if section == "venues" and source != rest and taker_fee(config, source)[1] != key:
            raise ConfigError(
                f"command line: {key}: the fee of tier {config.account_tier!r} is in force, "
                f"expected {taker_fee(config, source)[1]}, or account_tier="
            )
    return config


def spelled_out(settings: Mapping[str, str]) -> dict[str, str]:
    """Return settings by keys of the config: fees.okx.taker_bps is both sources of okx."""
    flags: dict[str, str] = {}
    for key, value in settings.items():
        section, _, rest = key.partition(".")
        whose, dot, field = rest.rpartition(".")
        if (section, dot) != ("fees", "."):
            flags[key] = value
            continue
        names = [
            source.name for source in built_in().sources if whose in (source.exchange, source.name)
        ]
        if not names or field != "taker_bps":
            known = ", ".join(sorted({source.exchange for source in built_in().sources}))
            raise ConfigError(
                f"command line: unknown key {key!r}, expected fees.EXCHANGE.taker_bps (one of "
                f"{known}) or a key of the config"
            )
        flags |= {f"venues.{name}.taker_bps": value for name in names}
    return flags


def lists_of(folder: Path, config: Config, generated: Path | None) -> Lists:
    """Return the lists that were in use, or those given. ConfigError, BadGenerated."""
    own = folder / GENERATED
    if generated is None and not own.is_dir():
        raise ConfigError(
            f"{folder}: no {GENERATED}/ in it (an import has none), expected --generated DIR "
            "with the pairs to compare"
        )
    return load_lists(generated or own)
