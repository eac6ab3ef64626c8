"""Shared memory that is cut short or removed under a scanner: one sentence, one exit code."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from spreadcore import Instance
from spreadcore.errors import CoreError
from spreadcore.region import instance_dir

from cases.kit import Case, Fake, case, until

SOURCES = ("okx-spot", "bybit-futures")
QUICK = "discovery.no_new_s = 0.5\ndiscovery.after_ack_s = 2.0\naudit.funding_every_s = 0.0"


def cut(place: Path) -> None:
    os.truncate(place / "quotes", 4096)


def cut_what_all_write(place: Path) -> None:
    os.truncate(place / "health", 0)


# what is done to the instance, in which layout, and one of the texts that is told of it
HARMS: tuple[tuple[Callable[[Path], None], str, tuple[str, ...]], ...] = (
    (cut, "processes", ("quotes: cut to 4096 bytes while in use",)),
    # whoever beats before it looks is told by the signal
    (cut_what_all_write, "single", ("health: cut to 0 bytes", "memory was cut short")),
    (shutil.rmtree, "processes", ("removed while in use",)),
)


def running(it: Case, pid: int) -> bool:
    """Return True once that very scanner runs: one before it leaves its last words behind."""
    try:
        health = Instance(it.instance).health
    except CoreError:
        return False
    supervisor, engine = (health.info(health.role(role)) for role in ("supervisor", "engine"))
    return pid == supervisor["pid"] and {"running"} == {supervisor["state"], engine["state"]}


def test_a_scanner_ends_at_once_and_the_next_one_makes_it_anew(tmp_path: Path) -> None:
    with case(tmp_path, *(Fake(name) for name in SOURCES), extra=QUICK) as it:
        done = it.run("discover")
        assert 0 == done.returncode, done.stderr
        place, damaged = Path(instance_dir(it.instance)), False
        for harm, layout, words in HARMS:
            with it.scanning("--no-discover", "--layout", layout) as process:
                until(lambda: running(it, process.pid), "the scanner")
                harm(place)
                _, told = process.communicate(timeout=10)
            assert 4 == process.returncode, told
            said = next(line for line in told.splitlines() if line.startswith("spreadscan: "))
            assert any(word in said for word in words), told
            assert "Traceback" not in told
            assert damaged == ("made anew" in told), told
            assert 0 < it.log().count("shared memory")
            damaged = place.exists()
            done = it.run("ctl", "status")
            assert (4 if damaged else 1) == done.returncode, done.stderr
            assert not done.stdout
