"""The one call of whoever attaches to a running scanner: it goes by the settings in use there.

Never by its own: thresholds, fees and places shown or used elsewhere would be others'.
"""

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
from spreadcore import Instance

from spreadscan.app import build
from spreadscan.app.fees import direction_fees_bps, taker_fee
from spreadscan.config import Config, Loaded, with_absolute_paths
from spreadscan.inuse import InUse, held_roles, settings_in_use, unlike

_TOLD_AT_MOST = 3


class Attached(NamedTuple):
    """An instance and the settings to go by; in_use: None where nothing runs there."""

    instance: Instance
    config: Config
    in_use: InUse | None


def attach(own: Loaded, role: str, tell: Callable[[str], None]) -> Attached:
    """Attach to the instance that `own` names, and go by the settings in use where it runs.

    own: what this process was given, which counts where nothing runs. role: of build.WRITABLE,
    'reader' for one that only looks. tell: is told, in a line, what was given and is another
    there. RegionMissing or LayoutMismatch where there is no such instance, or none of this
    version; ConfigError where its settings cannot be read.
    """
    instance = build.open_instance(own.config, role)
    in_use = settings_in_use(instance) if held_roles(instance.directory) else None
    if in_use is None:
        return Attached(instance, own.config, None)
    if found := unlike(in_use, own.config, own.origins):
        more = f"; and {len(found) - _TOLD_AT_MOST} more" if len(found) > _TOLD_AT_MOST else ""
        tell(f"going by the settings in use: {'; '.join(found[:_TOLD_AT_MOST])}{more}")
    return Attached(instance, in_use.config, in_use)


def settings_of(attached: Attached) -> dict[str, Any]:
    """Return what `ctl status` says of the settings: thresholds, fees, pairs, places."""
    config, in_use = attached.config, attached.in_use
    fees = direction_fees_bps(config)
    return {
        "in_use": in_use is not None,
        "since": in_use.started if in_use else None,
        "command": in_use.command if in_use else None,
        "hash": (in_use.given if in_use else config).hash(),
        "sources": config.sources,
        "universe": msgspec.to_builtins(config.universe),
        "taker_bps": {name: taker_fee(config, name)[0] for name in config.sources},
        "directions": {
            d.name: {"threshold_bps": config.limits_bps(d)[0], "fees_bps": fees[d.id]}
            for d in config.enabled_directions
        },
        "paths": msgspec.to_builtins(with_absolute_paths(config, os.getcwd()).paths),
    }
