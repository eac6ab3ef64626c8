"""Scenarios 16, 17 and 19: a mute venue costs its directions and one log line, and heals; a machine
that is too busy for a while costs neither.
"""

import json
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from e2e import oracle
from e2e.conftest import Scanner, Simulators, until
from spreadscan.app.status import status
from spreadscan.clock import now_ns
from spreadscan.inuse import settings_in_use

pytestmark = pytest.mark.e2e

MUTE_AT_S, MUTE_UNTIL_S = 20.0, 34.0
FAULTS = f"""
[[fault]]
what = "mute"
source = "mexc-futures"
at_s = {MUTE_AT_S}
until_s = {MUTE_UNTIL_S}
"""
N_LOOPS, BUSY_S = 8, 7.0


def spin() -> None:
    end = time.monotonic() + BUSY_S
    while time.monotonic() < end:
        pass


def log_of(scan: Scanner, source: str) -> list[dict[str, Any]]:
    path = scan.folder / "logs" / f"{source}.log"
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(scan: Scanner) -> list[str]:
    rows = oracle.event_rows(scan.folder / "data")
    return [row["reason"] for row in rows if row["event"] == "EVENT"]


def test_a_mute_venue_and_a_busy_machine(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner], tmp_path: Path
) -> None:
    faults = tmp_path / "faults.toml"
    faults.write_text(FAULTS)
    sim = simulators("--faults", str(faults))
    settings = ("audit.enabled=false", "venues.mexc-futures.stale_after_s=7.0")
    scan = scanner(sim, *(x for each in settings for x in ("--set", each)))
    attached = scan.attach()
    in_use = settings_in_use(attached)
    assert in_use
    config = in_use.config

    def health() -> dict[str, Any]:
        found: dict[str, Any] = status(attached, config)["health"]
        return found

    def since_start_s() -> float:
        return (now_ns() - sim.t0_boottime_ns) / 1e9

    until(lambda: health()["state"] == "running", "a healthy scanner", MUTE_AT_S)
    assert 0 == scan.ctl("status").returncode
    until(lambda: events(scan), "that the source is told as lost", MUTE_UNTIL_S - since_start_s())
    found = scan.ctl("status", "--json")
    assert 3 == found.returncode
    told = json.loads(found.stdout)
    assert "mute" == told["roles"]["mexc-futures"]["state"]
    assert 0 == told["sources"]["mexc-futures"]["pairs"]
    assert (9, 12) == (told["directions"]["left"], told["directions"]["enabled"])
    off = ["binance->mexc", "bybit->mexc", "okx->mexc"]
    assert off == sorted(told["directions"]["off"])

    until(lambda: health()["state"] == "running", "a healthy scanner again", 30.0)
    until(lambda: len(events(scan)) == 2, "that it is told as back")
    loops = [multiprocessing.get_context("fork").Process(target=spin) for _ in range(N_LOOPS)]
    for loop in loops:
        loop.start()
    sources: set[str] = set()
    while any(loop.is_alive() for loop in loops):
        time.sleep(0.2)
        sources |= {n for n, r in status(attached, config)["roles"].items() if r["state"] == "off"}
    for loop in loops:
        loop.join()
    assert set() == sources  # nobody was killed for it
    assert 0 == scan.stop()

    lost, back = events(scan)
    assert lost.startswith("LOST mexc-futures: since 20")
    assert lost.endswith("; mute; 9 of 12 directions left")
    assert back.startswith("BACK mexc-futures: after ")
    assert back.endswith("; 12 of 12 directions left")
    rows = log_of(scan, "mexc-futures")
    heard = next(i for i, row in enumerate(rows) if row["message"] == "source heard again")
    warned = [row["message"] for row in rows[:heard] if row["level"] != "INFO"]
    assert ["source mute"] == warned
