"""`spreadscan sim`: the eight exchanges, simulated on loopback."""

import json
import os
from pathlib import Path
from typing import Any

import click

from spreadscan.cli.options import need, print_json
from spreadscan.cli.screen import say
from spreadscan.config import BY_DEFAULT
from spreadscan.disk import whole
from spreadscan.errors import ConfigError
from spreadscan.sim.faults import read_faults
from spreadscan.sim.flood import Flood
from spreadscan.sim.server import SimOptions, SimServer, run_sim
from spreadscan.sim.universe import UNIVERSES


@click.command()
@click.option("--seed", default=1, show_default=True, help="Which market.")
@click.option(
    "--universe",
    type=click.Choice([*UNIVERSES]),
    default="small",
    show_default=True,
    help="How many pairs are listed; real: as many as the venues list, and all that is beside.",
)
@click.option(
    "--usdc", is_flag=True, help="List a share of the coins against USDC, too; see universe.quotes."
)
@click.option("--rate", default=2000.0, show_default=True, help="Quotes per second, all sources.")
@click.option("--speed", default=1.0, show_default=True, help="Simulated seconds per second.")
@click.option(
    "--freeze-after",
    type=float,
    metavar="N",
    help="Nothing moves after N simulated seconds (venues still repeat).",
)
@click.option(
    "--port",
    default=18080,
    show_default=True,
    help="First of the ports (+ source id); 0 takes any free ones.",
)
@click.option("--source", "sources", multiple=True, help="Only this source. May be repeated.")
@click.option(
    "--write-config",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the addresses as a TOML config once every port is open.",
)
@click.option(
    "--tls",
    "tls_ca",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Serve https and wss with a certificate made now; its authority is written to FILE. "
    "Start the scanner with SSL_CERT_FILE=FILE. Needs the extra: spreadscan[tls].",
)
@click.option(
    "--flood",
    is_flag=True,
    help="For load tests: nothing moves; a second after a socket has subscribed it gets frames "
    "of its pairs under rising ids, as fast as it reads them.",
)
@click.option("--frames", default=0, metavar="N", help="Flood: N frames to each socket, no more.")
@click.option(
    "--flood-rate", default=0.0, metavar="R", help="Flood: R frames per second, all sources."
)
@click.option(
    "--frames-per-write",
    default=0,
    metavar="K",
    help="Flood: K frames in each write to a socket; else 1 with a rate, many without.",
)
@click.option(
    "--faults",
    "faults_file",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="What goes wrong, where and when: a script of docs/faults.md.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one JSON object.")
def sim(
    seed: int,
    universe: str,
    usdc: bool,
    rate: float,
    speed: float,
    freeze_after: float | None,
    port: int,
    sources: tuple[str, ...],
    write_config: Path | None,
    tls_ca: Path | None,
    flood: bool,
    frames: int,
    flood_rate: float,
    frames_per_write: int,
    faults_file: Path | None,
    as_json: bool,
) -> None:
    """Serve the exchanges from a seeded market, until Ctrl-C.

    In another terminal: spreadscan run -c FILE, with the FILE of --write-config.
    """
    if not flood and (frames or flood_rate or frames_per_write):
        raise click.UsageError("--frames, --flood-rate, --frames-per-write: expected with --flood")
    if tls_ca:
        need("tls", "trustme")
    options = SimOptions(
        seed=seed,
        universe=universe,
        usdc=usdc,
        rate=rate,
        speed=speed,
        freeze_after_s=freeze_after,
        port_base=port,
        sources=sources or BY_DEFAULT,
        flood=Flood(frames=frames, rate=flood_rate, frames_per_write=frames_per_write)
        if flood
        else None,
        faults=read_faults(faults_file) if faults_file else (),
        tls_ca=tls_ca,
    )
    servers: list[SimServer] = []

    def ready(server: SimServer) -> None:
        servers.append(server)
        told: dict[str, Any] = {
            "seed": seed,
            "universe": universe,
            "usdc": usdc,
            "rate": server.market.rate,
            "speed": speed,
            "t0_boottime_ns": server.time.t0_boot_ns,
            "t0_unix_ns": server.time.t0_unix_ns,
            "pid": os.getpid(),
            "sources": {
                name: {"rest_url": rest, "ws_url": ws}
                for name, (rest, ws) in server.endpoints().items()
            },
        }
        if write_config:
            about = f"# addresses of `spreadscan sim` ({universe} universe, seed {seed})"
            facts = [f"# {key} = {told[key]}" for key in ("t0_boottime_ns", "t0_unix_ns", "pid")]
            write_addresses(write_config, [about, *facts], told)
        if as_json:
            print_json(told)
            return
        show_addresses(told)
        pace = _pace(options.flood) if options.flood else f"{told['rate']:g} quotes/s"
        say(f"seed {seed}, {universe} universe, {pace}, speed {speed:g}; Ctrl-C ends it")
        if tls_ca:
            say(f"start clients with SSL_CERT_FILE={tls_ca}")

    run_sim(options, ready)
    if flood:
        for name, counters in servers[0].counters().items():
            say(f"{name:<16} {counters.frames} frames", err=True)


def _pace(flood: Flood) -> str:
    pace = f"{flood.rate:g} frames/s" if flood.rate else "as fast as readers are"
    return f"flood: {pace}" + (f", {flood.frames} to each socket" if flood.frames else "")


def show_addresses(told: dict[str, Any]) -> None:
    """Print a line per source; told["sources"]: rest_url and ws_url by name."""
    for name, urls in told["sources"].items():
        say(f"{name:<16} {urls['rest_url']:<24} {urls['ws_url']}")


def write_addresses(path: Path, comments: list[str], told: dict[str, Any]) -> None:
    """Write told["sources"] as a TOML config below comments. ConfigError: no place for it.

    Where it tells of others than are scanned by default, it says so: the hosts of sources that
    are not simulated would be the real ones.
    """
    lines = list(comments)
    if tuple(told["sources"]) != BY_DEFAULT:
        lines += ["", f"sources = {json.dumps(list(told['sources']))}"]
    for name, urls in told["sources"].items():
        lines += ["", f"[venues.{name}]"]
        lines += [f'{key} = "{url}"' for key, url in urls.items()]
    try:
        whole.replace(path, "\n".join([*lines, ""]).encode())  # somebody may wait for the file
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}, expected a place to write to") from None
