"""The systemd unit, as systemd itself reads it."""

import shutil
import subprocess
import sys
from configparser import ConfigParser
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "spreadscan.service"
INSTALLED = "/opt/spreadscan/bin/spreadscan"

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze (apt: systemd)"
)


def analyze(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def unit_in(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the unit with other words into a folder, its command being one that is there."""
    text = UNIT.read_text("utf-8")
    for before, after in ((INSTALLED, sys.executable), *changes):
        assert before in text
        text = text.replace(before, after)
    path = folder / UNIT.name
    path.write_text(text)
    return path


def test_systemd_finds_nothing_wrong_with_it(tmp_path):
    good = analyze("verify", unit_in(tmp_path))
    assert (0, "", "") == (good.returncode, good.stdout, good.stderr)
    slip = analyze("verify", unit_in(tmp_path, ("WatchdogSec=30", "WatchDogSecs=30")))
    assert "WatchDogSecs" in slip.stderr  # so the silence above says something


def test_it_is_exposed_to_2_of_10_at_most(tmp_path):
    judge = ("security", "--offline=true", "--threshold=20")
    good = analyze(*judge, unit_in(tmp_path))
    assert 0 == good.returncode, good.stdout
    bare = analyze(*judge, unit_in(tmp_path, ("SystemCallFilter=", "#"), ("ProtectProc=", "#")))
    assert 0 != bare.returncode


def service() -> dict[str, str]:
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read_string(UNIT.read_text("utf-8"))
    return dict(parser["Service"])


@pytest.mark.parametrize("key", ["ExecStart", "ExecReload"])
def test_its_commands_are_ours(key, tmp_path):
    """They get as far as the settings, which are wrong."""
    (tmp_path / "spreadscan.toml").write_text("turbo = true\n")
    program, *words = service()[key].replace("%d", str(tmp_path)).split()
    assert INSTALLED == program
    done = subprocess.run(
        [sys.executable, "-m", "spreadscan", *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert 2 == done.returncode
    assert f"spreadscan: {tmp_path}/spreadscan.toml: unknown key 'turbo'" in done.stderr


def test_what_must_hold_for_a_scanner():
    """Each of these was paid for: without it a service loses data, restarts for ever, or leaks."""
    found = service()
    expected = {
        "Type": "notify", "NotifyAccess": "main", "RestartPreventExitStatus": "2",
        "SuccessExitStatus": "3", "KillMode": "mixed", "SystemCallErrorNumber": "EPERM",
    }  # fmt: skip
    assert expected == {key: found[key] for key in expected}
    assert found["LoadCredential"].partition(":")[0] in found["ExecStart"]
    # deletes what stands in /dev/shm; a secret in Environment= is seen by `systemctl show`
    assert not {"RemoveIPC", "DynamicUser", "Environment"} & set(found)
    # a hung worker is back within 15 s, which the watchdog must leave it
    assert 15 < int(found["WatchdogSec"])
    assert 5 < int(found["TimeoutStopSec"])
