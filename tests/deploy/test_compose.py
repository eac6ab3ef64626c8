"""The compose file and what it mounts, as their own tools read them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def exit_code(*command: str | Path) -> int:
    done = subprocess.run([*map(str, command)], capture_output=True, timeout=60, check=False)
    return done.returncode


def judged(path: Path) -> int:
    schema = ("--builtin-schema", "vendor.compose-spec")
    return exit_code(sys.executable, "-m", "check_jsonschema", *schema, path)


def test_the_compose_file_is_one(tmp_path):
    assert 0 == judged(DEPLOY / "compose.yaml")
    slip = tmp_path / "compose.yaml"
    slip.write_text((DEPLOY / "compose.yaml").read_text("utf-8").replace("cap_drop:", "cap_drops:"))
    assert 0 != judged(slip)


def test_what_it_names_is_there():
    text = (DEPLOY / "compose.yaml").read_text("utf-8")
    for name in ("../src/spreadscan/defaults/default.toml", "./prometheus.yml"):
        assert name in text
        assert (DEPLOY / name).is_file()
    assert "dockerfile: deploy/Dockerfile" in text
    assert (DEPLOY / "Dockerfile").is_file()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool (apt: prometheus)")
def test_prometheus_takes_its_settings(tmp_path):
    assert 0 == exit_code("promtool", "check", "config", DEPLOY / "prometheus.yml")
    slip = tmp_path / "prometheus.yml"
    slip.write_text("scrape_configs: [{job: x}]\n")
    assert 0 != exit_code("promtool", "check", "config", slip)
