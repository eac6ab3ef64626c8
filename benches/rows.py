"""What the benches found: rows, and the three faces of a table of them (terminal, jsonl, Markdown).

A row has a figure and its baseline, measured in the same run; ratio is the figure divided by the
baseline. `aim` is what the design hoped for on two cores: shown, never asserted.
"""

import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
_COLUMNS = ("name", "value", "unit", "baseline", "baseline value", "ratio", "n", "aim")
_TO_THE_LEFT = {"name", "unit", "baseline", "aim"}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure beside its baseline, both in `unit` unless the baseline's name says another.

    n: operations, samples or seconds that the figure rests on.
    """

    name: str
    value: float
    unit: str
    baseline: str
    baseline_value: float
    n: int
    aim: str = ""

    @property
    def ratio(self) -> float:
        return self.value / self.baseline_value

    def json(self) -> str:
        """Return the row as a line of bench.jsonl."""
        found = asdict(self) | {"ratio": _rounded(self.ratio)}
        found["value"] = _rounded(self.value)
        found["baseline_value"] = _rounded(self.baseline_value)
        keys = ("name", "value", "unit", "baseline", "baseline_value", "ratio", "n")
        return json.dumps({key: found[key] for key in keys})

    def cells(self) -> tuple[str, ...]:
        return (
            self.name, _figure(self.value), self.unit, self.baseline,
            _figure(self.baseline_value), _figure(self.ratio), f"{self.n:,}", self.aim,
        )  # fmt: skip


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


def _figure(value: float) -> str:
    """Three digits that mean something, in plain notation."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def text_table(rows: Iterable[Row]) -> list[str]:
    """Return the lines of the table for a terminal."""
    cells = [_COLUMNS, *(row.cells() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(_aligned(line, widths)).rstrip() for line in cells]


def markdown_table(rows: Iterable[Row]) -> list[str]:
    """Return the lines of the table in Markdown."""
    rule = ["---" if name in _TO_THE_LEFT else "---:" for name in _COLUMNS]
    lines = [_COLUMNS, rule, *(row.cells() for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]


def _aligned(line: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [
        text.ljust(width) if name in _TO_THE_LEFT else text.rjust(width)
        for name, text, width in zip(_COLUMNS, line, widths, strict=True)
    ]


def baseline_page(rows: Iterable[Row], command: str) -> str:
    """Return BASELINE.md: the machine, the command, the table."""
    facts = "\n".join(f"- {name}: {value}" for name, value in machine().items())
    return f"""# Baseline

Written by `make bench ARGS=--write-baseline`; not edited by hand. Every row was measured in one
run, its baseline beside it; ratio is value / baseline value. The docstring of each bench says
what was set up and what is not measured. Aims are upper bounds hoped for on two cores, not
asserted.

{facts}
- command: `{command}`

{chr(10).join(markdown_table(rows))}
"""


def machine() -> dict[str, str]:
    """Return what a reader needs to know of where the figures come from."""
    return {
        "machine": f"{_cpu_model()}, {len(os.sched_getaffinity(0))} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "commit": _commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "python": f"{platform.python_version()} ({platform.python_compiler()})",
        "C compiler": _first_line("cc", "--version"),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _commit() -> str:
    """The commit, and whether the measured code differs from it."""
    commit = _first_line("git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD")
    changed = _first_line("git", "-C", str(ROOT), "status", "--porcelain", "--", "src", "setup.py")
    return f"{commit} and changes not committed" if changed else commit


def _first_line(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return next(iter(done.stdout.splitlines()), "")


def command_line() -> str:
    """Return the command that is running."""
    return " ".join(["pytest", *sys.argv[1:]])
