"""How long does a full discovery take, every pair of every source proven on the wire?

Setup: `spreadscan sim` on the first processor, with the venues' own limits on connects,
subscriptions and requests, once small and once with lists as long as the venues'; `spreadscan
discover` as a user starts it, its start included.

Baseline: the seconds that `discover --plan` says the venues' limits alone take, of the slowest
source. Between the two lie the proof itself, ten seconds without a newly valid pair, and the lists.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rig import simulators
from spreadscan.sim.universe import UNIVERSES

WITHIN_S = 180.0


@pytest.mark.parametrize("universe", UNIVERSES)
def bench_discover(
    row: Callable[..., None], tmp_path: Path, python_env: dict[str, str], universe: str
) -> None:
    first = {min(os.sched_getaffinity(0))}
    with simulators(tmp_path, python_env, first, "--universe", universe) as sims:
        command = [sys.executable, "-m", "spreadscan", "discover", "-c", str(sims.config), "--json"]

        def told(*arguments: str) -> dict[str, Any]:
            done = subprocess.run(
                [*command, *arguments], cwd=tmp_path, env=python_env, capture_output=True,
                text=True, timeout=WITHIN_S, check=True,
            )  # fmt: skip
            found: dict[str, Any] = json.loads(done.stdout)
            return found

        plan = told("--plan")
        begun_s = time.monotonic()
        found = told()
        seconds = time.monotonic() - begun_s
    limits_s = max(source["validation"]["seconds"] for source in plan["sources"].values())
    n_valid = sum(source["valid_pairs"] for source in found["sources"].values())
    row(
        f"discovery of {n_valid:,} listings, {universe}", seconds, "s",
        "the venues' limits alone", limits_s, 1, aim="60",
    )  # fmt: skip
