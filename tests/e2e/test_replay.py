"""A scan is recorded and replayed: the same files twice, and the live run's signals in them."""

import json
import shutil
from collections.abc import Callable

import pytest

from e2e.conftest import Scanner, Simulators, spreadscan, until

pytestmark = pytest.mark.e2e

RECORD_S = 6


def test_a_recorded_scan_is_replayed(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    sim = simulators()
    scan = scanner(sim)
    until(lambda: scan.ctl("status").returncode == 0, "every role running")
    # no config: the settings of the running engine are what is recorded
    arguments = ("record", "--instance", scan.name, "--out", "rec", "--for", f"{RECORD_S}s")
    recorded = spreadscan(*arguments, cwd=scan.folder)
    assert 0 == recorded.returncode, recorded.stderr
    assert 0 == scan.stop()
    found = []
    for out in ("a", "b"):
        replay = spreadscan(
            "replay", "--frames", "rec", "--out", out, "--against", "data", "--json",
            cwd=scan.folder,
        )  # fmt: skip
        assert 0 == replay.returncode, replay.stdout + replay.stderr
        found += json.loads(replay.stdout)["replays"]
    first, second = ({p.name: p.read_bytes() for p in (scan.folder / out).iterdir()}
                     for out in ("a", "b"))  # fmt: skip
    assert first == second
    assert found[0]["config_hash"] == live_hash(scan)
    against = found[0]["against"]
    assert against == found[1]["against"]
    assert (against["live"] - len(against["unrecorded"]), []) == (
        against["found"], against["missing"],
    )  # fmt: skip
    assert against["found"] > 0
    assert [] == found[0]["problems"]
    shutil.rmtree(scan.folder / "rec" / "generated")
    refused = spreadscan("replay", "--frames", "rec", "--out", "c", cwd=scan.folder)
    assert (2, "") == (refused.returncode, refused.stdout)
    assert "rec: no generated/ in it" in refused.stderr


def live_hash(scan: Scanner) -> str:
    """The config hash in the live rows."""
    [path] = (scan.folder / "data").glob("signals-*.csv")
    last: str = path.read_text().splitlines()[-1]
    return last.rpartition(",")[2]
