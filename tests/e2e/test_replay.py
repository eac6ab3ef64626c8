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


def test_a_recorded_audit_is_replayed(
    simulators: Callable[..., Simulators], scanner: Callable[..., Scanner]
) -> None:
    """Legs that are quiet for long: their venues were asked, and what they said is recorded."""
    sim = simulators(rate=300.0)
    wide = (
        "engine.threshold_bps=-18", "engine.converge_bps=-22", "audit.every_s=5",
        "audit.ask_after_s=1",
    )  # fmt: skip
    scan = scanner(sim, *(part for setting in wide for part in ("--set", setting)))
    until(lambda: scan.ctl("status").returncode == 0, "every role running")
    arguments = ("record", "--instance", scan.name, "--out", "rec", "--for", "25s")
    recorded = spreadscan(*arguments, cwd=scan.folder)
    assert 0 == recorded.returncode, recorded.stderr
    instance = scan.attach()
    engine = instance.health.counters(instance.health.role("engine"))
    instance.close()
    assert 0 == scan.stop()
    assert engine["asked"] > 10
    arguments = ("replay", "--frames", "rec", "--out", "a", "--against", "data", "--json")
    replay = spreadscan(*arguments, cwd=scan.folder)
    [found] = json.loads(replay.stdout)["replays"]
    against = found["against"]
    assert found["played"]["engine"]["asked"] > 10
    # a verdict is recorded when the feed takes it, 100 ms late at most: a quote that came meanwhile
    # is another than the one that was confirmed; here a second makes a leg old, and thousands are
    numbers = {k: len(v) if isinstance(v, list) else v for k, v in against.items()}
    assert len(against["missing"]) <= 0.02 * against["found"], numbers
    assert [] == against["unconfirmed"]
    assert against["found"] > 50
    # the same without what the audit said: it is judged by cadence, and says so
    about = json.loads((scan.folder / "rec" / "recording.json").read_text())
    assert about.pop("audited")
    (scan.folder / "rec" / "recording.json").write_text(json.dumps(about))
    arguments = ("replay", "--frames", "rec", "--out", "b", "--against", "data", "--json")
    [found] = json.loads(spreadscan(*arguments, cwd=scan.folder).stdout)["replays"]
    assert "asked" not in found["played"]["engine"]


def live_hash(scan: Scanner) -> str:
    """The config hash in the live rows."""
    [path] = (scan.folder / "data").glob("signals-*.csv")
    last: str = path.read_text().splitlines()[-1]
    return last.rpartition(",")[2]
