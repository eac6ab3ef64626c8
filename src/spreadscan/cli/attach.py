"""What attaches to a running scanner goes by the settings in use there, not by its own."""

import os
from typing import Any, NamedTuple

import click
import msgspec
from spreadcore import Instance
from spreadcore.errors import CoreError

from spreadscan.app import build
from spreadscan.cli.options import loaded
from spreadscan.config import Config, with_absolute_paths
from spreadscan.inuse import InUse, held_roles, settings_in_use, unlike

_TOLD_AT_MOST = 3


class Attached(NamedTuple):
    """An instance and the settings to go by; in_use: None where nothing runs there."""

    instance: Instance
    config: Config
    in_use: InUse | None


def attach(files: Any, settings: Any, name: Any, role: str) -> Attached:
    """Attach as a role. Tells on stderr what was given here and is another there."""
    own = loaded(files, settings, name)
    instance = build.open_instance(own.config, role)
    in_use = settings_in_use(instance) if held_roles(instance) else None
    if in_use is None:
        return Attached(instance, own.config, None)
    if found := unlike(in_use, own.config, own.origins):
        more = f"; and {len(found) - _TOLD_AT_MOST} more" if len(found) > _TOLD_AT_MOST else ""
        click.echo(
            f"going by the settings in use: {'; '.join(found[:_TOLD_AT_MOST])}{more}", err=True
        )
    config = in_use.config
    if "record.max_gb" in own.origins:  # of this process, not of the feeds
        record = msgspec.structs.replace(config.record, max_gb=own.config.record.max_gb)
        config = msgspec.structs.replace(config, record=record)
    return Attached(instance, config, in_use)


def settings_at(files: Any, settings: Any, name: Any) -> Config:
    """Return the settings in use where a scanner runs, else those given here."""
    try:
        return attach(files, settings, name, "reader").config
    except CoreError:  # no such instance, or one of another version
        return loaded(files, settings, name).config


def settings_of(attached: Attached) -> dict[str, Any]:
    """Return what `ctl status` says of the settings: thresholds, fees, pairs, places."""
    config, in_use = attached.config, attached.in_use
    fees = build.fees_bps(config)
    return {
        "in_use": in_use is not None,
        "since": in_use.started if in_use else None,
        "command": in_use.command if in_use else None,
        "hash": (in_use.given if in_use else config).hash(),
        "sources": config.sources,
        "universe": msgspec.to_builtins(config.universe),
        "taker_bps": {name: build.taker_fee(config, name)[0] for name in config.sources},
        "directions": {
            d.name: {"threshold_bps": config.limits_bps(d)[0], "fees_bps": fees[d.id]}
            for d in config.enabled_directions
        },
        "paths": msgspec.to_builtins(with_absolute_paths(config, os.getcwd()).paths),
    }
