"""Benches follow the code that they measure, also where nobody runs them for a while."""

import os
import subprocess
import sys
from pathlib import Path

BENCHES = Path(__file__).parents[2] / "benches"


def test_every_bench_can_be_collected() -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "."],
        cwd=BENCHES, env=own, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert 0 == done.returncode, done.stdout
    named = {line.partition("::")[0] for line in done.stdout.splitlines() if "::" in line}
    assert {path.name for path in BENCHES.glob("bench_*.py")} == {Path(n).name for n in named}
