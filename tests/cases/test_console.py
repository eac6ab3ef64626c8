"""What `run` says to whoever looks at its console, and what commands say where nothing runs."""

import os
import re
import signal
from pathlib import Path

from spreadcore import Instance
from spreadcore.errors import CoreError

from cases.kit import Case, Fake, case, until

QUICK = "discovery.no_new_s = 0.5\ndiscovery.after_ack_s = 2.0\naudit.funding_every_s = 0.0"


def engine(it: Case) -> int:
    """Return the pid of an engine that runs under a supervisor that does, 0 for none."""
    try:
        health = Instance(it.instance).health
    except CoreError:
        return 0
    found = [health.info(health.role(role)) for role in ("supervisor", "engine")]
    return int(found[1]["pid"]) if {"running"} == {info["state"] for info in found} else 0


def test_a_run_tells_what_it_does_and_ends_with_a_summary(tmp_path: Path) -> None:
    with case(tmp_path, Fake("okx-spot"), Fake("bybit-futures"), extra=QUICK) as it:
        nothing = it.run("ctl", "status").stderr
        assert f"instance '{it.instance}': there is none, expected a scanner: " in nothing
        assert "init" not in nothing
        done = it.run("discover")
        assert 0 == done.returncode, done.stderr
        with it.scanning("--no-discover") as process:
            killed = until(lambda: engine(it), "the engine")
            wrong = it.run("ctl", "stop", "--instance", f"{it.instance}x").stderr
            assert f"{it.instance} (--instance {it.instance})" in wrong
            os.kill(killed, signal.SIGKILL)
            until(lambda: engine(it) not in (0, killed), "another engine")
            done = it.run("ctl", "reload", "--no-discover")
            assert 0 == done.returncode, done.stderr
            process.send_signal(signal.SIGINT)
            _, told = process.communicate(timeout=10)
        assert 0 == process.returncode, told
        running, died, started, *_, counted, ended = told.splitlines()
        assert running.startswith("running (processes): 2 sources")
        assert re.fullmatch(r"\d\d:\d\d:\d\dZ worker died: role engine, exit_code -9, .*", died)
        assert re.fullmatch(r"\d\d:\d\d:\d\dZ worker started: role engine, .*", started)
        assert counted.startswith("this run, since")
        assert re.fullmatch(
            r"ended after \d+ s; workers started again: engine 1 time; 0 rows written; "
            r"lists of generation 1",
            ended,
        )
        assert "worker ended" not in told
        assert "expected a scanner" in it.run("ctl", "stop").stderr
