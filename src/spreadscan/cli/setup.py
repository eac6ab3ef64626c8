"""`spreadscan init`, `spreadscan config init` and `spreadscan config show`."""

from pathlib import Path
from typing import Any

import click
from spreadcore.region import instance_dir

from spreadscan.app.build import create_instance
from spreadscan.app.fees import taker_fee
from spreadscan.cli.options import config_options, loaded, print_json, read_config
from spreadscan.cli.screen import say
from spreadscan.config import Config, flat
from spreadscan.defaults import IDENTITY, commented, default_file
from spreadscan.disk.whole import replace
from spreadscan.errors import ConfigError
from spreadscan.venues import VENUES

_FEES = "fees for orders by API"


@click.command()
@config_options
@click.option("--force", is_flag=True, help="Replace an instance that is there (nobody may run).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def init(files: Any, settings: Any, instance: Any, force: bool, as_json: bool) -> None:
    """Create the instance in shared memory.

    Does nothing where one with as much room is there already.
    """
    config = read_config(files, settings, instance)
    created = create_instance(config, force=force)
    place = instance_dir(config.instance)
    if as_json:
        print_json({"instance": config.instance, "created": created, "path": place})
    else:
        say(f"{place}: {'created' if created else 'is there already'}")


def _addresses(config: Config, source: str) -> dict[str, dict[str, Any]]:
    """Return where a source is reached, in order, and whether a setting says so."""
    venue, own = VENUES[source], config.venues.get(source)
    return {
        key: {
            "value": urls(config),
            "origin": f"venues.{source}.{key}" if getattr(own, key, None) else "the venue's table",
        }
        for key, urls in (("ws_url", venue.ws_urls), ("rest_url", venue.rest_urls))
    }


@click.group()
def config() -> None:
    """Look at the settings, or begin a file of your own."""


@config.command("init")
@click.argument("file", default="config/spreadscan.toml")
def config_init(file: str) -> None:
    """Write a file to start from: every setting with its default, as a comment.

    FILE is config/spreadscan.toml, if none is named; identity.toml comes beside it. Files that are
    there already are left alone.
    """
    path = Path(file)
    identity = path.with_name(IDENTITY)
    if path.exists():
        raise ConfigError(f"{path}: is there already, expected a new file")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, commented().encode())
        if not identity.exists():
            replace(identity, default_file(IDENTITY).read_bytes())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}, expected a folder to write to") from None
    say(f"{path}: written, every line of it a comment; give it with -c {path}")
    say(f"{identity}: what you confirm of single pairs")


@config.command("show")
@config_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def config_show(files: Any, settings: Any, instance: Any, as_json: bool) -> None:
    """Print every effective setting and where it comes from, and the fees that follow."""
    found = loaded(files, settings, instance)
    rows = {
        key: {"value": value, "origin": found.origins.get(key, "default")}
        for key, value in flat(found.config).items()
    }
    fees = {}
    for source in found.config.sources:
        bps, key = taker_fee(found.config, source)
        checked = f"the venue's table, checked {VENUES[source].spec.fees.checked}"
        fees[source] = {"value": bps, "origin": key or checked}
    addresses = {source: _addresses(found.config, source) for source in found.config.sources}
    if as_json:
        print_json(
            {
                "hash": found.config.hash(),
                "settings": rows,
                "fees": _FEES,
                "taker_bps": fees,
                "addresses": addresses,
            }
        )
        return
    rows["fees"] = {"value": _FEES, "origin": "no setting: how spreads are traded"}
    rows |= {f"taker fee in force, {source}": fee for source, fee in fees.items()}
    for source, own in addresses.items():
        for key, row in own.items():
            told = {"value": ", then ".join(row["value"]), "origin": row["origin"]}
            rows[f"{key} in force, {source}"] = told
    width = max(map(len, rows))
    for key, row in rows.items():
        say(f"{key:<{width}}  {row['value']!s:<40}  {row['origin']}")
    say(f"{'config hash':<{width}}  {found.config.hash()}")
